//! What the documents show is what happens: transcripts and commands are run as they are written, excerpts are compared
//! with the code, policies are checked by the tool, and what prose names is there.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeSet;
use std::fmt::Write as _;

use ocf_wasm_tests::document::{Block, Done, Step, blocks, constant, play, steps};
use ocf_wasm_tests::host::{TestHost, is_root, plugin, plugins};
use ocf_wasm_tests::source::{Source, checkout, files_ending};
use regex_lite::Regex;

/// Blocks that do not begin in the checkout: their first command, and where the text around them says that they are
/// run.
const ELSEWHERE: [(&str, &str); 9] = [
    (
        "ocf-wasm --root /tmp/try run anything.wasm start --instance any --policy policy.toml -p binfile=/bin/sh",
        "target/dist/usr/share/ocf-wasm/plugins/anything",
    ),
    ("ocf-wasm --root /tmp/try run sample-tcp-server.wasm start --instance web --policy policy.toml", SERVER),
    ("ocf-wasm --root /tmp/try run sample-tcp-server.wasm start --policy policy.toml", SERVER),
    (
        "ocf-wasm --root /tmp/try run anything.wasm start --policy policy.toml -p binfile=/usr/libexec/ocf-wasm/examples/greeter",
        "target/dist/usr/share/ocf-wasm/plugins/anything",
    ),
    (
        "ocf-wasm --root /tmp/try run dummy.wasm start --policy policy.toml",
        "target/dist/usr/share/ocf-wasm/plugins/dummy",
    ),
    (
        "ocf-wasm --root /tmp/try run stateful.wasm start --policy policy.toml 2>/dev/null",
        "target/dist/usr/share/ocf-wasm/plugins/stateful",
    ),
    (
        "ocf-wasm --root /tmp/try run web-service.wasm start --instance s --policy policy.toml -p service_path=/usr/libexec/ocf-wasm/examples/page -p probe_url=http://127.0.0.1:5681/",
        "target/dist/usr/share/ocf-wasm/plugins/web-service",
    ),
    ("ocf-wasm --root /tmp/try inspect sample-tcp-server.wasm | sed -n '/^Asks for/,$p'", SERVER),
    ("mkdir -p /tmp/try", SERVER),
];

/// Where the example plugin lies.
const SERVER: &str = "target/dist/usr/share/ocf-wasm/plugins/sample-tcp-server";

/// Lines that cannot be run on the node of a test: the line, why not, and what is run in its place.
const INSTEAD: [(&str, &str, &str); 14] = [
    (
        "pcs resource create web ocf:ocf-wasm:sample-tcp-server op monitor interval=10s",
        "it needs a cluster; that the agent stands where its name says is what the lines above it promise",
        "/usr/lib/ocf/resource.d/ocf-wasm/sample-tcp-server meta-data | grep -q '<resource-agent name=\"sample-tcp-server\"'",
    ),
    ("cargo xtask cluster up 3", "it stays until it is interrupted", "cargo xtask help | grep -q '^  cluster  '"),
    (
        "cargo xtask cluster up 2 --systemd",
        "it stays until it is interrupted",
        "cargo xtask cluster help | grep -q '^  up .*--systemd'",
    ),
    ("cargo xtask cluster enter node1", "it needs a cluster", "cargo xtask cluster help | grep -q '^  enter NODE '"),
    (
        "cargo xtask cluster enter node1 crm_mon -1",
        "it needs a cluster",
        "cargo xtask cluster help | grep -q 'COMMAND...'",
    ),
    (
        "cargo xtask cluster enter client",
        "it needs a cluster",
        "cargo xtask cluster help | grep -q 'the node `client`'",
    ),
    ("cargo xtask cluster down", "it needs a cluster", "cargo xtask cluster help | grep -q '^  down '"),
    ("cargo xtask demo", "it lays out the tree under test anew", "cargo xtask help | grep -q '^  demo  '"),
    ("cargo xtask test", "it runs this test", "cargo xtask help | grep -q '^  test  '"),
    ("cargo xtask fuzz", "it takes minutes, and `cargo xtask test` does it", "cargo xtask help | grep -q '^  fuzz  '"),
    ("cargo xtask bench", "it lays out the tree under test anew", "cargo xtask help | grep -q '^  bench  '"),
    ("cargo xtask docs", "it writes into the checkout", "cargo xtask help | grep -q '^  docs  '"),
    ("cargo xtask dist", "it lays out the tree under test anew", "cargo xtask help | grep -q '^  dist  '"),
    ("cargo xtask guards", "it builds the agent two dozen times", "cargo xtask help | grep -q '^  guards '"),
];

