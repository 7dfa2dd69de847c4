//! A tree of processes, wherever its members went: by control group where one can be made, else by descent.
//!
//! What cannot be looked at is never taken for nothing.

use std::io;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use nix::unistd::AccessFlags;

use crate::sys::process::{self, ProcessId};
use crate::sys::small;

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
    ///
    /// # Errors
    /// What the kernel says where somebody cannot be looked at.
    pub fn look(&self) -> io::Result<Vec<ProcessId>> {
        let grouped = match &self.cgroup {
            Some(cgroup) => grouped(cgroup)?,
            None => None,
        };
        match grouped {
            // A keeper lives as long as something of the tree: if nobody is in the group, somebody moved that out of it.
            Some(members) if members.is_empty() && self.is_kept_by_another()? => self.descendants(),
            Some(members) => Ok(members),
            None => self.descendants(),
        }
    }

    /// Returns the members that can be seen, at a second look if not at the first: for who has something to tell them, and
    /// concludes nothing of it.
    pub fn members(&self) -> Vec<ProcessId> {
        self.look().or_else(|_| self.look()).unwrap_or_default()
    }

    /// Whether nobody can be seen who is a member, and all can be.
    pub fn is_empty(&self) -> bool {
        self.look().is_ok_and(|members| members.is_empty())
    }

    /// Whether there is a keeper that lives, and is not who looks.
    fn is_kept_by_another(&self) -> io::Result<bool> {
        let own = nix::unistd::getpid().as_raw();
        self.keeper.filter(|keeper| keeper.pid != own).map_or(Ok(false), ProcessId::lives)
    }

    /// Members by descent and by session: a process that left both after its keeper was lost is missed.
    fn descendants(&self) -> io::Result<Vec<ProcessId>> {
        if self.keeper.is_none() && self.main.is_none() {
            return Ok(Vec::new());
        }
        let table = process::table()?;
        let is = |id: Option<ProcessId>, pid: i32| {
            id.is_some_and(|id| id.pid == pid && table.get(&pid).is_some_and(|entry| entry.id == id))
        };
        // A number is given again only when nobody is left in the session that had it.
        let main = self.main.filter(|main| table.get(&main.pid).is_none_or(|entry| entry.id == *main));
        let born_here =
            |session: i32, started: u64| main.is_some_and(|main| main.pid == session && started >= main.started);
        let members = table
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
            .map(|entry| entry.id);
        Ok(members.collect())
    }

    /// Sends a signal to all members.
    pub fn signal(&self, signal: Signal) {
        for member in self.members() {
            member.signal(signal);
        }
    }

    /// Kills all members. They may take a moment to be gone.
    pub fn kill(&self) {
        if let Some(cgroup) = &self.cgroup {
            // Whoever is not in it is told one by one.
            let _ = std::fs::write(cgroup.join("cgroup.kill"), "1");
        }
        self.signal(Signal::SIGKILL);
    }

    /// Removes the control group of a tree that is gone.
    pub fn forget(&self) {
        self.is_forgotten();
    }

    /// The same. False if the kernel says that somebody is in it.
    pub fn is_forgotten(&self) -> bool {
        fn remove(group: &Path) -> bool {
            for entry in std::fs::read_dir(group).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|t| t.is_dir()) {
                    remove(&entry.path());
                }
            }
            !std::fs::remove_dir(group).is_err_and(|error| error.kind() == io::ErrorKind::ResourceBusy)
        }
        let Some(cgroup) = &self.cgroup else { return true };
        let is_removed = remove(cgroup);
        super::group::remove(cgroup);
        is_removed
    }
}

/// The members of a control group and of those below it that are alive. None if the group is gone, and with it whoever
/// was in it.
fn grouped(group: &Path) -> io::Result<Option<Vec<ProcessId>>> {
    let mut pids = Vec::new();
    match collect(group, &mut pids) {
        // Without its hierarchy, a group that is not there says nothing.
        Err(error) if process::is_gone(&error) && group.ancestors().skip(1).any(is_of_a_hierarchy) => return Ok(None),
        collected => collected?,
    }
    let mut members = Vec::with_capacity(pids.len());
    for pid in pids {
        members.extend(process::entry(pid)?.filter(|entry| !entry.is_zombie).map(|entry| entry.id));
    }
    Ok(Some(members))
}

fn is_of_a_hierarchy(group: &Path) -> bool {
    group.join(MEMBERS).exists()
}

/// The file that names the members of a control group.
const MEMBERS: &str = "cgroup.procs";

fn collect(group: &Path, pids: &mut Vec<i32>) -> io::Result<()> {
    let members = small::read(&group.join(MEMBERS))?;
    for line in members.lines() {
        match line.parse::<i32>() {
            Ok(pid) if pid > 0 => pids.push(pid),
            // One of another PID namespace, of which nothing can be known here.
            _ => return Err(io::Error::other(format!("{} names who cannot be seen here", group.display()))),
        }
    }
    for entry in std::fs::read_dir(group)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            continue;
        }
        match collect(&entry.path(), pids) {
            // Of threads, which a group above names.
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) || process::is_gone(&error) => {}
            collected => collected?,
        }
    }
    Ok(())
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
    if !make_root(&root) {
        return None;
    }
    let number = crate::sys::random::word() & 0xffff_ffff;
    Some(root.join(format!("{}.{label}.{mark:08x}{}{number:08x}", of_instance(instance), span.sign())))
}

