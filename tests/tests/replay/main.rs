//! An action is recorded on a node and replayed without it: what agrees, what differs, and what is in the file.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod places;
mod recording;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use ocf_wasm_tests::host::{Action, Ran, TestHost, finish, free_port, hostile, kill, plugin, until, variant_of};
use serde_json::{Value, json};

const SERVER: &str = "ocf-wasm/sample-tcp-server";
const HOSTILE: &str = "test/hostile";

/// A place for recordings.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> Value {
        serde_json::from_str(&fs::read_to_string(self.path(name)).unwrap()).unwrap()
    }

    /// Writes a changed copy.
    fn changed(&self, name: &str, change: impl FnOnce(&mut Value)) -> PathBuf {
        let mut recording = self.read(name);
        change(&mut recording);
        let path = self.path("changed.json");
        fs::write(&path, recording.to_string()).unwrap();
        path
    }
}

/// Runs an action with `--record`.
fn record(action: &Action<'_>, file: &Path) -> Ran {
    action.clone().more(&["--record", text(file)]).run()
}

/// Replays in a root where nothing is installed and nothing granted.
fn replay(component: &Path, action: &str, file: &Path) -> Ran {
    let host = TestHost::new();
    let ran = host.run(&["run", text(component), action, "--replay", text(file)]);
    let listed = host.run(&["-o", "json", "list"]).json();
    assert_eq!(listed, json!({ "agents": [], "damage": [], "instances": [] }), "a replay leaves something");
    ran
}

/// Checks that a replay went as recorded.
#[track_caller]
fn agrees(ran: &Ran) {
    assert!(ran.code == 0 && ran.stdout.starts_with("as recorded: ") && ran.stderr.is_empty(), "{ran:#?}");
}

