//! The process that runs a plugin, seen from outside: what the kernel says of it while the plugin sleeps, and what it asks
//! of the kernel, whatever the plugin does.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod calls;
mod status;

use std::fs;

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

/// Numbers of `clock_nanosleep` and `restart_syscall`.
#[cfg(target_arch = "x86_64")]
const SLEEP: u32 = 230;
#[cfg(target_arch = "x86_64")]
const RESTART: u32 = 219;
#[cfg(target_arch = "aarch64")]
const SLEEP: u32 = 115;
#[cfg(target_arch = "aarch64")]
const RESTART: u32 = 128;

/// Whether a process waits in a system call.
fn is_in(pid: i32, number: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/syscall")).is_ok_and(|call| call.starts_with(&format!("{number} ")))
}

fn status(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default()
}
