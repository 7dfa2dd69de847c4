//! `check`: are the policies right, and what does this node offer?

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;

use super::Format;
use crate::capability::path;
use crate::capability::program::{self, tree};
use crate::policy::{
    self, Diagnostic, Policy, Refused,
    lint::{self, Warning},
};
use crate::store::{self, install};

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  ocf-wasm check\n  ocf-wasm check policy.toml\n\nExit status: 0 all right, 1 something is refused, or named and not on this node. A file that is named\nhere may be meant for another node: what this one lacks is not looked for. Warnings say what somebody could\ndo with a grant; they change nothing, since a policy is the operator's word."
)]
pub(super) struct Arguments {
    /// Policy files; those of all installed agents if none is named
    policies: Vec<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, format: Format) -> Result<ExitCode> {
    let named: Vec<PathBuf> = arguments.policies.iter().map(std::path::absolute).collect::<std::io::Result<_>>()?;
    let all = if named.is_empty() {
        install::installed().iter().map(|(agent, _)| store::policy_path(agent)).collect()
    } else {
        named.clone()
    };
    let checked: Vec<(PathBuf, Checked)> =
        all.into_iter().map(|path| (path.clone(), look(&path, named.is_empty()))).collect();
    let layers = layers();
    let failed = checked.iter().any(|(_, checked)| checked.refused.is_some());
    if format == Format::Json {
        let policies: Vec<_> = checked
            .iter()
            .map(|(path, checked)| {
                let warnings: Vec<_> =
                    checked.warnings.iter().map(|warning| told(&warning.told, warning.risk)).collect();
                serde_json::json!({ "path": path, "refused": checked.refused, "warnings": warnings })
            })
            .collect();
        let layers: serde_json::Map<_, _> =
            layers.iter().map(|(name, text)| ((*name).to_owned(), text.clone().into())).collect();
        super::json(&serde_json::json!({ "policies": policies, "node": layers }))?;
    } else {
        for (path, checked) in &checked {
            match &checked.refused {
                None => println!("{}: ok", path.display()),
                Some(text) => println!("{text}"),
            }
            checked.warnings.iter().for_each(|warning| println!("{}", warning.told));
        }
        println!("This node:");
        for (name, text) in &layers {
            println!("  {name:12} {text}");
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What is said of one policy.
#[derive(Default)]
struct Checked {
    /// Why it is refused, or what of it this node lacks.
    refused: Option<String>,
    /// What somebody could do with what it grants.
    warnings: Vec<Warning>,
}

/// What programs are told of a danger.
fn told(diagnostic: &Diagnostic, risk: &str) -> serde_json::Value {
    serde_json::json!({
        "risk": risk,
        "line": diagnostic.line, "column": diagnostic.column,
        "message": diagnostic.message, "hint": diagnostic.hint,
    })
}

/// Reads a policy. One in its place must also be safe there, and what it names must be on this node.
fn look(path: &Path, in_place: bool) -> Checked {
    let refused = |text: String| Checked { refused: Some(text), ..Checked::default() };
    let text = if in_place {
        match policy::load(path) {
            Ok(text) => text,
            Err(Refused::Missing(_)) => return refused(format!("{}: not there: start is refused", path.display())),
            Err(error) => return refused(error.to_string()),
        }
    } else {
        match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => return refused(format!("{}: {error}", path.display())),
        }
    };
    let policy = match Policy::parse(&text, path) {
        Ok(policy) => policy,
        Err(diagnostic) => return refused(diagnostic.to_string()),
    };
    let programs = policy.programs.iter().filter(|_| in_place);
    let lacking = programs.flat_map(|(label, program)| {
        let lacking = program::lacking(program, label).into_iter();
        lacking.map(|what| match what.contains(program::NOT_SAFE) {
            true => format!("{what}: {}", lint::replaceable(&program.user)),
            false => what,
        })
    });
    let paths = policy.paths.iter().filter(|_| in_place);
    let lacking: Vec<String> = lacking.chain(paths.flat_map(|(label, grant)| path::lacking(grant, label))).collect();
    let refused =
        (!lacking.is_empty()).then(|| format!("{}: not on this node: {}", path.display(), lacking.join("; ")));
    Checked { refused, warnings: lint::warnings(&policy, &text, path) }
}

fn layers() -> Vec<(&'static str, String)> {
    let alone = crate::sys::user::is_alone();
    let user = match crate::sys::user::account(store::USER) {
        _ if alone => "one user only: plugins and programs run as you".to_owned(),
        Some(user) => format!("plugins run as {} ({})", store::USER, user.uid),
        None => format!("there is no user {}: `ocf-wasm install` makes it", store::USER),
    };
    let tracking = match tree::cgroup_root() {
        Some(root) => format!("daemons are tracked by control group ({})", root.display()),
        None => "weaker: no control group can be made here; daemons are tracked by descent and session".to_owned(),
    };
    vec![("user", user), ("tracking", tracking)]
}
