//! The keeper: a small process that looks after one daemon for as long as anything of it lives.
//!
//! It is the parent to which orphans of the tree fall, it keeps the last output, and it writes down how the main
//! process ended, and at last that nothing is left. It decides nothing, and if it is lost nothing is concluded from that.
//! It is the agent's own binary under another name, executed afresh, so that it holds neither parameters nor descriptors of
//! the action.

use std::ffi::CString;
use std::io::Read as _;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::PathBuf;

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, pipe2};
use serde::{Deserialize, Serialize};

use super::daemon::{Ended, Report};
use super::{command, group};
use crate::sandbox::child::Plan;
use crate::sandbox::confinement::Confinement;
use crate::seam::Channel;
use crate::sys::process::ProcessId;
use crate::sys::user::User;
use crate::sys::{exec, exit, fd, fork, process};

/// The zeroth argument by which the binary knows what it is.
pub const NAME: &str = "ocf-wasm-keeper";
/// The descriptor of the program, and that of the way to the broker: those that a service manager can pass as well.
const PROGRAM: i32 = 0;
const CHANNEL: i32 = 1;
/// How long until what could not be written is tried again.
const AGAIN: std::time::Duration = std::time::Duration::from_secs(1);
/// Bytes of output that are kept.
const OUTPUT_BYTES: usize = 4096;

/// What a keeper is told.
#[derive(Serialize, Deserialize)]
pub enum ToKeeper {
    /// All that it needs to start the daemon. The program is open beside the way to the broker.
    Plan {
        /// The label, for logs.
        label: String,
        /// The instance, for logs.
        instance: String,
        /// Where to report.
        report: PathBuf,
        /// Arguments, the zeroth included.
        argv: Vec<CString>,
        /// The whole environment.
        environment: Vec<CString>,
        /// Whom it runs as.
        user: Option<User>,
        /// The control group of the daemon's tree.
        cgroup: Option<PathBuf>,
        /// The files by which a process enters that, and those that limit it.
        groups: Vec<PathBuf>,
        /// What it may reach.
        confinement: Confinement,
        /// Whether the program ends and leaves the daemon behind.
        forks: bool,
        /// What is in no line that it says: the values of secret parameters.
        secrets: Vec<String>,
    },
}

/// What a keeper answers, once.
#[derive(Serialize, Deserialize)]
pub enum FromKeeper {
    /// The program was executed; if it forks, it has ended well.
    Started,
    /// It could not be executed.
    NotExecuted(String),
    /// It forks, and ended badly: how, and its last line.
    Failed(String),
}

/// Starts a keeper, which waits for its plan. `names` are for who looks for it: instance, label and the instance's mark.
pub(super) fn spawn(channel: Channel, program: &OwnedFd, names: [&str; 3]) -> std::io::Result<Pid> {
    let own = std::fs::File::open("/proc/self/exe")?;
    let own = OwnedFd::from(own);
    let null = OwnedFd::from(std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?);
    let argv: Vec<CString> = std::iter::once(NAME).chain(names).filter_map(|a| CString::new(a).ok()).collect();
    // Copies above the numbers that are about to be taken.
    let high = |number: i32| fd::duplicate(number);
    let (channel, program, own, null) =
        (high(channel.number())?, high(program.as_raw_fd())?, high(own.as_raw_fd())?, high(null.as_raw_fd())?);
    fork::fork(move || {
        let _ = nix::unistd::setsid();
        let placed = [(&program, PROGRAM), (&channel, CHANNEL), (&null, 2)];
        if placed.into_iter().all(|(from, number)| fd::place(from, number).is_ok()) {
            fork::reset_signals();
            exec::by_descriptor(&own, &argv, &[]);
        }
        exit::now(127)
    })
}

/// Takes over a descriptor of the first three, whose number stands for nothing from then on.
fn taken(number: i32) -> std::io::Result<OwnedFd> {
    let taken = fd::duplicate(number)?;
    let null = OwnedFd::from(std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?);
    fd::place(&null, number)?;
    Ok(taken)
}

/// The whole life of a keeper.
pub fn main() -> ! {
    let status = match keep() {
        Ok(()) => 0,
        Err(error) => {
            crate::report::Log::system(NAME).error(&format!("keeper: {error}"));
            1
        }
    };
    exit::now(status)
}

