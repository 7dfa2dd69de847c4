//! What a granted program can reach, seen by the program, and what becomes of one that does not behave.
//!
//! All happens in a capsule: processes, network, /run and host name are nobody else's.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod matrix;
mod misbehaving;
mod mounts;
mod services;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use ocf_wasm_tests::host::{Ran, TestHost, finish, hostile, skip};
use ocf_wasm_tests::node::Node;
use ocf_wasm_tests::processes::Kept;

const AGENT: &str = "test/hostile";
/// Where programs of a test are, as the capsule sees them.
const PROGRAMS: &str = "/etc/ocf-wasm/programs";

/// A capsule with the plugin that runs what label `stuck` is bound to and logs what it says.
struct Room {
    node: Node,
    calls: AtomicU32,
}

impl Room {
    /// Makes one. `programs` are put into [`PROGRAMS`].
    fn new(programs: &[&Path]) -> Self {
        let host = TestHost::new();
        let place = host.path().join("etc/programs");
        fs::create_dir_all(&place).unwrap();
        for program in programs {
            let copy = place.join(program.file_name().unwrap());
            fs::copy(program, &copy).unwrap();
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
        }
        host.policy(AGENT, "format = 1\n");
        host.add(&hostile(), &[]);
        Self { node: Node::new(host), calls: AtomicU32::new(0) }
    }

    /// Binds label `stuck` to a program of the action lifetime.
    fn grant(&self, program: &str, argv: &[&str], more: &str) {
        self.policy(&label("stuck", program, argv, &format!("lifetime = \"action\"\n{more}")));
    }

    fn policy(&self, text: &str) {
        self.node.host.policy(AGENT, &format!("format = 1\n{text}"));
    }

    /// A call of the agent in the capsule, and the file that it logs to there.
    fn call(&self, action: &str, instance: &str, parameters: &[&str]) -> (Command, PathBuf) {
        let log = format!("/run/log-{}", self.calls.fetch_add(1, Ordering::Relaxed));
        let (instance, file) = (format!("OCF_RESOURCE_INSTANCE={instance}"), format!("HA_LOGFILE={log}"));
        let mut words =
            vec!["setsid", "-w", "env", "OCF_ROOT=/usr/lib/ocf", "OCF_RA_VERSION_MAJOR=1", &instance, &file];
        let parameters: Vec<String> = parameters.iter().map(|one| format!("OCF_RESKEY_{one}")).collect();
        words.extend(["OCF_RESKEY_CRM_meta_timeout=20000"]);
        words.extend(parameters.iter().map(String::as_str));
        words.extend(["/usr/lib/ocf/resource.d/test/hostile", action]);
        (self.node.executor.command(&words), self.node.executor.inside(log))
    }

    fn act(&self, action: &str, instance: &str, parameters: &[&str]) -> Ran {
        finish(&mut self.call(action, instance, parameters).0)
    }

    /// Has the program of label `stuck` run in a probe. Returns what it said, or why it did not.
    fn relay(&self) -> Result<Vec<String>, String> {
        let (mut call, log) = self.call("monitor", "relay", &["do=relay", "in=every-monitor"]);
        let ran = finish(&mut call);
        let text = fs::read_to_string(log).unwrap_or_default();
        if !text.contains("relayed ") {
            return Err(ran.stderr + &text);
        }
        let said = |line: &str| {
            line.split_once("relay: ").or_else(|| line.split_once("relayed ")).map(|(_, said)| said.to_owned())
        };
        Ok(text.lines().filter_map(said).collect())
    }

    /// Processes of the capsule whose command line ends with a word.
    fn left(&self, word: &str) -> usize {
        self.node.count(&format!("{word}$"))
    }
}

/// A table of a policy.
fn label(label: &str, program: &str, argv: &[&str], more: &str) -> String {
    let user = if more.contains("user = ") { "" } else { "user = \"nobody\"\n" };
    format!("[program.{label}]\nprogram = \"{program}\"\nargv = {argv:?}\n{user}{more}\n")
}

/// Starts a command of the capsule and keeps it, until it has said one line.
fn keep(mut command: Command) -> Kept {
    use std::io::{BufRead as _, BufReader};
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    Kept(child)
}

/// Whether a program of the machine is there; says aloud when not.
fn is_there(path: &str, package: &str) -> bool {
    Path::new(path).exists() || skip(&format!("{path} is missing: it comes with Debian's {package}"))
}
