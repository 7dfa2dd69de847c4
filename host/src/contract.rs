//! The OCF contract, enforced by the host and not by each author, as one table and one loop.
//!
//! A plugin's exports each do one thing. What an action means (idempotence, waiting, verification, what counts as
//! evidence, what may be answered) stands here, once. Pure: all that happens, happens through [`Resource`].
//!
//! The rules that are not obvious, with their reasons:
//! * A probe that answers 1 makes the cluster stop the healthy copy on another node, so it does that only for
//!   something of this instance that is seen alive and broken. Dead leftovers are 7 on a probe, 1 on a recurring monitor.
//! * `start` answers when a monitor would succeed, or when it is sure that none will. Never 190: the cluster would
//!   start and stop for ever.
//! * `stop` answers 0 on evidence only: the plugin's monitor says so, or all that the host tracks is verified gone.
//!   A failed stop fences the node, so everything is tried first. 7 is never an exit of stop.
//! * What systemd is still starting or stopping does not run, whatever the plugin says: a start that believed it would
//!   answer 0 for what ends a moment later, and a probe for what nobody of the cluster started.
//! * An unimplemented recurring monitor (3) says nothing of the resource, and by the sources of some versions of
//!   Pacemaker it means no recovery (2.1.5 recovers, as from 1), so monitor never answers it.

mod ask;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::ask::{
    FAILED_PROMOTED, FIRST_PAUSE, Failed, LEVEL_0, Seen, ask, exit_of, exit_of_failure, look, spoiled, wait, wait_for,
};
use crate::instance::State;
use crate::ocf::Action;
use crate::ocf::outcome::{CONTRADICTED, Exit, Outcome};
use crate::seam::{Export, Failure, FailureKind, Health};

/// What came of calling an export.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It returned. Only monitor returns a health.
    Done(Result<Option<Health>, Failure>),
    /// The component does not fit this host; what was to be called did not run.
    Unfit(String),
    /// It trapped, or its process died: why.
    Broken(String),
    /// It did not return in time.
    TimedOut,
    /// It waited for the host, which took until the deadline over this.
    Waited(String),
}

/// What the host knows of the effects of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tracked {
    /// Effects that the record holds.
    pub held: usize,
    /// Those of which something is alive.
    pub alive: usize,
    /// How a daemon ended whose main process is dead, and its last line.
    pub ended: Option<String>,
    /// Whether a program was run whose effects the host cannot know.
    pub untracked: bool,
}

/// An instance, as the contract sees it.
pub trait Resource {
    /// Calls an export of the plugin.
    fn call(&mut self, export: Export) -> Verdict;
    /// Looks at the effects that the host tracks.
    fn tracked(&mut self) -> Tracked;
    /// What of it the service manager is starting or stopping, in a few words; none where that is not so, or cannot be known.
    fn unsettled(&mut self) -> Option<String>;
    /// Whether an active record exists.
    fn is_recorded(&self) -> bool;
    /// Notes that it runs and that this host did not start it: what of it the host does not see, nobody knows.
    fn adopt(&mut self);
    /// Writes the state, before what it announces.
    fn mark(&mut self, state: State) -> Result<(), String>;
    /// Ends all that the host tracks, and verifies it.
    fn tear_down(&mut self) -> Result<(), String>;
    /// Runs what the policy names for a plugin that cannot stop. None if it names nothing.
    fn last_resort(&mut self) -> Option<Result<(), String>>;
    /// How long until the host must answer.
    fn remaining(&self) -> Duration;
    /// Waits.
    fn pause(&mut self, time: Duration);
    /// Logs an error that is no exit reason.
    fn error(&mut self, text: &str);
}

/// From which level on `validate-all` may look at the node.
pub const LOOKS: u8 = 10;

/// Answers an action, with what fits it: a failure that the cluster would misread there is unspecified.
pub fn act(resource: &mut impl Resource, action: Action, probe: bool, level: u8) -> Outcome {
    let outcome = match action {
        Action::Start => start(resource),
        Action::Stop => stop(resource),
        Action::Monitor => monitor(resource, probe, level),
        Action::Promote => promote(resource),
        Action::Demote => demote(resource),
        Action::Notify => notify(resource),
        Action::MigrateTo => migrate_to(resource),
        Action::MigrateFrom => migrate_from(resource),
        Action::Reload => reload(resource),
        Action::ValidateAll => validate(resource, level),
        // What needs no plugin was answered before.
        Action::MetaData | Action::Usage | Action::Methods => return Outcome::of(Exit::Generic),
    };
    if crate::guard!("I9", outcome.exit.fits(action, probe), true) {
        outcome
    } else {
        Outcome { exit: Exit::Generic, ..outcome }
    }
}

