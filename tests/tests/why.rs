//! `why` after failures that really happened, each as it is shown and as programs read it. The texts stand in
//! tests/golden/why; what differs from run to run is replaced.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use regex_lite::Regex;
use serde_json::Value;

use ocf_wasm_tests::document::constant;
use ocf_wasm_tests::host::{TestHost, free_port, is_root, kill, plugin, policy_of, until, variant_of};
use ocf_wasm_tests::source::checkout;

const SERVER: &str = "ocf-wasm/sample-tcp-server";
/// No number that is shown.
const NO_PORT: u16 = 65_531;
const HOSTILE: &str = "test/hostile";

/// What varies beyond what varies in documents: the private root, digests and ports, and lines of a plugin's source.
fn same(text: &str, root: &str, port: u16) -> String {
    let text = text.replace(root, "/ROOT").replace(&port.to_string(), "PORT");
    let text = Regex::new("sha256:[0-9a-f]{12,}").unwrap().replace_all(&text, "sha256:DIGEST").into_owned();
    let text = Regex::new("blobs/sha256/[0-9a-f]{64}").unwrap().replace_all(&text, "blobs/sha256/DIGEST").into_owned();
    let text = Regex::new(r"\(lib\.rs:[0-9]+:[0-9]+\)").unwrap().replace_all(&text, "(lib.rs:LINE)").into_owned();
    let text = Regex::new("processes: [0-9]+( [0-9]+)+").unwrap().replace_all(&text, "processes: PIDS").into_owned();
    let text = Regex::new(r"ago  (.{20})  ( *[0-9]+) ms").unwrap().replace_all(&text, "ago  $1      TOOK").into_owned();
    constant(&text)
}

/// Compares what `why` says of the instance `web` with what is checked in; with `UPDATE_GOLDEN=1`, writes it there.
#[track_caller]
fn shows(name: &str, host: &TestHost, port: u16) -> Value {
    let ran = host.run(&["why", "web"]);
    let path = checkout().join(format!("tests/golden/why/{name}.txt"));
    let shown = same(&format!("{}{}", ran.stdout, ran.stderr), host.path().to_str().unwrap(), port);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &shown).unwrap();
    }
    assert_eq!(shown, fs::read_to_string(&path).unwrap_or_default(), "{}: cargo xtask docs", path.display());
    if ran.code != 0 {
        return Value::Null;
    }
    let known = host.why("web");
    let keys: BTreeSet<&str> = known.as_object().unwrap().keys().map(String::as_str).collect();
    // What programs may rely on: docs/why.md names them.
    let stable = [
        "actions",
        "advice",
        "agent",
        "cleanup",
        "daemons",
        "failure",
        "instance",
        "pacemaker",
        "parameters",
        "pins",
        "place",
        "state",
        "text",
        "verdict",
    ];
    assert_eq!(keys, BTreeSet::from(stable));
    known
}

/// An instance of the server on a port of its own.
struct Server {
    host: TestHost,
    port: u16,
}

impl Server {
    fn new() -> Self {
        Self { host: TestHost::with(&["sample-tcp-server"]), port: free_port() }
    }

    fn does(&self, action: &str, code: i32) {
        let action = self.host.action(SERVER, action).instance("web").with("port", self.port);
        let action = if code == 0 { action } else { action.recurring() };
        let _ = action.is(code);
    }

    #[track_caller]
    fn shows(&self, name: &str) -> Value {
        shows(name, &self.host, self.port)
    }

    /// With another policy, before or after.
    fn policy(&self, from: &str, to: &str) {
        let text = policy_of("sample-tcp-server");
        assert!(text.contains(from));
        self.host.policy(SERVER, &text.replace(from, to));
    }
}

#[test]
fn never_started() {
    Server::new().shows("never-started");
}

#[test]
fn without_a_policy() {
    let server = Server::new();
    fs::remove_file(server.host.policy_path(SERVER)).unwrap();
    server.does("start", 4);
    let known = server.shows("no-policy");
    assert_eq!((&known["verdict"], &known["pacemaker"]["stays"]), (&"failed".into(), &"node".into()));
    // Put there since: the next start takes it, and nothing more is to be done than to clean up.
    server.policy("format", "format");
    let _ = server.host.action(SERVER, "stop").instance("web").is(0);
    let known = server.host.why("web");
    assert_eq!(known["verdict"], "failed", "the cluster keeps it away until somebody cleans up");
    assert_eq!(known["cleanup"], "crm_resource --cleanup --resource web");
    server.does("start", 0);
    let known = server.host.why("web");
    assert_eq!((&known["verdict"], &known["cleanup"]), (&"running".into(), &Value::Null));
}

