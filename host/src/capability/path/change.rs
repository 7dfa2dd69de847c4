//! Changing: whole files, directories, and taking away. No link is followed, not even one inside.

use std::ffi::CString;
use std::fs::{File, Permissions};
use std::io::Write as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, ResolveFlag, openat, renameat};
use nix::sys::stat::{Mode, fstatat, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, unlinkat};

use super::{Budget, CALL_BYTES, Permit, kind_of};
use crate::seam::path::Kind;
use crate::seam::{Answer, Error};

/// Permission bits that a plugin may ask for: nothing that gives rights to who runs it.
const MODE: u16 = 0o777;
/// Bytes that a change leaves free, where a twentieth of the file system is not less: what else is on it must go on.
const FREE_BYTES: u64 = 64 * 1024 * 1024;
/// Files that a change leaves to be made, in the same way: what mke2fs makes for as many bytes, one for each 16 KiB.
const FREE_FILES: u64 = FREE_BYTES / (16 * 1024);
/// Bytes of a new directory: a block.
const DIRECTORY_BYTES: usize = 4096;

impl Permit {
    /// Replaces a file as a whole.
    ///
    /// # Errors
    /// `invalid` for a name, size or mode out of range; `denied` for what is no regular file, or behind a link;
    /// `unavailable` if the directory is not there or its disk is nearly full; `other` with what the kernel said.
    pub fn write(self, content: &[u8], mode: u16, budget: &mut Budget) -> Answer<()> {
        let mode = self.mode(mode)?;
        if content.len() > CALL_BYTES {
            return Err(self.invalid("a write has at most 1,048,576 bytes"));
        }
        if content.len() > budget.written {
            return Err(self.invalid("more than 16 MiB to write in this action"));
        }
        let (above, last) = self.split()?;
        let Some(directory) = self.directory(above)? else {
            return Err(Error::Unavailable(format!("path {}: the directory to write into is not there", self.label)));
        };
        if self.kind_in(&directory, last)?.is_some_and(|kind| kind != Kind::File) {
            return Err(Error::Denied(format!("path {}: only a regular file is replaced", self.label)));
        }
        self.leave_room(&directory, content.len())?;
        budget.written -= content.len();
        let new = format!(".ocf-wasm-{:016x}", self.mark);
        let done = self.fill(&directory, &new, content, mode).and_then(|file| {
            file.sync_all()?;
            renameat(&directory, new.as_str(), &directory, last)?;
            // The name is on the disk when the directory is.
            File::from(directory.try_clone()?).sync_all()
        });
        done.map_err(|error| {
            let _ = unlinkat(&directory, new.as_str(), UnlinkatFlags::NoRemoveDir);
            self.io(&error)
        })
    }

