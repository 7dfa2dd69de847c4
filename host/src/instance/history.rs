//! The last actions of an instance, one line each, for `why`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use super::Directory;

/// Actions that are kept.
const KEPT: usize = 20;
/// Bytes of the file beyond which it is cut back to the last [`KEPT`] lines.
const FILE_BYTES: u64 = 16 * 1024;

/// One action that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// When, seconds since 1970.
    pub at: u64,
    /// Which: the word, with `probe` or the check level where it is one.
    pub action: String,
    /// The exit status.
    pub exit: u8,
    /// How long it took, milliseconds.
    pub took_ms: u64,
    /// The reason, if there was one.
    pub reason: String,
}

/// The file `actions` of an instance.
#[derive(Debug)]
pub struct History(PathBuf);

impl History {
    /// Returns the history of an instance.
    pub fn of(directory: &Directory) -> Self {
        Self(directory.path().join("actions"))
    }

    /// Appends an action. A history that cannot be written is no reason to fail one.
    pub fn add(&self, action: &Action) {
        let reason = action.reason.replace(['\t', '\n'], " ");
        let line = format!("{}\t{}\t{}\t{}\t{reason}\n", action.at, action.action, action.exit, action.took_ms);
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.0);
        let Ok(mut file) = file else { return };
        if file.metadata().is_ok_and(|m| m.len() > FILE_BYTES) {
            let text = std::fs::read_to_string(&self.0).unwrap_or_default();
            let skip = text.lines().count().saturating_sub(KEPT - 1);
            let mut kept: String = text.lines().skip(skip).map(|l| format!("{l}\n")).collect();
            kept.push_str(&line);
            let new = self.0.with_extension(format!("new{}", std::process::id()));
            if std::fs::write(&new, kept).is_ok() {
                let _ = std::fs::rename(&new, &self.0);
            }
            return;
        }
        let _ = file.write_all(line.as_bytes());
    }

    /// Returns the last actions, oldest first.
    pub fn last(&self) -> Vec<Action> {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        let mut actions: Vec<Action> = text.lines().filter_map(parse).collect();
        actions.drain(..actions.len().saturating_sub(KEPT));
        actions
    }
}

fn parse(line: &str) -> Option<Action> {
    let mut fields = line.splitn(5, '\t');
    Some(Action {
        at: fields.next()?.parse().ok()?,
        action: fields.next()?.to_owned(),
        exit: fields.next()?.parse().ok()?,
        took_ms: fields.next()?.parse().ok()?,
        reason: fields.next()?.to_owned(),
    })
}
