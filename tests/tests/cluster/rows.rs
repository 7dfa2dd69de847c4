//! What can happen, one row each: what is done, and what must come of it. `failures` lets it happen.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use ocf_wasm_tests::cluster::{Filled, Node, install_policy, policy_path};
use ocf_wasm_tests::host::policy_of;

use crate::{GREETER, only_process};

pub(crate) const AGENT: &str = "ocf-wasm/sample-tcp-server";

/// What becomes of the resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// It runs on, and nobody notices.
    Unnoticed,
    /// It is stopped and started, and runs where it ran.
    Again,
    /// It is stopped and started, and it is no better.
    ForEver,
    /// It runs on another node.
    Elsewhere,
    /// Its node is fenced, and it runs on another one.
    Fenced,
    /// It runs on no node.
    Nowhere,
}

impl Then {
    /// For the page.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Unnoticed => "runs on",
            Self::Again => "stopped and started",
            Self::ForEver => "stopped and started, again and again",
            Self::Elsewhere => "runs on another node",
            Self::Fenced => "the node is fenced, it runs on another",
            Self::Nowhere => "runs on no node",
        }
    }
}

/// One thing that an operator, a package manager, an accident or a plugin does.
pub(crate) struct Row {
    pub(crate) what: &'static str,
    pub(crate) done: fn(&Node) -> Option<Filled>,
    pub(crate) then: Then,
    /// A parameter of the resource.
    pub(crate) with: Option<(&'static str, &'static str)>,
}

const fn row(what: &'static str, then: Then, done: fn(&Node) -> Option<Filled>) -> Row {
    Row { what, done, then, with: None }
}

const fn with(what: &'static str, then: Then, name: &'static str, value: &'static str) -> Row {
    Row { what, done: |_| None, then, with: Some((name, value)) }
}

fn empty(directory: &Path) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        fs::remove_file(entry.path()).unwrap();
    }
}

fn policy(node: &Node, from: &str, to: &str) -> Option<Filled> {
    let text = policy_of("sample-tcp-server");
    assert!(text.contains(from), "{from}");
    install_policy(node, AGENT, &text.replace(from, to)).unwrap();
    None
}

fn no_policy(node: &Node) -> Option<Filled> {
    fs::remove_file(policy_path(node, AGENT)).unwrap();
    None
}

fn no_plugin(node: &Node) -> Option<Filled> {
    fs::remove_dir_all(node.disk().join(format!("lib/agents/{AGENT}"))).unwrap();
    None
}

fn no_blobs(node: &Node) -> Option<Filled> {
    empty(&node.disk().join("lib/blobs/sha256"));
    None
}

fn no_cache(node: &Node) -> Option<Filled> {
    empty(&node.disk().join("cache"));
    None
}

fn signal(node: &Node, signal: &str, pattern: &str) -> Option<Filled> {
    let pid = only_process(node, pattern);
    node.must(&["kill", signal, &pid.to_string()]);
    None
}

