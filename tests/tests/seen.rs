//! What the host sees of a daemon's processes, whatever they are called and wherever they went; and what it answers where
//! it cannot look: never that nothing is there.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use ocf_wasm_tests::host::{
    Action, Call, Ran, TestHost, command_line, hostile, is_alive, is_root, kill, reach, skip, until,
};
use ocf_wasm_tests::processes;

const AGENT: &str = "test/hostile";
/// How long an action may take: long enough for one that is traced.
const TIMEOUT_MS: u32 = 20_000;
/// How long one may take that is made to fail: a stop may try until then.
const FAILING_MS: u32 = 6_000;
/// Where control groups of daemons are made, whichever of them there are.
const HIERARCHIES: [&str; 5] = ["", "unified", "systemd", "freezer", "pids"];
/// What takes the control groups from an agent that is called: it is in a mount namespace of its own.
const NO_GROUPS: &str = "mount -t tmpfs none /sys/fs/cgroup";

/// One instance with a daemon, all of whose processes end with it.
struct Instance {
    host: TestHost,
    name: String,
    /// What the daemon may read.
    files: tempfile::TempDir,
}

impl Instance {
    /// `name` is another for each test, `script` what a shell does that becomes the daemon.
    fn new(name: &str, script: &str) -> Self {
        Self::of(name, "/usr/bin/dash", &["-c", script])
    }

    fn of(name: &str, program: &str, argv: &[&str]) -> Self {
        let files = tempfile::Builder::new().prefix("ocf-wasm-seen-").tempdir().unwrap();
        fs::set_permissions(files.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let host = TestHost::new();
        let place = host.path().join("etc/programs");
        fs::create_dir_all(&place).unwrap();
        let copy = place.join("reach");
        fs::copy(reach(), &copy).unwrap();
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
        let argv: Vec<String> =
            argv.iter().map(|word| word.replace("FILES", &files.path().display().to_string())).collect();
        let policy = format!(
            "format = 1\n[program.daemon]\nprogram = {program:?}\nargv = {argv:?}\nlifetime = \"instance\"\nuser = \"nobody\"\n\
             view = {{ read = [{:?}] }}\nenvironment = {{ DAEMON_OF = {{ fact = \"instance\" }} }}\n",
            files.path().display().to_string()
        );
        host.policy(AGENT, &policy);
        host.add(&hostile(), &[]);
        Self { host, name: format!("{name}-{}", std::process::id()), files }
    }

    fn action<'a>(&'a self, word: &'a str) -> Action<'a> {
        self.host.action(AGENT, word).instance(&self.name).with("daemon", "true").timeout_ms(TIMEOUT_MS)
    }

    /// The same without control groups, or with whatever else is done before.
    fn call(&self, word: &str, before: &str) -> Call<'_> {
        let call = self.host.call(AGENT).argument(word).instance(&self.name).before(before);
        let call = call.variable("OCF_RESKEY_daemon", "true");
        call.variable("OCF_RESKEY_CRM_meta_timeout", TIMEOUT_MS.to_string())
    }

    fn recurring(&self, before: &str) -> Ran {
        self.call("monitor", before).variable("OCF_RESKEY_CRM_meta_interval", "10000").run()
    }

    /// Processes of the daemon, found by nothing that the host under test says.
    fn daemons(&self) -> Vec<i32> {
        processes::with_variable(&format!("DAEMON_OF={}", self.name))
    }

    /// Waits for the one that has this command line.
    fn find(&self, line: &str) -> i32 {
        let mut found = None;
        until(line, || {
            found = self.daemons().into_iter().find(|pid| command_line(*pid) == line);
            found.is_some()
        });
        found.unwrap()
    }

    fn keepers(&self) -> Vec<i32> {
        let is_keeper = |pid: &i32| command_line(*pid).starts_with(&format!("ocf-wasm-keeper {} ", self.name));
        processes::all().filter(is_keeper).collect()
    }

