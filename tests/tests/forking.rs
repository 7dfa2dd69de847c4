//! Programs of type forking: what starts them ends, and what it leaves behind is the daemon.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use ocf_wasm_tests::host::{Action, TestHost, hostile, is_alive, kill};

const AGENT: &str = "test/hostile";
/// Where the host sees what a test puts below `etc` of its private root.
const SCRIPTS: &str = "/etc/ocf-wasm/scripts";

/// A node on which label `daemon` is a script with this text.
fn host(script: &str) -> TestHost {
    let host = TestHost::new();
    let directory = host.path().join("etc/scripts");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("service"), script).unwrap();
    host.policy(AGENT, &policy("interpreter = [\"/bin/sh\"]"));
    host.add(&hostile(), &[]);
    host
}

fn policy(interpreter: &str) -> String {
    format!(
        "format = 1\n[program.daemon]\nprogram = \"{SCRIPTS}/service\"\n{interpreter}\nargv = [\"start\"]\n\
         lifetime = \"instance\"\ntype = \"forking\"\nuser = \"nobody\"\nenvironment = {{ OF = {{ fact = \"instance\" }} }}\n"
    )
}

fn action<'a>(host: &'a TestHost, word: &'a str) -> Action<'a> {
    host.action(AGENT, word).instance("forks").with("daemon", "true").timeout_ms(3_000)
}

/// Two processes that leave the session of their script, as daemons do.
const LEAVES_TWO: &str = "echo \"$1 by $(id -un)\"; setsid sleep 1001 & setsid sleep 1002 & exit 0\n";

#[test]
fn what_the_script_leaves_is_tracked_and_ended() {
    let host = host(LEAVES_TWO);
    action(&host, "monitor").is(7);
    action(&host, "start").is(0);
    // What a process is called changes with what it executes.
    let pids = || host.processes("forks").into_iter().map(|(pid, _)| pid).collect::<Vec<_>>();
    let left = pids();
    assert_eq!(left.len(), 2, "{left:?}");
    action(&host, "start").is(0);
    assert_eq!(pids(), left, "a second start changes nothing");
    action(&host, "monitor").recurring().is(0);
    kill(left[0], "-KILL");
    action(&host, "monitor").recurring().is(0);
    action(&host, "stop").is(0);
    assert!(!is_alive(left[1]));
    action(&host, "monitor").is(7);
}

#[test]
fn the_last_that_ended_says_how() {
    let host = host(LEAVES_TWO);
    action(&host, "start").is(0);
    for (pid, _) in host.processes("forks") {
        kill(pid, "-KILL");
    }
    action(&host, "monitor").recurring().is(7);
    let known = host.why("forks");
    assert_eq!(known["daemons"][0]["phase"], "failed", "{known}");
    assert!(known.to_string().contains("signal 9"), "{known}");
    assert!(known.to_string().contains("start by nobody"), "{known}");
    action(&host, "stop").is(0);
}

#[test]
fn a_script_that_fails_or_leaves_nothing_is_a_failed_start_with_its_last_words() {
    for (script, reason) in [
        ("echo one; echo 'no configuration' >&2; exit 3\n", "program daemon: exited with status 3: no configuration"),
        ("kill -TERM $$\n", "program daemon: ended by signal 15"),
        ("echo nothing to do\n", "exited with status 0: nothing to do"),
    ] {
        let host = host(script);
        let _ = action(&host, "start").is(1).says(reason);
        action(&host, "stop").is(0);
        action(&host, "monitor").is(7);
    }
}

#[test]
fn a_script_that_does_not_end_is_ended_by_the_stop() {
    let host = host("exec sleep 1003\n");
    let _ = action(&host, "start").is(1).says("start: program.start of daemon did not come to an end in time");
    let left = host.processes("forks");
    assert_eq!(left.len(), 1, "{left:?}");
    action(&host, "stop").is(0);
    assert!(!is_alive(left[0].0));
}

#[test]
fn the_script_and_its_interpreter_are_judged() {
    let host = host(LEAVES_TWO);
    let script = host.path().join("etc/scripts/service");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o666)).unwrap();
    let _ = action(&host, "start").is(5).says("service is writable by others");
    fs::remove_file(&script).unwrap();
    let _ = action(&host, "start").is(5).says(&format!("{SCRIPTS}/service is not there"));
    fs::write(&script, LEAVES_TWO).unwrap();
    host.policy(AGENT, &policy("interpreter = [\"/bin/no-shell\"]"));
    let _ = action(&host, "start").is(5).says("/bin/no-shell is not there");
    host.policy(AGENT, &policy(""));
    let _ = action(&host, "start").is(5).says("is not executable");
    action(&host, "stop").is(0);
}
