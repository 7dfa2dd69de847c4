//! One action from request to outcome, as Pacemaker sees it. Read downwards: what needs no plugin, who may ask, which
//! record, which plan, the contract, what is written down.

use std::time::{Duration, Instant};

use crate::broker::{Broker, Deadline, Session, Trace};
use crate::contract;
use crate::instance::{self, Directory, Found, History, Lock, LockError, Record, State};
use crate::ocf::outcome::{Exit, Outcome};
use crate::ocf::request::Unreadable;
use crate::ocf::{Action, Request};
use crate::plan::{self, Plan, Refusal};
use crate::policy::Policy;
use crate::report::{self, Log};
use crate::runner::{Facts, MEMORY_BYTES};
use crate::store;
use crate::sys::user;

/// Performs an action and answers. `start` is when the process began.
pub fn perform(request: &Request, start: Instant) -> Outcome {
    let Some(action) = request.action else {
        let word =
            if request.word.is_empty() { "no action".to_owned() } else { format!("unknown action {}", request.word) };
        let _ = report::print(usage(request).as_bytes());
        return Outcome::because(Exit::Unimplemented, &word);
    };
    match action {
        Action::MetaData => return meta_data(request),
        Action::Usage => return printed(&usage(request)),
        Action::Methods => return printed(&methods(request)),
        _ => {}
    }
    let log = Log::of(&request.agent.kind, request.instance.as_deref(), request.log.clone());
    let is_root = nix::unistd::geteuid().is_root();
    if action == Action::ValidateAll {
        return validate_all(request, &log, start, is_root);
    }
    if !is_root {
        return Outcome::because(Exit::Permission, &format!("{} needs root", action.word()));
    }
    let instance = match request.instance_name() {
        Ok(instance) => instance,
        Err(text) => return Outcome::because(Exit::NotConfigured, &text),
    };
    let directory = Directory::of(&request.agent, instance);
    let outcome = recorded(request, action, instance, &directory, &log, start);
    note(&directory, request, action, &outcome, start);
    outcome
}

/// Answers a call by a path that names no agent.
pub fn unreadable(unreadable: &Unreadable) -> Outcome {
    Outcome::because(Exit::Unimplemented, &unreadable.0)
}

