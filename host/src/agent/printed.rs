//! What is printed and runs no plugin: metadata, usage, the list of actions. Works as any user, whatever is broken.

use crate::ocf::Request;
use crate::ocf::outcome::{Exit, Outcome};
use crate::plan;
use crate::report;
use crate::store;

/// Prints the metadata that was rendered at install.
pub(super) fn meta_data(request: &Request) -> Outcome {
    let path = store::metadata_path(&request.agent);
    match std::fs::read(&path) {
        Ok(xml) => match report::print(&xml) {
            Ok(()) => Outcome::of(Exit::Success),
            Err(error) => Outcome::because(Exit::Generic, &format!("standard output: {error}")),
        },
        Err(error) => {
            let what = match error.kind() {
                std::io::ErrorKind::NotFound => format!("{} is not installed on this node", request.agent),
                _ => format!("{}: {error}", path.display()),
            };
            Outcome::because(Exit::NotInstalled, &what)
        }
    }
}

/// Prints a text.
pub(super) fn printed(text: &str) -> Outcome {
    match report::print(text.as_bytes()) {
        Ok(()) => Outcome::of(Exit::Success),
        Err(error) => Outcome::because(Exit::Generic, &format!("standard output: {error}")),
    }
}

fn words(request: &Request) -> Vec<&'static str> {
    let mut words = vec!["start", "stop", "monitor"];
    if let Ok((_, generation)) = plan::installed(&request.agent) {
        let exports = generation.description.exports;
        let optional = [
            (exports.role, &["promote", "demote"][..]),
            (exports.notification, &["notify"]),
            (exports.migration, &["migrate_to", "migrate_from"]),
            (exports.reload, &["reload-agent"]),
        ];
        words.extend(optional.iter().filter(|(is, _)| *is).flat_map(|(_, words)| words.iter().copied()));
    }
    words.extend(["validate-all", "meta-data", "methods", "usage"]);
    words
}

/// The actions, one a line.
pub(super) fn methods(request: &Request) -> String {
    words(request).iter().map(|word| format!("{word}\n")).collect()
}

/// How to call it.
pub(super) fn usage(request: &Request) -> String {
    let agent = &request.agent;
    format!(
        "usage: {} ACTION\n\nThe OCF resource agent ocf:{}:{}, run by Pacemaker: the instance in OCF_RESOURCE_INSTANCE, its parameters\nin OCF_RESKEY_name. By hand: ocf-wasm run {agent} ACTION -p name=value.\n\nActions: {}\n",
        agent.kind,
        agent.provider,
        agent.kind,
        words(request).join(", ")
    )
}
