//! The harness keeps its word: each fault is what its name says, and nothing is left of a cluster, however it ends.

use std::fs;
use std::io::BufRead as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ocf_wasm_tests::boxes::hierarchies;
use ocf_wasm_tests::cluster::{Cluster, Init, LONG, Node, Primitive, Setup};
use ocf_wasm_tests::processes::is_alive;

use crate::{pool, started};

/// Waits for what the kernel does soon.
#[track_caller]
fn soon(what: &str, mut wanted: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(30);
    while !wanted() {
        assert!(Instant::now() < limit, "not soon: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Processes in a pid namespace, by its link text.
fn processes_in(namespace: &Path) -> usize {
    let all = fs::read_dir("/proc").unwrap().flatten();
    all.filter(|entry| fs::read_link(entry.path().join("ns/pid")).is_ok_and(|link| link == namespace)).count()
}

#[test]
fn faults_are_what_their_names_say() {
    let Some(cluster) = pool::take() else { return };
    let before = cluster.fencings().len();
    let (one, two, three) = (cluster.node(1), cluster.node(2), cluster.node(3));
    let boots = three.boots();
    let reaches = |to: &str| two.run(&["timeout", "1", "bash", "-c", &format!("echo </dev/tcp/{to}/9")]).stderr;
    let refused = |to: &str| reaches(to).contains("Connection refused");
    assert!(refused(&one.address()) && refused(&three.address()));

    // A disk that is full takes not even a byte, and the others are not full.
    let filled = one.fill("/var/log").unwrap();
    let write = ["sh", "-c", "echo more >/var/log/more"];
    assert!(one.run(&write).code != 0, "written to a full disk");
    assert_eq!(one.must(&["cat", "/var/log/more"]), "");
    two.must(&write);
    assert!(one.run(&["sh", "-c", "echo more >/run/more"]).code == 0, "another file system");
    drop(filled);
    one.must(&write);

    // Load is there until it is taken away.
    let busy = |node: &Node| -> i64 {
        let pid = node.pid().unwrap();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(')').unwrap().1.split_whitespace().nth(11).unwrap().parse().unwrap()
    };
    let idle = busy(three);
    three.load(2).unwrap();
    soon("it computes", || busy(three) > idle + 20);
    three.load(0).unwrap();
    soon("it rests", || {
        let now = busy(three);
        std::thread::sleep(Duration::from_millis(300));
        busy(three) <= now + 1
    });

    // Isolated, its carrier stays; cut, it is gone. Either way nobody reaches it. Without fencing it would stay.
    cluster.must(&["crm_attribute", "-n", "stonith-enabled", "-v", "false"]);
    let carrier = || fs::read_to_string(three.inside("/sys/class/net/eth0/carrier")).unwrap_or_default();
    assert_eq!(carrier().trim(), "1");
    type Fault = fn(&Node) -> anyhow::Result<()>;
    let partings: [(Fault, Fault, &str); 2] = [(Node::isolate, Node::rejoin, "1"), (Node::cut, Node::mend, "0")];
    for (part, join, wanted) in partings {
        part(three).unwrap();
        assert!(!refused(&three.address()), "it is reached");
        assert_eq!(carrier().trim(), wanted);
        cluster.until("it is missed", LONG, |now| (!now.online.contains("node3")).then_some(()));
        join(three).unwrap();
        cluster.await_all(LONG).unwrap();
        assert!(refused(&three.address()), "it is not reached again");
    }

    // Frozen, nothing of it goes on, and nothing of it is lost.
    let pid = three.pid();
    three.freeze().unwrap();
    cluster.until("the frozen node is missed", LONG, |now| (!now.online.contains("node3")).then_some(()));
    assert!(is_alive(pid.unwrap()));
    three.thaw().unwrap();
    cluster.await_all(LONG).unwrap();
    assert_eq!(three.pid(), pid);
    cluster.must(&["crm_attribute", "-n", "stonith-enabled", "-v", "true"]);

    // Without power nothing is alive and what is in memory is lost; what is on disk stays.
    three.must(&["sh", "-c", "echo here | tee /run/mark /var/lib/ocf-wasm/mark"]);
    let namespace = fs::read_link(format!("/proc/{}/ns/pid", pid.unwrap())).unwrap();
    assert!(processes_in(&namespace) > 5);
    three.power_off().unwrap();
    assert_eq!(processes_in(&namespace), 0);
    assert!(three.run(&["true"]).code != 0, "a command ran without power");
    soon("it is fenced", || cluster.fencings().len() == before + 1);
    cluster.await_all(LONG).unwrap();
    assert_eq!(three.must(&["cat", "/var/lib/ocf-wasm/mark"]), "here\n");
    assert_eq!(three.run(&["cat", "/run/mark"]).code, 1);
    assert_eq!(three.boots(), boots + 1);
    fs::remove_file(three.disk().join("lib/mark")).unwrap();
}

#[test]
fn a_partition_is_ended_by_fencing_the_part_without_quorum() {
    let Some(cluster) = pool::take() else { return };
    let before = cluster.fencings().len();
    for fault in ["isolate", "cut", "freeze"] {
        let three = cluster.node(3);
        let boots = three.boots();
        match fault {
            "isolate" => three.isolate().unwrap(),
            "cut" => three.cut().unwrap(),
            _ => three.freeze().unwrap(),
        }
        cluster.wait(fault, LONG, &mut String::new(), |seen| {
            *seen = format!("{:?}", cluster.fencings());
            (three.boots() > boots).then_some(())
        });
        cluster.await_all(LONG).unwrap();
    }
    let fenced: Vec<String> = cluster.fencings().drain(before..).map(|fencing| fencing.node).collect();
    assert_eq!(fenced, ["node3"; 3], "who has quorum fences, once");
}

#[test]
fn a_wait_says_what_was_seen_last() {
    let Some(cluster) = pool::take() else { return };
    cluster.add(&[Primitive::ours("d", "dummy").xml()], &[]);
    started(&cluster, "d");
    let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        cluster.until("pigs fly", Duration::from_millis(300), |_| None::<()>);
    }));
    let told = *told.unwrap_err().downcast::<String>().unwrap();
    for part in ["not within 300ms: pigs fly", "online: node1 node2 node3", "power: Started", "fencings: [", "notice: "]
    {
        assert!(told.contains(part), "no {part:?} in {told}");
    }
}