fn keep() -> std::io::Result<()> {
    let program = taken(PROGRAM)?;
    let mut broker = Channel::from_fd(taken(CHANNEL)?);
    process::adopt_orphans();
    let signals = SigSet::all();
    signals.thread_block()?;
    let children =
        SignalFd::with_flags(&SigSet::from(Signal::SIGCHLD), SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    let Ok(ToKeeper::Plan {
        label,
        instance,
        report: path,
        argv,
        environment,
        user,
        cgroup,
        groups,
        confinement,
        forks,
        secrets,
    }) = broker.receive(None)
    else {
        // The broker died before it gave the word: nothing was started.
        return Ok(());
    };
    if let Some(cgroup) = &cgroup {
        group::enter_as_keeper(cgroup);
    }
    let log = crate::report::Log::system(&format!("{instance}/{label}"));
    log.hide_values(secrets);
    let notes = Notes { path, log, cgroup };
    let prepared = confinement.prepare().and_then(|prepared| Ok((prepared, group::open(&groups)?)));
    let (prepared, groups) = match prepared {
        Ok(prepared) => prepared,
        Err(why) => {
            notes.told(crate::instance::save_report(&notes.path, &Report::of_nothing()));
            let _ = broker.send(&FromKeeper::NotExecuted(why));
            return Ok(());
        }
    };
    let (output, out) = pipe2(OFlag::O_CLOEXEC)?;
    nix::fcntl::fcntl(&output, nix::fcntl::FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    let (failed, failure) = pipe2(OFlag::O_CLOEXEC)?;
    let null = OwnedFd::from(std::fs::File::open("/dev/null")?);
    let err = out.try_clone()?;
    let standard = [null, out, err];
    let plan = Plan { program, argv, environment, user, groups, standard, dies_with: None, prepared };
    if notes.is_evidence() {
        // What stands there says that nothing was started, which is about to be wrong.
        crate::instance::save_report(&notes.path, &Report::default())?;
    }
    let nothing = |_: &std::io::Error| notes.told(crate::instance::save_report(&notes.path, &Report::of_nothing()));
    let main = command::spawn(plan, failure).inspect_err(nothing)?;
    // From here on it stays as long as anything of the tree does, whatever cannot be written or read.
    let mut report = Report { main: ProcessId::now(main.as_raw()), ..Report::default() };
    notes.told(crate::instance::save_report(&notes.path, &report));
    let mut why = String::new();
    notes.told(std::fs::File::from(failed).read_to_string(&mut why).map(drop));
    let waiting = if why.is_empty() && forks {
        Some(broker)
    } else {
        let answer = if why.is_empty() { FromKeeper::Started } else { FromKeeper::NotExecuted(why) };
        if matches!(answer, FromKeeper::NotExecuted(_)) {
            report.main = None;
            notes.told(crate::instance::save_report(&notes.path, &report));
        }
        let _ = broker.send(&answer);
        None
    };
    watch(main, std::fs::File::from(output), &children, &mut report, &notes, waiting)
}

/// What a keeper writes down, and where.
struct Notes {
    path: PathBuf,
    log: crate::report::Log,
    /// The control group of the daemon's tree.
    cgroup: Option<PathBuf>,
}

impl Notes {
    /// Whether it is by the report alone that nothing is known to be left.
    fn is_evidence(&self) -> bool {
        self.cgroup.is_none()
    }

    /// Notes whether the kernel ended something for the memory that it took, and logs it once.
    fn look_at_memory(&self, report: &mut Report) {
        if !report.over_memory && self.cgroup.as_deref().is_some_and(group::was_over_memory) {
            report.over_memory = true;
            self.log.error("over its limit of memory: the kernel ended what took it");
        }
    }

    /// Logs what could not be done, and goes on.
    fn told(&self, done: std::io::Result<()>) {
        if let Err(error) = done {
            self.log.error(&format!("keeper: {}: {error}", self.path.display()));
        }
    }

    /// A report that somebody removed is not wanted any more: the stop is done.
    fn save_if_wanted(&self, report: &Report) -> std::io::Result<()> {
        if self.path.exists() { crate::instance::save_report(&self.path, report) } else { Ok(()) }
    }

    /// Writes the last report. Who ends without it leaves nobody who knows that nothing is left.
    fn close(&self, report: &Report) {
        let done = self.save_if_wanted(report);
        let is_missing = self.is_evidence() && done.is_err();
        self.told(done);
        while is_missing && self.save_if_wanted(report).is_err() {
            std::thread::sleep(AGAIN);
        }
    }
}

/// Waits for the end of everything. A broker that is `waiting` is told how a program that forks ended.
fn watch(
    main: Pid,
    output: std::fs::File,
    children: &SignalFd,
    report: &mut Report,
    notes: &Notes,
    mut waiting: Option<Channel>,
) -> std::io::Result<()> {
    let log = &notes.log;
    let mut tail = Tail::default();
    let mut output = Some(output);
    loop {
        let mut waited = vec![PollFd::new(children.as_fd(), PollFlags::POLLIN)];
        if let Some(pipe) = &output {
            waited.push(PollFd::new(pipe.as_fd(), PollFlags::POLLIN));
        }
        let _ = poll(&mut waited, PollTimeout::NONE);
        drop(waited);
        while children.read_signal().is_ok_and(|s| s.is_some()) {}
        loop {
            let (pid, ended) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, status)) => (pid, Ended::Exited(u8::try_from(status).unwrap_or(255))),
                Ok(WaitStatus::Signaled(pid, signal, _)) => {
                    (pid, Ended::Signaled(u8::try_from(signal as i32).unwrap_or(0)))
                }
                Ok(WaitStatus::StillAlive) => break,
                Err(nix::Error::ECHILD) => {
                    finish(report, &mut tail, output.as_ref(), notes);
                    return Ok(());
                }
                Ok(_) | Err(nix::Error::EINTR) => continue,
                Err(error) => return Err(error.into()),
            };
            if pid != main {
                // Of a daemon that was left behind, the last one counts: it is written down when nothing is left.
                report.ended = if report.has_forked { Some(ended) } else { report.ended };
                continue;
            }
            // What it said last may still be in the pipe.
            output = output.filter(|pipe| tail.take(pipe, log));
            report.output = tail.text(log);
            notes.look_at_memory(report);
            let answer = match (&waiting, ended) {
                (Some(_), Ended::Exited(0)) => {
                    (report.main, report.has_forked) = (None, true);
                    FromKeeper::Started
                }
                (..) => {
                    report.ended = Some(ended);
                    let said = report.last_line().map(|line| format!(": {line}")).unwrap_or_default();
                    FromKeeper::Failed(format!("{}{said}", report.how().unwrap_or_default()))
                }
            };
            notes.told(notes.save_if_wanted(report));
            if let Some(broker) = waiting.take() {
                let _ = broker.send(&answer);
            }
        }
        output = output.filter(|pipe| tail.take(pipe, log));
    }
}

