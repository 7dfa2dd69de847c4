//! `ocf-wasm new`: what it makes builds without a warning, passes its own tests and all of `ocf-wasm test`, by the three
//! commands that it names. It writes over nothing, and makes nothing that could not be built.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ocf_wasm_tests::command::finish_within;
use ocf_wasm_tests::host::{Ran, TestHost, dist, is_root};
use ocf_wasm_tests::source::checkout;
use serde_json::Value;

/// A first build of the crate for authors, on a busy machine.
const BUILD: Duration = Duration::from_mins(8);

const FILES: [&str; 6] = [".gitignore", "Cargo.toml", "README.md", "policy.toml", "src/lib.rs", "src/tests.rs"];

/// Makes a plugin in a directory.
fn new(host: &TestHost, directory: &Path, more: &[&str]) -> Ran {
    let mut command = host.tool(&["new"]);
    finish_within(command.args(more).current_dir(directory), BUILD)
}

/// Runs a command as it was named, with the tool in the path and cargo's output where it is kept.
fn follow(command: &str, directory: &Path) -> Ran {
    let path = format!("{}:{}", dist().join("usr/bin").display(), std::env::var("PATH").unwrap());
    let target = checkout().join("target/new");
    let mut shell = Command::new("sh");
    shell.args(["-euc", command]).current_dir(directory).env("PATH", path);
    // Two runs at the same time wait for each other, and the second one has nothing to do.
    shell.env("CARGO_TARGET_DIR", &target).env("CARGO_BUILD_JOBS", "2").env("TARGET", &target);
    finish_within(&mut shell, BUILD)
}

#[test]
fn what_is_made_builds_and_passes_all_tests() {
    let host = TestHost::new();
    let place = tempfile::tempdir().unwrap();
    let sdk = checkout().join("guest-sdk");
    for kind in ["plain", "daemon", "promotable"] {
        let name = format!("acme/made-{kind}");
        let flag = format!("--{kind}");
        let ran = new(&host, place.path(), &["-o", "json", &name, &flag, "--sdk", sdk.to_str().unwrap()]);
        assert!(ran.code == 0 && ran.stderr.is_empty(), "{ran:#?}");
        let made = place.path().join(format!("made-{kind}"));
        for file in FILES {
            let text = fs::read_to_string(made.join(file)).unwrap();
            assert!(!text.is_empty() && !text.contains('@'), "{file}: {text}");
        }
        // The versions that are built here anyway.
        fs::copy(checkout().join("Cargo.lock"), made.join("Cargo.lock")).unwrap();
        let report: Value = ran.json();
        let next: Vec<&str> = report["next"].as_array().unwrap().iter().map(|next| next.as_str().unwrap()).collect();
        assert_eq!(next.len(), 3, "{next:?}");
        assert!(next[0].starts_with(&format!("cd made-{kind} && cargo test")), "{next:?}");
        let mut ran = vec![follow(next[0], place.path()), follow(next[1], &made)];
        if is_root() || kind != "daemon" {
            // The output is where the test keeps it, and not below the plugin.
            let test = next[2].replace("target/", "$TARGET/");
            ran.push(follow(&test, &made));
            assert!(ran[2].stdout.contains(" 0 failed, 0 blocked, "), "{ran:#?}");
        }
        for step in &ran {
            assert!(step.code == 0 && !step.stderr.contains("warning"), "{step:#?}");
        }
        let tests = if kind == "daemon" { 3 } else { 1 };
        assert!(ran[0].stdout.contains(&format!("test result: ok. {tests} passed; 0 failed")), "{ran:#?}");
        let checked = host.run(&["check", made.join("policy.toml").to_str().unwrap()]);
        assert_eq!(checked.code, 0, "{checked:#?}");
    }
}

#[test]
fn what_is_made_is_formatted() {
    let host = TestHost::new();
    let place = tempfile::tempdir().unwrap();
    for kind in ["plain", "daemon", "promotable"] {
        // Names of the length that the templates have.
        let sdk = checkout().join("guest-sdk");
        let ran =
            new(&host, place.path(), &[&format!("a/{kind}"), &format!("--{kind}"), "--sdk", sdk.to_str().unwrap()]);
        assert_eq!(ran.code, 0, "{ran:#?}");
        for file in ["lib.rs", "tests.rs"] {
            let mut format = Command::new("rustfmt");
            format.args([
                "--check",
                "--edition",
                "2024",
                "--config",
                "max_width=120,use_small_heuristics=Max,skip_children=true",
            ]);
            let path = place.path().join(kind).join("src").join(file);
            let ran = finish_within(format.arg(path), BUILD);
            assert_eq!(ran.code, 0, "{ran:#?}");
        }
    }
}

