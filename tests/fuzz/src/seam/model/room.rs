//! What files a plugin left in the one directory that is granted to it, as it was told: each answer fits what came before.

use std::collections::BTreeMap;

use ocf_wasm::seam::Answer;
use ocf_wasm::seam::path::{Entry, Facts, Kind};

/// A label whose directory is not there, and which is granted for looking.
const NOWHERE: &str = "nowhere";
/// The label of the directory. No other gets a good answer, except that there is nothing.
const ROOM: &str = "room";

/// Names below the directory with their contents; none for a directory.
#[derive(Default)]
pub(super) struct Room {
    things: BTreeMap<String, Option<Vec<u8>>>,
    is_blurred: bool,
}

/// Each method that takes an answer says whether it can be right.
impl Room {
    /// An answer was not heard: what is there is not known any more.
    pub(super) fn blur(&mut self) {
        self.is_blurred = true;
    }

    pub(super) fn stat(&self, label: &str, name: &str, answer: &Answer<Option<Facts>>) -> bool {
        self.looked(label, answer, |found| {
            let size = |facts: &Facts| if facts.kind == Kind::File { facts.size } else { 0 };
            found.map(|facts| (facts.kind, size(facts))) == self.kind_of(name)
        })
    }

    pub(super) fn read(&self, label: &str, name: &str, part: (u64, u32), answer: &Answer<Option<Vec<u8>>>) -> bool {
        self.looked(label, answer, |found| {
            let from = |content: &[u8]| usize::try_from(part.0).unwrap_or(usize::MAX).min(content.len());
            let cut = |content: &Vec<u8>| content[from(content)..].iter().take(part.1 as usize).copied().collect();
            let expected: Option<Option<Vec<u8>>> = self.things.get(name).map(|content| content.as_ref().map(cut));
            expected == found.map(|bytes| Some(bytes.clone()))
        })
    }

    pub(super) fn list(&self, label: &str, name: &str, answer: &Answer<Option<Vec<Entry>>>) -> bool {
        self.looked(label, answer, |found| {
            let Some(found) = found else { return self.kind_of(name).is_none() };
            let above = if name.is_empty() { String::new() } else { format!("{name}/") };
            let below = self.things.iter().filter_map(|(whole, content)| {
                let last = whole.strip_prefix(&above).filter(|last| !last.contains('/'))?;
                Some((last, if content.is_some() { Kind::File } else { Kind::Directory }))
            });
            let expected: BTreeMap<&str, Kind> = below.collect();
            let listed: BTreeMap<&str, Kind> = found.iter().map(|entry| (entry.name.as_str(), entry.kind)).collect();
            expected == listed && listed.len() == found.len()
        })
    }

    pub(super) fn write(&mut self, label: &str, name: &str, content: &[u8], answer: &Answer<()>) -> bool {
        if answer.is_err() {
            return true;
        }
        let has_above = name.rsplit_once('/').is_none_or(|(above, _)| self.things.get(above) == Some(&None));
        let takes_a_file = self.things.insert(name.to_owned(), Some(content.to_vec())) != Some(None);
        label == ROOM && (self.is_blurred || has_above && takes_a_file)
    }

    pub(super) fn remove(&mut self, label: &str, name: &str, answer: &Answer<bool>) -> bool {
        let Ok(removed) = answer else { return true };
        let was_there = self.things.remove(name).is_some();
        let leaves_none_behind = !self.things.keys().any(|whole| whole.starts_with(&format!("{name}/")));
        label == ROOM && (self.is_blurred || *removed == was_there && leaves_none_behind)
    }

    pub(super) fn make(&mut self, label: &str, name: &str, answer: &Answer<bool>) -> bool {
        let Ok(made) = answer else { return true };
        let was_there = self.kind_of(name).is_some();
        for end in name.match_indices('/').map(|(at, _)| at).chain([name.len()]).filter(|end| *end > 0) {
            let _ = self.things.entry(name[..end].to_owned()).or_default();
        }
        let is_directory = self.kind_of(name).is_some_and(|(kind, _)| kind == Kind::Directory);
        label == ROOM && (self.is_blurred || is_directory && *made != was_there)
    }

    fn looked<T>(&self, label: &str, answer: &Answer<Option<T>>, fits: impl FnOnce(Option<&T>) -> bool) -> bool {
        match (answer, label) {
            (Err(_), _) => true,
            (Ok(found), NOWHERE) => found.is_none(),
            (Ok(found), ROOM) => self.is_blurred || fits(found.as_ref()),
            (Ok(_), _) => false,
        }
    }

    fn kind_of(&self, name: &str) -> Option<(Kind, u64)> {
        if name.is_empty() {
            return Some((Kind::Directory, 0));
        }
        let content = self.things.get(name)?;
        Some(content.as_ref().map_or((Kind::Directory, 0), |content| (Kind::File, content.len() as u64)))
    }
}
