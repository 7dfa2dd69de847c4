//! `test`: is this plugin an agent that a cluster can live with? A table of checks, each of them an instance of its own
//! in a private root, each action by the agent's own binary. Stricter than ocf-tester, and it never touches the node.
//!
//! One file a family of checks; what they share is the [`Node`](node::Node). A check begins with nothing and leaves
//! nothing: what it leaves is cleared away before the next. One that needs what another proves to be broken is blocked,
//! so that one fault has one name.

mod call;
mod callers;
mod edit;
mod failing;
mod leftovers;
mod life;
mod meta;
mod node;
mod report;
mod roles;
mod standing;
mod trace;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use super::Format;
use super::run::{given_once, install_here, parameter, replace_policy};
use crate::instance::{self, Found};
use crate::store::{self, install};
use crate::sys::interrupt;

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  ocf-wasm test dummy.wasm\n  ocf-wasm test sample-tcp-server.wasm --policy policy.toml -p port=5600\n  ocf-wasm test sample-tcp-server.wasm --only start --only daemon-killed\n  ocf-wasm test --list\n\nExit status: 0 all that could be tried passed, 1 something failed, 2 wrong usage.\nWithout --policy, policy.toml beside the component is used. What a check proves, and why, is shown where it fails."
)]
pub(super) struct Arguments {
    /// The component
    #[arg(required_unless_present = "list")]
    component: Option<PathBuf>,
    /// What is granted
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// A parameter, such as -p port=5600; once for each
    #[arg(short, long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(String, String)>,
    /// A value that validate-all and start must refuse
    #[arg(long, value_name = "NAME=VALUE", value_parser = parameter)]
    refuse: Vec<(String, String)>,
    /// What a reload changes; the first reloadable parameter if not given
    #[arg(long, value_name = "NAME=VALUE", value_parser = parameter)]
    reload: Option<(String, String)>,
    /// Run this check, or this family of checks, and not the others: metadata, lifecycle, failures, roles, callers,
    /// every-call
    #[arg(long, value_name = "CHECK", value_parser = clap::builder::PossibleValuesParser::new(names()), hide_possible_values = true)]
    only: Vec<String>,
    /// Write the results for a build server
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Print the checks, and run none
    #[arg(long)]
    list: bool,
}

/// One thing that is proved.
#[derive(Clone)]
struct Check {
    /// Stable: build servers know it.
    name: &'static str,
    /// What it proves.
    what: &'static str,
    /// Who says that it must be so, or what comes of it if it is not.
    source: &'static str,
    /// What an author does about it.
    advice: &'static str,
    /// Does it. The instance has the name of the check.
    run: fn(&mut node::Node) -> Finding,
}

/// What a check found.
type Finding = std::result::Result<(), Not>;

/// Why a check did not pass.
#[derive(Debug)]
enum Not {
    /// It is not as it must be.
    Failed(String),
    /// What it needs does not work, which another check proves.
    Blocked(String),
    /// There is nothing to be tried.
    Skipped(String),
}

/// All checks by family, in the order in which they run: first what all others need, last what holds for all calls.
static FAMILIES: [(&str, &[Check]); 6] = [
    ("metadata", &meta::CHECKS),
    ("lifecycle", &life::CHECKS),
    ("failures", &failing::CHECKS),
    ("roles", &roles::CHECKS),
    ("callers", &callers::CHECKS),
    ("every-call", &standing::CHECKS),
];

fn checks() -> impl Iterator<Item = &'static Check> {
    FAMILIES.iter().flat_map(|(_, checks)| checks.iter())
}

/// The words that `--only` takes.
fn names() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().map(|(family, _)| *family).chain(checks().map(|check| check.name))
}

impl Arguments {
    pub(super) fn absolute(self) -> Result<Self> {
        let absolute = |path: Option<PathBuf>| path.map(std::path::absolute).transpose();
        Ok(Self {
            component: absolute(self.component)?,
            policy: absolute(self.policy)?,
            junit: absolute(self.junit)?,
            ..self
        })
    }

    /// Whether a private root is wanted.
    pub(super) fn acts(&self) -> bool {
        !self.list
    }
}

/// A directory that goes away with its content.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Makes one.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn new() -> Result<Self> {
        let template = std::env::temp_dir().join("ocf-wasm-test-XXXXXX");
        let path = nix::unistd::mkdtemp(&template).with_context(|| template.display().to_string())?;
        Ok(Self(path))
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(super) fn list(format: Format) -> Result<ExitCode> {
    if format == Format::Json {
        let told = |family: &'static str, c: &'static Check| serde_json::json!({ "name": c.name, "family": family, "what": c.what, "source": c.source, "advice": c.advice });
        let all = FAMILIES.iter().flat_map(|(family, checks)| checks.iter().map(|check| told(family, check)));
        let all: Vec<_> = all.collect();
        super::json(&serde_json::json!({ "checks": all }))?;
        return Ok(ExitCode::SUCCESS);
    }
    for check in checks() {
        println!("{:25} {}\n{:25} {}", check.name, check.what, "", check.source);
    }
    Ok(ExitCode::SUCCESS)
}

