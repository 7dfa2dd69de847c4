//! The process that Pacemaker started is killed at every call that the plugin makes in a start and in a stop: whatever
//! was true at that moment, the next action finds it out.
//!
//! It is killed when the call has arrived and nothing was done for it, and again when all was done and the answer is
//! about to be sent; alone, and with its whole process group, as Pacemaker does it.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use ocf_wasm_tests::host::{Action, Call, Ran, TestHost, free_port, is_root, kill, policy_of, skip, until};
use ocf_wasm_tests::processes;

const DUMMY: &str = "ocf-wasm/dummy";
const SERVER: &str = "ocf-wasm/sample-tcp-server";
/// Where control groups of daemons are made, whichever of them there are.
const HIERARCHIES: [&str; 5] = ["", "unified", "systemd", "freezer", "pids"];

/// Whether processes can be killed at a chosen system call here; says aloud when not.
fn room() -> bool {
    is_root() && (Path::new("/usr/bin/strace").exists() || skip("/usr/bin/strace is missing (Debian: strace)"))
}

/// A root, and a directory in which the daemons leave traces of themselves.
struct Place {
    host: TestHost,
    agent: &'static str,
    traces: tempfile::TempDir,
    count: AtomicU32,
}

impl Place {
    fn new(agent: &'static str) -> Self {
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
                .replace("\"--node\", ", "");
            assert!(policy.contains(&script) && !policy.contains("\"--"), "{policy}");
            host.policy(SERVER, &policy);
        }
        Self { host, agent, traces, count: AtomicU32::new(0) }
    }

    /// An instance that nothing is known of.
    fn instance(&self) -> Instance<'_> {
        let port = free_port();
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let kind = self.agent.rsplit('/').next().unwrap();
        Instance { place: self, port, name: format!("killed-{kind}-{port}-{number}") }
    }

    /// Names of all files in the directory of an instance, and of all that are in no instance's.
    fn files(&self, of: &Instance<'_>) -> (BTreeSet<PathBuf>, BTreeSet<PathBuf>) {
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
struct Instance<'a> {
    place: &'a Place,
    port: u16,
    name: String,
}

impl<'a> Instance<'a> {
    fn has_daemon(&self) -> bool {
        self.place.agent == SERVER
    }

    fn action(&'a self, word: &'a str) -> Action<'a> {
        let action = self.place.host.action(self.place.agent, word).instance(&self.name);
        if self.has_daemon() { action.with("port", self.port).with("greet", &self.name) } else { action }
    }

    /// The same as a call of the agent's binary, which writes a trace.
    fn call(&self, word: &str) -> Call<'_> {
        let call = self.place.host.call(self.place.agent).argument(word).instance(&self.name);
        let call = call.variable("OCF_TRACE_RA", "1").variable("OCF_TRACE_FILE", self.file("trace"));
        if self.has_daemon() {
            call.variable("OCF_RESKEY_port", self.port.to_string()).variable("OCF_RESKEY_greet", &self.name)
        } else {
            call
        }
    }

    fn file(&self, what: &str) -> PathBuf {
        self.place.traces.path().join(format!("{}.{what}", self.name))
    }

    /// Lines that the daemons of this instance left.
    fn left(&self, what: &str) -> usize {
        let path = self.place.traces.path().join(format!("{}.{what}", self.port));
        fs::read_to_string(path).unwrap_or_default().lines().count()
    }

    /// The host calls that a trace shows as answered, or about to be.
    fn asked(&self) -> Vec<String> {
        calls(&fs::read_to_string(self.file("trace")).unwrap_or_default())
    }

    /// Daemons that live: processes with their environment whose parent is none of them.
    fn daemons(&self) -> Vec<i32> {
        let members = processes::with_variable(&format!("GREET={}", self.name));
        let is_of_another = |pid: i32| processes::parent(pid).is_some_and(|parent| members.contains(&parent));
        members.iter().copied().filter(|pid| !is_of_another(*pid)).collect()
    }

    /// All processes of this instance, of whatever kind.
    fn everything(&self) -> Vec<i32> {
        let marks = [format!("GREET={}", self.name), format!("OCF_RESOURCE_INSTANCE={}", self.name)];
        let is_ours = |pid: i32| marks.iter().any(|mark| processes::has_variable(pid, mark));
        processes::all().filter(|pid| is_ours(*pid) || processes::has_argument(*pid, &self.name)).collect()
    }

    fn control_groups(&self) -> Vec<PathBuf> {
        let directories = HIERARCHIES.iter().map(|name| Path::new("/sys/fs/cgroup").join(name).join("ocf-wasm"));
        let entries = directories.flat_map(|directory| fs::read_dir(directory).into_iter().flatten().flatten());
        let prefix = format!("{}.", self.name);
        entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix)).map(|e| e.path()).collect()
    }

    /// Whether it runs, as far as anybody can see from outside; waits until a daemon greets.
    fn runs(&self, what_was_asked: &[String]) -> bool {
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
    fn start(&self) {
        let before = self.daemons();
        let _ = self.action("start").is(0);
        let after = self.daemons();
        if self.has_daemon() {
            assert_eq!(after.len(), 1, "one daemon: {after:?}");
            assert!(before.is_empty() || before == after, "what ran is left alone: {before:?}, {after:?}");
        }
    }

    #[track_caller]
    fn stop(&self) {
        let _ = self.action("stop").is(0);
        assert_eq!(self.daemons(), Vec::<i32>::new(), "a stop that answered 0");
    }

    /// From whatever it is to nothing, by way of a start.
    #[track_caller]
    fn lives_on(&self) {
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
        // What a check that failed found alive may be known to nobody else.
        for pid in self.everything() {
            kill(pid, "-KILL");
        }
    }
}

