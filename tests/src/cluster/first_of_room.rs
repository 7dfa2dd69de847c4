//! The first process of a room: makes disks in memory, control groups and a bridge, and waits until nobody wants them any
//! more.
//!
//! It holds its standard input. When that ends, because whoever made the room dropped it or died, it kills what is in
//! the control groups, removes them, and ends; the kernel ends everything else that is in the room.

use anyhow::{Context as _, ensure};
use ocf_wasm_tests::boxes::{remove_group, usable};
use ocf_wasm_tests::cluster::plan::{BRIDGE, GROUP, MEMORY, NETWORK, RoomPlan, RoomReady, node_name};
use ocf_wasm_tests::furnish::{Layers, memory, pid_outside, require_first_process};
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Where the version 2 hierarchy of control groups may be.
const HIERARCHIES: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
/// What was killed is gone after this time, or stays for whoever looks next.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// Proves that nodes can be had: an overlay can be mounted, and a control group be made.
pub(crate) fn check() -> anyhow::Result<()> {
    require_first_process()?;
    let pid = pid_outside()?;
    let run = memory("/run", "mode=755,size=1m")?;
    Layers::new(Path::new("/run/.layers"), vec![run])?
        .cover(Path::new("/usr"), None)
        .context("an overlay cannot be mounted")?;
    let group = groups_of(pid)?;
    fs::create_dir(&group).with_context(|| group.display().to_string())?;
    let freezes = group.join("cgroup.freeze").exists();
    fs::remove_dir(&group).with_context(|| group.display().to_string())?;
    ensure!(freezes, "control groups cannot be frozen");
    Ok(())
}

/// See above.
pub(crate) fn run(plan: &RoomPlan) -> anyhow::Result<()> {
    require_first_process()?;
    let pid = pid_outside()?;
    rustix::process::setsid().context("setsid")?;
    memory(MEMORY, "mode=755,size=16m")?;
    fs::create_dir(Path::new(MEMORY).join("power"))?;
    let groups = groups_of(pid)?;
    let others = if plan.has_all_hierarchies { beside(&groups)? } else { Vec::new() };
    let all = || std::iter::once(&groups).chain(&others);
    all().for_each(|groups| sweep(groups));
    let made = furnish(plan, all());
    let done = made.and_then(|()| {
        println!("{}", serde_json::to_string(&RoomReady { pid, groups: groups.clone(), others: others.clone() })?);
        std::io::stdout().flush()?;
        std::thread::spawn(bury);
        // Nothing is ever said: this returns when nobody holds the other end any more.
        std::io::stdin().read_to_end(&mut Vec::new()).context("stdin")
    });
    all().for_each(|groups| remove(groups));
    done.map(drop)
}

fn furnish<'a>(plan: &RoomPlan, groups: impl Iterator<Item = &'a PathBuf>) -> anyhow::Result<()> {
    for groups in groups {
        fs::create_dir(groups).with_context(|| groups.display().to_string())?;
        for number in 1..=plan.nodes {
            fs::create_dir(groups.join(node_name(number)))?;
        }
    }
    for number in 1..=plan.nodes {
        let name = node_name(number);
        let disk = Path::new(MEMORY).join(&name);
        fs::create_dir(&disk)?;
        let disk = disk.to_str().context("path")?;
        memory(disk, &format!("mode=755,size={}", plan.disk_bytes))?;
    }
    let (bridge, last) = BRIDGE;
    let address = format!("{NETWORK}.{last}/24");
    for words in [
        vec!["link", "set", "lo", "up"],
        vec!["link", "add", bridge, "type", "bridge", "forward_delay", "0", "stp_state", "0", "mcast_snooping", "0"],
        vec!["addr", "add", &address, "dev", bridge],
        vec!["link", "set", bridge, "up"],
    ] {
        let done = Command::new("ip").args(&words).stdin(Stdio::null()).output().context("ip")?;
        let complaint = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.success(), "ip {}: {}", words.join(" "), complaint.trim());
    }
    Ok(())
}

/// Waits for the ends of what was orphaned in the room.
fn bury() {
    loop {
        if rustix::process::wait(rustix::process::WaitOptions::empty()).is_err() {
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// The directory for the control groups of the room with this first process.
fn groups_of(pid: i32) -> anyhow::Result<PathBuf> {
    let hierarchy = HIERARCHIES.iter().map(Path::new).find(|path| path.join("cgroup.controllers").exists());
    let hierarchy = hierarchy.context("there is no version 2 hierarchy of control groups")?;
    Ok(hierarchy.join(format!("{GROUP}{pid}")))
}

/// The same directory in all other hierarchies.
fn beside(groups: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let name = groups.file_name().context("no name")?;
    let all = usable()?.into_iter().map(|one| one.point.join(name));
    Ok(all.filter(|other| other != groups).collect())
}

/// Removes what rooms left whose first process was killed.
fn sweep(ours: &Path) {
    for entry in ours.parent().and_then(|above| fs::read_dir(above).ok()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(GROUP)).and_then(|pid| pid.parse::<u32>().ok());
        if let Some(pid) = pid
            && !Path::new(&format!("/proc/{pid}")).exists()
        {
            remove(&entry.path());
        }
    }
}

/// Kills what is in a control group, frozen or not, and removes it.
fn remove(group: &Path) {
    // It fails where the kernel is older than 5.14; the pid namespace ends them then.
    let _ = fs::write(group.join("cgroup.kill"), "1");
    let limit = Instant::now() + GONE_WITHIN;
    while !remove_group(group) && Instant::now() < limit {
        std::thread::sleep(Duration::from_millis(10));
    }
}