/// Checks that a replay differs, and what is said of it.
#[track_caller]
fn differs(ran: &Ran, words: &[&str]) {
    assert!(ran.code == 1 && ran.stdout.starts_with("not as recorded:\n") && ran.stderr.is_empty(), "{ran:#?}");
    for word in words {
        assert!(ran.stdout.contains(word), "`{word}` is not said: {}", ran.stdout);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A start and a monitor of a daemon that lived, in `start.json` and `running.json`.
fn recorded_server(files: &Files) -> u16 {
    let host = TestHost::with(&["sample-tcp-server"]);
    let port = free_port();
    let action = |word| host.action(SERVER, word).instance("web").with("port", port);
    let _ = record(&action("start"), &files.path("start.json")).is(0);
    let _ = record(&action("monitor").recurring(), &files.path("running.json")).is(0);
    let _ = record(&action("stop"), &files.path("stop.json")).is(0);
    port
}

#[test]
fn a_start_a_monitor_and_a_stop_are_replayed_without_the_node() {
    let files = Files::new();
    let port = recorded_server(&files);
    let component = plugin("sample-tcp-server");
    let running = files.read("running.json");
    assert_eq!(running["parameters"], json!({ "greet": "Hello!", "port": port.to_string() }));
    assert_eq!(
        (&running["format"], &running["agent"], &running["action"]),
        (&json!(1), &json!(SERVER), &json!("monitor"))
    );
    assert_eq!((&running["instance"], &running["probe"], &running["exit"]), (&json!("web"), &json!(false), &json!(0)));
    let export = &running["steps"][0];
    assert_eq!((&export["export"], &export["result"]), (&json!("monitor"), &json!({ "ok": "running" })));
    let calls = export["calls"].as_array().unwrap();
    let names: Vec<&str> = calls.iter().filter_map(|call| call["call"].as_str()).collect();
    assert_eq!(names, ["program.status", "endpoint.exchange"]);
    assert_eq!(calls[0]["with"], json!({ "label": "greeter" }));
    let condition = &calls[0]["answer"]["ok"];
    assert_eq!((&condition["phase"], &condition["processes"]), (&json!("running"), &json!(2)));
    assert!(condition["age-ms"].is_u64() && condition["ended"].is_null(), "{condition}");
    assert_eq!(calls[1]["with"]["until"], json!({ "bytes": { "text": "\n" } }));
    let node = running["node"].as_str().unwrap();
    let greeting = format!("Hello! This is {node}!\n");
    assert_eq!(calls[1]["answer"], json!({ "ok": { "reach": "open", "received": { "text": greeting } } }));
    let start = files.read("start.json");
    let exports: Vec<&str> =
        start["steps"].as_array().unwrap().iter().filter_map(|step| step["export"].as_str()).collect();
    assert_eq!(exports[..2], ["monitor", "start"]);
    assert!(exports[2..].iter().all(|export| *export == "monitor") && exports.len() > 2, "{exports:?}");
    for (action, file) in [("start", "start.json"), ("monitor", "running.json"), ("stop", "stop.json")] {
        agrees(&replay(&component, action, &files.path(file)));
    }
    // The name that older callers use.
    agrees(&replay(&component, "status", &files.path("running.json")));
    // What the file says is readable by its owner only, as answers may be anything.
    let mode = fs::metadata(files.path("running.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!files.path("running.json.raw").exists());
}

#[test]
fn another_answer_is_noticed() {
    let files = Files::new();
    recorded_server(&files);
    let component = plugin("sample-tcp-server");
    let stopped = files.changed("running.json", |file| {
        file["steps"][0]["calls"][0]["answer"]["ok"]["phase"] = json!("stopped");
    });
    let ran = replay(&component, "monitor", &stopped);
    differs(
        &ran,
        &[
            "step 1 (monitor): endpoint.exchange {",
            "was asked, and is not now",
            "step 1 (monitor) returns something else\n    recorded: {\"ok\":\"running\"}\n    now:      {\"ok\":\"not-running\"}",
            "exit status\n    recorded: 0\n    now:      7",
        ],
    );
    let host = TestHost::new();
    let told = host.run(&["-o", "json", "run", text(&component), "monitor", "--replay", text(&stopped)]);
    assert_eq!((told.code, &told.json()["agrees"], &told.json()["exit"]), (1, &json!(false), &json!(7)));
    assert_eq!(told.json()["differences"].as_array().unwrap().len(), 3);

    let other = files.changed("running.json", |file| {
        file["steps"][0]["calls"][1]["answer"]["ok"]["received"] = json!({ "text": "Go away!\n" });
    });
    differs(&replay(&component, "monitor", &other), &["greeted with \\\"Go away!\\\"", "now:      1, port "]);

    // In a start the host would ask again until the recording has no more answers.
    let start = files.changed("start.json", |file| {
        let steps = file["steps"].as_array_mut().unwrap();
        let last = steps.iter_mut().rev().find(|step| step["export"] == "monitor").unwrap();
        last["calls"][0]["answer"] = json!({ "err": { "other": "the node is on fire" } });
    });
    differs(&replay(&component, "start", &start), &["the node is on fire", "now:      1, not running in time: "]);

    // Parameters are the file's unless others are set; then what differs is what the plugin does.
    let host = TestHost::new();
    let with = |parameter: &str| {
        let file = files.path("running.json");
        host.run(&["run", text(&component), "monitor", "--replay", text(&file), "-p", parameter])
    };
    differs(&with("greet=Hi"), &["greeted with \\\"Hello! This is "]);
    agrees(&with("greet=Hello!"));
    for (parameter, says) in [("port=0", "is not a port"), ("colour=red", "none of this name")] {
        let ran = with(parameter);
        assert!(ran.code == 1 && ran.stderr.contains(says), "{ran:#?}");
    }
}

#[test]
fn a_plugin_that_asks_something_else_is_told_what_was_expected() {
    let files = Files::new();
    recorded_server(&files);
    let running = files.path("running.json");
    let component = plugin("sample-tcp-server");
    // The same agent with another label.
    let bytes = fs::read(&component).unwrap();
    let mut changed = bytes;
    let mut found = 0;
    for at in 0..changed.len() - 8 {
        if changed[at..].starts_with(b"greeter") {
            changed[at + 6] = b's';
            found += 1;
        }
    }
    assert!(found > 0);
    let variant = files.path("variant.wasm");
    fs::write(&variant, changed).unwrap();
    differs(
        &replay(&variant, "monitor", &running),
        &[
            "step 1 (monitor), call 1\n    recorded: program.status {\"label\":\"greeter\"}\n    now:      program.status {\"label\":\"greetes\"}",
        ],
    );
    // A version that does the same is the same.
    agrees(&replay(&variant_of(&component, 7, files.0.path()), "monitor", &running));
    // Calls too few and too many, from the plugin's side.
    let shorter = files.changed("running.json", |file| drop(file["steps"][0]["calls"].as_array_mut().unwrap().pop()));
    differs(
        &replay(&component, "monitor", &shorter),
        &["call 2\n    recorded: no more calls\n    now:      endpoint.exchange"],
    );
    let longer = files.changed("running.json", |file| {
        let calls = file["steps"][0]["calls"].as_array_mut().unwrap();
        calls.push(calls[0].clone());
    });
    differs(
        &replay(&component, "monitor", &longer),
        &["program.status {\"label\":\"greeter\"} was asked, and is not now"],
    );
    let renamed = files.changed("running.json", |file| file["steps"][0]["calls"][0]["call"] = json!("program.stop"));
    differs(&replay(&component, "monitor", &renamed), &["recorded: program.stop", "now:      program.status"]);
    // The host's side.
    let fewer = files.changed("running.json", |file| file["steps"] = json!([]));
    differs(&replay(&component, "monitor", &fewer), &["monitor is called, and was not"]);
    let more = files.changed("running.json", |file| {
        let steps = file["steps"].as_array_mut().unwrap();
        steps.push(steps[0].clone());
    });
    differs(&replay(&component, "monitor", &more), &["step 2 (monitor) was called, and is not now"]);
    let swapped = files.changed("running.json", |file| file["steps"][0]["export"] = json!("stop"));
    differs(&replay(&component, "monitor", &swapped), &["step 1 (stop) was called, and now monitor is"]);
}

#[test]
fn every_action_that_is_recorded_can_be_replayed() {
    let host = TestHost::new();
    host.install_hostile();
    let files = Files::new();
    let file = files.path("action.json");
    let again = |action: &Action<'_>, word: &str, code: i32| {
        let _ = record(action, &file).is(code);
        agrees(&replay(&hostile(), word, &file));
    };
    let daemon = |word| host.action(HOSTILE, word).instance("one").with("daemon", "true");
    for (word, code) in [
        ("monitor", 7),
        ("validate-all", 0),
        ("start", 0),
        ("start", 0),
        ("monitor", 0),
        ("promote", 0),
        ("monitor", 8),
        ("demote", 0),
        ("reload-agent", 0),
    ] {
        again(&daemon(word), word, code);
    }
    // What the plugin is told of the level that was asked for, not that one.
    for (word, asked, told) in [("monitor", "5", 0), ("monitor", "10", 10), ("validate-all", "9", 0)] {
        let place = if word == "monitor" { "every-monitor" } else { "validate" };
        let says = host.action(HOSTILE, word).instance("levels").with("do", "level").with("in", place);
        again(&says.recurring().more(&["--level", asked]), word, 1);
        assert!(files.read("action.json")["reason"].as_str().unwrap().ends_with(&format!("level {told}")));
    }
    let notify = daemon("notify").with("CRM_meta_notify_type", "post").with("CRM_meta_notify_operation", "start");
    again(&notify, "notify", 0);
    assert_eq!(files.read("action.json")["notification"]["moment"], "post");
    let leaving = daemon("migrate_to").with("CRM_meta_migrate_source", "a").with("CRM_meta_migrate_target", "b");
    again(&leaving, "migrate_to", 0);
    assert_eq!(files.read("action.json")["migration"], json!({ "source": "a", "target": "b" }));
    // The daemon dies: what a probe says then is the host's to know.
    for (pid, _) in host.processes("one") {
        kill(pid, "-KILL");
    }
    until("the keeper has seen it", || host.why("one")["daemons"][0]["ended"].is_string());
    again(&daemon("monitor"), "monitor", 7);
    again(&daemon("stop"), "stop", 0);
    // Plugins that do not do their part.
    let misdeed = |word, name: &str, place: &str| {
        host.action(HOSTILE, word).instance("two").with("do", name).with("in", place).timeout_ms(1_500)
    };
    for (word, name, code) in [
        ("start", "panic", 1),
        ("start", "trap", 1),
        ("start", "sleep", 1),
        ("start", "stuck", 1),
        ("start", "ungranted", 4),
        ("start", "long", 1),
        ("start", "lie", 1),
    ] {
        again(&misdeed(word, name, word), word, code);
    }
    // The host ends what it tracks in the plugin's place.
    for name in ["panic", "trap", "lie"] {
        let action = |word| host.action(HOSTILE, word).instance(name).with("daemon", "true");
        let _ = action("start").with("do", name).with("in", "stop").is(0);
        again(&action("stop").timeout_ms(2_000), "stop", 0);
        let helped = files.read("action.json")["steps"].as_array().unwrap().iter().any(|s| s["host"] == "tear-down");
        assert!(helped, "{name}");
    }
}

#[test]
fn what_cannot_be_replayed_is_refused() {
    let host = TestHost::new();
    let files = Files::new();
    let dummy = plugin("dummy");
    let recording = host.path().join("dummy.json");
    let policy = host.path().join("policy.toml");
    fs::write(&policy, "format = 1\n").unwrap();
    let start = host.action(text(&dummy), "start").more(&["--policy", text(&policy)]).run();
    assert_eq!(start.code, 0, "{start:#?}");
    let _ = record(&host.action("ocf-wasm/dummy", "monitor"), &recording).is(0);
    let _ = host.action("ocf-wasm/dummy", "stop").is(0);
    fs::copy(&recording, files.path("dummy.json")).unwrap();
    agrees(&host.run(&["run", "ocf-wasm/dummy", "monitor", "--replay", text(&recording)]));
    let refused = |component: &Path, action: &str, file: &Path, says: &str| {
        let ran = replay(component, action, file);
        let told = ran.code == 1 && ran.stdout.is_empty() && ran.stderr.starts_with("error: ");
        assert!(told && ran.stderr.contains(says), "`{says}` is not said: {ran:#?}");
    };
    refused(&plugin("sample-tcp-server"), "monitor", &recording, "records ocf-wasm/dummy, and not ocf-wasm/sample-tcp");
    refused(&dummy, "stop", &recording, "records monitor, and not stop");
    refused(&dummy, "frobnicate", &recording, "unknown action frobnicate");
    refused(&dummy, "monitor", &files.path("absent.json"), "absent.json: No such file");
    refused(&dummy, "monitor", &policy, "policy.toml: no recording of an action");
    for (change, says) in [
        (json!({ "format": 2 }), "format 2; known is 1"),
        (json!({ "level": "deep" }), "invalid type: string \"deep\""),
        (json!({ "clone": { "number": "one" } }), "clone: number: invalid type: string \"one\""),
    ] {
        let changed = files.changed("dummy.json", |file| {
            let change = change.as_object().unwrap().clone();
            file.as_object_mut().unwrap().extend(change);
        });
        refused(&dummy, "monitor", &changed, says);
    }
    let unreadable = files.changed("dummy.json", |file| file["steps"][0]["calls"][0]["answer"] = json!({ "ok": 7 }));
    differs(
        &replay(&dummy, "monitor", &unreadable),
        &["the answer to state.get", "cannot be used: invalid type: integer `7`"],
    );
    for more in [&["--record", "x"][..], &["--policy", "x"], &["--instance", "x"], &["--trace"], &["--timeout", "1s"]] {
        let mut tool = host.tool(&["run", text(&dummy), "monitor", "--replay", text(&recording)]);
        let ran = finish(tool.args(more));
        assert!(ran.code == 2 && ran.stderr.contains("--replay"), "{ran:#?}");
    }
}
