//! A label that is bound to a unit: a service that systemd starts and stops, and that the cluster has.
//!
//! What it is stands in the unit; the policy says which it is and what is added to its environment. Its processes are
//! seen in its control group, so that what lives is known, and ended, also where nobody answers on the bus; without
//! evidence nothing is said to be stopped. Cold: most instances have no unit, and pay for no page of it.

mod files;
pub mod manager;
pub mod transient;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

pub use self::files::had_by_another;
use self::manager::{Ask, Manager, Silent, Told, Unit};
use super::daemon::{Condition, Ended};
use super::tree::{ROOTS, Tree};
use super::wait_until;
use crate::instance::UnitStarted;
use crate::policy;
use crate::policy::template::{Unfit, Values};
use crate::seam::program::Phase;
use crate::seam::{Answer, Error, Slot};
use crate::sys::process::ProcessId;

/// How long killed processes may take to be gone.
const GONE: Duration = Duration::from_secs(2);
/// How often a unit that is about to be down is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Control groups below control groups, in which a unit is looked for.
const DEPTH: usize = 8;

/// A unit that was checked, with its variables filled in: the only thing that can be started.
#[derive(Debug)]
pub struct Permit {
    label: String,
    name: String,
    variables: Vec<(String, String)>,
    rate: Option<u32>,
}

/// Checks a call against its binding, and the unit against its name.
///
/// # Errors
/// `denied` for a parameter that does not fit, or a name that is an alias; `invalid` for a slot; `unavailable` for a unit
/// that is not there, masked or wrong, or where units cannot be had; `other` if nobody answers.
#[cold]
#[inline(never)]
pub fn permit(
    unit: &policy::Unit,
    label: &str,
    slots: &[Slot],
    values: Values<'_>,
    manager: &Manager,
    deadline: Instant,
) -> Answer<Permit> {
    let slots = crate::capability::pairs(slots);
    let values = Values { slots: &slots, ..values };
    let refuse = |error: Unfit| crate::capability::unfit("program", label, error);
    let mut variables = Vec::new();
    for (name, template) in &unit.environment {
        let Some(value) = template.fill(&values).map_err(refuse)? else { continue };
        if value.chars().any(|c| c.is_control() && c != '\t') {
            return Err(refuse(Unfit::Parameter(format!("{name}: a unit's environment has one line a variable"))));
        }
        variables.push((name.clone(), value));
    }
    if let Some(told) = manager::lacking() {
        return Err(Error::Unavailable(format!("program {label}: {told}")));
    }
    let found = manager.look(&unit.name, deadline).map_err(|silent| other(label, &silent))?;
    is_right(label, &unit.name, &found)?;
    Ok(Permit { label: label.to_owned(), name: unit.name.clone(), variables, rate: unit.rate })
}

fn other(label: &str, why: &dyn std::fmt::Display) -> Error {
    Error::Other(format!("program {label}: {why}"))
}

/// The control group of the unit whose variables are in a file.
pub fn trace(environment: &Path) -> Option<PathBuf> {
    find(&files::unit_of(environment)?)
}

/// Whether it is there, and the one that is meant.
fn is_right(label: &str, name: &str, found: &Unit) -> Answer<()> {
    let unavailable = |what: &str| Err(Error::Unavailable(format!("program {label}: unit {name} {what}")));
    match found.load_state.as_str() {
        "loaded" if found.id == name => Ok(()),
        "loaded" => Err(Error::Denied(format!("program {label}: {}", alias(name, found)))),
        "not-found" => unavailable("is not there"),
        "masked" => unavailable("is masked"),
        _ => unavailable("cannot be loaded: systemctl status tells why"),
    }
}

fn alias(name: &str, found: &Unit) -> String {
    format!("unit {name} is an alias of {}", found.id)
}

/// The unit that a binding names, as this node has it.
///
/// # Errors
/// What the binding names and this node lacks.
pub fn examine(unit: &policy::Unit, label: &str, manager: &Manager) -> Result<Unit, String> {
    if let Some(told) = manager::lacking() {
        return Err(format!("program {label}: {told}"));
    }
    let soon = Instant::now() + Duration::from_secs(10);
    let found = manager.look(&unit.name, soon).map_err(|silent| format!("program {label}: {silent}"))?;
    match is_right(label, &unit.name, &found) {
        Err(Error::Denied(text) | Error::Unavailable(text)) => Err(text),
        _ => Ok(found),
    }
}

