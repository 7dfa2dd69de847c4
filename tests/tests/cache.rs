//! Native code is never needed for correctness: without it, or with a damaged one, an action is right and makes it anew,
//! once.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::sync::Barrier;

use ocf_wasm_tests::host::{Ran, TestHost, dist, free_port, is_root, plugin, policy_of, variant_of};

const DUMMY: &str = "ocf-wasm/dummy";
const SERVER: &str = "ocf-wasm/sample-tcp-server";
const INSTANCES: u16 = 20;

/// A root whose compiler leaves a line for each time that it is executed.
struct Counted {
    host: TestHost,
    tree: tempfile::TempDir,
}

impl Counted {
    fn new() -> Self {
        let tree = tempfile::Builder::new().prefix("ocf-wasm-tree-").tempdir().unwrap();
        let at = |name: &str| tree.path().join(name);
        // Everybody may come by: the compiler runs as a user that owns nothing.
        fs::set_permissions(tree.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir_all(at("usr/bin")).unwrap();
        fs::create_dir_all(at("usr/libexec/ocf-wasm/examples")).unwrap();
        for file in ["usr/bin/ocf-wasm", "usr/libexec/ocf-wasm/ocf-wasm-agent", "usr/libexec/ocf-wasm/examples/greeter"]
        {
            fs::copy(dist().join(file), at(file)).unwrap();
        }
        let (compiler, count) = (at("usr/libexec/ocf-wasm/ocf-wasm-compile"), at("count"));
        fs::copy(dist().join("usr/libexec/ocf-wasm/ocf-wasm-compile"), at("compiler")).unwrap();
        let script = format!("#!/bin/sh\necho $$ >> {}\nexec {} \"$@\"\n", count.display(), at("compiler").display());
        fs::write(&compiler, script).unwrap();
        fs::set_permissions(&compiler, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(&count, "").unwrap();
        fs::set_permissions(&count, fs::Permissions::from_mode(0o666)).unwrap();
        Self { host: TestHost::of(tree.path()), tree }
    }

    /// How often the compiler was executed since the last time that this was asked.
    fn compiled(&self) -> usize {
        let count = self.tree.path().join("count");
        let lines = fs::read_to_string(&count).unwrap().lines().count();
        fs::write(count, "").unwrap();
        lines
    }

    /// The one file with native code.
    fn code(&self) -> PathBuf {
        let entries = fs::read_dir(self.host.path().join("cache")).unwrap().map(|entry| entry.unwrap().path());
        let files: Vec<PathBuf> = entries.filter(|path| path.extension().is_none_or(|e| e != "lock")).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    }
}

#[test]
fn twenty_monitors_at_once_without_a_cache_are_right_after_one_compilation() {
    let counted = Counted::new();
    let host = &counted.host;
    host.policy(SERVER, &policy_of("sample-tcp-server"));
    host.add(&plugin("sample-tcp-server"), &[]);
    let instances: Vec<(String, u16)> = (0..INSTANCES).map(|number| (format!("web{number}"), free_port())).collect();
    for (name, port) in &instances {
        let _ = host.action(SERVER, "start").instance(name).with("port", port).is(0);
    }
    assert_eq!(counted.compiled(), 1, "when it was installed");
    let before = fs::read(counted.code()).unwrap();
    for what in ["deleted", "emptied"] {
        match what {
            "deleted" => fs::remove_dir_all(host.path().join("cache")).unwrap(),
            _ => fs::write(counted.code(), "").unwrap(),
        }
        let gate = Barrier::new(instances.len());
        let monitors: Vec<Ran> = std::thread::scope(|scope| {
            let monitor = |(name, port): &(String, u16)| {
                gate.wait();
                host.action(SERVER, "monitor").instance(name).recurring().with("port", port).run()
            };
            let running: Vec<_> = instances.iter().map(|instance| scope.spawn(move || monitor(instance))).collect();
            running.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for ran in monitors {
            let ran = ran.is(0);
            assert_eq!(ran.stderr, "", "{ran:#?}");
        }
        assert_eq!(counted.compiled(), 1, "{what}");
        assert_eq!(fs::read(counted.code()).unwrap(), before, "{what}");
    }
    for (name, port) in &instances {
        let _ = host.action(SERVER, "monitor").instance(name).recurring().with("port", port).is(0);
        let _ = host.action(SERVER, "stop").instance(name).with("port", port).is(0);
    }
    assert_eq!(counted.compiled(), 0);
}

#[test]
fn damaged_native_code_is_made_anew_before_it_is_used() {
    let counted = Counted::new();
    let host = &counted.host;
    host.policy(DUMMY, &policy_of("dummy"));
    host.add(&plugin("dummy"), &[]);
    let _ = host.action(DUMMY, "start").is(0);
    let _ = host.action(DUMMY, "monitor").recurring().is(0);
    assert_eq!(counted.compiled(), 1, "when it was installed");
    let code = counted.code();
    let good = fs::read(&code).unwrap();
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let cut = |length: usize| good[..length].to_vec();
    // The head is a page: four bytes of magic, 32 of the MAC. Then the code.
    for (what, bytes) in [
        ("magic", flipped(0)),
        ("first byte of the MAC", flipped(4)),
        ("last byte of the MAC", flipped(35)),
        ("first byte of the code", flipped(4096)),
        ("a byte in the middle", flipped(good.len() / 2)),
        ("last byte", flipped(good.len() - 1)),
        ("nothing", cut(0)),
        ("half a head", cut(2048)),
        ("a head alone", cut(4096)),
        ("half", cut(good.len() / 2)),
        ("all but the last byte", cut(good.len() - 1)),
        ("one byte more", [&good[..], b"x"].concat()),
        ("zeros", vec![0; good.len()]),
    ] {
        fs::write(&code, bytes).unwrap();
        let ran = host.action(DUMMY, "monitor").recurring().is(0);
        assert_eq!(ran.stderr, "", "{what}: {ran:#?}");
        assert_eq!(counted.compiled(), 1, "{what}");
        assert!(fs::read(&code).unwrap() == good, "{what}: made anew");
        let _ = host.action(DUMMY, "monitor").recurring().is(0);
        assert_eq!(counted.compiled(), 0, "{what}: made anew once");
    }
    let _ = host.action(DUMMY, "stop").is(0);
}

#[test]
fn native_code_that_somebody_else_could_have_written_is_made_anew() {
    if !is_root() {
        return;
    }
    let counted = Counted::new();
    let host = &counted.host;
    host.policy(DUMMY, &policy_of("dummy"));
    host.add(&plugin("dummy"), &[]);
    let _ = host.action(DUMMY, "start").is(0);
    assert_eq!(counted.compiled(), 1, "when it was installed");
    let code = counted.code();
    for what in ["writable", "owned"] {
        match what {
            "writable" => fs::set_permissions(&code, fs::Permissions::from_mode(0o666)).unwrap(),
            _ => std::os::unix::fs::chown(&code, Some(65534), Some(65534)).unwrap(),
        }
        let _ = host.action(DUMMY, "monitor").recurring().is(0);
        assert_eq!(counted.compiled(), 1, "{what}");
        let now = fs::metadata(&code).unwrap();
        assert_eq!((now.uid(), now.mode() & 0o777), (0, 0o600), "{what}");
    }
    let _ = host.action(DUMMY, "stop").is(0);
}

#[test]
fn what_is_rolled_back_to_is_compiled_before_anything_changes() {
    let counted = Counted::new();
    let host = &counted.host;
    host.policy(DUMMY, &policy_of("dummy"));
    host.add(&plugin("dummy"), &[]);
    let first = host.run(&["-o", "json", "list"]).json()["agents"][0]["digest"].as_str().unwrap().to_owned();
    host.add(&variant_of(&plugin("dummy"), 2, host.path()), &[]);
    let empty = || {
        for entry in fs::read_dir(host.path().join("cache")).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        let _ = counted.compiled();
    };

    // Another engine's, or another disk's: there is no code of it.
    empty();
    let _ = host.run(&["rollback", DUMMY, "--next-start"]).is(0);
    assert_eq!(counted.compiled(), 1);
    let _ = host.action(DUMMY, "start").is(0);
    let _ = host.action(DUMMY, "stop").is(0);
    assert_eq!(counted.compiled(), 0, "a start waits for no compiler");

    // What cannot be compiled is not rolled back to.
    let _ = host.run(&["rollback", DUMMY, "--to", "2", "--next-start"]).is(0);
    empty();
    let blob = host.path().join("lib/blobs").join(first.replace(':', "/"));
    fs::remove_file(&blob).unwrap();
    let refused = host.run(&["rollback", DUMMY, "--to", "1", "--next-start"]);
    let told = refused.stderr.contains("is not in the store any more; nothing was changed");
    assert!(refused.code == 1 && told, "{refused:#?}");
    assert_eq!(host.run(&["-o", "json", "list", DUMMY]).json()["current"], 2);
    let _ = host.action(DUMMY, "start").is(0);
    let _ = host.action(DUMMY, "stop").is(0);
}
