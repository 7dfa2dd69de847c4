//! How an agent stands on this node: whether there is a policy, what that names and is not here, what somebody could do
//! with it, and which layers of the sandbox are missing. The same for people and for programs, before and after.

use std::path::PathBuf;

use super::super::check::{self, node};
use super::super::here;
use crate::ocf::description::AgentName;
use crate::policy::lint::Warning;
use crate::policy::{self, Policy, Refused};
use crate::store;

/// What is to be known of it.
pub(super) struct Standing<'a> {
    path: PathBuf,
    not_granted: &'a [String],
    /// Why nothing is granted; none if the policy is right.
    refused: Option<String>,
    lacking: Vec<String>,
    warnings: Vec<Warning>,
    missing: Vec<&'static str>,
}

impl<'a> Standing<'a> {
    /// Looks. `not_granted` are the labels that today's policy does not bind.
    pub(super) fn of(agent: &AgentName, not_granted: &'a [String]) -> Self {
        let path = store::policy_path(agent);
        let none = Self {
            path: path.clone(),
            not_granted,
            refused: None,
            lacking: Vec::new(),
            warnings: Vec::new(),
            missing: node::missing(),
        };
        let text = match policy::load(&path) {
            Ok(text) => text,
            Err(Refused::Missing(_)) => {
                let told = format!(
                    "no policy yet, so nothing is granted and start is refused: ocf-wasm suggest FILE.wasm shows one for {}",
                    path.display()
                );
                return Self { refused: Some(here::said(&told)), ..none };
            }
            Err(refused) => return Self { refused: Some(here::said(&refused.to_string())), ..none },
        };
        let shown = here::path(&path);
        match Policy::parse_all(&text, &shown) {
            Ok(policy) => {
                let check::OnThisNode { lacking, warnings } = check::on_this_node(&policy, &text, &shown);
                Self { lacking, warnings, ..none }
            }
            Err(mistakes) => Self { refused: Some(check::text_of(&mistakes)), ..none },
        }
    }

    /// For programs, beside what else they are told.
    pub(super) fn beside(&self, mut known: serde_json::Value) -> serde_json::Value {
        known["policy"] = serde_json::json!({
            "path": here::path(&self.path),
            "refused": self.refused,
            "not_on_this_node": self.lacking,
            "warnings": self.warnings.iter().map(check::told).collect::<Vec<_>>(),
        });
        known["missing_layers"] = serde_json::json!(self.missing);
        known
    }

    /// For people, what is right too.
    pub(super) fn tell(&self) {
        if self.refused.is_none() && self.not_granted.is_empty() {
            say!("  policy {}: grants all that it asks for", self.path.display());
        }
        self.tell_what_is_wrong();
    }

    /// For people, what is not as it should be.
    pub(super) fn tell_what_is_wrong(&self) {
        match &self.refused {
            Some(told) if told.contains('\n') => println!("{told}"),
            Some(told) => println!("  {told}"),
            None if self.not_granted.is_empty() => {}
            None => say!("  policy {}: does not grant {}", self.path.display(), self.not_granted.join(", ")),
        }
        for what in &self.lacking {
            println!("  not on this node: {what}");
        }
        for warning in &self.warnings {
            println!("  warning: line {}: {}", warning.told.line, warning.told.message);
        }
        if !self.missing.is_empty() {
            say!("  this node has no {}: ocf-wasm check tells what that means", self.missing.join(", "));
        }
    }
}
