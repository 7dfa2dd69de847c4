//! The file by which Pacemaker finds an agent, where another agent's file is.

use std::os::unix::fs::{MetadataExt as _, symlink};

use super::*;

const SHELL: &str = "#!/bin/sh\nexit 0\n";

/// A root in which somebody else's agent is where ours is to be.
fn taken() -> (TestHost, std::path::PathBuf) {
    let host = TestHost::new();
    let place = host.path().join("resource.d").join(DUMMY);
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(&place, SHELL).unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
    (host, place)
}

fn install(host: &TestHost, more: &[&str]) -> Ran {
    let component = plugin("dummy");
    host.run(&[&["install", text(&component), "--allow-unsigned"], more].concat())
}

/// What is kept of what was replaced, without the link to the last.
fn kept(host: &TestHost) -> Vec<std::path::PathBuf> {
    let found = fs::read_dir(host.path().join("lib/replaced/ocf-wasm")).unwrap();
    let paths = found.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.file_name().unwrap() != "dummy.last").collect()
}

#[test]
fn another_agents_file_is_replaced_where_that_is_wished_and_never_lost() {
    let (host, place) = taken();
    bad(&install(&host, &[]), &["is there and not ours", "--replace"]);
    assert_eq!(fs::read_to_string(&place).unwrap(), SHELL);
    assert!(!host.path().join("lib/replaced").exists());
    let told = good(install(&host, &["--replace", "--dry-run"])).stdout;
    assert!(told.contains("would take the place of ") && told.contains(text(&place)), "{told}");
    assert_eq!(fs::read_to_string(&place).unwrap(), SHELL);

    let told = good(install(&host, &["--replace"])).stdout;
    assert!(
        told.contains(&format!("what was in its place is kept as {}/lib/replaced/ocf-wasm/dummy-", text(host.path()))),
        "{told}"
    );
    let copies = kept(&host);
    assert_eq!(copies.len(), 1);
    assert_eq!(fs::read_to_string(&copies[0]).unwrap(), SHELL);
    assert_eq!(fs::metadata(&copies[0]).unwrap().permissions().mode() & 0o777, 0o755);
    host.policy(DUMMY, "format = 1\n");
    let _ = host.action(DUMMY, "start").is(0);
    let _ = host.action(DUMMY, "stop").is(0);
    // Nothing of others is there any more.
    let told = good(install(&host, &["--replace"])).stdout;
    assert!(told.contains("nothing to do") && !told.contains("kept"), "{told}");

    // A package brings its file back: the first copy stays beside the second one.
    fs::remove_file(&place).unwrap();
    fs::write(&place, "#!/bin/sh\nexit 7\n").unwrap();
    let told = host.run(&["check"]);
    assert!(told.code == 1 && told.stdout.contains("is there and not ours, and Pacemaker runs that"), "{told:#?}");
    assert!(told.stdout.contains("--allow-unsigned --replace, which keeps it"), "{told:#?}");
    let told = good(host.run(&["-o", "json", "install", text(&plugin("dummy")), "--allow-unsigned", "--replace"]));
    let replaced = host.path().join("lib/replaced").display().to_string();
    assert!(told.json()["replaced"].as_str().unwrap().starts_with(&replaced), "{told:#?}");
    assert_eq!(kept(&host).len(), 2);
    // The last one is put back; the one before it stays kept.
    let told = good(host.run(&["remove", DUMMY])).stdout;
    let is_back = format!("  what it took the place of is back as {}; it was kept as ", place.display());
    assert_eq!(told.matches(&is_back).count(), 1, "{told}");
    assert_eq!(told.matches(&format!("it took the place of what is kept as {replaced}/")).count(), 1, "{told}");
    assert_eq!(fs::read_to_string(&place).unwrap(), "#!/bin/sh\nexit 7\n");
    assert_eq!(kept(&host), copies);
    bad(&host.run(&["remove", DUMMY]), &["ocf-wasm/dummy is not installed on this node"]);
    let _ = good(host.run(&["check"]));
}

