//! Every mistake that the parser can find, as it is shown: each key unknown, missing, twice, of each wrong type, of each
//! bad form. The list is complete if each mistake is in it, and each line of the parser that makes one was reached.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::super::key::{TABLES, Table};
use super::super::mistake::Mistake;
use super::rows::{FILES, ROWS};
use super::several::{SEVERAL, all_of};
use super::*;
use crate::tests::golden;

/// A value of each type of TOML.
const TYPES: [(char, &str); 7] =
    [('s', "\"?\""), ('i', "7"), ('f', "1.5"), ('b', "true"), ('d', "1979-05-27"), ('a', "[]"), ('t', "{}")];

type Pairs = Vec<(&'static str, &'static str)>;

/// The least that is right in a table, for a key that is about to be set in it.
fn base(table: &str, key: &str) -> Pairs {
    match table {
        "" => vec![("format", "1")],
        "[program.LABEL]" if key == "unit" => vec![],
        "[program.LABEL]" => {
            let lifetime = if matches!(key, "stop" | "type" | "output" | "signals" | "manager") {
                "\"instance\""
            } else {
                "\"action\""
            };
            vec![("program", "\"/bin/true\""), ("lifetime", lifetime), ("user", "\"nobody\"")]
        }
        "[endpoint.LABEL]" => match key {
            "tcp" | "udp" | "unix" | "http" => vec![],
            "ca" => vec![("http", "\"https://127.0.0.1/\"")],
            "timeout" => vec![("tcp", "{ host = \"::1\", port = 80 }")],
            _ => vec![("http", "\"http://127.0.0.1/\"")],
        },
        "{ ... }" => match key {
            "fact" => vec![],
            "slot" => vec![("text", "{}")],
            "param" | "prefix" | "text" => vec![("param", "\"p\""), ("text", "{}")],
            _ => vec![("param", "\"p\"")],
        },
        _ => {
            let keys = declared(table).keys.iter().filter(|known| known.text.otherwise == "required");
            let row = |name: &str| ROWS.iter().find(|row| row.0 == table && row.1 == name).unwrap();
            keys.map(|known| (known.name, row(known.name).2)).collect()
        }
    }
}

/// A file with a table that has these keys.
fn file(table: &str, pairs: &Pairs) -> String {
    let lines: String = pairs.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
    let inline: Vec<String> = pairs.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    let inline = format!("{{ {} }}", inline.join(", "));
    let program = "[program.x]\nprogram = \"/bin/true\"\nuser = \"nobody\"\nlifetime =";
    let argument =
        |kind: &str| format!("format = 1\n{program} \"action\"\nargv = [{{ param = \"p\", {kind} = {inline} }}]\n");
    let others = "[program.end]\nprogram = \"/bin/true\"\nlifetime = \"action\"\nuser = \"nobody\"\n\
                  [program.daemon]\nprogram = \"/bin/true\"\nlifetime = \"instance\"\nuser = \"nobody\"\n\
                  [program.open]\nprogram = \"/bin/true\"\nargv = [{ fact = \"node\" }]\nlifetime = \"action\"\nuser = \"nobody\"\n\
                  [program.any]\nprogram = { param = \"p\", one-of = [\"/a\"] }\nlifetime = \"action\"\nuser = \"nobody\"\n";
    match table {
        "" => lines,
        "[program.LABEL]" => format!("format = 1\n[program.x]\n{lines}"),
        "[endpoint.LABEL]" => format!("format = 1\n[endpoint.x]\n{lines}"),
        "[plugin]" | "[limits]" => format!("format = 1\n{table}\n{lines}"),
        "[stop]" => format!("format = 1\n{others}[stop]\n{lines}"),
        "gone-when" => format!("format = 1\n{others}[stop]\nlast-resort = [\"end\"]\ngone-when = {inline}\n"),
        "stop" => format!("format = 1\n{program} \"instance\"\nstop = [{inline}]\n"),
        "[path.LABEL]" => format!("format = 1\n[path.x]\n{lines}"),
        "tcp, udp" => format!("format = 1\n[endpoint.x]\ntcp = {inline}\n"),
        "unix" => format!("format = 1\n[endpoint.x]\nunix = {inline}\n"),
        "url" => format!("format = 1\n[endpoint.x]\nhttp = {{ param = \"p\", url = {inline} }}\n"),
        "{ ... }" if pairs.iter().any(|pair| pair.0 == "url") => format!("format = 1\n[endpoint.x]\nhttp = {inline}\n"),
        "view" => format!("format = 1\n{program} \"action\"\nnetwork = \"host\"\nview = {inline}\n"),
        "limits" => format!("format = 1\n{program} \"action\"\nlimits = {inline}\n"),
        "{ ... }" => format!("format = 1\n{program} \"action\"\nargv = [{inline}]\n"),
        "file, directory" => argument("file"),
        kind => argument(kind),
    }
}

