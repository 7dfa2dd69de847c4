//! Making processes.

use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::unistd::{ForkResult, Pid};

/// Forks, and runs `child` in the new process, which ends with the status that it returns.
///
/// # Errors
/// If processes or memory are short.
pub fn fork(child: impl FnOnce() -> i32) -> std::io::Result<Pid> {
    // SAFETY: this program has one thread, always, so no lock can be held by a thread that is not there in the child.
    match unsafe { nix::unistd::fork() } {
        Ok(ForkResult::Parent { child }) => Ok(child),
        Ok(ForkResult::Child) => super::exit::now(child()),
        Err(error) => Err(error.into()),
    }
}

/// Forks, and goes on in both processes. None in the new one.
///
/// # Errors
/// See [`fork`].
pub fn split() -> std::io::Result<Option<Pid>> {
    // SAFETY: see `fork`.
    match unsafe { nix::unistd::fork() } {
        Ok(ForkResult::Parent { child }) => Ok(Some(child)),
        Ok(ForkResult::Child) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Asks the kernel to kill this process when its parent dies, and ends it now if that has happened already. Must come
/// after a change of user, which clears it.
pub fn die_with(parent: Pid) {
    let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
    if nix::unistd::getppid() != parent {
        super::exit::now(0);
    }
}

/// Sets signals to what a fresh program expects: default dispositions, nothing blocked.
pub fn reset_signals() {
    for number in 1..=64 {
        // SAFETY: SIG_DFL is a disposition without a handler; the call fails for SIGKILL and SIGSTOP, which is fine.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}

/// Takes SIGPIPE as every tool does: a reader that went away ends it.
pub fn end_by_broken_pipes() {
    // SAFETY: SIG_DFL is a disposition without a handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// Undoes what a caller may have done to signals: none is blocked, and the end of a child is told. A reader that went
/// away, and a file that may not become larger, are errors of the write.
pub fn expect_usual_signals() {
    // SAFETY: SIG_IGN and SIG_DFL are dispositions without a handler.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        libc::signal(libc::SIGCHLD, libc::SIG_DFL);
    }
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}
