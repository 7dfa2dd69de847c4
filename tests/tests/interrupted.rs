//! Who interrupts the tool finds nothing of it afterwards: no process, no directory, no file.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use ocf_wasm_tests::host::{TestHost, dist, free_port, kill, plugin, policy_of, until};
use ocf_wasm_tests::processes;

/// The numbers that a shell shows.
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// Ends with a run, whatever became of it.
struct Ends(Child, String);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        for pid in processes::with_variable(&self.1) {
            kill(pid, "-KILL");
        }
    }
}

/// Begins `ocf-wasm test` of a plugin whose daemon carries a mark, with a temporary directory of its own.
fn begin(place: &Path) -> Ends {
    let temporary = place.join("tmp");
    fs::create_dir_all(&temporary).unwrap();
    fs::set_permissions(place, PermissionsExt::from_mode(0o755)).unwrap();
    let mark = format!("TESTED_IN={}", place.display());
    let policy = policy_of("sample-tcp-server");
    let marked = policy.replace("environment = { ", &format!("environment = {{ TESTED_IN = \"{}\", ", place.display()));
    assert_ne!(marked, policy);
    fs::write(place.join("policy.toml"), marked).unwrap();
    let component = place.join("server.wasm");
    fs::copy(plugin("sample-tcp-server"), &component).unwrap();
    let mut command = Command::new(dist().join("usr/bin/ocf-wasm"));
    command.env("TMPDIR", &temporary).arg("test").arg(&component).arg("-p").arg(format!("port={}", free_port()));
    Ends(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap(), mark)
}

/// Interrupts a run, and checks that it says so, ends as shells expect, and leaves nothing.
#[track_caller]
fn is_cleaned_up(mut run: Ends, place: &Path, signal: i32) {
    let pid = i32::try_from(run.0.id()).unwrap();
    kill(pid, &format!("-{signal}"));
    let mut status = None;
    until("the tool has ended", || {
        status = run.0.try_wait().unwrap();
        status.is_some()
    });
    let said = std::io::read_to_string(run.0.stderr.take().unwrap()).unwrap();
    assert_eq!(status.unwrap().signal(), Some(signal), "{said}");
    assert!(said.starts_with("error: ") && said.contains("not all was checked; what ran is ended"), "{said}");
    assert_eq!(processes::with_variable(&run.1), Vec::<i32>::new());
    let tool = |pid: &i32| processes::parent(*pid) == Some(1) && processes::has_variable(*pid, &run.1);
    assert_eq!(processes::all().filter(tool).count(), 0);
    let left: Vec<_> = fs::read_dir(place.join("tmp")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_interrupted_test_leaves_nothing() {
    for signal in [SIGINT, SIGTERM] {
        // Once it has a root, and compiles.
        let place = tempfile::tempdir().unwrap();
        let run = begin(place.path());
        until("it has a root", || fs::read_dir(place.path().join("tmp")).unwrap().count() > 0);
        is_cleaned_up(run, place.path(), signal);
        // While what it tests runs.
        let place = tempfile::tempdir().unwrap();
        let run = begin(place.path());
        until("a daemon runs", || !processes::with_variable(&run.1).is_empty());
        is_cleaned_up(run, place.path(), signal);
    }
}

#[test]
fn an_interrupted_action_is_recorded_and_can_be_stopped() {
    let host = TestHost::new();
    host.install_hostile();
    let file = host.path().join("interrupted.json");
    let instance = format!("interrupted-{}", std::process::id());
    let mark = format!("STUCK_OF={instance}");
    let arguments = ["run", "test/hostile", "start", "--instance", &instance, "-p", "do=stuck", "-p", "in=start"];
    let more = ["-p", "daemon=true", "--record", file.to_str().unwrap()];
    let tool = host.tool(&arguments).args(more).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut run = Ends(tool, mark.clone());
    until("the plugin waits", || !processes::with_variable(&mark).is_empty());
    kill(i32::try_from(run.0.id()).unwrap(), "-TERM");
    let mut status = None;
    until("the tool has ended", || {
        status = run.0.try_wait().unwrap();
        status.is_some()
    });
    let said = std::io::read_to_string(run.0.stderr.take().unwrap()).unwrap();
    assert_eq!(status.unwrap().signal(), Some(SIGTERM), "{said}");
    let command = format!("ocf-wasm --root {} run test/hostile stop --instance {instance}", host.path().display());
    assert!(said.contains("interrupted; what was started stays") && said.contains(&command), "{said}");
    // The agent did not outlive the tool, nor what it waited for.
    let agents = || processes::with_variable(&format!("OCF_RESOURCE_INSTANCE={instance}"));
    until("no agent is left", || agents().is_empty());
    until("no program of the action is left", || processes::with_variable(&mark).is_empty());
    let recording = fs::read_to_string(&file).unwrap();
    assert!(recording.contains("program.run") && !host.path().join("interrupted.json.raw").exists(), "{recording}");
    let _ = host.run(&["run", "test/hostile", "stop", "--instance", &instance]).is(0);
}

#[test]
fn who_ignores_a_signal_is_not_interrupted_by_it() {
    let host = TestHost::new();
    host.install_hostile();
    let instance = format!("ignoring-{}", std::process::id());
    let mark = format!("STUCK_OF={instance}");
    let more = ["--timeout", "4s", "-p", "do=stuck", "-p", "in=start"];
    let tool = host.tool(&["run", "test/hostile", "start", "--instance", &instance]);
    // The shell becomes the tool, which is born as `nohup` would have it.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]).arg(tool.get_program()).args(tool.get_args()).args(more);
    let mut run = Ends(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap(), mark.clone());
    until("the plugin waits", || !processes::with_variable(&mark).is_empty());
    kill(i32::try_from(run.0.id()).unwrap(), "-HUP");
    let status = run.0.wait().unwrap();
    let said = std::io::read_to_string(run.0.stderr.take().unwrap()).unwrap();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("ocf-exit-reason:start: program.run of stuck did not come to an end in time"), "{said}");
    let _ = host.run(&["run", "test/hostile", "stop", "--instance", &instance]);
}