/// This node's name where the caller gives none.
pub fn host_name() -> String {
    nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn recorded(
    request: &Request,
    action: Action,
    instance: &str,
    directory: &Directory,
    log: &Log,
    start: Instant,
) -> Outcome {
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    let deadline = deadline(request, action, start);
    arm(request, action, &deadline);
    let has_effects = matches!(action, Action::Start | Action::MigrateFrom);
    if has_effects && let Err(error) = directory.make() {
        return Outcome::because(Exit::Generic, &format!("{}: {error}", directory.path().display()));
    }
    let lock =
        directory.is_there().then(|| Lock::take(directory, action.changes_something(), deadline.plugin)).transpose();
    let lock = match lock {
        Ok(lock) => lock,
        Err(LockError::Busy) => {
            return Outcome::because(Exit::Generic, "another action of this instance is still running");
        }
        Err(LockError::Io(error)) => {
            return Outcome::because(Exit::Generic, &format!("{}: lock: {error}", directory.path().display()));
        }
    };
    let found = directory.record();
    let outcome = with_record(request, action, instance, directory, found, &deadline, log, start);
    drop(lock);
    outcome
}

#[expect(
    clippy::too_many_arguments,
    reason = "one caller; a struct of these would be this function's parameters by another name"
)]
fn with_record(
    request: &Request,
    action: Action,
    instance: &str,
    directory: &Directory,
    found: Found,
    deadline: &Deadline,
    log: &Log,
    start: Instant,
) -> Outcome {
    let (mut record, is_unknown) = match found {
        Found::Record(record) => (Some(*record), false),
        Found::None => (None, false),
        Found::Unknown(text) => {
            log.error(&text);
            (None, true)
        }
    };
    let is_active = record.as_ref().is_some_and(|r| r.state.is_active());
    let takes_today = matches!(action, Action::Start | Action::MigrateFrom);
    let planned = match record.as_ref().filter(|_| is_active && !takes_today) {
        Some(record) => plan::pinned(record, request, log, deadline.plugin),
        None => plan::today(request, log, deadline.plugin),
    };
    let plan = match planned {
        Ok(plan) => plan,
        Err(refusal) => {
            return refused(request, action, instance, directory, record, is_unknown, &refusal, deadline, log);
        }
    };
    if !is_exported(action, &plan) {
        return Outcome::because(
            Exit::Unimplemented,
            &format!("{} does not implement {}", request.agent, action.word()),
        );
    }
    if action == Action::Reload
        && let Some(record) = &mut record
    {
        match plan::parameters(&plan.description, request, log) {
            Ok((given, parameters)) => (record.given, record.parameters) = (given, parameters),
            Err(refusal) => return plan::answer(&refusal, request, true, log),
        }
    }
    let identity = match identity() {
        Ok(identity) => identity,
        Err(text) => return plan::answer(&Refusal::Node(text), request, is_active, log),
    };
    let mut kept = record.filter(|_| is_active).unwrap_or_else(|| Record::new(instance, State::Starting));
    let is_recorded = is_active || takes_today;
    if takes_today || !is_active {
        kept.pins = Some(plan.pins.clone());
        kept.given = plan.given.clone();
        kept.parameters = plan.parameters.clone();
    }
    if takes_today {
        kept.state = State::Starting;
        if let Err(error) = store::keep(plan.policy_text.as_bytes()) {
            return Outcome::because(Exit::Generic, &format!("{}: {error}", store::LIB));
        }
    }
    let mut session = session(request, directory, kept, &plan, identity, deadline, log, start);
    session.broker.is_recorded = is_recorded;
    if is_recorded
        && action.changes_something()
        && action != Action::Stop
        && let Err(text) = session.broker.save()
    {
        return Outcome::because(Exit::Generic, &text);
    }
    let outcome = match action {
        Action::Start => contract::start(&mut session),
        Action::Stop => contract::stop(&mut session),
        Action::Monitor => contract::monitor(&mut session, request.is_probe(), request.check_level),
        Action::Promote => contract::promote(&mut session),
        Action::Demote => contract::demote(&mut session),
        Action::Notify => contract::notify(&mut session),
        Action::MigrateTo => contract::migrate_to(&mut session),
        Action::MigrateFrom => contract::migrate_from(&mut session),
        Action::Reload => contract::reload(&mut session),
        Action::ValidateAll | Action::MetaData | Action::Usage | Action::Methods => Outcome::of(Exit::Generic),
    };
    if action == Action::Stop && is_unknown && outcome.exit == Exit::Success && !directory.is_there() {
        return Outcome::because(Exit::Generic, "records of this boot were lost: what was started here is not known");
    }
    if action == Action::Monitor && !is_active && !outcome.exit.is_failure() && outcome.exit != Exit::NotRunning {
        drop(session);
        adopt(directory, instance, &plan, log, deadline);
    }
    outcome
}

/// Lets a plan monitor an instance whose lock the caller holds. Changes nothing.
pub fn monitor_with(
    request: &Request,
    directory: &Directory,
    record: Record,
    plan: &Plan,
    log: &Log,
    timeout: Duration,
) -> Outcome {
    let start = Instant::now();
    let identity = match identity() {
        Ok(identity) => identity,
        Err(text) => return Outcome::because(Exit::Generic, &text),
    };
    let deadline = Deadline::new(start, timeout, false);
    let mut session = session(request, directory, record, plan, identity, &deadline, log, start);
    contract::monitor(&mut session, false, 0)
}

/// Records an instance that runs and that nobody recorded, so that its stop depends on nothing but what is known now.
fn adopt(directory: &Directory, instance: &str, plan: &Plan, log: &Log, deadline: &Deadline) {
    let adopted = || -> Result<(), String> {
        let io = |error: std::io::Error| format!("{}: {error}", directory.path().display());
        directory.make().map_err(io)?;
        // The shared lock that this action may hold is let go first: two monitors that both want to adopt would wait
        // for each other otherwise.
        let Ok(_lock) = Lock::take(directory, true, deadline.plugin) else { return Ok(()) };
        if matches!(directory.record(), Found::Record(record) if record.state.is_active()) {
            return Ok(());
        }
        store::keep(plan.policy_text.as_bytes()).map_err(io)?;
        let mut record = Record::new(instance, State::Adopted);
        record.pins = Some(plan.pins.clone());
        record.given = plan.given.clone();
        record.parameters = plan.parameters.clone();
        record.untracked = true;
        directory.save(&record).map_err(io)
    };
    match adopted() {
        Ok(()) => log.info("found running without a record: adopted"),
        Err(text) => log.error(&format!("found running, and cannot be recorded: {text}")),
    }
}

