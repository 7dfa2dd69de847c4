//! The record: what this node knows of an instance, and the only evidence that counts.
//!
//! It says more than is true rather than less: effects are written before they happen. A record that cannot be read
//! means *unknown*, never *stopped*. Nothing is fsynced: a record of another boot is void anyway.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::few::Few;
use crate::ocf::Parameters;
use crate::ocf::description::AgentName;
use crate::sealed;
use crate::sys::process::ProcessId;

/// First bytes of a record, with the version of its format. A field may be added behind the last if it reads as nothing
/// where it is missing; whoever changes anything else counts the version up, and goes on reading the format before: an
/// upgrade meets records of what runs. tests/golden/record holds one of each format.
const MAGIC: [u8; 4] = *b"OWR1";
/// Where an instance is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// A start ended before plugin code ran.
    Refused,
    /// A start began.
    Starting,
    /// A start succeeded.
    Started,
    /// A monitor found it running without a record.
    Adopted,
    /// A stop began.
    Stopping,
    /// A stop was verified.
    Stopped,
}

impl State {
    /// Whether something of the instance may be there.
    pub fn is_active(self) -> bool {
        match self {
            Self::Starting | Self::Started | Self::Adopted | Self::Stopping => true,
            Self::Refused | Self::Stopped => false,
        }
    }

    /// Returns the word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Starting => "starting",
            Self::Started => "started",
            Self::Adopted => "adopted",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }
}

/// What all actions of a recorded instance use, whatever is installed today.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pins {
    /// The agent.
    pub agent: AgentName,
    /// The generation that the component came with.
    pub generation: u32,
    /// The component's digest.
    pub component: String,
    /// The policy's digest.
    pub policy: String,
}

/// A daemon that this instance started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Daemon {
    /// The process that looks after it; none until it is there.
    pub keeper: Option<ProcessId>,
    /// The control group of its tree; none where none can be made.
    pub cgroup: Option<PathBuf>,
    /// When it was started, nanoseconds since boot.
    pub since_boot_ns: u64,
}

/// A unit of the service manager that this instance started, or found running.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitStarted {
    /// Its own name.
    pub name: String,
    /// Which run of it is ours, as the service manager numbers them; empty until it is known.
    pub invocation: String,
    /// The control group of its processes, once it is known.
    pub cgroup: Option<PathBuf>,
    /// Whether the end of its processes is evidence of its own: it had some when it was up, and systemd does not start it
    /// again by itself.
    pub ends_with_processes: bool,
    /// When it was started, nanoseconds since boot.
    pub since_boot_ns: u64,
}

/// What is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Of which boot this speaks.
    pub boot: String,
    /// The instance's name.
    pub instance: String,
    /// Where it is in its life.
    pub state: State,
    /// What its actions use.
    pub pins: Option<Pins>,
    /// Parameters as the operator set them at the start, declared ones only.
    pub given: BTreeMap<String, String>,
    /// The same, canonical and with defaults.
    pub parameters: Parameters,
    /// Daemons by label.
    pub daemons: BTreeMap<String, Daemon>,
    /// Whether a program was run whose effects the host cannot know.
    pub untracked: bool,
    /// The plugin's private values.
    pub notebook: BTreeMap<String, Vec<u8>>,
    /// Units by label. The last field: records of before there were any end without it.
    #[serde(deserialize_with = "none_or_some")]
    pub units: Few<UnitStarted>,
}

/// Reads what an older host did not write: nothing stands there then, not even a number of entries. What stands there and
/// cannot be read is an error, since it may speak of what runs.
fn none_or_some<'de, D: Deserializer<'de>>(from: D) -> Result<Few<UnitStarted>, D::Error> {
    struct Units<'a>(&'a Cell<bool>);
    impl<'de> Visitor<'de> for Units<'_> {
        type Value = Few<UnitStarted>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("units by label")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            self.0.set(true);
            let mut units = Few::default();
            while let Some((label, unit)) = entries.next_element::<(String, UnitStarted)>()? {
                units.insert(&label, unit);
            }
            Ok(units)
        }
    }
    let is_there = Cell::new(false);
    match from.deserialize_seq(Units(&is_there)) {
        Err(_) if !is_there.get() => Ok(Few::default()),
        read => read,
    }
}

