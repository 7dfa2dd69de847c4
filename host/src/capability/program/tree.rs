//! A tree of processes, wherever its members went: by control group where one can be made, else by descent.

use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use nix::unistd::AccessFlags;

use crate::sys::process::{self, ProcessId};

/// Hierarchies in which a group can be made that only counts and kills: cgroup v2, also beside v1; then v1.
pub(super) const ROOTS: [&str; 5] = [
    "/sys/fs/cgroup",
    "/sys/fs/cgroup/unified",
    "/sys/fs/cgroup/systemd",
    "/sys/fs/cgroup/freezer",
    "/sys/fs/cgroup/pids",
];

/// The processes of one daemon or one command.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// All members are in it, if there is one.
    pub cgroup: Option<PathBuf>,
    /// The process that orphans of the tree fall to; not a member.
    pub keeper: Option<ProcessId>,
    /// The first member, leader of a session.
    pub main: Option<ProcessId>,
}

impl Tree {
    /// Returns the members that are alive.
    pub fn members(&self) -> Vec<ProcessId> {
        if let Some(cgroup) = &self.cgroup
            && cgroup.is_dir()
        {
            let mut pids = Vec::new();
            collect(cgroup, &mut pids);
            return pids
                .into_iter()
                .filter_map(process::entry)
                .filter(|entry| !entry.is_zombie)
                .map(|entry| entry.id)
                .collect();
        }
        self.descendants()
    }

    /// Members by descent and by session: a process that left both after its keeper was lost is missed.
    fn descendants(&self) -> Vec<ProcessId> {
        if self.keeper.is_none() && self.main.is_none() {
            return Vec::new();
        }
        let table = process::table();
        let is = |id: Option<ProcessId>, pid: i32| {
            id.is_some_and(|id| id.pid == pid && table.get(&pid).is_some_and(|entry| entry.id == id))
        };
        let born_here =
            |session: i32, started: u64| self.main.is_some_and(|main| main.pid == session && started >= main.started);
        table
            .values()
            .filter(|entry| !entry.is_zombie && !is(self.keeper, entry.id.pid))
            .filter(|entry| {
                let mut at = entry.id.pid;
                // The depth of a process tree is bounded; a table that changes while it is read could have a loop.
                for _ in 0..256 {
                    if is(self.keeper, at) || is(self.main, at) {
                        return true;
                    }
                    match table.get(&at) {
                        Some(up) if up.parent > 1 => at = up.parent,
                        _ => break,
                    }
                }
                born_here(entry.session, entry.id.started)
            })
            .map(|entry| entry.id)
            .collect()
    }

    /// Sends a signal to all members.
    pub fn signal(&self, signal: Signal) {
        for member in self.members() {
            member.signal(signal);
        }
    }

    /// Kills all members. They may take a moment to be gone.
    pub fn kill(&self) {
        if let Some(cgroup) = &self.cgroup
            && std::fs::write(cgroup.join("cgroup.kill"), "1").is_ok()
        {
            return;
        }
        self.signal(Signal::SIGKILL);
    }

    /// Removes the control group of a tree that is gone.
    pub fn forget(&self) {
        fn remove(group: &Path) {
            for entry in std::fs::read_dir(group).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|t| t.is_dir()) {
                    remove(&entry.path());
                }
            }
            let _ = std::fs::remove_dir(group);
        }
        if let Some(cgroup) = &self.cgroup {
            remove(cgroup);
            super::group::remove(cgroup);
        }
    }
}

fn collect(group: &Path, pids: &mut Vec<i32>) {
    let text = std::fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0));
    for entry in std::fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            collect(&entry.path(), pids);
        }
    }
}

/// Returns the directory below which control groups can be made here. Looks only.
pub fn cgroup_root() -> Option<PathBuf> {
    ROOTS.iter().map(Path::new).find_map(|root| {
        if !root.join("cgroup.procs").exists() {
            return None;
        }
        let ours = root.join("ocf-wasm");
        let writable = |path: &Path| nix::unistd::access(path, AccessFlags::W_OK).is_ok();
        (if ours.is_dir() { writable(&ours) } else { writable(root) }).then_some(ours)
    })
}

/// How long what is in a control group lives, as it stands in the group's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// As long as the instance.
    Instance,
    /// As long as an action.
    Action,
}

impl Span {
    fn sign(self) -> char {
        match self {
            Self::Instance => '-',
            Self::Action => '+',
        }
    }
}

/// Chooses a path for a new control group. The last part is random, so that no earlier or parallel one is meant. `mark` is
/// the instance's ([`Directory::mark`](crate::instance::Directory::mark)).
pub fn new_cgroup(instance: &str, label: &str, mark: u32, span: Span) -> Option<PathBuf> {
    let root = cgroup_root()?;
    if !root.is_dir() {
        std::fs::create_dir(&root).ok()?;
    }
    let number = crate::sys::random::word() & 0xffff_ffff;
    Some(root.join(format!("{}.{label}.{mark:08x}{}{number:08x}", of_instance(instance), span.sign())))
}

/// The control groups of an instance.
pub fn cgroups_of(root: &Path, instance: &str, mark: u32, spans: &[Span]) -> Vec<PathBuf> {
    let instance = of_instance(instance);
    let marks: Vec<String> = spans.iter().map(|span| format!("{mark:08x}{}", span.sign())).collect();
    let is_meant = |name: &str| {
        let rest = name.strip_prefix(&instance).and_then(|rest| rest.strip_prefix('.')?.split_once('.'));
        rest.is_some_and(|(_label, number)| marks.iter().any(|mark| number.starts_with(mark)))
    };
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_str().is_some_and(is_meant)).map(|entry| entry.path()).collect()
}

/// How the name of an instance's control groups begins.
fn of_instance(instance: &str) -> String {
    crate::instance::escape(instance).chars().take(100).collect()
}