fn declared(table: &str) -> &'static Table {
    TABLES.iter().find(|known| known.name == table).unwrap_or_else(|| panic!("there is no table {table}"))
}

fn is_required(table: &str, key: &str) -> bool {
    declared(table).keys.iter().any(|known| known.name == key && known.text.otherwise == "required")
}

/// What was seen.
#[derive(Default)]
struct Seen {
    text: String,
    mistakes: BTreeSet<&'static str>,
    places: BTreeSet<(String, u32)>,
}

impl Seen {
    fn mistake(&mut self, what: &str, file: &str) -> Diagnostic {
        let found = Policy::parse(file, Path::new("/p.toml")).expect_err(file);
        assert!(found.line.max(1) <= file.lines().count().max(1) && !found.message.is_empty(), "{what}: {found:?}");
        self.mistakes.insert(found.found.0);
        let place = found.found.1;
        self.places.insert((place.file().rsplit('/').next().unwrap().to_owned(), place.line()));
        found
    }

    fn show(&mut self, what: &str, file: &str) -> &'static str {
        let found = self.mistake(what, file);
        writeln!(self.text, "== {what}\n{found}").unwrap();
        for other in all_of(file).into_iter().filter(|other| *other != found) {
            writeln!(self.text, "   and {}:{}: {}", other.line, other.column, other.message).unwrap();
        }
        found.found.0
    }
}

/// The pairs with one of them set.
fn with(mut pairs: Pairs, key: &'static str, value: &'static str) -> Pairs {
    match pairs.iter_mut().find(|pair| pair.0 == key) {
        Some(pair) => pair.1 = value,
        None => pairs.push((key, value)),
    }
    pairs
}

fn all() -> Seen {
    let mut seen = Seen::default();
    for (table, key, good, types, bad) in ROWS {
        let (base, name) = (base(table, key), format!("{}{}{key}", table, if table.is_empty() { "" } else { " " }));
        let right = with(base.clone(), key, good);
        let is_first = ROWS.iter().find(|row| row.0 == table && row.1 == key).is_some_and(|row| row.2 == good);
        if is_first {
            // A letter too few, or one too many.
            let misspelt: String = match key.len() {
                4.. => key.chars().enumerate().filter(|(at, _)| *at != 1).map(|(_, c)| c).collect(),
                _ => format!("{key}s"),
            };
            let text = file(table, &right).replacen(&format!("{key} = {good}"), &format!("{misspelt} = {good}"), 1);
            assert_eq!(seen.show(&format!("{name}: unknown"), &text), "UnknownKey");
            let without: Pairs = right.iter().filter(|pair| pair.0 != key).copied().collect();
            if is_required(table, key) {
                assert_eq!(seen.show(&format!("{name}: missing"), &file(table, &without)), "Missing");
            } else if !matches!(
                (table, key),
                ("{ ... }", _)
                    | ("[program.LABEL]", "unit")
                    | ("[endpoint.LABEL]", "tcp" | "udp" | "unix" | "http" | "ca")
            ) {
                Policy::parse(&file(table, &without), Path::new("/p.toml")).unwrap();
            }
            let mut twice = right.clone();
            twice.push((key, good));
            assert_eq!(seen.show(&format!("{name}: twice"), &file(table, &twice)), "Duplicate");
            let mut wrong = TYPES.iter().filter(|(letter, _)| !types.contains(*letter));
            if let Some((_, value)) = wrong.next() {
                seen.show(&format!("{name}: a value of another type"), &file(table, &with(base.clone(), key, value)));
            }
            for (_, value) in wrong {
                let found = seen.mistake(&name, &file(table, &with(base.clone(), key, value)));
                writeln!(seen.text, "   {value}: {}", found.message).unwrap();
            }
        }
        for value in bad {
            seen.show(&format!("{name}: {value}"), &file(table, &with(base.clone(), key, value)));
        }
    }
    for lifetime in ["action", "instance"] {
        for (key, value) in [
            ("stop", "[{ signal = \"TERM\", grace = \"rest\" }]"),
            ("output", "\"journal\""),
            ("signals", "[\"HUP\"]"),
            ("input", "true"),
            ("timeout", "\"3s\""),
        ] {
            let quoted: &'static str = if lifetime == "action" { "\"action\"" } else { "\"instance\"" };
            let text =
                file("[program.LABEL]", &with(with(base("[program.LABEL]", ""), "lifetime", quoted), key, value));
            let is_for_it = matches!(key, "input" | "timeout") == (lifetime == "action");
            match is_for_it {
                true => drop(Policy::parse(&text, Path::new("/p.toml")).unwrap()),
                false => drop(seen.show(&format!("[program.LABEL] {key}: of lifetime {lifetime}"), &text)),
            }
        }
    }
    for text in FILES {
        seen.show(&format!("{text:?}"), text);
    }
    for (text, _) in SEVERAL {
        writeln!(seen.text, "== {text:?}").unwrap();
        all_of(text).iter().for_each(|told| writeln!(seen.text, "{told}").unwrap());
    }
    seen
}

