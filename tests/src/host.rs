//! The laid out binaries in a private root: installed, called and observed from outside, as an operator and a cluster
//! would.
//!
//! A [`TestHost`] is one temporary root. Everything in it goes through the tool, `ocf-wasm --root`, so that the agents
//! under test are the very files that Pacemaker runs. [`TestHost::action`] is what `ocf-wasm run` does;
//! [`TestHost::call`] runs the agent's binary with an argument vector and an environment that the test makes up.
//! Dropping the host stops what runs, and kills what does not stop.

#![allow(clippy::unwrap_used, reason = "support of tests: a panic is the report")]

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

pub use crate::built::{HOSTILE_POLICY, broken, dist, hostile, plugin, plugins, policy_of, reach, variant_of};
pub use crate::command::{REASON, REASON_BYTES, Ran, finish, until};
pub use crate::processes::{command_line, is_alive, kill};

/// Whether this is root. Says aloud what is skipped if not; in CI that is a failure.
pub fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    is_root || skip("these tests need root: they check users, owners and control groups")
}

/// Says aloud that something is skipped, and why; in CI that is a failure.
///
/// Returns false, for `if !there_is_a_tool && !skip(..)`.
pub fn skip(why: &str) -> bool {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
    eprintln!("SKIPPED: {why}");
    // What a test that passes prints is not shown: whoever runs them all says it at the end.
    if let Some(file) = std::env::var_os("OCF_WASM_SKIPPED") {
        let file = fs::OpenOptions::new().append(true).create(true).open(file);
        file.and_then(|mut file| file.write_all(format!("{}\n", why.replace('\n', " ")).as_bytes())).unwrap();
    }
    false
}

/// A TCP port that nobody listens on, given to one test only.
pub fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        if given.insert(port) {
            return port;
        }
    }
}

/// A private root with what a test installed into it.
#[derive(Debug)]
pub struct TestHost {
    root: tempfile::TempDir,
    tool: PathBuf,
    calls: AtomicU32,
    /// A tree that goes away with the root.
    tree: Option<tempfile::TempDir>,
}

impl Default for TestHost {
    fn default() -> Self {
        Self::new()
    }
}

impl TestHost {
    /// Makes an empty root.
    pub fn new() -> Self {
        Self::of(&dist())
    }

    /// Makes an empty root for the binaries of another tree than that of [`dist`].
    pub fn of(tree: &Path) -> Self {
        let root = tempfile::Builder::new().prefix("ocf-wasm-test-").tempdir().unwrap();
        // Whole from the first moment on, so that a test may put files of its own beside.
        for (name, mode) in [("etc", 0o755), ("lib", 0o755), ("cache", 0o700), ("run", 0o700), ("resource.d", 0o755)] {
            let path = root.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        Self { root, tool: tree.join("usr/bin/ocf-wasm"), calls: AtomicU32::new(0), tree: None }
    }

    /// Makes an empty root for the binaries of a tree that goes away with it.
    pub fn of_temporary(tree: tempfile::TempDir) -> Self {
        let mut host = Self::of(tree.path());
        host.tree = Some(tree);
        host
    }

    /// Makes a root with plugins of the tree and their policies.
    pub fn with(plugins: &[&str]) -> Self {
        let host = Self::new();
        for name in plugins {
            host.install(name);
        }
        host
    }

    /// The directory in which `etc`, `lib`, `cache`, `run` and `resource.d` are.
    pub fn path(&self) -> &Path {
        self.root.path()
    }

    /// Installs a plugin of the tree, with the policy that comes with it.
    pub fn install(&self, name: &str) {
        self.policy(&format!("ocf-wasm/{name}"), &policy_of(name));
        self.add(&plugin(name), &[]);
    }

    /// Installs the component that misbehaves, with [`HOSTILE_POLICY`].
    pub fn install_hostile(&self) {
        self.policy("test/hostile", HOSTILE_POLICY);
        self.add(&hostile(), &[]);
    }

    /// Installs a component, with further arguments, and expects that to work.
    #[track_caller]
    pub fn add(&self, component: &Path, more: &[&str]) -> Ran {
        let ran = finish(self.tool(&["install", "--allow-unsigned"]).arg(component).args(more));
        assert_eq!(ran.code, 0, "{ran:#?}");
        ran
    }

    /// Where the policy of an agent lies.
    pub fn policy_path(&self, agent: &str) -> PathBuf {
        self.path().join(format!("etc/policy/{agent}.toml"))
    }

    /// Puts a policy in its place.
    pub fn policy(&self, agent: &str, text: &str) {
        let path = self.policy_path(agent);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// A command of the tool in this root.
    pub fn tool(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.tool);
        command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.arg("--root").arg(self.path()).args(arguments);
        command
    }

    /// Runs the tool.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        finish(&mut self.tool(arguments))
    }

