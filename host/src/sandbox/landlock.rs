//! What a process may still reach, as words: made and filled before the fork, entered after it.
//!
//! A domain begins with nothing. What the kernel is too old to refuse stays possible, so that this is never the only
//! layer; [`missing`] says what that is. What must never enter here: who is granted what.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::sys::stat::{SFlag, fstat};

use crate::sys::landlock::{self, Handled};

/// Bits of `LANDLOCK_ACCESS_FS_*`.
mod bit {
    pub(super) const EXECUTE: u64 = 1;
    pub(super) const WRITE_FILE: u64 = 1 << 1;
    pub(super) const READ_FILE: u64 = 1 << 2;
    pub(super) const READ_DIRECTORY: u64 = 1 << 3;
    pub(super) const REMOVE: u64 = 1 << 4 | 1 << 5;
    pub(super) const MAKE_DEVICE: u64 = 1 << 6 | 1 << 11;
    /// Directories, files, sockets, FIFOs, symbolic links.
    pub(super) const MAKE: u64 = 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 12;
    pub(super) const REFER: u64 = 1 << 13;
    pub(super) const TRUNCATE: u64 = 1 << 14;
    pub(super) const IOCTL_DEVICE: u64 = 1 << 15;
    /// All that can be said of something that is no directory.
    pub(super) const OF_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEVICE;
}

/// `LANDLOCK_ACCESS_NET_BIND_TCP` and `_CONNECT_TCP`.
const TCP: u64 = 1 | 1 << 1;
/// `LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET`.
const ABSTRACT_SOCKETS: u64 = 1;
/// `LANDLOCK_SCOPE_SIGNAL`.
const SIGNALS: u64 = 1 << 1;

/// By version of the interface: the bits that it brought, and what stays possible where it is missing.
const VERSIONS: [(u32, Handled, &str); 6] = [
    (
        1,
        Handled {
            files: bit::EXECUTE
                | bit::WRITE_FILE
                | bit::READ_FILE
                | bit::READ_DIRECTORY
                | bit::REMOVE
                | bit::MAKE_DEVICE
                | bit::MAKE,
            network: 0,
            scoped: 0,
        },
        "files are limited by owner and mode only (Linux 5.13, Landlock switched on)",
    ),
    (
        2,
        Handled { files: bit::REFER, network: 0, scoped: 0 },
        "no file can be moved or linked to another directory, although that is granted (Linux 5.19)",
    ),
    (3, Handled { files: bit::TRUNCATE, network: 0, scoped: 0 }, "files can be cut to nothing (Linux 6.2)"),
    (4, Handled { files: 0, network: TCP, scoped: 0 }, "TCP is not limited (Linux 6.7)"),
    (5, Handled { files: bit::IOCTL_DEVICE, network: 0, scoped: 0 }, "devices can be controlled (Linux 6.10)"),
    (
        6,
        Handled { files: 0, network: 0, scoped: ABSTRACT_SOCKETS | SIGNALS },
        "abstract sockets and signals are not limited (Linux 6.12)",
    ),
];

/// What may be done at and below a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Reading files, listing directories.
    Read,
    /// The same, and executing.
    Execute,
    /// Reading, writing, making, removing: everything but executing and making devices.
    Write,
    /// Reading, writing and controlling a device.
    Device,
}

impl Right {
    fn bits(self) -> u64 {
        let read = bit::READ_FILE | bit::READ_DIRECTORY;
        match self {
            Self::Read => read,
            Self::Execute => read | bit::EXECUTE,
            Self::Write => read | bit::WRITE_FILE | bit::REMOVE | bit::MAKE | bit::REFER | bit::TRUNCATE,
            Self::Device => bit::READ_FILE | bit::WRITE_FILE | bit::IOCTL_DEVICE,
        }
    }
}

/// What besides files is left to a process. What is false is refused where the kernel can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// Listening on TCP and connecting to it.
    pub tcp: bool,
    /// Connecting to abstract sockets of processes that are not below it.
    pub abstract_sockets: bool,
    /// Sending signals to processes that are not below it.
    pub signals: bool,
}

/// What a process may still do, to be entered by it.
#[derive(Debug)]
pub struct Domain {
    rules: OwnedFd,
    handled: Handled,
}

