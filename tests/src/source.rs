//! The checkout as text: what tests about documents and about the shape of the code read.

#![allow(clippy::unwrap_used, reason = "support of tests: a panic is the report")]

use std::fs;
use std::path::{Path, PathBuf};

/// A file of the checkout.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its path below the checkout.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// The checkout.
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().canonicalize().unwrap()
}

/// Every file of the checkout that is text and that somebody wrote, in the order of their paths.
pub fn files() -> Vec<Source> {
    let root = checkout();
    let mut found = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let kind = entry.file_type().unwrap();
            // What cargo and git keep for themselves.
            let is_kept_by_tools = directory == root && matches!(entry.file_name().to_str(), Some("target" | ".git"));
            if kind.is_dir() && !is_kept_by_tools {
                open.push(path);
            } else if kind.is_file()
                && let Ok(text) = fs::read_to_string(&path)
            {
                found.push(Source { path: path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(), text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Files of the checkout whose paths end so.
pub fn files_ending(end: &str) -> Vec<Source> {
    files().into_iter().filter(|file| file.path.ends_with(end)).collect()
}