    /// An action, as the tool's `run` does it.
    pub fn action<'a>(&'a self, agent: &'a str, action: &'a str) -> Action<'a> {
        Action {
            host: self,
            agent,
            action,
            parameters: Vec::new(),
            instance: "try",
            interval: None,
            timeout: "20s".into(),
            more: Vec::new(),
        }
    }

    /// A call of the agent's binary, with nothing in its environment.
    pub fn call(&self, agent: &str) -> Call<'_> {
        Call {
            host: self,
            program: format!("/usr/lib/ocf/resource.d/{agent}"),
            arguments: Vec::new(),
            environment: Vec::new(),
            before: String::new(),
            under: Vec::new(),
            through: Vec::new(),
            user: None,
        }
    }

    /// What is known about an instance.
    pub fn why(&self, instance: &str) -> Value {
        self.run(&["-o", "json", "why", instance]).json()["instances"][0].clone()
    }

    /// Processes of the daemons of an instance, with their command lines.
    pub fn processes(&self, instance: &str) -> Vec<(i32, String)> {
        let known = self.why(instance);
        let daemons = known["daemons"].as_array().cloned().unwrap_or_default();
        let pids = daemons.iter().flat_map(|daemon| daemon["processes"].as_array().cloned().unwrap_or_default());
        pids.filter_map(|pid| pid.as_i64().and_then(|pid| i32::try_from(pid).ok()))
            .map(|pid| (pid, command_line(pid)))
            .collect()
    }

    /// Stops all that runs and kills what does not stop.
    fn end_all(&self) {
        let listed = self.run(&["-o", "json", "list"]);
        let Ok(listed) = serde_json::from_str::<Value>(&listed.stdout) else { return };
        for entry in listed["instances"].as_array().into_iter().flatten() {
            let (Some(agent), Some(instance)) = (entry["agent"].as_str(), entry["instance"].as_str()) else { continue };
            let is_over = |state: &Value| matches!(state.as_str(), Some("stopped" | "refused" | "none"));
            if is_over(&entry["state"]) {
                continue;
            }
            let stop = || self.run(&["run", agent, "stop", "--instance", instance, "--timeout", "3s"]).code == 0;
            if stop() {
                continue;
            }
            for (pid, _) in self.processes(instance) {
                kill(pid, "-KILL");
            }
            stop();
        }
    }
}

impl Drop for TestHost {
    fn drop(&mut self) {
        // A second panic while one is on its way would end the whole run without a report.
        drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.end_all())));
    }
}

/// One action, as the tool's `run` does it.
#[derive(Debug, Clone)]
#[must_use]
pub struct Action<'a> {
    host: &'a TestHost,
    agent: &'a str,
    action: &'a str,
    parameters: Vec<(String, String)>,
    instance: &'a str,
    interval: Option<&'a str>,
    timeout: String,
    more: Vec<&'a str>,
}

impl<'a> Action<'a> {
    /// Gives a parameter, in the place of a value that it was given before.
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.parameters.retain(|(given, _)| given != name);
        self.parameters.push((name.to_owned(), value.to_string()));
        self
    }

    /// Names the instance.
    pub fn instance(self, instance: &'a str) -> Self {
        Self { instance, ..self }
    }

    /// Makes a monitor a recurring one.
    pub fn recurring(self) -> Self {
        Self { interval: Some("10s"), ..self }
    }

    /// Says how long it may take, in milliseconds.
    pub fn timeout_ms(self, timeout: u32) -> Self {
        Self { timeout: format!("{timeout}ms"), ..self }
    }

    /// Adds arguments of the tool.
    pub fn more(mut self, arguments: &[&'a str]) -> Self {
        self.more.extend(arguments);
        self
    }

    /// Runs it.
    pub fn run(&self) -> Ran {
        let mut command = self.host.tool(&["run", self.agent, self.action, "--instance", self.instance]);
        command.args(["--timeout", &self.timeout]).args(&self.more);
        if let Some(interval) = self.interval {
            command.args(["--interval", interval]);
        }
        for (name, value) in &self.parameters {
            command.arg("-p").arg(format!("{name}={value}"));
        }
        finish(&mut command)
    }

    /// Runs it and checks how it ends, as [`Ran::is`] does.
    #[track_caller]
    pub fn is(&self, code: i32) -> Ran {
        self.run().is(code)
    }
}

