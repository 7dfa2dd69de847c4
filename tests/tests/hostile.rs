//! A plugin that does what no plugin should, in each of its exports: the exit status and the reason are the table's,
//! the answer comes before the caller would kill, and nothing is left that should not be.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::time::Duration;

use ocf_wasm_tests::host::{Action, HOSTILE_POLICY, Ran, TestHost, is_alive};

const AGENT: &str = "test/hostile";
/// The caller's patience.
const TIMEOUT_MS: u32 = 1_500;

fn host() -> TestHost {
    let host = TestHost::new();
    host.install_hostile();
    host
}

/// One action with one misdeed in one place.
fn action<'a>(host: &'a TestHost, word: &'a str, misdeed: &str, place: &str, instance: &'a str) -> Action<'a> {
    let action = host.action(AGENT, word).instance(instance).with("do", misdeed).with("in", place);
    action.timeout_ms(TIMEOUT_MS)
}

/// Runs an action and checks what the table says of it.
#[track_caller]
fn expect(action: &Action<'_>, code: i32, reason: &str) -> Ran {
    let ran = action.is(code).within(Duration::from_millis(TIMEOUT_MS.into()));
    assert_eq!(ran.stdout, "", "{ran:#?}");
    assert!(ran.stderr.lines().all(|line| !line.contains('\u{1b}')), "{ran:#?}");
    if matches!(code, 0 | 7 | 8) { ran } else { ran.says(reason) }
}

/// What a misdeed comes to in an export that the cluster's action depends on.
const FATAL: [(&str, &str); 11] = [
    ("loop", "no answer from the plugin in time"),
    ("trap", "unreachable"),
    ("panic", "the table is gone"),
    ("confess", "panic: out of tea\\u{7} (lib.rs:7:1)"),
    ("exit", "exit"),
    ("allocate", "memory"),
    ("recurse", "trap"),
    ("sink", "stack"),
    ("sleep", "no answer from the plugin in time"),
    ("doze", "no answer from the plugin in time"),
    ("ask", "no answer from the plugin in time"),
];

#[test]
fn in_start() {
    let host = host();
    for (misdeed, reason) in FATAL {
        let ran = expect(&action(&host, "start", misdeed, "start", misdeed), 1, reason);
        assert!(ran.reason().starts_with("start: "), "{ran:#?}");
        // The failed start is followed by a stop, which the plugin can do.
        let _ = expect(&action(&host, "stop", misdeed, "start", misdeed), 0, "");
        let _ = expect(&action(&host, "monitor", misdeed, "start", misdeed), 7, "");
    }
    for (misdeed, code, reason) in [
        ("lines", 1, "first | ocf-exit-reason;second | \\u{1b}[31mthird\\u{0}"),
        ("long", 1, "cause first, then much more"),
        ("silent", 1, "the plugin failed and gave no reason"),
        ("ungranted", 4, "program secret"),
        ("misuse", 4, "program daemon"),
        ("lie", 1, "not running in time"),
        ("scribble", 0, ""),
        ("forge", 0, ""),
        ("flood", 0, ""),
    ] {
        let ran = expect(&action(&host, "start", misdeed, "start", misdeed), code, reason);
        assert!(!ran.stderr.contains("forged on standard"), "{ran:#?}");
        assert!(ran.stderr.len() < 3 * 1024 * 1024, "{} bytes logged", ran.stderr.len());
        let _ = expect(&action(&host, "stop", misdeed, "start", misdeed), 0, "");
    }
}