    /// The control groups of the daemon's tree.
    fn groups(&self) -> Vec<PathBuf> {
        let directories = HIERARCHIES.iter().map(|name| Path::new("/sys/fs/cgroup").join(name).join("ocf-wasm"));
        let entries = directories.flat_map(|directory| fs::read_dir(directory).into_iter().flatten().flatten());
        let prefix = format!("{}.", self.name);
        entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix)).map(|e| e.path()).collect()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        for pid in self.daemons().into_iter().chain(self.keepers()) {
            kill(pid, "-KILL");
        }
        for group in self.groups() {
            drop(fs::remove_dir(group));
        }
    }
}

/// Whether what a daemon is can be seen here at all; says aloud when not.
fn room() -> bool {
    is_root() && (Path::new("/usr/bin/dash").exists() || skip("/usr/bin/dash is missing (Debian: dash)"))
}

fn lives_a_whole_life(instance: &Instance, is_it: impl Fn(i32) -> bool) {
    instance.action("start").is(0);
    let daemons = instance.daemons();
    assert_eq!(daemons.len(), 1, "{daemons:?}");
    until("it is what it is to be", || is_it(daemons[0]));
    instance.action("monitor").recurring().is(0);
    instance.action("start").is(0);
    assert_eq!(instance.daemons(), daemons, "a second start changes nothing");
    instance.action("monitor").is(0);
    instance.action("stop").is(0);
    assert_eq!(instance.daemons(), Vec::<i32>::new(), "a stop that answered 0");
    instance.action("monitor").is(7);
}

#[test]
fn a_daemon_whose_name_is_no_text_is_one() {
    if !room() {
        return;
    }
    // The kernel keeps 15 bytes of a name, and the last character has two.
    let instance = Instance::new("name", "exec FILES/sleeps-in-wienö 1008");
    fs::copy("/usr/bin/sleep", instance.files.path().join("sleeps-in-wienö")).unwrap();
    lives_a_whole_life(&instance, |pid| {
        fs::read(format!("/proc/{pid}/comm")).is_ok_and(|name| String::from_utf8(name).is_err())
    });
}

#[test]
fn a_daemon_whose_first_thread_has_ended_lives_on() {
    if !room() {
        return;
    }
    let instance = Instance::of("thread", "/etc/ocf-wasm/programs/reach", &["leave"]);
    lives_a_whole_life(&instance, |pid| {
        let is_zombie = |stat: String| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'));
        fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(is_zombie)
    });
}

/// A daemon with a child that left its session.
const WITH_A_CHILD: &str = "setsid sleep 1009 & exec sleep 1010";

#[test]
fn a_lost_keeper_without_a_control_group_means_nothing() {
    if !room() {
        return;
    }
    let instance = Instance::new("keeper", WITH_A_CHILD);
    let _ = instance.call("start", NO_GROUPS).is(0);
    assert_eq!(instance.groups(), Vec::<PathBuf>::new());
    let (main, child) = (instance.find("sleep 1010"), instance.find("sleep 1009"));
    let keepers = instance.keepers();
    assert_eq!(keepers.len(), 1);
    kill(keepers[0], "-KILL");
    // What is needed to say so is seen: it runs, and there is nothing to forget.
    let refused = instance.host.run(&["forget", &instance.name, "--nothing-runs"]);
    assert!(refused.code == 1 && refused.stderr.contains("is whole"), "{refused:#?}");
    let _ = instance.recurring(NO_GROUPS).is(0);
    kill(main, "-KILL");
    until("only the child is left", || instance.daemons() == [child]);
    let why = "its keeper is gone, and nobody knows what it left";
    let _ = instance.recurring(NO_GROUPS).is(1).says(why);
    let _ = instance.call("monitor", NO_GROUPS).is(1).says(why);
    let _ = instance.call("start", NO_GROUPS).is(1).says(why);
    let _ = instance.call("stop", NO_GROUPS).is(1).says(why);
    assert!(is_alive(child), "nobody could have ended it");
    let told = instance.host.why(&instance.name);
    assert!(told.to_string().contains(why), "{told}");
    // Who can see it is a person.
    let asked = instance.host.run(&["forget", &instance.name]);
    assert!(asked.code == 1 && asked.stderr.contains(why) && asked.stderr.contains("--nothing-runs"), "{asked:#?}");
    kill(child, "-KILL");
    let told = instance.host.run(&["forget", &instance.name, "--nothing-runs"]);
    assert_eq!(told.code, 0, "{told:#?}");
    let _ = instance.call("monitor", NO_GROUPS).is(7);
    let _ = instance.call("start", NO_GROUPS).is(0);
    let _ = instance.call("stop", NO_GROUPS).is(0);
}

