//! Documents that keep their promises: fenced blocks of Markdown, and a node on which what they show can be done.
//!
//! A [`Block`] of kind `console` is a transcript: a line that begins with `$ ` is typed, what follows is what it prints.
//! In a block of kind `sh` each line is a command that succeeds. [`play`] types them into one bash on a node of their
//! own. What differs from run to run is replaced by [`constant`], through one table, on both sides of a comparison.

#![allow(clippy::unwrap_used, reason = "support of tests: a panic is the report")]

use std::fs;
use std::process::Command;
use std::time::Duration;

use regex_lite::{Captures, Regex};

use crate::command::finish_within;
use crate::host::dist;
use crate::source::checkout;

/// A fenced block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The word after the fence.
    pub kind: String,
    /// The line of the fence, from one.
    pub line: usize,
    /// What stands between the fences.
    pub text: String,
}

/// The fenced blocks of a document.
pub fn blocks(markdown: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut is_open = false;
    for (number, line) in markdown.lines().enumerate() {
        if let Some(kind) = line.strip_prefix("```") {
            is_open = !is_open;
            if is_open {
                found.push(Block { kind: kind.trim().to_owned(), line: number + 1, text: String::new() });
            }
        } else if is_open && let Some(block) = found.last_mut() {
            block.text.push_str(line);
            block.text.push('\n');
        }
    }
    assert!(!is_open, "a fence is not closed: {found:#?}");
    found
}

/// One command of a block, and what it prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is typed.
    pub command: String,
    /// What it prints, if the block shows that.
    pub printed: Option<String>,
}

/// The commands of a block; none if it is not of a kind that is run.
pub fn steps(block: &Block) -> Vec<Step> {
    match block.kind.as_str() {
        "sh" => block.text.lines().map(|line| Step { command: line.to_owned(), printed: None }).collect(),
        "console" => {
            let mut steps: Vec<Step> = Vec::new();
            for line in block.text.lines() {
                match (line.strip_prefix("$ "), steps.last_mut()) {
                    (Some(command), _) => {
                        steps.push(Step { command: command.to_owned(), printed: Some(String::new()) });
                    }
                    (None, Some(Step { printed: Some(printed), .. })) => {
                        printed.push_str(line);
                        printed.push('\n');
                    }
                    (None, _) => panic!("line {}: a transcript begins with `$ `, not with {line:?}", block.line),
                }
            }
            steps
        }
        _ => Vec::new(),
    }
}

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Its exit status.
    pub code: i32,
    /// Its standard output and standard error, as they come on a terminal.
    pub printed: String,
}