/// The host calls of a trace, without what the host says of exports.
fn calls(trace: &str) -> Vec<String> {
    let lines = trace.lines().filter_map(|line| line.split_once(" ms  "));
    let names = lines.filter_map(|(_, text)| text.split_whitespace().next()).filter(|name| *name != "=");
    names.map(str::to_owned).collect()
}

/// Without the repetitions of a start that waits for its daemon.
fn once(mut calls: Vec<String>) -> Vec<String> {
    while calls.len() >= 4 && calls[calls.len() - 2..] == calls[calls.len() - 4..calls.len() - 2] {
        calls.truncate(calls.len() - 2);
    }
    calls
}

/// A moment at which the broker is killed.
#[derive(Clone, Copy, Debug)]
struct Point {
    /// Which host call of the action, from 1 on.
    call: usize,
    /// Whether it was done, and its answer is about to be sent; otherwise it has arrived.
    is_done: bool,
    /// The system call that the broker is about to make, and which of its kind.
    system_call: &'static str,
    number: usize,
}

/// Finds the moments in what strace wrote of a whole action.
///
/// The first pair of sockets is the way to the runner. A message of it is two reads, of its length and of itself, and
/// the first byte of a host call is 0.
fn points(log: &str) -> Vec<Point> {
    let (mut found, mut way) = (Vec::new(), None);
    let (mut received, mut sent, mut is_length, mut call) = (0, 0, false, 0);
    let mut is_asked = false;
    for line in log.lines() {
        let (name, arguments) = line.split_once('(').unwrap_or_default();
        let is_of_way = way.is_some_and(|way: &str| arguments.starts_with(way));
        match name {
            "socketpair" if way.is_none() => {
                way = arguments.split_once('[').and_then(|(_, pair)| pair.split_inclusive(", ").next());
            }
            "recvfrom" => {
                received += 1;
                is_length ^= is_of_way;
                if is_of_way && !is_length && arguments.contains(" \"\\0") {
                    call += 1;
                    is_asked = true;
                    found.push(Point { call, is_done: false, system_call: "recvfrom", number: received });
                }
            }
            "sendmsg" => {
                sent += 1;
                if is_of_way && std::mem::take(&mut is_asked) {
                    found.push(Point { call, is_done: true, system_call: "sendmsg", number: sent });
                }
            }
            _ => {}
        }
    }
    found
}

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whom {
    Broker,
    Group,
}

/// Runs an action under strace, to its end.
fn watched(instance: &Instance<'_>, word: &str) -> Vec<Point> {
    let log = instance.file("strace").display().to_string();
    let _ = instance.call(word).under(&["strace", "-o", &log, "-e", "trace=socketpair,recvfrom,sendmsg"]).is(0);
    points(&fs::read_to_string(&log).unwrap())
}

/// Runs an action that is killed at `point`. False if it ended before, because it made fewer calls.
#[track_caller]
fn kill_at(instance: &Instance<'_>, word: &str, point: Point, whom: Whom) -> bool {
    let log = instance.file("strace").display().to_string();
    let traced = format!("trace={}", point.system_call);
    let when = format!("when={}", point.number);
    let ran = match whom {
        Whom::Broker => {
            let inject = format!("inject={}:signal=KILL:{when}", point.system_call);
            instance.call(word).under(&["strace", "-o", &log, "-e", &traced, "-e", &inject]).run()
        }
        Whom::Group => {
            // It is stopped there, having neither received nor sent anything, and killed with all of its group.
            let inject = format!("inject={}:error=EINTR:signal=STOP:{when}", point.system_call);
            let group = instance.file("group");
            let call = instance.call(word).before(&format!("echo $$ > {}", group.display()));
            let call = call.under(&["setsid", "strace", "-o", &log, "-e", &traced, "-e", &inject]);
            let is_stopped = || fs::read_to_string(&log).is_ok_and(|log| log.contains("stopped by SIGSTOP"));
            std::thread::scope(|scope| {
                let running = scope.spawn(|| call.run());
                until("it is stopped or has ended", || running.is_finished() || is_stopped());
                if is_stopped() {
                    let group: i32 = fs::read_to_string(group).unwrap().trim().parse().unwrap();
                    let group = rustix::process::Pid::from_raw(group).unwrap();
                    rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
                }
                running.join().unwrap()
            })
        }
    };
    was_killed(instance, &ran, point)
}