#[test]
fn a_keeper_that_ended_by_itself_says_that_nothing_is_left() {
    if !room() {
        return;
    }
    let instance = Instance::new("ended", WITH_A_CHILD);
    let _ = instance.call("start", NO_GROUPS).is(0);
    for line in ["sleep 1009", "sleep 1010"] {
        kill(instance.find(line), "-KILL");
    }
    until("the keeper ends", || instance.keepers().is_empty());
    let _ = instance.call("monitor", NO_GROUPS).is(7);
    let _ = instance.call("stop", NO_GROUPS).is(0);
    // And one that is stopped while all is well.
    let _ = instance.call("start", NO_GROUPS).is(0);
    let _ = instance.recurring(NO_GROUPS).is(0);
    instance.find("sleep 1009");
    let _ = instance.call("stop", NO_GROUPS).is(0);
    assert_eq!(instance.daemons(), Vec::<i32>::new());
    let _ = instance.call("monitor", NO_GROUPS).is(7);
    // A program that cannot be executed leaves nothing either.
    let broken = Instance::of("broken", "/etc/ocf-wasm/programs/reach", &["leave"]);
    fs::write(broken.host.path().join("etc/programs/reach"), "no program").unwrap();
    let _ = broken.call("start", NO_GROUPS).is(5);
    let _ = broken.call("stop", NO_GROUPS).is(0);
    let _ = broken.call("monitor", NO_GROUPS).is(7);
}

#[test]
fn a_daemon_without_a_control_group_is_found_when_its_record_is_gone_although_groups_can_be_made() {
    if !room() {
        return;
    }
    let instance = Instance::new("groupless", "exec sleep 1012");
    let _ = instance.call("start", NO_GROUPS).is(0);
    fs::remove_dir_all(instance.host.path().join("run").join(AGENT).join(&instance.name)).unwrap();
    for word in ["monitor", "stop", "start"] {
        let _ = instance.action(word).is(1).says("the record is damaged or lost");
    }
    assert_eq!(instance.daemons().len(), 1);
}

/// Somebody, or a program that sorts processes into groups, moves a daemon out of ours.
#[test]
fn what_was_moved_to_another_control_group_is_ended_all_the_same() {
    if !room() {
        return;
    }
    let instance = Instance::new("moved", "setsid sleep 1013 & exec sleep 1014");
    if !instance.host.run(&["check"]).stdout.contains("by control group") && !skip("no control group can be made") {
        return;
    }
    instance.action("start").is(0);
    let (main, child) = (instance.find("sleep 1014"), instance.find("sleep 1013"));
    let groups = instance.groups();
    assert!(!groups.is_empty());
    for group in &groups {
        let root = group.ancestors().nth(2).unwrap();
        for pid in [main, child] {
            fs::write(root.join("cgroup.procs"), pid.to_string()).unwrap();
        }
        assert_eq!(fs::read_to_string(group.join("cgroup.procs")).unwrap(), "");
    }
    instance.action("monitor").recurring().is(0);
    kill(main, "-KILL");
    let _ = instance.action("monitor").recurring().is(1).says("1 of what it started still runs");
    instance.action("stop").is(0);
    assert_eq!(instance.daemons(), Vec::<i32>::new(), "a stop that answered 0");
    assert_eq!(instance.groups(), Vec::<PathBuf>::new());
}

