//! What is wrong with a policy, where, and what to do: for a person, with the line and a caret.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::key::Table;
use super::mistake::Mistake;

/// One mistake in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file.
    pub path: PathBuf,
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// The whole line.
    pub source: String,
    /// How many characters of it are meant.
    pub width: usize,
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What was probably meant. Only in the tool.
    pub hint: Option<String>,
    /// What may stand there. Only in the tool.
    pub expected: Option<String>,
    /// Which mistake, and the line of the parser that found it.
    #[cfg(test)]
    pub(super) found: (&'static str, &'static std::panic::Location<'static>),
}

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is taken as it is, and grants more than somebody may think.
    Warning,
    /// Nothing is wrong with the file: this is what is spoken of.
    Note,
}

impl Diagnostic {
    /// Tells a mistake. `key` is the key whose value is wrong, empty if it is the table.
    #[track_caller]
    pub(super) fn new(
        path: &Path,
        text: &str,
        span: Range<usize>,
        mistake: &Mistake,
        table: &Table,
        key: &str,
    ) -> Self {
        let (hint, expected) = mistake.advice(table, key);
        Self {
            hint,
            expected,
            #[cfg(test)]
            found: (mistake.name(), std::panic::Location::caller()),
            ..Self::at(path, text, span, Severity::Error, mistake.to_string())
        }
    }

    /// Says something about a place.
    #[track_caller]
    pub(super) fn at(path: &Path, text: &str, span: Range<usize>, severity: Severity, message: String) -> Self {
        let start = floor(text, span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let end = floor(text, span.end).clamp(start, line_end);
        Self {
            path: path.to_owned(),
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            source: text[line_start..line_end].to_owned(),
            width: text[start..end].chars().count().max(1),
            severity,
            message,
            hint: None,
            expected: None,
            #[cfg(test)]
            found: ("", std::panic::Location::caller()),
        }
    }

    /// Returns it in one line, for an exit reason or a log: the directory is known, and a reason is short.
    pub fn line(&self) -> String {
        let file = self.path.file_name().unwrap_or_default().to_string_lossy();
        format!("policy {file}:{}:{}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for Diagnostic {}

impl std::fmt::Display for Diagnostic {
    /// Several lines: message, place, source, caret, what was meant, what may stand there.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        let mut text = format!("{severity}: {}\n", self.message);
        let _ = writeln!(text, "{margin}--> {}:{}:{}", self.path.display(), self.line, self.column);
        let _ = writeln!(text, "{margin} |\n{number} | {}", self.source);
        // A tab before the mark stays a tab, so that the caret stands below what it means.
        let indent: String =
            self.source.chars().take(self.column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let _ = write!(text, "{margin} | {indent}{}", "^".repeat(self.width));
        if let Some(hint) = &self.hint {
            let _ = write!(text, "\nhint: {hint}");
        }
        if let Some(expected) = &self.expected {
            let _ = write!(text, "\nexpected: {expected}");
        }
        f.write_str(&text)
    }
}

fn floor(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
