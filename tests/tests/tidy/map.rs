//! The map in ARCHITECTURE.md shows what is there, and a capability has one word everywhere.

use std::collections::BTreeSet;

use regex_lite::Regex;

use super::Rule;
use super::tree::Tree;

const MAP: &str = "ARCHITECTURE.md";

pub(crate) const RULES: [Rule; 3] = [
    Rule {
        name: "what the map names is there",
        reason: "a map with a wrong house is worse than none",
        find: named,
        seeds: &[(MAP, "`host/src/vanished/`: nothing."), (MAP, "see `cli/vanished.rs`"), (MAP, "see `vanished.rs`")],
    },
    Rule {
        name: "what is there is on the map",
        reason: "who comes for the first time looks for every room once",
        find: unnamed,
        seeds: &[
            ("host/src/exotic.rs", "fn f() {}"),
            ("exotic/Cargo.toml", "[package]"),
            ("host/exotic/src/lib.rs", ""),
        ],
    },
    Rule {
        name: "one word for a capability",
        reason: "who knows its interface finds its answer, its face for authors, and the other way round: wit/NAME.wit, \
                 host/src/capability/NAME, guest-sdk/src/NAME.rs, docs/capabilities/NAME.md",
        find: capabilities,
        seeds: &[
            ("wit/world.wit", "world host-calls {\n  import address;\n}"),
            (
                "host/src/seam/mod.rs",
                "seam! {\n    address {\n        AddressState = state(label: String) -> ();\n    }\n}",
            ),
            ("host/src/capability/address.rs", "fn f() {}"),
            ("wit/address.wit", "interface address {}"),
        ],
    },
];

/// Words in backquotes that are paths: with a slash or the end of a file's name, and of this tree.
fn named(tree: &Tree) -> Vec<String> {
    let quoted = Regex::new(r"`([A-Za-z0-9_./-]+)`").unwrap();
    let mut found = Vec::new();
    let (map, _on_disk) = tree.text(MAP).split_once("## On disk").unwrap_or_default();
    let rest = tree.text(MAP).rsplit_once("## Everywhere").map_or("", |(_, rest)| rest);
    for word in quoted.captures_iter(&format!("{map}{rest}")) {
        let path = &word[1];
        let is_path = path.ends_with('/') || [".rs", ".toml", ".wit", ".md"].iter().any(|end| path.ends_with(end));
        if !is_path || path.starts_with('/') {
            continue;
        }
        // Beside what stands before it, or below the host.
        let places = ["", "host/src/", "guest-sdk/src/"].map(|above| format!("{above}{path}"));
        let is_anywhere = || tree.files().any(|file| file.path.ends_with(&format!("/{path}")));
        let is_beside = || path.ends_with('/') && tree.files().any(|file| file.path.contains(&format!("/{path}")));
        let is_name = !path.trim_end_matches('/').contains('/');
        if !places.iter().any(|place| tree.has(place)) && !(is_name && (is_anywhere() || is_beside())) {
            found.push(format!("{MAP}: `{path}` is not there"));
        }
    }
    found
}

fn unnamed(tree: &Tree) -> Vec<String> {
    let map = tree.text(MAP);
    let mut rooms = BTreeSet::new();
    for file in tree.files() {
        let parts: Vec<&str> = file.path.split('/').collect();
        match parts[..] {
            ["host", "src", name] if name.ends_with(".rs") && !matches!(name, "lib.rs" | "main.rs") => {
                rooms.insert(name.to_owned());
            }
            ["host", "src", "contract" | "bin", ..] => {}
            ["host", "src", name, _, ..] => drop(rooms.insert(format!("host/src/{name}/"))),
            ["host", name, _, ..] => drop(rooms.insert(format!("host/{name}/"))),
            [name, _, ..] if !name.starts_with('.') && !matches!(name, "host" | "docs") => {
                rooms.insert(format!("{name}/"));
            }
            _ => {}
        }
    }
    let is_named = |room: &&String| !map.contains(&format!("`{room}")) && !map.contains(&format!("/{room}`"));
    rooms.iter().filter(is_named).map(|room| format!("{MAP} does not name {room}")).collect()
}

fn capabilities(tree: &Tree) -> Vec<String> {
    let words = |text: &str, pattern: &str| -> BTreeSet<String> {
        Regex::new(pattern).unwrap().captures_iter(text).map(|found| found[1].to_owned()).collect()
    };
    let world = tree.text("wit/world.wit");
    let imports = words(world, r"(?m)^\s*import ([a-z-]+);");
    let seam = tree.text("host/src/seam/mod.rs");
    let table: String = seam.split("\nseam! {").skip(1).filter_map(|rest| rest.split("\n}").next()).collect();
    let answered = words(&table, r"(?m)^    ([a-z]+) \{");
    let paths: String = tree.files().map(|file| format!("{}\n", file.path)).collect();
    let rooms = words(&paths, r"(?m)^host/src/capability/([a-z_]+)(?:\.rs|/.*)$");
    let rooms: BTreeSet<String> = rooms.into_iter().filter(|word| word != "mod").collect();
    let contracts = words(&paths, r"(?m)^wit/([a-z-]+)\.wit$");
    let exports = words(world, r"export ([a-z-]+);");
    let mut found = Vec::new();
    let mut wanted = |is_there: bool, what: String| {
        if !is_there {
            found.push(what);
        }
    };
    wanted(!imports.is_empty() && !answered.is_empty() && !rooms.is_empty(), "nothing was found at all".to_owned());
    for word in &imports {
        wanted(contracts.contains(word), format!("wit/world.wit imports {word}: there is no wit/{word}.wit"));
        wanted(tree.has(&format!("guest-sdk/src/{word}.rs")), format!("there is no guest-sdk/src/{word}.rs"));
        let page = tree.text(&format!("docs/capabilities/{word}.md"));
        wanted(!page.is_empty(), format!("there is no docs/capabilities/{word}.md"));
        for function in words(tree.text(&format!("wit/{word}.wit")), r"(?m)^  ([a-z-]+): func\(") {
            let is_told = page.contains(&format!("`{function}`")) || page.contains(&format!("`{function}("));
            wanted(is_told, format!("docs/capabilities/{word}.md does not tell of {function}"));
        }
        wanted(tree.text("CHANGELOG.md").contains(&format!("`{word}`")), format!("CHANGELOG.md does not name {word}"));
    }
    for word in &answered {
        wanted(imports.contains(word), format!("the seam has {word}: wit/world.wit does not import it"));
        wanted(rooms.contains(word), format!("the seam has {word}: there is no host/src/capability/{word}"));
    }
    for word in &rooms {
        wanted(answered.contains(word), format!("host/src/capability/{word}: the seam does not have it"));
    }
    for word in &contracts {
        let is_shared = matches!(word.as_str(), "world" | "types");
        let is_used = is_shared || imports.contains(word) || exports.contains(word);
        wanted(is_used, format!("wit/{word}.wit: no world imports or exports it"));
    }
    found
}
