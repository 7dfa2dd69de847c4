//! Files that only root can have written: the whole way to them belongs to root and nobody else may change it.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};

/// The overflow user: in a namespace of one user, all that belongs to others, root included.
const OVERFLOW: u32 = 65534;

/// Opens a file for reading after a walk in which each directory and the file itself were found to be root's and not
/// writable by others, without following a symbolic link in the last step.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] if it is not there; [`io::ErrorKind::PermissionDenied`] with a sentence if it is not safe.
pub fn open(path: &Path) -> io::Result<File> {
    let fd = walk(path, OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)?;
    let stat = fstat(&fd)?;
    if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
        return Err(unsafe_at(path, "is not a regular file"));
    }
    Ok(File::from(fd))
}

/// Opens a program for execution: as [`open`], through symbolic links of root's, and it may neither gain rights by its
/// mode bits nor be without the right to be executed.
///
/// # Errors
/// See [`open`].
pub fn open_program(path: &Path) -> io::Result<OwnedFd> {
    let real = resolve(path)?;
    let fd = walk(&real, OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)?;
    let mode = fstat(&fd)?.st_mode;
    let kind = SFlag::from_bits_truncate(mode) & SFlag::S_IFMT;
    if kind != SFlag::S_IFREG {
        return Err(unsafe_at(&real, "is not a regular file"));
    }
    if mode & 0o6000 != 0 {
        return Err(unsafe_at(&real, "is setuid or setgid"));
    }
    if has_file_capabilities(&fd) {
        return Err(unsafe_at(&real, "has file capabilities"));
    }
    if mode & 0o111 == 0 {
        return Err(unsafe_at(&real, "is not executable"));
    }
    Ok(fd)
}

/// Opens a directory for looking up names in it, after a walk that followed no link. Root and the directory's own
/// owner can change what is on the way there; with `for_change` no group but root's can either. Below, everything is
/// possible.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] if it is not there; [`io::ErrorKind::PermissionDenied`] with a sentence if it is not safe.
pub fn open_directory(path: &Path, for_change: bool) -> io::Result<OwnedFd> {
    let mut seen = Vec::new();
    let last = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    let fd = walk_with(path, last, |path, stat| {
        if stat.st_mode & 0o002 != 0 {
            return Err(unsafe_at(path, "is writable by everybody"));
        }
        seen.push((path.to_owned(), *stat));
        Ok(())
    })?;
    let owner = seen.last().map_or(0, |(_, stat)| stat.st_uid);
    seen.pop();
    for (path, above) in seen {
        if !is_root(above.st_uid) && above.st_uid != owner {
            let what =
                format!("belongs to user {}, neither to root nor to the owner of what it leads to", above.st_uid);
            return Err(unsafe_at(&path, &what));
        }
        if for_change && above.st_mode & 0o020 != 0 && above.st_gid != 0 {
            return Err(unsafe_at(&path, &format!("is writable by group {}", above.st_gid)));
        }
    }
    Ok(fd)
}

/// Opens a file to append to it, which is made if it is not there. Links lead to its directory only as [`resolve`] says,
/// and none is the file.
///
/// # Errors
/// What the kernel says; [`io::ErrorKind::PermissionDenied`] with a sentence for a link that others could have made.
pub fn open_for_appending(path: &Path, mode: u32) -> io::Result<File> {
    let flags = OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CREAT | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let how = OpenHow::new()
        .flags(flags | OFlag::O_CLOEXEC)
        .mode(Mode::from_bits_truncate(mode))
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    let opened = match (openat2(AT_FDCWD, path, how), path.parent(), path.file_name()) {
        (Err(nix::Error::ELOOP), Some(above), Some(name)) => openat2(AT_FDCWD, &resolve(above)?.join(name), how),
        (opened, ..) => opened,
    };
    Ok(File::from(opened?))
}

/// Links that are followed on one way, as the kernel does it.
const LINKS: usize = 40;

/// Returns the way to what is there without symbolic links. They are followed out of directories in which root alone
/// could have made them: others would lead a name of root's to whatever they like.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] if it is not there; [`io::ErrorKind::PermissionDenied`] with a sentence for a link that
/// others could have made.
pub fn resolve(path: &Path) -> io::Result<PathBuf> {
    if !path.is_absolute() {
        return Err(unsafe_at(path, "is not absolute"));
    }
    let reversed =
        |path: &Path| -> Vec<OsString> { path.components().rev().map(|name| name.as_os_str().to_owned()).collect() };
    let mut left = reversed(path);
    let mut links = 0;
    let mut so_far = PathBuf::new();
    while let Some(name) = left.pop() {
        if name == ".." {
            so_far.pop();
            continue;
        }
        let next = so_far.join(&name);
        if facts(&next)?.st_mode & 0o170_000 != 0o120_000 {
            so_far = next;
            continue;
        }
        let is_roots = judge(&so_far, &facts(&so_far)?).is_ok();
        if !crate::guard!("I19", is_roots, true) {
            return Err(unsafe_at(&next, "is a link that others could make"));
        }
        links += 1;
        if links > LINKS {
            return Err(nix::Error::ELOOP.into());
        }
        // One that begins with `/` replaces what was walked so far.
        left.extend(reversed(&next.read_link()?));
    }
    Ok(so_far)
}

