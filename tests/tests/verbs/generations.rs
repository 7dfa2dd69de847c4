//! `list PROVIDER/TYPE`: what was installed of an agent, who uses it, and where a rollback goes.

use super::*;

fn listed(host: &TestHost) -> Value {
    good(host.run(&["-o", "json", "list", DUMMY])).json()
}

/// The words behind the time in the line of a generation.
fn remarks(host: &TestHost, number: u32) -> String {
    let shown = good(host.run(&["list", DUMMY])).stdout;
    let line = shown.lines().find(|line| line.split_whitespace().next() == Some(&number.to_string()));
    let line = line.unwrap_or_else(|| panic!("{number}: {shown}"));
    line.split_once(" UTC").map_or(line, |(_, rest)| rest).trim().to_owned()
}

#[test]
fn generations_are_listed_with_who_uses_them_and_where_rollback_goes() {
    let host = TestHost::new();
    bad(&host.run(&["list", DUMMY]), &["ocf-wasm/dummy: nothing of it was ever installed on this node"]);
    host.install("dummy");
    let alone = listed(&host);
    assert_eq!((&alone["agent"], &alone["current"], &alone["rollback"]), (&json!(DUMMY), &json!(1), &json!(null)));
    assert_eq!(remarks(&host, 1), "current");

    let _ = host.action(DUMMY, "start").instance("web").is(0);
    let _ = host.action(DUMMY, "start").instance("old").is(0);
    let _ = host.action(DUMMY, "stop").instance("old").is(0);
    let _ = host.add(&variant_of(&plugin("dummy"), 2, host.path()), &["--next-start", "--profile", "1.0"]);
    let _ = host.action(DUMMY, "start").instance("db").is(0);
    let _ = host.action(DUMMY, "start").instance("mail").is(0);
    let known = listed(&host);
    assert_eq!((&known["current"], &known["rollback"]), (&json!(2), &json!(1)));
    let digest = host.run(&["-o", "json", "list"]).json()["agents"][0]["digest"].clone();
    let [first, second] = &known["generations"].as_array().unwrap()[..] else { panic!("{known}") };
    for (generation, expected) in [
        (first, json!([1, "1.1", false, true, ["web"], null])),
        (second, json!([2, "1.0", true, false, ["db", "mail"], null])),
    ] {
        let told = ["generation", "profile", "current", "rollback", "instances", "damage"];
        assert_eq!(Value::Array(told.iter().map(|key| generation[key].clone()).collect()), expected, "{generation}");
        assert_eq!(generation["version"], "0.1.0");
        assert!(generation["installed_at"].as_u64().unwrap() > 1_700_000_000, "{generation}");
    }
    assert!(second["digest"] == digest && first["digest"] != digest, "{known}");
    assert_eq!(remarks(&host, 1), "rollback goes here; used by web");
    assert_eq!(remarks(&host, 2), "current; used by db, mail; profile 1.0");

    // Where it says, it goes: also past what was installed twice.
    let _ = host.add(&variant_of(&plugin("dummy"), 3, host.path()), &["--next-start"]);
    let _ = good(host.run(&["rollback", DUMMY, "--next-start"]));
    let _ = host.add(&variant_of(&plugin("dummy"), 3, host.path()), &["--next-start"]);
    assert_eq!((&listed(&host)["current"], &listed(&host)["rollback"]), (&json!(4), &json!(2)));
    let back = good(host.run(&["-o", "json", "rollback", DUMMY, "--next-start"])).json();
    assert_eq!(back["generation"], 2);
    for instance in ["web", "db", "mail"] {
        let _ = host.action(DUMMY, "stop").instance(instance).is(0);
    }
    assert_eq!(remarks(&host, 1), "rollback goes here");
}

#[test]
fn what_is_damaged_or_taken_away_is_listed_as_that() {
    let host = TestHost::with(&["dummy"]);
    let _ = host.add(&variant_of(&plugin("dummy"), 2, host.path()), &[]);
    let agents = host.path().join("lib/agents").join(DUMMY);
    fs::write(agents.join("1/agent"), "OWG").unwrap();
    let first = listed(&host)["generations"][0].clone();
    assert!(first["damage"].as_str().unwrap().contains("1/agent: damaged") && first["version"].is_null(), "{first}");
    assert!(
        remarks(&host, 1).contains("damaged: ") && !remarks(&host, 1).contains("rollback"),
        "{}",
        remarks(&host, 1)
    );
    bad(&host.run(&["rollback", DUMMY]), &["no generation before 2"]);
    // Nothing is current, and what was there can be had again.
    let _ = good(host.run(&["remove", DUMMY]));
    let shown = good(host.run(&["list", DUMMY])).stdout;
    let root = text(host.path());
    let again = format!(
        "none is current, so it is not installed: ocf-wasm --root {root} rollback {DUMMY} --to N installs one again\n"
    );
    assert!(shown.ends_with(&again), "{shown}");
    assert_eq!((&listed(&host)["current"], &listed(&host)["rollback"]), (&json!(null), &json!(null)));
    let _ = good(host.run(&["rollback", DUMMY, "--to", "2"]));
    assert_eq!(listed(&host)["current"], 2);
    let digest = listed(&host)["generations"][1]["digest"].as_str().unwrap().replace(':', "/");
    let (blob, lost) = (host.path().join("lib/blobs").join(digest), "its component is not in the store any more");
    let bytes = fs::read(&blob).unwrap();
    for damaged in [None, Some(&b"another"[..])] {
        match damaged {
            Some(bytes) => fs::write(&blob, bytes).unwrap(),
            None => fs::remove_file(&blob).unwrap(),
        }
        assert_eq!(listed(&host)["generations"][1]["damage"], lost);
        assert!(remarks(&host, 2).ends_with(&format!("damaged: {lost}")), "{}", remarks(&host, 2));
        bad(
            &host.run(&["rollback", DUMMY, "--to", "2"]),
            &["of generation 2", "nothing was changed", "install the same"],
        );
    }
    fs::write(&blob, bytes).unwrap();
    let _ = good(host.run(&["rollback", DUMMY, "--to", "2"]));
    fs::remove_dir_all(agents.join("2")).unwrap();
    let shown = good(host.run(&["list", DUMMY])).stdout;
    let next = format!("2 is current and not there: ocf-wasm --root {root} check tells what to do\n");
    assert!(shown.ends_with(&next), "{shown}");
}
