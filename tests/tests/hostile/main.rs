//! The table of hostile attempts: who tries what, how the action ends that it is tried in, with which reason, and that
//! nothing came of it: no process, no file elsewhere, no second start, no record that claims more than was seen.
//!
//! A row is a line or a few in the file of its family. All run against the installed agent, each in a root of its own and
//! with an instance that nobody else on this machine has. What takes more than one action to tell is in `longer.rs`, and
//! a way that changes all the time in `tests/paths.rs`.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod callers;
mod children;
mod exports;
mod longer;
mod misdeeds;
mod node;
mod policies;
mod store;
mod table;
mod values;

use std::any::Any;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use ocf_wasm_tests::host::{TestHost, is_root};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use table::{AGENT, Row};

/// Rows at least.
const ROWS: usize = 100;
/// Rows that are tried at the same time.
const AT_A_TIME: usize = 2;

fn rows() -> Vec<Row> {
    let families = [
        exports::rows,
        values::rows,
        misdeeds::rows,
        callers::rows,
        children::rows,
        node::rows,
        store::rows,
        policies::rows,
    ];
    families.iter().flat_map(|rows| rows()).collect()
}

#[test]
fn there_are_enough_and_each_is_another() {
    let rows = rows();
    let names: BTreeSet<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names.len(), rows.len(), "two have one name");
    assert!(rows.len() >= ROWS, "{} rows", rows.len());
}

/// Tries all of them; with `OCF_WASM_ROW`, those with that in who tries what.
#[test]
fn nothing_comes_of_any() {
    if !is_root() {
        return;
    }
    let model = model();
    let wanted = std::env::var("OCF_WASM_ROW").unwrap_or_default();
    let is_wanted = |row: &Row| format!("{:?}, {}", row.who, row.name).contains(&wanted);
    let rows: Vec<Row> = rows().into_iter().filter(is_wanted).collect();
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some((number, row)) = {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    rows.get(number).map(|row| (number, row))
                } {
                    // A thread each: what it mounts goes away with it.
                    let began = std::time::Instant::now();
                    let tried = std::thread::scope(|scope| scope.spawn(|| row.attempt(&model, number)).join());
                    println!("{:?} {}: {:.1?}", row.who, row.name, began.elapsed());
                    if let Err(panic) = tried {
                        failed.lock().unwrap().push(format!("{:?}, {}:\n{}", row.who, row.name, words(&*panic)));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {} failed:\n\n{}", failed.len(), rows.len(), failed.join("\n\n"));
}

/// A root in which the plugin that misbehaves is installed, with what each row takes from it.
fn model() -> TestHost {
    let host = TestHost::new();
    host.install_hostile();
    let outside = host.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "secret").unwrap();
    symlink("secret", outside.join("link")).unwrap();
    mknodat(CWD, outside.join("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let _ = host.call(AGENT).argument("monitor").instance("model").is(7);
    host
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it failed without a word")
}