#[test]
fn with_a_typo_in_the_policy() {
    let server = Server::new();
    server.policy("lifetime    =", "liftime     =");
    server.does("start", 4);
    let known = server.shows("typo-in-policy");
    assert_eq!((&known["place"]["line"], &known["place"]["hint"]), (&12.into(), &"did you mean `lifetime`?".into()));
    server.policy("format", "format");
    let known = server.host.why("web");
    assert_eq!(known["place"], Value::Null);
    assert_eq!(known["advice"][0], "the policy has been corrected since: the next start takes it");
}

#[test]
fn with_a_typo_in_the_policy_while_it_runs() {
    let server = Server::new();
    server.does("start", 0);
    server.policy("lifetime    =", "liftime     =");
    let known = server.shows("typo-while-it-runs");
    assert_eq!((&known["verdict"], &known["cleanup"]), (&"running".into(), &Value::Null));
}

#[test]
fn without_a_policy_while_it_runs() {
    let server = Server::new();
    server.does("start", 0);
    fs::remove_file(server.host.policy_path(SERVER)).unwrap();
    let known = server.shows("policy-deleted-while-it-runs");
    assert_eq!((&known["verdict"], &known["cleanup"]), (&"running".into(), &Value::Null));
    let advice = known["advice"][0].as_str().unwrap();
    let says =
        format!("no policy: {} is not there: the next start is refused", server.host.policy_path(SERVER).display());
    assert!(advice.starts_with(&says), "{advice}");
}

#[test]
fn a_probe_takes_back_no_failure() {
    let server = Server::new();
    server.does("start", 0);
    for (pid, _) in server.host.processes("web") {
        kill(pid, "-KILL");
    }
    until("the keeper has seen it", || server.host.why("web")["daemons"][0]["ended"].is_string());
    server.does("monitor", 1);
    let _ = server.host.action(SERVER, "monitor").instance("web").with("port", server.port).is(7);
    let known = server.shows("daemon-killed-and-probed");
    assert_eq!((&known["verdict"], &known["failure"]["action"]), (&"failed".into(), &"monitor".into()));
    assert_eq!(known["cleanup"], "crm_resource --cleanup --resource web");
    // A stop does, and a probe after it changes nothing.
    server.does("stop", 0);
    let _ = server.host.action(SERVER, "monitor").instance("web").with("port", server.port).is(7);
    let known = server.host.why("web");
    assert_eq!((&known["verdict"], &known["cleanup"]), (&"stopped".into(), &Value::Null));
}

#[test]
fn after_a_person_said_that_nothing_runs() {
    let server = Server::new();
    server.does("start", 0);
    for (pid, _) in server.host.processes("web") {
        kill(pid, "-KILL");
    }
    fs::write(server.host.path().join("run").join(SERVER).join("web/record"), "").unwrap();
    server.does("stop", 1);
    let forget = || server.host.run(&["forget", "web", "--nothing-runs"]);
    until("nothing lives", || !forget().stderr.contains("still runs here"));
    let known = server.shows("forgotten");
    assert_eq!(
        (&known["verdict"], &known["failure"], &known["pacemaker"]),
        (&"stopped".into(), &Value::Null, &Value::Null)
    );
    assert_eq!(known["cleanup"], "crm_resource --cleanup --resource web");
    assert_eq!(known["advice"], serde_json::json!([]));
    server.does("start", 0);
    server.does("stop", 0);
    assert_eq!(server.host.why("web")["cleanup"], Value::Null);
}

#[test]
fn with_a_program_that_is_missing() {
    let server = Server::new();
    server.policy("examples/greeter", "examples/absent");
    server.does("start", 5);
    let known = server.shows("program-missing");
    assert_eq!(known["place"]["source"], "program     = \"/usr/libexec/ocf-wasm/examples/absent\"");
}

#[test]
fn without_the_grant() {
    let server = Server::new();
    server.host.policy(SERVER, "format = 1\n");
    server.does("start", 4);
    server.shows("not-granted");
}

