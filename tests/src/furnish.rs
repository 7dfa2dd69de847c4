//! What the first process of a capsule or of a node does to its own mounts: layers in memory over the machine's
//! directories, and mount points that the machine does not have.
//!
//! Only processes that are the first of their own namespaces may call any of this; it must never make a file or a
//! directory on the machine.

use anyhow::{Context as _, bail};
use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, mount, mount_bind_recursive};
use std::ffi::CString;
use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Refuses to touch mounts anywhere but as the first process of a namespace made for that.
pub fn require_first_process() -> anyhow::Result<()> {
    if std::process::id() != 1 {
        bail!("refused: this must be the first process of its own namespaces");
    }
    Ok(())
}

/// The number by which the processes outside know this one. To be asked before `/proc` is mounted anew.
pub fn pid_outside() -> anyhow::Result<i32> {
    let outside = fs::read_link("/proc/self").context("/proc/self")?;
    outside.to_str().and_then(|pid| pid.parse().ok()).context("/proc/self is not a number")
}

/// The layers that let a capsule or a node add to directories of the machine.
#[derive(Debug)]
pub struct Layers {
    place: PathBuf,
    made: usize,
    /// Device numbers of the file systems that belong to nobody else.
    own: Vec<u64>,
}

impl Layers {
    /// Keeps the layers in `place`, a directory of its own; `own` are the devices on which nothing needs a layer.
    pub fn new(place: &Path, own: Vec<u64>) -> anyhow::Result<Self> {
        fs::create_dir_all(place).with_context(|| place.display().to_string())?;
        fs::set_permissions(place, fs::Permissions::from_mode(0o700)).with_context(|| place.display().to_string())?;
        Ok(Self { place: place.to_owned(), made: 0, own })
    }

    /// Makes `directory` writable for these namespaces alone, with the files of `over` in front of its own.
    ///
    /// What is mounted below it stays visible.
    pub fn cover(&mut self, directory: &Path, over: Option<&OwnedFd>) -> anyhow::Result<()> {
        let below = mounts_below(directory)?;
        let lower = hold(directory)?;
        let layer = self.place.join(self.made.to_string());
        self.made += 1;
        let (upper, work) = (layer.join("upper"), layer.join("work"));
        fs::create_dir_all(&upper)?;
        fs::create_dir_all(&work)?;
        // The upper layer decides how the merged directory looks.
        let look = fs::metadata(directory)?;
        fs::set_permissions(&upper, look.permissions())?;
        std::os::unix::fs::chown(&upper, Some(look.uid()), Some(look.gid()))?;

        let front = over.map(|over| held(over) + ":").unwrap_or_default();
        let options = format!(
            "lowerdir={front}{},upperdir={},workdir={}",
            held(&lower),
            upper.to_str().context("path")?,
            work.to_str().context("path")?
        );
        let options = CString::new(options)?;
        mount("overlay", directory, "overlay", MountFlags::empty(), options.as_c_str())
            .with_context(|| format!("overlay on {}", directory.display()))?;
        for (point, source) in below {
            mount_bind_recursive(held(&source), &point).with_context(|| format!("mount {} again", point.display()))?;
        }
        self.own.push(fs::metadata(directory)?.dev());
        Ok(())
    }

    /// Returns where `inside` really is, after making it if there is no such directory or file.
    pub fn make_point(&mut self, inside: &Path, directory: bool) -> anyhow::Result<PathBuf> {
        if !inside.is_absolute() {
            bail!("{} must be an absolute path", inside.display());
        }
        if let Ok(present) = inside.canonicalize() {
            if present.is_dir() != directory {
                bail!("{}: a directory and a file cannot stand for each other", inside.display());
            }
            return Ok(present);
        }
        let parent = inside.ancestors().find(|path| path.exists()).context("no parent")?;
        let missing = inside.strip_prefix(parent)?;
        let parent = parent.canonicalize()?;
        if !self.own.contains(&fs::metadata(&parent)?.dev()) {
            if parent == Path::new("/") {
                bail!("{} cannot be made: it would lie directly below /", inside.display());
            }
            self.cover(&parent, None)?;
        }
        let point = parent.join(missing);
        let made = if directory {
            fs::create_dir_all(&point)
        } else {
            fs::create_dir_all(point.parent().context("no parent")?).and_then(|()| fs::write(&point, ""))
        };
        made.with_context(|| format!("mount point {}", point.display()))?;
        Ok(point)
    }
}

/// Opens a file or directory only to name it, whatever will be mounted over its path.
pub fn hold(path: &Path) -> anyhow::Result<OwnedFd> {
    rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).with_context(|| path.display().to_string())
}

/// A path to what [`hold`] opened.
pub fn held(file: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// Whether what [`hold`] opened is a directory.
pub fn is_directory(file: &OwnedFd) -> anyhow::Result<bool> {
    Ok(fs::metadata(held(file))?.is_dir())
}

/// Mounts an empty file system in memory and returns its device number.
pub fn memory(path: &str, options: &str) -> anyhow::Result<u64> {
    let options = CString::new(options)?;
    mount("tmpfs", path, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, options.as_c_str())
        .with_context(|| format!("mount {path}"))?;
    Ok(fs::metadata(path).context("the new mount")?.dev())
}

/// The topmost mounts strictly below a directory, held open.
fn mounts_below(directory: &Path) -> anyhow::Result<Vec<(PathBuf, OwnedFd)>> {
    let table = fs::read_to_string("/proc/self/mountinfo").context("/proc/self/mountinfo")?;
    let mut points: Vec<PathBuf> = table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|point| PathBuf::from(point.replace("\\040", " ")))
        .filter(|point| point != directory && point.starts_with(directory) && point.exists())
        .collect();
    points.sort();
    points.dedup_by(|later, earlier| later.starts_with(earlier));
    points.into_iter().map(|point| Ok((point.clone(), hold(&point)?))).collect()
}

/// User and group that Pacemaker's daemons run as.
pub fn cluster_user() -> anyhow::Result<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").context("/etc/passwd")?;
    let entry = users.lines().find(|line| line.starts_with("hacluster:")).context("there is no user hacluster")?;
    let mut numbers = entry.split(':').skip(2).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(user)), Some(Ok(group))) => Ok((user, group)),
        _ => bail!("the entry of hacluster in /etc/passwd is not understood"),
    }
}
