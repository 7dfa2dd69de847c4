//! `run --replay`: an action again, with what a node answered read from a file. Nothing on this node is touched, nothing
//! need be granted or installed, and the plugin runs where it always does: in a runner that can only ask.
//!
//! It is the tool that does this, with the contract and the runner of the agent. The agent's binary, which acts for the
//! cluster, answers from no file.

use std::cell::Cell;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use ocf_agent_recording::{self as recording, Recording, Step, Value};

use super::Format;
use super::record;
use crate::broker::{Process, Returned};
use crate::contract::{self, Resource, Tracked, Verdict};
use crate::instance::State;
use crate::ocf::outcome::Outcome;
use crate::ocf::{Action, Description, Parameters, parameter};
use crate::runner::{Facts, MEMORY_BYTES};
use crate::seam::{Call, Channel, Export, FromRunner, Lost};
use crate::store;
use crate::store::install::{self, Examined};
use crate::sys::user;

/// Replays a file and prints where it goes another way.
///
/// # Errors
/// If it cannot be begun: another agent, another action, parameters that do not fit.
pub(super) fn run(
    examined: &Examined,
    action: &str,
    text: &str,
    overridden: &[(String, String)],
    format: Format,
) -> Result<ExitCode> {
    let recording = Recording::parse(text).map_err(anyhow::Error::msg)?;
    let name = examined.description.name.to_string();
    ensure!(recording.agent == name, "records {}, and not {name}", recording.agent);
    let parsed = Action::parse(action).with_context(|| format!("unknown action {action}"))?;
    ensure!(Action::parse(&recording.action) == Some(parsed), "records {}, and not {action}", recording.action);
    install::keep(examined)?;
    let native = store::ensure_native(&examined.digest, Instant::now() + install::COMPILE)
        .map_err(|e| anyhow::anyhow!("{e}"))?;
    let facts = facts(&recording, &examined.description, overridden)?;
    let mut replay = Replay::new(&recording, native, facts);
    let outcome = contract::act(&mut replay, parsed, recording.probe, recording.level);
    let differences = replay.finish(&outcome);
    told(&recording, &outcome, &differences, format)
}

