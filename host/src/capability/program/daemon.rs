//! A program of the instance lifetime: a daemon that outlives the action, told apart from all others, ended for good.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::keeper::{self, FromKeeper, ToKeeper};
use super::tree::{self, Span, Tree};
use super::unit::manager::Manager;
use super::unit::transient::{self, Failed, Place};
use super::{Permit, group, wait_until};
use crate::instance::{Daemon, Directory};
use crate::policy::{Grace, KeptBy, StopStep};
use crate::seam::program::Phase;
use crate::seam::{Answer, Channel, Error, ExitStatus};
use crate::sys::clock;
use crate::sys::process::{self, ProcessId};

/// How long killed processes may take to be gone, beyond which they are stuck in the kernel.
const GONE: Duration = Duration::from_secs(2);

/// What is told of a daemon whose keeper was told to start it, and has not.
const NOT_YET: &str = "its keeper was told to start it and has not yet";
/// What is told of a daemon that was tracked by its keeper alone, which somebody killed.
const LOST: &str = "its keeper is gone, and nobody knows what it left";

/// What the keeper of a daemon has written down.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// The main process; none once a program that forks has left the daemon behind.
    pub main: Option<ProcessId>,
    /// Whether it has: all that is left of the tree is the daemon.
    pub has_forked: bool,
    /// How the main process ended; of a daemon that was left behind, the last of its processes.
    pub ended: Option<Ended>,
    /// The last of what the daemon wrote to standard output and error.
    pub output: String,
    /// Whether nothing of the tree can be there: not yet, or not any more. A report of before there was this field ends
    /// without it, and likewise for the next.
    #[serde(deserialize_with = "true_or_missing")]
    pub is_over: bool,
    /// Whether the kernel has ended something of the tree because that had more memory than the policy's limit.
    #[serde(deserialize_with = "true_or_missing")]
    pub over_memory: bool,
}

#[expect(clippy::unnecessary_wraps, reason = "what serde wants")]
fn true_or_missing<'de, D: serde::Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Ok(bool::deserialize(from).unwrap_or(false))
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    /// With this status.
    Exited(u8),
    /// By this signal.
    Signaled(u8),
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "exited with status {status}"),
            Self::Signaled(signal) => write!(f, "ended by signal {signal}"),
        }
    }
}

impl From<Ended> for ExitStatus {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Exited(status) => Self::Exited(status),
            Ended::Signaled(signal) => Self::Signaled(signal),
        }
    }
}

impl Report {
    /// What stands there before a keeper is told to start anything, so that one that never was is known by it.
    pub fn of_nothing() -> Self {
        Self { is_over: true, ..Self::default() }
    }

    /// Reads what the keeper wrote, if anything.
    pub fn read(path: &Path) -> Option<Self> {
        crate::instance::load_report(path).ok()
    }

    /// How the main process ended, for a person.
    pub fn how(&self) -> Option<String> {
        let why = if self.over_memory { ", over its limit of memory" } else { "" };
        self.ended.map(|ended| format!("{ended}{why}"))
    }

    /// The last line that the daemon wrote.
    pub fn last_line(&self) -> Option<&str> {
        self.output.lines().rev().map(str::trim).find(|line| !line.is_empty())
    }
}

/// A daemon at one moment.
#[derive(Clone, Debug)]
pub struct Condition {
    /// Where it is.
    pub phase: Phase,
    /// Members of its tree.
    pub members: Vec<ProcessId>,
    /// Its main process, alive or not.
    pub main: Option<ProcessId>,
    /// How that ended.
    pub ended: Option<Ended>,
    /// Nanoseconds since boot at its start.
    pub since_boot_ns: u64,
    /// What else is to be said of it; empty for nothing.
    pub told: String,
}

impl Condition {
    /// Whether something of it may live: who cannot be seen is not said to be gone.
    pub fn may_live(&self) -> bool {
        !self.members.is_empty() || !matches!(self.phase, Phase::Stopped | Phase::Failed)
    }

    /// Nothing of it runs, and there is something to be said of that.
    pub fn stopped(told: String) -> Self {
        Self { phase: Phase::Stopped, members: Vec::new(), main: None, ended: None, since_boot_ns: 0, told }
    }
}

impl Daemon {
    /// Prepares a daemon: nothing is made yet, so that it can be recorded before it is.
    pub fn new(instance: &str, label: &str, mark: u32) -> Self {
        Self {
            keeper: None,
            cgroup: tree::new_cgroup(instance, label, mark, Span::Instance),
            since_boot_ns: clock::since_boot_ns(),
        }
    }

