//! `test`: all tests, and 20 s of each fuzz target. The binaries under test are built first, as they are shipped; at the
//! end it says what was tried and what was not.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use super::{cargo, dist, fuzz, guards, root, run as must, setup, target};

/// What was seen of all test binaries.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u32,
    ignored: u32,
    /// By name.
    failed: Vec<String>,
    /// What did not come to a result at all.
    broken: Vec<String>,
}

/// Runs all tests; more arguments go to cargo test.
///
/// # Errors
/// If one fails, or none was run.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let since = Instant::now();
    let missing = setup::test_tools()?;
    println!("== the binaries under test, as they are shipped");
    let tree = dist::run()?;
    let guests = ["build", "--profile", "guest", "--target", "wasm32-wasip2"];
    must(cargo(&guests).args(["--package", "hostile-guest", "--package", "broken-guest"]))?;
    reach()?;
    let escaped = guards::escaped()?;
    let skipped = target().join("skipped");
    // Of an earlier run; that there is none is fine.
    let _ = std::fs::remove_file(&skipped);

    let groups = groups();
    let mut tally = Tally::default();
    for (number, (name, packages)) in groups.iter().enumerate() {
        println!("== {name} ({} of {}, {} passed so far)", number + 1, groups.len(), tally.passed);
        let mut command = undisturbed(&cargo(&["test", "--no-fail-fast"]));
        command.args(packages).args(arguments).stdout(Stdio::piped());
        command.env("OCF_WASM_DIST", &tree).env("OCF_WASM_SKIPPED", &skipped);
        command.env("OCF_WASM_ESCAPED", &escaped);
        command.env("OCF_WASM_REACH", target().join(super::triple()).join("release/reach"));
        command.env("OCF_WASM_HOSTILE", target().join("wasm32-wasip2/guest/hostile_guest.wasm"));
        let before = tally.failed.len();
        if !watch(&mut command, &mut tally)? && tally.failed.len() == before {
            tally.broken.push((*name).to_owned());
        }
    }
    // Who asks for certain tests does not ask for these.
    let fuzzed = if arguments.is_empty() { fuzz::run_all() } else { Ok(None) };
    let unfuzzed = fuzzed.unwrap_or_else(|error| {
        tally.broken.push(format!("fuzz targets: {error:#}"));
        None
    });
    let seconds = since.elapsed().as_secs();
    println!(
        "== {} passed, {} failed, {} ignored, in {} min {} s",
        tally.passed,
        tally.failed.len(),
        tally.ignored,
        seconds / 60,
        seconds % 60
    );
    let untried = untried(&skipped, missing).into_iter().chain(unfuzzed.map(|why| (why, String::new())));
    for (why, times) in untried {
        println!("not tried: {why}{times}");
    }
    tally.judge()
}

/// Builds the program that says what it can reach: static, since it is run where there may be no libraries.
///
/// # Errors
/// If it does not build.
pub(crate) fn reach() -> Result<()> {
    must(&mut cargo(&["build", "--release", "--target", &super::triple(), "--package", "reach"]))
}

/// What is given to cargo test at once: its name, and which packages.
fn groups() -> [(&'static str, Vec<&'static str>); 5] {
    // In the profile of the shipped compiler, so that it is not built a second time.
    let engine = ["--profile", "tool", "--package", "ocf-wasm-engine", "--features", "compile,run"];
    let sdk = ["ocf-agent", "ocf-agent-macros", "ocf-agent-recording", "greeter", "xtask", "ocf-wasm-fuzz"];
    let sdk = sdk.iter().chain(&dist::PLUGINS).flat_map(|package| ["--package", package]).collect();
    [
        ("the host, natively", vec!["--package", "ocf-wasm", "--features", "tool", "--lib"]),
        ("engine and compiler", [&engine[..], &["--package", "ocf-wasm-compile"]].concat()),
        ("TLS and units", vec!["--package", "ocf-wasm-tls", "--package", "ocf-wasm-units"]),
        ("the SDK with its examples, the plugins natively", sdk),
        ("what is shipped, from outside", vec!["--package", "ocf-wasm-tests"]),
    ]
}

/// A shell that starts something in the background lets it ignore SIGINT and SIGQUIT, nohup SIGHUP too, and every child
/// inherits that: tests interrupt what they start, and Pacemaker's executor ignores none.
fn undisturbed(command: &Command) -> Command {
    let mut whole = Command::new("env");
    whole.arg("--default-signal").arg(command.get_program()).args(command.get_args()).current_dir(root());
    whole
}

