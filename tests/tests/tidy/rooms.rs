//! Who may know whom, and what must never enter which room.

use std::collections::{BTreeMap, BTreeSet};

use regex_lite::Regex;

use super::Rule;
use super::tree::{File, Tree};

/// Where the host's code is.
const HOST: &str = "host/src/";

pub(crate) const RULES: [Rule; 13] = [
    Rule {
        name: "layers",
        reason: "a module imports from the rows below its own (ARCHITECTURE.md, Layers), so that each can be understood \
                 without those above it",
        find: layers,
        seeds: &[
            ("host/src/policy/mod.rs", "use crate::broker::Broker;"),
            ("host/src/ocf/exotic.rs", "fn f() { crate::sys::exit::now(0) }"),
            ("host/src/seam/mod.rs", "use crate::runner::Facts;"),
            ("host/src/report.rs", "use crate::store::Digest;"),
            ("host/src/unmapped.rs", "use crate::ocf;"),
            ("host/src/agent.rs", "use crate::{store, cli};"),
            ("ARCHITECTURE.md", "| 0 | `vanished` | |"),
        ],
    },
    Rule {
        name: "capabilities do not know each other",
        reason: "what is granted for one must never reach through another; what two of them share stands in mod.rs",
        find: siblings,
        seeds: &[
            ("host/src/capability/state.rs", "use super::endpoint::Permit;"),
            ("host/src/capability/program/tree.rs", "use crate::capability::state;"),
        ],
    },
    Rule {
        name: "the standard's words do nothing",
        reason: "host/src/ocf is read by all others and must be true without a node, a file or a clock",
        find: |tree| absent(tree, "host/src/ocf/", &format!(r"{EFFECTS}|\bwasmtime\b")),
        seeds: &[
            ("host/src/ocf/outcome.rs", "use std::fs;"),
            ("host/src/ocf/action.rs", "fn f() { nix::unistd::sync() }"),
        ],
    },
    Rule {
        name: "the contract is pure",
        reason: "what an action means is tested without a plugin, a node or time; all that happens goes through Resource",
        find: |tree| {
            let effects = format!(r"{EFFECTS}|\bstd::io\b|Instant::now|SystemTime");
            let mut found = absent(tree, "host/src/contract", &effects);
            found.extend(only(
                tree,
                "host/src/contract",
                r"crate::\w+",
                &["crate::ocf", "crate::seam", "crate::instance", "crate::guard"],
            ));
            found
        },
        seeds: &[
            ("host/src/contract.rs", "fn f() { std::thread::sleep(x) }"),
            ("host/src/contract.rs", "fn f() -> Instant { Instant::now() }"),
            ("host/src/contract/ask.rs", "use crate::report::Log;"),
        ],
    },
    Rule {
        name: "only the runner has an engine",
        reason: "what can be attacked through a component is where there is nothing to be had; the seam takes only the \
                 generated traits",
        find: |tree| {
            let elsewhere = tree.rust(HOST).filter(|file| !file.path.starts_with("host/src/runner/"));
            let named =
                elsewhere.flat_map(|file| file.find(r"\b(wasmtime|ocf_wasm_engine|wasmparser|cranelift)\b[:\w!]*"));
            let is_argued = |place: &str, what: &str| match what {
                "wasmtime::component::bindgen!" => place.starts_with("host/src/seam/mod.rs:"),
                // The name alone: native code is filed under it.
                "ocf_wasm_engine::ENGINE" => place.starts_with("host/src/store/native.rs:"),
                _ => false,
            };
            listed(named.filter(|(place, what)| !is_argued(place, what)))
        },
        seeds: &[
            ("host/src/broker/mod.rs", "use wasmtime::Engine;"),
            ("host/src/capability/state.rs", "fn f() { ocf_wasm_engine::configuration(); }"),
            ("host/src/seam/mod.rs", "use wasmtime::component::Component;"),
        ],
    },
    Rule {
        name: "the runner knows no operating system",
        reason: "it runs what is not ours and can only ask; each of the five things that it does itself is listed in this \
                 rule, with its reason",
        find: |tree| {
            let mut found = absent(
                tree,
                "host/src/runner/",
                r"\bstd::(fs|process|net|env|os)\b|\b(nix|libc|rustix)::|crate::(policy|store|capability|instance|report|sandbox)\b|ocf::outcome|\bExit\b",
            );
            found.extend(only(
                tree,
                "host/src/runner/",
                r"crate::sys::\w+(::\w+)?",
                &[
                    // For HashMap, which every Rust guest may have.
                    "crate::sys::random::word",
                    // The monotonic clock that guests are shown.
                    "crate::sys::clock::monotonic_ns",
                    // To end without flushing anything.
                    "crate::sys::exit::now",
                    // To tell the broker of a panic over the seam.
                    "crate::sys::fd::take",
                    // Code that is mapped already becomes executable.
                    "crate::sys::memory::make_executable",
                ],
            ));
            found
        },
        seeds: &[
            ("host/src/runner/imports.rs", "use std::fs::File;"),
            ("host/src/runner/mod.rs", "fn f() { crate::sys::exec::replace() }"),
            ("host/src/runner/baseline.rs", "use crate::policy::Policy;"),
            ("host/src/runner/code.rs", "fn f() { libc::open() }"),
        ],
    },
    Rule {
        name: "a policy has no effects",
        reason: "to read what is granted must change nothing; the capabilities act",
        find: |tree| {
            let acts = r"Command::new|\bfs::(write|remove\w*|rename|create\w*|set_permissions)|File::create|OpenOptions|TcpStream";
            absent(tree, "host/src/policy/", acts)
        },
        seeds: &[("host/src/policy/reader.rs", "fn f() { std::fs::write(a, b) }")],
    },
    Rule {
        name: "the environment is read once",
        reason: "what a caller set is in the Request, so that no behaviour depends on a variable that nobody sees",
        find: |tree| {
            let entries = ["host/src/bin/", "host/src/cli/"];
            let inner = tree.rust(HOST).filter(|file| !entries.iter().any(|entry| file.path.starts_with(entry)));
            listed(inner.filter(|file| !file.is_test()).flat_map(|file| file.find(r"\benv::(vars?|args)(_os)?\b")))
        },
        seeds: &[
            ("host/src/agent.rs", "fn f() { std::env::var(x) }"),
            ("host/src/store/mod.rs", "fn f() { env::args_os() }"),
        ],
    },
    Rule {
        name: "one way out",
        reason: "text of a plugin that reached standard error unescaped could forge an exit reason: report.rs writes, and \
                 the tool",
        find: |tree| {
            let others = tree
                .rust(HOST)
                .filter(|file| !file.path.starts_with("host/src/cli/") && file.path != "host/src/report.rs");
            listed(
                others
                    .flat_map(|file| file.find(r"\be?println!|\be?print!|\bio::(stdout|stderr)\b|\bstd(out|err)\(\)")),
            )
        },
        seeds: &[
            ("host/src/broker/mod.rs", "fn f() { eprintln!(x) }"),
            ("host/src/sys/fd.rs", "fn f() { std::io::stderr() }"),
        ],
    },
    Rule {
        name: "the tool runs the agent's binary",
        reason: "what is tried by hand is what Pacemaker runs; only re-pinning monitors in the tool's own process, and what is \
                 replayed from a file, which the agent's binary must not be able to do",
        find: |tree| {
            const OWN: [&str; 3] = ["host/src/cli/repin.rs", "host/src/cli/record.rs", "host/src/cli/replay.rs"];
            let others = tree.rust("host/src/cli/").filter(|file| !OWN.contains(&file.path.as_str()));
            listed(others.flat_map(|file| file.find(r"crate::(agent|contract|broker|runner)\b")))
        },
        seeds: &[("host/src/cli/run.rs", "fn f() { crate::agent::perform() }")],
    },
    Rule {
        name: "records are not synced",
        reason: "another boot voids them, and a full disk must not make a monitor wait",
        find: |tree| absent(tree, "host/src/instance/", r"\bsync_(all|data)\b|\bfd?sync\b|\bfdatasync\b"),
        seeds: &[("host/src/instance/record.rs", "fn f(file: File) { file.sync_all() }")],
    },
    Rule {
        name: "the wall clock is told and decides nothing",
        reason: "it jumps when somebody sets it, and files keep the time of another clock; deadlines are monotonic, a boot and \
                 a process are known by the kernel's own numbers",
        find: |tree| {
            // What is written down for people, and what a plugin asks for.
            const TELLS: [&str; 9] = [
                "host/src/agent.rs",
                "host/src/capability/path/look.rs",
                "host/src/cli/forget.rs",
                "host/src/cli/repin.rs",
                "host/src/cli/why/mod.rs",
                "host/src/runner/baseline.rs",
                "host/src/runner/imports.rs",
                "host/src/store/install.rs",
                "host/src/sys/clock.rs",
            ];
            let others = tree.rust("host/").filter(|file| !file.is_test() && !TELLS.contains(&file.path.as_str()));
            listed(others.flat_map(|file| {
                file.find(r"\bSystemTime\b|\bCLOCK_REALTIME\w*|\bst_[acm]time\b|\.(modified|accessed|created)\(\)")
            }))
        },
        seeds: &[
            ("host/src/store/native.rs", "fn f(file: Metadata) { file.modified() }"),
            ("host/src/broker/deadline.rs", "fn f() -> SystemTime { SystemTime::now() }"),
            ("host/src/sys/boot.rs", "fn f() { read(libc::CLOCK_REALTIME) }"),
        ],
    },
    Rule {
        name: "a plugin needs the SDK and nothing of the host",
        reason: "what it may do is what it imports; and it forbids unsafe code itself, since authors copy it",
        find: plugins,
        seeds: &[
            ("plugins/another/src/lib.rs", "fn f() {}"),
            ("plugins/dummy/Cargo.toml", "[dependencies]\nocf-wasm = { path = \"../../host\" }"),
        ],
    },
];

