//! `forget`: the way out for an instance whose record is damaged or lost, or whose daemon nobody can see any more.
//!
//! Such an instance is neither started nor called stopped, since nobody knows what runs of it. Here a person says that
//! nothing does. The host looks first for what it could have started, and believes nobody while any of that lives.

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail};

use super::Format;
use crate::capability::program::traces::{self, Traces};
use crate::instance::{self, Action, Directory, Found, History, Lock, LockError, Record, State};
use crate::ocf::description::AgentName;
use crate::ocf::outcome::Exit;
use crate::store::install;
use crate::sys::process::ProcessId;

/// How long an action of the instance is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  ocf-wasm forget web    what still runs of it, as far as the host can see\n  ocf-wasm forget web --nothing-runs\n  crm_resource --cleanup --resource web\n\nFor an instance whose record is damaged or lost, or whose daemon had no control group and lost its keeper: all its actions fail, since nobody knows what runs of it. It is refused while something of it lives that the host started. What a program left elsewhere only you can see, and if you are wrong, the resource may run twice.\n\nExit status: 0 forgotten: the instance counts as stopped here; 1 refused, and nothing changed; 2 wrong usage."
)]
pub(super) struct Arguments {
    /// The instance: the resource's name in the cluster
    instance: String,
    /// Which agent's, where nothing or more than one is known of that name
    #[arg(long, value_name = "PROVIDER/TYPE", value_parser = super::agent_name)]
    agent: Option<AgentName>,
    /// You have looked, and nothing of it runs on this node
    #[arg(long)]
    nothing_runs: bool,
}

pub(super) fn run(arguments: &Arguments, format: Format) -> Result<ExitCode> {
    let name = &arguments.instance;
    let agent = agent(arguments)?;
    let directory = Directory::of(&agent, name);
    let unknown = must_be_unknown(&directory, name)?;
    directory.make().with_context(|| directory.path().display().to_string())?;
    let _lock = match Lock::take(&directory, true, Instant::now() + PATIENCE) {
        Ok(lock) => lock,
        Err(LockError::Busy) => bail!("an action of {name} runs: try again when it has ended"),
        Err(LockError::Io(error)) => return Err(error).context("lock"),
    };
    must_be_unknown(&directory, name)?;
    let traces = Traces::of(&directory, name);
    let alive = traces.alive();
    if !alive.is_empty() {
        let shown: Vec<String> = alive.iter().map(|id| format!("\n  {}", described(*id))).collect();
        bail!("{name} still runs here:{}\n  end these by hand, then forget it", shown.concat());
    }
    if !arguments.nothing_runs {
        bail!(
            "{unknown}\n  nothing of {name} was found that the host started; what a program left elsewhere only you can see\n  \
             look for it, end it, then: ocf-wasm forget {name} --nothing-runs"
        );
    }
    traces.remove();
    directory.save(&Record::new(name, State::Stopped)).with_context(|| directory.path().display().to_string())?;
    let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let reason = "a person said that nothing runs".to_owned();
    let exit = Exit::Success.code();
    History::of(&directory).add(&Action { at, action: "forget".to_owned(), exit, took_ms: 0, reason });
    if format == Format::Json {
        super::json(&serde_json::json!({ "agent": agent.to_string(), "instance": name, "state": "stopped" }))?;
    } else {
        println!("{name} ({agent}) counts as stopped here");
        println!("  the cluster tries it again after: crm_resource --cleanup --resource {}", super::resource(name));
    }
    Ok(ExitCode::SUCCESS)
}

/// The agent that is meant: named, or the only one with an instance of that name of which nobody knows.
fn agent(arguments: &Arguments) -> Result<AgentName> {
    if let Some(agent) = &arguments.agent {
        return Ok(agent.clone());
    }
    let name = &arguments.instance;
    let mut known: Vec<_> = instance::list().into_iter().filter(|(_, instance, _)| instance == name).collect();
    if known.len() > 1 {
        known.retain(|(.., directory)| matches!(directory.record(), Found::Unknown(_)));
    }
    if known.is_empty() {
        known.extend(living(name));
    }
    match &known[..] {
        [(agent, ..)] => Ok(agent.clone()),
        [] if !Directory::evidence_was_lost() => Err(unknown(name)),
        _ => bail!("which {name} is meant? add --agent PROVIDER/TYPE"),
    }
}

/// Instances of that name which live and of which nothing is written down.
pub(super) fn living(name: &str) -> impl Iterator<Item = (AgentName, String, Directory)> {
    let all = install::installed().into_iter().map(|(agent, _)| (Directory::of(&agent, name), agent));
    let living = all.filter(move |(directory, _)| !directory.is_there() && traces::lives(directory, name));
    living.map(move |(directory, agent)| (agent, name.to_owned(), directory))
}

/// What is said of an instance that nothing tells of.
fn unknown(name: &str) -> anyhow::Error {
    anyhow::anyhow!("{}: there is nothing to forget", super::not_known(name))
}

/// Returns why nothing is known.
fn must_be_unknown(directory: &Directory, name: &str) -> Result<String> {
    match directory.record() {
        Found::Unknown(text) => Ok(text),
        Found::Record(record) if record.state.is_active() => {
            let lost = |(label, daemon): (&String, &instance::Daemon)| {
                daemon.lost(&directory.report_path(label)).map(|told| format!("program {label}: {told}"))
            };
            record.daemons.iter().find_map(lost).with_context(|| {
                let state = record.state.word();
                format!("the record of {name} is whole ({state}): stop it, there is nothing to forget")
            })
        }
        Found::None if traces::lives(directory, name) => Ok(format!("{name}: {}", traces::LIVES)),
        // Its actions were told that the record is lost as long as something lived.
        Found::None if directory.is_there() => Ok(format!("no record of {name} is there")),
        Found::Record(_) => bail!("{name} is not started here: there is nothing to forget"),
        Found::None => Err(unknown(name)),
    }
}

fn described(id: ProcessId) -> String {
    let line = std::fs::read(format!("/proc/{}/cmdline", id.pid)).unwrap_or_default();
    let line = String::from_utf8_lossy(&line).replace('\0', " ");
    format!("{:>7}  {}", id.pid, crate::ocf::outcome::one_line(&line, 100))
}
