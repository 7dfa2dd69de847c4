//! Looking: facts, contents, names.

use std::os::unix::fs::FileExt as _;

use nix::dir::Dir;
use nix::fcntl::{AtFlags, OFlag, ResolveFlag};
use nix::sys::stat::{FileStat, fstat, fstatat};

use super::{Budget, CALL_BYTES, Permit, kind_of, reopen};
use crate::seam::path::{Entry, Facts, Kind};
use crate::seam::{Answer, Error};

/// Names that one list holds: with 255 bytes each they fit into one message.
const ENTRIES: usize = 4096;

impl Permit {
    /// Describes what the name stands for.
    ///
    /// # Errors
    /// `denied` if it leads out.
    pub fn stat(self) -> Answer<Option<Facts>> {
        let found = self.open(&self.name, OFlag::O_PATH | OFlag::O_NOFOLLOW, ResolveFlag::empty())?;
        let Some(fd) = found else { return Ok(None) };
        let stat = fstat(&fd).map_err(|error| self.said(error))?;
        Ok(Some(Facts {
            kind: kind_of(&stat),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mode: u16::try_from(stat.st_mode & 0o7777).unwrap_or(0),
            uid: stat.st_uid,
            gid: stat.st_gid,
            modified: stat.st_mtime,
        }))
    }

    /// Reads a part of a regular file.
    ///
    /// # Errors
    /// `invalid` for a size out of range; `denied` if it leads out, or has other names and not everybody may read it;
    /// `other` if it is no regular file.
    pub fn read(self, offset: u64, limit: u32, budget: &mut Budget) -> Answer<Option<Vec<u8>>> {
        let limit = limit as usize;
        if !(1..=CALL_BYTES).contains(&limit) {
            return Err(self.invalid("a read has 1 to 1,048,576 bytes"));
        }
        // Not opened before it is known to be a file: to open a device can be to use it.
        let Some(found) = self.open(&self.name, OFlag::O_PATH, ResolveFlag::empty())? else { return Ok(None) };
        let stat = fstat(&found).map_err(|error| self.said(error))?;
        if kind_of(&stat) != Kind::File {
            return Err(Error::Other(format!("path {}: not a regular file", self.label)));
        }
        if is_somebody_elses_secret(&stat) {
            return Err(Error::Denied(format!(
                "path {}: the file has more than one name, and not everybody may read it",
                self.label
            )));
        }
        if budget.read == 0 {
            return Err(self.invalid("more than 16 MiB were read in this action"));
        }
        let file = reopen(&found).map_err(|error| self.io(&error))?;
        let size =
            usize::try_from(u64::try_from(stat.st_size).unwrap_or(0).saturating_sub(offset)).unwrap_or(usize::MAX);
        // A file that grows meanwhile is read as it was.
        let mut content = vec![0; limit.min(budget.read).min(size)];
        let mut filled = 0;
        while filled < content.len() {
            match file.read_at(&mut content[filled..], offset.saturating_add(filled as u64)) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.io(&error)),
            }
        }
        content.truncate(filled);
        budget.read -= filled;
        Ok(Some(content))
    }

    /// Lists a directory.
    ///
    /// # Errors
    /// `denied` if it leads out; `other` if it is no directory or holds too many names.
    pub fn list(self) -> Answer<Option<Vec<Entry>>> {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW;
        let Some(there) = self.open(&self.name, flags, ResolveFlag::empty())? else { return Ok(None) };
        let kind = kind_of(&fstat(&there).map_err(|error| self.said(error))?);
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NONBLOCK;
        let Some(fd) = self.open(&self.name, flags, ResolveFlag::empty())? else {
            return match kind {
                // Taken away meanwhile, or a link that leads nowhere.
                Kind::Directory | Kind::Link => Ok(None),
                _ => Err(Error::Other(format!("path {}: not a directory", self.label))),
            };
        };
        let mut directory = Dir::from_fd(fd).map_err(|error| self.said(error))?;
        let mut entries = Vec::new();
        let mut unclear = Vec::new();
        for entry in directory.iter() {
            let entry = entry.map_err(|error| self.said(error))?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if matches!(name, "." | "..") {
                continue;
            }
            if entries.len() + unclear.len() == ENTRIES {
                return Err(Error::Other(format!("path {}: more than {ENTRIES} names", self.label)));
            }
            match entry.file_type().map(kind_of_type) {
                Some(kind) => entries.push(Entry { name: name.to_owned(), kind }),
                None => unclear.push(name.to_owned()),
            }
        }
        // Some file systems do not say it with the name.
        for name in unclear {
            if let Ok(stat) = fstatat(&directory, name.as_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
                entries.push(Entry { name, kind: kind_of(&stat) });
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Some(entries))
    }
}

/// Whether the name may be another user's way to have read what that user may not: who owns a directory can give a
/// second name in it to a file of root's, where the kernel's protection of hard links is off.
fn is_somebody_elses_secret(stat: &FileStat) -> bool {
    stat.st_nlink > 1 && stat.st_mode & 0o004 == 0
}

fn kind_of_type(kind: nix::dir::Type) -> Kind {
    use nix::dir::Type;
    match kind {
        Type::File => Kind::File,
        Type::Directory => Kind::Directory,
        Type::Symlink => Kind::Link,
        Type::Socket => Kind::Socket,
        Type::Fifo => Kind::Fifo,
        Type::CharacterDevice | Type::BlockDevice => Kind::Device,
    }
}
