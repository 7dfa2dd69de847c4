//! Resources that run in several places: alike, each with a number, and with a role that only one of them has.

use std::collections::BTreeSet;

use ocf_wasm_tests::cluster::{Cluster, LONG, Node, Primitive, clone};

use crate::{nodes_with, pool};

/// Port in the policy of the plugin `anything`.
const PORT: u16 = 5680;
const DAEMON: &str = "examples/greeter --port 5680";

fn all() -> BTreeSet<String> {
    ["node1", "node2", "node3"].map(str::to_owned).into()
}

#[test]
fn an_anonymous_clone_runs_on_each_node() {
    let Some(cluster) = pool::take() else { return };
    let before = cluster.fencings().len();
    let each = Primitive::ours("each", "anything").with("binfile", "/usr/libexec/ocf-wasm/examples/greeter");
    cluster.add(&[clone("everywhere", &[], &each.monitored("1s"))], &[]);
    cluster.until("it runs on each node", LONG, |now| (now.nodes_in("each", "Started").len() == 3).then_some(()));
    assert_eq!(nodes_with(&cluster, DAEMON), all());
    for node in cluster.nodes() {
        let heard = cluster.greeting(&node.address(), PORT).unwrap();
        assert_eq!(heard, format!("Hello! This is {}!", node.name()), "each instance is a daemon of its own");
    }
    // One that is killed is started again where it was; the others go on.
    let [two, three] = [2, 3].map(|number| cluster.node(number).processes(DAEMON));
    cluster.node(1).must(&["pkill", "-KILL", "-f", DAEMON]);
    cluster.until("the failure is seen", LONG, |now| (now.failures_of("each").len() == 1).then_some(()));
    cluster.until("it runs on each node again", LONG, |now| {
        (now.nodes_in("each", "Started").len() == 3 && nodes_with(&cluster, DAEMON) == all()).then_some(())
    });
    assert_eq!([2, 3].map(|number| cluster.node(number).processes(DAEMON)), [two, three]);
    assert_eq!(cluster.fencings().len(), before);
}

