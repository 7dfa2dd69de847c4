//! `forget`: the way out for an instance whose record is damaged or lost.
//!
//! Such an instance is neither started nor called stopped, since nobody knows what runs of it. Here a person says that
//! nothing does. The host looks first for what it could have started, and believes nobody while any of that lives.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail};

use super::Format;
use crate::capability::program::tree::{Tree, cgroup_root};
use crate::capability::program::{Report, keeper};
use crate::instance::{self, Action, Directory, Found, History, Lock, LockError, Record, State};
use crate::ocf::description::AgentName;
use crate::ocf::outcome::Exit;
use crate::sys::process::{self, ProcessId};

/// How long an action of the instance is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  ocf-wasm forget web    what still runs of it, as far as the host can see\n  ocf-wasm forget web --nothing-runs\n  crm_resource --cleanup --resource web\n\nFor an instance whose record is damaged or lost: all its actions fail, since nobody knows what runs of it. It is\nrefused while something of it lives that the host started. What a program left elsewhere only you can see, and if\nyou are wrong, the resource may run twice.\n\nExit status: 0 forgotten: the instance counts as stopped here; 1 refused, and nothing changed; 2 wrong usage."
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
    match &known[..] {
        [(agent, ..)] => Ok(agent.clone()),
        _ => bail!("which {name} is meant? add --agent PROVIDER/TYPE"),
    }
}

/// Returns why nothing is known.
fn must_be_unknown(directory: &Directory, name: &str) -> Result<String> {
    match directory.record() {
        Found::Unknown(text) => Ok(text),
        Found::Record(record) if record.state.is_active() => {
            bail!("the record of {name} is whole ({}): stop it, there is nothing to forget", record.state.word())
        }
        Found::Record(_) | Found::None => bail!("{name} is not started here: there is nothing to forget"),
    }
}

/// What tells of daemons of an instance besides its record.
struct Traces {
    reports: Vec<PathBuf>,
    trees: Vec<Tree>,
}

impl Traces {
    fn of(directory: &Directory, name: &str) -> Self {
        // Another agent may have an instance of the same name: what its record holds is its own.
        let mut others = BTreeSet::new();
        let mut groups = BTreeSet::new();
        for (.., other) in instance::list() {
            if let Found::Record(record) = other.record() {
                others.extend(record.daemons.values().filter_map(|daemon| daemon.keeper));
                groups.extend(record.daemons.values().filter_map(|daemon| daemon.cgroup.clone()));
            }
        }
        let reports = directory.reports();
        let mut trees: Vec<Tree> = Vec::new();
        for main in reports.iter().filter_map(|path| Report::read(path)?.main) {
            trees.push(Tree { main: Some(main), ..Tree::default() });
        }
        let keepers = process::table().into_values().filter(|entry| !entry.is_zombie).map(|entry| entry.id);
        let keepers = keepers.filter(|id| !others.contains(id) && is_keeper_of(id.pid, name));
        trees.extend(keepers.map(|keeper| Tree { keeper: Some(keeper), ..Tree::default() }));
        let groups = groups_of(name).into_iter().filter(|group| !groups.contains(group));
        trees.extend(groups.map(|group| Tree { cgroup: Some(group), ..Tree::default() }));
        Self { reports, trees }
    }

    /// All that lives, each once.
    fn alive(&self) -> BTreeSet<ProcessId> {
        let keepers = self.trees.iter().filter_map(|tree| tree.keeper).filter(|keeper| keeper.is_alive());
        self.trees.iter().flat_map(Tree::members).chain(keepers).collect()
    }

    /// Removes what would be taken for a sign of life.
    fn remove(&self) {
        self.trees.iter().for_each(Tree::forget);
        for report in &self.reports {
            let _ = std::fs::remove_file(report);
        }
    }
}

/// Whether a process is the keeper of a daemon of an instance of that name.
fn is_keeper_of(pid: i32, name: &str) -> bool {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut words = line.split(|byte| *byte == 0);
    words.next() == Some(keeper::NAME.as_bytes()) && words.next() == Some(name.as_bytes())
}

/// Control groups of daemons of an instance of that name.
fn groups_of(name: &str) -> Vec<PathBuf> {
    let Some(root) = cgroup_root() else { return Vec::new() };
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| is_group_of(path, name)).collect()
}

/// Whether a group's name is the instance, a label and a number.
fn is_group_of(path: &Path, name: &str) -> bool {
    let instance: String = instance::escape(name).chars().take(100).collect();
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let rest = file.strip_prefix(&instance).and_then(|rest| rest.strip_prefix('.'));
    rest.and_then(|rest| rest.split_once('.')).is_some_and(|(_label, number)| !number.contains('.'))
}

fn described(id: ProcessId) -> String {
    let line = std::fs::read(format!("/proc/{}/cmdline", id.pid)).unwrap_or_default();
    let line = String::from_utf8_lossy(&line).replace('\0', " ");
    format!("{:>7}  {}", id.pid, crate::ocf::outcome::one_line(&line, 100))
}
