//! Dummy: a resource that runs while its flag is set, as `ocf:pacemaker:Dummy` is. For tests of a cluster.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
use core::time::Duration;

use ocf_agent::prelude::*;
use ocf_agent::{Agent, Health, Migration, Outcome, Parameters, Reload, agent, clock, fail, instance, log, state};

/// The key of the flag.
const RUNNING: &str = "running";

/// Example stateless resource agent
///
/// Does nothing but remember whether it runs. Actions can be made to fail or to take long, to test how a cluster
/// reacts, and the code is a template for other agents.
#[derive(Parameters)]
#[agent(name = "ocf-wasm/dummy", migrate_to = "20s", migrate_from = "20s", reload = "20s", validate = "20s")]
struct Dummy {
    /// Text kept with the flag
    ///
    /// Any text; only this instance on this node reads it. In ocf:pacemaker:Dummy this is the location of a file: here
    /// the host keeps the state, and nobody has to name a place for it.
    state: Option<String>,
    /// Fake attribute that can be changed to cause a reload
    #[parameter(default = "dummy", reloadable)]
    fake: String,
    /// Seconds that every action sleeps
    ///
    /// Longer than the timeout of an action, it shows how the cluster deals with one that is too slow.
    #[parameter(default = 0, min = 0, max = 86_400, reloadable)]
    op_sleep: u32,
    /// Node on which a start reports a failure
    ///
    /// Start, `migrate_from` and reload fail there, but the resource runs: later monitors find it running. For tests of
    /// on-fail=ignore.
    #[parameter(reloadable)]
    fail_start_on: Option<String>,
}
agent!(Dummy: migration, reload);

impl Agent for Dummy {
    fn start(&self) -> Outcome {
        self.sleep()?;
        state::set_text(RUNNING, self.state.as_deref().unwrap_or_default())?;
        self.pretended_failure()
    }
    fn stop(&self) -> Outcome {
        self.sleep()?;
        Ok(state::delete(RUNNING)?)
    }
    fn monitor(&self) -> Outcome<Health> {
        self.sleep()?;
        Ok(if state::get(RUNNING)?.is_some() { Health::Running } else { Health::NotRunning })
    }
}

impl Migration for Dummy {
    fn migrate_to(&self) -> Outcome {
        if state::get(RUNNING)?.is_none() {
            return fail("does not run here: nothing to migrate");
        }
        if let Some(migration) = instance::migration() {
            log::info(format!("migrating to {}", migration.target));
        }
        self.stop()
    }
    fn migrate_from(&self) -> Outcome {
        if let Some(migration) = instance::migration() {
            log::info(format!("migrating from {}", migration.source));
        }
        self.start()
    }
}

impl Reload for Dummy {
    fn reload(&self) -> Outcome {
        log::info(format!("reloaded: fake is {}", self.fake));
        self.start()
    }
}

impl Dummy {
    fn sleep(&self) -> Outcome {
        Ok(clock::sleep(Duration::from_secs(self.op_sleep.into()))?)
    }
    fn pretended_failure(&self) -> Outcome {
        match self.fail_start_on.as_deref() {
            Some(node) if !node.is_empty() && node == instance::node() => {
                fail(format!("fail_start_on is {node}: it runs, and says that it does not"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
