//! One action of one instance: what the contract wants of broker and runner, with whoever watches.

use std::time::{Duration, Instant};

use super::{Broker, Entry, Process, Recorder, Seen, Trace};
use crate::contract::{Resource, Tracked, Verdict};
use crate::instance::State;
use crate::ocf::outcome::Outcome;
use crate::report::Log;
use crate::runner::Facts;
use crate::seam::{Channel, Error, Export, Failure, FromRunner, Lost, dispatch, encode, log};
use crate::sys::user::User;

/// Lines that a plugin may log in one action: all agents of a node share the log's patience with their cluster manager, of
/// which journald has 10,000 lines in 30 s (`RateLimitBurst=`), and then drops those of all.
const LOG_LINES: u32 = 1_000;
/// Bytes of the same: what as many lines of an ordinary length have.
const LOG_BYTES: usize = 256 * 1024;
/// A question that takes longer is named when the time is over.
const LONG: Duration = Duration::from_millis(100);

/// One action of one instance: broker, runner, and what the contract wants of them.
pub struct Session<'a> {
    /// What answers.
    pub broker: Broker<'a>,
    /// Native code, mapped and verified.
    native: &'static [u8],
    facts: Facts,
    /// Whom the runner becomes; none in a namespace of one user.
    identity: Option<User>,
    process: Option<Process>,
    trace: Trace,
    recorder: Recorder,
    log_lines: u32,
    log_bytes: usize,
    /// The question whose answer came after the deadline, because it took long.
    late: Option<String>,
}

impl<'a> Session<'a> {
    /// Returns a session whose runner is started when it is first needed.
    pub fn new(broker: Broker<'a>, native: &'static [u8], facts: Facts, identity: Option<User>, trace: Trace) -> Self {
        Self {
            broker,
            native,
            facts,
            identity,
            process: None,
            trace,
            recorder: Recorder::default(),
            log_lines: 0,
            log_bytes: 0,
            late: None,
        }
    }

    /// Records from now on what is asked and answered, for who wants to replay it.
    pub fn record(&mut self, begin: impl FnOnce(&Facts, &Log) -> Recorder) {
        self.recorder = begin(&self.facts, self.broker.log);
    }

    /// Notes what the contract made of it.
    pub fn ended(&self, outcome: &Outcome) {
        self.recorder.write(|| Entry::Ended { exit: outcome.exit.code(), reason: outcome.reason.clone() });
    }

    fn exchange(&mut self, export: Export) -> Verdict {
        let mut process = match self.process.take() {
            Some(process) => process,
            None => match Process::start(self.native, self.facts.clone(), self.identity.clone()) {
                Ok(process) => process,
                Err(error) => return Verdict::Broken(format!("no runner: {error}")),
            },
        };
        let deadline = self.broker.deadline.plugin;
        let verdict = process.call(export, deadline, |channel| self.serve(export, channel));
        self.process = Some(process).filter(Process::is_there);
        let masked = |text: String| self.broker.log.masked(&text).into_owned();
        match (verdict, self.late.clone()) {
            (Verdict::TimedOut, Some(call)) => Verdict::Waited(call),
            // Before it is cut: half a secret would not be found.
            (Verdict::Done(Err(failure)), _) => {
                Verdict::Done(Err(Failure { reason: masked(failure.reason), ..failure }))
            }
            (Verdict::Broken(text), _) => Verdict::Broken(masked(text)),
            (verdict, _) => verdict,
        }
    }

    /// Answers questions of a runner in which an export runs, until something else comes.
    ///
    /// # Errors
    /// If nothing comes, or what is no message.
    pub fn serve(&mut self, export: Export, channel: &mut Channel) -> Result<FromRunner, Lost> {
        self.broker.export = export;
        self.broker.asked_units.clear();
        loop {
            match channel.receive(crate::guard!("I4", Some(self.broker.deadline.plugin), None))? {
                FromRunner::Call(call) => {
                    let (name, began) = (call.name(), Instant::now());
                    let waited = call.waited();
                    let asked = self.trace.is_on().then(|| format!("{call:?}"));
                    let mut shown = String::new();
                    self.recorder.write(|| Entry::Asked(encode(&call)));
                    let mut denied = None;
                    let answer = dispatch(&mut self.broker, call, &mut |answer, error| {
                        if asked.is_some() {
                            shown = format!("{answer:?}");
                        }
                        if let Some(Error::Denied(text)) = error {
                            denied = Some(text.clone());
                        }
                    });
                    if let Some(text) = denied {
                        self.tell_denial(&text);
                    }
                    if let Some(text) = asked {
                        let line = format!("{name} {} -> {shown}", arguments(&text));
                        self.trace.line(&line, Some(began.elapsed()), self.broker.log);
                    }
                    self.recorder.write(|| Entry::Answered { answer: answer.clone(), took: began.elapsed() });
                    let now = Instant::now();
                    if now >= self.broker.deadline.plugin && now - began >= LONG {
                        self.late = Some(waited);
                    }
                    channel.send_bytes(&answer, Some(self.broker.deadline.plugin))?;
                }
                FromRunner::Log(level, text) => self.log(level, &text),
                last => return Ok(last),
            }
        }
    }

