//! Natively, against a node that is not there.
use ocf_agent::fake::{self, Node};
use ocf_agent::program::Phase;
use ocf_agent::{Agent, ExitStatus, FailureKind, Health, Parameters};

use super::@STRUCT@;

#[test]
fn starts_and_stops_the_daemon() {
    Node::new().install();
    let agent = @STRUCT@::read();
    assert_eq!(agent.monitor(), Ok(Health::NotRunning));
    agent.start().unwrap();
    assert_eq!(fake::program_phase("daemon"), Phase::Running);
    assert_eq!(agent.monitor(), Ok(Health::Running));
    agent.stop().unwrap();
    agent.stop().unwrap();
    assert_eq!(agent.monitor(), Ok(Health::NotRunning));
}

#[test]
fn tells_what_became_of_the_daemon() {
    Node::new().program_ended("daemon", ExitStatus::Signaled(9)).install();
    assert_eq!(@STRUCT@::read().monitor().unwrap_err().reason, "daemon ended by signal 9");
    for (phase, way) in [(Phase::Starting, "started"), (Phase::Stopping, "stopped")] {
        Node::new().program_phase("daemon", phase).install();
        assert_eq!(@STRUCT@::read().monitor().unwrap_err().reason, format!("daemon is being {way}"));
    }
}

#[test]
fn hands_a_refusal_on() {
    Node::new().denied("daemon").install();
    assert_eq!(@STRUCT@::read().start().unwrap_err().kind, FailureKind::Permission);
}
