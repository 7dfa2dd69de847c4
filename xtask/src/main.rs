//! `cargo xtask demo|cluster|soak|load|test|guards|fuzz|bench|dist|docs|dependencies`: everything that a fresh checkout needs, with
//! nothing but Rust on the machine.

mod bench;
mod cluster;
mod demo;
mod deny;
mod dependencies;
mod dist;
mod docs;
mod fuzz;
mod guards;
mod setup;
mod test;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};

/// A command: its name, what it does in a line, and what more there is to know before it is called.
const COMMANDS: [(&str, &str, &str); 11] = [
    (
        "demo",
        "build, install a plugin into a private root, and run a real daemon through its life",
        "cargo xtask demo

Takes a minute or two from a fresh checkout, and needs neither root nor Pacemaker. Touches nothing but target/ and a
temporary directory.",
    ),
    (
        "cluster",
        "a real cluster of namespaces to play with: Pacemaker, fencing, faults; as root",
        "cargo xtask cluster up [NODES] [--systemd]

Brings up three nodes, or as many as are asked for (1-16), and says what can be done to them; Ctrl-C or `cargo xtask cluster
down` ends all of it. `cargo xtask cluster help` lists the rest: enter a node, switch its power off.",
    ),
    ("soak", "random faults on a real cluster, and a witness; as root", cluster::SOAK_USAGE),
    (
        "load",
        "200 resources on one busy node, ours and shell agents; as root",
        "cargo xtask load

One node, 200 resources that are monitored every 10 s: how long they take to start, what processors and memory they cost, and
whether an action fails while all processors are busy. First with `dummy`, then with ocf:heartbeat:Dummy. Ten minutes.",
    ),
    (
        "test",
        "all tests; says how many passed, and what was not tried and why",
        "cargo xtask test [NAME] [-- ARGUMENTS OF THE TEST BINARIES]

Builds what is shipped (cargo xtask dist), then runs the unit tests, those of the SDK and of the plugins, and those that
see the binaries from outside. With NAME only tests that have it in their names. A failure stops no other test.

Of a first run most is building; after that it takes about a quarter of an hour on two processors. As root on Debian
it installs what the tests use (Pacemaker's executor and tools among it; nothing of it is started). Without root what
needs it is not tried, and named at the end. With CI=true what cannot be tried is a failure.

  cargo xtask test conformance          the tests with that in their names
  cargo xtask test -- --nocapture       with all that tests print",
    ),
    ("fuzz", "look for bytes that break what must hold", fuzz::USAGE),
    (
        "guards",
        "leave each guard out of a build and expect the test of its invariant to fail; as root",
        "cargo xtask guards [NAME...]

Builds the agent once for each guard, without it, in a directory of its own, and runs the test that is there for it. Half
a minute each; all of them, or those that are named. Run `cargo xtask dist` first.",
    ),
    (
        "bench",
        "whole actions beside the shell agents that they replace, as ratios; as root",
        "cargo xtask bench

Needs root, resource-agents and a quiet machine. Says for each ratio whether its budget is met; nothing fails of it.",
    ),
    (
        "dist",
        "lay out what is installed under target/dist, ready to be copied to /",
        "cargo xtask dist

Prints the directory. The README says how to copy it to a node.",
    ),
    (
        "docs",
        "write the pages of docs/ that come from the code, and the snapshots of diagnostics",
        "cargo xtask docs

Read what it changed before you keep it.",
    ),
    (
        "dependencies",
        "write the lists of what each binary links and why, or compare them and deny.toml",
        "cargo xtask dependencies [--check]

With --check nothing is written, and a difference is a failure.",
    ),
];

fn usage() -> String {
    let lines: Vec<String> = COMMANDS.iter().map(|(name, what, _)| format!("  {name:14}{what}\n")).collect();
    format!(
        "usage: cargo xtask COMMAND\n\n{}\n`cargo xtask COMMAND --help` says more. The first thing to try is `cargo xtask demo`.",
        lines.concat()
    )
}

/// What is said of a command; none if there is no such command.
fn help(name: &str) -> Option<String> {
    let (_, what, more) = COMMANDS.iter().find(|(known, ..)| *known == name)?;
    Some(format!("{name}: {what}\n\nusage: {more}"))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, more) = arguments.split_first().map_or(("", &[][..]), |(command, more)| (command.as_str(), more));
    // What stands behind `--` is for the test binaries.
    let is_help = |word: &String| matches!(word.as_str(), "--help" | "-h");
    let asks = more.iter().take_while(|word| *word != "--").any(is_help);
    let asked_of = if command == "help" { more.first().map(String::as_str) } else { Some(command).filter(|_| asks) };
    if let Some(text) = asked_of.and_then(help) {
        println!("{text}");
        return ExitCode::SUCCESS;
    }
    let done = match command {
        "demo" => demo::run(),
        "cluster" => cluster::run(more),
        "soak" => cluster::soak(more),
        "load" => cluster::load(),
        "test" => test::run(more),
        "guards" => guards::run(more),
        "fuzz" => fuzz::run(more),
        "bench" => bench::run(more),
        "dependencies" => dependencies::run(more.iter().any(|a| a == "--check")),
        "docs" => docs::run(),
        "dist" => dist::run().map(|dist| println!("{}", dist.display())),
        "help" | "--help" | "-h" => {
            println!("{}", usage());
            Ok(())
        }
        _ => {
            eprintln!("{}", usage());
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The checkout.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Cargo's output directory.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// The triple of this machine.
fn triple() -> String {
    format!("{}-unknown-linux-musl", std::env::consts::ARCH)
}

/// A cargo command in the checkout.
fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// Runs a command and fails if it does.
fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{command:?}"))?;
    if !status.success() {
        bail!("{command:?}: {status}");
    }
    Ok(())
}

/// Whether this is root.
fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0)
}
