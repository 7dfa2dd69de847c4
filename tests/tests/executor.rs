//! The plugins under Pacemaker's own executor: what it records of each action is what the contract says, and it never
//! has to kill.
//!
//! Without root or Pacemaker these tests say so and pass; with `CI=true` they fail instead.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::time::Instant;

use ocf_wasm_tests::executor::{Event, Status};
use ocf_wasm_tests::host::{TestHost, hostile, policy_of, until};
use ocf_wasm_tests::node::{Node, SOON, done, room};

const SERVER: &str = "ocf-wasm/sample-tcp-server";
/// What stands in the command lines of the daemon and of its child, and of nothing else.
const GREETER: &str = "examples/greeter --p";
const HOSTILE: &str = "test/hostile";

#[test]
fn a_server_is_monitored_a_hundred_times() {
    if !room() {
        return;
    }
    let node = Node::new(TestHost::with(&["sample-tcp-server"]));
    node.executor.register("web", "ocf-wasm", "sample-tcp-server").unwrap();
    let port = [("port", "5678"), ("greet", "Good day!")];
    done(&node.action("web", "monitor", 20_000, &port), 7);
    done(&node.action("web", "start", 20_000, &port), 0);
    assert_eq!(node.count("--port 5678"), 1);

    let all = [port[0], port[1], ("CRM_meta_interval", "50"), ("CRM_meta_timeout", "20000")];
    let monitor = node.executor.exec("web", "monitor", 50, 20_000, &all).unwrap();
    for number in 0..100 {
        let event = node.executor.wait(monitor, SOON).unwrap();
        assert_eq!((event.rc, event.status, event.reason.as_deref()), (0, Status::Done, None), "{number}: {event:#?}");
    }
    // Seen within the next ones when it dies, with its cause.
    assert!(node.executor.command(&["pkill", "-KILL", "-f", GREETER]).status().unwrap().success());
    let limit = Instant::now() + SOON;
    let failed = loop {
        let event = node.executor.wait(monitor, SOON).unwrap();
        if event.rc != 0 {
            break event;
        }
        assert!(Instant::now() < limit);
    };
    done(&failed, 1);
    node.executor.cancel("web", "monitor", 50).unwrap();
    done(&node.action("web", "stop", 20_000, &port), 0);
    done(&node.action("web", "monitor", 20_000, &port), 7);
    done(&node.action("web", "start", 20_000, &port), 0);
    done(&node.action("web", "stop", 20_000, &port), 0);
    assert_eq!(node.count(GREETER), 0);
}

#[test]
fn many_instances_at_the_same_time() {
    if !room() {
        return;
    }
    let node = Node::new(TestHost::with(&["sample-tcp-server"]));
    let names: Vec<String> = (0..8).map(|number| format!("web{number}")).collect();
    let ports: Vec<String> = (0..8).map(|number| (6000 + number).to_string()).collect();
    for name in &names {
        node.executor.register(name, "ocf-wasm", "sample-tcp-server").unwrap();
    }
    for action in ["start", "monitor", "stop"] {
        let calls: Vec<i32> = names
            .iter()
            .zip(&ports)
            .map(|(name, port)| {
                let parameters = [("port", port.as_str()), ("CRM_meta_timeout", "20000")];
                node.executor.exec(name, action, 0, 20_000, &parameters).unwrap()
            })
            .collect();
        for call in calls {
            done(&node.executor.wait(call, SOON).unwrap(), 0);
        }
        // A main process and a child each.
        assert_eq!(node.count(GREETER), if action == "stop" { 0 } else { 16 }, "{action}");
    }
}

