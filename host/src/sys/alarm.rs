//! The last resort against a system call that does not come back: an answer from a signal handler.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::time::Duration;

/// What a process does last.
#[derive(Debug)]
pub struct Last {
    /// Its exit status.
    pub status: i32,
    /// What it writes to standard error, with its end.
    pub line: String,
    /// What is told to a log, if one is kept.
    pub message: Option<Message>,
}

/// A datagram, and the socket that it goes to.
#[derive(Debug)]
pub struct Message {
    /// A path that fits an address of the kernel.
    pub to: &'static Path,
    /// What is sent.
    pub bytes: Vec<u8>,
}

static LAST: AtomicPtr<Last> = AtomicPtr::new(std::ptr::null_mut());
/// Whether the log has it from somebody else.
static HAS_ANSWERED: AtomicBool = AtomicBool::new(false);

/// After `wait`, says what is to be said `last` and ends the process, whatever it is doing.
pub fn answer_after(wait: Duration, last: Last) {
    LAST.store(Box::into_raw(Box::new(last)), Ordering::SeqCst);
    let interval = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let value = libc::timeval {
        tv_sec: i32::try_from(wait.as_secs()).unwrap_or(i32::MAX).into(),
        tv_usec: wait.subsec_micros().max(1).into(),
    };
    let timer = libc::itimerval { it_interval: interval, it_value: value };
    let handler: extern "C" fn(libc::c_int) = answer;
    // SAFETY: the handler only loads atomics, reads what they lead to, and calls poll, write, socket, sendto and _exit,
    // which are safe in a signal handler; `timer` is valid for the call.
    unsafe {
        libc::signal(libc::SIGALRM, handler as *const () as libc::sighandler_t);
        libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut());
    }
}

/// From now on nothing is told to the log by the way out: it has been, or is just being told.
pub fn has_answered() {
    HAS_ANSWERED.store(true, Ordering::SeqCst);
}

extern "C" fn answer(_: libc::c_int) {
    // SAFETY: it was stored before the timer was armed, is never freed, and nobody writes to it.
    let last = unsafe { &*LAST.load(Ordering::SeqCst) };
    let mut out = libc::pollfd { fd: 2, events: libc::POLLOUT, revents: 0 };
    // SAFETY: `out` and the line are valid for the calls.
    unsafe {
        // Not to wait for a reader that does not come: that may be what the process was doing.
        if libc::poll(&raw mut out, 1, 0) == 1 && out.revents & libc::POLLOUT != 0 {
            libc::write(2, last.line.as_ptr().cast(), last.line.len());
        }
    }
    if let Some(message) = last.message.as_ref().filter(|_| !HAS_ANSWERED.load(Ordering::SeqCst)) {
        send(message);
    }
    // SAFETY: it does not come back.
    unsafe { libc::_exit(last.status) }
}

/// Sends it if there is room, and does not wait for any. Called from a signal handler: it takes no memory.
fn send(message: &Message) {
    let path = message.to.as_os_str().as_encoded_bytes();
    let family = libc::sa_family_t::try_from(libc::AF_UNIX).unwrap_or_default();
    let mut address = libc::sockaddr_un { sun_family: family, sun_path: [0; 108] };
    if path.len() >= address.sun_path.len() {
        return;
    }
    for (to, from) in address.sun_path.iter_mut().zip(path) {
        *to = from.cast_signed();
    }
    // SAFETY: the address and the bytes are valid for the calls, and as long as they say.
    unsafe {
        let socket = libc::socket(libc::AF_UNIX, libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC, 0);
        let size = libc::socklen_t::try_from(size_of_val(&address)).unwrap_or(0);
        libc::sendto(socket, message.bytes.as_ptr().cast(), message.bytes.len(), 0, (&raw const address).cast(), size);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;
    use std::time::Instant;

    use nix::sys::wait::{WaitStatus, waitpid};

    use super::*;

    /// A process that waits for what does not come: how it ended.
    fn waits(message: Option<Message>, has_audited: bool) -> WaitStatus {
        let child = crate::sys::fork::fork(move || {
            answer_after(Duration::from_millis(50), Last { status: 7, line: String::new(), message });
            if has_audited {
                has_answered();
            }
            let until = Instant::now() + Duration::from_secs(20);
            while Instant::now() < until {
                std::thread::sleep(Duration::from_secs(1));
            }
            0
        });
        waitpid(child.unwrap(), None).unwrap()
    }

    #[test]
    fn who_does_not_come_back_is_answered_for_and_audited_once() {
        let place = std::env::temp_dir().join(format!("ocf-wasm-alarm-{}", std::process::id()));
        let to: &'static Path = Box::leak(place.clone().into_boxed_path());
        let log = UnixDatagram::bind(&place).unwrap();
        log.set_nonblocking(true).unwrap();
        let message = || Some(Message { to, bytes: b"exit=7".to_vec() });
        let mut heard = [0; 32];
        for (message, has_audited, is_told) in
            [(message(), false, true), (message(), true, false), (None, false, false)]
        {
            let ended = waits(message, has_audited);
            assert!(matches!(ended, WaitStatus::Exited(_, 7)), "{ended:?}");
            let told = log.recv(&mut heard).ok().map(|length| &heard[..length]);
            assert_eq!(told, is_told.then_some(&b"exit=7"[..]), "{has_audited}");
        }
        std::fs::remove_file(place).unwrap();
    }
}
