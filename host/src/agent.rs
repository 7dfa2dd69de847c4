//! One action from request to outcome, as Pacemaker sees it. Read downwards: what needs no plugin, who may ask, which
//! record, which plan, the contract, what is written down.

mod audit;
mod deadline;
mod known;
mod printed;
mod unaided;
mod validate;

use std::time::{Duration, Instant};

use self::audit::Audit;
use self::deadline::{arm, deadline};
use self::known::Known;
use crate::broker::{Broker, Deadline, Recorder, Session, Trace};
use crate::contract;
use crate::instance::{self, Directory, Found, History, Lock, LockError, Record, State};
use crate::ocf::outcome::{Exit, Outcome, REASON_BYTES};
use crate::ocf::request::Unreadable;
use crate::ocf::{Action, Request};
use crate::plan::{self, Plan, Refusal};
use crate::policy::Policy;
use crate::report::{self, Log};
use crate::runner::{Facts, MEMORY_BYTES, announced, clone_facts};
use crate::seam::instance::Move;
use crate::store;
use crate::sys::user;

/// Performs an action and answers. `start` is when the process began.
pub fn perform(request: &Request, start: Instant) -> Outcome {
    let Some(action) = request.action else {
        let word =
            if request.word.is_empty() { "no action".to_owned() } else { format!("unknown action {}", request.word) };
        let _ = report::print(printed::usage(request).as_bytes());
        return Outcome::because(Exit::Unimplemented, &word);
    };
    match action {
        Action::MetaData => return printed::meta_data(request),
        Action::Usage => return printed::printed(&printed::usage(request)),
        Action::Methods => return printed::printed(&printed::methods(request)),
        _ => {}
    }
    let log = Log::of(&request.agent.kind, request.instance.as_deref(), request.log.clone());
    log.hide(&request.given);
    let audit = Audit::default();
    let outcome = answer(request, action, start, &log, &audit);
    audit.write(request, action, &outcome, start, &log);
    outcome
}

/// Answers an action of an instance.
fn answer(request: &Request, action: Action, start: Instant, log: &Log, audit: &Audit) -> Outcome {
    let is_root = nix::unistd::geteuid().is_root();
    if action == Action::ValidateAll {
        return validate::validate_all(request, log, audit, start, is_root);
    }
    if !is_root {
        return Outcome::because(Exit::Permission, &format!("{} needs root", action.word()));
    }
    let instance = match request.instance_name() {
        Ok(instance) => instance,
        Err(text) => return Outcome::because(Exit::NotConfigured, &text),
    };
    let directory = Directory::of(&request.agent, instance);
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    let deadline = deadline(request, action, start);
    arm(request, action, &deadline, start, log);
    let invocation = Invocation { request, action, instance, directory: &directory, deadline, log, audit, start };
    let mut outcome = invocation.perform();
    if matches!(outcome.exit, Exit::Permission | Exit::NotInstalled) && !outcome.reason.ends_with(')') {
        outcome.reason = plan::explained(&outcome.reason, &plan::hint(&directory, instance));
    }
    outcome.reason = log.masked(&outcome.reason).into_owned();
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

/// One action of one instance, understood and not yet decided.
struct Invocation<'a> {
    request: &'a Request,
    action: Action,
    instance: &'a str,
    directory: &'a Directory,
    deadline: Deadline,
    log: &'a Log,
    audit: &'a Audit,
    start: Instant,
}

