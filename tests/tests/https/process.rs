//! The process that understands TLS, seen from outside: what the kernel says of it while a server is silent, and what it
//! asks of the kernel.

use std::collections::BTreeSet;
use std::fs;

use ocf_wasm_tests::host::{TestHost, is_alive, is_root, kill, until};
use ocf_wasm_tests::processes::{self, runner_of};
use ocf_wasm_tests::source;

use super::server::{Authority, Server, TODAY, wait};
use super::{AGENT, HELLO, grant, host};

/// Rows that cannot be seen in use on any machine, and where they are.
const ELSEWHERE: [&str; 1] = ["clock_gettime"];

/// The process for TLS that a broker has.
fn process_of(broker: i32) -> i32 {
    let mut found = None;
    until("TLS has begun", || {
        let is_tls = |pid: &i32| {
            processes::parent(*pid) == Some(broker) && processes::command_line(*pid).contains("ocf-wasm-tls")
        };
        found = processes::all().find(is_tls);
        found.is_some()
    });
    found.unwrap()
}

#[test]
fn it_has_nothing_and_ends_with_its_broker() {
    if !is_root() {
        return;
    }
    let (host, _) = host();
    let dumb = Server::plain(|stream, over| {
        wait(stream, over);
        String::new()
    });
    let port = dumb.address.port();
    grant(&host, port, "8s");
    std::thread::scope(|scope| {
        let url = format!("https://web.example:{port}/health");
        let start =
            host.action(AGENT, "start").instance("tls").with("do", "fetch").with("in", "start").with("url", url);
        let running = scope.spawn(move || start.timeout_ms(10_000).run());
        let (runner, broker) = runner_of(AGENT, "tls");
        let pid = process_of(broker);
        let proc = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
        let status = proc("status");
        let line = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(&format!("{name}:"))).unwrap();
            line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        let runner_status = fs::read_to_string(format!("/proc/{runner}/status")).unwrap();
        assert!(runner_status.contains(&format!("Uid:\t{}\t", line("Uid")[0])) && line("Uid")[0] != "0", "{status}");
        assert!(
            line("Uid").iter().all(|uid| *uid == line("Uid")[0]) && line("Groups") == [line("Gid")[0].clone()],
            "{status}"
        );
        for capabilities in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(line(capabilities), ["0000000000000000"], "{status}");
        }
        for (name, value) in [("NoNewPrivs", "1"), ("Seccomp", "2"), ("Threads", "1")] {
            assert_eq!(line(name), [value], "{status}");
        }
        let limits = proc("limits");
        let most =
            [("Max file size", "0"), ("Max core file size", "0"), ("Max processes", "0"), ("Max open files", "3")];
        for (name, most) in most {
            let limit = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            assert!(limit.split_whitespace().take(2).all(|limit| limit == most), "{limits}");
        }
        let mut open: Vec<(String, String)> = fs::read_dir(format!("/proc/{pid}/fd"))
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_link(entry.path()).unwrap()))
            .map(|(number, to)| (number, to.display().to_string().split('[').next().unwrap().to_owned()))
            .collect();
        open.sort();
        let open: Vec<(&str, &str)> = open.iter().map(|(number, to)| (number.as_str(), to.as_str())).collect();
        assert_eq!(open, [("0", "socket:"), ("1", "socket:"), ("2", "/dev/null")]);
        assert!(proc("environ").is_empty());
        kill(broker, "-KILL");
        until("nothing outlives the broker", || !is_alive(pid));
        let _ = running.join().unwrap();
    });
}

/// The names of the list, from its text.
fn rows() -> BTreeSet<String> {
    let file = source::files_ending("host/src/sandbox/tls.rs").remove(0);
    let table = file.text.split_once("pub const CALLS").unwrap().1.split_once("];").unwrap().0.to_owned();
    let other = if cfg!(target_arch = "x86_64") { "ppoll" } else { "poll" };
    let rows = table.split("libc::SYS_").skip(1).map(|rest| rest.split(',').next().unwrap().to_owned());
    rows.filter(|name| name != other).collect()
}

/// The calls that the process for TLS made after its filter was in force.
fn asked(log: &str) -> BTreeSet<String> {
    let rows = rows();
    let mut ours = BTreeSet::new();
    let mut found = BTreeSet::new();
    for line in log.lines() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        assert!(!rest.contains("SIGSYS"), "refused: {log}");
        if rest.starts_with("execveat(") && rest.contains("/ocf-wasm-t") {
            ours.insert(pid);
        }
        // Now and then strace shows the call that ends a process as one of its own.
        if ours.contains(pid)
            && !rest.starts_with(&format!("kill({pid}, SIGKILL"))
            && let Some((name, _)) = rest.split_once('(')
            && name.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit())
        {
            assert!(rows.contains(name), "made, and not in the list: {line}\n{log}");
            found.insert(name.to_owned());
        }
    }
    assert!(!ours.is_empty(), "no TLS: {log}");
    found
}

/// One fetch under strace.
fn traced(host: &TestHost, server: &Server) -> BTreeSet<String> {
    let port = server.address.port();
    grant(host, port, "3s");
    let log = host.path().join(format!("strace-{port}"));
    let under = ["strace", "-f", "-o", log.to_str().unwrap()];
    let call = host.call(AGENT).argument("start").instance("traced").under(&under);
    let call = call.variable("OCF_RESKEY_do", "fetch").variable("OCF_RESKEY_in", "start");
    let call = call.variable("OCF_RESKEY_url", format!("https://web.example:{port}/health"));
    let ran = call.variable("OCF_RESKEY_CRM_meta_timeout", "6000").run();
    assert_eq!(ran.code, 1, "{ran:#?}");
    asked(&fs::read_to_string(log).unwrap())
}

#[test]
fn each_row_is_needed_and_nothing_else_is() {
    let (host, authority) = host();
    let issue = || authority.issue(&["web.example"], TODAY);
    let mut found = traced(&host, &Server::saying(issue(), HELLO));
    let long: &'static str = Box::leak(format!("HTTP/1.0 200 OK\r\n\r\n{}", "x".repeat(60_000)).into_boxed_str());
    found.extend(traced(&host, &Server::saying(issue(), long)));
    found.extend(traced(&host, &Server::saying(Authority::new("theirs").issue(&["web.example"], TODAY), HELLO)));
    // As many authorities as there may be.
    let many = authority.pem().repeat(760 * 1024 / authority.pem().len());
    fs::write(host.path().join("etc/ca.pem"), many).unwrap();
    found.extend(traced(&host, &Server::saying(issue(), HELLO)));
    let rows = rows();
    assert!(rows.contains("execveat"), "the list was not found");
    let unused: Vec<_> = rows.difference(&found).filter(|name| !ELSEWHERE.contains(&name.as_str())).collect();
    assert!(unused.is_empty(), "in the list, and never needed: {unused:?}");
}
