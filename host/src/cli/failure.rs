//! How the tool tells of what went wrong: to people in a sentence and what to do, to programs as one document. The exit
//! status is the same.

use std::ffi::OsString;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::here;
use crate::policy::Diagnostic;
use crate::sys::interrupt;

/// Tells of what went wrong; `--help` comes here as well. Returns how the tool ends.
pub(super) fn told(error: &anyhow::Error) -> ExitCode {
    let is_for_programs = is_asked_for_json(std::env::args_os());
    match error.downcast_ref::<clap::Error>() {
        Some(usage) if usage.use_stderr() => {
            if is_for_programs {
                show(&of_usage(&usage.render().to_string()));
            } else {
                let _ = usage.print();
            }
            ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(u8::MAX))
        }
        Some(help) => {
            print!("{}", help.render());
            ExitCode::SUCCESS
        }
        None => {
            match error.downcast_ref::<Diagnostic>() {
                Some(diagnostic) if is_for_programs => show(&of_policy(diagnostic)),
                Some(diagnostic) => eprintln!("{diagnostic}"),
                None if is_for_programs => show(&document(error)),
                None => eprintln!("error: {}", printable(&here::said(&format!("{error:#}")))),
            }
            // All that was to be cleaned up is: now it ends as its caller expects.
            interrupt::noticed().map_or(ExitCode::FAILURE, |signal| interrupt::end_by(signal))
        }
    }
}

/// As a terminal may have it: an error can quote a plugin that nobody has granted anything yet.
fn printable(text: &str) -> String {
    let as_text = |c: char| match c {
        '\n' => "\n".to_owned(),
        c if c.is_control() => c.escape_default().to_string(),
        c => c.to_string(),
    };
    text.chars().map(as_text).collect()
}

/// Where in a policy something is, for programs.
pub(super) fn place(at: &Diagnostic) -> Value {
    json!({
        "path": at.path, "line": at.line, "column": at.column, "source": at.source,
        "message": at.message, "hint": at.hint, "expected": at.expected,
    })
}

fn show(document: &Value) {
    println!("{document:#}");
}

/// The first line of each sentence says what, the lines below it what to do.
fn document(error: &anyhow::Error) -> Value {
    let (mut what, mut next) = (Vec::new(), Vec::new());
    for sentence in error.chain().map(|cause| here::said(&cause.to_string())) {
        let mut lines = sentence.lines().map(|line| line.trim().to_owned());
        what.extend(lines.next());
        next.extend(lines);
    }
    let hint = (!next.is_empty()).then(|| next.join("\n"));
    json!({ "error": what.join(": "), "hint": hint, "place": null })
}

fn of_policy(diagnostic: &Diagnostic) -> Value {
    json!({ "error": diagnostic.message, "hint": diagnostic.hint, "place": place(diagnostic) })
}

/// What the parser of arguments prints: a line that says what, and below it the usage.
fn of_usage(text: &str) -> Value {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let (what, next) = text.split_once('\n').unwrap_or((text, ""));
    json!({ "error": what.trim(), "hint": next.trim(), "place": null })
}

/// Whether a document is asked for, also where the arguments are not understood.
fn is_asked_for_json(arguments: impl Iterator<Item = OsString>) -> bool {
    let words: Vec<String> =
        arguments.map(|word| word.to_string_lossy().into_owned()).take_while(|w| w != "--").collect();
    let is_flag = |word: &str| matches!(word, "-o" | "--output");
    let is_both = |word: &str| matches!(word, "-ojson" | "-o=json" | "--output=json");
    words.iter().any(|word| is_both(word)) || words.windows(2).any(|two| is_flag(&two[0]) && two[1] == "json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_asked_for_in_each_way_that_the_parser_takes() {
        let asked = |line: &str| is_asked_for_json(line.split(' ').map(OsString::from));
        for line in ["list -o json", "-ojson list", "list --output=json", "-o=json why", "--output json --colour"] {
            assert!(asked(line), "{line}");
        }
        for line in ["list", "list -o text", "list json -o", "run x start -- -o json"] {
            assert!(!asked(line), "{line}");
        }
    }

    #[test]
    fn what_stands_below_a_sentence_is_what_to_do() {
        let error = anyhow::anyhow!("No such file").context("/x.wasm\n  look there\n  or here");
        let told = document(&error);
        assert_eq!(told["error"], "/x.wasm: No such file");
        assert_eq!(told["hint"], "look there\nor here");
    }
}