/// One call of an agent's binary, whose every byte the test chooses.
#[derive(Debug, Clone)]
#[must_use]
pub struct Call<'a> {
    host: &'a TestHost,
    program: String,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    before: String,
    under: Vec<String>,
    through: Vec<String>,
    user: Option<u32>,
}

impl Call<'_> {
    /// Adds an argument.
    pub fn argument(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds a variable.
    pub fn variable(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Adds what every caller sets for an instance and an action of 20 s.
    pub fn instance(self, name: &str) -> Self {
        self.variable("OCF_ROOT", "/usr/lib/ocf")
            .variable("OCF_RA_VERSION_MAJOR", "1")
            .variable("OCF_RESOURCE_INSTANCE", name)
            .variable("OCF_RESKEY_CRM_meta_timeout", "20000")
    }

    /// Runs shell commands before, in the process that becomes the agent: `exec 0<&-`, `umask 077`.
    pub fn before(mut self, commands: &str) -> Self {
        self.before.push_str(commands);
        self.before.push('\n');
        self
    }

    /// Puts what is in a directory on a file system that has no room for anything else. Where that cannot be done,
    /// nothing is called.
    pub fn full(self, directory: &str) -> Self {
        let place = self.host.path().join("full");
        self.before(&format!(
            "set -e
             place={}.$$; mkdir $place; mount -t tmpfs -o size=64M,mode=0755 none $place; cp -a {directory}/. $place
             mount --move $place {directory}; rmdir $place
             mount -o remount,size=$(( $(du -sk {directory} | cut -f1) + 8 ))k {directory}
             if head -c 64M /dev/zero >{directory}/filling 2>/dev/null; then echo {directory} is not full >&2; exit 99; fi
             set +e",
            place.display()
        ))
    }

    /// Runs it under a program that executes its last arguments, such as `strace -o FILE`.
    pub fn under(mut self, words: &[&str]) -> Self {
        self.under.extend(words.iter().map(|word| (*word).to_owned()));
        self
    }

    /// Has it executed by a program that gets its first arguments, and then the call's.
    pub fn through(mut self, words: &[&str]) -> Self {
        self.through.extend(words.iter().map(|word| (*word).to_owned()));
        self
    }

    /// Runs it as another user, without any group of root's.
    pub fn user(self, number: u32) -> Self {
        Self { user: Some(number), ..self }
    }

    /// Calls it by another path.
    pub fn program(self, path: &str) -> Self {
        Self { program: path.to_owned(), ..self }
    }

    /// Runs it.
    ///
    /// The private root has an agent that belongs to the test: a shell that becomes the call.
    pub fn run(&self) -> Ran {
        let directory = self.host.path().join("resource.d/test-support");
        let agent = directory.join("call");
        if !agent.exists() {
            fs::create_dir_all(&directory).unwrap();
            let new = directory.join(format!(".new-{:?}", std::thread::current().id()));
            fs::write(&new, "#!/bin/sh\n. \"$OCF_RESKEY_script\"\n").unwrap();
            fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
            fs::rename(new, &agent).unwrap();
        }
        let number = self.host.calls.fetch_add(1, Ordering::Relaxed);
        let script = self.host.path().join(format!("call-{number}"));
        let mut text = self.before.clone().into_bytes();
        text.extend(b"exec");
        for word in &self.under {
            quote(&mut text, OsStr::new(word));
        }
        if let Some(user) = self.user {
            text.extend(format!(" setpriv --reuid {user} --regid {user} --clear-groups").bytes());
        }
        text.extend(b" env -i");
        for (name, value) in &self.environment {
            let mut assignment = name.clone();
            assignment.push("=");
            assignment.push(value);
            quote(&mut text, &assignment);
        }
        for word in self.through.iter().chain([&self.program]) {
            quote(&mut text, OsStr::new(word));
        }
        for argument in &self.arguments {
            quote(&mut text, argument);
        }
        text.push(b'\n');
        fs::write(&script, text).unwrap();
        let script = format!("script={}", script.display());
        self.host.run(&["run", "test-support/call", "call", "-p", &script])
    }

    /// Runs it and checks how it ends, as [`Ran::is`] does.
    #[track_caller]
    pub fn is(&self, code: i32) -> Ran {
        self.run().is(code)
    }
}

/// Adds a word that the shell takes as it is.
fn quote(text: &mut Vec<u8>, word: &OsStr) {
    text.extend(b" '");
    for byte in word.as_bytes() {
        match byte {
            b'\'' => text.extend(b"'\\''"),
            byte => text.push(*byte),
        }
    }
    text.push(b'\'');
}
