//! What operators do: move and ban, maintenance, a start by hand, changed parameters, another version of a plugin.

use ocf_wasm_tests::cluster::{Cluster, FLOATING, LONG, Primitive, install, location};
use ocf_wasm_tests::host::{plugin, skip, variant_of};

use crate::{GREETER, PORT, monitored_again, nodes_with, only_process, pool, server, started, started_off, started_on};

const AGENT: &str = "ocf-wasm/sample-tcp-server";

/// Sets a parameter of a resource.
#[track_caller]
fn set(cluster: &Cluster, resource: &str, name: &str, value: &str) {
    cluster.must(&["crm_resource", "--resource", resource, "--set-parameter", name, "--parameter-value", value]);
}

/// Sets a meta attribute of a resource.
#[track_caller]
fn set_meta(cluster: &Cluster, resource: &str, name: &str, value: &str) {
    let set = ["crm_resource", "--resource", resource, "--meta", "--set-parameter", name, "--parameter-value", value];
    cluster.must(&set);
}

#[test]
fn a_resource_is_moved_banned_and_stays_where_it_is_put() {
    let Some(cluster) = pool::take() else { return };
    let before = cluster.fencings().len();
    cluster.add(&[server("web").xml()], &[location("web", "node1", "50")]);
    started_on(&cluster, "web", "node1");
    cluster.must(&["crm_resource", "--resource", "web", "--move", "--node", "node2"]);
    started_on(&cluster, "web", "node2");
    cluster.must(&["crm_resource", "--resource", "web", "--clear"]);
    cluster.must(&["crm_resource", "--resource", "web", "--ban", "--node", "node2"]);
    started_off(&cluster, "web", "node2");
    cluster.must(&["crm_resource", "--resource", "web", "--clear"]);
    cluster.must(&["crm_attribute", "-t", "nodes", "-N", "node1", "-n", "standby", "-v", "on"]);
    started_off(&cluster, "web", "node1");
    cluster.must(&["crm_attribute", "-t", "nodes", "-N", "node1", "-n", "standby", "-D"]);
    let node = started(&cluster, "web");
    assert_eq!(nodes_with(&cluster, GREETER), [node].into());
    assert_eq!(cluster.fencings().len(), before);
}

#[test]
fn what_belongs_together_starts_in_order_in_one_place_and_stops_in_the_other_order() {
    let Some(cluster) = pool::take() else { return };
    let address = Primitive::new("vip", "ocf:heartbeat:IPaddr2").with("ip", FLOATING).with("cidr_netmask", 24);
    let together = "<rsc_colocation id=\"together\" rsc=\"web\" with-rsc=\"vip\" score=\"INFINITY\"/>";
    let order = "<rsc_order id=\"order\" first=\"vip\" then=\"web\"/>";
    cluster.add(
        &[address.with("nic", "eth0").monitored("1s").xml(), server("web").xml()],
        &[together.to_owned(), order.to_owned(), location("vip", "node2", "50")],
    );
    started_on(&cluster, "web", "node2");
    assert_eq!(cluster.greeting(FLOATING, PORT).unwrap(), "Hello! This is node2!");
    cluster.must(&["crm_resource", "--resource", "vip", "--move", "--node", "node3"]);
    started_on(&cluster, "web", "node3");
    assert_eq!(cluster.greeting(FLOATING, PORT).unwrap(), "Hello! This is node3!");
    for (node, action, first, second) in
        [("node2", "start", "vip", "web"), ("node2", "stop", "web", "vip"), ("node3", "start", "vip", "web")]
    {
        let log = cluster.named(node).log();
        let at = |what: String| log.find(&what).unwrap_or_else(|| panic!("{node}: no {what:?}"));
        let ended = at(format!("Result of {action} operation for {first} on {node}: ok"));
        let begun = at(format!("Requesting local execution of {action} operation for {second} on {node}"));
        assert!(ended < begun, "{node}: {action} of {second} before {first}");
    }
}

