//! What people type and read: pcs and crmsh through the life of a resource, monitors of two depths, and what is shown of
//! a resource that runs and will not run for long.

use ocf_wasm_tests::cluster::{Cluster, LONG, Node, Primitive, clone, install, install_policy, location};
use ocf_wasm_tests::host::{HOSTILE_POLICY, hostile, skip};

use crate::{GREETER, monitored_again, nodes_with, only_process, pool, started, started_off, started_on};

const AGENT: &str = "ocf-wasm/sample-tcp-server";

/// Whether both tools are here; says aloud when not.
fn has_tools(node: &Node) -> bool {
    ["crm", "pcs"].iter().all(|tool| node.run(&["which", tool]).code == 0 || skip(&format!("{tool} is missing")))
}

/// Runs what is typed.
#[track_caller]
fn typed(node: &Node, line: &str) -> String {
    node.must(&line.split(' ').collect::<Vec<_>>())
}

#[test]
fn pcs_and_crmsh_lead_a_resource_through_its_life() {
    let Some(cluster) = pool::take() else { return };
    let admin = cluster.node(1);
    if !has_tools(admin) {
        return;
    }
    let fenced = cluster.fencings().len();
    typed(admin, "pcs resource create web ocf:ocf-wasm:sample-tcp-server op monitor interval=1s timeout=20s");
    let first = started(&cluster, "web");
    let other = if first == "node2" { "node3" } else { "node2" };
    typed(admin, &format!("crm resource move web {other}"));
    started_on(&cluster, "web", other);
    typed(admin, "crm resource clear web");
    typed(admin, &format!("pcs resource ban web {other}"));
    let name = started_off(&cluster, "web", other);
    typed(admin, "pcs resource clear web");
    let node = cluster.named(&name);

    // Not managed it is watched and left alone; managed again it is as it was.
    let pid = only_process(node, GREETER);
    typed(admin, "pcs resource unmanage web");
    cluster.until("it is not managed", LONG, |now| now.of("web").all(|web| !web.is_managed).then_some(()));
    monitored_again(&cluster, node, AGENT, "web", 2);
    typed(admin, "crm resource manage web");
    cluster.until("it is managed", LONG, |now| now.is_started_on("web", &name).then_some(()));
    assert_eq!(only_process(node, GREETER), pid);

    // A failure is shown by both, and forgotten when both are told to, without touching what runs.
    for clean in ["pcs resource cleanup web", "crm resource cleanup web"] {
        node.must(&["pkill", "-KILL", "-f", GREETER]);
        cluster.until("the failure is seen", LONG, |now| {
            (!now.failures_of("web").is_empty() && now.is_started_on("web", &name)).then_some(())
        });
        let pid = only_process(node, GREETER);
        for status in ["pcs status", "crm status"] {
            let shown = typed(admin, status);
            assert!(shown.contains("web") && shown.contains("the main process ended"), "{status}: {shown}");
        }
        typed(admin, clean);
        cluster.until(clean, LONG, |now| now.failures_of("web").is_empty().then_some(()));
        monitored_again(&cluster, node, AGENT, "web", 2);
        assert_eq!(only_process(node, GREETER), pid, "{clean}");
    }
    for refresh in ["pcs resource refresh web", "crm resource refresh web"] {
        let (pid, probes) = (only_process(node, GREETER), node.results("web").len());
        typed(admin, refresh);
        cluster.wait(refresh, LONG, &mut String::new(), |seen| {
            let new = node.results("web").split_off(probes);
            *seen = format!("{new:?}");
            (new.first()? == "probe ok").then_some(())
        });
        monitored_again(&cluster, node, AGENT, "web", 2);
        assert_eq!(only_process(node, GREETER), pid, "{refresh}");
    }

    typed(admin, "pcs resource disable web");
    cluster.until("it is stopped", LONG, |now| now.is_stopped("web").then_some(()));
    typed(admin, "crm resource start web");
    started(&cluster, "web");
    let shown = typed(admin, "crm configure show web");
    assert!(shown.contains("primitive web ocf:ocf-wasm:sample-tcp-server"), "{shown}");
    typed(admin, "pcs resource delete web");
    cluster.until("it is gone", LONG, |now| (now.of("web").count() == 0).then_some(()));
    assert!(nodes_with(&cluster, GREETER).is_empty());
    assert_eq!(cluster.fencings().len(), fenced);
}

