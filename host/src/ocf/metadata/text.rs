//! The words of the metadata, made so that each reader shows them whole.
//!
//! crmsh prints the short description as a title and the long one below, line by line as it comes; it shows neither
//! choices nor limits nor that a parameter is deprecated, and no title at all where both descriptions are the same.
//! pcs prints the long description alone, the short one only if there is no other, and puts it all into one line. So a
//! long description says all by itself, its lines are short, each paragraph and each item of a list ends like a
//! sentence; and it is left empty where it would say nothing new.

use super::super::description::{Description, Kind, Parameter, Profile};
use super::is_alone;

/// Columns of a line. crmsh puts four before it.
const WIDTH: usize = 72;

/// The long description of an agent. Every reader shows its short one as well.
pub(super) fn of_agent(description: &Description) -> String {
    if description.long == description.short { String::new() } else { paragraphs(&description.long) }
}

/// The long description of a parameter: what the author said, and what no reader would tell of the rest.
pub(super) fn of_parameter(parameter: &Parameter, all: &[Parameter], profile: Profile) -> String {
    let more = after(&parameter.short, &parameter.long);
    let mut first: Vec<String> = deprecation(parameter).into_iter().collect();
    let said = [in_one_line(&parameter.short), more.to_owned()].join("\n");
    let remarks: Vec<String> =
        values(&parameter.kind, &said).into_iter().chain(group(parameter, all, profile)).collect();
    if first.is_empty() && remarks.is_empty() && more.is_empty() {
        return String::new();
    }
    first.push(sentence(&in_one_line(&parameter.short)));
    first.extend(remarks);
    let between = if is_item(more) { "\n" } else { " " };
    paragraphs(&format!("{}{between}{more}", first.join(" ")))
}

/// A text without line breaks and without blanks around it.
pub(super) fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn deprecation(parameter: &Parameter) -> Option<String> {
    let deprecated = parameter.deprecated.as_ref()?;
    let instead = deprecated.replaced_with.as_ref().map(|other| format!(" Use {other} instead."));
    let why = sentence(&in_one_line(&deprecated.text));
    Some(format!("Deprecated: {why}{}", instead.unwrap_or_default()))
}

/// What values it takes, as far as its type in the metadata does not say it and the author has not said it either.
fn values(kind: &Kind, said: &str) -> Option<String> {
    match kind {
        Kind::Integer { min, max } => {
            // The limits of a type of 32 bits are nobody's wish.
            let min = min.filter(|min| *min > i64::from(i32::MIN));
            let max = max.filter(|max| *max < i64::from(i32::MAX));
            match (min, max) {
                (Some(min), Some(max)) => Some(format!("From {min} to {max}.")),
                (Some(min), None) => Some(format!("At least {min}.")),
                (None, Some(max)) => Some(format!("At most {max}.")),
                (None, None) => None,
            }
        }
        Kind::Duration => Some("A number and ms, s, min or h; seconds without a unit.".to_owned()),
        Kind::Size => Some("A number and KiB, MiB, GiB or TiB; bytes without a unit.".to_owned()),
        Kind::Select(options) if !options.iter().all(|option| is_said(said, option)) => {
            Some(format!("One of {}.", options.join(", ")))
        }
        Kind::Select(_) | Kind::Text | Kind::Boolean | Kind::Port => None,
    }
}

fn is_said(text: &str, word: &str) -> bool {
    text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | ':' | '.' | '`' | '"' | '(' | ')'))
        .any(|w| w == word)
}

/// What a group of several means, where the profile has no attribute for it.
fn group(parameter: &Parameter, all: &[Parameter], profile: Profile) -> Option<String> {
    if profile == Profile::V1_1 || parameter.unique.is_none() || is_alone(parameter, all) {
        return None;
    }
    let others = all.iter().filter(|other| other.unique == parameter.unique && other.name != parameter.name);
    let names: Vec<&str> = others.map(|other| other.name.as_str()).collect();
    Some(format!("No two resources may have the same value of this together with {}.", names.join(", ")))
}

/// Breaks the lines of a text and ends its paragraphs and items. A line break of the author stays one.
fn paragraphs(text: &str) -> String {
    let lines: Vec<&str> = text.trim().lines().map(str::trim).collect();
    let mut out: Vec<String> = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let ends = lines.get(number + 1).is_none_or(|next| next.is_empty() || is_item(next));
        match (line.is_empty(), out.last().is_some_and(String::is_empty)) {
            (true, true) => {}
            (true, false) => out.push(String::new()),
            (false, _) if ends => out.extend(wrap(&sentence(line))),
            (false, _) => out.extend(wrap(line)),
        }
    }
    out.join("\n")
}

