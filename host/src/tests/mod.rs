//! Texts that are checked in and must be what the code says today.

#[cfg(feature = "tool")]
mod pages;

use std::path::Path;

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