/// Documents with what they are called.
fn documents() -> Vec<Source> {
    let found = files_ending(".md");
    let names: Vec<&str> = found.iter().map(|file| file.path.as_str()).collect();
    for name in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "plugins/dummy/README.md"] {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
    found
}

/// What a block promises and does not keep; empty if it keeps all.
fn broken_promises(steps: &[Step], done: &[Done]) -> String {
    let mut complaint = String::new();
    for (step, done) in steps.iter().zip(done) {
        match &step.printed {
            Some(printed) if constant(printed) != constant(&done.printed) => {
                writeln!(complaint, "$ {}\n-- shown:\n{printed}-- printed:\n{}", step.command, done.printed).unwrap();
            }
            None if done.code != 0 => {
                writeln!(complaint, "{}\n-- ends with {}:\n{}", step.command, done.code, done.printed).unwrap();
            }
            Some(_) | None => {}
        }
    }
    complaint
}

/// Runs a block on a node of its own, for who has read so far: private roots that were used above are used already.
fn run(block: &Block, above: &[Step]) -> String {
    let steps = steps(block);
    let used: Vec<String> = above
        .iter()
        .filter_map(|step| Some(format!("mkdir -p {0}; ocf-wasm --root {0} check", acting(&step.command)?)))
        .collect();
    let first = &steps[0].command;
    let place = ELSEWHERE.iter().find(|(command, _)| command == first).map_or("", |(_, place)| *place);
    let commands: Vec<String> = steps
        .iter()
        .map(|step| INSTEAD.iter().find(|(line, ..)| *line == step.command).map_or(step.command.as_str(), |row| row.2))
        .map(str::to_owned)
        .collect();
    let done = play(&[used.clone(), commands].concat(), checkout().join(place).to_str().unwrap());
    broken_promises(&steps, &done[used.len()..])
}

/// The private root that a command acts in or checks.
fn acting(command: &str) -> Option<&str> {
    let (root, verb) = command.split_once("ocf-wasm --root ")?.1.split_once(' ')?;
    (verb.starts_with("run ") || verb.starts_with("check ")).then_some(root)
}

#[test]
fn transcripts_and_commands_do_what_they_show() {
    if !is_root() {
        return;
    }
    let mut complaint = String::new();
    let mut ran = 0;
    for document in documents() {
        let mut above = Vec::new();
        for block in blocks(&document.text).iter().filter(|block| !steps(block).is_empty()) {
            let broken = run(block, &above);
            above.extend(steps(block));
            if !broken.is_empty() {
                write!(complaint, "\n{}:{}\n{broken}", document.path, block.line).unwrap();
            }
            ran += 1;
        }
    }
    assert!(ran >= 6, "only {ran} blocks were found");
    assert!(complaint.is_empty(), "{complaint}");
}

#[test]
fn a_broken_promise_is_noticed() {
    if !is_root() {
        return;
    }
    let text = "```console\n$ false\n$ echo $?\n1\n$ cd /; x=2\n$ pwd | tr / + && echo $x\n+\n2\n$ echo no >&2\nyes\n\
                $ printf cut\ncut\n```\n```sh\ntrue\ntest -e /etc/ocf-wasm\n```\n";
    let broken: Vec<String> = blocks(text).iter().map(|block| run(block, &[])).collect();
    assert_eq!(
        broken,
        [
            "$ echo no >&2\n-- shown:\nyes\n-- printed:\nno\n\n$ printf cut\n-- shown:\ncut\n-- printed:\ncut\n",
            "test -e /etc/ocf-wasm\n-- ends with 1:\n\n",
        ]
    );
}

#[test]
fn blocks_are_of_kinds_whose_promises_are_kept() {
    for document in documents() {
        for block in blocks(&document.text) {
            let place = format!("{}:{}", document.path, block.line);
            match block.kind.as_str() {
                "console" | "sh" | "rust" | "toml" => {}
                // Typed on the nodes of a cluster, by tests/cluster/guide.rs and systemd.rs.
                "cluster" => assert_eq!(document.path, "docs/cluster.md", "{place}: nothing types it there"),
                "failover" => assert_eq!(document.path, "docs/failover.md", "{place}: nothing types it there"),
                // Layouts, which no program understands.
                "" => assert!(!block.text.contains("$ "), "{place}: commands belong into a block `console` or `sh`"),
                kind => panic!("{place}: nothing checks what a block `{kind}` promises"),
            }
        }
    }
}

