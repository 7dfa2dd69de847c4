//! One instance of a resource on this node: its record, its lock, its last actions.
//!
//! A directory each, `/run/ocf-wasm/PROVIDER/TYPE/INSTANCE/`, 0700, gone at the next boot as what it describes. What
//! must never enter here: effects, policy, an exit status decided.

mod boot;
mod history;
mod lock;
mod record;

pub use boot::identity as boot_identity;
pub use history::{Action, History};
pub use lock::{Lock, LockError};
pub use record::{Daemon, Found, Pins, Record, State, UnitStarted};

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use crate::ocf::description::AgentName;
use crate::sealed;

/// Where all instances of this node are recorded.
pub const RUN: &str = "/run/ocf-wasm";
/// Stands in [`RUN`] from its first record on.
const BEGUN: &str = "/run/ocf-wasm/.begun";
/// For which boot that was: if it says "this one" and [`BEGUN`] is gone, evidence was lost.
const MARKER: &str = "/var/lib/ocf-wasm/boot";
/// Stands in [`RUN`] if evidence was lost once: in which boot.
const LOST: &str = "/run/ocf-wasm/.lost";

/// The directory of an instance, which may not be there yet.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Returns the place of an instance. The name is escaped, so that no name leads elsewhere.
    pub fn of(agent: &AgentName, instance: &str) -> Self {
        Self { path: Path::new(RUN).join(&agent.provider).join(&agent.kind).join(escape(instance)) }
    }

    /// Takes a directory that was found by listing.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A number by which what this instance starts is told from what another agent's instance of that name does, or one
    /// of another private root. It outlasts the directory.
    pub fn mark(&self) -> u32 {
        let root = Path::new(MARKER).parent().and_then(|store| std::fs::metadata(store).ok());
        let (device, number) = root.map_or((0, 0), |root| (root.dev(), root.ino()));
        let path = self.path.as_os_str().as_encoded_bytes();
        crc32fast::hash(&[path, &device.to_le_bytes(), &number.to_le_bytes()].concat())
    }

    /// Whether anything was ever recorded here in this boot.
    pub fn is_there(&self) -> bool {
        self.path.is_dir()
    }

    /// Makes the directory and those above it.
    ///
    /// # Errors
    /// What the kernel says: /run read-only or full.
    pub fn make(&self) -> io::Result<()> {
        if self.is_there() {
            return Ok(());
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&self.path)?;
        if is_begun_and_gone()? {
            std::fs::write(LOST, boot::identity()?)?;
        }
        // In this order: who finds the second and then not the first knows that the first was lost.
        if !Path::new(BEGUN).exists() {
            std::fs::write(BEGUN, "")?;
        }
        if !is_of_this_boot()? {
            // If it cannot be written, a loss would go unnoticed; that is no reason not to start.
            let _ = std::fs::write(MARKER, boot::identity()?);
        }
        Ok(())
    }

    /// Whether records of this boot may have been lost, so that "no record" proves nothing. True as well where that cannot
    /// be known.
    pub fn evidence_was_lost() -> bool {
        // Where /run outlasts a boot, so does this, and what was lost is gone with the boot.
        // Empty it is where /run had no room for the boot.
        let was_lost = match std::fs::read_to_string(LOST) {
            Ok(then) => then.is_empty() || boot::identity().is_ok_and(|now| then == now),
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        };
        was_lost || is_begun_and_gone().unwrap_or(true)
    }

    /// Reads the record.
    pub fn record(&self) -> Found {
        match record::read(&self.path.join("record"), || Self::evidence_was_lost() || self.has_a_report()) {
            Found::Record(record) if !self.is_of(&record) => {
                Found::Unknown(format!("record {}: is that of another instance", self.path.display()))
            }
            found => found,
        }
    }

    /// Whether a record was written here: what it names is another instance's otherwise.
    fn is_of(&self, record: &Record) -> bool {
        let above = |steps| self.path.ancestors().nth(steps).and_then(Path::file_name);
        let agent = record.pins.as_ref().map(|pins| &pins.agent);
        above(0).is_some_and(|name| name == escape(&record.instance).as_str())
            && agent.is_none_or(|of| above(1) == Some(of.kind.as_ref()) && above(2) == Some(of.provider.as_ref()))
    }

    /// Whether a daemon's report or a unit's environment is there, which a verified stop removes: without a record, that
    /// was lost.
    fn has_a_report(&self) -> bool {
        let is_there = |extension| self.listed(extension).map_or(true, |found| !found.is_empty());
        is_there(REPORT_EXTENSION) || is_there(ENVIRONMENT_EXTENSION)
    }

    /// The reports of keepers that are there.
    pub fn reports(&self) -> Vec<PathBuf> {
        self.listed(REPORT_EXTENSION).unwrap_or_default()
    }

    /// The files with variables of units that are there.
    pub fn environments(&self) -> Vec<PathBuf> {
        self.listed(ENVIRONMENT_EXTENSION).unwrap_or_default()
    }

    fn listed(&self, wanted: &str) -> io::Result<Vec<PathBuf>> {
        let entries = match std::fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let is_wanted = |path: &PathBuf| path.extension().is_some_and(|end| end == wanted);
        let paths: Vec<PathBuf> = entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
        Ok(paths.into_iter().filter(is_wanted).collect())
    }

    /// Removes what writers left that were killed before they put it in its place.
    pub fn collect(&self) {
        sealed::collect(&self.path);
    }

    /// Replaces the record as a whole. The caller holds the lock for itself alone.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn save(&self, record: &Record) -> io::Result<()> {
        record::write(&self.path.join("record"), record)
    }

    /// The file in which the starts of a program are counted.
    pub fn rate_path(&self, label: &str) -> PathBuf {
        self.path.join(format!("{label}.rate"))
    }

    /// The file with the variables of a unit, from its start to a verified stop.
    pub fn environment_path(&self, label: &str) -> PathBuf {
        self.path.join(format!("{label}.{ENVIRONMENT_EXTENSION}"))
    }

    /// The file in which the keeper of a daemon reports.
    pub fn report_path(&self, label: &str) -> PathBuf {
        self.path.join(format!("{label}.{REPORT_EXTENSION}"))
    }
}

