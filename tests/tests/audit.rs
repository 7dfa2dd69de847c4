//! Each action leaves one line in the log that says who asked for what, what answered, and what it used: invariant I25 of
//! the threat model. What is denied is told once, with the grant that is missing: invariant I1.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;

use ocf_wasm_tests::host::{TestHost, hostile};

/// What the log has of one action: its audit, and all other lines.
struct Logged {
    audit: String,
    others: Vec<String>,
}

/// Performs an action that ends with `code`, and returns what it logged.
#[track_caller]
fn logged(host: &TestHost, agent: &str, action: &str, more: &[(&str, &str)], code: i32) -> Logged {
    let log = host.path().join("log");
    let mut call = host.call(agent).argument(action).instance("x").variable("HA_LOGFILE", &log);
    for (name, value) in more {
        call = call.variable(name, value);
    }
    let _ = call.is(code);
    let text = fs::read_to_string(&log).unwrap();
    fs::remove_file(&log).unwrap();
    let (mut audits, others): (Vec<_>, Vec<_>) =
        text.lines().map(str::to_owned).partition(|line| line.contains(": AUDIT: agent="));
    assert!(audits.len() == 1 && text.trim_end().ends_with(&audits[0]), "{action}: {text}");
    Logged { audit: audits.remove(0), others }
}

/// The value of a word of the line.
fn word<'a>(audit: &'a str, name: &str) -> &'a str {
    let found = audit.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    found.unwrap_or_else(|| panic!("no {name}: {audit}"))
}

#[test]
fn i25_each_action_is_audited_once_also_when_it_fails() {
    let host = TestHost::with(&["dummy"]);
    let interval = [("OCF_RESKEY_CRM_meta_interval", "10000")];
    let wrong = [("OCF_RESKEY_op_sleep", "soon")];
    for (action, more, code) in [
        ("monitor", &[][..], 7),
        ("start", &wrong, 6),
        ("start", &[], 0),
        ("monitor", &interval, 0),
        ("promote", &[], 3),
        ("validate-all", &[], 0),
        ("validate-all", &wrong, 6),
        ("stop", &[], 0),
    ] {
        let Logged { audit, .. } = logged(&host, "ocf-wasm/dummy", action, more, code);
        let is = |name, value: &str| assert_eq!(word(&audit, name), value, "{audit}");
        is("agent", "ocf-wasm/dummy");
        is("instance", "x");
        is("action", action);
        is("exit", &code.to_string());
        is("interval", if more == interval { "10000ms" } else { "0ms" });
        assert!(word(&audit, "took").ends_with("ms"), "{audit}");
        // What never came to a plan used nothing.
        if code != 6 && code != 3 {
            is("version", "0.1.0");
            is("generation", "1");
            is("signer", "none");
            is("denied", "0");
            assert!(word(&audit, "calls").parse::<u32>().unwrap() < 10, "{audit}");
            assert_eq!((word(&audit, "component").len(), word(&audit, "policy").len()), (12, 12), "{audit}");
        }
    }
}

#[test]
fn i1_a_denial_is_told_once_with_its_grant_and_counted_always() {
    let host = TestHost::with(&["sample-tcp-server"]);
    host.policy("ocf-wasm/sample-tcp-server", "format = 1\n");
    let Logged { audit, others } = logged(&host, "ocf-wasm/sample-tcp-server", "start", &[], 4);
    let denials: Vec<&String> = others.iter().filter(|line| line.contains("denied: ")).collect();
    assert_eq!(denials.len(), 1, "{others:#?}");
    let grant = "AUDIT: denied: program greeter: not granted; granted by [program.greeter] in the policy";
    assert!(denials[0].ends_with(grant), "{denials:?}");
    // Asked before the start, and by it.
    assert!(word(&audit, "denied").parse::<u32>().unwrap() >= 2, "{audit}");
    assert_eq!(word(&audit, "programs"), "0");
}

#[test]
fn i18_no_secret_is_in_a_line_of_the_log() {
    let host = TestHost::new();
    host.policy("test/hostile", "format = 1\n");
    host.add(&hostile(), &[]);
    let secret = [("OCF_RESKEY_password", "open-sesame")];
    for (action, code) in [("start", 0), ("monitor", 0), ("stop", 0)] {
        let Logged { audit, others } = logged(&host, "test/hostile", action, &secret, code);
        assert!(!audit.contains("sesame") && !others.iter().any(|line| line.contains("sesame")), "{audit} {others:?}");
    }
}
