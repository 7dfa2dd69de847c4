//! The host: a native program that *is* an OCF resource agent and runs a WebAssembly component for what it does.
//!
//! Two binaries share this library: `ocf-wasm-agent`, which Pacemaker runs under the name of each agent, and `ocf-wasm`,
//! the operator's and the author's tool. One action walks downwards through the modules and comes back as an outcome;
//! ARCHITECTURE.md draws the map.

pub mod agent;
pub mod broker;
pub mod capability;
#[cfg(feature = "tool")]
pub mod cli;
pub mod contract;
pub mod few;
pub mod guard;
pub mod instance;
pub mod ocf;
pub mod plan;
pub mod policy;
pub mod report;
pub mod runner;
pub mod sandbox;
pub mod sealed;
pub mod seam;
pub mod store;
pub mod sys;
#[cfg(test)]
mod tests;