impl Invocation<'_> {
    /// Whether it uses what is installed and granted today, whatever the record pins.
    fn begins(&self) -> bool {
        matches!(self.action, Action::Start | Action::MigrateFrom)
    }

    fn perform(&self) -> Outcome {
        let failed = |what: &dyn std::fmt::Display| {
            Outcome::because(Exit::Generic, &format!("{}: {what}", self.directory.path().display()))
        };
        if self.begins()
            && let Err(error) = self.directory.make()
        {
            return failed(&error);
        }
        let until = self.deadline.plugin;
        let (lock, known) = match known::look(self.directory, self.instance, self.action, until, self.log) {
            Ok(known) => known,
            Err(LockError::Busy) => {
                return Outcome::because(Exit::Generic, "another action of this instance is still running");
            }
            Err(LockError::Io(error)) => return failed(&format!("lock: {error}")),
        };
        if self.begins() {
            self.directory.collect();
        }
        let planned = match &known {
            Known::Active(record) if !self.begins() => plan::pinned(record, self.request, self.log, until),
            Known::Active(record) => {
                let today = plan::today(self.request, self.log, until);
                self.goes_on(record, &today).map_or(today, Ok)
            }
            Known::Nothing | Known::Lost => plan::today(self.request, self.log, until),
        };
        let planned = planned.and_then(|plan| identity().map(|whom| (plan, whom)).map_err(Refusal::Node));
        let (plan, whom) = match planned {
            Ok(planned) => planned,
            Err(refusal) => return self.refuse(known, &refusal),
        };
        if !is_exported(self.action, &plan) {
            let what = format!("{} does not implement {}", self.request.agent, self.action.word());
            return Outcome::because(Exit::Unimplemented, &what);
        }
        let record = match known {
            Known::Active(record) => Some(*record),
            Known::Nothing => None,
            Known::Lost => return self.perform_blindly(&plan, whom),
        };
        let is_unrecorded = record.is_none();
        let outcome = self.perform_with(record, &plan, whom);
        let found_running = !outcome.exit.is_failure() && outcome.exit != Exit::NotRunning;
        if self.action == Action::Monitor && is_unrecorded && found_running {
            // The shared lock first: two monitors that both adopt would wait for each other.
            drop(lock);
            self.adopt(&plan);
        }
        outcome
    }

    /// What a start finds running that an earlier one began with something else: another version, policy or parameters
    /// than today's. It goes on as it is; what changed counts from the next start.
    fn goes_on(&self, record: &Record, today: &Result<Plan, Refusal>) -> Option<Plan> {
        if self.action != Action::Start || record.state == State::Stopping {
            return None;
        }
        let is_of = |today: &Plan| record.pins.as_ref() == Some(&today.pins) && record.given == today.given;
        if today.as_ref().is_ok_and(is_of) {
            return None;
        }
        let pinned = plan::pinned(record, self.request, self.log, self.deadline.plugin).ok()?;
        let mut session = self.session(record.clone(), &pinned, identity().ok()?);
        let outcome = contract::monitor(&mut session, false, 0);
        let runs = !outcome.exit.is_failure() && outcome.exit != Exit::NotRunning;
        if runs {
            self.log.warning("already runs with what it was started with; what changed counts from the next start");
        }
        // Its borrow of the plan ends here.
        drop(session);
        runs.then_some(pinned)
    }

    /// Performs the action with an active record or none.
    fn perform_with(&self, record: Option<Record>, plan: &Plan, whom: Option<user::User>) -> Outcome {
        let is_recorded = record.is_some() || self.begins();
        let is_new = record.is_none();
        let mut record = record.unwrap_or_else(|| Record::new(self.instance, State::Starting));
        let before = (record.given.clone(), record.parameters.clone());
        if is_new || self.begins() {
            record.pins = Some(plan.pins.clone());
            (record.given, record.parameters) = (plan.given.clone(), plan.parameters.clone());
        } else if self.action == Action::Reload {
            match plan::parameters(&plan.description, self.request, self.log) {
                Ok(today) => (record.given, record.parameters) = today,
                Err(refusal) => return plan::answer(&refusal, self.request, true, self.log),
            }
        }
        if self.begins() {
            record.state = State::Starting;
            if let Err(error) = store::keep(plan.policy_text.as_bytes()) {
                return Outcome::because(Exit::Generic, &format!("{}: {error}", store::LIB));
            }
        }
        let mut session = self.session(record, plan, whom);
        (session.broker.is_recorded, session.broker.was_recorded) = (is_recorded, !is_new);
        if self.begins()
            && let Err(text) = session.broker.save()
        {
            return Outcome::because(Exit::Generic, &text);
        }
        let outcome = self.contract(&mut session, plan);
        if self.action == Action::Reload {
            // Parameters are recorded when they hold, not before.
            if outcome.exit != Exit::Success {
                (session.broker.record.given, session.broker.record.parameters) = before;
            }
            if let Err(text) = session.broker.save() {
                if outcome.exit == Exit::Success {
                    // The next monitors would ask with those of before.
                    return Outcome::because(Exit::Generic, &text);
                }
                self.log.error(&text);
            }
        }
        outcome
    }

    /// Performs the action without knowing what was started here: nothing is begun, nothing is claimed to be gone.
    fn perform_blindly(&self, plan: &Plan, whom: Option<user::User>) -> Outcome {
        if self.begins() {
            return self.unknown();
        }
        let record = Record { parameters: plan.parameters.clone(), ..Record::new(self.instance, State::Starting) };
        let mut session = self.session(record, plan, whom);
        match (self.action, self.contract(&mut session, plan)) {
            (Action::Stop, _) => self.unknown(),
            // To a probe's 2 and 5 the cluster says: not running here.
            (_, outcome) if matches!(outcome.exit, Exit::NotRunning | Exit::Arguments | Exit::NotInstalled) => {
                self.unknown()
            }
            (_, outcome) => outcome,
        }
    }

    /// Answers where nobody knows what was started here.
    fn unknown(&self) -> Outcome {
        let hint = plan::hint(self.directory, self.instance);
        let text =
            format!("the record is damaged or lost: end what runs of it, then ocf-wasm forget {}", self.instance);
        // A command that was cut would be another one.
        let fits = text.len() + hint.len() <= REASON_BYTES;
        let text = if fits { &text } else { "the record is damaged or lost: what runs here is not known" };
        Outcome::because(Exit::Generic, &plan::explained(text, &hint))
    }

    fn contract(&self, session: &mut Session<'_>, plan: &Plan) -> Outcome {
        self.audit.uses(plan);
        let level = match self.action {
            // The deepest that the plugin announces and that is not deeper than what was asked for.
            Action::Monitor => plan.description.monitor(self.request.check_level).map_or(0, |monitor| monitor.level),
            _ => self.request.check_level,
        };
        session.record(|facts, log| Recorder::begin(self.request, self.action, level, facts, log));
        let outcome = contract::act(session, self.action, self.request.is_probe(), level);
        session.ended(&outcome);
        self.audit.used(&session.broker.used);
        outcome
    }

    /// Answers when the plugin cannot be used.
    fn refuse(&self, known: Known, refusal: &Refusal) -> Outcome {
        match (self.action, known) {
            (_, Known::Nothing) => {
                if self.begins() {
                    let _ = self.directory.save(&Record::new(self.instance, State::Refused));
                }
                plan::answer(refusal, self.request, false, self.log)
            }
            (Action::Stop, Known::Active(record)) => self.stop_without_plugin(*record, refusal),
            (_, Known::Active(_)) => plan::answer(refusal, self.request, true, self.log),
            (_, Known::Lost) => match plan::answer(refusal, self.request, true, self.log) {
                outcome if outcome.exit.is_failure() => {
                    // With a plugin it would be the same.
                    self.log.error(&refusal.to_string());
                    self.unknown()
                }
                outcome => outcome,
            },
        }
    }

    /// Records an instance that runs and that nobody recorded, so that its stop depends on nothing but what is known
    /// now.
    fn adopt(&self, plan: &Plan) {
        let adopted = || -> Result<(), String> {
            let io = |error: std::io::Error| format!("{}: {error}", self.directory.path().display());
            self.directory.make().map_err(io)?;
            let Ok(_lock) = Lock::take(self.directory, true, self.deadline.plugin) else { return Ok(()) };
            if matches!(self.directory.record(), Found::Record(record) if record.state.is_active()) {
                return Ok(());
            }
            store::keep(plan.policy_text.as_bytes()).map_err(io)?;
            let mut record = Record::new(self.instance, State::Adopted);
            record.pins = Some(plan.pins.clone());
            record.given.clone_from(&plan.given);
            record.parameters.clone_from(&plan.parameters);
            record.untracked = true;
            let (policy, node) = (plan.policy.clone(), self.request.node.clone());
            let mut broker = Broker::new(self.directory.clone(), record, policy, node, self.deadline, self.log);
            broker.hold_units();
            self.directory.save(&broker.record).map_err(io)
        };
        match adopted() {
            Ok(()) => self.log.info("found running without a record: adopted"),
            Err(text) => self.log.error(&format!("found running, and cannot be recorded: {text}")),
        }
    }

    fn session(&self, record: Record, plan: &Plan, whom: Option<user::User>) -> Session<'_> {
        let declared = plan.description.parameters.iter().map(|p| p.name.clone()).collect();
        self.session_with(record, plan.policy.clone(), plan.native, declared, whom)
    }

    /// A session of a plugin, or of none: then nothing is native, and nothing is called.
    fn session_with(
        &self,
        record: Record,
        policy: Policy,
        native: &'static [u8],
        declared: Vec<String>,
        whom: Option<user::User>,
    ) -> Session<'_> {
        let request = self.request;
        self.log.hide(&record.parameters);
        let facts = Facts {
            instance: record.instance.clone(),
            node: request.node.clone(),
            declared: Some(declared),
            parameters: record.parameters.clone(),
            clone: request.clone.as_ref().map(clone_facts),
            notice: request.notice.as_ref().and_then(announced),
            migration: request.migration.clone().map(|(source, target)| Move { source, target }),
            deadline: self.deadline.plugin,
            memory_bytes: policy.memory_bytes.unwrap_or(MEMORY_BYTES),
        };
        let trace = Trace::open(request, self.action, self.start, self.log);
        let node = request.node.clone();
        let mut broker = Broker::new(self.directory.clone(), record, policy, node, self.deadline, self.log);
        broker.guest = request.guest.clone();
        broker.pretend_nothing_is_installed = request.pretend_nothing_is_installed;
        Session::new(broker, native, facts, whom, trace)
    }
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
    let instance = record.instance.clone();
    let deadline = Deadline::new(start, timeout, false);
    let action = Action::Monitor;
    let audit = &Audit::default();
    let invocation = Invocation { request, action, instance: &instance, directory, deadline, log, audit, start };
    match identity() {
        Ok(whom) => contract::monitor(&mut invocation.session(record, plan, whom), false, 0),
        Err(text) => Outcome::because(Exit::Generic, &text),
    }
}

/// Whom the runner becomes.
fn identity() -> Result<Option<user::User>, String> {
    if user::is_alone() {
        return Ok(None);
    }
    let found = user::account(user::OURS);
    found
        .map(Some)
        .ok_or_else(|| format!("there is no user {}: run systemd-sysusers or `ocf-wasm install` again", user::OURS))
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
