//! web-service: a script of the old kind and a web server, both real, and what becomes of a service whose script or page
//! lies.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use ocf_wasm_tests::host::{Action, TestHost, free_port, is_alive, kill, policy_of};
use ocf_wasm_tests::processes;
use ocf_wasm_tests::source::checkout;

const AGENT: &str = "ocf-wasm/web-service";
/// Where the host sees what a test puts below `etc` of its private root.
const SCRIPTS: &str = "/etc/ocf-wasm/scripts";

/// A node with the script of the example on a port of its own, and an instance of it.
struct Service {
    host: TestHost,
    port: u16,
    name: String,
    script: String,
}

impl Service {
    fn new() -> Self {
        let (host, port) = (TestHost::new(), free_port());
        let policy = policy_of("web-service");
        let ours = policy.replace("/usr/libexec/ocf-wasm/examples", SCRIPTS).replace("5681", &port.to_string());
        assert!(ours.contains(SCRIPTS) && ours.contains(&port.to_string()));
        host.install("web-service");
        host.policy(AGENT, &ours);
        let script = fs::read_to_string(checkout().join("plugins/web-service/page.sh")).unwrap();
        let script = script.replace("5681", &port.to_string());
        let service = Self { host, port, name: format!("web-{port}"), script };
        service.lies(&[]);
        service
    }

    /// From now on the script does these things instead of what these verbs are for.
    fn lies(&self, lies: &[(&str, &str)]) {
        let lies: Vec<String> =
            lies.iter().map(|(verb, text)| format!("[ $1 != {verb} ] || {{ {text}; }}\n")).collect();
        let directory = self.host.path().join("etc/scripts");
        fs::create_dir_all(&directory).unwrap();
        let text = self.script.replacen('\n', &format!("\n{}", lies.concat()), 1);
        fs::write(directory.join("service"), text).unwrap();
    }

    fn action<'a>(&'a self, word: &'a str) -> Action<'a> {
        let action = self.host.action(AGENT, word).instance(&self.name).timeout_ms(5_000);
        action.with("service_path", format!("{SCRIPTS}/service")).with("probe_url", self.url())
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    fn page(&self) -> String {
        let mut page = String::new();
        let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        server.write_all(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
        server.read_to_string(&mut page).unwrap();
        page
    }

    fn is_served(&self) -> bool {
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok()
    }

    /// The server and its child.
    fn pids(&self) -> Vec<i32> {
        self.host.processes(&self.name).into_iter().map(|(pid, _)| pid).collect()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // A server that is asked ends its child itself. What was started by hand does not know the instance.
        let port = self.port.to_string();
        processes::all().filter(|pid| processes::has_argument(*pid, &port)).for_each(|pid| kill(pid, "-TERM"));
    }
}

/// A server of somebody else on a port, which answers each request with this status line.
fn somebody(port: u16, status: &'static str) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let _ = client.read(&mut [0; 1024]);
            let _ = client.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes());
        }
    });
}

#[test]
fn its_whole_life() {
    let service = Service::new();
    service.action("validate-all").is(0);
    service.action("monitor").is(7);
    service.action("stop").is(0);
    service.action("start").is(0);
    assert!(service.page().contains("This is "), "{}", service.page());
    let pids = service.pids();
    assert_eq!(pids.len(), 2, "{pids:?}");
    service.action("start").is(0);
    assert_eq!(service.pids(), pids);
    service.action("monitor").is(0);
    service.action("monitor").recurring().is(0);
    // Its child alone serves nothing, and the script does not know it.
    kill(pids[0], "-KILL");
    let _ = service.action("monitor").recurring().is(1).says("the script says that it is stopped, processes left: 1");
    service.action("stop").is(0);
    assert!(pids.iter().all(|pid| !is_alive(*pid)));
    service.action("start").is(0);
    for pid in service.pids() {
        kill(pid, "-KILL");
    }
    service.action("monitor").recurring().is(7);
    service.action("start").is(0);
    service.action("stop").is(0);
    assert!(!service.is_served());
    service.action("monitor").is(7);
}

