//! A process namespace of its own: two small processes around the program, which do nothing but wait.
//!
//! The outer one is the process that others know: it passes signals on, and ends as the program ended. The inner one is
//! the first of the namespace: it takes orphans in, and when it ends, by whatever cause, the kernel ends all the others.

use std::io::{Read as _, Result, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid, pipe2};

use crate::sys::{exit, fd, fork, process};

/// Forks twice. Returns in the innermost process only, which becomes the program.
pub(super) fn enter(dies_with: Option<Pid>) -> Result<()> {
    SigSet::all().thread_block()?;
    let (told, tell) = pipe2(OFlag::O_CLOEXEC)?;
    let outer = process::open(getpid().as_raw()).ok_or_else(std::io::Error::last_os_error)?;
    if let Some(first) = fork::split()? {
        if let Some(parent) = dies_with {
            fork::die_with(parent);
        }
        // What it holds besides, it holds until the program ends: this is only so that nobody waits for it.
        let _ = fd::close_all_but(told.as_raw_fd());
        wait(first);
        end_as(told);
    }
    // Its parent is in another namespace, where it has no number.
    let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
    let mut ended = [PollFd::new(outer.as_fd(), PollFlags::POLLIN)];
    if poll(&mut ended, PollTimeout::ZERO) != Ok(0) {
        exit::now(0);
    }
    if let Some(program) = fork::split()? {
        let _ = fd::close_all_but(tell.as_raw_fd());
        let (is_signal, number) = match wait(program) {
            WaitStatus::Signaled(_, signal, _) => (1, u8::try_from(signal as i32).unwrap_or(9)),
            WaitStatus::Exited(_, status) => (0, u8::try_from(status).unwrap_or(255)),
            _ => (0, 255),
        };
        let _ = std::fs::File::from(tell).write_all(&[is_signal, number]);
        exit::now(0);
    }
    fork::reset_signals();
    Ok(())
}

/// Passes signals on to a child and takes in what else ends, until it has ended.
fn wait(child: Pid) -> WaitStatus {
    loop {
        match SigSet::all().wait() {
            Ok(Signal::SIGCHLD) | Err(_) => {}
            Ok(signal) => drop(kill(child, signal)),
        }
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => break,
                Ok(ended) if ended.pid() == Some(child) => return ended,
                Ok(_) | Err(nix::Error::EINTR) => {}
                Err(_) => return WaitStatus::Exited(child, 255),
            }
        }
    }
}

/// Ends this process as the program ended; killed, if nobody could tell.
fn end_as(told: OwnedFd) -> ! {
    let mut how = [1, 9];
    let _ = std::fs::File::from(told).read_exact(&mut how);
    let [is_signal, number] = how;
    if is_signal == 1
        && let Ok(signal) = Signal::try_from(i32::from(number))
    {
        fork::reset_signals();
        let _ = raise(signal);
    }
    exit::now(i32::from(number))
}
