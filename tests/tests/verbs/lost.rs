//! What an instance that runs needs and the store has lost: `check` finds it, `why` says what to do.

use std::fs;

use ocf_wasm_tests::host::{TestHost, free_port, plugin, variant_of};

use super::{DUMMY, SERVER, good};

#[test]
fn check_finds_what_an_instance_needs_and_the_store_has_lost() {
    let host = TestHost::with(&["dummy"]);
    let _ = host.action(DUMMY, "start").instance("web").is(0);
    let pins = host.why("web")["pins"].clone();
    let blob = |pin: &str| {
        let digest = pins[pin].as_str().unwrap().strip_prefix("sha256:").unwrap();
        host.path().join("lib/blobs/sha256").join(digest)
    };
    let _ = good(host.run(&["check"]));
    let policy = fs::read(blob("policy")).unwrap();
    fs::remove_file(blob("policy")).unwrap();
    let told = host.run(&["check"]);
    let blobs = host.path().join("lib/blobs/sha256");
    let line = format!("ocf-wasm/dummy: web runs with what the store has lost, its policy: {}/", blobs.display());
    assert!(told.code == 1 && told.stdout.contains(&line), "{told:#?}");
    assert!(told.stdout.contains("crm_resource --restart --resource web\n"), "{told:#?}");
    fs::write(blob("policy"), policy).unwrap();
    let _ = good(host.run(&["check"]));
    // The version that runs, and not the one that is installed.
    let _ = host.add(&variant_of(&plugin("dummy"), 2, host.path()), &["--next-start"]);
    fs::remove_dir_all(host.path().join("lib/agents").join(DUMMY).join("1")).unwrap();
    let told = host.run(&["check"]);
    assert!(told.code == 1 && told.stdout.contains("has lost, generation 1 of ocf-wasm/dummy\n"), "{told:#?}");
    let _ = host.action(DUMMY, "monitor").instance("web").recurring().is(1).says("is not in the store any more");
    let advice = host.why("web")["advice"].to_string();
    assert!(
        advice.contains(" check` says: install that version again, or") && !advice.contains("no restart"),
        "{advice}"
    );
    let _ = host.action(DUMMY, "stop").instance("web").is(0);
    let _ = good(host.run(&["check"]));
}

#[test]
fn a_component_that_is_lost_while_it_runs_is_installed_again_and_nothing_restarted() {
    let host = TestHost::with(&["sample-tcp-server"]);
    let port = free_port();
    let does = |action| host.action(SERVER, action).instance("web").with("port", port);
    let monitor = || does("monitor").recurring();
    let _ = does("start").is(0);
    let component = host.why("web")["pins"]["component"].as_str().unwrap().to_owned();
    let blob = host.path().join("lib/blobs").join(component.replace(':', "/"));
    let lose = || {
        fs::remove_file(&blob).unwrap();
        for entry in fs::read_dir(host.path().join("cache")).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
    };
    lose();
    let _ = monitor().is(1).says("is not in the store any more");
    let told = host.why("web");
    let advice = told["advice"][0].as_str().unwrap();
    let says = format!("install the same file again ({component}): ocf-wasm --root ");
    assert!(advice.starts_with(&says) && advice.contains("needs no restart"), "{told:#}");
    let told = host.run(&["check"]);
    let lines: Vec<&str> = told.stdout.lines().collect();
    let says = "ocf-wasm/sample-tcp-server: web runs with what the store has lost, its component: ";
    let place = lines.iter().position(|line| line.starts_with(says)).unwrap_or_else(|| panic!("{told:#?}"));
    let next = lines[place + 1];
    assert!(next.starts_with("  to do: ") && next.contains("nothing needs a restart: from the file of"), "{told:#?}");
    assert!(next.contains(&component) && next.ends_with(" install FILE.wasm --allow-unsigned"), "{told:#?}");
    // Its stop would work, and the start after it would not.
    assert!(told.code == 1 && !told.stdout.contains("crm_resource --restart"), "{told:#?}");
    let _ = host.add(&plugin("sample-tcp-server"), &[]);
    let _ = monitor().is(0);
    let _ = good(host.run(&["check"]));
    // Another version is installed by now, with which it is started anew.
    let _ = host.add(&variant_of(&plugin("sample-tcp-server"), 2, host.path()), &["--next-start"]);
    lose();
    let told = host.run(&["check"]);
    assert!(told.code == 1 && told.stdout.contains("crm_resource --restart --resource web\n"), "{told:#?}");
    let _ = does("stop").is(0);
    let _ = does("start").is(0);
}
