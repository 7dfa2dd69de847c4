//! `path`: files below a directory that the policy binds to a label.
//!
//! Each name is looked up by one system call beneath a descriptor of the directory, so that nothing that happens in
//! there meanwhile leads out of it. What changes something follows no link. What must never enter here: a name that is
//! put together and opened as a whole, a descriptor of a device, a FIFO or a socket.

mod change;
mod look;

use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{FileStat, SFlag};
use serde::{Deserialize, Serialize};

use crate::policy::template::{Unfit, Values};
use crate::policy::{Access, Policy, refused_directory};
use crate::seam::path::Kind;
use crate::seam::{Answer, Error};
use crate::sys::trusted;
use crate::sys::user::{self, User};

/// Bytes of one name, and of each of its parts: the kernel's own limit for these.
const NAME_BYTES: usize = 1024;
const PART_BYTES: usize = 255;
/// Bytes that one call reads or writes: what fits into one message.
const CALL_BYTES: usize = 1024 * 1024;
/// Bytes that one action reads, and that one action writes: a plugin is no way to copy a disk.
const ACTION_BYTES: usize = 16 * 1024 * 1024;
/// How often a look-up is repeated that a rename elsewhere disturbed (openat2, EAGAIN).
const DISTURBED: u32 = 128;

/// What is left of the bytes of one action.
#[derive(Debug, Serialize, Deserialize)]
pub struct Budget {
    read: usize,
    written: usize,
    /// Changes that are left, in directories that are made besides the one that is asked for.
    pub changes: u32,
}

impl Budget {
    /// Takes bytes off that were perhaps read and written.
    pub fn spend(&mut self, (read, written): (usize, usize)) {
        self.read = self.read.saturating_sub(read);
        self.written = self.written.saturating_sub(written);
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self { read: ACTION_BYTES, written: ACTION_BYTES, changes: 0 }
    }
}

/// A name that was checked, below a directory that is open: the only thing that can be looked at or changed.
#[derive(Debug)]
pub struct Permit {
    label: String,
    /// Where the directory is, for messages and for making it.
    place: PathBuf,
    /// None if it is not there.
    root: Option<OwnedFd>,
    /// Relative; empty for the directory itself.
    name: String,
    owner: Option<User>,
    /// Tells the file that is about to replace one from those of other instances.
    mark: u64,
}

/// Checks a label, an access and a name against the policy, and opens the directory. `instance` is whose call it is.
///
/// # Errors
/// `denied` if the label is not bound, or not for this access, or its parameter does not fit; `invalid` for a name that
/// does not stay below; `unavailable` if the way to the directory is not safe.
pub fn permit(policy: &Policy, label: &str, name: &str, access: Access, values: Values<'_>) -> Answer<Permit> {
    let grant = policy.paths.get(label).ok_or_else(|| Error::Denied(format!("path {label}: not granted")))?;
    if access == Access::Write && grant.access == Access::Read {
        return Err(Error::Denied(format!("path {label}: granted without access = \"write\"")));
    }
    check_name(name).map_err(|why| Error::Invalid(format!("path {label}: {why}")))?;
    let refuse = |error: Unfit| super::unfit("path", label, error);
    let unset = || refuse(Unfit::Parameter("a parameter that it needs is not set".to_owned()));
    let place = PathBuf::from(grant.directory.fill(&values).map_err(refuse)?.ok_or_else(unset)?);
    if let Some(why) = refused_directory(&place, grant.access, &policy.programs) {
        return Err(Error::Denied(format!("path {label}: {why}")));
    }
    let owner = match &grant.owner {
        None => None,
        Some(_) if user::is_alone() => None,
        Some(template) => {
            let name = template.fill(&values).map_err(refuse)?.ok_or_else(unset)?;
            let missing = || Error::Unavailable(format!("path {label}: there is no user {name} on this node"));
            Some(user::account(&name).ok_or_else(missing)?)
        }
    };
    let root = match trusted::open_directory(&place, grant.access == Access::Write) {
        Ok(root) => Some(root),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return Err(Error::Unavailable(format!("path {label}: not safe: {error}")));
        }
        Err(error) => return Err(Error::Other(format!("path {label}: {}: {error}", place.display()))),
    };
    let mark = u64::from(crc32fast::hash(values.instance.as_bytes())) << 32
        | u64::from(crc32fast::hash(format!("{label}\0{name}").as_bytes()));
    Ok(Permit { label: label.to_owned(), place, root, name: name.to_owned(), owner, mark })
}

