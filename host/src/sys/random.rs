//! Random bytes from the kernel.

/// Fills `into`.
///
/// # Errors
/// If the kernel has no entropy yet and the call was interrupted.
pub fn fill(into: &mut [u8]) -> std::io::Result<()> {
    // SAFETY: the pointer and the length are those of one slice.
    let got = unsafe { libc::getrandom(into.as_mut_ptr().cast(), into.len(), 0) };
    if usize::try_from(got) == Ok(into.len()) { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Returns one random word; zero if there is none, which only seeds a hash table.
pub fn word() -> u64 {
    let mut bytes = [0; 8];
    let _ = fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}
