//! A node that answers as another one did: what `ocf-wasm run --record` wrote, given to an agent in a native test.

use std::collections::{BTreeMap, VecDeque};

use ocf_agent_recording::{self as recording, Call, Export, Recording, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Node, with};
use crate::bindings::agent::ocf::agent::types::Error;
use crate::endpoint::{HttpRequest, HttpResponse, Reach, Reply, Until};
use crate::path::{Entry, Facts};
use crate::program::{Condition, Output, SignalName, Slot};
use crate::{Health, Outcome, Parameters};

/// What is left to be asked.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) parameters: BTreeMap<String, String>,
    calls: VecDeque<(String, Call)>,
}

/// One line a function: it is answered from the recording, if there is one, and by the fakes otherwise.
macro_rules! answered {
    ($( $interface:ident {
        $( $function:ident($($argument:ident: $Argument:ty),*) -> $Answer:ty; )*
    } )*) => { $(
        pub(crate) mod $interface {
            #[allow(unused_imports, reason = "an interface needs some of these types")]
            use super::*;

            $( pub(crate) fn $function($($argument: $Argument),*) -> Result<$Answer, Error> {
                let with = || [$((stringify!($argument), shown(&$argument))),*].into_iter().collect();
                match answer(stringify!($interface), stringify!($function), with) {
                    Some(answer) => answer,
                    None => crate::fake::calls::$interface::$function($($argument),*),
                }
            } )*
        }
    )* };
}

answered! {
    state {
        get(key: &str) -> Option<Vec<u8>>;
        set(key: &str, value: &[u8]) -> ();
        delete(key: &str) -> ();
        keys() -> Vec<String>;
    }
    program {
        available(label: &str, slots: &[Slot]) -> bool;
        run(label: &str, slots: &[Slot], input: Option<&[u8]>) -> Output;
        start(label: &str, slots: &[Slot]) -> bool;
        status(label: &str) -> Condition;
        stop(label: &str) -> ();
        signal(label: &str, signal: SignalName) -> bool;
    }
    path {
        stat(label: &str, name: &str) -> Option<Facts>;
        read(label: &str, name: &str, offset: u64, limit: u32) -> Option<Vec<u8>>;
        write(label: &str, name: &str, content: &[u8], mode: u16) -> ();
        remove(label: &str, name: &str) -> bool;
        list(label: &str, name: &str) -> Option<Vec<Entry>>;
        make_directory(label: &str, name: &str, mode: u16) -> bool;
    }
    endpoint {
        connect(label: &str, slots: &[Slot]) -> Reach;
        exchange(label: &str, slots: &[Slot], send: &[u8], until: &Until) -> Reply;
        listening(label: &str, slots: &[Slot]) -> bool;
        http(label: &str, slots: &[Slot], request: &HttpRequest) -> HttpResponse;
    }
}

fn shown<T: Serialize + ?Sized>(value: &T) -> Value {
    recording::shown(value)
}

/// The recorded answer to a question; none if nothing is replayed.
fn answer<T: DeserializeOwned>(
    interface: &str,
    function: &str,
    arguments: impl FnOnce() -> BTreeMap<&'static str, Value>,
) -> Option<Result<T, Error>> {
    let next = with(|node| {
        let recorded = node.recorded.as_mut()?;
        let arguments = arguments().into_iter().map(|(name, value)| (recording::kebab(name), value));
        let with = Value::Object(arguments.collect());
        let label = with["label"].as_str().map(|label| format!("{interface} {label}: {function}"));
        let call = recording::kebab(&format!("{interface}.{function}"));
        let now = Call { call, with, answer: None, took_ms: 0.0 };
        let next = recorded.calls.pop_front();
        node.calls.extend(label);
        Some((now, next))
    });
    let (now, next) = next?;
    let Some((place, expected)) = next else { panic!("recording: expected no more calls, got {now}") };
    assert!(
        (&expected.call, &expected.with) == (&now.call, &now.with),
        "recording, {place}\n  expected {expected}\n  got      {now}"
    );
    let Some(answer) = &expected.answer else {
        panic!("recording, {place}: {expected} had no answer when the recorded action was killed")
    };
    match recording::read(answer) {
        Ok(answer) => Some(answer),
        Err(error) => panic!("recording, {place}: the answer to {expected} cannot be used: {error}"),
    }
}

