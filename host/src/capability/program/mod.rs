//! `program`: running what the policy binds to a label, to its end or as a daemon whose whole tree is tracked.
//!
//! A plugin never names a file, an argument vector, a user or a pid. What is executed was opened once and judged on the
//! descriptor; its arguments are whole values; its environment is made from nothing.

mod command;
mod daemon;
pub mod group;
pub mod keeper;
mod rate;
pub mod traces;
pub mod tree;
pub mod unit;
mod watcher;

pub use daemon::{Condition, Ended, Occasion, Report};

use std::collections::BTreeMap;
use std::ffi::CString;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::policy::template::{Template, Unfit, Values, fill_all};
use crate::policy::{KeptBy, Lifetime, Policy, Program};
use crate::sandbox::confinement::{Confinement, Limits};
use crate::sandbox::hidden::hidden_below;
use crate::sandbox::layers;
use crate::seam::{Answer, Error, Slot};
use crate::sys::trusted;
use crate::sys::user::{self, User};

/// What is said of a program that somebody else than root could have written, before who and where.
pub const NOT_SAFE: &str = "not safe to run";
/// Bytes of standard output, and of standard error, that are kept where nothing else is said: what a program says of a
/// state, a hundred times over. Both cross the seam in one message.
const OUTPUT_BYTES: usize = 256 * 1024;
/// What a program of the action lifetime may use where nothing else is said: bytes of memory (a client in Java or Python has
/// a few hundred MiB), tasks (of such a one some dozen threads), bytes of a file (what it writes is a result, not data). It
/// runs beside the service, every few seconds, and shall not be what takes its memory.
const OF_ACTIONS: Limits = Limits {
    memory: Some(512 * 1024 * 1024),
    tasks: Some(64),
    cpu: None,
    nofile: None,
    fsize: Some(64 * 1024 * 1024),
    output: None,
};
/// The same for a daemon, which is what the node is there for. Tasks alone are bounded: a daemon that forks without end leaves
/// the node some of its 32,768 process numbers.
const OF_DAEMONS: Limits =
    Limits { memory: None, tasks: Some(4096), cpu: None, nofile: None, fsize: None, output: None };
/// Where programs look for programs.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program that was checked, opened and filled in: the only thing that can be executed.
#[derive(Debug)]
pub struct Permit {
    label: String,
    file: OwnedFd,
    argv: Vec<CString>,
    environment: Vec<CString>,
    user: Option<User>,
    forks: bool,
    input: bool,
    timeout: Option<Duration>,
    rate: Option<u32>,
    manager: KeptBy,
    confinement: Confinement,
    /// The limits that the policy asks for, without ours.
    asked: Limits,
}

/// Finds the binding of a label for a call that is meant for programs of one lifetime.
///
/// # Errors
/// `denied` if it is not bound, or bound to the other lifetime.
pub fn binding<'a>(
    bound: &'a BTreeMap<String, Program>,
    label: &str,
    lifetime: Option<Lifetime>,
) -> Answer<&'a Program> {
    let program = bound.get(label).ok_or_else(|| Error::Denied(format!("program {label}: not granted")))?;
    match lifetime {
        // It ends within the action too, asked for something else than to start the daemon.
        Some(Lifetime::Action) if program.forks => Ok(program),
        Some(wanted) if wanted != program.lifetime => {
            let needed = match wanted {
                Lifetime::Action => "action",
                Lifetime::Instance => "instance",
            };
            Err(Error::Denied(format!("program {label}: granted, but not with lifetime = \"{needed}\"")))
        }
        Some(_) | None => Ok(program),
    }
}

