//! The watcher of a program of the action lifetime: a process between broker and program that outlives the broker.
//!
//! An action ends by SIGKILL for its whole process group when its time is over. The watcher is in a session of its own,
//! takes in what the program leaves behind, and ends all of it: when the program has ended, when the broker says so, and
//! when the broker is gone. If it is killed itself, the program dies with it and the broker ends the rest.
//!
//! What must never enter here: what the program says, or a decision.

use std::io::Write as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid, pipe2};

use super::command;
use super::daemon::Ended;
use super::tree::Tree;
use crate::sandbox::child::Plan;
use crate::sys::process::ProcessId;
use crate::sys::{exit, fd, fork, process};

/// How long killed processes may take to be gone.
pub(super) const GONE: Duration = Duration::from_secs(2);

/// The broker's side.
pub(super) struct Watcher {
    /// The process.
    pub(super) pid: Pid,
    /// Readable once the program has ended: two bytes; at its end without them if the watcher was killed.
    pub(super) told: OwnedFd,
    /// Closed, it is the word to end everything.
    pub(super) alive: OwnedFd,
}

/// How an end is told.
pub(super) fn decode(bytes: [u8; 2]) -> Ended {
    match bytes {
        [0, status] => Ended::Exited(status),
        [_, signal] => Ended::Signaled(signal),
    }
}

/// Forks a watcher, which forks the program. Why that could not be executed is written into `report`.
///
/// # Errors
/// If processes, descriptors or memory are short.
pub(super) fn spawn(plan: Plan, cgroup: Option<PathBuf>, report: OwnedFd) -> std::io::Result<Watcher> {
    let (told, tell) = pipe2(OFlag::O_CLOEXEC)?;
    let (stop, alive) = pipe2(OFlag::O_CLOEXEC)?;
    let above = fd::duplicate(std::os::fd::AsRawFd::as_raw_fd(&alive))?;
    drop(alive);
    let pid = fork::fork(|| watch(plan, cgroup, report, tell, stop))?;
    Ok(Watcher { pid, told, alive: above })
}

fn watch(mut plan: Plan, cgroup: Option<PathBuf>, report: OwnedFd, tell: OwnedFd, stop: OwnedFd) -> i32 {
    let _ = nix::unistd::setsid();
    process::adopt_orphans();
    // Whatever signal comes, the tree is ended first.
    let _ = SigSet::all().thread_block();
    plan.dies_with = Some(getpid());
    let Ok(main) = command::spawn(plan, report) else { return 1 };
    // Nothing of the action's is held open: no pipe of the program, no lock, no log.
    if fd::place(&tell, 0).and_then(|()| fd::place(&stop, 1)).is_err() {
        return 1;
    }
    if fd::close_from(2).is_err() {
        // The program is ended with this process: it dies with whom it serves.
        return 1;
    }
    let (Ok(tell), Ok(stop)) = (fd::inherited(0), fd::inherited(1)) else { return 1 };
    let tree = Tree { cgroup, keeper: ProcessId::now(getpid().as_raw()), main: ProcessId::now(main.as_raw()) };
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    let Ok(children) = SignalFd::with_flags(&SigSet::from(Signal::SIGCHLD), flags) else { return 1 };
    let mut tell = std::fs::File::from(tell);
    loop {
        let mut waited =
            [PollFd::new(children.as_fd(), PollFlags::POLLIN), PollFd::new(stop.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut waited, PollTimeout::NONE);
        let is_over = waited[1].any().unwrap_or(true);
        while children.read_signal().is_ok_and(|signal| signal.is_some()) {}
        let has_ended = reap(main, &mut tell);
        if is_over || has_ended {
            break;
        }
    }
    end(&tree, main, &mut tell);
    exit::now(0)
}

/// Takes in what has ended, and tells how the program did. Whether it was among them.
fn reap(main: Pid, tell: &mut std::fs::File) -> bool {
    let mut is_among = false;
    loop {
        let (pid, how) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, status)) => (pid, [0, u8::try_from(status).unwrap_or(255)]),
            Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, [1, u8::try_from(signal as i32).unwrap_or(0)]),
            Ok(WaitStatus::StillAlive) | Err(nix::Error::ECHILD) => return is_among,
            _ => continue,
        };
        if pid == main {
            is_among = true;
            let _ = tell.write_all(&how);
        }
    }
}

/// Ends what is left, wherever it went, and removes its control groups.
fn end(tree: &Tree, main: Pid, tell: &mut std::fs::File) {
    let until = Instant::now() + GONE;
    super::wait_until(until, || {
        reap(main, tell);
        let is_gone = tree.is_empty();
        if !is_gone {
            tree.kill();
        }
        is_gone
    });
    reap(main, tell);
    tree.forget();
}