/// The plugin that misbehaves, monitored every second, and thoroughly every two.
fn misbehaving(id: &str) -> Primitive {
    let often = [("interval", "1s"), ("timeout", "20s")];
    let thoroughly = [("interval", "2s"), ("timeout", "20s")];
    Primitive::new(id, "ocf:test:hostile")
        .operation("monitor", &often)
        .operation("monitor", &thoroughly)
        .operation_parameter("OCF_CHECK_LEVEL", "10")
}

#[track_caller]
fn install_the_misbehaving(cluster: &Cluster) {
    for node in cluster.nodes() {
        install_policy(node, "test/hostile", HOSTILE_POLICY).unwrap();
        install(node, &hostile(), &[]).unwrap();
    }
}

#[test]
fn two_monitors_of_different_depth_and_what_will_not_run_for_long() {
    let Some(cluster) = pool::take() else { return };
    let admin = cluster.node(1);
    if !has_tools(admin) {
        return;
    }
    install_the_misbehaving(&cluster);
    let worn = misbehaving("worn").with("in", "monitor").with("do", "answer").with("answer", "degraded");
    let leader = Primitive::new("leader", "ocf:test:hostile")
        .with("in", "monitor")
        .with("do", "answer")
        .with("answer", "degraded-promoted")
        .operation("monitor", &[("interval", "1s"), ("timeout", "20s"), ("role", "Promoted")])
        .operation_parameter("OCF_CHECK_LEVEL", "10")
        .operation("monitor", &[("interval", "2s"), ("timeout", "20s")]);
    let promoted = "<rsc_location id=\"leads\" rsc=\"leaders\" role=\"Promoted\" node=\"node1\" score=\"100\"/>";
    let places = [location("deep", "node2", "100"), location("worn", "node3", "100"), promoted.to_owned()];
    let leaders = clone("leaders", &[("promotable", "true")], &leader);
    cluster.add(&[misbehaving("deep").xml(), worn.xml(), leaders], &places);

    // Each depth has a monitor of its own, and a thorough one that fails fails alone.
    let node = cluster.node(2);
    started_on(&cluster, "deep", "node2");
    let done = |words: &str| {
        let actions = node.inside("/run/ocf-wasm/test/hostile/deep/actions");
        let text = std::fs::read_to_string(actions).unwrap_or_default();
        text.lines().filter(|line| line.contains(words)).count()
    };
    cluster.wait("both monitors", LONG, &mut String::new(), |_| {
        (done("\tmonitor\t0\t") >= 2 && done("\tmonitor level 10\t0\t") >= 2).then_some(())
    });
    let set = ["--set-parameter", "do", "--parameter-value", "level"];
    cluster.must(&[&["crm_resource", "--resource", "deep"], &set[..]].concat());
    let set = ["--set-parameter", "in", "--parameter-value", "monitor"];
    cluster.must(&[&["crm_resource", "--resource", "deep"], &set[..]].concat());
    let failure =
        cluster.until("the thorough one fails", LONG, |now| now.failures_of("deep").first().copied().cloned());
    assert_eq!((failure.action.as_str(), failure.code, failure.reason.as_str()), ("deep_monitor_2000", 1, "level 10"));
    assert_eq!(done("\tmonitor\t1\t"), 0, "the other one asks for nothing thorough");

    // What is degraded runs on, without a failure that counts, and both tools show it.
    cluster.until("worn out", LONG, |now| {
        let shown = now.failures_of("worn");
        (shown.first()?.code == 190 && now.of("worn").all(|one| one.role == "Started")).then_some(())
    });
    cluster.until("worn out, and leads", LONG, |now| {
        let shown = now.failures_of("leader");
        (shown.first()?.code == 191 && now.nodes_in("leader", "Promoted") == ["node1"].into()).then_some(())
    });
    monitored_again(&cluster, cluster.node(3), "test/hostile", "worn", 3);
    monitored_again(&cluster, cluster.node(1), "test/hostile", "leader", 3);
    for (id, node) in [("worn", cluster.node(3)), ("leader", cluster.node(1))] {
        let results = node.results(id);
        assert!(
            !results.iter().any(|result| result.starts_with("stop") || result.starts_with("demote")),
            "{results:?}"
        );
        let count = cluster.must(&["crm_failcount", "--query", "--resource", id, "--node", node.name()]);
        assert!(count.contains("value=0"), "{count}");
    }
    for status in ["crm_mon -1", "pcs status", "crm status"] {
        let shown = typed(admin, status);
        for (id, words) in [("worn", "OCF_DEGRADED"), ("leader", "promoted (degraded)")] {
            let line = shown.lines().find(|line| line.contains(&format!("* {id} ")) && line.contains(words));
            assert!(line.is_some(), "{status}: {id}: {shown}");
        }
    }
}
