//! Natively, against a node that is not there.
use ocf_agent::fake::Node;
use ocf_agent::{Agent, Health, Parameters, Role};

use super::@STRUCT@;

#[test]
fn takes_the_role_and_gives_it_back() {
    Node::new().install();
    let agent = @STRUCT@::read();
    assert_eq!(agent.monitor(), Ok(Health::NotRunning));
    agent.start().unwrap();
    assert_eq!(agent.monitor(), Ok(Health::Running));
    agent.promote().unwrap();
    assert_eq!(agent.monitor(), Ok(Health::Promoted));
    agent.demote().unwrap();
    assert_eq!(agent.monitor(), Ok(Health::Running));
    agent.stop().unwrap();
    agent.stop().unwrap();
    assert_eq!(agent.monitor(), Ok(Health::NotRunning));
}
