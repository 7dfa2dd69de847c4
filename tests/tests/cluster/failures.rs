//! What can become of a resource and of what it was started from, row by row on a real cluster: what Pacemaker did, whether
//! a node was fenced, and what an operator is told. The rows are the page docs/failures.md; `UPDATE_GOLDEN=1` writes it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use ocf_wasm_tests::cluster::{Cluster, LONG, Node, Primitive, install, install_policy, location};
use ocf_wasm_tests::host::{HOSTILE_POLICY, hostile, plugin, policy_of};
use ocf_wasm_tests::source::checkout;
use regex_lite::Regex;

use crate::rows::{AGENT, RUNNING, Row, STARTING, STOPPING, Then};
use crate::{GREETER, codes, monitored_again, nodes_with, only_process, pool};

/// What was seen of one row.
struct Told {
    row: &'static Row,
    results: Vec<String>,
    well_after: Duration,
    why: String,
}

/// The server, with timeouts that a test can wait for. What recovers stays where it is: the page tells the same each time.
fn server() -> Primitive {
    Primitive::ours("web", "sample-tcp-server")
        .meta("resource-stickiness", "100")
        .operation("monitor", &[("interval", "1s"), ("timeout", "5s")])
        .operation("start", &[("timeout", "8s")])
        .operation("stop", &[("timeout", "6s")])
}

/// Puts everything as it was, and has the cluster forget.
fn mend(cluster: &Cluster) {
    for node in cluster.nodes() {
        node.power_on().unwrap();
    }
    cluster.await_all(LONG).unwrap();
    for node in cluster.nodes() {
        node.run(&["pkill", "-KILL", "-f", "greeter --node nobody"]);
        install_policy(node, AGENT, &policy_of("sample-tcp-server")).unwrap();
        install(node, &plugin("sample-tcp-server"), &[]).unwrap();
    }
    // What is forgotten is looked for again. Until then the cluster does not know that it runs, and recovers it elsewhere.
    let now = cluster.status().unwrap();
    let failed: BTreeSet<String> = now.failures_of("web").iter().map(|failure| failure.node.clone()).collect();
    let probes = |name: &String| {
        let results = cluster.named(name).results("web");
        results.iter().filter(|result| result.starts_with("probe ")).count()
    };
    let before: Vec<usize> = failed.iter().map(probes).collect();
    cluster.must(&["crm_resource", "--cleanup"]);
    cluster.wait("it is looked for again", LONG, &mut String::new(), |seen| {
        let now: Vec<usize> = failed.iter().map(probes).collect();
        *seen = format!("{failed:?}: {before:?}, {now:?}");
        now.iter().zip(&before).all(|(now, before)| now > before).then_some(())
    });
}

/// Waits until the resource runs where the witness in the kernel's tables says, and says on which node.
fn settled(cluster: &Cluster, id: &str, pattern: &str, what: &str) -> String {
    let mut seen = String::new();
    cluster.wait(what, LONG, &mut seen, |seen| {
        let now = cluster.status().ok()?;
        *seen = now.to_string();
        let node = now.of(id).find_map(|one| one.nodes.first())?.clone();
        let is_so = now.is_started_on(id, &node) && now.online.contains(&node) && now.unclean.is_empty();
        (is_so && nodes_with(cluster, pattern) == [node.clone()].into()).then_some(node)
    })
}

/// What the first lines of `ocf-wasm why` say, without what differs from run to run.
pub(crate) fn why(node: &Node, id: &str) -> String {
    let said = node.run(&["ocf-wasm", "-o", "json", "why", id]);
    let Ok(document) = serde_json::from_str::<serde_json::Value>(&said.stdout) else { return String::new() };
    let text = document["instances"][0]["text"].as_str().unwrap_or_default().to_owned();
    let ages = Regex::new(r", \d+ (s|min) ago|(for|since) \d+ (s|min)( \d+ s)?").unwrap();
    let numbers = Regex::new(r"(process|pid|processes:?) [\d ]+").unwrap();
    numbers.replace_all(&ages.replace_all(&text, ""), "$1 N").trim().to_owned()
}

/// The actions since a row began, with what each answered, but for probes and monitors that found what should be.
pub(crate) fn since(node: &Node, id: &str, known: usize) -> Vec<String> {
    let all = node.results(id);
    all.get(known..)
        .unwrap_or_default()
        .iter()
        .filter(|result| !matches!(result.as_str(), "monitor ok" | "probe not running" | "probe ok"))
        .cloned()
        .collect()
}

