//! What an action uses: which component, which policy, which parameters. Pinned is the normal path.
//!
//! Every action of a recorded instance except start and `migrate_from` uses what its record pins, so that neither a typo
//! in a policy nor a half-finished upgrade can fence a node. What cannot be loaded is a [`Refusal`], and the table
//! below says what each action answers to it.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::instance::{Directory, Pins, Record};
use crate::ocf::description::{AgentName, is_secret};
use crate::ocf::outcome::{Exit, Outcome, REASON_BYTES};
use crate::ocf::{Action, Description, Parameters, Request, parameter};
use crate::policy::{self, Policy, Refused, nearest};
use crate::report::Log;
use crate::store::{self, Digest, Generation, Missing, NativeError};

/// All that an action needs before the plugin runs.
pub struct Plan {
    /// Component, generation, policy by digest.
    pub pins: Pins,
    /// What is granted.
    pub policy: Policy,
    /// The policy's text, to be kept at a good start.
    pub policy_text: String,
    /// What the author says; none where the record says all that is needed.
    pub description: Description,
    /// Canonical values.
    pub parameters: Parameters,
    /// What the operator set, declared names only.
    pub given: BTreeMap<String, String>,
    /// Native code, mapped and verified.
    pub native: &'static [u8],
}

/// Why an action cannot use a plugin.
#[derive(Debug)]
pub enum Refusal {
    /// The agent is not installed here.
    NotInstalled(String),
    /// It is, and cannot be run: damaged, or made for another host.
    Unfit(String),
    /// Parameters that no node would take.
    Parameters(String),
    /// No policy, or none that can be used.
    Policy(Refused),
    /// The policy is for other components.
    OtherPlugin(String),
    /// Something of this node that may be better the next time.
    Node(String),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotInstalled(text)
            | Self::Unfit(text)
            | Self::Parameters(text)
            | Self::OtherPlugin(text)
            | Self::Node(text) => f.write_str(text),
            Self::Policy(refused) => write!(f, "{refused}"),
        }
    }
}

/// The table: what is answered when the plugin cannot be used. `recorded` is whether the instance has an active record.
pub fn answer(refusal: &Refusal, request: &Request, recorded: bool, log: &Log) -> Outcome {
    let plain = match refusal {
        Refusal::NotInstalled(_) | Refusal::Unfit(_) => Exit::NotInstalled,
        // On other nodes the version may still be that which takes them.
        Refusal::Parameters(_) if crate::guard!("I10", suit_another_version(request), false) => Exit::Arguments,
        Refusal::Parameters(_) => Exit::NotConfigured,
        // Another node may have it right: nothing that is said of the whole cluster.
        Refusal::Policy(_) | Refusal::OtherPlugin(_) => crate::guard!("I10", Exit::Permission, Exit::NotConfigured),
        Refusal::Node(_) => Exit::Generic,
    };
    let text = refusal.to_string();
    let reason = |exit: Exit| Outcome::because(exit, &with_hint(&text, request, refusal));
    match request.action {
        Some(Action::Monitor) if crate::guard!("I8", recorded, false) => reason(Exit::Generic),
        Some(Action::Monitor) if request.is_probe() => match refusal {
            Refusal::NotInstalled(_) => reason(Exit::NotInstalled),
            _ => {
                // Claimed not to run here: the start that follows fails visibly, and no healthy copy is stopped.
                log.error(&format!("probe cannot be judged: {text}"));
                Outcome::of(Exit::NotRunning)
            }
        },
        Some(Action::Monitor) => reason(Exit::Generic),
        Some(Action::Stop) if recorded => reason(Exit::Generic),
        Some(Action::Stop) => {
            log.warning(&format!("nothing of this instance was started here: {text}"));
            crate::guard!("I21", Outcome::of(Exit::Success), reason(plain))
        }
        Some(Action::Notify) => {
            log.error(&format!("notify: {text}"));
            Outcome::of(Exit::Success)
        }
        Some(Action::Demote) => reason(Exit::Generic),
        _ => reason(plain),
    }
}

