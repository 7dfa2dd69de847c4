//! A new host and a new version of each plugin go over the nodes, one after the other, while resources run and move: what the
//! old host started is monitored and stopped by the new one, and nodes with different hosts hand resources to each other.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use ocf_wasm_tests::cluster::{Cluster, Node, Primitive, install, location};
use ocf_wasm_tests::command::finish;
use ocf_wasm_tests::host::{dist, plugin, variant_of};

use crate::{GREETER, monitored_again, nodes_with, only_process, pool, server, started_on};

const SERVER: &str = "ocf-wasm/sample-tcp-server";
const DUMMY: &str = "ocf-wasm/dummy";

/// Puts files of another build in the place of the host's, as a package does: another file under each name.
fn upgrade_host(node: &Node) {
    let tree = node.disk().join("lib/host");
    fs::create_dir(&tree).unwrap();
    let copied = finish(std::process::Command::new("cp").arg("-a").arg(dist().join("usr")).arg(&tree));
    assert_eq!(copied.code, 0, "{copied:#?}");
    for program in ["libexec/ocf-wasm/ocf-wasm-agent", "libexec/ocf-wasm/ocf-wasm-compile", "bin/ocf-wasm"] {
        // What stands behind the end of a program is nothing to it.
        let mut file = File::options().append(true).open(tree.join("usr").join(program)).unwrap();
        file.write_all(b"another build").unwrap();
    }
    for place in ["/usr/libexec/ocf-wasm", "/usr/bin/ocf-wasm"] {
        node.must(&["mount", "--bind", &format!("/var/lib/ocf-wasm/host{place}"), place]);
    }
    let seen = node.must(&["tail", "-c", "13", "/usr/libexec/ocf-wasm/ocf-wasm-agent"]);
    assert_eq!(seen, "another build");
}

fn upgrade_plugins(node: &Node, scratch: &Path) {
    for name in ["sample-tcp-server", "dummy"] {
        let new = variant_of(&plugin(name), 9, scratch);
        install(node, &new, &[]).unwrap();
    }
}

#[track_caller]
fn moved(cluster: &Cluster, to: &str) {
    for id in ["web", "d"] {
        cluster.must(&["crm_resource", "--resource", id, "--move", "--node", to]);
    }
    for id in ["web", "d"] {
        started_on(cluster, id, to);
        cluster.must(&["crm_resource", "--resource", id, "--clear"]);
    }
    assert_eq!(nodes_with(cluster, GREETER), [to.to_owned()].into());
    for (agent, id) in [(SERVER, "web"), (DUMMY, "d")] {
        monitored_again(cluster, cluster.named(to), agent, id, 2);
    }
}

#[test]
fn host_and_plugins_are_upgraded_node_by_node_between_start_and_stop() {
    let Some(mut cluster) = pool::take() else { return };
    cluster.spoil();
    let fenced = cluster.fencings().len();
    let scratch = tempfile::tempdir().unwrap();
    let d = Primitive::ours("d", "dummy").meta("allow-migrate", "true").monitored("1s");
    // What is moved stays where it was moved to.
    let stays = |primitive: Primitive| primitive.meta("resource-stickiness", "100").xml();
    cluster.add(&[stays(server("web")), stays(d)], &[location("web", "node1", "50"), location("d", "node1", "50")]);
    started_on(&cluster, "web", "node1");
    started_on(&cluster, "d", "node1");
    for (here, next) in [("node1", "node2"), ("node2", "node3"), ("node3", "node1")] {
        // While both run here; the next node has the old host still, and in the last round the new one.
        let node = cluster.named(here);
        let pid = only_process(node, GREETER);
        upgrade_host(node);
        for (agent, id) in [(SERVER, "web"), (DUMMY, "d")] {
            monitored_again(&cluster, node, agent, id, 2);
        }
        upgrade_plugins(node, scratch.path());
        for (agent, id) in [(SERVER, "web"), (DUMMY, "d")] {
            monitored_again(&cluster, node, agent, id, 2);
        }
        assert_eq!(only_process(node, GREETER), pid, "what {here} runs is not touched by its upgrade");
        moved(&cluster, next);
        let ends = |id: &str| node.results(id).last().cloned().unwrap_or_default();
        assert_eq!([ends("web"), ends("d")], ["stop ok", "stop ok"]);
    }
    let now = cluster.status().unwrap();
    assert!(now.failures.is_empty(), "{now}");
    let migrated = |node: &Node| node.results("d").contains(&"migrate_from ok".to_owned());
    assert!(cluster.nodes().iter().all(migrated), "to each node it was migrated");
    assert_eq!(cluster.fencings().len(), fenced);
}
