//! `remove`: an agent is taken away, and what it took the place of is put back.

use std::process::ExitCode;

use anyhow::{Result, bail};

use super::{Format, here};
use crate::instance::{self, Found};
use crate::ocf::description::AgentName;
use crate::store::{install, place};

#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  ocf-wasm remove ocf-wasm/dummy\n\nA missing agent file makes Pacemaker fence a node on which its resource runs, so this refuses while one does. What `install --replace` took the place of is put back in the same step, so that Pacemaker finds it at any moment.\n\nExit status: 0 taken away, 1 refused or failed, 2 wrong usage."
)]
pub(super) struct Arguments {
    /// PROVIDER/TYPE
    #[arg(value_parser = super::agent_name)]
    agent: AgentName,
    /// Remove it although instances run: the agent's file stays, stops them, and starts nothing
    #[arg(long)]
    force: bool,
}

pub(super) fn run(arguments: &Arguments, format: Format) -> Result<ExitCode> {
    let agent = &arguments.agent;
    if !install::is_there(agent) {
        bail!("{agent} is not installed on this node");
    }
    let active: Vec<String> = instance::list()
        .into_iter()
        .filter(|(name, ..)| name == agent)
        .filter(|(_, _, directory)| match directory.record() {
            Found::Record(record) => record.state.is_active(),
            Found::Unknown(_) => true,
            Found::None => false,
        })
        .map(|(_, instance, _)| instance)
        .collect();
    if !active.is_empty() && !arguments.force {
        bail!(
            "{agent} runs here: {}\n  stop the resource first (pcs resource disable), or --force to leave only its stop",
            active.join(", ")
        );
    }
    let put_back = install::remove(agent, !active.is_empty())?;
    let is_back = put_back.is_some().then(|| place::path(agent));
    let replaced = place::kept(agent);
    if format == Format::Json {
        super::json(&serde_json::json!({
            "agent": agent.to_string(), "stays_to_stop": active, "put_back": is_back.as_deref().map(here::path),
            "replaced": replaced.iter().map(|kept| here::path(kept)).collect::<Vec<_>>(),
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if active.is_empty() {
        println!("removed {agent}; its policy and its generations stay");
    } else {
        println!("removed {agent}; its file stays to stop {}, then remove it again", active.join(", "));
    }
    if let (Some(kept), Some(place)) = (put_back, is_back) {
        say!("  what it took the place of is back as {}; it was kept as {}", place.display(), kept.display());
    }
    for kept in &replaced {
        say!("  it took the place of what is kept as {}", kept.display());
    }
    Ok(ExitCode::SUCCESS)
}
