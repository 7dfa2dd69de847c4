//! The files that a program sees: a root of its own that holds the system's programs and libraries, read-only, what is
//! granted, and nothing else.
//!
//! All of it is opened, copied and made before the fork, by mounts that nobody sees yet; the child only puts them in
//! place. What is granted is followed through no symbolic link, so that who owns a directory on the way cannot lead it
//! elsewhere. What must never enter here: a place that is the operator's to grant.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::io::{Error, ErrorKind, Result};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::fcntl::{OFlag, open, openat};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, SFlag, fstat, mkdirat, umask};
use nix::unistd::{fchdir, symlinkat};

use crate::sandbox::confinement::Confinement;
use crate::sandbox::hidden;
use crate::sandbox::landlock::{Domain, Right};
use crate::sys::mount::{self, attribute};

/// What each program can read: without it no program of a distribution runs.
const SYSTEM: [&str; 8] = ["/usr", "/etc", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];
/// Kernel file systems, without what is mounted below: read-only, so that nothing is tuned, triggered or poked there.
const KERNEL: [&str; 2] = ["/proc", "/sys"];
/// The directories of temporary files, empty and of nobody else.
const TEMPORARY: [&str; 2] = ["/tmp", "/var/tmp"];
/// Devices that hold nothing.
const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];
/// Links in /dev that programs expect.
const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];
/// What is said of /proc.
const PROCESSES: u64 = attribute::READ_ONLY | attribute::NO_SETUID | attribute::NO_DEVICES | attribute::NO_EXECUTION;
/// Bytes of files in one temporary directory, where memory is not limited.
const TEMPORARY_BYTES: u64 = 512 * 1024 * 1024;

/// What will be mounted somewhere.
enum What {
    /// What is there on this node, with what is mounted below it or not.
    Host { with_all: bool, right: Right },
    /// An empty directory of its own.
    Fresh { mode: u32, bytes: u64, right: Right },
    /// Nothing where a file is.
    NoFile,
}

/// The root of its own, ready to be entered. Without the right to mount there is none, and Landlock alone holds.
pub(super) struct View {
    /// None where this node cannot make it.
    mounts: Option<Mounts>,
}

struct Mounts {
    root: OwnedFd,
    /// By place below the root, those above before those below.
    places: Vec<(PathBuf, OwnedFd)>,
}