    /// Tells of something that is not granted, once, and what would grant it.
    fn tell_denial(&mut self, text: &str) {
        if self.broker.used.denial(text) {
            let section = text.strip_suffix(": not granted").and_then(|what| what.split_once(' '));
            let grant = section.map(|(kind, label)| format!("; granted by [{kind}.{label}] in the policy"));
            self.broker.log.audit(&format!("denied: {text}{}", grant.unwrap_or_default()));
        }
    }

    fn log(&mut self, level: log::Level, text: &str) {
        self.log_lines += 1;
        self.log_bytes += text.len();
        if self.log_lines <= LOG_LINES && self.log_bytes <= LOG_BYTES {
            self.broker.log.line(level, text);
        } else if self.log_lines == LOG_LINES + 1 {
            self.broker.log.warning("the plugin logs too much: the rest of this action is dropped");
        }
    }
}

/// What stands in the braces of a call.
fn arguments(call: &str) -> &str {
    call.find(" {").map_or("", |at| &call[at + 1..])
}

impl Resource for Session<'_> {
    fn call(&mut self, export: Export) -> Verdict {
        let since = Instant::now();
        self.recorder.write(|| Entry::Called(export));
        let verdict = self.exchange(export);
        self.recorder.write(|| Entry::Returned { verdict: (&verdict).into(), took: since.elapsed() });
        if self.trace.is_on() {
            let shown = format!("= {} -> {verdict:?}", export.word());
            self.trace.line(&shown, Some(since.elapsed()), self.broker.log);
        }
        verdict
    }

    fn tracked(&mut self) -> Tracked {
        let (held, alive) = self.broker.held_and_alive();
        let untracked = self.broker.record.untracked;
        let tracked = Tracked { held, alive, ended: self.broker.ended(), untracked };
        self.recorder.write(|| Entry::Seen(Seen::Tracked(tracked.clone())));
        tracked
    }

    fn unsettled(&mut self) -> Option<String> {
        let unsettled = self.broker.unsettled();
        if unsettled.is_some() {
            self.recorder.write(|| Entry::Seen(Seen::Unsettled(unsettled.clone())));
        }
        unsettled
    }

    fn is_recorded(&self) -> bool {
        let is_recorded = self.broker.is_recorded && self.broker.record.state.is_active();
        self.recorder.write(|| Entry::Seen(Seen::IsRecorded(is_recorded)));
        is_recorded
    }

    fn adopt(&mut self) {
        if self.broker.was_recorded {
            // It is known what the record of an earlier start left out.
            return;
        }
        self.broker.record.untracked = true;
        if let Err(text) = self.broker.save() {
            // A start that goes on from here writes again, and fails there.
            self.broker.log.error(&text);
        }
    }

    fn mark(&mut self, state: State) -> Result<(), String> {
        let marked = self.set_state(state);
        self.recorder.write(|| Entry::Seen(Seen::Mark(marked.clone())));
        marked
    }

    fn tear_down(&mut self) -> Result<(), String> {
        let torn_down = self.broker.end_all();
        self.recorder.write(|| Entry::Seen(Seen::TearDown(torn_down.clone())));
        torn_down
    }

    fn last_resort(&mut self) -> Option<Result<(), String>> {
        let resorted = self.resort();
        self.recorder.write(|| Entry::Seen(Seen::LastResort(resorted.clone())));
        resorted
    }

    fn remaining(&self) -> Duration {
        self.broker.deadline.plugin.saturating_duration_since(Instant::now())
    }

    fn pause(&mut self, time: Duration) {
        std::thread::sleep(time);
    }

    fn error(&mut self, text: &str) {
        self.broker.log.error(text);
    }
}

/// What the contract wants done.
impl Session<'_> {
    fn set_state(&mut self, state: State) -> Result<(), String> {
        if state == State::Started {
            self.broker.hold_units();
        }
        let record = &mut self.broker.record;
        record.state = state;
        if state == State::Stopped {
            record.notebook.clear();
            record.daemons.clear();
            record.units.clear();
            record.untracked = false;
        }
        self.broker.save()
    }

    fn resort(&mut self) -> Option<Result<(), String>> {
        use crate::seam::{ExitStatus, program::Host as _};
        let plan = self.broker.policy.last_resort.as_ref()?;
        let (labels, gone, statuses) = (plan.labels.clone(), plan.gone_label.clone(), plan.gone_statuses.clone());
        // The plugin's time is over; this is the host's.
        self.broker.deadline.plugin = self.broker.deadline.answer;
        self.broker.export = Export::Stop;
        for label in labels {
            if let Err(error) = self.broker.run(label.clone(), Vec::new(), None) {
                return Some(Err(format!("last resort {label}: {error:?}")));
            }
        }
        let answer = self.broker.run(gone.clone(), Vec::new(), None);
        Some(match answer {
            Ok(output) if matches!(output.status, ExitStatus::Exited(status) if statuses.contains(&status)) => Ok(()),
            Ok(output) => Err(format!("last resort: {gone} says that it is not gone ({:?})", output.status)),
            Err(error) => Err(format!("last resort {gone}: {error:?}")),
        })
    }
}
