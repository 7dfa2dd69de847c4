//! A cluster to play with: `cargo xtask cluster`.
//!
//! `up` stays until it is interrupted; another terminal finds it by a file with the process id of the room. The faults
//! are asked for over the socket that the fence agents use.

use anyhow::{Context as _, bail, ensure};
use ocf_wasm_tests::boxes;
use ocf_wasm_tests::cluster::plan::{CHECKOUT, MEMORY, SOCKET};
use ocf_wasm_tests::cluster::{Cluster, Init, Setup, available};
use ocf_wasm_tests::executor::PATH;
use ocf_wasm_tests::host::plugins;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// The end of a cluster takes no longer.
const DOWN_WITHIN: Duration = Duration::from_secs(20);

/// Brings a cluster up, with all plugins installed where nodes have no systemd, and stays until somebody wants it down.
pub(crate) fn up(state: &Path, nodes: &str, init: Init) -> anyhow::Result<()> {
    available().map_err(anyhow::Error::msg)?;
    let nodes = nodes.parse().context("how many nodes?")?;
    ensure!(room(state).is_err(), "a cluster is up already: `cargo xtask cluster down` ends it");
    let installed = match init {
        Init::Harness => plugins(),
        Init::Systemd => {
            boxes::available().map_err(anyhow::Error::msg)?;
            Vec::new()
        }
    };
    let cluster = Cluster::up(Setup { nodes, ..Setup::of(init) })?;
    cluster.install(&installed.iter().map(String::as_str).collect::<Vec<_>>())?;
    let (installed, next) = match init {
        Init::Harness => (
            format!("installed on each: {}", installed.join(" ")),
            "To have something to break, on a node:\n\n  pcs resource create web ocf:ocf-wasm:sample-tcp-server op monitor \
             interval=2s",
        ),
        Init::Systemd => (
            format!("nothing of ours is installed; the tree to do it from is {CHECKOUT}/target/dist"),
            "docs/failover.md goes on from here.",
        ),
    };
    fs::write(state, cluster.pid().to_string()).with_context(|| state.display().to_string())?;
    println!(
        "{nodes} nodes are up after {:.1} s; {installed}\n\nIn another terminal:\n\n  cargo xtask cluster enter \
         node1               a shell on a node; `crm_mon`, `pcs` and `crm` work there\n  cargo xtask cluster enter node1 \
         crm_mon -1    one command there\n  cargo xtask cluster enter client              a shell in the network beside them\n  cargo xtask cluster power-off node1           and power-on, power-cycle, \
         freeze, thaw, cut, mend, isolate,\n                                                rejoin, load, unload\n  cargo \
         xtask cluster down                      or Ctrl-C here\n\n{next}\n",
        cluster.ready_after().as_secs_f64()
    );
    let mut seen = 0;
    while !cluster.is_down_wished() {
        for fencing in cluster.fencings().iter().skip(seen) {
            println!("fenced by {}: {} {}", fencing.by, fencing.action, fencing.node);
            seen += 1;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    fs::remove_file(state).with_context(|| state.display().to_string())?;
    drop(cluster);
    println!("the cluster is down");
    Ok(())
}

/// Lets things happen at random, and fails if something happened that must not.
pub(crate) fn soak(minutes: &str, seed: &str) -> anyhow::Result<()> {
    let violations = ocf_wasm_tests::cluster::soak::run(minutes.parse()?, seed.parse()?)?;
    ensure!(violations.is_empty(), "{} violations; the first: {}", violations.len(), violations[0]);
    Ok(())
}

/// Becomes a shell, or another command, on a node or on the client beside them.
pub(crate) fn enter(state: &Path, node: &str, argv: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new("nsenter");
    if node == "client" {
        command.args(["-t", &room(state)?.to_string(), "-n", "--"]);
    } else {
        let pid = ask(state, "pid", node)?;
        command.args(["-t", &pid, "-m", "-p", "-u", "-i", "-n", "-C", "--"]);
    }
    if argv.is_empty() {
        command.args(["bash", "--norc", "-i"]);
    } else {
        command.args(argv);
    }
    let terminal = std::env::var_os("TERM").unwrap_or_else(|| "dumb".into());
    command.env_clear().env("PATH", PATH).env("HOME", "/root").env("TERM", terminal).env("LANG", "C.UTF-8");
    command.env("PS1", format!("{node}:\\w# "));
    Err(command.exec()).context("nsenter")
}

/// Has something done to a node.
pub(crate) fn ask(state: &Path, verb: &str, node: &str) -> anyhow::Result<String> {
    let socket = format!("/proc/{}/root{MEMORY}/{SOCKET}", room(state)?);
    let stream = UnixStream::connect(&socket).with_context(|| socket.clone())?;
    (&stream).write_all(format!("{verb} {node}\n").as_bytes())?;
    let mut answer = String::new();
    BufReader::new(&stream).read_line(&mut answer)?;
    match answer.trim().split_once(' ') {
        Some(("error", why)) => bail!("{why}"),
        Some((_, words)) => Ok(words.to_owned()),
        None if answer.trim() == "ok" => Ok(String::new()),
        None => bail!("no answer"),
    }
}

/// Ends the cluster, and waits for that.
pub(crate) fn down(state: &Path) -> anyhow::Result<()> {
    let pid = room(state)?;
    ask(state, "down", "")?;
    let limit = Instant::now() + DOWN_WITHIN;
    while Path::new(&format!("/proc/{pid}")).exists() {
        ensure!(Instant::now() < limit, "process {pid} does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The first process of the room; refused if there is none any more.
fn room(state: &Path) -> anyhow::Result<i32> {
    let pid = fs::read_to_string(state).ok().and_then(|pid| pid.trim().parse::<i32>().ok());
    let is_room = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word == b"room")
    };
    pid.filter(is_room).context("no cluster is up: `cargo xtask cluster up 3` brings one up")
}
