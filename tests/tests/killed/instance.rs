//! Instances that can be told apart from outside, whatever the host under test believes of them.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use ocf_wasm_tests::host::{Action, Call, TestHost, free_port, kill, policy_of, until};
use ocf_wasm_tests::processes;

use super::SERVER;

/// Where control groups of daemons are made, whichever of them there are.
const HIERARCHIES: [&str; 5] = ["", "unified", "systemd", "freezer", "pids"];

/// A root, and a directory in which the daemons leave traces of themselves.
pub(crate) struct Place {
    pub(crate) host: TestHost,
    pub(crate) agent: &'static str,
    traces: tempfile::TempDir,
    count: AtomicU32,
}

impl Place {
    pub(crate) fn new(agent: &'static str) -> Self {
        let kind = agent.rsplit('/').next().unwrap();
        let host = TestHost::with(&[kind]);
        let traces = tempfile::Builder::new().prefix("ocf-wasm-killed-").tempdir().unwrap();
        fs::set_permissions(traces.path(), fs::Permissions::from_mode(0o777)).unwrap();
        if agent == SERVER {
            // Every process of a daemon holds its lock, so that one that is started beside another is noted, however
            // short it lives.
            let script = format!(
                "cd {}; echo $$ >> \"$1.starts\"; exec 9>> \"$1.lock\"; flock -n 9 || echo $$ >> \"$1.second\"; \
                 exec /usr/libexec/ocf-wasm/examples/greeter --port \"$1\" --node \"$2\"",
                traces.path().display()
            );
            let shell = fs::canonicalize("/bin/sh").unwrap();
            let policy = policy_of("sample-tcp-server")
                .replace("\"/usr/libexec/ocf-wasm/examples/greeter\"", &format!("{:?}", shell.display().to_string()))
                .replace("argv        = [\"--port\", ", &format!("argv = [\"-c\", '{script}', \"greeter\", "))
                .replace("\"--node\", ", "")
                .replace("network ", &format!("view = {{ write = [\"{}\"] }}\nnetwork ", traces.path().display()));
            assert!(policy.contains("view = ") && policy.contains(&script) && !policy.contains("\"--"), "{policy}");
            host.policy(SERVER, &policy);
        }
        Self { host, agent, traces, count: AtomicU32::new(0) }
    }

    /// An instance that nothing is known of.
    pub(crate) fn instance(&self) -> Instance<'_> {
        let port = free_port();
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let kind = self.agent.rsplit('/').next().unwrap();
        Instance { place: self, port, name: format!("killed-{kind}-{port}-{number}") }
    }

    /// Names of all files in the directory of an instance, and of all that are in no instance's.
    pub(crate) fn files(&self, of: &Instance<'_>) -> (BTreeSet<PathBuf>, BTreeSet<PathBuf>) {
        let (mut own, mut common) = (BTreeSet::new(), BTreeSet::new());
        let root = self.host.path();
        let above = root.join("run").join(self.agent);
        let mut open: Vec<PathBuf> = ["etc", "lib", "cache", "run"].iter().map(|name| root.join(name)).collect();
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
                let path = entry.path();
                match path.strip_prefix(&above) {
                    Ok(inside) if inside.starts_with(&of.name) => {
                        own.insert(inside.strip_prefix(&of.name).unwrap().to_owned());
                    }
                    Ok(inside) if inside.components().next().is_some() => continue,
                    _ => {
                        common.insert(path.clone());
                    }
                }
                if path.is_dir() {
                    open.push(path);
                }
            }
        }
        (own, common)
    }
}

/// One instance, whose name stands in the environment or among the arguments of every process of it.
pub(crate) struct Instance<'a> {
    place: &'a Place,
    port: u16,
    pub(crate) name: String,
}

impl<'a> Instance<'a> {
    pub(crate) fn has_daemon(&self) -> bool {
        self.place.agent == SERVER
    }

