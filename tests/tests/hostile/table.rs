//! What a row of the table is, how its attempt is made, and how it is seen that nothing came of it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ocf_wasm_tests::handmade::Handmade;
use ocf_wasm_tests::host::{Call, Ran, TestHost, until};
use ocf_wasm_tests::processes;

use super::callers::TRACED;

/// The agent of most attempts, whose component misbehaves where its parameters say so.
pub(crate) const AGENT: &str = "test/hostile";
/// The agent of a plugin that is written by hand.
const HANDMADE: &str = "test/handmade";
/// The caller's patience with what never ends, and with all else.
const SHORT_MS: u32 = 2_000;
const LONG_MS: u32 = 20_000;
/// The same with what comes after an attempt, in which it may be made again.
const AFTER_MS: u32 = 4_000;
/// Bytes of a file beyond which its length alone is compared.
const COMPARED: u64 = 64 << 20;

/// One attempt, and what must come of it.
pub(crate) struct Row {
    /// What is tried; no other row is called so.
    pub(crate) name: String,
    /// Who tries it.
    pub(crate) who: Who,
    /// How.
    pub(crate) how: How,
    /// Whether something of the instance runs before: a daemon, by a good start.
    pub(crate) before: Before,
    /// The action that is called then.
    pub(crate) action: &'static str,
    /// The exit status.
    pub(crate) exit: i32,
    /// What its reason says; of what is no failure, nothing.
    pub(crate) reason: &'static str,
    /// What is left.
    pub(crate) left: Left,
}

/// An attacker.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Who {
    /// The plugin's author.
    Plugin,
    /// Who calls the agent, or what it inherits from there.
    Caller,
    /// A program that the policy grants.
    Program,
    /// Somebody who can reach files that are not his, or who makes mistakes with them.
    Neighbour,
    /// The node: its disks and its kernel.
    Node,
}

/// What makes a call another one.
pub(crate) type Called = Box<dyn for<'a> Fn(&Stage<'a>, Call<'a>) -> Call<'a> + Send + Sync>;

/// How an attempt is made.
pub(crate) enum How {
    /// By a plugin that is written by hand.
    Written(Box<Handmade>),
    /// By the plugin that misbehaves: the misdeed, and the export.
    Misdeed(&'static str, &'static str),
    /// By what is done to the stage first.
    Done(Box<dyn Fn(&Stage<'_>) + Send + Sync>),
    /// By the way in which the agent is called.
    Called(Called),
}

/// What is there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// Nothing.
    Nothing,
    /// It was started, with a daemon.
    Started,
}

/// What is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// No process, no record of anything that runs; a stop is good, and a probe finds nothing.
    Nothing,
    /// No process and no record at all.
    Unrecorded,
    /// A daemon that was started now, as any other is: with nothing of the caller's but what the policy gives it.
    Started,
    /// What could not be started well, or nothing; a stop ends it.
    Remains,
    /// The daemon that ran before, and no other; a monitor finds it, and a stop is good.
    Running,
    /// The same while nothing is stopped; then neither, though nothing else works: a stop is good.
    Damaged,
    /// The same as `Running`, and nobody can say so: a stop fails until what was damaged is as it was before.
    Unknown,
}

/// A root and an instance for one attempt.
pub(crate) struct Stage<'a> {
    pub(crate) host: &'a TestHost,
    pub(crate) instance: String,
    agent: &'static str,
    parameters: Vec<(&'static str, &'static str)>,
    timeout_ms: u32,
}

