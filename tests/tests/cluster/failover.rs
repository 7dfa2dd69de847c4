//! A node loses its power: it is fenced, and what it held runs elsewhere, once.

use std::collections::BTreeSet;
use std::time::Instant;

use ocf_wasm_tests::cluster::{Cluster, FLOATING, LONG, Primitive, group, location};

use crate::{GREETER, PORT, nodes_with, pool, server, started, started_off};

/// A second floating address, for the shell agents.
const FLOATING_SHELL: &str = "10.77.0.101";
const PORT_SHELL: u16 = 5679;

/// Waits until a client is greeted by a node, and returns when.
#[track_caller]
fn greeted_by(cluster: &Cluster, place: (&str, u16), is_wanted: impl Fn(&str) -> bool) -> (Instant, String) {
    let what = format!("a client is greeted at {}:{}", place.0, place.1);
    cluster.wait(&what, LONG, &mut String::new(), |seen| {
        *seen = cluster.greeting(place.0, place.1).unwrap_or_else(|error| format!("{error:#}"));
        is_wanted(seen).then(|| (Instant::now(), seen.clone()))
    })
}

/// Lets nodes that are fenced stay without power, as others take minutes to come back: these are back in two seconds, which
/// may be before the cluster has decided where to go on.
fn fenced_for_longer(cluster: &Cluster) {
    cluster.must(&["crm_attribute", "-t", "crm_config", "-n", "stonith-action", "-v", "off"]);
}

#[test]
fn a_primitive_moves_when_its_node_loses_power() {
    let Some(mut cluster) = pool::take() else { return };
    cluster.spoil();
    fenced_for_longer(&cluster);
    let before = cluster.fencings().len();
    cluster.add(&[server("web").xml()], &[]);
    let first = started(&cluster, "web");
    let address = cluster.named(&first).address();
    assert_eq!(cluster.greeting(&address, PORT).unwrap(), format!("Hello! This is {first}!"));
    assert_eq!(cluster.fencings().len(), before, "fenced in peace");

    let began = Instant::now();
    cluster.named(&first).power_off().unwrap();
    let second = started_off(&cluster, "web", &first);
    println!("started on {second} {:.1} s after {first} lost its power", began.elapsed().as_secs_f64());
    let address = cluster.named(&second).address();
    assert_eq!(cluster.greeting(&address, PORT).unwrap(), format!("Hello! This is {second}!"));
    let fencings = cluster.fencings().split_off(before);
    let [fencing] = &fencings[..] else { panic!("fenced other than once: {fencings:?}") };
    assert_eq!((fencing.action.as_str(), &fencing.node), ("off", &first));
    assert_ne!(fencing.by, first);

    // It comes back, knows nothing of its former life, and what moved stays.
    cluster.named(&first).power_on().unwrap();
    cluster.await_all(LONG).unwrap();
    cluster.until("the node that is back was probed", LONG, |_| {
        (cluster.named(&first).results("web").last()? == "probe not running").then_some(())
    });
    assert_eq!(started(&cluster, "web"), second);
    assert_eq!(nodes_with(&cluster, GREETER), BTreeSet::from([second]));
}

#[test]
fn a_group_with_its_address_moves_and_a_client_hears_the_other_node() {
    let Some(mut cluster) = pool::take() else { return };
    cluster.spoil();
    fenced_for_longer(&cluster);
    let before = cluster.fencings().len();
    let address = |id: &str, ip: &str| {
        let address = Primitive::new(id, "ocf:heartbeat:IPaddr2").with("ip", ip).with("cidr_netmask", 24);
        address.with("nic", "eth0").monitored("1s")
    };
    let ours = group("ours", &[address("vip", FLOATING), server("web")]);
    let shell = Primitive::new("shell-web", "ocf:heartbeat:anything")
        .with("binfile", "/usr/libexec/ocf-wasm/examples/greeter")
        .with("cmdline_options", format!("--port {PORT_SHELL}"))
        .monitored("1s");
    let shell = group("shell", &[address("shell-vip", FLOATING_SHELL), shell]);
    let places = ["ours", "shell"].map(|id| location(id, "node1", "50"));
    cluster.add(&[ours, shell], &places);
    let both = [("plugin", FLOATING, PORT), ("shell agent", FLOATING_SHELL, PORT_SHELL)];
    for (_, ip, port) in both {
        greeted_by(&cluster, (ip, port), |line| line == "Hello! This is node1!");
    }
    // In the order of the group, and in one place.
    let log = cluster.node(1).log();
    let at = |what: &str| log.find(what).unwrap_or_else(|| panic!("no {what:?} in the log"));
    assert!(
        at("Result of start operation for vip on node1: ok")
            < at("Requesting local execution of start operation for web")
    );

    let began = Instant::now();
    cluster.node(1).power_off().unwrap();
    let heard = std::thread::scope(|scope| {
        let cluster: &Cluster = &cluster;
        let is_other = |line: &str| line.starts_with("Hello! This is node") && line != "Hello! This is node1!";
        let each = both.map(|(name, ip, port)| scope.spawn(move || (name, greeted_by(cluster, (ip, port), is_other))));
        each.map(|one| one.join().unwrap())
    });
    for (name, (at, line)) in &heard {
        println!("{name}: {line:?} {:.1} s after node1 lost its power", at.duration_since(began).as_secs_f64());
    }
    let fenced: Vec<String> = cluster.fencings().drain(before..).map(|fencing| fencing.node).collect();
    assert_eq!(fenced, ["node1"]);
}