/// Collects what a program sees, and allows the same in its domain.
///
/// # Errors
/// A sentence: a granted path is not there, or leads through a symbolic link.
pub(super) fn prepare(of: &Confinement, mut domain: Option<&mut Domain>) -> std::result::Result<View, String> {
    let here = open("/", OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(|error| format!("view: /: {error}"))?;
    let can_mount = super::super::layers::can_mount();
    // The places of mounts are everybody's to pass, whatever the cluster's daemon lets its children make.
    let _umask = Umask::none();
    let mut made = BTreeMap::new();
    for (path, what) in &plan(of) {
        let place = match what {
            What::Host { .. } | What::NoFile => {
                let seen = if matches!(what, What::NoFile) { Path::new("/dev/null") } else { path };
                Some(mount::place(&here, seen).map_err(|error| told(path, &error))?)
            }
            What::Fresh { .. } => None,
        };
        let failed = |error: Error| format!("view: {}: {error}", path.display());
        let mounted = if can_mount { Some(make(what, place.as_ref()).map_err(failed)?) } else { None };
        if let (Some(domain), Some(right), Some(at)) =
            (domain.as_deref_mut(), what.right(), mounted.as_ref().filter(|_| place.is_none()).or(place.as_ref()))
        {
            domain.allow(at, right).map_err(failed)?;
        }
        if let Some(mounted) = mounted {
            made.insert(path.clone(), (mounted, matches!(what, What::Fresh { .. })));
        }
    }
    if !can_mount {
        return Ok(View { mounts: None });
    }
    let mounts = furnish(made, domain).map_err(|error| format!("view: {error}"))?;
    Ok(View { mounts: Some(mounts) })
}

/// A process makes files as it says, until this is dropped.
struct Umask(Mode);

impl Umask {
    fn none() -> Self {
        Self(umask(Mode::empty()))
    }
}

impl Drop for Umask {
    fn drop(&mut self) {
        umask(self.0);
    }
}

/// What stands where: a later entry for the same place wins.
fn plan(of: &Confinement) -> BTreeMap<PathBuf, What> {
    let mut plan = BTreeMap::new();
    let bytes = of.fixed.limits.memory.unwrap_or(TEMPORARY_BYTES);
    let host = |right| What::Host { with_all: true, right };
    for path in SYSTEM.map(Path::new).into_iter().filter(|path| path.is_dir() && !path.is_symlink()) {
        plan.insert(path.to_owned(), host(Right::Execute));
    }
    for path in KERNEL {
        plan.insert(path.into(), What::Host { with_all: false, right: Right::Read });
    }
    for path in TEMPORARY {
        plan.insert(path.into(), What::Fresh { mode: 0o1777, bytes, right: Right::Write });
    }
    plan.insert("/dev".into(), What::Fresh { mode: 0o755, bytes: 0, right: Right::Read });
    for name in DEVICES {
        plan.insert(Path::new("/dev").join(name), What::Host { with_all: false, right: Right::Device });
    }
    let shared = Path::new("/dev/shm");
    plan.insert(
        shared.into(),
        match of.cluster {
            // There the cluster's daemons meet those who talk to them.
            true => What::Host { with_all: false, right: Right::Write },
            false => What::Fresh { mode: 0o1777, bytes, right: Right::Write },
        },
    );
    // Where logs go, and how names are resolved: each may be a link to a place that is not shown.
    for (name, real) in ["/dev/log", "/etc/resolv.conf"].map(|name| (name, Path::new(name).canonicalize())) {
        if let Ok(real) = real
            && (real != Path::new(name) || name == "/dev/log")
        {
            plan.insert(real, What::Host { with_all: false, right: Right::Read });
        }
    }
    for path in &of.read {
        plan.insert(path.clone(), host(Right::Execute));
    }
    for path in &of.write {
        plan.insert(path.clone(), host(Right::Write));
    }
    for (named, _) in hidden::hidden() {
        let is_below = |plan: &BTreeMap<_, _>, path: &Path| {
            path.ancestors().skip(1).any(|above| matches!(plan.get(above), Some(What::Host { .. })))
        };
        // What is not shown is not looked at. A secret that its place only leads to is hidden where it is.
        if is_below(&plan, named)
            && !plan.contains_key(named)
            && let Ok(path) = named.canonicalize()
            && is_below(&plan, &path)
            && !plan.contains_key(&path)
            && let Ok(facts) = path.symlink_metadata()
        {
            let directory = What::Fresh { mode: 0o755, bytes: 0, right: Right::Read };
            plan.insert(path, if facts.is_dir() { directory } else { What::NoFile });
        }
    }
    plan
}

impl What {
    fn right(&self) -> Option<Right> {
        match self {
            Self::Host { right, .. } | Self::Fresh { right, .. } => Some(*right),
            Self::NoFile => None,
        }
    }
}

fn told(path: &Path, error: &Error) -> String {
    let shown = path.display();
    match error.raw_os_error() {
        Some(libc::ELOOP) => match path.canonicalize() {
            Ok(real) => format!("view: {shown} leads through a symbolic link: name {} in the policy", real.display()),
            Err(_) => format!("view: {shown} leads through a symbolic link"),
        },
        _ if error.kind() == ErrorKind::NotFound => format!("view: {shown} is not there"),
        _ => format!("view: {shown}: {error}"),
    }
}

fn make(what: &What, place: Option<&OwnedFd>) -> Result<OwnedFd> {
    let always = attribute::NO_SETUID;
    match (what, place) {
        (What::Fresh { mode, bytes, right }, _) => {
            // Nothing that was written can be executed.
            let execution = if *right == Right::Write { attribute::NO_EXECUTION } else { 0 };
            memory(*mode, *bytes, always | attribute::NO_DEVICES | execution)
        }
        (What::Host { with_all, right }, Some(place)) => {
            let attributes = match right {
                Right::Device => always | attribute::NO_EXECUTION,
                Right::Write => always | attribute::NO_DEVICES | attribute::NO_EXECUTION,
                Right::Read | Right::Execute => always | attribute::NO_DEVICES | attribute::READ_ONLY,
            };
            // In a namespace of one user, what is mounted below may not be uncovered.
            match mount::copy(place, *with_all, attributes) {
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) && !with_all => {
                    mount::copy(place, true, attributes)
                }
                copied => copied,
            }
        }
        (What::NoFile, Some(null)) => mount::copy(null, false, attribute::READ_ONLY | attribute::NO_DEVICES | always),
        (_, None) => Err(ErrorKind::NotFound.into()),
    }
}