/// Answers a monitor.
pub fn monitor(resource: &mut impl Resource, probe: bool, level: u8) -> Outcome {
    let verdict = resource.call(Export::Monitor { probe, level });
    let failed = match verdict {
        Verdict::Done(Ok(Some(Health::FailedPromoted))) => {
            return Outcome::because(Exit::FailedPromoted, FAILED_PROMOTED);
        }
        Verdict::Done(Ok(Some(Health::NotRunning))) => return not_running(resource),
        Verdict::Done(Ok(Some(health))) => match resource.unsettled() {
            None => return Outcome::of(exit_of(health)),
            Some(why) if matches!(health, Health::Promoted | Health::DegradedPromoted) => {
                return Outcome::because(Exit::FailedPromoted, &why);
            }
            Some(why) => Failed { kind: FailureKind::Generic, reason: why, is_of_host: true },
        },
        Verdict::Done(Err(failure)) => Failed::from(failure),
        other => crate::guard!("I7", spoiled(&other, LEVEL_0), return Outcome::of(Exit::NotRunning)),
    };
    let exit = match failed.kind {
        // What the host found wrong with the plugin says nothing about this node or the parameters.
        _ if failed.is_of_host => Exit::Generic,
        FailureKind::Unimplemented => crate::guard!("I9", Exit::Generic, Exit::Unimplemented),
        kind => exit_of_failure(kind),
    };
    if !probe {
        return Outcome::because(exit, &failed.reason);
    }
    let tracked = resource.tracked();
    if tracked.alive > 0 {
        return Outcome::because(Exit::Generic, &failed.reason);
    }
    if tracked.held > 0 && !(tracked.untracked && failed.is_of_host) {
        resource.error(&format!("probe: only leftovers, nothing alive: {}", failed.reason));
        return Outcome::of(Exit::NotRunning);
    }
    match (exit, resource.is_recorded()) {
        (_, true) => Outcome::because(Exit::Generic, &failed.reason),
        // What the plugin itself saw, and what it says is not here.
        (Exit::Generic, false) if !failed.is_of_host => Outcome::because(exit, &failed.reason),
        (Exit::NotInstalled | Exit::Arguments, false) if !failed.is_of_host => Outcome::because(exit, &failed.reason),
        (_, false) => {
            resource.error(&format!("probe cannot be judged: {}", failed.reason));
            Outcome::of(Exit::NotRunning)
        }
    }
}

/// Answers a monitor or a demote of which the plugin says that it does not run. Pacemaker starts it elsewhere after a 7,
/// without a stop here: what a recorded start left alive is not stopped, whatever the plugin looks at.
fn not_running(resource: &mut impl Resource) -> Outcome {
    let alive = if resource.is_recorded() { resource.tracked().alive } else { 0 };
    match alive {
        0 => Outcome::of(Exit::NotRunning),
        1.. => Outcome::because(Exit::Generic, &format!("{}, {CONTRADICTED}", still_runs(alive))),
    }
}

fn still_runs(alive: usize) -> String {
    format!("{alive} of what it started still runs")
}

/// Answers a start.
pub fn start(resource: &mut impl Resource) -> Outcome {
    match look(resource) {
        Seen::Running => {
            resource.adopt();
            return started(resource);
        }
        Seen::Promoted => {
            resource.adopt();
            return demote_to_started(resource);
        }
        Seen::NotRunning | Seen::Failing(_) | Seen::Unsettled(_) => {}
        Seen::Spoiled(outcome) => return outcome,
    }
    if let Err(outcome) = ask(resource, Export::Start) {
        return outcome;
    }
    match wait_for(resource, "running", true, |seen| matches!(seen, Seen::Running)) {
        Ok(()) => started(resource),
        Err(outcome) => outcome,
    }
}

fn started(resource: &mut impl Resource) -> Outcome {
    match resource.mark(State::Started) {
        Ok(()) => Outcome::of(Exit::Success),
        Err(text) => Outcome::because(Exit::Generic, &text),
    }
}

