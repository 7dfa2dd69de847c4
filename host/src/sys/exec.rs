//! Becoming another program.

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd as _, OwnedFd};

/// Executes the file that `program` has open. Returns only on failure.
pub fn by_descriptor(program: &OwnedFd, argv: &[CString], environment: &[CString]) -> std::io::Error {
    let argv: Vec<*const libc::c_char> = argv.iter().map(|a| a.as_ptr()).chain([std::ptr::null()]).collect();
    let environment: Vec<*const libc::c_char> =
        environment.iter().map(|a| a.as_ptr()).chain([std::ptr::null()]).collect();
    let empty: &CStr = c"";
    // SAFETY: both arrays end with a null pointer and point to strings that outlive the call.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program.as_raw_fd(),
            empty.as_ptr(),
            argv.as_ptr(),
            environment.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
    }
    std::io::Error::last_os_error()
}
