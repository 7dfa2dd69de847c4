//! One invocation decided: an exit status and, if it failed, one reason. The only place with OCF numbers.

use std::fmt;

use super::Action;

/// What a reason ends with where the host sees that the plugin is wrong: something of what it started lives.
pub const CONTRADICTED: &str = "and the plugin says that it does not run";
/// Bytes of an exit reason. Pacemaker shows 128.
pub const REASON_BYTES: usize = 120;

/// An exit status of the OCF resource agent API 1.1, section "return codes". Closed: what is not here cannot be
/// answered, so neither a panic nor a signal nor a parser's own status ever reaches the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done; from monitor: running, unpromoted.
    Success,
    /// Unspecified failure; recovered in place or elsewhere.
    Generic,
    /// A parameter makes no sense on this node.
    Arguments,
    /// The agent cannot do that.
    Unimplemented,
    /// Not allowed on this node.
    Permission,
    /// Something it needs is missing on this node.
    NotInstalled,
    /// A parameter makes no sense anywhere: banned from the whole cluster.
    NotConfigured,
    /// Cleanly stopped.
    NotRunning,
    /// Running, promoted.
    Promoted,
    /// Promoted, not working.
    FailedPromoted,
    /// Running, will probably stop working.
    Degraded,
    /// Running promoted, will probably stop working.
    DegradedPromoted,
}

impl Exit {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 12] = [
        Self::Success,
        Self::Generic,
        Self::Arguments,
        Self::Unimplemented,
        Self::Permission,
        Self::NotInstalled,
        Self::NotConfigured,
        Self::NotRunning,
        Self::Promoted,
        Self::FailedPromoted,
        Self::Degraded,
        Self::DegradedPromoted,
    ];

    /// Returns the exit status with a number.
    pub fn of_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|exit| exit.code() == code)
    }

    /// Returns what a process ended with; none for a number that no agent may answer.
    pub fn from_status(status: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|exit| i32::from(exit.code()) == status)
    }

    /// Whether an agent may answer this to an action, by what Pacemaker makes of it: a role is said by monitor only; 7
    /// from stop is a failed stop; 3 from a monitor may mean no recovery; 6 from a probe stops the resource on all nodes.
    pub fn fits(self, action: Action, is_probe: bool) -> bool {
        match (action, self) {
            (Action::Monitor, Self::Unimplemented) => false,
            (Action::Monitor, Self::NotConfigured | Self::Permission) => !is_probe,
            (Action::Monitor, _) => true,
            (_, Self::Promoted | Self::FailedPromoted | Self::Degraded | Self::DegradedPromoted) => false,
            (action, Self::NotRunning) => action == Action::Demote,
            (Action::Start | Action::Stop | Action::ValidateAll, Self::Unimplemented) => false,
            (Action::Notify, exit) => matches!(exit, Self::Success | Self::Unimplemented),
            (Action::MetaData | Action::Usage | Action::Methods, exit) => {
                matches!(exit, Self::Success | Self::NotInstalled)
            }
            (_, _) => true,
        }
    }

    /// Returns the number.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Generic => 1,
            Self::Arguments => 2,
            Self::Unimplemented => 3,
            Self::Permission => 4,
            Self::NotInstalled => 5,
            Self::NotConfigured => 6,
            Self::NotRunning => 7,
            Self::Promoted => 8,
            Self::FailedPromoted => 9,
            Self::Degraded => 190,
            Self::DegradedPromoted => 191,
        }
    }

    /// Returns what the standard calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "OCF_SUCCESS",
            Self::Generic => "OCF_ERR_GENERIC",
            Self::Arguments => "OCF_ERR_ARGS",
            Self::Unimplemented => "OCF_ERR_UNIMPLEMENTED",
            Self::Permission => "OCF_ERR_PERM",
            Self::NotInstalled => "OCF_ERR_INSTALLED",
            Self::NotConfigured => "OCF_ERR_CONFIGURED",
            Self::NotRunning => "OCF_NOT_RUNNING",
            Self::Promoted => "OCF_RUNNING_PROMOTED",
            Self::FailedPromoted => "OCF_FAILED_PROMOTED",
            Self::Degraded => "OCF_DEGRADED",
            Self::DegradedPromoted => "OCF_DEGRADED_PROMOTED",
        }
    }

    /// Whether the cluster records an action that ended so as failed. 7 is what a probe mostly answers.
    pub fn is_failure(self) -> bool {
        match self {
            Self::Success | Self::NotRunning | Self::Promoted | Self::Degraded | Self::DegradedPromoted => false,
            Self::Generic
            | Self::Arguments
            | Self::Unimplemented
            | Self::Permission
            | Self::NotInstalled
            | Self::NotConfigured
            | Self::FailedPromoted => true,
        }
    }
}

