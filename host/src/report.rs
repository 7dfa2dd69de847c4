//! What leaves the process besides the exit status: log lines, the one exit reason, metadata.
//!
//! Log lines go where every agent's go (syslog, a file, both), as `Type(instance)[pid]`; to standard error only where
//! neither is configured. No text of a plugin or a program gets there unescaped. The reason is the last line.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::{IsTerminal as _, Write as _};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use crate::ocf::description::is_secret;
use crate::ocf::outcome::one_line;
use crate::ocf::request::LogTarget;
use crate::ocf::{Outcome, Parameters};
use crate::seam::log::Level;
use crate::sys::alarm::Message;
use crate::sys::{clock, trusted};

/// Bytes of one log line.
const LINE_BYTES: usize = 2048;
/// How long a line of the audit waits for room in the log's queue.
const AUDIT_WAIT: Duration = Duration::from_millis(100);
/// Bytes of the shortest secret that is found again in what is told: a shorter one would be found in what it is not.
pub const SECRET_BYTES: usize = 4;
/// Of the audit: facility authpriv, severity info.
const AUDIT_PRIORITY: u32 = 10 * 8 + 6;
/// Where the system's log listens.
const SYSLOG: &str = "/dev/log";

/// Where lines go, and as whom.
#[derive(Debug)]
pub struct Log {
    tag: String,
    target: LogTarget,
    to_stderr: bool,
    /// Values that are in no line, in each of their [`forms`]; the longest first: one may be the beginning of another.
    secrets: RefCell<Vec<String>>,
}

impl Log {
    /// Returns the log of an agent's action.
    pub fn of(kind: &str, instance: Option<&str>, target: LogTarget) -> Self {
        let instance = instance.map(|i| format!("({})", one_line(i, 100))).unwrap_or_default();
        let to_stderr = target.facility.is_none() && target.file.is_none();
        let tag = format!("{kind}{instance}[{}]", std::process::id());
        Self { tag, target, to_stderr, secrets: RefCell::default() }
    }

    /// Returns the log of something that serves no action.
    pub fn system(tag: &str) -> Self {
        let target = LogTarget { facility: Some("daemon".to_owned()), ..LogTarget::default() };
        let tag = format!("{}[{}]", one_line(tag, 200), std::process::id());
        Self { tag, target, to_stderr: false, secrets: RefCell::default() }
    }

    /// Keeps the values of secret parameters out of all that is told from now on, a plugin's own words included.
    pub fn hide(&self, parameters: &Parameters) {
        let is_hidden = |name: &str, value: &str| is_secret(name) && value.len() >= SECRET_BYTES;
        let hidden = parameters.iter().filter(|(name, value)| crate::guard!("I18", is_hidden(name, value), false));
        self.hide_values(hidden.map(|(_, value)| value.clone()));
    }

    /// Keeps these values out of all that is told from now on.
    pub fn hide_values(&self, values: impl IntoIterator<Item = String>) {
        let mut secrets = self.secrets.borrow_mut();
        for value in values.into_iter().flat_map(|value| forms(&value)) {
            if !secrets.contains(&value) {
                secrets.push(value);
                secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
            }
        }
    }

    /// The values that are kept out of it, in each of their [`forms`].
    pub fn hidden(&self) -> Vec<String> {
        self.secrets.borrow().clone()
    }

    /// A text with asterisks in the place of secrets.
    pub fn masked<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let secrets = self.secrets.borrow();
        secrets.iter().filter(|secret| text.contains(secret.as_str())).fold(Cow::Borrowed(text), |text, secret| {
            Cow::Owned(text.replace(secret.as_str(), &"*".repeat(secret.len())))
        })
    }

    /// An error: something failed.
    pub fn error(&self, text: &str) {
        self.line(Level::Error, text);
    }

    /// A warning: unusual, and handled.
    pub fn warning(&self, text: &str) {
        self.line(Level::Warning, text);
    }

    /// A normal event.
    pub fn info(&self, text: &str) {
        self.line(Level::Info, text);
    }

    /// Something for who switched debugging on.
    pub fn debug(&self, text: &str) {
        self.line(Level::Debug, text);
    }

    /// A line of the audit, where a log is kept; in the log of the system among what concerns its security.
    pub fn audit(&self, text: &str) {
        let text = one_line(&self.masked(text), LINE_BYTES);
        if self.target.facility.is_some() {
            // Who fills the log's queue, as any granted program can, does not hide by that what was done.
            self.to_system(AUDIT_PRIORITY, "AUDIT", &text, Some(AUDIT_WAIT));
        }
        self.to_file("AUDIT", &text);
    }

    /// Returns the line of the audit that is sent to the system's log if nobody comes back to write one, `wait` from now.
    pub fn audit_message(&self, text: &str, wait: Duration) -> Option<Message> {
        self.target.facility.as_ref()?;
        let text = one_line(&self.masked(text), LINE_BYTES);
        let bytes = self.message(AUDIT_PRIORITY, "AUDIT", &text, wait).into_bytes();
        Some(Message { to: Path::new(SYSLOG), bytes })
    }

    /// Writes one line.
    pub fn line(&self, level: Level, text: &str) {
        if level == Level::Debug && !self.target.debug {
            return;
        }
        let (word, severity) = match level {
            Level::Debug => ("DEBUG", 7),
            Level::Info => ("INFO", 6),
            Level::Warning => ("WARNING", 4),
            Level::Error => ("ERROR", 3),
        };
        let text = one_line(&self.masked(text), LINE_BYTES);
        if let Some(facility) = &self.target.facility {
            self.to_system(facility_number(facility) * 8 + severity, word, &text, None);
        }
        self.to_file(word, &text);
        if self.to_stderr && (level != Level::Info || is_seen()) {
            let _ = writeln!(std::io::stderr(), "{}: {word}: {text}", self.tag);
        }
    }
}