impl<'a> Stage<'a> {
    /// Something of the root.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.host.path().join(name)
    }

    /// Something of the instance.
    pub(crate) fn record(&self, name: &str) -> PathBuf {
        self.path(&format!("run/{}/{}", self.agent, self.instance)).join(name)
    }

    /// What no attempt may reach: a directory with a file in it.
    pub(crate) fn outside(&self) -> PathBuf {
        self.path("outside")
    }

    /// A call of the agent, as the cluster makes it.
    pub(crate) fn call(&self, action: &str) -> Call<'a> {
        let call = self.host.call(self.agent).argument(action).instance(&self.instance);
        let call = call.variable("OCF_RESKEY_CRM_meta_timeout", self.timeout_ms.to_string());
        self.parameters.iter().fold(call, |call, (name, value)| call.variable(format!("OCF_RESKEY_{name}"), value))
    }

    /// A monitor, as the cluster makes it every few seconds.
    pub(crate) fn recurring(&self) -> Call<'a> {
        self.call("monitor").variable("OCF_RESKEY_CRM_meta_interval", "10000")
    }

    /// Daemons of the instance, whoever started them.
    pub(crate) fn daemons(&self) -> Vec<i32> {
        processes::with_variable(&format!("DAEMON_OF={}", self.instance))
    }

    /// What lives of its actions: brokers and runners, and programs that they run.
    fn helpers(&self) -> Vec<i32> {
        let mut found = processes::with_variable(&format!("OCF_RESOURCE_INSTANCE={}", self.instance));
        found.extend(processes::with_variable(&format!("STUCK_OF={}", self.instance)));
        found
    }

    /// Whether a daemon has nothing of who started it, and nobody else may look at what is written down of it.
    fn is_fresh(&self, pid: i32) {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
        assert_eq!(open, 3, "descriptors of a daemon");
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        for line in ["SigBlk", "SigIgn"] {
            // But for three that the C library keeps to itself.
            let numbers = status.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(":\t")).unwrap();
            let numbers = u64::from_str_radix(numbers, 16).unwrap() & !(0b111 << 31);
            assert_eq!(numbers, 0, "{line} of a daemon");
        }
        for variable in fs::read(format!("/proc/{pid}/environ")).unwrap().split(|byte| *byte == 0) {
            let variable = String::from_utf8_lossy(variable);
            let is_granted =
                variable.is_empty() || ["DAEMON_OF=", "LANG=", "PATH="].iter().any(|of| variable.starts_with(of));
            assert!(is_granted, "{variable}");
        }
        for entry in fs::read_dir(self.record("")).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().mode() & 0o077, 0, "{entry:?}");
        }
    }

    /// Stops it, and sees that nothing is left.
    fn is_stopped(&self) {
        for (action, code) in [("stop", 0), ("monitor", 7)] {
            let ran = self.call(action).run();
            assert_eq!(ran.code, code, "{action} afterwards: {}", said(&ran));
        }
        assert_eq!(self.daemons(), Vec::<i32>::new(), "stopped");
    }
}

impl Row {
    /// Makes the attempt and checks all of it. `model` has the plugin that misbehaves installed, `number` is the row's.
    pub(crate) fn attempt(&self, model: &TestHost, number: usize) {
        let host = TestHost::new();
        let parts = ["etc", "lib", "cache", "resource.d", "outside"].map(|part| model.path().join(part));
        assert!(Command::new("cp").arg("-a").args(parts).arg(host.path()).status().unwrap().success());
        let mut stage = Stage {
            host: &host,
            instance: format!("row-{number}-{}", std::process::id()),
            agent: AGENT,
            parameters: vec![("daemon", "true")],
            timeout_ms: LONG_MS,
        };
        self.attempt_on(&mut stage);
    }