#[test]
fn what_is_listed_as_special_is_in_a_document() {
    let all: Vec<Step> =
        documents().iter().flat_map(|document| blocks(&document.text)).flat_map(|b| steps(&b)).collect();
    for line in INSTEAD.iter().map(|row| row.0).chain(ELSEWHERE.iter().map(|row| row.0)) {
        assert!(all.iter().any(|step| step.command == line), "no document says: {line}");
    }
}

/// The documentation examples of a source file, without what they hide.
fn examples(source: &str) -> Vec<String> {
    let lines = source.lines().filter_map(|line| {
        let line = line.trim_start();
        line.strip_prefix("//!").or_else(|| line.strip_prefix("///")).map(|line| line.strip_prefix(' ').unwrap_or(line))
    });
    let shown: String =
        lines.filter(|line| *line != "#" && !line.starts_with("# ")).map(|l| format!("{l}\n")).collect();
    let fenced = |block: Block| matches!(block.kind.as_str(), "" | "rust").then_some(block.text);
    blocks(&shown).into_iter().filter_map(fenced).collect()
}

#[test]
fn excerpts_of_rust_are_the_code() {
    let code: Vec<Source> = files_ending(".rs");
    let is_of = |path: &str, place: &str| path.starts_with(place) && path.contains("/src/");
    let whole = code.iter().filter(|file| is_of(&file.path, "plugins/")).map(|file| file.text.clone());
    let shown = code.iter().filter(|file| is_of(&file.path, "guest-sdk/src/")).flat_map(|file| examples(&file.text));
    let known: Vec<String> = whole.chain(shown).collect();
    let mut compared = 0;
    for document in documents() {
        for block in blocks(&document.text).iter().filter(|block| block.kind == "rust") {
            compared += 1;
            assert!(
                known.iter().any(|text| text.starts_with(&block.text)),
                "{}:{} is neither a plugin nor the beginning of an example in the crate's documentation, which are \
                 compiled:\n{}",
                document.path,
                block.line,
                block.text
            );
        }
    }
    assert!(compared > 0, "no document shows an agent");
}

#[test]
fn policies_in_documents_and_beside_plugins_are_right() {
    let host = TestHost::new();
    let beside = files_ending("/policy.toml").into_iter().map(|file| (file.path, file.text));
    let shown = documents().into_iter().flat_map(|document| {
        let toml = blocks(&document.text).into_iter().filter(|block| block.kind == "toml");
        toml.map(|block| (format!("{}:{}", document.path, block.line), block.text)).collect::<Vec<_>>()
    });
    let mut checked = 0;
    for (place, text) in beside.chain(shown) {
        checked += 1;
        let file = host.path().join("policy.toml");
        std::fs::write(&file, &text).unwrap();
        let ran = host.run(&["check", file.to_str().unwrap()]);
        assert_eq!(ran.code, 0, "{place}: {}{}", ran.stdout, ran.stderr);
    }
    assert!(checked >= 2, "only {checked} policies were found");
}

/// The words that a usage lists: lines of two blanks, a word, and more blanks.
fn listed(usage: &str) -> BTreeSet<String> {
    let word = |line: &str| Some(line.strip_prefix("  ")?.split_once(' ')?.0.to_owned());
    usage.lines().filter_map(word).filter(|word| !word.is_empty() && !word.starts_with('-')).collect()
}