/// Runs a group, shows what it prints, and counts. False if it did not end well.
fn watch(command: &mut Command, tally: &mut Tally) -> Result<bool> {
    let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
    for line in BufReader::new(child.stdout.take().context("output")?).split(b'\n') {
        let line = line.context("output")?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        tally.read(&line);
    }
    Ok(child.wait()?.success())
}

impl Tally {
    /// Counts a line of a test binary.
    fn read(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED")) {
            self.failed.push(name.to_owned());
        }
        let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")) else {
            return;
        };
        for count in counts.split("; ") {
            match count.split_once(' ').map(|(number, what)| (number.parse().unwrap_or(0), what)) {
                Some((number, "passed")) => self.passed += number,
                Some((number, "ignored")) => self.ignored += number,
                _ => {}
            }
        }
    }

    fn judge(&self) -> Result<()> {
        if !self.failed.is_empty() {
            bail!("failed, one of them again with `cargo xtask test NAME`:\n  {}", self.failed.join("\n  "));
        }
        if !self.broken.is_empty() {
            bail!("came to no end: {}; see above", self.broken.join("; "));
        }
        if self.passed == 0 {
            bail!("no test was run: none has that in its name");
        }
        Ok(())
    }
}

/// What was not tried, and how many tests said so.
fn untried(skipped: &Path, missing: Option<String>) -> Vec<(String, String)> {
    let mut reasons: BTreeMap<String, u32> = BTreeMap::new();
    for line in std::fs::read_to_string(skipped).unwrap_or_default().lines() {
        *reasons.entry(line.to_owned()).or_default() += 1;
    }
    let times = |times: u32| if times == 1 { " (one test)".to_owned() } else { format!(" ({times} tests)") };
    let said = reasons.into_iter().map(|(why, count)| (why, times(count)));
    missing.map(|missing| (missing, String::new())).into_iter().chain(said).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_that_were_ignored_are_not() {
        let mut shell = Command::new("sh");
        let inner = undisturbed(Command::new("grep").args(["SigIgn", "/proc/self/status"]));
        let words: Vec<_> = std::iter::once(inner.get_program()).chain(inner.get_args()).collect();
        shell.args(["-c", "trap '' INT QUIT HUP; exec \"$@\"", "sh"]).args(words);
        let said = String::from_utf8(shell.output().unwrap().stdout).unwrap();
        let mask = u64::from_str_radix(said.trim().rsplit('\t').next().unwrap(), 16).unwrap();
        assert_eq!(mask & 0b111, 0, "{said}");
    }

    #[test]
    fn no_member_is_forgotten() {
        let output =
            super::super::cargo(&["metadata", "--format-version", "1", "--locked", "--no-deps"]).output().unwrap();
        let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let members = metadata["packages"].as_array().unwrap().iter().map(|package| package["name"].as_str().unwrap());
        let groups = groups();
        let is_tested =
            |member: &str| groups.iter().any(|(_, words)| words.windows(2).any(|w| w == ["--package", member]));
        let untested: Vec<&str> = members.filter(|member| !is_tested(member)).collect();
        // Guests and a program that tests run: they have none of their own.
        assert_eq!(untested, ["hostile-guest", "broken-guest", "reach"]);
    }

    #[test]
    fn what_binaries_print_is_counted() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test a::good ... ok",
            "test a::bad ... FAILED",
            "test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s",
            "test result: ok. 40 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out; finished in 0.10s",
        ] {
            tally.read(line);
        }
        assert_eq!((tally.passed, tally.ignored, &tally.failed), (41, 1, &vec!["a::bad".to_owned()]));
        assert!(tally.judge().unwrap_err().to_string().ends_with("\n  a::bad"));
    }

    #[test]
    fn what_does_not_come_to_an_end_or_tries_nothing_is_no_success() {
        let broken = Tally { passed: 1, broken: vec!["engine".into()], ..Tally::default() };
        assert!(broken.judge().unwrap_err().to_string().contains("no end: engine"));
        assert!(Tally::default().judge().unwrap_err().to_string().contains("no test was run"));
        assert!(Tally { passed: 1, ..Tally::default() }.judge().is_ok());
    }

    #[test]
    fn what_was_not_tried_is_told_once_with_its_reason() {
        let file = std::env::temp_dir().join(format!("ocf-wasm-skipped-{}", std::process::id()));
        std::fs::write(&file, "needs root\nno strace\nneeds root\n").unwrap();
        let told = untried(&file, Some("no apt-get".into()));
        std::fs::remove_file(&file).unwrap();
        let told: Vec<String> = told.into_iter().map(|(why, times)| format!("{why}{times}")).collect();
        assert_eq!(told, ["no apt-get", "needs root (2 tests)", "no strace (one test)"]);
        assert!(untried(&file, None).is_empty());
    }
}
