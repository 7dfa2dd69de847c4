//! `guards`: that each guard guards. Builds the agent with one guard left out at a time and expects the test of its
//! invariant to fail; with all of them, to pass. And the build with a runner that was taken over, for its own tests.
//!
//! The agents built here are installed nowhere: they live in a tree of their own beside the one that is shipped.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use super::{cargo, run as must, target, triple};

/// A guard, and the test that fails without it: file of tests, name.
struct Guard {
    name: &'static str,
    file: &'static str,
    test: &'static str,
    /// Whether the build has the runner that was taken over too: what only native code can try.
    escaped: bool,
    /// Whether it stands in what the tool does: then that is built without it.
    tool: bool,
}

const fn guard(name: &'static str, file: &'static str, test: &'static str) -> Guard {
    Guard { name, file, test, escaped: false, tool: false }
}

const GUARDS: [Guard; 39] = [
    guard("I1", "invariants", "i01_"),
    guard("I2", "invariants", "i02_"),
    guard("I3", "invariants", "i03_"),
    guard("I4", "invariants", "i04_"),
    guard("I5", "invariants", "i05_"),
    guard("I6", "invariants", "i06_"),
    guard("I7", "invariants", "i07_"),
    guard("I8", "invariants", "i08_"),
    guard("I9", "invariants", "i09_"),
    guard("I10", "invariants", "i10_"),
    guard("I11", "invariants", "i11_"),
    Guard { tool: true, ..guard("I12", "invariants", "i12_") },
    guard("I14", "invariants", "i14_"),
    guard("I15", "invariants", "i15_"),
    guard("I16", "invariants", "i16_"),
    guard("I17", "paths", "i17_"),
    guard("I18", "invariants", "i18_"),
    guard("I19", "invariants", "i19_"),
    guard("I20", "invariants", "i20_"),
    guard("I21", "invariants", "i21_"),
    guard("I22", "invariants", "i22_"),
    guard("I23", "invariants", "i23_"),
    guard("I24", "invariants", "i24_"),
    guard("I25", "invariants", "i25_"),
    guard("I26", "confined", "i26_"),
    guard("program-view", "confined", "what_a_program_reaches"),
    guard("program-user", "confined", "what_a_program_reaches"),
    guard("program-landlock", "confined", "what_a_program_reaches"),
    guard("program-calls", "confined", "what_a_program_reaches"),
    guard("memory", "limits", "memory_is_summed"),
    guard("said", "limits", "a_plugin_may_go_on"),
    guard("lifted", "limits", "what_one_call_takes"),
    guard("handles", "limits", "resources_that_are_held"),
    guard("descriptors", "runner", "while_a_plugin_sleeps"),
    guard("heap", "runner", "what_the_broker_knows"),
    guard("user", "runner", "while_a_plugin_sleeps"),
    Guard { escaped: true, ..guard("landlock", "escaped", "what_is_given_up") },
    guard("limits", "runner", "while_a_plugin_sleeps"),
    Guard { escaped: true, ..guard("seccomp", "escaped", "behind_the_filter") },
];

/// Tries all guards, or those that are named.
///
/// # Errors
/// If a test passes without its guard, or fails with it.
pub(crate) fn run(names: &[String]) -> Result<()> {
    let shipped = target().join("dist");
    ensure!(shipped.join("usr/bin/ocf-wasm").exists(), "run `cargo xtask dist` first");
    let chosen = GUARDS.iter().filter(|guard| names.is_empty() || names.iter().any(|n| n == guard.name));
    let mut unguarded = Vec::new();
    let mut tried = 0;
    for guard in chosen {
        let whole = match guard.escaped {
            true => escaped()?,
            false => shipped.clone(),
        };
        ensure!(passes(guard, &whole)?, "{}: {} fails with every guard in place", guard.name, guard.test);
        let mut cfgs = vec![format!("guard_off=\"{}\"", guard.name)];
        cfgs.extend(guard.escaped.then(|| "escaped".to_owned()));
        let without = tree(guard.name, &cfgs, guard.tool)?;
        let is_held = !passes(guard, &without)?;
        println!("{:12} {}", guard.name, if is_held { "its test fails without it" } else { "NOT SEEN BY ITS TEST" });
        unguarded.extend((!is_held).then_some(guard.name));
        tried += 1;
    }
    ensure!(tried > 0, "there is no guard of that name");
    if !unguarded.is_empty() {
        bail!("no test fails without: {}", unguarded.join(", "));
    }
    println!("{tried} guards were left out one at a time, and each was missed");
    Ok(())
}

