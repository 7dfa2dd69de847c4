//! A program of the action lifetime: run to its end, its output kept, and what it left behind killed.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, pipe2};

use super::tree::{self, Span, Tree};
use super::watcher::{self, GONE, Watcher};
use super::{Permit, group, wait_until};
use crate::sandbox::child::{Plan, become_program};
use crate::seam::program::Output;
use crate::seam::{Answer, Error, ExitStatus};
use crate::sys::process::ProcessId;
use crate::sys::{fork, process};

/// How long to read on after the program ended: a child of it may hold its output open for ever.
const DRAIN: Duration = Duration::from_millis(100);

/// A pipe's reading end, and what came out of it.
struct Stream {
    pipe: Option<std::fs::File>,
    kept: Vec<u8>,
    truncated: bool,
    /// Bytes that are kept at most.
    most: usize,
}

impl Permit {
    /// Runs the program and waits for its end. `mark` is the instance's, `deadline` the action's.
    ///
    /// # Errors
    /// `denied` for input that is not granted; `timed-out`; `unavailable` if it cannot be executed, or not within what is
    /// granted; `other` if processes are short.
    pub fn run(self, instance: &str, mark: u32, input: Option<Vec<u8>>, deadline: Instant) -> Answer<Output> {
        let label = self.label.clone();
        let other =
            |what: &str, error: &dyn std::fmt::Display| Error::Other(format!("program {label}: {what}: {error}"));
        let unavailable = |told: String| Error::Unavailable(format!("program {label}: {told}"));
        if input.is_some() && !self.input {
            return Err(Error::Denied(format!("program {label}: granted without `input = true`")));
        }
        let deadline = self.timeout.map_or(deadline, |own| deadline.min(Instant::now() + own));
        let prepared = self.confinement.prepare().map_err(unavailable)?;
        let pipe = || pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(|e| other("pipe", &e));
        let (stdin, into) = pipe()?;
        let (out, stdout) = pipe()?;
        let (err, stderr) = pipe()?;
        let (failed, report) = pipe()?;
        let cgroup = tree::new_cgroup(instance, &label, mark, Span::Action);
        let own = ProcessId::now(nix::unistd::getpid().as_raw());
        let group = Tree { cgroup: cgroup.clone(), keeper: own, main: None };
        let lists = group::make(cgroup.as_deref(), &self.confinement.fixed.limits, &self.asked);
        let groups =
            lists.and_then(|lists| group::open(&lists)).inspect_err(|_| group.forget()).map_err(unavailable)?;
        // If the watcher is killed, what is left falls to this process.
        process::adopt_orphans();
        let before = if cgroup.is_none() { group.members() } else { Vec::new() };
        let group_is_there = cgroup.clone().map(|cgroup| move || cgroup.is_dir());
        let most = self.confinement.fixed.limits.output.and_then(|most| usize::try_from(most).ok());
        let plan = Plan {
            program: self.file,
            argv: self.argv,
            environment: self.environment,
            user: self.user,
            groups,
            standard: [stdin, stdout, stderr],
            dies_with: None,
            prepared,
        };
        let watcher = watcher::spawn(plan, cgroup, report).inspect_err(|_| group.forget());
        let Watcher { pid, told, alive } = watcher.map_err(|e| other("fork", &e))?;
        let mut why = String::new();
        let _ = std::fs::File::from(failed).read_to_string(&mut why);
        let most = most.unwrap_or(super::OUTPUT_BYTES);
        let mut streams = [Stream::new(out, most), Stream::new(err, most)];
        let ended = supervise(&told, into, input, &mut streams, deadline);
        // Whatever the program left behind ends with the action: that is the watcher's, and if it is lost, ours.
        drop(alive);
        if !ends_within(&told, GONE + GONE / 4) {
            let _ = nix::sys::signal::kill(pid, Signal::SIGKILL);
        }
        let _ = waitpid(pid, None);
        wait_until(Instant::now() + GONE, || {
            // A group that is not there any more had nobody left in it.
            let is_over = group_is_there.as_ref().is_some_and(|is_there| !is_there());
            let mut left = if is_over { Vec::new() } else { group.members() };
            left.retain(|id| !before.contains(id));
            for id in &left {
                id.signal(Signal::SIGKILL);
            }
            left.is_empty()
        });
        group.forget();
        if !why.is_empty() {
            return Err(unavailable(format!("cannot be executed: {why}")));
        }
        let status = match ended {
            End::Of(status) => status,
            End::Deadline => return Err(Error::TimedOut),
            End::Unknown => return Err(other("its watcher", &"was killed")),
        };
        let [out, err] = streams;
        Ok(Output { status, truncated: out.truncated || err.truncated, stdout: out.kept, stderr: err.kept })
    }
}

