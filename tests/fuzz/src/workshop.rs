//! A directory for what is written in one run, gone after it: in memory where that is mounted.

use std::fs;
use std::path::{Path, PathBuf};

/// The directory of this process. `cargo xtask fuzz` removes it after an engine that was aborted.
fn place() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let above = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    above.join(format!("ocf-wasm-fuzz-{}", std::process::id()))
}

/// Makes the directory if it is not there.
pub(crate) fn path() -> PathBuf {
    let place = place();
    fs::create_dir_all(&place).unwrap_or_else(|error| panic!("{}: {error}", place.display()));
    place
}

/// A directory with a safe way to it, which the other has not: everybody may make something beside that one.
pub(crate) fn room() -> PathBuf {
    PathBuf::from(format!("/run/ocf-wasm-fuzz-{}", std::process::id()))
}

/// Makes it, if this user may; else it is not there.
pub(crate) fn make_room() {
    let _ = fs::create_dir(room());
}

/// Removes both with all that a run left there.
pub(crate) fn close() {
    let _ = fs::remove_dir_all(place());
    let _ = fs::remove_dir_all(room());
}
