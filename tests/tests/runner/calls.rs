//! The list of what the runner may ask of the kernel, held from both sides: nothing that a plugin can make it do ends by
//! SIGSYS, and each row of the list is used by something that is tried here.

use std::collections::BTreeSet;
use std::fs;

use ocf_wasm_tests::handmade::{Handmade, LOG};
use ocf_wasm_tests::host::{TestHost, finish, kill, until, variant_of};
use ocf_wasm_tests::processes::runner_of;
use ocf_wasm_tests::source;

use super::{AGENT, RESTART, SLEEP, host, is_in, status};

/// Rows that cannot be seen in use on any machine, and where they are.
const ELSEWHERE: [(&str, &str); 2] = [
    ("clock_gettime", "where the clock is not in the kernel's page for it: some hypervisors"),
    (
        "mremap",
        "a buffer of more than 128 KiB that grows, in the tool's C library; the agent's own allocator may do without",
    ),
];

/// The names of the list, from its text.
fn rows() -> BTreeSet<String> {
    let file = source::files_ending("host/src/sandbox/calls.rs").remove(0);
    let table = file.text.split_once("pub const CALLS").unwrap().1.to_owned();
    table.split("libc::SYS_").skip(1).map(|rest| rest.split(',').next().unwrap().to_owned()).collect()
}

/// The calls that runners made after their filter was in force, from what strace wrote of an action.
fn asked(log: &str) -> BTreeSet<String> {
    let mut closed = BTreeSet::new();
    let mut compilers = BTreeSet::new();
    let mut found = BTreeSet::new();
    for line in log.lines() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        assert!(!rest.contains("SIGSYS"), "refused: {log}");
        if closed.contains(pid)
            && let Some((name, _)) = rest.split_once('(')
            && name.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit())
        {
            found.insert(name.to_owned());
        }
        // It has a list of its own, and a test of that.
        if rest.starts_with("execve(") && rest.contains("/ocf-wasm-compile\"") {
            compilers.insert(pid);
        }
        if rest.starts_with("seccomp(SECCOMP_SET_MODE_FILTER") && !compilers.contains(pid) {
            closed.insert(pid);
        }
    }
    assert!(!closed.is_empty(), "no runner: {log}");
    found
}

/// One action under strace, with what a plugin does in its start, while something happens to its runner.
fn does(host: &TestHost, agent: &str, word: &str, misdeed: &str, meanwhile: Option<&dyn Fn(i32)>) -> BTreeSet<String> {
    let log = host.path().join(format!("strace-{word}-{misdeed}"));
    let under = ["strace", "-f", "-o", log.to_str().unwrap()];
    let call = host.call(agent).argument(word).instance(misdeed).under(&under);
    let call = call.variable("OCF_RESKEY_do", misdeed).variable("OCF_RESKEY_in", "start");
    let call = call.variable("OCF_RESKEY_CRM_meta_timeout", "4000").variable("OCF_RESKEY_CRM_meta_interval", "10000");
    std::thread::scope(|scope| {
        let running = scope.spawn(|| call.run());
        if let Some(meanwhile) = meanwhile {
            meanwhile(runner_of(AGENT, misdeed).0);
        }
        let ran = running.join().unwrap();
        assert!(matches!(ran.code, 0 | 1 | 4), "{ran:#?}");
    });
    asked(&fs::read_to_string(log).unwrap())
}

#[test]
fn each_row_is_needed_and_nothing_else_is() {
    let host = host();
    let mut found = BTreeSet::new();
    for misdeed in ["nothing", "trap", "panic", "exit", "allocate", "recurse", "sink", "doze", "ask", "flood"] {
        found.extend(does(&host, AGENT, "start", misdeed, None));
    }
    // What is done every few seconds for years.
    found.extend(does(&host, AGENT, "monitor", "nothing", None));
    // Frozen for a while, it goes on waiting; a fault that is no trap of the plugin ends it as a fault does.
    found.extend(does(
        &host,
        AGENT,
        "start",
        "sleep",
        Some(&|pid| {
            until("it sleeps", || is_in(pid, SLEEP));
            kill(pid, "-STOP");
            until("it is frozen", || status(pid).contains("\nState:\tt") || status(pid).contains("\nState:\tT"));
            kill(pid, "-CONT");
            until("it sleeps on", || is_in(pid, RESTART));
            // The engine's handler has to do with traps only, and takes itself away.
            let handled = status(pid).lines().find(|line| line.starts_with("SigCgt")).unwrap().to_owned();
            kill(pid, "-SEGV");
            until("the handler is gone", || !status(pid).contains(&handled));
            kill(pid, "-SEGV");
        }),
    ));
    // The largest value that may be said; then the tool lets two versions that say it monitor what runs, with another C
    // library and another allocator.
    let say = "(call $log (i32.const 0) (i32.const 0) (i32.const 1048576))";
    let large = Handmade {
        before: LOG.to_owned(),
        with: r#"(with "log" (instance (export "log" (func $log))))"#.to_owned(),
        code: r#"(import "log" "log" (func $log (param i32 i32 i32)))"#.to_owned(),
        monitor: say.to_owned(),
        ..Handmade::default()
    };
    let path = host.path().join("large.wasm");
    fs::write(&path, wat::parse_str(large.text("test/large")).unwrap()).unwrap();
    host.policy("test/large", "format = 1\n");
    host.add(&path, &[]);
    found.extend(does(&host, "test/large", "start", "large", None));
    let log = host.path().join("strace-install");
    let mut install = std::process::Command::new("strace");
    install.args(["-f", "-o", log.to_str().unwrap()]);
    let variant = variant_of(&path, b'2', host.path());
    let tool = host.tool(&["install", "--allow-unsigned", variant.to_str().unwrap()]);
    install.arg(tool.get_program()).args(tool.get_args());
    let ran = finish(&mut install);
    assert!(ran.code == 0 && ran.stdout.contains("large"), "{ran:#?}");
    found.extend(asked(&fs::read_to_string(log).unwrap()));

    let rows = rows();
    assert!(rows.contains("recvfrom"), "the list was not found");
    let elsewhere: BTreeSet<String> = ELSEWHERE.iter().map(|(name, _)| (*name).to_owned()).collect();
    let unlisted: Vec<_> = found.difference(&rows).collect();
    let unused: Vec<_> = rows.difference(&found).filter(|name| !elsewhere.contains(*name)).collect();
    assert!(unlisted.is_empty(), "made, and not in the list: {unlisted:?}");
    assert!(unused.is_empty(), "in the list, and never needed: {unused:?}");
}