#[test]
fn every_mistake_is_shown_as_it_is_checked_in() {
    golden("host/src/policy/tests/mistakes.txt", &all().text);
}

/// A mistake elsewhere is told beside each one that there is, and takes none of it away.
#[test]
fn no_mistake_hides_one_elsewhere() {
    let mut tried = 0;
    for (table, key, good, _, bad) in ROWS {
        let wrong = bad.iter().chain([&"1979-05-27"]).map(|value| file(table, &with(base(table, key), key, value)));
        for text in wrong.filter(|text| !text.contains("[limits]") && !text.contains("\nlimits")) {
            let alone = all_of(&text);
            if alone.iter().any(|told| ["Syntax", "Format"].contains(&told.found.0)) {
                continue;
            }
            let more = all_of(&format!("{text}[limits]\nmemory = 7\n"));
            assert_eq!(more[..more.len() - 1], alone, "{text}");
            assert_eq!(more.last().unwrap().found.0, "WrongType", "{text}");
            tried += 1;
        }
        // In the same table, where that is decided by itself.
        if table == "[program.LABEL]" && !matches!(key, "user" | "unit") && good != "[]" {
            let text = file(table, &with(with(base(table, key), key, "1979-05-27"), "user", "\"\""));
            let names: BTreeSet<_> = all_of(&text).iter().map(|told| told.found.0).collect();
            assert_eq!(names, BTreeSet::from(["NoUser", "WrongType"]), "{text}");
        }
    }
    assert!(tried > 250, "only {tried} were tried");
}

#[test]
fn every_mistake_that_there_is_was_made() {
    let seen = all();
    let missing: Vec<_> = Mistake::ALL.iter().filter(|name| !seen.mistakes.contains(*name)).collect();
    assert!(missing.is_empty(), "no case makes {missing:?}");
}

#[test]
fn every_line_that_finds_a_mistake_was_reached() {
    let seen = all();
    let mut lines = 0;
    for (file, text) in [
        ("mod.rs", include_str!("../mod.rs")),
        ("reader.rs", include_str!("../reader.rs")),
        ("kind.rs", include_str!("../kind.rs")),
        ("path.rs", include_str!("../path.rs")),
        ("endpoint.rs", include_str!("../endpoint.rs")),
        ("template.rs", include_str!("../template.rs")),
        ("environment.rs", include_str!("../environment.rs")),
        ("confine.rs", include_str!("../confine.rs")),
        ("unit.rs", include_str!("../unit.rs")),
    ] {
        for (number, line) in text.lines().enumerate() {
            // The helpers pass on what they are given.
            let is_place = line.contains("wrong(") || line.contains("wrong_at(");
            if !is_place || line.contains("fn wrong") || line.contains(" mistake)") {
                continue;
            }
            lines += 1;
            let place = (file.to_owned(), u32::try_from(number + 1).unwrap());
            assert!(seen.places.contains(&place), "no case reaches {file}:{}: {}", place.1, line.trim());
        }
    }
    assert!(lines > 40, "only {lines} lines were found");
}

#[test]
fn every_key_is_in_the_rows_and_its_example_is_right() {
    for table in TABLES {
        for key in table.keys {
            let is_tried = ROWS.iter().any(|row| row.0 == table.name && row.1 == key.name);
            assert!(is_tried, "no row for {} {}", table.name, key.name);
            let example = key.text.example;
            if table.name.is_empty() && key.name != "format" {
                assert!(toml::de::DeTable::parse(example).is_ok(), "{example}");
                continue;
            }
            if example.starts_with("http =") && table.name != "[endpoint.LABEL]" {
                let ca = if example.contains("https") { "ca = \"/etc/ca.pem\"\n" } else { "" };
                let text = format!("format = 1\n[endpoint.x]\n{example}\n{ca}");
                Policy::parse(&text, Path::new("/p.toml")).unwrap_or_else(|wrong| panic!("{wrong}"));
                continue;
            }
            let pairs: Pairs = match example.split_once(" = ") {
                Some((name, value)) if !example.starts_with('[') => {
                    assert_eq!(name, key.name);
                    with(base(table.name, key.name), key.name, value)
                }
                _ => with(base("[program.LABEL]", ""), "argv", example),
            };
            let place = if example.starts_with('[') { "[program.LABEL]" } else { table.name };
            let text = file(place, &pairs);
            // Labels of programs that stand elsewhere in a real policy.
            let text = text.replace("kill-all", "end").replace("is-running", "end");
            Policy::parse(&text, Path::new("/p.toml")).unwrap_or_else(|wrong| panic!("{wrong}"));
        }
    }
}
