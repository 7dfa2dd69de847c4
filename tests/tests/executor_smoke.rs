//! The capsule for Pacemaker's executor keeps its promises, shown on shell agents.
//!
//! Without root or Pacemaker these tests say so and pass; with `CI=true` they fail instead.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use ocf_wasm_tests::executor::{Event, Executor, Setup, Status};
use ocf_wasm_tests::node::room;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(15);

/// A directory for `Setup::resource_d` with one shell agent, `ocf:test:TYPE`.
fn agent(r#type: &str, script: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let provider = directory.path().join("test");
    fs::create_dir(&provider).unwrap();
    let file = provider.join(r#type);
    fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

fn run(executor: &Executor, rsc: &str, action: &str, parameters: &[(&str, &str)]) -> Event {
    let call = executor.exec(rsc, action, 0, 10_000, parameters).unwrap();
    executor.wait(call, SOON).unwrap()
}

fn output(executor: &Executor, argv: &[&str]) -> String {
    let output = executor.command(argv).output().unwrap();
    assert!(output.status.success(), "{argv:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Processes that live in a pid namespace, by its link text.
fn processes_in(namespace: &Path) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let inside =
        processes.filter(|entry| fs::read_link(entry.path().join("ns/pid")).is_ok_and(|link| link == namespace));
    inside.map(|entry| fs::read_to_string(entry.path().join("comm")).unwrap_or_default().trim().to_owned()).collect()
}

fn mounts() -> BTreeSet<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    table.lines().map(str::to_owned).collect()
}

#[test]
fn drives_a_resource_from_start_to_stop() {
    if !room() {
        return;
    }
    let empty = tempfile::tempdir().unwrap();
    let executor = Executor::start(Setup::new(empty.path())).unwrap();
    println!("the executor was ready after {:?}", executor.ready_after());
    executor.register("d", "pacemaker", "Dummy").unwrap();
    let state = [("state", "/run/d.state")];

    assert_eq!(run(&executor, "d", "monitor", &state).rc, 7);
    let started = run(&executor, "d", "start", &state);
    assert_eq!((started.rc, started.status), (0, Status::Done));
    assert!(executor.inside("/run/d.state").exists());

    let began = Instant::now();
    let monitor = executor.exec("d", "monitor", 200, 10_000, &state).unwrap();
    for _ in 0..4 {
        let event = executor.wait(monitor, SOON).unwrap();
        assert_eq!((event.rc, event.interval_ms, event.status), (0, 200, Status::Done));
    }
    assert!(began.elapsed() >= Duration::from_millis(600), "four runs in {:?}", began.elapsed());

    executor.cancel("d", "monitor", 200).unwrap();
    let cancelled = loop {
        let event = executor.wait(monitor, SOON).unwrap();
        if event.status != Status::Done {
            break event;
        }
    };
    assert_eq!(cancelled.status, Status::Cancelled);
    let seen = executor.events(monitor).len();
    assert!(executor.wait(monitor, Duration::from_millis(700)).is_err());
    assert_eq!(executor.events(monitor).len(), seen);

    assert_eq!(run(&executor, "d", "stop", &state).rc, 0);
    assert_eq!(run(&executor, "d", "monitor", &state).rc, 7);
    executor.unregister("d").unwrap();
    assert!(executor.exec("d", "monitor", 0, 1000, &[]).is_err(), "a forgotten resource is unknown");
}

#[test]
fn reports_a_recurring_monitor_that_begins_to_fail() {
    if !room() {
        return;
    }
    let empty = tempfile::tempdir().unwrap();
    let executor = Executor::start(Setup::new(empty.path())).unwrap();
    executor.register("d", "heartbeat", "Dummy").unwrap();
    let state = [("state", "/run/d.state")];
    assert_eq!(run(&executor, "d", "start", &state).rc, 0);
    let monitor = executor.exec("d", "monitor", 200, 10_000, &state).unwrap();
    assert_eq!(executor.wait(monitor, SOON).unwrap().rc, 0);
    fs::remove_file(executor.inside("/run/d.state")).unwrap();
    let limit = Instant::now() + SOON;
    while executor.wait(monitor, SOON).unwrap().rc != 7 {
        assert!(Instant::now() < limit);
    }
}

#[test]
fn kills_an_action_that_outlasts_its_timeout() {
    if !room() {
        return;
    }
    let empty = tempfile::tempdir().unwrap();
    let executor = Executor::start(Setup::new(empty.path())).unwrap();
    executor.register("slow", "pacemaker", "Dummy").unwrap();
    let parameters = [("state", "/run/slow.state"), ("op_sleep", "30")];
    assert_eq!(run(&executor, "slow", "start", &[("state", "/run/slow.state")]).rc, 0);
    let call = executor.exec("slow", "monitor", 0, 500, &parameters).unwrap();
    let event = executor.wait(call, SOON).unwrap();
    assert_eq!((event.rc, event.status), (1, Status::TimedOut));
    assert!((500..5000).contains(&event.exec_time_ms), "{event:?}");
    assert_eq!(event.reason.as_deref(), Some("Resource agent did not complete within 500ms"));
}

#[test]
fn runs_different_resources_at_the_same_time() {
    if !room() {
        return;
    }
    let agents = agent("Sleeper", "sleep 0.5");
    let executor = Executor::start(Setup::new(agents.path())).unwrap();
    let names = ["a", "b", "c", "d"];
    for name in names {
        executor.register(name, "test", "Sleeper").unwrap();
    }
    let began = Instant::now();
    let calls = names.map(|name| executor.exec(name, "start", 0, 10_000, &[]).unwrap());
    let mut finished = BTreeSet::new();
    for _ in calls {
        let event = executor.next_event(SOON).unwrap();
        assert_eq!(event.rc, 0);
        finished.insert(event.call);
    }
    assert_eq!(finished, BTreeSet::from(calls));
    assert!(began.elapsed() < Duration::from_millis(1900), "one after the other: {:?}", began.elapsed());
}

#[test]
fn passes_on_exit_reason_parameters_and_output() {
    if !room() {
        return;
    }
    let agents = agent(
        "Sad",
        r#"echo "$OCF_RESOURCE_INSTANCE $1 on $(uname -n)"
           env | grep -c '^CARGO'
           [ -n "$OCF_RESKEY_thing" ] || exit 0
           echo "ocf-exit-reason:the $OCF_RESKEY_thing is missing" >&2
           exit 5"#,
    );
    let executor = Executor::start(Setup::new(agents.path())).unwrap();
    executor.register("sad", "test", "Sad").unwrap();
    let event = run(&executor, "sad", "start", &[("thing", "cheese")]);
    assert_eq!(event.rc, 5);
    assert_eq!(event.reason.as_deref(), Some("the cheese is missing"));
    assert_eq!(event.output, r"ocf-exit-reason:the cheese is missing\n");
    assert_eq!(run(&executor, "sad", "start", &[]).output, r"sad start on n1\n0\n");
    // Files added later are seen.
    fs::copy(agents.path().join("test/Sad"), agents.path().join("test/Late")).unwrap();
    executor.register("late", "test", "Late").unwrap();
    assert_eq!(run(&executor, "late", "start", &[]).rc, 0);
    // An agent that is not there.
    executor.register("absent", "test", "Absent").unwrap();
    let event = run(&executor, "absent", "start", &[]);
    assert_eq!((event.rc, event.status), (5, Status::NotInstalled));
}

#[test]
fn treats_agents_as_a_cluster_node_does() {
    if !room() {
        return;
    }
    let agents =
        agent("Mirror", "grep -E '^Sig(Blk|Ign)' /proc/self/status; umask; pwd; ulimit -n; id -G; env | sort; exit 0");
    let executor = Executor::start(Setup { environment: &[("EXTRA", "1")], ..Setup::new(agents.path()) }).unwrap();
    executor.register("m", "test", "Mirror").unwrap();
    let seen = run(&executor, "m", "start", &[("thing", "cheese")]).output;
    let lines: Vec<&str> = seen.split(r"\n").collect();
    for wanted in [
        "0026",
        "/var/lib/pacemaker/cores",
        "LC_ALL=C",
        "EXTRA=1",
        "OCF_RESKEY_thing=cheese",
        "OCF_RESOURCE_PROVIDER=test",
        "PCMK_service=pacemaker-execd",
    ] {
        assert!(lines.contains(&wanted), "{wanted} is not in {lines:#?}");
    }
    for signals in ["SigBlk", "SigIgn"] {
        let mask = lines.iter().find_map(|line| line.strip_prefix(signals)?.strip_prefix(':')).unwrap().trim();
        // Signals 32 and 33 are the C library's own: posix_spawn of whatever started the tests may leave them ignored.
        assert_eq!(u64::from_str_radix(mask, 16).unwrap() & 0x7fff_ffff, 0, "{signals} {mask}");
    }
}

#[test]
fn shows_binds_inside_and_makes_nothing_on_the_machine() {
    if !room() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let names =
        ["etc/capsule-a", "var/lib/capsule-a/deep", "var/cache/capsule-a", "run/capsule-a", "usr/libexec/capsule-a"];
    let mut binds: Vec<(PathBuf, PathBuf)> = Vec::new();
    for name in names {
        let host = root.path().join(name);
        fs::create_dir_all(&host).unwrap();
        fs::write(host.join("mark"), name).unwrap();
        binds.push((host, Path::new("/").join(name)));
    }
    for name in ["passwd", "group"] {
        let host = root.path().join(name);
        let line = if name == "passwd" { "capsule-a:x:4711:4711::/:/bin/false\n" } else { "capsule-a:x:4711:\n" };
        fs::write(&host, fs::read_to_string(Path::new("/etc").join(name)).unwrap() + line).unwrap();
        binds.push((host, Path::new("/etc").join(name)));
    }
    let file = root.path().join("one-file");
    fs::write(&file, "one").unwrap();
    binds.push((file, PathBuf::from("/etc/capsule-b/one-file")));
    let agents = agent("Writer", "id -u capsule-a; id -gn capsule-a; echo new >/var/lib/capsule-a/deep/written");

    let executor = Executor::start(Setup { binds: &binds, ..Setup::new(agents.path()) }).unwrap();
    for name in names {
        assert_eq!(output(&executor, &["cat", &format!("/{name}/mark")]), name);
        assert!(!Path::new("/").join(name).exists(), "/{name} was made on the machine");
    }
    assert_eq!(output(&executor, &["cat", "/etc/capsule-b/one-file"]), "one");
    assert!(!Path::new("/etc/capsule-b").exists());
    executor.register("w", "test", "Writer").unwrap();
    assert_eq!(run(&executor, "w", "start", &[]).output, r"4711\ncapsule-a\n");
    assert_eq!(fs::read_to_string(root.path().join("var/lib/capsule-a/deep/written")).unwrap(), "new\n");

    assert_eq!(output(&executor, &["hostname"]), "n1");
    assert!(output(&executor, &["ip", "-brief", "link", "show", "lo"]).contains("UP"));
    assert_eq!(output(&executor, &["stat", "-c", "%a %U", "/var/lib", "/etc"]), "755 root\n755 root");
    let hierarchies = |listing: String| listing.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let outside = Command::new("ls").arg("/sys/fs/cgroup").output().unwrap();
    assert_eq!(
        hierarchies(output(&executor, &["ls", "/sys/fs/cgroup"])),
        hierarchies(String::from_utf8(outside.stdout).unwrap())
    );
}

#[test]
fn leaves_nothing_after_drop() {
    if !room() {
        return;
    }
    let agents = agent("Daemon", "setsid sleep 1000 </dev/null >/dev/null 2>&1 & exit 0");
    let executor = Executor::start(Setup::new(agents.path())).unwrap();
    executor.register("x", "test", "Daemon").unwrap();
    assert_eq!(run(&executor, "x", "start", &[]).rc, 0);
    let namespace = fs::read_link(format!("/proc/{}/ns/pid", executor.pid())).unwrap();
    let limit = Instant::now() + SOON;
    for wanted in ["pacemaker-execd", "sleep"] {
        while !processes_in(&namespace).iter().any(|name| name == wanted) {
            assert!(Instant::now() < limit, "no {wanted} among {:?}", processes_in(&namespace));
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let before = mounts();
    assert!(
        !before.iter().any(|mount| mount.contains("/usr/lib/ocf/resource.d")),
        "mounts of the capsule are seen outside"
    );
    drop(executor);
    assert_eq!(processes_in(&namespace), Vec::<String>::new());
    assert!(mounts().is_subset(&before));
}

/// Not a test of its own: the process that [`leaves_nothing_when_the_test_process_is_killed`] kills.
#[test]
fn stays_until_killed() {
    let Some(agents) = std::env::var_os("CAPSULE_TO_BE_KILLED") else { return };
    let executor = Executor::start(Setup::new(Path::new(&agents))).unwrap();
    println!("capsule {}", executor.pid());
    std::thread::sleep(Duration::from_mins(2));
}

#[test]
fn leaves_nothing_when_the_test_process_is_killed() {
    if !room() {
        return;
    }
    let empty = tempfile::tempdir().unwrap();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "stays_until_killed", "--nocapture"])
        .env("CAPSULE_TO_BE_KILLED", empty.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(victim.stdout.take().unwrap()));
    let pid = lines.map_while(Result::ok).find_map(|line| Some(line.split_once("capsule ")?.1.to_owned())).unwrap();
    let namespace = fs::read_link(format!("/proc/{pid}/ns/pid")).unwrap();
    // Stopped, the capsule cannot notice on its own that its input ended: the kernel must see to it.
    assert!(Command::new("kill").args(["-STOP", &pid]).status().unwrap().success());
    assert!(processes_in(&namespace).len() >= 3);
    victim.kill().unwrap();
    victim.wait().unwrap();
    let limit = Instant::now() + SOON;
    while !processes_in(&namespace).is_empty() {
        assert!(Instant::now() < limit, "still there: {:?}", processes_in(&namespace));
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn says_why_a_capsule_does_not_come_up() {
    if !room() {
        return;
    }
    let empty = tempfile::tempdir().unwrap();
    let binds = [(empty.path().join("absent"), PathBuf::from("/etc/capsule-a"))];
    let error = Executor::start(Setup { binds: &binds, ..Setup::new(empty.path()) }).unwrap_err();
    assert!(format!("{error:#}").contains("absent: No such file or directory"), "{error:#}");
    let binds = [(empty.path().to_owned(), PathBuf::from("/etc/passwd"))];
    let error = Executor::start(Setup { binds: &binds, ..Setup::new(empty.path()) }).unwrap_err();
    assert!(format!("{error:#}").contains("a directory and a file cannot stand for each other"), "{error:#}");
}

#[test]
fn tells_a_waiting_test_when_the_executor_dies() {
    if !room() {
        return;
    }
    let agents = agent("Sleeper", "sleep 60");
    let executor = Executor::start(Setup::new(agents.path())).unwrap();
    executor.register("x", "test", "Sleeper").unwrap();
    let call = executor.exec("x", "start", 0, 60_000, &[]).unwrap();
    assert!(executor.command(&["pkill", "-9", "-x", "pacemaker-execd"]).status().is_ok());
    let error = executor.wait(call, SOON).unwrap_err();
    assert!(format!("{error:#}").contains("pacemaker-execd closed the connection"), "{error:#}");
}