#[test]
fn crmsh_and_pcs_configure_the_same() {
    let Some(cluster) = pool::take() else { return };
    let node = cluster.node(1);
    for tool in ["crm", "pcs"] {
        if node.run(&["which", tool]).code != 0 && !skip(&format!("{tool} is missing")) {
            return;
        }
    }
    node.must(&[
        "crm",
        "configure",
        "primitive",
        "web",
        "ocf:ocf-wasm:sample-tcp-server",
        "params",
        "port=5678",
        "op",
        "monitor",
        "interval=1s",
    ]);
    let name = started(&cluster, "web");
    node.must(&["pcs", "resource", "update", "web", "greet=From pcs", "--wait"]);
    let heard = cluster.greeting(&cluster.named(&name).address(), PORT).unwrap();
    assert_eq!(heard, format!("From pcs This is {name}!"));
    // A value that no node would take is refused before the cluster has it.
    let refused = node.run(&["pcs", "resource", "update", "web", "port=70000", "--agent-validation"]);
    assert!(refused.code != 0 && refused.stderr.contains("port"), "{refused:#?}");
    node.must(&["crm", "resource", "stop", "web"]);
    cluster.until("it is stopped", LONG, |now| now.is_stopped("web").then_some(()));
    node.must(&["crm", "configure", "delete", "web"]);
    cluster.until("it is gone", LONG, |now| (now.of("web").count() == 0).then_some(()));
    assert!(nodes_with(&cluster, GREETER).is_empty());
}

#[test]
fn a_resource_that_can_migrate_is_not_stopped_on_its_way() {
    let Some(cluster) = pool::take() else { return };
    cluster.add(&[Primitive::ours("d", "dummy").meta("allow-migrate", "true").monitored("1s").xml()], &[]);
    let first = started(&cluster, "d");
    let second = if first == "node1" { "node2" } else { "node1" };
    cluster.must(&["crm_resource", "--resource", "d", "--move", "--node", second]);
    started_on(&cluster, "d", second);
    let [left, came] = [first.as_str(), second].map(|node| cluster.named(node));
    let done = cluster.wait("it is stopped where it was", LONG, &mut String::new(), |seen| {
        let done = left.results("d");
        *seen = format!("{done:?}");
        (done.last().unwrap() == "stop ok").then_some(done)
    });
    assert_eq!(done[done.len() - 2..], ["migrate_to ok", "stop ok"], "{done:?}");
    let done = came.results("d");
    assert!(done.contains(&"migrate_from ok".to_owned()), "{done:?}");
    assert!(!done.contains(&"start ok".to_owned()), "{done:?}");
    let listed = |node: &str| cluster.named(node).must(&["ocf-wasm", "list"]);
    assert!(listed(second).contains("  d ") && !listed(&first).contains("started, generation"), "{}", listed(&first));
}

#[test]
fn in_maintenance_nothing_is_done_and_afterwards_what_is_due() {
    let Some(cluster) = pool::take() else { return };
    let before = cluster.fencings().len();
    cluster.add(&[server("web").xml()], &[]);
    let name = started(&cluster, "web");
    let node = cluster.named(&name);
    cluster.must(&["crm_attribute", "-n", "maintenance-mode", "-v", "true"]);
    cluster.until("it is not managed", LONG, |now| now.of("web").all(|web| !web.is_managed).then_some(()));
    // The cluster itself ends and begins, and finds what runs.
    let pid = only_process(node, GREETER);
    for node in cluster.nodes() {
        node.stop_cluster().unwrap();
    }
    assert_eq!(only_process(node, GREETER), pid, "it runs without a cluster");
    for node in cluster.nodes() {
        node.start_cluster().unwrap();
    }
    cluster.await_all(LONG).unwrap();
    cluster.until("web is found", LONG, |now| (now.nodes_in("web", "Started") == [name.as_str()].into()).then_some(()));
    assert_eq!(only_process(node, GREETER), pid);
    // What fails now is told and left alone.
    node.must(&["pkill", "-KILL", "-f", GREETER]);
    let starts = || node.results("web").iter().filter(|result| *result == "start ok").count();
    let started_before = starts();
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert!(node.processes(GREETER).is_empty(), "somebody started it in maintenance");
    assert_eq!(starts(), started_before);
    cluster.must(&["crm_attribute", "-n", "maintenance-mode", "-D"]);
    cluster.wait("it is recovered", LONG, &mut String::new(), |seen| {
        *seen = format!("{:?}", nodes_with(&cluster, GREETER));
        (nodes_with(&cluster, GREETER).len() == 1).then_some(())
    });
    started(&cluster, "web");
    assert_eq!(cluster.fencings().len(), before);
}

