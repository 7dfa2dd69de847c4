//! The process that runs a plugin, seen from outside: what the kernel says of it while the plugin sleeps, and what it asks
//! of the kernel, whatever the plugin does.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod calls;
mod status;

use std::fs;

use ocf_wasm_tests::host::TestHost;

const AGENT: &str = "test/hostile";

/// A root with the plugin that misbehaves.
fn host() -> TestHost {
    let host = TestHost::new();
    host.install_hostile();
    host
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
