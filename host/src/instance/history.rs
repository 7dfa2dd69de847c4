//! The last actions of an instance, one line each, for `why`.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use super::Directory;

/// Actions that are kept.
const KEPT: usize = 20;
/// Bytes of the file beyond which it is cut back to the last [`KEPT`] lines.
const FILE_BYTES: u64 = 16 * 1024;
/// Nothing is waited for, and no link followed, in the place of the file.
const NOTHING_ELSE: i32 = libc::O_NOFOLLOW | libc::O_NONBLOCK;

/// One action that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// When, seconds since 1970.
    pub at: u64,
    /// Which: the word, with `probe` or the check level where it is one.
    pub action: String,
    /// The exit status.
    pub exit: u8,
    /// How long it took, milliseconds.
    pub took_ms: u64,
    /// The reason, if there was one.
    pub reason: String,
}

/// The file `actions` of an instance.
#[derive(Debug)]
pub struct History(PathBuf);

impl History {
    /// Returns the history of an instance.
    pub fn of(directory: &Directory) -> Self {
        Self(directory.path().join("actions"))
    }

    /// Appends an action. A history that cannot be written is no reason to fail one.
    pub fn add(&self, action: &Action) {
        let reason = action.reason.replace(['\t', '\n'], " ");
        // The end of a line stands before the next: what was cut off by a full disk does not swallow what follows.
        let line = format!("\n{}\t{}\t{}\t{}\t{reason}", action.at, action.action, action.exit, action.took_ms);
        let file = OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(NOTHING_ELSE).open(&self.0);
        let Ok(mut file) = file else { return };
        if file.metadata().is_ok_and(|m| m.len() > FILE_BYTES) {
            let text = self.end();
            let lines = || text.lines().filter(|line| !line.is_empty());
            let skip = lines().count().saturating_sub(KEPT - 1);
            let mut kept: String = lines().skip(skip).map(|line| format!("\n{line}")).collect();
            kept.push_str(&line);
            let _ = crate::sealed::replace(&self.0, kept.as_bytes(), 0o600);
            return;
        }
        let _ = file.write_all(line.as_bytes());
    }

    /// Returns the last actions, oldest first.
    pub fn last(&self) -> Vec<Action> {
        let text = self.end();
        let mut actions: Vec<Action> = text.lines().filter_map(parse).collect();
        actions.drain(..actions.len().saturating_sub(KEPT));
        actions
    }

    /// The end of the file, where the last actions are, however long somebody made it.
    fn end(&self) -> String {
        let read = || -> std::io::Result<Vec<u8>> {
            let mut file: File = OpenOptions::new().read(true).custom_flags(NOTHING_ELSE).open(&self.0)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(2 * FILE_BYTES)))?;
            let mut bytes = Vec::new();
            file.take(4 * FILE_BYTES).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
    }
}

fn parse(line: &str) -> Option<Action> {
    let mut fields = line.splitn(5, '\t');
    Some(Action {
        at: fields.next()?.parse().ok()?,
        action: fields.next()?.to_owned(),
        exit: fields.next()?.parse().ok()?,
        took_ms: fields.next()?.parse().ok()?,
        reason: fields.next()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cut_off_swallows_nothing_and_twenty_are_kept() {
        let path = std::env::temp_dir().join(format!("ocf-wasm-history-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let history = History::of(&Directory::at(path.clone()));
        let action = |at, reason: &str| Action {
            at,
            action: "monitor level 10".to_owned(),
            exit: 1,
            took_ms: 5,
            reason: reason.to_owned(),
        };
        std::fs::write(path.join("actions"), "1700000000\tstart\t0\t250\tok\n17000").unwrap();
        history.add(&action(1, "no answer"));
        assert_eq!(history.last().len(), 2);
        assert_eq!(history.last().last(), Some(&action(1, "no answer")));
        let long = "x".repeat(100);
        (0..300).for_each(|at| history.add(&action(at, &long)));
        let expected: Vec<Action> = (280..300).map(|at| action(at, &long)).collect();
        assert_eq!(history.last(), expected);
        assert!(std::fs::metadata(path.join("actions")).unwrap().len() <= FILE_BYTES + 200);
        std::fs::remove_dir_all(&path).unwrap();
    }
}
