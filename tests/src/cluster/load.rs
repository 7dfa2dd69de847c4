//! Many resources on one node whose processors are busy, ours and shell agents, one after the other: does any action
//! fail that had no reason to, and what do they cost?

use super::{Cluster, Node, Primitive, Setup, available};
use anyhow::{Context as _, ensure};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// How many, and how often each is monitored.
const RESOURCES: usize = 200;
const INTERVAL: &str = "10s";
/// How long the cost is measured, and how long the processors are busy.
const QUIET: Duration = Duration::from_mins(1);
const BUSY: Duration = Duration::from_mins(2);
/// All resources start within.
const STARTED_WITHIN: Duration = Duration::from_mins(5);
/// How often memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// In that time each resource is monitored twelve times if the node keeps up; this often at least.
const LEAST_MONITORS: usize = 6;
const OURS: &str = "ocf:ocf-wasm:dummy";
/// Bytes of a page, on all that this runs on.
const PAGE: u64 = 4096;

/// What was seen of one kind of agent.
struct Load {
    agent: &'static str,
    /// Until all were started.
    start: Duration,
    /// Seconds of processors a minute, with nothing else going on.
    cpu: f64,
    /// Bytes that the agents had in memory: on average, and at most.
    memory: (u64, u64),
    /// Actions that failed.
    failures: Vec<String>,
}

/// Measures both and prints a table; fails if an action did.
///
/// # Errors
/// If there can be no cluster here, or an action of our agent failed.
pub fn run() -> anyhow::Result<()> {
    available().map_err(anyhow::Error::msg)?;
    println!("{RESOURCES} resources on one node, each monitored every {INTERVAL}; about ten minutes");
    let ours = one(OURS)?;
    let shell = one("ocf:heartbeat:Dummy")?;
    println!(
        "| | all started after | processors, s a minute | memory, MiB: mean, most | failed actions while all processors are busy |\n\
         | --- | --- | --- | --- | --- |"
    );
    for load in [&ours, &shell] {
        let mib = |bytes: u64| bytes >> 20;
        println!(
            "| {} | {:.0} s | {:.1} | {}, {} | {} |",
            load.agent,
            load.start.as_secs_f64(),
            load.cpu,
            mib(load.memory.0),
            mib(load.memory.1),
            load.failures.len()
        );
    }
    println!("\nours takes {:.2} of the processors' time", ours.cpu / shell.cpu);
    ensure!(ours.failures.is_empty(), "{}", ours.failures.join("\n"));
    Ok(())
}

fn one(agent: &'static str) -> anyhow::Result<Load> {
    let cluster = Cluster::up(Setup { nodes: 1, ..Setup::default() })?;
    cluster.install(&["dummy"])?;
    let node = cluster.node(1);
    let before = processes_of(node)?;
    let idle = cpu(&cluster, node, Duration::from_secs(15))? * 4.0;
    let timeouts = [("interval", INTERVAL), ("timeout", "20s")];
    let all: Vec<String> = (0..RESOURCES)
        .map(|number| Primitive::new(&format!("r{number}"), agent).operation("monitor", &timeouts).xml())
        .collect();
    let began = Instant::now();
    cluster.add(&all, &[]);
    loop {
        let started = cluster.status().map_or(0, |now| now.resources.iter().filter(|r| r.role == "Started").count());
        // The fence device is one of them.
        if started > RESOURCES {
            break;
        }
        ensure!(began.elapsed() < STARTED_WITHIN, "{agent}: {started} were started within {STARTED_WITHIN:?}");
        std::thread::sleep(Duration::from_millis(500));
    }
    let start = began.elapsed();
    let mut memory = Vec::new();
    let spent = std::thread::scope(|scope| {
        let spent = scope.spawn(|| cpu(&cluster, node, QUIET));
        while !spent.is_finished() {
            memory.push(resident(node, &before)?);
            std::thread::sleep(LOOK_EVERY);
        }
        spent.join().map_err(|_| anyhow::anyhow!("a panic"))?
    })?;
    node.load(std::thread::available_parallelism()?.get())?;
    let busy_since = since_1970()?;
    std::thread::sleep(BUSY);
    let is_monitored = |number: &usize| agent != OURS || monitors(node, *number, busy_since) >= LEAST_MONITORS;
    let forgotten = (0..RESOURCES).filter(|number| !is_monitored(number));
    let forgotten: Vec<String> = forgotten.map(|number| format!("{agent}: r{number} was hardly monitored")).collect();
    node.load(0)?;
    let status = cluster.status()?;
    let started = status.resources.iter().filter(|r| r.role == "Started").count();
    ensure!(started > RESOURCES, "{agent}: {started} are started after the processors were busy");
    let failures = status.failures.iter().map(|f| format!("{agent}: {} {} {}", f.action, f.code, f.reason));
    let failures = failures.chain(forgotten).collect();
    let mean = memory.iter().sum::<u64>() / u64::try_from(memory.len().max(1))?;
    let most = memory.iter().copied().max().unwrap_or(0);
    Ok(Load { agent, start, cpu: spent - idle, memory: (mean, most), failures })
}

/// How many monitors of a resource of ours were answered since then, as far as its file of the last twenty actions goes.
fn monitors(node: &Node, number: usize, since: u64) -> usize {
    let path = node.inside(format!("/run/ocf-wasm/ocf-wasm/dummy/r{number}/actions"));
    let text = fs::read_to_string(path).unwrap_or_default();
    let is_one = |line: &&str| {
        let mut fields = line.split('\t');
        let at = fields.next().and_then(|at| at.parse::<u64>().ok());
        at.is_some_and(|at| at >= since) && fields.next() == Some("monitor")
    };
    text.lines().filter(is_one).count()
}

fn since_1970() -> anyhow::Result<u64> {
    Ok(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs())
}

/// Seconds of processors that a node takes in some time.
fn cpu(cluster: &Cluster, node: &Node, time: Duration) -> anyhow::Result<f64> {
    let spent = || -> anyhow::Result<f64> {
        let text = fs::read_to_string(cluster.groups().join(node.name()).join("cpu.stat")).context("cpu.stat")?;
        let line = text.lines().find_map(|line| line.strip_prefix("usage_usec ")).context("usage_usec")?;
        Ok(line.trim().parse::<f64>()? / 1e6)
    };
    let before = spent()?;
    std::thread::sleep(time);
    Ok(spent()? - before)
}

/// The processes of a node, by their numbers here.
fn processes_of(node: &Node) -> anyhow::Result<BTreeSet<i32>> {
    let space = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let own = space(node.pid().context("power")?);
    let all = fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Ok(all.filter(|pid| space(*pid) == own).collect())
}

/// Bytes in memory of a node's processes that were not there before.
fn resident(node: &Node, before: &BTreeSet<i32>) -> anyhow::Result<u64> {
    let of = |pid: &i32| {
        let text = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("statm")).ok()?;
        text.split(' ').nth(1)?.parse::<u64>().ok()
    };
    Ok(processes_of(node)?.difference(before).filter_map(of).sum::<u64>() * PAGE)
}