fn told(recording: &Recording, outcome: &Outcome, differences: &[String], format: Format) -> Result<ExitCode> {
    let calls: usize = recording.exports().map(|export| export.calls.len()).sum();
    if format == Format::Json {
        super::json(&serde_json::json!({
            "agrees": differences.is_empty(), "differences": differences, "exit": outcome.exit.code(),
            "reason": outcome.reason,
        }))?;
    } else if differences.is_empty() {
        println!("as recorded: {}, {calls} calls, {}", recording.action, outcome.exit);
        if !outcome.reason.is_empty() {
            println!("  {}", outcome.reason);
        }
    } else {
        println!("not as recorded:");
        for difference in differences {
            println!("  {}", difference.replace('\n', "\n  "));
        }
    }
    Ok(if differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the plugin is told: what was recorded, what is set now, and defaults of what the recording does not know.
fn facts(recording: &Recording, description: &Description, overridden: &[(String, String)]) -> Result<Facts> {
    let declared: Vec<String> = description.parameters.iter().map(|parameter| parameter.name.clone()).collect();
    let mut parameters = Parameters::new();
    for one in &description.parameters {
        let given = overridden.iter().rev().find(|(name, _)| *name == one.name);
        let recorded = recording.parameters.get(&one.name);
        // What is recorded is canonical already. What was not set is not asked for now.
        if let (None, Some(value)) = (given, recorded) {
            parameters.insert(one.name.clone(), value.clone());
            continue;
        }
        let alone = Description { parameters: vec![one.clone()], ..description.clone() };
        let alone = parameter::check(&alone, &given.cloned().into_iter().collect(), &[]);
        parameters.extend(alone.map_err(|wrong| anyhow::Error::msg(wrong.0))?);
    }
    if let Some((name, _)) = overridden.iter().find(|(name, _)| !declared.contains(name)) {
        anyhow::bail!("parameter {name}: {} has none of this name", recording.agent);
    }
    Ok(Facts {
        instance: recording.instance.clone(),
        node: recording.node.clone(),
        declared: Some(declared),
        parameters,
        clone: fact("clone", recording.clone.as_ref())?,
        notice: fact("notification", recording.notification.as_ref())?,
        migration: fact("migration", recording.migration.as_ref())?,
        deadline: Instant::now() + Duration::from_millis(recording.remaining_ms),
        memory_bytes: MEMORY_BYTES,
    })
}

fn fact<T: serde::de::DeserializeOwned>(key: &str, value: Option<&Value>) -> Result<Option<T>> {
    value.map(|value| recording::read(value).map_err(|error| anyhow::anyhow!("{key}: {error}"))).transpose()
}

/// An instance that is a file.
struct Replay<'a> {
    recording: &'a Recording,
    /// Steps of the recording that were taken.
    taken: Cell<usize>,
    native: &'static [u8],
    facts: Facts,
    process: Option<Process>,
    /// What the host knew last, for what the recording does not say.
    tracked: Tracked,
    /// The question that was asked last.
    asked: String,
    differences: Vec<String>,
    /// Whether something was asked that has no answer: what follows means nothing.
    is_over: bool,
}

impl<'a> Replay<'a> {
    fn new(recording: &'a Recording, native: &'static [u8], facts: Facts) -> Self {
        let (tracked, differences) = (Tracked::default(), Vec::new());
        Self {
            recording,
            taken: Cell::new(0),
            native,
            facts,
            process: None,
            tracked,
            asked: String::new(),
            differences,
            is_over: false,
        }
    }

    /// Compares how it ended, and returns all that differs.
    fn finish(mut self, outcome: &Outcome) -> Vec<String> {
        if self.is_over {
            return self.differences;
        }
        let recorded = self.recording;
        while let Some((at, export)) = self.next_export() {
            self.differences.push(format!("{} was called, and is not now", place(at, export)));
        }
        match (recorded.exit, &recorded.reason) {
            (None, _) => {
                self.differences.push("the recorded action was killed: how it ends cannot be compared".to_owned());
            }
            (Some(exit), _) if exit != outcome.exit.code() => {
                let reason = recorded.reason.clone().unwrap_or_default();
                self.differences.push(format!(
                    "exit status\n  recorded: {}\n  now:      {}",
                    with_reason(&exit.to_string(), &reason),
                    with_reason(&outcome.exit.code().to_string(), &outcome.reason)
                ));
            }
            (_, Some(reason)) if *reason != outcome.reason => {
                self.differences.push(format!("exit reason\n  recorded: {reason}\n  now:      {}", outcome.reason));
            }
            _ => {}
        }
        self.differences
    }

    /// The export that was called next.
    fn next_export(&mut self) -> Option<(usize, &'a recording::Export)> {
        let steps = &self.recording.steps;
        let (at, export) = steps.iter().enumerate().skip(self.taken.get()).find_map(|(at, step)| match step {
            Step::Export(export) => Some((at, export)),
            Step::Host(_) => None,
        })?;
        self.taken.set(at + 1);
        Some((at, export))
    }

    /// What the host saw next, if that is what is asked for.
    fn next_answer(&self, name: &str) -> Option<&'a Value> {
        let Some(Step::Host(host)) = self.recording.steps.get(self.taken.get()) else { return None };
        if host.host != name {
            return None;
        }
        self.taken.set(self.taken.get() + 1);
        Some(&host.answer)
    }

    /// The same, as the contract wants it.
    fn next_seen<T: serde::de::DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        match recording::read(self.next_answer(name)?) {
            Ok(seen) => Some(seen),
            Err(error) => {
                let at = self.taken.get();
                self.give_up(format!("step {at} ({name}): its answer cannot be used: {error}"));
                None
            }
        }
    }

    /// Notes something after which nothing can be compared.
    fn give_up(&mut self, difference: String) {
        if !self.is_over {
            self.differences.push(difference);
        }
        self.is_over = true;
    }

    /// Answers the questions of one export from the file, until it ends or asks something else.
    fn serve(&mut self, at: usize, export: &recording::Export, channel: &mut Channel) -> Result<FromRunner, Lost> {
        let mut calls = export.calls.iter();
        loop {
            if calls.len() == 0 && is_waited(export) {
                return Err(Lost::TimedOut);
            }
            match channel.receive(Some(self.facts.deadline))? {
                FromRunner::Call(call) => {
                    self.asked = call.waited();
                    let number = export.calls.len() - calls.len() + 1;
                    let place = format!("{}, call {number}", place(at, export));
                    match answer(&call, calls.next(), &place) {
                        Ok(answer) => channel.send_bytes(&answer, Some(self.facts.deadline))?,
                        Err(difference) => {
                            self.give_up(difference);
                            return Err(Lost::TimedOut);
                        }
                    }
                }
                FromRunner::Log(..) => {}
                last => {
                    for call in calls {
                        self.differences.push(format!("{}: {call} was asked, and is not now", place(at, export)));
                    }
                    return Ok(last);
                }
            }
        }
    }
}

