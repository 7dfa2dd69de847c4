//! Under Pacemaker's own executor, each misdeed in each export of a plugin: what is recorded of the action, that it comes
//! before the timeout, that nothing of the misdeed is left, and that what runs goes on running.
//!
//! Without root or Pacemaker these tests say so and pass; with `CI=true` they fail instead.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use ocf_wasm_tests::executor::Event;
use ocf_wasm_tests::host::{TestHost, kill, until};
use ocf_wasm_tests::node::{Node, SOON, done, room};
use ocf_wasm_tests::processes;

/// The executor's patience with what never ends, and with all else.
const SHORT_MS: u32 = 2500;
const LONG_MS: u32 = 20_000;
/// In ticks: more than a plugin computes that does what it should, by far.
const LONG: i32 = 5;

/// The exports: the action that calls each, its name to the plugin and in reasons, and the exit status of the action if
/// the export does not do its part.
const EXPORTS: [(&str, &str, i32); 10] = [
    ("validate-all", "validate", 1),
    ("start", "start", 1),
    // All that was started is tracked, so the host ends it and has seen its end.
    ("stop", "stop", 0),
    ("monitor", "monitor", 1),
    ("promote", "promote", 1),
    ("demote", "demote", 1),
    // The cluster ignores what comes of it.
    ("notify", "notify", 0),
    ("migrate_to", "migrate-to", 1),
    ("migrate_from", "migrate-from", 1),
    ("reload-agent", "reload", 1),
];

/// What is done in an export.
#[derive(Clone, Copy, Debug)]
struct Misdeed {
    /// Its name to the plugin.
    name: &'static str,
    /// What is done to the runner from outside meanwhile.
    signal: Option<&'static str>,
    /// What the reason says.
    reason: &'static str,
}

const fn of_plugin(name: &'static str, reason: &'static str) -> Misdeed {
    Misdeed { name, signal: None, reason }
}

const IN_TIME: &str = "no answer from the plugin in time";

/// What ends an export at once.
const ENDS: [Misdeed; 6] = [
    of_plugin("trap", "unreachable"),
    of_plugin("panic", "panic: the table is gone"),
    of_plugin("exit", "exit"),
    of_plugin("allocate", "memory"),
    of_plugin("recurse", "memory"),
    of_plugin("sink", "stack"),
];

/// What never ends and waits.
const WAITS: [Misdeed; 3] = [
    of_plugin("sleep", IN_TIME),
    of_plugin("doze", IN_TIME),
    of_plugin("stuck", "program.run of stuck did not come to an end in time"),
];

/// What never ends and computes.
const COMPUTES: [Misdeed; 4] = [
    of_plugin("loop", IN_TIME),
    of_plugin("ask", IN_TIME),
    Misdeed { name: "loop", signal: Some("-STOP"), reason: IN_TIME },
    Misdeed { name: "loop", signal: Some("-KILL"), reason: "the runner ended by SIGKILL" },
];

/// One cell of the matrix: an instance in which one misdeed is done in one export.
struct Case<'a> {
    node: &'a Node,
    name: String,
    place: &'static str,
    misdeed: Misdeed,
}