/// While the server runs.
pub(crate) const RUNNING: [Row; 25] = [
    row("the policy is mistyped", Then::Unnoticed, |node| policy(node, "lifetime", "liftime")),
    row("a label of the policy is renamed", Then::Unnoticed, |node| policy(node, "program.greeter", "program.server")),
    row("the policy is writable by everybody", Then::Unnoticed, |node| {
        fs::set_permissions(policy_path(node, AGENT), fs::Permissions::from_mode(0o666)).unwrap();
        None
    }),
    row("the policy is deleted", Then::Unnoticed, no_policy),
    row("the native code is deleted", Then::Unnoticed, no_cache),
    row("the plugin's file is garbage", Then::Unnoticed, |node| {
        let digest = node.must(&["sha256sum", "/var/lib/ocf-wasm/plugin.wasm"]);
        let blob = node.disk().join("lib/blobs/sha256").join(digest.split(' ').next().unwrap());
        fs::remove_file(&blob).unwrap();
        fs::write(&blob, "garbage").unwrap();
        None
    }),
    row("the agent's file is taken away and put back between two monitors", Then::Unnoticed, |node| {
        let place = format!("/usr/lib/ocf/resource.d/{AGENT}");
        node.must(&["sh", "-c", &format!("rm {place} && ln -s /usr/libexec/ocf-wasm/ocf-wasm-agent {place}")]);
        None
    }),
    row("/run is full", Then::Unnoticed, |node| Some(node.fill("/run").unwrap())),
    row("/var/lib/ocf-wasm is full", Then::Unnoticed, |node| Some(node.fill("/var/lib/ocf-wasm").unwrap())),
    row("the daemon is killed", Then::Again, |node| signal(node, "-KILL", GREETER)),
    row("the daemon hangs", Then::Again, |node| signal(node, "-STOP", GREETER)),
    row("the daemon is killed, and somebody else listens on its port", Then::Elsewhere, |node| {
        signal(node, "-KILL", GREETER);
        std::thread::sleep(std::time::Duration::from_millis(100));
        let other =
            ["setsid", "--fork", "/usr/libexec/ocf-wasm/examples/greeter", "--node", "nobody", "--port", "5678"];
        let mut other = node.command(&other);
        assert!(other.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success());
        None
    }),
    row("a monitor is killed", Then::Again, |node| {
        // A monitor takes some milliseconds; of a daemon that hangs it takes seconds.
        let pid = only_process(node, GREETER).to_string();
        node.must(&["kill", "-STOP", &pid]);
        let monitor = "for i in $(seq 1000); do pkill -KILL -f '[r]esource.d/ocf-wasm/sample-tcp-server monitor' && exit 0; done; exit 1";
        node.must(&["sh", "-c", monitor]);
        node.must(&["kill", "-CONT", &pid]);
        None
    }),
    row("the plugin is removed", Then::Elsewhere, no_plugin),
    row("all components are deleted", Then::Again, no_blobs),
    row("plugin, components, policy and native code are gone", Then::Elsewhere, |node| {
        no_plugin(node);
        no_blobs(node);
        no_policy(node);
        no_cache(node)
    }),
    row("its record is deleted", Then::Fenced, |node| {
        node.must(&["rm", &format!("/run/ocf-wasm/{AGENT}/web/record")]);
        None
    }),
    row("/run/ocf-wasm is deleted", Then::Fenced, |node| {
        node.must(&["rm", "-r", "/run/ocf-wasm"]);
        None
    }),
    row("the agent's file is gone", Then::Fenced, |node| {
        fs::remove_file(node.inside(format!("/usr/lib/ocf/resource.d/{AGENT}"))).unwrap();
        None
    }),
    row("the node loses its power", Then::Fenced, |node| {
        node.power_off().unwrap();
        None
    }),
    row("the node hangs", Then::Fenced, |node| {
        node.freeze().unwrap();
        None
    }),
    row("its network cable is pulled", Then::Fenced, |node| {
        node.cut().unwrap();
        None
    }),
    row("nobody answers it any more", Then::Fenced, |node| {
        node.isolate().unwrap();
        None
    }),
    row("corosync is killed", Then::Fenced, |node| {
        node.must(&["pkill", "-KILL", "-x", "corosync"]);
        None
    }),
    row("its processors are busy", Then::Unnoticed, |node| {
        node.load(2).unwrap();
        std::thread::sleep(std::time::Duration::from_secs(5));
        node.load(0).unwrap();
        None
    }),
];

/// Where the server is to be started.
pub(crate) const STARTING: [Row; 7] = [
    row("there is no policy", Then::Elsewhere, no_policy),
    row("the policy is mistyped", Then::Elsewhere, |node| policy(node, "lifetime", "liftime")),
    row("the policy is writable by everybody", Then::Elsewhere, |node| {
        fs::set_permissions(policy_path(node, AGENT), fs::Permissions::from_mode(0o666)).unwrap();
        None
    }),
    row("the program is not there", Then::Elsewhere, |node| policy(node, "examples/greeter", "examples/absent")),
    row("the plugin is not installed", Then::Elsewhere, no_plugin),
    row("/run is full", Then::Elsewhere, |node| Some(node.fill("/run").unwrap())),
    with("a parameter is wrong", Then::Nowhere, "port", "70000"),
];

/// A plugin that does it by itself: in which export, and what.
pub(crate) const STOPPING: [Row; 5] = [
    with("it traps in start", Then::Nowhere, "start", "trap"),
    with("it computes for ever in start", Then::Nowhere, "start", "loop"),
    with("it traps in monitor", Then::ForEver, "monitor", "trap"),
    with("it traps in stop, when it is to move", Then::Elsewhere, "stop", "trap"),
    with("it computes for ever in stop, when it is to move", Then::Elsewhere, "stop", "loop"),
];
