//! What each question of a runner must be answered, by rules that know nothing of the broker but its policy.

mod room;

use std::collections::BTreeMap;

use ocf_wasm::instance::State;
use ocf_wasm::seam::{Answer, Call, Export, FromRunner, MESSAGE_BYTES, Piece, Sent, decode, endpoint, path, program};
use serde::de::DeserializeOwned;

use super::told;
use room::Room;

/// What the contract did meanwhile, in order.
pub(super) enum Event {
    /// An export was called.
    Called(Export),
    /// A state was marked.
    Marked(State),
    /// It was found running, so that of its tracks nobody knows.
    Adopted,
}

/// Splits a wire into messages; ends where one is cut off or longer than any may be.
fn frames(mut wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = wire.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        let body = rest.get(..length).filter(|_| length <= MESSAGE_BYTES)?;
        wire = &rest[length..];
        Some(body)
    })
}

/// Compares answers with questions. `is_done` if all answers were heard. Returns whether something was asked for that may
/// leave tracks which the host cannot follow.
pub(super) fn check(wire: &[u8], answers: &[u8], events: &[Event], is_recorded: bool, is_done: bool) -> bool {
    let mut asked = frames(wire).map_while(decode::<FromRunner>);
    let mut answered = frames(answers);
    let mut model = Model { is_recorded, ..Model::default() };
    for event in events {
        let export = match event {
            Event::Marked(State::Stopped) => {
                model.notebook.clear();
                continue;
            }
            Event::Marked(_) => continue,
            Event::Adopted => {
                model.may_leave_tracks = true;
                continue;
            }
            Event::Called(export) => *export,
        };
        model.changes = !matches!(export, Export::Monitor { .. } | Export::Validate { .. });
        for message in asked.by_ref() {
            match message {
                FromRunner::Call(call) => {
                    let answer = answered.next();
                    assert!(answer.is_some() || !is_done, "no answer to {call:?}");
                    model.expect(&call, answer);
                }
                FromRunner::Log(..) => {}
                _ => break,
            }
        }
    }
    assert!(answered.next().is_none(), "an answer that nobody asked for");
    model.may_leave_tracks
}

#[derive(Default)]
struct Model {
    is_recorded: bool,
    /// Whether the export may change something.
    changes: bool,
    notebook: BTreeMap<String, Vec<u8>>,
    /// Whether the notebook is known: not after an answer that nobody heard.
    is_blurred: bool,
    /// What stands below the one directory that is granted for writing.
    room: Room,
    may_leave_tracks: bool,
    /// Questions that change something, and questions to endpoints: of each there is a last one.
    asked_for_changes: u32,
    asked_of_endpoints: u32,
}

/// An answer that was heard; none if it was not.
fn heard<T: DeserializeOwned>(answer: Option<&[u8]>) -> Option<Answer<T>> {
    answer.map(|bytes| decode::<Answer<T>>(bytes).expect("an answer of another type"))
}

impl Model {
    /// Whether one more question that changes something is let through.
    fn may_change(&mut self) -> bool {
        self.asked_for_changes += 1;
        self.asked_for_changes <= 1_000 && self.changes
    }

    /// Whether one more question to an endpoint is.
    fn may_ask(&mut self, changes: bool) -> bool {
        if changes && !self.may_change() {
            return false;
        }
        self.asked_of_endpoints += 1;
        self.asked_of_endpoints <= 1_000
    }

