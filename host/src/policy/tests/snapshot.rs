//! Every mistake that the parser can find, as it is shown: each key unknown, missing, twice, of each wrong type, of each
//! bad form. The list is complete if each mistake is in it, and each line of the parser that makes one was reached.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::super::key::{TABLES, Table};
use super::super::mistake::Mistake;
use super::*;
use crate::tests::golden;

/// A value of each type of TOML.
const TYPES: [(char, &str); 7] =
    [('s', "\"?\""), ('i', "7"), ('f', "1.5"), ('b', "true"), ('d', "1979-05-27"), ('a', "[]"), ('t', "{}")];

/// A key: its table, itself, a good value, the types that it can have, values of these types that it cannot.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static [&'static str]);

const DIGEST: &str = "\"sha256:b950af89c884c5b2b950af89c884c5b2b950af89c884c5b2b950af89c884c5b2\"";
const ROWS: [Row; 58] = [
    ("", "format", "1", "", &["2", "\"1\""]),
    ("", "plugin", "{ digest = [] }", "t", &[]),
    ("", "program", "{}", "t", &["{ X = {} }", "{ x = 7 }", "{ \"\" = {} }"]),
    ("", "endpoint", "{}", "t", &["{ X = {} }", "{ x = [] }"]),
    ("", "stop", "{}", "t", &[]),
    ("", "limits", "{}", "t", &[]),
    ("[plugin]", "digest", DIGEST, "sa", &["\"md5:1\"", "[]", "[7]", "[\"sha256:1\"]"]),
    (
        "[program.LABEL]",
        "program",
        "\"/bin/true\"",
        "st",
        &["\"true\"", "\"/bin/../true\"", "\"/bin/*\"", "\"/a\\u0000b\""],
    ),
    ("[program.LABEL]", "argv", "[\"-x\"]", "a", &["[7]", "[[7]]", "[\"a\\u0000b\"]", "[{}]", "[[[\"x\"]]]"]),
    ("[program.LABEL]", "interpreter", "[\"/bin/sh\"]", "a", &["[]", "[\"sh\"]", "[7]", "[\"/bin/sh\", 7]"]),
    ("[program.LABEL]", "lifetime", "\"action\"", "s", &["\"instace\""]),
    ("[program.LABEL]", "type", "\"simple\"", "s", &["\"frking\"", "\"oneshot\""]),
    ("[program.LABEL]", "user", "\"nobody\"", "st", &["\"\"", "\"a\\u0000b\""]),
    (
        "[program.LABEL]",
        "environment",
        "{ MODE = \"fast\" }",
        "t",
        &[
            "{ \"\" = \"x\" }",
            "{ \"A-B\" = \"x\" }",
            "{ 1A = \"x\" }",
            "{ A = 7 }",
            "{ LD_PRELOAD = \"x\" }",
            "{ PYTHONPATH = \"x\" }",
        ],
    ),
    ("[program.LABEL]", "stop", "[{ signal = \"TERM\", grace = \"rest\" }]", "a", &["[]", "[7]", "[\"TERM\"]"]),
    ("[program.LABEL]", "output", "\"journal\"", "s", &["\"syslog\""]),
    ("[program.LABEL]", "input", "true", "b", &[]),
    ("[program.LABEL]", "timeout", "\"3s\"", "s", &["\"soon\"", "\"0s\"", "\"3 days\"", "\"-1s\""]),
    ("[program.LABEL]", "signals", "[\"HUP\"]", "a", &["[\"KILL\"]", "[\"SIGHUP\"]", "[\"HPU\"]", "[1]"]),
    ("stop", "signal", "\"TERM\"", "s", &["\"KILL\"", "\"SIGTERM\"", "\"TREM\"", "\"15\""]),
    ("stop", "grace", "\"rest\"", "s", &["\"101%\"", "\"0%\"", "\"all\"", "\"1.5s\""]),
    ("[endpoint.LABEL]", "tcp", "{ host = \"::1\", port = 80 }", "t", &[]),
    ("[endpoint.LABEL]", "timeout", "\"2s\"", "s", &["\"soon\"", "\"0s\""]),
    ("tcp", "host", "\"127.0.0.1\"", "st", &["\"localhost\"", "\"127.0.0.01\"", "\"10.0.0.0/8\"", "\"\""]),
    ("tcp", "port", "80", "it", &["0", "65536", "-1"]),
    ("[stop]", "last-resort", "[\"end\"]", "a", &["[]", "[7]", "[\"edn\"]", "[\"daemon\"]", "[\"open\"]", "[\"any\"]"]),
    ("[stop]", "gone-when", "{ run = \"end\", exit = [1] }", "t", &[]),
    ("gone-when", "run", "\"end\"", "s", &["\"edn\"", "\"daemon\"", "\"open\""]),
    ("gone-when", "exit", "[1]", "a", &["[]", "[256]", "[-1]", "[\"1\"]"]),
    (
        "[limits]",
        "memory",
        "\"64MiB\"",
        "s",
        &["\"64\"", "\"64MB\"", "\"0MiB\"", "\"1GiB\"", "\"99999999999999999999GiB\""],
    ),
    ("{ ... }", "param", "\"p\"", "s", &["\"passwd\""]),
    ("{ ... }", "slot", "\"p\"", "s", &[]),
    ("{ ... }", "fact", "\"node\"", "s", &["\"host\""]),
    ("{ ... }", "prefix", "\"x=\"", "s", &[]),
    ("{ ... }", "one-of", "[\"a\"]", "a", &["[]", "[7]"]),
    ("{ ... }", "integer", "{}", "t", &["{ min = 3, max = 2 }"]),
    ("{ ... }", "port", "{}", "t", &["{ min = 3, max = 2 }"]),
    ("{ ... }", "name", "{}", "t", &[]),
    ("{ ... }", "text", "{}", "t", &[]),
    ("{ ... }", "file", "{ under = \"/etc\" }", "t", &[]),
    ("{ ... }", "directory", "{ under = \"/srv\" }", "t", &[]),
    ("{ ... }", "ip", "{}", "t", &[]),
    ("{ ... }", "duration", "{}", "t", &[]),
    ("integer", "min", "0", "i", &["9223372036854775808"]),
    ("integer", "max", "9", "i", &["9223372036854775808"]),
    ("port", "min", "1024", "i", &["0", "65536"]),
    ("port", "max", "1024", "i", &["0", "65536"]),
    ("name", "max", "16", "i", &["0", "131072"]),
    ("text", "max", "200", "i", &["0", "131072"]),
    ("file, directory", "under", "\"/etc\"", "s", &["\"etc\"", "\"/etc/..\"", "\"/etc/*\""]),
    ("file, directory", "owner", "\"root\"", "s", &["\"a\\u0000b\""]),
    ("ip", "within", "[\"10.0.0.0/8\"]", "a", &["[]", "[\"10.0.0.0/33\"]", "[\"ten\"]", "[7]"]),
    ("duration", "max", "\"1min\"", "s", &["\"long\"", "\"0s\""]),
    // What is open where it decides more than a word.
    (
        "[program.LABEL]",
        "program",
        "{ param = \"p\", one-of = [\"/bin/true\"] }",
        "st",
        &[
            "{ param = \"p\", text = {} }",
            "{ param = \"p\", one-of = [\"true\"] }",
            "{ fact = \"node\" }",
            "{ prefix = \"/\", param = \"p\", one-of = [\"/x\"] }",
        ],
    ),
    (
        "[program.LABEL]",
        "user",
        "{ param = \"p\", one-of = [\"nobody\"] }",
        "st",
        &["{ param = \"p\", name = {} }", "{ fact = \"instance\" }"],
    ),
    (
        "[program.LABEL]",
        "environment",
        "{ A = { param = \"passwd\", text = {} } }",
        "t",
        &["{ A = { prefix = \"x\", param = \"p\", text = {} } }"],
    ),
    ("tcp", "host", "{ param = \"p\", ip = {} }", "st", &["{ param = \"p\", text = {} }", "{ fact = \"node\" }"]),
    ("tcp", "port", "{ slot = \"p\", port = {} }", "it", &["{ slot = \"p\", integer = {} }"]),
];

