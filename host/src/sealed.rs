//! Small files of ours that are replaced as a whole, and that know whether they are damaged.

use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes of the largest: parameters at the kernel's limit, and more than the notebook.
const FILE_BYTES: u64 = 80 * 1024 * 1024;

/// Reads a value that [`save`] wrote with the same `magic`.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] if there is no file; [`io::ErrorKind::InvalidData`] if it is not what was written;
/// [`io::ErrorKind::PermissionDenied`] if others than root and ourselves could have written it.
pub fn load<T: DeserializeOwned>(path: &Path, magic: [u8; 4]) -> io::Result<T> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    let facts = file.metadata()?;
    let is_ours = facts.uid() == 0 || facts.uid() == nix::unistd::geteuid().as_raw();
    if !is_ours || facts.mode() & 0o022 != 0 {
        let what = if is_ours { "writable by others".to_owned() } else { format!("belongs to user {}", facts.uid()) };
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
    }
    // Nearly all fit, and are read in one call.
    let mut bytes = Vec::with_capacity(4096);
    file.take(FILE_BYTES).read_to_end(&mut bytes)?;
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "damaged");
    let (head, body) = bytes.split_first_chunk::<8>().ok_or_else(damaged)?;
    if head[..4] != magic || head[4..] != crc32fast::hash(body).to_le_bytes() {
        return Err(damaged());
    }
    postcard::from_bytes(body).map_err(|_| damaged())
}

/// Replaces a file: a reader sees the old one or the new one. Mode 0600.
///
/// # Errors
/// What the kernel says.
pub fn save<T: Serialize>(path: &Path, magic: [u8; 4], value: &T) -> io::Result<()> {
    replace(path, &seal(magic, value)?, 0o600)
}

/// Replaces a file as [`save`] does, where never two write it at the same time: what one left that was killed is
/// overwritten by the next.
///
/// # Errors
/// What the kernel says.
pub fn save_alone<T: Serialize>(path: &Path, magic: [u8; 4], value: &T) -> io::Result<()> {
    replace_by(&path.with_extension("new"), path, &seal(magic, value)?, 0o600)
}

fn seal<T: Serialize>(magic: [u8; 4], value: &T) -> io::Result<Vec<u8>> {
    let body = postcard::to_allocvec(value).map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(body.len() + 8);
    bytes.extend_from_slice(&magic);
    bytes.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// Replaces a file by bytes.
///
/// # Errors
/// What the kernel says; the old file is still there then.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    replace_by(&path.with_extension(format!("new{}", std::process::id())), path, bytes, mode)
}

/// Removes the new files of a directory whose writers were killed before they put them in their place.
pub fn collect(directory: &Path) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let writer = name.to_str().and_then(|name| name.rsplit_once(".new")?.1.parse::<u32>().ok());
        if writer.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn replace_by(new: &Path, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .custom_flags(libc::O_NOFOLLOW)
        .open(new)?;
    // Who else may read it is not for the umask to say, under which that cannot be given.
    let permitted = match mode & 0o077 {
        0 => Ok(()),
        _ => file.set_permissions(std::fs::Permissions::from_mode(mode)),
    };
    let done = permitted.and_then(|()| file.write_all(bytes)).and_then(|()| std::fs::rename(new, path));
    if done.is_err() {
        let _ = std::fs::remove_file(new);
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_writer_left_is_collected_and_nothing_else() {
        let directory = std::env::temp_dir().join(format!("ocf-wasm-sealed-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let dead = std::process::Command::new("/bin/true").spawn().and_then(|mut child| {
            child.wait()?;
            Ok(child.id())
        });
        let dead = dead.unwrap();
        let own = std::process::id();
        let left = [format!("a.new{dead}"), format!("b.c.new{dead}")];
        let kept =
            [format!("a.new{own}"), "record".into(), "record.new".into(), "x.newer".into(), format!("new{dead}")];
        for name in left.iter().chain(&kept) {
            std::fs::write(directory.join(name), "").unwrap();
        }
        collect(&directory);
        assert!(left.iter().all(|name| !directory.join(name).exists()));
        assert!(kept.iter().all(|name| directory.join(name).exists()));
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