#[test]
fn with_a_wrong_parameter() {
    let server = Server::new();
    let _ = server.host.action(SERVER, "start").instance("web").with("port", "none").is(6);
    assert_eq!(server.shows("parameter-wrong")["pacemaker"]["stays"], "cluster");
}

#[test]
fn with_a_parameter_that_the_policy_does_not_let_through() {
    let server = Server::new();
    server.policy(
        "{ param = \"port\", port = {} }, \"--node\"",
        "{ param = \"port\", port = { max = 1023 } }, \"--node\"",
    );
    server.does("start", 4);
    assert_eq!(server.shows("parameter-not-let-through")["place"]["column"], 26);
}

#[test]
fn after_the_daemon_was_killed() {
    let server = Server::new();
    server.does("start", 0);
    for (pid, _) in server.host.processes("web") {
        kill(pid, "-KILL");
    }
    until("the keeper has seen it", || server.host.why("web")["daemons"][0]["ended"].is_string());
    let known = server.shows("daemon-killed-not-seen");
    assert_eq!((&known["verdict"], &known["failure"]), (&"failing".into(), &Value::Null));
    server.does("monitor", 1);
    server.shows("daemon-killed");
}

#[test]
fn after_the_main_process_was_killed_and_a_child_is_left() {
    let server = Server::new();
    server.does("start", 0);
    let all = server.host.processes("web");
    let main = all.iter().find(|(_, line)| line.contains(&format!("--port {}", server.port))).unwrap();
    kill(main.0, "-KILL");
    until("the keeper has seen it", || server.host.why("web")["daemons"][0]["ended"].is_string());
    server.does("monitor", 1);
    assert_eq!(server.shows("child-left")["daemons"][0]["phase"], "remains");
}

#[test]
fn when_the_endpoint_is_silent() {
    let server = Server::new();
    // Somebody who accepts and says nothing.
    server.policy(
        "tcp = { host = \"127.0.0.1\", port = { param = \"port\", port = {} } }",
        "tcp = { host = \"127.0.0.1\", port = SILENT }\ntimeout = \"100ms\"",
    );
    // He comes after the daemon: one that was there before is not taken for it.
    let silent = free_port();
    let listener = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, silent)).unwrap();
        std::thread::sleep(Duration::from_secs(6));
        drop(listener);
    });
    let text = fs::read_to_string(server.host.policy_path(SERVER)).unwrap();
    server.host.policy(SERVER, &text.replace("SILENT", &silent.to_string()));
    let start = server.host.action(SERVER, "start").instance("web").with("port", server.port).timeout_ms(4000);
    let _ = start.is(1).says("no complete answer");
    let known = server.shows("endpoint-silent");
    assert_eq!(known["verdict"], "failed");
    listener.join().unwrap();
}

fn misdeed(host: &TestHost, action: &str, what: &str, place: &str, code: i32) {
    let action = host.action(HOSTILE, action).instance("web").with("do", what).with("in", place);
    let action = action.with("daemon", place != "stop");
    let _ = action.timeout_ms(1500).recurring().is(code);
}

fn hostile_host() -> TestHost {
    let host = TestHost::new();
    host.install_hostile();
    host
}

#[test]
fn when_the_plugin_traps() {
    let host = hostile_host();
    misdeed(&host, "start", "panic", "start", 1);
    shows("plugin-traps", &host, NO_PORT);
}

#[test]
fn when_the_plugin_hangs() {
    let host = hostile_host();
    misdeed(&host, "start", "loop", "start", 1);
    shows("plugin-hangs", &host, NO_PORT);
}

#[test]
fn when_a_stop_fails() {
    let host = hostile_host();
    misdeed(&host, "start", "lie", "stop", 0);
    misdeed(&host, "stop", "lie", "stop", 1);
    let known = shows("stop-failed", &host, NO_PORT);
    assert_eq!(known["pacemaker"]["stays"], "fence");
}

#[test]
fn when_the_record_is_damaged() {
    let server = Server::new();
    server.does("start", 0);
    let record = server.host.path().join("run").join(SERVER).join("web/record");
    let whole = fs::read(&record).unwrap();
    fs::write(&record, &whole[..whole.len() - 1]).unwrap();
    server.does("stop", 1);
    assert_eq!(server.shows("record-damaged")["verdict"], "unknown");
    fs::write(&record, whole).unwrap();
}

