//! Where something stands in the text of a policy that is right: for what is said about it later.

use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, Severity};

/// Points at a value: the keys that lead to it, numbers for elements of lists. What of it is there is pointed at; none
/// if nothing is, or the text is not TOML.
pub fn point(text: &str, path: &Path, steps: &[&str], severity: Severity, message: String) -> Option<Diagnostic> {
    Some(Diagnostic::at(path, text, span(text, steps)?, severity, message))
}

/// Points at the open value of a parameter or a slot below a table.
pub fn point_at_open(
    text: &str,
    path: &Path,
    steps: &[&str],
    (origin, name): (&str, &str),
    message: String,
) -> Option<Diagnostic> {
    let table = DeTable::parse(text).ok()?;
    let mut at = table.get_ref().get(*steps.first()?)?;
    for step in &steps[1..] {
        at = at.get_ref().as_table()?.get(*step)?;
    }
    let span = find(at.get_ref(), at.span(), origin, name)?;
    Some(Diagnostic::at(path, text, span, Severity::Note, message))
}

fn span(text: &str, steps: &[&str]) -> Option<Range<usize>> {
    let table = DeTable::parse(text).ok()?;
    let (first, rest) = steps.split_first()?;
    let (key, mut at) = table.get_ref().get_key_value(*first)?;
    let mut span = key.span();
    for step in rest {
        match at.get_ref() {
            DeValue::Table(inner) => {
                let Some((key, value)) = inner.get_key_value(*step) else { break };
                // The label of a table, the value of anything else.
                span = if value.get_ref().is_table() { key.span() } else { value.span() };
                at = value;
            }
            DeValue::Array(items) => {
                let Some(item) = step.parse::<usize>().ok().and_then(|number| items.get(number)) else { break };
                span = item.span();
                at = item;
            }
            _ => break,
        }
    }
    Some(span)
}

fn find(value: &DeValue<'_>, span: Range<usize>, origin: &str, name: &str) -> Option<Range<usize>> {
    match value {
        DeValue::Table(table) if table.get(origin).is_some_and(|v| v.get_ref().as_str() == Some(name)) => Some(span),
        DeValue::Table(table) => table.iter().find_map(|(_, v)| find(v.get_ref(), v.span(), origin, name)),
        DeValue::Array(items) => items.iter().find_map(|v| find(v.get_ref(), v.span(), origin, name)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "format = 1\n[program.x]\nargv = [\"a\", { param = \"p\", port = {} }]\nuser = \"root\"\n";

    fn at(steps: &[&str]) -> Option<(usize, usize, usize)> {
        let found = point(TEXT, Path::new("/p"), steps, Severity::Warning, String::new())?;
        Some((found.line, found.column, found.width))
    }

    #[test]
    fn what_is_there_is_pointed_at() {
        assert_eq!(at(&["program", "x", "user"]), Some((4, 8, 6)));
        assert_eq!(at(&["program", "x", "argv", "0"]), Some((3, 9, 3)));
        assert_eq!(at(&["program", "x", "argv", "9"]), Some((3, 8, 33)));
        assert_eq!(at(&["program", "x", "input"]), Some((2, 10, 1)));
        assert_eq!(at(&["endpoint", "x"]), None);
    }

    #[test]
    fn an_open_value_is_found_by_its_name() {
        let at = |origin, name| point_at_open(TEXT, Path::new("/p"), &["program", "x"], (origin, name), String::new());
        assert_eq!(at("param", "p").map(|d| (d.line, d.column)), Some((3, 14)));
        assert_eq!(at("slot", "p"), None);
    }
}
