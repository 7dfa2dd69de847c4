//! The first process of a capsule: mounts, starts the executor and the client, buries the dead.
//!
//! It runs inside mount, pid, uts, ipc and net namespaces of its own, so whatever it makes ends with it. It must never
//! make a file or directory on the machine: what is missing there is made in memory, in an overlay on the parent.

use crate::{require_first_process, say};
use anyhow::{Context as _, bail};
use ocf_wasm_tests::executor::protocol::{Line, Plan};
use ocf_wasm_tests::executor::{AGENTS, EXECUTOR, EXECUTOR_LOG, EXECUTOR_OUTPUT, NODE, PATH};
use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, mount, mount_bind_recursive};
use rustix::process::{Pid, WaitOptions};
use std::ffi::CString;
use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where the upper layers of the overlays live.
const LAYERS: &str = "/run/.layers";

/// What `pacemakerd` of a cluster without an environment of its own hands to the executor, which hands it to agents.
const AS_FROM_PACEMAKERD: [(&str, &str); 14] = [
    ("LANG", "C"),
    ("LC_ALL", "C"),
    ("OCF_OUTPUT_FORMAT", "text"),
    ("PCMK_logfacility", "none"),
    ("PCMK_service", "pacemaker-execd"),
    ("PCMK_mcp", "true"),
    ("HA_mcp", "true"),
    ("PCMK_cluster_type", "corosync"),
    ("HA_cluster_type", "corosync"),
    ("PCMK_quorum_type", "corosync"),
    ("HA_quorum_type", "corosync"),
    ("PCMK_debug", "0"),
    ("HA_debug", "0"),
    ("PCMK_watchdog", "false"),
];

/// Furnishes the capsule and stays until the client ends.
pub(crate) fn run(plan: &Plan) -> anyhow::Result<()> {
    require_first_process()?;
    // /proc still is the one of outside, where this process goes by another number.
    let outside = fs::read_link("/proc/self").context("/proc/self")?;
    let pid = outside.to_str().and_then(|pid| pid.parse().ok()).context("/proc/self is not a number")?;
    say(&Line::Capsule { pid })?;

    rustix::process::setsid().context("setsid")?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    rustix::system::sethostname(NODE.as_bytes()).context("hostname")?;
    let mut loopback = Command::new("ip").args(["link", "set", "lo", "up"]).spawn().context("ip")?;
    furnish(plan)?;
    if !loopback.wait().context("ip")?.success() {
        bail!("the loopback interface stays down");
    }

    let output = fs::File::create(EXECUTOR_OUTPUT).context(EXECUTOR_OUTPUT)?;
    Command::new(EXECUTOR)
        .env_clear()
        .env("PATH", PATH)
        .env("PCMK_logfile", EXECUTOR_LOG)
        .envs(AS_FROM_PACEMAKERD)
        .envs(plan.environment.iter().map(|(name, value)| (name, value)))
        // Without the supplementary groups of whoever runs the tests.
        .uid(0)
        .gid(0)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .context(EXECUTOR)?;
    let client = Command::new("/proc/self/exe")
        .arg("client")
        .arg(plan.ready_within_ms.to_string())
        .spawn()
        .context("the client")?;
    loop {
        // Any child: what was orphaned in a process group of its own is inherited, and buried, too.
        let (dead, status) = rustix::process::wait(WaitOptions::empty()).context("wait")?.context("wait")?;
        if dead == Pid::from_child(&client) {
            return match status.exit_status() {
                Some(0) => Ok(()),
                _ => Err(anyhow::anyhow!("the executor's client ended")),
            };
        }
    }
}

/// Proves that an overlay with its upper layer in memory can be mounted.
pub(crate) fn try_overlay() -> anyhow::Result<()> {
    require_first_process()?;
    let run = memory("/run", "mode=755,size=1m")?;
    Layers::new(vec![run])?.cover(Path::new("/usr"), None)
}

