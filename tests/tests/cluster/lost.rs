//! What a resource was started from is taken away or damaged while it runs: it goes on, it is never said to be stopped, no
//! node is fenced, and its stop works.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use ocf_wasm_tests::cluster::{LONG, Node, install, install_policy, policy_path};
use ocf_wasm_tests::host::{plugin, policy_of};

use crate::{GREETER, monitored_again, nodes_with, only_process, pool, server, started};

const AGENT: &str = "ocf-wasm/sample-tcp-server";

/// One thing that an operator, a package manager or an accident does.
struct Damage {
    name: &'static str,
    done: fn(&Node),
}

/// Puts everything as it was.
fn mend(node: &Node) {
    install_policy(node, AGENT, &policy_of("sample-tcp-server")).unwrap();
    install(node, &plugin("sample-tcp-server"), &[]).unwrap();
}

fn empty(directory: &Path) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        fs::remove_file(entry.path()).unwrap();
    }
}

/// What a resource that runs takes no notice of: it uses what it was started with.
const DAMAGES: [Damage; 6] = [
    Damage {
        name: "the policy is mistyped",
        done: |node| {
            let text = policy_of("sample-tcp-server").replace("lifetime", "liftime");
            install_policy(node, AGENT, &text).unwrap();
        },
    },
    Damage {
        name: "a label of the policy is renamed",
        done: |node| {
            let text = policy_of("sample-tcp-server").replace("program.greeter", "program.server");
            install_policy(node, AGENT, &text).unwrap();
        },
    },
    Damage {
        name: "the policy is writable by everybody",
        done: |node| {
            fs::set_permissions(policy_path(node, AGENT), fs::Permissions::from_mode(0o666)).unwrap();
        },
    },
    Damage { name: "the policy is deleted", done: |node| fs::remove_file(policy_path(node, AGENT)).unwrap() },
    Damage { name: "the cache is deleted", done: |node| empty(&node.disk().join("cache")) },
    Damage {
        name: "the plugin's file is garbage",
        done: |node| {
            let digest = node.must(&["sha256sum", "/var/lib/ocf-wasm/plugin.wasm"]);
            let blob = node.disk().join("lib/blobs/sha256").join(digest.split(' ').next().unwrap());
            fs::remove_file(&blob).unwrap();
            fs::write(&blob, "garbage").unwrap();
        },
    },
];

/// What the node needs for a monitor. Nothing is known to run well any more then, so it is stopped and started, here or
/// elsewhere.
const LOSSES: [Damage; 3] = [
    Damage {
        name: "the plugin is removed",
        done: |node| fs::remove_dir_all(node.disk().join(format!("lib/agents/{AGENT}"))).unwrap(),
    },
    Damage { name: "all blobs are deleted", done: |node| empty(&node.disk().join("lib/blobs/sha256")) },
    Damage {
        name: "nothing is left of all that",
        done: |node| {
            for damage in [&LOSSES[0], &LOSSES[1], &DAMAGES[3], &DAMAGES[4]] {
                (damage.done)(node);
            }
        },
    },
];

#[test]
fn what_runs_goes_on_whatever_becomes_of_what_it_was_started_from() {
    let Some(mut cluster) = pool::take() else { return };
    cluster.spoil();
    let before = cluster.fencings().len();
    cluster.add(&[server("web").xml()], &[]);
    let name = started(&cluster, "web");
    let node = cluster.named(&name);
    fs::copy(plugin("sample-tcp-server"), node.disk().join("lib/plugin.wasm")).unwrap();
    let pid = only_process(node, GREETER);
    for damage in &DAMAGES {
        (damage.done)(node);
        monitored_again(&cluster, node, AGENT, "web", 2);
        let now = cluster.status().unwrap();
        assert!(now.is_started_on("web", &name) && now.failures.is_empty(), "{}: {now}", damage.name);
        assert_eq!(only_process(node, GREETER), pid, "{}", damage.name);
        mend(node);
    }
    let removed = node.run(&["ocf-wasm", "remove", AGENT]);
    assert!(removed.code != 0 && removed.stderr.contains("web"), "what runs is not removed: {removed:#?}");
    // Nobody ever stopped it, and the last damage of all does not keep it from being stopped.
    assert_eq!(node.results("web"), ["probe not running", "start ok", "monitor ok"]);
    (DAMAGES[0].done)(node);
    cluster.must(&[
        "crm_resource",
        "--resource",
        "web",
        "--meta",
        "--set-parameter",
        "target-role",
        "--parameter-value",
        "Stopped",
    ]);
    cluster.until("web is stopped", LONG, |now| now.is_stopped("web").then_some(()));
    assert!(nodes_with(&cluster, GREETER).is_empty());
    assert_eq!(node.results("web").last().unwrap(), "stop ok");
    assert_eq!(cluster.fencings().len(), before);
}

#[test]
fn what_cannot_be_monitored_any_more_is_stopped_and_started_and_nobody_is_fenced() {
    let Some(mut cluster) = pool::take() else { return };
    cluster.spoil();
    let before = cluster.fencings().len();
    cluster.add(&[server("web").xml()], &[]);
    for loss in &LOSSES {
        let name = started(&cluster, "web");
        let node = cluster.named(&name);
        let known = node.results("web").len();
        let pid = only_process(node, GREETER);
        (loss.done)(node);
        let done = cluster.wait(loss.name, LONG, &mut String::new(), |seen| {
            let done = node.results("web").split_off(known);
            *seen = format!("{done:?}");
            done.iter().any(|result| result.starts_with("stop ")).then_some(done)
        });
        // The first monitor after the start may be told only now.
        let done: Vec<&String> = done.iter().skip_while(|result| *result == "monitor ok").collect();
        assert!(done[0].starts_with("monitor error (") && done[1] == "stop ok", "{}: {done:?}", loss.name);
        let now = started(&cluster, "web");
        let runs = only_process(cluster.named(&now), GREETER);
        assert!(now != name || runs != pid, "{}: what was said to be stopped runs", loss.name);
        assert_eq!(nodes_with(&cluster, GREETER), [now].into(), "{}", loss.name);
        mend(node);
        cluster.must(&["crm_resource", "--cleanup", "--resource", "web"]);
    }
    assert_eq!(cluster.fencings().len(), before);
}