/// Whether a line begins an item of a list: `- `, `* `, `1. `, `2) `.
fn is_item(line: &str) -> bool {
    let after = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let marks: &[&str] = if after.len() < line.len() { &[". ", ") "] } else { &["- ", "* "] };
    marks.iter().any(|mark| after.starts_with(mark))
}

/// Ends a text like a sentence if it does not end like one.
fn sentence(text: &str) -> String {
    let ends = text.ends_with(['.', '!', '?', ':', ';', ',', '…', '。', '！', '？']);
    if ends { text.to_owned() } else { format!("{text}.") }
}

/// What a long description says beyond the short one, where it begins with that.
fn after<'a>(short: &str, long: &'a str) -> &'a str {
    let rest = long.trim().strip_prefix(short.trim());
    let rest = rest.map(|rest| rest.strip_prefix('.').unwrap_or(rest));
    rest.filter(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace)).unwrap_or(long).trim()
}

/// Breaks a line between words. A word that is longer than a line stays whole.
fn wrap(line: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in line.split_whitespace() {
        match lines.last_mut() {
            Some(last) if last.chars().count() + 1 + word.chars().count() <= WIDTH => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::super::description::Deprecated;
    use super::*;

    fn parameter(short: &str, long: &str, kind: Kind) -> Parameter {
        Parameter {
            name: "p".into(),
            kind,
            required: false,
            default: None,
            unique: None,
            reloadable: false,
            short: short.into(),
            long: long.into(),
            deprecated: None,
        }
    }

    fn told(parameter: &Parameter) -> String {
        of_parameter(parameter, std::slice::from_ref(parameter), Profile::V1_1)
    }

    #[test]
    fn lines_are_short_and_paragraphs_and_items_end() {
        let long = "It does \"this\"\n\n\n- one thing;\n- the other\n10) and a third,\nstill (the same)\n\n/srv/"
            .to_owned()
            + &"x".repeat(80)
            + " is long.";
        let text = paragraphs(&long);
        let (head, tail) = text.split_once("/srv").unwrap();
        assert_eq!(head, "It does \"this\".\n\n- one thing;\n- the other.\n10) and a third,\nstill (the same).\n\n");
        assert_eq!(tail.lines().count(), 2);
        let wrapped = paragraphs(&"word ".repeat(100));
        assert!(wrapped.lines().all(|line| line.len() <= WIDTH) && wrapped.lines().count() == 8, "{wrapped}");
    }

    #[test]
    fn a_long_description_says_all_or_nothing() {
        assert_eq!(told(&parameter("Port", "Port", Kind::Port)), "");
        for (long, whole) in [
            ("Not 22", "Port. Not 22."),
            ("Port", ""),
            ("Port.", ""),
            ("Port\n\nNot 22", "Port. Not 22."),
            ("Port. Not 22", "Port. Not 22."),
            ("Ports differ", "Port. Ports differ."),
            ("Any <one>", "Port. Any <one>."),
        ] {
            assert_eq!(told(&parameter("Port", long, Kind::Port)), whole);
        }
        let number = |min, max| told(&parameter("Count", "Count", Kind::Integer { min, max }));
        assert_eq!(number(Some(0), Some(9)), "Count. From 0 to 9.");
        assert_eq!(number(Some(0), Some(u32::MAX.into())), "Count. At least 0.");
        assert_eq!(number(Some(i32::MIN.into()), Some(-1)), "Count. At most -1.");
        assert_eq!(number(Some(i32::MIN.into()), Some(i32::MAX.into())), "");
        let select = |long: &str| told(&parameter("Mode", long, Kind::Select(vec!["on".into(), "off".into()])));
        assert_eq!(select("Mode"), "Mode. One of on, off.");
        assert_eq!(select("Only once"), "Mode. One of on, off. Only once.");
        assert_eq!(select("- on: yes\n- off: no"), "Mode.\n- on: yes.\n- off: no.");
        let deprecated = Some(Deprecated { text: "it is slow".into(), replaced_with: Some("q".into()) });
        let old = Parameter { deprecated, ..parameter("Mode", "Mode", Kind::Text) };
        assert_eq!(told(&old), "Deprecated: it is slow. Use q instead. Mode.");
    }

    #[test]
    fn a_group_is_told_where_it_cannot_be_marked() {
        let one = Parameter { unique: Some("g".into()), ..parameter("Port", "Port", Kind::Port) };
        let other = Parameter { name: "q".into(), ..one.clone() };
        let all = [one.clone(), other];
        assert_eq!(of_parameter(&one, &all, Profile::V1_1), "");
        assert_eq!(
            of_parameter(&one, &all, Profile::V1_0),
            "Port. No two resources may have the same value of this together with q."
        );
        assert_eq!(of_parameter(&one, &all[..1], Profile::V1_0), "");
    }
}
