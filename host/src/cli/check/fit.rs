//! Does a policy fit the component that is installed? What it binds and fills in is compared with the labels and
//! parameters that the component declares.
//!
//! What must never enter here: a reason to refuse the file. It may be written for the version that is installed next,
//! so only what spoils an action of this one is an error.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::narrow;
use crate::policy::{Diagnostic, Lifetime, Place, Policy, Severity, nearest, place};
use crate::sandbox::confinement::Network;
use crate::store::{Generation, Request};

/// Where policy and component do not meet.
#[derive(Debug)]
pub(super) enum Misfit {
    /// At this place of the policy.
    At(Diagnostic),
    /// At this place something is granted, and not as the component asks for it: an action that needs it is refused.
    Narrow(Diagnostic),
    /// Nowhere in it: what the component asks for and the policy does not bind.
    Unbound(Request),
    /// Nor what is missing between two of its labels: a daemon, and an endpoint that it cannot be.
    Unreachable(String, String),
}

impl Misfit {
    /// Whether an action fails of it.
    pub(super) fn is_error(&self) -> bool {
        matches!(self, Self::At(diagnostic) if diagnostic.severity == Severity::Error)
    }

    /// Whether an action may be refused that the component's author meant to work.
    pub(super) fn is_refusal(&self) -> bool {
        self.is_error() || matches!(self, Self::Narrow(_) | Self::Unbound(_))
    }

    /// What programs are told.
    pub(super) fn told(&self) -> serde_json::Value {
        match self {
            Self::At(at) | Self::Narrow(at) => serde_json::json!({
                "severity": if at.severity == Severity::Error { "error" } else { "warning" },
                "line": at.line, "column": at.column, "message": at.message, "hint": at.hint,
            }),
            Self::Unbound(_) | Self::Unreachable(..) => serde_json::json!({
                "severity": "note", "line": null, "column": null,
                "message": self.sentence(), "hint": null,
            }),
        }
    }

    /// What people are told.
    pub(super) fn text(&self, path: &Path) -> String {
        match self {
            Self::At(diagnostic) | Self::Narrow(diagnostic) => diagnostic.to_string(),
            Self::Unbound(_) | Self::Unreachable(..) => format!("note: {}: {}", path.display(), self.sentence()),
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::At(diagnostic) | Self::Narrow(diagnostic) => diagnostic.message.clone(),
            Self::Unbound(Request { kind, name, why, .. }) => {
                format!("{kind} {name} is not bound, so it is not granted: the plugin asks for it as \"{why}\"")
            }
            Self::Unreachable(program, endpoint) => format!(
                "program {program} has not the node's network, so endpoint {endpoint} cannot be a port of it: \
                 network = \"host\" in [program.{program}] lets it listen there"
            ),
        }
    }
}

/// A daemon and an endpoint that is probably meant to be its port, where no daemon of the policy may have one.
fn unreachable(policy: &Policy) -> Option<Misfit> {
    let mut daemons = policy.programs.iter().filter(|(_, program)| program.lifetime == Lifetime::Instance);
    let (program, _) = daemons.clone().next()?;
    let (endpoint, _) = policy.endpoints.iter().find(|(_, bound)| !matches!(bound.place, Place::Unix { .. }))?;
    let may_listen = daemons.any(|(_, program)| program.grant.fixed.network == Network::Host);
    (!may_listen && policy.units.is_empty()).then(|| Misfit::Unreachable(program.clone(), endpoint.clone()))
}

/// Tables of a policy that bind no labels.
const NO_LABELS: [&str; 3] = ["plugin", "stop", "limits"];