/// Whether what a program reads under this name is root's word: root alone can change what is there or, if it is not, put
/// anything there. Links lead to it as [`resolve`] says.
///
/// # Errors
/// [`io::ErrorKind::PermissionDenied`] with a sentence that names what somebody else can change; what the kernel says.
pub fn is_roots_word(path: &Path) -> io::Result<()> {
    match resolve(path).and_then(|real| walk(&real, OFlag::O_PATH | OFlag::O_NOFOLLOW)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.parent().map_or(Ok(()), is_roots_word),
        Err(error) => Err(error),
    }
}

/// Whether what is there stays there, unless root, its owner or its owner's group says otherwise: nobody else can rename
/// in a directory on the way. `path` leads through no link.
///
/// # Errors
/// [`io::ErrorKind::PermissionDenied`] with a sentence that names the first directory in which somebody else can; what
/// the kernel says.
pub fn is_kept(path: &Path, owner: u32, group: u32) -> io::Result<()> {
    for above in path.ancestors().skip(1) {
        let stat = facts(above)?;
        if !is_root(stat.st_uid) && stat.st_uid != owner {
            return Err(unsafe_at(above, &format!("belongs to user {}", stat.st_uid)));
        }
        // With a sticky bit, each can rename what is his.
        let others = if stat.st_mode & 0o1000 != 0 { 0 } else { stat.st_mode & 0o022 };
        if others & 0o002 != 0 || others & 0o020 != 0 && stat.st_gid != 0 && stat.st_gid != group {
            return Err(unsafe_at(above, &format!("is writable by others (mode {:04o})", stat.st_mode & 0o7777)));
        }
    }
    Ok(())
}

/// Whether whoever executes what is open here gains rights by it.
fn has_file_capabilities(fd: &OwnedFd) -> bool {
    // SAFETY: a descriptor, a constant string, and null with length 0, by which only the size is asked for.
    let size = unsafe { libc::fgetxattr(fd.as_raw_fd(), c"security.capability".as_ptr(), std::ptr::null_mut(), 0) };
    size > 0
}

/// Whether what belongs to `uid` counts as root's.
pub fn is_root(uid: u32) -> bool {
    uid == 0 || uid == OVERFLOW && super::user::is_alone()
}

fn walk(path: &Path, last: OFlag) -> io::Result<OwnedFd> {
    walk_with(path, last, judge)
}

fn walk_with(
    path: &Path,
    last: OFlag,
    mut judge: impl FnMut(&Path, &FileStat) -> io::Result<()>,
) -> io::Result<OwnedFd> {
    let mut names = path.components().peekable();
    if names.next() != Some(Component::RootDir) {
        return Err(unsafe_at(path, "is not absolute"));
    }
    let directory = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut at = nix::fcntl::open("/", directory, Mode::empty())?;
    let mut so_far = PathBuf::from("/");
    judge(&so_far, &fstat(&at)?)?;
    while let Some(name) = names.next() {
        let Component::Normal(name) = name else { return Err(unsafe_at(path, "has `..` in it")) };
        so_far.push(name);
        let flags = if names.peek().is_some() { directory } else { last | OFlag::O_CLOEXEC };
        at = openat(&at, name, flags, Mode::empty()).map_err(|error| match error {
            nix::Error::ELOOP => unsafe_at(&so_far, "is a symbolic link"),
            // With O_DIRECTORY a link is no directory; which of both, is looked at for the message only.
            nix::Error::ENOTDIR if facts_at(&at, name).is_some_and(|mode| mode & 0o170_000 == 0o120_000) => {
                unsafe_at(&so_far, "is a symbolic link")
            }
            other => io::Error::from(other),
        })?;
        judge(&so_far, &fstat(&at)?)?;
    }
    Ok(at)
}

fn facts_at(at: &OwnedFd, name: &std::ffi::OsStr) -> Option<u32> {
    Some(nix::sys::stat::fstatat(at, name, AtFlags::AT_SYMLINK_NOFOLLOW).ok()?.st_mode)
}

fn judge(path: &Path, stat: &FileStat) -> io::Result<()> {
    if !is_root(stat.st_uid) {
        return Err(unsafe_at(path, &format!("belongs to user {}, not to root", stat.st_uid)));
    }
    if stat.st_mode & 0o022 != 0 {
        return Err(unsafe_at(path, &format!("is writable by others (mode {:04o})", stat.st_mode & 0o7777)));
    }
    Ok(())
}

fn unsafe_at(path: &Path, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, format!("{} {what}", path.display()))
}

/// Reads the facts of a name below an open directory without following a link.
///
/// # Errors
/// What the kernel says.
pub fn facts(path: &Path) -> io::Result<FileStat> {
    Ok(nix::sys::stat::fstatat(nix::fcntl::AT_FDCWD, path, AtFlags::AT_SYMLINK_NOFOLLOW)?)
}
