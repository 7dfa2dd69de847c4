//! Processes that a call left behind: found, whoever started them, and ended.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::node::daemons_of;
use super::{Finding, Not};
use crate::instance::{self, Found};
use crate::sys::process::{self, ProcessId};

/// How long a process that was told to end may take to be gone.
const GONE: Duration = Duration::from_secs(5);

/// Processes below this one that are of no recorded daemon, once those that are about to end are gone.
pub(super) fn strays() -> Vec<ProcessId> {
    let limit = Instant::now() + GONE;
    loop {
        reap();
        let found = strays_now();
        if found.is_empty() || Instant::now() > limit {
            return found;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Kills processes and waits until they are gone.
pub(super) fn kill(processes: &[ProcessId]) -> Finding {
    for process in processes {
        process.signal(Signal::SIGKILL);
    }
    let limit = Instant::now() + GONE;
    while processes.iter().any(|process| process.is_alive()) {
        if Instant::now() > limit {
            return Err(Not::Blocked("a killed process is still there".to_owned()));
        }
        reap();
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

fn strays_now() -> Vec<ProcessId> {
    // Orphans fall to this process: without children nothing is below it, and the table need not be read.
    if !process::has_children() {
        return Vec::new();
    }
    let mut known = BTreeSet::new();
    for (.., directory) in instance::list() {
        known.extend(daemons_of(&directory).into_values().flat_map(|daemon| daemon.members));
        if let Found::Record(record) = directory.record() {
            known.extend(record.daemons.values().filter_map(|daemon| daemon.keeper));
        }
    }
    let own = std::process::id().cast_signed();
    let table = process::table().unwrap_or_default();
    let descends = |pid: i32| {
        let mut at = pid;
        // The depth of a process tree is bounded; a table that changes while it is read could have a loop.
        for _ in 0..256 {
            match table.get(&at).map(|entry| entry.parent) {
                Some(parent) if parent == own => return true,
                Some(parent) if parent > 1 => at = parent,
                _ => return false,
            }
        }
        false
    };
    let is_stray = |entry: &&process::Entry| !entry.is_zombie && !known.contains(&entry.id) && descends(entry.id.pid);
    table.values().filter(is_stray).map(|entry| entry.id).collect()
}

/// Buries orphans that fell to this process.
fn reap() {
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    while matches!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..))) {}
}
