//! Labels that are bound to units of a real systemd, seen from outside: what the plugin does not notice, and what only a
//! unit can do.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod backends;
mod behind;
mod between;
mod full;
mod life;
mod lost;
mod shared;
mod silent;
mod stopping;
mod transient;

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::OnceLock;

use ocf_wasm_tests::boxes::{Machine, available};
use ocf_wasm_tests::host::{Ran, finish, skip, until};

const AGENT: &str = "ocf-wasm/sample-tcp-server";
/// Where agents are.
const RESOURCES: &str = "/usr/lib/ocf/resource.d";
/// Where the policy of the agent lies.
const POLICY: &str = "/etc/ocf-wasm/policy/ocf-wasm/sample-tcp-server.toml";

/// Whether boxes can be had here; says aloud when not.
fn room() -> bool {
    static ROOM: OnceLock<Result<(), String>> = OnceLock::new();
    match ROOM.get_or_init(available) {
        Ok(()) => true,
        Err(why) => skip(why),
    }
}

/// A node with systemd, and the sample plugin whose label is bound to a unit.
struct Node {
    machine: Machine,
}

impl Node {
    fn new(name: &str) -> Self {
        let machine = Machine::up(name).unwrap();
        let node = Self { machine };
        node.policy("greeter.service");
        node.install("/usr/share/ocf-wasm/plugins/sample-tcp-server/sample-tcp-server.wasm");
        node
    }

    /// Installs a component of the box.
    fn install(&self, wasm: &str) {
        self.machine.must(&["ocf-wasm", "install", "--allow-unsigned", wasm]);
    }

    /// Binds the label to a unit.
    fn policy(&self, unit: &str) {
        self.policy_with(&format!(
            "unit = \"{unit}\"\nenvironment = {{ GREET = {{ param = \"greet\", text = {{ max = 200 }} }} }}"
        ));
    }

    fn policy_with(&self, program: &str) {
        let text = format!(
            "format = 1\n[program.greeter]\n{program}\n[endpoint.greeting]\n\
             tcp = {{ host = \"127.0.0.1\", port = {{ param = \"port\", port = {{}} }} }}\n"
        );
        self.grant(AGENT, &text);
    }

    /// Writes the policy of an agent.
    fn grant(&self, agent: &str, text: &str) {
        let path = format!("/etc/ocf-wasm/policy/{agent}.toml");
        self.machine.write(&path, text).unwrap();
        fs::set_permissions(self.machine.inside(path), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Puts a unit in its place.
    fn unit(&self, name: &str, service: &str) {
        let text =
            format!("[Unit]\nDescription=of a test\n[Service]\n{service}\n[Install]\nWantedBy=multi-user.target\n");
        self.machine.write(&format!("/etc/systemd/system/{name}"), text).unwrap();
        self.machine.must(&["systemctl", "daemon-reload"]);
    }

    /// Puts the unit of the greeter in its place, with more settings.
    fn greeter(&self, name: &str, port: u16, switches: &str, more: &str) {
        let exec =
            format!("ExecStart=/usr/libexec/ocf-wasm/examples/greeter --port {port} --node box {switches}\n{more}");
        self.unit(name, &exec);
    }

    /// A unit that is up without a process, beside a greeter of its own that the plugin hears.
    fn processless(&self, port: u16) {
        self.greeter("heard.service", port, "", "Environment=GREET=Hello!");
        self.machine.must(&["systemctl", "start", "heard"]);
        self.unit("greeter.service", "Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true");
        self.machine.must(&["systemctl", "start", "greeter"]);
    }

    /// Starts the bus or stops it.
    fn bus(&self, verb: &str) {
        self.machine.must(&["systemctl", verb, "dbus.socket", "dbus.service"]);
        if verb == "stop" {
            assert!(self.machine.run(&["busctl", "list"]).code != 0, "the bus is up");
        }
    }

    /// An action of an instance called as its port.
    fn act(&self, action: &str, port: u16, more: &[&str]) -> Ran {
        self.act_within(action, port, "20000", more)
    }

    fn act_within(&self, action: &str, port: u16, timeout_ms: &str, more: &[&str]) -> Ran {
        self.act_as(&format!("greet-{port}"), action, port, timeout_ms, more)
    }

    /// An action of an instance of any name.
    fn act_as(&self, instance: &str, action: &str, port: u16, timeout_ms: &str, more: &[&str]) -> Ran {
        let port = format!("port={port}");
        self.act_of(AGENT, instance, action, timeout_ms, &[&[port.as_str()], more].concat())
    }

    /// An action of any agent.
    fn act_of(&self, agent: &str, instance: &str, action: &str, timeout_ms: &str, given: &[&str]) -> Ran {
        let mut words = vec!["env".to_owned(), "OCF_ROOT=/usr/lib/ocf".into(), "OCF_RA_VERSION_MAJOR=1".into()];
        words.push(format!("OCF_RESOURCE_INSTANCE={instance}"));
        words.push(format!("OCF_RESKEY_CRM_meta_timeout={timeout_ms}"));
        words.extend(given.iter().map(|one| format!("OCF_RESKEY_{one}")));
        words.extend([format!("{RESOURCES}/{agent}"), action.to_owned()]);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        finish(&mut self.machine.command(&words))
    }

    /// A recurring monitor.
    fn monitor(&self, port: u16) -> Ran {
        self.act("monitor", port, &["CRM_meta_interval=10000"])
    }

    fn probe(&self, port: u16) -> Ran {
        self.act("monitor", port, &[])
    }

    fn state(&self, unit: &str) -> String {
        self.machine.show(unit, "ActiveState")
    }

    fn main(&self, unit: &str) -> String {
        self.machine.show(unit, "MainPID")
    }

    /// Kills processes of the box by their numbers there.
    fn kill(&self, pids: &[&str]) {
        self.machine.must(&[&["kill", "-KILL"], pids].concat());
    }

    fn greeting(&self, port: u16) -> String {
        self.machine.must(&["bash", "-c", &format!("head -c 300 </dev/tcp/127.0.0.1/{port}")])
    }

    fn why(&self, port: u16) -> serde_json::Value {
        self.why_of(&format!("greet-{port}"))
    }

    fn why_of(&self, instance: &str) -> serde_json::Value {
        let ran = self.machine.run(&["ocf-wasm", "-o", "json", "why", instance]);
        ran.json()["instances"][0].clone()
    }

    /// Where the files of an instance are.
    fn directory(&self, port: u16) -> std::path::PathBuf {
        self.machine.inside(format!("/run/ocf-wasm/{AGENT}/greet-{port}"))
    }
}

/// The whole of a file that may not be there.
fn read(path: &std::path::Path) -> String {
    let mut text = String::new();
    if let Ok(mut file) = fs::File::open(path) {
        file.read_to_string(&mut text).unwrap();
    }
    text
}