/// Whether ours is there. Others make it at the same time.
fn make_root(root: &Path) -> bool {
    root.is_dir() || std::fs::create_dir(root).is_ok() || root.is_dir()
}

/// The control groups of an instance.
///
/// # Errors
/// What the kernel says where they cannot be listed.
pub fn cgroups_of(root: &Path, instance: &str, mark: u32, spans: &[Span]) -> io::Result<Vec<PathBuf>> {
    let instance = of_instance(instance);
    let marks: Vec<String> = spans.iter().map(|span| format!("{mark:08x}{}", span.sign())).collect();
    let is_meant = |name: &str| {
        let rest = name.strip_prefix(&instance).and_then(|rest| rest.strip_prefix('.')?.split_once('.'));
        rest.is_some_and(|(_label, number)| marks.iter().any(|mark| number.starts_with(mark)))
    };
    let entries = match std::fs::read_dir(root) {
        Err(error) if process::is_gone(&error) => return Ok(Vec::new()),
        entries => entries?,
    };
    let is_meant = |entry: &io::Result<std::fs::DirEntry>| {
        entry.as_ref().map_or(true, |entry| entry.file_name().to_str().is_some_and(is_meant))
    };
    entries.filter(is_meant).map(|entry| entry.map(|entry| entry.path())).collect()
}

/// How the name of an instance's control groups begins.
fn of_instance(instance: &str) -> String {
    crate::instance::escape(instance).chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Kept, Place};
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    fn of(cgroup: &Path) -> Tree {
        Tree { cgroup: Some(cgroup.to_owned()), ..Tree::default() }
    }

    #[test]
    fn a_session_of_another_process_with_the_number_of_the_main_one_is_not_ours() {
        let child = Kept(Command::new("setsid").args(["sleep", "317.5"]).stdin(Stdio::null()).spawn().unwrap());
        let pid = child.0.id().cast_signed();
        let leads = || process::entry(pid).unwrap().is_some_and(|entry| entry.session == pid);
        assert!(super::super::wait_until(Instant::now() + Duration::from_secs(10), leads), "it leads no session");
        let id = ProcessId::now(pid).unwrap();
        let members = |main| Tree { main: Some(main), ..Tree::default() }.look().unwrap();
        let seen = [members(id), members(ProcessId { started: id.started - 1, ..id })];
        drop(child);
        assert_eq!(seen, [vec![id], vec![]]);
    }

    #[test]
    fn who_cannot_be_seen_is_not_taken_for_nobody() {
        let place = Place::new("unseen");
        std::fs::write(place.join(MEMBERS), "").unwrap();
        let (group, inner) = (place.join("group"), place.join("group/inner"));
        std::fs::create_dir_all(&inner).unwrap();
        let looked = |own: &str, below: &str| {
            std::fs::write(group.join(MEMBERS), own).unwrap();
            std::fs::write(inner.join(MEMBERS), below).unwrap();
            (of(&group).is_empty(), of(&group).look().map(|members| members.len()).map_err(|error| error.kind()))
        };
        let own = format!("{}\n", std::process::id());
        assert_eq!(looked("", ""), (true, Ok(0)));
        assert_eq!(looked("", &own), (false, Ok(1)));
        assert_eq!(looked(&format!("{}\n", i32::MAX), ""), (true, Ok(0)));
        // The kernel's word for one of another PID namespace.
        assert_eq!(looked("0\n", ""), (false, Err(io::ErrorKind::Other)));
        assert_eq!(looked("", "0\n"), (false, Err(io::ErrorKind::Other)));
        std::fs::remove_file(group.join(MEMBERS)).unwrap();
        std::fs::create_dir(group.join(MEMBERS)).unwrap();
        assert!(!of(&group).is_empty(), "its members cannot be read");
        // Gone from its hierarchy it is empty; without that, nobody knows.
        std::fs::remove_dir_all(&group).unwrap();
        assert!(of(&group).is_empty());
        std::fs::remove_file(place.join(MEMBERS)).unwrap();
        assert!(!of(&group).is_empty());
    }

    #[test]
    fn all_that_start_at_once_have_a_place_for_their_groups() {
        let place = Place::new("root");
        for round in 0..200 {
            let root = place.join(round.to_string());
            let together = std::sync::Barrier::new(4);
            let made = std::thread::scope(|scope| {
                let make = || {
                    together.wait();
                    make_root(&root)
                };
                let threads = [(); 4].map(|()| scope.spawn(make));
                threads.map(|thread| thread.join().unwrap())
            });
            assert_eq!(made, [true; 4], "round {round}");
        }
        assert!(!make_root(&place.join("nowhere/root")));
    }
}