impl Record {
    /// Makes a record of this boot.
    pub fn new(instance: &str, state: State) -> Self {
        Self {
            // Where that cannot be known, it is not written.
            boot: super::boot_identity().unwrap_or_default().to_owned(),
            instance: instance.to_owned(),
            state,
            pins: None,
            given: BTreeMap::new(),
            parameters: Parameters::new(),
            daemons: BTreeMap::new(),
            untracked: false,
            notebook: BTreeMap::new(),
            units: Few::default(),
        }
    }
}

/// What was found in the place of a record.
#[derive(Debug)]
pub enum Found {
    /// Nothing, and nothing was ever there.
    None,
    /// A record of this boot.
    Record(Box<Record>),
    /// Something that cannot be read, or evidence was lost.
    Unknown(String),
}

pub(super) fn read(path: &Path, evidence_was_lost: impl Fn() -> bool) -> Found {
    let lost = || match evidence_was_lost() {
        true => Found::Unknown("records of this boot were lost".to_owned()),
        false => Found::None,
    };
    match sealed::load::<Record>(path, crate::guard!("I24", MAGIC, *b"OWR2")) {
        Ok(record) => match super::boot_identity() {
            Ok(boot) if record.boot == boot => Found::Record(Box::new(record)),
            Ok(_) => Found::None,
            Err(error) => Found::Unknown(format!("record {}: which boot this is: {error}", path.display())),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => lost(),
        Err(error) => Found::Unknown(format!("record {}: {error}", path.display())),
    }
}

pub(super) fn write(path: &Path, record: &Record) -> io::Result<()> {
    if record.boot.is_empty() {
        return Err(io::Error::other("which boot this is cannot be known"));
    }
    sealed::save_alone(path, MAGIC, record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_and_damage_is_unknown() {
        let directory = std::env::temp_dir().join(format!("ocf-wasm-record-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("record");
        let record = Record::new("web", State::Started);
        write(&path, &record).unwrap();
        assert!(matches!(read(&path, || false), Found::Record(found) if *found == record));

        let mut bytes = std::fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            assert!(matches!(read(&path, || false), Found::Unknown(_)), "byte {at}");
            bytes[at] ^= 1;
        }
        std::fs::write(&path, b"").unwrap();
        assert!(matches!(read(&path, || false), Found::Unknown(_)));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(read(&path, || false), Found::None));
        assert!(matches!(read(&path, || true), Found::Unknown(_)));
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_record_of_before_there_were_units_is_read() {
        let path = std::env::temp_dir().join(format!("ocf-wasm-units-{}", std::process::id()));
        let record = Record::new("web", State::Started);
        write(&path, &record).unwrap();
        // The body without its last byte, the number of units, under a checksum of its own.
        let bytes = std::fs::read(&path).unwrap();
        let body = &bytes[8..bytes.len() - 1];
        let old = [&MAGIC[..], &crc32fast::hash(body).to_le_bytes(), body].concat();
        std::fs::write(&path, old).unwrap();
        let found = read(&path, || false);
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(&found, Found::Record(found) if **found == record), "{found:?}");
    }

    #[test]
    fn units_that_cannot_be_read_are_not_taken_for_none() {
        let path = std::env::temp_dir().join(format!("ocf-wasm-cut-{}", std::process::id()));
        let mut record = Record::new("web", State::Started);
        let unit = UnitStarted {
            name: "web.service".to_owned(),
            invocation: String::new(),
            cgroup: None,
            ends_with_processes: true,
            since_boot_ns: 7,
        };
        record.units.insert("web", unit);
        write(&path, &record).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        // As if another host had written something else there: whole, by the checksum.
        for cut in [1, 5] {
            let body = &bytes[8..bytes.len() - cut];
            std::fs::write(&path, [&MAGIC[..], &crc32fast::hash(body).to_le_bytes(), body].concat()).unwrap();
            assert!(matches!(read(&path, || false), Found::Unknown(_)), "{cut}");
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_record_of_a_boot_that_nobody_knows_is_not_written() {
        let path = std::env::temp_dir().join(format!("ocf-wasm-nowhen-{}", std::process::id()));
        let record = Record { boot: String::new(), ..Record::new("web", State::Started) };
        assert!(write(&path, &record).is_err());
        assert!(!path.exists());
    }

    #[test]
    fn a_record_of_another_boot_is_void() {
        let path = std::env::temp_dir().join(format!("ocf-wasm-boot-{}", std::process::id()));
        let mut record = Record::new("web", State::Started);
        record.boot = "another".to_owned();
        write(&path, &record).unwrap();
        assert!(matches!(read(&path, || false), Found::None));
        std::fs::remove_file(&path).unwrap();
    }
}
