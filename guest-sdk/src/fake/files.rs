//! Files that are not there: a tree in memory for each label, with the answers of the host.

use std::collections::BTreeMap;

use super::{ActionName, Error, Node, with};
use crate::path::{Entry, Facts, Kind};

/// What has a name: the content of a file, or none for a directory; and its permission bits.
type Thing = (Option<Vec<u8>>, u16);
/// Things by their names. The directory of a label itself is always there.
pub(super) type Tree = BTreeMap<String, Thing>;

const CALL_BYTES: usize = 1024 * 1024;

impl Node {
    /// Puts a file below the directory of a label, and the directories that its name goes through.
    #[must_use]
    pub fn file(mut self, label: &str, name: &str, content: impl AsRef<[u8]>) -> Self {
        let tree = self.files.entry(label.into()).or_default();
        make_above(tree, name);
        tree.insert(name.into(), (Some(content.as_ref().to_vec()), 0o644));
        self
    }

    fn look(&mut self, label: &str, name: &str, what: &str) -> Result<&mut Tree, Error> {
        self.permit("path", label, &format!("{what} {name}"))?;
        let is_plain = |part: &str| !matches!(part, "" | "." | "..") && part.len() <= 255 && !part.contains('\0');
        if !name.is_empty() && (name.len() > 1024 || !name.split('/').all(is_plain)) {
            return Err(Error::Invalid("a name is relative, such as a/b".into()));
        }
        Ok(self.files.entry(label.into()).or_default())
    }

    fn change(&mut self, label: &str, name: &str, what: &str, mode: u16) -> Result<&mut Tree, Error> {
        let looks_only = matches!(self.action, ActionName::Monitor | ActionName::Validate);
        let tree = self.look(label, name, what)?;
        if looks_only {
            return Err(Error::Invalid("monitor and validate change nothing".into()));
        }
        if mode > 0o777 {
            return Err(Error::Invalid("a mode is 0 to 0o777".into()));
        }
        Ok(tree)
    }
}

fn above(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('/').map(move |(at, _)| &name[..at])
}

fn make_above(tree: &mut Tree, name: &str) {
    for directory in above(name) {
        tree.entry(directory.into()).or_insert((None, 0o755));
    }
}

fn is_directory(tree: &Tree, name: &str) -> bool {
    name.is_empty() || tree.get(name).is_some_and(|(content, _)| content.is_none())
}

fn kind(content: Option<&Vec<u8>>) -> Kind {
    if content.is_some() { Kind::File } else { Kind::Directory }
}

pub(crate) fn stat(label: &str, name: &str) -> Result<Option<Facts>, Error> {
    with(|node| {
        let tree = node.look(label, name, "stat")?;
        let root = (None, 0o755);
        let found = if name.is_empty() { Some(&root) } else { tree.get(name) };
        Ok(found.map(|(content, mode)| Facts {
            kind: kind(content.as_ref()),
            size: content.as_ref().map_or(0, |content| content.len() as u64),
            mode: *mode,
            uid: 0,
            gid: 0,
            modified: 1_700_000_000,
        }))
    })
}

pub(crate) fn read(label: &str, name: &str, offset: u64, limit: u32) -> Result<Option<Vec<u8>>, Error> {
    with(|node| {
        let tree = node.look(label, name, "read")?;
        if !(1..=CALL_BYTES).contains(&(limit as usize)) {
            return Err(Error::Invalid("a read has 1 to 1,048,576 bytes".into()));
        }
        if is_directory(tree, name) {
            return Err(Error::Other("not a regular file".into()));
        }
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let content = tree.get(name).and_then(|(content, _)| content.as_ref());
        Ok(content.map(|content| content.iter().skip(from).take(limit as usize).copied().collect()))
    })
}

pub(crate) fn write(label: &str, name: &str, content: &[u8], mode: u16) -> Result<(), Error> {
    with(|node| {
        let tree = node.change(label, name, "write", mode)?;
        if name.is_empty() || content.len() > CALL_BYTES {
            return Err(Error::Invalid("a write has a name and at most 1,048,576 bytes".into()));
        }
        if is_directory(tree, name) {
            return Err(Error::Denied("only a regular file is replaced".into()));
        }
        if !above(name).all(|directory| is_directory(tree, directory)) {
            return Err(Error::Unavailable("the directory to write into is not there".into()));
        }
        tree.insert(name.into(), (Some(content.to_vec()), mode));
        Ok(())
    })
}