/// Checks a call against its binding.
///
/// # Errors
/// `denied` for a parameter that does not fit, `invalid` for a slot, `unavailable` for a program that is not there or
/// not safe to run, or a user that does not exist.
pub fn permit(program: &Program, label: &str, slots: &[Slot], values: Values<'_>) -> Answer<Permit> {
    let slots = super::pairs(slots);
    let values = Values { slots: &slots, ..values };
    let refuse = |error: Unfit| super::unfit("program", label, error);
    let unset = || refuse(Unfit::Parameter("a parameter that it needs is not set".to_owned()));
    let path = program.program.fill_as_named(&values).map_err(refuse)?.ok_or_else(unset)?;
    let name = program.user.fill(&values).map_err(refuse)?.ok_or_else(unset)?;
    let (file, mut argv, seen) = executable(program, label, &path).map_err(Error::Unavailable)?;
    argv.extend(fill_all(&program.argv, &values).map_err(refuse)?);
    let mut environment = vec![PATH.to_owned()];
    if !program.environment.iter().any(|(name, _)| name == "LANG") {
        environment.push("LANG=C.UTF-8".to_owned());
    }
    for (variable, template) in &program.environment {
        if let Some(value) = template.fill(&values).map_err(refuse)? {
            environment.retain(|e| !e.starts_with(&format!("{variable}=")));
            environment.push(format!("{variable}={value}"));
        }
    }
    let user = look_up(program, label, &name).map_err(Error::Unavailable)?;
    if let Some(told) = layers::lacking(&program.grant.fixed.require, tree::cgroup_root().as_deref()) {
        return Err(Error::Unavailable(format!("program {label}: {told}")));
    }
    if let Some(told) = unmanaged(program, label) {
        return Err(Error::Unavailable(told));
    }
    let mut confinement = confinement(program, label, |template| template.fill(&values))?;
    confinement.read.extend(seen);
    Ok(Permit {
        label: label.to_owned(),
        file,
        argv: c_strings(argv),
        environment: c_strings(environment),
        user,
        forks: program.forks,
        input: program.input,
        timeout: program.timeout_ms.map(Duration::from_millis),
        rate: program.grant.rate,
        manager: program.manager,
        confinement,
        asked: program.grant.fixed.limits,
    })
}

/// What the program may reach, as far as `fill` knows the places.
fn confinement(
    program: &Program,
    label: &str,
    fill: impl Fn(&Template) -> Result<Option<String>, Unfit>,
) -> Answer<Confinement> {
    let refuse = |error: Unfit| super::unfit("program", label, error);
    let view = &program.grant.view;
    let places = |templates: &[Template], is_written| {
        let mut places = Vec::new();
        for template in templates {
            // A parameter that is not set names no place.
            let Some(place) = fill(template).map_err(refuse)? else { continue };
            let place = PathBuf::from(place);
            if let Some(why) = view.refuses(template, &place, is_written) {
                let told = format!("view: {} cannot be granted: {why}", place.display());
                return Err(refuse(Unfit::Parameter(told)));
            }
            let comes_back = (program.lifetime == Lifetime::Instance).then(|| hidden_below(&place)).flatten();
            if let Some(hidden) = comes_back {
                let told = format!(
                    "view: {} cannot be granted to a daemon: {} would be seen as soon as it is made anew; name what is \
                     meant in it",
                    place.display(),
                    hidden.display()
                );
                return Err(refuse(Unfit::Parameter(told)));
            }
            places.push(place);
        }
        Ok(places)
    };
    let (read, write) = (places(&view.read, false)?, places(&view.write, true)?);
    let mut fixed = program.grant.fixed.clone();
    let ours = match program.lifetime {
        Lifetime::Action => OF_ACTIONS,
        Lifetime::Instance => OF_DAEMONS,
    };
    let limits = &mut fixed.limits;
    limits.memory = limits.memory.or(ours.memory);
    limits.tasks = limits.tasks.or(ours.tasks);
    limits.fsize = limits.fsize.or(ours.fsize);
    Ok(Confinement { read, write, cluster: view.cluster, fixed })
}

impl Permit {
    /// Counts a start, if the policy bounds their number. `path` is where they are kept.
    ///
    /// # Errors
    /// `denied` if there were too many within a minute; `unavailable` if they cannot be counted.
    pub fn count(&self, path: impl FnOnce() -> std::io::Result<PathBuf>) -> Answer<()> {
        count(&self.label, self.rate, path)
    }
}

fn count(label: &str, rate: Option<u32>, path: impl FnOnce() -> std::io::Result<PathBuf>) -> Answer<()> {
    let Some(most) = rate else { return Ok(()) };
    let path = path()
        .map_err(|error| Error::Unavailable(format!("program {label}: its starts cannot be counted: {error}")))?;
    rate::count(label, &path, most)
}

/// What a binding names and this node lacks, as far as nothing has to be known of an instance. `policy` is
/// that of the binding.
pub fn lacking(program: &Program, label: &str, policy: &Policy) -> Vec<String> {
    let file = program.program.as_literal().map(|path| executable(program, label, path));
    let seen = file.as_ref().and_then(|file| file.as_ref().ok()).map(|(_, _, seen)| seen.clone());
    let file = file.and_then(Result::err);
    let view = unseen(program, label, seen.unwrap_or_default(), policy);
    let user = program.user.as_literal().and_then(|name| look_up(program, label, name).err());
    let layers = layers::lacking(&program.grant.fixed.require, tree::cgroup_root().as_deref());
    let layers = layers.map(|told| format!("program {label}: {told}"));
    file.into_iter().chain(user).chain(layers).chain(unmanaged(program, label)).chain(view).collect()
}

