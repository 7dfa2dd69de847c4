use ocf_agent::endpoint::Reach;
use ocf_agent::fake::{self, Node};
use ocf_agent::program::Phase;
use ocf_agent::{Agent, ExitStatus, FailureKind, Health, Parameters};

use super::SampleTcpServer;

/// What monitor says on this node: its health, or the reason of its failure.
fn monitor(node: Node) -> Result<Health, String> {
    node.install();
    SampleTcpServer::read().monitor().map_err(|failure| failure.reason)
}

fn running() -> Node {
    Node::new().program_phase("greeter", Phase::Running)
}

#[test]
fn starts_and_stops_the_daemon() {
    Node::new().install();
    let agent = SampleTcpServer::read();
    assert_eq!(agent.monitor(), Ok(Health::NotRunning));
    agent.start().unwrap();
    assert_eq!(fake::program_phase("greeter"), Phase::Running);
    agent.stop().unwrap();
    agent.stop().unwrap();
    assert_eq!(agent.monitor(), Ok(Health::NotRunning));
}

#[test]
fn does_not_take_another_server_for_its_own() {
    Node::new().endpoint("greeting", "Hello! This is node1!\n").install();
    let refused = SampleTcpServer::read().start().unwrap_err();
    assert_eq!(refused.reason, "port 5678: somebody else listens there");
    assert_eq!(fake::program_phase("greeter"), Phase::Stopped);
}

#[test]
fn accepts_any_node_name_but_only_its_own_words() {
    let greets = |greet, line| monitor(running().parameter("greet", greet).endpoint("greeting", line));
    assert_eq!(greets("Hello!", "Hello! This is alpha!\n"), Ok(Health::Running));
    assert_eq!(greets("", " This is alpha!\n"), Ok(Health::Running));
    assert_eq!(
        greets("Hi", "Hello! This is alpha!\n"),
        Err(r#"port 5678: greeted with "Hello! This is alpha!""#.into())
    );
    assert_eq!(
        greets("Hello", "Hello! This is alpha!\n"),
        Err(r#"port 5678: greeted with "Hello! This is alpha!""#.into())
    );
    assert_eq!(greets("Hello!", "Hello! Th"), Err(r#"port 5678: broke off at "Hello! Th""#.into()));
}

#[test]
fn tells_what_is_wrong_with_the_port() {
    assert_eq!(monitor(running().parameter("port", "80")), Err("port 80: connection refused".into()));
    let silent = running().endpoint_reach("greeting", Reach::Silent);
    assert_eq!(monitor(silent), Err("port 5678: no complete answer".into()));
}

#[test]
fn tells_what_became_of_the_daemon() {
    let ended = |ended| monitor(Node::new().program_ended("greeter", ended));
    assert_eq!(ended(ExitStatus::Signaled(9)), Err("daemon ended by signal 9".into()));
    assert_eq!(ended(ExitStatus::Exited(3)), Err("daemon exited with status 3".into()));
    let remains = Node::new().program_phase("greeter", Phase::Remains);
    assert_eq!(monitor(remains), Err("daemon: the main process ended, processes left: 1".into()));
}

#[test]
fn tells_a_refusal_from_an_absence() {
    Node::new().denied("greeter").install();
    let refused = SampleTcpServer::read().start().unwrap_err();
    assert_eq!((refused.kind, refused.reason.as_str()), (FailureKind::Permission, "program greeter: not granted"));
    Node::new().unavailable("greeter").install();
    assert_eq!(SampleTcpServer::read().start().unwrap_err().kind, FailureKind::NotInstalled);
}

/// A monitor of a daemon that lived, as `ocf-wasm run ocf-wasm/sample-tcp-server monitor --record` wrote it.
const RUNNING: &str = include_str!("running.json");

#[test]
fn says_of_a_real_node_what_it_said_there() {
    fake::replay::<SampleTcpServer>(RUNNING);
}

#[test]
fn says_something_else_where_a_node_answers_something_else() {
    let changed = RUNNING.replace("\"running\",\n", "\"remains\",\n");
    assert_ne!(changed, RUNNING);
    Node::replay(&changed).install();
    let failure = SampleTcpServer::read().monitor().unwrap_err();
    assert_eq!(failure.reason, "daemon: the main process ended, processes left: 2");
}

#[test]
#[should_panic(expected = "recording, export 1 (monitor), call 1\n  expected program.status {\"label\":\"daemon\"}")]
fn notices_what_was_not_asked() {
    fake::replay::<SampleTcpServer>(&RUNNING.replace("\"greeter\"", "\"daemon\""));
}

#[test]
#[should_panic(expected = "endpoint.exchange")]
fn notices_what_is_not_asked_any_more() {
    Node::replay(RUNNING).install();
    let agent = SampleTcpServer::read();
    assert!(ocf_agent::instance::node() == "alpha" && u16::from(agent.port) == 5678);
    super::GREETER.status().unwrap();
    fake::replayed();
}

#[test]
#[should_panic(expected = "parameter port: \"0\" does not fit type port")]
fn has_no_port_zero() {
    Node::new().parameter("port", "0").install();
    SampleTcpServer::read();
}
