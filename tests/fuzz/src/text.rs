//! What a plugin says to what the cluster, the log and the history are told.
//!
//! The first four bytes are the action, whether it is a probe, the prefix of the reason, and how many of those that
//! follow are the plugin's answers; the rest is its words.

use std::time::Duration;

use ocf_wasm::contract::{self, Resource, Tracked, Verdict};
use ocf_wasm::instance::{Action as Done, Directory, History, State};
use ocf_wasm::ocf::outcome::{Exit, Outcome, REASON_BYTES, one_line};
use ocf_wasm::ocf::request::LogTarget;
use ocf_wasm::ocf::{Action, Request};
use ocf_wasm::report::{Log, reason_line};
use ocf_wasm::seam::{Export, Failure, FailureKind, Health, log::Level};

use crate::plain::assert_one_line;
use crate::workshop;

/// Those of which the contract decides.
pub(crate) const ACTIONS: [Action; 10] = [
    Action::Start,
    Action::Stop,
    Action::Monitor,
    Action::Promote,
    Action::Demote,
    Action::Notify,
    Action::MigrateTo,
    Action::MigrateFrom,
    Action::Reload,
    Action::ValidateAll,
];
const HEALTHS: [Health; 6] = [
    Health::Running,
    Health::NotRunning,
    Health::Promoted,
    Health::Degraded,
    Health::DegradedPromoted,
    Health::FailedPromoted,
];
const KINDS: [FailureKind; 6] = [
    FailureKind::Generic,
    FailureKind::Arguments,
    FailureKind::Unimplemented,
    FailureKind::Permission,
    FailureKind::NotInstalled,
    FailureKind::Configuration,
];
/// What Pacemaker sets, and what another caller could.
const PREFIXES: [&str; 3] = ["ocf-exit-reason:", "why:", "::"];
/// Bytes of a log line's text, and of what stands before it: a time, a type of 64, an instance of 100, a word.
const LINE_BYTES: usize = 2048 + 300;

pub(crate) fn run(data: &[u8]) {
    let [action, probe, prefix, answers, rest @ ..] = data else { return };
    let (script, words) = rest.split_at(rest.len().min(usize::from(*answers)));
    let words = String::from_utf8_lossy(words).into_owned();
    let action = ACTIONS[usize::from(*action) % ACTIONS.len()];
    let is_probe = probe & 1 == 1 && action == Action::Monitor;
    let prefix = prefix_of(PREFIXES[usize::from(*prefix) % PREFIXES.len()]);

    let mut plugin = Plugin { script, words: &words, now: Duration::ZERO, errors: Vec::new() };
    let outcome = contract::act(&mut plugin, action, is_probe, probe >> 1);
    assert_outcome(&outcome, action, is_probe);
    assert!(outcome.exit != Exit::NotRunning || action != Action::Stop);

    let log = workshop::path().join("log");
    let target = LogTarget { facility: None, file: Some(log.clone()), debug: true };
    let log_of = Log::of("thing", Some(&words), target);
    let lines: Vec<&str> = plugin.errors.iter().map(String::as_str).chain([words.as_str()]).collect();
    lines.iter().for_each(|line| log_of.line(Level::Error, line));
    let logged = std::fs::read_to_string(&log).expect("the log");
    assert_eq!(logged.matches('\n').count(), lines.len(), "one line each: {logged:?}");
    assert!(logged.ends_with('\n'));
    logged.trim_end_matches('\n').split('\n').for_each(|line| assert_one_line(line, LINE_BYTES));

    for reason in [outcome.reason.clone(), one_line(&words, REASON_BYTES)] {
        let outcome = Outcome { exit: outcome.exit, reason };
        assert_told(&logged, &prefix, &outcome);
        assert_remembered(&outcome);
    }
}

/// What of a prefix a request takes.
fn prefix_of(wanted: &str) -> String {
    let set = [("OCF_EXIT_REASON_PREFIX".into(), wanted.into())];
    let request = Request::read(["/a/acme/thing".into()], set, String::new);
    request.expect("a request").reason_prefix
}

