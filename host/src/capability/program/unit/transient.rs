//! A daemon of the policy's own whose keeper is the main process of a unit: made for one start, in a slice of its own, and
//! gone when nothing of it is left. So the daemon is not part of the cluster's own service, and whoever looks at the node
//! sees it.
//!
//! systemd is asked at the start and never again: the tree of the daemon is a control group below the unit's, by which it
//! is watched and ended as any other. What must never enter here: what is granted, which the keeper builds; a value that
//! not everybody may read, which goes to the keeper alone.

use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ocf_wasm_units::Keeper;
use sha2::{Digest as _, Sha256};

use super::manager::{self, Ask, Manager, Silent, Told};
use crate::capability::program::keeper;
use crate::instance::Directory;
use crate::sandbox::confinement::Limits;
use crate::seam::Channel;
use crate::sys::process::ProcessId;
use crate::sys::trusted;

/// The slice as a path below the root of each hierarchy.
const SLICE_PATH: &str = "ocf.slice/ocf-wasm.slice";
/// The daemon's own group below its unit's, in which the keeper is.
const TREE: &str = "tree";
/// Where systemd itself is, in its own hierarchy.
const INIT: &str = ":/init.scope";
/// Bytes of the part of a name that tells instances apart. With a label of 64, it makes a name that a file can have.
const STEM_BYTES: usize = 180;
/// How long a unit of the same name that is ending is waited for.
const ENDING: Duration = Duration::from_secs(2);

/// The unit of one daemon.
#[derive(Debug)]
pub struct Place {
    name: String,
    group: PathBuf,
}

/// Why there is no keeper.
#[derive(Debug, PartialEq, Eq)]
pub enum Failed {
    /// There is no time left for another way.
    TimedOut,
    /// A sentence. Nothing of the daemon was begun.
    Why(String),
    /// The same: a limit that the policy names does not hold.
    Limit(String),
}

impl Place {
    /// The unit that a daemon of an instance has here.
    ///
    /// # Errors
    /// Why none can be had: systemd is not asked for that.
    pub fn of(directory: &Directory, label: &str) -> Result<Self, &'static str> {
        let slice = slice()?;
        let name = format!("{}:{label}.service", stem(directory));
        let group = slice.join(&name);
        Ok(Self { name, group })
    }

    /// The unit's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The control group of the daemon's tree.
    pub fn tree(&self) -> PathBuf {
        self.group.join(TREE)
    }

    /// Has systemd start a keeper, which waits for its plan at the other end of `channel`. A unit of that name that
    /// something left is ended first: who asks holds the lock of the instance, and has looked for what it recorded.
    ///
    /// # Errors
    /// See [`Failed`].
    #[cold]
    #[inline(never)]
    pub fn start(
        &self,
        (label, mark): (&str, u32),
        limits: &Limits,
        (channel, program): (Channel, &OwnedFd),
        manager: &Manager,
        deadline: Instant,
    ) -> Result<ProcessId, Failed> {
        let silent = |silent: Silent| Failed::Why(silent.to_string());
        let executable = executable().map_err(Failed::Why)?;
        // Half of the time is for doing without it.
        let left = deadline.saturating_duration_since(Instant::now());
        manager.look(&self.name, Instant::now() + left / 2).map_err(silent)?;
        let stem = self.name.trim_end_matches(".service");
        let keeper = Keeper {
            unit: self.name.clone(),
            description: format!("Daemon {} of a cluster resource, by ocf-wasm", stem.trim_start_matches("ocf-wasm-")),
            executable,
            argv: vec![keeper::NAME.to_owned(), stem.to_owned(), label.to_owned(), format!("{mark:08x}")],
            memory: limits.memory,
            // The keeper is one.
            tasks: limits.tasks.map(|tasks| tasks.saturating_add(1)),
        };
        let ask = Ask::StartKeeper(Box::new(keeper));
        let channel = channel.into_fd();
        let until = deadline.min(Instant::now() + ENDING);
        let ended = loop {
            match manager::pass(&ask, &channel, program, deadline) {
                Ok(Told::Job(result)) => break result,
                Ok(Told::Refused(error, _)) if error.ends_with(".UnitExists") && Instant::now() < until => {
                    let _ = manager.ask(&Ask::Stop(self.name.clone()), deadline);
                    let _ = manager.ask(&Ask::ResetFailed(self.name.clone()), deadline);
                    std::thread::sleep(super::LOOK_EVERY);
                }
                Ok(Told::Refused(_, why)) => return Err(Failed::Why(format!("systemd refuses it: {why}"))),
                Ok(_) => return Err(Failed::Why("systemd answers another question".to_owned())),
                Err(Silent::TimedOut) => return Err(Failed::TimedOut),
                Err(gone) => return Err(silent(gone)),
            }
        };
        if ended != "done" {
            return Err(Failed::Why(format!("the start of its unit {ended}: journalctl -u '{}' tells why", self.name)));
        }
        self.keeper().ok_or_else(|| Failed::Why(format!("no keeper of ours is in its unit {}", self.name)))
    }

    /// The only process in the unit, if it is this very binary.
    fn keeper(&self) -> Option<ProcessId> {
        let members = std::fs::read_to_string(self.group.join("cgroup.procs")).ok()?;
        let pid = members.trim().parse().ok()?;
        let is_ours = is_this_binary(Path::new(&format!("/proc/{pid}/exe")));
        ProcessId::now(pid).filter(|_| is_ours)
    }
}