fn finish(report: &mut Report, tail: &mut Tail, output: Option<&std::fs::File>, notes: &Notes) {
    if let Some(pipe) = output {
        tail.take(pipe, &notes.log);
    }
    if report.has_forked && report.ended.is_none() {
        // It left nothing behind.
        report.ended = Some(Ended::Exited(0));
    }
    report.output = tail.text(&notes.log);
    notes.look_at_memory(report);
    report.is_over = true;
    notes.close(report);
}

/// The last of the output.
#[derive(Default)]
struct Tail {
    bytes: Vec<u8>,
    line: Vec<u8>,
}

impl Tail {
    /// Takes what is there. False at the end.
    fn take(&mut self, mut pipe: &std::fs::File, log: &crate::report::Log) -> bool {
        let mut piece = [0; 4096];
        loop {
            match pipe.read(&mut piece) {
                Ok(0) => return false,
                Ok(count) => {
                    self.bytes.extend_from_slice(&piece[..count]);
                    let over = self.bytes.len().saturating_sub(OUTPUT_BYTES);
                    self.bytes.drain(..over);
                    for byte in &piece[..count] {
                        if *byte == b'\n' || self.line.len() >= 1024 {
                            log.info(&String::from_utf8_lossy(&std::mem::take(&mut self.line)));
                        } else {
                            self.line.push(*byte);
                        }
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return true,
            }
        }
    }

    /// As it is told: without secrets.
    fn text(&self, log: &crate::report::Log) -> String {
        log.masked(&String::from_utf8_lossy(&self.bytes)).into_owned()
    }
}
