//! The operator's and the author's tool: one file a verb. It prints, asks and arranges; actions are run by running the
//! agent's binary, so that what is tried by hand is what Pacemaker runs. (Only the monitors of a hot swap run inside the
//! tool, which holds the instance's lock meanwhile, and what is replayed from a file, which touches nothing.)

#[macro_use]
mod out;

mod check;
mod failure;
mod forget;
mod here;
mod inspect;
mod install;
mod list;
mod manual;
mod new;
mod private;
mod record;
mod remove;
mod repin;
mod replay;
mod rollback;
mod run;
pub mod suggest;
mod test;
mod why;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::sys::interrupt;

/// OCF resource agents as WebAssembly plugins: install them, see what they may do, run them.
#[derive(Parser)]
#[command(
    name = "ocf-wasm",
    version,
    after_help = "Exit status: 0 done, 1 refused or failed, 2 wrong usage; `run` ends with the agent's. Each verb says more.\n\nWith -o json a failure is one document on standard output as well, {\"error\", \"hint\", \"place\"}: a sentence; what to do, or null; where in a policy, or null. The exit status is the same.\n\nFirst steps, as root on each node:\n  ocf-wasm inspect NAME.wasm\n  mkdir -p /etc/ocf-wasm/policy/PROVIDER\n  ocf-wasm suggest NAME.wasm > /etc/ocf-wasm/policy/PROVIDER/TYPE.toml\n  ocf-wasm check /etc/ocf-wasm/policy/PROVIDER/TYPE.toml\n  ocf-wasm install NAME.wasm --allow-unsigned\n  pcs resource create r1 ocf:PROVIDER:TYPE"
)]
struct Arguments {
    /// Work in a private root: nothing but DIR is touched, and no root is needed. DIR/etc stands for /etc/ocf-wasm,
    /// DIR/lib for /var/lib/ocf-wasm, DIR/run for /run/ocf-wasm, DIR/resource.d for /usr/lib/ocf/resource.d, also where
    /// an agent's own messages name those. DIR is made if it is not there; one in
    /// which there are other directories is refused
    #[arg(long, global = true, value_name = "DIR")]
    root: Option<PathBuf>,
    /// How to print
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Text)]
    output: Format,
    #[command(subcommand)]
    verb: Verb,
}

/// For people or for programs.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs: one JSON document
    Json,
}

#[derive(Subcommand)]
enum Verb {
    /// Install a component as an agent of this node, or a new version of it under running instances
    Install(install::Arguments),
    /// Go back to the version before, also under running instances
    Rollback(rollback::Arguments),
    /// Take an agent away; refuses while an instance of it runs here
    Remove(remove::Arguments),
    /// What is installed, and which instances this node knows; or the generations of one agent
    List(list::Arguments),
    /// What is in a component: name, parameters, imports, and what it asks for
    Inspect(inspect::Arguments),
    /// Print a policy for a component, from what its author suggests
    Suggest(suggest::Arguments),
    /// Check policies, and what this node offers
    Check(check::Arguments),
    /// Why an instance is as it is: last actions, record, daemons, what to do next
    Why(why::Arguments),
    /// Let an instance count as stopped whose record is damaged or lost, once nothing of it runs
    Forget(forget::Arguments),
    /// Run one action of a component or an agent, in a private root
    Run(run::Arguments),
    /// Is this plugin an agent that a cluster can live with? A suite of checks, in a private root
    Test(test::Arguments),
    /// Make a plugin to begin with: it builds, and passes its tests
    New(new::Arguments),
    /// Print completions for a shell
    Completions(manual::Completions),
    /// Write the manual pages
    Man(manual::Manual),
}

/// Runs the tool.
pub fn main() -> ExitCode {
    let code = Arguments::try_parse().map_err(Into::into).and_then(perform);
    out::ended(code.unwrap_or_else(|error| failure::told(&error)))
}

