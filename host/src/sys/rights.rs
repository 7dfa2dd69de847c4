//! Capabilities: what a process may do although it is not root, and what root may do.

/// The kernel's third version of the sets: two words each.
const VERSION_3: u32 = 0x2008_0522;

/// Empties the bounding set, so that nothing that is executed can bring a capability back. It takes a capability itself,
/// so it comes before the change of user.
///
/// # Errors
/// What the kernel says.
pub fn bound_to_nothing() -> std::io::Result<()> {
    for capability in 0..64_u64 {
        // SAFETY: numbers only.
        let done = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        if done != 0 {
            let error = std::io::Error::last_os_error();
            return match error.raw_os_error() {
                // Beyond the last that this kernel knows.
                Some(libc::EINVAL) if capability > 0 => Ok(()),
                _ => Err(error),
            };
        }
    }
    Ok(())
}

/// Empties the effective, permitted and inheritable set, and with them the ambient one.
///
/// # Errors
/// What the kernel says.
pub fn give_up() -> std::io::Result<()> {
    let head = [VERSION_3, 0];
    let sets = [0_u32; 6];
    // SAFETY: a head of two words and twice three words are what the third version of the call reads; both outlive it.
    let done = unsafe { libc::syscall(libc::SYS_capset, head.as_ptr(), sets.as_ptr()) };
    if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}
