//! `list PROVIDER/TYPE`: the generations of one agent, who uses them, and to which one `rollback` goes.
//!
//! What must never enter here: a decision by the time at which something was installed, which is shown and no more.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::cli::{Format, rollback};
use crate::instance::{self, Found};
use crate::ocf::description::{AgentName, Profile};
use crate::store::{self, Generation, Missing, install};
use crate::sys::clock;

/// One of them, as it is shown.
struct Row {
    number: u32,
    /// What is known of it.
    found: Option<Generation>,
    damage: Option<String>,
    is_current: bool,
    is_next: bool,
    instances: Vec<String>,
}

pub(super) fn run(agent: &AgentName, format: Format) -> Result<ExitCode> {
    let known = store::generations(agent);
    if known.is_empty() {
        bail!("{agent}: nothing of it was ever installed on this node; ocf-wasm list shows what is");
    }
    let current = store::current(agent);
    let back = current.and_then(|current| rollback::before(agent, &known, current));
    let mut users = users(agent);
    let row = |number: u32| {
        let (found, damage) = match store::generation(agent, number) {
            Ok(found) if install::is_kept(&found.component) => (Some(found), None),
            Ok(found) => (Some(found), Some(format!("its component {}", store::LOST))),
            Err(Missing::NotInstalled) => (None, Some("not there".to_owned())),
            Err(Missing::Damaged(what)) => (None, Some(what)),
        };
        Row {
            number,
            found,
            damage,
            is_current: current == Some(number),
            is_next: back == Some(number),
            instances: users.remove(&number).unwrap_or_default(),
        }
    };
    let rows: Vec<Row> = known.iter().copied().map(row).collect();
    if !instance::can_be_seen() {
        eprintln!("note: {}", crate::cli::ONLY_ROOT);
    }
    if format == Format::Json {
        let rows: Vec<_> = rows.iter().map(document).collect();
        crate::cli::json(&serde_json::json!({
            "agent": agent.to_string(), "current": current, "rollback": back, "generations": rows,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    println!("{agent}");
    for row in &rows {
        println!("{}", line(row));
    }
    match current {
        None => {
            say!("none is current, so it is not installed: ocf-wasm rollback {agent} --to N installs one again");
        }
        Some(number) if !known.contains(&number) => {
            say!("{number} is current and not there: ocf-wasm check tells what to do");
        }
        Some(_) => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// The instances of which something may run, by the generation that they use.
fn users(agent: &AgentName) -> BTreeMap<u32, Vec<String>> {
    let mut users: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for (_, instance, directory) in instance::list().into_iter().filter(|(name, ..)| name == agent) {
        let Found::Record(record) = directory.record() else { continue };
        if let Some(pins) = record.pins.filter(|_| record.state.is_active()) {
            users.entry(pins.generation).or_default().push(instance);
        }
    }
    users
}

fn line(row: &Row) -> String {
    let mut words = Vec::new();
    words.extend(row.is_current.then(|| "current".to_owned()));
    words.extend(row.is_next.then(|| "rollback goes here".to_owned()));
    if !row.instances.is_empty() {
        words.push(format!("used by {}", row.instances.join(", ")));
    }
    let (version, short, time) = match &row.found {
        Some(found) => {
            words.extend((found.profile == Profile::V1_0).then(|| "profile 1.0".to_owned()));
            let time = installed_at(found).map_or_else(|| "?".to_owned(), clock::utc);
            (found.description.version.as_str(), found.component.short(), time)
        }
        None => ("?", "?", "?".to_owned()),
    };
    words.extend(row.damage.as_ref().map(|what| format!("damaged: {what}")));
    let line = format!("{:>5}  {version:10} {short:12}  {time:23}  {}", row.number, words.join("; "));
    line.trim_end().to_owned()
}

fn document(row: &Row) -> serde_json::Value {
    let found = row.found.as_ref();
    let profile = |found: &Generation| if found.profile == Profile::V1_0 { "1.0" } else { "1.1" };
    serde_json::json!({
        "generation": row.number,
        "version": found.map(|found| &found.description.version),
        "digest": found.map(|found| found.component.to_string()),
        "profile": found.map(profile),
        "installed_at": found.and_then(installed_at),
        "current": row.is_current, "rollback": row.is_next, "instances": row.instances,
        "damage": row.damage,
    })
}

/// When it was installed, seconds since 1970, as far as this node's clock said anything then.
fn installed_at(generation: &Generation) -> Option<u64> {
    Some(generation.installed_at).filter(|at| *at > 0)
}
