//! The kernel's limits on a process of ours, which it cannot raise again.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Sets limits, soft and hard, each to its value or to the hard limit of before where that is lower.
///
/// # Errors
/// Those of the kernel.
pub fn lower(limits: &[(Resource, u64)]) -> io::Result<()> {
    for &(resource, most) in limits {
        // What is nothing needs no look at what it was.
        let most = if most == 0 { 0 } else { most.min(getrlimit(resource)?.1) };
        setrlimit(resource, most, most)?;
    }
    Ok(())
}
