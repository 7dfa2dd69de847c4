//! A runner that was taken over: native code of an attacker, in a build of the agent for this test alone. What it tries on
//! the node is refused by the kernel, by more than one layer; what it says to the broker is refused by the broker.
//!
//! The build is made by `cargo xtask test` and `cargo xtask guards`, and named in `OCF_WASM_ESCAPED`; without it these
//! tests say so and pass, and with `CI=true` they fail.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use ocf_wasm_tests::host::{Ran, TestHost, dist, hostile, is_root, skip};

const AGENT: &str = "test/hostile";
const TIMEOUT_MS: u32 = 2_000;

/// What stands in such a build alone.
const MARK: &str = "this build has an escaped runner in it";

fn tree() -> Option<PathBuf> {
    let tree = std::env::var_os("OCF_WASM_ESCAPED").map(PathBuf::from);
    if tree.is_none() {
        skip("there is no build with an escaped runner: run `cargo xtask test`, or name its tree in OCF_WASM_ESCAPED");
    }
    tree.filter(|_| is_root())
}

fn host() -> Option<TestHost> {
    let host = TestHost::of(&tree()?);
    host.policy(AGENT, "format = 1\n");
    host.add(&hostile(), &[]);
    Some(host)
}

fn start(host: &TestHost, deed: &str) -> Ran {
    // One instance each: what was started with something else is asked with that.
    let instance: String = deed.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let ran = host.action(AGENT, "start").instance(&instance).with("escape", deed).timeout_ms(TIMEOUT_MS).is(1);
    let ran = ran.within(Duration::from_millis(TIMEOUT_MS.into()));
    assert_eq!(ran.stdout, "", "{ran:#?}");
    ran
}

#[test]
fn no_other_build_has_one() {
    let Some(escaped) = tree() else { return };
    let has = |tree: &PathBuf, file: &str| {
        fs::read(tree.join(file)).unwrap().windows(MARK.len()).any(|bytes| bytes == MARK.as_bytes())
    };
    assert!(has(&escaped, "usr/libexec/ocf-wasm/ocf-wasm-agent"), "the mark is not where it must be");
    for file in ["usr/libexec/ocf-wasm/ocf-wasm-agent", "usr/bin/ocf-wasm", "usr/libexec/ocf-wasm/ocf-wasm-compile"] {
        assert!(!has(&dist(), file), "{file} must not be installed");
    }
}

/// Without the filter: what the other layers refuse.
#[test]
fn what_is_given_up_before_the_filter_is_gone() {
    let Some(host) = host() else { return };
    // Everybody may write here, but for Landlock.
    let open = host.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(host.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let new = open.join("new");
    let (eperm, eagain, eacces, emfile) = (1, 11, 13, 24);
    for (deed, number) in [
        (format!("mkdir {}", new.display()), eacces),
        // No descriptor may be had, before anybody asks of what.
        ("open /etc/passwd".to_owned(), emfile),
        ("open /proc/BROKER/mem".to_owned(), emfile),
        ("socket".to_owned(), emfile),
        ("execute /usr/bin/true".to_owned(), eacces),
        ("fork".to_owned(), eagain),
        ("signal".to_owned(), eperm),
        ("trace".to_owned(), eperm),
        ("peek".to_owned(), eperm),
        ("become-root".to_owned(), eperm),
    ] {
        let _ = start(&host, &format!("drop:{deed}")).says(&format!("{deed}: refused {number}"));
    }
    assert!(!new.exists());
}

/// With it: nobody comes back from any of these.
#[test]
fn behind_the_filter_there_is_nothing() {
    let Some(host) = host() else { return };
    for deed in [
        "open",
        "mkdir",
        "execute",
        "fork",
        "thread",
        "socket",
        "connect",
        "pass",
        "signal",
        "trace",
        "peek",
        "become-root",
        "unshare",
        "undo",
        "ring",
        "program",
        "map-code",
        "make-code",
    ] {
        let _ = start(&host, &format!("filter:{deed}")).says("the runner ended by SIGSYS");
    }
}

#[test]
fn what_it_says_is_not_believed() {
    let Some(host) = host() else { return };
    for (words, reason) in [
        ("garbage", "what is no message"),
        ("oversize", "what is no message"),
        ("half", "no answer from the plugin in time"),
        ("long string", "what is no message"),
        ("long list", "what is no message"),
        ("unknown call", "what is no message"),
        ("unknown message", "what is no message"),
        // It says that nothing runs, and goes on saying it.
        ("done", "not running in time"),
        ("flood", "no answer from the plugin in time"),
    ] {
        let ran = start(&host, &format!("say:{words}")).says(reason);
        assert!(ran.stderr.len() < 512 * 1024, "{} bytes", ran.stderr.len());
    }
}