    /// Makes the file that is to replace the other.
    pub(super) fn fill(&self, directory: &OwnedFd, new: &str, content: &[u8], mode: Mode) -> std::io::Result<File> {
        // What an action that was killed left of the same write. Nobody else writes under this name: an instance has
        // one changing action at a time.
        match unlinkat(directory, new, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut file = File::from(openat(directory, new, flags, Mode::from_bits_truncate(0o600))?);
        file.write_all(content)?;
        self.give(&file)?;
        file.set_permissions(Permissions::from_mode(mode.bits()))?;
        Ok(file)
    }

    /// Takes something away.
    ///
    /// # Errors
    /// `invalid` for the directory itself; `denied` for a device, or behind a link; `other` for a directory that is not
    /// empty, or what else the kernel said.
    pub fn remove(self) -> Answer<bool> {
        let (above, last) = self.split()?;
        let Some(directory) = self.directory(above)? else { return Ok(false) };
        let how = match self.kind_in(&directory, last)? {
            None => return Ok(false),
            Some(Kind::Device) => return Err(Error::Denied(format!("path {}: a device is not removed", self.label))),
            Some(Kind::Directory) => UnlinkatFlags::RemoveDir,
            Some(Kind::File | Kind::Link | Kind::Socket | Kind::Fifo) => UnlinkatFlags::NoRemoveDir,
        };
        match unlinkat(&directory, last, how) {
            Ok(()) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(error) => Err(self.said(error)),
        }
    }

    /// Makes a directory, and those above it.
    ///
    /// # Errors
    /// `invalid` for a mode out of range; `denied` behind a link; `unavailable` if the bound directory is not there
    /// or its disk is nearly full; `denied` too for more directories than the action has changes left; `other` if
    /// something else has the name, or what the kernel said.
    pub fn make_directory(mut self, mode: u16, budget: &mut Budget) -> Answer<bool> {
        let mode = self.mode(mode)?;
        if self.name.is_empty() {
            return self.make_root(mode);
        }
        if self.root.is_none() {
            return Err(Error::Unavailable(format!("path {}: its directory is not there", self.label)));
        }
        let name = std::mem::take(&mut self.name);
        let ends = name.match_indices('/').map(|(at, _)| at).chain([name.len()]);
        let mut made = false;
        let mut is_counted = true;
        let mut above = "";
        for end in ends {
            let Some(directory) = self.directory(above)? else {
                return Err(Error::Other(format!("path {}: taken away meanwhile", self.label)));
            };
            let part = name[..end].rsplit('/').next().unwrap_or_default();
            made = false;
            if self.kind_in(&directory, part)?.is_none() {
                if !std::mem::take(&mut is_counted) {
                    // The first is the call's own change.
                    let Some(left) = budget.changes.checked_sub(1) else {
                        return Err(self.too_many());
                    };
                    budget.changes = left;
                }
                made = self.make_one(&directory, part, mode)?;
            }
            above = &name[..end];
        }
        if !made && self.directory(above)?.is_none() {
            return Err(Error::Other(format!("path {}: there is something else of this name", self.label)));
        }
        Ok(made)
    }

    /// Makes the bound directory itself: below /run, it is gone after each boot.
    fn make_root(self, mode: Mode) -> Answer<bool> {
        if self.root.is_some() {
            return Ok(false);
        }
        let (Some(above), Some(last)) = (self.place.parent(), self.place.file_name()) else { return Ok(false) };
        let opened = crate::sys::trusted::open_directory(above, true).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                Error::Unavailable(format!("path {}: {} is not there", self.label, above.display()))
            }
            _ => Error::Unavailable(format!("path {}: not safe: {error}", self.label)),
        })?;
        self.make_one(&opened, Path::new(last), mode)
    }

    fn too_many(&self) -> Error {
        Error::Denied(format!(
            "path {}: more changes than one action may make: each directory that is made is one",
            self.label
        ))
    }

    /// Makes one directory, if there is room for it. False if there is something of that name.
    fn make_one<P: ?Sized + nix::NixPath>(&self, above: &OwnedFd, name: &P, mode: Mode) -> Answer<bool> {
        self.leave_room(above, DIRECTORY_BYTES)?;
        match mkdirat(above, name, Mode::S_IRWXU) {
            Ok(()) => {}
            Err(Errno::EEXIST) => return Ok(false),
            Err(error) => return Err(self.said(error)),
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let done = openat(above, name, flags, Mode::empty()).map_err(std::io::Error::from).and_then(|fd| {
            let new = File::from(fd);
            self.give(&new)?;
            new.set_permissions(Permissions::from_mode(mode.bits()))
        });
        done.map(|()| true).map_err(|error| self.io(&error))
    }

    /// Gives what was made to whom the policy names.
    fn give(&self, made: &File) -> std::io::Result<()> {
        if let Some(owner) = &self.owner {
            fchown(made.as_fd(), Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)))?;
        }
        Ok(())
    }

    fn mode(&self, mode: u16) -> Answer<Mode> {
        if mode > MODE {
            return Err(self.invalid("a mode is 0 to 0o777"));
        }
        Ok(Mode::from_bits_truncate(mode.into()))
    }

    /// The directory of the name, and its last part.
    fn split(&self) -> Answer<(&str, &str)> {
        match self.name.rsplit_once('/') {
            Some(split) => Ok(split),
            None if self.name.is_empty() => Err(self.invalid("needs the name of something below the directory")),
            None => Ok(("", &self.name)),
        }
    }

    /// Opens a directory without following any link.
    pub(super) fn directory(&self, name: &str) -> Answer<Option<OwnedFd>> {
        self.open(name, OFlag::O_RDONLY | OFlag::O_DIRECTORY, ResolveFlag::RESOLVE_NO_SYMLINKS)
    }

    fn kind_in(&self, directory: &OwnedFd, name: &str) -> Answer<Option<Kind>> {
        let name = CString::new(name).map_err(|_| self.invalid("a NUL in the name"))?;
        match fstatat(directory, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(kind_of(&stat))),
            Err(Errno::ENOENT) => Ok(None),
            Err(error) => Err(self.said(error)),
        }
    }

    /// Refuses to fill a disk, with bytes or with names.
    fn leave_room(&self, directory: &OwnedFd, length: usize) -> Answer<()> {
        let disk = nix::sys::statvfs::fstatvfs(directory).map_err(|error| self.said(error))?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.fragment_size());
        let keep = FREE_BYTES.min(bytes(disk.blocks()) / 20);
        if bytes(disk.blocks_free()) < keep.saturating_add(length as u64) {
            return Err(Error::Unavailable(format!("path {}: the file system is nearly full", self.label)));
        }
        // Some file systems have no number of files, and say 0.
        if disk.files() > 0 && disk.files_free() <= FREE_FILES.min(disk.files() / 20) {
            return Err(Error::Unavailable(format!("path {}: the file system is nearly full of files", self.label)));
        }
        Ok(())
    }
}
