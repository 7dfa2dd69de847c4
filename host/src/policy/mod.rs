//! The policy: what the operator of this node grants to one plugin, and what each of its labels is bound to.
//!
//! A file is read as a whole or not at all: an unknown key, a duplicate, a value of a wrong type or an unsafe mode
//! refuses it, with line, column and the key that was probably meant. What must never enter here: effects (the
//! capabilities act), wishes of the plugin (they stand in its requests).

mod confine;
mod diagnostic;
mod endpoint;
mod environment;
mod given;
pub mod key;
mod kind;
pub mod lint;
mod mistake;
mod nearest;
mod path;
pub mod place;
mod reader;
mod script;
pub mod template;
mod unit;
mod url;

pub use confine::{Grant, View};
pub use diagnostic::{Diagnostic, Severity};
pub use endpoint::{Endpoint, Http, Place, Port};
pub use kind::address_of;
pub(crate) use nearest::nearest;
pub use path::{Access, PathGrant, refused as refused_directory};
pub use unit::Unit;
pub use url::{Host, Scheme, Url};

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use mistake::Mistake;
use reader::{Read, Reader, Value};
use template::{Argument, Template};

use crate::few::Few;

/// Bytes of the largest policy. A long one has some ten thousand; it is read as a whole, in each start.
const POLICY_BYTES: u64 = 1024 * 1024;
/// Bytes of linear memory that a policy can grant at most: eight times what is granted without a word. Many actions run at
/// the same time beside what the node is there for, and no plugin holds data.
const MEMORY_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// The grants of one file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// If not empty, the only components that this policy is for.
    pub digests: Vec<String>,
    /// Programs by label.
    pub programs: BTreeMap<String, Program>,
    /// Units by label, which share their names with programs: the plugin sees no difference.
    pub units: Few<Unit>,
    /// Directories by label.
    pub paths: BTreeMap<String, PathGrant>,
    /// Endpoints by label.
    pub endpoints: BTreeMap<String, Endpoint>,
    /// What to do when the plugin cannot stop.
    pub last_resort: Option<LastResort>,
    /// Bytes of the plugin's memory.
    pub memory_bytes: Option<usize>,
}

/// A program that a label is bound to.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// The file to execute.
    pub program: Template,
    /// What runs it, with its own first arguments, where it is a script; empty where it is not.
    pub interpreter: Vec<String>,
    /// Its arguments, without the zeroth.
    pub argv: Vec<Argument>,
    /// How long it may live.
    pub lifetime: Lifetime,
    /// Whether starting it means to run it to its end: what it leaves behind is the daemon.
    pub forks: bool,
    /// Whom it runs as.
    pub user: Template,
    /// Its whole environment besides `PATH` and `LANG`.
    pub environment: Vec<(String, Template)>,
    /// How a daemon is ended.
    pub stop: Vec<StopStep>,
    /// Whether the plugin may write to its standard input.
    pub input: bool,
    /// How long a program of the action lifetime may run, milliseconds.
    pub timeout_ms: Option<u64>,
    /// Signals that the plugin may send.
    pub signals: Vec<Signal>,
    /// Who keeps a daemon.
    pub manager: KeptBy,
    /// What it is granted besides to be run.
    pub grant: Grant,
}

/// How long a program lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// It ends within the action.
    Action,
    /// It is a daemon that lives as long as the instance.
    Instance,
}

/// Who keeps a daemon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeptBy {
    /// A unit of systemd where one can be had, else a process of ours.
    #[default]
    Auto,
    /// A unit of systemd, or it is not started.
    Systemd,
    /// A process of ours.
    Nobody,
}

/// One step of ending a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopStep {
    /// What is sent.
    pub signal: Signal,
    /// How long to wait for it to take effect.
    pub grace: Grace,
}

/// A span of time, absolute or of what is left of the action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grace {
    /// Milliseconds.
    Ms(u64),
    /// Of the time that is left, 1-100.
    Percent(u64),
    /// All that is left.
    Rest,
}