    fn expect(&mut self, call: &Call, answer: Option<&[u8]>) {
        match call {
            Call::StateGet { key } => {
                let Some(answer) = heard::<Option<Vec<u8>>>(answer) else { return };
                let expected = is_key(key).then(|| self.notebook.get(key).cloned());
                assert!(self.is_blurred || answer.as_ref().ok() == expected.as_ref(), "{}", told(call, &answer));
            }
            Call::StateSet { key, value } => {
                let may = self.may_change();
                let Some(answer) = heard::<()>(answer) else { return self.is_blurred = true };
                let others: usize = self.notebook.iter().filter(|(k, _)| *k != key).map(|(_, v)| v.len()).sum();
                let keys = self.notebook.len() + usize::from(!self.notebook.contains_key(key));
                let fits = value.len() <= 65_536 && others + value.len() <= 262_144 && keys <= 64;
                let expected = may && is_key(key) && fits;
                assert!(self.is_blurred || answer.is_ok() == expected, "{}", told(call, &answer));
                if answer.is_ok() {
                    self.notebook.insert(key.clone(), value.clone());
                }
            }
            Call::StateDelete { key } => {
                let may = self.may_change();
                let Some(answer) = heard::<()>(answer) else { return self.is_blurred = true };
                assert!(answer.is_ok() == (may && is_key(key)), "{}", told(call, &answer));
                if answer.is_ok() {
                    self.notebook.remove(key);
                }
            }
            Call::StateKeys {} => {
                let Some(answer) = heard::<Vec<String>>(answer) else { return };
                let expected: Vec<String> = self.notebook.keys().cloned().collect();
                assert!(self.is_blurred || answer == Ok(expected), "{}", told(call, &answer));
            }
            Call::ProgramAvailable { label, slots } => {
                let Some(answer) = heard::<bool>(answer) else { return };
                let could_start = !self.is_recorded && label == "daemon";
                let is_bound = matches!(label.as_str(), "once" | "plain" | "daemon" | "script");
                let is_true = answer == Ok(true);
                assert!(!is_true || could_start, "{}", told(call, &answer));
                assert!(is_bound || answer.is_err(), "{}: {} slots", told(call, &answer), slots.len());
            }
            Call::ProgramRun { .. } => {
                let Some(answer) = heard::<program::Output>(answer) else { return };
                assert!(answer.is_err(), "{}", told(call, &answer));
            }
            Call::ProgramStart { .. } => {
                let _ = self.may_change();
                let Some(answer) = heard::<bool>(answer) else { return };
                assert!(answer.is_err(), "{}", told(call, &answer));
            }
            Call::ProgramStatus { label } => {
                let Some(answer) = heard::<program::Condition>(answer) else { return };
                let stopped = answer.as_ref().is_ok_and(|c| c.phase == program::Phase::Stopped && c.processes == 0);
                assert_eq!(stopped, is_daemon(label), "{}", told(call, &answer));
                assert!(stopped || answer.is_err(), "{}", told(call, &answer));
            }
            Call::ProgramStop { label } => {
                let may = self.may_change();
                let Some(answer) = heard::<()>(answer) else { return };
                assert_eq!(answer.is_ok(), is_daemon(label) && may, "{}", told(call, &answer));
            }
            Call::ProgramSignal { label, signal } => {
                let may = self.may_change();
                let Some(answer) = heard::<bool>(answer) else { return };
                let is_granted = label == "daemon" && *signal == program::SignalName::Hup && may;
                assert_eq!(answer.as_ref().ok(), is_granted.then_some(&false), "{}", told(call, &answer));
            }
            Call::PathStat { label, name } => {
                let Some(answer) = heard::<Option<path::Facts>>(answer) else { return };
                assert!(self.room.stat(label, name, &answer), "{}", told(call, &answer));
            }
            Call::PathRead { label, name, offset, limit } => {
                let Some(answer) = heard::<Option<Vec<u8>>>(answer) else { return };
                assert!(self.room.read(label, name, (*offset, *limit), &answer), "{}", told(call, &answer));
            }
            Call::PathList { label, name } => {
                let Some(answer) = heard::<Option<Vec<path::Entry>>>(answer) else { return };
                assert!(self.room.list(label, name, &answer), "{}", told(call, &answer));
            }
            Call::PathWrite { label, name, content, mode } => {
                let may = self.may_change();
                self.may_leave_tracks |= may && label == "room";
                let Some(answer) = heard::<()>(answer) else { return self.room.blur() };
                assert!(may && *mode <= 0o777 || answer.is_err(), "{}", told(call, &answer));
                assert!(self.room.write(label, name, content, &answer), "{}", told(call, &answer));
            }
            Call::PathRemove { label, name } => {
                let may = self.may_change();
                let Some(answer) = heard::<bool>(answer) else { return self.room.blur() };
                assert!(may || answer.is_err(), "{}", told(call, &answer));
                assert!(self.room.remove(label, name, &answer), "{}", told(call, &answer));
            }
            Call::PathMakeDirectory { label, name, mode } => {
                let may = self.may_change();
                self.may_leave_tracks |= may && label == "room";
                let Some(answer) = heard::<bool>(answer) else { return self.room.blur() };
                assert!(may && *mode <= 0o777 || answer.is_err(), "{}", told(call, &answer));
                if may && answer.is_err() && name.contains('/') {
                    // It may have come some way.
                    return self.room.blur();
                }
                assert!(self.room.make(label, name, &answer), "{}", told(call, &answer));
            }
            Call::EndpointConnect { label, .. } => {
                let may = self.may_ask(false);
                let Some(answer) = heard::<endpoint::Reach>(answer) else { return };
                let is_refused = answer == Ok(endpoint::Reach::Refused) && is_address(label) && may;
                assert!(is_refused || answer.is_err(), "{}", told(call, &answer));
                assert!(is_refused || label != "here" || !may, "{}", told(call, &answer));
            }
            Call::EndpointExchange { label, send, .. } => {
                let may = self.may_ask(false);
                self.may_leave_tracks |= self.changes && may && is_address(label) && !send.is_empty();
                let Some(answer) = heard::<endpoint::Reply>(answer) else { return };
                let is_refused = answer.as_ref().is_ok_and(|r| r.reach == endpoint::Reach::Refused);
                assert!(is_refused && may && is_address(label) || answer.is_err(), "{}", told(call, &answer));
                assert!(answer.as_ref().map_or(true, |reply| reply.received.is_empty()), "{}", told(call, &answer));
            }
            Call::EndpointListening { label, .. } => {
                let may = self.may_ask(false);
                let Some(answer) = heard::<bool>(answer) else { return };
                let is_silent = answer == Ok(false) && may && is_address(label);
                assert!(is_silent || answer.is_err(), "{}", told(call, &answer));
            }
            Call::WebSend { label, request, .. } => {
                let changes = !matches!(request.method.as_str(), "GET" | "HEAD");
                let may = self.may_ask(changes);
                self.may_leave_tracks |= changes && may && label == "web";
                let Some(answer) = heard::<Sent>(answer) else { return };
                let is_granted = may && label == "web" && matches!(request.method.as_str(), "GET" | "POST");
                let is_refused = matches!(&answer, Ok(Sent::Known(r)) if r.reach == endpoint::Reach::Refused);
                assert!(is_refused && is_granted || answer.is_err(), "{}", told(call, &answer));
            }
            Call::WebReceive {} => {
                let Some(answer) = heard::<Piece>(answer) else { return };
                assert!(answer.is_err(), "{}", told(call, &answer));
            }
            Call::WebEnd { .. } => {
                let Some(answer) = heard::<()>(answer) else { return };
                assert!(answer.is_ok(), "{}", told(call, &answer));
            }
        }
    }
}

fn is_key(key: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    (1..=64).contains(&key.len()) && key.bytes().all(plain)
}

fn is_daemon(label: &str) -> bool {
    matches!(label, "daemon" | "script")
}

fn is_address(label: &str) -> bool {
    matches!(label, "here" | "open" | "web")
}
