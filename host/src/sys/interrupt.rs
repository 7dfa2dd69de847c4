//! SIGHUP, SIGINT and SIGTERM, noticed in place of being died of, for who has something to clean up first.

use std::sync::atomic::{AtomicI32, Ordering};

use nix::sys::signal::Signal;

static NOTICED: AtomicI32 = AtomicI32::new(0);
static CHILD: AtomicI32 = AtomicI32::new(0);

/// From now on these signals are noticed, except those that are ignored, as `nohup` does.
pub fn notice() {
    let handler: extern "C" fn(libc::c_int) = note;
    for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM] {
        // SAFETY: the handler only loads and stores atomics and calls kill, which is safe in a signal handler, and leaves
        // errno as it was. SIG_IGN is a disposition without a handler.
        unsafe {
            let before = libc::signal(signal as libc::c_int, handler as *const () as libc::sighandler_t);
            if before == libc::SIG_IGN {
                libc::signal(signal as libc::c_int, libc::SIG_IGN);
            }
        }
    }
}

/// The first that came.
pub fn noticed() -> Option<Signal> {
    Signal::try_from(NOTICED.load(Ordering::SeqCst)).ok()
}

/// Hands what comes on to a child, and what has come. The caller takes that back before it buries the child.
pub fn hand_on_to(child: Option<u32>) {
    let pid = child.map_or(0, u32::cast_signed);
    CHILD.store(pid, Ordering::SeqCst);
    if let Some(signal) = noticed().filter(|_| pid > 0) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal);
    }
}

/// Ends as who did not notice would have, so that a shell sees why.
pub fn end_by(signal: Signal) -> ! {
    // SAFETY: SIG_DFL is a disposition without a handler.
    unsafe { libc::signal(signal as libc::c_int, libc::SIG_DFL) };
    let _ = nix::sys::signal::raise(signal);
    super::exit::now(128 + signal as i32)
}

extern "C" fn note(signal: libc::c_int) {
    let errno = nix::errno::Errno::last_raw();
    let _ = NOTICED.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst);
    let child = CHILD.load(Ordering::SeqCst);
    if child > 0 {
        // SAFETY: kill takes two numbers.
        unsafe { libc::kill(child, signal) };
    }
    nix::errno::Errno::set_raw(errno);
}