impl Permit {
    /// Counts a start, as that of a program.
    ///
    /// # Errors
    /// See [`super::Permit::count`].
    pub fn count(&self, path: impl FnOnce() -> std::io::Result<PathBuf>) -> Answer<()> {
        super::count(&self.label, self.rate, path)
    }

    /// Tells the unit that the cluster has it, although somebody else started it, and returns it as it is then. `found` is
    /// how it was found, `environment` is for its next start.
    ///
    /// # Errors
    /// `other` if files cannot be written or nobody answers.
    pub fn hold(self, manager: &Manager, found: Unit, environment: &Path, deadline: Instant) -> Answer<Unit> {
        let (label, name) = (&self.label, &self.name);
        let is_changed = files::write(name, environment, &self.variables)
            .map_err(|error| other(label, &format!("unit {name}: {error}")))?;
        if !is_changed && !found.needs_reload {
            return Ok(found);
        }
        done(manager.ask(&Ask::Reload, deadline), label)?;
        manager.look(name, deadline).map_err(|silent| late(label, silent))
    }

    /// Has the unit started and returns when systemd says that it is up, with what is to be said of it; empty for nothing.
    /// `environment` is where its variables are written. `recorded` is called with the effect each time that more is known of it, before the next step.
    ///
    /// # Errors
    /// `unavailable` if a condition of the unit does not hold here; `other` if it failed, files cannot be written or
    /// nobody answers; `timed-out`: it may come up later.
    #[cold]
    #[inline(never)]
    pub fn start(
        self,
        manager: &Manager,
        environment: &Path,
        deadline: Instant,
        mut recorded: impl FnMut(&UnitStarted) -> Answer<()>,
    ) -> Answer<String> {
        let (label, name) = (&self.label, &self.name);
        let mut effect = UnitStarted::new(name);
        recorded(&effect)?;
        let is_changed = files::write(name, environment, &self.variables)
            .map_err(|error| other(label, &format!("unit {name}: {error}")))?;
        let look = || manager.look(name, deadline).map_err(|silent| late(label, silent));
        if is_changed || look()?.needs_reload {
            done(manager.ask(&Ask::Reload, deadline), label)?;
        }
        let job = match manager.ask(&Ask::Start(name.clone()), deadline) {
            Ok(Told::Job(result)) => result,
            told => return done(told, label).map(|()| String::new()),
        };
        let found = look()?;
        effect.see(&found);
        recorded(&effect)?;
        match job.as_str() {
            "done" | "skipped" if is_down(&found) && !found.conditions_held => {
                Err(Error::Unavailable(format!("program {label}: unit {name}: a condition of it does not hold here")))
            }
            // Whether it works is for monitor to say.
            "done" | "skipped" => Ok(outbid(&found).unwrap_or_default()),
            _ => Err(other(label, &format!("unit {name}: {}", ended_as(&found, &job)))),
        }
    }
}

fn late(label: &str, silent: Silent) -> Error {
    match silent {
        Silent::TimedOut => Error::TimedOut,
        Silent::Gone(_) => other(label, &silent),
    }
}

fn done(told: Result<Told, Silent>, label: &str) -> Answer<()> {
    match told {
        Ok(Told::Refused(_, why)) => Err(other(label, &why)),
        Ok(_) => Ok(()),
        Err(silent) => Err(late(label, silent)),
    }
}

/// How it ended, in a few words.
fn ended_as(found: &Unit, job: &str) -> String {
    match (ended(found), found.result.as_str()) {
        (Some(ended), "success" | "exit-code" | "signal") => ended.to_string(),
        (Some(ended), result) => format!("{result}, {ended}"),
        (None, "success" | "") => format!("its job ended as {job}"),
        (None, result) => format!("failed: {result}"),
    }
}

/// How its main process ended last.
fn ended(found: &Unit) -> Option<Ended> {
    let status = u8::try_from(found.ended_status).unwrap_or(u8::MAX);
    match found.ended_code {
        libc::CLD_EXITED => Some(Ended::Exited(status)),
        libc::CLD_KILLED | libc::CLD_DUMPED => Some(Ended::Signaled(status)),
        _ => None,
    }
}

/// Whether nothing of it runs, nor comes without being asked for again.
fn is_down(found: &Unit) -> bool {
    matches!(found.active_state.as_str(), "inactive" | "failed") && !found.is_to_start
}

/// Whether systemd starts it again by itself. Whoever does not say that it never does may do it.
fn restarts(found: &Unit) -> bool {
    found.restart != "no"
}