/// What an action opens, as strace wrote it: of each name, with numbers left out, the first few, by the system call and
/// its place among those of that name.
fn opened(log: &str, most: usize) -> Vec<String> {
    let (mut calls, mut names, mut found) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for (call, arguments) in
        log.lines().filter_map(|line| line.split_once('(')).filter(|(call, _)| call.starts_with("open"))
    {
        let place = calls.entry(call).and_modify(|count| *count += 1).or_insert(1);
        let name = arguments.split('"').nth(1).unwrap_or_default();
        let name: String = name.split(|c: char| c.is_ascii_digit()).collect();
        let count = names.entry(name).and_modify(|count| *count += 1).or_insert(1);
        if *count <= most {
            found.push(format!("inject={call}:error=EMFILE:when={place}"));
        }
    }
    found
}

/// Each file that the process opens fails once, as where descriptors are short: the action fails, or does without.
#[test]
fn a_look_that_fails_is_not_taken_for_nothing() {
    if !room() || (!Path::new("/usr/bin/strace").exists() && !skip("/usr/bin/strace is missing (Debian: strace)")) {
        return;
    }
    let instance = Instance::new("look", "trap 'kill $c; exit' TERM; setsid sleep 1015 & c=$!; wait");
    let log = instance.files.path().join("strace");
    let traced = |word: &str, timeout_ms: u32, inject: &[&str]| {
        let _ = fs::remove_file(&log);
        let under = [&["strace", "-o", log.to_str().unwrap(), "-e", "trace=openat,?open"], inject].concat();
        let call = instance.call(word, ":").variable("OCF_RESKEY_CRM_meta_timeout", timeout_ms.to_string());
        let ran = call.under(&under).run();
        let said = fs::read_to_string(&log).unwrap_or_else(|error| panic!("strace wrote nothing: {error}: {ran:#?}"));
        (ran, said)
    };
    // The more often a stop looks, the longer it takes.
    for (word, most) in [("monitor", 100), ("stop", 2)] {
        instance.action("start").is(0);
        instance.find("sleep 1015");
        let (ran, whole) = traced(word, TIMEOUT_MS, &[]);
        assert_eq!(ran.code, 0, "{word}: {ran:#?}");
        let places = opened(&whole, most);
        assert!(places.len() > 10, "{word}: {places:?}");
        let mut injected = 0;
        for place in &places {
            instance.action("start").is(0);
            instance.find("sleep 1015");
            let (ran, said) = traced(word, FAILING_MS, &["-e", place]);
            let failed = said.lines().find(|line| line.contains("(INJECTED)"));
            // How strace itself ends says nothing; and where it came too late, all is as without it.
            assert!(said.contains("+++ exited with "), "{place}: {ran:#?}\n{said}");
            assert!(failed.is_some() || ran.code == 0, "{place}: {ran:#?}");
            injected += usize::from(failed.is_some());
            let left = instance.daemons().len();
            match (word, ran.code) {
                ("monitor", code) => assert!(code != 7 && left == 2, "{failed:?}: {ran:#?}"),
                (_, 0) => assert_eq!(left, 0, "a stop that answered 0, {failed:?}: {ran:#?}"),
                (_, code) => assert!(code != 7, "{failed:?}: {ran:#?}"),
            }
        }
        // Not all: who else is on the machine is opened as well, and may be gone.
        assert!(injected * 5 > places.len() * 4, "{word}: {injected} of {}", places.len());
        instance.action("stop").is(0);
        assert_eq!(instance.daemons(), Vec::<i32>::new(), "a stop that answered 0");
    }
}
