//! Processes, as anybody on the machine sees them: found by what stands in their environment or among their arguments,
//! whatever the host under test believes of them; and ended.

#![allow(clippy::unwrap_used, reason = "support of tests: a panic is the report")]

use std::fs;
use std::io::Read as _;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::command::until;

/// How long a process may be between two programs.
const BETWEEN_PROGRAMS: Duration = Duration::from_secs(1);
/// How long a process is asked that seems to have nothing at all, as few have.
const WITH_NOTHING: Duration = Duration::from_millis(50);
/// Bytes of all arguments or variables of a process that a test looks for.
const ALL_WORDS: usize = 256 << 10;

/// A process that ends with the test.
#[derive(Debug)]
pub struct Kept(pub Child);

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The command line of a process, its words separated by blanks; empty if it is gone.
pub fn command_line(pid: i32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ").trim().to_owned()
}

/// Whether a process lives. A zombie does not, but for one that has threads left besides its first.
pub fn is_alive(pid: i32) -> bool {
    let is_dead = |rest: &str| rest.trim_start().starts_with(['Z', 'X']);
    stat(pid).is_some_and(|rest| !is_dead(&rest) || field(pid, 20).is_some_and(|threads| threads > 1))
}

/// Sends a signal, such as `-KILL`, and waits until a killed process is gone.
pub fn kill(pid: i32, signal: &str) {
    assert!(pid > 1);
    Command::new("kill").args([signal, &pid.to_string()]).status().unwrap();
    let limit = Instant::now() + Duration::from_secs(5);
    while signal == "-KILL" && is_alive(pid) && Instant::now() < limit {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// All processes but zombies, those of capsules included.
pub fn all() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(|pid| is_alive(*pid))
}

/// Whether a process has this variable, as `NAME=VALUE`.
pub fn has_variable(pid: i32, variable: &str) -> bool {
    has(pid, "environ", variable)
}

/// Whether a process has this argument.
pub fn has_argument(pid: i32, argument: &str) -> bool {
    has(pid, "cmdline", argument)
}

/// All processes with a variable.
pub fn with_variable(variable: &str) -> Vec<i32> {
    all().filter(|pid| has_variable(*pid, variable)).collect()
}

/// The parent of a process.
pub fn parent(pid: i32) -> Option<i32> {
    field(pid, 4)
}

/// The runner of an instance's action that is going on, and its broker. Waits until there is one.
pub fn runner_of(agent: &str, instance: &str) -> (i32, i32) {
    let (mark, link) = (format!("OCF_RESOURCE_INSTANCE={instance}"), format!("/usr/lib/ocf/resource.d/{agent}"));
    let mut found = None;
    until("there is a runner", || {
        let all: Vec<i32> = with_variable(&mark).into_iter().filter(|pid| has_argument(*pid, &link)).collect();
        found = all.iter().find_map(|pid| Some((*pid, parent(*pid)?)).filter(|(_, of)| all.contains(of)));
        found.is_some()
    });
    found.unwrap()
}

/// How long a process has computed, in ticks of the clock.
pub fn ticks(pid: i32) -> Option<i32> {
    Some(field(pid, 14)? + field(pid, 15)?)
}

/// A number of `stat`, by its place in `proc(5)`.
fn field(pid: i32, place: usize) -> Option<i32> {
    stat(pid)?.split_whitespace().nth(place - 3)?.parse().ok()
}

/// What stands in `stat` behind the name, which need not be text.
fn stat(pid: i32) -> Option<String> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    String::from_utf8_lossy(&stat).rsplit_once(')').map(|(_, rest)| rest.to_owned())
}

/// The first argument of a process that looks after a daemon and has no environment, whoever asks.
const KEEPER: &[u8] = b"ocf-wasm-keeper\0";

fn has(pid: i32, file: &str, word: &str) -> bool {
    let thread = thread(pid);
    let read = |file: &str| at_once(&format!("/proc/{pid}/task/{thread}/{file}")).unwrap_or_default();
    // While a process becomes another program, it has neither arguments nor an environment: that is no answer.
    let began = Instant::now();
    let limit = began + BETWEEN_PROGRAMS;
    while read("cmdline").is_empty() && is_of_a_program(pid) && Instant::now() < limit {
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut found = read(file);
    if found.is_empty() && read("cmdline").starts_with(KEEPER) {
        return false;
    }
    while found.is_empty() && is_of_a_program(pid) && Instant::now() < limit.min(began + WITH_NOTHING) {
        std::thread::sleep(Duration::from_millis(1));
        found = read(file);
    }
    found.split(|byte| *byte == 0).any(|found| found == word.as_bytes())
}

/// A thread of a process that has its memory: its first, or another where that has ended.
fn thread(pid: i32) -> i32 {
    let has_ended = stat(pid).is_some_and(|rest| rest.trim_start().starts_with('Z'));
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten().filter(|_| has_ended);
    threads.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find(|tid| *tid != pid).unwrap_or(pid)
}

/// Reads a file of a process with one call: while it becomes another program, a second one finds nothing any more.
fn at_once(path: &str) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; ALL_WORDS];
    let length = fs::File::open(path)?.read(&mut bytes)?;
    bytes.truncate(length);
    Ok(bytes)
}

/// Whether it lives and is no thread of the kernel, which never has arguments.
fn is_of_a_program(pid: i32) -> bool {
    const PF_KTHREAD: i32 = 0x0020_0000;
    is_alive(pid) && field(pid, 9).is_some_and(|flags| flags & PF_KTHREAD == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_seen_while_it_becomes_another_program() {
        for _ in 0..50 {
            let mut child =
                Command::new("/bin/sh").args(["-c", "exec /bin/sleep 10"]).env("MARK", "between").spawn().unwrap();
            let pid = child.id().cast_signed();
            // The kernel lets us go on a moment before the child is the shell.
            until("it is the shell", || has_variable(pid, "MARK=between"));
            let seen = (0..200).filter(|_| has_variable(pid, "MARK=between")).count();
            child.kill().unwrap();
            child.wait().unwrap();
            assert_eq!(seen, 200);
        }
    }
}
