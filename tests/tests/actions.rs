//! The life of the two example plugins, seen from outside: exit statuses, reasons, and what lives on the machine.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use ocf_wasm_tests::host::{
    Action, TestHost, free_port, is_alive, is_root, kill, plugin, policy_of, skip, until, variant_of,
};

const DUMMY: &str = "ocf-wasm/dummy";
const SERVER: &str = "ocf-wasm/sample-tcp-server";

/// One instance of sample-tcp-server on a port of its own.
struct Server {
    host: TestHost,
    port: u16,
    name: String,
}

impl Server {
    fn new() -> Self {
        let port = free_port();
        Self { host: TestHost::with(&["sample-tcp-server"]), port, name: format!("tcp-{port}") }
    }

    /// With switches of the greeter in the policy.
    fn with_switches(switches: &str) -> Self {
        let server = Self::new();
        let policy = policy_of("sample-tcp-server");
        let changed = policy.replace("argv        = [", &format!("argv        = [{switches}, "));
        assert_ne!(changed, policy);
        server.host.policy(SERVER, &changed);
        server
    }

    fn action<'a>(&'a self, action: &'a str) -> Action<'a> {
        self.host.action(SERVER, action).instance(&self.name).with("port", self.port)
    }

    fn monitor(&self) -> Action<'_> {
        self.action("monitor").recurring()
    }

    fn probe(&self) -> Action<'_> {
        self.action("monitor")
    }

    /// The main process and its child.
    fn pids(&self) -> (i32, i32) {
        let all = self.host.processes(&self.name);
        let of = |word: &str| all.iter().find(|(_, line)| line.contains(word)).map(|(pid, _)| *pid);
        let port = format!("--port {}", self.port);
        (of(&port).unwrap_or_else(|| panic!("{all:?}")), of("--part-child").unwrap_or_else(|| panic!("{all:?}")))
    }

    fn greeting(&self) -> String {
        let mut text = String::new();
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    fn is_listening(&self) -> bool {
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok()
    }
}

#[test]
fn a_dummy_lives_from_start_to_stop() {
    let host = TestHost::with(&["dummy"]);
    let action = |word| host.action(DUMMY, word);
    let _ = action("monitor").is(7);
    let _ = action("monitor").recurring().is(7);
    let _ = action("stop").is(0);
    let _ = action("start").is(0);
    let _ = action("start").is(0);
    let _ = action("monitor").is(0);
    let _ = action("monitor").recurring().is(0);
    let _ = action("validate-all").is(0);
    let _ = action("stop").is(0);
    let _ = action("stop").is(0);
    let _ = action("monitor").is(7);
    let _ = action("monitor").recurring().is(7);
}

#[test]
fn a_dummy_reloads_migrates_and_is_never_promoted() {
    let host = TestHost::with(&["dummy"]);
    let action = |word| host.action(DUMMY, word);
    let migration = |word| action(word).with("CRM_meta_migrate_source", "n1").with("CRM_meta_migrate_target", "n2");
    let _ = migration("migrate_to").is(1).says("not running");
    let _ = action("start").is(0);
    let _ = action("reload-agent").with("fake", "changed").is(0);
    let _ = action("promote").is(3).says("promote");
    let _ = action("demote").is(3).says("demote");
    let _ = action("notify").is(3).says("notify");
    let _ = migration("migrate_to").is(0);
    // What left is not running here, and the cluster's stop afterwards finds nothing to do.
    let _ = action("stop").is(0);
    let _ = action("monitor").is(7);
    let _ = migration("migrate_from").is(0);
    let _ = action("monitor").recurring().is(0);
    let _ = action("stop").is(0);
}

#[test]
fn a_start_that_reports_a_failure_leaves_what_it_started() {
    let host = TestHost::with(&["dummy"]);
    let action = |word| host.action(DUMMY, word).with("CRM_meta_on_node", "n7").with("fail_start_on", "n7");
    let _ = action("start").is(1).says("fail_start_on is n7");
    let _ = action("monitor").recurring().is(0);
    let _ = action("stop").is(0);
    let _ = action("monitor").is(7);
}

#[test]
fn an_action_that_is_too_slow_is_answered_in_time() {
    let host = TestHost::with(&["dummy"]);
    let slow = host.action(DUMMY, "start").with("op_sleep", 60).timeout_ms(2000);
    let _ = slow.is(1).says("monitor").within(Duration::from_millis(1990));
    // The stop uses what the start was given, and is too slow too: the host knows that nothing is left.
    let _ = host.action(DUMMY, "stop").timeout_ms(2000).is(0).within(Duration::from_millis(1990));
}

