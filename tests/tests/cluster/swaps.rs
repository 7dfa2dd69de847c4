//! Versions of a plugin swapped under twenty instances that the cluster monitors every second, fifty times, on all nodes:
//! nobody notices, and a version that says something else of what runs does not get in.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ocf_wasm_tests::cluster::soak::Witness;
use ocf_wasm_tests::cluster::{Cluster, LONG, Node, Primitive};
use ocf_wasm_tests::host::{plugin, variant_of};
use serde_json::Value;

use crate::pool;

const AGENT: &str = "ocf-wasm/sample-tcp-server";
/// Ports of the instances.
const PORTS: std::ops::Range<u16> = 6001..6021;
const SWAPS: usize = 50;
/// Seconds between two monitors of an instance. Each is called a second after the one before; one that is lost is given
/// up after its timeout of 20 s, or never called again. On a busy machine one is late, by less than this.
const LOST: u64 = 15;

fn id(port: u16) -> String {
    format!("web{port}")
}

/// Where an instance is, as the cluster says.
#[track_caller]
fn homes(cluster: &Cluster) -> BTreeMap<u16, String> {
    cluster.until("all are started", LONG, |now| {
        let home = |port: u16| now.nodes_in(&id(port), "Started").into_iter().map(str::to_owned).next();
        PORTS.map(|port| Some((port, home(port)?))).collect()
    })
}

/// All actions of an instance on its node since it was started there: when it was answered, in seconds, the word, and the
/// exit status.
fn actions(node: &Node, port: u16) -> Vec<(u64, String, String)> {
    let file = node.inside(format!("/run/ocf-wasm/{AGENT}/{}/actions", id(port)));
    let text = fs::read_to_string(file).unwrap_or_default();
    let fields = |line: &str| {
        let mut fields = line.split('\t').map(str::to_owned);
        Some((fields.next()?.parse().ok()?, fields.next()?, fields.next()?))
    };
    text.lines().filter_map(fields).collect()
}

fn monitors(cluster: &Cluster, homes: &BTreeMap<u16, String>) -> BTreeMap<u16, usize> {
    let count = |(port, home): (&u16, &String)| {
        let all = actions(cluster.named(home), *port);
        (*port, all.iter().filter(|(_, word, _)| word == "monitor").count())
    };
    homes.iter().map(count).collect()
}

/// The longest time between two monitors, in seconds.
fn gap(actions: &[(u64, String, String)]) -> u64 {
    let monitors = actions.iter().filter(|(_, word, _)| word == "monitor").map(|(at, ..)| *at);
    let monitors: Vec<u64> = monitors.collect();
    monitors.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).max().unwrap_or(u64::MAX)
}

/// Waits until each instance was monitored this many more times.
#[track_caller]
fn all_monitored_again(cluster: &Cluster, homes: &BTreeMap<u16, String>, times: usize) {
    let before = monitors(cluster, homes);
    cluster.wait("each is monitored again", LONG, &mut String::new(), |seen| {
        let missing: Vec<u16> = monitors(cluster, homes)
            .into_iter()
            .filter(|(port, now)| *now < before[port] + times)
            .map(|(p, _)| p)
            .collect();
        *seen = format!("not yet: {missing:?}");
        missing.is_empty().then_some(())
    });
}

