//! Texts that are checked in and must be what the code says today; and what a test makes that goes away with it.

#[cfg(feature = "tool")]
mod pages;

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Child;

/// Whether this is root, which a test needs; in CI that it is not is a failure.
pub(crate) fn is_root() -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    assert!(is_root || std::env::var("CI").as_deref() != Ok("true"), "this test needs root");
    is_root
}

/// An empty directory of a test's own.
pub(crate) struct Place(PathBuf);

impl Place {
    /// `name` is another for each test.
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ocf-wasm-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Deref for Place {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A process that ends with the test.
pub(crate) struct Kept(pub(crate) Child);

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Compares a text with a file of the checkout; with `UPDATE_GOLDEN=1`, which `cargo xtask docs` sets, writes it there.
#[track_caller]
pub(crate) fn golden(path: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        return;
    }
    let then = std::fs::read_to_string(&file).unwrap_or_default();
    for (number, (was, is)) in then.lines().zip(text.lines()).enumerate() {
        assert_eq!(was, is, "{path}:{}: if it is to change: cargo xtask docs", number + 1);
    }
    assert_eq!(then, text, "{path}: another length; if it is to change: cargo xtask docs");
}