/// Programs that end what the plugin could not.
#[derive(Clone, Debug, PartialEq)]
pub struct LastResort {
    /// Labels, run in this order.
    pub labels: Vec<String>,
    /// The label whose program tells whether all is gone,
    pub gone_label: String,
    /// and the statuses by which it says so.
    pub gone_statuses: Vec<u8>,
}

/// Why there is no policy.
#[derive(Debug)]
pub enum Refused {
    /// The file is not there.
    Missing(PathBuf),
    /// It, or the way to it, could have been written by somebody else.
    Unsafe(String),
    /// It does not say what a policy says.
    Invalid(Diagnostic),
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing(path) => write!(f, "no policy: {} is not there", path.display()),
            Self::Unsafe(what) => write!(f, "policy {what}"),
            Self::Invalid(diagnostic) => write!(f, "{}", diagnostic.line()),
        }
    }
}

/// Reads the text of a policy file that only root can have written.
///
/// # Errors
/// See [`Refused`].
pub fn load(path: &Path) -> Result<String, Refused> {
    let opened = crate::guard!("I2", crate::sys::trusted::open(path), std::fs::File::open(path));
    let file = opened.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Refused::Missing(path.to_owned()),
        std::io::ErrorKind::PermissionDenied => Refused::Unsafe(error.to_string()),
        _ => Refused::Unsafe(format!("{}: {error}", path.display())),
    })?;
    let mut text = String::new();
    match std::io::Read::read_to_string(&mut std::io::Read::take(file, POLICY_BYTES + 1), &mut text) {
        Ok(length) if length as u64 > POLICY_BYTES => {
            Err(Refused::Unsafe(format!("{}: larger than 1 MiB", path.display())))
        }
        Ok(_) => Ok(text),
        Err(error) => Err(Refused::Unsafe(format!("{}: {error}", path.display()))),
    }
}

impl Policy {
    /// Whether a label of a kind, `program`, `path` or `endpoint`, is bound.
    pub fn binds(&self, kind: &str, label: &str) -> bool {
        match kind {
            "program" => self.programs.contains_key(label) || self.units.contains_key(label),
            "path" => self.paths.contains_key(label),
            "endpoint" => self.endpoints.contains_key(label),
            _ => false,
        }
    }

    /// Whether the plugin, or another program than that of `label`, could make what is not at a place yet.
    pub fn may_make(&self, place: &Path, label: &str) -> bool {
        let directories =
            self.paths.values().filter(|grant| grant.access == Access::Write).map(|grant| &grant.directory);
        let others = self.programs.iter().filter(|(name, _)| *name != label);
        let views = others.flat_map(|(_, program)| &program.grant.view.write);
        directories.chain(views).flat_map(Template::paths).any(|above| place.starts_with(above))
    }

    /// Reads the text of a policy. `path` is for messages only.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Diagnostic> {
        reader::whole(text, path, Self::read)
    }

    /// Reads the text of a policy, for a person: as [`Self::parse`], which takes and refuses the same.
    ///
    /// # Errors
    /// All that is wrong, in the order of the file; but nothing that may be right as soon as another mistake is not there.
    #[cfg(feature = "tool")]
    pub fn parse_all(text: &str, path: &Path) -> Result<Self, Vec<Diagnostic>> {
        reader::with_all_mistakes(text, path, Self::read)
    }

    fn read(file: &mut Reader<'_, '_>) -> Read<Self> {
        let format = file.literal("format", 1);
        if file.has("format") {
            // Another version of the format has other mistakes.
            format?;
        }
        let digests = file.table("plugin", &key::PLUGIN, |plugin| plugin.required("digest", digests))?;
        let executed = executed(file);
        let units = RefCell::new(Few::default());
        let programs = file.labelled("program", &key::PROGRAM, |at| match at.has("unit") {
            true => unit::unit(at).map(|unit| units.borrow_mut().insert(at.label(), unit)).map(|()| None),
            false => program(at, &executed).map(Some),
        })?;
        let units = units.into_inner();
        let paths = file.labelled("path", &key::PATH, |at| path::path(at, &programs).map(Some))?;
        let endpoints = file.labelled("endpoint", &key::ENDPOINT, |at| endpoint::endpoint(at).map(Some))?;
        let is_lost = |label: &str| file.is_lost("program", label, units.contains_key(label));
        let last_resort = file.table("stop", &key::STOP, |stop| last_resort(stop, &programs, &is_lost))?;
        let memory_bytes = file.table("limits", &key::LIMITS, |limits| limits.optional("memory", memory))?;
        let (digests, memory_bytes) = (digests.unwrap_or_default(), memory_bytes.flatten());
        Ok(Self { digests, programs, units, paths, endpoints, last_resort, memory_bytes })
    }
}