/// What touches a node.
const EFFECTS: &str =
    r"\bstd::(fs|process|net|env|thread|os::fd|os::unix::(fs|net|process|io))\b|\b(nix|libc|rustix)::|\be?println!";

/// What is let through although its row is not below, and the words of ARCHITECTURE.md that say so.
const ARGUED: [(&str, &str, &str); 9] = [
    ("ocf", "crate::guard", "`ocf` and `sys` name their guards"),
    ("sys", "crate::guard", "`ocf` and `sys` name their guards"),
    ("store", "crate::sandbox::compiler::begin", "`store` begins the compiler as `sandbox` says"),
    ("policy", "crate::store::is_digest", "`policy` borrows the syntax of digests and labels from `store`"),
    ("policy", "crate::store::is_label", "`policy` borrows the syntax of digests and labels from `store`"),
    ("policy", "crate::sandbox::confinement", "and the words of a confinement from `sandbox`"),
    ("policy", "crate::sandbox::hidden", "from `sandbox`, with what it hides"),
    ("report", "crate::seam::log", "`report` the levels of the log from `seam`"),
    ("seam", "crate::runner::Imports", "The seam's table implements the generated traits for `runner::Imports`"),
];

fn listed<'a>(found: impl Iterator<Item = (String, &'a str)>) -> Vec<String> {
    found.map(|(place, what)| format!("{place}: {what}")).collect()
}

