//! What is wrong with what is installed, and the command that puts it right: links, generations and components that
//! Pacemaker or an action would look for. Nothing is repaired here.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::here;
use crate::instance::{self, Found, Record};
use crate::ocf::description::{AgentName, Profile};
use crate::store::{self, Digest, Generation, install, list, place};

/// One thing that is not as it was installed.
#[derive(Debug)]
pub(in crate::cli) struct Damage {
    /// What, where, and what comes of it.
    pub(in crate::cli) what: String,
    /// What to do: a command, after what must be known of it.
    pub(in crate::cli) next: String,
}

impl Damage {
    fn new(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { what: here::said(&what.into()), next: here::said(&next.into()) }
    }
}

/// Returns all agents that are installed or should be, with what is wrong with each.
pub(in crate::cli) fn all() -> BTreeMap<AgentName, Vec<Damage>> {
    let mut agents: BTreeMap<AgentName, Vec<Damage>> = BTreeMap::new();
    for (agent, digest) in install::expected() {
        let found = of(&agent, digest.as_ref());
        agents.insert(agent, found);
    }
    for (agent, instance, directory) in instance::list() {
        let Found::Record(record) = directory.record() else { continue };
        let found = of_pins(&instance, &record);
        if !found.is_empty() {
            agents.entry(agent).or_default().extend(found);
        }
    }
    agents
}

/// What is wrong with the list of what is installed, by itself or beside the store.
pub(in crate::cli) fn of_list() -> Vec<Damage> {
    let listed = match list::read() {
        Ok(Some(listed)) => listed,
        Ok(None) => return Vec::new(),
        Err(what) => return vec![Damage::new(what, list::MOVE_AWAY)],
    };
    let of_agent = |(agent, number): (AgentName, u32)| {
        let component = store::generation(&agent, number).ok()?.component;
        let says = match listed.get(&agent) {
            Some(digest) if *digest == component => return None,
            Some(digest) => format!("says {} of {agent}", digest.short()),
            None => format!("does not name {agent}"),
        };
        let what = format!("{} {says}, which is installed as generation {number} ({})", list::PATH, component.short());
        // What runs is left alone: only the list is to be written anew.
        Some(Damage::new(what, format!("ocf-wasm rollback {agent} --to {number} --next-start")))
    };
    install::installed().into_iter().filter_map(of_agent).collect()
}

/// What is wrong with an agent. `digest` is its component's by the list of what is installed.
fn of(agent: &AgentName, digest: Option<&Digest>) -> Vec<Damage> {
    let Some(number) = store::current(agent) else {
        let what =
            format!("{}: names no generation, so all actions answer \"not installed\"", current(agent).display());
        return vec![Damage::new(what, back_to_one(agent, digest))];
    };
    let generation = match store::generation(agent, number) {
        Ok(generation) => generation,
        Err(store::Missing::NotInstalled) => {
            let what = format!("generation {number}, the current one, is not in {}", current(agent).display());
            return vec![Damage::new(what, back_to_one(agent, digest))];
        }
        Err(store::Missing::Damaged(text)) => return vec![Damage::new(text, back_to_one(agent, digest))],
    };
    let mut found = Vec::new();
    let again = again(&generation);
    if let Some(what) = of_component(&generation.component) {
        found.push(Damage::new(what, again.clone()));
    }
    let metadata = store::metadata_path(agent);
    if fs::metadata(&metadata).is_ok_and(|file| file.len() == 0) || !metadata.is_file() {
        let what = format!("{} is not there, so Pacemaker and its tools see no metadata", metadata.display());
        found.push(Damage::new(what, again.clone()));
    }
    found.extend(of_link(agent, &again));
    found
}

