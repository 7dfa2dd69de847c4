//! What tells of the daemons of an instance besides its record: reports, control groups, keepers. For an instance without
//! a record, so that a deleted file is not taken for a stop. And what tells of programs of actions that were killed.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::tree::{self, Span, Tree};
use super::unit::transient;
use super::{Report, keeper};
use crate::instance::Directory;
use crate::sys::process::{self, ProcessId};
use crate::sys::small;

/// Why a missing record proves nothing.
pub const LIVES: &str = "no record is there, and processes that it started live";

/// All that was found.
pub struct Traces {
    reports: Vec<PathBuf>,
    trees: Vec<Tree>,
}

impl Traces {
    /// Looks everywhere.
    pub fn of(directory: &Directory, instance: &str) -> Self {
        let mark = directory.mark();
        let reports = directory.reports();
        let mains = reports.iter().filter_map(|path| Report::read(path)?.main);
        let mut trees: Vec<Tree> = mains.map(|main| Tree { main: Some(main), ..Tree::default() }).collect();
        let keepers = keepers(instance, mark).unwrap_or_default();
        trees.extend(keepers.into_iter().map(|keeper| Tree { keeper: Some(keeper), ..Tree::default() }));
        let groups =
            tree::cgroup_root().map(|root| tree::cgroups_of(&root, instance, mark, &[Span::Instance, Span::Action]));
        let groups = groups.and_then(Result::ok);
        let environments = directory.environments();
        let units = environments.iter().filter_map(|path| super::unit::trace(path));
        let units = units.chain(transient::groups_of(directory));
        trees.extend(
            groups.into_iter().flatten().chain(units).map(|group| Tree { cgroup: Some(group), ..Tree::default() }),
        );
        let reports = reports.into_iter().chain(environments).collect();
        Self { reports, trees }
    }

    /// All that lives, each once.
    pub fn alive(&self) -> BTreeSet<ProcessId> {
        let keepers = self.trees.iter().filter_map(|tree| tree.keeper).filter(|keeper| keeper.is_alive());
        self.trees.iter().flat_map(Tree::members).chain(keepers).collect()
    }

    /// Removes what would be taken for a sign of life.
    pub fn remove(&self) {
        self.trees.iter().for_each(Tree::forget);
        for report in &self.reports {
            let _ = std::fs::remove_file(report);
        }
    }
}

/// How long what was killed may take to be gone. One that a file system holds is never gone, and the action has its own time
/// to keep: it is tried again in the next one.
const GONE: Duration = Duration::from_millis(100);

/// Ends what programs of earlier actions left whose watcher was killed together with the action. For who holds the lock
/// of the instance alone: no other action runs one.
pub fn sweep(directory: &Directory, instance: &str) {
    let Some(root) = tree::cgroup_root() else { return };
    for group in tree::cgroups_of(&root, instance, directory.mark(), &[Span::Action]).unwrap_or_default() {
        let tree = Tree { cgroup: Some(group), ..Tree::default() };
        super::wait_until(Instant::now() + GONE, || {
            let is_gone = tree.is_empty();
            if !is_gone {
                tree.kill();
            }
            is_gone
        });
        tree.forget();
    }
}

/// Whether a daemon of the instance lives, or who cannot be looked at may be one. Made for a probe of what never ran: it
/// lists the control groups, and if nobody is in them the processes, since a daemon may have been started where no group
/// could be made.
pub fn lives(directory: &Directory, instance: &str) -> bool {
    let mark = directory.mark();
    let has_members = |group: PathBuf| !Tree { cgroup: Some(group), ..Tree::default() }.is_empty();
    let has_groups = |root: PathBuf| {
        let groups = tree::cgroups_of(&root, instance, mark, &[Span::Instance]);
        groups.map_or(true, |groups| groups.into_iter().any(has_members))
    };
    transient::groups_of(directory).iter().any(|unit| has_members(transient::tree_in(unit)))
        || tree::cgroup_root().is_some_and(has_groups)
        || keepers(instance, mark).map_or(true, |keepers| !keepers.is_empty())
}

