//! A daemon that greets on TCP: started, stopped, and watched by its process tree and by what it says.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
use ocf_agent::endpoint::Reach;
use ocf_agent::prelude::*;
use ocf_agent::program::Phase;
use ocf_agent::{Agent, Health, Outcome, Parameters, Port, agent, fail, labels};

/// Example of an agent for a TCP server
///
/// Starts a small daemon that answers every connection with a greeting, and checks that it does.
#[derive(Parameters)]
#[agent(name = "ocf-wasm/sample-tcp-server")]
struct SampleTcpServer {
    /// Words of the greeting
    ///
    /// The daemon says them, and then the name of its node. One line, at most 200 bytes.
    #[parameter(default = "Hello!")]
    greet: String,
    /// TCP port on which it listens
    #[parameter(default = 5678)]
    port: Port,
}

labels! {
    /// the daemon that greets, in the foreground
    Program GREETER = "greeter" suggest r#"
        program     = ["/usr/libexec/ocf-wasm/examples/greeter", "/usr/local/libexec/ocf-wasm/examples/greeter"]
        argv        = ["--port", { param = "port", port = {} }, "--node", { fact = "node" }]
        lifetime    = "instance"
        user        = ""
        network     = "host"
        environment = { GREET = { param = "greet", text = { max = 200 } } }
        stop        = [{ signal = "TERM", grace = "rest" }]
        output      = "journal"
    "#;
    /// hears in every monitor whether the daemon greets
    Endpoint GREETING = "greeting" suggest r#"
        tcp = { host = "127.0.0.1", port = { param = "port", port = {} } }
    "#;
}
agent!(SampleTcpServer);

impl Agent for SampleTcpServer {
    fn start(&self) -> Outcome {
        // Who comes too late must not be mistaken for who is there.
        let is_gone = matches!(GREETER.phase()?, Phase::Stopped | Phase::Failed);
        if is_gone && GREETING.connect()? == Reach::Open {
            return fail(format!("port {}: somebody else listens there", self.port));
        }
        GREETER.start()?;
        Ok(())
    }

    fn stop(&self) -> Outcome {
        Ok(GREETER.stop()?)
    }

    fn monitor(&self) -> Outcome<Health> {
        let daemon = GREETER.status()?;
        match (daemon.phase, daemon.ended) {
            (Phase::Stopped, _) => Ok(Health::NotRunning),
            (Phase::Failed, Some(ended)) => fail(format!("daemon {ended}")),
            (Phase::Failed, None) => fail("daemon ended, nobody saw how"),
            (Phase::Remains, _) => {
                fail(format!("daemon: the main process ended, processes left: {}", daemon.processes))
            }
            (Phase::Running | Phase::Starting | Phase::Stopping, _) => self.listen(),
        }
    }
}

impl SampleTcpServer {
    /// Runs if somebody on the port greets with the right words.
    fn listen(&self) -> Outcome<Health> {
        let (port, heard) = (self.port, GREETING.banner()?);
        match heard.reach {
            Reach::Open if self.is_greeting(&heard.line) => Ok(Health::Running),
            Reach::Silent if !heard.line.is_empty() => fail(format!("port {port}: broke off at {:?}", heard.line)),
            Reach::Open => fail(format!("port {port}: greeted with {:?}", heard.line)),
            Reach::Refused | Reach::Unreachable | Reach::Silent => fail(format!("port {port}: {}", heard.reach)),
        }
    }

    /// Whether `line` is the greeting of some node.
    fn is_greeting(&self, line: &str) -> bool {
        line.strip_prefix(&self.greet).is_some_and(|rest| rest.starts_with(" This is "))
    }
}

#[cfg(test)]
mod tests;