/// Whole files with what no single key can have.
const FILES: [&str; 15] = [
    "",
    "format = 1\nformat = 1\n",
    "format = 1\n[program.x]\n[program.x]\n",
    "format = 1\nprogram\n",
    "format = 1\nx = \"open\n",
    "format = 1\n[limits]\nmemory = 64MiB\n",
    "format = 1\n[limits]\nuser = \"nobody\"\n",
    "format = 1\n[exotic]\n",
    "format = 1\n[program.x]\nprogram = \"/a\"\nlifetime = \"action\"\nuser = \"b\"\nargv = [{ param = \"p\" }]\n",
    "format = 1\n[program.x]\nprogram = \"/a\"\nlifetime = \"action\"\nuser = \"b\"\nargv = [{ text = {} }]\n",
    "format = 1\n[program.x]\nprogram = \"/a\"\nlifetime = \"action\"\nuser = \"b\"\nargv = [{ param = \"p\", slot = \"s\", text = {} }]\n",
    "format = 1\n[program.x]\nprogram = \"/a\"\nlifetime = \"action\"\nuser = \"b\"\nargv = [{ param = \"p\", text = {}, name = {} }]\n",
    "format = 1\n[program.x]\nprogram = \"/a\"\nlifetime = \"action\"\nuser = \"b\"\nargv = [{ fact = \"node\", text = {} }]\n",
    "format = 1\n[program.x]\nprogram = \"/a\"\nlifetime = \"instance\"\ntype = \"forking\"\nuser = \"b\"\nsignals = [\"HUP\"]\n",
    "format = 1\n[stop]\nlast-resort = [\"end\"]\ngone-when = { run = \"end\", exit = [1] }\n",
];

type Pairs = Vec<(&'static str, &'static str)>;

/// The least that is right in a table, for a key that is about to be set in it.
fn base(table: &str, key: &str) -> Pairs {
    match table {
        "" => vec![("format", "1")],
        "[program.LABEL]" => {
            let lifetime =
                if matches!(key, "stop" | "type" | "output" | "signals") { "\"instance\"" } else { "\"action\"" };
            vec![("program", "\"/bin/true\""), ("lifetime", lifetime), ("user", "\"nobody\"")]
        }
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
        "tcp" => format!("format = 1\n[endpoint.x]\ntcp = {inline}\n"),
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
            } else if !matches!((table, key), ("{ ... }", _)) {
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
    seen
}

#[test]
fn every_mistake_is_shown_as_it_is_checked_in() {
    golden("host/src/policy/tests/mistakes.txt", &all().text);
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
        ("template.rs", include_str!("../template.rs")),
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
