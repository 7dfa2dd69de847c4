//! The verbs of the tool, as an operator and an author use them: what they print for people and for programs, and how
//! they end when something is wrong.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod check;
mod errors;
mod fits;
mod generations;
mod instances;
mod listed;
mod lost;
mod place;
mod roots;
mod standing;
mod swap;
mod typed;
mod usage;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use ocf_wasm_tests::host::{Ran, TestHost, dist, finish, free_port, is_root, kill, plugin, until, variant_of};

const DUMMY: &str = "ocf-wasm/dummy";
const SERVER: &str = "ocf-wasm/sample-tcp-server";

/// Checks that a command of the tool ended well and said nothing but what it was asked for.
#[track_caller]
fn good(ran: Ran) -> Ran {
    assert!(ran.code == 0 && ran.stderr.is_empty(), "{ran:#?}");
    ran
}

/// Checks that a command of the tool failed with one sentence that has these words.
#[track_caller]
fn bad(ran: &Ran, words: &[&str]) {
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert_eq!(ran.stdout, "", "{ran:#?}");
    assert!(ran.stderr.starts_with("error: ") && !ran.stderr.contains("panicked"), "{ran:#?}");
    for word in words {
        assert!(ran.stderr.contains(word), "`{word}` is not said: {ran:#?}");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The verbs, as the tool lists them.
fn verbs(host: &TestHost) -> Vec<String> {
    let help = good(host.run(&["--help"])).stdout;
    let list = help.split_once("Commands:\n").unwrap().1.split_once("\n\n").unwrap().0;
    let words = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    words.map(|line| line.split_whitespace().next().unwrap().to_owned()).filter(|verb| verb != "help").collect()
}

#[test]
fn every_verb_explains_itself_with_an_example_that_is_right() {
    let host = TestHost::new();
    let verbs = verbs(&host);
    assert_eq!(
        verbs,
        [
            "install",
            "rollback",
            "remove",
            "list",
            "inspect",
            "suggest",
            "check",
            "why",
            "forget",
            "run",
            "test",
            "new",
            "completions",
            "man"
        ]
    );
    for verb in &verbs {
        let help = good(host.run(&[verb, "--help"])).stdout;
        assert_eq!(help, good(host.run(&["help", verb])).stdout);
        let examples: Vec<&str> = help.lines().filter(|line| line.starts_with("  ocf-wasm ")).collect();
        assert!(!examples.is_empty(), "{help}");
        assert!(help.contains("Exit status: "), "{help}");
        for example in examples {
            // Up to a redirection or a remark.
            let command = example.trim().split(" > ").next().unwrap().split("   ").next().unwrap();
            let mut words: Vec<&str> = command.split(' ').skip(1).collect();
            assert_eq!(words[0], verb);
            // What is misspelt ends with 2; where no root can be made, the rest ends with 1.
            words.extend(["--root", "/proc/nowhere"]);
            let ran = finish(std::process::Command::new(dist().join("usr/bin/ocf-wasm")).args(&words));
            let said = format!("{}{}", ran.stdout, ran.stderr);
            assert!(ran.code == 1 && said.contains("/proc/nowhere"), "{example}: {ran:#?}");
        }
    }
}

#[test]
fn wrong_usage_ends_with_2_before_anything_is_done() {
    let host = TestHost::new();
    let dummy = plugin("dummy");
    let dummy = text(&dummy);
    for (arguments, says) in [
        (&[][..], "Usage: ocf-wasm"),
        (&["frobnicate"], "frobnicate"),
        (&["install"], "<COMPONENT>"),
        (&["install", dummy, "--allow-unsigned", "--profile", "2.0"], "1.1"),
        (&["check", "--colour"], "--colour"),
        (&["list", "-o", "xml"], "json"),
        (&["list", "dummy"], "PROVIDER/TYPE"),
        (&["why"], "<INSTANCE>"),
        (&["forget"], "<INSTANCE>"),
        (&["forget", "web", "--agent", "x"], "PROVIDER/TYPE"),
        (&["remove", "dummy"], "PROVIDER/TYPE"),
        (&["remove", "../x"], "PROVIDER/TYPE"),
        (&["rollback", "a/b/c"], "PROVIDER/TYPE"),
        (&["rollback", DUMMY, "--to", "first"], "--to"),
        (&["run", dummy], "<ACTION>"),
        (&["run", "dummy", "start"], "PROVIDER/TYPE"),
        (&["run", dummy, "start", "-p", "state"], "NAME=VALUE"),
        (&["run", dummy, "start", "--timeout", "soon"], "10s"),
        (&["run", dummy, "monitor", "--interval", "often"], "10s"),
        (&["run", dummy, "monitor", "--level", "x"], "--level"),
        (&["run", dummy, "start", "-p", "=1"], "NAME=VALUE"),
        (&["test", dummy, "--refuse", "=1"], "NAME=VALUE"),
        (&["run", dummy, "start", "--timeout", "0s"], "longer than none"),
    ] {
        let ran = host.run(arguments);
        assert!(ran.code == 2 && ran.stdout.is_empty(), "{arguments:?}: {ran:#?}");
        assert!(ran.stderr.contains(says) && ran.stderr.contains("help"), "{arguments:?}: {ran:#?}");
        let inside = fs::read_dir(host.path()).unwrap().map(|entry| entry.unwrap().path());
        let counts: Vec<usize> = inside.map(|directory| fs::read_dir(directory).unwrap().count()).collect();
        assert_eq!(counts, [0; 5], "{arguments:?}");
    }
}

#[test]
fn who_is_not_root_changes_nothing_on_the_node() {
    if !is_root() {
        return;
    }
    // The tool itself, where another user may reach it.
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let tool = place.path().join("ocf-wasm");
    fs::copy(dist().join("usr/bin/ocf-wasm"), &tool).unwrap();
    for arguments in [&["install", "/x.wasm", "--allow-unsigned"][..], &["rollback", DUMMY], &["remove", DUMMY]] {
        let mut command = std::process::Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(&tool).args(arguments);
        bad(&finish(&mut command), &["needs root", "--root DIR"]);
    }
}

#[test]
fn inspect_shows_what_a_component_is_without_running_it() {
    let host = TestHost::new();
    let file = plugin("sample-tcp-server");
    let shown = good(host.run(&["inspect", text(&file)])).stdout;
    for line in [
        "Can do:",
        "  ocf:agent/lifecycle@0.1.0",
        "Calls:",
        "  ocf:agent/program@0.1.0: start, status, stop",
        "Parameters:",
        "  port [5678]: TCP port on which it listens",
        "Asks for:",
        "  program greeter: the daemon that greets, in the foreground",
    ] {
        assert!(shown.lines().any(|printed| printed == line), "{line}: {shown}");
    }
    let known = good(host.run(&["inspect", "-o", "json", text(&file)])).json();
    assert_eq!(known["agent"], SERVER);
    let digest = known["digest"].as_str().unwrap();
    assert!(shown.starts_with(&format!("{SERVER} 0.1.0: ")) && shown.contains(&format!("\n{digest}\n")), "{shown}");
    let sum = finish(std::process::Command::new("sha256sum").arg(&file));
    assert_eq!(digest.strip_prefix("sha256:"), sum.stdout.split(' ').next());
    let parameters: Vec<&str> =
        known["parameters"].as_array().unwrap().iter().filter_map(|parameter| parameter["name"].as_str()).collect();
    assert_eq!(parameters, ["greet", "port"]);
    assert_eq!(known["parameters"][1]["default"], "5678");
    assert_eq!(known["exports"], json!(["ocf:agent/lifecycle@0.1.0"]));
    assert_eq!(known["imports"]["ocf:agent/endpoint@0.1.0"], json!(["connect", "exchange"]));
    let requests: Vec<(&str, &str)> = known["requests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|request| (request["kind"].as_str().unwrap(), request["name"].as_str().unwrap()))
        .collect();
    assert_eq!(requests, [("endpoint", "greeting"), ("program", "greeter")]);
    assert_eq!(good(host.run(&["list"])).stdout, "no agent is installed\n");
    let other = host.path().join("text.wasm");
    fs::write(&other, "text").unwrap();
    bad(&host.run(&["inspect", text(&other)]), &["text.wasm"]);
    bad(&host.run(&["suggest", text(&other)]), &["text.wasm"]);
}

#[test]
fn suggest_prints_a_policy_that_works_once_its_blanks_are_filled() {
    let host = TestHost::new();
    let file = plugin("sample-tcp-server");
    let suggested = good(host.run(&["suggest", text(&file)])).stdout;
    let port = free_port();
    let start = |policy: &str| {
        let path = host.path().join("policy.toml");
        fs::write(&path, policy).unwrap();
        let checked = host.run(&["check", text(&path)]);
        let policy = path.display().to_string();
        let start = host.action(text(&file), "start").with("port", port).more(&["--policy", &policy]).run();
        (checked.code, start)
    };
    assert_eq!(suggested.matches("\"\"").count(), 1, "one blank: {suggested}");
    let (checked, started) = start(&suggested);
    assert!(checked == 1 && started.code == 1 && started.stderr.contains("fill in the user"), "{started:#?}");
    let (checked, started) = start(&suggested.replace("\"\"", "\"nobody\""));
    assert_eq!(checked, 0);
    let _ = started.is(0);
    let _ = host.action(SERVER, "monitor").recurring().is(0);
    let _ = host.action(SERVER, "stop").is(0);
    // A plugin that asks for nothing is granted nothing, and has a policy all the same.
    let dummy = good(host.run(&["suggest", text(&plugin("dummy"))])).stdout;
    let grants: Vec<&str> = dummy.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    assert_eq!(grants, ["format = 1"]);
}

#[test]
fn list_shows_agents_generations_and_instances() {
    let host = TestHost::new();
    assert_eq!(good(host.run(&["list"])).stdout, "no agent is installed\n");
    assert_eq!(good(host.run(&["list", "-o", "json"])).json(), json!({ "agents": [], "instances": [], "damage": [] }));
    host.install("dummy");
    host.install("sample-tcp-server");
    let _ = host.action(DUMMY, "start").instance("flag").is(0);
    let _ = host.action(DUMMY, "start").instance("old").is(0);
    let _ = host.action(DUMMY, "stop").instance("old").is(0);
    let second = variant_of(&plugin("dummy"), 2, host.path());
    let _ = host.add(&second, &["--next-start"]);
    let known = good(host.run(&["list", "-o", "json"])).json();
    let agents: Vec<(&str, u64)> = known["agents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|agent| (agent["agent"].as_str().unwrap(), agent["generation"].as_u64().unwrap()))
        .collect();
    assert_eq!(agents, [(DUMMY, 2), (SERVER, 1)]);
    let of = |name: &str| {
        let all = known["instances"].as_array().unwrap();
        all.iter().find(|instance| instance["instance"] == name).unwrap_or_else(|| panic!("{name}: {known}")).clone()
    };
    assert_eq!(
        of("flag"),
        json!({ "agent": DUMMY, "instance": "flag", "state": "started", "generation": 1, "failed": null })
    );
    assert_eq!(of("old")["state"], "stopped");
    let shown = good(host.run(&["list"])).stdout;
    let digest = known["agents"][0]["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    let columns: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(columns[0], [DUMMY, "0.1.0", "generation", "2", &digest[..12]]);
    assert!(columns.contains(&vec!["flag", "started,", "generation", "1", "(ocf-wasm/dummy)"]), "{shown}");
    let _ = host.action(DUMMY, "stop").instance("flag").is(0);
}

#[test]
fn who_may_not_see_instances_is_told_so() {
    if !is_root() {
        return;
    }
    let as_nobody = |arguments: &str| {
        let enter = "mount -t tmpfs none /run; mkdir -m 700 /run/ocf-wasm";
        let tool = dist().join("usr/bin/ocf-wasm");
        let become_nobody = "exec setpriv --reuid 65534 --regid 65534 --clear-groups";
        let script = format!("{enter}; {become_nobody} {} {arguments}", tool.display());
        finish(std::process::Command::new("unshare").args(["--mount", "sh", "-c", &script]))
    };
    bad(&as_nobody("why web"), &["instances can only be seen as root"]);
    let listed = as_nobody("list");
    assert_eq!((listed.code, listed.stderr.as_str()), (0, "note: instances can only be seen as root\n"));
    // A root of root's.
    let host = TestHost::new();
    fs::set_permissions(host.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let _ = good(host.run(&["list"]));
    let words = format!("{}/etc: is the root {0} another user's?", host.path().display());
    bad(&as_nobody(&format!("--root {} list", host.path().display())), &[&words]);
}

#[test]
fn why_tells_of_what_runs_what_failed_and_what_was_stopped() {
    let host = TestHost::with(&["sample-tcp-server"]);
    let port = free_port();
    let action = |word| host.action(SERVER, word).instance("web").with("port", port);
    let why = || good(host.run(&["why", "web"])).stdout;
    bad(&host.run(&["why", "web"]), &["no instance web is known", "none is"]);

    let _ = action("start").is(0);
    let shown = why();
    assert!(shown.starts_with(&format!("web ({SERVER}): running (start answered ok (0), ")), "{shown}");
    for line in ["record: started".to_owned(), format!("  port = {port}"), "last actions:".to_owned()] {
        assert!(shown.lines().any(|printed| printed == line), "{line}: {shown}");
    }
    assert!(shown.contains("\nprogram greeter: running, processes: ") && !shown.contains("--cleanup"), "{shown}");
    let known = host.why("web");
    assert_eq!(
        (&known["agent"], &known["instance"], &known["state"]),
        (&json!(SERVER), &json!("web"), &json!("started"))
    );
    assert_eq!(known["daemons"][0]["phase"], "running");
    assert_eq!(known["actions"][0]["exit"], 0);
    bad(&host.run(&["why", "wob"]), &["no instance wob is known", "known: web"]);

    for (pid, _) in host.processes("web") {
        kill(pid, "-KILL");
    }
    until("the keeper has seen it", || host.why("web")["daemons"][0]["ended"].is_string());
    let reason = action("monitor").recurring().is(1).reason().to_owned();
    let shown = why();
    let (_, actions) = shown.split_once("\nlast actions:\n").unwrap();
    let (actions, _) = actions.split_once("\nto do:\n").unwrap();
    let last = actions.lines().last().unwrap();
    assert!(last.contains(" ago  monitor ") && last.ends_with(&reason), "{reason}: {shown}");
    assert!(shown.ends_with("\n  when the cause is gone: crm_resource --cleanup --resource web\n"), "{shown}");
    let end = format!("\n  its main process ended by signal 9\n  | greeter: listening on port {port}\n");
    assert!(shown.contains(&end), "{shown}");
    let known = host.why("web");
    assert_eq!(known["daemons"][0]["ended"], "ended by signal 9");
    let last = known["actions"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["exit"], &last["reason"]), (&json!(1), &json!(reason)));

    let _ = action("stop").is(0);
    let shown = why();
    assert!(shown.starts_with(&format!("web ({SERVER}): stopped (stop answered ok (0), ")), "{shown}");
    assert!(!shown.contains("program greeter") && !shown.contains("--cleanup"), "{shown}");
    let known = host.why("web");
    assert_eq!((&known["state"], &known["daemons"]), (&json!("stopped"), &json!([])));
    let words: Vec<&str> = known["actions"].as_array().unwrap().iter().filter_map(|a| a["action"].as_str()).collect();
    assert_eq!(words, ["start", "monitor", "stop"]);
}

#[test]
fn why_tells_of_all_instances_of_a_name() {
    let host = TestHost::with(&["dummy", "sample-tcp-server"]);
    for agent in [DUMMY, SERVER] {
        let _ = host.action(agent, "start").instance("web").with("port", free_port()).is(0);
    }
    let known = good(host.run(&["-o", "json", "why", "web"])).json();
    let agents: Vec<&Value> = known["instances"].as_array().unwrap().iter().map(|one| &one["agent"]).collect();
    assert_eq!(agents, [DUMMY, SERVER]);
    let shown = good(host.run(&["why", "web"])).stdout;
    assert!(shown.contains("web (ocf-wasm/dummy)") && shown.contains("web (ocf-wasm/sample-tcp-server)"), "{shown}");
    for agent in [DUMMY, SERVER] {
        let _ = host.action(agent, "stop").instance("web").is(0);
    }
}

#[test]
fn run_says_what_is_missing() {
    let host = TestHost::new();
    let dummy = plugin("dummy");
    bad(&host.run(&["run", DUMMY, "start"]), &["ocf-wasm/dummy is not installed in this root", "FILE.wasm"]);
    bad(&host.run(&["run", "absent.wasm", "start"]), &["absent.wasm"]);
    bad(&host.run(&["run", text(&dummy), "start", "--policy", "absent.toml"]), &["absent.toml"]);
    let _ = host.run(&["run", text(&dummy), "start"]).is(4).says("no policy");
    // A component that is there already is not installed again.
    let generation = || host.run(&["-o", "json", "list"]).json()["agents"][0]["generation"].clone();
    assert_eq!(generation(), 1);
    let _ = host.run(&["run", text(&dummy), "monitor"]).is(7);
    assert_eq!(generation(), 1);
    let second = variant_of(&dummy, 2, host.path());
    let _ = host.run(&["run", text(&second), "monitor"]).is(7);
    assert_eq!(generation(), 2);
}

#[test]
fn remove_takes_away_what_does_not_run() {
    let host = TestHost::with(&["dummy"]);
    let agent = host.path().join("resource.d").join(DUMMY);
    let _ = host.action(DUMMY, "start").is(0);
    bad(&host.run(&["remove", DUMMY]), &["ocf-wasm/dummy runs here: try", "--force"]);
    assert!(agent.exists() || agent.is_symlink());
    let _ = host.action(DUMMY, "stop").is(0);
    let removed = good(host.run(&["-o", "json", "remove", DUMMY])).json();
    assert_eq!(removed, json!({ "agent": DUMMY, "stays_to_stop": [], "put_back": null, "replaced": [] }));
    assert!(!agent.is_symlink(), "{}", agent.display());
    assert_eq!(host.run(&["-o", "json", "list"]).json()["agents"], json!([]));
    bad(&host.run(&["remove", DUMMY]), &["ocf-wasm/dummy is not installed on this node"]);
    // The policy is the operator's.
    assert!(host.policy_path(DUMMY).exists());
    let _ = host.add(&plugin("dummy"), &[]);
    let _ = host.action(DUMMY, "start").is(0);
    let forced = good(host.run(&["remove", DUMMY, "--force"])).stdout;
    assert!(forced.contains("its file stays to stop try"), "{forced}");
    let _ = host.action(DUMMY, "stop").is(0);
    assert_eq!(
        good(host.run(&["remove", DUMMY])).stdout,
        "removed ocf-wasm/dummy; its policy and its generations stay\n"
    );
}

#[test]
fn rollback_needs_somewhere_to_go() {
    let host = TestHost::new();
    bad(&host.run(&["rollback", DUMMY]), &["ocf-wasm/dummy is not installed on this node"]);
    host.install("dummy");
    bad(&host.run(&["rollback", DUMMY]), &["no generation before 1 is another version; there are [1]"]);
    bad(&host.run(&["rollback", DUMMY, "--to", "7"]), &["no generation 7", "[1]"]);
    for mark in [2, 3] {
        let _ = host.add(&variant_of(&plugin("dummy"), mark, host.path()), &[]);
    }
    let back = good(host.run(&["-o", "json", "rollback", DUMMY, "--to", "1"])).json();
    assert_eq!((&back["generation"], &back["repinned"]), (&json!(1), &json!([])));
    bad(&host.run(&["rollback", DUMMY]), &["no generation before 1"]);
    assert!(good(host.run(&["rollback", DUMMY, "--to", "1"])).stdout.contains("is 0.1.0 already, generation 1"));
    assert_eq!(good(host.run(&["-o", "json", "rollback", DUMMY, "--to", "3"])).json()["generation"], 3);
    assert!(good(host.run(&["rollback", DUMMY])).stdout.contains("generation 2"));
    // Installed once more, the third is the fourth: the version before it is still the second.
    let third = variant_of(&plugin("dummy"), 3, host.path());
    assert!(host.add(&third, &[]).stdout.contains("generation 4"));
    let would =
        |component: &Path| good(host.run(&["install", text(component), "--allow-unsigned", "--dry-run"])).stdout;
    assert!(would(&third).contains("is installed already"), "{}", would(&third));
    assert!(would(&plugin("dummy")).starts_with("would install ocf-wasm/dummy 0.1.0 ("));
    assert!(good(host.run(&["rollback", DUMMY])).stdout.contains("generation 2"));
}

#[test]
fn what_is_for_programs_is_one_json_document() {
    let host = TestHost::with(&["dummy"]);
    let _ = host.action(DUMMY, "start").is(0);
    let second = variant_of(&plugin("dummy"), 2, host.path());
    let component = text(&second);
    for arguments in [
        &["inspect", component][..],
        &["install", component, "--allow-unsigned", "--dry-run"],
        &["install", component, "--allow-unsigned"],
        &["rollback", DUMMY],
        &["check"],
        &["list"],
        &["list", DUMMY],
        &["why", "try"],
        &["remove", DUMMY, "--force"],
    ] {
        let ran = good(host.run(&[&["-o", "json"], arguments].concat()));
        assert!(matches!(ran.json(), Value::Object(_)), "{ran:#?}");
    }
    let _ = host.action(DUMMY, "stop").is(0);
}
