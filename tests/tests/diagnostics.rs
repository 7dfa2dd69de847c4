//! What an operator is told before something happens, and where a refusal sends them.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use ocf_wasm_tests::host::{TestHost, is_root, plugin, policy_of};

const DUMMY: &str = "ocf-wasm/dummy";
const SERVER: &str = "ocf-wasm/sample-tcp-server";

#[test]
fn a_dangerous_grant_is_told_where_it_stands_and_changes_nothing() {
    let host = TestHost::new();
    let policy = policy_of("sample-tcp-server").replace("\"nobody\"", "\"root\"");
    let line = 1 + policy.lines().position(|line| line.starts_with("user ")).unwrap();
    host.policy(SERVER, &policy);
    let installed = host.add(&plugin("sample-tcp-server"), &[]).stdout;
    let sentence = "greeter runs as root: whoever finds a hole in it, or in what it is given, has this node";
    assert!(installed.ends_with(&format!("  warning: line {line}: {sentence}\n")), "{installed}");
    let checked = host.run(&["check"]);
    assert_eq!(checked.code, 0, "{checked:#?}");
    let path = host.policy_path(SERVER).display().to_string();
    let shown = format!(
        "{path}: ok\nwarning: {sentence}\n  --> {path}:{line}:15\n   |\n{line} | user        = \"root\"\n   |               ^^^^^^\n\
         hint: name another user, if it can do its work as one\nThis node:\n"
    );
    assert!(checked.stdout.starts_with(&shown), "{shown}\n{}", checked.stdout);
    let known = host.run(&["-o", "json", "check"]).json();
    assert_eq!(
        known["policies"],
        json!([{ "path": path, "refused": null, "mistakes": [], "misfits": [], "warnings": [{
            "risk": "root", "line": line, "column": 15, "message": sentence,
            "hint": "name another user, if it can do its work as one",
        }] }])
    );
    host.policy(SERVER, &policy_of("sample-tcp-server"));
    assert_eq!(host.run(&["-o", "json", "check"]).json()["policies"][0]["warnings"], json!([]));
}

#[test]
fn a_program_that_others_can_replace_is_told_with_whose_rights_it_has() {
    if !is_root() {
        return;
    }
    let host = TestHost::with(&["sample-tcp-server"]);
    let place = tempfile::tempdir_in("/var").unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let program = place.path().join("daemon");
    fs::copy("/bin/true", &program).unwrap();
    let policy = policy_of("sample-tcp-server");
    let policy = policy.replace("/usr/libexec/ocf-wasm/examples/greeter", program.to_str().unwrap());
    host.policy(SERVER, &policy);
    let checked = host.run(&["check"]);
    assert_eq!(checked.code, 1);
    let place = place.path().display();
    let sentence = format!(
        "not safe to run: {place} is writable by others (mode 0777): whoever can write there can replace the program \
         and run anything as nobody;"
    );
    assert!(checked.stdout.contains(&sentence), "{sentence}\n{}", checked.stdout);
}

#[test]
fn a_refusal_ends_with_the_command_that_explains_it() {
    let host = TestHost::with(&["dummy", "sample-tcp-server"]);
    let reason = |agent: &str, action: &str, instance: &str, code: i32| {
        // The length and the line are checked with the status.
        host.action(agent, action).instance(instance).is(code).reason().to_owned()
    };
    host.policy(DUMMY, "format = 1\n[prgram.x]\n");
    let told = reason(DUMMY, "start", "web", 4);
    let path = "/etc/ocf-wasm/policy/ocf-wasm/dummy.toml";
    assert_eq!(told, "policy dummy.toml:2:2: unknown key `prgram` (ocf-wasm why web)");
    // What was never started has no directory, so `why` knows nothing of it.
    let level = host.action(DUMMY, "validate-all").instance("other").more(&["--level", "10"]).is(4);
    assert_eq!(level.reason(), "policy dummy.toml:2:2: unknown key `prgram` (ocf-wasm check)");
    // A name that leaves no room.
    let long = "w".repeat(70);
    assert!(reason(DUMMY, "start", &long, 4).ends_with(" (ocf-wasm check)"));
    fs::remove_file(host.policy_path(DUMMY)).unwrap();
    assert_eq!(reason(DUMMY, "start", "web", 4), format!("no policy: {path} is not there (ocf-wasm why web)"));
    // What the plugin is refused.
    host.policy(SERVER, "format = 1\n");
    assert_eq!(reason(SERVER, "start", "tcp", 4), "program greeter: not granted (ocf-wasm why tcp)");
    let pinned = policy_of("sample-tcp-server")
        .replace("format = 1", &format!("format = 1\nplugin = {{ digest = \"sha256:{:064}\" }}", 0));
    host.policy(SERVER, &pinned);
    let told = reason(SERVER, "start", "tcp", 4);
    assert!(
        told.starts_with("policy sample-tcp-server.toml is for other components than ")
            && told.ends_with(" (ocf-wasm why tcp)"),
        "{told}"
    );
}
