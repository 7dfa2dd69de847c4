//! What a plugin leaves free, and how much it makes.

use super::*;

/// A file system in memory of this size in the place of what is granted, seen by this thread alone.
fn small(name: &str, options: &str) -> Place {
    let place = Place::new(name);
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
    let none = None::<&str>;
    nix::mount::mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    nix::mount::mount(none, &place.inside(""), Some("tmpfs"), MsFlags::empty(), Some(options)).unwrap();
    place
}

/// Makes as many as there may be, and returns how many.
fn fill(place: &Place, told: &str, make: impl Fn(&str) -> Answer<()>) -> usize {
    for number in 0..10_000 {
        match make(&number.to_string()) {
            Ok(()) => {}
            Err(Error::Unavailable(text)) => {
                assert_eq!(text, format!("path x: the file system is nearly full{told}"));
                assert_eq!(fs::read_dir(place.inside("")).unwrap().count(), number, "what is refused is not made");
                return number;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("filled without end")
}

#[test]
fn a_twentieth_of_the_bytes_is_left_free() {
    if !crate::tests::is_root() {
        return;
    }
    let place = small("bytes", "size=1m");
    let left = || {
        let disk = nix::sys::statvfs::statvfs(&place.inside("")).unwrap();
        (disk.blocks_free(), disk.blocks() / 20)
    };
    fill(&place, "", |name| place.write(name, &[1; 4096]));
    let (free, floor) = left();
    assert!(free >= floor && free <= floor + 1, "{free} of {floor}");
    // Where there is no more room for a file there is none for a directory; what is there is there.
    let told = Error::Unavailable("path x: the file system is nearly full".to_owned());
    assert_eq!(place.at("d").make_directory(0o700, &mut some()), Err(told));
    fs::create_dir(place.inside("there")).unwrap();
    assert_eq!(place.at("there").make_directory(0o700, &mut some()), Ok(false));
    nix::mount::umount(&place.inside("")).unwrap();
}

#[test]
fn a_twentieth_of_the_files_is_left_to_be_made() {
    if !crate::tests::is_root() {
        return;
    }
    type Make = fn(&Place, &str) -> Answer<()>;
    let makes: [(&str, Make); 2] = [
        ("write", |place, name| place.write(name, b"")),
        ("make-directory", |place, name| place.at(name).make_directory(0o700, &mut some()).map(drop)),
    ];
    for (what, make) in makes {
        let place = small(what, "size=64m,nr_inodes=200");
        // One is the directory itself.
        assert_eq!(fill(&place, " of files", |name| make(&place, name)), 189, "{what}");
        nix::mount::umount(&place.inside("")).unwrap();
    }
    let place = small("deep", "size=64m,nr_inodes=40");
    let deep = place.at(&["d"; 60].join("/")).make_directory(0o700, &mut some());
    assert!(matches!(deep, Err(Error::Unavailable(_))), "{deep:?}");
    assert_eq!(nix::sys::statvfs::statvfs(&place.inside("")).unwrap().files_free(), 2);
    nix::mount::umount(&place.inside("")).unwrap();
}

#[test]
fn each_directory_that_is_made_is_a_change() {
    let place = Place::new("changes");
    let mut budget = Budget { changes: 3, ..Budget::default() };
    assert_eq!(place.at("a/b").make_directory(0o700, &mut budget), Ok(true));
    assert_eq!(budget.changes, 2, "the first is counted as the call");
    assert_eq!(place.at("a/b/c").make_directory(0o700, &mut budget), Ok(true));
    assert_eq!(place.at("a/b/c").make_directory(0o700, &mut budget), Ok(false));
    assert_eq!(budget.changes, 2, "what was there is none");
    assert!(is_denied(&place.at("d/e/f/g/h").make_directory(0o700, &mut budget)));
    assert_eq!(budget.changes, 0);
    assert!(place.inside("d/e/f").is_dir() && !place.inside("d/e/f/g").exists());
    assert_eq!(place.at("z").make_directory(0o700, &mut budget), Ok(true));
}