#[test]
fn when_the_record_is_damaged_and_a_parameter_is_missing() {
    let host = TestHost::with(&["anything"]);
    let action = |action| host.action("ocf-wasm/anything", action).instance("web").recurring();
    let _ = action("start").is(6).says("parameter binfile is required");
    fs::write(host.path().join("run/ocf-wasm/anything/web/record"), "").unwrap();
    for word in ["monitor", "stop", "start"] {
        let ran = action(word).is(1);
        assert!(ran.reason().starts_with("the record is damaged or lost"), "{word}: {ran:#?}");
        assert!(ran.stderr.contains("parameter binfile is required"), "{word}: {ran:#?}");
    }
    assert_eq!(host.why("web")["verdict"], "unknown");
}

#[test]
fn without_the_agent_while_it_runs() {
    let server = Server::new();
    server.does("start", 0);
    let removed = server.host.run(&["remove", SERVER, "--force"]);
    assert_eq!(removed.code, 0, "{removed:#?}");
    let known = server.host.why("web");
    assert_eq!((&known["verdict"], &known["cleanup"]), (&"running".into(), &Value::Null));
    let advice = known["advice"].to_string();
    let says = "sample-tcp-server is not installed on this node: the next start is refused with 5; what runs is not touched; install it again: ocf-wasm";
    assert!(advice.contains(says), "{advice}");
    let _ = server.host.add(&plugin("sample-tcp-server"), &[]);
    assert_eq!(server.host.why("web")["advice"], serde_json::json!([]));
}

#[test]
fn when_it_took_more_memory_than_the_policy_gives_it() {
    if !is_root() {
        return;
    }
    let server = Server::new();
    let bind = |script: &str| {
        server.host.policy(
            SERVER,
            &format!(
                "format = 1\n\n[program.greeter]\nprogram = \"/bin/sh\"\nargv = [\"-c\", \"{script}\"]\n\
                 lifetime = \"instance\"\nuser = \"nobody\"\nlimits = {{ memory = \"32MiB\" }}\n\n\
                 [endpoint.greeting]\ntcp = {{ host = \"127.0.0.1\", port = {} }}\n",
                server.port
            ),
        );
    };
    let of_memory = "limits.memory of [program.greeter] is 32MiB: more was taken";
    let of_signal = "signal 9 comes from a person";
    for (script, ended, is_over) in [
        ("exec dd if=/dev/zero of=/dev/null bs=200M count=1", "ended by signal 9, over its limit of memory", true),
        ("dd if=/dev/zero of=/dev/null bs=200M count=1", "exited with status 137, over its limit of memory", true),
        ("kill -9 $$", "ended by signal 9", false),
    ] {
        bind(script);
        server.does("start", 1);
        let known = server.host.why("web");
        assert_eq!(known["daemons"][0]["ended"], ended);
        assert_eq!(known["daemons"][0]["over_memory"], is_over, "{script}");
        let text = known["text"].to_string();
        assert!(text.contains(&format!("greeter {ended}")), "{text}");
        let advice = known["advice"].to_string();
        assert_eq!((advice.contains(of_memory), advice.contains(of_signal)), (is_over, !is_over), "{advice}");
        assert!(!advice.contains("whoever needs more"), "it was seen who ended it: {advice}");
        server.does("stop", 0);
    }
}

#[test]
fn when_a_hot_swap_is_refused() {
    if !is_root() {
        return;
    }
    let server = Server::new();
    server.does("start", 0);
    // Today's policy, which a swap takes too, hears another port.
    server.policy(
        "tcp = { host = \"127.0.0.1\", port = { param = \"port\", port = {} } }",
        "tcp = { host = \"127.0.0.1\", port = 1 }",
    );
    let second = variant_of(&plugin("sample-tcp-server"), 2, server.host.path());
    let refused = server.host.run(&["install", "--allow-unsigned", second.to_str().unwrap()]);
    assert!(refused.code == 1 && refused.stderr.contains("the versions disagree"), "{refused:#?}");
    let known = server.shows("hot-swap-refused");
    assert_eq!((&known["verdict"], &known["cleanup"]), (&"running".into(), &Value::Null));
}
