//! The first process of a node: mounts, starts corosync and Pacemaker, buries the dead.
//!
//! It runs inside mount, pid, uts, ipc and net namespaces of its own. It says its process id, and is told over standard
//! input what to do: `start` the cluster, have a `load` of so many busy threads. It must never make a file or directory
//! on the machine: what is missing there is made in an overlay, in memory or on the node's own disk.

use anyhow::{Context as _, ensure};
use ocf_wasm_tests::cluster::plan::{MEMORY, NETWORK, NodePlan, ON_DISK, POWER, node_name};
use ocf_wasm_tests::executor::AGENTS;
use ocf_wasm_tests::furnish::{
    Layers, cluster_user, held, hold, is_directory, memory, pid_outside, require_first_process,
};
use rustix::fs::Mode;
use rustix::mount::{MountFlags, mount, mount_bind, mount_bind_recursive};
use rustix::process::WaitOptions;
use std::fs;
use std::hint::black_box;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The users that it has: those of the machine, and the one that installing for real would make.
const USERS: [(&str, &str); 2] = [("etc/passwd", "/etc/passwd"), ("etc/group", "/etc/group")];

/// Starts what a node of a cluster starts when it gets power, and leaves it to the first process.
///
/// Without corosync Pacemaker would end again, so it waits for it. What the environment has is what agents get.
const START: &str = "\
ulimit -c 0
corosync -f >>/var/log/corosync.out 2>&1 &
until corosync-cmapctl -g totem.cluster_name >/dev/null 2>&1; do kill -0 $! || exit 1; sleep 0.05; done
PCMK_logfile=/var/log/pacemaker/pacemaker.log PCMK_logfacility=none pacemakerd >>/var/log/pacemakerd.out 2>&1 &
";

/// See above.
pub(crate) fn run(plan: &NodePlan) -> anyhow::Result<()> {
    require_first_process()?;
    // /proc still is the one of outside, where this process goes by another number.
    let pid = pid_outside()?;
    fs::write(plan.group.join("cgroup.procs"), "0").context("the control group")?;
    rustix::process::setsid().context("setsid")?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let name = node_name(plan.number);
    rustix::system::sethostname(name.as_bytes()).context("hostname")?;
    ip(&["link", "set", "lo", "up"])?;
    furnish(plan)?;
    println!("{pid}");
    std::io::stdout().flush()?;
    let number = plan.number;
    std::thread::spawn(move || {
        if let Err(error) = obey(number) {
            eprintln!("{error:#}");
        }
    });
    loop {
        // Any child: what was orphaned is inherited, and buried, too.
        if rustix::process::wait(WaitOptions::empty()).is_err() {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Does what it is told. It must wait for no child: the first thread buries them all.
fn obey(number: usize) -> anyhow::Result<()> {
    let wanted = Arc::new(AtomicU64::new(0));
    let busy = std::thread::available_parallelism().map_or(1, usize::from).max(16);
    let mut threads = 0;
    for line in std::io::stdin().lines() {
        let line = line.context("stdin")?;
        match line.split_once(' ') {
            None if line == "start" => {
                let script = format!("ip addr replace {NETWORK}.{number}/24 dev eth0; ip link set eth0 up\n{START}");
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(script).stdin(Stdio::null()).stdout(Stdio::null());
                drop(shell.spawn().context("sh")?);
            }
            Some(("load", count)) => {
                let count: u64 = count.parse().context("load")?;
                wanted.store(count, Ordering::Relaxed);
                while threads < count && threads < busy as u64 {
                    let (mine, wanted) = (threads, Arc::clone(&wanted));
                    std::thread::spawn(move || {
                        loop {
                            if mine < wanted.load(Ordering::Relaxed) {
                                (0..1_000_000_u64).for_each(|step| _ = black_box(step));
                            } else {
                                std::thread::sleep(Duration::from_millis(50));
                            }
                        }
                    });
                    threads += 1;
                }
            }
            _ => eprintln!("not understood: {line:?}"),
        }
    }
    Ok(())
}

fn furnish(plan: &NodePlan) -> anyhow::Result<()> {
    // Held open from here on: the mounts below may cover the paths.
    let disk = hold(&plan.disk)?;
    let power = hold(&Path::new(MEMORY).join("power"))?;
    let group = hold(&plan.group)?;
    let binds = plan.binds.iter().map(|(outside, inside)| Ok((hold(outside)?, inside)));
    let binds = binds.collect::<anyhow::Result<Vec<_>>>()?;

    let harmless = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "/proc", "proc", harmless, None).context("mount /proc")?;
    // A node that despairs of itself writes there, and the kernel is the machine's.
    if Path::new("/proc/sysrq-trigger").exists() {
        mount_bind("/dev/null", "/proc/sysrq-trigger").context("mount /proc/sysrq-trigger")?;
    }
    mount("sysfs", "/sys", "sysfs", harmless, None).context("mount /sys")?;
    mount_bind(held(&group), "/sys/fs/cgroup").context("mount /sys/fs/cgroup")?;
    let own = vec![
        memory("/run", &format!("mode=755,size={}", plan.run_bytes))?,
        memory("/dev/shm", "mode=1777,size=512m")?,
        memory("/tmp", "mode=1777,size=64m")?,
        memory("/root", "mode=700,size=16m")?,
    ];
    mount_bind(format!("{}/log", held(&disk)), "/var/log").context("mount /var/log")?;
    // What is installed stays installed.
    let on_disk = format!("{}/layers", held(&disk));
    Layers::new(Path::new(&on_disk), Vec::new())?.cover(Path::new(AGENTS), None)?;
    let mut layers = Layers::new(Path::new("/run/.layers"), own)?;
    for (name, inside) in ON_DISK.into_iter().chain(USERS) {
        let source = hold(Path::new(&format!("{}/{name}", held(&disk))))?;
        let point = layers.make_point(Path::new(inside), is_directory(&source)?)?;
        mount_bind(held(&source), &point).with_context(|| format!("mount {inside}"))?;
    }
    for (source, inside) in &binds {
        let point = layers.make_point(inside, is_directory(source)?)?;
        mount_bind_recursive(held(source), &point).with_context(|| format!("mount {}", inside.display()))?;
    }

    let (user, group) = cluster_user()?;
    for (directory, mode, is_the_clusters) in [
        ("/run/crm", 0o750, true),
        ("/run/lock", 0o1777, false),
        ("/run/resource-agents", 0o755, false),
        (POWER, 0o700, false),
    ] {
        fs::create_dir_all(directory).context(directory)?;
        fs::set_permissions(directory, fs::Permissions::from_mode(mode)).context(directory)?;
        if is_the_clusters {
            std::os::unix::fs::chown(directory, Some(user), Some(group)).context(directory)?;
        }
    }
    mount_bind(held(&power), POWER).context("mount the socket of the power")?;
    Ok(())
}

/// Changes the network. Only before the first process begins to bury what it did not start.
fn ip(words: &[&str]) -> anyhow::Result<()> {
    let done = Command::new("ip").args(words).stdin(Stdio::null()).output().context("ip")?;
    ensure!(done.status.success(), "ip {}: {}", words.join(" "), String::from_utf8_lossy(&done.stderr).trim());
    Ok(())
}
