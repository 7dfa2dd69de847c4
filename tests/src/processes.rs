//! Processes, as anybody on the machine sees them: found by what stands in their environment or among their arguments,
//! whatever the host under test believes of them.

#![allow(clippy::unwrap_used, reason = "support of tests: a panic is the report")]

use std::fs;

use crate::host::is_alive;

/// All processes but zombies, those of capsules included.
pub fn all() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(|pid| is_alive(*pid))
}

/// Whether a process has this variable, as `NAME=VALUE`.
pub fn has_variable(pid: i32, variable: &str) -> bool {
    has(pid, "environ", variable)
}

/// Whether a process has this argument.
pub fn has_argument(pid: i32, argument: &str) -> bool {
    has(pid, "cmdline", argument)
}

/// All processes with a variable.
pub fn with_variable(variable: &str) -> Vec<i32> {
    all().filter(|pid| has_variable(*pid, variable)).collect()
}

/// The parent of a process.
pub fn parent(pid: i32) -> Option<i32> {
    field(pid, 4)
}

/// How long a process has computed, in ticks of the clock.
pub fn ticks(pid: i32) -> Option<i32> {
    Some(field(pid, 14)? + field(pid, 15)?)
}

/// A number of `stat`, by its place in `proc(5)`.
fn field(pid: i32, place: usize) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(place - 3)?.parse().ok()
}

fn has(pid: i32, file: &str, word: &str) -> bool {
    let text = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    text.split(|byte| *byte == 0).any(|found| found == word.as_bytes())
}
