use std::time::Duration;

use ocf_agent::fake::{self, Node};
use ocf_agent::{Agent, FailureKind, Health, Migration, Parameters, Reload};

use super::Dummy;

#[test]
fn starts_and_stops() {
    Node::new().parameter("state", "some text").install();
    let dummy = Dummy::read();
    assert_eq!(dummy.monitor(), Ok(Health::NotRunning));
    assert_eq!(dummy.start(), Ok(()));
    assert_eq!(fake::state("running"), Some(b"some text".to_vec()));
    assert_eq!(dummy.monitor(), Ok(Health::Running));
    assert_eq!(dummy.stop(), Ok(()));
    assert_eq!(dummy.stop(), Ok(()));
    assert_eq!(dummy.monitor(), Ok(Health::NotRunning));
}

#[test]
fn runs_after_a_pretended_failure() {
    Node::new().node("alpha").parameter("fail_start_on", "alpha").install();
    let dummy = Dummy::read();
    assert_eq!(dummy.start().unwrap_err().kind, FailureKind::Generic);
    assert_eq!(dummy.reload().unwrap_err().kind, FailureKind::Generic);
    assert_eq!(dummy.monitor(), Ok(Health::Running));
    Node::new().node("beta").parameter("fail_start_on", "alpha").install();
    assert_eq!(Dummy::read().start(), Ok(()));
}

#[test]
fn sleeps_in_every_action() {
    Node::new().parameter("op_sleep", "7").install();
    let dummy = Dummy::read();
    dummy.start().unwrap();
    dummy.monitor().unwrap();
    assert_eq!(fake::elapsed(), Duration::from_secs(14));
    assert_eq!(dummy.stop().unwrap_err().reason, "sleep: no time left");
}

#[test]
fn moves() {
    Node::new().migration("alpha", "beta").install();
    let dummy = Dummy::read();
    assert!(dummy.migrate_to().is_err());
    dummy.migrate_from().unwrap();
    assert_eq!(dummy.monitor(), Ok(Health::Running));
    dummy.migrate_to().unwrap();
    assert_eq!(dummy.monitor(), Ok(Health::NotRunning));
    assert_eq!(fake::logged(), ["info: migrating from alpha", "info: migrating to beta"]);
}

#[test]
fn describes_itself() {
    let metadata = Dummy::METADATA.concat();
    let lines: Vec<&str> = metadata.lines().collect();
    assert_eq!(lines.len(), 5);
    assert!(lines[0].starts_with(r#"{"agent":{"name":"ocf-wasm/dummy","version":"0.1.0","short":"Example stateless"#));
    assert!(lines[3].contains(r#""name":"op_sleep","type":"integer","required":false,"default":"0""#));
}
