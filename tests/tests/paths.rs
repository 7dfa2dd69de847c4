//! A plugin with a granted directory in which somebody planted what leads out of it: nothing outside is read or changed,
//! whatever name it tries, and the host stays in time.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use ocf_wasm_tests::host::{Action, TestHost, hostile, is_root};
use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};

const AGENT: &str = "test/hostile";

/// A root, and a directory whose way belongs to root alone, as a policy wants it: the way to a temporary directory belongs
/// to everybody. It is on a file system in memory that only this test's thread and what it starts can see.
struct Planted {
    host: TestHost,
    place: PathBuf,
}

/// Gives this thread mounts of its own, and an empty directory among them that goes away with the thread.
fn own_place() -> PathBuf {
    let place = Path::new("/srv");
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
    mount(Some("tmpfs"), place, Some("tmpfs"), MsFlags::empty(), Some("mode=0755")).unwrap();
    let place = place.join("test");
    fs::create_dir(&place).unwrap();
    place
}

impl Planted {
    fn new() -> Self {
        let place = own_place();
        let granted = place.join("granted");
        let outside = place.join("outside");
        fs::create_dir_all(granted.join("d")).unwrap();
        fs::create_dir(place.join("shown")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("secret"), "secret").unwrap();
        fs::write(granted.join("d/secret"), "mine").unwrap();
        symlink(outside.join("secret"), granted.join("absolute")).unwrap();
        symlink("../outside/secret", granted.join("relative")).unwrap();
        symlink("../outside", granted.join("there")).unwrap();
        symlink("/proc/self/root", granted.join("root")).unwrap();
        symlink("/proc/self/fd", granted.join("fds")).unwrap();
        symlink("loop", granted.join("loop")).unwrap();
        fs::create_dir(granted.join("mounted")).unwrap();
        mount(Some(&outside), &granted.join("mounted"), None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
        mknodat(CWD, granted.join("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        let null = rustix::fs::makedev(1, 3);
        mknodat(CWD, granted.join("device"), FileType::CharacterDevice, Mode::RWXU, null).unwrap();
        fs::File::create(granted.join("huge")).unwrap().set_len(1 << 40).unwrap();
        let host = TestHost::new();
        host.policy(AGENT, &policy(&place, "write"));
        host.add(&hostile(), &[]);
        Self { host, place }
    }

    fn granted(&self, name: &str) -> std::path::PathBuf {
        self.place.join("granted").join(name)
    }

    fn action<'a>(&'a self, word: &'a str, misdeed: &str, place: &str) -> Action<'a> {
        self.host.action(AGENT, word).with("do", misdeed).with("in", place).timeout_ms(5_000)
    }

    #[track_caller]
    fn assert_outside_is_as_it_was(&self) {
        let outside = self.place.join("outside");
        assert_eq!(fs::read_to_string(outside.join("secret")).unwrap(), "secret");
        assert_eq!(fs::read_dir(outside).unwrap().count(), 1);
        assert_eq!(fs::read_dir(self.place.join("shown")).unwrap().count(), 0);
    }
}

fn policy(place: &Path, access: &str) -> String {
    let place = place.display();
    format!(
        "format = 1\n[path.files]\ndirectory = \"{place}/granted\"\naccess = \"{access}\"\n\
         [path.shown]\ndirectory = \"{place}/shown\"\naccess = \"read\"\n"
    )
}

#[test]
fn no_name_leads_out() {
    if !is_root() {
        return;
    }
    let planted = Planted::new();
    let _ = planted.action("start", "escape", "start").is(0).within(Duration::from_secs(5));
    planted.assert_outside_is_as_it_was();
    let _ = planted.action("start", "escape", "monitor").instance("looks").is(0);
    let looks = planted.action("monitor", "escape", "monitor").instance("looks").recurring();
    let _ = looks.more(&["--level", "10"]).is(0);
    planted.assert_outside_is_as_it_was();
    let _ = planted.action("start", "devour", "start").instance("devour").is(0).within(Duration::from_secs(5));
}

#[test]
fn i17_a_way_that_changes_all_the_time_does_not_lead_out() {
    if !is_root() {
        return;
    }
    let planted = Planted::new();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (d, there) = (planted.granted("d"), planted.granted("there"));
            while !done.load(Ordering::Relaxed) {
                renameat_with(CWD, &d, CWD, &there, RenameFlags::EXCHANGE).unwrap();
            }
        });
        // The other thread is told before anything here can fail.
        let ran = planted.action("start", "race", "start").run();
        done.store(true, Ordering::Relaxed);
        let _ = ran.is(0);
    });
    planted.assert_outside_is_as_it_was();
}