/// What is to be said of a unit whose own word on restarts holds, although the cluster has it.
pub fn outbid(found: &Unit) -> Option<String> {
    let told = || {
        let (name, restart) = (&found.id, &found.restart);
        format!("unit {name} has Restart={restart} behind ours: systemctl cat tells where; systemd may start it again")
    };
    restarts(found).then(told)
}

impl UnitStarted {
    /// A unit that is about to be started.
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            invocation: String::new(),
            cgroup: None,
            ends_with_processes: false,
            since_boot_ns: crate::sys::clock::since_boot_ns(),
        }
    }

    /// A unit that runs already, as systemd told of it.
    pub fn found(unit: &Unit) -> Self {
        let mut found = Self::new(&unit.id);
        found.see(unit);
        found
    }

    /// Takes down which run of the unit this is, and where its processes are.
    pub fn see(&mut self, found: &Unit) {
        self.invocation.clone_from(&found.invocation);
        self.cgroup = group(found);
        self.ends_with_processes = !restarts(found) && !members(self.cgroup.as_deref()).is_empty();
    }
}

/// Where the control group of a unit is; none if it has none.
fn group(found: &Unit) -> Option<PathBuf> {
    let inner = found.group.strip_prefix('/').filter(|inner| !inner.is_empty())?;
    hierarchies().map(|root| root.join(inner)).find(|group| group.is_dir())
}

fn hierarchies() -> impl Iterator<Item = &'static Path> {
    ROOTS.iter().take(3).map(|root| Path::new(*root)).filter(|root| root.join("cgroup.procs").exists())
}

/// Finds the control group of a unit by its name, where nobody says where it is.
fn find(name: &str) -> Option<PathBuf> {
    fn below(group: &Path, name: &str, depth: usize) -> Option<PathBuf> {
        let entries = std::fs::read_dir(group).ok()?.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
        let inner: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        let is_it = |path: &&PathBuf| path.file_name().is_some_and(|found| found == name);
        let deeper = || inner.iter().filter(|_| depth > 0).find_map(|group| below(group, name, depth - 1));
        inner.iter().find(is_it).cloned().or_else(deeper)
    }
    hierarchies().find_map(|root| below(root, name, DEPTH))
}

fn members(group: Option<&Path>) -> Vec<ProcessId> {
    Tree { cgroup: group.map(Path::to_owned), ..Tree::default() }.members()
}

/// Looks at a unit. `recorded` is what this instance started of it.
///
/// # Errors
/// `other` if nobody answers, and it has no processes by which it could be seen: then nothing is known, but of a unit that
/// was seen to end with its processes.
#[cold]
#[inline(never)]
pub fn condition(
    label: &str,
    name: &str,
    recorded: Option<&UnitStarted>,
    manager: &Manager,
    deadline: Instant,
) -> Answer<Condition> {
    let since_boot_ns = recorded.map_or(0, |unit| unit.since_boot_ns);
    let seen = |phase, members: Vec<ProcessId>| Condition {
        phase,
        members,
        main: None,
        ended: None,
        since_boot_ns,
        told: String::new(),
    };
    let found = match manager.look(name, deadline) {
        Ok(found) if found.id == name => found,
        // What cannot be started is not ours, whatever it does.
        Ok(found) if recorded.is_none() => return Ok(Condition::stopped(alias(name, &found))),
        silent => {
            // Not asked, or another by now: what is seen of it counts.
            let why =
                silent.err().map_or_else(|| format!("unit {name} is another by now"), |silent| silent.to_string());
            let group = recorded.and_then(|unit| unit.cgroup.clone()).filter(|group| group.is_dir());
            let left = members(group.or_else(|| find(name)).as_deref());
            return match recorded {
                _ if !left.is_empty() => Ok(seen(Phase::Running, left)),
                Some(unit) if unit.ends_with_processes => Ok(Condition { told: why, ..seen(Phase::Failed, left) }),
                _ => Err(other(label, &format!("{why}; no process of unit {name} is seen"))),
            };
        }
    };
    let left = members(group(&found).as_deref());
    let main = i32::try_from(found.main).ok().filter(|pid| *pid > 0).and_then(ProcessId::now);
    let is_another = recorded.is_some_and(|unit| !unit.invocation.is_empty() && unit.invocation != found.invocation);
    let (phase, told) = match found.active_state.as_str() {
        _ if is_another && !(left.is_empty() && is_down(&found)) => {
            (Phase::Remains, "it was started again, and not by the cluster".into())
        }
        "active" | "reloading" | "refreshing" => (Phase::Running, String::new()),
        // It has ended, and is not down: nobody has to ask for it any more to have it run.
        "activating" if found.sub_state.starts_with("auto-restart") => {
            (Phase::Remains, format!("{}; systemd is about to start it again", ended_as(&found, "failed")))
        }
        "activating" => (Phase::Starting, String::new()),
        // As at boot, when what it is to come after is not up yet.
        "inactive" | "failed" if found.is_to_start => (Phase::Starting, "it waits for its turn to be started".into()),
        "deactivating" | "maintenance" => (Phase::Stopping, String::new()),
        _ if !left.is_empty() => (Phase::Remains, ended_as(&found, "done")),
        "inactive" if recorded.is_none() => (Phase::Stopped, String::new()),
        _ => (Phase::Failed, ended_as(&found, "done")),
    };
    let ended = ended(&found).filter(|_| matches!(phase, Phase::Failed | Phase::Remains) && !is_another);
    Ok(Condition { main, ended, told, ..seen(phase, left) })
}

