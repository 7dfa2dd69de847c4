//! The file by which Pacemaker finds an agent, where another agent's file is.

use std::os::unix::fs::symlink;

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
    let kept = |host: &TestHost| -> Vec<std::path::PathBuf> {
        let found = fs::read_dir(host.path().join("lib/replaced/ocf-wasm")).unwrap();
        found.map(|entry| entry.unwrap().path()).collect()
    };
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
    assert!(told.stdout.contains("--allow-unsigned --replace, which keeps a copy of it"), "{told:#?}");
    let told = good(host.run(&["-o", "json", "install", text(&plugin("dummy")), "--allow-unsigned", "--replace"]));
    let replaced = host.path().join("lib/replaced").display().to_string();
    assert!(told.json()["replaced"].as_str().unwrap().starts_with(&replaced), "{told:#?}");
    assert_eq!(kept(&host).len(), 2);
    let told = good(host.run(&["remove", DUMMY])).stdout;
    assert_eq!(told.matches(&format!("it took the place of a file that is kept as {replaced}/")).count(), 2);
    assert!(!place.exists() && kept(&host).len() == 2, "{told}");
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
    symlink("nowhere", &place).unwrap();
    is_refused("No such file");
    fs::remove_file(&place).unwrap();
    fs::File::create(&place).unwrap().set_len(1 << 30).unwrap();
    is_refused("it has more than");
    // One that leads to another agent is kept as that.
    fs::remove_file(&place).unwrap();
    fs::write(place.with_extension("real"), SHELL).unwrap();
    symlink("dummy.real", &place).unwrap();
    let told = good(install(&host, &["--replace"])).stdout;
    assert!(told.contains("is kept as"), "{told}");
    assert_eq!(fs::read_to_string(place.with_extension("real")).unwrap(), SHELL);
}
