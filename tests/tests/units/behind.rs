//! What happens to a unit behind the cluster's back, and stops that systemd cannot do in time.

use std::time::Duration;

use super::*;

#[test]
fn a_unit_whose_main_process_is_killed_failed_and_is_started_again() {
    if !room() {
        return;
    }
    let node = Node::new("killed");
    let port = 5610;
    // Its own word on restarts does not count while the cluster has it.
    node.greeter("greeter.service", port, "", "Restart=always\nRestartSec=0");
    let _ = node.act("start", port, &[]).is(0);
    node.kill(&[&node.main("greeter")]);
    until("it failed", || node.state("greeter") == "failed");
    // Broken is 1 where it is watched, and 7 for who asks whether it is here.
    let _ = node.monitor(port).is(1).says("ended by signal 9");
    let _ = node.probe(port).is(7);
    let known = node.why(port);
    assert_eq!(known["daemons"][0]["phase"], "failed", "{known}");
    let _ = node.act("stop", port, &[]).is(0);
    assert_eq!(node.state("greeter"), "inactive", "systemd is to forget that it failed");
    let _ = node.act("start", port, &[]).is(0);
    let _ = node.monitor(port).is(0);
    // A start over what failed, as after a start that the cluster does not know of.
    node.kill(&[&node.main("greeter")]);
    until("it failed", || node.state("greeter") == "failed");
    let _ = node.act("start", port, &[]).is(0);
    let _ = node.monitor(port).is(0);
    let _ = node.act("stop", port, &[]).is(0);
    // One that failed and that nobody here started is a leftover of before.
    node.machine.must(&["systemctl", "start", "greeter"]);
    node.kill(&[&node.main("greeter")]);
    until("it failed", || node.state("greeter") == "failed");
    let _ = node.probe(port).is(7);
    let _ = node.act("stop", port, &[]).is(0);
    assert_eq!(node.state("greeter"), "inactive");
}

#[test]
fn a_unit_that_was_started_again_by_somebody_else_is_not_ours() {
    if !room() {
        return;
    }
    let node = Node::new("again");
    let port = 5611;
    node.greeter("greeter.service", port, "", "");
    let _ = node.act("start", port, &[]).is(0);
    node.machine.must(&["systemctl", "restart", "greeter"]);
    let _ = node.monitor(port).is(1).says("the main process ended");
    let _ = node.probe(port).is(1);
    let known = node.why(port).to_string();
    assert!(known.contains("started again, and not by the cluster"), "{known}");
    let _ = node.act("stop", port, &[]).is(0);
    assert_eq!(node.state("greeter"), "inactive");
    let _ = node.act("start", port, &[]).is(0);
    let _ = node.monitor(port).is(0);
    // Stopped by somebody: it ended, whoever wanted it.
    node.machine.must(&["systemctl", "stop", "greeter"]);
    let _ = node.monitor(port).is(1);
    let _ = node.probe(port).is(7);
    let _ = node.act("stop", port, &[]).is(0);
}

#[test]
fn a_unit_that_systemd_is_about_to_start_again_is_not_down() {
    if !room() {
        return;
    }
    let node = Node::new("restarting");
    let port = 5614;
    // As after a boot that started it before the cluster knew of it.
    node.greeter("greeter.service", port, "", "Environment=GREET=Hello!\nRestart=always\nRestartSec=600");
    let is_killed = || {
        node.machine.must(&["systemctl", "start", "greeter"]);
        node.kill(&[&node.main("greeter")]);
        until("systemd waits", || node.machine.show("greeter", "SubState").starts_with("auto-restart"));
    };
    is_killed();
    let _ = node.probe(port).is(1);
    let _ = node.monitor(port).is(1);
    let _ = node.act("stop", port, &[]).is(0);
    assert_eq!(node.state("greeter"), "inactive");
    let _ = node.probe(port).is(7);
    // A start does not wait for the turn of systemd.
    is_killed();
    let _ = node.act("start", port, &[]).is(0);
    let _ = node.monitor(port).is(0);
    let _ = node.act("stop", port, &[]).is(0);
    assert_eq!(node.state("greeter"), "inactive");
}

