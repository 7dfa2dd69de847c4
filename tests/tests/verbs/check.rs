//! `check`: what it finds wrong with policies and with this node.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use ocf_wasm_tests::host::{TestHost, is_root, policy_of};
use serde_json::json;

use super::{SERVER, good, text};

#[test]
fn check_says_what_is_right_and_what_this_node_offers() {
    let host = TestHost::with(&["dummy", "sample-tcp-server"]);
    let ran = good(host.run(&["check"]));
    for line in [
        "/etc/ocf-wasm/policy/ocf-wasm/dummy.toml: ok",
        "/etc/ocf-wasm/policy/ocf-wasm/sample-tcp-server.toml: ok",
        "This node:",
    ] {
        assert!(ran.stdout.lines().any(|printed| printed == line), "{line}: {ran:#?}");
    }
    let known = good(host.run(&["check", "-o", "json"])).json();
    assert_eq!(
        known["policies"][0],
        json!({ "path": "/etc/ocf-wasm/policy/ocf-wasm/dummy.toml", "refused": null, "warnings": [] })
    );
    assert_eq!(known["policies"].as_array().unwrap().len(), 2);
    assert!(known["node"]["user"].is_string() && known["node"]["tracking"].is_string(), "{known}");
}

#[test]
fn check_points_at_a_mistake() {
    let host = TestHost::new();
    let file = host.path().join("policy.toml");
    let wrong = policy_of("sample-tcp-server").replace("lifetime    =", "liftime     =");
    fs::write(&file, &wrong).unwrap();
    let (number, line) = wrong.lines().enumerate().find(|(_, line)| line.starts_with("liftime")).unwrap();
    let number = number + 1;
    let margin = " ".repeat(number.to_string().len());
    let expected = format!(
        "error: unknown key `liftime`\n{margin}--> {}:{number}:1\n{margin} |\n{number} | {line}\n{margin} | ^^^^^^^\n\
         hint: did you mean `lifetime`?\n\
         expected: program, interpreter, argv, lifetime, type, user, environment, stop, output, input, timeout, signals\n",
        file.display()
    );
    let ran = host.run(&["check", text(&file)]);
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(ran.stdout.starts_with(&expected), "{expected}\n{}", ran.stdout);
    let known = host.run(&["check", "-o", "json", text(&file)]);
    assert_eq!(known.code, 1);
    assert_eq!(known.json()["policies"][0]["refused"], expected.trim_end());
    // One wrong policy spoils no other.
    let right = host.path().join("right.toml");
    fs::write(&right, "format = 1\n").unwrap();
    let both = host.run(&["check", text(&right), text(&file)]);
    assert!(both.code == 1 && both.stdout.contains("right.toml: ok") && both.stdout.contains(&expected), "{both:#?}");
    let absent = host.run(&["check", text(&host.path().join("absent.toml"))]);
    assert!(absent.code == 1 && absent.stdout.contains("absent.toml: No such file"), "{absent:#?}");
}

#[test]
fn check_finds_what_would_refuse_a_start() {
    let host = TestHost::with(&["sample-tcp-server"]);
    let path = host.policy_path(SERVER);
    let good_policy = policy_of("sample-tcp-server");
    let refused = |what: &str| {
        let ran = host.run(&["check"]);
        assert_eq!(ran.code, 1, "{ran:#?}");
        let first = ran.stdout.lines().next().unwrap();
        assert!(first.contains("ocf-wasm/sample-tcp-server.toml") && first.contains(what), "`{what}`: {ran:#?}");
    };
    host.policy(SERVER, &good_policy.replace("examples/greeter", "examples/absent"));
    refused("program greeter: /usr/libexec/ocf-wasm/examples/absent is not there");
    // Another node may have it.
    let copy = host.path().join("copy.toml");
    fs::copy(&path, &copy).unwrap();
    let _ = good(host.run(&["check", text(&copy)]));
    if is_root() {
        host.policy(SERVER, &good_policy.replace("\"nobody\"", "\"nobody-here\""));
        refused("program greeter: there is no user nobody-here on this node");
        host.policy(SERVER, &good_policy);
        fs::set_permissions(&path, PermissionsExt::from_mode(0o622)).unwrap();
        refused("writable");
        fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
        refused("belongs to user 65534");
    }
    fs::remove_file(&path).unwrap();
    refused("not there: start is refused");
    host.policy(SERVER, &good_policy);
    let _ = good(host.run(&["check"]));
}
