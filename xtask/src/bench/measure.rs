//! What one process with all that it started costs: by the clock, by the kernel's accounts, and by its system calls.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use nix::sys::ptrace::{self, Options};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::signal::Signal;
use nix::sys::time::TimeVal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, wait, waitpid};
use nix::unistd::Pid;

/// A command with its whole environment.
#[derive(Clone)]
pub(crate) struct Action {
    /// The program, and its arguments.
    pub(crate) argv: Vec<String>,
    /// Names and values.
    pub(crate) environment: Vec<(String, String)>,
}

/// What one run of it took.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cost {
    /// From exec to exit, microseconds.
    pub(crate) wall_us: f64,
    /// User and system time of all its processes, microseconds.
    pub(crate) cpu_us: f64,
    /// Page faults that needed no disk.
    pub(crate) faults: f64,
}

/// What one run of it asked of the kernel.
#[derive(Clone, Copy, Default)]
pub(crate) struct Asked {
    /// The highest resident sizes of its processes, summed: KiB. What they share counts more than once.
    pub(crate) resident_kib: u64,
    /// Processes that it made.
    pub(crate) forks: u64,
    /// Programs that it executed.
    pub(crate) execs: u64,
    /// Files that it opened or tried to open.
    pub(crate) opens: u64,
}

impl Action {
    fn command(&self, argv: &[String]) -> Command {
        let mut command = Command::new(&argv[0]);
        command.args(&argv[1..]).env_clear().envs(self.environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn check(&self, status: ExitStatus) -> Result<()> {
        if !matches!(status.code(), Some(0 | 7)) {
            bail!("{}: {status}", self.argv.join(" "));
        }
        Ok(())
    }

    /// Runs it once. Processes that it leaves behind are waited for, and counted in all but the wall time: the caller
    /// is a subreaper.
    ///
    /// # Errors
    /// If it answers something else than 0 or 7.
    pub(crate) fn cost(&self) -> Result<Cost> {
        let before = getrusage(UsageWho::RUSAGE_CHILDREN)?;
        let start = Instant::now();
        let status = self.command(&self.argv).status().with_context(|| self.argv.join(" "))?;
        let wall = start.elapsed();
        while wait().is_ok() {}
        let after = getrusage(UsageWho::RUSAGE_CHILDREN)?;
        self.check(status)?;
        Ok(Cost {
            wall_us: wall.as_secs_f64() * 1e6,
            cpu_us: cpu_us(&after) - cpu_us(&before),
            faults: (after.minor_page_faults() - before.minor_page_faults()) as f64,
        })
    }

    /// Runs it once under a tracer.
    ///
    /// # Errors
    /// If it cannot be traced, or answers something else than 0 or 7.
    pub(crate) fn asked(&self) -> Result<Asked> {
        // Stops itself, so that it is traced from its first instruction on.
        let mut argv = vec!["/bin/sh".to_owned(), "-c".into(), "kill -STOP $$; exec \"$@\"".into(), "sh".into()];
        argv.extend_from_slice(&self.argv);
        let child = self.command(&argv).spawn()?;
        let first = Pid::from_raw(i32::try_from(child.id())?);
        waitpid(first, Some(WaitPidFlag::WUNTRACED))?;
        let options = Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_EXITKILL;
        ptrace::seize(first, options)?;
        nix::sys::signal::kill(first, Signal::SIGCONT)?;
        let (mut asked, mut resident) = (Asked::default(), BTreeMap::new());
        let (mut inside, mut status, mut is_begun) = (BTreeMap::<Pid, bool>::new(), None, false);
        while let Ok(event) = waitpid(None, Some(WaitPidFlag::__WALL)) {
            let pid = match event {
                WaitStatus::Exited(pid, code) if pid == first => {
                    status = Some(ExitStatus::from_raw(code << 8));
                    continue;
                }
                WaitStatus::PtraceSyscall(pid) => {
                    let enters = inside.entry(pid).or_insert(false);
                    *enters = !*enters;
                    if is_begun {
                        asked.opens += u64::from(*enters && opens_a_file(pid));
                        let now = resident_kib(pid);
                        resident.entry(pid).and_modify(|most| *most = now.max(*most)).or_insert(now);
                    }
                    pid
                }
                WaitStatus::PtraceEvent(pid, _, event) => {
                    use nix::libc;
                    match event {
                        libc::PTRACE_EVENT_EXEC if !is_begun => is_begun = true,
                        libc::PTRACE_EVENT_EXEC => asked.execs += 1,
                        libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE => {
                            asked.forks += 1;
                        }
                        _ => {}
                    }
                    pid
                }
                WaitStatus::Stopped(pid, signal) => {
                    let signal =
                        (!matches!(signal, Signal::SIGSTOP | Signal::SIGTRAP | Signal::SIGCONT)).then_some(signal);
                    let _ = ptrace::syscall(pid, signal);
                    continue;
                }
                _ => continue,
            };
            let _ = ptrace::syscall(pid, None);
        }
        self.check(status.context("it did not end")?)?;
        asked.resident_kib = resident.values().sum();
        Ok(asked)
    }
}

fn cpu_us(usage: &Usage) -> f64 {
    let us = |time: TimeVal| time.tv_sec() as f64 * 1e6 + time.tv_usec() as f64;
    us(usage.user_time()) + us(usage.system_time())
}

/// Whether the system call at which a process stands opens a file.
fn opens_a_file(pid: Pid) -> bool {
    use nix::libc;
    let text = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    let number = text.split(' ').next().and_then(|number| number.parse::<i64>().ok());
    #[cfg(target_arch = "x86_64")]
    let opening = [libc::SYS_open, libc::SYS_openat, libc::SYS_openat2];
    #[cfg(not(target_arch = "x86_64"))]
    let opening = [libc::SYS_openat, libc::SYS_openat2];
    number.is_some_and(|number| opening.contains(&number))
}

fn resident_kib(pid: Pid) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