impl Node {
    /// A node that answers as another one did: from the text of a file that `ocf-wasm run --record FILE` wrote.
    ///
    /// Parameters, instance, node, action and time left are those of the file, and so is the answer to each call; the
    /// calls are expected in the order of the file, those of all its exports one after the other. Parameters that are set
    /// here come before those of the file. [`replayed`] says at the end whether all calls were made, and
    /// [`replay`](crate::fake::replay) does all of it at once.
    ///
    /// ```
    /// use ocf_agent::fake::{self, Node};
    /// use ocf_agent::program::Phase;
    /// # ocf_agent::labels! { /** x */ Program DAEMON = "daemon"; }
    /// # let recorded = r#"{
    /// #   "format": 1, "agent": "example/web", "action": "monitor", "probe": false, "level": 0, "node": "alpha",
    /// #   "instance": "web", "remaining-ms": 19000, "parameters": {}, "exit": 1, "reason": "remains",
    /// #   "steps": [{ "export": "monitor", "result": { "err": { "kind": "generic", "reason": "remains" } }, "calls": [
    /// #     { "call": "program.status", "with": { "label": "daemon" },
    /// #       "answer": { "ok": { "phase": "remains", "processes": 2, "age-ms": 7, "ended": { "signaled": 9 } } } }
    /// #   ] }]
    /// # }"#;
    ///
    /// Node::replay(recorded).install(); // include_str!("remains.json")
    /// assert_eq!(ocf_agent::instance::node(), "alpha");
    /// assert_eq!(DAEMON.phase()?, Phase::Remains);
    /// fake::replayed();
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    ///
    /// # Panics
    /// If the text is no recording. Each call panics that is another than the recorded one, or one too many.
    #[must_use]
    pub fn replay(text: &str) -> Self {
        let recording = parse(text);
        let exports: Vec<_> = recording.exports().enumerate().collect();
        assert!(!exports.is_empty(), "recording: the plugin was not called");
        Self::of(&recording, &exports)
    }

    fn of(recording: &Recording, exports: &[(usize, &Export)]) -> Self {
        fn fact<T: DeserializeOwned>(key: &str, value: Option<&Value>) -> Option<T> {
            value.map(|value| recording::read(value).unwrap_or_else(|error| panic!("recording, {key}: {error}")))
        }
        let mut node = Self::new().instance(&recording.instance).node(&recording.node);
        let (_, first) = exports[0];
        node.action = fact("export", Some(&Value::String(first.export.clone()))).unwrap_or(node.action);
        (node.is_probe, node.check_level) = (first.probe, first.level);
        node.clone = fact("clone", recording.clone.as_ref());
        node.notice = fact("notification", recording.notification.as_ref());
        node.migration = fact("migration", recording.migration.as_ref());
        node.deadline_ms = recording.remaining_ms;
        let calls = exports.iter().flat_map(|(number, export)| {
            let place = format!("export {} ({})", number + 1, export.export);
            export
                .calls
                .iter()
                .enumerate()
                .map(move |(call, asked)| (format!("{place}, call {}", call + 1), asked.clone()))
        });
        node.recorded = Some(Recorded { parameters: recording.parameters.clone(), calls: calls.collect() });
        node
    }
}