#[expect(clippy::too_many_arguments, reason = "see with_record")]
fn refused(
    request: &Request,
    action: Action,
    instance: &str,
    directory: &Directory,
    record: Option<Record>,
    is_unknown: bool,
    refusal: &Refusal,
    deadline: &Deadline,
    log: &Log,
) -> Outcome {
    let active = record.filter(|r| r.state.is_active());
    match (action, active) {
        (Action::Start | Action::MigrateFrom, None) => {
            let _ = directory.save(&Record::new(instance, State::Refused));
            plan::answer(refusal, request, false, log)
        }
        // The plugin cannot be used, and something of it was started: the host ends what it tracks.
        (Action::Stop, Some(record)) => {
            log.error(&format!("the plugin cannot stop: {refusal}; the host ends what it started"));
            let mut broker =
                Broker::new(directory.clone(), record, Policy::default(), request.node.clone(), *deadline, log);
            broker.is_recorded = true;
            let labels: Vec<String> = broker.record.daemons.keys().cloned().collect();
            for label in labels {
                if broker.end(&label, deadline.answer).is_err() {
                    return Outcome::because(Exit::Generic, &format!("program {label}: does not end"));
                }
            }
            if broker.record.untracked {
                return plan::answer(refusal, request, true, log);
            }
            broker.record = Record::new(instance, State::Stopped);
            if let Err(text) = broker.save() {
                log.error(&text);
            }
            Outcome::of(Exit::Success)
        }
        (Action::Stop, None) if is_unknown => {
            Outcome::because(Exit::Generic, &format!("what was started here is not known, and {refusal}"))
        }
        (_, active) => plan::answer(refusal, request, active.is_some() || is_unknown, log),
    }
}

#[expect(clippy::too_many_arguments, reason = "see with_record")]
fn session<'a>(
    request: &Request,
    directory: &Directory,
    record: Record,
    plan: &Plan,
    identity: Option<user::User>,
    deadline: &Deadline,
    log: &'a Log,
    start: Instant,
) -> Session<'a> {
    let facts = Facts {
        instance: record.instance.clone(),
        node: request.node.clone(),
        declared: Some(plan.description.parameters.iter().map(|p| p.name.clone()).collect()),
        parameters: record.parameters.clone(),
        clone: request.clone.clone(),
        notice: request.notice.clone(),
        migration: request.migration.clone(),
        deadline: deadline.plugin,
        memory_bytes: plan.policy.memory_bytes.unwrap_or(MEMORY_BYTES),
    };
    let trace = Trace::open(request.trace.as_deref(), start);
    let policy = plan.policy.clone();
    let mut broker = Broker::new(directory.clone(), record, policy, request.node.clone(), *deadline, log);
    broker.pretend_nothing_is_installed = request.pretend_nothing_is_installed;
    Session::new(broker, plan.native, facts, identity, trace)
}

/// Whom the runner becomes.
fn identity() -> Result<Option<user::User>, String> {
    if user::is_alone() {
        return Ok(None);
    }
    let found = user::look_up(store::USER);
    found
        .map(Some)
        .ok_or_else(|| format!("there is no user {}: run systemd-sysusers or `ocf-wasm install` again", store::USER))
}

fn is_exported(action: Action, plan: &Plan) -> bool {
    let exports = plan.description.exports;
    match action {
        Action::Promote | Action::Demote => exports.role,
        Action::Notify => exports.notification,
        Action::MigrateTo | Action::MigrateFrom => exports.migration,
        Action::Reload => exports.reload,
        Action::Start
        | Action::Stop
        | Action::Monitor
        | Action::ValidateAll
        | Action::MetaData
        | Action::Usage
        | Action::Methods => true,
    }
}

/// Checks parameters: without root and below level 10 by the metadata alone, else with the plugin too.
fn validate_all(request: &Request, log: &Log, start: Instant, is_root: bool) -> Outcome {
    let deadline = deadline(request, Action::ValidateAll, start);
    let checked = plan::installed(&request.agent).and_then(|(_, generation)| {
        plan::parameters(&generation.description, request, log).map(|(_, parameters)| (generation, parameters))
    });
    let (generation, parameters) = match checked {
        Ok(both) => both,
        Err(refusal) => return plan::answer(&refusal, request, false, log),
    };
    if !is_root {
        return Outcome::of(Exit::Success);
    }
    let is_deep = request.check_level >= 10;
    let plan = match plan::today(request, log, deadline.plugin) {
        Ok(plan) => plan,
        Err(refusal) if is_deep => return plan::answer(&refusal, request, false, log),
        // Below level 10 no policy is needed; a plugin that cannot be loaded will say so at its start.
        Err(_) => return Outcome::of(Exit::Success),
    };
    let (Ok(identity), instance) = (identity(), request.instance.as_deref().unwrap_or("default")) else {
        return Outcome::of(Exit::Success);
    };
    arm(request, Action::ValidateAll, &deadline);
    let mut record = Record::new(instance, State::Stopped);
    record.parameters = parameters;
    let granted = if is_deep { plan.policy } else { Policy::default() };
    let plan = Plan { policy: granted, description: generation.description, ..plan };
    let directory = Directory::of(&request.agent, instance);
    let mut session = session(request, &directory, record, &plan, identity, &deadline, log, start);
    contract::validate(&mut session, request.check_level)
}