fn demote_to_started(resource: &mut impl Resource) -> Outcome {
    match demote(resource) {
        outcome if outcome.exit == Exit::Success => started(resource),
        outcome if outcome.exit == Exit::NotRunning => Outcome::because(Exit::Generic, "ended when it was demoted"),
        outcome => outcome,
    }
}

/// Answers a stop.
pub fn stop(resource: &mut impl Resource) -> Outcome {
    if resource.is_recorded()
        && let Err(text) = resource.mark(State::Stopping)
    {
        // A stop that cannot be recorded is repeated if it must be; it is not a reason to fence the node.
        resource.error(&text);
    }
    let held = resource.tracked().held;
    let (failed, is_contradicted) = match resource.call(Export::Stop) {
        Verdict::Done(Ok(_)) => match wait_for_end(resource, held) {
            // Nothing that is held is seen to live. What of it the plugin did not end, the host ends, and looks once more.
            Ok(left) => match if left > 0 { resource.tear_down() } else { Ok(()) } {
                Ok(()) => return stopped(resource),
                Err(text) => return Outcome::because(Exit::Generic, &text),
            },
            Err((failed, says_so)) => (failed, says_so),
        },
        Verdict::Done(Err(failure)) => (Failed::from(failure), false),
        Verdict::Unfit(text) if !resource.is_recorded() => {
            resource.error(&format!("nothing of this instance was started here, and the plugin {text}"));
            return Outcome::of(Exit::Success);
        }
        other => (spoiled(&other, Export::Stop), false),
    };
    resource.error(&format!("the plugin cannot stop: {}; the host ends what it started", failed.reason));
    stop_by_host(resource, &failed.reason, is_contradicted)
}

/// Answers a stop of a recorded instance whose plugin cannot be used. `why` is told where nothing else is known.
pub fn stop_without_plugin(resource: &mut impl Resource, why: &str) -> Outcome {
    if let Err(text) = resource.mark(State::Stopping) {
        resource.error(&text);
    }
    stop_by_host(resource, why, false)
}

/// What the host can do itself. `is_contradicted` is whether the plugin's own monitor says that it still runs.
fn stop_by_host(resource: &mut impl Resource, why: &str, is_contradicted: bool) -> Outcome {
    let torn_down = resource.tear_down();
    let is_all_tracked = resource.is_recorded() && !resource.tracked().untracked;
    if torn_down.is_ok() && is_all_tracked && !is_contradicted {
        return stopped(resource);
    }
    match (resource.last_resort(), torn_down) {
        (Some(Ok(())), before) if resource.tracked().alive == 0 => {
            // What the operator goes by says that it is gone: now it can be forgotten.
            if let Err(text) = before.or_else(|_| resource.tear_down()) {
                resource.error(&text);
            }
            stopped(resource)
        }
        (Some(Err(text)), _) | (_, Err(text)) => Outcome::because(Exit::Generic, &text),
        (_, Ok(())) => Outcome::because(Exit::Generic, why),
    }
}

/// Waits until nothing is left. `held` is how many effects the record held before; returned is how many it still does. On
/// failure also whether the plugin's own monitor speaks against it.
fn wait_for_end(resource: &mut impl Resource, held: usize) -> Result<usize, (Failed, bool)> {
    let of_host = |reason: String| Failed { kind: FailureKind::Generic, reason, is_of_host: true };
    let mut pause = FIRST_PAUSE;
    loop {
        let tracked = resource.tracked();
        let (why, says_so) = if tracked.alive > 0 {
            (still_runs(tracked.alive), false)
        } else {
            match crate::guard!("I6", look(resource), Seen::NotRunning) {
                Seen::NotRunning => return Ok(tracked.held),
                // All that was ever started is verified gone: what still fails is not ours.
                Seen::Failing(_) if held > 0 && !tracked.untracked => return Ok(tracked.held),
                Seen::Failing(failed) => (failed.reason, true),
                Seen::Running | Seen::Promoted => ("monitor still says that it runs".to_owned(), true),
                Seen::Unsettled(why) => (why, true),
                Seen::Spoiled(outcome) => return Err((of_host(outcome.reason), false)),
            }
        };
        if !wait(resource, &mut pause) {
            return Err((of_host(format!("not stopped in time: {why}")), says_so));
        }
    }
}

fn stopped(resource: &mut impl Resource) -> Outcome {
    if let Err(text) = resource.mark(State::Stopped) {
        resource.error(&text);
    }
    Outcome::of(Exit::Success)
}

