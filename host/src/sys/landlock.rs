//! Landlock: what a process may still do with files, sockets and signals, given up by itself and for good.

use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd};

/// `LANDLOCK_CREATE_RULESET_VERSION`.
const VERSION: u32 = 1;
/// `LANDLOCK_RULE_PATH_BENEATH`.
const PATH_BENEATH: i32 = 1;

/// What a set of rules handles, and so refuses unless a rule allows it: bits of the kernel's interface.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Handled {
    /// `LANDLOCK_ACCESS_FS_*`.
    pub files: u64,
    /// `LANDLOCK_ACCESS_NET_*`, from version 4.
    pub network: u64,
    /// `LANDLOCK_SCOPE_*`, from version 6.
    pub scoped: u64,
}

#[repr(C, packed)]
struct PathBeneath {
    allowed: u64,
    parent: i32,
}

/// Returns the version of the interface that this kernel has; 0 if it has none, or Landlock is off.
pub fn version() -> u32 {
    // SAFETY: a null pointer with length 0 is what the kernel asks for together with this flag.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<()>(), 0_usize, VERSION) };
    u32::try_from(version).unwrap_or(0)
}

/// Makes a set of rules.
///
/// # Errors
/// What the kernel says; `EINVAL` for a bit that it does not know.
pub fn create(handled: &Handled) -> std::io::Result<OwnedFd> {
    // SAFETY: the pointer and the size are those of one plain structure; the descriptor is new and ours.
    unsafe {
        let size = size_of::<Handled>();
        let fd = libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::from_ref(handled), size, 0_u32);
        match i32::try_from(fd) {
            Ok(fd) if fd >= 0 => Ok(OwnedFd::from_raw_fd(fd)),
            _ => Err(std::io::Error::last_os_error()),
        }
    }
}

/// Allows `allowed` at and below what `parent` has open.
///
/// # Errors
/// What the kernel says; `EINVAL` for a right that the set does not handle, or that only a directory has.
pub fn allow_beneath(rules: &OwnedFd, parent: impl AsFd, allowed: u64) -> std::io::Result<()> {
    let rule = PathBeneath { allowed, parent: parent.as_fd().as_raw_fd() };
    // SAFETY: the pointer is to one structure of the kernel's layout, which outlives the call.
    let done = unsafe {
        libc::syscall(libc::SYS_landlock_add_rule, rules.as_raw_fd(), PATH_BENEATH, std::ptr::from_ref(&rule), 0_u32)
    };
    if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Puts this process under a set of rules, for good, and all that it becomes and forks. It needs `no_new_privs`.
///
/// # Errors
/// What the kernel says.
pub fn restrict_self(rules: &OwnedFd) -> std::io::Result<()> {
    // SAFETY: a descriptor and a number.
    let done = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, rules.as_raw_fd(), 0_u32) };
    if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}
