//! Natively, against a node that is not there.
use ocf_agent::fake::{self, Node};
use ocf_agent::{Agent, Health, Parameters};

use super::@STRUCT@;

#[test]
fn starts_and_stops() {
    Node::new().parameter("text", "here").install();
    let agent = @STRUCT@::read();
    assert_eq!(agent.monitor(), Ok(Health::NotRunning));
    agent.start().unwrap();
    assert_eq!(fake::state("running"), Some(b"here".to_vec()));
    assert_eq!(agent.monitor(), Ok(Health::Running));
    agent.stop().unwrap();
    agent.stop().unwrap();
    assert_eq!(agent.monitor(), Ok(Health::NotRunning));
}