#[test]
fn what_was_started_by_hand_is_found_and_adopted() {
    let Some(cluster) = pool::take() else { return };
    let node = cluster.node(2);
    let agent = format!("/usr/lib/ocf/resource.d/{AGENT}");
    node.must(&[
        "env",
        "OCF_ROOT=/usr/lib/ocf",
        "OCF_RESOURCE_INSTANCE=web",
        "OCF_RESKEY_CRM_meta_timeout=20000",
        &agent,
        "start",
    ]);
    let pid = only_process(node, GREETER);
    cluster.add(&[server("web").xml()], &[location("web", "node1", "50")]);
    started_on(&cluster, "web", "node2");
    monitored_again(&cluster, node, AGENT, "web", 2);
    assert_eq!(only_process(node, GREETER), pid);
    assert!(!node.results("web").iter().any(|result| result.starts_with("start")), "adopted, and not started");
    // Not managed, it is left alone even when it should be stopped; managed, it is stopped.
    set_meta(&cluster, "web", "is-managed", "false");
    set_meta(&cluster, "web", "target-role", "Stopped");
    cluster.until("it is not managed", LONG, |now| now.of("web").all(|web| !web.is_managed).then_some(()));
    monitored_again(&cluster, node, AGENT, "web", 2);
    assert_eq!(only_process(node, GREETER), pid);
    set_meta(&cluster, "web", "is-managed", "true");
    cluster.until("it is stopped", LONG, |now| now.is_stopped("web").then_some(()));
    assert!(nodes_with(&cluster, GREETER).is_empty());
}

#[test]
fn a_changed_parameter_reloads_or_restarts_as_its_metadata_says() {
    let Some(cluster) = pool::take() else { return };
    cluster.add(&[server("web").xml(), Primitive::ours("d", "dummy").monitored("1s").xml()], &[]);
    let (web, d) = (started(&cluster, "web"), started(&cluster, "d"));
    let (web, d) = (cluster.named(&web), cluster.named(&d));
    let pid = only_process(web, GREETER);
    let before = d.results("d").len();
    set(&cluster, "d", "fake", "changed");
    let reloaded = cluster.wait("d is reloaded", LONG, &mut String::new(), |seen| {
        let new = d.results("d").split_off(before);
        *seen = format!("{new:?}");
        (!new.is_empty()).then_some(new)
    });
    assert_eq!(reloaded[0], "reload-agent ok", "{reloaded:?}");

    let before = web.results("web").len();
    set(&cluster, "web", "greet", "Good day!");
    cluster.wait("web greets with the new words", LONG, &mut String::new(), |seen| {
        *seen = cluster.greeting(&web.address(), PORT).unwrap_or_else(|error| error.to_string());
        (*seen == format!("Good day! This is {}!", web.name())).then_some(())
    });
    started_on(&cluster, "web", web.name());
    assert_ne!(only_process(web, GREETER), pid);
    let done = web.results("web").split_off(before);
    assert_eq!(done[..2], ["stop ok", "start ok"].map(str::to_owned), "{done:?}");
    let all = d.results("d");
    assert!(!all.iter().any(|result| result.starts_with("stop")), "{all:?}");
}

#[test]
fn another_version_is_swapped_in_while_the_cluster_watches() {
    let Some(mut cluster) = pool::take() else { return };
    cluster.spoil();
    let before = cluster.fencings().len();
    cluster.add(&[server("web").xml()], &[]);
    let name = started(&cluster, "web");
    let node = cluster.named(&name);
    let pid = only_process(node, GREETER);
    let scratch = tempfile::tempdir().unwrap();
    let generation = || {
        let listed: serde_json::Value = serde_json::from_str(&node.must(&["ocf-wasm", "-o", "json", "list"])).unwrap();
        let web = listed["instances"].as_array().unwrap().iter().find(|one| one["instance"] == "web").cloned();
        web.unwrap()["generation"].as_u64().unwrap()
    };
    assert_eq!(generation(), 1);
    // One node after the other, as a rolling upgrade does it.
    for mark in 1..=3 {
        let component = variant_of(&plugin("sample-tcp-server"), mark, scratch.path());
        for node in cluster.nodes() {
            install(node, &component, &[]).unwrap();
        }
        assert_eq!(generation(), u64::from(mark) + 1, "what runs uses the new one");
        monitored_again(&cluster, node, AGENT, "web", 2);
    }
    for node in cluster.nodes() {
        node.must(&["ocf-wasm", "rollback", AGENT]);
    }
    assert_eq!(generation(), 3);
    monitored_again(&cluster, node, AGENT, "web", 2);
    let now = cluster.status().unwrap();
    assert!(now.is_started_on("web", &name) && now.failures.is_empty(), "{now}");
    assert_eq!(only_process(node, GREETER), pid);
    assert_eq!(node.results("web"), ["probe not running", "start ok", "monitor ok"]);
    assert_eq!(cluster.fencings().len(), before);
}
