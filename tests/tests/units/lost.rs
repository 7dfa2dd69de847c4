//! What is lost while a unit runs: the action that starts it, the plugin, the policy, the record.

use std::time::Duration;

use super::*;

#[test]
fn an_action_that_is_killed_while_it_starts_leaves_what_can_be_stopped() {
    if !room() {
        return;
    }
    let node = Node::new("interrupted");
    let port = 5640;
    node.greeter("greeter.service", port, "", "ExecStartPre=/bin/sleep 600");
    let agent = format!("{RESOURCES}/{AGENT}");
    let script = format!(
        "OCF_ROOT=/usr/lib/ocf OCF_RA_VERSION_MAJOR=1 OCF_RESOURCE_INSTANCE=greet-{port} OCF_RESKEY_port={port} \
         OCF_RESKEY_CRM_meta_timeout=60000 setsid {agent} start & echo $!; wait"
    );
    let mut start = node.machine.command(&["sh", "-c", &script]);
    let mut start = start.stdout(std::process::Stdio::null()).spawn().unwrap();
    until("it is being started", || node.state("greeter") == "activating");
    // Less than Pacemaker ends of an action whose time is over, which is its whole process group.
    node.machine.must(&["pkill", "-KILL", "-f", &format!("^{agent} start")]);
    until("who asked for it is gone too", || node.machine.run(&["pgrep", "-x", "ocf-wasm-units"]).code == 1);
    start.wait().unwrap();
    assert_eq!(node.state("greeter"), "activating");
    assert_eq!(node.why(port)["state"], "starting");
    let _ = node.monitor(port).is(1);
    let _ = node.act("stop", port, &[]).is(0).within(Duration::from_secs(15));
    assert_eq!(node.state("greeter"), "inactive");
    let _ = node.probe(port).is(7);
}

#[test]
fn a_unit_is_stopped_without_plugin_and_without_policy() {
    if !room() {
        return;
    }
    let node = Node::new("bare");
    let port = 5641;
    node.greeter("greeter.service", port, "", "");
    for (spoil, what) in [
        (&["rm", POLICY][..], "the policy"),
        (&["sh", "-c", "rm -rf /var/lib/ocf-wasm/blobs /var/cache/ocf-wasm"], "all that is stored"),
    ] {
        let _ = node.act("start", port, &[]).is(0);
        node.machine.must(spoil);
        let _ = node.act("stop", port, &[]).is(0);
        assert_eq!(node.state("greeter"), "inactive", "{what}");
        assert!(!node.directory(port).join("greeter.environment").exists(), "{what}");
        node.policy("greeter.service");
    }
}

#[test]
fn a_record_that_is_lost_is_not_taken_for_a_stop() {
    if !room() {
        return;
    }
    let node = Node::new("recordless");
    let port = 5642;
    node.greeter("greeter.service", port, "", "");
    let _ = node.act("start", port, &[]).is(0);
    fs::remove_file(node.directory(port).join("record")).unwrap();
    let _ = node.monitor(port).is(0);
    let _ = node.act("stop", port, &[]).is(1);
    let name = format!("greet-{port}");
    let forget = |more: &[&str]| node.machine.run(&[&["ocf-wasm", "forget", &name], more].concat());
    // The stop that could not be believed has ended it all the same; before that, it would be shown.
    node.machine.must(&["systemctl", "start", "greeter"]);
    let refused = forget(&["--nothing-runs"]);
    assert!(refused.code == 1 && refused.stderr.contains(&node.main("greeter")), "{refused:#?}");
    node.machine.must(&["systemctl", "stop", "greeter"]);
    let forgotten = forget(&["--nothing-runs"]);
    assert_eq!(forgotten.code, 0, "{forgotten:#?}");
    let _ = node.probe(port).is(7);
    let _ = node.act("start", port, &[]).is(0);
    let _ = node.act("stop", port, &[]).is(0);
}