/// Whether an exit status that was answered some time ago means that something is to be cleaned up. "Not running" is
/// what a probe mostly finds, and a failure to everybody else.
pub fn was_failure(code: u8, is_probe: bool) -> bool {
    let good = [Exit::Success, Exit::Promoted, Exit::Degraded, Exit::DegradedPromoted];
    let not_there = is_probe && code == Exit::NotRunning.code();
    !not_there && good.iter().all(|exit| exit.code() != code)
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::Success => "ok",
            Self::Generic => "failed",
            Self::Arguments => "wrong on this node",
            Self::Unimplemented => "not implemented",
            Self::Permission => "not permitted",
            Self::NotInstalled => "not installed",
            Self::NotConfigured => "wrong on every node",
            Self::NotRunning => "not running",
            Self::Promoted => "promoted",
            Self::FailedPromoted => "promoted and failed",
            Self::Degraded => "degraded",
            Self::DegradedPromoted => "promoted and degraded",
        };
        write!(f, "{words} ({})", self.code())
    }
}

/// What the cluster is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Outcome {
    /// The exit status.
    pub exit: Exit,
    /// The exit reason: one printable line. Empty if there is nothing to say.
    pub reason: String,
}

impl Outcome {
    /// Returns an outcome without a reason.
    pub fn of(exit: Exit) -> Self {
        Self { exit, reason: String::new() }
    }

    /// Returns an outcome with a reason, made printable and cut to 120 bytes.
    pub fn because(exit: Exit, reason: &str) -> Self {
        Self { exit, reason: one_line(reason, REASON_BYTES) }
    }
}

/// Returns `text` as one printable line of at most `limit` bytes: the end of a line becomes ` | `, control characters,
/// line separators and marks that turn text around are shown as `\u{..}`, and what Pacemaker takes for the start of
/// an exit reason is broken up.
pub fn one_line(text: &str, limit: usize) -> String {
    let mut line = String::with_capacity(text.len().min(limit));
    for c in text.trim().chars() {
        let mut piece = [0; 4];
        let escaped;
        let piece: &str = match c {
            '\n' => " | ",
            '\r' => "",
            '\t' => " ",
            c if c.is_control() || is_invisible(c) => {
                escaped = c.escape_unicode().to_string();
                &escaped
            }
            c => c.encode_utf8(&mut piece),
        };
        if line.len() + piece.len() > limit {
            break;
        }
        line.push_str(piece);
    }
    crate::guard!("I14", line.replace("ocf-exit-reason:", "ocf-exit-reason;"), line)
}

/// Line and paragraph separators, and all that Unicode calls a format character: zero-width and bidirectional marks, tags,
/// annotations. A person must see what a program wrote.
pub(crate) fn is_invisible(c: char) -> bool {
    // Most text is left of the first one.
    c >= '\u{ad}'
        && matches!(c,
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
            | '\u{8e2}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_of_a_process_is_one_of_ours_or_none() {
        for exit in Exit::ALL {
            assert_eq!(Exit::from_status(exit.code().into()), Some(exit));
        }
        for status in [-1, 10, 101, 189, 193, 256] {
            assert_eq!(Exit::from_status(status), None);
        }
    }

    #[test]
    fn what_the_cluster_would_misread_does_not_fit() {
        for (action, is_probe, exit) in [
            (Action::Stop, false, Exit::NotRunning),
            (Action::Start, false, Exit::Degraded),
            (Action::Monitor, false, Exit::Unimplemented),
            (Action::Monitor, true, Exit::NotConfigured),
            (Action::Notify, false, Exit::Generic),
            (Action::Promote, false, Exit::Promoted),
        ] {
            assert!(!exit.fits(action, is_probe), "{action:?} {exit}");
        }
        for (action, exit) in [
            (Action::Monitor, Exit::NotConfigured),
            (Action::Demote, Exit::NotRunning),
            (Action::Promote, Exit::Unimplemented),
        ] {
            assert!(exit.fits(action, false), "{action:?} {exit}");
        }
    }

    #[test]
    fn a_reason_is_one_line_of_printable_text() {
        assert_eq!(one_line("a\nb\x1b[31m\u{202e}", 99), "a | b\\u{1b}[31m\\u{202e}");
        assert_eq!(one_line("o\u{ad}k \u{61c}x\u{e0041}", 99), "o\\u{ad}k \\u{61c}x\\u{e0041}");
    }

    #[test]
    fn a_reason_cannot_start_another() {
        assert!(!one_line("x ocf-exit-reason:all is well", 99).contains("ocf-exit-reason:"));
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        assert_eq!(one_line("ääää", 5), "ää");
    }
}
