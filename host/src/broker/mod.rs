//! The broker: the process that Pacemaker started. It holds policy, effects, deadline and record, and answers the
//! runner's questions; it never touches an engine nor parses what a plugin or a peer sent, beyond the seam's messages.

mod apart;
mod process;
mod recording;
mod session;
mod trace;
mod units;
mod used;
mod web;

pub use process::{Process, verdict};
pub use recording::{Began, Entry, Recorder, Returned, Seen};
pub use session::Session;
pub use trace::Trace;
pub use used::Used;

use std::time::{Duration, Instant};

use crate::capability::program::unit::manager::Manager;
use crate::capability::{path as paths, program as programs, state as states};
use crate::few::Few;
use crate::guard;
use crate::instance::{Daemon, Directory, Record};
use crate::ocf::request::Guest;
use crate::policy::template::Values;
use crate::policy::{Lifetime, Policy};
use crate::report::Log;
use crate::seam::{Answer, Call, Error, Export, Slot, path, program, state};

/// When to answer, from the caller's timeout.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    /// When the plugin's time is over.
    pub plugin: Instant,
    /// When the host has answered, with what it did after that.
    pub answer: Instant,
    /// When a system call that does not come back is given up.
    pub alarm: Instant,
}

impl Deadline {
    /// Splits `timeout`, which began to run at `start`: the caller kills without a warning, so the host answers
    /// before; a stop keeps more back, for ending itself what the plugin could not.
    pub fn new(start: Instant, timeout: Duration, is_stop: bool) -> Self {
        let ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        let clamp = |part: u64, least: u64, most: u64| (ms * part / 100).clamp(least, most);
        let reserve = match (ms < 3_000, is_stop) {
            (true, _) => ms * 30 / 100,
            (false, false) => clamp(10, 1_000, 10_000),
            (false, true) => clamp(25, 1_500, 20_000),
        };
        let last = (ms / 20).clamp(20, 500);
        Self {
            plugin: start + Duration::from_millis(ms.saturating_sub(reserve)),
            answer: start + Duration::from_millis(ms.saturating_sub(last)),
            alarm: start + Duration::from_millis(ms.saturating_sub(last / 3)),
        }
    }
}

/// What answers the runner's questions.
pub struct Broker<'a> {
    /// Where the record is kept.
    pub directory: Directory,
    /// What is known of the instance.
    pub record: Record,
    /// Whether the record is kept on disk.
    pub is_recorded: bool,
    /// Whether one was there before this action.
    pub was_recorded: bool,
    /// What is granted.
    pub policy: Policy,
    /// This node.
    pub node: String,
    /// What this node is to the cluster, besides a node.
    pub guest: Guest,
    /// When to answer.
    pub deadline: Deadline,
    /// Where log lines go.
    pub log: &'a Log,
    /// Whether programs are to look missing, for a tester.
    pub pretend_nothing_is_installed: bool,
    /// What the action asked for.
    pub used: Used,
    export: Export,
    /// What does for it what may hang; none until that is needed.
    apart: Option<apart::Apart>,
    path_bytes: paths::Budget,
    asked: web::Asked,
    manager: Manager,
    /// Where the units are that the plugin asked for in this export.
    asked_units: Few<program::Phase>,
}

impl<'a> Broker<'a> {
    /// Returns a broker for one action.
    pub fn new(
        directory: Directory,
        record: Record,
        policy: Policy,
        node: String,
        deadline: Deadline,
        log: &'a Log,
    ) -> Self {
        Self {
            directory,
            record,
            is_recorded: false,
            was_recorded: false,
            policy,
            node,
            guest: Guest::default(),
            deadline,
            log,
            pretend_nothing_is_installed: false,
            used: Used::default(),
            export: Export::Validate { level: 0 },
            apart: None,
            path_bytes: paths::Budget::default(),
            asked: web::Asked::default(),
            manager: Manager::default(),
            asked_units: Few::default(),
        }
    }

    /// Writes the record if it is kept.
    ///
    /// # Errors
    /// A sentence: /run is full or read-only.
    pub fn save(&self) -> Result<(), String> {
        if !self.is_recorded {
            return Ok(());
        }
        let path = self.directory.path().display();
        self.directory.save(&self.record).map_err(|error| format!("record {path}: {error}"))
    }

