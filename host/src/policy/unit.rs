//! A label that is bound to a unit of the service manager, as it is written in a policy.
//!
//! What must never enter here: what the unit itself says, which is the node's.

use super::environment::environment;
use super::mistake::Mistake;
use super::reader::{Read, Reader, Value};
use super::template::Template;

/// Bytes of the longest name that systemd takes.
const NAME_BYTES: usize = 255;
/// What may stand beside `unit`: all else is said in the unit.
const BESIDE: [&str; 3] = ["unit", "environment", "rate"];

/// A unit that a label is bound to.
#[derive(Clone, Debug, PartialEq)]
pub struct Unit {
    /// Its own name, no alias.
    pub name: String,
    /// What is added to its environment.
    pub environment: Vec<(String, Template)>,
    /// Starts a minute; none for any number.
    pub rate: Option<u32>,
}

/// Reads a section that has the key `unit`.
pub(super) fn unit(at: &Reader<'_, '_>) -> Read<Unit> {
    let name = at.required("unit", name);
    let others: Vec<&'static str> =
        super::key::PROGRAM.keys.iter().map(|key| key.name).filter(|key| !BESIDE.contains(key)).collect();
    // Where it is misspelt, nobody knows that it is meant.
    if !at.is_guess("unit") {
        at.refuse(&others, Mistake::OfUnit)?;
    }
    let environment = at.optional("environment", environment)?.unwrap_or_default();
    let rate = super::confine::rate(at)?;
    Ok(Unit { name: name?, environment, rate })
}

fn name(value: &Value<'_, '_>) -> Read<String> {
    let name = value.string()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || ":_.-@".contains(c);
    let stem = name.strip_suffix(".service").unwrap_or_default();
    let is_name = !stem.is_empty() && name.len() <= NAME_BYTES && name.chars().all(plain) && !stem.starts_with('.');
    match stem.split_once('@') {
        _ if !is_name => Err(value.wrong(&Mistake::UnitName)),
        Some(("", _)) => Err(value.wrong(&Mistake::UnitName)),
        Some((_, "")) => Err(value.wrong(&Mistake::UnitTemplate)),
        _ => Ok(name.to_owned()),
    }
}
