//! Input that no caller should send, and nodes on which something is missing: the exit status, and one line that says
//! what is wrong.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use ocf_wasm_tests::host::{Ran, TestHost, dist, free_port, is_root, policy_of};

const DUMMY: &str = "ocf-wasm/dummy";
const SERVER: &str = "ocf-wasm/sample-tcp-server";

#[test]
fn parameters_of_a_wrong_kind_are_wrong_everywhere() {
    let host = TestHost::with(&["dummy", "sample-tcp-server"]);
    for (agent, name, value) in [
        (DUMMY, "op_sleep", "soon"),
        (DUMMY, "op_sleep", "-1"),
        (DUMMY, "op_sleep", "86401"),
        (DUMMY, "op_sleep", "99999999999999999999999"),
        (DUMMY, "op_sleep", "1e3"),
        (SERVER, "port", "0"),
        (SERVER, "port", "65536"),
        (SERVER, "port", "http"),
        (SERVER, "port", "80; id"),
    ] {
        for action in ["start", "validate-all"] {
            let _ = host.action(agent, action).with(name, value).is(6).says(name);
        }
        // Nothing runs that these values could have started.
        let _ = host.action(agent, "monitor").with(name, value).is(7);
        let _ = host.action(agent, "stop").with(name, value).is(0);
    }
}

#[test]
fn parameters_that_went_wrong_while_it_runs_change_nothing() {
    let host = TestHost::with(&["dummy"]);
    let _ = host.action(DUMMY, "start").with("op_sleep", 0).is(0);
    let _ = host.action(DUMMY, "monitor").recurring().with("op_sleep", "soon").is(0);
    let _ = host.action(DUMMY, "monitor").with("op_sleep", "soon").is(0);
    let _ = host.action(DUMMY, "reload-agent").with("op_sleep", "soon").is(6).says("op_sleep");
    let _ = host.action(DUMMY, "stop").with("op_sleep", "soon").is(0);
}

#[test]
fn without_a_policy_nothing_starts() {
    let host = TestHost::with(&["dummy"]);
    fs::remove_file(host.policy_path(DUMMY)).unwrap();
    let _ = host.action(DUMMY, "start").is(4).says("/etc/ocf-wasm/policy/ocf-wasm/dummy.toml is not there");
    let _ = host.action(DUMMY, "start").is(4).says("ocf-wasm why try");
    let _ = host.action(DUMMY, "validate-all").is(0);
    let _ = host.action(DUMMY, "validate-all").more(&["--level", "10"]).is(4);
    let _ = host.action(DUMMY, "monitor").is(7);
    let _ = host.action(DUMMY, "monitor").recurring().is(1);
    let _ = host.action(DUMMY, "stop").is(0);
}

#[test]
fn a_policy_that_cannot_be_read_is_refused_with_its_line() {
    let host = TestHost::with(&["dummy", "sample-tcp-server"]);
    let good = policy_of("sample-tcp-server");
    let port = free_port();
    for (policy, reason) in [
        (String::new(), "toml"),
        ("format = 2\n".to_owned(), "toml:1"),
        ("format = 1\n\u{0}".to_owned(), "toml:2"),
        (good.replace("user        =", "usr         ="), "usr"),
        (good.replace("user        = \"nobody\"\n", ""), "user"),
        (good.replace("\"/usr/libexec/", "\"usr/libexec/"), "toml:"),
        (good.replace("lifetime    = \"instance\"", "lifetime    = \"forever\""), "toml:"),
        (good.replace("{ param = \"port\", port = {} }, \"--node\"", "{ param = \"port\" }, \"--node\""), "toml:"),
        (format!("{good}\n[program.greeter]\n"), "toml:"),
    ] {
        assert_ne!(policy, good);
        host.policy(SERVER, &policy);
        let ran = host.action(SERVER, "start").with("port", port).run();
        assert_eq!(ran.code, 4, "{policy}\n{ran:#?}");
        assert!(ran.reason().contains(reason), "{reason}: {policy}\n{ran:#?}");
        assert!(ran.reason().contains("sample-tcp-server.toml"), "{ran:#?}");
        let _ = host.action(SERVER, "stop").with("port", port).is(0);
        let _ = host.action(SERVER, "monitor").with("port", port).is(7);
        let checked = host.run(&["check"]);
        assert_eq!(checked.code, 1, "{checked:#?}");
    }
}

