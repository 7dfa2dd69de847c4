//! The keeper of a box: makes its control groups, starts it, and waits until nobody wants it any more.
//!
//! It is the first process of a pid namespace that the box lies in, and holds its standard input. When that ends, because
//! whoever made the box dropped it or died, it ends the box and removes the control groups; when it is killed itself, the
//! kernel ends the box, and the next keeper removes the groups.

use anyhow::Context as _;
use ocf_wasm_tests::boxes::plan::{GROUP, Plan};
use ocf_wasm_tests::boxes::{remove_group, usable};
use ocf_wasm_tests::furnish::{pid_outside, require_first_process};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What was killed is gone after this time, or stays for whoever looks next.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// See above.
pub(crate) fn run(plan: Plan) -> anyhow::Result<()> {
    require_first_process()?;
    let pid = pid_outside()?;
    rustix::process::setsid().context("setsid")?;
    let hierarchies: Vec<PathBuf> = usable()?.into_iter().map(|one| one.point).collect();
    hierarchies.iter().for_each(|hierarchy| sweep(hierarchy));
    let groups: Vec<PathBuf> = hierarchies.iter().map(|hierarchy| hierarchy.join(format!("{GROUP}{pid}"))).collect();
    for group in &groups {
        fs::create_dir(group).with_context(|| group.display().to_string())?;
    }
    let done = hold(Plan { groups: groups.clone(), ..plan });
    // What is in no group of a version that can kill ends by the death of the box's first process.
    for group in &groups {
        let _ = fs::write(group.join("cgroup.kill"), "1");
    }
    let limit = Instant::now() + GONE_WITHIN;
    while groups.iter().filter(|group| !remove_group(group)).count() > 0 && Instant::now() < limit {
        std::thread::sleep(Duration::from_millis(10));
    }
    done
}

fn hold(plan: Plan) -> anyhow::Result<()> {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "--pid", "--uts", "--ipc", "--net", "--fork", "--kill-child"]);
    command.arg("--").arg(std::env::current_exe()?).arg("enter").arg(serde_json::to_string(&plan)?);
    let mut child = command.stdin(Stdio::null()).spawn().context("unshare")?;
    std::thread::spawn(bury);
    // Nothing is ever said: this returns when nobody holds the other end any more.
    std::io::stdin().read_to_end(&mut Vec::new()).context("stdin")?;
    // Its child, the first process of the box, dies with it.
    child.kill().context("unshare")
}

/// Waits for the ends of what was orphaned.
fn bury() {
    loop {
        if rustix::process::wait(rustix::process::WaitOptions::empty()).is_err() {
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Removes what boxes left whose keeper was killed.
fn sweep(hierarchy: &Path) {
    for entry in fs::read_dir(hierarchy).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(GROUP)).and_then(|pid| pid.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            remove_group(&entry.path());
        }
    }
}
