//! A service that has a script of the old kind, and a web page that tells whether it works.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
use ocf_agent::prelude::*;
use ocf_agent::program::Output;
use ocf_agent::{Agent, ExitStatus, Health, Outcome, Parameters};
use ocf_agent::{agent, configuration, fail, labels, log, slot};

/// Manages a web service through its script
///
/// Starts and stops a service through a script that takes start, stop and status, as those in /etc/init.d do. The
/// service works if the script says that it runs, and a web page of it can be fetched.
#[derive(Parameters)]
#[agent(name = "ocf-wasm/web-service", start = "60s", stop = "30s", monitor = "30s")]
struct WebService {
    /// Path of the service's script
    ///
    /// The policy of the node says below which directory it may be.
    #[parameter(required, unique)]
    service_path: String,
    /// Web address that tells whether the service works
    ///
    /// It does if it answers with a status of 200 to 299. The policy of the node says which hosts and ports may be asked, and
    /// for https whose certificates count.
    #[parameter(required, unique)]
    probe_url: String,
}

labels! {
    /// the script, which leaves the service behind when it has started it
    Program SCRIPT = "script" suggest r#"
        program     = { param = "service_path", file = { under = "/etc/init.d", owner = "root" } }
        interpreter = ["/bin/sh"]
        argv        = [{ slot = "verb", one-of = ["start", "stop", "status"] }]
        lifetime    = "instance"
        type        = "forking"
        user        = ""
        network     = "host"
    "#;
    /// fetched in every monitor
    Endpoint PAGE = "page" suggest r#"
        http = { param = "probe_url", url = { host = ["127.0.0.1"], port = [80, 8080] } }
    "#;
}
agent!(WebService);

impl Agent for WebService {
    fn validate(&self) -> Outcome {
        if !self.service_path.starts_with('/') {
            return configuration("service_path does not begin with /");
        }
        if !["http://", "https://"].iter().any(|scheme| self.probe_url.starts_with(scheme)) {
            return configuration("probe_url does not begin with http:// or https://");
        }
        Ok(())
    }

    fn start(&self) -> Outcome {
        SCRIPT.start_with(&[slot("verb", "start")])?;
        Ok(())
    }

    fn stop(&self) -> Outcome {
        // A script that fails is no reason to give up: what it started is tracked, and is ended in any case.
        match ask("stop") {
            Ok(said) if said.succeeded() => {}
            Ok(said) => log::warning(format!("stop of the script: {}", said.last_line())),
            Err(failure) => log::warning(failure.reason),
        }
        Ok(SCRIPT.stop()?)
    }

    fn monitor(&self) -> Outcome<Health> {
        let said = ask("status")?;
        let tracked = SCRIPT.status()?.processes;
        match said.status {
            ExitStatus::Exited(0) => fetch(),
            // 3: it is stopped. 1 and 2: it is dead, and has left a pid file or a lock.
            ExitStatus::Exited(1..=3) if tracked == 0 => Ok(Health::NotRunning),
            ExitStatus::Exited(1..=3) => fail(format!("the script says that it is stopped, processes left: {tracked}")),
            ExitStatus::Exited(_) | ExitStatus::Signaled(_) => {
                fail(format!("status of the script: {}", said.last_line()))
            }
        }
    }
}

/// Runs if the page comes.
fn fetch() -> Outcome<Health> {
    let answer = PAGE.get("")?;
    if answer.is_success() { Ok(Health::Running) } else { fail(format!("page: {answer}")) }
}

/// Runs the script to its end.
fn ask(verb: &str) -> Outcome<Output> {
    Ok(SCRIPT.run_with(&[slot("verb", verb)], None)?)
}

#[cfg(test)]
mod tests;
