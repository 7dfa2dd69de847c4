//! Mapping native code; how much memory there is.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::Path;

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

/// Words of the stack that [`forget_stack`] overwrites: more than a key is ever passed down.
const STACK: usize = 1024;

/// Overwrites what a function that was called just before left on the stack.
#[inline(never)]
pub fn forget_stack() {
    let mut words = std::mem::MaybeUninit::<[u64; STACK]>::uninit();
    let start = words.as_mut_ptr().cast::<u64>();
    for at in 0..STACK {
        // SAFETY: within the array.
        unsafe { start.add(at).write_volatile(0) };
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

/// Returns the bytes that this process may write to and shares with nobody, stack included: what `RLIMIT_DATA` counts,
/// rounded up.
///
/// # Errors
/// If /proc is not there.
pub fn data_bytes() -> std::io::Result<u64> {
    let pages = super::small::read(Path::new("/proc/self/statm"))?;
    let pages = pages.split(' ').nth(5).and_then(|pages| pages.parse::<u64>().ok());
    // SAFETY: a constant in, a number out.
    let page = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    pages.map(|pages| pages * page).ok_or_else(|| std::io::ErrorKind::InvalidData.into())
}