/// The instances that a node knows to run, by what its records say.
fn instances(cluster: &Cluster, node: &str) -> BTreeSet<String> {
    let listed = cluster.named(node).must(&["ocf-wasm", "-o", "json", "list"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let all = listed["instances"].as_array().unwrap().iter().filter(|one| one["state"] == "started");
    all.map(|one| one["instance"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn instances_of_a_globally_unique_clone_are_kept_apart() {
    let Some(cluster) = pool::take() else { return };
    let meta = [("globally-unique", "true"), ("clone-max", "4"), ("clone-node-max", "2")];
    cluster.add(&[clone("numbered", &meta, &Primitive::ours("d", "dummy").monitored("1s"))], &[]);
    let placed = |without: &str| {
        cluster.until(&format!("four run, none on {without:?}"), LONG, |now| {
            let placed: Vec<(String, String)> = now
                .of("d")
                .filter(|one| one.role == "Started")
                .filter_map(|one| Some((one.id.clone(), one.nodes.first()?.clone())))
                .collect();
            (placed.len() == 4 && placed.iter().all(|(_, node)| node != without)).then_some(placed)
        })
    };
    // What Pacemaker believes is what the nodes know: two instances on one node are two.
    let agree = |placed: &[(String, String)]| {
        for node in cluster.nodes() {
            let believed: BTreeSet<String> =
                placed.iter().filter(|(_, on)| on == node.name()).map(|(id, _)| id.clone()).collect();
            assert_eq!(instances(&cluster, node.name()), believed, "on {}", node.name());
        }
    };
    let first = placed("");
    agree(&first);
    assert_eq!(first.iter().map(|(id, _)| id.as_str()).collect::<BTreeSet<_>>().len(), 4, "{first:?}");
    let crowded = cluster.nodes().iter().map(|node| instances(&cluster, node.name()).len()).max();
    assert_eq!(crowded, Some(2));

    cluster.give_power_back(false);
    cluster.node(3).power_off().unwrap();
    let second = placed("node3");
    for node in ["node1", "node2"] {
        assert_eq!(instances(&cluster, node).len(), 2, "{second:?}");
    }
}

/// The nodes whose copy the cluster told of a phase, by the log of who decides.
fn told(cluster: &Cluster, phase: &str) -> BTreeSet<String> {
    let logs: Vec<String> = cluster.nodes().iter().map(Node::log).collect();
    let to = |line: &str| {
        let (key, rest) = line.split_once("Initiating notify operation ")?.1.split_once(' ')?;
        let node = rest.split_once("on ")?.1.split(' ').next()?;
        (key.starts_with("db") && key.ends_with(&format!("_{phase}_0"))).then(|| node.to_owned())
    };
    logs.iter().flat_map(|log| log.lines()).filter_map(to).collect()
}

#[test]
fn a_promotable_clone_has_one_promoted_and_all_are_notified() {
    let Some(cluster) = pool::take() else { return };
    let before = cluster.fencings().len();
    let database = Primitive::ours("db", "stateful")
        .operation("monitor", &[("interval", "2s"), ("role", "Promoted"), ("timeout", "20s")])
        .operation("monitor", &[("interval", "3s"), ("role", "Unpromoted"), ("timeout", "20s")]);
    let meta = [("promotable", "true"), ("notify", "true")];
    cluster.add(&[clone("dbs", &meta, &database)], &[]);
    let promoted = |without: &str| {
        cluster.until(&format!("one is promoted, not {without:?}"), LONG, |now| {
            let (promoted, others) = (now.nodes_in("db", "Promoted"), now.nodes_in("db", "Unpromoted"));
            let [one] = promoted.iter().copied().collect::<Vec<_>>()[..] else { return None };
            (one != without && others.len() == 2).then(|| one.to_owned())
        })
    };
    let first = promoted("");
    let score = |node: &str| {
        cluster
            .named(node)
            .must(&["crm_attribute", "--promotion=db", "--query", "--quiet", "-N", node])
            .trim()
            .to_owned()
    };
    for node in ["node1", "node2", "node3"] {
        assert_eq!(score(node), if node == first { "10" } else { "5" }, "on {node}");
    }
    // It is demoted here and promoted elsewhere, where it may not be promoted here any more.
    cluster.must(&["crm_resource", "--resource", "dbs", "--ban", "--promoted", "--node", &first]);
    let second = promoted(&first);
    cluster.must(&["crm_resource", "--resource", "dbs", "--clear"]);
    // And one copy is stopped, and started again while the others run.
    let copies = |number: usize| {
        let value = number.to_string();
        let meta = ["--meta", "--set-parameter", "clone-max", "--parameter-value", &value];
        cluster.must(&[&["crm_resource", "--resource", "dbs"], &meta[..]].concat());
        cluster.until(&format!("{number} run"), LONG, |now| {
            let (promoted, others) = (now.nodes_in("db", "Promoted"), now.nodes_in("db", "Unpromoted"));
            let running: BTreeSet<String> = promoted.union(&others).map(|node| (*node).to_owned()).collect();
            (promoted.len() == 1 && running.len() == number).then_some(running)
        })
    };
    let left = copies(2);
    copies(3);
    // Each phase was announced, and each announcement was well received.
    for phase in [
        "pre_notify_start",
        "post_notify_start",
        "pre_notify_promote",
        "post_notify_promote",
        "pre_notify_demote",
        "post_notify_demote",
        "pre_notify_stop",
        "post_notify_stop",
    ] {
        cluster.wait(phase, LONG, &mut String::new(), |_| {
            let announced = format!("_{phase}_0");
            cluster.nodes().iter().any(|node| node.log().contains(&announced)).then_some(())
        });
    }
    // And to whom it is for: a start is announced to those that run, and told to all of them and who came.
    for (phase, to) in [("pre_notify_start", &left), ("post_notify_start", &all()), ("pre_notify_stop", &all())] {
        assert_eq!(told(&cluster, phase), *to, "{phase}");
    }
    for node in cluster.nodes() {
        let results = node.results("db");
        let notified = results.iter().filter(|result| result.starts_with("notify ")).count();
        assert!(notified >= 4, "{}: {results:?}", node.name());
        let bad = |result: &&String| {
            !matches!(result.as_str(), "probe not running" | "monitor promoted") && !result.ends_with(" ok")
        };
        assert_eq!(results.iter().find(bad), None, "{}: {results:?}", node.name());
    }
    assert_eq!(cluster.fencings().len(), before);
    println!("promoted on {first}, then on {second}");
}
