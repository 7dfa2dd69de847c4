//! Who looks every 100 ms what really runs, and asks neither the cluster nor the host under test.
//!
//! A daemon is known by its port, a node by its pid namespace. What must never enter here: an answer of an agent.

use super::super::Cluster;
use super::super::plan::NETWORK;
use crate::processes;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often it looks.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(100);
/// What stands in the command line of a daemon, before its port.
const DAEMON: &str = "/greeter --port ";
/// The last number of the address that moves.
const FLOATING: &str = "100";

/// Where each daemon is.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// By port: the nodes, with the process.
    pub(super) running: BTreeMap<u16, BTreeMap<String, i32>>,
    /// What runs in two places at the same time; told once as long as it lasts.
    twice: BTreeSet<String>,
    violations: Vec<String>,
    looks: u64,
}

impl Seen {
    /// The nodes on which a daemon is.
    pub(super) fn homes(&self, port: u16) -> BTreeSet<String> {
        self.running.get(&port).into_iter().flat_map(BTreeMap::keys).cloned().collect()
    }

    fn add(&mut self, now: BTreeMap<u16, BTreeMap<String, i32>>, twice: BTreeSet<String>) {
        self.looks += 1;
        self.violations.extend(twice.difference(&self.twice).cloned());
        self.twice = twice;
        self.running = now;
    }
}

/// What one thread saw and another reads.
#[derive(Debug, Default)]
pub struct Witness {
    seen: Mutex<Seen>,
    /// The ports that may be served on several nodes, and once on each.
    clones: BTreeSet<u16>,
    is_over: AtomicBool,
}

impl Witness {
    /// A witness of a cluster in which these ports belong to clones.
    pub(super) fn of_clones(ports: impl IntoIterator<Item = u16>) -> Self {
        Self { clones: ports.into_iter().collect(), ..Self::default() }
    }

    /// Looks until it is told that it is over.
    pub fn look(&self, cluster: &Cluster) {
        while !self.is_over.load(Ordering::Relaxed) {
            let began = Instant::now();
            let (now, twice) = look(cluster, &self.clones);
            self.with(|seen| seen.add(now, twice));
            std::thread::sleep(LOOK_EVERY.saturating_sub(began.elapsed()));
        }
    }

    /// Ends [`Self::look`].
    pub fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// How often it looked.
    pub fn looks(&self) -> u64 {
        self.with(|seen| seen.looks)
    }

    /// What was seen that must not be, since this was asked last.
    pub fn violations(&self) -> Vec<String> {
        self.with(|seen| std::mem::take(&mut seen.violations))
    }

    /// Where each daemon was when it looked last: by port the nodes, with the process as seen from outside.
    pub fn running(&self) -> BTreeMap<u16, BTreeMap<String, i32>> {
        self.with(|seen| seen.running.clone())
    }

    pub(super) fn with<T>(&self, read: impl FnOnce(&mut Seen) -> T) -> T {
        read(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Looks once: daemons by port and node, and what is there twice.
fn look(cluster: &Cluster, clones: &BTreeSet<u16>) -> (BTreeMap<u16, BTreeMap<String, i32>>, BTreeSet<String>) {
    let space = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let nodes: Vec<_> = cluster.nodes().iter().filter_map(|node| Some((node, space(node.pid()?)?))).collect();
    let (mut now, mut twice) = (BTreeMap::<u16, BTreeMap<String, i32>>::new(), BTreeSet::new());
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let Some((_, rest)) = line.split_once(DAEMON) else { continue };
        let Some(port) = rest.split(' ').next().and_then(|port| port.parse().ok()) else { continue };
        let place = space(pid);
        let Some((node, _)) = nodes.iter().find(|(_, space)| Some(space) == place.as_ref()) else { continue };
        let here = now.entry(port).or_default();
        // What a daemon starts looks like it, until it is another program.
        let is_child = |child: i32, of: i32| processes::parent(child) == Some(of);
        match here.get(node.name()) {
            Some(other) if is_child(pid, *other) => {}
            Some(other) if !is_child(*other, pid) => {
                twice.insert(format!("port {port}: two daemons on {}, {other} and {pid}", node.name()));
            }
            _ => drop(here.insert(node.name().to_owned(), pid)),
        }
    }
    for (port, nodes) in now.iter().filter(|(port, nodes)| nodes.len() > 1 && !clones.contains(port)) {
        twice.insert(format!("port {port} is served on {}", names(nodes.keys())));
    }
    let holds = |pid: i32| {
        let table = fs::read_to_string(format!("/proc/{pid}/net/fib_trie")).unwrap_or_default();
        let address = format!("{NETWORK}.{FLOATING}");
        let mut lines = table.lines();
        lines.any(|line| line.ends_with(&address)) && table.contains(&format!("{address}\n           /32 host LOCAL"))
    };
    let holders: Vec<String> = nodes
        .iter()
        .filter(|(node, _)| node.pid().is_some_and(holds))
        .map(|(node, _)| node.name().to_owned())
        .collect();
    if holders.len() > 1 {
        twice.insert(format!("the address is on {}", names(holders.iter())));
    }
    (now, twice)
}

fn names<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(String::as_str).collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nodes: &[&str]) -> BTreeMap<u16, BTreeMap<String, i32>> {
        BTreeMap::from([(80, nodes.iter().map(|node| ((*node).to_owned(), 7)).collect())])
    }

    #[test]
    fn what_is_twice_is_told_once_as_long_as_it_lasts() {
        let mut seen = Seen::default();
        let twice = || BTreeSet::from(["port 80 is served on a and b".to_owned()]);
        for (twice, told) in [(twice(), 1), (twice(), 1), (BTreeSet::new(), 1), (twice(), 2)] {
            seen.add(at(&["a", "b"]), twice);
            assert_eq!(seen.violations.len(), told);
        }
    }
}