/// Types commands into one bash, in a directory, on a node of their own.
///
/// The node is mount, process, network and name space of its own: `/usr`, `/etc` and `/var` are the machine's
/// with a layer in memory before them, `/run` and `/tmp` are empty, and nothing of ours is installed. The tree under test
/// stands in `target/dist`, and its `usr/bin` in `PATH`. Everything ends with the last command. Needs root.
pub fn play(commands: &[String], directory: &str) -> Vec<Done> {
    const MARK: &str = "\u{1}done";
    let scratch = tempfile::tempdir().unwrap();
    let mut script = format!(
        // The mark must not be seen by `$?`. A person types slower than a killed process ends.
        "mark() {{ local status=$?; printf '{MARK} %s\\n' $status; sleep 0.2; return $status; }}\ncd '{directory}'\n"
    );
    for command in commands {
        script.push_str(command);
        script.push_str("\nmark\n");
    }
    let file = scratch.path().join("script");
    fs::write(&file, script).unwrap();
    let (tree, root) = (dist(), checkout());
    let own = std::env::current_exe().unwrap();
    let target = own.ancestors().find(|above| above.join("CACHEDIR.TAG").exists()).unwrap();
    let home = std::env::var("HOME").unwrap_or_else(|_| "/root".to_owned());
    let cargo = std::env::var("CARGO_HOME").unwrap_or_else(|_| format!("{home}/.cargo"));
    let path = format!(
        "{}/target/dist/usr/bin:{cargo}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        root.display()
    );
    let mut bash = Command::new("setpriv");
    bash.args(["--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--uts", "--ipc", "--net", "--fork"]);
    bash.args(["--kill-child", "--mount-proc", "--propagation", "private", "bash", "-c", FURNISH, "furnish"]);
    bash.arg(&file).arg(&root).arg(target).arg(tree);
    // What a private root needs to be mounted on: an overlay on an overlay on an overlay is one too many for the kernel.
    let is_private = commands.iter().any(|command| command.contains("--root"));
    bash.arg(if is_private { "private" } else { "fresh" });
    bash.env_clear().env("PATH", path).env("HOME", &home).env("XDG_STATE_HOME", "/run/state").env("LC_ALL", "C.UTF-8");
    bash.env("CARGO_NET_OFFLINE", "true").env("CARGO_TERM_QUIET", "true").env("CARGO_HOME", cargo);
    for name in ["RUSTUP_HOME", "RUSTUP_TOOLCHAIN"] {
        if let Some(value) = std::env::var_os(name) {
            bash.env(name, value);
        }
    }
    // Long enough for cargo, which some of them are.
    let ran = finish_within(&mut bash, Duration::from_mins(15));
    let mut done = Vec::new();
    let mut rest = ran.stdout.as_str();
    while let Some((printed, after)) = rest.split_once(MARK) {
        let (code, after) = after.split_once('\n').unwrap();
        done.push(Done { code: code.trim().parse().unwrap(), printed: printed.to_owned() });
        rest = after;
    }
    assert_eq!(done.len(), commands.len(), "the shell ended early: {ran:#?}");
    done
}