    /// The unit of systemd that keeps it, if one does.
    pub fn unit(&self) -> Option<&str> {
        transient::unit_of(self.cgroup.as_deref()?)
    }

    /// The control group of that unit.
    fn unit_group(&self) -> Option<PathBuf> {
        self.unit().and(self.cgroup.as_deref()?.parent()).map(Path::to_owned)
    }

    fn tree(&self, report: Option<&Report>) -> Tree {
        Tree { cgroup: self.cgroup.clone(), keeper: self.keeper, main: report.and_then(|r| r.main) }
    }

    /// Whether who is not seen is not there: who is in a control group is seen, and who has a keeper that lives; and a
    /// keeper that ended by itself says that nobody was left.
    fn is_seen_whole(&self, path: &Path) -> bool {
        let is_kept = |keeper: ProcessId| keeper.lives().unwrap_or(false);
        self.cgroup.is_some()
            || self.keeper.is_none_or(is_kept)
            || Report::read(path).is_some_and(|report| report.is_over)
    }

    /// Why nobody knows what is left of it, and nobody will until a person says it. `path` is its keeper's report.
    #[cfg(feature = "tool")]
    pub fn lost(&self, path: &Path) -> Option<&'static str> {
        (self.condition(path).told == LOST).then_some(LOST)
    }

    /// Looks at the daemon. `path` is its keeper's report. A keeper that was told to start it and has not yet is waited for
    /// a moment: who told it so was killed.
    pub fn condition(&self, path: &Path) -> Condition {
        let mut found = self.look(path);
        if found.told == NOT_YET {
            wait_until(Instant::now() + GONE / 4, || {
                found = self.look(path);
                found.told != NOT_YET
            });
        }
        found
    }

    fn look(&self, path: &Path) -> Condition {
        let report = crate::instance::load_report::<Report>(path);
        let unread = report.as_ref().err().filter(|error| !process::is_gone(error)).map(ToString::to_string);
        let report = report.ok();
        let seen = self.tree(report.as_ref()).look();
        let main = report.as_ref().and_then(|r| r.main);
        let ended = report.as_ref().and_then(|r| r.ended);
        let has_forked = report.as_ref().is_some_and(|r| r.has_forked);
        let lives = |main: ProcessId| main.lives().unwrap_or(false);
        let is_kept = || self.keeper.is_some_and(ProcessId::is_alive);
        let (phase, told) = match (&seen, main) {
            // That it runs is seen, whatever else is not.
            (Ok(members), Some(main)) if members.contains(&main) => (Phase::Running, String::new()),
            (_, Some(main)) if lives(main) => (Phase::Running, String::new()),
            (Err(error), _) => (Phase::Remains, format!("its processes cannot be seen: {error}")),
            (Ok(members), _) if !members.is_empty() => match unread {
                Some(error) => (Phase::Remains, format!("what its keeper wrote cannot be read: {error}")),
                None if has_forked => (Phase::Running, String::new()),
                None => (Phase::Remains, String::new()),
            },
            // What its keeper left may be anywhere.
            (Ok(_), _) if !self.is_seen_whole(path) => (Phase::Remains, LOST.to_owned()),
            (Ok(_), None) if !has_forked && is_kept() => (Phase::Remains, NOT_YET.to_owned()),
            (Ok(_), None) if !has_forked => (Phase::Stopped, String::new()),
            (Ok(_), _) => (Phase::Failed, String::new()),
        };
        let members = seen.unwrap_or_else(|_| main.filter(|main| lives(*main)).into_iter().collect());
        Condition { phase, members, main, ended, since_boot_ns: self.since_boot_ns, told }
    }

    /// Ends the daemon by the steps of its policy, then by SIGKILL; returns when nothing of its tree is left.
    ///
    /// # Errors
    /// `other` if something is left that even SIGKILL did not end by `deadline`, or if that nothing is left cannot be
    /// known.
    pub fn stop(&self, label: &str, path: &Path, steps: &[StopStep], deadline: Instant) -> Answer<()> {
        let report = Report::read(path);
        let tree = self.tree(report.as_ref());
        let main = tree.main;
        // Time to kill what does not listen is kept back from the steps.
        let reserve = (deadline.saturating_duration_since(Instant::now()) / 10).min(GONE);
        let last = deadline.checked_sub(reserve).unwrap_or(deadline);
        for step in steps {
            if tree.is_empty() {
                break;
            }
            let left = last.saturating_duration_since(Instant::now());
            let grace = match step.grace {
                Grace::Ms(ms) => Duration::from_millis(ms).min(left),
                Grace::Percent(percent) => left * u32::try_from(percent).unwrap_or(100) / 100,
                Grace::Rest => left,
            };
            let until = Instant::now() + grace;
            // The main process ends its own children; what it leaves is asked the same.
            if main.is_some_and(|main| main.signal(step.signal)) {
                wait_until(until, || tree.is_empty() || main.is_some_and(|main| !main.is_alive()));
            }
            let patience = if main.is_some() { GONE / 4 } else { Duration::ZERO };
            if !wait_until((Instant::now() + patience).min(until), || tree.is_empty()) {
                tree.signal(step.signal);
                wait_until(until, || tree.is_empty());
            }
        }
        let mut is_whole = false;
        let mut kill_all = || {
            let is_empty = tree.is_empty();
            if is_empty {
                is_whole = is_whole || self.is_seen_whole(path);
            } else {
                tree.kill();
            }
            is_empty
        };
        let until = deadline.max(Instant::now() + Duration::from_millis(200));
        let mut gone = wait_until(until, &mut kill_all);
        // A keeper ends when it has nothing to wait for. One that does not may only now be about to start what it was
        // told to by an action that was killed: it is held still, and what it has made is ended before it is.
        if let Some(keeper) = self.keeper.filter(|_| gone)
            && !wait_until(Instant::now() + GONE / 4, || kill_all() && !keeper.is_alive())
        {
            keeper.signal(Signal::SIGSTOP);
            gone = wait_until(Instant::now() + GONE / 4, &mut kill_all);
            keeper.signal(Signal::SIGKILL);
        }
        // Of a start that was killed the unit may be there without a keeper that is known.
        if let Some(unit) = self.unit_group().filter(|_| gone) {
            let unit = Tree { cgroup: Some(unit), ..Tree::default() };
            if !wait_until(Instant::now() + GONE / 4, || unit.is_empty()) {
                unit.kill();
                gone = wait_until(Instant::now() + GONE / 4, || unit.is_empty());
            }
        }
        if gone && !is_whole {
            return Err(Error::Other(format!("program {label}: {LOST}")));
        }
        // The kernel has the last word on who is in a control group: one that somebody is in cannot be removed.
        let is_removed = gone
            && wait_until(until, || {
                let is_removed = tree.is_forgotten();
                if !is_removed {
                    tree.kill();
                }
                is_removed
            });
        if !is_removed {
            let left: Vec<String> = tree.members().iter().map(|id| id.pid.to_string()).collect();
            let left = match (&self.cgroup, left.is_empty()) {
                (Some(cgroup), true) => format!("who is in {}", cgroup.display()),
                _ => left.join(", "),
            };
            return Err(Error::Other(format!("program {label}: still there after SIGKILL: {left}")));
        }
        let _ = std::fs::remove_file(path);
        Ok(())
    }
}