impl Program {
    /// The files that are read as code besides the program and what runs it: scripts that an interpreter is given as
    /// arguments, in the policy's own words. `path` is the program.
    pub fn scripts(&self, path: &str) -> Vec<PathBuf> {
        script::of(self, path)
    }
}

fn digests(value: &Value<'_, '_>) -> Read<Vec<String>> {
    let digest = |digest: &Value<'_, '_>| match digest.string()? {
        text if crate::store::is_digest(text) => Ok(text.to_owned()),
        _ => Err(digest.wrong(&Mistake::Digest)),
    };
    match value.is_array() {
        true => value.some(&Mistake::NoDigest, digest),
        false => Ok(vec![digest(value)?]),
    }
}

/// The paths that are executed, or below which that is; a mistake is told when its program is read.
fn executed(file: &Reader<'_, '_>) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for section in file.written("program") {
        for value in ["program", "interpreter"].into_iter().filter_map(|key| section.get(key)) {
            confine::executed(value.get_ref(), &mut paths);
        }
        if let (Some(program), Some(argv), None) =
            (section.get("program"), section.get("argv"), section.get("interpreter"))
        {
            paths.extend(script::written(program.get_ref(), argv.get_ref()));
        }
    }
    paths
}

fn program(at: &mut Reader<'_, '_>, executed: &[PathBuf]) -> Read<Program> {
    let program = at.required("program", template::program);
    let interpreter = at.optional("interpreter", template::interpreter)?.unwrap_or_default();
    let argv = at.optional("argv", template::arguments)?.unwrap_or_default();
    let lifetime = at.required("lifetime", |value| match value.string()? {
        "action" => Ok(Lifetime::Action),
        "instance" => Ok(Lifetime::Instance),
        word => Err(value.wrong(&Mistake::Lifetime(word.to_owned()))),
    });
    let forks = at.decisive("type", |value| match value.string()? {
        "simple" => Ok(false),
        "forking" => Ok(true),
        word => Err(value.wrong(&Mistake::Type(word.to_owned()))),
    });
    let user = at.required("user", template::user);
    let environment = at.optional("environment", environment::environment)?.unwrap_or_default();
    let stop = at.optional("stop", stop_steps)?;
    at.optional("output", |value| match value.string()? {
        "journal" => Ok(()),
        _ => Err(value.wrong(&Mistake::Output)),
    })?;
    let input = at.optional("input", Value::boolean)?;
    let timeout_ms = at.optional("timeout", duration)?;
    let signals = at.optional("signals", |value| match forks {
        Ok(Some(true)) => Err(value.wrong(&Mistake::SignalsForking)),
        _ => value.list(signal),
    })?;
    let manager = at.optional("manager", |value| match value.string()? {
        "auto" => Ok(KeptBy::Auto),
        "systemd" => Ok(KeptBy::Systemd),
        "none" => Ok(KeptBy::Nobody),
        word => Err(value.wrong(&Mistake::Manager(word.to_owned()))),
    })?;
    let grant = confine::grant(at, executed)?;
    let lifetime = lifetime?;
    match lifetime {
        Lifetime::Action => at.only_for("instance", &["stop", "type", "signals", "output", "manager"])?,
        Lifetime::Instance => at.only_for("action", &["input", "timeout"])?,
    }
    if lifetime == Lifetime::Instance && grant.fixed.limits.output.is_some() {
        return Err(at.wrong(&Mistake::OtherLifetime("limits.output", "action")));
    }
    Ok(Program {
        program: program?,
        interpreter,
        argv,
        lifetime,
        forks: forks?.unwrap_or(false),
        user: user?,
        environment,
        stop: stop.unwrap_or_else(|| vec![StopStep { signal: Signal::SIGTERM, grace: Grace::Rest }]),
        input: input.unwrap_or(false),
        timeout_ms,
        signals: signals.unwrap_or_default(),
        manager: manager.unwrap_or_default(),
        grant,
    })
}