/// Whether another version of the agent that was installed on this node takes the parameters.
fn suit_another_version(request: &Request) -> bool {
    let takes =
        |generation: &Generation| parameter::check(&generation.description, &request.given, &request.garbled).is_ok();
    let numbers = store::generations(&request.agent);
    numbers.into_iter().any(|number| store::generation(&request.agent, number).is_ok_and(|found| takes(&found)))
}

/// Bytes of a hint beyond which it would leave no room for the cause.
const HINT_BYTES: usize = 60;

/// The command that explains an action of an instance, to stand behind a reason: for one that has a directory, since
/// `why` knows no other. Empty if there is none, or its name is too long.
pub fn hint(directory: &Directory, instance: &str) -> String {
    let hint = format!(" (ocf-wasm why {instance})");
    if hint.len() <= HINT_BYTES && directory.is_there() { hint } else { String::new() }
}

/// The cause first, then the command that explains it.
fn with_hint(text: &str, request: &Request, refusal: &Refusal) -> String {
    let instance = request.instance.as_deref();
    let why = instance.map(|name| hint(&Directory::of(&request.agent, name), name)).unwrap_or_default();
    let hint = match refusal {
        _ if !why.is_empty() => why.as_str(),
        Refusal::Policy(_) | Refusal::OtherPlugin(_) => " (ocf-wasm check)",
        Refusal::NotInstalled(_) | Refusal::Unfit(_) => " (ocf-wasm list)",
        Refusal::Parameters(_) | Refusal::Node(_) => "",
    };
    explained(text, hint)
}

/// A reason, cut so that its hint fits behind it.
pub fn explained(text: &str, hint: &str) -> String {
    format!("{}{hint}", crate::ocf::outcome::one_line(text, REASON_BYTES.saturating_sub(hint.len())))
}

/// Plans with what is installed and granted today.
///
/// # Errors
/// See [`Refusal`].
pub fn today(request: &Request, log: &Log, deadline: Instant) -> Result<Plan, Refusal> {
    let (number, generation) = installed(&request.agent)?;
    of(number, &generation, request, log, deadline)
}

/// Plans with a generation, current or not, and today's policy.
///
/// # Errors
/// See [`Refusal`].
pub fn of(
    number: u32,
    generation: &Generation,
    request: &Request,
    log: &Log,
    deadline: Instant,
) -> Result<Plan, Refusal> {
    let description = generation.description.clone();
    let (given, parameters) = parameters(&description, request, log)?;
    let path = store::policy_path(&request.agent);
    let text = policy::load(&path).map_err(Refusal::Policy)?;
    let policy = Policy::parse(&text, &path).map_err(|d| Refusal::Policy(Refused::Invalid(d)))?;
    if !policy.digests.is_empty() && !policy.digests.contains(&generation.component.to_string()) {
        let installed = generation.component.short();
        return Err(Refusal::OtherPlugin(format!(
            "policy {} is for other components than {installed}",
            path.file_name().unwrap_or_default().to_string_lossy()
        )));
    }
    let native = native(&generation.component, deadline)?;
    let pins = Pins {
        agent: request.agent.clone(),
        generation: number,
        component: generation.component.to_string(),
        policy: Digest::of(text.as_bytes()).to_string(),
    };
    Ok(Plan { pins, policy, policy_text: text, description, parameters, given, native })
}

/// Plans with what a record pins.
///
/// # Errors
/// See [`Refusal`].
pub fn pinned(record: &Record, request: &Request, log: &Log, deadline: Instant) -> Result<Plan, Refusal> {
    let Some(pins) = record.pins.clone() else {
        return Err(Refusal::Node("the record pins nothing".to_owned()));
    };
    let generation =
        store::generation(&pins.agent, pins.generation).map_err(|missing| damaged(&pins.agent, missing))?;
    let Some(component) = Digest::parse(&pins.component) else { return Err(no_digest()) };
    let (policy, text) = pinned_policy(&pins)?;
    let native = native(&component, deadline)?;
    for (name, value) in &request.given {
        if record.given.get(name) != Some(value) && generation.description.parameters.iter().any(|p| &p.name == name) {
            let shown = if is_secret(name) { "another value" } else { value };
            let text = format!("parameter {name} is {shown} now; this action uses what the last start used");
            // Of a start it is said as a whole, once it is known that it goes on with that.
            if request.action == Some(Action::Start) { log.debug(&text) } else { log.warning(&text) }
        }
    }
    Ok(Plan {
        pins,
        policy,
        policy_text: text,
        description: generation.description,
        parameters: record.parameters.clone(),
        given: record.given.clone(),
        native,
    })
}

