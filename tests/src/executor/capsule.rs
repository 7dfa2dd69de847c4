//! The first process of a capsule: mounts, starts the executor and the client, buries the dead.
//!
//! It runs inside mount, pid, uts, ipc and net namespaces of its own, so whatever it makes ends with it. It must never
//! make a file or directory on the machine: what is missing there is made in memory, in an overlay on the parent.

use crate::say;
use anyhow::{Context as _, bail};
use ocf_wasm_tests::executor::protocol::{Line, Plan};
use ocf_wasm_tests::executor::{AGENTS, EXECUTOR, EXECUTOR_LOG, EXECUTOR_OUTPUT, NODE, PATH};
use ocf_wasm_tests::furnish::{
    Layers, cluster_user, held, hold, is_directory, memory, pid_outside, require_first_process,
};
use rustix::fs::Mode;
use rustix::mount::{MountFlags, mount, mount_bind_recursive};
use rustix::process::{Pid, WaitOptions};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
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
    say(&Line::Capsule { pid: pid_outside()? })?;

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
    Layers::new(Path::new(LAYERS), vec![run])?.cover(Path::new("/usr"), None)
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
    let own = vec![
        memory("/run", "mode=755,size=512m")?,
        memory("/dev/shm", "mode=1777,size=512m")?,
        memory("/var/log", "mode=755,size=512m")?,
        memory("/var/lib/pacemaker", "mode=755,size=64m")?,
    ];
    let mut layers = Layers::new(Path::new(LAYERS), own)?;
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
