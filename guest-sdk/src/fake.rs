//! A node that is not there, for native tests: `cargo test` runs an agent against it without a host.
//!
//! Each test thread has its own. What is not scripted behaves as a healthy node would: programs start and stop, time
//! passes only in [`clock::sleep`](crate::clock::sleep), and nobody listens anywhere.
//!
//! ```
//! use ocf_agent::fake;
//! use ocf_agent::program::Phase;
//! # use ocf_agent::{Agent, Health, Outcome, Parameters};
//! # ocf_agent::labels! { /** x */ Program DAEMON = "daemon"; }
//! # /// Agent
//! # #[derive(Parameters)]
//! # #[agent(name = "example/web")]
//! # struct Web {
//! #     /// Port
//! #     #[parameter(default = 80)]
//! #     port: u16,
//! # }
//! # impl Agent for Web {
//! #     fn start(&self) -> Outcome { DAEMON.start()?; Ok(()) }
//! #     fn stop(&self) -> Outcome { Ok(DAEMON.stop()?) }
//! #     fn monitor(&self) -> Outcome<Health> { Ok(Health::NotRunning) }
//! # }
//!
//! fake::Node::new().parameter("port", "8080").install();
//! let web = Web::read();
//! assert_eq!(web.port, 8080);
//! web.start().unwrap();
//! assert_eq!(fake::program_phase("daemon"), Phase::Running);
//! assert_eq!(fake::calls(), ["program daemon: start"]);
//!
//! fake::Node::new().denied("daemon").install();
//! assert_eq!(Web::read().start().unwrap_err().reason, "program daemon: not granted");
//! ```
//!
//! What a real node answered can be recorded and replayed: [`replay`](fn@replay), [`Node::replay`].
//!
//! # Panics
//! Every call panics if no [`Node`] is installed, and asking for a parameter that the agent does not declare does too.
pub(crate) mod calls;
mod endpoints;
pub(crate) mod files;
pub(crate) mod replay;

pub use files::file;
#[doc(hidden)]
pub use replay::Exported;
pub use replay::{replay, replayed};

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::bindings::agent::ocf::agent::types::Error;
use crate::canonical;
use crate::endpoint::{HttpResponse, Reply, Until};
use crate::instance::{ActionName, CloneFacts, Move, Notice};
use crate::log::Level;
use crate::parameter::Declared;
use crate::program::{Condition, ExitStatus, Output, Phase, Slot};

thread_local! {
    static NODE: RefCell<Option<Node>> = const { RefCell::new(None) };
}

/// A node, an instance and an action, with nothing set but what the functions below say.
///
/// The instance is `test`, the node `node1`, the action `start` with 20 s left.
#[derive(Debug)]
pub struct Node {
    declared: Option<&'static [Declared]>,
    parameters: BTreeMap<String, String>,
    instance: String,
    host: String,
    action: ActionName,
    is_probe: bool,
    check_level: u8,
    clone: Option<CloneFacts>,
    notice: Option<Notice>,
    migration: Option<Move>,
    deadline_ms: u64,
    now_ms: u64,
    state: BTreeMap<String, Vec<u8>>,
    programs: BTreeMap<String, FakeProgram>,
    files: BTreeMap<String, files::Tree>,
    pages: BTreeMap<String, HttpResponse>,
    endpoints: BTreeMap<String, Reply>,
    denied: BTreeSet<String>,
    unavailable: BTreeSet<String>,
    lines: Vec<(Level, String)>,
    calls: Vec<String>,
    recorded: Option<replay::Recorded>,
}

#[derive(Debug)]
struct FakeProgram {
    phase: Phase,
    ended: Option<ExitStatus>,
    started_ms: Option<u64>,
    outputs: VecDeque<Output>,
}

impl Default for FakeProgram {
    fn default() -> Self {
        Self { phase: Phase::Stopped, ended: None, started_ms: None, outputs: VecDeque::new() }
    }
}

impl Default for Node {
    fn default() -> Self {
        Self::new()
    }
}

impl Node {
    /// A node where nothing runs and nothing is set.
    #[must_use]
    pub fn new() -> Self {
        Self {
            declared: None,
            parameters: BTreeMap::new(),
            instance: "test".into(),
            host: "node1".into(),
            action: ActionName::Start,
            is_probe: false,
            check_level: 0,
            clone: None,
            notice: None,
            migration: None,
            deadline_ms: 20_000,
            now_ms: 0,
            state: BTreeMap::new(),
            programs: BTreeMap::new(),
            files: BTreeMap::new(),
            pages: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            denied: BTreeSet::new(),
            unavailable: BTreeSet::new(),
            lines: Vec::new(),
            calls: Vec::new(),
            recorded: None,
        }
    }

    /// Sets a parameter, as the operator writes it: `10s`, `yes`, `5678`. `read` panics if it does not fit.
    #[must_use]
    pub fn parameter(mut self, name: &str, value: &str) -> Self {
        self.parameters.insert(name.into(), value.into());
        self
    }

