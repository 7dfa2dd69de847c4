//! The process that Pacemaker started is killed at every call that the plugin makes in a start and in a stop, and between
//! them wherever it changes something: whatever was true at that moment, the next action finds it out.
//!
//! At a host call it is killed when the call has arrived and nothing was done for it, and again when all was done and the
//! answer is about to be sent; alone, and with its whole process group, as Pacemaker does it.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod instance;
mod points;

use std::collections::BTreeSet;
use std::path::Path;

use instance::{Place, calls};
use ocf_wasm_tests::host::{is_root, skip, until};
use points::{At, Point, Whom, kill_at, watched};

const DUMMY: &str = "ocf-wasm/dummy";
const SERVER: &str = "ocf-wasm/sample-tcp-server";

/// Whether processes can be killed at a chosen system call here; says aloud when not.
fn room() -> bool {
    is_root() && (Path::new("/usr/bin/strace").exists() || skip("/usr/bin/strace is missing (Debian: strace)"))
}

/// Without the repetitions of a start that waits for its daemon.
fn once(mut calls: Vec<String>) -> Vec<String> {
    while calls.len() >= 4 && calls[calls.len() - 2..] == calls[calls.len() - 4..calls.len() - 2] {
        calls.truncate(calls.len() - 2);
    }
    calls
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
    let points: Vec<Point> = watched(&whole, word).into_iter().filter(|point| point.at != At::Change).collect();
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
    for point in &points {
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
            killed.insert((point.call, point.at));
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
                    // One tree has one name, in the hierarchy that tracks it and in those that limit it.
                    let groups = instance.control_groups();
                    let trees: BTreeSet<_> = groups.iter().map(|group| group.file_name()).collect();
                    assert_eq!(trees.len(), usize::from(instance.has_daemon()), "{point:?}: {groups:?}");
                }
                _ => instance.stop(),
            }
            instance.lives_on();
            assert_eq!(place.files(&instance), (left.clone(), common.clone()), "{point:?} {whom:?} {next}");
        }
    }
    // A start that had to wait for its daemon less often than the first one made fewer calls.
    let all: BTreeSet<_> = (1..=at_least.len()).flat_map(|call| [(call, At::Call), (call, At::Answer)]).collect();
    assert!(killed.is_superset(&all), "{killed:?}");
}

/// Kills an action of fresh instances wherever it changes something, and has it started, stopped or probed next. Some
/// system calls have more than one name.
fn killed_between(agent: &'static str, word: &str, at_least: &[&str]) {
    if !room() {
        return;
    }
    let place = Place::new(agent);
    // The first makes the directories that all have in common.
    place.instance().lives_on();
    let whole = place.instance();
    if word == "stop" {
        whole.start();
    }
    let points: Vec<Point> = watched(&whole, word).into_iter().filter(|point| point.at == At::Change).collect();
    whole.lives_on();
    let kept = place.files(&whole);

    let mut killed = BTreeSet::new();
    for point in &points {
        for (next, whom) in [("start", Whom::Broker), ("stop", Whom::Group), ("probe", Whom::Broker)] {
            let instance = place.instance();
            if word == "stop" {
                instance.start();
            }
            if kill_at(&instance, word, point, whom) {
                killed.insert(point.system_call.as_str());
            }
            match next {
                "start" => instance.start(),
                "stop" => instance.stop(),
                _ => {
                    let ran = instance.action("monitor").run();
                    match ran.code {
                        0 | 1 => assert_eq!(instance.daemons().len(), 1, "{point:?} {ran:#?}"),
                        // No keeper is left either that was told to start the daemon and only now does that.
                        code => {
                            assert_eq!(code, 7, "{point:?} {ran:#?}");
                            until("nothing comes any more", || instance.everything().is_empty());
                        }
                    }
                }
            }
            instance.lives_on();
            assert_eq!(place.files(&instance), kept, "{point:?} {whom:?} {next}");
        }
    }
    let missed: Vec<&&str> = at_least
        .iter()
        .filter(|names| !names.split('|').any(|name| killed.iter().any(|call| call.starts_with(name))))
        .collect();
    assert!(missed.is_empty(), "not killed at {missed:?}, but at {killed:?}");
}

#[test]
fn a_start_of_a_server_killed_at_each_host_call() {
    killed_everywhere(
        SERVER,
        "start",
        &[
            "program.status",
            "program.status",
            "endpoint.connect",
            "program.start",
            "program.status",
            "endpoint.exchange",
        ],
    );
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

#[test]
fn a_start_of_a_server_killed_between_host_calls() {
    killed_between(SERVER, "start", &["open", "rename", "mkdir", "socketpair", "fork|clone", "sendto"]);
}

#[test]
fn a_stop_of_a_server_killed_between_host_calls() {
    killed_between(SERVER, "stop", &["open", "rename", "rmdir", "unlink", "pidfd_send_signal"]);
}
