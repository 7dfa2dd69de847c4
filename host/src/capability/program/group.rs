//! The control groups that limit a tree: the one that tracks it where that can count memory and tasks, else one more of
//! the same name for each.
//!
//! What must never enter here: who is in them; a child enters by itself.

use std::fs::{self, OpenOptions};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use super::unit::transient;
use crate::sandbox::confinement::Limits;

/// Hierarchies of cgroup v1 that limit, and the file of their limit.
const V1: [(&str, &str, &str); 2] =
    [("memory", "/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("tasks", "/sys/fs/cgroup/pids", "pids.max")];
/// The same for cgroup v2, by the name of its controller.
const V2: [(&str, &str, &str); 2] = [("memory", "memory", "memory.max"), ("tasks", "pids", "pids.max")];
/// The directory of ours in each hierarchy.
const OURS: &str = "ocf-wasm";
/// Where keepers are, beside the groups of what they keep: a group with limits below it may have no members.
const KEEPERS: &str = "keepers";

/// Makes the groups of a tree, and limits them. Returns the files by which a process enters them.
///
/// # Errors
/// A sentence: a group cannot be made, or a limit that was `asked` for cannot be set.
pub(super) fn make(tracking: Option<&Path>, limits: &Limits, asked: &Limits) -> Result<Vec<PathBuf>, String> {
    let mut lists = Vec::new();
    if let Some(tracking) = tracking {
        fs::create_dir(tracking).map_err(|error| format!("control group {}: {error}", tracking.display()))?;
        lists.push(tracking.join("cgroup.procs"));
    }
    for ((what, most), asked) in
        [("memory", limits.memory), ("tasks", limits.tasks)].into_iter().zip([asked.memory, asked.tasks])
    {
        let Some(most) = most else { continue };
        let limited = tracking.and_then(|tracking| limit(tracking, what, most));
        match limited {
            Some(list) if !lists.contains(&list) => lists.push(list),
            Some(_) => {}
            None if asked.is_some() => {
                return Err(format!("limits.{what} needs a control group that limits it, which cannot be made here"));
            }
            None => {}
        }
    }
    Ok(lists)
}

/// Makes the group of a tree in that of a unit, which has the limits, its keeper included. Returns as [`make`] does.
///
/// # Errors
/// A sentence: it cannot be made, or a limit that was `asked` for does not hold.
pub(super) fn make_in_unit(tree: &Path, limits: &Limits, asked: &Limits) -> Result<Vec<PathBuf>, String> {
    for (what, most, asked) in
        [("memory", limits.memory, asked.memory), ("tasks", limits.tasks.map(|most| most + 1), asked.tasks)]
    {
        if asked.is_some() && most.is_some_and(|most| !tree.parent().is_some_and(|unit| is_limited(unit, what, most))) {
            return Err(format!("limits.{what} needs a control group that limits it, and systemd made none here"));
        }
    }
    make(Some(tree), &Limits::default(), asked)
}

/// Whether the kernel has ended something of a tree because that was over its limit of memory. False where nobody counts.
pub(super) fn was_over_memory(tracking: &Path) -> bool {
    let has_counted = |file: PathBuf| {
        let text = fs::read_to_string(file).unwrap_or_default();
        text.lines().any(|line| line.strip_prefix("oom_kill ").is_some_and(|count| count.trim() != "0"))
    };
    // In a unit it is that which has the limit.
    let limited = if transient::unit_of(tracking).is_some() { tracking.parent() } else { Some(tracking) };
    let of_v1 = |limited: &Path| match transient::unit_of(tracking) {
        Some(_) => Some(inner(limited)),
        None => limited.file_name().map(|name| Path::new(OURS).join(name)),
    };
    limited.is_some_and(|limited| {
        has_counted(limited.join("memory.events"))
            || of_v1(limited)
                .is_some_and(|group| has_counted(Path::new(V1[0].1).join(group).join("memory.oom_control")))
    })
}

/// The path of a unit's group in all hierarchies, from the slice's slice on.
fn inner(unit: &Path) -> PathBuf {
    unit.iter().rev().take(3).collect::<Vec<_>>().into_iter().rev().collect()
}

/// Whether a unit may have no more than this, in whatever hierarchy.
fn is_limited(unit: &Path, what: &str, most: u64) -> bool {
    let holds = |group: &Path, file: &str| {
        let found = fs::read_to_string(group.join(file)).ok().and_then(|text| text.trim().parse::<u64>().ok());
        found.is_some_and(|found| found <= most)
    };
    V2.iter().any(|row| row.0 == what && holds(unit, &format!("{}.max", row.1)))
        || V1.iter().any(|row| row.0 == what && holds(&Path::new(row.1).join(inner(unit)), row.2))
}

/// Opens the lists of members, for a child that will write itself into them.
///
/// # Errors
/// A sentence.
pub(super) fn open(lists: &[PathBuf]) -> Result<Vec<OwnedFd>, String> {
    let open = |list: &PathBuf| match OpenOptions::new().write(true).open(list) {
        Ok(file) => Ok(OwnedFd::from(file)),
        Err(error) => Err(format!("control group {}: {error}", list.display())),
    };
    lists.iter().map(open).collect()
}

/// Sets a limit on the tree that is tracked by a group. Returns the list of members of the group that has it.
fn limit(tracking: &Path, what: &str, most: u64) -> Option<PathBuf> {
    let set = |group: &Path, file: &str| fs::write(group.join(file), most.to_string()).ok();
    if let Some((_, controller, file)) = V2.iter().find(|row| row.0 == what)
        && tracking.parent().is_some_and(|ours| offer(ours, controller))
    {
        set(tracking, file)?;
        // Without it, what is over the limit would only be put aside.
        let _ = fs::write(tracking.join("memory.swap.max"), "0");
        return Some(tracking.join("cgroup.procs"));
    }
    let (_, root, file) = V1.iter().find(|row| row.0 == what)?;
    if !Path::new(root).join("cgroup.procs").exists() {
        return None;
    }
    let group = Path::new(root).join(OURS).join(tracking.file_name()?);
    fs::create_dir_all(&group).ok()?;
    set(&group, file)?;
    Some(group.join("cgroup.procs"))
}

/// Has a controller offered to the groups below ours. False if the hierarchy does not have it.
fn offer(ours: &Path, controller: &str) -> bool {
    let Some(root) = ours.parent() else { return false };
    if !has(root, "cgroup.controllers", controller) {
        return false;
    }
    [root, ours].iter().all(|group| {
        has(group, "cgroup.subtree_control", controller)
            || fs::write(group.join("cgroup.subtree_control"), format!("+{controller}")).is_ok()
    })
}

/// Whether a limit could be set on the trees of programs here, which are tracked below `ours`. Looks only: what `limit`
/// would do.
pub fn is_limiting(ours: &Path, what: &str) -> bool {
    let of_v1 = V1.iter().filter(|row| row.0 == what).map(|row| Path::new(row.1)).any(|root| {
        let place = root.join(OURS);
        root.join("cgroup.procs").exists() && may_write(if place.is_dir() { &place } else { root })
    });
    of_v1 || is_limiting_by_itself(ours, what)
}

/// The same where the hierarchy that tracks limits as well.
fn is_limiting_by_itself(ours: &Path, what: &str) -> bool {
    let offers = |group: &Path, controller: &str| {
        let file = group.join("cgroup.subtree_control");
        // Only the first group of all may have members and limits below it.
        let is_free = || !group.join("cgroup.type").exists() || is_empty(&group.join("cgroup.procs"));
        has(group, "cgroup.subtree_control", controller) || may_write(&file) && is_free()
    };
    V2.iter().filter(|row| row.0 == what).any(|(_, controller, _)| {
        let root = ours.parent().filter(|root| has(root, "cgroup.controllers", controller));
        root.is_some_and(|root| offers(root, controller) && (!ours.exists() || offers(ours, controller)))
    })
}

fn may_write(path: &Path) -> bool {
    access(path, AccessFlags::W_OK).is_ok()
}

fn is_empty(list: &Path) -> bool {
    fs::read_to_string(list).is_ok_and(|pids| pids.trim().is_empty())
}

/// Whether a word stands in a file of a group.
fn has(group: &Path, file: &str, word: &str) -> bool {
    fs::read_to_string(group.join(file)).is_ok_and(|words| words.split_whitespace().any(|known| known == word))
}

/// Puts this process, a keeper, out of whatever group the cluster's daemon lives in.
pub(super) fn enter_as_keeper(tracking: &Path) {
    if transient::unit_of(tracking).is_some() {
        // Where systemd put it.
        return;
    }
    if let Some(ours) = tracking.parent() {
        let keepers = ours.join(KEEPERS);
        let _ = fs::create_dir(&keepers);
        let _ = fs::write(keepers.join("cgroup.procs"), "0");
    }
}

/// Removes the groups that limited a tree that is gone.
pub(super) fn remove(tracking: &Path) {
    if transient::unit_of(tracking).is_some() {
        // The unit had them, and they are gone with it.
        return;
    }
    let Some(name) = tracking.file_name() else { return };
    for (_, root, _) in V1 {
        let _ = fs::remove_dir(Path::new(root).join(OURS).join(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_was_asked_for_is_set_or_refused() {
        let place = std::env::temp_dir().join(format!("ocf-wasm-group-{}", std::process::id()));
        let asked = Limits { tasks: Some(7), ..Limits::default() };
        // A hierarchy of version 2, as far as files show one.
        let ours = place.join(OURS);
        fs::create_dir_all(&ours).unwrap();
        for (group, file, words) in [
            (&place, "cgroup.controllers", "memory pids"),
            (&place, "cgroup.subtree_control", "pids"),
            (&ours, "cgroup.subtree_control", ""),
        ] {
            fs::write(group.join(file), words).unwrap();
        }
        let could = ["memory", "tasks", "cpu"].map(|what| is_limiting_by_itself(&ours, what));
        let made = make(Some(&ours.join("x")), &asked, &asked);
        let set = fs::read_to_string(ours.join("x/pids.max"));
        let offered = fs::read_to_string(ours.join("cgroup.subtree_control"));
        // Below a group that has members nothing can be limited, unless it is already.
        fs::write(place.join("cgroup.type"), "domain").unwrap();
        fs::write(place.join("cgroup.procs"), "1").unwrap();
        let full = ["memory", "tasks"].map(|what| is_limiting_by_itself(&ours, what));
        let _ = fs::remove_dir_all(&place);
        assert_eq!(could, [true, true, false]);
        assert_eq!(full, [false, true]);
        assert_eq!(made, Ok(vec![ours.join("x/cgroup.procs")]));
        assert_eq!((set.unwrap(), offered.unwrap()), ("7".to_owned(), "+pids".to_owned()));
        // Nowhere to make one.
        assert!(make(None, &asked, &asked).is_err_and(|told| told.contains("limits.tasks")));
        assert_eq!(make(None, &asked, &Limits::default()), Ok(vec![]));
    }
}
