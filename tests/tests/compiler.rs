//! The compiler, seen from outside: what the kernel says of it before it reads a component, what it asks of the kernel then,
//! and that it ends with who started it.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ocf_wasm_tests::handmade::Handmade;
use ocf_wasm_tests::host::{TestHost, dist, hostile, is_alive, is_root, kill, plugin, policy_of, skip, until};
use ocf_wasm_tests::processes::{self, Kept};
use ocf_wasm_tests::source;

const AGENT: &str = "ocf-wasm/dummy";

fn compiler() -> PathBuf {
    dist().join("usr/libexec/ocf-wasm/ocf-wasm-compile")
}

/// The value of a line of a process's status.
fn fact(pid: i32, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or_default();
    line.trim().to_owned()
}

#[test]
fn it_has_given_up_all_when_it_begins_to_read() {
    let mut command = Command::new(compiler());
    command.env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut compiler = Kept(command.spawn().unwrap());
    let pid = compiler.0.id().cast_signed();
    until("its system calls are filtered", || fact(pid, "Seccomp") == "2");
    assert_eq!((fact(pid, "NoNewPrivs"), fact(pid, "Threads")), ("1".to_owned(), "1".to_owned()));
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    for name in ["Max processes", "Max open files", "Max file size", "Max core file size"] {
        let limit = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        assert!(limit.split_whitespace().take(2).all(|limit| limit == "0"), "{name}: {limits}");
    }
    // It compiles all the same.
    let (mut stdin, mut stdout) = (compiler.0.stdin.take().unwrap(), compiler.0.stdout.take().unwrap());
    let component = fs::read(plugin("dummy")).unwrap();
    let made = std::thread::spawn(move || {
        std::io::Write::write_all(&mut stdin, &component).unwrap();
        drop(stdin);
        let mut made = Vec::new();
        stdout.read_to_end(&mut made).unwrap();
        made
    });
    let mut ended = None;
    until("it has compiled", || {
        ended = compiler.0.try_wait().unwrap();
        ended.is_some()
    });
    let made = made.join().unwrap();
    assert!(ended.unwrap().success() && made.starts_with(b"OCF1"), "{} bytes", made.len());
}

/// The names of the list, from its text.
fn rows() -> BTreeSet<String> {
    let file = source::files_ending("host/src/sandbox/compiler.rs").remove(0);
    let table = file.text.split_once("pub const CALLS").unwrap().1.split_once("];").unwrap().0.to_owned();
    table.split("libc::SYS_").skip(1).map(|rest| rest.split(',').next().unwrap().to_owned()).collect()
}

/// The calls that the compiler made of a component after its filter was in force.
fn asked(component: &Path, log: &Path) -> BTreeSet<String> {
    // It may make no file, so that its output is read from a pipe, and somebody else looks at the time.
    let mut command = Command::new("timeout");
    command
        .args(["--kill-after=5", "60", "strace", "-o"])
        .arg(log)
        .arg(compiler())
        .stdin(fs::File::open(component).unwrap());
    let ran = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    let text = fs::read_to_string(log).unwrap();
    assert!(!text.contains("ENOSYS") && !text.contains("SIGSYS"), "{text}");
    assert!(matches!(ran.status.code(), Some(0 | 1)), "{ran:?}");
    let (_, after) = text.split_once("seccomp(SECCOMP_SET_MODE_FILTER").expect("no filter");
    let name = |line: &str| line.split_once('(').map(|(name, _)| name.to_owned());
    after.lines().skip(1).filter(|line| !line.starts_with(['+', '-'])).filter_map(name).collect()
}

#[test]
fn each_call_is_needed_and_nothing_else_is() {
    if !Path::new("/usr/bin/strace").exists() && !skip("/usr/bin/strace is missing (Debian: strace)") {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let large = place.path().join("large.wasm");
    let function = "(func (param i32) (result i32) (i32.mul (local.get 0) (i32.add (local.get 0) (i32.const 7))))";
    let plugin = Handmade { code: function.repeat(20_000), ..Handmade::default() };
    fs::write(&large, wat::parse_str(plugin.text("test/large")).unwrap()).unwrap();
    let wrong = place.path().join("wrong.wasm");
    fs::write(&wrong, "no component").unwrap();
    let mut found = BTreeSet::new();
    for component in [&hostile(), &large, &wrong] {
        found.extend(asked(component, &place.path().join("strace")));
    }
    let rows = rows();
    assert!(rows.contains("exit_group"), "the list was not found");
    assert_eq!(rows.difference(&found).collect::<Vec<_>>(), Vec::<&String>::new(), "in the list, and never needed");
    assert_eq!(found.difference(&rows).collect::<Vec<_>>(), Vec::<&String>::new(), "made, and not in the list");
}

#[test]
fn it_ends_with_the_action_that_started_it() {
    if !is_root() {
        return;
    }
    let tree = tempfile::Builder::new().prefix("ocf-wasm-tree-").tempdir().unwrap();
    let at = |name: &str| tree.path().join(name);
    fs::set_permissions(tree.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir_all(at("usr/bin")).unwrap();
    fs::create_dir_all(at("usr/libexec/ocf-wasm/examples")).unwrap();
    for file in ["usr/bin/ocf-wasm", "usr/libexec/ocf-wasm/ocf-wasm-agent", "usr/libexec/ocf-wasm/ocf-wasm-compile"] {
        fs::copy(dist().join(file), at(file)).unwrap();
    }
    let host = TestHost::of(tree.path());
    host.policy(AGENT, &policy_of("dummy"));
    host.add(&plugin("dummy"), &[]);
    // One that never ends, and says nothing.
    let stuck = at("usr/libexec/ocf-wasm/ocf-wasm-compile");
    fs::remove_file(&stuck).unwrap();
    // Another run of this test looks for another number.
    let line = format!("sleep 8481.{}", std::process::id());
    fs::write(&stuck, format!("#!/bin/sh\nexec {line}\n")).unwrap();
    fs::set_permissions(&stuck, fs::Permissions::from_mode(0o755)).unwrap();
    fs::remove_dir_all(host.path().join("cache")).unwrap();
    std::thread::scope(|scope| {
        let start = host.action(AGENT, "start").instance("compiles").timeout_ms(15_000);
        let running = scope.spawn(move || start.run());
        let mut found = None;
        until("it compiles", || {
            found = processes::all().find(|pid| processes::command_line(*pid) == line);
            found.is_some()
        });
        let pid = found.unwrap();
        let broker = processes::parent(pid).unwrap();
        let seen = ["NoNewPrivs", "CapEff", "Uid"].map(|name| fact(pid, name));
        kill(broker, "-KILL");
        let limit = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while is_alive(pid) && std::time::Instant::now() < limit {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let outlived = is_alive(pid);
        if outlived {
            kill(pid, "-KILL");
        }
        let _ = running.join().unwrap();
        assert!(!outlived, "the compiler lives on");
        assert_eq!((seen[0].as_str(), seen[1].as_str()), ("1", "0000000000000000"));
        assert!(!seen[2].starts_with('0'), "{seen:?}");
    });
}
