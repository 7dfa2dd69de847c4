//! Attacks on a granted directory, each from inside it, and what works beside them.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::mount::MsFlags;
use nix::sys::stat::{Mode, mknod};

use super::*;
use crate::ocf::Parameters;
use crate::seam::path::Entry;

mod programs;
mod room;

/// A directory with `granted` and `outside` in it, which goes away.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        Self::below(&std::env::temp_dir(), name)
    }

    /// Where nothing waits for a disk.
    fn in_memory(name: &str) -> Self {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Self::below(memory, name) } else { Self::new(name) }
    }

    fn below(directory: &Path, name: &str) -> Self {
        let place = directory.join(format!("ocf-wasm-path-{name}-{}", std::process::id()));
        fs::create_dir_all(place.join("granted")).unwrap();
        fs::create_dir_all(place.join("outside")).unwrap();
        fs::write(place.join("outside/secret"), "secret").unwrap();
        Self(place)
    }

    fn inside(&self, name: &str) -> PathBuf {
        self.0.join("granted").join(name)
    }

    fn secret(&self) -> PathBuf {
        self.0.join("outside/secret")
    }

    /// The permit for a name, past the walk from the root, which a temporary directory does not survive.
    fn at(&self, name: &str) -> Permit {
        check_name(name).unwrap();
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let place = self.0.join("granted");
        Permit {
            label: "x".to_owned(),
            root: Some(nix::fcntl::open(&place, flags, Mode::empty()).unwrap()),
            place,
            name: name.to_owned(),
            owner: None,
            mark: 7,
        }
    }

    fn read(&self, name: &str) -> Answer<Option<Vec<u8>>> {
        self.at(name).read(0, 1024, &mut Budget::default())
    }

    fn write(&self, name: &str, content: &[u8]) -> Answer<()> {
        self.at(name).write(content, 0o644, &mut Budget::default())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Tells the other thread to end, also when this one fails.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What an action has left that made nothing yet.
fn some() -> Budget {
    Budget { changes: 100, ..Budget::default() }
}

fn is_denied<T: std::fmt::Debug>(answer: &Answer<T>) -> bool {
    matches!(answer, Err(Error::Denied(_)))
}

proptest::proptest! {
    #[test]
    fn a_name_that_is_taken_stays_below(name in "(\\.|\\.\\.|/|a|\u{0}|[^/]{1,9}|/){0,12}") {
        if check_name(&name).is_ok() {
            let parts: Vec<_> = Path::new(&name).components().collect();
            proptest::prop_assert!(parts.iter().all(|part| matches!(part, std::path::Component::Normal(_))), "{:?}", name);
            proptest::prop_assert!(!name.contains('\0') && !name.starts_with('/') && !name.ends_with('/'));
        }
    }
}

#[test]
fn a_name_is_relative_and_plain() {
    for name in ["..", "a/..", "../a", "/etc/passwd", "/", "a/", "a//b", ".", "./a", "a/./b", "a\0b", "a/../../b"] {
        assert!(check_name(name).is_err(), "{name:?}");
    }
    assert!(check_name(&"x".repeat(256)).is_err());
    assert!(check_name(&"x/".repeat(600)).is_err());
    for name in ["", "a", "a/b", "..a", "a..", ".hidden", "a b", &"x".repeat(255)] {
        assert!(check_name(name).is_ok(), "{name:?}");
    }
}

#[test]
fn no_link_leads_out_whoever_planted_it() {
    let place = Place::new("links");
    let outside = place.0.join("outside");
    symlink(place.secret(), place.inside("absolute")).unwrap();
    symlink("../outside/secret", place.inside("relative")).unwrap();
    symlink("/proc/self/root", place.inside("magic")).unwrap();
    symlink(format!("/proc/self/cwd/{}", outside.display()), place.inside("cwd")).unwrap();
    symlink("/proc/self/fd", place.inside("fd")).unwrap();
    symlink("absolute", place.inside("twice")).unwrap();
    symlink("loop", place.inside("loop")).unwrap();
    symlink(&outside, place.inside("there")).unwrap();
    symlink("/nowhere/at/all", place.inside("nowhere")).unwrap();
    for name in ["absolute", "relative", "twice", "loop", "there/secret", "magic/etc/passwd", "cwd/secret", "nowhere"] {
        let read = place.read(name);
        assert!(is_denied(&read), "{name}: {read:?}");
    }
    // What is not there is refused in the same words as what is: nothing is to be learned about the outside.
    assert_eq!(place.read("there/secret"), place.read("there/missing"));
    assert_eq!(place.read("absolute"), place.read("nowhere"));
    for name in ["there", "magic", "fd", "cwd"] {
        let list = place.at(name).list();
        assert!(list.is_err(), "{name}: {list:?}");
        assert!(is_denied(&place.at(&format!("{name}/secret")).stat()), "{name}");
        assert!(is_denied(&place.write(&format!("{name}/planted"), b"x")), "{name}");
        assert!(is_denied(&place.at(&format!("{name}/secret")).remove()), "{name}");
        assert!(is_denied(&place.at(&format!("{name}/made")).make_directory(0o755, &mut some())), "{name}");
    }
    // A link itself is described, is not written through, and can be taken away.
    for name in ["absolute", "relative", "there", "nowhere"] {
        assert_eq!(place.at(name).stat().unwrap().unwrap().kind, Kind::Link, "{name}");
        assert!(is_denied(&place.write(name, b"overwritten")), "{name}");
        assert_eq!(place.at(name).remove(), Ok(true), "{name}");
    }
    assert_eq!(fs::read_to_string(place.secret()).unwrap(), "secret");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
}

#[test]
fn a_link_inside_is_read_through_and_never_written_through() {
    let place = Place::new("inside");
    fs::create_dir(place.inside("real")).unwrap();
    fs::write(place.inside("real/file"), "here").unwrap();
    symlink("real", place.inside("alias")).unwrap();
    symlink("../real/file", place.inside("real/up")).unwrap();
    assert_eq!(place.read("alias/file").unwrap().unwrap(), b"here");
    assert_eq!(place.read("real/up").unwrap().unwrap(), b"here");
    assert_eq!(place.at("alias").list().unwrap().unwrap().len(), 2);
    assert!(is_denied(&place.write("alias/file", b"x")));
    assert!(is_denied(&place.at("alias/file").remove()));
    assert!(is_denied(&place.at("alias/new").make_directory(0o700, &mut some())));
}

#[test]
fn what_is_no_file_is_described_and_never_opened() {
    let place = Place::new("special");
    nix::unistd::mkfifo(&place.inside("fifo"), Mode::S_IRWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(place.inside("socket")).unwrap();
    let mut all = vec![("fifo", Kind::Fifo), ("socket", Kind::Socket)];
    let null = nix::sys::stat::makedev(1, 3);
    if mknod(&place.inside("device"), SFlag::S_IFCHR, Mode::S_IRWXU, null).is_ok() {
        all.push(("device", Kind::Device));
        assert!(is_denied(&place.at("device").remove()));
        assert!(fs::symlink_metadata(place.inside("device")).unwrap().file_type().is_char_device());
    }
    for (name, kind) in all {
        assert_eq!(place.at(name).stat().unwrap().unwrap().kind, kind);
        assert_eq!(place.read(name), Err(Error::Other("path x: not a regular file".to_owned())), "{name}");
        assert!(is_denied(&place.write(name, b"x")), "{name}");
        assert!(place.at(name).list().is_err(), "{name}");
    }
    assert!(place.read("").is_err() && place.at("").remove().is_err() && place.write("", b"").is_err());
    assert_eq!(place.at("fifo").remove(), Ok(true));
    assert_eq!(place.at("socket").remove(), Ok(true));
}

#[test]
fn a_second_name_shows_no_secret() {
    let place = Place::new("second");
    fs::set_permissions(place.secret(), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    fs::hard_link(place.secret(), place.inside("second")).unwrap();
    assert!(is_denied(&place.read("second")));
    // To replace it gives the name another file.
    place.write("second", b"new").unwrap();
    assert_eq!(fs::read_to_string(place.secret()).unwrap(), "secret");
    fs::hard_link(place.inside("second"), place.inside("third")).unwrap();
    assert_eq!(place.read("third").unwrap().unwrap(), b"new");
}

#[test]
fn a_huge_file_is_read_in_bounds() {
    let place = Place::new("huge");
    fs::File::create(place.inside("huge")).unwrap().set_len(1 << 40).unwrap();
    let read = |offset, limit, budget: &mut Budget| place.at("huge").read(offset, limit, budget);
    let mut budget = Budget::default();
    assert!(matches!(read(0, 0, &mut budget), Err(Error::Invalid(_))));
    assert!(matches!(read(0, 1024 * 1024 + 1, &mut budget), Err(Error::Invalid(_))));
    assert_eq!(read((1 << 40) - 3, 9, &mut budget).unwrap().unwrap(), [0; 3]);
    assert!(read(u64::MAX, 9, &mut budget).unwrap().unwrap().is_empty());
    budget = Budget::default();
    for _ in 0..16 {
        assert_eq!(read(0, 1024 * 1024, &mut budget).unwrap().unwrap().len(), 1024 * 1024);
    }
    assert!(matches!(read(0, 1, &mut budget), Err(Error::Invalid(_))));
}

#[test]
fn a_write_is_bounded_and_leaves_nothing_behind() {
    let place = Place::new("write");
    let mut budget = Budget::default();
    let write = |length: usize, mode, budget: &mut Budget| place.at("a").write(&vec![1; length], mode, budget);
    assert!(matches!(write(CALL_BYTES + 1, 0o600, &mut budget), Err(Error::Invalid(_))));
    for mode in [0o4755, 0o2755, 0o1777, u16::MAX] {
        assert!(matches!(write(1, mode, &mut budget), Err(Error::Invalid(_))), "{mode:o}");
    }
    for _ in 0..16 {
        write(CALL_BYTES, 0o640, &mut budget).unwrap();
    }
    assert!(matches!(write(1, 0o640, &mut budget), Err(Error::Invalid(_))));
    assert_eq!(fs::metadata(place.inside("a")).unwrap().mode() & 0o7777, 0o640);
    // What a killed action left of this write is overwritten, whatever it is.
    symlink(place.secret(), place.inside(".ocf-wasm-0000000000000007")).unwrap();
    place.write("a", b"new").unwrap();
    assert_eq!(fs::read(place.inside("a")).unwrap(), b"new");
    fs::create_dir(place.inside("full")).unwrap();
    assert!(is_denied(&place.write("full", b"x")));
    assert!(matches!(place.write("missing/a", b"x"), Err(Error::Unavailable(_))));
    let names: Vec<String> = place.at("").list().unwrap().unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["a", "full"]);
    assert_eq!(fs::read_to_string(place.secret()).unwrap(), "secret");
}

#[test]
fn a_reader_sees_the_old_or_the_new() {
    let place = Place::new("atomic");
    place.write("a", &[0; 4096]).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _done = Done(&done);
            for n in 1..50 {
                place.write("a", &[n; 4096]).unwrap();
            }
        });
        while !done.load(Ordering::Relaxed) {
            let seen = fs::read(place.inside("a")).unwrap();
            assert!(seen.len() == 4096 && seen.iter().all(|byte| *byte == seen[0]));
        }
    });
}

