//! Mounts that are made before anybody can see them, and put in their place later.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::Path;

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::Mode;

use crate::guard;

/// `OPEN_TREE_CLONE`.
const CLONE: libc::c_uint = 1;
/// `AT_RECURSIVE`.
const RECURSIVE: libc::c_uint = 0x8000;
/// `MOVE_MOUNT_F_EMPTY_PATH` and `MOVE_MOUNT_T_EMPTY_PATH`.
const BOTH_ARE_OPEN: libc::c_uint = 0x4 | 0x40;
/// `FSOPEN_CLOEXEC` and `FSMOUNT_CLOEXEC`.
const CLOSE_AT_EXEC: libc::c_uint = 1;
/// `FSCONFIG_SET_STRING` and `FSCONFIG_CMD_CREATE`.
const SET: libc::c_uint = 1;
const CREATE: libc::c_uint = 6;

/// `IFF_UP`.
const UP: libc::c_short = 1;

/// What can be said of a mount: `MOUNT_ATTR_*`.
pub mod attribute {
    /// Nothing in it can be changed.
    pub const READ_ONLY: u64 = 0x1;
    /// Nobody gains rights by executing something in it.
    pub const NO_SETUID: u64 = 0x2;
    /// Device files in it are no devices.
    pub const NO_DEVICES: u64 = 0x4;
    /// Nothing in it can be executed.
    pub const NO_EXECUTION: u64 = 0x8;
}

#[repr(C)]
struct Attributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

fn checked(answer: libc::c_long) -> io::Result<libc::c_int> {
    match libc::c_int::try_from(answer) {
        Ok(number) if number >= 0 => Ok(number),
        _ => Err(io::Error::last_os_error()),
    }
}

fn owned(answer: libc::c_long) -> io::Result<OwnedFd> {
    // SAFETY: the kernel has just made this descriptor for us.
    checked(answer).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether this kernel makes mounts as they are made here (Linux 5.12).
pub fn is_known() -> bool {
    // SAFETY: a null structure of no size is refused by a kernel that knows the call.
    let done = unsafe { libc::syscall(libc::SYS_mount_setattr, -1, c"".as_ptr(), 0, std::ptr::null::<()>(), 0) };
    done == 0 || io::Error::last_os_error().raw_os_error() != Some(libc::ENOSYS)
}

/// Opens a path as a place only, without following a single symbolic link on the way from `below`.
///
/// # Errors
/// What the kernel says; `ELOOP` if there is a symbolic link.
pub fn place(below: impl AsFd, path: &Path) -> io::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .mode(Mode::empty())
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    Ok(openat2(below, path, how)?)
}

/// Returns a copy of the mount at a place, with that place as its root and, if `with_all`, with what is mounted below,
/// and adds attributes to all of it. Nobody sees it yet.
///
/// It has nothing in common any more with what it is a copy of: a copy of a shared mount would be one more of its peers,
/// and what is mounted in one appears in all of them.
///
/// # Errors
/// What the kernel says: `EPERM` without the right to mount.
pub fn copy(place: impl AsFd, with_all: bool, attributes: u64) -> io::Result<OwnedFd> {
    let flags = CLONE | libc::O_CLOEXEC.cast_unsigned() | libc::AT_EMPTY_PATH.cast_unsigned();
    let flags = if with_all { flags | RECURSIVE } else { flags };
    // SAFETY: a descriptor, a constant string and a number.
    let copied = owned(unsafe { libc::syscall(libc::SYS_open_tree, place.as_fd().as_raw_fd(), c"".as_ptr(), flags) })?;
    let propagation = guard!("I26", libc::MS_PRIVATE, 0);
    say(&copied, &Attributes { set: attributes, clear: 0, propagation, user_namespace: 0 }, RECURSIVE)?;
    Ok(copied)
}

/// Makes a file system that nobody sees yet, with options that are pairs of words.
///
/// # Errors
/// What the kernel says.
pub fn make(kind: &CStr, options: &[(&CStr, &CStr)], attributes: u64) -> io::Result<OwnedFd> {
    // SAFETY: strings that outlive the calls, null where the kernel wants it, and numbers.
    unsafe {
        let context = owned(libc::syscall(libc::SYS_fsopen, kind.as_ptr(), CLOSE_AT_EXEC))?;
        let context = context.as_raw_fd();
        for (name, value) in options {
            checked(libc::syscall(libc::SYS_fsconfig, context, SET, name.as_ptr(), value.as_ptr(), 0))?;
        }
        let none = std::ptr::null::<libc::c_char>();
        checked(libc::syscall(libc::SYS_fsconfig, context, CREATE, none, none, 0))?;
        owned(libc::syscall(libc::SYS_fsmount, context, CLOSE_AT_EXEC, attributes))
    }
}

/// Adds attributes to a mount, not to those below it.
///
/// # Errors
/// What the kernel says.
pub fn restrict(mount: impl AsFd, attributes: u64) -> io::Result<()> {
    say(mount, &Attributes { set: attributes, clear: 0, propagation: 0, user_namespace: 0 }, 0)
}

fn say(mount: impl AsFd, wanted: &Attributes, flags: libc::c_uint) -> io::Result<()> {
    let flags = flags | libc::AT_EMPTY_PATH.cast_unsigned();
    let (mount, size) = (mount.as_fd().as_raw_fd(), size_of::<Attributes>());
    // SAFETY: the pointer and the size are those of one plain structure.
    let done =
        unsafe { libc::syscall(libc::SYS_mount_setattr, mount, c"".as_ptr(), flags, std::ptr::from_ref(wanted), size) };
    checked(done).map(|_| ())
}

/// Puts a mount that nobody sees yet in its place.
///
/// # Errors
/// What the kernel says.
pub fn attach(mount: impl AsFd, place: impl AsFd) -> io::Result<()> {
    let (mount, place) = (mount.as_fd().as_raw_fd(), place.as_fd().as_raw_fd());
    // SAFETY: descriptors, constant strings and a number.
    let done = unsafe { libc::syscall(libc::SYS_move_mount, mount, c"".as_ptr(), place, c"".as_ptr(), BOTH_ARE_OPEN) };
    checked(done).map(|_| ())
}

/// Makes the current directory, where something is mounted, the root of this mount namespace; the old root is gone.
///
/// # Errors
/// What the kernel says.
pub fn become_root() -> io::Result<()> {
    // SAFETY: constant strings. The old root is put on top of the new one, from where it is taken away.
    checked(unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) })?;
    nix::mount::umount2(".", nix::mount::MntFlags::MNT_DETACH)?;
    Ok(nix::unistd::chdir("/")?)
}

/// Brings the loopback interface of this network namespace up.
///
/// # Errors
/// What the kernel says.
pub fn raise_loopback() -> io::Result<()> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // SAFETY: all zeroes is a value of this plain structure, and its pointer is valid for the calls.
    unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        for (to, from) in request.ifr_name.iter_mut().zip(c"lo".to_bytes_with_nul()) {
            *to = from.cast_signed();
        }
        request.ifr_ifru.ifru_flags = UP;
        checked(libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request).into())?;
    }
    Ok(())
}
