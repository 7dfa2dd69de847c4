//! What is concluded of a daemon from its keeper, its report and its control group.

use super::*;
use crate::tests::{Kept, Place, is_root};

/// The process with this argument.
fn runs(argument: &str) -> Option<ProcessId> {
    let mark = format!("\0{argument}\0");
    let has_it = |pid: &i32| {
        std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(&mark))
    };
    process::all().unwrap().into_iter().find(has_it).and_then(ProcessId::now)
}

#[test]
fn a_stop_waits_for_a_keeper_that_was_told_to_start_and_has_not_yet() {
    // Busy without a child until it gets the word, then a parent: a keeper whose broker was killed after it gave the word.
    let place = Place::new("word");
    let (word, number) = (place.join("word"), format!("317.{}", std::process::id()));
    let script = format!("while ! [ -e {} ]; do :; done; sleep {number} & wait; while :; do :; done", word.display());
    let child = Kept(std::process::Command::new("sh").args(["-c", &script]).spawn().unwrap());
    let keeper = ProcessId::now(child.0.id().cast_signed());
    let daemon = Daemon { keeper, cgroup: None, since_boot_ns: 0 };
    let condition = daemon.condition(Path::new("/nonexistent/x"));
    let stopped = std::thread::scope(|scope| {
        // After the stop has looked, and before it holds the keeper still.
        scope.spawn(|| {
            std::thread::sleep(GONE / 16);
            std::fs::write(&word, "").unwrap();
        });
        daemon.stop("x", Path::new("/nonexistent/x"), &[], Instant::now() + Duration::from_secs(5))
    });
    // One that was not ended has the time to start it.
    wait_until(soon(), || runs(&number).is_some() || !keeper.is_some_and(ProcessId::is_alive));
    drop(child);
    let outlived = runs(&number);
    if let Some(pid) = outlived {
        pid.signal(Signal::SIGKILL);
    }
    assert_eq!(stopped, Ok(()));
    assert_eq!(outlived, None, "what the keeper started after the stop looked is left");
    assert!(condition.may_live(), "{condition:?}");
}

/// A process that lives until it is dropped, and a report.
struct Scene {
    child: std::process::Child,
    report: PathBuf,
}

impl Scene {
    fn new(name: &str) -> Self {
        let child = std::process::Command::new("sleep").arg("317.75").spawn().unwrap();
        Self { child, report: std::env::temp_dir().join(format!("ocf-wasm-daemon-{name}-{}", std::process::id())) }
    }

    fn process(&self) -> ProcessId {
        ProcessId::now(self.child.id().cast_signed()).unwrap()
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn report(&self, report: &Report) {
        crate::instance::save_report(&self.report, report).unwrap();
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.end();
        let _ = std::fs::remove_file(&self.report);
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(3)
}

#[test]
fn a_keeper_that_has_not_yet_started_what_it_was_told_to_counts_and_is_ended() {
    let scene = Scene::new("yet");
    let daemon = Daemon { keeper: Some(scene.process()), cgroup: None, since_boot_ns: 0 };
    for report in [None, Some(Report::of_nothing()), Some(Report::default())] {
        report.iter().for_each(|report| scene.report(report));
        let found = daemon.condition(&scene.report);
        assert_eq!((found.phase, found.told.as_str(), found.may_live()), (Phase::Remains, NOT_YET, true));
    }
    assert_eq!(daemon.stop("x", &scene.report, &[], soon()), Ok(()));
    // It was killed, which takes its moment.
    assert!(wait_until(soon(), || !scene.process().is_alive()));
}

#[test]
fn a_keeper_that_was_lost_without_a_control_group_leaves_what_nobody_knows() {
    let mut scene = Scene::new("lost");
    let main = scene.process();
    let daemon = Daemon { keeper: Some(main), cgroup: None, since_boot_ns: 0 };
    scene.end();
    let lost = Err(Error::Other(format!("program x: {LOST}")));
    // Killed before it could report, or after; or somebody took the report away.
    let reports = [None, Some(Report::default()), Some(Report { main: Some(main), ..Report::default() })];
    for report in &reports {
        report.iter().for_each(|report| scene.report(report));
        let found = daemon.condition(&scene.report);
        assert_eq!((found.phase, found.told.as_str(), found.may_live()), (Phase::Remains, LOST, true), "{report:?}");
        assert_eq!(daemon.stop("x", &scene.report, &[], soon()), lost, "{report:?}");
    }
    // By itself it ends when nothing is left.
    for (phase, main) in [(Phase::Stopped, None), (Phase::Failed, Some(main))] {
        scene.report(&Report { main, ..Report::of_nothing() });
        let found = daemon.condition(&scene.report);
        assert_eq!((found.phase, found.told.as_str(), found.may_live()), (phase, "", false));
        assert_eq!(daemon.stop("x", &scene.report, &[], soon()), Ok(()));
    }
}

#[test]
fn a_report_of_before_it_said_what_is_over_is_read() {
    #[derive(Serialize)]
    struct Before {
        main: Option<ProcessId>,
        has_forked: bool,
        ended: Option<Ended>,
        output: String,
    }
    let scene = Scene::new("before");
    let (main, output) = (Some(scene.process()), "a line".to_owned());
    let before = Before { main, has_forked: false, ended: Some(Ended::Exited(3)), output };
    crate::instance::save_report(&scene.report, &before).unwrap();
    let read = Report::read(&scene.report).unwrap();
    assert_eq!((read.main, read.ended, read.output.as_str(), read.is_over), (main, before.ended, "a line", false));
    assert!(!read.over_memory);
}

/// What is mounted on a directory cannot be removed, and hides what is below: a control group whose members nobody
/// sees, and the kernel knows of.
#[test]
fn a_control_group_that_cannot_be_removed_is_not_gone() {
    use nix::mount::{MsFlags, mount};
    if !is_root() {
        return;
    }
    let place = Place::new("busy");
    let (group, cover) = (place.join("group"), place.join("cover"));
    std::fs::create_dir_all(&group).unwrap();
    std::fs::create_dir_all(&cover).unwrap();
    std::fs::write(place.join("cgroup.procs"), "").unwrap();
    std::fs::write(cover.join("cgroup.procs"), "").unwrap();
    let daemon = Daemon { keeper: None, cgroup: Some(group.clone()), since_boot_ns: 0 };
    let report = place.join("report");
    // A thread in a mount namespace of its own, which ends with it.
    let busy = std::thread::spawn({
        let (group, daemon, report) = (group.clone(), daemon.clone(), report.clone());
        move || {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
            mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
            mount(Some(&cover), &group, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
            daemon.stop("x", &report, &[], soon())
        }
    });
    let busy = busy.join().unwrap();
    let free = daemon.stop("x", &report, &[], soon());
    let is_there = group.exists();
    let left = format!("program x: still there after SIGKILL: who is in {}", group.display());
    assert_eq!(busy, Err(Error::Other(left)));
    assert_eq!((free, is_there), (Ok(()), false));
}