/// The file of this binary, which root alone can have written and which is the one that runs: an upgrade may have replaced
/// it.
fn executable() -> Result<String, String> {
    let path = std::fs::read_link("/proc/self/exe").map_err(|error| format!("/proc/self/exe: {error}"))?;
    let shown = path.display().to_string();
    trusted::open_program(&path).map_err(|error| format!("{shown}: {error}"))?;
    match is_this_binary(&path) && !shown.contains('$') {
        true => Ok(shown),
        false => Err(format!("{shown} is another file by now")),
    }
}

fn is_this_binary(path: &Path) -> bool {
    let place = |path: &Path| std::fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    let own = place(Path::new("/proc/self/exe"));
    own.is_some() && own == place(path)
}

/// Why daemons cannot be kept by units here; none if they can, as far as that is seen without asking.
#[cold]
#[inline(never)]
pub fn lacking() -> Option<&'static str> {
    slice().err()
}

/// Asks whether daemons can be kept by units here.
///
/// # Errors
/// Why not.
#[cfg(feature = "tool")]
pub fn offered(manager: &Manager) -> Result<(), String> {
    slice()?;
    let found = manager.look(ocf_wasm_units::SLICE, Instant::now() + Duration::from_secs(10));
    found.map(drop).map_err(|silent| silent.to_string())
}

/// Where systemd has the slice, in the hierarchy in which it tracks.
fn slice() -> Result<PathBuf, &'static str> {
    if let Some(told) = manager::lacking() {
        return Err(told);
    }
    // What systemd starts is in its own namespaces, and a daemon is to be where its agent is.
    let namespace = |of: &str, kind: &str| std::fs::read_link(format!("/proc/{of}/ns/{kind}")).ok();
    let is_shared = |kind: &&str| namespace("self", kind).is_some_and(|own| Some(own) == namespace("1", kind));
    if !["cgroup", "ipc", "mnt", "net", "pid", "uts"].iter().all(is_shared) {
        return Err("the agent is in other namespaces than systemd");
    }
    let groups = std::fs::read_to_string("/proc/1/cgroup").unwrap_or_default();
    let is_in = |hierarchy: &str| groups.lines().any(|line| line.strip_suffix(INIT) == Some(hierarchy));
    let named = groups.lines().any(|line| line.ends_with(&format!(":name=systemd{INIT}")));
    let roots: &[&str] = match (is_in("0:"), named) {
        (true, _) => &["/sys/fs/cgroup", "/sys/fs/cgroup/unified"],
        (false, true) => &["/sys/fs/cgroup/systemd"],
        (false, false) => &[],
    };
    let root = roots.iter().map(|root| Path::new(*root)).find(|root| root.join("cgroup.procs").exists());
    root.map(|root| root.join(SLICE_PATH)).ok_or("the control groups of systemd are not to be seen")
}

/// The unit to which a control group of a daemon belongs, if one does.
pub fn unit_of(tree: &Path) -> Option<&str> {
    let unit = tree.parent()?;
    let is_ours = tree.ends_with(TREE) && unit.parent().is_some_and(|slice| slice.ends_with(SLICE_PATH));
    unit.file_name()?.to_str().filter(|_| is_ours)
}

