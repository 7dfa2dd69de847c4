//! What people do to a running instance by accident: files of it deleted, starts repeated with something else.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;

use ocf_wasm_tests::host::{
    Action, HOSTILE_POLICY, TestHost, command_line, dist, finish, free_port, hostile, is_alive, is_root, kill, plugin,
    until, variant_of,
};
use ocf_wasm_tests::processes;

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
            let _ = action.is(1).says("the record is damaged or lost");
        }
        assert!(pids.iter().all(|pid| is_alive(*pid)));
    }
}

/// What a cluster does that comes up: all of its resources at once, on a node that has recorded nothing in this boot.
#[test]
fn many_first_starts_at_once_lose_nothing() {
    const INSTANCES: usize = 8;
    let host = TestHost::with(&["dummy"]);
    let root = host.path();
    for round in 0..12 {
        // As after a boot.
        fs::remove_dir_all(root.join("run/ocf-wasm")).ok();
        for file in [".begun", ".lost"] {
            fs::remove_file(root.join("run").join(file)).ok();
        }
        fs::remove_file(root.join("lib/boot")).ok();
        let names: Vec<String> = (0..INSTANCES).map(|number| format!("d{number}")).collect();
        std::thread::scope(|scope| {
            for name in &names {
                scope.spawn(|| host.action("ocf-wasm/dummy", "start").instance(name).is(0));
            }
        });
        assert!(!root.join("run/.lost").exists(), "round {round}");
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

/// Where /run is a directory on a disk, it outlasts the boot in which something in it was lost.
#[test]
fn what_was_lost_in_another_boot_is_lost_no_more() {
    let host = TestHost::with(&["dummy"]);
    let lost = host.path().join("run/.lost");
    let start = |instance: &'static str| host.action("ocf-wasm/dummy", "start").instance(instance);
    start("before").is(0);
    fs::remove_file(host.path().join("run/.begun")).unwrap();
    // A new instance is what makes the loss be noticed.
    let _ = start("new").is(1).says("damaged or lost");
    let _ = start("other").is(1).says("damaged or lost");
    let boot = fs::read_to_string(&lost).unwrap();
    assert!(!boot.is_empty());
    fs::write(&lost, boot.replace('-', "+")).unwrap();
    start("other").is(0);
}

/// The action is killed, and what would end its program then is killed as well.
#[test]
fn what_a_killed_watcher_left_is_ended_by_the_next_action() {
    let host = TestHost::new();
    if !is_root() || !host.run(&["check"]).stdout.contains("by control group") {
        return;
    }
    let argv = "\"/usr/bin/dash\"\nargv = [\"-c\", \"sleep 1007 & wait\"]";
    host.policy("test/hostile", &HOSTILE_POLICY.replace("\"/usr/bin/sleep\"\nargv        = [\"1001\"]", argv));
    host.add(&hostile(), &[]);
    let instance = format!("orphan-{}", std::process::id());
    let mark = format!("STUCK_OF={instance}");
    let left = || -> Vec<i32> {
        let all = processes::with_variable(&mark).into_iter();
        all.filter(|pid| command_line(*pid) == "sleep 1007").collect()
    };
    std::thread::scope(|scope| {
        let action = host.action("test/hostile", "start").instance(&instance).with("do", "stuck").with("in", "start");
        let running = scope.spawn(move || action.timeout_ms(20_000).run());
        until("the program has a child", || !left().is_empty());
        let main = processes::parent(left()[0]).unwrap();
        let watcher = processes::parent(main).unwrap();
        let hand = processes::parent(watcher).unwrap();
        let broker = processes::parent(hand).unwrap();
        for pid in [watcher, hand, broker] {
            kill(pid, "-STOP");
        }
        for pid in [watcher, hand, broker] {
            kill(pid, "-KILL");
        }
        let _ = running.join().unwrap();
    });
    let orphans = left();
    let ran = host.action("test/hostile", "stop").instance(&instance).run();
    let still = left();
    for pid in &still {
        kill(*pid, "-KILL");
    }
    assert!(!orphans.is_empty(), "nothing was left: this shows nothing");
    let _ = ran.is(0);
    assert_eq!(still, Vec::<i32>::new());
}

/// The directory of an instance, put aside until the test ends.
struct Aside(std::path::PathBuf, std::path::PathBuf);

impl Aside {
    fn of(server: &Server) -> Self {
        let directory = server.host.path().join("run").join(SERVER).join(&server.name);
        let aside = server.host.path().join("aside");
        fs::rename(&directory, &aside).unwrap();
        Self(directory, aside)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
        fs::rename(&self.1, &self.0).unwrap();
    }
}

#[test]
fn a_directory_that_is_gone_is_not_a_stop() {
    let server = Server::running();
    let pids = server.pids();
    let aside = Aside::of(&server);
    // What only looks makes no directory, and says the same the next time.
    for _ in 0..2 {
        let _ = server.action("monitor").recurring().is(1).says("the record is damaged or lost");
        let _ = server.action("monitor").is(1).says("the record is damaged or lost");
        let _ = server.action("stop").is(1).says("the record is damaged or lost");
    }
    let other = free_port();
    let second = server.host.action(SERVER, "start").instance(&server.name).with("port", other).is(1);
    let _ = second.says("the record is damaged or lost");
    assert!(TcpStream::connect(("127.0.0.1", other)).is_err(), "a second daemon was started");
    server.is_lost(&pids);
    // Of that name, and not this one: another agent's, and one of another root.
    server.host.install("dummy");
    server.host.action("ocf-wasm/dummy", "monitor").instance(&server.name).is(7);
    let elsewhere = TestHost::with(&["sample-tcp-server"]);
    elsewhere.action(SERVER, "monitor").instance(&server.name).with("port", other).is(7);
    // The directory that the start made, and none.
    for _ in 0..2 {
        let why = server.host.run(&["why", &server.name]);
        assert!(why.stdout.contains("unknown: no record is there, and processes that it started live"), "{why:#?}");
        let forget = server.host.run(&["forget", &server.name, "--nothing-runs"]);
        assert!(forget.code == 1 && forget.stderr.contains("still runs here"), "{forget:#?}");
        assert!(pids.iter().all(|pid| forget.stderr.contains(&format!("\n  {pid:>7}  "))), "{forget:#?}");
        fs::remove_dir_all(&aside.0).unwrap();
    }
    drop(aside);
    server.action("monitor").recurring().is(0);
    server.action("stop").is(0);
}

#[test]
fn an_instance_whose_directory_is_gone_is_forgotten_once_nothing_runs() {
    let server = Server::running();
    let pids = server.pids();
    fs::remove_dir_all(server.host.path().join("run").join(SERVER).join(&server.name)).unwrap();
    let refused = server.host.run(&["forget", &server.name]);
    pids.iter().for_each(|pid| kill(*pid, "-KILL"));
    assert!(refused.code == 1 && refused.stderr.contains("still runs here"), "{refused:#?}");
    until("nothing lives", || !server.host.run(&["forget", &server.name]).stderr.contains("still runs here"));
    let forgotten = server.host.run(&["forget", &server.name, "--nothing-runs"]);
    assert!(forgotten.code == 0 && forgotten.stdout.contains("counts as stopped here"), "{forgotten:#?}");
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
    // Nobody who says otherwise is believed: the keeper is found without any file.
    let forget = server.host.run(&["forget", &server.name, "--nothing-runs", "--agent", SERVER]);
    assert!(forget.code == 1 && forget.stderr.contains("still runs here"), "{forget:#?}");
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
    let quiet = server.action("monitor").recurring().is(0);
    assert_eq!(quiet.stderr, "");
    let monitor = server.host.action(SERVER, "monitor").instance(&server.name).with("port", other).recurring().is(0);
    let says = format!("WARNING: parameter port is {other} now; this action uses what the last start used\n");
    assert!(monitor.stderr.ends_with(&says) && monitor.stderr.lines().count() == 1, "{monitor:#?}");
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

#[test]
fn what_a_killed_writer_left_is_gone_after_the_next_start() {
    let server = Server::running();
    server.action("stop").is(0);
    let directory = server.host.path().join("run").join(SERVER).join(&server.name);
    let mut dead = std::process::Command::new("/bin/true").spawn().unwrap();
    dead.wait().unwrap();
    // As the keeper's report and the list of actions are written; the last one belongs to somebody who lives.
    let left = [format!("greeter.new{}", dead.id()), format!("actions.new{}", dead.id())];
    let living = format!("actions.new{}", std::process::id());
    for name in left.iter().chain([&living]) {
        fs::write(directory.join(name), "half a fi").unwrap();
    }
    server.action("start").is(0);
    assert!(left.iter().all(|name| !directory.join(name).exists()));
    assert!(directory.join(&living).exists());
    server.action("stop").is(0);
}

/// A damaged record of what runs, or none at all.
fn damage(server: &Server, is_cut: bool) -> Vec<u8> {
    let record = server.host.path().join("run").join(SERVER).join(&server.name).join("record");
    let whole = fs::read(&record).unwrap();
    if is_cut {
        fs::write(&record, &whole[..whole.len() - 1]).unwrap();
    } else {
        fs::remove_file(&record).unwrap();
    }
    whole
}

#[test]
fn a_record_that_is_lost_is_forgotten_once_nothing_runs() {
    if !is_root() {
        return;
    }
    for is_cut in [true, false] {
        let server = Server::running();
        let forget = |more: &[&str]| server.host.run(&[&["forget", &server.name], more].concat());
        let is_refused = |more: &[&str], words: &[&str]| {
            let ran = forget(more);
            assert!(ran.code == 1 && ran.stdout.is_empty(), "{ran:#?}");
            words.iter().for_each(|word| assert!(ran.stderr.contains(word), "`{word}`: {ran:#?}"));
        };
        // A whole record is not forgotten, whoever says what.
        is_refused(&["--nothing-runs"], &["is whole (started): stop it"]);
        server.action("monitor").recurring().is(0);
        let pids = server.pids();
        damage(&server, is_cut);
        let command = format!("then ocf-wasm forget {}", server.name);
        let stop = server.action("stop").is(1);
        assert!(stop.reason().contains(&command), "{stop:#?}");
        let why = server.host.run(&["why", &server.name]).stdout;
        let tool = format!("ocf-wasm --root {}", server.host.path().display());
        assert!(why.contains(&format!("count as stopped: {tool} forget {} --nothing-runs\n", server.name)), "{why}");
        // While its processes live nobody is believed, and they are named.
        let main = format!("greeter --port {}", server.port);
        let all: Vec<String> = pids.iter().map(ToString::to_string).collect();
        let named: Vec<&str> = all.iter().map(String::as_str).chain([main.as_str(), "by hand"]).collect();
        is_refused(&["--nothing-runs"], &named);
        // Its keeper too: kill the main process alone, and its child is left.
        kill(pids[0], "-KILL");
        is_refused(&["--nothing-runs"], &["still runs here"]);
        for pid in &pids {
            kill(*pid, "-KILL");
        }
        until("the keeper has ended", || !forget(&[]).stderr.contains("still runs here"));
        is_refused(&[], &["nothing of", "only you can see", "--nothing-runs"]);
        server.is_lost(&[]);
        let forgotten = forget(&["--nothing-runs"]);
        assert!(forgotten.code == 0 && forgotten.stderr.is_empty(), "{forgotten:#?}");
        let cleanup = format!("crm_resource --cleanup --resource {}\n", server.name);
        assert!(forgotten.stdout.contains("counts as stopped here") && forgotten.stdout.ends_with(&cleanup));
        // From here on as after any stop; what was said stands among the actions.
        is_refused(&["--nothing-runs"], &["there is nothing to forget"]);
        let known = server.host.why(&server.name);
        assert_eq!(known["state"], "stopped");
        let last = known["actions"].as_array().unwrap().last().unwrap().clone();
        assert_eq!((&last["action"], &last["reason"]), (&"forget".into(), &"a person said that nothing runs".into()));
        server.action("monitor").is(7);
        server.action("stop").is(0);
        server.action("start").is(0);
        server.action("monitor").recurring().is(0);
        server.action("stop").is(0);
    }
}

#[test]
fn one_instance_of_several_of_a_name_is_forgotten_and_no_other() {
    if !is_root() {
        return;
    }
    let server = Server::running();
    server.host.install("dummy");
    server.host.action("ocf-wasm/dummy", "start").instance(&server.name).is(0);
    let record = server.host.path().join("run/ocf-wasm/dummy").join(&server.name).join("record");
    fs::write(&record, "").unwrap();
    // What the other one's record holds is not taken for this one's.
    let forgotten = server.host.run(&["-o", "json", "forget", &server.name, "--nothing-runs"]);
    assert_eq!(forgotten.code, 0, "{forgotten:#?}");
    assert_eq!(forgotten.json()["agent"], "ocf-wasm/dummy");
    server.action("monitor").recurring().is(0);
    fs::write(&record, "").unwrap();
    let whole = damage(&server, true);
    let unclear = server.host.run(&["forget", &server.name]);
    assert!(unclear.code == 1 && unclear.stderr.contains("--agent PROVIDER/TYPE"), "{unclear:#?}");
    let named = |agent: &str| server.host.run(&["forget", &server.name, "--nothing-runs", "--agent", agent]);
    let refused = named(SERVER);
    assert!(refused.code == 1 && refused.stderr.contains("still runs here"), "{refused:#?}");
    let record = server.host.path().join("run").join(SERVER).join(&server.name).join("record");
    fs::write(record, whole).unwrap();
    server.action("stop").is(0);
    assert_eq!(named("ocf-wasm/dummy").code, 0);
    // Nothing at all is known of the name.
    let absent = server.host.run(&["forget", "absent", "--nothing-runs", "--agent", SERVER]);
    assert!(absent.code == 1 && absent.stderr.contains("there is nothing to forget"), "{absent:#?}");
    assert!(!server.host.path().join("run").join(SERVER).join("absent").exists());
}
