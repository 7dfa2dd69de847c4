//! A box keeps its word: its systemd is a real one, and nothing is left of it, however it ends.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use ocf_wasm_tests::boxes::plan::GROUP;
use ocf_wasm_tests::boxes::{Machine, available, hierarchies};
use ocf_wasm_tests::host::{is_alive, skip, until};

/// Whether boxes can be had here; says aloud when not.
fn room() -> bool {
    static ROOM: OnceLock<Result<(), String>> = OnceLock::new();
    match ROOM.get_or_init(available) {
        Ok(()) => true,
        Err(why) => skip(why),
    }
}

/// Processes of a pid namespace, by its link text.
fn processes_in(namespace: &PathBuf) -> usize {
    let all = fs::read_dir("/proc").unwrap().flatten();
    all.filter(|entry| fs::read_link(entry.path().join("ns/pid")).is_ok_and(|link| link == *namespace)).count()
}

/// Control groups of boxes on this machine whose processes are those of a box.
fn groups_of(namespace: &PathBuf) -> Vec<PathBuf> {
    let all = hierarchies().unwrap().into_iter().flat_map(|one| fs::read_dir(one.point).unwrap().flatten());
    let ours = all.filter(|entry| entry.file_name().to_string_lossy().starts_with(GROUP)).map(|entry| entry.path());
    let is_in = |group: &PathBuf| {
        let lists = [group.join("init.scope/cgroup.procs"), group.join("cgroup.procs")];
        let pids: String = lists.iter().filter_map(|list| fs::read_to_string(list).ok()).collect();
        pids.lines().any(|pid| fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok_and(|link| link == *namespace))
    };
    ours.filter(is_in).collect()
}

const COUNTER: &str = "[Service]\nType=notify\nNotifyAccess=all\nExecStart=/bin/sh -c 'echo up; systemd-notify --ready; exec sleep 600'\n";

#[test]
fn units_live_in_a_box_and_end_with_it() {
    if !room() {
        return;
    }
    let machine = Machine::up("lives").unwrap();
    assert_eq!(machine.must(&["hostname"]), "lives\n");
    machine.write("/etc/systemd/system/counter.service", COUNTER).unwrap();
    machine.must(&["systemctl", "daemon-reload"]);
    machine.must(&["systemctl", "start", "counter"]);
    assert_eq!(machine.show("counter", "ActiveState"), "active");
    assert_eq!(machine.show("counter", "SubState"), "running");
    // The path of its control group is what a path below the mounted hierarchies says.
    let group = machine.show("counter", "ControlGroup");
    assert_eq!(group, "/system.slice/counter.service");
    let lists = ["unified", "systemd", ""].map(|root| format!("/sys/fs/cgroup/{root}{group}/cgroup.procs"));
    let members: String = lists.iter().filter_map(|list| fs::read_to_string(machine.inside(list)).ok()).collect();
    assert_ne!(members.trim(), "");
    // Nothing of the machine's own is started or can be changed, and the network is its own.
    assert!(machine.run(&["sh", "-c", "echo b >/proc/sysrq-trigger && echo x >/proc/sys/kernel/hostname"]).code != 0);
    assert_eq!(machine.must(&["sh", "-c", "ls /sys/class/net"]).trim(), "lo");

    let namespace = fs::read_link(format!("/proc/{}/ns/pid", machine.pid())).unwrap();
    let groups = groups_of(&namespace);
    assert!(processes_in(&namespace) > 3 && !groups.is_empty());
    let pid = machine.pid();
    drop(machine);
    assert!(!is_alive(pid) && processes_in(&namespace) == 0);
    assert!(groups.iter().all(|group| !group.exists()), "{groups:?}");
    assert!(!PathBuf::from("/etc/systemd/system/counter.service").exists());
}

#[test]
fn a_box_ends_with_a_test_that_is_killed() {
    if !room() {
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "stays_until_killed", "--nocapture"])
        .env("BOX_TO_BE_KILLED", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let pid = lines.find_map(|line| line.unwrap().split_once("box ")?.1.parse::<i32>().ok()).unwrap();
    let namespace = fs::read_link(format!("/proc/{pid}/ns/pid")).unwrap();
    let groups = groups_of(&namespace);
    assert!(!groups.is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    until("the box is gone", || processes_in(&namespace) == 0 && groups.iter().all(|group| !group.exists()));
}

/// Not a test of its own: the process that [`a_box_ends_with_a_test_that_is_killed`] kills.
#[test]
fn stays_until_killed() {
    if std::env::var_os("BOX_TO_BE_KILLED").is_none() {
        return;
    }
    let machine = Machine::up("held").unwrap();
    println!("box {}", machine.pid());
    std::thread::sleep(std::time::Duration::from_mins(2));
}