fn furnish(plan: &Plan) -> anyhow::Result<()> {
    // Held open from here on: the mounts below may cover the paths.
    let resource_d = hold(&plan.resource_d)?;
    let cgroup = Path::new("/sys/fs/cgroup").exists().then(|| hold(Path::new("/sys/fs/cgroup"))).transpose()?;
    let binds = plan.binds.iter().map(|(host, inside)| Ok((hold(host)?, inside)));
    let binds = binds.collect::<anyhow::Result<Vec<_>>>()?;

    let harmless = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "/proc", "proc", harmless, None).context("mount /proc")?;
    mount("sysfs", "/sys", "sysfs", harmless, None).context("mount /sys")?;
    if let Some(cgroup) = &cgroup {
        mount_bind_recursive(held(cgroup), "/sys/fs/cgroup").context("mount /sys/fs/cgroup")?;
    }
    let mut layers = Layers::new(vec![
        memory("/run", "mode=755,size=512m")?,
        memory("/dev/shm", "mode=1777,size=512m")?,
        memory("/var/log", "mode=755,size=512m")?,
        memory("/var/lib/pacemaker", "mode=755,size=64m")?,
    ])?;
    layers.cover(Path::new(AGENTS), Some(&resource_d)).context("the agents under test")?;
    let mut points = Vec::new();
    for (source, inside) in &binds {
        points.push(layers.make_point(inside, is_directory(source)?)?);
    }
    for ((source, _), point) in binds.iter().zip(&points) {
        mount_bind_recursive(held(source), point).with_context(|| format!("mount {}", point.display()))?;
    }

    let (user, group) = cluster_user()?;
    for (directory, mode, owned) in [
        ("/run/crm", 0o750, true),
        ("/run/lock", 0o1777, false),
        ("/run/resource-agents", 0o755, false),
        ("/var/log/pacemaker", 0o770, true),
        ("/var/lib/pacemaker/cores", 0o750, true),
        ("/var/lib/pacemaker/blackbox", 0o750, true),
    ] {
        fs::create_dir_all(directory).context(directory)?;
        fs::set_permissions(directory, fs::Permissions::from_mode(mode)).context(directory)?;
        if owned {
            std::os::unix::fs::chown(directory, Some(user), Some(group)).context(directory)?;
        }
    }
    Ok(())
}

/// The layers in memory that let the capsule add to directories of the machine.
struct Layers {
    made: usize,
    /// Device numbers of the file systems that belong to the capsule alone.
    own: Vec<u64>,
}

impl Layers {
    fn new(own: Vec<u64>) -> anyhow::Result<Self> {
        fs::create_dir(LAYERS).context(LAYERS)?;
        fs::set_permissions(LAYERS, fs::Permissions::from_mode(0o700)).context(LAYERS)?;
        Ok(Self { made: 0, own })
    }

    /// Makes `directory` writable for the capsule alone, with the files of `over` in front of its own.
    ///
    /// What is mounted below it stays visible.
    fn cover(&mut self, directory: &Path, over: Option<&OwnedFd>) -> anyhow::Result<()> {
        let below = mounts_below(directory)?;
        let lower = hold(directory)?;
        let layer = Path::new(LAYERS).join(self.made.to_string());
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

    /// Returns where `inside` really is, after making it if the capsule has no such directory or file.
    fn make_point(&mut self, inside: &Path, directory: bool) -> anyhow::Result<PathBuf> {
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
fn hold(path: &Path) -> anyhow::Result<OwnedFd> {
    rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).with_context(|| path.display().to_string())
}

/// A path to what [`hold`] opened.
fn held(file: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

fn is_directory(file: &OwnedFd) -> anyhow::Result<bool> {
    Ok(fs::metadata(held(file))?.is_dir())
}

/// Mounts an empty file system in memory and returns its device number.
fn memory(path: &str, options: &str) -> anyhow::Result<u64> {
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
fn cluster_user() -> anyhow::Result<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").context("/etc/passwd")?;
    let entry = users.lines().find(|line| line.starts_with("hacluster:")).context("there is no user hacluster")?;
    let mut numbers = entry.split(':').skip(2).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(user)), Some(Ok(group))) => Ok((user, group)),
        _ => bail!("the entry of hacluster in /etc/passwd is not understood"),
    }
}
