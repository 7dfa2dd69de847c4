//! The cluster itself is stopped, and stops what it has.

use super::*;

#[test]
fn a_stop_does_not_wait_for_the_cluster_that_waits_for_it() {
    if !room() {
        return;
    }
    let node = Node::new("stopping");
    let port = 5640;
    node.greeter("greeter.service", port, "", "");
    // As Pacemaker does when it is stopped, by an operator or at a shutdown: it ends when its resources are stopped.
    let stop = format!(
        "/usr/bin/env OCF_ROOT=/usr/lib/ocf OCF_RA_VERSION_MAJOR=1 OCF_RESOURCE_INSTANCE=greet-{port} \
         OCF_RESKEY_port={port} OCF_RESKEY_CRM_meta_timeout=20000 {RESOURCES}/{AGENT} stop"
    );
    let cluster = format!("Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\nExecStop={stop}\nTimeoutStopSec=60");
    node.unit("pacemaker.service", &cluster);
    node.machine.must(&["systemctl", "start", "pacemaker"]);
    let _ = node.act("start", port, &[]).is(0);
    assert!(node.machine.show("greeter", "Before").contains("pacemaker.service"));

    node.machine.must(&["systemctl", "stop", "pacemaker"]);
    assert_eq!(node.machine.show("pacemaker", "Result"), "success", "{}", node.why(port));
    assert_eq!(node.state("greeter"), "inactive");
    let told = node.machine.journal("systemd");
    // systemd says so before it ends the processes, and not if they were killed since its turn did not come.
    let (stopping, stopped) = (told.find("Stopping greeter.service"), told.find("Stopped pacemaker.service"));
    assert!(stopping.is_some() && stopping < stopped, "{told}");
}
