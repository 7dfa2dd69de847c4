//! The process that runs a plugin, seen from outside: what the kernel says of it while the plugin sleeps, and what it asks
//! of the kernel, whatever the plugin does.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod calls;
mod status;

use ocf_wasm_tests::host::{TestHost, hostile, until};
use ocf_wasm_tests::processes;

const AGENT: &str = "test/hostile";

const POLICY: &str = r#"
format = 1
[program.daemon]
program  = "/usr/bin/sleep"
argv     = ["1000"]
lifetime = "instance"
user     = "nobody"
"#;

/// A root with the plugin that misbehaves.
fn host() -> TestHost {
    let host = TestHost::new();
    host.policy(AGENT, POLICY);
    host.add(&hostile(), &[]);
    host
}

/// The runner of an instance's action that is going on, and its broker.
fn runner(instance: &str) -> (i32, i32) {
    let mark = format!("OCF_RESOURCE_INSTANCE={instance}");
    let mut found = None;
    until("there is a runner", || {
        let all = processes::with_variable(&mark);
        let is_of_agent = |pid: &&i32| processes::has_argument(**pid, &format!("/usr/lib/ocf/resource.d/{AGENT}"));
        let all: Vec<i32> = all.iter().filter(is_of_agent).copied().collect();
        found = all.iter().find_map(|pid| Some((*pid, processes::parent(*pid)?)).filter(|(_, of)| all.contains(of)));
        found.is_some()
    });
    found.unwrap()
}
