//! What recording does to the action, to the file, and to what must not be in it.

use std::fs;
use std::process::Stdio;

use ocf_wasm_tests::host::{TestHost, free_port, hostile, is_root, kill, skip, until};
use ocf_wasm_tests::processes;
use serde_json::{Value, json};

use super::{Files, HOSTILE, SERVER, agrees, differs, record, replay, text};

#[test]
fn recording_changes_nothing_but_the_file() {
    let lives: Vec<Vec<(i32, String, String)>> = [false, true]
        .map(|is_recorded| {
            let host = TestHost::with(&["sample-tcp-server"]);
            let files = Files::new();
            let port = free_port();
            let life = ["monitor", "start", "start", "monitor", "stop", "stop", "monitor", "validate-all", "promote"];
            let said = life.iter().map(|word| {
                let action = host.action(SERVER, word).instance("web").with("port", port);
                let ran = if is_recorded { record(&action, &files.path("x.json")) } else { action.run() };
                let stderr = ran.stderr.replace(&port.to_string(), "PORT");
                let stderr = stderr.replace("note: nothing is recorded: the plugin was not asked\n", "");
                (ran.code, ran.stdout, stderr)
            });
            said.collect()
        })
        .into();
    assert_eq!(lives[0], lives[1]);
    assert_eq!(lives[0].iter().map(|(code, ..)| *code).collect::<Vec<_>>(), [7, 0, 0, 0, 0, 0, 7, 0, 3]);
}

#[test]
fn a_file_that_cannot_be_written_is_said_before_and_ignored_during_the_action() {
    let host = TestHost::with(&["dummy"]);
    let files = Files::new();
    let nowhere = files.path("absent/file.json");
    let ran = record(&host.action("ocf-wasm/dummy", "start"), &nowhere);
    assert!(ran.code == 1 && ran.stderr.contains("absent/file.json.raw: No such file"), "{ran:#?}");
    let _ = host.action("ocf-wasm/dummy", "monitor").is(7);
    // The agent itself, whoever calls it, acts as if nobody had asked.
    let link = files.path("link");
    let target = files.path("target");
    std::os::unix::fs::symlink(&target, &link).unwrap();
    for place in ["/dev/full", "relative", text(&link), text(files.0.path())] {
        let call = host.call("ocf-wasm/dummy").instance("try").variable("OCF_WASM_RECORD_FILE", place);
        let _ = call.clone().argument("start").is(0);
        let _ = call.clone().argument("stop").is(0);
    }
    assert!(!target.exists());
    // Where the plugin is not asked there is nothing to record, and what was recorded before stays.
    let file = files.path("kept.json");
    fs::write(&file, "kept").unwrap();
    let ran = record(&host.action("ocf-wasm/dummy", "promote"), &file);
    assert!(ran.code == 3 && ran.stderr.contains("note: nothing is recorded: the plugin was not asked\n"), "{ran:#?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
}

#[test]
fn no_secret_is_in_the_file() {
    let host = TestHost::new();
    host.install_hostile();
    let files = Files::new();
    let file = files.path("told.json");
    let tell = |password: &str| {
        host.action(HOSTILE, "start").with("do", "tell").with("in", "start").with("password", password)
    };
    let ran = record(&tell("swordfish"), &file).is(1);
    assert!(ran.reason().contains("it is *********!"), "the plugin had it, and nobody is told: {ran:#?}");
    let written = fs::read_to_string(&file).unwrap();
    assert!(!written.contains("swordfish"), "{written}");
    let recording = files.read("told.json");
    assert_eq!(recording["parameters"]["password"], "*********");
    let start = recording["steps"].as_array().unwrap().iter().find(|step| step["export"] == "start").unwrap();
    assert_eq!(start["calls"][0]["with"], json!({ "key": "told", "value": { "text": "it is *********!" } }));
    assert_eq!(start["calls"][1]["with"]["slots"], json!([{ "name": "login", "value": "me:*********" }]));
    assert_eq!(recording["reason"], "********* is Some(\"it is *********!\")");
    // What the agent writes while it acts has none either.
    let raw = files.path("raw");
    let call = host.call(HOSTILE).instance("try").variable("OCF_WASM_RECORD_FILE", text(&raw)).argument("start");
    let call = call.variable("OCF_RESKEY_do", "tell").variable("OCF_RESKEY_in", "start");
    let _ = call.variable("OCF_RESKEY_password", "swordfish").is(1);
    let raw = String::from_utf8_lossy(&fs::read(raw).unwrap()).into_owned();
    assert!(raw.contains("it is *********!") && !raw.contains("swordfish"), "{raw}");
    // It replays as it is: the plugin gets the mask for its password.
    agrees(&replay(&hostile(), "start", &file));
    // One that is too short to be told from other words is not recorded at all.
    fs::remove_file(&file).unwrap();
    let ran = record(&tell("pw1"), &file);
    assert!(ran.code == 1 && ran.stderr.contains("note: nothing is recorded") && !file.exists(), "{ran:#?}");
}

#[test]
fn what_was_recorded_before_a_kill_can_be_read() {
    if !is_root() && !skip("the agent is found by its name, in a namespace of our own") {
        return;
    }
    let host = TestHost::new();
    host.install_hostile();
    let files = Files::new();
    let file = files.path("killed.json");
    let arguments = [
        "run",
        HOSTILE,
        "start",
        "--instance",
        "stuck-77",
        "-p",
        "do=stuck",
        "-p",
        "in=start",
        "--record",
        text(&file),
    ];
    let mut tool = host.tool(&arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    until("the plugin waits", || !processes::with_variable("STUCK_OF=stuck-77").is_empty());
    let own = i32::try_from(tool.id()).unwrap();
    // The agent is the child of the tool that nobody else is the parent of.
    let agent = processes::all().find(|pid| processes::parent(*pid) == Some(own)).unwrap();
    kill(agent, "-KILL");
    let status = tool.wait().unwrap();
    for pid in processes::with_variable("STUCK_OF=stuck-77") {
        kill(pid, "-KILL");
    }
    assert_eq!(status.code(), Some(1), "the agent was ended by a signal");
    let recording = files.read("killed.json");
    assert_eq!((&recording["exit"], &recording["reason"]), (&Value::Null, &Value::Null));
    let steps = recording["steps"].as_array().unwrap();
    let last = steps.last().unwrap();
    assert_eq!((&last["export"], &last["result"]), (&json!("start"), &Value::Null));
    assert_eq!((&last["calls"][0]["call"], &last["calls"][0]["answer"]), (&json!("program.run"), &Value::Null));
    differs(&replay(&hostile(), "start", &file), &["had no answer when the recorded action was killed"]);
}
