//! The first process of a box before it is systemd: enters control groups, builds a root over the machine's own, leaves
//! out what the machine has enabled, and becomes systemd.
//!
//! It must never make a file or a directory on the machine: all that it writes goes to an overlay, in memory or on a disk of
//! the box's own.

use anyhow::{Context as _, bail, ensure};
use ocf_wasm_tests::boxes::plan::{Plan, SYSTEMD, TARGET};
use ocf_wasm_tests::boxes::{Hierarchy, hierarchies};
use ocf_wasm_tests::executor::PATH;
use ocf_wasm_tests::furnish::{held, hold, is_directory, memory, pid_outside, require_first_process};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive, mount_change,
    mount_remount, unmount,
};
use std::ffi::CString;
use std::fs;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Where the box is built; the mount is nobody else's.
const PLACE: &str = "/mnt";
/// Whoever makes the box gives it a link as soon as it knows its first process.
const LINK_WITHIN: Duration = Duration::from_secs(10);
/// Its root.
const ROOT: &str = "/mnt/root";
/// What would touch the machine, or wait for hardware that is not there.
const MASKED: &str = "apt-daily-upgrade.timer apt-daily.timer console-getty.service dev-hugepages.mount dev-mqueue.mount \
    dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer getty-static.service getty.target \
    getty@tty1.service kmod-static-nodes.service ldconfig.service man-db.timer packagekit-offline-update.service \
    proc-sys-fs-binfmt_misc.automount sys-fs-fuse-connections.mount sys-kernel-config.mount sys-kernel-debug.mount \
    sys-kernel-tracing.mount systemd-binfmt.service systemd-firstboot.service systemd-hwdb-update.service \
    systemd-journal-catalog-update.service systemd-journald-audit.socket systemd-logind.service \
    systemd-machine-id-commit.service systemd-modules-load.service systemd-networkd.service systemd-pstore.service \
    systemd-random-seed.service systemd-remount-fs.service systemd-repart.service systemd-resolved.service \
    systemd-sysctl.service systemd-sysusers.service systemd-timesyncd.service systemd-tmpfiles-clean.timer \
    systemd-udev-trigger.service systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udevd.service \
    systemd-update-done.service systemd-update-utmp-runlevel.service systemd-update-utmp.service";
/// Files of the box's own.
const FILES: [(&str, &str); 5] = [
    (
        "etc/systemd/system/ocf-wasm-box.target",
        "[Unit]\nRequires=basic.target\nWants=dbus.socket dbus.service systemd-journald.service\n\
         After=basic.target dbus.service\nAllowIsolate=yes\n",
    ),
    ("etc/systemd/journald.conf.d/box.conf", "[Journal]\nStorage=volatile\nRateLimitBurst=0\nReadKMsg=no\nAudit=no\n"),
    ("etc/systemd/system.conf.d/box.conf", "[Manager]\nDefaultTimeoutStartSec=20s\nDefaultTimeoutStopSec=10s\n"),
    ("etc/fstab", ""),
    ("etc/hosts", "127.0.0.1 localhost\n"),
];

/// Proves that a box can be had: an overlay of the root can be mounted.
pub(crate) fn check() -> anyhow::Result<()> {
    require_first_process()?;
    ensure!(!hierarchies()?.is_empty(), "no hierarchy of control groups is mounted");
    overlay(None)
}

/// Says the process id, enters the control groups, and goes on in a namespace whose root they are.
pub(crate) fn enter(plan: &Plan) -> anyhow::Result<()> {
    require_first_process()?;
    // /proc still is the one of outside, where this process goes by another number.
    println!("{}", pid_outside()?);
    std::io::stdout().flush()?;
    for group in &plan.groups {
        fs::write(group.join("cgroup.procs"), "0").with_context(|| group.display().to_string())?;
    }
    let mut command = Command::new("unshare");
    command.args(["--cgroup", "--"]).arg(std::env::current_exe()?).arg("furnish").arg(serde_json::to_string(plan)?);
    Err(command.exec()).context("unshare")
}