/// The keepers of daemons of the instance.
fn keepers(instance: &str, mark: u32) -> io::Result<Vec<ProcessId>> {
    let line = [keeper::NAME.as_bytes(), instance.as_bytes()].join(&0);
    let mark = format!("\0{mark:08x}\0").into_bytes();
    let mut keepers = Vec::new();
    for pid in process::all()? {
        // Of a zombie it is empty. Who is hidden is another user's, and keepers run as who looks for them.
        let found = match small::read_bytes(Path::new(&format!("/proc/{pid}/cmdline"))) {
            Err(error) if process::is_gone(&error) || error.kind() == ErrorKind::PermissionDenied => continue,
            read => read?,
        };
        let is_called_so =
            found.strip_prefix(line.as_slice()).is_some_and(|rest| rest.first() == Some(&0) && rest.ends_with(&mark));
        // Anybody can be called so; ours belong to who we are.
        let is_ours = || {
            let facts = std::fs::metadata(format!("/proc/{pid}"));
            facts.map_or(true, |facts| facts.uid() == nix::unistd::geteuid().as_raw())
        };
        if is_called_so && is_ours() {
            keepers.extend(process::entry(pid)?.map(|entry| entry.id));
        }
    }
    Ok(keepers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Kept, Place, is_root};
    use std::os::unix::process::CommandExt as _;

    #[test]
    fn a_keeper_is_found_by_the_mark_of_its_instance_and_its_user() {
        let (keeper, found) = found_of(nix::unistd::geteuid().as_raw());
        assert_eq!(found, [vec![keeper], vec![], vec![]]);
        if is_root() {
            assert_eq!(found_of(65_534).1, [const { Vec::<i32>::new() }; 3]);
        }
    }

    /// A keeper of a user, and who is found by its name and mark, by another mark, and by another name.
    fn found_of(user: u32) -> (i32, [Vec<i32>; 3]) {
        // Another run of this test has another mark.
        let mark = std::process::id();
        // A shell under the keeper's name, whose instance is called as its option.
        let mut command = std::process::Command::new("sh");
        command
            .arg0(keeper::NAME)
            .args(["-c", "read word; exit", &format!("{mark:08x}")])
            .stdin(std::process::Stdio::piped());
        command.uid(user);
        let keeper = Kept(command.spawn().unwrap());
        let pid = keeper.0.id().cast_signed();
        // Until the shell is executed it has this test's words.
        let is_there =
            || std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|l| l.starts_with(b"ocf-wasm-keeper"));
        assert!(super::super::wait_until(Instant::now() + Duration::from_secs(10), is_there), "no shell is there");
        let found = |name, mark| keepers(name, mark).unwrap().into_iter().map(|id| id.pid).collect::<Vec<_>>();
        let seen = [found("-c", mark), found("-c", !mark), found("-", mark)];
        drop(keeper);
        assert!(found("-c", mark).is_empty());
        (pid, seen)
    }

    #[test]
    fn a_group_is_of_an_instance_by_its_mark() {
        let root = Place::new("groups");
        let (daemon, program) = ("web.daemon.00000007-00000001", "web.run.00000007+00000001");
        for name in [
            daemon,
            program,
            "web.daemon.00000008-00000001",
            "web.a.daemon.00000007-00000001",
            "webs.daemon.00000007-00000001",
        ] {
            std::fs::create_dir(root.join(name)).unwrap();
        }
        let found = |spans: &[Span]| {
            let mut found = tree::cgroups_of(&root, "web", 7, spans).unwrap();
            found.sort();
            found
        };
        let seen = [found(&[Span::Instance]), found(&[Span::Action])];
        assert_eq!(seen[0], [root.join(daemon)]);
        assert_eq!(seen[1], [root.join(program)]);
    }
}