/// The node: its script, the checkout, cargo's directory, the tree under test, and whether private roots are made.
const FURNISH: &str = r#"
    set -eu
    script=$1 checkout=$2 target=$3 tree=$4 kind=$5
    exec 2>&1
    ip link set lo up
    mount -t tmpfs -o mode=755 tmpfs /run
    for name in usr etc var; do
        mkdir -p /run/layers/$name/upper /run/layers/$name/work
        chmod --reference=/$name /run/layers/$name/upper
        mount -t overlay -o "lowerdir=/$name,upperdir=/run/layers/$name/upper,workdir=/run/layers/$name/work" overlay /$name
    done
    # Nobody's files are in /tmp, but for what the test itself has there.
    keep() {
        case $1 in
            /tmp/*)
                set -- "$1" "/run/kept$1"
                mkdir -p "$2"
                mount --bind "$1" "$2"
                kept="$kept $1"
        esac
    }
    kept=
    for path in "${script%/*}" "$checkout" "$target" "$tree"; do keep "$path"; done
    mount -t tmpfs -o mode=1777 tmpfs /tmp
    for path in $kept; do mkdir -p "$path"; mount --bind "/run/kept$path" "$path"; done
    mkdir -p "$checkout/target"
    [ "$target" = "$checkout/target" ] || mount --bind "$target" "$checkout/target"
    mkdir -p "$checkout/target/dist"
    [ "$tree" = "$checkout/target/dist" ] || mount --bind "$tree" "$checkout/target/dist"
    ours="/etc/ocf-wasm /var/lib/ocf-wasm /var/cache/ocf-wasm /usr/libexec/ocf-wasm"
    rm -rf $ours
    [ "$kind" = fresh ] || mkdir -p $ours /run/ocf-wasm /usr/lib/ocf/resource.d
    exec bash --noprofile --norc "$script"
"#;

/// What differs from run to run.
struct Varying {
    /// What it is.
    name: &'static str,
    /// Where it stands; the group is what is replaced.
    pattern: &'static str,
    /// How wide it is, blanks included, where columns stand below each other.
    width: Option<usize>,
}

/// All that may differ. A policy's digest is not among them: it is known.
const VARYING: [Varying; 8] = [
    Varying {
        name: "tree",
        pattern: r"(?m)^note: in this root /usr/libexec/ocf-wasm is (/\S+)/usr/libexec/ocf-wasm, ",
        width: None,
    },
    Varying { name: "since", pattern: r" \([0-9]+\), ([0-9]+ s) ago\)", width: None },
    Varying { name: "component", pattern: r"\(sha256:([0-9a-f]{12})\)", width: None },
    Varying { name: "pids", pattern: r"(?m)^program .*, processes: ([1-9][0-9]*)$", width: None },
    Varying { name: "ago", pattern: r"(?m)^  ( *[0-9]+ s) ago  ", width: Some(8) },
    Varying { name: "took", pattern: r"(?m)^  .{8} ago  .{20}  ( *[0-9]+) ms", width: Some(6) },
    Varying { name: "when", pattern: r"(?m)^( *[0-9]+\.[0-9]{2}) ms  ", width: Some(9) },
    Varying { name: "lasted", pattern: r"(?m)  \(([0-9]+\.[0-9]{2}) ms\)$", width: None },
];

/// Returns a text with its names in place of what differs from run to run. What is not of the right shape stays.
pub fn constant(text: &str) -> String {
    VARYING.iter().fold(text.to_owned(), |text, row| {
        let pattern = Regex::new(row.pattern).unwrap();
        let replaced = pattern.replace_all(&text, |found: &Captures<'_>| {
            let (whole, value) = (found.get(0).unwrap(), found.get(1).unwrap());
            if row.width.is_some_and(|width| width != value.len()) {
                return whole.as_str().to_owned();
            }
            let filled = format!("{:_^1$}", row.name, row.width.unwrap_or(0));
            let (before, after) = (value.start() - whole.start(), value.end() - whole.start());
            format!("{}{filled}{}", &whole.as_str()[..before], &whole.as_str()[after..])
        });
        replaced.into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_varies_is_replaced_and_keeps_its_place() {
        for (text, same) in [
            (
                "  uses generation 1 (sha256:0123456789ab), policy x",
                "  uses generation 1 (sha256:fedcba987654), policy x",
            ),
            ("program greeter: remains, processes: 18335", "program greeter: remains, processes: 7"),
            ("       9 s ago  start              0      22 ms", "      10 s ago  start              0       1 ms"),
            (
                "     1.51 ms  = start -> Done(Ok(None))  (0.39 ms)",
                "   101.52 ms  = start -> Done(Ok(None))  (17.00 ms)",
            ),
        ] {
            assert_eq!(constant(text), constant(same));
            assert_ne!(constant(text), text);
        }
    }

    #[test]
    fn what_is_of_another_shape_is_another_text() {
        for (text, other) in [
            ("(sha256:0123456789ab)", "(sha256:0123456789a)"),
            ("(sha256:0123456789ab)", "(sha256:0123456789abc)"),
            ("(sha256:0123456789ab)", "(sha256:0123456789AB)"),
            ("policy sha256:0123456789ab", "policy sha256:fedcba987654"),
            ("program greeter: remains, processes: 18335", "program greeter: remains, processes: none"),
            ("program greeter: remains, processes: 18335", "program greeter: remains, processes: 18335 18336"),
            ("program greeter: remains, processes: 18335", "program greeter: running, processes: 18335"),
            ("       9 s ago  start              0      22 ms", "       9 s ago  start              0     22 ms"),
            ("       9 s ago  start              0      22 ms", "       9 s ago  start              1      22 ms"),
            ("       9 s ago  start              0      22 ms", "     9 min ago  start              0      22 ms"),
            ("     1.51 ms  x  (0.39 ms)", "    1.51 ms  x  (0.39 ms)"),
            ("     1.51 ms  x  (0.39 ms)", "     1.51 ms  x  (0.4 ms)"),
        ] {
            assert_ne!(constant(text), constant(other));
        }
    }

    #[test]
    fn a_transcript_is_read_as_it_is_written() {
        let block = &blocks("text\n```console\n$ a | b\n1\n\n2\n$ c\n```\nmore\n")[0];
        let step = |command: &str, printed: &str| Step { command: command.into(), printed: Some(printed.into()) };
        assert_eq!(block.line, 2);
        assert_eq!(steps(block), [step("a | b", "1\n\n2\n"), step("c", "")]);
    }
}
