//! Processes that are who they were: a pid counts only together with the start time of its process.
//!
//! That a process cannot be looked at, because memory or descriptors are short, is told apart from its not being there.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
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
    /// Whether it is dead and only waits to be reaped: a process whose first thread has ended lives as long as another does.
    pub is_zombie: bool,
}

impl ProcessId {
    /// Returns the process that now has this number.
    pub fn now(pid: i32) -> Option<Self> {
        entry(pid).ok()?.map(|e| e.id)
    }

    /// Whether this very process is there and not a zombie.
    ///
    /// # Errors
    /// See [`entry`].
    pub fn lives(self) -> io::Result<bool> {
        Ok(entry(self.pid)?.is_some_and(|e| e.id == self && !e.is_zombie))
    }

    /// The same; true as well where that cannot be known.
    pub fn is_alive(self) -> bool {
        self.lives().unwrap_or(true)
    }

    /// Sends a signal to this very process. False if it is gone.
    pub fn signal(self, signal: Signal) -> bool {
        // The descriptor first, the check after: from then on the number cannot change hands unseen.
        let Some(fd) = open(self.pid) else { return false };
        if !self.lives().unwrap_or(false) {
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

/// Whether an error of the kernel's means that what was looked for is gone: a file that is not there, a process or a
/// control group that ended meanwhile. Any other means that nobody looked.
pub fn is_gone(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound || matches!(error.raw_os_error(), Some(libc::ESRCH | libc::ENODEV))
}

/// Reads one line of the process table. None if there is no such process.
///
/// # Errors
/// What the kernel says where it cannot be looked at.
pub fn entry(pid: i32) -> io::Result<Option<Entry>> {
    match super::small::read_bytes(Path::new(&format!("/proc/{pid}/stat"))) {
        Ok(stat) => parse(pid, &stat).map(Some).ok_or_else(|| ErrorKind::InvalidData.into()),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn parse(pid: i32, stat: &[u8]) -> Option<Entry> {
    // The name stands in parentheses and may be anything, text or not, so count from the last one.
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest: Vec<&str> = std::str::from_utf8(stat.get(end + 2..)?).ok()?.split(' ').collect();
    let number = |index: usize| rest.get(index)?.parse::<i32>().ok();
    let threads = number(17)?;
    Some(Entry {
        id: ProcessId { pid, started: rest.get(19)?.parse().ok()? },
        parent: number(1)?,
        session: number(3)?,
        is_zombie: matches!(rest.first(), Some(&"Z" | &"X")) && threads <= 1,
    })
}

/// Reads the whole process table, without those that are another user's and hidden from this one (`hidepid`).
///
/// # Errors
/// What the kernel says where it, or a process in it, cannot be looked at.
pub fn table() -> io::Result<BTreeMap<i32, Entry>> {
    let mut table = BTreeMap::new();
    for pid in all()? {
        match entry(pid) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
            found => table.extend(found?.map(|entry| (pid, entry))),
        }
    }
    Ok(table)
}

/// The numbers of all processes.
///
/// # Errors
/// What the kernel says.
pub fn all() -> io::Result<Vec<i32>> {
    let mut pids = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        pids.extend(entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok()));
    }
    Ok(pids)
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
            let limit = std::time::Instant::now() + std::time::Duration::from_secs(10);
            while entry(pid).unwrap().is_some_and(|entry| !entry.is_zombie) {
                assert!(std::time::Instant::now() < limit, "it has not ended");
                std::thread::yield_now();
            }
            let dead = has_children();
            child.wait().unwrap();
            (before, dead, has_children())
        });
        assert_eq!(seen.join().unwrap(), (false, true, false));
    }

    #[test]
    fn a_line_is_read_whatever_the_name_is() {
        let numbers = "1 7 7 0 -1 4194304 100 0 0 0 1 2 0 0 20 0 THREADS 0 12345 1 2";
        let of = |name: &[u8], state: &str, threads: &str| {
            let rest = format!(") {state} {}", numbers.replace("THREADS", threads));
            parse(9, &[b"9 (", name, rest.as_bytes()].concat())
                .map(|e| (e.parent, e.session, e.id.started, e.is_zombie))
        };
        for name in [&b"sleep"[..], b"a) Z (b", b"caf\xc3", b"\xff\xfe)", b""] {
            assert_eq!(of(name, "S", "1"), Some((1, 7, 12345, false)), "{name:?}");
        }
        // What counts is whether any of it runs.
        assert_eq!(of(b"x", "Z", "1").map(|e| e.3), Some(true));
        assert_eq!(of(b"x", "Z", "0").map(|e| e.3), Some(true));
        assert_eq!(of(b"x", "Z", "2").map(|e| e.3), Some(false));
        assert!(parse(9, b"9 (x) S 1 7").is_none());
    }

    #[test]
    fn who_cannot_be_looked_at_is_not_said_to_be_gone() {
        let error = io::Error::from_raw_os_error;
        assert!([libc::ENOENT, libc::ESRCH, libc::ENODEV].map(error).iter().all(is_gone));
        assert!(![libc::EMFILE, libc::ENOMEM, libc::EACCES, libc::EIO].map(error).iter().any(is_gone));
        assert!(entry(std::process::id().cast_signed()).unwrap().is_some());
        assert!(entry(i32::MAX).unwrap().is_none());
    }
}
