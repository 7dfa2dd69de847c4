//! What is wrong with a policy, where, and what to do: for a person, with the line and a caret.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

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
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    pub(super) fn new(path: &Path, text: &str, span: Range<usize>, message: String, hint: Option<String>) -> Self {
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
            message,
            hint,
        }
    }

    /// Returns it in one line, for an exit reason or a log.
    pub fn line(&self) -> String {
        format!("policy {}:{}:{}: {}", self.path.display(), self.line, self.column, self.message)
    }
}

impl std::fmt::Display for Diagnostic {
    /// Several lines: message, place, source, caret, hint.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let mut text = format!("error: {}\n", self.message);
        let _ = writeln!(text, "{margin}--> {}:{}:{}", self.path.display(), self.line, self.column);
        let _ = writeln!(text, "{margin} |\n{number} | {}", self.source);
        // A tab before the mark stays a tab, so that the caret stands below what it means.
        let indent: String =
            self.source.chars().take(self.column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let _ = write!(text, "{margin} | {indent}{}", "^".repeat(self.width));
        if let Some(hint) = &self.hint {
            let _ = write!(text, "\nhint: {hint}");
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

/// Returns the known word that was probably meant.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    known.iter().map(|k| (distance(word, k), *k)).filter(|(d, _)| *d <= limit).min().map(|(_, k)| k)
}

/// The number of single-character edits between two words (Levenshtein 1966).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