/// Prose between backquotes.
fn quoted(text: &str) -> Vec<String> {
    let mut is_fenced = false;
    let prose: String = text
        .lines()
        .filter(|line| {
            let is_fence = line.starts_with("```");
            is_fenced ^= is_fence;
            !is_fenced && !is_fence
        })
        .map(|line| format!("{line} "))
        .collect();
    prose.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn verbs_that_prose_names_are_there() {
    let host = TestHost::new();
    let tool = listed(&host.run(&["--help"]).stdout);
    let house = std::fs::read_to_string(checkout().join("xtask/src/main.rs")).unwrap();
    // The names in the table of commands: a row stands on a line, or its name does.
    let row = Regex::new(r#"(?m)^(?:    \(|        )"([a-z]+)","#).unwrap();
    let names = row.captures_iter(&house).map(|found| found.get(1).map_or("", |name| name.as_str()));
    let house: BTreeSet<String> = names.filter(|name| !name.contains(' ')).map(str::to_owned).collect();
    assert!(tool.contains("install") && house.contains("demo"), "{tool:?} {house:?}");
    let mut seen = 0;
    for document in documents() {
        for text in quoted(&document.text) {
            for (prefix, verbs) in [("ocf-wasm ", &tool), ("cargo xtask ", &house)] {
                let Some(rest) = text.strip_prefix(prefix) else { continue };
                let verb = rest.split(' ').find(|word| !word.starts_with('-')).unwrap_or_default();
                assert!(verbs.contains(verb), "{}: `{text}`: there is no {verb}, there are {verbs:?}", document.path);
                seen += 1;
            }
        }
    }
    assert!(seen >= 5, "only {seen} were found");
}

#[test]
fn the_summary_has_every_page_once() {
    let all = documents();
    let summary = &all.iter().find(|document| document.path == "docs/SUMMARY.md").unwrap().text;
    let links = summary.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let listed: Vec<String> = links.map(|(link, _)| format!("docs/{link}")).collect();
    let unique: BTreeSet<&String> = listed.iter().collect();
    assert_eq!(unique.len(), listed.len(), "{listed:?}");
    for document in &all {
        let is_page = document.path.starts_with("docs/") && document.path != "docs/SUMMARY.md";
        let is_listed = listed.contains(&document.path);
        assert_eq!(is_page, is_listed, "docs/SUMMARY.md and {}", document.path);
    }
}

#[test]
fn each_invariant_has_its_test_and_each_numbered_test_its_invariant() {
    let all = documents();
    let page = &all.iter().find(|document| document.path == "docs/threat-model.md").unwrap().text;
    let row = Regex::new(r"(?m)^\| I(\d+) \|").unwrap();
    let told: BTreeSet<u32> = row.captures_iter(page).map(|found| found[1].parse().unwrap()).collect();
    let numbered = Regex::new(r"\nfn i(\d+)_\w+\(").unwrap();
    let mut tested = BTreeSet::new();
    for source in files_ending(".rs").iter().filter(|source| source.path.starts_with("tests/tests/")) {
        tested.extend(numbered.captures_iter(&source.text).map(|found| found[1].parse::<u32>().unwrap()));
    }
    // I13 is about signatures, which there are none of yet.
    let expected: BTreeSet<u32> = (1..=26).filter(|number| *number != 13).collect();
    assert_eq!(told, expected, "docs/threat-model.md");
    assert_eq!(tested, expected, "tests/tests");
}

#[test]
fn links_lead_somewhere() {
    let mut seen = 0;
    for document in documents() {
        let directory = checkout().join(&document.path).parent().unwrap().to_owned();
        for link in document.text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            seen += 1;
            let is_far = link.starts_with("https://") || link.starts_with('#');
            let file = link.split('#').next().unwrap();
            assert!(is_far || directory.join(file).exists(), "{}: {link} is not there", document.path);
        }
    }
    assert!(seen >= 3, "only {seen} were found");
}

#[test]
fn what_is_laid_out_with_a_plugin_stands_alone() {
    for name in plugins() {
        let component = plugin(&name);
        let directory = component.parent().unwrap();
        let readme = std::fs::read_to_string(directory.join("README.md")).unwrap();
        for link in readme.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            assert!(link.starts_with("https://") || directory.join(link).exists(), "{name}: {link} is not there");
        }
        assert!(
            !readme.contains("cargo ") && !readme.contains("checkout"),
            "{name}: there is nothing to build:\n{readme}"
        );
        let first = format!("\n$ ocf-wasm --root /tmp/try run {name}.wasm start ");
        assert!(readme.contains(&first), "{name}: nobody learns how to run it:\n{readme}");
    }
}

#[test]
fn what_is_searched_for_is_not_the_shell_that_searches() {
    let pattern = Regex::new("p(?:grep|kill) (?:-[0-9A-Z]+ )?-x?f '([^']*)'").unwrap();
    let mut seen = 0;
    for document in documents() {
        for step in blocks(&document.text).iter().flat_map(steps) {
            for found in pattern.captures_iter(&step.command) {
                seen += 1;
                // A shell that was given the line with -c has it among its arguments.
                let is_own = Regex::new(&found[1]).unwrap().is_match(&step.command);
                assert!(!is_own, "{}: it would end or find its own shell: {}", document.path, step.command);
            }
            let named = step.command.matches("pgrep").count() + step.command.matches("pkill").count();
            assert_eq!(named, pattern.captures_iter(&step.command).count(), "{}: {}", document.path, step.command);
        }
    }
    assert!(seen >= 4, "only {seen} were found");
}