/// Finds what must not be in a place.
fn absent(tree: &Tree, place: &str, pattern: &str) -> Vec<String> {
    listed(tree.rust(place).filter(|file| !file.is_test()).flat_map(|file| file.find(pattern)))
}

/// Finds what is not among the few that may be in a place, and which of those are not there any more.
fn only(tree: &Tree, place: &str, pattern: &str, allowed: &[&str]) -> Vec<String> {
    let all: Vec<_> = tree.rust(place).filter(|file| !file.is_test()).flat_map(|file| file.find(pattern)).collect();
    let unused = allowed.iter().filter(|word| !all.iter().any(|(_, what)| what == *word));
    let unused: Vec<String> = unused.map(|word| format!("{place}: {word} is allowed and not used any more")).collect();
    listed(all.into_iter().filter(|(_, what)| !allowed.contains(what))).into_iter().chain(unused).collect()
}

/// The module of a file of the host; none for where it is entered.
fn module(file: &File) -> Option<&str> {
    let path = file.path.strip_prefix(HOST)?;
    let first = path.split('/').next()?;
    match first.strip_suffix(".rs").unwrap_or(first) {
        "main" | "lib" | "bin" => None,
        module => Some(module),
    }
}

/// The rows of the table in ARCHITECTURE.md, by module.
fn rows(tree: &Tree) -> BTreeMap<String, u32> {
    let row = Regex::new(r"(?m)^\| ([0-9]) \| ([^|]*) \|").unwrap();
    let names = Regex::new("`([a-z]+)`").unwrap();
    let mut rows = BTreeMap::new();
    for found in row.captures_iter(tree.text("ARCHITECTURE.md")) {
        let number = found[1].parse().unwrap();
        rows.extend(names.captures_iter(&found[2]).map(|name| (name[1].to_owned(), number)));
    }
    rows
}