/// What a start is for, and by what means.
pub struct Occasion<'a> {
    /// The instance's name.
    pub instance: &'a str,
    /// Its directory, which has a place for the keeper's report.
    pub directory: &'a Directory,
    /// Whom a unit is asked of.
    pub manager: &'a Manager,
    /// When the plugin's time is over.
    pub deadline: Instant,
    /// What the daemon's output is told without: the values of secret parameters.
    pub secrets: Vec<String>,
}

/// A daemon whose keeper is there and waits for its plan.
struct Begun {
    daemon: Daemon,
    channel: Channel,
    groups: Vec<PathBuf>,
}

impl Permit {
    /// Starts the program under a keeper and returns when it has been executed; if it forks, when it has ended and left
    /// the daemon behind. `recorded` is called with the daemon each time that more is known of it, before the next step,
    /// `warn` with a sentence where it is kept by less than a unit, although one could be had.
    ///
    /// # Errors
    /// `unavailable` if it cannot be executed, or not within its limits, or no unit can be had that the policy demands;
    /// `other` if it forks and ended with something else than 0, if no keeper can be made or the record cannot be
    /// written; `timed-out`.
    #[cold]
    #[inline(never)]
    pub fn start(
        self,
        occasion: &Occasion<'_>,
        mut recorded: impl FnMut(&Daemon) -> Answer<()>,
        warn: impl FnMut(String),
    ) -> Answer<()> {
        let label = self.label.clone();
        let report = occasion.directory.report_path(&label);
        let _ = std::fs::remove_file(&report);
        let Begun { daemon, channel: mut ours, groups } = self.begin(occasion, &mut recorded, warn)?;
        recorded(&daemon)?;
        let plan = ToKeeper::Plan {
            label: label.clone(),
            instance: occasion.instance.to_owned(),
            report,
            argv: self.argv,
            environment: self.environment,
            user: self.user,
            groups,
            confinement: self.confinement,
            cgroup: daemon.cgroup,
            forks: self.forks,
            secrets: occasion.secrets.clone(),
        };
        // From here on the keeper may act: all that it makes can be found through what is recorded.
        ours.send(&plan).map_err(|_| other(&label, "keeper", &"ended at once"))?;
        match ours.receive(Some(occasion.deadline)) {
            Ok(FromKeeper::Started) => Ok(()),
            Ok(FromKeeper::NotExecuted(why)) => {
                Err(Error::Unavailable(format!("program {label}: cannot be executed: {why}")))
            }
            Ok(FromKeeper::Failed(how)) => Err(Error::Other(format!("program {label}: {how}"))),
            Err(crate::seam::Lost::TimedOut) => Err(Error::TimedOut),
            Err(_) => Err(other(&label, "keeper", &"ended without a word")),
        }
    }