#[test]
fn a_unit_whose_turn_to_be_started_comes_is_not_down() {
    if !room() {
        return;
    }
    let node = Node::new("waiting");
    let port = 5616;
    node.greeter("greeter.service", port, "", "Environment=GREET=Hello!");
    // As at boot: it is to be started, after something that takes its time.
    node.unit("before.service", "Type=oneshot\nExecStart=/bin/sleep 600");
    node.machine.write("/etc/systemd/system/greeter.service.d/after.conf", "[Unit]\nAfter=before.service\n").unwrap();
    node.machine.must(&["systemctl", "daemon-reload"]);
    let begin = || {
        node.machine.must(&["systemctl", "start", "--no-block", "before", "greeter"]);
        until("it waits", || node.state("before") == "activating" && !node.machine.show("greeter", "Job").is_empty());
        assert_eq!(node.state("greeter"), "inactive");
    };
    begin();
    let _ = node.probe(port).is(1);
    let _ = node.act("stop", port, &[]).is(0);
    node.machine.must(&["systemctl", "stop", "before"]);
    let _ = node.probe(port).is(7);
    assert_eq!(node.state("greeter"), "inactive", "it is started all the same");
    // What is on its way is waited for.
    begin();
    node.machine.must(&["systemd-run", "--quiet", "sh", "-c", "sleep 1; systemctl stop before"]);
    let _ = node.act("start", port, &[]).is(0);
    let _ = node.monitor(port).is(0);
    let _ = node.act("stop", port, &[]).is(0);
}

#[test]
fn a_unit_without_processes_that_was_started_again_is_not_down() {
    if !room() {
        return;
    }
    let node = Node::new("processless");
    let port = 5615;
    node.processless(port);
    let _ = node.act("start", port, &[]).is(0);
    let _ = node.monitor(port).is(0);
    node.machine.must(&["systemctl", "restart", "greeter"]);
    let _ = node.monitor(port).is(1);
    let _ = node.probe(port).is(1);
    let known = node.why(port).to_string();
    assert!(known.contains("started again, and not by the cluster"), "{known}");
    let _ = node.act("stop", port, &[]).is(0);
    assert_eq!(node.state("greeter"), "inactive");
    let _ = node.probe(port).is(7);
}

#[test]
fn a_unit_that_runs_already_is_adopted_with_all_that_follows() {
    if !room() {
        return;
    }
    let node = Node::new("adopted");
    let port = 5612;
    node.greeter("greeter.service", port, "", "Environment=GREET=Hello!\nRestart=always\nRestartSec=0");
    node.machine.must(&["systemctl", "start", "greeter"]);
    // By a probe, and by a start.
    let _ = node.probe(port).is(0);
    assert_eq!(node.why(port)["state"], "adopted");
    assert_eq!(node.machine.show("greeter", "Restart"), "no");
    let _ = node.act("stop", port, &[]).is(0);
    assert_eq!(node.state("greeter"), "inactive");
    node.machine.must(&["systemctl", "start", "greeter"]);
    let main = node.main("greeter");
    let _ = node.act("start", port, &[]).is(0);
    assert_eq!(node.main("greeter"), main);
    node.machine.must(&["systemctl", "restart", "greeter"]);
    let _ = node.monitor(port).is(1);
    let _ = node.act("stop", port, &[]).is(0);
    assert_eq!(node.state("greeter"), "inactive");
}

#[test]
fn a_stop_ends_what_systemd_does_not_end_in_time() {
    if !room() {
        return;
    }
    let node = Node::new("slow");
    let port = 5613;
    let limit = Duration::from_millis(3990);
    for (switches, more) in [
        ("--ignore-term", "TimeoutStopSec=600"),
        ("", "ExecStop=/bin/sleep 600\nTimeoutStopSec=600"),
        ("", "KillMode=none\nExecStop=/bin/sleep 600\nTimeoutStopSec=600"),
    ] {
        node.greeter("greeter.service", port, switches, more);
        let _ = node.act("start", port, &[]).is(0);
        let _ = node.act_within("stop", port, "4000", &[]).is(0).within(limit);
        assert_eq!(node.state("greeter"), "inactive", "{more}");
        let left = node.machine.run(&["pgrep", "-f", &format!("[g]reeter --port {port}")]);
        assert_eq!(left.stdout, "", "{more}");
        let _ = node.probe(port).is(7);
    }
}