#[test]
fn a_list_is_sorted_and_bounded() {
    let place = Place::new("list");
    for n in 0..4096 {
        fs::write(place.inside(&format!("{n}")), "").unwrap();
    }
    let listed = place.at("").list().unwrap().unwrap();
    assert_eq!(listed.len(), 4096);
    assert!(listed.is_sorted_by(|a, b| a.name < b.name));
    fs::write(place.inside("more"), "").unwrap();
    assert!(matches!(place.at("").list(), Err(Error::Other(_))));
    assert_eq!(place.at("missing").list(), Ok(None));
    fs::create_dir(place.inside("d")).unwrap();
    use std::os::unix::ffi::OsStrExt as _;
    fs::write(place.inside("d").join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();
    symlink("x", place.inside("d/l")).unwrap();
    assert_eq!(place.at("d").list().unwrap().unwrap(), [Entry { name: "l".to_owned(), kind: Kind::Link }]);
    assert!(matches!(place.at("more").list(), Err(Error::Other(_))));
}

#[test]
fn directories_are_made_and_taken_away() {
    let place = Place::new("directories");
    assert_eq!(place.at("a/b/c").make_directory(0o750, &mut some()), Ok(true));
    assert_eq!(place.at("a/b/c").make_directory(0o700, &mut some()), Ok(false));
    for name in ["a", "a/b", "a/b/c"] {
        assert_eq!(place.at(name).stat().unwrap().unwrap().mode, 0o750, "{name}");
    }
    assert!(matches!(place.at("a").remove(), Err(Error::Other(_))), "not empty");
    assert_eq!(place.at("a/b/c").remove(), Ok(true));
    assert_eq!(place.at("a/b/c").remove(), Ok(false));
    place.write("file", b"").unwrap();
    assert!(place.at("file").make_directory(0o700, &mut some()).is_err());
    assert!(place.at("file/below").make_directory(0o700, &mut some()).is_err());
    assert_eq!(place.at("file/below").stat(), Ok(None));
    assert!(matches!(place.at("d").make_directory(0o2755, &mut some()), Err(Error::Invalid(_))));
    assert_eq!(place.at("").make_directory(0o700, &mut some()), Ok(false));
}

/// How often each function is tried. Where a path is checked first and opened then, a few hundred are enough to be led
/// out.
const TURNS: u32 = 100_000;

type Function = fn(&Place) -> Answer<()>;

/// What a plugin can do with a name, each with how it is seen that it stayed inside.
const FUNCTIONS: [(&str, Function); 6] = [
    ("stat", |place| place.at("d/secret").stat().map(|facts| assert_eq!(facts.unwrap().size, 4))),
    ("read", |place| place.read("d/secret").map(|content| assert_eq!(content.unwrap(), b"mine"))),
    ("list", |place| {
        let names = place.at("d").list().map(Option::unwrap_or_default)?;
        assert!(names.iter().all(|entry| entry.name != "outside only"), "{names:?}");
        Ok(())
    }),
    ("write", |place| place.write("d/planted", b"x")),
    ("remove", |place| place.at("d/planted").remove().map(drop)),
    ("make-directory", |place| {
        place.at("d/made/below").make_directory(0o700, &mut some())?;
        // For the next turn; who is led out here is seen as well.
        place.at("d/made/below").remove().and_then(|_| place.at("d/made").remove()).map(drop)
    }),
];

/// One thread swaps a directory with a link out of it, all the time; the other uses a name that leads through it. In
/// memory, so that nobody waits for a disk.
#[test]
fn a_name_that_changes_all_the_time_never_leads_out() {
    let place = Place::in_memory("race");
    fs::create_dir(place.inside("d")).unwrap();
    fs::write(place.inside("d/secret"), "mine").unwrap();
    fs::write(place.0.join("outside/outside only"), "").unwrap();
    symlink("../outside", place.inside("l")).unwrap();
    for (name, function) in FUNCTIONS {
        let done = AtomicBool::new(false);
        let (mut inside, mut refused) = (0_u32, 0_u32);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (d, l) = (place.inside("d"), place.inside("l"));
                while !done.load(Ordering::Relaxed) {
                    renameat2(AT_FDCWD, &d, AT_FDCWD, &l, RenameFlags::RENAME_EXCHANGE).unwrap();
                }
            });
            let _done = Done(&done);
            for _ in 0..TURNS {
                match function(&place) {
                    Ok(()) => inside += 1,
                    Err(Error::Denied(_)) => refused += 1,
                    // What is there becomes something else between two looks.
                    Err(Error::Other(_)) => {}
                    Err(other) => panic!("{name}: {other:?}"),
                }
            }
        });
        assert!(inside > 0 && refused > 0, "{name}: the threads never met: {inside} inside, {refused} refused");
        assert_eq!(fs::read_to_string(place.secret()).unwrap(), "secret", "{name}");
        assert_eq!(fs::read_dir(place.0.join("outside")).unwrap().count(), 2, "{name}");
    }
}