    /// Names the instance.
    #[must_use]
    pub fn instance(mut self, name: &str) -> Self {
        self.instance = name.into();
        self
    }

    /// Names the node.
    #[must_use]
    pub fn node(mut self, name: &str) -> Self {
        self.host = name.into();
        self
    }

    /// Chooses the action. In `monitor` and `validate` the state cannot be changed.
    #[must_use]
    pub fn action(mut self, action: ActionName) -> Self {
        self.action = action;
        self
    }

    /// Makes it a probe.
    #[must_use]
    pub fn probe(mut self) -> Self {
        self.is_probe = true;
        self.action(ActionName::Monitor)
    }

    /// Makes it a monitor of this depth.
    #[must_use]
    pub fn check_level(mut self, level: u8) -> Self {
        self.check_level = level;
        self.action(ActionName::Monitor)
    }

    /// Makes it a copy of a clone.
    #[must_use]
    pub fn clone_info(mut self, clone: CloneFacts) -> Self {
        self.clone = Some(clone);
        self
    }

    /// Makes it a notification.
    #[must_use]
    pub fn notification(mut self, notice: Notice) -> Self {
        self.notice = Some(notice);
        self.action(ActionName::Notify)
    }

    /// Puts a migration next to the action.
    #[must_use]
    pub fn migration(mut self, source: &str, target: &str) -> Self {
        self.migration = Some(Move { source: source.into(), target: target.into() });
        self
    }

    /// Sets the time until the deadline.
    #[must_use]
    pub fn time_left(mut self, left: Duration) -> Self {
        self.deadline_ms = self.now_ms + u64::try_from(left.as_millis()).unwrap_or(u64::from(u32::MAX));
        self
    }

    /// Writes into the notebook.
    #[must_use]
    pub fn state(mut self, key: &str, value: &[u8]) -> Self {
        self.state.insert(key.into(), value.into());
        self
    }

    /// Takes a label out of the policy.
    #[must_use]
    pub fn denied(mut self, label: &str) -> Self {
        self.denied.insert(label.into());
        self
    }

    /// Removes the program of a label from the node.
    #[must_use]
    pub fn unavailable(mut self, label: &str) -> Self {
        self.unavailable.insert(label.into());
        self
    }

    /// Puts a daemon into a phase.
    #[must_use]
    pub fn program_phase(mut self, label: &str, phase: Phase) -> Self {
        self.programs.entry(label.into()).or_default().phase = phase;
        self
    }

    /// Lets a daemon have failed, and says how its main process ended.
    #[must_use]
    pub fn program_ended(mut self, label: &str, ended: ExitStatus) -> Self {
        let program = self.programs.entry(label.into()).or_default();
        program.phase = Phase::Failed;
        program.ended = Some(ended);
        self
    }

    /// Scripts what the next run of a program does. Several are used in order, the last one again and again; without
    /// any a run prints nothing and exits with status 0.
    #[must_use]
    pub fn program_output(mut self, label: &str, status: ExitStatus, stdout: &str, stderr: &str) -> Self {
        self.programs.entry(label.into()).or_default().outputs.push_back(Output {
            status,
            stdout: stdout.into(),
            stderr: stderr.into(),
            truncated: false,
        });
        self
    }

    /// Makes this the node of the running test, in place of an earlier one.
    pub fn install(self) {
        NODE.set(Some(self));
    }

    /// Notes the call, unless the label may not be used.
    fn permit(&mut self, kind: &str, label: &str, what: &str) -> Result<(), Error> {
        self.calls.push(format!("{kind} {label}: {what}"));
        if self.denied.contains(label) {
            return Err(Error::Denied(String::new()));
        }
        if self.now_ms >= self.deadline_ms {
            return Err(Error::TimedOut);
        }
        Ok(())
    }

    /// [`Node::permit`] for what needs the program itself.
    fn permit_program(&mut self, label: &str, what: &str) -> Result<&mut FakeProgram, Error> {
        self.permit("program", label, what)?;
        if self.unavailable.contains(label) {
            return Err(Error::Unavailable("not installed".into()));
        }
        Ok(self.programs.entry(label.into()).or_default())
    }