/// Something happens while the server runs.
fn while_it_runs(cluster: &Cluster, row: &'static Row) -> Told {
    let name = settled(cluster, "web", GREETER, "the server runs");
    let node = cluster.named(&name);
    // Between a stop and a start the cluster may choose anew, if a failure is counted just then.
    let prefers = matches!(row.then, Then::Again | Then::Elsewhere).then(|| location("web", &name, "1000"));
    if let Some(prefers) = &prefers {
        cluster.add(&[], std::slice::from_ref(prefers));
    }
    // What fails while a cleanup is still on its way is cleaned up as well.
    monitored_again(cluster, node, AGENT, "web", 2);
    let pid = only_process(node, GREETER);
    let known = node.results("web").len();
    let fenced = cluster.fencings().len();
    let began = Instant::now();
    let held = (row.done)(node);
    if row.then == Then::Unnoticed {
        monitored_again(cluster, node, AGENT, "web", 2);
    } else {
        // Some recoveries take less time than to ask the cluster once.
        cluster.wait(row.what, LONG, &mut String::new(), |seen| {
            let results = since(node, "web", known);
            *seen = format!("{results:?}");
            let is_stopped = results.iter().any(|result| result.starts_with("stop "));
            (is_stopped || cluster.fencings().len() > fenced).then_some(())
        });
    }
    drop(held);
    let home = settled(cluster, "web", GREETER, row.what);
    let well_after = began.elapsed();
    let fenced: Vec<String> = cluster.fencings().drain(fenced..).map(|fencing| fencing.node).collect();
    let mut results = since(node, "web", known);
    if row.then == Then::Fenced && results.iter().all(|result| result.ends_with(" ok")) {
        // A node that is alone may come to stopping it before it is fenced, or not.
        results.clear();
    }
    let says = || format!("{}: {home}, {fenced:?}, {results:?}", row.what);
    match row.then {
        Then::Unnoticed => {
            assert!(fenced.is_empty() && results.is_empty(), "{}", says());
            assert_eq!((home.as_str(), only_process(node, GREETER)), (name.as_str(), pid), "{}", says());
        }
        Then::Again => {
            assert!(fenced.is_empty() && results.iter().any(|result| result == "stop ok"), "{}", says());
            assert!(home == name && only_process(node, GREETER) != pid, "{}", says());
        }
        Then::Elsewhere => assert!(fenced.is_empty() && home != name, "{}", says()),
        Then::Fenced => assert_eq!(fenced, [name.as_str()], "{}", says()),
        Then::ForEver | Then::Nowhere => unreachable!("{}", row.what),
    }
    let why = if row.then == Then::Fenced { String::new() } else { why(node, "web") };
    if let Some(prefers) = &prefers {
        cluster.must(&["cibadmin", "--delete", "--xml-text", prefers]);
    }
    mend(cluster);
    Told { row, results, well_after, why }
}

/// Something is not as it should be where the server is to be started.
fn where_it_starts(cluster: &Cluster, row: &'static Row) -> Told {
    let node = cluster.node(1);
    cluster.clear();
    cluster.until("the server is gone", LONG, |now| now.of("web").next().is_none().then_some(()));
    let known = node.results("web").len();
    let held = (row.done)(node);
    let began = Instant::now();
    let mut server = server();
    if let Some((parameter, value)) = row.with {
        server = server.with(parameter, value);
    }
    cluster.add(&[server.xml()], &[location("web", "node1", "300")]);
    let fenced = cluster.fencings().len();
    if row.then == Then::Nowhere {
        cluster
            .until(row.what, LONG, |now| (!now.failures_of("web").is_empty() && now.is_stopped("web")).then_some(()));
        assert!(nodes_with(cluster, GREETER).is_empty(), "{}", row.what);
    } else {
        assert_ne!(settled(cluster, "web", GREETER, row.what), "node1", "{}", row.what);
    }
    let well_after = began.elapsed();
    assert_eq!(cluster.fencings().len(), fenced, "{}: a failed start is no reason to fence", row.what);
    let results = since(node, "web", known);
    assert!(!results.is_empty(), "{}: nobody tried", row.what);
    let why = why(node, "web");
    drop(held);
    mend(cluster);
    Told { row, results, well_after, why }
}

/// A plugin does something wrong by itself.
fn by_itself(cluster: &Cluster, row: &'static Row) -> Told {
    let node = cluster.node(1);
    let (export, misdeed) = row.with.unwrap();
    // Whatever is remembered of a resource is remembered by its name.
    let id = &format!("{misdeed}-in-{export}");
    let daemon = Primitive::new(id, "ocf:test:hostile").with("daemon", true).with("in", export).with("do", misdeed);
    let daemon = daemon
        .operation("monitor", &[("interval", "1s"), ("timeout", "5s")])
        .operation_parameter("OCF_CHECK_LEVEL", "10")
        .operation("start", &[("timeout", "4s")])
        .operation("stop", &[("timeout", "6s")]);
    let fenced = cluster.fencings().len();
    let began = Instant::now();
    cluster.add(&[daemon.xml()], &[location(id, "node1", "300")]);
    if export == "stop" {
        cluster.until("it runs", LONG, |now| now.is_started_on(id, "node1").then_some(()));
        cluster.must(&["crm_resource", "--resource", id, "--ban", "--node", "node1"]);
    }
    let results = if row.then == Then::Nowhere {
        cluster.until(row.what, LONG, |now| (now.failures_of(id).len() == 3 && now.is_stopped(id)).then_some(()));
        since(node, id, 0)
    } else {
        cluster.wait(row.what, LONG, &mut String::new(), |seen| {
            let results = since(node, id, 0);
            *seen = format!("{results:?}");
            let mut stops = (0..results.len()).filter(|at| results[*at].starts_with("stop "));
            let stop = stops.next()?;
            // What comes after is the same again.
            (row.then != Then::ForEver || stops.next().is_some()).then(|| results[..=stop].to_vec())
        })
    };
    if row.then == Then::Elsewhere {
        let is_elsewhere = |name: &&str| ["node2", "node3"].contains(name);
        cluster.until(row.what, LONG, |now| {
            let nodes = &now.of(id).next()?.nodes;
            nodes.iter().map(String::as_str).find(is_elsewhere).filter(|name| now.is_started_on(id, name)).map(drop)
        });
    }
    let well_after = began.elapsed();
    assert_eq!(cluster.fencings().len(), fenced, "{}", row.what);
    // What is started again and again is in the middle of something.
    let why = if row.then == Then::ForEver { String::new() } else { why(node, id) };
    cluster.clear();
    cluster.until("it is gone", LONG, |now| now.of(id).next().is_none().then_some(()));
    for node in cluster.nodes() {
        assert!(node.processes("ocf-wasm-keeper").is_empty(), "{}", row.what);
        node.forget().unwrap();
    }
    Told { row, results, well_after, why }
}

