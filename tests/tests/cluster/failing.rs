//! What fails, and what Pacemaker does then: it recovers in place, goes elsewhere, or fences, and only for the last reason.

use ocf_wasm_tests::cluster::{LONG, Primitive, install_policy, policy_path};
use ocf_wasm_tests::host::policy_of;

use crate::{GREETER, PORT, monitored_again, only_process, pool, server, started, started_off, started_on};

const AGENT: &str = "ocf-wasm/sample-tcp-server";

#[test]
fn a_daemon_that_is_killed_is_recovered_in_place() {
    let Some(cluster) = pool::take() else { return };
    let before = cluster.fencings().len();
    cluster.add(&[server("web").xml()], &[]);
    let name = started(&cluster, "web");
    let node = cluster.named(&name);
    let first = only_process(node, GREETER);
    node.must(&["kill", "-KILL", &first.to_string()]);
    let failure = cluster.until("the failure is seen", LONG, |now| now.failures_of("web").first().copied().cloned());
    assert_eq!((failure.action.as_str(), failure.node.as_str(), failure.code), ("web_monitor_1000", name.as_str(), 1));
    // The main process left its child.
    assert!(failure.reason.contains("the main process ended"), "{failure:?}");
    cluster.wait("another daemon greets", LONG, &mut String::new(), |seen| {
        *seen = cluster.greeting(&node.address(), PORT).unwrap_or_else(|error| error.to_string());
        seen.starts_with("Hello!").then_some(())
    });
    started_on(&cluster, "web", &name);
    assert_ne!(only_process(node, GREETER), first);
    let ends = node.results("web");
    assert_eq!(ends[ends.len() - 3..], ["stop ok", "start ok", "monitor ok"].map(str::to_owned), "{ends:?}");

    // The failure is told until it is cleaned up, and then forgotten without touching what runs.
    let pid = only_process(node, GREETER);
    cluster.must(&["crm_resource", "--cleanup", "--resource", "web"]);
    cluster.until("the failure is forgotten", LONG, |now| now.failures_of("web").is_empty().then_some(()));
    cluster.must(&["crm_resource", "--refresh", "--resource", "web"]);
    monitored_again(&cluster, node, AGENT, "web", 2);
    started_on(&cluster, "web", &name);
    assert_eq!(only_process(node, GREETER), pid, "the probe of a refresh finds what runs");
    assert_eq!(cluster.fencings().len(), before);
}

#[test]
fn a_start_that_is_refused_goes_elsewhere_and_comes_back_after_a_cleanup() {
    let Some(cluster) = pool::take() else { return };
    let before = cluster.fencings().len();
    let node = cluster.node(1);
    let policy = policy_path(node, AGENT);
    std::fs::remove_file(&policy).unwrap();
    cluster.add(&[server("web").xml()], &[ocf_wasm_tests::cluster::location("web", "node1", "200")]);
    let other = started_off(&cluster, "web", "node1");
    let failure = cluster.until("why it is not on node1", LONG, |now| now.failures_of("web").first().copied().cloned());
    assert_eq!((failure.action.as_str(), failure.node.as_str(), failure.code), ("web_start_0", "node1", 4));
    assert!(
        failure.reason.starts_with("no policy: /etc/ocf-wasm/policy/ocf-wasm/sample-tcp-server.toml"),
        "{failure:?}"
    );
    assert_ne!(other, "node1");
    // The operator mends it, and says so.
    install_policy(node, AGENT, &policy_of("sample-tcp-server")).unwrap();
    cluster.must(&["crm_resource", "--cleanup", "--resource", "web"]);
    started_on(&cluster, "web", "node1");
    assert_eq!(cluster.fencings().len(), before, "a failed start is no reason to fence");
}

#[test]
fn a_stop_that_fails_fences_the_node_and_nothing_else_does() {
    let Some(cluster) = pool::take() else { return };
    let before = cluster.fencings().len();
    // Every action sleeps three seconds; stop has two. What the plugin cannot do in time the host does.
    let slow = Primitive::ours("slow", "dummy")
        .with("op_sleep", 3)
        .operation("start", &[("timeout", "20s")])
        .operation("stop", &[("timeout", "2s")]);
    cluster.add(&[slow.xml(), server("web").xml()], &[]);
    let first = started(&cluster, "slow");
    cluster.must(&["crm_resource", "--resource", "slow", "--ban", "--node", &first]);
    started_off(&cluster, "slow", &first);
    assert_eq!(cluster.named(&first).results("slow").last().unwrap(), "stop ok");
    assert_eq!(cluster.fencings().len(), before, "a plugin that hangs is no reason to fence");

    // A record that cannot be read: nobody knows what runs. That cannot be stopped by anything but the power.
    let first = started(&cluster, "web");
    let node = cluster.named(&first);
    let record = node.inside(format!("/run/ocf-wasm/{AGENT}/web/record"));
    let mut bytes = std::fs::read(&record).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&record, bytes).unwrap();
    let second = started_off(&cluster, "web", &first);
    let fenced: Vec<String> = cluster.fencings().drain(before..).map(|fencing| fencing.node).collect();
    assert_eq!(fenced, [first.as_str()], "and it runs on {second}");
    let results = node.results("web");
    let ended = results.iter().position(|result| result.starts_with("monitor error (the record is damaged or lost"));
    let ended = ended.unwrap_or_else(|| panic!("{results:?}"));
    assert!(results[ended + 1].starts_with("stop error (the record is damaged or lost"), "{results:?}");
}
