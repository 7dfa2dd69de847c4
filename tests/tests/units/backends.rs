//! What a daemon does, and what its agent answers, whatever starts it: the same table for each.

use std::time::Duration;

use super::*;

/// What starts the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Backend {
    /// The host itself, under a keeper.
    Direct,
    /// The host, under a keeper in a unit of its own.
    Transient,
    /// systemd, as a unit.
    Unit,
}

/// A node on which label `greeter` is bound so, and one daemon on it.
struct Daemon {
    node: Node,
    backend: Backend,
    port: u16,
}

impl Daemon {
    fn new(backend: Backend) -> Self {
        let port = 5650;
        let node = Node::new("backends");
        let daemon = Self { node, backend, port };
        daemon.is_to_run("");
        daemon
    }

    /// Has it run with other switches from the next start on.
    fn is_to_run(&self, switches: &str) {
        let environment = "environment = { GREET = { param = \"greet\", text = { max = 200 } } }";
        if self.backend == Backend::Unit {
            self.node.greeter("greeter.service", self.port, switches, "TimeoutStopSec=600");
            return self.node.policy("greeter.service");
        }
        let manager = if self.backend == Backend::Direct { "none" } else { "systemd" };
        let words: Vec<String> = switches.split_whitespace().map(|word| format!("{word:?}, ")).collect();
        self.node.policy_with(&format!(
            "program = \"/usr/libexec/ocf-wasm/examples/greeter\"\nlifetime = \"instance\"\nuser = \"nobody\"\nnetwork = \"host\"\n\
             manager = \"{manager}\"\nargv = [{}\"--port\", {{ param = \"port\", port = {{}} }}, \"--node\", \"box\"]\n{environment}",
            words.concat()
        ));
    }

    fn act(&self, action: &str) -> Ran {
        self.node.act(action, self.port, &[])
    }

    /// Processes of the daemon, as `why` knows them: the main process and its child.
    fn processes(&self) -> Vec<String> {
        let known = self.node.why(self.port);
        let processes = known["daemons"][0]["processes"].as_array().cloned().unwrap_or_default();
        processes.iter().map(ToString::to_string).collect()
    }

    fn is_alive(&self, pid: &str) -> bool {
        self.node.machine.run(&["kill", "-0", pid]).code == 0
    }

    /// The main process, which is the one that listens.
    fn main(&self) -> String {
        let pattern = format!("greeter .*--port {}", self.port);
        self.node.machine.must(&["pgrep", "-o", "-f", "--", &pattern]).trim().to_owned()
    }
}

/// Whatever starts it: from start to stop, each twice.
fn lives(daemon: &Daemon) {
    let (node, port) = (&daemon.node, daemon.port);
    let _ = node.probe(port).is(7);
    let _ = daemon.act("stop").is(0);
    let _ = daemon.act("start").is(0);
    let processes = daemon.processes();
    assert_eq!(processes.len(), 2, "{processes:?}");
    let _ = daemon.act("start").is(0);
    assert_eq!(daemon.processes(), processes, "a second start starts nothing");
    assert_eq!(node.greeting(port), "Hello! This is box!\n");
    let _ = node.monitor(port).is(0);
    let _ = node.probe(port).is(0);
    let _ = daemon.act("stop").is(0);
    assert!(processes.iter().all(|pid| !daemon.is_alive(pid)));
    let _ = daemon.act("stop").is(0);
    let _ = node.monitor(port).is(7);
    let _ = node.probe(port).is(7);
}

/// Its main process dies, and then all of it.
fn dies(daemon: &Daemon) {
    let (node, port) = (&daemon.node, daemon.port);
    let _ = daemon.act("start").is(0);
    let processes = daemon.processes();
    let main = daemon.main();
    node.kill(&[&main]);
    if daemon.backend != Backend::Unit {
        // Its child lives on. Where systemd is asked, that ends what is left.
        let _ = node.monitor(port).is(1).says("processes left: 1");
        let _ = node.probe(port).is(1);
        let left: Vec<&str> = processes.iter().map(String::as_str).filter(|pid| *pid != main).collect();
        node.kill(&left);
    }
    until("all of it is gone", || processes.iter().all(|pid| !daemon.is_alive(pid)));
    let _ = node.monitor(port).is(1).says("ended by signal 9");
    let _ = node.probe(port).is(7);
    let _ = daemon.act("start").is(0);
    let _ = node.monitor(port).is(0);
    assert_ne!(daemon.main(), main);
    let _ = daemon.act("stop").is(0);
    let _ = node.probe(port).is(7);
}

/// It does not listen to what it is told.
fn stays(daemon: &Daemon) {
    daemon.is_to_run("--ignore-term");
    let _ = daemon.act("start").is(0);
    let processes = daemon.processes();
    let _ = daemon.node.act_within("stop", daemon.port, "3000", &[]).is(0).within(Duration::from_millis(2990));
    assert!(processes.iter().all(|pid| !daemon.is_alive(pid)));
    let _ = daemon.node.probe(daemon.port).is(7);
    daemon.is_to_run("");
}

/// It cannot do its work, and says so by its end.
fn gives_up(daemon: &Daemon) {
    let taken = daemon.node.machine.listen("127.0.0.2", daemon.port).unwrap();
    let _ = daemon.act("start").is(1).says("exited with status 1").within(Duration::from_secs(10));
    let _ = daemon.act("stop").is(0);
    let _ = daemon.node.probe(daemon.port).is(7);
    drop(taken);
}

#[test]
fn each_behaves_as_the_others_do() {
    if !room() {
        return;
    }
    for backend in [Backend::Direct, Backend::Transient, Backend::Unit] {
        let daemon = Daemon::new(backend);
        for (name, case) in [("lives", lives as fn(&Daemon)), ("dies", dies), ("stays", stays), ("gives up", gives_up)]
        {
            eprintln!("{backend:?}: {name}");
            case(&daemon);
        }
    }
}
