//! What people do to a running instance by accident: files of it deleted, starts repeated with something else.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::net::TcpListener;
use std::process::Stdio;

use ocf_wasm_tests::host::{Action, TestHost, dist, finish, free_port, is_alive, plugin, variant_of};

const SERVER: &str = "ocf-wasm/sample-tcp-server";

struct Server {
    host: TestHost,
    port: u16,
    name: String,
}

impl Server {
    fn running() -> Self {
        let port = free_port();
        let server = Self { host: TestHost::with(&["sample-tcp-server"]), port, name: format!("tcp-{port}") };
        server.action("start").is(0);
        server
    }

    fn action<'a>(&'a self, word: &'a str) -> Action<'a> {
        self.host.action(SERVER, word).instance(&self.name).with("port", self.port)
    }

    fn pids(&self) -> Vec<i32> {
        self.host.processes(&self.name).into_iter().map(|(pid, _)| pid).collect()
    }

    /// What all actions say of an instance of which nobody knows what runs.
    fn is_lost(&self, pids: &[i32]) {
        let recurring = self.action("monitor").recurring();
        for action in [self.action("start"), self.action("stop"), recurring, self.action("monitor")] {
            let _ = action.is(1).says("damaged or was lost");
        }
        assert!(pids.iter().all(|pid| is_alive(*pid)));
    }
}

#[test]
fn a_record_that_is_gone_is_not_a_stop() {
    let server = Server::running();
    let pids = server.pids();
    let directory = server.host.path().join("run").join(SERVER).join(&server.name);
    let kept = fs::read(directory.join("record")).unwrap();
    fs::remove_file(directory.join("record")).unwrap();
    server.is_lost(&pids);
    fs::write(directory.join("record"), kept).unwrap();
    server.action("stop").is(0);
    // After a stop nothing is left that would need a record.
    fs::remove_file(directory.join("record")).unwrap();
    server.action("monitor").is(7);
    server.action("start").is(0);
    server.action("stop").is(0);
}

#[test]
fn all_records_gone_are_not_a_stop() {
    let server = Server::running();
    let pids = server.pids();
    let (run, aside) = (server.host.path().join("run"), server.host.path().join("aside"));
    fs::rename(&run, &aside).unwrap();
    server.is_lost(&pids);
    fs::remove_dir_all(&run).unwrap();
    fs::rename(&aside, &run).unwrap();
    server.action("stop").is(0);
}

#[test]
fn a_start_with_other_parameters_leaves_what_runs_as_it_is() {
    let server = Server::running();
    let (pids, other) = (server.pids(), free_port());
    let again = server.host.action(SERVER, "start").instance(&server.name).with("port", other).is(0);
    assert!(again.stderr.contains("already runs with what it was started with"), "{again:#?}");
    assert_eq!(server.pids(), pids);
    server.action("monitor").recurring().is(0);
    let why = server.host.run(&["why", &server.name]).stdout;
    assert!(why.contains(&format!("port = {}", server.port)) && !why.contains(&other.to_string()), "{why}");
    // The change counts from the next start.
    server.action("stop").is(0);
    let changed = server.host.action(SERVER, "start").instance(&server.name).with("port", other);
    changed.is(0);
    let why = server.host.run(&["why", &server.name]).stdout;
    assert!(why.contains(&format!("port = {other}")), "{why}");
    server.action("stop").is(0);
}

#[test]
fn a_start_on_a_port_that_another_answers_fails_and_says_so() {
    let server = Server::running();
    let twin = server.host.action(SERVER, "start").instance("twin").with("port", server.port);
    let _ = twin.is(1).says(&format!("port {}: somebody else listens there", server.port));
    server.host.action(SERVER, "stop").instance("twin").with("port", server.port).is(0);
    server.action("monitor").recurring().is(0);
    server.action("stop").is(0);
    let listener = TcpListener::bind(("127.0.0.1", server.port)).unwrap();
    let _ = server.action("start").is(1).says("somebody else listens there");
    drop(listener);
    server.action("stop").is(0);
}

#[test]
fn an_install_that_is_refused_or_changes_nothing_makes_no_generation() {
    let server = Server::running();
    let generations = || {
        let agent = server.host.path().join("lib/agents").join(SERVER);
        let mut names: Vec<_> =
            fs::read_dir(agent).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(generations(), ["1", "current"]);
    let again = server.host.add(&plugin("sample-tcp-server"), &[]);
    assert!(again.stdout.contains("generation 1"), "{again:#?}");
    assert_eq!(generations(), ["1", "current"]);
    // Another version, which cannot take over what runs: its policy does not parse.
    let other = variant_of(&plugin("sample-tcp-server"), 7, server.host.path());
    let policy = server.host.policy_path(SERVER);
    let good = fs::read_to_string(&policy).unwrap();
    server.host.policy(SERVER, "format = 1\n[program.greeter]\nprogram = \"/bin/true\"\n");
    let refused = server.host.run(&["install", other.to_str().unwrap(), "--allow-unsigned"]);
    assert_eq!(refused.code, 1, "{refused:#?}");
    assert_eq!(generations(), ["1", "current"]);
    server.host.policy(SERVER, &good);
    server.host.add(&other, &[]);
    assert_eq!(generations(), ["1", "2", "current"]);
    server.action("stop").is(0);
}

#[test]
fn looking_into_a_root_that_is_not_there_makes_none() {
    let host = TestHost::new();
    let missing = host.path().join("typo");
    for verb in [&["list"][..], &["check"], &["why", "web"], &["remove", SERVER], &["rollback", SERVER]] {
        let mut tool = std::process::Command::new(dist().join("usr/bin/ocf-wasm"));
        let ran = finish(tool.arg("--root").arg(&missing).args(verb));
        let says = format!("error: there is no private root {}: `install` and `run` make one\n", missing.display());
        assert_eq!((ran.code, ran.stderr.as_str()), (1, says.as_str()), "{verb:?}");
        assert!(!missing.exists());
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_tool_quietly() {
    let server = Server::running();
    for verb in [&["list"][..], &["why", &server.name], &["check"], &["--help"]] {
        let mut child = server.host.tool(verb).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{verb:?}");
    }
    server.action("stop").is(0);
}
