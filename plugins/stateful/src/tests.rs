use std::time::Duration;

use ocf_agent::fake::{self, Node};
use ocf_agent::{Agent, ExitStatus, Health, Notification, Parameters, Reload, Role};

use super::Stateful;

/// The changes of the score since the last look.
fn changes() -> Vec<String> {
    fake::calls().iter().map(|call| call.replace("program score: run change=", "")).collect()
}

#[test]
fn takes_its_roles_in_turn() {
    Node::new().install();
    let stateful = Stateful::read();
    assert_eq!(stateful.monitor(), Ok(Health::NotRunning));
    for (acts, health) in [
        (Stateful::start as fn(&Stateful) -> ocf_agent::Outcome, Health::Running),
        (Stateful::promote, Health::Promoted),
        (Stateful::promote, Health::Promoted),
        (Stateful::demote, Health::Running),
        (Stateful::demote, Health::Running),
        (Stateful::promote, Health::Promoted),
        (Stateful::reload, Health::Promoted),
        (Stateful::stop, Health::NotRunning),
        (Stateful::stop, Health::NotRunning),
    ] {
        assert_eq!(acts(&stateful), Ok(()));
        assert_eq!(stateful.monitor(), Ok(health));
    }
    let expected = ["update=5", "update=10", "update=10", "update=5", "update=5", "update=10", "delete", "delete"];
    assert_eq!(changes(), expected);
    assert!(fake::logged().is_empty());
}

#[test]
fn restores_its_score_in_a_probe_only() {
    for (role, score) in [("promoted", "update=10"), ("unpromoted", "update=5")] {
        Node::new().state("role", role.as_bytes()).probe().install();
        Stateful::read().monitor().unwrap();
        assert_eq!(changes(), [score]);
        Node::new().state("role", role.as_bytes()).install();
        Stateful::read().monitor().unwrap();
        assert!(changes().is_empty());
    }
    Node::new().probe().install();
    assert_eq!(Stateful::read().monitor(), Ok(Health::NotRunning));
    assert!(changes().is_empty());
}

#[test]
fn a_role_that_it_never_takes_is_a_failure() {
    Node::new().state("role", b"master").install();
    assert_eq!(Stateful::read().monitor().unwrap_err().reason, "its role is \"master\", which it never takes");
    assert_eq!(Stateful::read().stop(), Ok(()));
    assert_eq!(Stateful::read().monitor(), Ok(Health::NotRunning));
}

#[test]
fn works_where_no_score_can_be_set() {
    let said = "crm_attribute: Could not connect to the CIB: Transport endpoint is not connected\n";
    for (node, words) in [
        (Node::new().unavailable("score"), "warning: program score: "),
        (Node::new().denied("score"), "warning: program score: not granted"),
        (
            Node::new().program_output("score", ExitStatus::Exited(102), "", said),
            "warning: crm_attribute: Could not connect",
        ),
    ] {
        node.install();
        let stateful = Stateful::read();
        stateful.start().unwrap();
        stateful.promote().unwrap();
        assert_eq!(stateful.monitor(), Ok(Health::Promoted));
        stateful.stop().unwrap();
        assert_eq!(stateful.monitor(), Ok(Health::NotRunning));
        let logged = fake::logged();
        assert!(logged.len() == 3 && logged.iter().all(|line| line.starts_with(words)), "{logged:?}");
    }
}

#[test]
fn notifications_take_their_time() {
    Node::new().parameter("notify_delay", "3").install();
    Stateful::read().notify().unwrap();
    assert_eq!(fake::elapsed(), Duration::from_secs(3));
    Node::new().install();
    Stateful::read().notify().unwrap();
    assert_eq!(fake::elapsed(), Duration::ZERO);
}
