//! A failure, as programs and people are told of it.

use std::fs;

use ocf_wasm_tests::host::{TestHost, plugin, policy_of};
use serde_json::{Value, json};

use super::{DUMMY, good, text};

#[test]
fn a_failure_is_one_document_for_programs_and_ends_as_it_does_for_people() {
    let host = TestHost::with(&["dummy"]);
    let dummy = plugin("dummy");
    let dummy = text(&dummy);
    for (arguments, code, error, hint) in [
        (
            &["why", "web"][..],
            1,
            "no instance web is known on this node since it booted (none is)",
            "crm_resource --locate",
        ),
        (
            &["forget", "web"],
            1,
            "no instance web is known on this node since it booted (none is): there is nothing",
            "",
        ),
        (&["install", dummy], 1, "dummy.wasm carries no signature", "--allow-unsigned installs these very bytes"),
        (&["install", "/nowhere/web.wasm"], 1, "/nowhere/web.wasm: No such file", ""),
        (&["inspect", "/nowhere/web.wasm"], 1, "/nowhere/web.wasm: No such file", ""),
        (&["suggest", "/nowhere/web.wasm"], 1, "/nowhere/web.wasm: No such file", ""),
        (&["rollback", DUMMY], 1, "ocf-wasm/dummy: no generation before 1 is another version", ""),
        (&["remove", "acme/none"], 1, "acme/none is not installed on this node", ""),
        (&["test", "/nowhere/web.wasm"], 1, "/nowhere/web.wasm: No such file", ""),
        (&["new", "acme/Web"], 1, "Web: the type becomes the name of a crate", ""),
        (&["run", DUMMY, "monitor", "--replay", "/nowhere.json"], 1, "/nowhere.json: No such file", ""),
        // Wrong usage, also where the arguments were not understood.
        (&["check", "--colour"], 2, "unexpected argument '--colour'", "Usage: ocf-wasm check"),
        (&["why"], 2, "the following required arguments were not provided:", "<INSTANCE>"),
        (&["frobnicate"], 2, "unrecognized subcommand 'frobnicate'", "Usage: ocf-wasm"),
        (&[], 2, "requires a subcommand", "Usage: ocf-wasm"),
        (&["test", dummy, "-p", "x=1"], 2, "ocf-wasm/dummy has no parameter x", "Usage: ocf-wasm test"),
        // What has no document says so before it does anything.
        (&["run", DUMMY, "start"], 2, "an action prints what the agent prints, for Pacemaker", "Usage: ocf-wasm run"),
        (&["completions", "bash"], 2, "completions are for a shell", "Usage: ocf-wasm completions"),
    ] {
        let told = host.run(&[&["-o", "json"], arguments].concat());
        assert!(told.code == code && told.stderr.is_empty(), "{told:#?}");
        let document = told.json();
        let keys: Vec<&String> = document.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["error", "hint", "place"], "{told:#?}");
        let said = document["error"].as_str().unwrap();
        assert!(said.contains(error) && !said.contains('\n') && !said.starts_with("error"), "{told:#?}");
        match document["hint"].as_str() {
            Some(said) => assert!(!hint.is_empty() && said.contains(hint), "{told:#?}"),
            None => assert!(hint.is_empty() && document["hint"].is_null(), "{told:#?}"),
        }
        assert_eq!(document["place"], Value::Null);
        // For people it is said on the other channel.
        if !matches!(arguments, ["run", _, "start"] | ["completions", ..]) {
            let told = host.run(arguments);
            assert!(told.code == code && told.stdout.is_empty(), "{told:#?}");
            assert!(told.stderr.contains(error) || arguments.is_empty(), "{told:#?}");
        }
    }
    assert_eq!(good(host.run(&["-o", "json", "list"])).json()["instances"], json!([]), "nothing was started");
    for verb in ["run", "completions"] {
        let help = good(host.run(&[verb, "--help"])).stdout;
        assert!(verb != "run" || help.contains("-o json"), "{help}");
    }
    assert!(good(host.run(&["--help"])).stdout.contains("{\"error\", \"hint\", \"place\"}"));
}

#[test]
fn a_mistake_in_a_policy_is_told_once_and_with_its_place() {
    let host = TestHost::new();
    let (server, file) = (plugin("sample-tcp-server"), host.path().join("policy.toml"));
    fs::write(&file, policy_of("sample-tcp-server").replace("lifetime    =", "liftime     =")).unwrap();
    let test = ["test", text(&server), "--policy", text(&file)];
    let told = host.run(&test);
    assert!(told.code == 1 && told.stderr.starts_with("error: unknown key `liftime`\n"), "{told:#?}");
    assert_eq!(told.stderr.matches("error: ").count(), 1, "{told:#?}");
    assert!(told.stderr.ends_with("require, namespaces\n") && told.stderr.contains("hint: did you mean"), "{told:#?}");
    let known = host.run(&[&["-o", "json"], &test[..]].concat());
    assert!(known.code == 1 && known.stderr.is_empty(), "{known:#?}");
    let known = known.json();
    assert_eq!(
        (&known["error"], &known["hint"]),
        (&json!("unknown key `liftime`"), &json!("did you mean `lifetime`?"))
    );
    let place = &known["place"];
    assert_eq!((&place["path"], &place["line"], &place["column"]), (&json!(text(&file)), &json!(12), &json!(1)));
    assert!(place["source"].as_str().unwrap().starts_with("liftime     ="), "{place}");
}
