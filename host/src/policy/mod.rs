//! The policy: what the operator of this node grants to one plugin, and what each of its labels is bound to.
//!
//! A file is read as a whole or not at all: an unknown key, a duplicate, a value of a wrong type or an unsafe mode
//! refuses it, with line, column and the key that was probably meant. What must never enter here: effects (the
//! capabilities act), wishes of the plugin (they stand in its requests).

mod diagnostic;
mod kind;
mod reader;
pub mod template;

pub use diagnostic::Diagnostic;
pub use kind::address_of;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use reader::{Reader, Value};
use template::{Argument, Template};

/// Bytes of the largest policy.
const POLICY_BYTES: u64 = 1024 * 1024;
/// Bytes of linear memory that a policy can grant at most.
const MEMORY_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// The grants of one file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// If not empty, the only components that this policy is for.
    pub digests: Vec<String>,
    /// Programs by label.
    pub programs: BTreeMap<String, Program>,
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
}

/// How long a program lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// It ends within the action.
    Action,
    /// It is a daemon that lives as long as the instance.
    Instance,
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

/// A TCP endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// An IP address.
    pub host: Template,
    /// A port.
    pub port: Template,
    /// How long connecting and exchanging may take together, milliseconds.
    pub timeout_ms: u64,
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
    let file = crate::sys::trusted::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Refused::Missing(path.to_owned()),
        std::io::ErrorKind::PermissionDenied => Refused::Unsafe(error.to_string()),
        _ => Refused::Unsafe(format!("{}: {error}", path.display())),
    })?;
    let mut text = String::new();
    match file.take(POLICY_BYTES + 1).read_to_string(&mut text) {
        Ok(length) if length as u64 > POLICY_BYTES => {
            Err(Refused::Unsafe(format!("{}: larger than 1 MiB", path.display())))
        }
        Ok(_) => Ok(text),
        Err(error) => Err(Refused::Unsafe(format!("{}: {error}", path.display()))),
    }
}

impl Policy {
    /// Reads the text of a policy. `path` is for messages only.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Diagnostic> {
        reader::whole(text, path, &["format", "plugin", "program", "endpoint", "stop", "limits"], |file| {
            file.literal("format", 1)?;
            let digests = file.table("plugin", &["digest"], |plugin| {
                let digests = plugin.strings("digest")?;
                for digest in &digests {
                    if !crate::store::is_digest(digest.text) {
                        return Err(digest.wrong("a digest is `sha256:` and 64 hexadecimal digits"));
                    }
                }
                Ok(digests.into_iter().map(|d| d.text.to_owned()).collect())
            })?;
            let programs = file.labelled("program", &PROGRAM_KEYS, program)?;
            let endpoints = file.labelled("endpoint", &["tcp", "timeout"], endpoint)?;
            let last_resort = file.table("stop", &["last-resort", "gone-when"], |stop| last_resort(stop, &programs))?;
            let memory_bytes = file.table("limits", &["memory"], |limits| limits.optional("memory", memory))?.flatten();
            Ok(Self { digests: digests.unwrap_or_default(), programs, endpoints, last_resort, memory_bytes })
        })
    }
}

const PROGRAM_KEYS: [&str; 12] = [
    "program",
    "interpreter",
    "argv",
    "lifetime",
    "type",
    "user",
    "environment",
    "stop",
    "output",
    "input",
    "timeout",
    "signals",
];

fn program(at: &mut Reader<'_, '_>) -> reader::Read<Program> {
    let program = at.required("program", template::program)?;
    let interpreter = at.optional("interpreter", template::interpreter)?.unwrap_or_default();
    let argv = at.optional("argv", template::arguments)?.unwrap_or_default();
    let lifetime = at.required("lifetime", |value| match value.string()? {
        "action" => Ok(Lifetime::Action),
        "instance" => Ok(Lifetime::Instance),
        _ => Err(value.wrong("`lifetime` is \"action\" (ends within the action) or \"instance\" (a daemon)")),
    })?;
    let forks = at.optional("type", |value| match value.string()? {
        "simple" => Ok(false),
        "forking" => Ok(true),
        _ => Err(value.wrong(
            "`type` is \"simple\" (the program is the daemon) or \"forking\" (it ends, and leaves the daemon behind)",
        )),
    })?;
    let user = at.required("user", template::user)?;
    let environment = at.optional("environment", template::environment)?.unwrap_or_default();
    let stop = at.optional("stop", stop_steps)?;
    let output = at.optional("output", |value| match value.string()? {
        "journal" => Ok(()),
        _ => Err(value.wrong("`output` is \"journal\"")),
    })?;
    let input = at.optional("input", Value::boolean)?;
    let timeout_ms = at.optional("timeout", duration)?;
    let signals = at.optional("signals", |value| value.array()?.iter().map(signal).collect::<Result<Vec<_>, _>>())?;
    match lifetime {
        Lifetime::Action if stop.is_some() => at.misplaced("stop", "is for a program of lifetime \"instance\"")?,
        Lifetime::Action if forks.is_some() => at.misplaced("type", "is for a program of lifetime \"instance\"")?,
        Lifetime::Instance if forks == Some(true) && signals.is_some() => {
            at.misplaced("signals", "needs a main process, which a program of type \"forking\" does not have")?;
        }
        Lifetime::Action if signals.is_some() => {
            at.misplaced("signals", "is for a program of lifetime \"instance\"")?;
        }
        Lifetime::Action if output.is_some() => at.misplaced("output", "is for a program of lifetime \"instance\"")?,
        Lifetime::Instance if input.is_some() => at.misplaced("input", "is for a program of lifetime \"action\"")?,
        Lifetime::Instance if timeout_ms.is_some() => {
            at.misplaced("timeout", "is for a program of lifetime \"action\"")?;
        }
        Lifetime::Action | Lifetime::Instance => {}
    }
    Ok(Program {
        program,
        interpreter,
        argv,
        lifetime,
        forks: forks.unwrap_or(false),
        user,
        environment,
        stop: stop.unwrap_or_else(|| vec![StopStep { signal: Signal::SIGTERM, grace: Grace::Rest }]),
        input: input.unwrap_or(false),
        timeout_ms,
        signals: signals.unwrap_or_default(),
    })
}