#[test]
fn a_node_with_systemd_keeps_its_disk_and_is_fenced_as_the_others_are() {
    if !pool::has_boxes() {
        return;
    }
    let cluster = Cluster::up(Setup::of(Init::Systemd)).unwrap();
    let node = cluster.node(1);
    assert_eq!(node.must(&["systemctl", "is-system-running", "--wait"]), "running\n");
    assert_eq!(node.must(&["ps", "-o", "comm=", "-p", "1"]), "systemd\n");
    node.must(&["sh", "-c", "echo here | tee /run/mark /usr/mark /var/lib/ocf-wasm/mark"]);
    let namespace = fs::read_link(format!("/proc/{}/ns/pid", node.pid().unwrap())).unwrap();
    assert!(processes_in(&namespace) > 5);
    // It lives, and answers nobody: whoever takes over must know that it is dead.
    node.freeze().unwrap();
    soon("it is fenced", || !cluster.fencings().is_empty());
    soon("it is dead", || processes_in(&namespace) == 0);
    cluster.await_all(LONG).unwrap();
    let fencings: Vec<_> = cluster.fencings().into_iter().map(|one| (one.action, one.node, one.by)).collect();
    assert_eq!(fencings, [("reboot".to_owned(), "node1".to_owned(), "node2".to_owned())]);
    assert_eq!((node.boots(), cluster.node(2).boots()), (2, 1));
    assert_eq!(node.must(&["cat", "/usr/mark", "/var/lib/ocf-wasm/mark"]), "here\nhere\n");
    assert_eq!(node.run(&["cat", "/run/mark"]).code, 1);
    assert!(!Path::new("/usr/mark").exists(), "written on the machine");
}

/// Not a test of its own: the process that [`nothing_is_left_when_the_test_process_is_killed`] kills.
#[test]
fn stays_until_killed() {
    let Ok(init) = std::env::var("CLUSTER_TO_BE_KILLED") else { return };
    let init = if init == "systemd" { Init::Systemd } else { Init::Harness };
    let cluster = Cluster::up(Setup { nodes: 1, ..Setup::of(init) }).unwrap();
    println!("cluster {} {} {}", cluster.pid(), cluster.node(1).pid().unwrap(), cluster.groups().display());
    std::thread::sleep(Duration::from_mins(2));
}

#[test]
fn nothing_is_left_when_the_test_process_is_killed() {
    if !pool::has_boxes() {
        return;
    }
    for init in ["harness", "systemd"] {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "harness::stays_until_killed", "--nocapture"])
            .env("CLUSTER_TO_BE_KILLED", init)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = std::io::BufReader::new(victim.stdout.take().unwrap()).lines();
        let told = lines.map_while(Result::ok).find_map(|line| Some(line.split_once("cluster ")?.1.to_owned()));
        let told = told.unwrap();
        let words: Vec<&str> = told.split(' ').collect();
        let [room, node, groups] = words[..] else { panic!("{told:?}") };
        let namespaces = [room, node].map(|pid| fs::read_link(format!("/proc/{pid}/ns/pid")).unwrap());
        assert!(Path::new(groups).join("node1").exists());
        assert!(processes_in(&namespaces[1]) > 5);
        let name = Path::new(groups).file_name().unwrap();
        let groups: Vec<_> = hierarchies().unwrap().into_iter().map(|one| one.point.join(name)).collect();
        victim.kill().unwrap();
        victim.wait().unwrap();
        soon("all processes of the room end", || namespaces.iter().all(|namespace| processes_in(namespace) == 0));
        soon("its control groups are gone", || groups.iter().all(|group| !group.exists()));
        assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), mounts);
    }
}

#[test]
fn nothing_is_left_when_the_room_is_killed() {
    if !pool::has_room() {
        return;
    }
    let cluster = Cluster::up(Setup { nodes: 1, ..Setup::default() }).unwrap();
    let namespace = fs::read_link(format!("/proc/{}/ns/pid", cluster.node(1).pid().unwrap())).unwrap();
    let groups = cluster.groups().to_owned();
    ocf_wasm_tests::processes::kill(cluster.pid(), "-KILL");
    soon("all processes of the node end", || processes_in(&namespace) == 0);
    drop(cluster);
    // Its control groups go with the next room.
    drop(Cluster::up(Setup { nodes: 1, ..Setup::default() }).unwrap());
    assert!(!groups.exists(), "{} is there still", groups.display());
}