/// What of a policy does not fit a component, in the order of the file; last what is not bound.
pub(super) fn misfits(policy: &Policy, text: &str, path: &Path, generation: &Generation) -> Vec<Misfit> {
    let Ok(whole) = DeTable::parse(text) else { return Vec::new() };
    let mut found = Vec::new();
    if !policy.digests.is_empty() && !policy.digests.contains(&generation.component.to_string()) {
        let message =
            format!("the policy is for other components than the one that is installed, {}", generation.component);
        found.extend(place::point(text, path, &["plugin", "digest"], Severity::Error, message));
    }
    let asked = |kind: &str, name: &str| generation.requests.iter().find(|r| r.kind == kind && r.name == name);
    let mut narrow = narrow::of_defaults(policy, &generation.description, text, path);
    for (kind, labels) in whole.get_ref().iter().filter(|(kind, _)| !NO_LABELS.contains(&kind.get_ref().as_ref())) {
        let kind = kind.get_ref().as_ref();
        for (label, grant) in labels.get_ref().as_table().into_iter().flatten() {
            let label = label.get_ref().as_ref();
            if let Some(request) = asked(kind, label) {
                narrow.extend(
                    grant.get_ref().as_table().into_iter().flat_map(|t| narrow::of_label(t, request, text, path)),
                );
                let mut open = Vec::new();
                parameters(grant.get_ref(), false, &mut open);
                narrow.extend(open.iter().filter_map(|open| unset(open, text, path, [kind, label], generation)));
                found.extend(open.into_iter().filter_map(|open| unknown(&open, text, path, [kind, label], generation)));
            } else if !is_of_the_host(policy, kind, label) {
                let known: Vec<&str> =
                    generation.requests.iter().filter(|r| r.kind == kind).map(|r| r.name.as_str()).collect();
                let message = format!("the plugin never asks for {kind} {label}");
                let at = place::point(text, path, &[kind, label], Severity::Warning, message);
                let other = generation.requests.iter().find(|r| r.kind != kind && r.name == label);
                let at = at.map(|at| hinted(at, label, &known));
                found.extend(at.map(|mut at| {
                    at.hint = other.map(|other| format!("it asks for {} {label}", other.kind)).or(at.hint);
                    at
                }));
            }
        }
    }
    let mut found: Vec<Misfit> =
        found.into_iter().map(Misfit::At).chain(narrow.into_iter().map(Misfit::Narrow)).collect();
    found.sort_by_key(|misfit| match misfit {
        Misfit::At(at) | Misfit::Narrow(at) => (at.line, at.column),
        Misfit::Unbound(_) | Misfit::Unreachable(..) => (usize::MAX, 0),
    });
    let is_bound = |request: &&Request| {
        let labels = whole.get_ref().get(request.kind.as_str()).and_then(|labels| labels.get_ref().as_table());
        labels.is_some_and(|labels| labels.contains_key(request.name.as_str()))
    };
    let unbound = generation.requests.iter().filter(|request| !is_bound(request)).cloned().map(Misfit::Unbound);
    found.into_iter().chain(unbound).chain(unreachable(policy)).collect()
}

/// A value that is filled in from a parameter, and whether it is left out as long as that is not set.
struct Open {
    parameter: String,
    is_optional: bool,
}

/// Finds the values that are filled in from parameters.
fn parameters(value: &DeValue<'_>, is_optional: bool, found: &mut Vec<Open>) {
    match value {
        DeValue::Table(table) => {
            if let Some(parameter) = table.get("param").and_then(|name| name.get_ref().as_str()) {
                found.push(Open { parameter: parameter.to_owned(), is_optional });
                return;
            }
            for (key, value) in table {
                match (key.get_ref().as_ref(), value.get_ref()) {
                    // Its keys are names of variables. One without a value is not set, and names no place to see.
                    ("environment" | "view", DeValue::Table(inner)) => {
                        inner.iter().for_each(|(_, value)| parameters(value.get_ref(), true, found));
                    }
                    (_, value) => parameters(value, is_optional, found),
                }
            }
        }
        // A list in the argument vector is left out unless all of it is set.
        DeValue::Array(items) => items.iter().for_each(|item| {
            parameters(item.get_ref(), is_optional || item.get_ref().is_array(), found);
        }),
        _ => {}
    }
}

/// Tells of a parameter that the component does not have.
fn unknown(open: &Open, text: &str, path: &Path, label: [&str; 2], generation: &Generation) -> Option<Diagnostic> {
    let known: Vec<&str> = generation.description.parameters.iter().map(|p| p.name.as_str()).collect();
    if known.contains(&open.parameter.as_str()) {
        return None;
    }
    let (severity, comes_of_it) = match open.is_optional {
        true => (Severity::Warning, "so this is always left out"),
        false => (Severity::Error, "so this can never be filled in"),
    };
    let message = format!("the plugin has no parameter {}, {comes_of_it}", open.parameter);
    let at = place::point_at_open(text, path, &label, ("param", &open.parameter), message)?;
    let mut at = hinted(at, &open.parameter, &known);
    at.severity = severity;
    at.expected = (!known.is_empty()).then(|| known.join(", "));
    Some(at)
}

/// Tells of a parameter that need not be set, where its value is needed.
fn unset(open: &Open, text: &str, path: &Path, label: [&str; 2], generation: &Generation) -> Option<Diagnostic> {
    let mut parameters = generation.description.parameters.iter();
    let parameter = parameters.find(|p| p.name == open.parameter && !p.required && p.default.is_none())?;
    if open.is_optional {
        return None;
    }
    let message = format!(
        "parameter {} need not be set and has no default: without it, what needs this is refused",
        parameter.name
    );
    let mut at = place::point_at_open(text, path, &label, ("param", &open.parameter), message)?;
    at.hint = Some("an argument in a list of its own is left out where it is not set".to_owned());
    at.severity = Severity::Warning;
    Some(at)
}

/// Adds the known word that was probably meant.
fn hinted(mut at: Diagnostic, word: &str, known: &[&str]) -> Diagnostic {
    at.hint = nearest(word, known).map(|known| format!("did you mean `{known}`?"));
    at
}

/// Whether the host runs it when the plugin cannot stop.
fn is_of_the_host(policy: &Policy, kind: &str, label: &str) -> bool {
    let resort = policy.last_resort.as_ref().filter(|_| kind == "program");
    resort.is_some_and(|resort| resort.gone_label == label || resort.labels.iter().any(|other| other == label))
}
