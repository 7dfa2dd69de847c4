//! The inside of a box with systemd; see `mod.rs` beside it.
//!
//! The first argument names the role. `check` tries what a box needs; `keep`, `enter` and `furnish` are what becomes a
//! box, in this order, each the first process of namespaces of its own.

mod furnish;
mod keep;

use anyhow::Context as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let plan = |text: &str| serde_json::from_str(text).context("the plan of the box");
    let outcome = match words[..] {
        ["check"] => furnish::check(),
        ["keep", text] => plan(text).and_then(keep::run),
        ["enter", text] => plan(text).and_then(|plan| furnish::enter(&plan)),
        ["furnish", text] => plan(text).and_then(|plan| furnish::run(&plan)),
        _ => Err(anyhow::anyhow!("this program belongs to the tests")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
