//! `why`: what is known about an instance, at three in the morning. First one sentence, then what it rests on, last what
//! to do.

mod advice;
mod story;

use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use self::story::{Story, Verdict};
use super::{Format, failure, here};
use crate::instance;
use crate::ocf::description::is_secret;
use crate::ocf::effect::Source;
use crate::ocf::outcome::one_line;
use crate::seam::program::Phase;

/// Bytes of a parameter that are shown.
const SHOWN_BYTES: usize = 200;

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  ocf-wasm why web\n  ocf-wasm why web -o json\n\nWhat it shows lasts until the node boots. If two agents had an instance of that name, both are shown.\n\nExit status: 0 shown, whatever is wrong with it; 1 nothing is known of it, 2 wrong usage."
)]
pub(super) struct Arguments {
    /// The instance: the resource's name in the cluster
    instance: String,
}

pub(super) fn run(arguments: &Arguments, format: Format) -> Result<ExitCode> {
    if !instance::can_be_seen() {
        bail!("{}", super::ONLY_ROOT);
    }
    let found: Vec<_> = instance::list().into_iter().filter(|(_, name, _)| *name == arguments.instance).collect();
    let found = if found.is_empty() { super::forget::living(&arguments.instance).collect() } else { found };
    if found.is_empty() {
        let name = &arguments.instance;
        bail!(
            "{}\n  it was never started here, or only probed; where the cluster has it: crm_resource --locate --resource {name}",
            super::not_known(name)
        );
    }
    let stories = found.into_iter().map(|(agent, name, directory)| Story::of(agent, name, &directory));
    match format {
        Format::Json => super::json(&json!({ "instances": stories.map(|s| document(&s)).collect::<Vec<_>>() }))?,
        Format::Text => stories.for_each(|story| show(&story, &story.verdict())),
    }
    Ok(ExitCode::SUCCESS)
}

fn show(story: &Story, verdict: &Verdict) {
    let when = if verdict.failure.is_none() { "when one does, Pacemaker" } else { "Pacemaker" };
    let next = verdict.effect.map_or_else(String::new, |effect| format!("; {when} {}", effect.does));
    println!("{} ({}): {}{next}", story.instance, story.agent, verdict.text);
    if let Some(place) = &verdict.place {
        println!("{place}");
    }
    say!("record: {}", story.state);
    if let Some(record) = &story.record {
        if let Some(pins) = &record.pins {
            println!("  uses generation {} ({:.19}), policy {:.19}", pins.generation, pins.component, pins.policy);
        }
        for (name, value) in &record.parameters {
            let rest = if value.len() > SHOWN_BYTES { format!("... ({} bytes)", value.len()) } else { String::new() };
            let shown = || one_line(value, SHOWN_BYTES) + &rest;
            println!("  {name} = {}", if is_secret(name) { "(secret)".to_owned() } else { shown() });
        }
    }
    for daemon in &story.daemons {
        let pids: Vec<String> = daemon.condition.members.iter().map(|m| m.pid.to_string()).collect();
        let pids = if pids.is_empty() { "none".to_owned() } else { pids.join(" ") };
        println!("program {}: {}, processes: {pids}", daemon.label, word(daemon.condition.phase));
        if let Some(unit) = &daemon.unit {
            println!("  unit {unit}");
        }
        if let Some(ended) = daemon.ended() {
            println!("  its main process {ended}");
        }
        if !daemon.condition.told.is_empty() {
            println!("  {}", daemon.condition.told);
        }
        for line in daemon.report.output.lines().rev().take(5).collect::<Vec<_>>().into_iter().rev() {
            println!("  | {}", one_line(line, 200));
        }
    }
    println!("last actions:");
    for action in &story.actions {
        let at = ago(action.at);
        let reason = if action.reason.is_empty() {
            String::new()
        } else {
            format!("  {}", here::said(&one_line(&action.reason, 200)))
        };
        println!("  {at:>8} ago  {:16} {:>3}  {:>6} ms{reason}", action.action, action.exit, action.took_ms);
    }
    if verdict.advice.is_empty() && verdict.cleanup.is_none() {
        return;
    }
    println!("to do:");
    for advice in &verdict.advice {
        println!("  {advice}");
    }
    if let Some(cleanup) = &verdict.cleanup {
        let when =
            if verdict.failure.is_some() { "when the cause is gone" } else { "the cluster tries it again after" };
        println!("  {when}: {cleanup}");
    }
}

/// The same for programs: docs/why.md describes it, and nothing in it changes its name or meaning.
fn document(story: &Story) -> Value {
    let verdict = story.verdict();
    let action = |a: &instance::Action| json!({ "at": a.at, "action": a.action, "exit": a.exit, "took_ms": a.took_ms, "reason": a.reason });
    let daemons = story.daemons.iter().map(|daemon| {
        json!({
            "label": daemon.label, "unit": daemon.unit, "phase": word(daemon.condition.phase),
            "processes": daemon.condition.members.iter().map(|m| m.pid).collect::<Vec<_>>(),
            "ended": daemon.ended(), "over_memory": daemon.report.over_memory, "output": daemon.report.output,
            "told": daemon.condition.told,
        })
    });
    let record = story.record.as_ref();
    let pins = record
        .and_then(|record| record.pins.as_ref())
        .map(|pins| json!({ "generation": pins.generation, "component": pins.component, "policy": pins.policy }));
    let parameters: serde_json::Map<String, Value> = record
        .iter()
        .flat_map(|record| &record.parameters)
        .map(|(name, value)| (name.clone(), if is_secret(name) { Value::Null } else { value.clone().into() }))
        .collect();
    let effect = verdict.effect.map(|effect| {
        let is_tried = effect.source == Source::Tried;
        json!({ "does": effect.does, "stays": effect.stays.word(), "tried": is_tried })
    });
    let place = verdict.place.as_ref().map(failure::place);
    json!({
        "agent": story.agent.to_string(), "instance": story.instance, "state": story.state,
        "verdict": verdict.standing.word(), "text": verdict.text, "failure": verdict.failure.as_ref().map(action),
        "pacemaker": effect, "place": place, "advice": verdict.advice, "cleanup": verdict.cleanup,
        "pins": pins, "parameters": parameters, "daemons": daemons.collect::<Vec<_>>(),
        "actions": story.actions.iter().map(action).collect::<Vec<_>>(),
    })
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
