//! Private roots: whose directory may be one, and what is not lost in it.

use std::collections::BTreeMap;

use super::*;

/// Names and modes of what is in a directory.
fn modes(directory: &Path) -> BTreeMap<String, u32> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    let facts = |entry: fs::DirEntry| {
        (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().permissions().mode() & 0o7777)
    };
    entries.map(facts).collect()
}

#[test]
fn a_directory_of_others_is_no_private_root_and_stays_as_it_is() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path();
    for (name, mode) in [("etc", 0o700), ("run", 0o755), ("srv", 0o750)] {
        fs::create_dir(root.join(name)).unwrap();
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let before = modes(root);
    let tool = |arguments: &[&str]| {
        finish(std::process::Command::new(dist().join("usr/bin/ocf-wasm")).args(["--root", text(root)]).args(arguments))
    };
    for arguments in [&["list"][..], &["why", "web"], &["run", text(&plugin("dummy")), "start"]] {
        let ran = tool(arguments);
        let says = format!("{} is no private root, since srv is in it: name an empty directory", root.display());
        assert!(ran.code == 1 && ran.stderr.contains(&says), "{ran:#?}");
        assert_eq!(modes(root), before, "{arguments:?}");
    }
    // A link leads elsewhere.
    fs::remove_dir(root.join("srv")).unwrap();
    fs::remove_dir(root.join("run")).unwrap();
    std::os::unix::fs::symlink("/run", root.join("run")).unwrap();
    bad(&tool(&["list"]), &["is no private root, since run is in it"]);
    fs::remove_file(root.join("run")).unwrap();

    // What somebody prepared keeps its mode, and once it is whole, anything may lie beside.
    fs::write(root.join("draft.toml"), "").unwrap();
    let _ = good(tool(&["list"]));
    assert_eq!(modes(root)["etc"], 0o700);
    assert_eq!((modes(root)["run"], modes(root)["resource.d"]), (0o700, 0o755));
    fs::create_dir(root.join("notes")).unwrap();
    let _ = good(tool(&["list"]));
    // To begin anew, one takes away what is to be forgotten.
    for name in ["etc", "lib", "cache", "run", "resource.d"] {
        fs::remove_dir_all(root.join(name)).unwrap();
        let _ = good(tool(&["list"]));
        assert!(modes(root).contains_key(name), "{name}");
    }
}

#[test]
fn what_runs_in_a_root_is_not_ended_by_test() {
    let host = TestHost::with(&["dummy"]);
    let dummy = plugin("dummy");
    let _ = host.action(DUMMY, "start").instance("web").is(0);
    let test = ["test", text(&dummy), "--only", "start"];
    bad(&host.run(&test), &["web would be ended: stop what runs in this root, or leave --root away"]);
    let _ = host.action(DUMMY, "monitor").instance("web").recurring().is(0);
    let _ = host.action(DUMMY, "stop").instance("web").is(0);
    let ran = host.run(&test);
    assert_eq!(ran.code, 0, "{ran:#?}");
}

#[test]
fn a_policy_that_is_tried_is_read_before_it_takes_the_place_of_another() {
    let host = TestHost::with(&["sample-tcp-server"]);
    let place = host.policy_path(SERVER);
    let edited = format!("# an hour's work\n{}", fs::read_to_string(&place).unwrap());
    host.policy(SERVER, &edited);
    let (server, wrong, other) =
        (plugin("sample-tcp-server"), host.path().join("wrong.toml"), host.path().join("p.toml"));
    fs::write(&wrong, "format = 1\n[program.greeter]\nprogramm = \"/bin/true\"\n").unwrap();
    let with = |policy: &Path| host.run(&["run", SERVER, "monitor", "--policy", text(policy)]);
    bad(&with(&wrong), &["wrong.toml", "programm"]);
    let ran = with(&server);
    assert!(ran.code == 1 && ran.stderr.starts_with("error: "), "{ran:#?}");
    assert_eq!(fs::read_to_string(&place).unwrap(), edited);

    fs::write(&other, fs::read_to_string(&place).unwrap().replace("hour", "day")).unwrap();
    let ran = with(&other);
    let kept = place.with_extension("toml.old");
    let note =
        format!("note: {} takes the place of another policy, which is now {}\n", other.display(), kept.display());
    assert!(ran.code == 7 && ran.stderr.starts_with(&note), "{ran:#?}");
    assert_eq!(fs::read_to_string(&kept).unwrap(), edited);
    // The same once more takes nothing's place.
    assert!(!with(&other).stderr.contains("takes the place"));
    let _ = good(host.run(&["check"]));
}

#[test]
fn a_state_home_that_is_empty_or_relative_is_as_good_as_unset() {
    let home = tempfile::tempdir().unwrap();
    for state in ["", "here"] {
        let mut command = std::process::Command::new(dist().join("usr/bin/ocf-wasm"));
        command.args(["run", text(&plugin("dummy")), "monitor"]).current_dir(home.path());
        let ran = finish(command.env("HOME", home.path()).env("XDG_STATE_HOME", state));
        assert_eq!(ran.code, 7, "{ran:#?}");
        assert!(home.path().join(".local/state/ocf-wasm/lib").is_dir(), "{ran:#?}");
        assert!(!home.path().join("ocf-wasm").exists() && !home.path().join("here").exists(), "{state:?}");
        fs::remove_dir_all(home.path().join(".local")).unwrap();
    }
}