/// Has a unit stopped, and returns when nothing of it is left: by systemd, and where that does not answer or not in time,
/// by its control group. Forgets that it failed.
///
/// # Errors
/// `other` if something is left, or that nothing is left cannot be seen.
#[cold]
#[inline(never)]
pub fn stop(
    label: &str,
    name: &str,
    recorded: Option<&UnitStarted>,
    manager: &Manager,
    deadline: Instant,
) -> Answer<()> {
    // Time to kill what does not end is kept back.
    let reserve = (deadline.saturating_duration_since(Instant::now()) / 10).min(GONE);
    let last = deadline.checked_sub(reserve).unwrap_or(deadline);
    let before = manager.look(name, last);
    let is_it = |found: &Unit| found.id == name;
    if let Ok(found) = &before
        && recorded.is_none()
    {
        let is_there =
            found.active_state != "inactive" || found.is_to_start || !members(group(found).as_deref()).is_empty();
        if !is_it(found) || !is_there {
            return Ok(());
        }
    }
    let place = || {
        let known = before.as_ref().ok().filter(|found| is_it(found)).and_then(group);
        known.or_else(|| recorded.and_then(|unit| unit.cgroup.clone())).or_else(|| find(name))
    };
    let tree = Tree { cgroup: place(), ..Tree::default() };
    let is_seen = !tree.members().is_empty();
    let told = before.as_ref().is_ok_and(is_it).then(|| manager.ask(&Ask::Stop(name.to_owned()), last));
    let ends = |of: Option<&UnitStarted>| of.is_some_and(|unit| unit.ends_with_processes);
    // What is known where nobody answers any more: what systemd has done itself; that the end of its processes is its own;
    // that there were none, and nothing of it was started here.
    let is_evident = match (&told, &before, recorded) {
        (Some(Ok(Told::Job(result))), ..) if result == "done" => true,
        (Some(_), Ok(found), _) => (is_seen || ends(recorded)) && !restarts(found),
        (_, _, None) => !is_seen,
        (_, _, recorded) => ends(recorded),
    };
    if !matches!(told, Some(Ok(_))) {
        // Nobody ends it for us.
        tree.signal(Signal::SIGTERM);
        wait_until(last, || tree.members().is_empty());
    }
    let until = deadline.max(Instant::now() + Duration::from_millis(200));
    loop {
        let left = tree.members();
        let why = if left.is_empty() {
            match manager.look(name, until) {
                Ok(found) if is_it(&found) && is_down(&found) && members(group(&found).as_deref()).is_empty() => {
                    if found.active_state == "failed" {
                        // What it was is the cluster's to remember. It is down, whether systemd forgets it or not.
                        let _ = manager.ask(&Ask::ResetFailed(name.to_owned()), until);
                    }
                    return Ok(());
                }
                Ok(found) if is_it(&found) => {
                    // Started again meanwhile, or never told to stop.
                    if !is_down(&found) && found.active_state != "deactivating" {
                        let _ = manager.ask(&Ask::Stop(name.to_owned()), until);
                    }
                    format!("unit {name} is {}", found.active_state)
                }
                // Nobody answers.
                _ if is_evident => return Ok(()),
                silent => {
                    let silent = silent.err().map_or_else(String::new, |silent| silent.to_string());
                    format!("unit {name}: that no process of it is seen proves nothing, and {silent}")
                }
            }
        } else {
            tree.kill();
            let pids: Vec<String> = left.iter().map(|id| id.pid.to_string()).collect();
            format!("still there after SIGKILL: {}", pids.join(", "))
        };
        if Instant::now() >= until {
            return Err(other(label, &why));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