    pub(crate) fn action(&'a self, word: &'a str) -> Action<'a> {
        let action = self.place.host.action(self.place.agent, word).instance(&self.name);
        if self.has_daemon() { action.with("port", self.port).with("greet", &self.name) } else { action }
    }

    /// The same as a call of the agent's binary, which writes a trace.
    pub(crate) fn call(&self, word: &str) -> Call<'_> {
        let call = self.place.host.call(self.place.agent).argument(word).instance(&self.name);
        let call = call.variable("OCF_TRACE_RA", "1").variable("OCF_TRACE_FILE", self.file("trace"));
        if self.has_daemon() {
            call.variable("OCF_RESKEY_port", self.port.to_string()).variable("OCF_RESKEY_greet", &self.name)
        } else {
            call
        }
    }

    pub(crate) fn file(&self, what: &str) -> PathBuf {
        self.place.traces.path().join(format!("{}.{what}", self.name))
    }

    /// Lines that the daemons of this instance left.
    pub(crate) fn left(&self, what: &str) -> usize {
        let path = self.place.traces.path().join(format!("{}.{what}", self.port));
        fs::read_to_string(path).unwrap_or_default().lines().count()
    }

    /// The host calls that a trace shows as answered, or about to be.
    pub(crate) fn asked(&self) -> Vec<String> {
        calls(&fs::read_to_string(self.file("trace")).unwrap_or_default())
    }

    /// Daemons that live: processes with their environment whose parent is none of them.
    pub(crate) fn daemons(&self) -> Vec<i32> {
        let members = processes::with_variable(&format!("GREET={}", self.name));
        // One that has no parent any more was gone before it could be counted.
        let is_first = |pid: i32| processes::parent(pid).is_some_and(|parent| !members.contains(&parent));
        members.iter().copied().filter(|pid| is_first(*pid)).collect()
    }

    /// All processes of this instance, of whatever kind.
    pub(crate) fn everything(&self) -> Vec<i32> {
        let marks = [format!("GREET={}", self.name), format!("OCF_RESOURCE_INSTANCE={}", self.name)];
        let is_ours = |pid: i32| marks.iter().any(|mark| processes::has_variable(pid, mark));
        processes::all().filter(|pid| is_ours(*pid) || processes::has_argument(*pid, &self.name)).collect()
    }

    pub(crate) fn control_groups(&self) -> Vec<PathBuf> {
        let directories = HIERARCHIES.iter().map(|name| Path::new("/sys/fs/cgroup").join(name).join("ocf-wasm"));
        let entries = directories.flat_map(|directory| fs::read_dir(directory).into_iter().flatten().flatten());
        let prefix = format!("{}.", self.name);
        entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix)).map(|e| e.path()).collect()
    }

    /// Whether it runs, as far as anybody can see from outside; waits until a daemon greets.
    pub(crate) fn runs(&self, what_was_asked: &[String]) -> bool {
        if !self.has_daemon() {
            // The flag is kept by the host: it is where the last call put it.
            let sets = what_was_asked.iter().rfind(|name| matches!(name.as_str(), "state.set" | "state.delete"));
            return sets.is_some_and(|name| name == "state.set");
        }
        let daemons = self.daemons();
        assert!(daemons.len() <= 1, "{daemons:?}");
        if !daemons.is_empty() {
            until("the daemon listens", || TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok());
        }
        !daemons.is_empty()
    }

    #[track_caller]
    pub(crate) fn start(&self) {
        let before = self.daemons();
        let _ = self.action("start").is(0);
        let after = self.daemons();
        if self.has_daemon() {
            assert_eq!(after.len(), 1, "one daemon: {after:?}");
            assert!(before.is_empty() || before == after, "what ran is left alone: {before:?}, {after:?}");
        }
    }

    #[track_caller]
    pub(crate) fn stop(&self) {
        let _ = self.action("stop").is(0);
        assert_eq!(self.daemons(), Vec::<i32>::new(), "a stop that answered 0");
    }

    /// From whatever it is to nothing, by way of a start.
    #[track_caller]
    pub(crate) fn lives_on(&self) {
        self.start();
        let _ = self.action("monitor").recurring().is(0);
        self.stop();
        let _ = self.action("monitor").is(7);
        let _ = self.action("monitor").recurring().is(7);
        until("no process is left", || self.everything().is_empty());
        assert_eq!(self.control_groups(), Vec::<PathBuf>::new());
        assert_eq!(self.left("second"), 0, "a daemon was started beside another");
    }
}

impl Drop for Instance<'_> {
    fn drop(&mut self) {
        // What a check that failed found may be known to nobody else.
        for pid in self.everything() {
            kill(pid, "-KILL");
        }
        for group in self.control_groups() {
            drop(fs::remove_dir(group));
        }
    }
}

/// The host calls of a trace, without what the host says of exports.
pub(crate) fn calls(trace: &str) -> Vec<String> {
    let lines = trace.lines().filter_map(|line| line.split_once(" ms  "));
    let names = lines.filter_map(|(_, text)| text.split_whitespace().next()).filter(|name| *name != "=");
    names.map(str::to_owned).collect()
}
