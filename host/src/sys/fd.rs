//! Descriptors by number.

use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

/// Takes a descriptor by its number from whoever owns it, for a process that is about to end: nobody else uses it any
/// more, and no call is made for it.
pub fn take(number: i32) -> OwnedFd {
    // SAFETY: the caller ends the process next, so that the other owner never closes it.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// Returns a second descriptor of the same thing.
///
/// # Errors
/// If `number` is not open.
pub fn duplicate(number: i32) -> std::io::Result<OwnedFd> {
    // SAFETY: fcntl takes numbers only; the descriptor that it returns is new, so nobody else owns it.
    unsafe {
        let new = libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3);
        if new < 0 { Err(std::io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(new)) }
    }
}

/// Opens /dev/null on those of 0, 1, 2 that are closed: else the next file that is opened would become standard error.
pub fn open_standard() {
    for number in 0..3 {
        // SAFETY: numbers and a constant string; a descriptor that open returns here is the lowest free one, `number`,
        // and is left open on purpose.
        unsafe {
            if libc::fcntl(number, libc::F_GETFD) < 0 {
                libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
            }
        }
    }
}

/// Moves descriptor `from` to number `to`, open across exec.
///
/// # Errors
/// What the kernel says.
pub fn place(from: &OwnedFd, to: i32) -> std::io::Result<()> {
    // SAFETY: numbers only. What `to` was before is closed: the caller is a fresh child that owns all its descriptors.
    let done = unsafe {
        if from.as_raw_fd() == to { libc::fcntl(to, libc::F_SETFD, 0) } else { libc::dup2(from.as_raw_fd(), to) }
    };
    if done < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

/// Takes over a descriptor that this process was started with.
///
/// # Errors
/// If `number` is not open.
pub fn inherited(number: i32) -> std::io::Result<OwnedFd> {
    // SAFETY: fcntl takes numbers only; `number` was passed to this process for its own use, and this is called once.
    unsafe {
        if libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) < 0 {
            return Err(std::io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(number))
    }
}

/// Closes all descriptors from `first` on, in a child that shares none of its objects with living Rust owners.
///
/// # Errors
/// What the kernel says: `ENOSYS` before Linux 5.9. All of them are open then.
pub fn close_from(first: u32) -> std::io::Result<()> {
    // SAFETY: numbers only; the caller has just forked and uses no object that owns a descriptor in that range.
    unsafe { close_range(first, u32::MAX) }
}

/// # Safety
/// Nobody uses an object that owns a descriptor in that range.
unsafe fn close_range(first: u32, last: u32) -> std::io::Result<()> {
    // SAFETY: numbers only, and see above.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Marks all descriptors from `first` on, so that what is executed does not get them.
///
/// # Errors
/// What the kernel says.
pub fn close_at_exec_from(first: u32) -> std::io::Result<()> {
    // SAFETY: numbers only; nothing is closed now.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Closes all descriptors but one.
///
/// # Errors
/// As [`close_from`]: who must hold nothing else may not go on then.
pub fn close_all_but(number: i32) -> std::io::Result<()> {
    let number = number.unsigned_abs();
    // SAFETY: see `close_from`.
    unsafe {
        if number > 0 {
            close_range(0, number - 1)?;
        }
        close_range(number + 1, u32::MAX)
    }
}
