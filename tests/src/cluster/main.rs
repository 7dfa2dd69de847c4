//! The inside of a cluster of namespaces, and what people call to have one.
//!
//! The first argument names the role. `check` tries what a cluster needs; `room` and `node` are first processes, run by
//! [`ocf_wasm_tests::cluster`]; `up`, `enter`, `ask`, `down`,
//! `soak` and `load` are for people, by way of `cargo xtask`. Under
//! the name of the fence agent this program is that agent.

mod fence_agent;
mod first_of_node;
mod first_of_room;
mod people;

use anyhow::Context as _;
use ocf_wasm_tests::cluster::Init;
use ocf_wasm_tests::cluster::plan::FENCE_TYPE;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args();
    let called = arguments.next().unwrap_or_default();
    let arguments: Vec<String> = arguments.collect();
    if Path::new(&called).file_name().is_some_and(|name| name == FENCE_TYPE) {
        return fence_agent::main(&arguments);
    }
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["check"] => first_of_room::check(),
        ["room", plan] => serde_json::from_str(plan).context("the room's plan").and_then(|p| first_of_room::run(&p)),
        ["node", plan] => serde_json::from_str(plan).context("the node's plan").and_then(|p| first_of_node::run(&p)),
        ["up", state, nodes] => people::up(Path::new(state), nodes, Init::Harness),
        ["up", state, nodes, "--systemd"] => people::up(Path::new(state), nodes, Init::Systemd),
        ["enter", state, node, ref argv @ ..] => people::enter(Path::new(state), node, argv),
        ["ask", state, verb, node] => people::ask(Path::new(state), verb, node).map(|words| println!("{words}")),
        ["soak", minutes, seed] => people::soak(minutes, seed),
        ["load"] => ocf_wasm_tests::cluster::load::run(),
        ["down", state] => people::down(Path::new(state)),
        _ => Err(anyhow::anyhow!("this program belongs to the tests; people call `cargo xtask cluster`")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
