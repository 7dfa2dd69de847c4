//! `check`: is what is installed whole, are the policies right, and what does this node offer?

pub(super) mod damage;
mod fit;
mod narrow;
pub(super) mod node;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};

use self::damage::Damage;
use self::fit::Misfit;
use super::{Format, here};
use crate::capability::program::{self, unit};
use crate::capability::{endpoint, path};
use crate::ocf::description::{AgentName, Profile};
use crate::policy::{
    self, Diagnostic, Policy, Refused,
    lint::{self, UnitFacts, Warning},
};
use crate::sandbox::layers;
use crate::store::{self, Generation, install};

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  ocf-wasm check\n  ocf-wasm check policy.toml --component web.wasm\n  ocf-wasm check --strict *.toml    for a pipeline\n\nExit status: 0 all right, 1 something is refused, damaged, or named and not on this node. A file that is named here may be meant for another node: what this one lacks is not looked for. Warnings say what somebody could do with a grant; they change nothing, since a policy is the operator's word, unless --strict is given."
)]
pub(super) struct Arguments {
    /// Policy files; those of all installed agents if none is named
    policies: Vec<PathBuf>,
    /// Compare the files with this component: its labels and what it does with them, its parameters, its digest
    #[arg(long, value_name = "FILE.wasm", requires = "policies")]
    component: Option<PathBuf>,
    /// Exit with 1 for a warning too
    #[arg(long)]
    strict: bool,
}

impl Arguments {
    /// Whether a component is to be read, which a private root makes possible where nothing is installed.
    pub(super) fn examines(&self) -> bool {
        self.component.is_some()
    }

    pub(super) fn absolute(self) -> Result<Self> {
        let policies = self.policies.iter().map(std::path::absolute).collect::<std::io::Result<_>>()?;
        Ok(Self { policies, component: self.component.map(std::path::absolute).transpose()?, ..self })
    }
}

