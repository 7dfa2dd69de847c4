//! Generations: each install of an agent makes a numbered directory that never changes; `current` names one.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Digest, LIB};
use crate::ocf::description::{AgentName, Description, Profile};

/// First bytes of a generation's file.
pub(super) const MAGIC: [u8; 4] = *b"OWG2";

/// One installed version of one agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Generation {
    /// The component.
    pub component: Digest,
    /// What the author says about it.
    pub description: Description,
    /// In which profile its metadata was rendered.
    pub profile: Profile,
    /// When it was installed, seconds since 1970.
    pub installed_at: u64,
    /// The labels that it asks for: kind, name, why.
    pub requests: Vec<Request>,
}

/// A label that a plugin asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The interface: `program`, `endpoint`.
    pub kind: String,
    /// The label.
    pub name: String,
    /// What for.
    pub why: String,
    /// What the author would bind it to, as keys of a policy.
    pub suggest: String,
}

/// Why there is no generation.
#[derive(Debug)]
pub enum Missing {
    /// The agent is not installed.
    NotInstalled,
    /// It is, and cannot be read.
    Damaged(String),
}

pub(super) fn agent_path(agent: &AgentName) -> PathBuf {
    Path::new(LIB).join("agents").join(&agent.provider).join(&agent.kind)
}

/// Returns the current generation's number.
pub fn current(agent: &AgentName) -> Option<u32> {
    std::fs::read_link(agent_path(agent).join("current")).ok()?.to_str()?.parse().ok()
}

/// Returns the numbers of all generations, in order.
pub fn generations(agent: &AgentName) -> Vec<u32> {
    let entries = std::fs::read_dir(agent_path(agent)).into_iter().flatten().flatten();
    let mut numbers: Vec<u32> = entries.filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}

/// Reads a generation.
///
/// # Errors
/// See [`Missing`].
pub fn generation(agent: &AgentName, number: u32) -> Result<Generation, Missing> {
    let path = agent_path(agent).join(number.to_string()).join("agent");
    crate::sealed::load(&path, MAGIC).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Missing::NotInstalled,
        _ => Missing::Damaged(format!("{}: {error}", path.display())),
    })
}

/// The metadata of the current generation.
pub fn metadata_path(agent: &AgentName) -> PathBuf {
    agent_path(agent).join("current").join("metadata.xml")
}

/// Whether a word can be a label: 1-64 of `a`-`z`, `0`-`9`, `-`.
pub fn is_label(word: &str) -> bool {
    (1..=64).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
