//! What is told of instances: how each stands, also after an action that was refused, and that nothing is known of one.

use std::fs;

use ocf_wasm_tests::host::{TestHost, free_port};
use serde_json::{Value, json};

use super::{DUMMY, SERVER, bad, good};

#[test]
fn a_start_or_stop_that_failed_is_told_as_that() {
    let host = TestHost::with(&["dummy", "sample-tcp-server"]);
    let listed = |name: &str| {
        let known = good(host.run(&["list", "-o", "json"])).json()["instances"].clone();
        let all = known.as_array().unwrap();
        let one = all.iter().find(|instance| instance["instance"] == name).unwrap_or_else(|| panic!("{known}"));
        let shown = good(host.run(&["list"])).stdout;
        let line = shown.lines().find(|line| line.starts_with(&format!("  {name} "))).unwrap();
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        (line, one["state"].clone(), one["failed"].clone())
    };
    let is = |name: &str, line: &str, state: &str, failed: Value| {
        assert_eq!(listed(name), (line.to_owned(), json!(state), failed));
    };
    let act = |word| host.action(SERVER, word).instance("web").with("port", free_port());
    // Refused by the plugin's first question: the record says more than is true, and may.
    host.policy(SERVER, "format = 1\n");
    let _ = act("start").is(4);
    is("web", "web start failed, generation 1 (ocf-wasm/sample-tcp-server)", "starting", json!("start"));
    let _ = act("stop").is(0);
    is("web", "web stopped, generation 1 (ocf-wasm/sample-tcp-server)", "stopped", Value::Null);
    // Refused before anything was asked.
    fs::remove_file(host.policy_path(SERVER)).unwrap();
    let _ = act("start").is(4);
    is("web", "web refused (ocf-wasm/sample-tcp-server)", "refused", Value::Null);
    // What runs is told as before.
    let _ = host.action(DUMMY, "start").instance("flag").is(0);
    is("flag", "flag started, generation 1 (ocf-wasm/dummy)", "started", Value::Null);
    let _ = host.action(DUMMY, "stop").instance("flag").is(0);
    // A stop that claims what is not so.
    host.install_hostile();
    let lie = |word| {
        let action = host.action("test/hostile", word).instance("liar").with("do", "lie").with("in", "stop");
        action.with("daemon", false)
    };
    let _ = lie("start").is(0);
    let _ = lie("stop").timeout_ms(1500).is(1);
    is("liar", "liar stop failed, generation 1 (test/hostile)", "stopping", json!("stop"));
}

#[test]
fn nothing_is_forgotten_of_an_instance_that_nothing_tells_of() {
    let host = TestHost::with(&["dummy"]);
    let run = || {
        let mut found: Vec<_> = fs::read_dir(host.path().join("run").join("ocf-wasm/dummy"))
            .map(|entries| entries.map(|entry| entry.unwrap().file_name()).collect())
            .unwrap_or_default();
        found.sort();
        found
    };
    let is_refused = |known: &str| {
        let before = run();
        for more in [&[][..], &["--nothing-runs"], &["--agent", DUMMY], &["--agent", DUMMY, "--nothing-runs"]] {
            let says = format!(
                "no instance wob is known on this node since it booted ({known}): there is nothing to forget\n"
            );
            bad(&host.run(&[&["forget", "wob"], more].concat()), &[&says]);
        }
        assert_eq!(run(), before);
    };
    is_refused("none is");
    let _ = host.action(DUMMY, "start").instance("web").is(0);
    is_refused("known: web");
    let _ = host.action(DUMMY, "stop").instance("web").is(0);
}
