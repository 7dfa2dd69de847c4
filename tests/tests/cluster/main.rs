//! The plugins under a real cluster: corosync, Pacemaker and fencing on nodes that are namespaces, which lose their
//! power, hang, and are cut off.
//!
//! Without root or Pacemaker these tests say so and pass; with `CI=true` they fail instead.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod adopted;
mod clones;
mod codes;
mod failing;
mod failover;
mod failures;
mod faults;
mod flows;
mod guide;
mod harness;
mod operator;
mod pool;
mod rows;
mod swaps;
mod systemd;
mod typed;
mod upgrade;

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, SystemTime};

use ocf_wasm_tests::cluster::{Cluster, LONG, Node, Primitive};

/// Port of the example server, as its default is.
const PORT: u16 = 5678;
/// What stands in the command line of its main process, and of nothing else.
const GREETER: &str = "examples/greeter --port 5678";

/// The example server, monitored every second.
fn server(id: &str) -> Primitive {
    Primitive::ours(id, "sample-tcp-server").monitored("1s")
}

/// Waits until a resource is started, on whichever node, and nowhere else.
#[track_caller]
fn started(cluster: &Cluster, id: &str) -> String {
    cluster.until(&format!("{id} is started"), LONG, |now| {
        let node = now.of(id).find_map(|one| one.nodes.first())?;
        now.is_started_on(id, node).then(|| node.clone())
    })
}

/// Waits until a resource is started on this node, and nowhere else.
#[track_caller]
fn started_on(cluster: &Cluster, id: &str, node: &str) {
    cluster.until(&format!("{id} is started on {node}"), LONG, |now| now.is_started_on(id, node).then_some(()));
}

/// Waits until a resource is started on another node.
#[track_caller]
fn started_off(cluster: &Cluster, id: &str, node: &str) -> String {
    cluster.until(&format!("{id} is started, and not on {node}"), LONG, |now| {
        let found = now.of(id).find_map(|one| one.nodes.first())?;
        (found != node && now.is_started_on(id, found)).then(|| found.clone())
    })
}

/// The one process with a pattern in its command line; its number says whether it is the same as before.
#[track_caller]
fn only_process(node: &Node, pattern: &str) -> i32 {
    let found = node.processes(pattern);
    let [pid] = found[..] else { panic!("on {}: {found:?} have {pattern:?}", node.name()) };
    pid
}

/// The nodes with a process that has a pattern in its command line.
fn nodes_with(cluster: &Cluster, pattern: &str) -> BTreeSet<String> {
    let nodes = cluster.nodes().iter().filter(|node| node.pid().is_some() && !node.processes(pattern).is_empty());
    nodes.map(|node| node.name().to_owned()).collect()
}

/// Waits until an instance was monitored this many more times: each action adds a line to its history.
#[track_caller]
fn monitored_again(cluster: &Cluster, node: &Node, agent: &str, instance: &str, times: usize) {
    let history = node.inside(format!("/run/ocf-wasm/{agent}/{instance}/actions"));
    let written = || fs::metadata(&history).and_then(|file| file.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut last = written();
    for number in 1..=times {
        let what = format!("{instance} is monitored on {}, {number} of {times} times", node.name());
        last = cluster.wait(&what, Duration::from_secs(20), &mut String::new(), |seen| {
            *seen = cluster.status().map_or_else(|error| error.to_string(), |status| status.to_string());
            let now = written();
            (now != last).then_some(now)
        });
    }
}
