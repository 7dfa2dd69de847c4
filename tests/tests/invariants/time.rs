//! What may take how long, when the kernel itself does not come back.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use ocf_wasm_tests::hanging::{Asked, Hanging};
use ocf_wasm_tests::host::{TestHost, hostile, is_root, skip};

use super::AGENT;

const TIMEOUT_MS: u32 = 3_000;

/// Gives this thread mounts of its own, and a directory among them that is root's all the way.
fn own_place() -> PathBuf {
    let place = Path::new("/srv");
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
    mount(Some("tmpfs"), place, Some("tmpfs"), MsFlags::empty(), Some("mode=0755")).unwrap();
    let place = place.join("hanging");
    fs::create_dir(&place).unwrap();
    place
}

/// A file system that can hang. One for each time: who waits in it keeps others waiting.
fn hanging(place: &Path) -> Hanging {
    let program = fs::read("/usr/bin/true").unwrap();
    Hanging::at(place, &[("huge", vec![b'x'; 4096]), ("note", vec![]), ("program", program)])
}

fn room() -> bool {
    is_root() && (Path::new("/dev/fuse").exists() || skip("/dev/fuse is missing: modprobe fuse"))
}

/// Performs an action whose caller reads what it says to the end, as the cluster does. Its status, its reason, and when
/// both were there.
fn performed(host: &TestHost, word: &str, instance: &str, more: &[&str]) -> (i32, String, Duration) {
    let timeout = format!("{TIMEOUT_MS}ms");
    let mut tool = host.tool(&["run", AGENT, word, "--instance", instance, "--timeout", &timeout]);
    for parameter in more {
        tool.args(["-p", parameter]);
    }
    let began = Instant::now();
    let mut child = tool.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut said = String::new();
        let _ = stderr.read_to_string(&mut said);
        let code = child.wait().unwrap().code();
        let _ = tell.send((code, said));
    });
    let limit = Duration::from_millis(TIMEOUT_MS.into());
    match told.recv_timeout(limit * 2) {
        Ok((code, said)) => (code.unwrap_or(-1), said, began.elapsed()),
        Err(_) => (-1, "nothing, or the pipe is held open".to_owned(), began.elapsed()),
    }
}

/// Below a directory that is granted, and in a program that lies there, at each thing that is asked of the file system.
#[test]
fn i22_an_answer_comes_whatever_hangs() {
    if !room() {
        return;
    }
    let place = own_place();
    let host = TestHost::new();
    let shown = place.display();
    let program = |label: &str, lifetime: &str| {
        format!("[program.{label}]\nprogram = \"{shown}/program\"\nlifetime = \"{lifetime}\"\nuser = \"nobody\"\n")
    };
    let files = format!("[path.files]\ndirectory = \"{shown}\"\naccess = \"write\"\n");
    let policies = [files, program("stuck", "action"), program("daemon", "instance")];
    host.policy(AGENT, "format = 1\n");
    host.add(&hostile(), &[]);
    for (number, (misdeed, asked, what)) in [
        ("remove", Asked::Getattr, "path.remove of files"),
        ("remove", Asked::Lookup, "path.remove of files"),
        ("devour", Asked::Open, "path.read of files"),
        ("devour", Asked::Read, "path.read of files"),
        ("write", Asked::Statfs, "path.write of files"),
        ("write", Asked::Create, "path.write of files"),
        ("write", Asked::Fsync, "path.write of files"),
        ("stuck", Asked::Lookup, "program.run of stuck"),
        ("stuck", Asked::Open, "program.run of stuck"),
        ("stuck", Asked::Read, "program.run of stuck"),
        ("daemon", Asked::Lookup, "program.start of daemon"),
        ("daemon", Asked::Read, "program.start of daemon"),
    ]
    .into_iter()
    .enumerate()
    {
        let instance = format!("hung-{number}");
        let granted = policies.iter().find(|policy| policy.contains(&what[what.len() - 5..])).unwrap();
        host.policy(AGENT, &format!("format = 1\n{granted}"));
        let parameters: &[&str] = match misdeed {
            "daemon" => &["daemon=true"],
            _ => &[&format!("do={misdeed}"), "in=start"],
        };
        let file_system = hanging(&place);
        file_system.hang(asked);
        let (code, said, took) = performed(&host, "start", &instance, parameters);
        let is_waited_for = file_system.is_waited_for();
        // Nobody holds the lock, though who hangs still does.
        let (stopped, stop_said, _) = performed(&host, "stop", &instance, parameters);
        drop(file_system);
        let told = format!("{misdeed} {asked:?}: {code} {said} {took:?}; then {stopped} {stop_said}");
        assert!(is_waited_for, "it did not come there: {told}");
        assert_eq!(code, 1, "{told}");
        assert!(said.contains(&format!("ocf-exit-reason:start: {what} did not come to an end in time")), "{told}");
        assert!(took < Duration::from_millis(TIMEOUT_MS.into()), "{told}");
        assert!(!stop_said.contains("another action"), "{told}");
        // A daemon that is about to be executed cannot be killed: it is there.
        let is_there = misdeed == "daemon" && asked == Asked::Read;
        assert!(stopped == 0 || stopped == 1 && is_there, "{told}");
    }
    for entry in host.run(&["-o", "json", "list"]).json()["instances"].as_array().unwrap() {
        let (code, said, _) = performed(&host, "stop", entry["instance"].as_str().unwrap(), &[]);
        assert_eq!(code, 0, "{said}");
    }
}