/// The tree with a runner that was taken over.
///
/// # Errors
/// If it does not build.
pub(crate) fn escaped() -> Result<PathBuf> {
    tree("escaped", &["escaped".to_owned()], false)
}

fn passes(guard: &Guard, tree: &Path) -> Result<bool> {
    let mut test = cargo(&["test", "--quiet", "--package", "ocf-wasm-tests", "--test", guard.file, guard.test]);
    test.env(if guard.escaped { "OCF_WASM_ESCAPED" } else { "OCF_WASM_DIST" }, tree);
    let output = test.output().context("cargo test")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(text.contains("test result:"), "{}: {}", guard.name, String::from_utf8_lossy(&output.stderr));
    ensure!(!text.contains(" 0 passed; 0 failed"), "{}: no test is called {}", guard.name, guard.test);
    Ok(output.status.success())
}

/// Builds the agent, or the tool, with these flags for our own crates only, and lays it out beside all else that is
/// shipped.
fn tree(name: &str, cfgs: &[String], tool: bool) -> Result<PathBuf> {
    let place = target().join("guards");
    let wrapper = place.join(name).join("rustc");
    fs::create_dir_all(place.join(name))?;
    // Cargo tells apart what was built by different wrappers, and builds what is not ours once for all of them.
    let flags: String = cfgs.iter().map(|cfg| format!(" --cfg '{cfg}'")).collect();
    fs::write(&wrapper, format!("#!/bin/sh\nexec \"$@\"{flags}\n"))?;
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))?;
    let triple = triple();
    let mut build = cargo(&["build", "--quiet", "--profile", "guards", "--target", &triple, "--package", "ocf-wasm"]);
    let (binary, features, installed) = match tool {
        true => ("ocf-wasm", "tool", "usr/bin/ocf-wasm"),
        false => ("ocf-wasm-agent", "", "usr/libexec/ocf-wasm/ocf-wasm-agent"),
    };
    build.args(["--bin", binary, "--features", features, "--target-dir"]).arg(place.join("target"));
    let compiler = format!("CC_{}", triple.replace('-', "_"));
    let compiler = (&compiler, std::env::var_os(&compiler).unwrap_or_else(|| "cc".into()));
    must(build.env("RUSTC_WORKSPACE_WRAPPER", &wrapper).env(compiler.0, compiler.1))?;
    let dist = place.join(name).join("dist");
    let _ = fs::remove_dir_all(&dist);
    must(std::process::Command::new("cp").arg("-a").arg(target().join("dist")).arg(&dist))?;
    let installed = dist.join(installed);
    fs::remove_file(&installed)?;
    fs::copy(place.join("target").join(&triple).join("guards").join(binary), &installed)?;
    Ok(dist)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn named(directory: &Path, found: &mut BTreeSet<String>) -> Result<()> {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() {
                named(&path, found)?;
            } else if path.file_name().is_some_and(|name| name != "guard.rs") {
                let text = fs::read_to_string(&path)?;
                let uses = text.split("guard!(").skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
                found.extend(uses.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
            }
        }
        Ok(())
    }

    #[test]
    fn each_guard_in_the_code_has_a_test_and_each_in_the_table_is_in_the_code() -> Result<()> {
        let mut found = BTreeSet::new();
        named(&super::super::root().join("host/src"), &mut found)?;
        let listed: BTreeSet<String> = GUARDS.iter().map(|guard| guard.name.to_owned()).collect();
        assert_eq!(found, listed);
        Ok(())
    }
}