/// Has the tool do something on all nodes at the same time, and returns what each answered.
fn everywhere(cluster: &Cluster, argv: &[&str]) -> Vec<(String, ocf_wasm_tests::command::Ran)> {
    std::thread::scope(|scope| {
        let each = cluster.nodes().iter().map(|node| scope.spawn(|| (node.name().to_owned(), node.run(argv))));
        let each: Vec<_> = each.collect();
        each.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

/// A component that the nodes see.
fn on_each(cluster: &Cluster, component: &Path, name: &str) -> String {
    for node in cluster.nodes() {
        fs::copy(component, node.disk().join("lib").join(name)).unwrap();
    }
    format!("/var/lib/ocf-wasm/{name}")
}

/// The same server, but for a slip of its author: it waits for words that the daemon never says.
fn mistaken(into: &Path) -> PathBuf {
    let (is, slip) = (b" This is ", b" That is ");
    let mut bytes = fs::read(plugin("sample-tcp-server")).unwrap();
    let places: Vec<usize> = (0..bytes.len() - is.len()).filter(|at| bytes[*at..].starts_with(is)).collect();
    let [at] = places[..] else { panic!("{places:?}") };
    bytes[at..at + slip.len()].copy_from_slice(slip);
    let file = into.join("mistaken.wasm");
    fs::write(&file, bytes).unwrap();
    file
}

/// The generation of each running instance of a node.
fn generations(node: &Node) -> BTreeSet<u64> {
    let listed: Value = serde_json::from_str(&node.must(&["ocf-wasm", "-o", "json", "list"])).unwrap();
    let all = listed["instances"].as_array().unwrap().iter().filter(|one| one["state"] == "started");
    all.map(|one| one["generation"].as_u64().unwrap()).collect()
}

#[test]
fn fifty_swaps_under_twenty_monitored_instances_are_noticed_by_nobody() {
    let Some(mut cluster) = pool::take() else { return };
    cluster.spoil();
    let fenced = cluster.fencings().len();
    let server = |port| Primitive::ours(&id(port), "sample-tcp-server").with("port", port).monitored("1s").xml();
    cluster.add(&PORTS.map(server).collect::<Vec<_>>(), &[]);
    let homes = homes(&cluster);
    let here = |name: &str| homes.iter().filter(|(_, home)| *home == name).map(|(port, _)| id(*port)).collect();
    let witness = Witness::default();
    std::thread::scope(|scope| {
        let looking = scope.spawn(|| witness.look(&cluster));
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| swap(&cluster, &homes, &here, &witness)));
        witness.end();
        looking.join().unwrap();
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    assert_eq!(cluster.fencings().len(), fenced);
}

fn swap(cluster: &Cluster, homes: &BTreeMap<u16, String>, here: &dyn Fn(&str) -> BTreeSet<String>, witness: &Witness) {
    let scratch = tempfile::tempdir().unwrap();
    let versions = [1, 2].map(|mark| {
        let component = variant_of(&plugin("sample-tcp-server"), mark, scratch.path());
        on_each(cluster, &component, &format!("version-{mark}.wasm"))
    });
    all_monitored_again(cluster, homes, 1);
    let daemons = witness.running();
    assert!(daemons.len() == homes.len(), "{daemons:?}");
    assert!(homes.iter().all(|(port, home)| daemons[port].keys().eq([home])), "{homes:?} {daemons:?}");
    let monitored = monitors(cluster, homes);
    let (began, mut took) = (Instant::now(), Vec::new());
    for number in 0..SWAPS {
        let install = |version| vec!["ocf-wasm", "-o", "json", "install", "--allow-unsigned", version];
        let argv = match number % 4 {
            0 => install(versions[0].as_str()),
            1 => install(versions[1].as_str()),
            _ => vec!["ocf-wasm", "-o", "json", "rollback", AGENT],
        };
        let at = Instant::now();
        for (name, ran) in everywhere(cluster, &argv) {
            assert_eq!(ran.code, 0, "swap {number} on {name}: {ran:#?}");
            let done: Value = serde_json::from_str(&ran.stdout).unwrap();
            let repinned: BTreeSet<String> =
                done["repinned"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
            assert_eq!(repinned, here(&name), "swap {number} on {name}");
        }
        took.push(at.elapsed());
        all_monitored_again(cluster, homes, 1);
        assert_eq!(witness.running(), daemons, "swap {number}");
    }
    let seconds = began.elapsed().as_secs_f64();
    let counts: Vec<usize> = monitors(cluster, homes).iter().map(|(port, count)| count - monitored[port]).collect();
    took.sort();
    println!(
        "{SWAPS} swaps on {} nodes in {seconds:.0} s, one in {:.2} s (median), {:.2} s (longest); monitors of a resource \
         meanwhile: {} to {}; the witness looked {} times",
        cluster.nodes().len(),
        took[SWAPS / 2].as_secs_f64(),
        took[SWAPS - 1].as_secs_f64(),
        counts.iter().min().unwrap(),
        counts.iter().max().unwrap(),
        witness.looks()
    );

    // One that is wrong about what runs changes nothing, on no node.
    let before: Vec<_> = cluster.nodes().iter().map(generations).collect();
    let mistaken = on_each(cluster, &mistaken(scratch.path()), "mistaken.wasm");
    for (name, ran) in everywhere(cluster, &["ocf-wasm", "install", "--allow-unsigned", &mistaken]) {
        assert!(ran.code == 1 && ran.stderr.contains("the versions disagree about it"), "{name}: {ran:#?}");
    }
    assert_eq!(cluster.nodes().iter().map(generations).collect::<Vec<_>>(), before);
    all_monitored_again(cluster, homes, 2);

    // Whoever looked: the witness, the cluster, the executor's log, the agent's own book.
    assert_eq!(witness.running(), daemons);
    assert_eq!(witness.violations(), [""; 0]);
    let now = cluster.status().unwrap();
    assert!(now.failures.is_empty(), "{now}");
    let (mut refused, mut longest) = (0, 0);
    for (port, home) in homes {
        let node = cluster.named(home);
        assert!(now.is_started_on(&id(*port), home), "{now}");
        assert_eq!(node.results(&id(*port)), ["probe not running", "start ok", "monitor ok"], "{}", id(*port));
        let all = actions(node, *port);
        longest = longest.max(gap(&all));
        assert!(gap(&all) < LOST, "{}: a monitor was lost: {all:?}", id(*port));
        let swaps = all.iter().filter(|(_, word, exit)| word == "swap" && exit == "0").count();
        assert_eq!(swaps, SWAPS, "{}: {all:?}", id(*port));
        refused += all.iter().filter(|(_, word, exit)| word == "swap" && exit != "0").count();
        assert!(
            all.iter().all(|(_, word, exit)| exit == "0" || word == "probe" || word == "swap"),
            "{}: {all:?}",
            id(*port)
        );
    }
    println!("the longest time between two monitors of a resource: {longest} s");
    assert_eq!(refused, cluster.nodes().len(), "each node stops at the first instance on which they disagree");
}
