//! What the host itself answers when something of the node is not as it must be.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use ocf_wasm_tests::handmade::{Handmade, plain};
use ocf_wasm_tests::host::{TestHost, plugin, policy_of};

const DUMMY: &str = "ocf-wasm/dummy";

/// Something that is wrong with a node, for as long as this is there.
struct Spoiled {
    path: PathBuf,
    aside: PathBuf,
}

impl Spoiled {
    /// Puts something aside, and something else in its place or nothing.
    fn by(host: &TestHost, name: &str, instead: Option<&[u8]>) -> Self {
        let (path, aside) = (host.path().join(name), host.path().join(name.replace('/', "-")));
        fs::rename(&path, &aside).unwrap();
        if let Some(bytes) = instead {
            fs::write(&path, bytes).unwrap();
        }
        Self { path, aside }
    }
}

impl Drop for Spoiled {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        fs::rename(&self.aside, &self.path).unwrap();
    }
}

/// The files of a root that belong to the one agent in it, and what they may turn into.
fn damages(host: &TestHost) -> Vec<(String, Option<Vec<u8>>)> {
    let policy = "etc/policy/ocf-wasm/dummy.toml".to_owned();
    let agent = "lib/agents/ocf-wasm/dummy";
    let mut found = vec![
        (policy.clone(), None),
        (policy.clone(), Some(b"format = 1\nnonsense = 2\n".to_vec())),
        (policy, Some(b"format = 1\nplugin = { digest = [\"sha256:0000000000000000000000000000000000000000000000000000000000000000\"] }\n".to_vec())),
        (format!("{agent}/current"), None),
        (format!("{agent}/1/agent"), None),
        (format!("{agent}/1/agent"), Some(b"damaged".to_vec())),
        ("lib/blobs".to_owned(), None),
    ];
    found.push(("lib/cache.key".to_owned(), Some(b"short".to_vec())));
    assert!(host.path().join("lib/cache.key").exists());
    found
}

/// Something was started, and what is installed is not there any more.
#[test]
fn i08_a_probe_does_not_take_a_lost_plugin_for_a_stop() {
    let host = TestHost::with(&["dummy"]);
    let _ = host.action(DUMMY, "monitor").is(7);
    let _ = host.action(DUMMY, "start").is(0);
    for name in ["lib/agents/ocf-wasm/dummy/1/agent", "lib/blobs"] {
        let _spoiled = Spoiled::by(&host, name, None);
        fs::remove_dir_all(host.path().join("cache")).unwrap();
        fs::create_dir(host.path().join("cache")).unwrap();
        let _ = host.action(DUMMY, "monitor").is(1);
        // Of what was never started it may be said.
        let other = host.action(DUMMY, "monitor").instance("other").run();
        assert!(matches!(other.code, 5 | 7), "{name}: {other:#?}");
    }
    // Nobody knows what was started, and the agent is gone: neither proves anything.
    let record = Spoiled::by(&host, "run/ocf-wasm/dummy/try/record", Some(b"torn"));
    let gone = Spoiled::by(&host, "lib/agents/ocf-wasm/dummy/current", None);
    let _ = host.action(DUMMY, "monitor").is(1);
    drop(gone);
    // The plugin says itself that it is not running, and that is no evidence either.
    let _ = host.action(DUMMY, "monitor").is(1).says("damaged or lost");
    drop(record);
    let _ = host.action(DUMMY, "monitor").is(0);
    let _ = host.action(DUMMY, "stop").is(0);
    let gone = Spoiled::by(&host, "lib/agents/ocf-wasm/dummy/current", None);
    let _ = host.action(DUMMY, "monitor").is(5);
    drop(gone);
}

/// Where nobody knows what was started, no word of the plugin makes it stopped: neither 7 nor what the cluster reads as that.
#[test]
fn i08_a_probe_without_a_record_believes_no_plugin() {
    const HOSTILE: &str = "test/hostile";
    let host = TestHost::new();
    host.install_hostile();
    let _ = host.action(HOSTILE, "start").is(0);
    let record = Spoiled::by(&host, "run/test/hostile/try/record", Some(b"torn"));
    let says = |answer| {
        let deep = host.action(HOSTILE, "monitor").more(&["--level", "10"]);
        deep.with("do", "answer").with("in", "monitor").with("answer", answer)
    };
    for answer in ["not-running", "not-installed", "arguments"] {
        let _ = says(answer).is(1).says("damaged or lost");
    }
    let _ = says("generic").is(1);
    drop(record);
    let _ = host.action(HOSTILE, "stop").is(0);
    let _ = says("not-installed").is(5);
}