impl Domain {
    /// Nothing at all: no file, no TCP, no abstract socket, no signal. None where the kernel has no Landlock.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn nothing() -> io::Result<Option<Self>> {
        Self::with(Outside::default())
    }

    /// No file, and of the rest only what `outside` says. None where the kernel has no Landlock.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn with(outside: Outside) -> io::Result<Option<Self>> {
        Self::of(landlock::version(), outside)
    }

    fn of(version: u32, outside: Outside) -> io::Result<Option<Self>> {
        if version == 0 {
            return Ok(None);
        }
        let mut handled = Handled::default();
        for (_, bits, _) in VERSIONS.iter().filter(|(since, ..)| *since <= version) {
            handled.files |= bits.files;
            handled.network |= bits.network;
            handled.scoped |= bits.scoped;
        }
        for (kept, (network, scoped)) in [
            (outside.tcp, (TCP, 0)),
            (outside.abstract_sockets, (0, ABSTRACT_SOCKETS)),
            (outside.signals, (0, SIGNALS)),
        ] {
            if kept {
                handled.network &= !network;
                handled.scoped &= !scoped;
            }
        }
        Ok(Some(Self { rules: landlock::create(&handled)?, handled }))
    }

    /// Allows something at and below what `path` has open, whatever its name will be then.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn allow(&mut self, path: impl AsFd, right: Right) -> io::Result<()> {
        let is_directory = SFlag::from_bits_truncate(fstat(&path)?.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR;
        let sensible = if is_directory { u64::MAX } else { bit::OF_FILES };
        landlock::allow_beneath(&self.rules, path, right.bits() & sensible & self.handled.files)
    }

    /// Puts this process into it, for good. It needs `no_new_privs`.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn enter(&self) -> io::Result<()> {
        landlock::restrict_self(&self.rules)
    }
}

/// The version of Landlock that this node has; 0 if it has none.
pub fn version() -> u32 {
    landlock::version()
}

/// What stays possible where Landlock has this version, a sentence each.
pub fn missing(version: u32) -> impl Iterator<Item = &'static str> {
    VERSIONS.iter().filter(move |(since, ..)| *since > version).map(|(.., sentence)| *sentence)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File, OpenOptions};
    use std::path::Path;

    use super::*;
    use crate::sys::fork;

    /// Runs a check in a child that has entered a domain. True if it held; none without Landlock.
    fn inside(domain: Domain, check: impl FnOnce() -> bool) -> bool {
        let child = fork::fork(|| {
            let entered = nix::sys::prctl::set_no_new_privs().is_ok() && domain.enter().is_ok();
            i32::from(!(entered && check()))
        });
        matches!(nix::sys::wait::waitpid(child.unwrap(), None), Ok(nix::sys::wait::WaitStatus::Exited(_, 0)))
    }

    fn open(path: &Path) -> File {
        use std::os::unix::fs::OpenOptionsExt as _;
        OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path).unwrap()
    }

    fn place(name: &str) -> std::path::PathBuf {
        let place = std::env::temp_dir().join(format!("ocf-wasm-landlock-{name}-{}", std::process::id()));
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("file"), "text").unwrap();
        place
    }

    #[test]
    fn of_nothing_nothing_is_left() {
        let Some(domain) = Domain::nothing().unwrap() else { return eprintln!("SKIPPED: no Landlock") };
        let signals = version() >= 6;
        assert!(inside(domain, || {
            let refused = |path: &str| File::open(path).is_err_and(|e| e.raw_os_error() == Some(libc::EACCES));
            let signalled = nix::sys::signal::kill(nix::unistd::getppid(), None).is_ok();
            refused("/etc/passwd") && refused("/") && refused("/proc/self/status") && signalled != signals
        }));
    }

    #[test]
    fn what_is_allowed_is_possible_and_the_rest_is_not() {
        let Some(mut domain) = Domain::with(Outside { signals: true, ..Outside::default() }).unwrap() else {
            return eprintln!("SKIPPED: no Landlock");
        };
        let (read, write) = (place("read"), place("write"));
        domain.allow(open(&read), Right::Read).unwrap();
        domain.allow(open(&write), Right::Write).unwrap();
        // A right of directories on a file is not an error: what of it a file can have is given.
        domain.allow(open(&write.join("file")), Right::Execute).unwrap();
        let held = inside(domain, || {
            fs::read(read.join("file")).is_ok()
                && fs::read_dir(&read).is_ok()
                && fs::write(read.join("file"), "x").is_err()
                && fs::write(read.join("other"), "x").is_err()
                && fs::write(write.join("other"), "x").is_ok()
                && fs::create_dir(write.join("directory")).is_ok()
                && fs::rename(write.join("other"), write.join("directory/other")).is_ok()
                && fs::remove_dir_all(write.join("directory")).is_ok()
                && std::process::Command::new("/bin/true").status().is_err()
                && nix::sys::signal::kill(nix::unistd::getppid(), None).is_ok()
        });
        let _ = (fs::remove_dir_all(&read), fs::remove_dir_all(&write));
        assert!(held);
    }

    #[test]
    fn an_older_kernel_is_asked_for_what_it_knows() {
        if version() == 0 {
            return eprintln!("SKIPPED: no Landlock");
        }
        for older in 1..=version().min(6) {
            let mut domain = Domain::of(older, Outside::default()).unwrap().unwrap();
            let place = place(&format!("older-{older}"));
            domain.allow(open(&place), Right::Write).unwrap();
            let file = place.join("file");
            // Cutting a file is refused from version 3 on where writing it is not allowed.
            let cuts = inside(domain, || fs::write(&file, "x").is_ok());
            let _ = fs::remove_dir_all(&place);
            assert!(cuts, "version {older}");
            assert_eq!(missing(older).count(), 6 - older as usize);
        }
        assert!(Domain::of(0, Outside::default()).unwrap().is_none());
    }
}