#[track_caller]
fn was_killed(instance: &Instance<'_>, ran: &Ran, point: Point) -> bool {
    let asked = instance.asked().len();
    if ran.code == 0 {
        assert!(asked < point.call, "not killed at {point:?}: {ran:#?}");
        return false;
    }
    assert!(ran.code == 1 && ran.stderr.contains("ended by signal 9"), "{point:?}: {ran:#?}");
    // Its own trace says that this was the moment: a call is written down when it is done.
    assert_eq!(asked, point.call - usize::from(!point.is_done), "{point:?}");
    true
}

/// Kills an action of fresh instances at each of its host calls, and has each kind of action come next.
fn killed_everywhere(agent: &'static str, word: &str, at_least: &[&str]) {
    if !room() {
        return;
    }
    let place = Place::new(agent);
    // What a whole life leaves, and how many host calls the action makes: counted from outside, as its own trace and
    // as the tool show them.
    let whole = place.instance();
    if word == "stop" {
        whole.start();
    }
    let points = watched(&whole, word);
    let asked = whole.asked();
    assert_eq!(points.len(), 2 * asked.len(), "{points:#?} {asked:?}");
    assert_eq!(once(asked.clone()), at_least);
    whole.lives_on();
    let (left, common) = place.files(&whole);
    assert!(left.contains(Path::new("record")), "{left:?}");
    let shown = place.instance();
    if word == "stop" {
        shown.start();
    }
    assert_eq!(once(calls(&shown.action(word).more(&["--trace"]).is(0).stderr)), at_least);
    shown.stop();

    let mut killed = BTreeSet::new();
    for point in points {
        for (next, whom) in [
            ("monitor", Whom::Broker),
            ("probe", Whom::Group),
            ("start", Whom::Broker),
            ("start", Whom::Group),
            ("stop", Whom::Broker),
            ("stop", Whom::Group),
        ] {
            let instance = place.instance();
            if word == "stop" {
                instance.start();
            }
            let starts = instance.left("starts");
            if !kill_at(&instance, word, point, whom) {
                instance.stop();
                continue;
            }
            killed.insert((point.call, point.is_done));
            let asked =
                if instance.has_daemon() || word == "start" { Vec::new() } else { vec!["state.set".to_owned()] };
            let runs = instance.runs(&[asked, instance.asked()].concat());
            match next {
                "monitor" => drop(instance.action("monitor").recurring().is(if runs { 0 } else { 7 })),
                "probe" => drop(instance.action("monitor").is(if runs { 0 } else { 7 })),
                "start" => {
                    instance.start();
                    let more = usize::from(instance.has_daemon() && (!runs || word == "start"));
                    assert_eq!(instance.left("starts"), starts + more, "{point:?} {whom:?}");
                    assert_eq!(instance.control_groups().len(), usize::from(instance.has_daemon()), "{point:?}");
                }
                _ => instance.stop(),
            }
            instance.lives_on();
            assert_eq!(place.files(&instance), (left.clone(), common.clone()), "{point:?} {whom:?} {next}");
        }
    }
    // A start that had to wait for its daemon less often than the first one made fewer calls.
    let all: BTreeSet<(usize, bool)> = (1..=at_least.len()).flat_map(|call| [(call, false), (call, true)]).collect();
    assert!(killed.is_superset(&all), "{killed:?}");
}

#[test]
fn a_start_of_a_server_killed_at_each_host_call() {
    killed_everywhere(SERVER, "start", &["program.status", "program.start", "program.status", "endpoint.exchange"]);
}

#[test]
fn a_stop_of_a_server_killed_at_each_host_call() {
    killed_everywhere(SERVER, "stop", &["program.stop", "program.status"]);
}

#[test]
fn a_start_of_a_dummy_killed_at_each_host_call() {
    killed_everywhere(DUMMY, "start", &["state.get", "state.set", "state.get"]);
}

#[test]
fn a_stop_of_a_dummy_killed_at_each_host_call() {
    killed_everywhere(DUMMY, "stop", &["state.delete", "state.get"]);
}
