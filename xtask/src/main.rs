//! `cargo xtask demo|test|bench|dist|docs|dependencies`: everything that a fresh checkout needs, with nothing but Rust on the machine.

mod bench;
mod demo;
mod deny;
mod dependencies;
mod dist;
mod docs;
mod setup;
mod test;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};

const USAGE: &str = "usage: cargo xtask COMMAND

  demo    build, install a plugin into a private root, and run a real daemon through its life
  test    all tests; says what it skips without root
  bench   whole actions beside the shell agents that they replace, as ratios; as root
  dist    lay out what is installed under target/dist, ready to be copied to /
  docs    write the pages of docs/ that come from the code, and the snapshots of diagnostics
  dependencies [--check]    write the lists of what each binary links and why, or compare them and deny.toml";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
        Some("demo") => demo::run(),
        Some("test") => test::run(&arguments[1..]),
        Some("bench") => bench::run(&arguments[1..]),
        Some("dependencies") => dependencies::run(arguments.iter().any(|a| a == "--check")),
        Some("docs") => docs::run(),
        Some("dist") => dist::run().map(|dist| println!("{}", dist.display())),
        Some("help" | "--help" | "-h") => {
            println!("{USAGE}");
            Ok(())
        }
        _ => {
            eprintln!("{USAGE}");
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