fn layers(tree: &Tree) -> Vec<String> {
    let rows = rows(tree);
    let mut found = Vec::new();
    let mut argued = BTreeSet::new();
    let mut modules = BTreeSet::new();
    for file in tree.rust(HOST).filter(|file| !file.is_test()) {
        let Some(own) = module(file) else { continue };
        modules.insert(own);
        let Some(own_row) = rows.get(own) else {
            found.push(format!("{}: {own} has no row", file.path));
            continue;
        };
        for (place, path) in file.find(r"crate::(\w+(::\w+)*|\{)|super::super::super::") {
            let Some(target) = path.strip_prefix("crate::").and_then(|rest| rest.split("::").next()) else {
                found.push(format!("{place}: {path}: from the top, crate::, so that it can be read"));
                continue;
            };
            if target == own || rows.get(target).is_some_and(|row| row < own_row) {
                continue;
            }
            let is_named = |(from, what, _): &&(&str, &str, &str)| *from == own && path.starts_with(what);
            match ARGUED.iter().find(is_named) {
                Some(argument) => drop(argued.insert(argument)),
                None => found.push(format!("{place}: {own} (row {own_row}) knows {path}")),
            }
        }
    }
    let words = tree.text("ARCHITECTURE.md").replace('\n', " ");
    for argument in &ARGUED {
        if !argued.contains(argument) {
            found.push(format!("{} does not use {} any more", argument.0, argument.1));
        }
        if !words.contains(argument.2) {
            found.push(format!("ARCHITECTURE.md does not say: {}", argument.2));
        }
    }
    found
        .extend(rows.keys().filter(|name| !modules.contains(name.as_str())).map(|name| format!("{name} is no module")));
    found
}

fn siblings(tree: &Tree) -> Vec<String> {
    let place = "host/src/capability/";
    let word = |file: &File| {
        let first = file.path[place.len()..].split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first).to_owned()
    };
    let words: BTreeSet<String> = tree.rust(place).map(word).filter(|word| word != "mod").collect();
    let mut found = Vec::new();
    for file in tree.rust(place) {
        for other in words.iter().filter(|other| **other != word(file) && word(file) != "mod") {
            found.extend(listed(file.find(&format!(r"\b(capability|super)::{other}\b")).into_iter()));
        }
    }
    found
}

fn plugins(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for file in tree.files().filter(|file| file.path.starts_with("plugins/") && file.path.matches('/').count() <= 3) {
        if file.path.ends_with("/src/lib.rs") && !file.text.contains("#![forbid(unsafe_code)]") {
            found.push(format!("{}: does not forbid unsafe code", file.path));
        }
        let Some(("plugins", manifest)) = file.path.split_once('/') else { continue };
        if manifest.ends_with("/Cargo.toml") && manifest.matches('/').count() == 1 {
            let sections = file.text.split("\n[").filter_map(|section| section.strip_prefix("dependencies]\n"));
            let lines = sections.flat_map(str::lines).filter(|line| !line.is_empty() && !line.starts_with('#'));
            let strange = lines.filter(|line| !line.starts_with("ocf-agent = "));
            found.extend(strange.map(|line| format!("{}: {line}", file.path)));
        }
    }
    found
}
