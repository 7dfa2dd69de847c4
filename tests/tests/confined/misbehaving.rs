//! Programs of an action that do not behave: what they leave is ended, and what they take is bounded.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use ocf_wasm_tests::host::until;
use ocf_wasm_tests::node::room;

use super::{PROGRAMS, Room};

fn shell(inside: &Room, script: &str, more: &str) -> Result<Vec<String>, String> {
    inside.grant("/bin/sh", &["-c", script], more);
    inside.relay()
}

#[test]
fn what_a_program_leaves_behind_ends_with_it() {
    if !room() {
        return;
    }
    let inside = Room::new(&[]);
    for (script, more) in [
        ("setsid sh -c 'setsid sleep 8471.1 & exit' & exit 0", ""),
        ("setsid sh -c 'setsid sleep 8471.1 & exit' & exit 0", "namespaces = [\"pid\"]"),
        ("trap '' TERM HUP; setsid sh -c 'trap \"\" TERM HUP; sleep 8471.1; sleep 8471.1' & exit 0", ""),
    ] {
        let said = shell(&inside, script, more).unwrap();
        assert!(said[0].contains("Exited(0)"), "{said:?}");
        until("nothing of it is left", || inside.left("8471.1") == 0);
    }
}

/// A script is run by what the policy says, and is told so where it says nothing; somebody else's is not run.
#[test]
fn a_script_needs_an_interpreter_and_is_roots() {
    if !room() {
        return;
    }
    let inside = Room::new(&[]);
    let script = format!("{PROGRAMS}/script");
    let file = inside.node.host.path().join("etc/programs/script");
    fs::write(&file, "#!/bin/sh\necho it ran\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    inside.grant(&script, &[], "");
    let told = inside.relay().unwrap_err();
    assert!(told.contains("a script needs `interpreter` in its section"), "{told}");
    let view = format!("view = {{ read = [\"{PROGRAMS}\"] }}");
    let run = |how: usize| {
        match how {
            0 => inside.grant(&script, &[], "interpreter = [\"/bin/sh\"]"),
            _ => inside.grant("/bin/sh", &["-e", &script], &view),
        }
        inside.relay()
    };
    for how in 0..2 {
        let said = run(how).unwrap();
        assert!(said.iter().any(|line| line.contains("it ran")), "{said:?}");
    }
    std::os::unix::fs::chown(&file, Some(65534), None).unwrap();
    for how in 0..2 {
        let told = run(how).unwrap_err();
        let why = format!("program stuck: not safe to run: {script} belongs to user 65534, not to root");
        assert!(told.contains(&why), "{how}: {told}");
    }
}

#[test]
fn what_does_not_end_in_time_is_ended_with_all_that_is_below_it() {
    if !room() {
        return;
    }
    let inside = Room::new(&[]);
    for more in ["", "namespaces = [\"pid\"]\n"] {
        let script = "trap '' TERM; setsid sleep 8472.1 & setsid setsid sleep 8472.1 & while :; do sleep 8472.1; done";
        let told = shell(&inside, script, &format!("{more}timeout = \"300ms\"")).unwrap_err();
        assert!(told.contains("no time left"), "{told}");
        until("nothing of it is left", || inside.left("8472.1") == 0);
    }
}

#[test]
fn an_action_that_is_killed_takes_its_program_with_it() {
    if !room() {
        return;
    }
    let inside = Room::new(&[]);
    inside.grant("/bin/sh", &["-c", "setsid sleep 8473.1 & exec sleep 8473.2"], "");
    let (mut call, _) = inside.call("monitor", "killed", &["do=relay", "in=every-monitor"]);
    let mut call = call.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("the program runs", || inside.left("8473.1") == 1 && inside.left("8473.2") == 1);
    // As the executor does it: the whole process group, without a word.
    let kill = "pkill -KILL -g $(ps -o pgid= -p $(pgrep -o -x hostile))";
    let killed = inside.node.executor.command(&["sh", "-c", kill]).status().unwrap();
    assert!(killed.success());
    until("the program is gone, and what it left", || inside.left("8473.1") == 0 && inside.left("8473.2") == 0);
    let _ = (call.kill(), call.wait());
    until("no watcher is left", || inside.node.count("resource.d/test/hostile") == 0);
}

#[test]
fn what_a_program_takes_is_bounded() {
    if !room() {
        return;
    }
    let inside = Room::new(&[]);
    for (what, script, more, expected) in [
        ("a number of files", "ulimit -n", "limits = { nofile = 77 }", "77"),
        ("files that are open, without a word", "ulimit -n", "", "1024"),
        ("no core", "ulimit -c", "", "0"),
        (
            "a size of files",
            "head -c 3M /dev/zero >/dev/shm/x; wc -c </dev/shm/x",
            "limits = { fsize = \"1MiB\" }",
            "1048576",
        ),
        ("a processor's time", "sh -c 'while :; do :; done'; echo $?", "limits = { cpu = \"1s\" }", "137"),
        (
            "tasks",
            "i=0; while [ $i -lt 50 ]; do sleep 8474.1 & i=$((i+1)); done; echo all",
            "limits = { tasks = 9 }",
            "Cannot fork",
        ),
        ("tasks that have no parent", "f() { setsid sleep 8474.1 & f; }; f", "limits = { tasks = 9 }", "Cannot fork"),
        ("memory", "head -c 200M /dev/zero | tail; echo $?", "limits = { memory = \"32MiB\" }", "137"),
        (
            "output",
            "head -c 9M /dev/zero",
            "limits = { output = \"64KiB\" }",
            "Exited(0), 65536 bytes, truncated: true",
        ),
        (
            "output, as much of both as can be granted",
            "head -c 9M /dev/zero; head -c 9M /dev/zero >&2",
            "limits = { output = \"512KiB\" }",
            "Exited(0), 524288 bytes, truncated: true",
        ),
        ("output, without a word", "head -c 9M /dev/zero", "", "Exited(0), 262144 bytes, truncated: true"),
    ] {
        let said = shell(&inside, script, more).unwrap_or_else(|why| panic!("{what}: {why}"));
        assert!(said.iter().any(|line| line.contains(expected)), "{what}: {said:#?}");
        until("nothing of it is left", || inside.left("8474.1") == 0);
    }
}

#[test]
fn starts_are_counted_over_all_actions() {
    if !room() {
        return;
    }
    let inside = Room::new(&[]);
    for expected in [true, true, false, false] {
        let said = shell(&inside, "echo hello", "rate = 2");
        assert_eq!(said.is_ok(), expected, "{said:?}");
        assert!(expected || said.is_err_and(|why| why.contains("`rate` grants no more")));
    }
}

#[test]
fn what_this_node_lacks_is_told() {
    if !room() {
        return;
    }
    let inside = Room::new(&[]);
    for (more, expected) in [
        ("groups = [\"nobody-s-group\"]", "there is no group nobody-s-group on this node"),
        ("view = { read = [\"/srv/absent\"] }", "view: /srv/absent is not there"),
        ("view = { read = [\"/var/run/log-0\"] }", "leads through a symbolic link"),
    ] {
        let told = shell(&inside, "true", more).unwrap_err();
        assert!(told.contains(expected), "{expected}: {told}");
    }
    // By its name, and by its number.
    let passwd = fs::read_to_string(inside.node.host.path().join("passwd")).unwrap_or_default();
    let passwd = if passwd.is_empty() { fs::read_to_string("/etc/passwd").unwrap() } else { passwd };
    let ours = passwd.lines().find_map(|line| line.strip_prefix("ocf-wasm:x:")).unwrap();
    for user in ["ocf-wasm", ours.split(':').next().unwrap()] {
        let told = shell(&inside, "true", &format!("user = \"{user}\"")).unwrap_err();
        assert!(told.contains(&format!("user {user} is that of plugins and of the compiler")), "{told}");
    }
    assert!(shell(&inside, "true", "require = [\"view\", \"landlock\"]").is_ok());
}
