//! What the plugin asked and was answered, call by call, for who wants to see it.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::ocf::outcome::one_line;
use crate::ocf::request::TraceTarget;
use crate::ocf::{Action, Request};
use crate::report::{self, Log};
use crate::sys::{clock, trusted};

/// Where traces are kept that nobody named a file for: TYPE/INSTANCE.ACTION.TIME, as the shell library calls them.
const KEPT: &str = "/var/lib/ocf-wasm/trace_ra";
/// Bytes of one line.
const LINE_BYTES: usize = 4096;
/// Bytes of one trace: all that is worth reading of one action. A plugin may ask a hundred thousand times, and the disk is
/// that of all agents.
const TRACE_BYTES: usize = 4 * 1024 * 1024;

/// A file to write to, or nothing.
#[derive(Debug)]
pub struct Trace {
    file: Option<File>,
    start: Instant,
    /// Bytes that may still be written.
    left: usize,
}

impl Trace {
    /// Nobody wants to see anything.
    pub fn off(start: Instant) -> Self {
        Self { file: None, start, left: TRACE_BYTES }
    }

    /// Opens what the caller wants. What cannot be opened is told and is no reason to fail.
    pub fn open(request: &Request, action: Action, start: Instant, log: &Log) -> Self {
        let file = request.trace.as_ref().and_then(|target| match target {
            TraceTarget::File(path) => open(path),
            // As the shell library does it: who sits there, sees it.
            TraceTarget::Kept if report::is_seen() => open(Path::new("/dev/stderr")),
            TraceTarget::Kept => kept(request, action, log),
        });
        Self { file, ..Self::off(start) }
    }

    /// Whether anybody wants to see it.
    pub fn is_on(&self) -> bool {
        self.file.is_some()
    }

    /// Writes a line about something that took `took`, without what `log` hides. The last one that there is room for says
    /// that it is the last.
    pub fn line(&mut self, text: &str, took: Option<Duration>, log: &Log) {
        let Some(file) = &mut self.file else { return };
        let at = self.start.elapsed().as_secs_f64() * 1000.0;
        let took = took.map(|t| format!("  ({:.2} ms)", t.as_secs_f64() * 1000.0)).unwrap_or_default();
        let line = format!("{at:9.2} ms  {}{took}\n", one_line(&log.masked(&readable(text)), LINE_BYTES));
        match self.left.checked_sub(line.len()) {
            Some(left) => {
                self.left = left;
                let _ = file.write_all(line.as_bytes());
            }
            None => {
                let most = TRACE_BYTES / (1024 * 1024);
                let _ = writeln!(file, "{at:9.2} ms  this trace is cut here: one of an action has at most {most} MiB");
                self.file = None;
            }
        }
    }
}

/// Opens a file in the host's own directory, by a name that nobody chooses. It is told where it is.
#[cold]
#[inline(never)]
fn kept(request: &Request, action: Action, log: &Log) -> Option<File> {
    let directory = Path::new(KEPT).join(&request.agent.kind);
    let instance = request.instance_name().ok()?;
    let path = directory.join(format!("{instance}.{}.{}", action.word(), clock::local_name()));
    let made = std::fs::create_dir_all(&directory).and_then(|()| trusted::open_for_appending(&path, 0o600));
    match made {
        Ok(file) => {
            log.info(&format!("traced to {}", path.display()));
            Some(file)
        }
        Err(error) => {
            log.warning(&format!("no trace: {}: {error}", path.display()));
            None
        }
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
    use crate::ocf::Parameters;
    use crate::ocf::request::LogTarget;
    use crate::seam::{Call, Slot};

    /// What a trace holds after `write` has written to it.
    fn traced(log: &Log, write: impl FnOnce(&mut Trace, &Log)) -> String {
        let path = std::env::temp_dir().join(format!("ocf-wasm-trace-{}-{:?}", std::process::id(), Instant::now()));
        let mut trace = Trace { file: File::create(&path).ok(), ..Trace::off(Instant::now()) };
        write(&mut trace, log);
        let text = std::fs::read_to_string(&path);
        std::fs::remove_file(&path).unwrap();
        text.unwrap()
    }

    #[test]
    fn a_secret_is_masked_however_it_is_escaped() {
        let log = Log::of("x", None, LogTarget::default());
        for secret in [r#"a"b\'ü"#, "two\nlines", "tab\tü'", "plain"] {
            log.hide(&Parameters::from([("password".to_owned(), secret.to_owned())]));
            let value = format!("<{secret}>");
            let asked = Call::ProgramRun {
                label: "x".into(),
                slots: vec![Slot { name: "login".into(), value: value.clone() }],
                input: Some(value.clone().into_bytes()),
            };
            let text = traced(&log, |trace, log| trace.line(&format!("{asked:?} -> {value} {value:?}"), None, log));
            // Four times, and nothing is left of it between what stands around it.
            let masked = text.split('<').skip(1).map(|rest| rest.split_once('>').unwrap().0);
            let masked: Vec<&str> = masked.collect();
            assert_eq!(masked.len(), 4, "{text}");
            assert!(masked.iter().all(|word| word.len() >= 4 && word.chars().all(|c| c == '*')), "{secret:?}: {text}");
        }
    }

    #[test]
    fn a_trace_ends_where_it_would_fill_a_disk_and_says_so() {
        let log = Log::of("x", None, LogTarget::default());
        let line = "x".repeat(10_000);
        let text = traced(&log, |trace, log| {
            for _ in 0..=TRACE_BYTES / LINE_BYTES + 10 {
                trace.line(&line, None, log);
            }
            assert!(!trace.is_on(), "nothing is made for it any more");
        });
        let cut: Vec<&str> = text.lines().filter(|line| !line.contains("xxx")).collect();
        assert!(text.len() > TRACE_BYTES - 2 * LINE_BYTES && text.len() <= TRACE_BYTES + LINE_BYTES, "{}", text.len());
        assert_eq!(cut.len(), 1, "{cut:?}");
        assert!(text.lines().last().unwrap().ends_with("this trace is cut here: one of an action has at most 4 MiB"));
    }

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