#[test]
fn the_crate_for_authors_is_found_where_it_is() {
    let host = TestHost::new();
    let place = tempfile::tempdir().unwrap();
    let manifest = |path: &str| fs::read_to_string(place.path().join(path).join("Cargo.toml")).unwrap();
    // Nowhere near: the name is anybody's on the registry, and what it brought would be run.
    let ran = new(&host, place.path(), &["acme/web", "--path", "far/web"]);
    assert!(ran.code == 2 && ran.stdout.is_empty(), "{ran:#?}");
    let said = "error: the crate ocf-agent is not published yet: add --sdk CHECKOUT/guest-sdk\n";
    assert!(ran.stderr.starts_with(said), "{ran:#?}");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    // Where it is named: by path, in a workspace of its own.
    let sdk = checkout().join("guest-sdk").canonicalize().unwrap();
    let sdk = sdk.to_str().unwrap();
    assert_eq!(new(&host, place.path(), &["acme/web", "--sdk", sdk]).code, 0);
    assert!(manifest("web").contains(&format!("\nocf-agent = {{ path = \"{sdk}\", default-features = false }}\n")));
    assert!(manifest("web").contains("[workspace]"));
    // In a checkout: by path; below plugins/, a member of its workspace.
    fs::create_dir_all(place.path().join("tree/guest-sdk")).unwrap();
    fs::create_dir_all(place.path().join("tree/plugins")).unwrap();
    fs::write(place.path().join("tree/guest-sdk/Cargo.toml"), "[package]\nname = \"ocf-agent\"\n").unwrap();
    let ran = new(&host, place.path(), &["acme/web", "--path", "tree/plugins/web"]);
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(manifest("tree/plugins/web").contains("ocf-agent = { path = \"../../guest-sdk\", default-features"));
    assert!(!manifest("tree/plugins/web").contains("[workspace]"));
    assert!(ran.stdout.contains("  cargo build -p web --profile guest --target wasm32-wasip2\n"), "{ran:#?}");
    assert_eq!(new(&host, place.path(), &["acme/web", "--path", "tree/a/b/web"]).code, 0);
    assert!(manifest("tree/a/b/web").contains("ocf-agent = { path = \"../../../guest-sdk\", default-features"));
    assert!(manifest("tree/a/b/web").contains("[workspace]"));
}

#[test]
fn nothing_is_written_over() {
    let host = TestHost::new();
    let place = tempfile::tempdir().unwrap();
    fs::create_dir(place.path().join("web")).unwrap();
    fs::write(place.path().join("db"), "mine").unwrap();
    let refused = |arguments: &[&str], code: i32, says: &str| {
        let ran = new(&host, place.path(), arguments);
        assert!(ran.code == code && ran.stdout.is_empty() && ran.stderr.contains(says), "{ran:#?}");
    };
    let sdk = checkout().join("guest-sdk");
    let sdk = sdk.to_str().unwrap();
    refused(&["acme/web", "--sdk", sdk], 1, "name a directory that is not there yet with --path");
    refused(&["acme/db", "--sdk", sdk], 1, "name a directory that is not there yet with --path");
    refused(&["acme/Web"], 1, "lower-case letters");
    for reserved in ["core", "std", "self", "test", "fn", "ocf-agent"] {
        refused(&[&format!("acme/{reserved}")], 1, &format!("{reserved}: is a reserved name"));
    }
    refused(&["acme/x", "--sdk", "web"], 1, "the crate ocf-agent is not there");
    refused(&["acme"], 2, "PROVIDER/TYPE");
    refused(&["acme/x", "--plain", "--daemon"], 2, "--plain");
    assert_eq!(fs::read_dir(place.path().join("web")).unwrap().count(), 0);
    assert_eq!(fs::read_to_string(place.path().join("db")).unwrap(), "mine");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2);
}