    /// Makes the keeper: in a unit where the policy wants that and one can be had, else as a process of ours. One without
    /// a plan ends when its channel does, so that nothing is left of a way that was given up.
    #[cold]
    #[inline(never)]
    fn begin(
        &self,
        occasion: &Occasion<'_>,
        recorded: &mut impl FnMut(&Daemon) -> Answer<()>,
        mut warn: impl FnMut(String),
    ) -> Answer<Begun> {
        let (label, mark) = (self.label.as_str(), occasion.directory.mark());
        let unavailable = |told: &dyn std::fmt::Display| Error::Unavailable(format!("program {label}: {told}"));
        if self.manager != KeptBy::Nobody {
            let is_demanded = self.manager == KeptBy::Systemd;
            match Place::of(occasion.directory, label) {
                Ok(place) => match self.begin_in(&place, occasion, recorded)? {
                    Ok(begun) => return Ok(begun),
                    Err(Failed::TimedOut) => return Err(Error::TimedOut),
                    Err(Failed::Limit(why)) if is_demanded => return Err(unavailable(&why)),
                    Err(Failed::Why(why)) if is_demanded => return Err(other(label, "manager = \"systemd\"", &why)),
                    Err(Failed::Limit(why) | Failed::Why(why)) => {
                        warn(format!("program {label}: started without a unit of its own: {why}"));
                    }
                },
                Err(why) if is_demanded => return Err(unavailable(&why)),
                // What this node is says `ocf-wasm check`.
                Err(_) => {}
            }
        }
        let mut daemon = Daemon::new(occasion.instance, label, mark);
        recorded(&daemon)?;
        let groups = group::make(daemon.cgroup.as_deref(), &self.confinement.fixed.limits, &self.asked)
            .map_err(|told| unavailable(&told))?;
        let (channel, theirs) = Channel::pair().map_err(|e| other(label, "keeper", &e))?;
        let pid = keeper::spawn(theirs, &self.file, [occasion.instance, label, &format!("{mark:08x}")])
            .map_err(|e| other(label, "keeper", &e))?;
        daemon.keeper = ProcessId::now(pid.as_raw());
        if daemon.cgroup.is_none() {
            // Then it is by the report that a keeper is known to have nothing.
            crate::instance::save_report(&occasion.directory.report_path(label), &Report::of_nothing())
                .map_err(|e| other(label, "report", &e))?;
        }
        Ok(Begun { daemon, channel, groups })
    }

    #[cold]
    #[inline(never)]
    fn begin_in(
        &self,
        place: &Place,
        occasion: &Occasion<'_>,
        recorded: &mut impl FnMut(&Daemon) -> Answer<()>,
    ) -> Answer<Result<Begun, Failed>> {
        let tree = place.tree();
        let mut daemon = Daemon { keeper: None, cgroup: Some(tree.clone()), since_boot_ns: clock::since_boot_ns() };
        recorded(&daemon)?;
        let (channel, theirs) = Channel::pair().map_err(|e| other(&self.label, "keeper", &e))?;
        let names = (self.label.as_str(), occasion.directory.mark());
        let limits = &self.confinement.fixed.limits;
        let keeper = match place.start(names, limits, (theirs, &self.file), occasion.manager, occasion.deadline) {
            Ok(keeper) => keeper,
            Err(failed) => return Ok(Err(failed)),
        };
        daemon.keeper = Some(keeper);
        let groups = group::make_in_unit(&tree, limits, &self.asked).map_err(Failed::Limit);
        Ok(groups.map(|groups| Begun { daemon, channel, groups }))
    }
}

fn other(label: &str, what: &str, error: &dyn std::fmt::Display) -> Error {
    Error::Other(format!("program {label}: {what}: {error}"))
}

#[cfg(test)]
mod tests;