    /// Writes down what a plugin is about to do or to know. Where it stops, a full or read-only /run holds up nothing: what it
    /// ends is ended all the same, and a stop that fails has the node fenced.
    fn keep(&self) -> Answer<()> {
        match self.save() {
            Err(text) if self.export == Export::Stop => {
                self.log.error(&text);
                Ok(())
            }
            saved => saved.map_err(Error::Other),
        }
    }

    fn values(&self) -> Values<'_> {
        Values {
            parameters: &self.record.parameters,
            slots: &[],
            node: &self.node,
            guest: &self.guest,
            instance: &self.record.instance,
        }
    }

    /// Counts a question. An export that looks changes nothing.
    fn count(&mut self, what: &str, changes: bool) -> Answer<()> {
        self.used.question(changes)?;
        if Instant::now() >= self.deadline.plugin {
            return Err(Error::TimedOut);
        }
        if changes && guard!("I23", matches!(self.export, Export::Monitor { .. } | Export::Validate { .. }), false) {
            return Err(Error::Invalid(format!("{what} in {}, which changes nothing", self.export.word())));
        }
        Ok(())
    }

    /// Notes that something is about to be done whose effects the host cannot know, so that a stop cannot be verified
    /// without the plugin. An export that only looks leaves nothing.
    fn leave_the_tracks(&mut self) -> Answer<()> {
        let looks_only = matches!(self.export, Export::Monitor { .. } | Export::Validate { .. });
        if looks_only || self.record.untracked {
            return Ok(());
        }
        self.record.untracked = true;
        let kept = self.keep();
        // What is refused is not done.
        self.record.untracked = kept.is_ok();
        kept
    }

    fn binding(&self, label: &str, lifetime: Option<Lifetime>) -> Answer<&crate::policy::Program> {
        if self.pretend_nothing_is_installed {
            return Err(Error::Unavailable(format!("program {label}: the tester wants it missing")));
        }
        if self.policy.units.contains_key(label) {
            return Err(Error::Denied(format!("program {label}: bound to a unit, which is started and stopped only")));
        }
        programs::binding(&self.policy.programs, label, guard!("I1", lifetime, None))
    }

    fn permit(&self, label: &str, slots: &[Slot], lifetime: Option<Lifetime>) -> Answer<programs::Permit> {
        programs::permit(self.binding(label, lifetime)?, label, slots, self.values())
    }

    fn condition(&self, label: &str) -> Option<programs::Condition> {
        let daemon = self.record.daemons.get(label)?;
        Some(daemon.condition(&self.directory.report_path(label)))
    }

    /// Ends the daemon of a label and forgets it.
    ///
    /// # Errors
    /// See [`Daemon::stop`].
    pub fn end(&mut self, label: &str, deadline: Instant) -> Answer<()> {
        let Some(daemon) = self.record.daemons.get(label) else { return self.end_unit(label, deadline) };
        let default =
            [crate::policy::StopStep { signal: nix::sys::signal::Signal::SIGTERM, grace: crate::policy::Grace::Rest }];
        let steps = self.policy.programs.get(label).map_or(&default[..], |program| &program.stop);
        daemon.stop(label, &self.directory.report_path(label), steps, deadline)?;
        self.record.daemons.remove(label);
        if let Err(text) = self.save() {
            // It is gone; a record may name more than there is.
            self.log.error(&text);
        }
        Ok(())
    }

    /// Ends all that the record holds, and forgets it.
    ///
    /// # Errors
    /// A sentence: what does not end, or cannot be seen to have ended.
    pub fn end_all(&mut self) -> Result<(), String> {
        for label in self.held() {
            self.end(&label, self.deadline.answer).map_err(|error| match error {
                Error::Denied(text) | Error::Unavailable(text) | Error::Invalid(text) | Error::Other(text) => text,
                Error::TimedOut => format!("program {label}: does not end"),
            })?;
        }
        Ok(())
    }

    /// A daemon whose main process has ended: how, and what it said last.
    pub fn ended(&self) -> Option<String> {
        if let Some(ended) = self.ended_unit() {
            return Some(ended);
        }
        self.record.daemons.keys().find_map(|label| {
            let condition = self.condition(label)?;
            let has_ended = matches!(condition.phase, program::Phase::Failed | program::Phase::Remains);
            let report = programs::Report::read(&self.directory.report_path(label))?;
            let ended = report.how().filter(|_| has_ended)?;
            Some(match report.last_line() {
                Some(line) => format!("{label} {ended}: {}", self.log.masked(line)),
                None => format!("{label} {ended}"),
            })
        })
    }

    /// Daemons and units that the record holds, and those of which something is alive.
    pub fn held_and_alive(&self) -> (usize, usize) {
        let alive = self.record.daemons.keys().filter(|label| self.condition(label).is_some_and(|c| c.may_live()));
        let (held_units, alive_units) = self.units_held_and_alive();
        (self.record.daemons.len() + held_units, alive.count() + alive_units)
    }
}