pub(crate) fn remove(label: &str, name: &str) -> Result<bool, Error> {
    with(|node| {
        let tree = node.change(label, name, "remove", 0)?;
        if name.is_empty() {
            return Err(Error::Invalid("needs the name of something below the directory".into()));
        }
        if tree.keys().any(|other| other.starts_with(&format!("{name}/"))) {
            return Err(Error::Other("Directory not empty".into()));
        }
        Ok(tree.remove(name).is_some())
    })
}

pub(crate) fn list(label: &str, name: &str) -> Result<Option<Vec<Entry>>, Error> {
    with(|node| {
        let tree = node.look(label, name, "list")?;
        if !is_directory(tree, name) {
            let nothing = || Err(Error::Other("not a directory".into()));
            return if tree.contains_key(name) { nothing() } else { Ok(None) };
        }
        let inside = tree.iter().filter_map(|(other, (content, _))| {
            let rest = if name.is_empty() { other } else { other.strip_prefix(name)?.strip_prefix('/')? };
            (!rest.contains('/')).then(|| Entry { name: rest.into(), kind: kind(content.as_ref()) })
        });
        Ok(Some(inside.collect()))
    })
}

pub(crate) fn make_directory(label: &str, name: &str, mode: u16) -> Result<bool, Error> {
    with(|node| {
        let tree = node.change(label, name, "make-directory", mode)?;
        if is_directory(tree, name) {
            return Ok(false);
        }
        if tree.contains_key(name) || !above(name).all(|part| !tree.contains_key(part) || is_directory(tree, part)) {
            return Err(Error::Other("there is something else of this name".into()));
        }
        for directory in above(name).chain([name]) {
            tree.entry(directory.into()).or_insert((None, mode));
        }
        Ok(true)
    })
}

/// What a file below the directory of a label holds; none if there is no such file.
///
/// ```
/// # ocf_agent::labels! { /** x */ Path RUN = "run"; }
/// ocf_agent::fake::Node::new().install();
/// RUN.write("mark", b"1", 0o600).unwrap();
/// assert_eq!(ocf_agent::fake::file("run", "mark"), Some(b"1".to_vec()));
/// ```
pub fn file(label: &str, name: &str) -> Option<Vec<u8>> {
    with(|node| node.files.get(label)?.get(name)?.0.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Path;

    const RUN: Path = Path::declared("run");

    #[test]
    fn changes_nothing_in_a_monitor() {
        Node::new().file("run", "a", "1").action(ActionName::Monitor).install();
        assert_eq!(RUN.read_text("a").unwrap().unwrap(), "1");
        for told in [RUN.write("a", b"", 0o600), RUN.remove("a").map(drop), RUN.make_directory("b", 0o700).map(drop)] {
            assert_eq!(told.unwrap_err().to_string(), "path run: monitor and validate change nothing");
        }
        assert_eq!(file("run", "a"), Some(b"1".to_vec()));
    }

    #[test]
    fn answers_as_the_host_does() {
        Node::new().file("run", "d/f", "12345").install();
        for name in ["..", "/a", "a//b", "a/", "a/../b"] {
            assert!(matches!(RUN.stat(name).unwrap_err().cause, Error::Invalid(_)), "{name}");
        }
        assert_eq!(RUN.read_at("d/f", 1, 2).unwrap().unwrap(), b"23");
        assert_eq!(RUN.read("d/g"), Ok(None));
        assert!(RUN.read("d").is_err() && RUN.remove("d").is_err() && RUN.write("d", b"", 0).is_err());
        assert!(matches!(RUN.write("e/f", b"", 0o600).unwrap_err().cause, Error::Unavailable(_)));
        assert!(matches!(RUN.write("f", b"", 0o4755).unwrap_err().cause, Error::Invalid(_)));
        assert!(RUN.make_directory("d/f", 0o700).is_err() && RUN.make_directory("d/f/g", 0o700).is_err());
        assert!(RUN.make_directory("x/y", 0o700).unwrap());
        let names = |name: &str| RUN.list(name).unwrap().map(|all| all.into_iter().map(|e| e.name).collect::<Vec<_>>());
        assert_eq!(names("").unwrap(), ["d", "x"]);
        assert_eq!(names("d").unwrap(), ["f"]);
        assert_eq!(names("nowhere"), None);
    }
}