#[test]
fn remove_puts_back_what_was_there_as_it_was() {
    let (host, place) = taken();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o751)).unwrap();
    if is_root() {
        std::os::unix::fs::chown(&place, Some(65534), Some(65533)).unwrap();
    }
    let facts = || fs::metadata(&place).map(|found| (found.mode(), found.uid(), found.gid())).unwrap();
    let before = facts();
    let told =
        good(host.run(&["-o", "json", "install", text(&plugin("dummy")), "--allow-unsigned", "--replace"])).json();
    host.policy(DUMMY, "format = 1\n");
    // What runs is not left to an agent that knows nothing of it.
    let _ = host.action(DUMMY, "start").is(0);
    bad(&host.run(&["remove", DUMMY]), &["ocf-wasm/dummy runs here: try"]);
    assert!(place.is_symlink());
    let forced = good(host.run(&["-o", "json", "remove", DUMMY, "--force"])).json();
    assert_eq!((&forced["put_back"], &forced["replaced"]), (&json!(null), &json!([told["replaced"]])));
    assert!(place.is_symlink());
    let _ = host.action(DUMMY, "stop").is(0);
    let removed = good(host.run(&["-o", "json", "remove", DUMMY])).json();
    assert_eq!((&removed["put_back"], &removed["replaced"]), (&json!(place), &json!([])));
    assert_eq!((fs::read_to_string(&place).unwrap().as_str(), facts()), (SHELL, before));
    assert_eq!(kept(&host).len(), 0);
    assert!(fs::read_dir(place.parent().unwrap()).unwrap().count() == 1, "something is left beside it");
    // And all of it once more.
    let _ = good(install(&host, &["--replace"]));
    let _ = good(host.run(&["remove", DUMMY]));
    assert_eq!((fs::read_to_string(&place).unwrap().as_str(), facts()), (SHELL, before));
}

#[test]
fn a_link_is_kept_and_put_back_as_a_link() {
    for to in ["dummy.real", "/nowhere/at-all"] {
        let (host, place) = taken();
        fs::rename(&place, place.with_extension("real")).unwrap();
        symlink(to, &place).unwrap();
        let told = good(install(&host, &["--replace"])).stdout;
        assert!(told.contains("what was in its place is kept as"), "{told}");
        let copies = kept(&host);
        assert_eq!((copies.len(), fs::read_link(&copies[0]).unwrap()), (1, to.into()));
        let _ = host.call(DUMMY).argument("meta-data").is(0);
        let _ = good(host.run(&["remove", DUMMY]));
        assert_eq!(fs::read_link(&place).unwrap(), Path::new(to));
        assert_eq!(fs::read_to_string(place.with_extension("real")).unwrap(), SHELL);
    }
}

#[test]
fn what_is_not_as_it_was_kept_is_not_put_back() {
    let (host, place) = taken();
    host.policy(DUMMY, "format = 1\n");
    let _ = good(install(&host, &["--replace"]));
    fs::write(&kept(&host)[0], "#!/bin/sh\nexit 1\n").unwrap();
    let last = host.path().join("lib/replaced/ocf-wasm/dummy.last");
    bad(&host.run(&["remove", DUMMY]), &["is not what was kept", &format!("rm {}", last.display())]);
    let _ = host.call(DUMMY).argument("meta-data").is(0);
    let _ = good(host.run(&["check"]));
    fs::remove_file(&kept(&host)[0]).unwrap();
    bad(&host.run(&["remove", DUMMY]), &["is not what was kept"]);
    fs::remove_file(host.path().join("lib/replaced/ocf-wasm/dummy.last")).unwrap();
    let _ = good(host.run(&["remove", DUMMY]));
    assert!(place.symlink_metadata().is_err());
    // What somebody put there is theirs.
    let _ = good(install(&host, &[]));
    fs::remove_file(&place).unwrap();
    fs::write(&place, SHELL).unwrap();
    let _ = good(host.run(&["remove", DUMMY]));
    assert_eq!(fs::read_to_string(&place).unwrap(), SHELL);
}

#[test]
fn what_cannot_be_kept_is_not_replaced() {
    let (host, place) = taken();
    let is_refused = |what: &str| {
        bad(&install(&host, &["--replace"]), &["cannot be kept: move it away first", what]);
        assert!(place.symlink_metadata().is_ok());
        assert!(!host.path().join("etc/agents.toml").exists() && !host.path().join("lib/replaced").exists());
    };
    fs::remove_file(&place).unwrap();
    fs::create_dir(&place).unwrap();
    is_refused("it is no file");
    fs::remove_dir(&place).unwrap();
    fs::File::create(&place).unwrap().set_len(1 << 30).unwrap();
    is_refused("it has more than");
}