impl state::Host for Broker<'_> {
    fn get(&mut self, key: String) -> Answer<Option<Vec<u8>>> {
        self.count("state.get", false)?;
        states::get(&self.record.notebook, &key)
    }

    fn set(&mut self, key: String, value: Vec<u8>) -> Answer<()> {
        self.count("state.set", true)?;
        states::permit(&self.record.notebook, key, Some(value))?.apply(&mut self.record.notebook);
        self.keep()
    }

    fn delete(&mut self, key: String) -> Answer<()> {
        self.count("state.delete", true)?;
        states::permit(&self.record.notebook, key, None)?.apply(&mut self.record.notebook);
        self.keep()
    }

    fn keys(&mut self) -> Answer<Vec<String>> {
        self.count("state.keys", false)?;
        Ok(self.record.notebook.keys().cloned().collect())
    }
}

impl program::Host for Broker<'_> {
    fn available(&mut self, label: String, slots: Vec<Slot>) -> Answer<bool> {
        self.count("program.available", false)?;
        if self.policy.units.contains_key(&label) {
            return self.available_unit(&label, &slots);
        }
        match self.apart(false, Call::ProgramAvailable { label, slots }) {
            Ok(()) => Ok(true),
            Err(Error::Unavailable(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn run(&mut self, label: String, slots: Vec<Slot>, input: Option<Vec<u8>>) -> Answer<program::Output> {
        self.count("program.run", false)?;
        let call = Call::ProgramRun { label: label.clone(), slots, input };
        self.binding(&label, Some(Lifetime::Action))?;
        self.apart::<()>(true, call.clone())?;
        // What its own script does to a daemon that is tracked does not leave the tracks.
        if !self.record.daemons.contains_key(&label) {
            self.leave_the_tracks()?;
        }
        self.used.program()?;
        self.apart(false, call)
    }

    fn start(&mut self, label: String, slots: Vec<Slot>) -> Answer<bool> {
        self.count("program.start", true)?;
        if self.policy.units.contains_key(&label) {
            return self.start_unit(&label, &slots);
        }
        self.binding(&label, Some(Lifetime::Instance))?;
        self.apart::<()>(true, Call::ProgramStart { label: label.clone(), slots: slots.clone() })?;
        let permit = self.permit(&label, &slots, Some(Lifetime::Instance))?;
        if !self.is_recorded {
            return Err(Error::Unavailable(format!("program {label}: this instance has no record to keep it in")));
        }
        match self.condition(&label).map(|c| c.phase) {
            Some(program::Phase::Running) => return Ok(false),
            Some(_) => self.end(&label, self.deadline.plugin)?,
            None => {}
        }
        self.used.program()?;
        permit.count(|| Ok(self.directory.rate_path(&label)))?;
        let (directory, record, log) = (&self.directory, &mut self.record, self.log);
        let instance = record.instance.clone();
        let (manager, deadline) = (&self.manager, self.deadline.plugin);
        let secrets = log.hidden();
        let occasion = programs::Occasion { instance: &instance, directory, manager, deadline, secrets };
        let recorded = |daemon: &Daemon| {
            record.daemons.insert(label.clone(), daemon.clone());
            directory.save(record).map_err(|error| Error::Other(format!("record: {error}")))
        };
        permit.start(&occasion, recorded, |told| log.warning(&told))?;
        Ok(true)
    }

    fn status(&mut self, label: String) -> Answer<program::Condition> {
        self.count("program.status", false)?;
        if self.policy.units.contains_key(&label) {
            return self.status_of_unit(&label);
        }
        self.binding(&label, Some(Lifetime::Instance))?;
        let Some(found) = self.condition(&label) else {
            return Ok(program::Condition { phase: program::Phase::Stopped, processes: 0, age_ms: None, ended: None });
        };
        if !found.told.is_empty() {
            return Err(Error::Other(format!("program {label}: {}", found.told)));
        }
        let age = crate::sys::clock::since_boot_ns().saturating_sub(found.since_boot_ns) / 1_000_000;
        Ok(program::Condition {
            phase: found.phase,
            processes: u32::try_from(found.members.len()).unwrap_or(u32::MAX),
            age_ms: Some(age),
            ended: found.ended.map(Into::into),
        })
    }

    fn stop(&mut self, label: String) -> Answer<()> {
        self.count("program.stop", true)?;
        // A daemon that is recorded is ended whatever the policy says: only its steps come from there.
        let is_known = self.record.daemons.contains_key(&label) || self.record.units.contains_key(&label);
        if !is_known && !self.policy.units.contains_key(&label) {
            programs::binding(&self.policy.programs, &label, Some(Lifetime::Instance))?;
        }
        self.end(&label, self.deadline.plugin)
    }

    fn signal(&mut self, label: String, signal: program::SignalName) -> Answer<bool> {
        use nix::sys::signal::Signal;
        use program::SignalName;
        self.count("program.signal", true)?;
        let signal = match signal {
            SignalName::Hup => Signal::SIGHUP,
            SignalName::Int => Signal::SIGINT,
            SignalName::Quit => Signal::SIGQUIT,
            SignalName::Usr1 => Signal::SIGUSR1,
            SignalName::Usr2 => Signal::SIGUSR2,
            SignalName::Term => Signal::SIGTERM,
            SignalName::Winch => Signal::SIGWINCH,
        };
        if !self.binding(&label, Some(Lifetime::Instance))?.signals.contains(&signal) {
            return Err(Error::Denied(format!("program {label}: granted without {signal} in `signals`")));
        }
        let main = self.condition(&label).and_then(|c| c.main.filter(|main| c.members.contains(main)));
        Ok(main.is_some_and(|main| main.signal(signal)))
    }
}

/// Cold, as `endpoint` is: most monitors ask for no file, and pay for each page of code that lies between what they ask for.
impl path::Host for Broker<'_> {
    #[cold]
    #[inline(never)]
    fn stat(&mut self, label: String, name: String) -> Answer<Option<path::Facts>> {
        self.count("path.stat", false)?;
        self.apart(false, Call::PathStat { label, name })
    }

    #[cold]
    #[inline(never)]
    fn read(&mut self, label: String, name: String, offset: u64, limit: u32) -> Answer<Option<Vec<u8>>> {
        self.count("path.read", false)?;
        self.apart(false, Call::PathRead { label, name, offset, limit })
    }

    #[cold]
    #[inline(never)]
    fn write(&mut self, label: String, name: String, content: Vec<u8>, mode: u16) -> Answer<()> {
        self.count("path.write", true)?;
        let (ask_label, ask_name) = (label.clone(), name.clone());
        self.apart::<()>(true, Call::PathWrite { label: ask_label, name: ask_name, content: Vec::new(), mode })?;
        self.leave_the_tracks()?;
        self.apart(false, Call::PathWrite { label, name, content, mode })
    }

    #[cold]
    #[inline(never)]
    fn remove(&mut self, label: String, name: String) -> Answer<bool> {
        // What is gone leaves nothing that a stop would have to end.
        self.count("path.remove", true)?;
        self.apart(false, Call::PathRemove { label, name })
    }

    #[cold]
    #[inline(never)]
    fn list(&mut self, label: String, name: String) -> Answer<Option<Vec<path::Entry>>> {
        self.count("path.list", false)?;
        self.apart(false, Call::PathList { label, name })
    }

    #[cold]
    #[inline(never)]
    fn make_directory(&mut self, label: String, name: String, mode: u16) -> Answer<bool> {
        self.count("path.make-directory", true)?;
        let call = Call::PathMakeDirectory { label, name, mode };
        self.apart::<()>(true, call.clone())?;
        self.leave_the_tracks()?;
        self.apart(false, call)
    }
}
