//! Dangers of labels that are bound to units: what a policy adds to their environment, and what the node says of them.

use std::path::Path;

use super::pattern::{Pattern, Risk};
use super::{Found, Warning, is_among, tell, variables};
use crate::policy::Policy;
use crate::policy::kind::Kind;

/// The part of the table that is about units.
pub(super) const OF_UNITS: [Risk; 3] = [
    Risk {
        name: "unit without a sandbox",
        pattern: Pattern::Unit,
        sentence: "{what} runs as root, and its unit does not say {lacks}: whoever finds a hole in it has what that would take away, and with it this node",
        instead: "User= in the unit, or what it lacks, as far as the service works with it; or a program of the policy, which has nothing that is not granted",
    },
    Risk {
        name: "unit that restarts",
        pattern: Pattern::Unit,
        sentence: "systemd starts {what} again by itself where the cluster has not started it, and on every node at once",
        instead: "Restart=no in the unit: what the cluster has, the cluster starts again",
    },
    Risk {
        name: "unit that starts at boot",
        pattern: Pattern::Unit,
        sentence: "systemd starts {what} at boot, before the cluster knows where it is to run: it can run twice",
        instead: "systemctl disable it on every node",
    },
];

/// What the node says of a unit, as far as it is dangerous.
#[derive(Clone, Debug, Default)]
pub struct UnitFacts {
    /// What its unit would say if it took from root what few services need; empty if it does not run as root.
    pub lacks: Vec<&'static str>,
    /// systemd starts it again by itself.
    pub restarts: bool,
    /// systemd starts it at boot.
    pub is_enabled: bool,
}

/// What can be read in the policy alone: values of its environment.
pub(super) fn find(risk: &'static Risk, policy: &Policy) -> Vec<Found> {
    let mut all = Vec::new();
    for (label, unit) in policy.units.iter() {
        for (name, value) in variables(&unit.environment, label) {
            let what = match &risk.pattern {
                Pattern::TextOfPlugin if value.is_of_plugin() && matches!(value.kind, Kind::Text { .. }) => {
                    unit.name.clone()
                }
                Pattern::Variable(names) if is_among(name, names) && !matches!(value.kind, Kind::OneOf(_)) => {
                    name.to_owned()
                }
                _ => continue,
            };
            all.push(Found { risk, who: value.who(), steps: value.steps, what, user: "its user".to_owned() });
        }
    }
    all
}

/// What is dangerous of a unit on this node. `text` is what `policy` was read from, `path` is for messages.
pub fn of_unit(policy: &Policy, label: &str, facts: &UnitFacts, text: &str, path: &Path) -> Vec<Warning> {
    let Some(unit) = policy.units.get(label) else { return Vec::new() };
    let is = [!facts.lacks.is_empty(), facts.restarts, facts.is_enabled];
    let found = OF_UNITS.iter().zip(is).filter(|(_, is)| *is).filter_map(|(risk, _)| {
        let steps = ["program", label, "unit"].map(str::to_owned).to_vec();
        let found = Found { risk, steps, who: facts.lacks.join(", "), what: unit.name.clone(), user: String::new() };
        tell(&found, text, path)
    });
    found.collect()
}
