//! `demo`: install, start, watch, kill, swap, stop, on a real daemon, in a private root that touches nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{dist, target};

/// Not the example's own port, so that a demo disturbs nothing that is installed.
const PORT: &str = "5679";
const AGENT: &str = "ocf-wasm/sample-tcp-server";

struct Demo {
    tool: PathBuf,
    root: PathBuf,
}

/// Runs the demo.
///
/// # Errors
/// If a step does not answer what it must: the demo is a test too.
pub(crate) fn run() -> Result<()> {
    let tree = dist::run()?;
    let root = target().join("demo");
    let demo = Demo { tool: tree.join("usr/bin/ocf-wasm"), root };
    // What an interrupted demo left running is ended by its own stop.
    if demo.root.exists() {
        let _ = demo.quiet(&["run", AGENT, "stop", "--instance", "web"]);
        fs::remove_dir_all(&demo.root).with_context(|| demo.root.display().to_string())?;
    }
    let done = demo.play(&tree.join("usr/share/ocf-wasm/plugins/sample-tcp-server"));
    if done.is_err() {
        let _ = demo.quiet(&["run", AGENT, "stop", "--instance", "web"]);
    }
    done
}

impl Demo {
    fn play(&self, plugin: &Path) -> Result<()> {
        let component = plugin.join("sample-tcp-server.wasm");
        println!(
            "All of it happens in a private root: to type it yourself, put --root {} behind ocf-wasm, and",
            self.root.display()
        );
        println!("etc/ below that for /etc/ocf-wasm.");
        say("A plugin is a file. What is in it, and what does it ask for?");
        self.show(&["inspect", text(&component)?], 0)?;
        say("The operator grants it: this is the policy, and nothing else is allowed.");
        let policy = self.root.join("etc/policy/ocf-wasm/sample-tcp-server.toml");
        fs::create_dir_all(policy.parent().context("policy")?)?;
        fs::copy(plugin.join("policy.toml"), &policy)?;
        println!("$ cp policy.toml /etc/ocf-wasm/policy/{AGENT}.toml");
        self.show(&["install", text(&component)?, "--allow-unsigned"], 0)?;

        say("Pacemaker probes, starts, monitors.");
        self.action("monitor", &[], 7)?;
        self.action("start", &["--trace"], 0)?;
        self.action("monitor", &["--interval", "10s"], 0)?;

        say("kill -9 of the main process. Its child is left: alive and broken, so 1, also to a probe.");
        let pids = self.processes()?;
        let (Some(main), true) = (pids.first(), pids.len() > 1) else { bail!("no tree of processes: {pids:?}") };
        kill(*main)?;
        self.action("monitor", &["--interval", "10s"], 1)?;
        self.action("monitor", &[], 1)?;

        say("kill -9 of the child too. Nothing is alive: failed to a monitor, not running to a probe.");
        for pid in self.processes()? {
            kill(pid)?;
        }
        self.wait_for_none()?;
        self.action("monitor", &["--interval", "10s"], 1)?;
        self.action("monitor", &[], 7)?;
        self.show(&["why", "web"], 0)?;

        say("Pacemaker recovers it.");
        self.action("stop", &[], 0)?;
        self.action("start", &[], 0)?;

        say("A new version arrives while it runs: both versions must agree about it, then it is swapped beneath it.");
        let before = self.processes()?;
        let second = self.root.join("second.wasm");
        fs::write(&second, second_version(&fs::read(&component)?))?;
        self.show(&["install", text(&second)?, "--allow-unsigned"], 0)?;
        self.action("monitor", &["--interval", "10s"], 0)?;
        self.show(&["list"], 0)?;
        say("And back.");
        self.show(&["rollback", AGENT], 0)?;
        self.action("monitor", &["--interval", "10s"], 0)?;
        if before != self.processes()? {
            bail!("the daemon was disturbed by the swap");
        }

        say("Stopped. Nothing is left.");
        self.action("stop", &[], 0)?;
        self.action("monitor", &[], 7)?;
        if !self.processes()?.is_empty() {
            bail!("something is left");
        }
        Ok(())
    }

    fn action(&self, action: &str, more: &[&str], expected: i32) -> Result<()> {
        let port = format!("port={PORT}");
        let mut arguments = vec!["run", AGENT, action, "--instance", "web", "-p", &port];
        arguments.extend(more);
        self.show(&arguments, expected)
    }

    fn show(&self, arguments: &[&str], expected: i32) -> Result<()> {
        let shown: Vec<String> = arguments
            .iter()
            .map(|a| {
                Path::new(a)
                    .file_name()
                    .filter(|_| a.starts_with('/'))
                    .map_or((*a).to_owned(), |n| n.to_string_lossy().into_owned())
            })
            .collect();
        println!("$ ocf-wasm {}", shown.join(" "));
        let output = self.command(arguments).output().context("ocf-wasm")?;
        for line in
            String::from_utf8_lossy(&output.stdout).lines().chain(String::from_utf8_lossy(&output.stderr).lines())
        {
            println!("  {line}");
        }
        let code = output.status.code().unwrap_or(-1);
        println!("  -> {code}");
        if code != expected {
            bail!("ocf-wasm {} answered {code}, not {expected}", shown.join(" "));
        }
        Ok(())
    }

    fn quiet(&self, arguments: &[&str]) -> Result<Vec<u8>> {
        Ok(self.command(arguments).output().context("ocf-wasm")?.stdout)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.tool);
        command.arg("--root").arg(&self.root).args(arguments);
        command
    }

    /// The daemon's processes, as `why` sees them.
    fn processes(&self) -> Result<Vec<i64>> {
        let why: Value = serde_json::from_slice(&self.quiet(&["-o", "json", "why", "web"])?).context("why")?;
        let daemons = why["instances"][0]["daemons"].as_array().cloned().unwrap_or_default();
        let pids = daemons.iter().flat_map(|d| d["processes"].as_array().cloned().unwrap_or_default());
        Ok(pids.filter_map(|pid| pid.as_i64()).collect())
    }

    fn wait_for_none(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(5);
        while !self.processes()?.is_empty() {
            if Instant::now() > deadline {
                bail!("killed processes do not go away");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

fn kill(pid: i64) -> Result<()> {
    println!("$ kill -9 {pid}");
    super::run(Command::new("kill").arg("-9").arg(pid.to_string()))
}

fn say(text: &str) {
    println!("\n# {text}");
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}

/// The same component with one custom section more: another digest, as another build would have.
fn second_version(component: &[u8]) -> Vec<u8> {
    let mut bytes = component.to_vec();
    let (name, data) = (b"demo", b"second version");
    let size = u8::try_from(1 + name.len() + data.len()).unwrap_or(0);
    bytes.extend_from_slice(&[0, size, u8::try_from(name.len()).unwrap_or(0)]);
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(data);
    bytes
}
