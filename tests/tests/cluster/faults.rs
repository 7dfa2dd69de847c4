//! What happens to nodes and to daemons while a resource runs: hangs, full file systems, lost records, leftovers.

use std::fs;
use std::time::Duration;

use ocf_wasm_tests::cluster::{Cluster, LONG, Primitive};
use ocf_wasm_tests::processes::is_alive;

use crate::{GREETER, PORT, monitored_again, nodes_with, only_process, pool, server, started, started_off, started_on};

const AGENT: &str = "ocf-wasm/sample-tcp-server";

/// Who was fenced since the test began.
fn fenced(cluster: &Cluster, before: usize) -> Vec<String> {
    cluster.fencings().drain(before..).map(|fencing| fencing.node).collect()
}

#[test]
fn a_daemon_that_hangs_is_ended_and_started_again() {
    let Some(cluster) = pool::take() else { return };
    let before = cluster.fencings().len();
    let web = Primitive::ours("web", "sample-tcp-server");
    let timeouts = [("interval", "1s"), ("timeout", "5s")];
    cluster.add(&[web.operation("monitor", &timeouts).operation("stop", &[("timeout", "5s")]).xml()], &[]);
    let name = started(&cluster, "web");
    let node = cluster.named(&name);
    let pid = only_process(node, GREETER);
    // Its port is open still, and nobody greets there; and it takes no notice of TERM.
    node.must(&["kill", "-STOP", &pid.to_string()]);
    let failure = cluster.until("the failure is seen", LONG, |now| now.failures_of("web").first().copied().cloned());
    assert_eq!((failure.code, failure.status.as_str()), (1, "complete"), "{failure:?}");
    cluster.wait("another daemon greets", LONG, &mut String::new(), |seen| {
        *seen = cluster.greeting(&node.address(), PORT).unwrap_or_else(|error| error.to_string());
        seen.starts_with("Hello!").then_some(())
    });
    started_on(&cluster, "web", &name);
    assert_ne!(only_process(node, GREETER), pid);
    assert_eq!(fenced(&cluster, before), [""; 0]);
}

#[test]
fn a_node_that_hangs_or_is_alone_is_fenced_before_its_resource_runs_elsewhere() {
    let Some(cluster) = pool::take() else { return };
    cluster.add(&[server("web").xml()], &[]);
    for fault in ["freeze", "isolate", "cut"] {
        let before = cluster.fencings().len();
        let name = started(&cluster, "web");
        let node = cluster.named(&name);
        let pid = node.pid().unwrap();
        cluster.obey(&format!("{fault} {name}")).unwrap();
        let other = started_off(&cluster, "web", &name);
        assert!(!is_alive(pid), "{fault}: {other} began before {name} had ended");
        assert_eq!(fenced(&cluster, before), [name.as_str()], "{fault}");
        cluster.await_all(LONG).unwrap();
        assert_eq!(nodes_with(&cluster, GREETER), [other].into(), "{fault}");
    }
}

#[test]
fn busy_processors_make_no_failures() {
    let Some(cluster) = pool::take() else { return };
    let before = cluster.fencings().len();
    let ids: Vec<String> = (0..9).map(|number| format!("d{number}")).collect();
    let all: Vec<String> = ids.iter().map(|id| Primitive::ours(id, "dummy").monitored("1s").xml()).collect();
    cluster.add(&[&all[..], &[server("web").xml()]].concat(), &[]);
    let name = started(&cluster, "web");
    let homes: Vec<String> = ids.iter().map(|id| started(&cluster, id)).collect();
    for node in cluster.nodes() {
        node.load(2).unwrap();
    }
    monitored_again(&cluster, cluster.named(&name), AGENT, "web", 5);
    for (id, home) in ids.iter().zip(&homes) {
        monitored_again(&cluster, cluster.named(home), "ocf-wasm/dummy", id, 1);
    }
    for node in cluster.nodes() {
        node.load(0).unwrap();
    }
    let now = cluster.status().unwrap();
    assert!(now.failures.is_empty() && now.is_started_on("web", &name), "{now}");
    for (id, home) in ids.iter().zip(&homes) {
        assert!(now.is_started_on(id, home), "{id} left {home}: {now}");
    }
    assert_eq!(fenced(&cluster, before), [""; 0]);
}