/// What holds of whatever an agent answers.
pub(crate) fn assert_outcome(outcome: &Outcome, action: Action, is_probe: bool) {
    assert!(outcome.exit.fits(action, is_probe), "{action:?} answers {}", outcome.exit);
    assert!(Exit::ALL.contains(&outcome.exit));
    assert_one_line(&outcome.reason, REASON_BYTES);
    assert!(!outcome.exit.is_failure() || !outcome.reason.is_empty(), "{action:?} fails without a reason");
}

/// What Pacemaker shows: all that stands behind the last prefix on standard error, up to the end of the line.
fn assert_told(logged: &str, prefix: &str, outcome: &Outcome) {
    let Some(line) = reason_line(prefix, outcome) else { return assert_eq!(outcome.reason, "") };
    // Where neither a file nor syslog is configured, log lines stand there too; then the prefix is Pacemaker's own.
    let before = if prefix == PREFIXES[0] { logged } else { "" };
    let all = format!("{before}{line}");
    let (ours, told) = all.rsplit_once(prefix).expect("a reason");
    assert_eq!(ours, before, "somebody else's reason: {told:?}");
    assert_one_line(told.strip_suffix('\n').expect("a line"), REASON_BYTES);
    assert_eq!(told.len(), outcome.reason.len() + 1);
}

fn assert_remembered(outcome: &Outcome) {
    let history = History::of(&Directory::at(workshop::path()));
    let done = Done {
        at: 7,
        action: "start".to_owned(),
        exit: outcome.exit.code(),
        took_ms: u64::MAX,
        reason: outcome.reason.clone(),
    };
    history.add(&done);
    assert_eq!(history.last().last(), Some(&done));
}

/// A plugin that answers by a script, on a clock of its own.
struct Plugin<'a> {
    script: &'a [u8],
    words: &'a str,
    now: Duration,
    errors: Vec<String>,
}

impl Plugin<'_> {
    /// The next byte of the script, and zero after its end.
    fn next(&mut self) -> u8 {
        let Some((first, rest)) = self.script.split_first() else { return 0 };
        self.script = rest;
        *first
    }

    fn answer(&mut self) -> Result<(), String> {
        // What the host says itself is never nothing.
        if self.next() & 1 == 0 { Ok(()) } else { Err(format!("record: {}", self.words)) }
    }
}

impl Resource for Plugin<'_> {
    fn call(&mut self, _: Export) -> Verdict {
        self.now += Duration::from_millis(10);
        let words = || self.words.to_owned();
        match self.script.first().map_or(5, |byte| byte % 6) {
            0 => {
                self.next();
                Verdict::Done(Ok(HEALTHS.get(usize::from(self.next() % 8)).copied()))
            }
            1 => {
                let reason = words();
                self.next();
                Verdict::Done(Err(Failure { kind: KINDS[usize::from(self.next()) % KINDS.len()], reason }))
            }
            2 => {
                let verdict = Verdict::Unfit(words());
                self.next();
                verdict
            }
            3 => {
                let verdict = Verdict::Broken(words());
                self.next();
                verdict
            }
            4 => {
                self.next();
                Verdict::Waited("program.run".to_owned())
            }
            _ => {
                self.next();
                Verdict::TimedOut
            }
        }
    }

    fn tracked(&mut self) -> Tracked {
        let byte = self.next();
        let held = usize::from(byte & 3);
        let ended = (byte & 16 != 0).then(|| format!("daemon exited with status 1: {}", self.words));
        Tracked { held, alive: held.min(usize::from(byte >> 2 & 3)), ended, untracked: byte & 32 != 0 }
    }

    fn unsettled(&mut self) -> Option<String> {
        (self.next() & 3 == 3).then(|| format!("unit {} is being stopped", self.words))
    }

    fn is_recorded(&self) -> bool {
        self.script.len().is_multiple_of(2)
    }

    fn adopt(&mut self) {}

    fn mark(&mut self, _: State) -> Result<(), String> {
        self.answer()
    }

    fn tear_down(&mut self) -> Result<(), String> {
        self.answer()
    }

    fn last_resort(&mut self) -> Option<Result<(), String>> {
        (self.next() & 1 == 1).then(|| self.answer())
    }

    fn remaining(&self) -> Duration {
        Duration::from_secs(20).saturating_sub(self.now)
    }

    fn pause(&mut self, time: Duration) {
        self.now += time;
    }

    fn error(&mut self, text: &str) {
        self.errors.push(text.to_owned());
    }
}
