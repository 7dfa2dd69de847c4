//! `docs`: the pages that are written from the code, and the other texts that tests compare with what the code says.

use anyhow::Result;

use super::{cargo, dist, run as must};

/// Writes them: their own tests do, when they are told to.
///
/// # Errors
/// If something else is wrong with what they test.
pub(crate) fn run() -> Result<()> {
    let mut host = cargo(&["test", "--package", "ocf-wasm", "--features", "tool", "--lib", "checked_in"]);
    must(host.env("UPDATE_GOLDEN", "1"))?;
    must(&mut cargo(&["build", "--profile", "guest", "--target", "wasm32-wasip2", "--package", "hostile-guest"]))?;
    super::test::reach()?;
    let mut outside = cargo(&["test", "--package", "ocf-wasm-tests", "--test", "why", "--test", "confined"]);
    must(outside.env("UPDATE_GOLDEN", "1").env("OCF_WASM_DIST", dist::run()?))
}