/// See above.
pub(crate) fn run(plan: &Plan) -> anyhow::Result<()> {
    require_first_process()?;
    rustix::system::sethostname(plan.name.as_bytes()).context("hostname")?;
    let up = Command::new("ip").args(["link", "set", "lo", "up"]).status().context("ip")?;
    ensure!(up.success(), "the loopback interface stays down");
    let binds = plan.binds.iter().map(|(outside, inside)| Ok((hold(outside)?, inside)));
    let binds = binds.collect::<anyhow::Result<Vec<_>>>()?;
    let hierarchies = hierarchies()?;
    let disk = plan.disk.as_deref().map(hold).transpose()?;

    overlay(disk.as_ref())?;
    kernel()?;
    devices()?;
    for (directory, mode) in [("run", 755), ("tmp", 1777), ("dev/shm", 1777)] {
        memory(&format!("{ROOT}/{directory}"), &format!("mode={mode}"))?;
    }
    groups(&hierarchies)?;
    settings(plan)?;
    for (source, inside) in &binds {
        let point = Path::new(ROOT).join(inside.strip_prefix("/").context("a path inside is absolute")?);
        if is_directory(source)? {
            fs::create_dir_all(&point)?;
        } else if !point.exists() {
            fs::create_dir_all(point.parent().context("no parent")?)?;
            fs::write(&point, "")?;
        }
        mount_bind_recursive(held(source), &point).with_context(|| format!("mount {}", inside.display()))?;
    }

    if let Some(address) = &plan.address {
        network(address)?;
    }
    // On a disk it may be there, if the power was lost here.
    fs::create_dir_all(format!("{ROOT}/.old"))?;
    std::env::set_current_dir(ROOT)?;
    rustix::process::pivot_root(".", ".old").context("pivot_root")?;
    std::env::set_current_dir("/")?;
    unmount("/.old", UnmountFlags::DETACH).context("umount /.old")?;
    fs::remove_dir("/.old")?;
    // The clock, the modules and the ports are the machine's. Turning off a pid namespace ends just the box.
    let mut systemd = Command::new("setpriv");
    systemd.args(["--bounding-set=-sys_time,-sys_module,-sys_rawio", "--", SYSTEMD, "--system"]);
    systemd.args([&format!("--unit={TARGET}"), "--log-target=journal", "--show-status=0"]);
    systemd.env_clear().envs([("PATH", PATH), ("LANG", "C.UTF-8"), ("container", "ocf-wasm-box")]);
    systemd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Err(systemd.exec()).context("setpriv")
}

/// The machine's root, with what is written on a disk, or in memory.
fn overlay(disk: Option<&OwnedFd>) -> anyhow::Result<()> {
    memory(PLACE, "mode=755")?;
    fs::create_dir(ROOT)?;
    let place = disk.map_or_else(|| PLACE.to_owned(), held);
    let layers = ["upper", "work"].map(|name| format!("{place}/{name}"));
    for layer in &layers {
        fs::create_dir_all(layer)?;
        fs::set_permissions(layer, fs::Permissions::from_mode(0o755))?;
    }
    let [upper, work] = layers;
    let options = CString::new(format!("lowerdir=/,upperdir={upper},workdir={work}"))?;
    mount("overlay", ROOT, "overlay", MountFlags::empty(), options.as_c_str()).context("an overlay of /")
}

/// `/proc` and `/sys`, through which nothing of the machine can be changed.
fn kernel() -> anyhow::Result<()> {
    let harmless = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let proc = format!("{ROOT}/proc");
    mount("proc", &proc, "proc", harmless, None).context("mount /proc")?;
    let (settings, network) = (format!("{proc}/sys"), format!("{proc}/sys/net"));
    mount_bind(&settings, &settings).context("mount /proc/sys")?;
    mount_remount(&settings, MountFlags::BIND | MountFlags::RDONLY | harmless, c"").context("mount /proc/sys")?;
    mount_bind(&network, &network).context("mount /proc/sys/net")?;
    mount_remount(&network, MountFlags::BIND | harmless, c"").context("mount /proc/sys/net")?;
    // Who despairs of a node writes to the first of them, and the kernel is the machine's.
    for name in ["sysrq-trigger", "kcore", "kmsg"] {
        let path = format!("{proc}/{name}");
        if Path::new(&path).exists() {
            mount_bind("/dev/null", &path).with_context(|| format!("mount /proc/{name}"))?;
        }
    }
    // Read-only, which tells systemd that there is no hardware to wait for.
    mount("sysfs", format!("{ROOT}/sys"), "sysfs", harmless | MountFlags::RDONLY, None).context("mount /sys")
}