#[test]
fn two_instances_do_not_know_each_other() {
    let host = TestHost::with(&["dummy"]);
    let _ = host.action(DUMMY, "start").instance("a").is(0);
    let _ = host.action(DUMMY, "monitor").instance("b").is(7);
    let _ = host.action(DUMMY, "start").instance("a:1").is(0);
    let _ = host.action(DUMMY, "stop").instance("a").is(0);
    let _ = host.action(DUMMY, "monitor").instance("a:1").recurring().is(0);
    let _ = host.action(DUMMY, "stop").instance("a:1").is(0);
}

#[test]
fn an_unknown_action_is_refused_before_anything_else() {
    let host = TestHost::with(&["dummy"]);
    let _ = host.call(DUMMY).argument("frobnicate").is(3).says("frobnicate");
    let _ = host.call(DUMMY).is(3).says("no action");
    let _ = host.call(DUMMY).argument("").is(3);
    fs::remove_file(host.policy_path(DUMMY)).unwrap();
    let _ = host.call(DUMMY).argument("frobnicate").instance("x/y").is(3);
}

#[test]
fn metadata_is_the_same_bytes_for_everybody() {
    if !is_root() {
        return;
    }
    let host = TestHost::with(&["dummy", "sample-tcp-server"]);
    for agent in [DUMMY, SERVER] {
        let first = host.call(agent).argument("meta-data").is(0);
        let nobody = host.call(agent).argument("meta-data").user(65534).is(0);
        assert!(first.stdout.starts_with("<?xml") && first.stdout.contains("<shortdesc"), "{first:#?}");
        assert_eq!(first.stdout, nobody.stdout);
        assert_eq!(nobody.stderr, "");
        assert!(host.call(agent).argument("usage").user(65534).is(0).stdout.contains("start, stop, monitor"));
    }
}

#[test]
fn a_server_lives_from_start_to_stop() {
    let server = Server::new();
    let _ = server.probe().is(7);
    let _ = server.action("start").is(0);
    let (main, child) = server.pids();
    let _ = server.action("start").is(0);
    assert_eq!(server.pids(), (main, child), "a second start starts nothing");
    let _ = server.monitor().is(0);
    let _ = server.probe().is(0);
    assert!(server.greeting().starts_with("Hello! This is "), "{}", server.greeting());
    let _ = server.action("stop").is(0);
    assert!(!is_alive(main) && !is_alive(child));
    let _ = server.action("stop").is(0);
    let _ = server.monitor().is(7);
    let _ = server.probe().is(7);
}

#[test]
fn a_server_whose_main_process_is_killed_is_seen_and_started_again() {
    let server = Server::new();
    let _ = server.action("start").is(0);
    let (main, child) = server.pids();
    kill(main, "-KILL");
    let _ = server.monitor().is(1).says("left");
    let _ = server.probe().is(1).says("left");
    kill(child, "-KILL");
    let _ = server.monitor().is(1).says("ended by signal 9");
    let _ = server.probe().is(7);
    let _ = server.action("start").is(0);
    let again = server.pids();
    assert!(again.0 != main && again.1 != child);
    let _ = server.monitor().is(0);
    // Broken, and the cluster stops it before it starts it anew.
    kill(again.0, "-KILL");
    let _ = server.action("stop").is(0);
    assert!(!is_alive(again.1));
    let _ = server.probe().is(7);
}

#[test]
fn a_start_over_what_is_left_leaves_one_daemon() {
    let server = Server::new();
    let _ = server.action("start").is(0);
    let (main, child) = server.pids();
    kill(main, "-KILL");
    let _ = server.action("start").is(0);
    assert!(!is_alive(child));
    let _ = server.monitor().is(0);
    assert_eq!(server.host.processes(&server.name).len(), 2);
    let _ = server.action("stop").is(0);
}

#[test]
fn a_daemon_that_ignores_its_signal_is_killed_in_time() {
    let server = Server::with_switches("\"--ignore-term\"");
    let _ = server.action("start").is(0);
    let (main, child) = server.pids();
    let _ = server.action("stop").timeout_ms(3000).is(0).within(Duration::from_millis(2990));
    assert!(!is_alive(main) && !is_alive(child));
    let _ = server.probe().is(7);
}