#[test]
fn a_plugin_that_hangs_is_answered_for_before_the_timeout() {
    if !room() {
        return;
    }
    let host = TestHost::new();
    host.policy(
        HOSTILE,
        "format = 1\n[program.daemon]\nprogram = \"/usr/bin/sleep\"\nargv = [\"4711\"]\nlifetime = \"instance\"\nuser = \"nobody\"\n",
    );
    host.add(&hostile(), &[]);
    let node = Node::new(host);
    let daemon = ("daemon", "true");
    for (misdeed, reason) in [
        ("loop", "no answer from the plugin in time"),
        ("doze", "no answer from the plugin in time"),
        ("trap", "unreachable"),
        ("panic", "the table is gone"),
        ("allocate", "memory"),
    ] {
        let says = |event: &Event| {
            done(event, 1);
            assert!(event.reason.as_deref().unwrap().contains(reason), "{event:#?}");
        };
        let name = format!("bad-{misdeed}");
        node.executor.register(&name, "test", "hostile").unwrap();
        let with = |place| [("do", misdeed), ("in", place), daemon];
        says(&node.action(&name, "start", 2000, &with("start")));
        assert_eq!(node.count("sleep 4711"), 1, "started, and not known to work");
        done(&node.action(&name, "stop", 2000, &with("start")), 0);
        assert_eq!(node.count("sleep 4711"), 0);

        done(&node.action(&name, "start", 2000, &with("monitor")), 0);
        let [misdeed, place, daemon] = with("monitor");
        says(&node.action(&name, "monitor", 2000, &[misdeed, place, daemon, ("OCF_CHECK_LEVEL", "10")]));
        assert_eq!(node.count("sleep 4711"), 1, "a monitor ends nothing");
        done(&node.action(&name, "stop", 2000, &with("monitor")), 0);
        assert_eq!(node.count("sleep 4711"), 0);

        done(&node.action(&name, "start", 2000, &with("stop")), 0);
        done(&node.action(&name, "stop", 2000, &with("stop")), 0);
        assert_eq!(node.count("sleep 4711"), 0);
        done(&node.action(&name, "monitor", 2000, &with("none")), 7);
    }
    until("no runner and no keeper is left", || node.count("ocf-wasm-(agent|keeper)") == 0);
}

#[test]
fn an_action_that_the_executor_kills_leaves_its_daemon_tracked() {
    if !room() {
        return;
    }
    let host = TestHost::with(&["sample-tcp-server"]);
    // The daemon never says what monitor wants, so start goes on until its deadline.
    let policy = policy_of("sample-tcp-server");
    host.policy(SERVER, &policy.replace("{ param = \"greet\", text = { max = 200 } }", "\"Bonjour\""));
    let node = Node::new(host);
    node.executor.register("web", "ocf-wasm", "sample-tcp-server").unwrap();
    // The executor is less patient than the agent was told.
    let impatient = [("port", "5678"), ("CRM_meta_timeout", "60000")];
    let call = node.executor.exec("web", "start", 0, 1000, &impatient).unwrap();
    let event = node.executor.wait(call, SOON).unwrap();
    assert_eq!(event.status, Status::TimedOut, "{event:#?}");
    assert_eq!(node.count("greeter --port 5678"), 1, "the daemon is no member of the group that was killed");
    let known = fs::read_dir(node.host.path().join("run/ocf-wasm/sample-tcp-server/web")).unwrap().count();
    assert!(known > 0);
    // Another start takes over what is there: no second daemon.
    let call = node.executor.exec("web", "start", 0, 1000, &impatient).unwrap();
    assert_eq!(node.executor.wait(call, SOON).unwrap().status, Status::TimedOut);
    assert_eq!(node.count("greeter --port 5678"), 1);
    done(&node.action("web", "monitor", 5000, &[("port", "5678")]), 1);
    done(&node.action("web", "stop", 5000, &[("port", "5678")]), 0);
    assert_eq!(node.count(GREETER), 0);
    done(&node.action("web", "monitor", 5000, &[("port", "5678")]), 7);
}

#[test]
fn a_daemon_that_ignores_its_signal_is_stopped_in_time() {
    if !room() {
        return;
    }
    let host = TestHost::with(&["sample-tcp-server"]);
    host.policy(SERVER, &policy_of("sample-tcp-server").replace("argv        = [", "argv = [\"--ignore-term\", "));
    let node = Node::new(host);
    node.executor.register("web", "ocf-wasm", "sample-tcp-server").unwrap();
    done(&node.action("web", "start", 5000, &[]), 0);
    let stopped = node.action("web", "stop", 3000, &[]);
    done(&stopped, 0);
    assert!(stopped.exec_time_ms < 3000, "{stopped:#?}");
    assert_eq!(node.count(GREETER), 0);
}

#[test]
fn an_agent_of_nobody_and_an_unknown_action_are_told_as_pacemaker_tells_them() {
    if !room() {
        return;
    }
    let host = TestHost::with(&["dummy"]);
    fs::remove_file(host.policy_path("ocf-wasm/dummy")).unwrap();
    let node = Node::new(host);
    node.executor.register("d", "ocf-wasm", "dummy").unwrap();
    let refused = node.action("d", "start", 5000, &[]);
    assert_eq!(refused.rc, 4, "{refused:#?}");
    assert!(refused.reason.unwrap().starts_with("no policy: /etc/ocf-wasm/policy/ocf-wasm/dummy.toml"));
    let unknown = node.action("d", "promote", 5000, &[]);
    assert_eq!(unknown.rc, 4, "{unknown:#?}");
    done(&node.action("d", "monitor", 5000, &[]), 7);
    done(&node.action("d", "stop", 5000, &[]), 0);
}
