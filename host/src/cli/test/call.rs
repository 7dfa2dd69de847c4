//! One call of the agent's binary as a value, whose every byte is chosen, and what came of it. It is made in `node.rs`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::time::Duration;

use super::trace::Line;
use crate::ocf::Action;
use crate::ocf::outcome::Exit;

/// Stands for the file of a call's trace.
pub(super) const TRACE: &str = "(trace)";
/// Stands for the file of a call's log.
pub(super) const LOG: &str = "(log)";

/// One call of the agent's binary, whose every byte is chosen.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// The action it means; none for a word that is none.
    pub(super) action: Option<Action>,
    /// The arguments.
    pub(super) arguments: Vec<OsString>,
    /// The environment.
    pub(super) environment: BTreeMap<OsString, OsString>,
    /// How long its caller waits.
    pub(super) timeout: Duration,
    /// Whom it runs as.
    pub(super) user: Option<u32>,
}

/// What came of a call.
#[derive(Debug)]
pub(super) struct Answer {
    /// The exit status; none for a signal or a number that no agent may answer.
    pub(super) exit: Option<Exit>,
    /// How it ended, in words.
    pub(super) ended: String,
    /// Standard output.
    pub(super) stdout: String,
    /// Standard error.
    pub(super) stderr: String,
    /// How long it took.
    pub(super) took: Duration,
    /// Each call of the plugin.
    pub(super) trace: Vec<Line>,
    /// What was logged.
    pub(super) log: Vec<String>,
}

impl Call {
    /// A call with nothing in its environment but where programs are.
    pub(super) fn bare(action: Action) -> Self {
        Self { action: Some(action), ..Self::of(action.word()) }
    }

    /// A call with a word that may be no action.
    pub(super) fn of(word: impl AsRef<OsStr>) -> Self {
        let environment = BTreeMap::from([("PATH".into(), "/usr/sbin:/usr/bin:/sbin:/bin".into())]);
        let timeout = Duration::from_secs(20);
        Self { action: None, arguments: vec![word.as_ref().to_owned()], environment, timeout, user: None }
    }

    /// Sets a variable.
    pub(super) fn set(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.insert(name.as_ref().to_owned(), value.as_ref().to_owned());
        self
    }

    /// Sets variables.
    pub(super) fn set_all(self, variables: &[(&str, &str)]) -> Self {
        variables.iter().fold(self, |call, (name, value)| call.set(name, value))
    }

    /// Sets a parameter.
    pub(super) fn with(self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.set(format!("OCF_RESKEY_{name}"), value)
    }

    /// Unsets a parameter.
    pub(super) fn without(mut self, name: &str) -> Self {
        self.environment.remove(OsStr::new(&format!("OCF_RESKEY_{name}")));
        self
    }

    /// Gives it this much time, and says so.
    pub(super) fn within(self, timeout: Duration) -> Self {
        Self { timeout, ..self }.with("CRM_meta_timeout", timeout.as_millis().to_string())
    }

    /// Makes it as thorough as this.
    pub(super) fn level(self, level: u8) -> Self {
        self.set("OCF_CHECK_LEVEL", level.to_string())
    }

    fn has(&self, name: &str) -> bool {
        self.environment.contains_key(OsStr::new(name))
    }

    /// Whether it asks "is it here?".
    pub(super) fn is_probe(&self) -> bool {
        let interval = self.environment.get(OsStr::new("OCF_RESKEY_CRM_meta_interval"));
        self.action == Some(Action::Monitor) && interval.is_none_or(|interval| interval == "0")
    }

    /// Whether its log lines have a place of their own.
    pub(super) fn has_log(&self) -> bool {
        self.has("HA_LOGFILE")
    }

    /// How it is called in what people read.
    pub(super) fn name(&self) -> String {
        match self.action {
            Some(Action::Monitor) if self.is_probe() => "probe".to_owned(),
            _ => self.arguments.first().map_or("no action".into(), |word| word.to_string_lossy().into_owned()),
        }
    }
}

impl Answer {
    /// The exit reason, if there is one.
    pub(super) fn reason(&self) -> Option<&str> {
        self.stderr.lines().rev().find_map(|line| line.strip_prefix(super::standing::PREFIX))
    }

    /// What is said if it is not what was wanted.
    pub(super) fn instead_of(&self, call: &Call, wanted: &[Exit]) -> String {
        let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        let reason = self.reason().map(|reason| format!(": {reason}")).unwrap_or_default();
        format!("{} answers {}, and not {}{reason}", call.name(), self.ended, wanted.join(" or "))
    }
}
