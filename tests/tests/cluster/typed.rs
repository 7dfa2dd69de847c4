//! What a page has people type on a cluster: `PLACE# COMMAND`, and below it what that prints.
//!
//! A place is a node, `both` nodes at once, the `client` beside them, or `here`, where the harness is asked. A command
//! ends with its line, unless it has a document with the end mark `END`.

use std::process::Command;

use ocf_wasm_tests::cluster::Cluster;
use ocf_wasm_tests::command::finish;

/// What people type instead of asking the harness.
const HERE: &str = "cargo xtask cluster ";

/// What begins a document that the line `END` ends.
const DOCUMENT: &str = "<<'END'";

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Typed {
    /// Where.
    pub place: String,
    /// What; several lines, if it has a document.
    pub command: String,
    /// What it prints.
    pub printed: String,
}

/// The commands of a block.
pub(crate) fn read(text: &str) -> Vec<Typed> {
    let mut all: Vec<Typed> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let typed = line.split_once("# ").filter(|(place, _)| {
            place.strip_prefix("node").is_some_and(|n| n.parse::<u8>().is_ok())
                || matches!(*place, "both" | "client" | "here")
        });
        match (typed, all.last_mut()) {
            (Some((place, command)), _) => {
                let mut command = command.to_owned();
                while command.contains(DOCUMENT) && !command.ends_with("\nEND") {
                    let line = lines.next().unwrap_or_else(|| panic!("no END: {command}"));
                    command.extend(["\n", line]);
                }
                all.push(Typed { place: place.to_owned(), command, printed: String::new() });
            }
            (None, Some(Typed { printed, .. })) => {
                printed.push_str(line);
                printed.push('\n');
            }
            (None, None) => panic!("nobody types {line:?}"),
        }
    }
    all
}

impl Typed {
    /// Types it where it is to be typed, and returns what it prints: output and complaints, as on a terminal.
    pub(crate) fn run(&self, cluster: &Cluster) -> String {
        let script = format!("exec 2>&1\n{}", self.command);
        let shell = ["bash", "-c", &script];
        let ran = |mut command: Command| finish(&mut command).stdout;
        match self.place.as_str() {
            "here" => {
                let words = self.command.strip_prefix(HERE).unwrap_or_else(|| panic!("{}", self.command));
                cluster.obey(words).unwrap()
            }
            "client" => ran(cluster.client(&shell)),
            "both" => {
                let each = std::thread::scope(|scope| {
                    let each = cluster.nodes().iter().map(|node| scope.spawn(|| ran(node.command(&shell))));
                    let each: Vec<_> = each.collect();
                    each.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
                });
                assert!(each.windows(2).all(|pair| pair[0] == pair[1]), "{}: {each:#?}", self.command);
                each.into_iter().next().unwrap_or_default()
            }
            node => ran(cluster.named(node).command(&shell)),
        }
    }

    /// As a page has it.
    pub(crate) fn shown(&self) -> String {
        format!("{}# {}\n{}", self.place, self.command, self.printed)
    }
}

#[test]
fn what_is_typed_and_what_is_printed_are_told_apart() {
    let text = "node1# a # b\n1\nboth# cat <<'END' >c\nhere# d\nEND\nhere# e\n";
    let typed = read(text);
    let told: Vec<_> = typed.iter().map(|one| [&one.place, &one.command, &one.printed].map(String::as_str)).collect();
    assert_eq!(told, [["node1", "a # b", "1\n"], ["both", "cat <<'END' >c\nhere# d\nEND", ""], ["here", "e", ""]]);
    assert_eq!(typed.iter().map(Typed::shown).collect::<String>(), text);
}
