//! @NAME@: a daemon, started, watched and stopped. The policy says which program it is.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
use ocf_agent::prelude::*;
use ocf_agent::program::Phase;
use ocf_agent::{Agent, Health, Outcome, Parameters, agent, fail, labels};

/// Runs a daemon
///
/// This paragraph is the long description: say what the daemon is, and what an operator has to prepare.
#[derive(Parameters)]
#[agent(name = "@NAME@", start = "20s", stop = "20s", monitor = "20s", interval = "10s")]
struct @STRUCT@ {
    /// Seconds that the daemon lives
    ///
    /// The policy hands it on as the daemon's argument. Put the parameters of your own daemon here.
    #[parameter(default = 86_400, min = 1, max = 31_536_000)]
    seconds: u32,
}

// What stands behind `suggest` is a wish: in a list of programs the first that a node has is meant, which `ocf-wasm
// suggest` writes. In policy.toml there is one program, and no list.
labels! {
    /// the daemon, in the foreground
    Program DAEMON = "daemon" suggest r#"
        program  = ["/usr/bin/sleep", "/bin/sleep"]
        argv     = [{ param = "seconds", integer = { min = 1, max = 31536000 } }]
        lifetime = "instance"
        user     = ""
        stop     = [{ signal = "TERM", grace = "rest" }]
    "#;
}
agent!(@STRUCT@);

impl Agent for @STRUCT@ {
    fn start(&self) -> Outcome {
        DAEMON.start()?;
        Ok(())
    }
    fn stop(&self) -> Outcome {
        Ok(DAEMON.stop()?)
    }
    fn monitor(&self) -> Outcome<Health> {
        let daemon = DAEMON.status()?;
        match (daemon.phase, daemon.ended) {
            (Phase::Stopped, _) => Ok(Health::NotRunning),
            // It runs. Whether it works is better asked of itself: see ocf_agent::endpoint.
            (Phase::Running, _) => Ok(Health::Running),
            // Only where the policy says that it is a unit of systemd: not up yet, or not for long.
            (Phase::Starting, _) => fail("daemon is being started"),
            (Phase::Stopping, _) => fail("daemon is being stopped"),
            (Phase::Failed, Some(ended)) => fail(format!("daemon {ended}")),
            (Phase::Failed, None) => fail("daemon ended, nobody saw how"),
            (Phase::Remains, _) => fail(format!("daemon: the main process ended, left: {}", daemon.processes)),
        }
    }
}

#[cfg(test)]
mod tests;
