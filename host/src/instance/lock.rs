//! One action at a time: mutating ones alone, monitors together.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::{Duration, Instant};

use super::Directory;

/// How long to wait between two tries.
const TRY_AGAIN: Duration = Duration::from_millis(5);

/// The lock of an instance, held until dropped or until the process ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held, not read")] File);

/// Why it is not held.
#[derive(Debug)]
pub enum LockError {
    /// Another action held it until the deadline.
    Busy,
    /// The file cannot be made.
    Io(io::Error),
}

impl Lock {
    /// Waits for the lock until `deadline`.
    ///
    /// # Errors
    /// See [`LockError`].
    pub fn take(directory: &Directory, exclusive: bool, deadline: Instant) -> Result<Self, LockError> {
        let path = directory.path().join("lock");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        let file = match options.open(&path) {
            // What is there can be locked all the same.
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                options.write(false).create(false).open(&path)
            }
            opened => opened,
        };
        let file = file.map_err(LockError::Io)?;
        loop {
            let tried = if exclusive { file.try_lock() } else { file.try_lock_shared() };
            match tried {
                Ok(()) => return Ok(Self(file)),
                Err(std::fs::TryLockError::WouldBlock) if Instant::now() >= deadline => return Err(LockError::Busy),
                Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(TRY_AGAIN),
                Err(std::fs::TryLockError::Error(error)) => return Err(LockError::Io(error)),
            }
        }
    }
}
