//! @NAME@: a clone of which one copy is promoted. Put your own in the place of the flag.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
use ocf_agent::prelude::*;
use ocf_agent::{Agent, Health, Outcome, Parameters, Role, agent, state};

/// The key that stands while it runs: its role.
const ROLE: &str = "role";
const PROMOTED: &str = "promoted";
const UNPROMOTED: &str = "unpromoted";

/// Remembers its role
///
/// This paragraph is the long description: say what the resource is, and what an operator has to prepare.
#[derive(Parameters)]
#[agent(
    name = "@NAME@",
    start = "20s",
    stop = "20s",
    monitor = "20s",
    promote = "20s",
    demote = "20s",
    interval = "10s"
)]
struct @STRUCT@ {}
agent!(@STRUCT@: role);

impl Agent for @STRUCT@ {
    fn start(&self) -> Outcome {
        Ok(state::set_text(ROLE, UNPROMOTED)?)
    }
    fn stop(&self) -> Outcome {
        Ok(state::delete(ROLE)?)
    }
    fn monitor(&self) -> Outcome<Health> {
        let role: Option<String> = state::get_text(ROLE)?;
        Ok(match role.as_deref() {
            None => Health::NotRunning,
            Some(PROMOTED) => Health::Promoted,
            Some(_) => Health::Running,
        })
    }
}

impl Role for @STRUCT@ {
    fn promote(&self) -> Outcome {
        Ok(state::set_text(ROLE, PROMOTED)?)
    }
    fn demote(&self) -> Outcome {
        Ok(state::set_text(ROLE, UNPROMOTED)?)
    }
}

#[cfg(test)]
mod tests;