#[test]
fn a_label_that_is_not_bound_is_not_permitted() {
    let host = TestHost::with(&["sample-tcp-server"]);
    let port = free_port();
    let good = policy_of("sample-tcp-server");
    for (section, label) in [("[program.greeter]", "program greeter"), ("[endpoint.greeting]", "endpoint greeting")] {
        host.policy(SERVER, &good.replace(section, &section.replace("gree", "bree")));
        let action = |word| host.action(SERVER, word).with("port", port).timeout_ms(4000);
        let started = action("start").run();
        assert!(started.code == 4 && started.reason().contains(label), "{started:#?}");
        let _ = action("stop").is(0);
        let _ = action("monitor").is(7);
    }
}

#[test]
fn a_program_must_be_there_and_be_roots() {
    if !is_root() {
        return;
    }
    let host = TestHost::with(&["sample-tcp-server"]);
    let port = free_port();
    let good = policy_of("sample-tcp-server");
    let places = tempfile::Builder::new().prefix("ocf-wasm-programs-").tempdir_in("/var/lib").unwrap();
    fs::set_permissions(places.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let place = |name: &str, mode: u32, owner: u32| {
        let path = places.path().join(name);
        fs::copy(dist().join("usr/libexec/ocf-wasm/examples/greeter"), &path).unwrap();
        std::os::unix::fs::chown(&path, Some(owner), Some(owner)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    };
    let open = places.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let link = places.path().join("link");
    symlink(place("theirs", 0o755, 65534), &link).unwrap();
    for (program, reason) in [
        (places.path().join("absent").display().to_string(), "absent"),
        (place("nobodys", 0o755, 65534), "nobodys"),
        (place("writable", 0o777, 0), "writable"),
        (place("setuid", 0o4755, 0), "setuid"),
        (place("plain", 0o644, 0), "executable"),
        (place("open/greeter", 0o755, 0), "open"),
        (link.display().to_string(), "theirs"),
        (places.path().display().to_string(), "regular file"),
    ] {
        host.policy(SERVER, &good.replace("/usr/libexec/ocf-wasm/examples/greeter", &program));
        let ran = host.action(SERVER, "start").with("port", port).run();
        assert_eq!(ran.code, 5, "{program}: {ran:#?}");
        assert!(ran.reason().contains(reason), "{reason}: {ran:#?}");
        let _ = host.action(SERVER, "monitor").with("port", port).is(7);
        let _ = host.action(SERVER, "stop").with("port", port).is(0);
    }
    host.policy(SERVER, &good.replace("/usr/libexec/ocf-wasm/examples/greeter", &place("good", 0o755, 0)));
    let _ = host.action(SERVER, "start").with("port", port).is(0);
    let _ = host.action(SERVER, "stop").with("port", port).is(0);
}

#[test]
fn an_agent_that_is_not_installed_says_so() {
    let host = TestHost::with(&["dummy"]);
    let call = |agent: &str, action: &str| host.call(agent).argument(action).instance("x").run();
    // The file is there, and what it stands for is not: a half removed agent.
    let linked = host.path().join("resource.d/ocf-wasm/absent");
    symlink("/usr/libexec/ocf-wasm/ocf-wasm-agent", linked).unwrap();
    for action in ["start", "monitor", "validate-all", "meta-data"] {
        let _ = call("ocf-wasm/absent", action).is(5).says("not installed");
    }
    let _ = call("ocf-wasm/absent", "stop").is(0);
    // Called by its own name it does not know which agent it is.
    let direct = host.call(DUMMY).program("/usr/libexec/ocf-wasm/ocf-wasm-agent").argument("start").instance("x");
    let ran = direct.run();
    assert!(matches!(ran.code, 3 | 5), "{ran:#?}");
    assert!(!ran.reason().is_empty());
}

#[test]
fn instances_have_names() {
    let host = TestHost::with(&["dummy"]);
    for action in ["start", "stop", "monitor"] {
        let _ = host.call(DUMMY).argument(action).is(6).says("OCF_RESOURCE_INSTANCE");
        for name in ["", "a/b", "../x", ".", "..", "a\nb", "a\u{1b}b", "x".repeat(201).as_str()] {
            let ran = host.call(DUMMY).argument(action).instance(name).run();
            assert_eq!(ran.code, 6, "{name:?}: {ran:#?}");
            assert!(ran.reason().contains("nstance") || name.is_empty(), "{ran:#?}");
        }
    }
    let _ = host.call(DUMMY).argument("validate-all").is(0);
    for name in ["a", "ä b", "x".repeat(200).as_str(), "a:0", "%41", "-", ".a", "a.b"] {
        let _ = host.call(DUMMY).argument("start").instance(name).is(0);
        let _ = host.call(DUMMY).argument("monitor").instance(name).is(0);
        let _ = host.call(DUMMY).argument("stop").instance(name).is(0);
    }
    assert!(!host.path().join("x").exists());
}

#[test]
fn who_is_not_root_may_only_ask() {
    if !is_root() {
        return;
    }
    let host = TestHost::with(&["dummy"]);
    for action in ["start", "stop", "monitor", "promote", "demote", "notify", "migrate_to", "reload-agent"] {
        let ran = host.call(DUMMY).argument(action).instance("x").user(65534).run();
        assert_eq!(ran.code, 4, "{action}: {ran:#?}");
        assert!(ran.reason().contains("root"), "{ran:#?}");
    }
    for action in ["meta-data", "usage", "methods", "validate-all"] {
        let _ = host.call(DUMMY).argument(action).instance("x").user(65534).is(0);
    }
    let _ = host.call(DUMMY).argument("validate-all").user(65534).variable("OCF_RESKEY_op_sleep", "x").is(6);
}

#[test]
fn a_value_that_is_no_text_is_wrong() {
    let host = TestHost::with(&["dummy"]);
    let garbled = OsStr::from_bytes(b"a\xffb");
    let call = |action| host.call(DUMMY).argument(action).instance("x");
    let _ = call("start").variable("OCF_RESKEY_fake", garbled).is(6).says("fake");
    let _ = call("validate-all").variable("OCF_RESKEY_fake", garbled).is(6).says("fake");
    let _ = call("stop").variable("OCF_RESKEY_fake", garbled).is(0);
    let _ = call("start").is(0);
    let _ = call("monitor").variable("OCF_RESKEY_fake", garbled).is(0);
    let _ = call("stop").variable("OCF_RESKEY_fake", garbled).is(0);
    // What is not ours to judge is not judged.
    let _ = call("monitor").variable("OCF_RESKEY_other", garbled).variable("OTHER", garbled).is(7);
    let _ = call("monitor").argument(garbled).is(7);
    let _ = host.call(DUMMY).argument(garbled).instance("x").is(3);
}

#[test]
fn what_callers_add_is_tolerated() {
    let host = TestHost::with(&["dummy"]);
    let call = |action| host.call(DUMMY).argument(action).instance("x");
    let tolerated = |ran: Ran| {
        let ran = ran.is(0);
        assert_eq!(ran.stdout, "", "{ran:#?}");
    };
    tolerated(call("start").argument("--force").argument("stop").run());
    // The longest that the kernel takes: a variable is at most 131,072 bytes with its name and its end.
    tolerated(call("monitor").variable("OCF_RESKEY_state", "x".repeat(131_000)).run());
    tolerated(call("monitor").variable("OCF_RESKEY_unknown", "x".repeat(131_000)).run());
    let unknown = call("monitor").variable("OCF_RESKEY_colour", "red").is(0);
    assert!(unknown.stderr.contains("colour") || unknown.stderr.is_empty(), "{unknown:#?}");
    tolerated(call("monitor").before("exec 0<&-").run());
    tolerated(call("monitor").before("exec 0<&- 1>&-").run());
    tolerated(call("monitor").before("exec 0<&- 1>&- 2>&-").run());
    tolerated(call("monitor").before("exec 1>/dev/full 2>/dev/full").run());
    tolerated(call("monitor").before("ulimit -n 64; umask 777; cd /proc").run());
    tolerated(call("monitor").variable("OCF_RESKEY_CRM_meta_timeout", "never").run());
    tolerated(call("monitor").variable("OCF_CHECK_LEVEL", "very").run());
    tolerated(call("monitor").variable("RUST_BACKTRACE", "1").variable("LD_PRELOAD", "/nowhere.so").run());
    tolerated(call("stop").before("exec 0<&- 1>&- 2>&-").run());
    let _ = call("monitor").is(7);
    // The longest value is kept from a start on.
    let long = "y".repeat(131_000);
    tolerated(call("start").variable("OCF_RESKEY_fake", &long).run());
    tolerated(call("monitor").variable("OCF_RESKEY_fake", &long).run());
    tolerated(call("stop").variable("OCF_RESKEY_fake", &long).run());
}

#[test]
fn what_is_unknown_is_logged_once() {
    let host = TestHost::with(&["dummy"]);
    for (number, action) in ["validate-all", "start", "monitor", "reload-agent", "stop"].into_iter().enumerate() {
        let log = host.path().join(format!("log-{number}"));
        let call = host.call(DUMMY).argument(action).instance("x").variable("HA_LOGFILE", &log);
        let _ = call.variable("OCF_RESKEY_colour", "red").is(0);
        let text = fs::read_to_string(&log).unwrap_or_default();
        // Monitor and stop use what was recorded, and the record has no colour.
        let expected = usize::from(!matches!(action, "monitor" | "stop"));
        assert_eq!(text.matches("parameter colour is unknown").count(), expected, "{action}: {text}");
    }
}

#[test]
fn metadata_to_nobody_is_a_failure() {
    let host = TestHost::with(&["dummy"]);
    let _ = host.call(DUMMY).argument("meta-data").before("exec 1>/dev/full").is(1).says("standard output");
    let closed = host.call(DUMMY).argument("meta-data").before("exec 1>&-").run();
    assert!(matches!(closed.code, 0 | 1), "{closed:#?}");
}

#[test]
fn a_broken_store_is_told_from_a_broken_plugin() {
    let host = TestHost::with(&["dummy"]);
    let _ = host.action(DUMMY, "start").is(0);
    let blobs = host.path().join("lib/blobs/sha256");
    for directory in [host.path().join("cache"), blobs] {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            fs::remove_file(&path).unwrap();
            fs::write(&path, "x").unwrap();
        }
    }
    let _ = host.action(DUMMY, "monitor").recurring().is(1);
    let _ = host.action(DUMMY, "monitor").is(1);
    let _ = host.action(DUMMY, "start").instance("other").is(5);
    let _ = host.action(DUMMY, "monitor").instance("third").is(7);
    let _ = host.action(DUMMY, "meta-data").is(0);
    let _ = host.action(DUMMY, "stop").is(0);
}

#[test]
fn a_torn_record_is_never_taken_for_none() {
    let host = TestHost::with(&["sample-tcp-server"]);
    let port = free_port();
    let action = |word| host.action(SERVER, word).with("port", port);
    let _ = action("start").is(0);
    let record = host.path().join("run/ocf-wasm/sample-tcp-server/try/record");
    let good = fs::read(&record).unwrap();
    for bad in [b"".to_vec(), good[..good.len() / 2].to_vec(), {
        let mut flipped = good.clone();
        flipped[good.len() / 2] ^= 1;
        flipped
    }] {
        fs::write(&record, bad).unwrap();
        let _ = action("monitor").recurring().run();
        let stopped = action("stop").run();
        assert_eq!(stopped.code, 1, "the daemon runs: {stopped:#?}");
    }
    fs::write(&record, good).unwrap();
    let _ = action("monitor").is(0);
    let _ = action("stop").is(0);
}

#[test]
fn an_unknown_parameter_is_warned_of_once_with_what_was_meant() {
    let host = TestHost::with(&["dummy"]);
    // The second start finds it running.
    for _ in 0..2 {
        let ran = host.action("ocf-wasm/dummy", "start").with("stat", "x").is(0);
        let said = "WARNING: parameter stat is unknown to ocf-wasm/dummy and ignored; did you mean state?\n";
        assert!(ran.stderr.ends_with(said) && ran.stderr.matches("unknown").count() == 1, "{ran:#?}");
    }
    let changed = host.action("ocf-wasm/dummy", "start").with("stat", "x").with("fake", "y").is(0);
    assert_eq!(changed.stderr.matches("unknown").count(), 1, "{changed:#?}");
    let _ = host.action("ocf-wasm/dummy", "stop").is(0);
    let ran = host.action("ocf-wasm/dummy", "start").with("colour", "x").is(0);
    assert!(ran.stderr.ends_with("ocf-wasm/dummy and ignored\n"), "{ran:#?}");
    let _ = host.action("ocf-wasm/dummy", "stop").is(0);
}