/// A file system in memory; 0 bytes: only for names.
fn memory(mode: u32, bytes: u64, attributes: u64) -> Result<OwnedFd> {
    let text = |text: String| CString::new(text).map_err(Error::other);
    let (mode, size) = (text(format!("{mode:o}"))?, text(format!("{}", bytes.max(4096)))?);
    let files = text(format!("{}", (bytes / 4096).clamp(256, 1 << 20)))?;
    mount::make(c"tmpfs", &[(c"mode", &mode), (c"size", &size), (c"nr_inodes", &files)], attributes)
}

/// Makes the root, and in it and in all that is empty the places where others will be mounted.
fn furnish(made: BTreeMap<PathBuf, (OwnedFd, bool)>, domain: Option<&mut Domain>) -> Result<Mounts> {
    let root = memory(0o755, 0, attribute::NO_SETUID | attribute::NO_DEVICES)?;
    if let Some(domain) = domain {
        domain.allow(&root, Right::Read)?;
    }
    for name in SYSTEM.map(Path::new) {
        if let (Ok(target), Some(name)) = (name.read_link(), name.file_name()) {
            symlinkat(&target, &root, name)?;
        }
    }
    if let Some((devices, _)) = made.get(Path::new("/dev")) {
        for (name, target) in LINKS {
            symlinkat(target, devices, name)?;
        }
        if let Ok(real) = Path::new("/dev/log").canonicalize()
            && real != Path::new("/dev/log")
        {
            symlinkat(&real, devices, "log")?;
        }
    }
    let names: Vec<PathBuf> = made.keys().cloned().collect();
    for path in &names {
        let above = path.ancestors().skip(1).find_map(|above| made.get_key_value(above));
        let (base, below) = match above {
            // What is there on this node is there below as well.
            Some((_, (_, false))) => continue,
            Some((above, (mounted, true))) => (mounted.as_fd(), path.strip_prefix(above).map_err(Error::other)?),
            None => (root.as_fd(), path.strip_prefix("/").map_err(Error::other)?),
        };
        let is_directory = made.get(path).is_some_and(|(mounted, _)| is_directory(mounted));
        mount_point(base, below, is_directory)?;
    }
    let places = made
        .into_iter()
        .map(|(path, (mounted, _))| (path.strip_prefix("/").map_or(path.clone(), Path::to_owned), mounted));
    Ok(Mounts { root, places: places.collect() })
}

fn is_directory(what: &OwnedFd) -> bool {
    fstat(what).is_ok_and(|facts| SFlag::from_bits_truncate(facts.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR)
}

fn mount_point(base: BorrowedFd<'_>, below: &Path, is_directory: bool) -> Result<()> {
    let names: Vec<_> =
        below.components().filter_map(|c| if let Component::Normal(n) = c { Some(n) } else { None }).collect();
    let mut so_far = PathBuf::new();
    for (index, name) in names.iter().enumerate() {
        so_far.push(name);
        let done = if index + 1 < names.len() || is_directory {
            mkdirat(base, &so_far, Mode::from_bits_truncate(0o755))
        } else {
            openat(base, &so_far, OFlag::O_CREAT | OFlag::O_CLOEXEC, Mode::from_bits_truncate(0o444)).map(drop)
        };
        match done {
            Ok(()) | Err(nix::Error::EEXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

impl View {
    /// Makes it all that this process sees, for good. To be called in the child, while it may still mount. With a process
    /// namespace of its own, /proc is made there.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn enter(&self, has_own_processes: bool) -> Result<()> {
        let Some(Mounts { root, places }) = &self.mounts else { return Ok(()) };
        unshare(CloneFlags::CLONE_NEWNS)?;
        let private = nix::mount::MsFlags::MS_REC | nix::mount::MsFlags::MS_PRIVATE;
        nix::mount::mount(None::<&str>, "/", None::<&str>, private, None::<&str>)?;
        // Any directory that is there: it is gone with the old root.
        let anywhere = open("/etc", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
        mount::attach(root, &anywhere)?;
        for (path, mounted) in places {
            let at = mount::place(root, path)?;
            if has_own_processes && path == Path::new("proc") {
                mount::attach(mount::make(c"proc", &[], PROCESSES)?, at)?;
            } else {
                mount::attach(mounted, at)?;
            }
        }
        mount::restrict(root, attribute::READ_ONLY)?;
        if let Some((_, devices)) = places.iter().find(|(path, _)| path == Path::new("dev")) {
            mount::restrict(devices, attribute::READ_ONLY)?;
        }
        fchdir(root)?;
        mount::become_root()
    }
}