#[test]
fn a_script_that_says_running_of_what_is_dead() {
    let service = Service::new();
    service.action("start").is(0);
    service.lies(&[("status", "exit 0")]);
    service.pids().into_iter().for_each(|pid| kill(pid, "-KILL"));
    let _ = service.action("monitor").recurring().is(1).says("connection refused");
    // Nothing of it is alive: a probe must not stop the healthy copy on another node.
    service.action("monitor").is(7);
    service.action("stop").is(0);
}

#[test]
fn a_script_that_says_stopped_of_what_lives() {
    let service = Service::new();
    service.action("start").is(0);
    service.lies(&[("status", "exit 3")]);
    for action in [service.action("monitor"), service.action("monitor").recurring()] {
        let _ = action.is(1).says("the script says that it is stopped, processes left: 2");
    }
    // Nor does its stop end anything.
    service.lies(&[("status", "exit 3"), ("stop", "exit 0")]);
    service.action("stop").is(0);
    assert!(!service.is_served());
}

#[test]
fn a_script_that_hangs_or_fails_in_stop_is_no_reason_to_fence() {
    let service = Service::new();
    for stop in ["exit 1", "sleep 1004"] {
        service.lies(&[]);
        service.action("start").is(0);
        service.lies(&[("stop", stop)]);
        service.action("stop").is(0);
        assert!(!service.is_served(), "{stop}");
    }
}

#[test]
fn a_page_that_does_not_answer_is_a_failure_of_what_runs() {
    let service = Service::new();
    service.action("start").is(0);
    for pid in service.pids() {
        kill(pid, "-STOP");
    }
    let _ = service.action("monitor").recurring().timeout_ms(12_000).is(1).says("no complete answer");
    for pid in service.pids() {
        kill(pid, "-CONT");
    }
    service.action("monitor").recurring().is(0);
    service.action("stop").is(0);
}

#[test]
fn a_page_of_somebody_else_does_not_make_it_run() {
    for status in ["200 OK", "503 Service Unavailable"] {
        let service = Service::new();
        somebody(service.port, status);
        service.action("monitor").is(7);
        service.action("monitor").recurring().is(7);
        // The port is taken, so the script leaves nothing behind.
        let _ = service.action("start").is(1);
        service.action("stop").is(0);
    }
}

#[test]
fn what_was_started_by_hand_is_found_and_stopped() {
    let service = Service::new();
    let script = format!("{SCRIPTS}/service");
    let by_hand = service.host.call(AGENT).argument("monitor").instance(&service.name);
    let by_hand = by_hand.variable("OCF_RESKEY_service_path", &script).variable("OCF_RESKEY_probe_url", service.url());
    // As nobody, who the script is for the policy; in a namespace of one user there is nobody else.
    let nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups";
    let _ = by_hand.before(&format!("{nobody} /bin/sh {script} start 2>/dev/null || /bin/sh {script} start")).is(0);
    service.action("start").is(0);
    service.action("monitor").recurring().is(0);
    service.action("stop").is(0);
    assert!(!service.is_served());
}

#[test]
fn what_the_policy_does_not_list_is_not_run_and_not_asked() {
    let service = Service::new();
    let other = |name: &str, value: &str| service.action("start").with(name, value).timeout_ms(3_000);
    let _ = other("service_path", "/bin/true").is(4).says("service_path");
    let _ = other("service_path", &format!("{SCRIPTS}/../ocf-wasm/agents.toml")).is(4).says("service_path");
    assert!(!service.is_served());
    for url in ["http://127.0.0.1:22/", "http://192.0.2.1/"] {
        let _ = other("probe_url", url).is(4).says("probe_url");
        service.action("stop").is(0);
    }
    let _ = service.action("validate-all").with("probe_url", "ftp://127.0.0.1/").is(6).says("https://");
}
