//! A shell agent makes room for a plugin of the same name while the resource runs: what the plugin sees of it is adopted and
//! really stopped by it; what only the old agent knew is not, and nothing is done to it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use ocf_wasm_tests::cluster::{LONG, Node, Primitive, install, install_policy, location};
use ocf_wasm_tests::host::{plugin, policy_of};

use crate::{GREETER, monitored_again, nodes_with, only_process, pool, server, started, started_off, started_on};

/// The script of the service, which both agents use.
const SCRIPT: &str = "/usr/libexec/ocf-wasm/examples/page";
const PAGE: &str = "examples/greeter --page --port 5681";

/// What an agent of the old kind is, but for what it does.
fn shell(name: &str, parameter: &str, body: &str) -> String {
    format!(
        r#"#!/bin/sh
case $1 in
meta-data)
    echo '<?xml version="1.0"?><resource-agent name="{name}"><version>1.0</version><longdesc lang="en">-</longdesc>
<shortdesc lang="en">-</shortdesc><parameters><parameter name="{parameter}"><longdesc lang="en">-</longdesc>
<shortdesc lang="en">-</shortdesc><content type="string"/></parameter></parameters><actions>
<action name="start" timeout="20s"/><action name="stop" timeout="20s"/><action name="monitor" timeout="20s"/>
</actions></resource-agent>' ;;
{body}
*) exit 3 ;;
esac
"#
    )
}

/// An agent for the service that has a script.
const OF_SCRIPT: &str = r#"start | stop) exec setpriv --reuid=65534 --regid=65534 --clear-groups sh "$OCF_RESKEY_service_path" "$1" ;;
monitor) sh "$OCF_RESKEY_service_path" status || exit 7 ;;"#;

/// An agent for a program that it knows by its pid file.
const OF_PID_FILE: &str = r#"start) setsid sh -c 'echo $$ >/run/greeter.pid; exec /usr/libexec/ocf-wasm/examples/greeter --port 5678 --node "$(uname -n)"' >/dev/null 2>&1 & sleep 0.3 ;;
stop) [ ! -e /run/greeter.pid ] || kill "$(cat /run/greeter.pid)"; rm -f /run/greeter.pid ;;
monitor) [ -e /run/greeter.pid ] || exit 7; kill -0 "$(cat /run/greeter.pid)" || exit 1 ;;"#;

fn place(node: &Node, name: &str) -> std::path::PathBuf {
    node.inside(format!("/usr/lib/ocf/resource.d/ocf-wasm/{name}"))
}

#[test]
fn a_plugin_takes_the_place_of_a_shell_agent_while_its_resource_runs() {
    let Some(mut cluster) = pool::take() else { return };
    cluster.spoil();
    let fenced = cluster.fencings().len();
    for node in cluster.nodes() {
        node.must(&["ocf-wasm", "remove", "ocf-wasm/sample-tcp-server"]);
        for (name, parameter, body) in
            [("web-service", "service_path", OF_SCRIPT), ("sample-tcp-server", "port", OF_PID_FILE)]
        {
            fs::write(place(node, name), shell(name, parameter, body)).unwrap();
            fs::set_permissions(place(node, name), fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    let page = Primitive::ours("page", "web-service")
        .with("service_path", SCRIPT)
        .with("probe_url", "http://127.0.0.1:5681/")
        .monitored("1s");
    let places = [location("page", "node1", "50"), location("web", "node2", "50")];
    cluster.add(&[page.xml(), server("web").xml()], &places);
    started_on(&cluster, "page", "node1");
    started_on(&cluster, "web", "node2");
    let [first, second] = [cluster.node(1), cluster.node(2)];
    // What was forked may still be about to become the server, and is called otherwise until then.
    let at_rest = |node: &Node, pattern: &str, more: &str| {
        cluster.wait("one server is there, and nothing else", LONG, &mut String::new(), |seen| {
            let all = node.processes(pattern);
            let servers = node.processes(&format!("^/usr/libexec/ocf-wasm/{pattern}{more}$"));
            *seen = format!("{all:?}, of which {servers:?} serve");
            (servers.len() == 1 && servers == all).then_some(servers)
        })
    };
    let serving = at_rest(first, PAGE, "");
    at_rest(second, GREETER, " --node node2");
    let greeting = only_process(second, GREETER);
    assert!(first.run(&["ls", "/run/ocf-wasm/ocf-wasm/web-service/page"]).code != 0, "our agent knows nothing of it");

    // There is an agent at any moment: the cluster goes on monitoring. Where a resource runs comes last, so that nothing
    // moves to a node that has the old agent.
    let known = [first.results("page").len(), second.results("web").len()];
    for (name, runs_on) in [("web-service", "node1"), ("sample-tcp-server", "node2")] {
        let (there, elsewhere): (Vec<_>, Vec<_>) = cluster.nodes().iter().partition(|node| node.name() == runs_on);
        for node in [elsewhere, there].concat() {
            install_policy(node, &format!("ocf-wasm/{name}"), &policy_of(name)).unwrap();
            let refused = install(node, &plugin(name), &[]).unwrap_err().to_string();
            assert!(refused.contains("is there and not ours"), "{refused}");
            assert!(refused.contains("is disabled before, and enabled afterwards"), "{refused}");
            install(node, &plugin(name), &["--replace"]).unwrap();
        }
    }

    // What its script says to run is adopted, goes on, and is ended by our stop.
    monitored_again(&cluster, first, "ocf-wasm/web-service", "page", 2);
    started_on(&cluster, "page", "node1");
    assert_eq!(first.processes(PAGE), serving, "nothing was started anew");
    let changed = first.results("page").split_off(known[0]);
    assert!(!changed.iter().any(|result| result.starts_with("stop") || result.starts_with("start")), "{changed:?}");
    let listed = first.must(&["ocf-wasm", "-o", "json", "list"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let state = listed["instances"].as_array().unwrap().iter().find(|one| one["instance"] == "page").cloned();
    assert_eq!(state.unwrap()["state"], "adopted");
    cluster.must(&["crm_resource", "--resource", "page", "--ban", "--node", "node1"]);
    let other = started_off(&cluster, "page", "node1");
    assert!(first.processes(PAGE).is_empty(), "what the shell agent started is stopped by ours");
    assert_eq!(nodes_with(&cluster, PAGE), [other].into());

    // What only a pid file knew is not: it is not running for us, a start beside it is refused, and nobody touches it.
    let other = started_off(&cluster, "web", "node2");
    let changed = second.results("web").split_off(known[1]);
    assert_eq!(
        changed,
        ["monitor not running", "stop ok", "start error (port 5678: somebody else listens there)", "stop ok"],
    );
    assert_eq!(only_process(second, GREETER), greeting);
    assert_eq!(nodes_with(&cluster, GREETER), ["node2".to_owned(), other].into());
    // Who put the plugin there ends it as the old agent would have, and all is well.
    second.must(&["kill", &greeting.to_string()]);
    cluster.must(&["crm_resource", "--cleanup", "--resource", "web"]);
    cluster.wait("it runs once", LONG, &mut String::new(), |seen| {
        *seen = format!("{:?}", nodes_with(&cluster, GREETER));
        (nodes_with(&cluster, GREETER) == [started(&cluster, "web")].into()).then_some(())
    });
    assert_eq!(cluster.fencings().len(), fenced);
}
