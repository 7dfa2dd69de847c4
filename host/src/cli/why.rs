//! `why`: what is known about an instance, at three in the morning.

use std::process::ExitCode;

use anyhow::{Result, bail};

use super::Format;
use crate::capability::program::Report;
use crate::instance::{self, Found, History};
use crate::ocf::description::is_secret;
use crate::ocf::outcome::was_failure;
use crate::seam::program::Phase;

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  ocf-wasm why web\n  ocf-wasm why web -o json\n\nWhat it shows lasts until the node boots. If two agents had an instance of that name, both are shown."
)]
pub(super) struct Arguments {
    /// The instance: the resource's name in the cluster
    instance: String,
}

pub(super) fn run(arguments: &Arguments, format: Format) -> Result<ExitCode> {
    let found: Vec<_> = instance::list().into_iter().filter(|(_, name, _)| *name == arguments.instance).collect();
    if found.is_empty() {
        let known: Vec<String> = instance::list().into_iter().map(|(_, name, _)| name).collect();
        let known = if known.is_empty() { "none is".to_owned() } else { format!("known: {}", known.join(", ")) };
        bail!("no instance {} is known on this node since it booted ({known})", arguments.instance);
    }
    let mut documents = Vec::new();
    for (agent, instance, directory) in found {
        let actions = History::of(&directory).last();
        let record = directory.record();
        let (state, record) = match record {
            Found::Record(record) => (record.state.word().to_owned(), Some(record)),
            Found::None => ("none".to_owned(), None),
            Found::Unknown(text) => (format!("unknown: {text}"), None),
        };
        let daemons: Vec<_> = record
            .iter()
            .flat_map(|r| &r.daemons)
            .map(|(label, daemon)| {
                let path = directory.report_path(label);
                (label.clone(), daemon.condition(&path), Report::read(&path).unwrap_or_default())
            })
            .collect();
        if format == Format::Json {
            let actions: Vec<_> = actions
                .iter()
                .map(|a| serde_json::json!({ "at": a.at, "action": a.action, "exit": a.exit, "took_ms": a.took_ms, "reason": a.reason }))
                .collect();
            let daemons: Vec<_> = daemons
                .iter()
                .map(|(label, condition, report)| {
                    serde_json::json!({
                        "label": label, "phase": word(condition.phase),
                        "processes": condition.members.iter().map(|m| m.pid).collect::<Vec<_>>(),
                        "ended": condition.ended.map(|e| e.to_string()), "output": report.output,
                    })
                })
                .collect();
            documents.push(serde_json::json!({
                "agent": agent.to_string(), "instance": instance, "state": state, "actions": actions, "daemons": daemons,
            }));
            continue;
        }
        println!("{instance} ({agent}): {state}");
        if let Some(record) = &record {
            if let Some(pins) = &record.pins {
                println!("  uses generation {} ({:.19}), policy {:.19}", pins.generation, pins.component, pins.policy);
            }
            for (name, value) in &record.parameters {
                println!("  {name} = {}", if is_secret(name) { "(secret)" } else { value });
            }
        }
        for (label, condition, report) in &daemons {
            let pids: Vec<String> = condition.members.iter().map(|m| m.pid.to_string()).collect();
            println!(
                "program {label}: {}, processes: {}",
                word(condition.phase),
                if pids.is_empty() { "none".into() } else { pids.join(" ") }
            );
            if let Some(ended) = condition.ended {
                println!("  its main process {ended}");
            }
            for line in report.output.lines().rev().take(5).collect::<Vec<_>>().into_iter().rev() {
                println!("  | {}", crate::ocf::outcome::one_line(line, 200));
            }
        }
        println!("last actions:");
        for action in &actions {
            let at = ago(action.at);
            let reason = if action.reason.is_empty() { String::new() } else { format!("  {}", action.reason) };
            println!("  {at:>8} ago  {:16} {:>3}  {:>6} ms{reason}", action.action, action.exit, action.took_ms);
        }
        if actions.last().is_some_and(|last| was_failure(last.exit, last.action == "probe")) {
            println!("when the cause is gone: crm_resource --cleanup --resource {instance}");
        }
    }
    if format == Format::Json {
        super::json(&serde_json::json!({ "instances": documents }))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Stopped => "stopped",
        Phase::Starting => "starting",
        Phase::Running => "running",
        Phase::Stopping => "stopping",
        Phase::Remains => "remains",
        Phase::Failed => "failed",
    }
}

fn ago(at: u64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
    match now.saturating_sub(at) {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}
