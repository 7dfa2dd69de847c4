//! Mapping native code.

use std::fs::File;
use std::os::fd::AsRawFd as _;

/// Maps a file privately and for ever, read-only, with its pages present.
///
/// # Errors
/// If it is empty or cannot be mapped.
pub fn map(file: &File, length: usize) -> std::io::Result<&'static [u8]> {
    // SAFETY: a new mapping at an address of the kernel's choice aliases nothing; it is never unmapped, so the slice
    // lives as long as the process. The file is replaced by rename, never truncated, so its pages stay.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_POPULATE;
        let start = libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ, flags, file.as_raw_fd(), 0);
        if start == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error());
        }
        Ok(std::slice::from_raw_parts(start.cast(), length))
    }
}

/// Makes whole pages of a mapping executable, and not writable.
///
/// # Errors
/// What the kernel says.
pub fn make_executable(start: *const u8, length: usize) -> std::io::Result<()> {
    // SAFETY: the engine passes the pages of the text section of a mapping that lives for ever; taking away the right
    // to write and giving the right to execute invalidates no reference to it.
    let done = unsafe { libc::mprotect(start.cast_mut().cast(), length, libc::PROT_READ | libc::PROT_EXEC) };
    if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}