/// Whether records of this boot were made, and [`BEGUN`] is not there. Others make their first at the same time, so it
/// is looked for once more after what is written behind it.
fn is_begun_and_gone() -> io::Result<bool> {
    let is_gone = || Path::new(BEGUN).try_exists().map(|is_there| !is_there);
    Ok(is_gone()? && is_of_this_boot()? && is_gone()?)
}

fn is_of_this_boot() -> io::Result<bool> {
    match std::fs::read_to_string(MARKER) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        then => Ok(then? == boot::identity()?),
    }
}

/// What the name of a keeper's report ends with.
const REPORT_EXTENSION: &str = "daemon";
/// What the name of the file with a unit's variables ends with.
const ENVIRONMENT_EXTENSION: &str = "environment";
/// First bytes of a keeper's report.
const REPORT: [u8; 4] = *b"OWD1";

/// Reads the report of a keeper.
///
/// # Errors
/// If it is not there or damaged.
pub fn load_report<T: serde::de::DeserializeOwned>(path: &Path) -> io::Result<T> {
    sealed::load(path, REPORT)
}

/// Replaces the report of a keeper.
///
/// # Errors
/// What the kernel says.
pub fn save_report<T: serde::Serialize>(path: &Path, report: &T) -> io::Result<()> {
    sealed::save(path, REPORT, report)
}

/// Returns `name` with all but letters, digits, `-`, `_` and inner dots as `%XX`.
pub fn escape(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for (at, byte) in name.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => escaped.push(char::from(byte)),
            b'.' if at > 0 => escaped.push('.'),
            other => escaped.push_str(&format!("%{other:02x}")),
        }
    }
    escaped
}

/// Returns the name that [`escape`] was given.
pub fn unescape(escaped: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = escaped.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = (*first == b'%').then(|| tail.get(..2)).flatten();
        let code = code.and_then(|hex| std::str::from_utf8(hex).ok()).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match code {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether [`list`] may look: on a node only root may.
pub fn can_be_seen() -> bool {
    !std::fs::read_dir(RUN).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

/// Lists the instances of this node: agent, instance, directory; sorted.
pub fn list() -> Vec<(AgentName, String, Directory)> {
    fn names(path: &Path) -> Vec<(String, PathBuf)> {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries
            .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()))
            .filter_map(|e| Some((e.file_name().into_string().ok()?, e.path())))
            .collect();
        names.sort();
        names
    }
    let mut found = Vec::new();
    for (provider, path) in names(Path::new(RUN)) {
        for (kind, path) in names(&path) {
            for (instance, path) in names(&path) {
                let agent = AgentName { provider: provider.clone(), kind: kind.clone() };
                found.push((agent, unescape(&instance), Directory { path }));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn an_escaped_name_is_one_file_name_and_comes_back(name in "\\PC{1,40}") {
            let escaped = escape(&name);
            proptest::prop_assert!(!escaped.contains('/') && escaped != "." && escaped != "..");
            proptest::prop_assert!(!escaped.starts_with('.'));
            proptest::prop_assert_eq!(unescape(&escaped), name);
        }
    }
}
