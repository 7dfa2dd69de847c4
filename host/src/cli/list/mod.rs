//! `list`: agents and instances of this node, or the generations of one agent.

mod generations;

use std::process::ExitCode;

use anyhow::Result;

use super::Format;
use super::check::damage;
use crate::instance::{self, Action, Directory, Found, History, State};
use crate::ocf::description::AgentName;
use crate::ocf::outcome::was_failure;
use crate::store;

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  ocf-wasm list\n  ocf-wasm list ocf-wasm/dummy    its generations\n  ocf-wasm list -o json\n\nExit status: 0 listed, also if there is nothing; 1 failed, or nothing of the agent was ever installed, 2 wrong usage."
)]
pub(super) struct Arguments {
    /// PROVIDER/TYPE: show its generations, who uses them, and to which one rollback goes
    #[arg(value_parser = super::agent_name)]
    agent: Option<AgentName>,
}

pub(super) fn run(arguments: &Arguments, format: Format) -> Result<ExitCode> {
    match &arguments.agent {
        Some(agent) => generations::run(agent, format),
        None => all(format),
    }
}

/// The start or stop that began and failed. The record goes on saying that it began, since it may have left something,
/// until a stop was verified.
fn failed(state: State, directory: &Directory) -> Option<Action> {
    let begins = |action: &Action| matches!(action.action.as_str(), "start" | "migrate_from");
    let last = History::of(directory).last().into_iter().rfind(|action| begins(action) || action.action == "stop")?;
    let is_meant = match state {
        State::Starting => begins(&last),
        State::Stopping => !begins(&last),
        State::Refused | State::Started | State::Adopted | State::Stopped => false,
    };
    (is_meant && was_failure(last.exit, false)).then_some(last)
}

fn all(format: Format) -> Result<ExitCode> {
    let agents: Vec<_> = damage::all()
        .into_iter()
        .map(|(agent, damage)| {
            let number = store::current(&agent);
            let generation = number.and_then(|number| store::generation(&agent, number).ok());
            (agent, number, generation, damage)
        })
        .collect();
    let instances: Vec<_> = instance::list()
        .into_iter()
        .map(|(agent, instance, directory)| {
            let (state, generation, failed) = match directory.record() {
                Found::Record(record) => {
                    let failed = failed(record.state, &directory);
                    (record.state.word(), record.pins.map(|pins| pins.generation), failed)
                }
                Found::None => ("none", None, None),
                Found::Unknown(_) => ("unknown", None, None),
            };
            (agent, instance, state, generation, failed)
        })
        .collect();
    let list: Vec<String> = damage::of_list().into_iter().map(|damage| damage.what).collect();
    if !instance::can_be_seen() {
        eprintln!("note: {}", super::ONLY_ROOT);
    }
    if format == Format::Json {
        let agents: Vec<_> = agents
            .iter()
            .map(|(agent, number, generation, damage)| {
                serde_json::json!({
                    "agent": agent.to_string(), "generation": number,
                    "version": generation.as_ref().map(|g| &g.description.version),
                    "digest": generation.as_ref().map(|g| g.component.to_string()),
                    "damage": damage.iter().map(|damage| &damage.what).collect::<Vec<_>>(),
                })
            })
            .collect();
        let instances: Vec<_> = instances
            .iter()
            .map(|(agent, instance, state, generation, failed)| {
                serde_json::json!({
                    "agent": agent.to_string(), "instance": instance, "state": state, "generation": generation,
                    "failed": failed.as_ref().map(|action| &action.action),
                })
            })
            .collect();
        super::json(&serde_json::json!({ "agents": agents, "instances": instances, "damage": list }))?;
        return Ok(ExitCode::SUCCESS);
    }
    list.iter().for_each(|what| say!("damaged: {what} (ocf-wasm check)"));
    if agents.is_empty() {
        println!("no agent is installed");
    }
    for (agent, number, generation, damage) in &agents {
        let version = generation.as_ref().map_or("?", |g| &g.description.version);
        let short = generation.as_ref().map_or("?", |g| g.component.short());
        let number = number.map_or_else(|| "?".to_owned(), |number| number.to_string());
        println!("{:32} {version:10} generation {number:<4} {short}", agent.to_string());
        for damage in damage {
            say!("  damaged: {} (ocf-wasm check)", damage.what);
        }
    }
    for (agent, instance, state, generation, failed) in &instances {
        let state = match failed {
            Some(action) => format!("{} failed", action.action),
            None => (*state).to_owned(),
        };
        let pinned = generation.map(|n| format!(", generation {n}")).unwrap_or_default();
        println!("  {instance:30} {state}{pinned} ({agent})");
    }
    Ok(ExitCode::SUCCESS)
}
