//! Small files, as the kernel's own are: read without asking for their size first, which says nothing there.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Bytes that nearly all of them fit into: one call reads them.
const USUAL_BYTES: usize = 4096;
/// Bytes of the largest.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// Reads a file whose last step is no symbolic link.
///
/// # Errors
/// What the kernel says; [`io::ErrorKind::InvalidData`] if it is not UTF-8.
pub fn read(path: &Path) -> io::Result<String> {
    String::from_utf8(read_bytes(path)?).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Reads a file as [`read`] does, whatever is in it.
///
/// # Errors
/// What the kernel says.
pub fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let mut text = Vec::with_capacity(USUAL_BYTES);
    file.take(MOST_BYTES).read_to_end(&mut text)?;
    Ok(text)
}
