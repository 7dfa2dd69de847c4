//! `cluster`: real nodes to play with, as the tests have them: corosync, Pacemaker and fencing in namespaces.

use std::process::Command;

use anyhow::{Result, bail, ensure};

use super::{cargo, dist, is_root, run as must, setup, target};

const USAGE: &str = "usage: cargo xtask cluster COMMAND

  up [NODES] [--systemd]   bring up a cluster, 1 to 16 nodes, else 3, and stay; Ctrl-C ends it. With
                           a systemd on each node, nothing of ours is installed there yet
  enter NODE [COMMAND...]  a shell on a node, or one command there; the node `client` is beside the others
  down                     end it from another terminal

What can happen to a node: cargo xtask cluster FAULT NODE

  power-off, power-on, power-cycle    its processes and /run are gone, its disk stays
  freeze, thaw                        its time stops; it hangs
  cut, mend                           its network cable is pulled
  isolate, rejoin                     nobody answers it any more, and the cable looks well
  load, unload                        its processors are busy

A full disk: cargo xtask cluster enter NODE dd if=/dev/zero of=/run/full";

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
        ["up"] => up(&["3"]),
        ["up", "--systemd"] => up(&["3", "--systemd"]),
        ["up", nodes] => up(&[nodes]),
        ["up", nodes, "--systemd"] | ["up", "--systemd", nodes] => up(&[nodes, "--systemd"]),
        ["enter", node, ref command @ ..] => must(with_state(&mut harness("enter")?).arg(node).args(command)),
        ["down"] => must(with_state(&mut harness("down")?)),
        [fault, node] if FAULTS.contains(&fault) => must(with_state(&mut harness("ask")?).args([fault, node])),
        ["help"] => {
            println!("{USAGE}");
            Ok(())
        }
        _ => bail!("{USAGE}"),
    }
}

/// What there is to know before it is called.
pub(crate) const SOAK_USAGE: &str = "cargo xtask soak MINUTES [SEED]

Three nodes, twenty resources of all kinds, and one fault after the other: daemons, keepers and monitors killed, nodes that lose
their power, hang or are cut off, policies mistyped, versions swapped, full file systems. A witness looks every 100 ms what
really runs. It fails if something ran in two places, if crm_mon was not true, if a node was fenced or an action failed
without a reason, or if all was not well again after a fault.

  cargo xtask soak 30          half an hour of what comes by chance; the seed is printed
  cargo xtask soak 30 4711     the same faults in the same order";

/// Lets faults happen on a cluster for a while.
///
/// # Errors
/// If something happened that must not.
pub(crate) fn soak(arguments: &[String]) -> Result<()> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs() % 100_000;
    let (minutes, seed) = match arguments {
        [minutes] => (minutes.parse::<u64>(), Ok(now)),
        [minutes, seed] => (minutes.parse(), seed.parse::<u64>()),
        _ => bail!("{SOAK_USAGE}"),
    };
    let (Ok(minutes @ 1..), Ok(seed)) = (minutes, seed) else { bail!("{SOAK_USAGE}") };
    must(built("soak")?.args([minutes.to_string(), seed.to_string()]))
}

/// Compares many resources of ours with as many shell agents, on a busy node.
///
/// # Errors
/// If an action of ours failed.
pub(crate) fn load() -> Result<()> {
    must(&mut built("load")?)
}

fn up(how: &[&str]) -> Result<()> {
    must(with_state(&mut built("up")?).args(how))
}

/// The harness in one of its roles, built as it is now, with what is laid out on its nodes.
fn built(role: &str) -> Result<Command> {
    ensure!(is_root(), "nodes that are namespaces need root");
    if let Some(problem) = setup::test_tools()? {
        bail!("{problem}");
    }
    let tree = dist::run()?;
    must(&mut cargo(&["build", "--package", "ocf-wasm-tests", "--bin", "cluster", "--bin", "boxes"]))?;
    let mut command = harness(role)?;
    command.env("OCF_WASM_DIST", tree);
    Ok(command)
}

/// With the file by which one call finds another's cluster.
fn with_state(command: &mut Command) -> &mut Command {
    command.arg(target().join("cluster.pid"))
}

/// The harness in one of its roles.
fn harness(role: &str) -> Result<Command> {
    let program = target().join("debug/cluster");
    ensure!(program.exists(), "no cluster is up: `cargo xtask cluster up 3` brings one up");
    let mut command = Command::new(program);
    command.arg(role);
    Ok(command)
}
