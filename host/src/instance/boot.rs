//! Which boot this is. Containers share the kernel's boot id, so the PID namespace and its first process count too.

use std::io;
use std::path::Path;
use std::sync::OnceLock;

use crate::sys::process;

/// Returns a text that is the same as long as the same processes can be running.
///
/// # Errors
/// What the kernel says where it cannot be known now. What is not there at all, or hidden, is that for as long.
pub fn identity() -> io::Result<&'static str> {
    static IDENTITY: OnceLock<String> = OnceLock::new();
    if let Some(identity) = IDENTITY.get() {
        return Ok(identity);
    }
    let boot = there(crate::sys::small::read(Path::new("/proc/sys/kernel/random/boot_id")))?;
    let namespace = there(std::fs::read_link("/proc/self/ns/pid"))?;
    let first = there(process::entry(1))?.map_or(0, |entry| entry.id.started);
    Ok(IDENTITY.get_or_init(|| format!("{} {} {first}", boot.trim(), namespace.display())))
}

fn there<T: Default>(read: io::Result<T>) -> io::Result<T> {
    match read {
        Err(error) if process::is_gone(&error) || error.kind() == io::ErrorKind::PermissionDenied => Ok(T::default()),
        read => read,
    }
}
