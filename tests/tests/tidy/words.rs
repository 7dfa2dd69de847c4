//! What no file says, and what only some may say.

use super::Rule;
use super::tree::File;

/// Lines of a file that one person reads in one go.
const LINES: usize = 450;
/// Hosts that everybody can reach and that documents may lead to, every node being one of them; the last two only name the
/// language of schemas.
const HOSTS: [&str; 5] =
    ["https://github.com", "http://www.apache.org", "http://127.0.0.1", "http://relaxng.org", "http://www.w3.org"];
/// Files that read web addresses, and are shown wrong ones.
const READERS: [&str; 15] = [
    "host/src/capability/endpoint/http.rs",
    "host/src/policy/tests/mistakes.txt",
    "host/src/policy/tests/snapshot.rs",
    "host/src/policy/tests/rows.rs",
    "host/src/policy/tests/lint.rs",
    "host/src/policy/url.rs",
    "host/src/runner/http.rs",
    "host/src/runner/http/tests.rs",
    "plugins/web-service/src/lib.rs",
    "plugins/web-service/src/tests.rs",
    "tests/tests/endpoints.rs",
    "tests/tests/https/instance.rs",
    "tests/tests/https/main.rs",
    "tests/tests/https/process.rs",
    "tests/tests/web_service.rs",
];

pub(crate) const RULES: [Rule; 6] = [
    Rule {
        name: "OCF numbers stand in outcome.rs",
        reason: "what an exit status means to the cluster is decided in one closed type; a number elsewhere is a second \
                 opinion",
        find: |tree| {
            let numbers = r"\b(190|191)\b|\bOCF_(SUCCESS|ERR_\w+|NOT_RUNNING|RUNNING_\w+|FAILED_\w+|DEGRADED\w*)|\bExitCode::from\([0-9]|\b(code|exit|outcome)(\(\))?\s*(==|!=|<=?|>=?)\s*[0-9]|\bmatches!\(\s*[\w.]*(code|exit)\w*(\(\))?,\s*[0-9]";
            let others =
                tree.rust("host/src/").filter(|file| !file.is_test() && file.path != "host/src/ocf/outcome.rs");
            listed(others.flat_map(|file| file.find(numbers)))
        },
        seeds: &[
            ("host/src/plan.rs", "fn f(code: u8) -> bool { code == 7 }"),
            ("host/src/cli/why.rs", "fn f(exit: u8) -> bool { matches!(exit, 0 | 8) }"),
            ("host/src/contract.rs", "const DEGRADED: u8 = 190;"),
            ("host/src/main.rs", "fn f() -> ExitCode { ExitCode::from(5) }"),
        ],
    },
    Rule {
        name: "unsafe code has rooms of its own",
        reason: "what the compiler does not check is read by people, who must know where to look: sys/, sandbox/, the one \
                 call that loads code, what a host calls in a plugin, and in the tests the client of a C \
                 library and what tries system calls",
        find: |tree| {
            const ROOMS: [&str; 6] = [
                "host/src/sys/",
                "host/src/sandbox/",
                "host/src/runner/code.rs",
                "guest-sdk/src/runtime.rs",
                "tests/src/executor/client.rs",
                "tests/reach/src/call.rs",
            ];
            let is_in_room = |file: &&File| ROOMS.iter().any(|room| file.path.starts_with(room));
            let mut found = listed(
                tree.rust("").filter(|file| !is_in_room(file)).flat_map(|file| file.find(r"\bunsafe\b\s*[^(\s_]")),
            );
            for file in tree.rust("").filter(is_in_room) {
                found.extend(unargued(file));
            }
            let code =
                tree.rust("host/src/runner/code.rs").map(|file| file.find(r"\bunsafe\b\s*\{").len()).sum::<usize>();
            if code != 1 {
                found.push(format!("host/src/runner/code.rs has {code} unsafe blocks, and not one"));
            }
            found
        },
        seeds: &[
            ("host/src/store/native.rs", "fn f() { unsafe { g() } }"),
            ("guest-sdk/src/state.rs", "unsafe fn f() {}"),
            ("host/src/sys/fd.rs", "fn f() {\n    unsafe { g() }\n}"),
            ("host/src/runner/code.rs", "fn f() {\n    // SAFETY: none.\n    unsafe { g() }\n}"),
        ],
    },
    Rule {
        name: "nothing is left for later",
        reason: "what is not done is in the changelog under what is not there yet, or in an issue; in the text it is \
                 forgotten",
        find: |tree| {
            listed(tree.files().flat_map(|file| {
                file.find_anywhere(r"\bTO[D]O\b|\bFIX[M]E\b|\bXX[X]\b|\b(tod[o]|unimplemente[d]|db[g])!")
            }))
        },
        seeds: &[
            ("README.md", "TO~DO: say more"),
            ("host/src/plan.rs", "// FIX~ME"),
            ("plugins/dummy/src/lib.rs", "fn f() { unimplement~ed!() }"),
        ],
    },
    Rule {
        name: "a file has one idea",
        reason: "what is longer than 450 lines holds a second one, which wants a file of its own",
        find: |tree| {
            let long = tree.rust("").filter(|file| file.text.lines().count() > LINES);
            long.map(|file| format!("{}: {} lines", file.path, file.text.lines().count())).collect()
        },
        seeds: &[("host/src/long.rs", include_str!("../../../Cargo.lock"))],
    },
    Rule {
        name: "the text speaks of the project alone",
        reason: "a path of somebody's machine helps nobody else; what a reader may try goes to /tmp/try",
        find: |tree| {
            let paths =
                tree.files().flat_map(|file| file.find_anywhere(r"(^|[^\w./$-])/(work|home|Users)/\w|/tm[p]/[\w.-]+"));
            listed(paths.filter(|(_, what)| *what != "/tmp/try"))
        },
        seeds: &[
            ("README.md", "as in /wo~rk/main"),
            ("host/src/plan.rs", "const PLACE: &str = \"/tm~p/build\";"),
            (".ci/run", "cd /ho~me/somebody/src"),
        ],
    },
    Rule {
        name: "links lead where everybody can go",
        reason: "a registry or a host that others cannot see makes the checkout useless to them",
        find: |tree| {
            let others = tree.files().filter(|file| !READERS.contains(&file.path.as_str()));
            let hosts = others.flat_map(|file| file.find_anywhere(r"https?://[\w.-]+"));
            listed(hosts.filter(|(_, host)| !HOSTS.contains(host)))
        },
        seeds: &[
            ("Cargo.lock", "source = \"sparse+http~s://mirror.example/index/\""),
            ("README.md", "http~://example.org"),
            ("plugins/dummy/src/lib.rs", "http~://127.0.0.2/"),
        ],
    },
];

fn listed<'a>(found: impl Iterator<Item = (String, &'a str)>) -> Vec<String> {
    found.map(|(place, what)| format!("{place}: {}", what.trim())).collect()
}

/// Unsafe blocks and implementations without an argument in the lines above.
fn unargued(file: &File) -> Vec<String> {
    let text: Vec<&str> = file.text.lines().collect();
    let mut found = Vec::new();
    for (number, line) in file.code.lines().enumerate() {
        if !line.contains("unsafe {") && !line.contains("unsafe impl") {
            continue;
        }
        // The comment stands before the statement that the block is in.
        let above = text[..number].iter().rev().take_while(|line| !line.trim().is_empty() && !line.ends_with('}'));
        if !above.take(8).any(|line| line.contains("SAFETY:")) {
            found.push(format!("{}:{}: no SAFETY argument above: {}", file.path, number + 1, line.trim()));
        }
    }
    found
}