/// All that one node may have wrong: never what bans a resource from the whole cluster. Wrong parameters are.
#[test]
fn i10_what_is_wrong_with_a_node_is_not_wrong_with_the_cluster() {
    let host = TestHost::with(&["dummy"]);
    let words =
        ["start", "monitor", "stop", "promote", "demote", "notify", "reload-agent", "migrate_to", "migrate_from"];
    let all_fail_elsewhere = |what: &str| {
        for word in words.iter().chain(&["validate-all"]) {
            let ran = host.action(DUMMY, word).more(&["--level", "10"]).timeout_ms(5_000).run();
            assert_ne!(ran.code, 6, "{what}: {ran:#?}");
            assert!(*word != "start" || ran.code != 0, "{what}: {ran:#?}");
        }
    };
    for (name, instead) in damages(&host) {
        let is_key = name.ends_with("cache.key");
        let _spoiled = Spoiled::by(&host, &name, instead.as_deref());
        let _ = fs::remove_dir_all(host.path().join("cache"));
        if is_key {
            // It is never needed for correctness.
            let _ = host.action(DUMMY, "start").is(0);
            let _ = host.action(DUMMY, "stop").is(0);
        } else {
            all_fail_elsewhere(&name);
        }
    }
    let policy = host.policy_path(DUMMY);
    fs::set_permissions(&policy, fs::Permissions::from_mode(0o666)).unwrap();
    all_fail_elsewhere("a policy that others can write");
    fs::set_permissions(&policy, fs::Permissions::from_mode(0o600)).unwrap();
    let _ = host.action(DUMMY, "start").with("op_sleep", "soon").is(6);
    let _ = host.action(DUMMY, "start").is(0);
    let _ = host.action(DUMMY, "stop").is(0);
}

/// An upgrade that has come to this node first: on the others the version before runs, and takes what this one refuses.
#[test]
fn i10_what_the_version_before_took_is_not_wrong_with_the_cluster() {
    let host = TestHost::new();
    let required = r#"{"parameter":{"name":"p","type":"string","required":true,"default":null,"unique":null,"reloadable":false,"short":"s","long":"l","options":[],"min":null,"max":null,"deprecated":null}}"#;
    let agent = "test/grown";
    host.policy(agent, "format = 1\n");
    let install = |version: &str, more: &str| {
        let notes = format!("{}\n{more}", plain(agent).replace("0.1.0", version));
        let text = Handmade { notes: Some(notes), health: Some(0), ..Handmade::default() }.text(agent);
        let path = host.path().join("grown.wasm");
        fs::write(&path, wat::parse_str(text).unwrap()).unwrap();
        host.add(&path, &["--next-start"]);
    };
    install("0.1.0", required);
    let _ = host.action(agent, "start").is(6).says("parameter p is required");
    install("0.2.0", "");
    let _ = host.action(agent, "start").is(0);
    install("0.3.0", required);
    for word in ["start", "promote", "migrate_from"] {
        let ran = host.action(agent, word).instance("new").is(2);
        assert!(ran.reason().starts_with("parameter p is required"), "{ran:#?}");
    }
    let _ = host.action(agent, "start").instance("new").with("p", "x").is(0);
}

/// Twice in a row, after a start that was refused for each reason there is, and of what never was.
#[test]
fn i21_a_stop_may_be_repeated_and_follow_a_refused_start() {
    let host = TestHost::with(&["dummy"]);
    let stop = |instance: &str| {
        for _ in 0..2 {
            let _ = host.action(DUMMY, "stop").instance(instance).is(0);
        }
    };
    stop("never");
    let _ = host.action(DUMMY, "start").instance("started").is(0);
    stop("started");
    for (number, (name, instead)) in damages(&host).into_iter().enumerate() {
        let instance = format!("refused-{number}");
        let _spoiled = Spoiled::by(&host, &name, instead.as_deref());
        let _ = fs::remove_dir_all(host.path().join("cache"));
        let refused = host.action(DUMMY, "start").instance(&instance).run();
        assert!(refused.code != 0 || name.ends_with("cache.key"), "{refused:#?}");
        stop(&instance);
    }
    let _ = host.action(DUMMY, "start").instance("wrong").with("op_sleep", "soon").is(6);
    for _ in 0..2 {
        let _ = host.action(DUMMY, "stop").instance("wrong").with("op_sleep", "soon").is(0);
    }
    // A start that the plugin itself gave up.
    host.install_hostile();
    let trap = |word| host.action(super::AGENT, word).with("do", "trap").with("in", "start");
    let _ = trap("start").is(1);
    let _ = trap("stop").is(0);
    let _ = trap("stop").is(0);
    host.policy("ocf-wasm/dummy", &policy_of("dummy"));
    host.add(&plugin("dummy"), &[]);
}
