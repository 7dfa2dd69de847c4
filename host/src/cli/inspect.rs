//! `inspect`: what is in a component, before anything is granted.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use super::Format;
use crate::store::install;

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  ocf-wasm inspect sample-tcp-server.wasm\n  ocf-wasm inspect sample-tcp-server.wasm -o json\n\nThe component is read and not run; nothing is installed.\n\nExit status: 0 it can be installed here, 1 it cannot, 2 wrong usage."
)]
pub(super) struct Arguments {
    /// The component
    component: PathBuf,
}

pub(super) fn run(arguments: &Arguments, format: Format) -> Result<ExitCode> {
    let found = install::examine(&arguments.component)?;
    let description = &found.description;
    let ours: Vec<_> = found.imports.iter().filter(|(name, _)| name.starts_with("ocf:agent/")).collect();
    if format == Format::Json {
        let requests: Vec<_> = found
            .requests
            .iter()
            .map(|r| serde_json::json!({ "kind": r.kind, "name": r.name, "why": r.why, "suggest": r.suggest }))
            .collect();
        let parameters: Vec<_> = description
            .parameters
            .iter()
            .map(|p| {
                serde_json::json!({
                    "name": p.name, "required": p.required, "default": p.default, "reloadable": p.reloadable, "short": p.short,
                })
            })
            .collect();
        super::json(&serde_json::json!({
            "agent": description.name.to_string(), "version": description.version, "digest": found.digest.to_string(),
            "short": description.short, "parameters": parameters, "imports": found.imports, "exports": found.exports,
            "check_levels": description.monitors.iter().map(|monitor| monitor.level).collect::<Vec<_>>(),
            "requests": requests,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} {}: {}", description.name, description.version, description.short);
    println!("{}\n", found.digest);
    println!("Can do:");
    for export in found.exports.iter().filter(|e| e.starts_with("ocf:agent/")) {
        println!("  {export}");
    }
    for monitor in &description.monitors {
        println!("  monitor with check level {}, every {} s", monitor.level, monitor.interval_ms.div_ceil(1000));
    }
    println!("Calls:");
    for (name, functions) in ours.iter().filter(|(_, functions)| !functions.is_empty()) {
        println!("  {name}: {}", functions.join(", "));
    }
    println!("Parameters:");
    for parameter in &description.parameters {
        let default = match (&parameter.default, parameter.required) {
            (_, true) => " (required)".to_owned(),
            (Some(default), false) => format!(" [{default}]"),
            (None, false) => String::new(),
        };
        println!("  {}{default}: {}", parameter.name, parameter.short);
    }
    println!("Asks for:");
    if found.requests.is_empty() {
        println!("  nothing");
    }
    for request in &found.requests {
        println!("  {} {}: {}", request.kind, request.name, request.why);
    }
    Ok(ExitCode::SUCCESS)
}