#[test]
fn a_full_file_system_neither_fails_what_runs_nor_its_stop() {
    let Some(cluster) = pool::take() else { return };
    let before = cluster.fencings().len();
    cluster.add(&[server("web").xml()], &[]);
    for full in ["/run", "/var/lib/ocf-wasm"] {
        let name = started(&cluster, "web");
        let node = cluster.named(&name);
        let pid = only_process(node, GREETER);
        let filled = node.fill(full).unwrap();
        // At least three monitors, of which the history may not tell now.
        std::thread::sleep(Duration::from_secs(4));
        let now = cluster.status().unwrap();
        assert!(now.is_started_on("web", &name) && now.failures.is_empty(), "{full}: {now}");
        assert_eq!(only_process(node, GREETER), pid, "{full}");
        cluster.must(&["crm_resource", "--resource", "web", "--ban", "--node", &name]);
        let other = started_off(&cluster, "web", &name);
        assert_eq!(nodes_with(&cluster, GREETER), [other.clone()].into(), "{full}");
        // And a start there, without room for a record, is refused or works, and is no harm.
        cluster.must(&["crm_resource", "--resource", "web", "--clear"]);
        cluster.must(&["crm_resource", "--resource", "web", "--ban", "--node", &other]);
        let third = started_off(&cluster, "web", &other);
        assert_eq!(nodes_with(&cluster, GREETER), [third].into(), "{full}");
        drop(filled);
        cluster.must(&["crm_resource", "--resource", "web", "--clear"]);
        cluster.must(&["crm_resource", "--cleanup", "--resource", "web"]);
        assert_eq!(fenced(&cluster, before), [""; 0], "{full}");
    }
}

#[test]
fn a_dead_leftover_on_another_node_does_not_touch_the_healthy_copy() {
    let Some(cluster) = pool::take() else { return };
    let before = cluster.fencings().len();
    cluster.add(&[server("web").xml()], &[]);
    let name = started(&cluster, "web");
    let node = cluster.named(&name);
    let pid = only_process(node, GREETER);
    let others: Vec<_> = cluster.nodes().iter().filter(|other| other.name() != name).collect();
    for other in &others {
        let agent = format!("/usr/lib/ocf/resource.d/{AGENT}");
        let variables = ["OCF_ROOT=/usr/lib/ocf", "OCF_RESOURCE_INSTANCE=web", "OCF_RESKEY_CRM_meta_timeout=20000"];
        other.must(&[&["env"], &variables[..], &[&agent, "start"]].concat());
        other.must(&["pkill", "-KILL", "-f", "examples/greeter"]);
        // A monitor says that it failed; whoever only looks whether it runs is told that it does not.
        let recurring = [&["env", "OCF_RESKEY_CRM_meta_interval=1000"], &variables[..], &[&agent, "monitor"]].concat();
        assert_eq!(other.run(&recurring).code, 1);
    }
    cluster.must(&["crm_resource", "--refresh", "--resource", "web"]);
    for other in &others {
        cluster.until("it is probed", LONG, |_| (other.results("web").len() >= 2).then_some(()));
        assert_eq!(other.results("web"), ["probe not running"; 2]);
    }
    monitored_again(&cluster, node, AGENT, "web", 2);
    started_on(&cluster, "web", &name);
    assert_eq!(only_process(node, GREETER), pid);
    assert_eq!(fenced(&cluster, before), [""; 0]);
}

#[test]
fn an_agent_whose_file_is_gone_cannot_be_stopped_by_anybody() {
    let Some(mut cluster) = pool::take() else { return };
    cluster.spoil();
    let before = cluster.fencings().len();
    cluster.add(&[server("web").xml()], &[]);
    let name = started(&cluster, "web");
    let node = cluster.named(&name);
    // What no package manager may do while it runs, and `ocf-wasm remove` does not.
    fs::remove_file(node.inside(format!("/usr/lib/ocf/resource.d/{AGENT}"))).unwrap();
    let other = started_off(&cluster, "web", &name);
    let results = node.results("web");
    let at = results.iter().position(|result| result.starts_with("monitor Not installed")).unwrap();
    assert!(results[at + 1].starts_with("stop Not installed"), "{results:?}");
    assert_eq!(fenced(&cluster, before), [name.as_str()], "Pacemaker had nobody to ask");
    // Without it the node takes no part for this agent; with it, it does again.
    cluster.await_all(LONG).unwrap();
    assert_eq!(nodes_with(&cluster, GREETER), [other.clone()].into());
    let place = format!("/usr/lib/ocf/resource.d/{AGENT}");
    node.must(&["ln", "-s", "/usr/libexec/ocf-wasm/ocf-wasm-agent", &place]);
    cluster.must(&["crm_resource", "--refresh", "--resource", "web"]);
    cluster.must(&["crm_resource", "--resource", "web", "--move", "--node", &name]);
    started_on(&cluster, "web", &name);
    assert_eq!(nodes_with(&cluster, GREETER), [name.clone()].into());
}
