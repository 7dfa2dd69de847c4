//! A node on which nobody answers on the bus: what is seen of a unit is what its control group shows.

use super::*;

#[test]
fn a_unit_is_watched_and_stopped_where_no_bus_is() {
    if !room() {
        return;
    }
    let node = Node::new("silent");
    let port = 5620;
    node.greeter("greeter.service", port, "", "");
    let _ = node.act("start", port, &[]).is(0);
    let main = node.main("greeter");
    node.bus("stop");
    let _ = node.monitor(port).is(0);
    let _ = node.probe(port).is(0);
    let _ = node.act("stop", port, &[]).is(0);
    assert!(node.machine.run(&["kill", "-0", &main]).code != 0, "it lives");
    let _ = node.probe(port).is(7);
    let refused = node.act("start", port, &[]).is(1);
    assert!(refused.reason().contains("the service manager does not answer"), "{refused:#?}");
    let _ = node.act("stop", port, &[]).is(0);

    // One that dies while nobody can say how.
    node.bus("start");
    let _ = node.act("start", port, &[]).is(0);
    node.bus("stop");
    node.kill(&[&node.main("greeter")]);
    until("it is gone", || node.state("greeter") == "failed");
    let _ = node.monitor(port).is(1).says("nobody saw how");
    let _ = node.probe(port).is(7);
    let _ = node.act("stop", port, &[]).is(0);
}

#[test]
fn what_has_no_process_is_not_said_to_be_stopped_unseen() {
    if !room() {
        return;
    }
    let node = Node::new("unseen");
    let port = 5622;
    node.processless(port);
    let _ = node.act("start", port, &[]).is(0);
    let _ = node.monitor(port).is(0);
    node.bus("stop");
    let _ = node.act_within("stop", port, "4000", &[]).is(1);
    node.bus("start");
    let _ = node.act("stop", port, &[]).is(0);
    assert_eq!(node.state("greeter"), "inactive");
}

#[test]
fn who_knows_nothing_of_a_unit_says_so() {
    if !room() {
        return;
    }
    let node = Node::new("unknown");
    let port = 5623;
    node.greeter("greeter.service", port, "", "");
    node.bus("stop");
    // Nothing of it was started here, and nothing of it is seen: what that is worth is said.
    for (action, code) in [("monitor", 7), ("stop", 0)] {
        let ran = node.act(action, port, &[]).is(code);
        let line = "ERROR: program greeter: the service manager does not answer";
        assert!(
            ran.stderr.contains(line) && ran.stderr.contains("no process of unit greeter.service is seen"),
            "{ran:#?}"
        );
    }
}

#[test]
fn what_systemd_starts_again_is_not_said_to_be_stopped_unseen() {
    if !room() {
        return;
    }
    let node = Node::new("unheld");
    let port = 5624;
    let stopped = || {
        node.bus("start");
        let _ = node.act("stop", port, &[]).is(0);
        assert_eq!(node.state("greeter"), "inactive");
    };
    node.greeter("greeter.service", port, "", "");
    // It is read after ours.
    let later = "/etc/systemd/system/greeter.service.d/95-local.conf";
    node.machine.write(later, "[Service]\nRestart=always\nRestartSec=600\n").unwrap();
    node.machine.must(&["systemctl", "daemon-reload"]);
    let ran = node.act("start", port, &[]).is(0);
    let _ = node.monitor(port).is(0);
    node.bus("stop");
    let _ = node.act_within("stop", port, "10000", &[]).is(1).says("proves nothing");
    until("systemd waits", || node.machine.show("greeter", "SubState").starts_with("auto-restart"));
    assert!(ran.stderr.contains("Restart=always"), "{ran:#?}");
    // Its processes are gone, and it is not: who asks for it is not told that it is.
    let _ = node.probe(port).is(1);
    stopped();

    // Who stops the bus may start it again: a stop has the time to see it.
    let _ = node.act("start", port, &[]).is(0);
    node.bus("stop");
    node.machine.must(&["systemd-run", "--quiet", "sh", "-c", "sleep 2; systemctl start dbus.socket dbus.service"]);
    let _ = node.act("stop", port, &[]).is(0);
    assert_eq!(node.state("greeter"), "inactive");

    // One that nobody here has started: what systemd does with it is not known at all.
    node.machine.must(&["systemctl", "start", "greeter"]);
    node.bus("stop");
    let _ = node.act_within("stop", port, "4000", &[]).is(1);
    stopped();
    let _ = node.probe(port).is(7);

    // Where nothing is read after ours, their end is the unit's.
    fs::remove_file(node.machine.inside(later)).unwrap();
    node.machine.must(&["systemctl", "daemon-reload"]);
    let _ = node.act("start", port, &[]).is(0);
    node.bus("stop");
    let _ = node.act("stop", port, &[]).is(0);
    node.bus("start");
    assert_eq!(node.state("greeter"), "inactive");
}

#[test]
fn a_helper_of_another_version_is_not_understood() {
    if !room() {
        return;
    }
    let node = Node::new("upgraded");
    let port = 5625;
    node.greeter("greeter.service", port, "", "");
    let _ = node.act("start", port, &[]).is(0);
    // As in the midst of an upgrade: it is the next one that is asked.
    let (place, kept) = ("/usr/libexec/ocf-wasm/ocf-wasm-units", "/root/ocf-wasm-units");
    node.machine.must(&["cp", place, kept]);
    let upgrade = |version: &str| {
        let script = format!("#!/bin/sh\nexec {kept} \"$1\" \"{version}\"\n");
        node.machine.write("/root/upgraded", script).unwrap();
        node.machine.must(&["chmod", "755", "/root/upgraded"]);
        node.machine.must(&["mount", "--bind", "/root/upgraded", place]);
    };
    upgrade("$2");
    let _ = node.monitor(port).is(0);
    node.machine.must(&["umount", place]);
    upgrade("9$2");
    let _ = node.monitor(port).is(0);
    let _ = node.act("stop", port, &[]).is(0);
    assert_eq!(node.state("greeter"), "inactive");
    let _ = node.act("start", port, &[]).is(1).says("ocf-wasm-units is of another version");
    node.machine.must(&["umount", place]);
    let _ = node.act("start", port, &[]).is(0);
    let _ = node.act("stop", port, &[]).is(0);
}
