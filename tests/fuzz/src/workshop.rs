//! A directory of this process alone, in memory where that is mounted, for what is written in a run.

use std::path::Path;
use std::sync::LazyLock;

use tempfile::TempDir;

static DIRECTORY: LazyLock<TempDir> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let made = tempfile::Builder::new().prefix("ocf-wasm-fuzz").tempdir_in(memory).or_else(|_| tempfile::tempdir());
    made.unwrap_or_else(|error| panic!("no directory to work in: {error}"))
});

/// The directory.
pub(crate) fn path() -> &'static Path {
    DIRECTORY.path()
}

/// Removes what an earlier run left there.
pub(crate) fn clear() {
    for entry in std::fs::read_dir(path()).into_iter().flatten().flatten() {
        let _ = std::fs::remove_file(entry.path());
    }
}
