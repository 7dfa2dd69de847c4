//! What the kernel says of the runner.

use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

use ocf_wasm_tests::host::{HOSTILE_POLICY, is_root, kill, until};
use ocf_wasm_tests::processes::runner_of;
use ocf_wasm_tests::source;

use super::{AGENT, SLEEP, host, is_in, status};

/// What is compared. The number of its user differs from node to node, and is the same three more times.
const LINES: [&str; 11] = [
    "Uid",
    "Gid",
    "Groups",
    "Threads",
    "CapInh",
    "CapPrm",
    "CapEff",
    "CapAmb",
    "NoNewPrivs",
    "Seccomp",
    "Seccomp_filters",
];

/// Limits as `/proc/PID/limits` calls them, but memory and time: those depend on the action.
const LIMITS: [&str; 5] = ["Max file size", "Max core file size", "Max processes", "Max open files", "Max stack size"];

/// What the kernel says of a process, as it stands in the golden file.
fn told(pid: i32, user: u32) -> String {
    let proc = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
    let mut text = String::new();
    for line in proc("status").lines().filter(|line| LINES.iter().any(|name| line.starts_with(&format!("{name}:")))) {
        let words: Vec<&str> =
            line.split_whitespace().map(|w| if w == user.to_string() { "ocf-wasm" } else { w }).collect();
        text.push_str(&format!("{}\n", words.join(" ")));
    }
    for line in proc("limits").lines().filter(|line| LIMITS.iter().any(|name| line.starts_with(name))) {
        text.push_str(&format!("{}\n", line.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    let mut open: Vec<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .map(|entry| fs::read_link(entry.unwrap().path()).unwrap().display().to_string())
        .map(|to| to.split('[').next().unwrap().to_owned())
        .collect();
    open.sort();
    text.push_str(&format!("descriptors: {}\n", open.join(" ")));
    text.push_str(&format!(
        "/proc/PID/fd belongs to {}\n",
        Path::new(&format!("/proc/{pid}/fd")).metadata().unwrap().uid()
    ));
    text
}

#[test]
fn while_a_plugin_sleeps() {
    if !is_root() {
        return;
    }
    let host = host();
    let golden = source::checkout().join("tests/golden/runner.txt");
    std::thread::scope(|scope| {
        let action = host.action(AGENT, "start").instance("asleep").with("do", "sleep").with("in", "start");
        let running = scope.spawn(move || action.timeout_ms(10_000).run());
        let (pid, broker) = runner_of(AGENT, "asleep");
        until("it sleeps", || is_in(pid, SLEEP));
        let status = status(pid);
        let uid = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
        let uid: u32 = uid.split_whitespace().next().unwrap().parse().unwrap();
        assert_ne!(uid, 0);
        let told = told(pid, uid);
        // The broker has ended the runner before it answers, or somebody else has ended the broker.
        kill(broker, "-KILL");
        until("nothing outlives the broker", || !ocf_wasm_tests::host::is_alive(pid));
        let _ = running.join().unwrap();
        let wanted = fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(told, wanted, "what the kernel says of the runner is not what {} says", golden.display());
    });
}

/// All that a process has in memory and may read or write.
fn memory(pid: i32) -> Vec<u8> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let file = fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut all = Vec::new();
    for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|rights| rights.starts_with('r'))) {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        // A page at a time: what was only reserved is not there.
        for at in (number(from)..number(to)).step_by(4096).take(64 << 8) {
            let mut page = [0; 4096];
            if file.read_exact_at(&mut page, at).is_ok() && page.iter().any(|byte| *byte != 0) {
                all.extend(page);
            }
        }
    }
    all
}

/// The runner is a copy of the broker. What the plugin is not given is not in it: the key that makes native code, the
/// policy, parameters that it does not declare.
#[test]
fn what_the_broker_knows_is_not_in_the_runner() {
    if !is_root() {
        return;
    }
    let host = host();
    let literal = "literal-of-the-operator";
    let granted = HOSTILE_POLICY
        .replace("environment = { DAEMON_OF", &format!("environment = {{ SECRET = \"{literal}\", DAEMON_OF"));
    assert!(granted.contains(literal));
    host.policy(AGENT, &granted);
    let key = fs::read(host.path().join("lib/cache.key")).unwrap();
    let (given, undeclared) = ("given-to-the-plugin", "not-given-to-the-plugin");
    std::thread::scope(|scope| {
        let call = host.call(AGENT).argument("start").instance("known").variable("OCF_RESKEY_do", "sleep");
        let call = call.variable("OCF_RESKEY_in", "start").variable("OCF_RESKEY_password", given);
        let call = call.variable("OCF_RESKEY_passwd", undeclared).variable("OCF_RESKEY_CRM_meta_timeout", "8000");
        let running = scope.spawn(move || call.run());
        let (pid, broker) = runner_of(AGENT, "known");
        until("it sleeps", || is_in(pid, SLEEP));
        let (runner, whole) = (memory(pid), memory(broker));
        kill(broker, "-KILL");
        let _ = running.join().unwrap();
        let has = |memory: &[u8], what: &[u8]| memory.windows(what.len()).any(|part| part == what);
        // That it can be found at all.
        assert!(has(&runner, given.as_bytes()), "what the plugin is given");
        assert!(has(&whole, literal.as_bytes()), "what the broker knows");
        assert!(!has(&runner, &key), "the key of native code");
        assert!(!has(&runner, literal.as_bytes()), "the policy");
        assert!(!has(&runner, undeclared.as_bytes()), "a parameter that is not declared");
    });
    let _ = host.call(AGENT).argument("stop").instance("known").is(0);
}
