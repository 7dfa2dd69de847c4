//! What must hold whatever happens, by number: one test each. `cargo xtask guards` leaves out of the agent what guards one
//! of them and expects its test here to fail.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod answers;
mod bytes;
mod reach;
mod time;
mod told;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use ocf_wasm_tests::handmade::Handmade;
use ocf_wasm_tests::host::{TestHost, is_alive, kill, plugin, policy_of};
use ocf_wasm_tests::processes::runner_of;

const AGENT: &str = "test/hostile";

fn host() -> TestHost {
    let host = TestHost::new();
    host.install_hostile();
    host
}

/// A label that is granted for something else is not granted.
#[test]
fn i01_what_is_not_granted_is_not_done() {
    let host = host();
    let start = host.action(AGENT, "start").with("do", "misuse").with("in", "start").timeout_ms(3_000);
    let _ = start.is(4).says("program daemon: granted, but not with lifetime");
    let start = host.action(AGENT, "start").with("do", "ungranted").with("in", "start").timeout_ms(3_000);
    let _ = start.is(4).says("program secret: not granted");
}

/// A policy that others may write grants nothing.
#[test]
fn i02_a_policy_that_is_not_safe_grants_nothing() {
    let host = host();
    let path = host.policy_path(AGENT);
    for (mode, code) in [(0o666, 4), (0o620, 4), (0o600, 0)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let _ = host.action(AGENT, "start").with("daemon", true).is(code);
        assert_eq!(host.processes("try").len(), usize::from(code == 0));
    }
    let _ = host.action(AGENT, "stop").is(0);
}

/// Nobody reads what it says.
#[test]
fn i03_no_signal_ends_it() {
    let host = host();
    let fifo = host.path().join("fifo");
    let nobody = format!("mkfifo {0}; exec 7<>{0}; exec 2>{0}; exec 7<&-", fifo.display());
    let call = host.call(AGENT).argument("no-action").instance("x").before(&nobody);
    assert_eq!(call.run().code, 3);
}

/// A plugin that computes for ever is named in the answer.
#[test]
fn i04_an_answer_comes_before_the_timeout() {
    let host = host();
    let start = host.action(AGENT, "start").with("do", "loop").with("in", "start").timeout_ms(1_500);
    let _ = start.is(1).within(Duration::from_millis(1_500)).says("start: no answer from the plugin in time");
}

/// The broker is killed while the plugin computes.
#[test]
fn i05_nothing_that_helped_outlives_it() {
    let host = host();
    std::thread::scope(|scope| {
        let action = host.action(AGENT, "start").instance("outlive").with("do", "loop").with("in", "start");
        let running = scope.spawn(move || action.timeout_ms(15_000).run());
        let (pid, broker) = runner_of(AGENT, "outlive");
        kill(broker, "-KILL");
        let limit = std::time::Instant::now() + Duration::from_secs(2);
        while is_alive(pid) && std::time::Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(10));
        }
        let outlived = is_alive(pid);
        if outlived {
            kill(pid, "-KILL");
        }
        let _ = running.join().unwrap();
        assert!(!outlived, "the runner lives on");
    });
}

/// The plugin claims to have stopped what its monitor still sees.
#[test]
fn i06_a_stop_is_only_good_if_nothing_is_left() {
    let host = host();
    let action = |word| host.action(AGENT, word).with("do", "lie").with("in", "stop").timeout_ms(2_000);
    let _ = action("start").is(0);
    let _ = action("stop").is(1).says("not stopped in time");
}

/// A monitor that trapped has seen nothing.
#[test]
fn i07_a_monitor_answers_what_was_seen() {
    let host = host();
    let action = |word| host.action(AGENT, word).with("do", "trap").with("in", "monitor");
    let _ = action("start").is(0);
    let _ = action("monitor").more(&["--level", "10"]).recurring().is(1).says("unreachable");
    let _ = action("stop").is(0);
}

/// A plugin whose monitor fails as not implemented, which the cluster may take for: no recovery.
#[test]
fn i09_an_exit_status_is_one_that_fits_the_action() {
    let host = TestHost::new();
    let plugin = Handmade {
        code: r#"(data (memory $own) (i32.const 32) "\01\00\00\00\02")"#.to_owned(),
        monitor: "(return (i32.const 32))".to_owned(),
        ..Handmade::default()
    };
    let path = host.path().join("handmade.wasm");
    fs::write(&path, wat::parse_str(plugin.text("test/handmade")).unwrap()).unwrap();
    host.policy("test/handmade", "format = 1\n");
    host.add(&path, &[]);
    let _ = host.action("test/handmade", "monitor").recurring().is(1);
}

/// The code of another component, which this node made itself, in the place of the one that is verified.
#[test]
fn i11_what_was_verified_is_what_runs() {
    let host = host();
    host.policy("ocf-wasm/dummy", &policy_of("dummy"));
    host.add(&plugin("dummy"), &[]);
    let cache = host.path().join("cache");
    let file = |agent: &str| {
        let listed = host.run(&["-o", "json", "list"]).json();
        let of_agent = |entry: &&serde_json::Value| entry["agent"] == agent || entry["name"] == agent;
        let text = listed["agents"].as_array().unwrap().iter().find(of_agent).unwrap().to_string();
        let mut files = fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path());
        files.find(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.contains("-wasmtime-") && text.contains(&name[..12])
        })
    };
    let (ours, other) = (file(AGENT).unwrap(), file("ocf-wasm/dummy").unwrap());
    fs::copy(&other, &ours).unwrap();
    // Only the hostile plugin can fail like this.
    let start = host.action(AGENT, "start").with("do", "long").with("in", "start");
    let _ = start.is(1).says("cause first");
}

/// A failure whose words begin a second exit reason.
#[test]
fn i14_there_is_one_exit_reason() {
    let host = host();
    let ran = host.action(AGENT, "start").with("do", "lines").with("in", "start").is(1);
    assert_eq!(ran.stderr.matches("ocf-exit-reason:").count(), 1, "{ran:#?}");
}

/// A stop comes while a start is under way.
#[test]
fn i20_two_actions_of_an_instance_do_not_meet() {
    let host = host();
    std::thread::scope(|scope| {
        let action = host.action(AGENT, "start").instance("meet").with("do", "sleep").with("in", "start");
        let running = scope.spawn(move || action.timeout_ms(6_000).run());
        let _ = runner_of(AGENT, "meet");
        let stop = host.action(AGENT, "stop").instance("meet").timeout_ms(1_000);
        let _ = stop.is(1).says("another action");
        assert_eq!(running.join().unwrap().code, 1);
    });
    let _ = host.action(AGENT, "stop").instance("meet").is(0);
}

/// A validation that wants to write down something.
#[test]
fn i23_what_only_looks_changes_nothing() {
    let host = host();
    let validate = host.action(AGENT, "validate-all").with("do", "scribble").with("in", "validate");
    let _ = validate.is(1).says("changes nothing");
}