fn ask(policy: &str, directory: &str, access: Access) -> Answer<Permit> {
    let policy = Policy::parse(&format!("format = 1\n[path.x]\n{policy}\n"), Path::new("/p")).unwrap();
    let parameters = Parameters::from([("dir".to_owned(), directory.to_owned())]);
    let guest = crate::ocf::request::Guest::default();
    let values = Values { parameters: &parameters, slots: &[], node: "n", guest: &guest, instance: "i" };
    permit(&policy, "x", "a", access, values)
}

#[test]
fn only_what_is_granted_and_only_as_it_is_granted() {
    let read = "directory = \"/etc/init.d\"\naccess = \"read\"";
    assert!(ask(read, "", Access::Read).unwrap().root.is_some());
    assert!(is_denied(&ask(read, "", Access::Write)));
    let missing = "directory = \"/etc/ocf-wasm-is-not-here\"\naccess = \"read\"";
    // The same words, whether the directory is there or not.
    assert_eq!(ask(read, "", Access::Write).unwrap_err(), ask(missing, "", Access::Write).unwrap_err());
    assert_eq!(ask(missing.replace("ocf-wasm-is", "it-is").as_str(), "", Access::Read).unwrap().stat(), Ok(None));
    let open = "directory = { param = \"dir\", directory = { under = \"/srv\" } }\naccess = \"write\"";
    for directory in ["/etc", "/srv/../etc", "srv", "/srvx", "", "/", "/srv\n"] {
        assert!(is_denied(&ask(open, directory, Access::Read)), "{directory:?}");
    }
    assert!(ask(open, "/srv", Access::Write).is_ok());
    assert_eq!(ask(open, "/srv/it-is-not-here", Access::Read).unwrap().stat(), Ok(None));
    let wide = "directory = { param = \"dir\", directory = { under = \"/\" } }\naccess = \"write\"";
    for directory in ["/", "/etc", "/proc/self", "/usr/lib", "/etc/cron.d", "/var/lib/ocf-wasm/blobs"] {
        assert!(is_denied(&ask(wide, directory, Access::Read)), "{directory}");
    }
}

