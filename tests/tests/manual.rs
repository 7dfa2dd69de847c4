//! Completions and manual pages: they are laid out, they are the tool's own, and they know every verb.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use ocf_wasm_tests::host::{TestHost, dist, finish};

/// Where each shell looks.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/ocf-wasm"),
    ("zsh", "usr/share/zsh/site-functions/_ocf-wasm"),
    ("fish", "usr/share/fish/vendor_completions.d/ocf-wasm.fish"),
];

/// The verbs, as the tool lists them.
fn verbs() -> Vec<String> {
    let help = TestHost::new().run(&["--help"]).stdout;
    let list = help.split_once("Commands:\n").unwrap().1.split_once("\n\n").unwrap().0;
    let words = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    words.map(|line| line.split_whitespace().next().unwrap().to_owned()).filter(|verb| verb != "help").collect()
}

/// All files below a directory, by their paths in it.
fn files(directory: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for section in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        for page in fs::read_dir(section).unwrap().map(|entry| entry.unwrap().path()) {
            let name = page.strip_prefix(directory).unwrap().to_str().unwrap().to_owned();
            found.insert(name, fs::read_to_string(&page).unwrap());
        }
    }
    found
}

#[test]
fn every_verb_has_a_page_that_says_how_it_ends() {
    let host = TestHost::new();
    let written = host.path().join("man");
    let ran = host.run(&["man", written.to_str().unwrap()]);
    assert!(ran.code == 0 && ran.stdout.is_empty() && ran.stderr.is_empty(), "{ran:#?}");
    let pages = files(&written);
    let mut names: Vec<String> = verbs().iter().map(|verb| format!("man1/ocf-wasm-{verb}.1")).collect();
    names.extend(["man1/ocf-wasm.1".to_owned(), "man8/ocf-wasm-agent.8".to_owned()]);
    names.sort();
    assert_eq!(pages.keys().cloned().collect::<Vec<_>>(), names);
    for (name, text) in &pages {
        assert!(text.contains(".TH ocf\\-wasm") || text.contains(".TH ocf-wasm"), "{name}: {text}");
        assert!(text.contains("Exit status"), "{name}: {text}");
    }
    for words in ["failed (1)", "not running (7)", "promoted and degraded (191)"] {
        assert!(pages["man8/ocf-wasm-agent.8"].contains(words), "{words}");
    }
    assert_eq!(files(&dist().join("usr/share/man")), pages, "what is laid out is of another tool");
    if Path::new("/usr/bin/groff").exists() {
        for name in pages.keys() {
            let ran = finish(Command::new("groff").args(["-man", "-ww", "-z"]).arg(written.join(name)));
            assert!(ran.code == 0 && ran.stderr.is_empty(), "{ran:#?}");
        }
    }
    let refused = host.run(&["man", "/proc/nowhere"]);
    assert!(refused.code == 1 && refused.stderr.contains("/proc/nowhere"), "{refused:#?}");
}

#[test]
fn completions_are_laid_out_and_complete() {
    let host = TestHost::new();
    for (shell, place) in COMPLETIONS {
        let ran = host.run(&["completions", shell]);
        assert!(ran.code == 0 && ran.stderr.is_empty(), "{ran:#?}");
        assert_eq!(ran.stdout, fs::read_to_string(dist().join(place)).unwrap(), "{place} is of another tool");
        for verb in verbs() {
            assert!(ran.stdout.contains(&verb), "{shell} does not know {verb}");
        }
    }
    let script = dist().join(COMPLETIONS[0].1);
    let complete = |words: &str, last: usize| {
        let text = format!(
            ". {}; COMP_WORDS=({words}); COMP_CWORD={last}; _ocf__wasm ocf-wasm \"${{COMP_WORDS[{last}]}}\" \
             \"${{COMP_WORDS[{last} - 1]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            script.display()
        );
        let ran = finish(Command::new("bash").args(["--noprofile", "--norc", "-c", &text]));
        assert!(ran.code == 0 && ran.stderr.is_empty(), "{ran:#?}");
        ran.stdout.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(complete("ocf-wasm ins", 1), ["install", "inspect"]);
    assert_eq!(complete("ocf-wasm test --jun", 2), ["--junit"]);
    assert_eq!(complete("ocf-wasm test -o js", 3), ["json"]);
    let refused = host.run(&["completions", "tcsh"]);
    assert!(refused.code == 2 && refused.stderr.contains("fish"), "{refused:#?}");
}