impl Case<'_> {
    fn parameters(&self) -> Vec<(&str, &str)> {
        let more = match self.place {
            "monitor" => vec![("CRM_meta_interval", "10000"), ("OCF_CHECK_LEVEL", "10")],
            // Thorough, because otherwise nothing is granted.
            "validate" => vec![("OCF_CHECK_LEVEL", "10")],
            _ => vec![],
        };
        [&[("do", self.misdeed.name), ("in", self.place), ("daemon", "true")][..], &more].concat()
    }

    fn action(&self, word: &str) -> Event {
        self.node.action(&self.name, word, LONG_MS, &self.parameters()[..3])
    }

    /// Has the action performed in which the misdeed is done, and does to the runner what is to be done.
    fn misbehaving(&self, word: &str) -> Event {
        let call = self.node.begin(&self.name, word, self.timeout_ms(), &self.parameters());
        if let Some(signal) = self.misdeed.signal {
            // It is the one that computes; all that comes before the misdeed is done in no time.
            let is_long = |pid: &i32| processes::ticks(*pid).is_some_and(|ticks| ticks >= LONG);
            let mut runner = None;
            until("the runner computes", || {
                runner = self.agents().into_iter().find(is_long);
                runner.is_some()
            });
            kill(runner.unwrap(), signal);
        }
        self.node.executor.wait(call, SOON).unwrap()
    }

    fn timeout_ms(&self) -> u32 {
        if self.misdeed.reason == IN_TIME { SHORT_MS } else { LONG_MS }
    }

    /// Brokers and runners; a keeper has an empty environment.
    fn agents(&self) -> Vec<i32> {
        processes::with_variable(&format!("OCF_RESOURCE_INSTANCE={}", self.name))
    }

    fn daemons(&self) -> Vec<i32> {
        processes::with_variable(&format!("DAEMON_OF={}", self.name))
    }

    fn stuck(&self) -> Vec<i32> {
        processes::with_variable(&format!("STUCK_OF={}", self.name))
    }

    /// From nothing to nothing, by way of the misdeed.
    fn check(&self, word: &str, code: i32) {
        self.node.executor.register(&self.name, "test", "hostile").unwrap();
        let is_before_start = matches!(self.place, "validate" | "start" | "migrate-from");
        if !is_before_start {
            done(&self.action("start"), 0);
        }
        if self.place == "demote" {
            done(&self.action("promote"), 0);
        }
        let before = self.daemons();
        assert_eq!(before.len(), usize::from(!is_before_start), "{}", self.name);
        // A program was run whose effects nobody knows: without the plugin's word that is not a stop.
        let is_untracked = (self.place, self.misdeed.name) == ("stop", "stuck");
        let code = if is_untracked { 1 } else { code };

        let event = self.misbehaving(word);
        done(&event, code);
        assert!(event.exec_time_ms < self.timeout_ms(), "{event:#?}");
        if code != 0 {
            let reason = event.reason.as_deref().unwrap();
            assert!(reason.starts_with(&format!("{}: ", self.place)), "{event:#?}");
            assert!(reason.contains(self.misdeed.reason), "`{}`: {event:#?}", self.misdeed.reason);
        }
        until("no broker and no runner is left", || self.agents().is_empty());
        assert_eq!(self.stuck(), Vec::<i32>::new(), "{}: a program of an action outlived it", self.name);
        let after = self.daemons();
        match self.place {
            "validate" | "migrate-from" | "stop" => assert_eq!(after, Vec::<i32>::new(), "{}", self.name),
            "start" => assert_eq!(after.len(), 1, "{}: started, and not known to work", self.name),
            _ => assert_eq!(after, before, "{}: what runs is left alone", self.name),
        }

        if !is_before_start && self.place != "stop" {
            let role = if self.place == "demote" { 8 } else { 0 };
            done(&self.action("monitor"), role);
        }
        if self.place != "stop" {
            done(&self.action("stop"), 0);
        }
        assert_eq!(self.daemons(), Vec::<i32>::new(), "{}: stopped", self.name);
        done(&self.action("monitor"), 7);
        until("no broker and no runner is left", || self.agents().is_empty());
    }
}

/// Does all misdeeds in all exports, so many at the same time. What one test does takes no time from another.
fn in_every_export(misdeeds: &[Misdeed], at_a_time: usize) {
    static TURN: Mutex<()> = Mutex::new(());
    if !room() {
        return;
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let host = TestHost::new();
    host.install_hostile();
    let node = Node::new(host);
    let cells: Vec<_> =
        EXPORTS.iter().flat_map(|export| misdeeds.iter().map(move |misdeed| (misdeed, export))).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..at_a_time {
            scope.spawn(|| {
                while let Some((misdeed, (word, place, code))) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // Nobody else on this machine has it.
                    let (signal, test) = (misdeed.signal.unwrap_or_default(), std::process::id());
                    let name = format!("{place}-{}{signal}-{test}", misdeed.name);
                    Case { node: &node, name, place, misdeed: **misdeed }.check(word, *code);
                }
            });
        }
    });
    until("no keeper is left", || node.count("ocf-wasm-(agent|keeper)") == 0);
}

#[test]
fn an_end_in_every_export() {
    in_every_export(&ENDS, 1);
}

#[test]
fn a_wait_in_every_export() {
    in_every_export(&WAITS, 10);
}

#[test]
fn endless_computing_in_every_export() {
    in_every_export(&COMPUTES, 4);
}
