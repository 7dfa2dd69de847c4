//! What all verbs have in common: what cannot be printed is told, wrong usage names the usage of its verb.

use std::fs;

use serde_json::json;

use ocf_wasm_tests::host::{TestHost, plugin, policy_of};

use super::{DUMMY, bad, good, text};

#[test]
fn what_is_installed_already_is_not_installed_again() {
    let host = TestHost::new();
    host.policy(DUMMY, &policy_of("dummy"));
    let dummy = plugin("dummy");
    let install = || good(host.run(&["install", text(&dummy), "--allow-unsigned"])).stdout;
    assert!(install().starts_with("installed ocf-wasm/dummy 0.1.0 as generation 1 ("));
    let _ = host.action(DUMMY, "start").is(0);
    let last = || host.why("try")["actions"].as_array().unwrap().last().unwrap()["action"].clone();
    let (agent, cache) = (host.path().join("resource.d").join(DUMMY), host.path().join("cache"));
    let natives = || fs::read_dir(&cache).unwrap().count();
    let warm = natives();
    fs::remove_dir_all(&cache).unwrap();
    assert_eq!(
        install(),
        "ocf-wasm/dummy 0.1.0 is installed already, nothing to do (generation 1, ocf:ocf-wasm:dummy)\n"
    );
    assert_eq!((last(), natives()), (json!("start"), warm));
    // For programs it is what it was.
    let known = good(host.run(&["-o", "json", "install", text(&dummy), "--allow-unsigned"])).json();
    assert_eq!((&known["generation"], &known["repinned"]), (&json!(1), &json!([])));
    fs::remove_file(&agent).unwrap();
    let again = install();
    let said = "ocf-wasm/dummy 0.1.0 is installed already (generation 1); its place is put right, ocf:ocf-wasm:dummy\n";
    assert!(again.starts_with(said), "{again}");
    assert!(agent.is_symlink());
    let _ = host.action(DUMMY, "stop").is(0);
    // In the other profile it is another generation.
    let other = good(host.run(&["install", text(&dummy), "--allow-unsigned", "--profile", "1.0"])).stdout;
    assert!(other.starts_with("installed ocf-wasm/dummy 0.1.0 as generation 2 ("), "{other}");
    bad(&host.run(&["install", "absent.wasm", "--allow-unsigned"]), &["absent.wasm"]);
}

#[test]
fn who_stayed_behind_is_taken_along_by_the_same_bytes() {
    let host = TestHost::with(&["dummy"]);
    let _ = host.action(DUMMY, "start").is(0);
    let second = ocf_wasm_tests::host::variant_of(&plugin("dummy"), 2, host.path());
    let _ = host.add(&second, &["--next-start"]);
    let again = host.add(&second, &[]).stdout;
    assert!(again.contains("is installed already") && again.contains("  try: monitored by both versions"), "{again}");
    let _ = host.action(DUMMY, "stop").is(0);
}