/// Waits for the link, which is given to who is there, and takes the address. systemd finds it up.
fn network(address: &str) -> anyhow::Result<()> {
    let limit = Instant::now() + LINK_WITHIN;
    while !Path::new(&format!("{ROOT}/sys/class/net/eth0")).exists() {
        ensure!(Instant::now() < limit, "no eth0 within {LINK_WITHIN:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
    for words in [["addr", "add", address, "dev", "eth0"].as_slice(), &["link", "set", "eth0", "up"]] {
        let done = Command::new("ip").args(words).stdin(Stdio::null()).status().context("ip")?;
        ensure!(done.success(), "ip {}", words.join(" "));
    }
    Ok(())
}

fn devices() -> anyhow::Result<()> {
    let dev = format!("{ROOT}/dev");
    mount("tmpfs", &dev, "tmpfs", MountFlags::NOSUID, c"mode=755,size=4m").context("mount /dev")?;
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        let (outside, inside) = (format!("/dev/{name}"), format!("{dev}/{name}"));
        fs::write(&inside, "")?;
        mount_bind(&outside, &inside).context(outside)?;
    }
    for directory in ["pts", "shm"] {
        fs::create_dir(format!("{dev}/{directory}"))?;
    }
    let options = c"newinstance,ptmxmode=0666,mode=620,gid=5";
    mount("devpts", format!("{dev}/pts"), "devpts", MountFlags::NOSUID | MountFlags::NOEXEC, options)
        .context("mount /dev/pts")?;
    for (target, name) in [
        ("pts/ptmx", "ptmx"),
        ("/proc/self/fd", "fd"),
        ("/proc/self/fd/0", "stdin"),
        ("/proc/self/fd/1", "stdout"),
        ("/proc/self/fd/2", "stderr"),
    ] {
        std::os::unix::fs::symlink(target, format!("{dev}/{name}"))?;
    }
    Ok(())
}

/// The hierarchies of control groups as the machine has them: those of version 1 beside the unified one, or that alone.
fn groups(hierarchies: &[Hierarchy]) -> anyhow::Result<()> {
    let harmless = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let place = format!("{ROOT}/sys/fs/cgroup");
    let old: Vec<&Hierarchy> = hierarchies.iter().filter(|one| one.kind == "cgroup").collect();
    if old.is_empty() {
        return mount("cgroup2", &place, "cgroup2", harmless, None).context("mount /sys/fs/cgroup");
    }
    mount("tmpfs", &place, "tmpfs", harmless, c"mode=755").context("mount /sys/fs/cgroup")?;
    let unified = format!("{place}/unified");
    fs::create_dir(&unified)?;
    mount("cgroup2", &unified, "cgroup2", harmless, None).context("mount the unified hierarchy")?;
    for hierarchy in old {
        let own = |word: &&str| !matches!(*word, "rw" | "ro" | "xattr" | "clone_children");
        let words: Vec<&str> = hierarchy.options.split(',').filter(own).collect();
        let options = words.join(",");
        let point = format!("{place}/{}", options.trim_start_matches("name="));
        fs::create_dir(&point)?;
        mount("cgroup", &point, "cgroup", harmless, CString::new(options)?.as_c_str())
            .with_context(|| format!("mount {point}"))?;
    }
    let named = format!("{place}/systemd");
    if !Path::new(&named).exists() {
        fs::create_dir(&named)?;
        mount("cgroup", &named, "cgroup", harmless, c"none,name=systemd,xattr").context("mount the named hierarchy")?;
    }
    Ok(())
}

/// What makes another machine of it.
fn settings(plan: &Plan) -> anyhow::Result<()> {
    let root = Path::new(ROOT);
    let units = root.join("etc/systemd/system");
    fs::create_dir_all(&units)?;
    // What the machine has enabled hangs on targets that are not wanted here; of those that are, it is taken away.
    for target in ["sysinit.target.wants", "sockets.target.wants", "timers.target.wants", "basic.target.wants"] {
        let wants = units.join(target);
        if wants.exists() {
            fs::remove_dir_all(&wants)?;
        }
    }
    for unit in MASKED.split_whitespace() {
        let link = units.join(unit);
        if link.is_symlink() || link.exists() {
            fs::remove_file(&link)?;
        }
        std::os::unix::fs::symlink("/dev/null", link)?;
    }
    for (path, text) in FILES {
        let path = root.join(path);
        fs::create_dir_all(path.parent().context("no parent")?)?;
        fs::write(path, text)?;
    }
    let wanted = units.join(format!("{TARGET}.wants"));
    fs::create_dir_all(&wanted)?;
    for unit in &plan.starts {
        let link = wanted.join(unit);
        if !link.is_symlink() {
            std::os::unix::fs::symlink(Path::new("/lib/systemd/system").join(unit), link)?;
        }
    }
    let id = fs::read_to_string("/proc/sys/kernel/random/uuid")?.replace('-', "");
    for (file, text) in [("etc/machine-id", id.as_str()), ("etc/hostname", &plan.name)] {
        // It may be a link of the machine's, or read-only.
        let _ = fs::remove_file(root.join(file));
        fs::write(root.join(file), text)?;
    }
    let journal = root.join("var/log/journal");
    if journal.exists() {
        fs::remove_dir_all(journal)?;
    }
    if !root.join(SYSTEMD.trim_start_matches('/')).exists() {
        bail!("{SYSTEMD} is missing (Debian: systemd)");
    }
    mount_change(ROOT, MountPropagationFlags::PRIVATE).context("mount propagation")
}
