//! `cluster`: real nodes to play with, as the tests have them: corosync, Pacemaker and fencing in namespaces.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail, ensure};

use super::{cargo, dist, is_root, run as must, setup, target};

const USAGE: &str = "usage: cargo xtask cluster COMMAND

  up [NODES]               bring up a cluster, 3 nodes if not said otherwise, and stay; Ctrl-C ends it
  enter NODE [COMMAND...]  a shell on a node, or one command there; the node `client` is beside the others
  down                     end it from another terminal

What can happen to a node: cargo xtask cluster FAULT NODE

  power-off, power-on, power-cycle    its processes and /run are gone, its disk stays
  freeze, thaw                        its time stops; it hangs
  cut, mend                           its network cable is pulled
  isolate, rejoin                     nobody answers it any more, and the cable looks well
  load, unload                        its processors are busy";

/// All faults, as the harness knows them.
const FAULTS: [&str; 11] =
    ["power-off", "power-on", "power-cycle", "freeze", "thaw", "cut", "mend", "isolate", "rejoin", "load", "unload"];

/// Does what the words say.
///
/// # Errors
/// If this is not root, or something cannot be done.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["up"] => up("3"),
        ["up", nodes] => up(nodes),
        ["enter", node, ref command @ ..] => must(harness("enter")?.arg(node).args(command)),
        ["down"] => must(&mut harness("down")?),
        [fault, node] if FAULTS.contains(&fault) => must(harness("ask")?.args([fault, node])),
        ["help"] => {
            println!("{USAGE}");
            Ok(())
        }
        _ => bail!("{USAGE}"),
    }
}

fn up(nodes: &str) -> Result<()> {
    ensure!(is_root(), "nodes that are namespaces need root");
    if let Some(problem) = setup::test_tools()? {
        bail!("{problem}");
    }
    let tree = dist::run()?;
    must(&mut cargo(&["build", "--package", "ocf-wasm-tests", "--bin", "cluster"]))?;
    must(harness("up")?.arg(nodes).env("OCF_WASM_DIST", tree))
}

/// The harness in one of its roles, with the file by which one call finds another's cluster.
fn harness(role: &str) -> Result<Command> {
    let program = target().join("debug/cluster");
    ensure!(program.exists(), "no cluster is up: `cargo xtask cluster up 3` brings one up");
    let mut command = Command::new(program);
    command.arg(role).arg(state());
    Ok(command)
}

fn state() -> PathBuf {
    target().join("cluster.pid")
}
