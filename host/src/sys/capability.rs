//! Capabilities of this process, as bits: bit N is capability number N of `linux/capability.h`.

use std::io;

/// `_LINUX_CAPABILITY_VERSION_3`.
const VERSION: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Half {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Returns what is in force for this process.
///
/// # Errors
/// What the kernel says.
pub fn effective() -> io::Result<u64> {
    let mut header = Header { version: VERSION, pid: 0 };
    let mut halves = [Half::default(); 2];
    // SAFETY: version 3 of the interface reads a header and writes two halves, which both outlive the call.
    let done = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, halves.as_mut_ptr()) };
    if done == 0 {
        Ok(u64::from(halves[1].effective) << 32 | u64::from(halves[0].effective))
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Takes all capabilities but `kept` out of the set beyond which nothing that is executed can ever come.
///
/// # Errors
/// What the kernel says; it is no error that one was taken out before.
pub fn bound(kept: u64) -> io::Result<()> {
    for number in 0..64_u64 {
        // SAFETY: numbers only.
        unsafe {
            match libc::prctl(libc::PR_CAPBSET_READ, number, 0, 0, 0) {
                1 if kept & 1 << number == 0 && libc::prctl(libc::PR_CAPBSET_DROP, number, 0, 0, 0) != 0 => {
                    return Err(io::Error::last_os_error());
                }
                // The first number that the kernel does not know.
                -1 => return Ok(()),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Asks the kernel to keep what is permitted over the change to a user that is not root.
///
/// # Errors
/// What the kernel says.
pub fn keep_over_change_of_user() -> io::Result<()> {
    // SAFETY: numbers only.
    if unsafe { libc::prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0, 0) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Sets what this process has, and what it executes gets, to exactly `wanted`, whoever it is.
///
/// # Errors
/// If it has less than that, or the kernel says so.
pub fn set(wanted: u64) -> io::Result<()> {
    let header = Header { version: VERSION, pid: 0 };
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of one number")]
    let half = |bits: u64| Half { effective: bits as u32, permitted: bits as u32, inheritable: bits as u32 };
    let halves = [half(wanted), half(wanted >> 32)];
    // SAFETY: version 3 of the interface reads a header and two halves, which outlive the call; the rest are numbers.
    unsafe {
        if libc::syscall(libc::SYS_capset, &raw const header, halves.as_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        for number in (0..64_u64).filter(|number| wanted & 1 << number != 0) {
            if libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, number, 0, 0) != 0 {
                return Err(io::Error::last_os_error());
            }
        }
    }
    Ok(())
}
