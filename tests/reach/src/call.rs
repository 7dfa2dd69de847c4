//! System calls by number: the one thing that this program does that no crate gives safely, since nobody should want it.
#![allow(unsafe_code, reason = "a refused call is what is looked for")]

/// Makes a system call whose arguments are numbers, or are wrong on purpose.
pub(crate) fn call(number: libc::c_long, arguments: [i64; 2]) -> std::io::Result<libc::c_long> {
    // SAFETY: the callers pass numbers that name nothing and null pointers, which the kernel refuses by itself, or end the
    // thread that they are in, which holds nothing.
    let answer = unsafe { libc::syscall(number, arguments[0], arguments[1], 0, 0, 0, 0) };
    if answer >= 0 { Ok(answer) } else { Err(std::io::Error::last_os_error()) }
}