#[test]
fn the_way_to_the_directory_is_safe_or_refused() {
    let place = Place::new("way");
    let grant = |directory: &str| format!("directory = {directory:?}\naccess = \"read\"");
    // Below a directory in which everybody can rename.
    let told = ask(&grant(&place.inside("").display().to_string()), "", Access::Read).unwrap_err();
    assert!(matches!(&told, Error::Unavailable(text) if text.contains("is writable by everybody")), "{told:?}");
    let told = ask(&grant("/var/run/x"), "", Access::Read).unwrap_err();
    assert!(matches!(&told, Error::Unavailable(text) if text.contains("/var/run is a symbolic link")), "{told:?}");
}

/// What another file system holds is not what the operator named, and neither is what is bound in from elsewhere on the
/// same one: only the mount tells them apart, so links and `..` are not what is tried here.
#[test]
fn what_is_mounted_below_is_not_entered() {
    if !crate::tests::is_root() {
        return;
    }
    let place = Place::new("mounts");
    for name in ["bound", "memory"] {
        fs::create_dir(place.inside(name)).unwrap();
        fs::write(place.inside(name).join("secret"), "covered").unwrap();
    }
    // Of this thread alone, and gone with it.
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
    let mount = |from: Option<&Path>, to: &Path, kind: Option<&str>, flags: MsFlags| {
        nix::mount::mount(from, to, kind, flags, None::<&str>).unwrap();
    };
    mount(None, Path::new("/"), None, MsFlags::MS_REC | MsFlags::MS_PRIVATE);
    mount(Some(&place.0.join("outside")), &place.inside("bound"), None, MsFlags::MS_BIND);
    mount(None, &place.inside("memory"), Some("tmpfs"), MsFlags::empty());
    fs::write(place.inside("memory/secret"), "secret").unwrap();
    for name in ["bound", "memory"] {
        let secret = format!("{name}/secret");
        assert_eq!(fs::read_to_string(place.inside(&secret)).unwrap(), "secret");
        assert!(is_denied(&place.read(&secret)), "{name}: {:?}", place.read(&secret));
        assert!(is_denied(&place.at(&secret).stat()) && is_denied(&place.at(name).list()), "{name}");
        assert!(is_denied(&place.write(&secret, b"x")) && is_denied(&place.at(&secret).remove()), "{name}");
        assert!(is_denied(&place.at(&format!("{name}/made")).make_directory(0o755, &mut some())), "{name}");
        assert_eq!(fs::read_dir(place.inside(name)).unwrap().count(), 1);
        // A directory that somebody is in is not taken away by removing its name.
        assert!(place.at(name).remove().is_err());
        nix::mount::umount(&place.inside(name)).unwrap();
        assert_eq!(place.read(&secret), Ok(Some(b"covered".to_vec())), "{name}");
    }
    assert_eq!(fs::read_to_string(place.secret()).unwrap(), "secret");
}