    fn attempt_on(&self, stage: &mut Stage<'_>) {
        match &self.how {
            How::Written(plugin) => {
                let (text, file) = (plugin.text(HANDMADE), stage.path("handmade.wasm"));
                fs::write(&file, wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))).unwrap();
                stage.host.policy(HANDMADE, "format = 1\n");
                stage.host.add(&file, &[]);
                (stage.agent, stage.parameters) = (HANDMADE, Vec::new());
            }
            How::Misdeed(misdeed, place) => {
                stage.parameters.extend([("do", *misdeed), ("in", *place)]);
                if self.before == Before::Nothing {
                    stage.parameters.remove(0);
                }
            }
            How::Done(_) | How::Called(_) => {}
        }
        if self.before == Before::Started {
            let _ = stage.call("start").is(0);
            if matches!(self.how, How::Misdeed(_, "demote")) {
                let _ = stage.call("promote").is(0);
            }
        }
        let daemons = stage.daemons();
        assert_eq!(daemons.len(), usize::from(self.before == Before::Started), "what runs before");
        let record = stage.path("kept");
        if stage.record("").is_dir() {
            copy(&stage.record(""), &record);
        }
        if let How::Done(done) = &self.how {
            done(stage);
        }
        stage.timeout_ms = if self.reason.contains("in time") { SHORT_MS } else { LONG_MS };
        let call = self.call(stage);
        let files = contents(stage.host.path());
        let ran = call.run();
        self.ended(&ran, self.exit);
        let ran = ran.is(self.exit).within(Duration::from_millis(stage.timeout_ms.into()));
        assert_eq!(ran.stdout, "", "{}", said(&ran));
        assert!(!ran.stderr.replace('\n', "").contains(char::is_control), "{}", said(&ran));
        if !matches!(self.exit, 0 | 7 | 8) {
            assert!(ran.reason().contains(self.reason), "{}", said(&ran));
        }
        stage.timeout_ms = AFTER_MS;
        self.check_what_is_left(stage, &daemons, &files, &record, &ran);
    }

    /// The call of the attempt.
    fn call<'a>(&self, stage: &Stage<'a>) -> Call<'a> {
        let call = stage.call(self.action.split(' ').next().unwrap());
        // What is asked for besides: `monitor 10s level 10`.
        let call = self.action.split(' ').skip(1).fold(call, |call, word| match word {
            "10s" => call.variable("OCF_RESKEY_CRM_meta_interval", "10000"),
            "deep" => call.variable("OCF_CHECK_LEVEL", "10"),
            other => panic!("{other}: not a word of an action"),
        });
        match &self.how {
            How::Called(called) => called(stage, call),
            _ => call,
        }
    }

    fn check_what_is_left(&self, stage: &mut Stage<'_>, daemons: &[i32], files: &Contents, record: &Path, ran: &Ran) {
        until("no process of an action is left", || stage.helpers().is_empty());
        let after = contents(stage.host.path());
        for (path, was) in files {
            let same = after.get(path) == Some(was);
            assert!(same, "{} was changed: {}", path.display(), said(ran));
        }
        let is_ours = |path: &&PathBuf| {
            let path = path.strip_prefix(stage.host.path()).unwrap();
            path == Path::new("lib/boot")
                || path.starts_with("lib/blobs/sha256")
                || path.starts_with("lib/trace_ra") && TRACED.contains(&self.name.as_str())
        };
        let new: Vec<_> = after.keys().filter(|path| !files.contains_key(*path) && !is_ours(path)).collect();
        assert!(new.is_empty(), "{new:?} were made: {}", said(ran));

        stage.parameters.retain(|(name, _)| *name == "daemon");
        let left = stage.daemons();
        match self.left {
            Left::Nothing | Left::Unrecorded => assert_eq!(left, Vec::<i32>::new(), "{}", said(ran)),
            Left::Damaged if self.action == "stop" => assert_eq!(left, Vec::<i32>::new(), "{}", said(ran)),
            Left::Running | Left::Damaged | Left::Unknown => assert_eq!(left, daemons, "{}", said(ran)),
            Left::Remains => {}
            Left::Started if matches!(self.who, Who::Program) => assert!(!left.is_empty(), "{}", said(ran)),
            Left::Started => {
                assert!(!left.is_empty(), "{}", said(ran));
                left.iter().for_each(|pid| stage.is_fresh(*pid));
            }
        }
        match self.left {
            Left::Unrecorded => assert!(!stage.record("record").exists(), "a record was made"),
            Left::Nothing | Left::Remains => stage.is_stopped(),
            Left::Damaged => {
                let stop = stage.call("stop").run();
                self.ended(&stop, 0);
                assert_eq!(stage.daemons(), Vec::<i32>::new(), "{}", said(&stop));
            }
            Left::Running | Left::Started => {
                let monitor = stage.recurring().run();
                assert!(matches!(monitor.code, 0 | 8), "monitor: {}", said(&monitor));
                stage.is_stopped();
            }
            Left::Unknown => {
                let stop = stage.call("stop").run();
                self.ended(&stop, 1);
                assert_eq!(stage.daemons(), daemons, "{}", said(&stop));
                fs::remove_dir_all(stage.record("")).unwrap();
                copy(record, &stage.record(""));
                stage.is_stopped();
            }
        }
    }

    fn ended(&self, ran: &Ran, exit: i32) {
        assert_eq!(ran.code, exit, "{}: {}", self.action, said(ran));
    }
}

/// What a call ended with, for messages.
fn said(ran: &Ran) -> String {
    let beginning: String = ran.stderr.chars().take(1_000).collect();
    format!("exit {} after {:?}: {beginning}", ran.code, ran.took)
}

/// Copies a directory with all that is in it.
fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

/// What stands below a root, but records and what can be made anew: owner, mode, and the bytes of files and links.
type Contents = BTreeMap<PathBuf, (u32, u32, Vec<u8>)>;

fn contents(root: &Path) -> Contents {
    let mut found = BTreeMap::new();
    let mut open: Vec<PathBuf> = ["etc", "lib", "resource.d", "outside"].iter().map(|name| root.join(name)).collect();
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let (path, facts) = (entry.path(), entry.metadata().unwrap());
            if path == root.join("lib/cache.key") {
                continue;
            }
            let kind = facts.file_type();
            let bytes = if kind.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_vec()
            } else if kind.is_file() && facts.len() < COMPARED {
                fs::read(&path).unwrap()
            } else if !kind.is_file() {
                Vec::new()
            } else {
                facts.len().to_le_bytes().to_vec()
            };
            found.insert(path.clone(), (facts.uid(), facts.mode(), bytes));
            if kind.is_dir() {
                open.push(path);
            }
        }
    }
    found
}