fn deadline(request: &Request, action: Action, start: Instant) -> Deadline {
    let advertised = || {
        let word = match action {
            Action::Reload => "reload",
            Action::ValidateAll => "validate",
            other => other.word(),
        };
        plan::installed(&request.agent).map_or(20_000, |(_, generation)| generation.description.timeout_ms(word))
    };
    let timeout = Duration::from_millis(request.timeout_ms.unwrap_or_else(advertised));
    Deadline::new(start, timeout, action == Action::Stop)
}

/// Arms the last resort against a system call that does not come back.
fn arm(request: &Request, action: Action, deadline: &Deadline) {
    let exit = Exit::Generic;
    let text = format!("{}: a system call did not come back in time", action.word());
    let line = format!("{}{text}\n", request.reason_prefix);
    let wait = deadline.answer.saturating_duration_since(Instant::now());
    crate::sys::alarm::answer_after(wait.max(Duration::from_millis(10)), exit.code().into(), line);
}

/// Adds the action to what `why` shows.
fn note(directory: &Directory, request: &Request, action: Action, outcome: &Outcome, start: Instant) {
    if !directory.is_there() {
        return;
    }
    let word = match (action, request.is_probe(), request.check_level) {
        (Action::Monitor, true, _) => "probe".to_owned(),
        (Action::Monitor, false, level @ 1..) => format!("monitor level {level}"),
        (action, ..) => action.word().to_owned(),
    };
    let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
    History::of(directory).add(&instance::Action {
        at,
        action: word,
        exit: outcome.exit.code(),
        took_ms: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
        reason: outcome.reason.clone(),
    });
}

fn meta_data(request: &Request) -> Outcome {
    let path = store::metadata_path(&request.agent);
    match std::fs::read(&path) {
        Ok(xml) => match report::print(&xml) {
            Ok(()) => Outcome::of(Exit::Success),
            Err(error) => Outcome::because(Exit::Generic, &format!("standard output: {error}")),
        },
        Err(error) => {
            let what = format!("{} is not installed on this node ({}: {error})", request.agent, path.display());
            Outcome::because(Exit::NotInstalled, &what)
        }
    }
}

fn printed(text: &str) -> Outcome {
    match report::print(text.as_bytes()) {
        Ok(()) => Outcome::of(Exit::Success),
        Err(error) => Outcome::because(Exit::Generic, &format!("standard output: {error}")),
    }
}

fn words(request: &Request) -> Vec<&'static str> {
    let mut words = vec!["start", "stop", "monitor"];
    if let Ok((_, generation)) = plan::installed(&request.agent) {
        let exports = generation.description.exports;
        let optional = [
            (exports.role, &["promote", "demote"][..]),
            (exports.notification, &["notify"]),
            (exports.migration, &["migrate_to", "migrate_from"]),
            (exports.reload, &["reload-agent"]),
        ];
        words.extend(optional.iter().filter(|(is, _)| *is).flat_map(|(_, words)| words.iter().copied()));
    }
    words.extend(["validate-all", "meta-data", "methods", "usage"]);
    words
}

fn methods(request: &Request) -> String {
    words(request).iter().map(|word| format!("{word}\n")).collect()
}

fn usage(request: &Request) -> String {
    let agent = &request.agent;
    format!(
        "usage: {} ACTION\n\nThe OCF resource agent ocf:{}:{}, run by Pacemaker: the instance in OCF_RESOURCE_INSTANCE, its parameters\nin OCF_RESKEY_name. By hand: ocf-wasm run {agent} ACTION -p name=value.\n\nActions: {}\n",
        agent.kind,
        agent.provider,
        agent.kind,
        words(request).join(", ")
    )
}