/// The policy that a record pins, and its text: it can be had where the plugin cannot.
///
/// # Errors
/// See [`Refusal`].
pub fn pinned_policy(pins: &Pins) -> Result<(Policy, String), Refusal> {
    let Some(digest) = Digest::parse(&pins.policy) else { return Err(no_digest()) };
    let blob = store::blob_path(&digest);
    let text = policy::load(&blob).map_err(|refused| match refused {
        // The cause first: the path of a digest is longer than a reason.
        Refused::Unsafe(text) => Refusal::Policy(Refused::Unsafe(text.replacen(
            &blob.display().to_string(),
            &format!("that it was started with ({})", digest.short()),
            1,
        ))),
        Refused::Missing(_) => {
            Refusal::Node(format!("the policy that it was started with ({}) is gone from the store", digest.short()))
        }
        other => Refusal::Policy(other),
    })?;
    if Digest::of(text.as_bytes()) != digest {
        return Err(Refusal::Unfit(format!("the policy that it was started with, {}, is damaged", digest.short())));
    }
    let policy = Policy::parse(&text, &blob).map_err(|d| Refusal::Policy(Refused::Invalid(d)))?;
    Ok((policy, text))
}

fn no_digest() -> Refusal {
    Refusal::Node("the record pins what is no digest".to_owned())
}

/// Checks today's parameters against a description.
///
/// # Errors
/// [`Refusal::Parameters`].
pub fn parameters(
    description: &Description,
    request: &Request,
    log: &Log,
) -> Result<(BTreeMap<String, String>, Parameters), Refusal> {
    let declared = |name: &String| description.parameters.iter().any(|p| &p.name == name);
    for name in request.given.keys().chain(&request.garbled).filter(|name| !declared(name)) {
        // What Pacemaker and the tracing convention add is no mistake of the operator.
        if !parameter::OF_THE_CLUSTER.contains(&name.as_str()) {
            let known: Vec<&str> = description.parameters.iter().map(|p| p.name.as_str()).collect();
            let meant = nearest(name, &known).map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
            log.warning(&format!("parameter {name} is unknown to {} and ignored{meant}", request.agent));
        }
    }
    let values = parameter::check(description, &request.given, &request.garbled);
    let values = values.map_err(|wrong| Refusal::Parameters(wrong.0))?;
    let given = request.given.iter().filter(|(name, _)| declared(name)).map(|(n, v)| (n.clone(), v.clone())).collect();
    Ok((given, values))
}

/// Reads the current generation of an agent.
///
/// # Errors
/// [`Refusal::NotInstalled`], [`Refusal::Unfit`].
pub fn installed(agent: &AgentName) -> Result<(u32, Generation), Refusal> {
    let missing = || Refusal::NotInstalled(format!("{agent} is not installed on this node"));
    let number = store::current(agent).ok_or_else(missing)?;
    match store::generation(agent, number) {
        Ok(generation) => Ok((number, generation)),
        Err(Missing::NotInstalled) => Err(missing()),
        Err(other) => Err(damaged(agent, other)),
    }
}

fn damaged(agent: &AgentName, missing: Missing) -> Refusal {
    match missing {
        Missing::NotInstalled => Refusal::Unfit(format!("the version of {agent} {}", store::VERSION_LOST)),
        Missing::Damaged(text) => Refusal::Unfit(text),
    }
}

fn native(component: &Digest, deadline: Instant) -> Result<&'static [u8], Refusal> {
    store::ensure_native(component, deadline).map_err(|error| match error {
        NativeError::Unfit(text) => Refusal::Unfit(format!("component {}: {text}", component.short())),
        NativeError::TimedOut | NativeError::Io(_) => Refusal::Node(error.to_string()),
    })
}