/// What a binding names and this node lacks, as far as nothing has to be known of an instance.
pub fn lacking(grant: &crate::policy::PathGrant, label: &str) -> Vec<String> {
    let directory = grant.directory.as_literal().and_then(|path| {
        let opened = trusted::open_directory(Path::new(path), grant.access == Access::Write);
        opened.err().map(|error| match error.kind() {
            ErrorKind::NotFound => format!("path {label}: {path} is not there"),
            ErrorKind::PermissionDenied => format!("path {label}: not safe: {error}"),
            _ => format!("path {label}: {path}: {error}"),
        })
    });
    let owner = grant.owner.as_ref().and_then(|owner| owner.as_literal()).filter(|_| !user::is_alone());
    let owner = owner.filter(|name| user::account(name).is_none());
    let owner = owner.map(|name| format!("path {label}: there is no user {name} on this node"));
    directory.into_iter().chain(owner).collect()
}

/// Says why a name cannot be one.
fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Ok(());
    }
    if name.len() > NAME_BYTES || name.split('/').any(|part| part.len() > PART_BYTES) {
        return Err(format!("a name has at most {NAME_BYTES} bytes, each of its parts {PART_BYTES}"));
    }
    if name.contains('\0') || name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err("a name is relative, such as a/b, without `..` and without NUL".to_owned());
    }
    Ok(())
}

impl Permit {
    /// Looks the name up beneath the directory. None if there is no such thing.
    fn open(&self, name: &str, flags: OFlag, more: ResolveFlag) -> Answer<Option<OwnedFd>> {
        let Some(root) = &self.root else { return Ok(None) };
        let name = if name.is_empty() { "." } else { name };
        let beneath =
            ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS | ResolveFlag::RESOLVE_NO_XDEV | more;
        let resolve = crate::guard!("I17", beneath, ResolveFlag::empty());
        let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(resolve);
        for _ in 0..DISTURBED {
            match openat2(root, name, how) {
                Ok(fd) => return Ok(Some(fd)),
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(None),
                Err(Errno::EXDEV | Errno::ELOOP) => return Err(self.leads_out()),
                Err(error) => return Err(self.said(error)),
            }
        }
        Err(Error::Other(format!("path {}: what is there changes all the time", self.label)))
    }

    fn leads_out(&self) -> Error {
        Error::Denied(format!(
            "path {}: leads out of the directory or its file system, or through a link where none is followed",
            self.label
        ))
    }

    fn said(&self, error: Errno) -> Error {
        Error::Other(format!("path {}: {}", self.label, error.desc()))
    }

    fn io(&self, error: &std::io::Error) -> Error {
        self.said(Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
    }

    fn invalid(&self, what: &str) -> Error {
        Error::Invalid(format!("path {}: {what}", self.label))
    }
}

/// Opens what a descriptor stands for, for reading: whatever has its name by now.
fn reopen(fd: &OwnedFd) -> std::io::Result<File> {
    File::open(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

fn kind_of(stat: &FileStat) -> Kind {
    match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFREG => Kind::File,
        SFlag::S_IFDIR => Kind::Directory,
        SFlag::S_IFLNK => Kind::Link,
        SFlag::S_IFSOCK => Kind::Socket,
        SFlag::S_IFIFO => Kind::Fifo,
        _ => Kind::Device,
    }
}

#[cfg(test)]
mod tests;
