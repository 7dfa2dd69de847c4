//! @NAME@: a resource that runs while its flag is set. Put your own in the place of the flag.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
use ocf_agent::prelude::*;
use ocf_agent::{Agent, Health, Outcome, Parameters, agent, state};

/// The key of the flag.
const RUNNING: &str = "running";

/// Runs while its flag is set
///
/// This paragraph is the long description: say what the resource is, and what an operator has to prepare.
#[derive(Parameters)]
#[agent(name = "@NAME@", start = "20s", stop = "20s", monitor = "20s", interval = "10s")]
struct @STRUCT@ {
    /// Text that is kept with the flag
    #[parameter(default = "on")]
    text: String,
}
agent!(@STRUCT@);

impl Agent for @STRUCT@ {
    fn start(&self) -> Outcome {
        Ok(state::set_text(RUNNING, &self.text)?)
    }
    fn stop(&self) -> Outcome {
        Ok(state::delete(RUNNING)?)
    }
    fn monitor(&self) -> Outcome<Health> {
        Ok(if state::get(RUNNING)?.is_some() { Health::Running } else { Health::NotRunning })
    }
}

#[cfg(test)]
mod tests;