/// Forks a child that becomes the program, or writes why it could not into `report`, which closes at exec.
pub(super) fn spawn(plan: Plan, report: OwnedFd) -> std::io::Result<Pid> {
    fork::fork(move || {
        let why = become_program(plan);
        let _ = std::fs::File::from(report).write_all(why.as_bytes());
        crate::sys::exit::now(127)
    })
}

/// Why nothing more is read.
enum End {
    /// The program ended.
    Of(ExitStatus),
    /// The time is over.
    Deadline,
    /// Nobody can say.
    Unknown,
}

/// Reads until the program has ended.
fn supervise(
    told: &OwnedFd,
    into: OwnedFd,
    input: Option<Vec<u8>>,
    streams: &mut [Stream; 2],
    deadline: Instant,
) -> End {
    let mut input = input.filter(|bytes| !bytes.is_empty()).map(|bytes| (std::fs::File::from(into), bytes, 0_usize));
    if let Some((pipe, ..)) = &input {
        set_nonblocking(pipe);
    }
    let mut until = deadline;
    let mut status = None;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || status.is_some() && streams.iter().all(|s| s.pipe.is_none()) {
            return status.unwrap_or(End::Deadline);
        }
        let mut waited = Vec::with_capacity(4);
        waited.push(PollFd::new(told.as_fd(), PollFlags::POLLIN));
        for pipe in streams.iter().filter_map(|s| s.pipe.as_ref()) {
            waited.push(PollFd::new(pipe.as_fd(), PollFlags::POLLIN));
        }
        if let Some((pipe, ..)) = &input {
            waited.push(PollFd::new(pipe.as_fd(), PollFlags::POLLOUT));
        }
        if status.is_some() {
            // Its writing end closes when the watcher ends, which is nothing to wake up for.
            waited.remove(0);
        }
        let _ = poll(&mut waited, PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX));
        let is_told = status.is_none() && waited.first().and_then(PollFd::any).unwrap_or(false);
        drop(waited);
        streams.iter_mut().for_each(Stream::read);
        if let Some((pipe, bytes, sent)) = &mut input {
            match pipe.write(&bytes[*sent..]) {
                Ok(count) => *sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => *sent = bytes.len(),
            }
            if *sent == bytes.len() {
                input = None;
            }
        }
        if is_told {
            let mut how = [0; 2];
            status = Some(match nix::unistd::read(told, &mut how) {
                Ok(2) => End::Of(watcher::decode(how).into()),
                _ => End::Unknown,
            });
            until = until.min(Instant::now() + DRAIN);
        }
    }
}

/// Whether the other end of a pipe is closed in time.
fn ends_within(pipe: &OwnedFd, time: Duration) -> bool {
    let until = Instant::now() + time;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let mut waited = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut waited, PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX));
        if waited[0].any().unwrap_or(false) && nix::unistd::read(pipe, &mut [0; 8]) == Ok(0) {
            return true;
        }
        if left.is_zero() {
            return false;
        }
    }
}

fn set_nonblocking(pipe: &std::fs::File) {
    let _ = nix::fcntl::fcntl(pipe, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK));
}

impl Stream {
    fn new(pipe: OwnedFd, most: usize) -> Self {
        let pipe = std::fs::File::from(pipe);
        set_nonblocking(&pipe);
        Self { pipe: Some(pipe), kept: Vec::new(), truncated: false, most }
    }

    /// Takes what is there; what is too much is read and dropped, so that the program does not block.
    fn read(&mut self) {
        let mut piece = [0; 8192];
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut piece) {
                Ok(0) => self.pipe = None,
                Ok(count) => {
                    let room = self.most.saturating_sub(self.kept.len()).min(count);
                    self.kept.extend_from_slice(&piece[..room]);
                    self.truncated |= room < count;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.pipe = None,
            }
        }
    }
}
