//! What a plugin asked in one action, read from the host's trace of it.

/// One line of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// The plugin called the host: the interface, the function, and the label if it is about one.
    Asked(String, String, Option<String>),
    /// An export returned a failure with this reason, as it stands in the plugin.
    Failed(String, String),
    /// An export did anything else.
    Returned(String),
}

impl Line {
    /// Whether it is a call that stops the program of a label.
    pub(super) fn is_stop_of(&self, program: &str) -> bool {
        matches!(self, Self::Asked(interface, function, Some(label))
            if interface == "program" && function == "stop" && label == program)
    }
}

/// Reads a trace; lines that are none are left out.
pub(super) fn read(text: &str) -> Vec<Line> {
    text.lines().filter_map(|line| line_of(line.split_once(" ms  ")?.1)).collect()
}

fn line_of(text: &str) -> Option<Line> {
    if let Some(rest) = text.strip_prefix("= ") {
        let (export, verdict) = rest.split_once(" -> ")?;
        let reason = verdict.strip_prefix("Done(Err(Failure {").and_then(|rest| value_of(rest, "reason: "));
        return Some(match reason {
            Some(reason) => Line::Failed(export.to_owned(), reason),
            None => Line::Returned(export.to_owned()),
        });
    }
    let (interface, rest) = text.split_once('.')?;
    let (function, rest) = rest.split_once(' ')?;
    let label = value_of(rest.split_once(" -> ").map_or(rest, |(asked, _)| asked), "label: ");
    Some(Line::Asked(interface.to_owned(), function.to_owned(), label))
}

/// The quoted text behind a name. Only the escapes that matter here are undone.
fn value_of(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(name)?;
    let rest = rest.strip_prefix('"')?;
    let mut value = String::new();
    let mut characters = rest.chars();
    while let Some(c) = characters.next() {
        match c {
            '"' => return Some(value),
            '\\' => match characters.next()? {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                other => value.push(other),
            },
            c => value.push(c),
        }
    }
    // Cut off: what is there is long enough.
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_host_writes() {
        let text = "     1.75 ms  program.status { label: \"greeter\" } -> Ok(Condition { phase: Phase::Stopped })  (0.01 ms)\n\
                    state.get { key: \"x\" }\n\
                    \u{20}    4.80 ms  = monitor -> Done(Err(Failure { kind: FailureKind::Generic, reason: \"a \\\"b\\\"\\nc\" }))  (4 ms)\n\
                    \u{20}    4.80 ms  = stop -> Done(Ok(None))  (4 ms)\n\
                    \u{20}    4.80 ms  state.get { key: \"x\" } -> Ok(None)  (0 ms)\n";
        let asked = |i: &str, f: &str, l: Option<&str>| Line::Asked(i.into(), f.into(), l.map(str::to_owned));
        assert_eq!(
            read(text),
            [
                asked("program", "status", Some("greeter")),
                Line::Failed("monitor".into(), "a \"b\"\nc".into()),
                Line::Returned("stop".into()),
                asked("state", "get", None),
            ]
        );
    }
}
