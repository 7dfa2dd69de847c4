use ocf_agent::fake::{self, Node};
use ocf_agent::program::Phase;
use ocf_agent::{Agent, ExitStatus, FailureKind, Health, Parameters};

use super::Anything;

fn node() -> Node {
    Node::new().parameter("binfile", "/usr/bin/sleep")
}

/// What monitor says on this node: its health, or the reason of its failure.
fn monitor(node: Node) -> Result<Health, String> {
    node.install();
    Anything::read().monitor().map_err(|failure| failure.reason)
}

#[test]
fn starts_and_stops_the_program() {
    node().install();
    let agent = Anything::read();
    assert_eq!(agent.monitor(), Ok(Health::NotRunning));
    agent.start().unwrap();
    assert_eq!(fake::program_phase("daemon"), Phase::Running);
    assert_eq!(agent.monitor(), Ok(Health::Running));
    agent.stop().unwrap();
    agent.stop().unwrap();
    assert_eq!(agent.monitor(), Ok(Health::NotRunning));
}

#[test]
fn tells_what_became_of_the_program() {
    let ended = monitor(node().program_ended("daemon", ExitStatus::Signaled(9)));
    assert_eq!(ended, Err("/usr/bin/sleep ended by signal 9".into()));
    let remains = monitor(node().program_phase("daemon", Phase::Remains));
    assert_eq!(remains, Err("/usr/bin/sleep ended, processes left: 1".into()));
    for (phase, way) in [(Phase::Starting, "started"), (Phase::Stopping, "stopped")] {
        let between = monitor(node().program_phase("daemon", phase).parameter("monitor_hook", "yes"));
        assert_eq!(between, Err(format!("/usr/bin/sleep is being {way}")));
    }
}

#[test]
fn asks_the_hook_only_if_it_is_wanted() {
    let failing = || {
        let node = node().program_phase("daemon", Phase::Running);
        node.program_output("hook", ExitStatus::Exited(1), "", "queue is full\n")
    };
    assert_eq!(monitor(failing()), Ok(Health::Running));
    assert_eq!(monitor(failing().parameter("monitor_hook", "yes")), Err("hook: queue is full".into()));
    // What does not run is not asked.
    let stopped = node().parameter("monitor_hook", "yes").program_output("hook", ExitStatus::Exited(1), "", "");
    assert_eq!(monitor(stopped), Ok(Health::NotRunning));
}

#[test]
fn a_hook_that_is_not_granted_is_a_refusal() {
    let node = node().program_phase("daemon", Phase::Running).parameter("monitor_hook", "yes").denied("hook");
    node.install();
    assert_eq!(Anything::read().monitor().unwrap_err().kind, FailureKind::Permission);
}