#[test]
fn a_daemon_that_goes_to_the_background_is_tracked_and_ended() {
    let server = Server::with_switches("\"--double-fork\"");
    if !server.host.run(&["check"]).stdout.contains("by control group") {
        skip("no control group can be made here, so a daemon that leaves its session is not tracked");
        return;
    }
    // Bound as one in the foreground, its main process ends at once. Whatever is answered to that, it can be stopped.
    let started = server.action("start").timeout_ms(3000).run();
    assert!(matches!(started.code, 0 | 1), "{started:#?}");
    until("it listens", || server.is_listening());
    let all = server.host.processes(&server.name);
    assert!(!all.is_empty() && all.iter().all(|(pid, _)| is_alive(*pid)), "{all:?}");
    let _ = server.action("stop").is(0);
    assert!(all.iter().all(|(pid, _)| !is_alive(*pid)), "{all:?}");
    assert!(!server.is_listening());
}

#[test]
fn a_daemon_that_ends_while_it_is_started_fails_the_start_at_once() {
    let server = Server::new();
    // Somebody has the port on another address, so the daemon, which wants all of them, cannot do its work.
    let _taken = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), server.port)).unwrap();
    let ran = server.action("start").is(1).within(Duration::from_secs(5));
    assert!(ran.reason().contains("exited with status 1") && ran.reason().contains("port"), "{ran:#?}");
    let _ = server.action("stop").is(0);
    let _ = server.probe().is(7);
}

#[test]
fn the_greeting_is_a_parameter_and_is_checked() {
    let server = Server::new();
    let greet = "Grüß 'Gott' $(id) \"\\n";
    let _ = server.action("start").with("greet", greet).is(0);
    assert!(server.greeting().starts_with(&format!("{greet} This is ")), "{}", server.greeting());
    // A monitor of what runs uses what it was started with.
    let _ = server.monitor().with("greet", "other").is(0);
    let _ = server.action("stop").with("greet", "third").is(0);
    // What the policy takes for no text, no node with this policy starts.
    let _ = server.action("start").with("greet", "two\nlines").is(4).says("parameter greet");
    let _ = server.action("stop").is(0);
}

#[test]
fn a_wrong_greeting_is_a_failure() {
    let server = Server::new();
    let policy = policy_of("sample-tcp-server");
    let changed = policy.replace("{ param = \"greet\", text = { max = 200 } }", "\"Bonjour\"");
    assert_ne!(changed, policy);
    server.host.policy(SERVER, &changed);
    let _ = server.action("start").timeout_ms(3000).is(1).says("greeted with").within(Duration::from_millis(2990));
    let _ = server.monitor().is(1).says("greeted with");
    let _ = server.action("stop").is(0);
    let _ = server.probe().is(7);
}

#[test]
fn a_stranger_on_the_port_is_no_daemon_of_ours() {
    let server = Server::new();
    let taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, server.port)).unwrap();
    let _ = server.probe().is(7);
    let _ = server.action("stop").is(0);
    drop(taken);
}

#[test]
fn a_daemon_keeps_no_descriptor_of_its_start() {
    let server = Server::new();
    let began = Instant::now();
    let mut start = server.host.tool(&["run", SERVER, "start", "--instance", &server.name, "-p"]);
    let mut child = start
        .arg(format!("port={}", server.port))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let read = std::thread::spawn(move || {
        let mut text = String::new();
        out.read_to_string(&mut text).unwrap();
        err.read_to_string(&mut text).unwrap();
        text
    });
    assert!(child.wait().unwrap().success());
    until("standard output and error are closed", || read.is_finished());
    assert!(!read.join().unwrap().contains("ocf-exit-reason"), "after {:?}", began.elapsed());
    let (main, _) = server.pids();
    assert_ne!(session_of(main), session_of(std::process::id().cast_signed()), "a session of its own");
    let _ = server.action("stop").is(0);
}

/// The session of a process, field 6 of its stat.
fn session_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(3)?.parse().ok()
}

