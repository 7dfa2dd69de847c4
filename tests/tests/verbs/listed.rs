//! agents.toml, the list of what is installed: what it says when somebody else wrote in it, or a disk lost half of it.

use std::path::PathBuf;

use super::*;

fn file(host: &TestHost) -> PathBuf {
    host.path().join("etc/agents.toml")
}

/// Checks that a list is told by `check` and `list`, that the verbs which write it refuse and change nothing, and that
/// what is told puts it right.
#[track_caller]
fn is_told(host: &TestHost, words: &str, says: &str) {
    let whole = fs::read_to_string(file(host)).unwrap();
    let _ = good(host.run(&["check"]));
    fs::write(file(host), words).unwrap();
    let told = host.run(&["check"]);
    let mut lines = told.stdout.lines();
    let (what, next) = (lines.next().unwrap(), lines.next().unwrap());
    assert!(told.code == 1 && what.starts_with(text(&file(host))) && what.contains(says), "{says}: {told:#?}");
    let move_away = next.strip_prefix("  to do: ").unwrap();
    let known = host.run(&["-o", "json", "check"]);
    assert_eq!((known.code, &known.json()["list"]), (1, &json!([{ "what": what, "next": move_away }])));
    let listed = good(host.run(&["list"])).stdout;
    let line = format!("damaged: {what} (ocf-wasm --root {} check)\n", text(host.path()));
    assert!(listed.starts_with(&line) && listed.contains(DUMMY), "{listed}");
    assert_eq!(good(host.run(&["-o", "json", "list"])).json()["damage"], json!([what]));

    let other = variant_of(&plugin("dummy"), 2, host.path());
    let generations = || fs::read_dir(host.path().join("lib/agents").join(DUMMY)).unwrap().count();
    let before = generations();
    for verb in [
        &["install", text(&other), "--allow-unsigned"][..],
        &["install", text(&other), "--allow-unsigned", "--dry-run"],
        &["rollback", DUMMY, "--to", "1"],
        &["remove", DUMMY],
    ] {
        bad(&host.run(verb), &[text(&file(host)), says, "nothing was changed", move_away]);
        assert_eq!(fs::read_to_string(file(host)).unwrap(), words, "{verb:?}");
    }
    assert_eq!(generations(), before);
    let _ = host.call(DUMMY).argument("meta-data").is(0);

    let (list, aside) = (file(host), host.path().join("etc/agents.toml.damaged"));
    let command = format!("move it away (mv {} {})", list.display(), aside.display());
    assert!(move_away.starts_with(&command), "{move_away}");
    fs::rename(list, aside).unwrap();
    let _ = good(host.run(&["check"]));
    let _ = good(host.run(&["rollback", DUMMY, "--to", "1"]));
    assert_eq!(fs::read_to_string(file(host)).unwrap(), whole);
}

#[test]
fn a_list_that_is_not_as_it_was_written_is_told_and_not_written_over() {
    let host = TestHost::with(&["dummy"]);
    let whole = fs::read_to_string(file(&host)).unwrap();
    is_told(&host, "", "agents.toml:1: is empty");
    is_told(&host, "\u{1}\u{2}garbage", "agents.toml:1: ");
    let (half, _) = whole.split_once("sha256").unwrap();
    is_told(&host, half, "agents.toml:7: ");
    let (half, _) = whole.split_once("generation").unwrap();
    is_told(&host, half, "agents.toml:3: ocf-wasm/dummy without its `version` or `generation`");
    is_told(&host, &format!("{whole}colour = \"red\"\n"), "`colour` is nothing that an agent has");
    // It is no file, and nobody waits for one.
    fs::remove_file(file(&host)).unwrap();
    fs::create_dir(file(&host)).unwrap();
    assert!(host.run(&["check"]).stdout.contains("agents.toml: is not a regular file\n"));
    bad(&host.run(&["remove", DUMMY]), &["is not a regular file", "move it away"]);
}

#[test]
fn a_list_that_says_something_else_than_the_store_is_told_with_what_writes_it_anew() {
    let host = TestHost::with(&["dummy"]);
    let first = fs::read_to_string(file(&host)).unwrap();
    let _ = host.action(DUMMY, "start").instance("web").is(0);
    let _ = host.add(&variant_of(&plugin("dummy"), 2, host.path()), &["--next-start"]);
    let second = fs::read_to_string(file(&host)).unwrap();
    assert_ne!(first, second);
    let (nothing, _) = second.split_once("\n[[agent]]").unwrap();
    for (text, says) in
        [(first.as_str(), " of ocf-wasm/dummy, which is"), (nothing, "does not name ocf-wasm/dummy, which is")]
    {
        fs::write(file(&host), text).unwrap();
        let told = host.run(&["check"]);
        assert!(told.code == 1 && told.stdout.contains(says), "{told:#?}");
        let next = told.stdout.lines().nth(1).unwrap().strip_prefix("  to do: ").unwrap();
        let _ = good(super::typed::typed(next));
        assert_eq!(fs::read_to_string(file(&host)).unwrap(), second);
        let _ = good(host.run(&["check"]));
        assert_eq!(host.why("web")["pins"]["generation"], 1, "what runs is left alone");
    }
    let _ = host.action(DUMMY, "stop").instance("web").is(0);
}
