//! Any program that stays in the foreground, as `ocf:heartbeat:anything` runs it.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
use ocf_agent::prelude::*;
use ocf_agent::program::Phase;
use ocf_agent::{Agent, Health, Outcome, Parameters, agent, fail, labels};

/// Manages an arbitrary program
///
/// Starts a program of the policy's list, and watches its whole process tree. The program must stay in the foreground.
#[derive(Parameters)]
#[agent(name = "ocf-wasm/anything")]
struct Anything {
    /// Full path of the program
    ///
    /// The policy of the node lists the paths that may stand here, and gives the arguments.
    #[parameter(required)]
    binfile: String,
    /// Whether every monitor runs the hook too
    ///
    /// The hook is the program that the policy binds to the label `hook`. Its exit status 0 means that all is well.
    #[parameter(default = false)]
    monitor_hook: bool,
}

labels! {
    /// the program itself, in the foreground
    Program DAEMON = "daemon" suggest r#"
        program  = { param = "binfile", one-of = [""] }
        argv     = []
        lifetime = "instance"
        user     = ""
        network  = "host"
        stop     = [{ signal = "TERM", grace = "66%" }]
    "#;
    /// says in every monitor whether the program works, where that is wanted
    Program HOOK = "hook" suggest r#"
        program  = "/usr/bin/true"
        lifetime = "action"
        user     = ""
    "#;
}
agent!(Anything);

impl Agent for Anything {
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
            (Phase::Failed, Some(ended)) => fail(format!("{} {ended}", self.binfile)),
            (Phase::Failed, None) => fail(format!("{} ended, nobody saw how", self.binfile)),
            (Phase::Remains, _) => fail(format!("{} ended, processes left: {}", self.binfile, daemon.processes)),
            // Only a unit of systemd is ever between the two. It is not up yet, or not for long.
            (Phase::Starting, _) => fail(format!("{} is being started", self.binfile)),
            (Phase::Stopping, _) => fail(format!("{} is being stopped", self.binfile)),
            (Phase::Running, _) if self.monitor_hook => ask_the_hook(),
            (Phase::Running, _) => Ok(Health::Running),
        }
    }
}

fn ask_the_hook() -> Outcome<Health> {
    let hook = HOOK.run()?;
    if hook.succeeded() { Ok(Health::Running) } else { fail(format!("hook: {}", hook.last_line())) }
}

#[cfg(test)]
mod tests;