/// One call may name many directories: each is counted as one of the thousand changes of an action.
#[test]
fn directories_below_directories_are_counted_each() {
    if !is_root() {
        return;
    }
    let planted = Planted::new();
    let before = directories(&planted.granted(""));
    let ran = planted.action("start", "nest", "start").instance("nest").is(4);
    let _ = ran.says("more than 1000 changes in one action");
    assert_eq!(directories(&planted.granted("")) - before, 1000);
}

/// Directories below one, with those below these.
fn directories(above: &Path) -> usize {
    let mut left = vec![above.to_owned()];
    let mut found = 0;
    while let Some(directory) = left.pop() {
        let below = fs::read_dir(directory).unwrap().map(Result::unwrap);
        let below: Vec<_> =
            below.filter(|entry| entry.file_type().unwrap().is_dir()).map(|entry| entry.path()).collect();
        found += below.len();
        left.extend(below);
    }
    found
}

#[test]
fn what_looks_changes_nothing_and_what_is_shown_stays() {
    if !is_root() {
        return;
    }
    let planted = Planted::new();
    for misdeed in ["write", "remove"] {
        let _ = planted.action("start", misdeed, "monitor").instance(misdeed).is(0);
        let monitor = planted.action("monitor", misdeed, "monitor").instance(misdeed).recurring();
        let _ = monitor.more(&["--level", "10"]).is(1).says("which changes nothing");
    }
    let ran = planted.action("start", "write", "start").instance("writes").is(0);
    assert!(!ran.stderr.contains("note"), "{ran:#?}");
    let note = fs::metadata(planted.granted("note")).unwrap();
    assert_eq!((note.mode() & 0o7777, note.uid(), note.len()), (0o600, 0, 8));
    planted.host.policy(AGENT, &policy(&planted.place, "read"));
    let refused = planted.action("start", "write", "start").instance("reads").is(4);
    let _ = refused.says("path files: granted without access = \"write\"");
    planted.host.policy(AGENT, "format = 1\n");
    let _ = planted.action("start", "write", "start").instance("without").is(4).says("path files: not granted");
}

#[test]
fn the_way_to_the_directory_is_roots_or_the_start_fails() {
    if !is_root() {
        return;
    }
    let planted = Planted::new();
    fs::set_permissions(&planted.place, fs::Permissions::from_mode(0o777)).unwrap();
    let refused = planted.action("start", "write", "start").is(5);
    let _ = refused.says("path files: not safe").says("is writable by everybody");
    assert!(!planted.granted("note").exists());
}

/// What a plugin wrote may be what keeps a resource alive: only the plugin, or what the operator named, can say that it
/// is gone. What it took away leaves nothing behind.
#[test]
fn after_a_write_the_host_alone_cannot_say_that_all_is_gone() {
    if !is_root() {
        return;
    }
    let planted = Planted::new();
    for (misdeed, code) in [("write", 1), ("remove", 0)] {
        let _ = planted.action("start", misdeed, "start").instance(misdeed).is(0);
        // The parameters are those of the start: the plugin is damaged in another way.
        let stop = planted.host.action(AGENT, "stop").instance(misdeed).timeout_ms(1_500);
        fs::remove_dir_all(planted.host.path().join("cache")).unwrap();
        let blobs = planted.host.path().join("lib/blobs/sha256");
        let hidden = planted.host.path().join("hidden");
        fs::rename(&blobs, &hidden).unwrap();
        let ran = stop.run();
        fs::rename(&hidden, &blobs).unwrap();
        fs::create_dir_all(planted.host.path().join("cache")).unwrap();
        let _ = ran.is(code);
    }
}
