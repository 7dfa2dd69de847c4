//! Re-pinning: a running instance gets another version and today's policy, after both have said the same about it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::agent;
use crate::instance::{self, Directory, Found, History, Lock, Record};
use crate::ocf::description::AgentName;
use crate::ocf::outcome::{Exit, Outcome};
use crate::ocf::request::{Guest, LogTarget};
use crate::ocf::{Action, Request};
use crate::plan::{self, Plan};
use crate::policy;
use crate::report::Log;
use crate::store::{self, Digest, Generation};

/// How long planning, and then each of two monitors, may take here: together, 15 s at most, they keep a stop of that
/// instance waiting, which fences the node if it waits for longer than its own time, mostly 20 s.
const MONITOR: Duration = Duration::from_secs(5);
/// How long an action of the cluster's is waited for.
const LOCK: Duration = Duration::from_secs(20);

/// An instance that both versions agree on. Not locked: as long as others are tried, the cluster acts on it.
pub(super) struct Trial {
    instance: String,
    directory: Directory,
    /// As it was tried.
    record: Record,
    plan: Plan,
}

/// The running instances that an installation would move, if both versions say the same of them. `number` is the
/// generation, if it is there already: then those that do not have it, with today's policy, yet. Looks only.
pub(super) fn meant(agent: &AgentName, number: Option<u32>) -> Vec<String> {
    let text = policy::load(&store::policy_path(agent)).unwrap_or_default();
    let today = Digest::of(text.as_bytes()).to_string();
    let is_meant = |directory: &Directory| match directory.record() {
        Found::Record(record) if record.state.is_active() => {
            record.pins.is_none_or(|pins| Some(pins.generation) != number || pins.policy != today)
        }
        Found::Record(_) | Found::None | Found::Unknown(_) => false,
    };
    let of_agent = instance::list().into_iter().filter(|(name, ..)| name == agent);
    of_agent.filter(|(.., directory)| is_meant(directory)).map(|(_, instance, _)| instance).collect()
}

/// Lets the version that each running instance has and another one monitor it.
///
/// # Errors
/// If one cannot be judged, or they disagree: then nothing has changed.
pub(super) fn try_all(agent: &AgentName, number: u32, generation: &Generation) -> Result<Vec<Trial>> {
    let mut trials = Vec::new();
    for (_, instance, directory) in instance::list().into_iter().filter(|(name, ..)| name == agent) {
        let Ok(_lock) = Lock::take(&directory, true, Instant::now() + LOCK) else {
            bail!("{instance}: another action is still running; try again, or --next-start");
        };
        let record = match directory.record() {
            Found::Record(record) if record.state.is_active() => *record,
            Found::Record(_) | Found::None => continue,
            Found::Unknown(text) => bail!("{instance}: {text}"),
        };
        let request = request(agent, &instance, &record.given);
        let log = Log::of(&agent.kind, Some(&instance), LogTarget::default());
        let deadline = Instant::now() + MONITOR;
        let old = plan::pinned(&record, &request, &log, deadline).map_err(|r| anyhow::anyhow!("{instance}: {r}"))?;
        let new = plan::of(number, generation, &request, &log, deadline).map_err(|r| {
            anyhow::anyhow!(
                "{instance}: the other version cannot take it over: {r}\n  --next-start leaves running instances alone"
            )
        })?;
        if record.pins.as_ref() == Some(&new.pins) && record.given == new.given {
            // It would be compared with itself.
            continue;
        }
        let before = agent::monitor_with(&request, &directory, record.clone(), &old, &log, MONITOR);
        let mut trial = record.clone();
        trial.parameters = new.parameters.clone();
        let after = agent::monitor_with(&request, &directory, trial, &new, &log, MONITOR);
        if before.exit != after.exit {
            let (old, new) = (old.pins.generation, number);
            let what = format!("the versions disagree: {old} says {}, {new} says {}", told(&before), told(&after));
            note(&directory, Exit::Generic, &what);
            bail!(
                "{instance}: the versions disagree about it: {} and {}\n  nothing was changed; --next-start leaves running instances alone",
                told(&before),
                told(&after)
            );
        }
        trials.push(Trial { instance, directory, record, plan: new });
    }
    Ok(trials)
}

/// Writes down the new pins, of what still runs as it was tried: what was stopped or started meanwhile begins with what is
/// installed by itself.
///
/// # Errors
/// If an instance is busy, or its record cannot be written; the others are.
pub(super) fn keep_all(trials: Vec<Trial>) -> Result<Vec<String>> {
    let mut done = Vec::new();
    let mut busy = Vec::new();
    for trial in trials {
        let Ok(_lock) = Lock::take(&trial.directory, true, Instant::now() + LOCK) else {
            busy.push(trial.instance);
            continue;
        };
        let is_as_tried = |found: &Record| {
            found.state.is_active() && found.pins == trial.record.pins && found.given == trial.record.given
        };
        let mut record = match trial.directory.record() {
            Found::Record(found) if is_as_tried(&found) => *found,
            Found::Record(_) | Found::None => continue,
            Found::Unknown(text) => bail!("{}: {text}", trial.instance),
        };
        store::keep(trial.plan.policy_text.as_bytes())?;
        record.pins = Some(trial.plan.pins);
        record.given = trial.plan.given;
        record.parameters = trial.plan.parameters;
        trial.directory.save(&record)?;
        note(&trial.directory, Exit::Success, "");
        done.push(trial.instance);
    }
    if !busy.is_empty() {
        bail!(
            "{}: another action is still running, so it goes on with the version before; do the same again",
            busy.join(", ")
        );
    }
    Ok(done)
}

/// Adds the swap to what `why` shows. The cluster does not hear of it.
fn note(directory: &Directory, exit: Exit, reason: &str) {
    let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
    let outcome = Outcome::because(exit, reason);
    let (exit, reason) = (outcome.exit.code(), outcome.reason);
    History::of(directory).add(&instance::Action { at, action: "swap".to_owned(), exit, took_ms: 0, reason });
}

fn told(outcome: &Outcome) -> String {
    if outcome.reason.is_empty() {
        outcome.exit.to_string()
    } else {
        format!("{} \"{}\"", outcome.exit, outcome.reason)
    }
}

/// A recurring monitor, as the cluster would ask for it.
fn request(agent: &AgentName, instance: &str, given: &BTreeMap<String, String>) -> Request {
    Request {
        agent: agent.clone(),
        action: Some(Action::Monitor),
        word: "monitor".to_owned(),
        instance: Some(instance.to_owned()),
        given: given.clone(),
        garbled: Vec::new(),
        interval_ms: 10_000,
        timeout_ms: Some(u64::try_from(MONITOR.as_millis()).unwrap_or(20_000)),
        check_level: 0,
        node: agent::host_name(),
        guest: Guest::default(),
        clone: None,
        notice: None,
        migration: None,
        log: LogTarget::default(),
        trace: None,
        record: None,
        reason_prefix: "ocf-exit-reason:".to_owned(),
        pretend_nothing_is_installed: false,
    }
}