/// What is wrong with where Pacemaker looks.
fn of_link(agent: &AgentName, again: &str) -> Option<Damage> {
    let link = place::path(agent);
    let shown = link.display();
    if link.symlink_metadata().is_err() {
        return Some(Damage::new(format!("{shown} is not there, so Pacemaker does not find the agent"), again));
    }
    if place::is_others(agent) {
        let what = format!("{shown} is there and not ours, and Pacemaker runs that");
        return Some(Damage::new(what, format!("{again} --replace, which keeps it")));
    }
    let is_program = fs::metadata(&link).is_ok_and(|file| file.is_file());
    (!is_program).then(|| {
        let to = fs::read_link(&link).unwrap_or_default();
        let what = format!("{shown} leads to {}, which is not there", to.display());
        Damage::new(what, format!("install the package of ocf-wasm again, then: {again}"))
    })
}

/// What an instance needs for its actions and its stop.
fn of_pins(instance: &str, record: &Record) -> Vec<Damage> {
    let Some(pins) = record.pins.as_ref().filter(|_| record.state.is_active()) else { return Vec::new() };
    let generation = store::generation(&pins.agent, pins.generation).ok();
    let lost = |digest: &str| Digest::parse(digest).and_then(|digest| of_component(&digest));
    let mut missing = Vec::new();
    if generation.is_none() {
        missing.push((format!("generation {} of {}", pins.generation, pins.agent), None));
    }
    if let Some(wrong) = lost(&pins.component) {
        // The file of an earlier version would be installed as the current one.
        let is_current = store::current(&pins.agent) == Some(pins.generation);
        let again = generation.as_ref().filter(|_| is_current).map(again);
        missing
            .push((format!("its component: {wrong}"), again.map(|again| format!("nothing needs a restart: {again}"))));
    }
    if let Some(wrong) = lost(&pins.policy) {
        missing.push((format!("its policy: {wrong}"), None));
    }
    let by_hand = if record.untracked { "end by hand what the host does not track of it, then " } else { "" };
    let anew = format!(
        "{by_hand}once nothing else is damaged, start it anew when that is safe, since its stop is the host's alone: \
         crm_resource --restart --resource {}",
        crate::cli::resource(instance)
    );
    let damage = |(what, next): (String, Option<String>)| {
        let what = format!("{instance} runs with what the store has lost, {what}");
        Damage::new(what, next.unwrap_or_else(|| anew.clone()))
    };
    missing.into_iter().map(damage).collect()
}

/// What is wrong with a file that is named by its digest.
fn of_component(digest: &Digest) -> Option<String> {
    let path = store::blob_path(digest);
    match store::kept(digest) {
        Ok(bytes) if Digest::of(&bytes) == *digest => None,
        Ok(_) => Some(format!("{} is damaged", path.display())),
        // For root's eyes only, and this is somebody else.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => None,
        Err(error) => Some(format!("{}: {error}", path.display())),
    }
}

fn current(agent: &AgentName) -> PathBuf {
    store::metadata_path(agent).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// The command that makes a generation current where none is.
fn back_to_one(agent: &AgentName, digest: Option<&Digest>) -> String {
    let is_whole = |number: &u32| {
        let metadata = current(agent).with_file_name(number.to_string()).join("metadata.xml");
        metadata.is_file() && store::generation(agent, *number).is_ok_and(|g| of_component(&g.component).is_none())
    };
    match (store::generations(agent).into_iter().rev().find(is_whole), digest) {
        (Some(number), _) => format!("ocf-wasm rollback {agent} --to {number}"),
        (None, Some(digest)) if of_component(digest).is_none() => install_from(&store::blob_path(digest), ""),
        (None, _) => install_from(Path::new("FILE.wasm"), ""),
    }
}

/// The command that installs a generation once more: from the store, if that has its component.
fn again(generation: &Generation) -> String {
    let profile = if generation.profile == Profile::V1_0 { " --profile 1.0" } else { "" };
    match of_component(&generation.component) {
        None => install_from(&store::blob_path(&generation.component), profile),
        Some(_) => {
            let version = &generation.description.version;
            let command = install_from(Path::new("FILE.wasm"), profile);
            format!("from the file of version {version}, {}: {command}", generation.component)
        }
    }
}

fn install_from(file: &Path, more: &str) -> String {
    format!("ocf-wasm install {} --allow-unsigned{more}", file.display())
}
