//! Processes that are who they were: a pid counts only together with the start time of its process.

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::Path;

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

/// A process, told apart from a later one with the same number.
#[expect(
    clippy::unsafe_derive_deserialize,
    reason = "two numbers without an invariant: a wrong one is a process that is not there"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProcessId {
    /// The number.
    pub pid: i32,
    /// When it was started, clock ticks since boot.
    pub started: u64,
}

/// A line of the process table.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Who it is.
    pub id: ProcessId,
    /// Its parent's number.
    pub parent: i32,
    /// Its session's number.
    pub session: i32,
    /// Whether it is dead and only waits to be reaped.
    pub is_zombie: bool,
}

impl ProcessId {
    /// Returns the process that now has this number.
    pub fn now(pid: i32) -> Option<Self> {
        entry(pid).map(|e| e.id)
    }

    /// Whether this very process is there and not a zombie.
    pub fn is_alive(self) -> bool {
        entry(self.pid).is_some_and(|e| e.id == self && !e.is_zombie)
    }

    /// Sends a signal to this very process. False if it is gone.
    pub fn signal(self, signal: Signal) -> bool {
        // The descriptor first, the check after: from then on the number cannot change hands unseen.
        let Some(fd) = open(self.pid) else { return false };
        if !self.is_alive() {
            return false;
        }
        // SAFETY: a descriptor, a number and two nulls.
        let done = unsafe {
            libc::syscall(libc::SYS_pidfd_send_signal, fd.as_raw_fd(), signal as i32, std::ptr::null::<()>(), 0)
        };
        done == 0
    }
}

/// Returns a descriptor that becomes readable when the process ends.
pub fn open(pid: i32) -> Option<OwnedFd> {
    // SAFETY: numbers only; the descriptor is new and ours.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid, 0);
        i32::try_from(fd).ok().filter(|fd| *fd >= 0).map(|fd| OwnedFd::from_raw_fd(fd))
    }
}

/// Reads one line of the process table.
pub fn entry(pid: i32) -> Option<Entry> {
    let stat = super::small::read(Path::new(&format!("/proc/{pid}/stat"))).ok()?;
    // The name stands in parentheses and may contain anything, so count from the last one.
    let rest: Vec<&str> = stat.get(stat.rfind(')')? + 2..)?.split(' ').collect();
    let number = |index: usize| rest.get(index)?.parse::<i32>().ok();
    Some(Entry {
        id: ProcessId { pid, started: rest.get(19)?.parse().ok()? },
        parent: number(1)?,
        session: number(3)?,
        is_zombie: matches!(rest.first(), Some(&"Z" | &"X")),
    })
}

/// Reads the whole process table.
pub fn table() -> BTreeMap<i32, Entry> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return BTreeMap::new() };
    entries
        .filter_map(|e| e.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|pid| Some((pid, entry(pid)?)))
        .collect()
}

/// Whether this thread has children that nobody has buried. True as well where that cannot be known.
#[cfg(feature = "tool")]
pub fn has_children() -> bool {
    std::fs::read_to_string("/proc/thread-self/children").map_or(true, |list| !list.trim().is_empty())
}

/// Makes this process the one that orphans below it fall to.
pub fn adopt_orphans() {
    let _ = nix::sys::prctl::set_child_subreaper(true);
}

/// Clock ticks a second, of [`ProcessId::started`].
pub fn ticks_per_second() -> u64 {
    // SAFETY: a constant in, a number out.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).unwrap_or(100).max(1)
}

#[cfg(all(test, feature = "tool"))]
mod tests {
    use super::*;

    #[test]
    fn a_child_counts_until_it_is_buried() {
        // A thread of its own: others make children as well.
        let seen = std::thread::spawn(|| {
            let before = has_children();
            let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
            let pid = child.id().cast_signed();
            while entry(pid).is_some_and(|entry| !entry.is_zombie) {
                std::thread::yield_now();
            }
            let dead = has_children();
            child.wait().unwrap();
            (before, dead, has_children())
        });
        assert_eq!(seen.join().unwrap(), (false, true, false));
    }
}
