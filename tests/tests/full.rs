//! Nothing more can be written to /run: what runs is watched and stopped all the same, whatever the plugin asks for in that.

use ocf_wasm_tests::host::{HOSTILE_POLICY, TestHost, is_root};

const AGENT: &str = "test/hostile";

/// What is done in which export, and whether a daemon is there: what is written of that gives room back when it ends.
const CASES: [(&str, &str, &str); 5] = [
    ("stuck", "promote", "false"),
    ("stuck", "stop", "false"),
    ("stuck", "stop", "true"),
    ("scribble", "stop", "false"),
    ("stuck", "every-monitor", "true"),
];

#[test]
fn what_a_plugin_asks_for_in_a_stop_or_a_monitor_needs_no_room() {
    if !is_root() {
        return;
    }
    let host = TestHost::new();
    host.install_hostile();
    let ending =
        HOSTILE_POLICY.replace("\"/usr/bin/sleep\"\nargv        = [\"1001\"]", "\"/usr/bin/true\"\nargv        = []");
    assert_ne!(ending, HOSTILE_POLICY);
    let mut failed = Vec::new();
    for (number, policy) in [ending.clone(), ending + "rate = 1000\n"].iter().enumerate() {
        host.policy(AGENT, policy);
        for (misdeed, place, daemon) in CASES {
            let instance = format!("full-{number}-{misdeed}-{place}-{daemon}");
            let call = |action: &'static str| {
                let call = host.call(AGENT).argument(action).instance(&instance);
                let call = call.variable("OCF_RESKEY_do", misdeed).variable("OCF_RESKEY_in", place);
                call.variable("OCF_RESKEY_daemon", daemon).variable("OCF_RESKEY_CRM_meta_timeout", "20000")
            };
            // What was counted before leaves room to count more.
            let uncounted = format!("rm -f /run/ocf-wasm/{AGENT}/{instance}/stuck.rate");
            let full = |action| call(action).before(&uncounted).full("/run/ocf-wasm");
            let _ = call("start").run().is(0);
            let _ = call("promote").run().is(0);
            let monitor = full("monitor").variable("OCF_RESKEY_CRM_meta_interval", "10000").run();
            let stop = full("stop").run();
            if (monitor.code, stop.code) != (8, 0) {
                failed.push(format!("{instance}: {} {}: {} {}", monitor.code, stop.code, monitor.stderr, stop.stderr));
            }
            assert!(stop.stderr.contains("No space left"), "/run is not full: {stop:#?}");
            // What is written there is gone with that call: to the others it still runs.
            let _ = call("stop").run().is(0);
            let _ = call("monitor").run().is(7);
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn what_begins_something_is_refused_where_it_cannot_be_written_down() {
    if !is_root() {
        return;
    }
    let host = TestHost::new();
    host.install_hostile();
    host.policy(AGENT, &HOSTILE_POLICY.replace("[\"1001\"]", "[\"0\"]\nrate = 1000"));
    let call = |action: &'static str| {
        let call = host.call(AGENT).argument(action).instance("begins");
        call.variable("OCF_RESKEY_do", "stuck").variable("OCF_RESKEY_in", "promote")
    };
    let _ = call("start").run().is(0);
    let _ = call("promote").full("/run/ocf-wasm").run().is(1).says("No space left");
    let _ = call("monitor").run().is(0);
    let _ = call("stop").run().is(0);
}
