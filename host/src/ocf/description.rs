//! What an agent is: its name, parameters, actions. Static data that its author wrote and the store keeps.

use serde::{Deserialize, Serialize};

/// An agent's name: `PROVIDER/TYPE` of `ocf:PROVIDER:TYPE`. The author wrote it into the component.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AgentName {
    /// The directory below `resource.d`.
    pub provider: String,
    /// The file in it.
    pub kind: String,
}

impl AgentName {
    /// Reads `PROVIDER/TYPE`. Each is 1-64 of letters, digits, `-`, `_`, `.`, and begins with a letter or a digit.
    pub fn parse(text: &str) -> Option<Self> {
        let (provider, kind) = text.split_once('/')?;
        (is_word(provider) && is_word(kind)).then(|| Self { provider: provider.to_owned(), kind: kind.to_owned() })
    }
}

impl std::fmt::Display for AgentName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.provider, self.kind)
    }
}

fn is_word(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// Which version of the standard the metadata claims.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Profile {
    /// OCF 1.0: valid for every reader, without what came later.
    V1_0,
    /// OCF 1.1: `reload-agent`, reloadable, unique groups, select, deprecated.
    #[default]
    V1_1,
}

/// All that is said about an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// `PROVIDER/TYPE`.
    pub name: AgentName,
    /// The agent's own version.
    pub version: String,
    /// One line.
    pub short: String,
    /// Paragraphs.
    pub long: String,
    /// Advertised interval of the recurring monitor, milliseconds.
    pub interval_ms: u64,
    /// Advertised timeouts by action word (`start`, `migrate_to`, ...), milliseconds.
    pub timeouts: Vec<(String, u64)>,
    /// Deeper monitors than the plain one, from shallow to deep.
    pub monitors: Vec<Monitor>,
    /// In the order in which the author declared them.
    pub parameters: Vec<Parameter>,
    /// What the component can do beyond the lifecycle.
    pub exports: Exports,
}

impl Description {
    /// Returns the advertised timeout of an action, 20 s where the author set none.
    pub fn timeout_ms(&self, action: &str) -> u64 {
        self.timeouts.iter().find(|(name, _)| name == action).map_or(20_000, |(_, ms)| *ms)
    }

    /// Returns the monitor that is meant by a check level: the deepest declared one that is not deeper. None for the
    /// plain one.
    pub fn monitor(&self, check_level: u8) -> Option<&Monitor> {
        self.monitors.iter().rev().find(|monitor| monitor.level <= check_level)
    }
}

/// A monitor that looks deeper than the plain one, which is level 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Monitor {
    /// `OCF_CHECK_LEVEL`, the metadata's `depth`: 1-255.
    pub level: u8,
    /// Advertised, milliseconds.
    pub timeout_ms: u64,
    /// Advertised, milliseconds.
    pub interval_ms: u64,
}

/// The optional exports of a component.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exports {
    /// `promote`, `demote`.
    pub role: bool,
    /// `notify`.
    pub notification: bool,
    /// `migrate_to`, `migrate_from`.
    pub migration: bool,
    /// `reload-agent`.
    pub reload: bool,
}

/// A declared parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// `OCF_RESKEY_` plus this.
    pub name: String,
    /// What its values look like.
    pub kind: Kind,
    /// Whether the operator must set it.
    pub required: bool,
    /// What holds if it is not set, canonical.
    pub default: Option<String>,
    /// The group of parameters whose values together may exist once.
    pub unique: Option<String>,
    /// Whether a change needs no restart.
    pub reloadable: bool,
    /// One line.
    pub short: String,
    /// Paragraphs.
    pub long: String,
    /// Why it should not be used any more, and what instead.
    pub deprecated: Option<Deprecated>,
}

impl Parameter {
    /// Whether its value may be shown. `password` and `passwd` may not: Pacemaker's own list, since no schema of the
    /// metadata has a mark for it.
    pub fn is_secret(&self) -> bool {
        is_secret(&self.name)
    }
}

/// Whether values of a parameter of this name are kept out of logs, listings and argument vectors.
pub fn is_secret(name: &str) -> bool {
    matches!(name, "password" | "passwd")
}

/// A parameter that is going away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deprecated {
    /// Why.
    pub text: String,
    /// The parameter to use instead.
    pub replaced_with: Option<String>,
}

/// The type of a parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Kind {
    /// Any text.
    Text,
    /// A decimal number within bounds, both included.
    Integer {
        /// The least.
        min: Option<i64>,
        /// The greatest.
        max: Option<i64>,
    },
    /// One of the words that the shell library knows.
    Boolean,
    /// A span of time, such as `90`, `90s`, `2min`.
    Duration,
    /// An amount of bytes, such as `4096`, `64KiB`, `2GiB`.
    Size,
    /// A TCP or UDP port, 1-65,535.
    Port,
    /// One of these.
    Select(Vec<String>),
}