/// The control groups of units that keep daemons of an instance, whatever is recorded. Looks only.
pub fn groups_of(directory: &Directory) -> Vec<PathBuf> {
    let slices = super::ROOTS.iter().take(3).map(|root| Path::new(root).join(SLICE_PATH));
    let found: Vec<PathBuf> = slices
        .flat_map(|slice| std::fs::read_dir(slice).into_iter().flatten().flatten())
        .map(|entry| entry.path())
        .collect();
    if found.is_empty() {
        return found;
    }
    let stem = format!("{}:", stem(directory));
    let is_ours =
        |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).is_some_and(|n| n.starts_with(&stem));
    found.into_iter().filter(is_ours).collect()
}

/// The control group of the daemon's tree in that of a unit.
pub fn tree_in(unit: &Path) -> PathBuf {
    unit.join(TREE)
}

/// What the names of an instance's units begin with, before `:` and the label: provider, type and instance, which stand in
/// the path of its directory, with all but letters, digits, `-`, `_` and `.` as `\xXX`, as systemd writes it. No two
/// instances share one; of one that is too long the end stands as its digest, behind `::`.
fn stem(directory: &Directory) -> String {
    let path = directory.path();
    let names: Vec<_> = path.iter().rev().take(3).map(|name| name.to_string_lossy().replace('%', "\\x")).collect();
    let names: Vec<&str> = names.iter().rev().map(String::as_str).collect();
    let whole = format!("ocf-wasm-{}", names.join(":"));
    if whole.len() <= STEM_BYTES {
        return whole;
    }
    let end: String = Sha256::digest(whole.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let begin: String = whole.chars().take(STEM_BYTES - 2 - end.len()).collect();
    format!("{begin}::{end}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ocf::description::AgentName;

    fn stem_of(agent: &str, instance: &str) -> String {
        stem(&Directory::of(&AgentName::parse(agent).unwrap(), instance))
    }

    #[test]
    fn a_name_is_readable_where_it_can_be() {
        assert_eq!(stem_of("heartbeat/nginx", "web"), "ocf-wasm-heartbeat:nginx:web");
        assert_eq!(stem_of("a/b-c", "x:0"), "ocf-wasm-a:b-c:x\\x3a0");
        assert_eq!(stem_of("a/b", "50% $x ü"), "ocf-wasm-a:b:50\\x25\\x20\\x24x\\x20\\xc3\\xbc");
    }

    proptest::proptest! {
        #[test]
        fn no_two_instances_share_a_unit_and_systemd_takes_each(
            one in ("[a-z]{1,3}/[-a-z]{1,3}", "[-a-b:x2d\\\\%./ü]{1,90}"),
            other in ("[a-z]{1,3}/[-a-z]{1,3}", "[-a-b:x2d\\\\%./ü]{1,90}"),
        ) {
            let (Some(_), Some(_)) = (AgentName::parse(&one.0), AgentName::parse(&other.0)) else { return Ok(()) };
            let stems = [stem_of(&one.0, &one.1), stem_of(&other.0, &other.1)];
            proptest::prop_assert_eq!(stems[0] == stems[1], one == other);
            let plain = |c: char| c.is_ascii_alphanumeric() || ":-_.\\".contains(c);
            proptest::prop_assert!(stems.iter().all(|stem| stem.len() <= STEM_BYTES && stem.chars().all(plain)));
        }
    }

    #[test]
    fn what_differs_at_its_end_only_differs_where_that_is_cut_off() {
        let (one, other) = (format!("{}1", "ü".repeat(40)), format!("{}2", "ü".repeat(40)));
        let stems = [stem_of("a/b", &one), stem_of("a/b", &other)];
        assert_ne!(stems[0], stems[1]);
        assert_eq!((stems[0].len(), stems[1].len()), (STEM_BYTES, STEM_BYTES));
        assert_eq!(stems[0], stem_of("a/b", &one));
    }

    #[test]
    fn a_tree_tells_its_unit() {
        let unit_of = |path: &str| unit_of(Path::new(path)).map(str::to_owned);
        assert_eq!(unit_of("/sys/fs/cgroup/ocf.slice/ocf-wasm.slice/x.service/tree").as_deref(), Some("x.service"));
        assert_eq!(unit_of("/sys/fs/cgroup/ocf-wasm/web.daemon.00000007-00000001"), None);
        assert_eq!(unit_of("/sys/fs/cgroup/ocf.slice/ocf-wasm.slice/x.service"), None);
    }
}