/// Answers a promote.
pub fn promote(resource: &mut impl Resource) -> Outcome {
    match look(resource) {
        Seen::Promoted => return Outcome::of(Exit::Success),
        Seen::Running | Seen::Failing(_) | Seen::Unsettled(_) => {}
        Seen::NotRunning => return Outcome::because(Exit::Generic, "not running, so it cannot be promoted"),
        Seen::Spoiled(outcome) => return outcome,
    }
    if let Err(outcome) = ask(resource, Export::Promote) {
        return outcome;
    }
    match wait_for(resource, "promoted", false, |seen| matches!(seen, Seen::Promoted)) {
        Ok(()) => Outcome::of(Exit::Success),
        Err(outcome) => outcome,
    }
}

/// Answers a demote. 7 if there was nothing to demote: the cluster then knows that it is stopped.
pub fn demote(resource: &mut impl Resource) -> Outcome {
    match look(resource) {
        Seen::Running => return Outcome::of(Exit::Success),
        Seen::NotRunning => return not_running(resource),
        Seen::Promoted | Seen::Failing(_) | Seen::Unsettled(_) => {}
        // The cluster's next step is to stop it here, whatever is wrong with the plugin.
        Seen::Spoiled(outcome) => return Outcome { exit: Exit::Generic, ..outcome },
    }
    if let Err(outcome) = ask(resource, Export::Demote) {
        return outcome;
    }
    match wait_for(resource, "demoted", false, |seen| matches!(seen, Seen::Running)) {
        Ok(()) => Outcome::of(Exit::Success),
        Err(outcome) => outcome,
    }
}

/// Answers a notify: always 0, since the cluster ignores all else.
pub fn notify(resource: &mut impl Resource) -> Outcome {
    if let Err(outcome) = ask(resource, Export::Notify) {
        resource.error(&format!("notify: {}", outcome.reason));
    }
    Outcome::of(Exit::Success)
}

/// Answers a `migrate_to`, on the node that the resource leaves.
pub fn migrate_to(resource: &mut impl Resource) -> Outcome {
    match look(resource) {
        Seen::Running | Seen::Promoted => done(ask(resource, Export::MigrateTo)),
        Seen::NotRunning => Outcome::because(Exit::Generic, "not running here, so it cannot leave"),
        Seen::Failing(failed) => Outcome::because(Exit::Generic, &failed.reason),
        Seen::Unsettled(why) => Outcome::because(Exit::Generic, &why),
        Seen::Spoiled(outcome) => outcome,
    }
}

/// Answers a `migrate_from`, on the node that the resource comes to.
pub fn migrate_from(resource: &mut impl Resource) -> Outcome {
    if let Err(outcome) = ask(resource, Export::MigrateFrom) {
        return outcome;
    }
    match wait_for(resource, "running", true, |seen| matches!(seen, Seen::Running | Seen::Promoted)) {
        Ok(()) => {
            if resource.tracked().held == 0 {
                resource.adopt();
            }
            started(resource)
        }
        Err(outcome) => outcome,
    }
}

/// Answers a `reload-agent`.
pub fn reload(resource: &mut impl Resource) -> Outcome {
    match look(resource) {
        Seen::Running | Seen::Promoted | Seen::Failing(_) | Seen::Unsettled(_) => {}
        Seen::NotRunning => return Outcome::because(Exit::Generic, "not running, so it cannot be reloaded"),
        Seen::Spoiled(outcome) => return outcome,
    }
    if let Err(outcome) = ask(resource, Export::Reload) {
        return outcome;
    }
    done(wait_for(resource, "running", false, |seen| matches!(seen, Seen::Running | Seen::Promoted)))
}

/// Answers a `validate-all`. Below level 10 the node is not to be looked at, so what the plugin was refused counts for
/// nothing. The standard has no level but these two; another is the next one below.
pub fn validate(resource: &mut impl Resource, level: u8) -> Outcome {
    let level = if level < LOOKS { 0 } else { LOOKS };
    match ask(resource, Export::Validate { level }) {
        Ok(()) => Outcome::of(Exit::Success),
        Err(outcome) if level < LOOKS && matches!(outcome.exit, Exit::Permission | Exit::NotInstalled) => {
            Outcome::of(Exit::Success)
        }
        Err(outcome) => outcome,
    }
}

fn done(result: Result<(), Outcome>) -> Outcome {
    match result {
        Ok(()) => Outcome::of(Exit::Success),
        Err(outcome) => outcome,
    }
}

#[cfg(test)]
mod tests;
