//! What one action has asked for and what it was denied: held against what one action may ask, and told in the audit.

use std::fmt;

use crate::seam::{Answer, Error};

/// Questions of one action, whatever they are. An agent asks a few dozen times, and one that waits for something in a loop
/// some thousand times; who goes on asking keeps a processor busy, as root.
const CALLS: u32 = 100_000;
/// Those that change something. Each writes the record or a disk, which others wait for; a start writes a few files, and
/// one that makes the directories of a service a few dozen.
const CHANGES: u32 = 1_000;
/// Programs that are executed. Each is a process with namespaces and mounts of its own, whose end others wait for in the
/// kernel; an agent runs a few in an action, and one that asks again until it is answered a few dozen.
const PROGRAMS: u32 = 64;
/// Questions to places where somebody may listen: enough to wait for one, too few to look for others.
const PROBES: u32 = 1_000;
/// Denials, lines of the audit, of which each is told; what comes after is counted. A policy is mended by the first few, and
/// nobody shall drown the audit in them.
const DENIALS: usize = 64;

/// Counts of one action.
#[derive(Debug, Default)]
pub struct Used {
    calls: u32,
    changes: u32,
    programs: u32,
    probes: u32,
    denied: u32,
    told: Vec<String>,
}

impl Used {
    /// Counts a question.
    pub(super) fn question(&mut self, changes: bool) -> Answer<()> {
        if changes {
            one_more(&mut self.changes, CHANGES, "changes")?;
        }
        one_more(&mut self.calls, CALLS, "questions")
    }

    /// How many more changes it may make.
    pub(super) fn changes_left(&self) -> u32 {
        CHANGES - self.changes
    }

    /// Counts changes that one question made besides the one that it is.
    pub(super) fn changed(&mut self, more: u32) {
        self.changes = self.changes.saturating_add(more).min(CHANGES);
    }

    /// Counts a program that is about to be executed.
    pub(super) fn program(&mut self) -> Answer<()> {
        one_more(&mut self.programs, PROGRAMS, "programs")
    }

    /// Counts a question to an endpoint.
    pub(super) fn probe(&mut self) -> Answer<()> {
        one_more(&mut self.probes, PROBES, "questions to endpoints")
    }

    /// Counts a denial. Whether it is to be told: it was not before.
    pub(super) fn denial(&mut self, text: &str) -> bool {
        self.denied += 1;
        let is_new = self.told.len() < DENIALS && !self.told.iter().any(|told| told == text);
        if is_new {
            self.told.push(text.to_owned());
        }
        is_new
    }
}

fn one_more(count: &mut u32, limit: u32, of: &str) -> Answer<()> {
    if *count == limit {
        return Err(Error::Denied(format!("more than {limit} {of} in one action")));
    }
    *count += 1;
    Ok(())
}

impl fmt::Display for Used {
    /// `calls=3 changes=1 programs=0 probes=0 denied=0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calls, changes, programs, probes, denied, .. } = self;
        write!(f, "calls={calls} changes={changes} programs={programs} probes={probes} denied={denied}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_reached_and_not_passed() {
        let mut used = Used::default();
        for (limit, what) in [(PROGRAMS, "programs"), (PROBES, "questions to endpoints"), (CHANGES, "changes")] {
            let mut ask = || match what {
                "programs" => used.program(),
                "changes" => used.question(true),
                _ => used.probe(),
            };
            assert!((0..limit).all(|_| ask().is_ok()), "{what}");
            assert_eq!(ask(), Err(Error::Denied(format!("more than {limit} {what} in one action"))));
        }
        assert!((CHANGES..CALLS).all(|_| used.question(false).is_ok()));
        assert!(used.question(false).is_err());
        assert_eq!(used.to_string(), "calls=100000 changes=1000 programs=64 probes=1000 denied=0");
    }

    #[test]
    fn a_denial_is_told_once_and_counted_always() {
        let mut used = Used::default();
        assert_eq!(["a", "b", "a"].map(|text| used.denial(text)), [true, true, false]);
        assert!((0..100).filter(|n| used.denial(&n.to_string())).count() == DENIALS - 2);
        assert!(used.to_string().ends_with(" denied=103"));
    }
}