#[test]
fn a_new_version_takes_over_what_runs() {
    let server = Server::new();
    let _ = server.action("start").is(0);
    let before = server.pids();
    let generation = || {
        let listed = server.host.run(&["-o", "json", "list"]).json();
        let both = (listed["agents"][0]["generation"].as_u64(), listed["instances"][0]["generation"].as_u64());
        assert_eq!(both.0, both.1, "{listed}");
        both.0.unwrap()
    };
    assert_eq!(generation(), 1);
    let second = variant_of(&plugin("sample-tcp-server"), 2, server.host.path());
    let installed = server.host.add(&second, &[]);
    assert!(installed.stdout.contains(&server.name), "{installed:#?}");
    assert_eq!(generation(), 2);
    let _ = server.monitor().is(0);
    assert_eq!(server.pids(), before);
    let back = server.host.run(&["rollback", SERVER]);
    assert_eq!(back.code, 0, "{back:#?}");
    assert!(back.stdout.contains(&server.name), "{back:#?}");
    assert_eq!(generation(), 1);
    let _ = server.monitor().is(0);
    assert_eq!(server.pids(), before);
    let _ = server.action("stop").is(0);
}

#[test]
fn a_new_version_for_the_next_start_leaves_what_runs_alone() {
    let server = Server::new();
    let _ = server.action("start").is(0);
    let second = variant_of(&plugin("sample-tcp-server"), 2, server.host.path());
    let _ = server.host.add(&second, &["--next-start"]);
    let pinned = || server.host.run(&["-o", "json", "list"]).json()["instances"][0]["generation"].as_u64();
    assert_eq!(pinned(), Some(1));
    let _ = server.monitor().is(0);
    let _ = server.action("stop").is(0);
    let _ = server.action("start").is(0);
    assert_eq!(pinned(), Some(2));
    let _ = server.action("stop").is(0);
}

#[test]
fn a_policy_that_is_spoiled_while_it_runs_hurts_only_the_next_start() {
    if !is_root() {
        return;
    }
    for (spoil, reason) in [
        ("deleted", "is not there"),
        ("broken", "policy sample-tcp-server.toml:12:"),
        ("another label", "program greeter"),
        ("writable by all", "writable"),
        ("somebody else's", "root"),
    ] {
        let server = Server::new();
        let _ = server.action("start").is(0);
        let path = server.host.policy_path(SERVER);
        let policy = fs::read_to_string(&path).unwrap();
        match spoil {
            "deleted" => fs::remove_file(&path).unwrap(),
            "broken" => server.host.policy(SERVER, &policy.replace("lifetime    = \"instance\"", "lifetime = ")),
            "another label" => server.host.policy(SERVER, &policy.replace("[program.greeter]", "[program.gruesser]")),
            "writable by all" => fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap(),
            _ => std::os::unix::fs::chown(&path, Some(65534), None).unwrap(),
        }
        let _ = server.monitor().is(0);
        let _ = server.probe().is(0);
        let _ = server.action("stop").is(0);
        let _ = server.probe().is(7);
        let refused = server.action("start").run();
        assert_eq!(refused.code, 4, "{spoil}: {refused:#?}");
        assert!(refused.reason().contains(reason), "{spoil}: {refused:#?}");
        let _ = server.monitor().run();
        let _ = server.action("stop").is(0);
        assert!(!server.is_listening());
    }
}

#[test]
fn an_agent_is_not_removed_under_an_instance() {
    let server = Server::new();
    let _ = server.action("start").is(0);
    let refused = server.host.run(&["remove", SERVER]);
    assert_eq!(refused.code, 1, "{refused:#?}");
    assert!(refused.stderr.contains(&server.name), "{refused:#?}");
    let _ = server.monitor().is(0);
    // By force it keeps what it takes to stop.
    let forced = server.host.run(&["remove", SERVER, "--force"]);
    assert_eq!(forced.code, 0, "{forced:#?}");
    let _ = server.action("stop").is(0);
    assert!(!server.is_listening());
    let _ = server.action("start").is(5);
}

#[test]
fn the_cache_may_vanish() {
    let server = Server::new();
    let _ = server.action("start").is(0);
    for entry in fs::read_dir(server.host.path().join("cache")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let _ = server.monitor().is(0);
    let _ = server.action("stop").is(0);
}

#[test]
fn a_trace_shows_each_call() {
    let server = Server::new();
    let ran = server.action("start").more(&["--trace"]).is(0);
    assert!(ran.stderr.contains("program.start") && ran.stderr.contains("= start"), "{ran:#?}");
    let why = server.host.why(&server.name);
    assert_eq!(why["state"], "started");
    assert_eq!(why["actions"][0]["action"], "start");
    let _ = server.action("stop").is(0);
}