#[test]
fn in_monitor() {
    let host = host();
    for (misdeed, reason) in FATAL {
        let monitor = action(&host, "monitor", misdeed, "monitor", misdeed).more(&["--level", "10"]);
        // Nothing was started: a probe that cannot be judged stops no healthy copy elsewhere.
        let _ = expect(&monitor, 7, "");
        let _ = expect(&action(&host, "start", misdeed, "monitor", misdeed), 0, "");
        let _ = expect(&monitor.clone().recurring(), 1, reason);
        let _ = expect(&monitor, 1, reason);
        let _ = expect(&action(&host, "stop", misdeed, "monitor", misdeed), 0, "");
    }
    for (misdeed, code, reason) in [
        ("lines", 1, "first | ocf-exit-reason;second"),
        ("long", 1, "cause first"),
        ("silent", 1, "gave no reason"),
        ("scribble", 1, "changes nothing"),
        ("forge", 0, ""),
        ("flood", 0, ""),
        ("lie", 0, ""),
    ] {
        let _ = expect(&action(&host, "start", misdeed, "monitor", misdeed), 0, "");
        let monitor = action(&host, "monitor", misdeed, "monitor", misdeed).more(&["--level", "10"]);
        let _ = expect(&monitor.recurring(), code, reason);
        let _ = expect(&action(&host, "stop", misdeed, "monitor", misdeed), 0, "");
    }
}

#[test]
fn in_the_monitor_of_other_actions() {
    let host = host();
    for (misdeed, reason) in [FATAL[0], FATAL[1], FATAL[2]] {
        let _ = expect(&action(&host, "start", misdeed, "every-monitor", misdeed), 1, reason);
        let _ = action(&host, "stop", misdeed, "every-monitor", misdeed).is(0);
    }
}

#[test]
fn in_stop_of_what_the_host_tracks() {
    let host = host();
    for (misdeed, _) in FATAL.into_iter().chain([("lines", ""), ("ungranted", ""), ("misuse", ""), ("lie", "")]) {
        let with_daemon = |word| action(&host, word, misdeed, "stop", misdeed).with("daemon", true);
        let _ = expect(&with_daemon("start"), 0, "");
        let processes = host.processes(misdeed);
        assert!(processes.len() == 1 && is_alive(processes[0].0), "{processes:?}");
        // The host ends what it started and has seen it end: that is a stop, whatever the plugin does.
        let _ = expect(&with_daemon("stop"), 0, "");
        assert!(!is_alive(processes[0].0), "{misdeed}");
        let _ = expect(&action(&host, "monitor", "nothing", "none", misdeed), 7, "");
    }
}

#[test]
fn in_stop_of_what_nobody_started() {
    let host = host();
    for (misdeed, reason) in FATAL {
        let _ = expect(&action(&host, "stop", misdeed, "stop", misdeed), 1, reason);
    }
}

#[test]
fn in_stop_of_what_monitor_still_sees() {
    let host = host();
    let _ = expect(&action(&host, "start", "lie", "stop", "x"), 0, "");
    let _ = expect(&action(&host, "stop", "lie", "stop", "x"), 1, "not stopped in time");
    let _ = expect(&action(&host, "monitor", "lie", "stop", "x").recurring(), 0, "");
}

#[test]
fn in_stop_with_a_last_resort() {
    let host = host();
    let (directory, flag) = (host.path().join("flags"), host.path().join("flags/flag"));
    fs::create_dir(&directory).unwrap();
    let program = |label: &str, argv: &str| {
        let view = format!("view = {{ write = [\"{}\"] }}", directory.display());
        format!("[program.{label}]\n{argv}\nlifetime = \"action\"\nuser = \"root\"\n{view}\n")
    };
    let gone = |status: u8| {
        [
            HOSTILE_POLICY,
            &program("remove", &format!("program = \"/usr/bin/rm\"\nargv = [\"-f\", \"{}\"]", flag.display())),
            &program("look", &format!("program = \"/usr/bin/test\"\nargv = [\"-e\", \"{}\"]", flag.display())),
            &format!("[stop]\nlast-resort = [\"remove\"]\ngone-when = {{ run = \"look\", exit = [{status}] }}\n"),
        ]
        .concat()
    };
    host.policy(AGENT, &gone(1));
    for misdeed in ["loop", "trap"] {
        fs::write(&flag, "").unwrap();
        let _ = expect(&action(&host, "stop", misdeed, "stop", "unrecorded"), 0, "");
        assert!(!flag.exists());
    }
    host.policy(AGENT, &gone(0));
    let _ = expect(&action(&host, "stop", "trap", "stop", "unrecorded"), 1, "not gone");
}