/// Why what the program shall see cannot be made here: what a start does, with the places that the policy says itself.
/// `seen` are the files of the program.
fn unseen(program: &Program, label: &str, seen: Vec<PathBuf>, policy: &Policy) -> Option<String> {
    // Nobody else could make it, whatever there is.
    if !nix::unistd::geteuid().is_root() {
        return None;
    }
    let literally = |template: &Template| Ok(template.as_literal().map(str::to_owned));
    let mut confinement = match confinement(program, label, literally) {
        Ok(confinement) => confinement,
        Err(Error::Denied(told)) => return Some(told),
        Err(error) => return Some(format!("program {label}: {error:?}")),
    };
    // What the agent may make is there when the program is started, for all that is known.
    let is_due = |place: &PathBuf| place.symlink_metadata().is_ok() || !policy.may_make(place, label);
    confinement.read.retain(is_due);
    confinement.write.retain(is_due);
    confinement.read.extend(seen);
    confinement.prepare().err().map(|told| format!("program {label}: {told}"))
}

/// Why a unit that the policy demands cannot be had.
fn unmanaged(program: &Program, label: &str) -> Option<String> {
    let told = (program.manager == KeptBy::Systemd).then(unit::transient::lacking).flatten()?;
    Some(format!("program {label}: manager = \"systemd\": {told}"))
}

/// What is executed, the first of its arguments (the program, or its interpreter with the path of the script, which
/// nobody but root can replace), and the files that the program sees for that.
fn executable(program: &Program, label: &str, path: &str) -> Result<(OwnedFd, Vec<String>, Vec<PathBuf>), String> {
    let failed = |path: &str, error: &std::io::Error| match error.kind() {
        ErrorKind::PermissionDenied => format!("program {label}: {NOT_SAFE}: {error}"),
        ErrorKind::NotFound => format!("program {label}: {path} is not there"),
        _ => format!("program {label}: {path}: {error}"),
    };
    // What an interpreter reads is run as much as the interpreter is.
    for script in program.scripts(path) {
        trusted::is_roots_word(&script).map_err(|error| failed(&script.to_string_lossy(), &error))?;
    }
    let open = |path: &str| trusted::open_program(Path::new(path)).map_err(|error| failed(path, &error));
    let real = |path: &str| trusted::resolve(Path::new(path)).ok();
    let Some(interpreter) = program.interpreter.first() else {
        return Ok((open(path)?, vec![path.to_owned()], real(path).into_iter().collect()));
    };
    let script = trusted::resolve(Path::new(path)).and_then(|real| trusted::open(&real).map(|_| real));
    let script = script.map_err(|error| failed(path, &error))?;
    let mut argv = program.interpreter.clone();
    argv.push(script.to_string_lossy().into_owned());
    Ok((open(interpreter)?, argv, real(interpreter).into_iter().chain([script]).collect()))
}

/// Whom a program runs as; none in a namespace of one user.
fn look_up(program: &Program, label: &str, name: &str) -> Result<Option<User>, String> {
    if user::is_alone() {
        return Ok(None);
    }
    let missing = |what: &str, name: &str| format!("program {label}: there is no {what} {name} on this node");
    let named = program.grant.groups.as_ref();
    let found = if named.is_some() { user::account(name) } else { user::look_up(name) };
    let mut found = found.ok_or_else(|| missing("user", name))?;
    if user::account(user::OURS).is_some_and(|ours| ours.uid == found.uid) {
        return Err(format!(
            "program {label}: user {name} is that of plugins and of the compiler, which nothing else may be: name another"
        ));
    }
    for name in named.into_iter().flatten() {
        found.groups.push(user::group(name).ok_or_else(|| missing("group", name))?);
    }
    Ok(Some(found))
}

/// The policy and the environment allow no NUL, so none is lost here.
fn c_strings(texts: Vec<String>) -> Vec<CString> {
    texts.into_iter().filter_map(|text| CString::new(text).ok()).collect()
}

/// Waits until `done`, looking ever more rarely, until `deadline`. Whether it was.
fn wait_until(deadline: Instant, mut done: impl FnMut() -> bool) -> bool {
    let mut pause = Duration::from_millis(2);
    loop {
        if done() {
            return true;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        std::thread::sleep(pause.min(left));
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests;