fn endpoint(at: &mut Reader<'_, '_>) -> reader::Read<Endpoint> {
    let (host, port) = at.required("tcp", |value| {
        value.table(&["host", "port"], |tcp| {
            Ok((tcp.required("host", template::address)?, tcp.required("port", template::port)?))
        })
    })?;
    let timeout_ms = at.optional("timeout", duration)?.unwrap_or(5_000);
    Ok(Endpoint { host, port, timeout_ms })
}

fn last_resort(at: &mut Reader<'_, '_>, programs: &BTreeMap<String, Program>) -> reader::Read<LastResort> {
    let bound = |label: &Value<'_, '_>| {
        let name = label.string()?;
        match programs.get(name) {
            None => Err(label.wrong(&format!("there is no [program.{name}] in this file"))),
            Some(program) if program.lifetime != Lifetime::Action => {
                Err(label.wrong("a last resort is a program of lifetime \"action\""))
            }
            Some(program) if !program.argv.iter().all(Argument::is_literal) || !program.program.is_literal() => {
                Err(label.wrong("a last resort takes literal arguments only: nothing else may be known by then"))
            }
            Some(_) => Ok(name.to_owned()),
        }
    };
    let labels = at.required("last-resort", |value| value.array()?.iter().map(bound).collect::<Result<Vec<_>, _>>())?;
    let (gone_label, gone_statuses) = at.required("gone-when", |value| {
        value.table(&["run", "exit"], |gone| {
            let label = gone.required("run", bound)?;
            let statuses = gone.required("exit", |value| {
                value.array()?.iter().map(|v| v.integer(0, 255).map(|n| u8::try_from(n).unwrap_or(0))).collect()
            })?;
            Ok((label, statuses))
        })
    })?;
    Ok(LastResort { labels, gone_label, gone_statuses })
}

fn stop_steps(value: &Value<'_, '_>) -> reader::Read<Vec<StopStep>> {
    let steps = value.array()?;
    if steps.is_empty() {
        return Err(value.wrong("no step: leave `stop` out for TERM, then KILL at the end of the action's time"));
    }
    steps
        .iter()
        .map(|step| {
            step.table(&["signal", "grace"], |at| {
                Ok(StopStep { signal: at.required("signal", signal)?, grace: at.required("grace", grace)? })
            })
        })
        .collect()
}

fn signal(value: &Value<'_, '_>) -> reader::Read<Signal> {
    Ok(match value.string()? {
        "HUP" => Signal::SIGHUP,
        "INT" => Signal::SIGINT,
        "QUIT" => Signal::SIGQUIT,
        "USR1" => Signal::SIGUSR1,
        "USR2" => Signal::SIGUSR2,
        "TERM" => Signal::SIGTERM,
        "WINCH" => Signal::SIGWINCH,
        _ => {
            return Err(value.wrong("a signal is one of HUP, INT, QUIT, USR1, USR2, TERM, WINCH; KILL comes by itself"));
        }
    })
}

fn grace(value: &Value<'_, '_>) -> reader::Read<Grace> {
    let text = value.string()?;
    if text == "rest" {
        return Ok(Grace::Rest);
    }
    if let Some(Ok(percent @ 1..=100)) = text.strip_suffix('%').map(str::parse::<u64>) {
        return Ok(Grace::Percent(percent));
    }
    match crate::ocf::parameter::duration_ms(text) {
        Some(ms) => Ok(Grace::Ms(ms)),
        None => Err(value.wrong("`grace` is a duration (\"10s\"), a part of the time left (\"60%\") or \"rest\"")),
    }
}

fn duration(value: &Value<'_, '_>) -> reader::Read<u64> {
    match crate::ocf::parameter::duration_ms(value.string()?) {
        Some(ms) if ms > 0 => Ok(ms),
        _ => Err(value.wrong("a duration such as \"500ms\", \"10s\", \"2min\"")),
    }
}

fn memory(value: &Value<'_, '_>) -> reader::Read<usize> {
    let text = value.string()?;
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let factor = match &text[split..] {
        "KiB" => Some(1024),
        "MiB" => Some(1024 * 1024),
        "GiB" => Some(1024 * 1024 * 1024),
        _ => None,
    };
    match text[..split].parse::<u64>().ok().zip(factor).and_then(|(n, f)| n.checked_mul(f)) {
        Some(bytes) if bytes > 0 && bytes <= MEMORY_BYTES_MAX => Ok(usize::try_from(bytes).unwrap_or(usize::MAX)),
        _ => Err(value.wrong("a size such as \"64MiB\", at most \"512MiB\"")),
    }
}

#[cfg(test)]
mod tests;