#[test]
fn in_what_an_action_is_called_beside_the_lifecycle() {
    let host = host();
    for (misdeed, reason) in [FATAL[0], FATAL[1], FATAL[2], FATAL[4]] {
        for (word, place) in
            [("promote", "promote"), ("migrate_to", "migrate-to"), ("reload-agent", "reload"), ("notify", "notify")]
        {
            let instance = format!("{word}-{misdeed}");
            // What runs is asked with what it was started with, so that is where the misdeed is named.
            let _ = expect(&action(&host, "start", misdeed, place, &instance), 0, "");
            let code = i32::from(word != "notify");
            let _ = expect(&action(&host, word, misdeed, place, &instance), code, reason);
            let _ = action(&host, "stop", misdeed, place, &instance).is(0);
        }
        let instance = format!("demote-{misdeed}");
        let _ = expect(&action(&host, "start", misdeed, "demote", &instance), 0, "");
        let _ = expect(&action(&host, "promote", misdeed, "demote", &instance), 0, "");
        let _ = expect(&action(&host, "monitor", misdeed, "demote", &instance).recurring(), 8, "");
        let _ = expect(&action(&host, "demote", misdeed, "demote", &instance), 1, reason);
        let _ = expect(&action(&host, "stop", misdeed, "demote", &instance), 0, "");
        let _ = expect(&action(&host, "migrate_from", misdeed, "migrate-from", "arriving"), 1, reason);
        let _ = expect(&action(&host, "stop", misdeed, "migrate-from", "arriving"), 0, "");
        let _ = expect(&action(&host, "validate-all", misdeed, "validate", "validated"), 1, reason);
    }
}

#[test]
fn what_it_logs_forges_nothing() {
    let host = host();
    let log = host.path().join("log");
    let call = |word: &str| {
        let call = host.call(AGENT).argument(word).instance("x").variable("HA_LOGFILE", &log);
        call.variable("OCF_RESKEY_do", "forge").variable("OCF_RESKEY_in", "start")
    };
    let started = call("start").is(0);
    assert_eq!(started.stderr, "", "a log was named, so nothing else is written");
    let _ = call("stop").is(0);
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.contains("hostile(x)["), "{text:?}");
    let forged: Vec<&str> = text.lines().filter(|line| line.contains("forged in the log")).collect();
    assert_eq!(forged.len(), 1, "{text:?}");
    assert!(forged[0].contains("one | ") && forged[0].contains("four"), "{text:?}");
    assert!(!text.contains(['\u{1b}', '\u{202e}', '\0', '\r']), "{text:?}");
}

#[test]
fn validate_is_told_how_deep_to_look_and_start_does_not_call_it() {
    let host = host();
    let say = |level: &'static str| {
        let action = action(&host, "validate-all", "level", "validate", "validated");
        if level.is_empty() { action } else { action.more(&["--level", level]) }
    };
    // Below 10 the node is not to be looked at; what lies between is the next lower level.
    for (level, told) in [("", 0), ("0", 0), ("9", 0), ("10", 10), ("20", 10)] {
        let _ = expect(&say(level), 1, &format!("level {told}"));
        let ran = say(level).run();
        assert!(ran.reason().ends_with(&format!("level {told}")), "{level}: {ran:#?}");
    }
    // A start checks parameters against the metadata itself, and does not ask the plugin twice.
    let _ = expect(&action(&host, "start", "trap", "validate", "started"), 0, "");
    let _ = expect(&action(&host, "stop", "trap", "validate", "started"), 0, "");
}
