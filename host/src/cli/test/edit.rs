//! A policy with less in it, and values that a type does not take.

use crate::ocf::description::Kind;

/// Returns the policy without what it binds to a label; none if it binds nothing to it.
pub(super) fn without(policy: &str, kind: &str, label: &str) -> Option<String> {
    let mut section: Vec<&str> = Vec::new();
    let mut kept = String::new();
    let mut is_found = false;
    for line in policy.lines() {
        if let Some(header) = header(line) {
            section = header;
        }
        let is_inside = matches!(section[..], [k, l, ..] if k == kind && l == label);
        // The same written as one line: `label = {..}` in its section, or `kind.label = {..}` before all sections.
        let key = line.split('=').next().unwrap_or_default().trim().trim_matches('"');
        let is_line = section == [kind] && key.split('.').next() == Some(label)
            || section.is_empty() && (key == format!("{kind}.{label}") || key.starts_with(&format!("{kind}.{label}.")));
        if is_inside || is_line {
            is_found = true;
        } else {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    is_found.then_some(kept)
}

/// The parts of a section's header, if the line is one. A line of an array has quotes, braces or commas.
fn header(line: &str) -> Option<Vec<&str>> {
    let (name, rest) = line.trim().strip_prefix('[')?.split_once(']')?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    let is_alone = rest.trim().is_empty() || rest.trim().starts_with('#');
    (is_alone && !name.is_empty() && name.chars().all(is_plain)).then(|| name.split('.').map(str::trim).collect())
}

/// Something that is no value of a type; none where every text is one.
pub(super) fn nonsense(kind: &Kind) -> Option<String> {
    match kind {
        Kind::Text => None,
        Kind::Integer { .. } => Some("many".to_owned()),
        Kind::Boolean => Some("perhaps".to_owned()),
        Kind::Duration => Some("soon".to_owned()),
        Kind::Size => Some("big".to_owned()),
        Kind::Port => Some("65536".to_owned()),
        Kind::Select(options) => Some(format!("{}-not", options.concat())),
    }
}

/// Another value of a parameter than it has; none where it can have only one.
pub(super) fn another(kind: &Kind, now: Option<&str>) -> Option<String> {
    let differs = |value: &String| Some(value.as_str()) != now;
    match kind {
        Kind::Text => Some(format!("{}2", now.unwrap_or_default())),
        Kind::Integer { min, max } => {
            let number: i64 = now.and_then(|now| now.parse().ok()).or(*min).or(*max).unwrap_or(0);
            let fits = |other: &i64| min.is_none_or(|min| *other >= min) && max.is_none_or(|max| *other <= max);
            [number.checked_add(1), number.checked_sub(1)].into_iter().flatten().find(fits).map(|n| n.to_string())
        }
        Kind::Boolean => Some(["true", "false"].map(str::to_owned)).into_iter().flatten().find(differs),
        Kind::Duration => Some(["2s", "1s"].map(str::to_owned)).into_iter().flatten().find(differs),
        Kind::Size => Some(["2MiB", "1MiB"].map(str::to_owned)).into_iter().flatten().find(differs),
        Kind::Port => {
            let port: u16 = now.and_then(|now| now.parse().ok()).unwrap_or(0);
            Some(port.checked_add(1).unwrap_or(port - 1).to_string())
        }
        Kind::Select(options) => options.iter().find(|option| differs(option)).cloned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_goes_and_all_else_stays() {
        let policy = "format = 1\n[program.a]\nargv = [\n  [\"-x\"],\n]\n[program.a.environment]\nX = \"1\"\n# b\n[ program.b ] # b\nuser = \"x\"\n[endpoint]\na = { tcp = 1 }\nb = 2\n";
        assert_eq!(
            without(policy, "program", "a").unwrap(),
            "format = 1\n[ program.b ] # b\nuser = \"x\"\n[endpoint]\na = { tcp = 1 }\nb = 2\n"
        );
        assert!(without(policy, "endpoint", "a").unwrap().ends_with("[endpoint]\nb = 2\n"));
        assert_eq!(without("program.c = {}\n", "program", "c").unwrap(), "");
        assert_eq!(without(policy, "program", "c"), None);
    }

    #[test]
    fn another_value_is_another_and_fits() {
        let integer = Kind::Integer { min: Some(0), max: Some(1) };
        assert_eq!(another(&integer, Some("1")).as_deref(), Some("0"));
        assert_eq!(another(&Kind::Boolean, Some("true")).as_deref(), Some("false"));
        assert_eq!(another(&Kind::Port, Some("65535")).as_deref(), Some("65534"));
        assert_eq!(another(&Kind::Select(vec!["a".into()]), Some("a")), None);
        assert_eq!(another(&Kind::Text, None).as_deref(), Some("2"));
    }
}
