//! `suggest`: a policy to be read, completed and put in place by the operator.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use toml::de::{DeTable, DeValue};

use crate::store::{self, install};

#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  ocf-wasm suggest sample-tcp-server.wasm > /etc/ocf-wasm/policy/ocf-wasm/sample-tcp-server.toml\n\nUsers are left blank on purpose: a policy with a blank is refused.\n\nExit status: 0 printed, 1 the component cannot be used here, 2 wrong usage."
)]
pub(super) struct Arguments {
    /// The component
    component: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let found = install::examine(&arguments.component)?;
    let name = &found.description.name;
    println!("# What {name} may do on this node: {}", store::policy_path(name).display());
    println!("# Suggested by its author; nothing is granted until you put it there. Read it, fill in the blanks.");
    println!("format = 1");
    for request in &found.requests {
        println!("\n# {}", request.why.replace('\n', "\n# "));
        println!("[{}.{}]", request.kind, request.name);
        let text = with_first_candidate(request.suggest.trim())
            .with_context(|| format!("what the author suggests for {} {}", request.kind, request.name))?;
        println!("{text}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the author lists programs, the first that exists here takes the place of the list.
fn with_first_candidate(text: &str) -> Result<String> {
    let table = DeTable::parse(text)?;
    let Some(program) = table.get_ref().get("program") else { return Ok(text.to_owned()) };
    let DeValue::Array(candidates) = program.get_ref() else { return Ok(text.to_owned()) };
    let paths: Vec<&str> = candidates.iter().filter_map(|c| c.get_ref().as_str()).collect();
    let chosen = paths.iter().find(|path| Path::new(path).exists()).or(paths.first()).copied().unwrap_or("");
    let mut text = text.to_owned();
    text.replace_range(program.span(), &format!("{chosen:?}"));
    Ok(text)
}
