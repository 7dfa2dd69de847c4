//! `list`: agents and instances of this node.

use std::process::ExitCode;

use anyhow::Result;

use super::Format;
use crate::instance::{self, Found};
use crate::store::{self, install};

pub(super) fn run(format: Format) -> Result<ExitCode> {
    let agents: Vec<_> = install::installed()
        .into_iter()
        .filter_map(|(agent, number)| Some((store::generation(&agent, number).ok()?, agent, number)))
        .collect();
    let instances: Vec<_> = instance::list()
        .into_iter()
        .map(|(agent, instance, directory)| {
            let (state, generation) = match directory.record() {
                Found::Record(record) => (record.state.word(), record.pins.map(|pins| pins.generation)),
                Found::None => ("none", None),
                Found::Unknown(_) => ("unknown", None),
            };
            (agent, instance, state, generation)
        })
        .collect();
    if format == Format::Json {
        let agents: Vec<_> = agents
            .iter()
            .map(|(generation, agent, number)| {
                serde_json::json!({
                    "agent": agent.to_string(), "version": generation.description.version, "generation": number,
                    "digest": generation.component.to_string(),
                })
            })
            .collect();
        let instances: Vec<_> = instances
            .iter()
            .map(|(agent, instance, state, generation)| {
                serde_json::json!({ "agent": agent.to_string(), "instance": instance, "state": state, "generation": generation })
            })
            .collect();
        super::json(&serde_json::json!({ "agents": agents, "instances": instances }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if agents.is_empty() {
        println!("no agent is installed");
    }
    for (generation, agent, number) in &agents {
        let short = generation.component.short();
        println!("{:32} {:10} generation {number:<4} {short}", agent.to_string(), generation.description.version);
    }
    for (agent, instance, state, generation) in &instances {
        let pinned = generation.map(|n| format!(", generation {n}")).unwrap_or_default();
        println!("  {instance:30} {state}{pinned} ({agent})");
    }
    Ok(ExitCode::SUCCESS)
}