/// Reads what is done when the plugin cannot stop. `is_lost` tells of a label whose own mistake is told.
fn last_resort(
    at: &mut Reader<'_, '_>,
    programs: &BTreeMap<String, Program>,
    is_lost: &dyn Fn(&str) -> bool,
) -> Read<LastResort> {
    let bound = |label: &Value<'_, '_>| {
        let name = label.string()?;
        match programs.get(name) {
            None if is_lost(name) => Ok(name.to_owned()),
            None => {
                let known: Vec<&str> = programs.keys().map(String::as_str).collect();
                let known = if known.is_empty() { String::new() } else { format!(": there is {}", known.join(", ")) };
                Err(label.wrong(&Mistake::NoSuchProgram(name.to_owned(), known)))
            }
            Some(program) if program.lifetime != Lifetime::Action => Err(label.wrong(&Mistake::LastResortLives)),
            Some(program) if !program.argv.iter().all(Argument::is_literal) || !program.program.is_literal() => {
                Err(label.wrong(&Mistake::LastResortOpen))
            }
            Some(_) => Ok(name.to_owned()),
        }
    };
    let labels = at.required("last-resort", |value| value.some(&Mistake::NoLastResort, bound));
    let (gone_label, gone_statuses) = at.required("gone-when", |value| {
        value.table(&key::GONE, |gone| {
            let label = gone.required("run", bound);
            let status = |v: &Value<'_, '_>| v.integer(0, 255).map(|n| u8::try_from(n).unwrap_or(0));
            let statuses = gone.required("exit", |value| value.some(&Mistake::NoStatus, status))?;
            Ok((label?, statuses))
        })
    })?;
    Ok(LastResort { labels: labels?, gone_label, gone_statuses })
}

fn stop_steps(value: &Value<'_, '_>) -> Read<Vec<StopStep>> {
    let step = |step: &Value<'_, '_>| {
        step.table(&key::STEP, |at| {
            let signal = at.required("signal", signal);
            let grace = at.required("grace", grace)?;
            Ok(StopStep { signal: signal?, grace })
        })
    };
    value.some(&Mistake::NoStep, step)
}

fn signal(value: &Value<'_, '_>) -> Read<Signal> {
    Ok(match value.string()? {
        "HUP" => Signal::SIGHUP,
        "INT" => Signal::SIGINT,
        "QUIT" => Signal::SIGQUIT,
        "USR1" => Signal::SIGUSR1,
        "USR2" => Signal::SIGUSR2,
        "TERM" => Signal::SIGTERM,
        "WINCH" => Signal::SIGWINCH,
        word => return Err(value.wrong(&Mistake::Signal(word.to_owned()))),
    })
}

fn grace(value: &Value<'_, '_>) -> Read<Grace> {
    let text = value.string()?;
    if text == "rest" {
        return Ok(Grace::Rest);
    }
    if let Some(Ok(percent @ 1..=100)) = text.strip_suffix('%').map(str::parse::<u64>) {
        return Ok(Grace::Percent(percent));
    }
    match crate::ocf::parameter::duration_ms(text) {
        Some(ms) => Ok(Grace::Ms(ms)),
        None => Err(value.wrong(&Mistake::Grace)),
    }
}

fn duration(value: &Value<'_, '_>) -> Read<u64> {
    match crate::ocf::parameter::duration_ms(value.string()?) {
        Some(ms) if ms > 0 => Ok(ms),
        _ => Err(value.wrong(&Mistake::Duration)),
    }
}

fn memory(value: &Value<'_, '_>) -> Read<usize> {
    match confine::size(value.string()?) {
        Some(bytes) if bytes > 0 && bytes <= MEMORY_BYTES_MAX => Ok(usize::try_from(bytes).unwrap_or(usize::MAX)),
        _ => Err(value.wrong(&Mistake::Size)),
    }
}

#[cfg(feature = "tool")]
#[cfg(test)]
mod tests;
