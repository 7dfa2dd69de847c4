//! The tools that come with Debian's Pacemaker and agents take the plugins for agents like any other.
//!
//! Without root or Pacemaker these tests say so and pass; with `CI=true` they fail instead.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::path::Path;

use ocf_wasm_tests::executor::AGENTS;
use ocf_wasm_tests::host::{Ran, TestHost, finish, plugin, plugins, policy_of, skip};
use ocf_wasm_tests::node;

/// What a plugin must be given.
fn required(name: &str) -> &'static [&'static str] {
    match name {
        "anything" => &["-o", "binfile=/usr/libexec/ocf-wasm/examples/greeter"],
        "web-service" => {
            &["-o", "service_path=/usr/libexec/ocf-wasm/examples/page", "-o", "probe_url=http://127.0.0.1:5681/"]
        }
        _ => &[],
    }
}

/// Whether capsules can be made here, and a tool is there; says aloud when not.
fn room(tool: &str) -> bool {
    node::room()
        && (["/usr/sbin", "/usr/bin"].iter().any(|place| Path::new(place).join(tool).exists())
            || skip(&format!("{tool} is missing (Debian: resource-agents, pacemaker-cli-utils)")))
}

/// A node with all plugins in a profile of metadata.
struct Node(node::Node);

impl Node {
    fn new(profile: &str) -> Self {
        let host = TestHost::new();
        for name in plugins() {
            host.policy(&format!("ocf-wasm/{name}"), &policy_of(&name));
            host.add(&plugin(&name), &["--profile", profile]);
        }
        Self(node::Node::new(host))
    }

    fn run(&self, argv: &[&str]) -> Ran {
        finish(&mut self.0.executor.command(argv))
    }

    #[track_caller]
    fn good(&self, argv: &[&str]) -> String {
        let ran = self.run(argv);
        assert_eq!(ran.code, 0, "{ran:#?}");
        ran.stdout
    }
}

#[test]
fn ocf_tester_passes() {
    if !room("ocf-tester") {
        return;
    }
    let node = Node::new("1.0");
    for name in plugins() {
        let agent = format!("{AGENTS}/ocf-wasm/{name}");
        let ran = node.run(&[&["ocf-tester", "-v", "-n", "tested"], required(&name), &[agent.as_str()]].concat());
        assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
        assert!(ran.stdout.contains("passed all tests"), "{ran:#?}");
        // It says what it leaves out, and it must not leave out the roles of what has roles.
        let has_roles = !ran.stdout.contains("does not support the promote action");
        assert_eq!(has_roles, name == "stateful", "{ran:#?}");
    }
    let ran = node.run(&[
        "ocf-tester",
        "-n",
        "tested",
        "-o",
        "port=5600",
        "-o",
        "greet=Good day to you!",
        &format!("{AGENTS}/ocf-wasm/sample-tcp-server"),
    ]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
}

#[test]
fn crm_resource_lists_shows_and_validates() {
    if !room("crm_resource") {
        return;
    }
    let node = Node::new("1.1");
    assert!(node.good(&["crm_resource", "--list-ocf-providers"]).lines().any(|line| line.trim() == "ocf-wasm"));
    let listed = node.good(&["crm_resource", "--list-agents", "ocf:ocf-wasm"]);
    let listed: Vec<&str> = listed.split_whitespace().collect();
    assert_eq!(listed, plugins());
    for name in plugins() {
        let shown = node.good(&["crm_resource", "--show-metadata", &format!("ocf:ocf-wasm:{name}")]);
        let own = node.good(&[&format!("{AGENTS}/ocf-wasm/{name}"), "meta-data"]);
        assert_eq!(shown.trim(), own.trim());
    }
    let validate = |name: &str, option: &str| {
        let more = ["--validate", "--class", "ocf", "--provider", "ocf-wasm", "--agent", name, "--option", option];
        node.run(&[&["crm_resource"][..], &more].concat())
    };
    for (name, option, good) in [
        ("dummy", "fake=x", true),
        ("dummy", "op_sleep=3", true),
        ("dummy", "op_sleep=soon", false),
        ("sample-tcp-server", "port=5678", true),
        ("sample-tcp-server", "port=0", false),
        ("stateful", "notify_delay=2min", true),
        ("stateful", "notify_delay=2 parsecs", false),
    ] {
        let ran = validate(name, option);
        assert_eq!(ran.code == 0, good, "{option}: {ran:#?}");
    }
}

#[test]
fn crm_resource_forces_actions_of_a_configured_resource() {
    if !room("cibadmin") {
        return;
    }
    let node = Node::new("1.1");
    let cib = node.good(&["cibadmin", "--empty"]);
    let resource = r#"<primitive id="web" class="ocf" provider="ocf-wasm" type="sample-tcp-server">
        <instance_attributes id="web-a"><nvpair id="web-a-port" name="port" value="5700"/></instance_attributes>
        <operations><op id="web-start" name="start" interval="0s" timeout="20s"/></operations></primitive>"#;
    let cib = cib.replace("<resources/>", &format!("<resources>{resource}</resources>"));
    assert!(cib.contains("nvpair"), "{cib}");
    std::fs::write(node.0.executor.inside("/run/cib.xml"), cib).unwrap();
    let force = |verb: &str| {
        node.run(&["env", "CIB_file=/run/cib.xml", "crm_resource", &format!("--force-{verb}"), "--resource", "web"])
    };
    let validated = node.run(&["env", "CIB_file=/run/cib.xml", "crm_resource", "--validate", "--resource", "web"]);
    assert_eq!(validated.code, 0, "{validated:#?}");
    assert_ne!(force("check").code, 0);
    for verb in ["start", "check", "stop", "stop"] {
        let ran = force(verb);
        assert_eq!(ran.code, 0, "{verb}: {ran:#?}");
    }
    assert_ne!(force("check").code, 0);
}
