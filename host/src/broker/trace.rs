//! What the plugin asked and was answered, call by call, for who wants to see it.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::ocf::outcome::one_line;
use crate::report::Log;
use crate::sys::trusted;

/// Bytes of one line.
const LINE_BYTES: usize = 4096;

/// A file to write to, or nothing.
#[derive(Debug)]
pub struct Trace {
    file: Option<File>,
    start: Instant,
}

impl Trace {
    /// Opens the file that the caller named. One that cannot be opened is no reason to fail.
    pub fn open(path: Option<&Path>, start: Instant) -> Self {
        Self { file: path.and_then(open), start }
    }

    /// Whether anybody wants to see it.
    pub fn is_on(&self) -> bool {
        self.file.is_some()
    }

    /// Writes a line about something that took `took`, without what `log` hides.
    pub fn line(&mut self, text: &str, took: Option<Duration>, log: &Log) {
        let Some(file) = &mut self.file else { return };
        let at = self.start.elapsed().as_secs_f64() * 1000.0;
        let took = took.map(|t| format!("  ({:.2} ms)", t.as_secs_f64() * 1000.0)).unwrap_or_default();
        let _ = writeln!(file, "{at:9.2} ms  {}{took}", one_line(&log.masked(&readable(text)), LINE_BYTES));
    }
}

/// Opens a file that the caller named, to append to it. None if it cannot be opened.
pub(super) fn open(path: &Path) -> Option<File> {
    if !path.is_absolute() {
        return None;
    }
    // Opened anew, a file behind it would be written at another place.
    if path == Path::new("/dev/stderr") {
        return crate::sys::fd::duplicate(2).ok().map(File::from);
    }
    if !path.starts_with("/dev") && !path.starts_with("/proc") {
        return trusted::open_for_appending(path, 0o600).ok();
    }
    // A terminal or a pipe has no link in its last step that somebody could have put there.
    OpenOptions::new().append(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path).ok()
}

/// Shows lists of bytes as text, as a person would write them.
fn readable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, list)) = rest.split_once('[') {
        shown.push_str(before);
        let bytes = list.split_once(']').and_then(|(list, after)| {
            let bytes: Option<Vec<u8>> = list.split(", ").map(|number| number.parse().ok()).collect();
            Some((bytes?, after))
        });
        match bytes {
            Some((bytes, after)) => {
                shown.push_str(&format!("b\"{}\"", bytes.escape_ascii()));
                rest = after;
            }
            None => {
                shown.push('[');
                rest = list;
            }
        }
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_bytes_as_text_and_leaves_the_rest() {
        for (raw, shown) in [
            ("set { value: [111, 107, 10] } -> Ok(())", r#"set { value: b"ok\n" } -> Ok(())"#),
            ("run { slots: [], input: Some([34]) }", r#"run { slots: [], input: Some(b"\"") }"#),
            ("slots: [Slot { name: \"a\" }, [7]]", r#"slots: [Slot { name: "a" }, b"\x07"]"#),
            ("[300], [1, x", "[300], [1, x"),
        ] {
            assert_eq!(readable(raw), shown);
        }
    }
}