    /// The canonical text of a parameter.
    fn canonical(&self, name: &str) -> Option<String> {
        let set = self.parameters.get(name).map(String::as_str);
        if set.is_none()
            && let Some(value) = self.recorded.as_ref().and_then(|recorded| recorded.parameters.get(name))
        {
            return Some(value.clone());
        }
        let Some(declared) = self.declared else {
            let value = set.unwrap_or_else(|| panic!("parameter {name} is not set and no agent was read"));
            return Some(value.to_owned());
        };
        let declared = declared
            .iter()
            .find(|declared| declared.name == name)
            .unwrap_or_else(|| panic!("parameter {name} is not declared by the agent"));
        let text = set.or(declared.default)?;
        let within = |n: &i64| declared.min.is_none_or(|min| *n >= min) && declared.max.is_none_or(|max| *n <= max);
        let value = match declared.kind {
            "boolean" => canonical::boolean(text).map(|b| b.to_string()),
            "integer" => canonical::integer(text).filter(within).map(|n| n.to_string()),
            "port" => canonical::port(text).map(|port| port.to_string()),
            "duration" => canonical::duration_ms(text).map(|ms| ms.to_string()),
            "size" => canonical::size_bytes(text).map(|bytes| bytes.to_string()),
            "select" => declared.options.contains(&text).then(|| text.to_owned()),
            _ => Some(text.to_owned()),
        };
        Some(value.unwrap_or_else(|| panic!("parameter {name}: {text:?} does not fit type {}", declared.kind)))
    }
}

/// Borrows the installed node.
#[track_caller]
fn with<T>(f: impl FnOnce(&mut Node) -> T) -> T {
    NODE.with_borrow_mut(|node| {
        f(node.as_mut().expect("no fake node: call ocf_agent::fake::Node::new().install() at the begin of the test"))
    })
}

/// Takes the agent's declaration: from now on only declared parameters exist.
pub(crate) fn declare(declared: &'static [Declared]) {
    with(|node| {
        for name in node.parameters.keys() {
            assert!(
                declared.iter().any(|declared| declared.name == name),
                "parameter {name} is set by the test and not declared by the agent"
            );
        }
        node.declared = Some(declared);
    });
}

/// What was logged, as `level: text`.
///
/// ```
/// ocf_agent::fake::Node::new().install();
/// ocf_agent::log::warning("slow");
/// assert_eq!(ocf_agent::fake::logged(), ["warning: slow"]);
/// ```
pub fn logged() -> Vec<String> {
    with(|node| {
        let line = |(level, text): &(Level, String)| {
            format!("{}: {text}", format!("{level:?}").rsplit("::").next().unwrap_or_default().to_lowercase())
        };
        node.lines.iter().map(line).collect()
    })
}

/// The calls about labels so far, such as `program daemon: start` and `program query: run table=routes`.
///
/// ```
/// # ocf_agent::labels! { /** x */ Endpoint WEB = "web"; }
/// ocf_agent::fake::Node::new().install();
/// WEB.connect().unwrap();
/// assert_eq!(ocf_agent::fake::calls(), ["endpoint web: connect"]);
/// ```
pub fn calls() -> Vec<String> {
    with(|node| node.calls.clone())
}

/// Where a daemon is now.
///
/// ```
/// use ocf_agent::program::Phase;
/// ocf_agent::fake::Node::new().program_phase("daemon", Phase::Remains).install();
/// assert_eq!(ocf_agent::fake::program_phase("daemon"), Phase::Remains);
/// ```
pub fn program_phase(label: &str) -> Phase {
    with(|node| node.programs.get(label).map_or(Phase::Stopped, |program| program.phase))
}

/// What the notebook holds under a key.
///
/// ```
/// ocf_agent::fake::Node::new().install();
/// ocf_agent::state::set("seen", b"1").unwrap();
/// assert_eq!(ocf_agent::fake::state("seen"), Some(b"1".to_vec()));
/// ```
pub fn state(key: &str) -> Option<Vec<u8>> {
    with(|node| node.state.get(key).cloned())
}

/// The time that passed.
///
/// ```
/// use std::time::Duration;
/// ocf_agent::fake::Node::new().install();
/// ocf_agent::clock::sleep(Duration::from_secs(5)).unwrap();
/// assert_eq!(ocf_agent::fake::elapsed(), Duration::from_secs(5));
/// ```
pub fn elapsed() -> Duration {
    Duration::from_millis(with(|node| node.now_ms))
}

/// Sets the action of the installed node, for tests that do one thing after the other.
///
/// ```
/// use ocf_agent::instance::{self, ActionName};
/// ocf_agent::fake::Node::new().install();
/// ocf_agent::fake::set_action(ActionName::Stop);
/// assert_eq!(instance::action(), ActionName::Stop);
/// ```
pub fn set_action(action: ActionName) {
    with(|node| node.action = action);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock, log, state};

    #[test]
    #[should_panic(expected = "no fake node")]
    fn says_that_no_node_is_installed() {
        log::info("x");
    }

    #[test]
    fn changes_no_state_in_a_monitor() {
        Node::new().action(ActionName::Monitor).install();
        assert_eq!(state::set("a", b"").unwrap_err().to_string(), "state a: monitor and validate change nothing");
    }

    #[test]
    fn ends_a_sleep_at_the_deadline() {
        Node::new().time_left(Duration::from_secs(90)).install();
        assert_eq!(clock::sleep(Duration::from_secs(100)).unwrap_err().to_string(), "sleep: no time left");
        assert_eq!(elapsed(), Duration::from_secs(90));
    }
}
