//! `test`: all tests. The binaries under test are built first, as they are shipped.

use anyhow::Result;

use super::{cargo, dist, run as must, setup, target};

/// Runs all tests; more arguments go to cargo test.
///
/// # Errors
/// If one fails.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let skipped = setup::test_tools()?;
    let tree = dist::run()?;
    let guests = ["build", "--profile", "guest", "--target", "wasm32-wasip2"];
    must(cargo(&guests).args(["--package", "hostile-guest", "--package", "broken-guest"]))?;
    let mut native = cargo(&["test", "--package", "ocf-wasm", "--features", "tool", "--lib"]);
    must(native.args(arguments))?;
    // In the profile of the shipped compiler, so that it is not built a second time.
    let mut engine = cargo(&["test", "--profile", "tool", "--package", "ocf-wasm-engine", "--features", "compile,run"]);
    must(engine.args(["--package", "ocf-wasm-compile"]).args(arguments))?;
    let mut sdk = cargo(&[
        "test",
        "--package",
        "ocf-agent",
        "--package",
        "ocf-agent-macros",
        "--package",
        "greeter",
        "--package",
        "xtask",
    ]);
    must(sdk.args(dist::PLUGINS.iter().flat_map(|plugin| ["--package", plugin])).args(arguments))?;
    let mut outside = cargo(&["test", "--package", "ocf-wasm-tests"]);
    outside
        .env("OCF_WASM_DIST", &tree)
        .env("OCF_WASM_HOSTILE", target().join("wasm32-wasip2/guest/hostile_guest.wasm"));
    must(outside.args(arguments))?;
    if let Some(skipped) = skipped {
        println!("skipped, {skipped}");
    }
    Ok(())
}
