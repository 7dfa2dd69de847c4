//! The rules of the house, held by reading its text: who may know whom, what must never enter which room, and that the
//! map in ARCHITECTURE.md shows what is there. What is found is named with the reason for the rule.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]
#![allow(clippy::case_sensitive_file_extension_comparisons, reason = "the files of this tree end in lower case")]

mod map;
mod rooms;
mod tree;
mod words;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use tree::Tree;

/// One rule.
struct Rule {
    /// How it is called.
    name: &'static str,
    /// Why there is one: shown to whoever breaks it.
    reason: &'static str,
    /// Returns what breaks it, each with its place.
    find: fn(&Tree) -> Vec<String>,
    /// Files that break it, laid over the tree: a rule that finds nothing in them holds nothing.
    seeds: &'static [(&'static str, &'static str)],
}

fn rules() -> impl Iterator<Item = &'static Rule> {
    rooms::RULES.iter().chain(&words::RULES).chain(&map::RULES)
}

#[test]
fn the_house_keeps_its_rules() {
    let tree = Tree::of_checkout();
    assert!(tree.files().count() > 100, "the checkout was not found");
    let mut complaint = String::new();
    for rule in rules() {
        let found = (rule.find)(&tree);
        if !found.is_empty() {
            write!(complaint, "\n{}: {}\n  {}\n", rule.name, rule.reason, found.join("\n  ")).unwrap();
        }
    }
    assert!(complaint.is_empty(), "{complaint}");
}

#[test]
fn each_rule_finds_what_it_is_for() {
    let names: BTreeSet<&str> = rules().map(|rule| rule.name).collect();
    assert_eq!(names.len(), rules().count(), "two rules have one name");
    let tree = Tree::of_checkout();
    for rule in rules() {
        assert!(!rule.seeds.is_empty(), "nothing shows that `{}` can fail", rule.name);
        let before: BTreeSet<String> = (rule.find)(&tree).into_iter().collect();
        for (path, text) in rule.seeds {
            // Two halves of a word that must not stand in this file stand apart in it.
            let found: BTreeSet<String> = (rule.find)(&tree.with(path, &text.replace('~', ""))).into_iter().collect();
            let new: Vec<&String> = found.difference(&before).collect();
            assert!(!new.is_empty(), "`{}` does not mind {path}: {text:?}", rule.name);
        }
    }
}
