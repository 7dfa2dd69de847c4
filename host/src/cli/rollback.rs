//! `rollback`: back to an earlier generation.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};

use super::{Format, repin};
use crate::ocf::description::AgentName;
use crate::store::{self, install};

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  ocf-wasm rollback ocf-wasm/dummy\n  ocf-wasm rollback ocf-wasm/dummy --to 3\n\n`ocf-wasm list PROVIDER/TYPE` shows the generations, and to which one it goes.\n\nExit status: 0 done, 1 refused (the versions disagree about an instance, or there is none before), 2 wrong usage."
)]
pub(super) struct Arguments {
    /// PROVIDER/TYPE
    #[arg(value_parser = super::agent_name)]
    agent: AgentName,
    /// The generation to go to; the one before the current one if not given
    #[arg(long, value_name = "N")]
    to: Option<u32>,
    /// Leave running instances on the version that they run with
    #[arg(long)]
    next_start: bool,
}

pub(super) fn run(arguments: &Arguments, format: Format) -> Result<ExitCode> {
    let agent = arguments.agent.clone();
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    let known = store::generations(&agent);
    let current = store::current(&agent);
    let number = match (arguments.to, current) {
        (Some(number), _) if !known.is_empty() => number,
        (_, None) => bail!("{agent} is not installed on this node"),
        (_, Some(current)) => match before(&agent, &known, current) {
            Some(number) => number,
            None => bail!("{agent}: no generation before {current} is another version; there are {known:?}"),
        },
    };
    let generation = store::generation(&agent, number)
        .map_err(|_| anyhow::anyhow!("{agent} has no generation {number}; there are {known:?}"))?;
    if !install::is_kept(&generation.component) {
        bail!(
            "{agent}: the component of generation {number} ({}) {}; nothing was changed\n  install the same file again, or name another with --to",
            generation.component.short(),
            store::LOST
        );
    }
    // A start waits for no compiler, and no lock is held meanwhile.
    if let Err(error) = store::ensure_native(&generation.component, Instant::now() + install::COMPILE) {
        bail!(
            "{agent}: component {} of generation {number}: {error}; nothing was changed",
            generation.component.short()
        );
    }
    let trials = if arguments.next_start { Vec::new() } else { repin::try_all(&agent, number, &generation)? };
    install::switch(&agent, number, false)?;
    let repinned = repin::keep_all(trials)?;
    let version = &generation.description.version;
    if format == Format::Json {
        super::json(&serde_json::json!({
            "agent": agent.to_string(), "version": version, "generation": number,
            "digest": generation.component.to_string(), "repinned": repinned,
        }))?;
    } else {
        let is_same = current == Some(number);
        let word = if is_same { "already" } else { "again" };
        println!("{agent} is {version} {word}, generation {number} ({})", generation.component.short());
        for instance in repinned {
            println!("  {instance}: monitored by both versions, now runs with this one");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The last generation before the current one that can be read and is not the same again: what was installed once more
/// after a rollback has a new number.
pub(super) fn before(agent: &AgentName, known: &[u32], current: u32) -> Option<u32> {
    let of = |number: u32| store::generation(agent, number).ok().map(|found| (found.component, found.profile));
    let now = of(current);
    let is_another = |number: &&u32| of(**number).is_some_and(|found| Some(found) != now);
    known.iter().rev().filter(|number| **number < current).find(is_another).copied()
}
