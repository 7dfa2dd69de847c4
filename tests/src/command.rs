//! Commands run to their end and what they said, and waiting for what takes its time.

#![allow(clippy::unwrap_used, reason = "support of tests: a panic is the report")]

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// What Pacemaker looks for at the start of an exit reason.
pub const REASON: &str = "ocf-exit-reason:";
/// Bytes of an exit reason at most.
pub const REASON_BYTES: usize = 120;
/// Nothing that a test runs takes longer.
const LIMIT: Duration = Duration::from_mins(1);

/// How a command ended.
#[derive(Debug, Clone)]
pub struct Ran {
    /// What was called, for messages.
    pub what: String,
    /// Its exit status.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
}

impl Ran {
    /// Checks the exit status, and that no failure is without exactly one reason and no success with one.
    #[track_caller]
    #[must_use]
    pub fn is(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        // The host's own panic, that is; a plugin's becomes a reason.
        assert!(!self.stderr.contains("thread 'main'") && !self.stderr.contains("RUST_BACKTRACE"), "{self:#?}");
        match code {
            0 | 7 | 8 | 190 | 191 => assert!(!self.stderr.contains(REASON), "a reason without a failure: {self:#?}"),
            _ => drop(self.reason()),
        }
        self
    }

    /// The exit reason: the last line of standard error, and no other line begins as one.
    #[track_caller]
    pub fn reason(&self) -> &str {
        let lines: Vec<&str> = self.stderr.lines().collect();
        let reasons = lines.iter().filter(|line| line.starts_with(REASON)).count();
        assert_eq!(reasons, 1, "one line of reason: {self:#?}");
        assert!(self.stderr.ends_with('\n'), "{self:#?}");
        let reason = lines.last().and_then(|line| line.strip_prefix(REASON));
        let reason = reason.unwrap_or_else(|| panic!("the reason is not the last line: {self:#?}"));
        assert!(!reason.is_empty() && reason.len() <= REASON_BYTES, "{} bytes: {self:#?}", reason.len());
        assert!(!reason.contains(char::is_control), "{self:#?}");
        reason
    }

    /// Checks what the reason says.
    #[track_caller]
    #[must_use]
    pub fn says(self, fragment: &str) -> Self {
        assert!(self.reason().contains(fragment), "`{fragment}` is not the reason: {self:#?}");
        self
    }

    /// Checks how long it took.
    #[track_caller]
    #[must_use]
    pub fn within(self, limit: Duration) -> Self {
        assert!(self.took <= limit, "longer than {limit:?}: {self:#?}");
        self
    }

    /// Its standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// Runs a command to its end; its output goes to files, so that a daemon that keeps them open keeps nobody waiting.
pub fn finish(command: &mut Command) -> Ran {
    finish_within(command, LIMIT)
}

/// Runs a command that may take longer than others to its end.
pub fn finish_within(command: &mut Command, limit: Duration) -> Ran {
    let what = format!("{command:?}");
    let scratch = tempfile::tempdir().unwrap();
    let (out, err) = (scratch.path().join("out"), scratch.path().join("err"));
    let began = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(File::create(&out).unwrap())
        .stderr(File::create(&err).unwrap())
        .spawn()
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    let text = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if began.elapsed() > limit {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{what}: no end after {limit:?}: {}{}", text(&out), text(&err));
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let took = began.elapsed();
    let code = status.code().unwrap_or_else(|| panic!("{what}: {status}: {}", text(&err)));
    // What the tool adds to an agent's standard error: whose binaries these are, and that it runs for one user.
    let mut stderr = text(&err);
    for note in ["note: in this root /usr/libexec/ocf-wasm is ", "note: without root"] {
        if let Some((first, rest)) = stderr.split_once('\n')
            && first.starts_with(note)
        {
            stderr = rest.to_owned();
        }
    }
    // And how the command behind a reason is typed in this root.
    if let Some(at) = stderr.trim_end().rfind("\nnote: in this root that is: ") {
        stderr.truncate(at + 1);
    }
    Ran { what, code, stdout: text(&out), stderr, took }
}

/// Asks again and again, for at most ten seconds.
#[track_caller]
pub fn until(what: &str, mut wanted: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(10);
    while !wanted() {
        assert!(Instant::now() < limit, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
