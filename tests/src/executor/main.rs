//! The inside of a capsule: furnishes the namespaces, starts the executor, and talks to it for the test process.
//!
//! Run by [`ocf_wasm_tests::executor`], never by hand. The first argument names the role: `check` tries what a capsule
//! needs, `capsule` is the first process of one, `client` is its child that speaks to the executor.

mod capsule;
mod client;

use anyhow::Context as _;
use ocf_wasm_tests::executor::protocol::{Line, Plan};
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let outcome = match (arguments.next().as_deref(), arguments.next()) {
        (Some("check"), None) => check(),
        (Some("capsule"), Some(plan)) => {
            serde_json::from_str::<Plan>(&plan).context("the plan of the capsule").and_then(|plan| capsule::run(&plan))
        }
        (Some("client"), Some(milliseconds)) => {
            milliseconds.parse().context("milliseconds").and_then(|ms| client::run(Duration::from_millis(ms)))
        }
        _ => Err(anyhow::anyhow!("this program belongs to the tests; it is not meant to be run by hand")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Tries, in fresh namespaces, the two things no package list promises: an overlay mount and a library of known layout.
fn check() -> anyhow::Result<()> {
    capsule::try_overlay().context("an overlay cannot be mounted")?;
    client::try_library()
}

/// Writes one line for the test process.
fn say(line: &Line) -> anyhow::Result<()> {
    let mut text = serde_json::to_string(line)?;
    text.push('\n');
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(())
}