fn parse(text: &str) -> Recording {
    Recording::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

/// Checks that the agent made all calls that are recorded.
///
/// # Panics
/// If one was not made, with the first of them.
pub fn replayed() {
    with(|node| {
        let recorded = node.recorded.as_ref().expect("nothing is replayed: install Node::replay(..) first");
        if let Some((place, call)) = recorded.calls.front() {
            panic!("recording, {place}: expected {call}, which was not made");
        }
    });
}

/// Lets an agent do a recorded action again, as far as the plugin does it: each export that the host called, with the
/// answers that were recorded, must make the same calls and return the same.
///
/// A recorded start is `monitor`, `start` and `monitor` again. What the host makes of it, the exit status, is its part:
/// `ocf-wasm run --replay` compares that too.
///
/// ```
/// use ocf_agent::fake;
/// # use ocf_agent::program::Phase;
/// # use ocf_agent::{Agent, Health, Outcome, Parameters, agent, fail, labels};
/// # labels! { /** x */ Program DAEMON = "daemon"; }
/// # /// Agent
/// # #[derive(Parameters)]
/// # #[agent(name = "example/web")]
/// # struct Web {}
/// # agent!(Web);
/// # impl Agent for Web {
/// #     fn start(&self) -> Outcome { DAEMON.start()?; Ok(()) }
/// #     fn stop(&self) -> Outcome { Ok(DAEMON.stop()?) }
/// #     fn monitor(&self) -> Outcome<Health> {
/// #         match DAEMON.phase()? {
/// #             Phase::Running => Ok(Health::Running),
/// #             Phase::Stopped => Ok(Health::NotRunning),
/// #             other => fail(format!("{other:?}")),
/// #         }
/// #     }
/// # }
/// # let recorded = r#"{
/// #   "format": 1, "agent": "example/web", "action": "monitor", "probe": false, "level": 0, "node": "alpha",
/// #   "instance": "web", "remaining-ms": 19000, "parameters": {}, "exit": 0, "reason": "",
/// #   "steps": [{ "export": "monitor", "result": { "ok": "running" }, "calls": [
/// #     { "call": "program.status", "with": { "label": "daemon" },
/// #       "answer": { "ok": { "phase": "running", "processes": 2, "age-ms": 7, "ended": null } } }
/// #   ] }]
/// # }"#;
///
/// fake::replay::<Web>(recorded); // include_str!("running.json")
///
/// // Had the node answered something else, the agent would say something else.
/// let changed = recorded.replace("\"running\", \"processes\"", "\"stopped\", \"processes\"");
/// let result = std::panic::catch_unwind(|| fake::replay::<Web>(&changed));
/// let said = *result.unwrap_err().downcast::<String>().unwrap();
/// assert_eq!(said, "recording, export 1 (monitor)\n  expected {\"ok\":\"running\"}\n  got      {\"ok\":\"not-running\"}");
/// ```
///
/// # Panics
/// If the text is no recording, or with the first call or result that differs, or that is missing. An export that did
/// not return, because it was too late or ended in a panic, cannot be replayed so: use [`Node::replay`].
pub fn replay<A: Parameters + Exported>(text: &str) {
    let recording = parse(text);
    assert!(recording.exports().next().is_some(), "recording: the plugin was not called");
    for (number, export) in recording.exports().enumerate() {
        let place = format!("export {} ({})", number + 1, export.export);
        let expected = export.result.as_ref().filter(|result| result.get("ok").or(result.get("err")).is_some());
        let Some(expected) = expected else { panic!("recording, {place}: did not return ({:?})", export.result) };
        Node::of(&recording, &[(number, export)]).install();
        let Some(outcome) = A::read().call(&export.export) else {
            panic!("recording, {place}: the agent does not export it")
        };
        let got = shown(&outcome);
        assert!(*expected == got, "recording, {place}\n  expected {expected}\n  got      {got}");
        replayed();
    }
}

/// What `agent!` exports, by its name in the WIT.
#[doc(hidden)]
pub trait Exported {
    /// Calls an export; none if there is none of this name. Only monitor returns a health.
    fn call(&self, export: &str) -> Option<Outcome<Option<Health>>>;
}

/// The exports of one interface, by name.
#[doc(hidden)]
#[macro_export]
macro_rules! __call {
    (lifecycle $agent:ident $export:ident) => {
        match $export {
            "validate" => Some($crate::Agent::validate($agent).map(|()| None)),
            "start" => Some($crate::Agent::start($agent).map(|()| None)),
            "stop" => Some($crate::Agent::stop($agent).map(|()| None)),
            "monitor" => Some($crate::Agent::monitor($agent).map(Some)),
            _ => None,
        }
    };
    (role $agent:ident $export:ident) => {
        match $export {
            "promote" => Some($crate::Role::promote($agent).map(|()| None)),
            "demote" => Some($crate::Role::demote($agent).map(|()| None)),
            _ => None,
        }
    };
    (notification $agent:ident $export:ident) => {
        ($export == "notify").then(|| $crate::Notification::notify($agent).map(|()| None))
    };
    (migration $agent:ident $export:ident) => {
        match $export {
            "migrate-to" => Some($crate::Migration::migrate_to($agent).map(|()| None)),
            "migrate-from" => Some($crate::Migration::migrate_from($agent).map(|()| None)),
            _ => None,
        }
    };
    (reload $agent:ident $export:ident) => {
        ($export == "reload").then(|| $crate::Reload::reload($agent).map(|()| None))
    };
    // `agent!` says what is wrong.
    ($other:ident $agent:ident $export:ident) => {
        None
    };
}

#[cfg(test)]
mod tests;