/// Each check begins with a node on which nothing runs, and what a person runs in a root of his own is not for us to end.
fn ensure_nothing_runs() -> Result<()> {
    let runs = |(_, instance, directory): (_, String, instance::Directory)| {
        matches!(directory.record(), Found::Record(record) if record.state.is_active()).then_some(instance)
    };
    let running: Vec<String> = instance::list().into_iter().filter_map(runs).collect();
    anyhow::ensure!(
        running.is_empty(),
        "{} would be ended: stop what runs in this root, or leave --root away, and the checks have one of their own",
        running.join(", ")
    );
    Ok(())
}

pub(super) fn run(arguments: &Arguments, format: Format) -> Result<ExitCode> {
    given_once("test", &arguments.parameters)?;
    let component = arguments.component.as_deref().context("a component")?;
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    let examined = install::examine(component)?;
    let description = &examined.description;
    let is_given = |name: &str| arguments.parameters.iter().any(|(given, _)| given == name);
    if let Some(missing) = description.parameters.iter().find(|p| p.required && !is_given(&p.name)) {
        return usage(format!("parameter {0} is required: add -p {0}=VALUE", missing.name));
    }
    let named = arguments.parameters.iter().chain(&arguments.refuse).chain(&arguments.reload);
    for (name, _) in named {
        if !description.parameters.iter().any(|p| p.name == *name) {
            return usage(format!("{} has no parameter {name}", description.name));
        }
    }
    let beside = component.with_file_name("policy.toml");
    let policy = match &arguments.policy {
        Some(path) => std::fs::read_to_string(path).with_context(|| path.display().to_string())?,
        None if beside.exists() => std::fs::read_to_string(&beside).with_context(|| beside.display().to_string())?,
        None if examined.requests.is_empty() => "format = 1\n".to_owned(),
        None => {
            return usage(format!(
                "{} asks for labels: name what is granted with --policy FILE (ocf-wasm suggest prints a draft)",
                description.name
            ));
        }
    };
    let named = arguments.policy.as_deref().unwrap_or(&beside);
    super::check::must_be_good(&policy, named)?;
    not_interrupted()?;
    ensure_nothing_runs()?;
    let agent = install_here(&examined)?;
    replace_policy(&agent, named, &policy)?;
    store::keep(policy.as_bytes()).context("the store")?;

    let scratch = Scratch::new()?;
    let mut node = node::Node::new(&examined, policy, scratch.path().to_owned());
    node.given.clone_from(&arguments.parameters);
    node.refused.clone_from(&arguments.refuse);
    node.reload.clone_from(&arguments.reload);
    let mut report = report::Report::new(agent.to_string(), component, format == Format::Text);
    let is_wanted = |name: &str| arguments.only.is_empty() || arguments.only.iter().any(|only| only == name);
    let wanted = FAMILIES
        .iter()
        .flat_map(|(family, checks)| checks.iter().filter(move |check| is_wanted(family) || is_wanted(check.name)));
    for check in wanted {
        not_interrupted()?;
        let since = Instant::now();
        check.name.clone_into(&mut node.instance);
        let finding = (check.run)(&mut node);
        node.clear();
        not_interrupted()?;
        if matches!(finding, Err(Not::Failed(_) | Not::Blocked(_))) {
            node.failed.insert(check.name);
        }
        report.add(check, finding, since.elapsed());
    }
    if let Some(path) = &arguments.junit {
        report.junit(path)?;
    }
    match format {
        Format::Text => report.summarise(),
        Format::Json => super::json(&report.json())?,
    }
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Ends the run once somebody does not want it any more.
fn not_interrupted() -> Result<()> {
    match interrupt::noticed() {
        Some(signal) => bail!("{signal}: not all was checked; what ran is ended"),
        None => Ok(()),
    }
}

/// Ends as wrong usage of this verb does.
fn usage<T>(text: String) -> Result<T> {
    super::usage("test", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_has_a_name_of_its_own_and_says_what_why_and_what_next() {
        let mut names = std::collections::BTreeSet::new();
        for check in checks() {
            let is_plain = |c: char| c.is_ascii_lowercase() || c == '-';
            assert!(check.name.chars().all(is_plain) && check.name.len() <= 25, "{}", check.name);
            assert!(names.insert(check.name), "two checks are called {}", check.name);
            for text in [check.what, check.source, check.advice] {
                assert!(text.len() > 10 && !text.ends_with('.') && !text.contains("  "), "{}: {text:?}", check.name);
            }
        }
        assert!(FAMILIES.iter().all(|(family, _)| names.insert(family)), "a check is called as a family");
        for basic in life::BASICS {
            assert!(names.contains(basic), "{basic} is no check");
        }
    }
}
