use ocf_agent::fake::{self, Node};
use ocf_agent::program::Phase;
use ocf_agent::{Agent, ExitStatus, FailureKind, Health, Parameters};

use super::WebService;

/// A node whose script answers with a status to whatever it is asked.
fn node(status: u8) -> Node {
    Node::new()
        .parameter("service_path", "/etc/init.d/shop")
        .parameter("probe_url", "http://127.0.0.1/health")
        .program_output("script", ExitStatus::Exited(status), "", "shop: no\n")
}

/// What monitor says on this node: its health, or the reason of its failure.
fn monitor(node: Node) -> Result<Health, String> {
    node.install();
    WebService::read().monitor().map_err(|failure| failure.reason)
}

#[test]
fn runs_if_the_script_and_the_page_say_so() {
    assert_eq!(monitor(node(0).http("page", 200, "well")), Ok(Health::Running));
    assert_eq!(monitor(node(0).http("page", 503, "")), Err("page: status 503".into()));
    assert_eq!(monitor(node(0)), Err("page: connection refused".into()));
}

#[test]
fn is_stopped_if_the_script_says_so_and_nothing_is_left() {
    for status in 1..=3 {
        assert_eq!(monitor(node(status).http("page", 200, "somebody else")), Ok(Health::NotRunning));
        let left = monitor(node(status).program_phase("script", Phase::Running));
        assert_eq!(left, Err("the script says that it is stopped, processes left: 1".into()));
    }
    assert_eq!(monitor(node(4)), Err("status of the script: shop: no".into()));
}

#[test]
fn ends_what_the_script_does_not_end() {
    node(1).program_phase("script", Phase::Running).install();
    WebService::read().stop().unwrap();
    assert_eq!(fake::program_phase("script"), Phase::Stopped);
    assert_eq!(fake::logged(), ["warning: stop of the script: shop: no"]);
}

#[test]
fn parameters_are_looked_at() {
    for (name, value) in [("service_path", "shop"), ("probe_url", "127.0.0.1"), ("probe_url", "ftp://127.0.0.1/")] {
        node(0).parameter(name, value).install();
        let failure = WebService::read().validate().unwrap_err();
        assert_eq!(failure.kind, FailureKind::Configuration);
        assert!(failure.reason.starts_with(name), "{failure:?}");
    }
    for url in ["http://127.0.0.1/health", "https://www.example/"] {
        node(0).parameter("probe_url", url).install();
        WebService::read().validate().unwrap();
    }
}