/// The answer to a question, if it is the one that was recorded.
fn answer(asked: &Call, recorded: Option<&recording::Call>, place: &str) -> Result<Vec<u8>, String> {
    let (name, with) = asked.shown();
    let now = recording::Call { call: name, with, answer: None, took_ms: 0.0 };
    let Some(recorded) = recorded else {
        return Err(format!("{place}\n  recorded: no more calls\n  now:      {now}"));
    };
    if (&recorded.call, &recorded.with) != (&now.call, &now.with) {
        return Err(format!("{place}\n  recorded: {recorded}\n  now:      {now}"));
    }
    let Some(answer) = &recorded.answer else {
        return Err(format!("{place}: {recorded} had no answer when the recorded action was killed"));
    };
    asked.answer_read(answer).map_err(|error| format!("{place}: the answer to {recorded} cannot be used: {error}"))
}

/// Whether it ended with a question whose answer took until the deadline: nobody waits for that again.
fn is_waited(export: &recording::Export) -> bool {
    export.result.as_ref().is_some_and(|result| result.get("waited").is_some())
}

/// Where in the file something stands.
fn place(at: usize, export: &recording::Export) -> String {
    format!("step {} ({})", at + 1, export.export)
}

fn with_reason(exit: &str, reason: &str) -> String {
    if reason.is_empty() { exit.to_owned() } else { format!("{exit}, {reason}") }
}

impl Resource for Replay<'_> {
    fn call(&mut self, export: Export) -> Verdict {
        if self.is_over {
            return Verdict::TimedOut;
        }
        let now = record::called(export);
        let Some((at, recorded)) = self.next_export() else {
            self.give_up(format!("{} is called, and was not: the recording has ended", now.export));
            return Verdict::TimedOut;
        };
        if (&now.export, now.probe, now.level) != (&recorded.export, recorded.probe, recorded.level) {
            self.give_up(format!("{} was called, and now {} is", place(at, recorded), now.export));
            return Verdict::TimedOut;
        }
        let mut process = match self.process.take() {
            Some(process) => process,
            None => match start(self.native, self.facts.clone()) {
                Ok(process) => process,
                Err(text) => {
                    self.give_up(text);
                    return Verdict::TimedOut;
                }
            },
        };
        let deadline = self.facts.deadline;
        let verdict = process.call(export, deadline, |channel| self.serve(at, recorded, channel));
        self.process = Some(process).filter(Process::is_there);
        if self.is_over {
            return verdict;
        }
        let result = recorded.result.clone().unwrap_or_default();
        let verdict = match (verdict, is_waited(recorded)) {
            (Verdict::TimedOut, true) => Verdict::Waited(self.asked.clone()),
            (verdict, _) => verdict,
        };
        let shown = record::returned(&Returned::from(&verdict));
        if recorded.result.is_some() && shown != result {
            self.differences.push(format!(
                "{} returns something else\n  recorded: {result}\n  now:      {shown}",
                place(at, recorded)
            ));
        }
        verdict
    }

    fn tracked(&mut self) -> Tracked {
        if let Some(tracked) = self.next_seen("tracked") {
            self.tracked = tracked;
        }
        self.tracked.clone()
    }

    fn unsettled(&mut self) -> Option<String> {
        self.next_seen("unsettled").flatten()
    }

    fn is_recorded(&self) -> bool {
        self.next_answer("is-recorded").and_then(Value::as_bool).unwrap_or(false)
    }

    fn adopt(&mut self) {}

    fn mark(&mut self, _: State) -> Result<(), String> {
        self.next_seen("mark").unwrap_or(Ok(()))
    }

    fn tear_down(&mut self) -> Result<(), String> {
        self.next_seen("tear-down").unwrap_or(Ok(()))
    }

    fn last_resort(&mut self) -> Option<Result<(), String>> {
        self.next_seen("last-resort").flatten()
    }

    /// There was time as long as the contract asked again.
    fn remaining(&self) -> Duration {
        let asked_again = match self.recording.steps.get(self.taken.get()) {
            Some(Step::Export(_)) => true,
            Some(Step::Host(host)) => host.host == "tracked",
            None => false,
        };
        if asked_again && !self.is_over { Duration::from_secs(1) } else { Duration::ZERO }
    }

    fn pause(&mut self, _: Duration) {}

    fn error(&mut self, _: &str) {}
}

fn start(native: &'static [u8], facts: Facts) -> Result<Process, String> {
    let identity = match user::is_alone() {
        true => None,
        false => Some(user::account(user::OURS).ok_or_else(|| format!("there is no user {}", user::OURS))?),
    };
    Process::start(native, facts, identity).map_err(|error| format!("no runner: {error}"))
}