pub(super) fn run(arguments: &Arguments, format: Format) -> Result<ExitCode> {
    let named = &arguments.policies;
    let component = arguments.component.as_deref().map(examined).transpose()?;
    let checked: Vec<(PathBuf, Checked)> = if named.is_empty() {
        let installed = install::installed().into_iter();
        let shown = |agent: &AgentName| here::path(&store::policy_path(agent));
        installed.map(|(agent, number)| (shown(&agent), in_place(&agent, number))).collect()
    } else {
        named.iter().map(|path| (path.clone(), elsewhere(path, component.as_ref()))).collect()
    };
    let layers = node::node();
    let (agents, list) =
        if named.is_empty() { (damage::all(), damage::of_list()) } else { (BTreeMap::new(), Vec::new()) };
    let failed = checked.iter().any(|(_, checked)| checked.is_wrong() || arguments.strict && checked.is_warned())
        || agents.values().any(|d| !d.is_empty())
        || !list.is_empty()
        || !layers::has_filters();
    if format == Format::Json {
        let policies: Vec<_> = checked
            .iter()
            .map(|(path, checked)| {
                let warnings: Vec<_> = checked.warnings.iter().map(told).collect();
                let misfits: Vec<_> = checked.misfits.iter().map(Misfit::told).collect();
                serde_json::json!({
                    "path": path, "refused": checked.refused, "mistakes": checked.mistakes,
                    "misfits": misfits, "warnings": warnings,
                })
            })
            .collect();
        let layers: serde_json::Map<_, _> =
            layers.iter().map(|(name, text)| ((*name).to_owned(), text.clone().into())).collect();
        let damage = |damage: &[Damage]| -> Vec<_> {
            damage.iter().map(|d| serde_json::json!({ "what": d.what, "next": d.next })).collect()
        };
        let agents = agents
            .iter()
            .map(|(agent, found)| serde_json::json!({ "agent": agent.to_string(), "damage": damage(found) }));
        let agents: Vec<_> = agents.collect();
        super::json(&serde_json::json!({
            "agents": agents, "list": damage(&list), "policies": policies, "node": layers,
        }))?;
    } else {
        list.iter().for_each(|d| println!("{}\n  to do: {}", d.what, d.next));
        for (agent, damage) in &agents {
            damage.iter().for_each(|d| println!("{agent}: {}\n  to do: {}", d.what, d.next));
        }
        for (path, checked) in &checked {
            match &checked.refused {
                None if checked.is_wrong() => {}
                None if checked.misfits.iter().any(Misfit::is_refusal) => {
                    let node = if named.is_empty() { "" } else { ", not compared with this node" };
                    println!("{}: right, but does not grant all that the plugin asks for{node}", path.display());
                }
                None if named.is_empty() => println!("{}: ok", path.display()),
                None if component.is_some() => {
                    println!("{}: ok with that component, not compared with this node", path.display());
                }
                None => println!(
                    "{}: ok as a file; not compared with a plugin or this node (--component FILE.wasm)",
                    path.display()
                ),
                Some(text) => println!("{text}"),
            }
            checked.misfits.iter().for_each(|misfit| println!("{}", misfit.text(path)));
            checked.warnings.iter().for_each(|warning| println!("{}", warning.told));
        }
        println!("This node:");
        for (name, text) in &layers {
            println!("  {name:16} {text}");
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What is said of one policy.
#[derive(Default)]
struct Checked {
    /// Why it is refused, or what of it this node lacks.
    refused: Option<String>,
    /// What is wrong in the file, for programs.
    mistakes: Vec<serde_json::Value>,
    /// Where it and the installed component do not meet.
    misfits: Vec<Misfit>,
    /// What somebody could do with what it grants.
    warnings: Vec<Warning>,
}

impl Checked {
    fn refused(text: String) -> Self {
        Self { refused: Some(text), ..Self::default() }
    }

    fn mistaken(mistakes: &[Diagnostic]) -> Self {
        let told = mistakes.iter().map(|told| {
            serde_json::json!({
                "line": told.line, "column": told.column,
                "message": told.message, "hint": told.hint, "expected": told.expected,
            })
        });
        Self { mistakes: told.collect(), ..Self::refused(text_of(mistakes)) }
    }

    fn is_wrong(&self) -> bool {
        self.refused.is_some() || self.misfits.iter().any(Misfit::is_error)
    }

    fn is_warned(&self) -> bool {
        !self.warnings.is_empty() || !self.misfits.is_empty()
    }
}

/// All mistakes of one file, for a person.
pub(super) fn text_of(mistakes: &[Diagnostic]) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Refuses a policy with mistakes, of which all are told.
///
/// # Errors
/// The mistakes.
pub(super) fn must_be_good(text: &str, path: &Path) -> Result<()> {
    let Err(mut mistakes) = Policy::parse_all(text, path) else { return Ok(()) };
    if let [_] = mistakes[..] {
        return Err(mistakes.remove(0).into());
    }
    let told = text_of(&mistakes);
    bail!("{}", told.strip_prefix("error: ").unwrap_or(&told).to_owned());
}

/// What programs are told of a danger.
pub(super) fn told(warning: &Warning) -> serde_json::Value {
    let diagnostic = &warning.told;
    serde_json::json!({
        "risk": warning.risk,
        "line": diagnostic.line, "column": diagnostic.column,
        "message": diagnostic.message, "hint": diagnostic.hint,
    })
}

/// Reads a component, as it would be installed.
fn examined(file: &Path) -> Result<Generation> {
    let examined = install::examine(file)?;
    Ok(Generation {
        component: examined.digest,
        description: examined.description,
        profile: Profile::V1_1,
        installed_at: 0,
        requests: examined.requests,
    })
}

/// What is said of a component that is given for a policy.
const COMPONENT: &str =
    "is a component; check reads policies: ocf-wasm inspect shows a component, ocf-wasm suggest a policy for it";

/// Reads a policy that may be meant for another node, for a component if one is named.
fn elsewhere(path: &Path, component: Option<&Generation>) -> Checked {
    let text = match std::fs::read(path).map(String::from_utf8) {
        Ok(Ok(text)) => text,
        Ok(Err(other)) => {
            let is_component = other.as_bytes().starts_with(b"\0asm");
            let what = if is_component { &here::said(COMPONENT) } else { "is no text; a policy is a text in TOML" };
            return Checked::refused(format!("{}: {what}", path.display()));
        }
        Err(error) => return Checked::refused(format!("{}: {error}", path.display())),
    };
    match Policy::parse_all(&text, path) {
        Ok(policy) => Checked {
            misfits: component.map(|component| fit::misfits(&policy, &text, path, component)).unwrap_or_default(),
            warnings: lint::warnings(&policy, &lint::Links::new(), &text, path),
            ..Checked::default()
        },
        Err(mistakes) => Checked::mistaken(&mistakes),
    }
}

/// Reads the policy of an installed agent: it must be safe in its place, what it names must be on this node, and it must
/// fit the component.
fn in_place(agent: &AgentName, number: u32) -> Checked {
    let path = &here::path(&store::policy_path(agent));
    let text = match policy::load(&store::policy_path(agent)) {
        Ok(text) => text,
        Err(Refused::Missing(_)) => {
            return Checked::refused(format!("{}: not there: start is refused", path.display()));
        }
        Err(error) => return Checked::refused(here::said(&error.to_string())),
    };
    let policy = match Policy::parse_all(&text, path) {
        Ok(policy) => policy,
        Err(mistakes) => return Checked::mistaken(&mistakes),
    };
    let OnThisNode { lacking, warnings } = on_this_node(&policy, &text, path);
    let refused =
        (!lacking.is_empty()).then(|| format!("{}: not on this node: {}", path.display(), lacking.join("; ")));
    // What cannot be read is damage, and told as such.
    let generation = store::generation(agent, number).ok();
    let misfits = generation.map(|generation| fit::misfits(&policy, &text, path, &generation)).unwrap_or_default();
    Checked { refused, mistakes: Vec::new(), misfits, warnings }
}

/// What is to be said of a policy on this node.
pub(super) struct OnThisNode {
    /// What is not there: programs, directories, users, layers that it requires, units.
    pub(super) lacking: Vec<String>,
    /// What somebody could do with what it grants, and with the units that are there.
    pub(super) warnings: Vec<Warning>,
}

/// Looks for what a policy names. `text` is what it was read from, `path` is for messages.
pub(super) fn on_this_node(policy: &Policy, text: &str, path: &Path) -> OnThisNode {
    let programs = policy.programs.iter().flat_map(|(label, program)| {
        let lacking = program::lacking(program, label, policy).into_iter();
        lacking.map(|what| match what.contains(program::NOT_SAFE) {
            true => format!("{what}: {}", lint::replaceable(&program.user)),
            false => what,
        })
    });
    let paths = policy.paths.iter().flat_map(|(label, grant)| path::lacking(grant, label));
    let helpers = Path::new(store::LIBEXEC);
    let endpoints = policy.endpoints.iter().flat_map(|(label, bound)| endpoint::lacking(bound, label, helpers));
    let lacking = programs.chain(paths).chain(endpoints).collect();
    let manager = unit::manager::Manager::default();
    let units = policy.units.iter().map(|(label, bound)| (label.clone(), unit::examine(bound, label, &manager)));
    let (found, missing): (Vec<_>, Vec<_>) = units.partition(|(_, found)| found.is_ok());
    let missing = missing.into_iter().filter_map(|(_, found)| found.err());
    let mut warnings = lint::warnings(policy, &links(policy), text, path);
    for (label, found) in found.into_iter().filter_map(|(label, found)| Some((label, found.ok()?))) {
        warnings.extend(lint::of_unit(policy, &label, &facts_of(&found), text, path));
    }
    OnThisNode { lacking: [lacking, missing.collect::<Vec<_>>()].concat(), warnings }
}

/// What the programs of a policy are here, where that is another name than the policy's.
fn links(policy: &Policy) -> lint::Links {
    let of = |path: String| {
        let real = std::fs::canonicalize(&path).ok()?.to_str()?.to_owned();
        (real != path).then_some((path, real))
    };
    lint::programs(policy).into_iter().filter_map(of).collect()
}

/// What is to be known of a unit to say what somebody could do with it.
fn facts_of(found: &ocf_wasm_units::Unit) -> UnitFacts {
    /// Who has `CAP_SYS_ADMIN` has all.
    const SYS_ADMIN: u64 = 1 << 21;
    let is_root = matches!(found.user.as_str(), "" | "root" | "0");
    let has = [
        ("NoNewPrivileges=yes", found.no_new_privileges),
        ("ProtectSystem=full", matches!(found.protect_system.as_str(), "full" | "strict")),
        ("PrivateTmp=yes", found.private_tmp),
        ("CapabilityBoundingSet=", found.capabilities & SYS_ADMIN == 0),
    ];
    let lacks = has.into_iter().filter(|(_, has)| is_root && !has).map(|(what, _)| what);
    UnitFacts {
        lacks: lacks.collect(),
        restarts: found.restart != "no",
        is_enabled: found.file_state.starts_with("enabled"),
    }
}
