//! The file of a recorded action: what a node answered to a plugin, in the order in which it happened.
//!
//! `ocf-wasm run --record` writes it, `ocf-wasm run --replay` and the fakes of crate `ocf-agent` read it, and people
//! read and change it: names are those of the WIT, an unknown key is a mistake that is named, and what a type looks like
//! follows from the type alone ([`shown`], [`read`]). Nothing here acts or knows a node. Nothing that is recorded is
//! secret: who records masks before he writes.

mod readable;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
pub use serde_json::Value;

pub use readable::{Unreadable, kebab, read, shown};

/// The format that is written, and the only one that is read.
const FORMAT: u8 = 1;

/// One action of one instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Recording {
    format: u8,
    /// `PROVIDER/TYPE`.
    pub agent: String,
    /// The action, as the cluster calls it: `start`, `migrate_to`.
    pub action: String,
    /// Whether it is a monitor that asks "is it here?".
    pub probe: bool,
    /// How thorough it shall be.
    pub level: u8,
    /// The node's name.
    pub node: String,
    /// The instance's name.
    pub instance: String,
    /// Milliseconds that the plugin had.
    pub remaining_ms: u64,
    /// Parameters in the canonical form that the plugin sees.
    pub parameters: BTreeMap<String, String>,
    /// `instance.clone-info`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clone: Option<Value>,
    /// `instance.notification`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification: Option<Value>,
    /// `instance.migration`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migration: Option<Value>,
    /// What happened.
    pub steps: Vec<Step>,
    /// The exit status; none if the action was killed.
    pub exit: Option<u8>,
    /// The exit reason; none if the action was killed, empty if there was nothing to say.
    pub reason: Option<String>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Step {
    /// The host called the plugin.
    Export(Export),
    /// The host looked after something itself.
    Host(Host),
}

/// The host called the plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Export {
    /// The function: `start`, `migrate-to`.
    pub export: String,
    /// Of a monitor: whether `instance.is-probe` says so.
    #[serde(default, skip_serializing_if = "is_false")]
    pub probe: bool,
    /// Of a monitor: `instance.check-level`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub level: u8,
    /// What the plugin asked meanwhile.
    pub calls: Vec<Call>,
    /// What it returned, `{"ok": ..}` or `{"err": ..}`, or what became of it otherwise: `{"broken": ..}`. None if it was
    /// killed.
    pub result: Option<Value>,
    /// Milliseconds that it took. Nobody compares them.
    #[serde(default)]
    pub took_ms: f64,
}

/// The plugin asked the host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Call {
    /// The function: `program.status`.
    pub call: String,
    /// Its arguments by name.
    pub with: Value,
    /// `{"ok": ..}` or `{"err": ..}`; none if there was no answer before the end.
    pub answer: Option<Value>,
    /// Milliseconds that the answer took. Nobody compares them.
    #[serde(default)]
    pub took_ms: f64,
}

/// The host looked after something itself, and the contract decided by it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Host {
    /// What: `tracked`, `is-recorded`, `mark`, `tear-down`, `last-resort`.
    pub host: String,
    /// What was found.
    pub answer: Value,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "what serde calls")]
fn is_false(probe: &bool) -> bool {
    !probe
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "what serde calls")]
fn is_zero(level: &u8) -> bool {
    *level == 0
}

impl<'de> Deserialize<'de> for Step {
    /// By what it names, so that a mistake in it is told in its own words.
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let value = Value::deserialize(from)?;
        let step = if value.get("export").is_some() {
            serde_json::from_value(value).map(Self::Export)
        } else if value.get("host").is_some() {
            serde_json::from_value(value).map(Self::Host)
        } else {
            return Err(D::Error::custom("a step has a key `export` or `host`"));
        };
        step.map_err(D::Error::custom)
    }
}

impl Recording {
    /// Returns a recording in which nothing has happened yet.
    pub fn new(agent: String, action: String) -> Self {
        Self {
            format: FORMAT,
            agent,
            action,
            probe: false,
            level: 0,
            node: String::new(),
            instance: String::new(),
            remaining_ms: 0,
            parameters: BTreeMap::new(),
            clone: None,
            notification: None,
            migration: None,
            steps: Vec::new(),
            exit: None,
            reason: None,
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong and where, in one line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let told = |error: serde_json::Error| format!("no recording of an action: {error}");
        // Another format has other keys: it is named before they are.
        let value: Value = serde_json::from_str(text).map_err(told)?;
        match value.get("format").and_then(Value::as_u64) {
            Some(format) if format == u64::from(FORMAT) => {}
            Some(format) => return Err(format!("a recording of format {format}; known is {FORMAT}")),
            None => return Err("no recording of an action: it has no `format`".to_owned()),
        }
        serde_json::from_str(text).map_err(told)
    }

    /// The file's text, with a line break at its end.
    pub fn text(&self) -> String {
        // Strings, numbers and keys that are strings: there is no way to fail.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// What the plugin was called for, in order.
    pub fn exports(&self) -> impl Iterator<Item = &Export> {
        self.steps.iter().filter_map(|step| match step {
            Step::Export(export) => Some(export),
            Step::Host(_) => None,
        })
    }
}

impl std::fmt::Display for Call {
    /// The question, in one line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.call, self.with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Recording {
        let mut recording = Recording::new("a/b".into(), "monitor".into());
        recording.steps.push(Step::Export(Export {
            export: "monitor".into(),
            probe: true,
            level: 0,
            calls: vec![Call {
                call: "program.status".into(),
                with: serde_json::json!({ "label": "daemon" }),
                answer: None,
                took_ms: 0.25,
            }],
            result: None,
            took_ms: 0.5,
        }));
        recording.steps.push(Step::Host(Host { host: "is-recorded".into(), answer: Value::Bool(true) }));
        recording
    }

    #[test]
    fn what_is_written_is_read() {
        let text = small().text();
        assert_eq!(Recording::parse(&text).unwrap(), small(), "{text}");
        assert!(text.starts_with("{\n  \"format\": 1,\n  \"agent\": \"a/b\",\n"), "{text}");
    }

    #[test]
    fn a_mistake_is_named() {
        let text = small().text();
        for (from, to, says) in [
            ("\"format\": 1", "\"format\": 2", "format 2; known is 1"),
            ("\"format\": 1", "\"form\": 1", "no `format`"),
            ("\"node\"", "\"nod\"", "unknown field `nod`"),
            ("\"with\"", "\"wiht\"", "unknown field `wiht`"),
            ("\"host\"", "\"hots\"", "`export` or `host`"),
            ("\"action\": \"monitor\",", "", "missing field `action`"),
            ("{", "", "line 2"),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text);
            let told = Recording::parse(&changed).unwrap_err();
            assert!(told.contains(says), "`{says}` is not told: {told}");
        }
    }
}