/// What has no digits of a clock in it.
fn without_seconds(page: &str) -> String {
    Regex::new(r"\| \d+(\.\d+)? s \|").unwrap().replace_all(page, "| _ |").into_owned()
}

fn page(told: &[(&str, &str, Vec<Told>)]) -> String {
    let mut page = "<!-- Written by a test from what happened: UPDATE_GOLDEN=1 cargo xtask test failures -->\n\
        # What becomes of a resource\n\n\
        Each row happened on a cluster of three nodes with real fencing. *Pacemaker* is what the executor did on that node and \
        what our agent answered; what was well is left out. *Well again* is when the resource ran in one place and the cluster \
        said so, in seconds, with a monitor each second. `ocf-wasm why` was asked afterwards, on that node, where it still had \
        something to tell.\n"
        .to_owned();
    for (title, text, rows) in told {
        let _ = write!(
            page,
            "\n## {title}\n\n{text}\n\n| what happens | Pacemaker | then | well again | `ocf-wasm why` |\n| --- | --- | --- | --- | --- |\n"
        );
        for Told { row, results, well_after, why } in rows {
            let results = match (results.is_empty(), row.then) {
                // A digest changes with every comment in a policy.
                (false, _) => {
                    Regex::new(r"\([0-9a-f]{12}\)").unwrap().replace_all(&results.join(", "), "(DIGEST)").into_owned()
                }
                (true, Then::Fenced) => "misses the node".to_owned(),
                (true, _) => "sees nothing".to_owned(),
            };
            let then = row.then.words();
            let seconds = match row.then {
                Then::Unnoticed | Then::ForEver | Then::Nowhere => String::new(),
                _ => format!("{:.0} s", well_after.as_secs_f64()),
            };
            let why = why.replace('|', "\\|");
            let _ = writeln!(page, "| {} | {} | {then} | {seconds} | {why} |", row.what, results.replace('|', "\\|"));
        }
    }
    page
}

#[test]
fn what_becomes_of_a_resource_is_as_the_page_says() {
    let Some(mut cluster) = pool::take() else { return };
    cluster.spoil();
    for node in cluster.nodes() {
        fs::copy(plugin("sample-tcp-server"), node.disk().join("lib/plugin.wasm")).unwrap();
    }
    cluster.add(&[server().xml()], &[]);
    let running: Vec<Told> = RUNNING.iter().map(|row| while_it_runs(&cluster, row)).collect();
    let starting: Vec<Told> = STARTING.iter().map(|row| where_it_starts(&cluster, row)).collect();
    cluster.clear();
    cluster.until("the server is gone", LONG, |now| now.of("web").next().is_none().then_some(()));
    for node in cluster.nodes() {
        install_policy(node, "test/hostile", HOSTILE_POLICY).unwrap();
        install(node, &hostile(), &[]).unwrap();
    }
    let stopping: Vec<Told> = STOPPING.iter().map(|row| by_itself(&cluster, row)).collect();
    let codes = codes::section(&cluster);
    let is = page(&[
        (
            "While it runs",
            "What a resource was started from is needed no more: it keeps the plugin, the policy and the parameters of its \
             start. It is stopped where nobody could say any more that it is well, and its node is fenced only where nobody \
             could know any more what runs.",
            running,
        ),
        (
            "Where it is to be started",
            "A start that cannot be good is refused before anything is done, and the resource runs on another node, except \
             where the same mistake is everywhere.",
            starting,
        ),
        (
            "A plugin that is wrong",
            "It starts a daemon, and then does this. The host ends what it tracks itself, so that a plugin that is broken does \
             not fence a node.",
            stopping,
        ),
    ]) + &codes;
    let path = checkout().join("docs/failures.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &is).unwrap();
    }
    let was = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        without_seconds(&was) == without_seconds(&is),
        "docs/failures.md is not what happened; if it is to change: UPDATE_GOLDEN=1\n{is}"
    );
}