fn perform(arguments: Arguments) -> Result<ExitCode> {
    let format = arguments.output;
    let is_named = arguments.root.is_some();
    if format == Format::Json {
        arguments.verb.must_have_a_document()?;
    }
    if matches!(&arguments.verb, Verb::Test(a) if a.acts()) || matches!(&arguments.verb, Verb::Run(_)) {
        // They leave something that would stay, and clean up first.
        interrupt::notice();
    }
    // Held to the end of the run.
    let mut scratch = None;
    let root = match (&arguments.verb, arguments.root) {
        (Verb::Test(a), None) if !a.acts() => None,
        (Verb::New(_) | Verb::Completions(_) | Verb::Man(_), None) => None,
        (_, Some(root)) => Some(root),
        (Verb::Run(_), None) => Some(private::default_root()?),
        (Verb::Test(_), None) => Some(scratch.insert(test::Scratch::new()?).path().to_owned()),
        // Looking needs the compiler where it belongs; before it is installed, a private root has it there.
        (Verb::Inspect(_) | Verb::Suggest(_), None) if !is_installed() => Some(private::default_root()?),
        (Verb::Check(a), None) if a.examines() && !is_installed() => Some(private::default_root()?),
        (_, None) => None,
    };
    // Paths that the user named are meant outside.
    let verb = match arguments.verb {
        Verb::Install(a) => Verb::Install(a.absolute()?),
        Verb::Run(a) => Verb::Run(a.absolute()?),
        Verb::Test(a) => Verb::Test(a.absolute()?),
        Verb::Man(a) => Verb::Man(a.absolute()?),
        Verb::Check(a) => Verb::Check(a.absolute()?),
        other => other,
    };
    if let Some(root) = &root {
        let makes_one =
            !matches!(verb, Verb::List(_) | Verb::Why(_) | Verb::Forget(_) | Verb::Rollback(_) | Verb::Remove(_))
                && !matches!(&verb, Verb::Check(a) if is_named || !a.examines());
        anyhow::ensure!(
            makes_one || root.is_dir(),
            "there is no private root {}: `install` and `run` make one",
            root.display()
        );
        if matches!(&verb, Verb::Run(run) if run.acts()) && !is_named {
            eprintln!("note: in the private root {0}; more about it: ocf-wasm --root {0} why INSTANCE", root.display());
        }
        let entered = private::enter(root)?;
        if is_named || matches!(verb, Verb::Run(_)) {
            here::is(entered);
        }
        let acts = matches!(&verb, Verb::Run(run) if run.acts());
        if format == Format::Text && (acts || is_named && matches!(&verb, Verb::Check(_))) {
            private::tell_whose(root)?;
        }
    }
    match verb {
        Verb::Install(a) => must_be_root().and_then(|()| install::run(&a, format)),
        Verb::Rollback(a) => must_be_root().and_then(|()| rollback::run(&a, format)),
        Verb::Remove(a) => must_be_root().and_then(|()| remove::run(&a, format)),
        Verb::List(a) => list::run(&a, format),
        Verb::Inspect(a) => inspect::run(&a, format),
        Verb::Suggest(a) => suggest::run(&a, format),
        Verb::Check(a) => check::run(&a, format),
        Verb::Why(a) => why::run(&a, format),
        Verb::Forget(a) => must_be_root().and_then(|()| forget::run(&a, format)),
        Verb::Run(a) => run::run(&a, format),
        Verb::New(a) => new::run(&a, format),
        Verb::Completions(a) => manual::completions(&a),
        Verb::Man(a) => manual::manual(&a),
        Verb::Test(a) if !a.acts() => test::list(format),
        Verb::Test(a) => test::run(&a, format),
    }
}

impl Verb {
    /// Refuses a form of output that a verb does not have.
    ///
    /// # Errors
    /// Wrong usage.
    fn must_have_a_document(&self) -> Result<()> {
        match self {
            Self::Run(run) if run.acts() => usage("run", run::NO_DOCUMENT.to_owned()),
            Self::Completions(_) => usage("completions", "completions are for a shell: leave out -o json".to_owned()),
            _ => Ok(()),
        }
    }
}

fn must_be_root() -> Result<()> {
    anyhow::ensure!(
        nix::unistd::geteuid().is_root(),
        "changing what is installed on this node needs root; to try a component without, add --root DIR"
    );
    Ok(())
}

/// What is said where instances are asked for by who may not see them.
const ONLY_ROOT: &str = "instances can only be seen as root";

/// What is said of an instance that nothing tells of, with those that are known.
fn not_known(name: &str) -> String {
    let known: Vec<String> = crate::instance::list().into_iter().map(|(_, name, _)| name).collect();
    let known = if known.is_empty() { "none is".to_owned() } else { format!("known: {}", known.join(", ")) };
    format!("no instance {name} is known on this node since it booted ({known})")
}

fn is_installed() -> bool {
    std::path::Path::new(crate::store::LIBEXEC).join("ocf-wasm-compile").exists()
}

/// Prints a value as JSON.
fn json(value: &serde_json::Value) -> Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// The verbs, by name.
fn verbs() -> Vec<String> {
    Arguments::command().get_subcommands().map(|verb| verb.get_name().to_owned()).collect()
}

/// Ends as wrong usage of a verb does, where a parser could not know.
fn usage<T>(verb: &str, text: String) -> Result<T> {
    let mut tool = Arguments::command();
    // What is said of all verbs goes to each of them, its full name among it.
    tool.build();
    let verb = tool.find_subcommand_mut(verb).context("a verb")?;
    Err(verb.error(ErrorKind::ValueValidation, here::said(&text)).into())
}

/// The resource in the cluster: the instance of a copy of a clone has a number behind a colon.
fn resource(instance: &str) -> &str {
    match instance.rsplit_once(':') {
        Some((name, number)) if number.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => instance,
    }
}

/// Reads `PROVIDER/TYPE`.
fn agent_name(text: &str) -> Result<crate::ocf::description::AgentName> {
    crate::ocf::description::AgentName::parse(text)
        .with_context(|| format!("{text}: an agent is named PROVIDER/TYPE, such as ocf-wasm/dummy"))
}