impl Log {
    /// `wait` is how long at most it waits for room; none: not at all.
    fn to_system(&self, priority: u32, word: &str, text: &str, wait: Option<Duration>) {
        let message = self.message(priority, word, text, Duration::ZERO);
        if let Ok(socket) = UnixDatagram::unbound() {
            let _ = match wait {
                Some(wait) => socket.set_write_timeout(Some(wait)),
                None => socket.set_nonblocking(true),
            };
            let _ = socket.send_to(message.as_bytes(), SYSLOG);
        }
    }

    /// A line as the system's log takes it, of `wait` from now.
    fn message(&self, priority: u32, word: &str, text: &str, wait: Duration) -> String {
        format!("<{priority}>{} {}: {word}: {text}", clock::local_stamp_in(wait), self.tag)
    }

    fn to_file(&self, word: &str, text: &str) {
        if let Some(file) = &self.target.file {
            append(file, &format!("{} {}: {word}: {text}\n", clock::local_stamp_in(Duration::ZERO), self.tag));
        }
    }
}

/// A secret as it stands in what is told: as it is, and where that is something else, as it is escaped within quotation
/// marks and as bytes.
pub fn forms(secret: &str) -> Vec<String> {
    let quoted = format!("{secret:?}");
    let mut forms = vec![secret.to_owned()];
    for form in [quoted[1..quoted.len() - 1].to_owned(), secret.as_bytes().escape_ascii().to_string()] {
        if !forms.contains(&form) {
            forms.push(form);
        }
    }
    forms
}

/// Whether somebody sits before what standard error is.
pub fn is_seen() -> bool {
    std::io::stderr().is_terminal()
}

/// Adds a line to a file of the caller's, whoever may write in its directory.
fn append(file: &Path, line: &str) {
    if let Ok(mut file) = trusted::open_for_appending(file, 0o640) {
        let _ = file.write_all(line.as_bytes());
    }
}

/// The numbers of syslog(3).
fn facility_number(name: &str) -> u32 {
    match name {
        "kern" => 0,
        "user" => 1,
        "mail" => 2,
        "auth" => 4,
        "syslog" => 5,
        "lpr" => 6,
        "news" => 7,
        "uucp" => 8,
        "cron" => 9,
        "authpriv" => 10,
        "ftp" => 11,
        "local0" => 16,
        "local1" => 17,
        "local2" => 18,
        "local3" => 19,
        "local4" => 20,
        "local5" => 21,
        "local6" => 22,
        "local7" => 23,
        _ => 3,
    }
}

/// Writes the exit reason, if there is one, as the last line of standard error.
pub fn reason(prefix: &str, outcome: &Outcome) {
    if let Some(line) = reason_line(prefix, outcome) {
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

/// Returns that line, with its end; none if there is nothing to say. Pacemaker shows what stands behind the last prefix,
/// so there is one.
pub fn reason_line(prefix: &str, outcome: &Outcome) -> Option<String> {
    let reason = &outcome.reason;
    let broken_up = || reason.replace(prefix, &format!("{};", prefix.trim_end_matches(':')));
    (!reason.is_empty()).then(|| format!("{prefix}{}\n", crate::guard!("I14", broken_up(), reason.clone())))
}

/// Writes to standard output what an action is asked to print.
///
/// # Errors
/// If nobody reads.
pub fn print(text: &[u8]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ocf::Exit;

    #[test]
    fn a_reason_holds_no_other_whatever_it_begins_with() {
        let outcome = Outcome::because(Exit::Generic, "x why: ocf-exit-reason: y");
        assert_eq!(reason_line("why:", &outcome).unwrap(), "why:x why; ocf-exit-reason; y\n");
        assert_eq!(reason_line("why:", &Outcome::of(Exit::Success)), None);
    }
}
