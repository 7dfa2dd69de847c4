//! Every target over its seeds and over all that was ever found, without an engine.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use ocf_wasm_fuzz::{TARGETS, made};

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a directory, in the order of their names; none if it is not there.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// One test, since a target looks at what its whole process did.
#[test]
fn what_must_hold_holds_for_every_seed_and_for_all_that_was_found() {
    let mut broken = Vec::new();
    for target in &TARGETS {
        let seeds = files(&here().join("seeds").join(target.name));
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        for file in seeds.iter().chain(&files(&here().join("found").join(target.name))) {
            // Before it is run: who hangs or is aborted says nothing afterwards.
            println!("{}", file.display());
            let bytes = fs::read(file).unwrap();
            // What is cut off somewhere is what a crash leaves.
            let cut = (0..bytes.len().min(64)).chain([bytes.len() / 2]);
            let runs = || cut.chain([bytes.len()]).for_each(|end| target.run(&bytes[..end]));
            if catch_unwind(AssertUnwindSafe(runs)).is_err() {
                broken.push(format!("{}: {}\n  not so with {}", target.name, target.holds, file.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    let known: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    for place in ["seeds", "found"] {
        for path in files(&here().join(place)) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            assert!(known.contains(&name), "{place}/{name}: there is no such target");
        }
    }
}

/// All characters, since it is cheap; each between two that are seen.
#[test]
fn each_character_that_nobody_sees_is_shown() {
    for c in char::MIN..=char::MAX {
        let line = ocf_wasm::ocf::outcome::one_line(&format!("a{c}b"), 99);
        ocf_wasm_fuzz::plain::assert_one_line(&line, 99);
        assert!(line.starts_with('a') && line.ends_with('b'), "{line:?}");
    }
}

/// What is made from the code is what it makes today; `UPDATE_GOLDEN=1` writes it.
#[test]
fn seeds_that_are_checked_in_are_what_the_code_makes() {
    for (name, bytes) in made::all() {
        let path = here().join(name);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, &bytes).unwrap();
        }
        let there = fs::read(&path).unwrap_or_default();
        assert!(there == bytes, "{}: not what the code makes; UPDATE_GOLDEN=1 writes it", path.display());
    }
}
