//! A program of the action lifetime: run to its end, its output kept, and what it left behind killed.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, pipe2};

use super::tree::{self, Tree};
use super::{Permit, wait_until};
use crate::sandbox::child::{Plan, become_program};
use crate::seam::program::Output;
use crate::seam::{Answer, Error, ExitStatus};
use crate::sys::process::ProcessId;
use crate::sys::{fork, process};

/// Bytes of standard output, and of standard error, that are kept.
const OUTPUT_BYTES: usize = 256 * 1024;
/// How long to read on after the program ended: a child of it may hold its output open for ever.
const DRAIN: Duration = Duration::from_millis(100);
/// How long killed processes may take to be gone.
const GONE: Duration = Duration::from_secs(2);

/// A pipe's reading end, and what came out of it.
struct Stream {
    pipe: Option<std::fs::File>,
    kept: Vec<u8>,
    truncated: bool,
}

impl Permit {
    /// Runs the program and waits for its end. `deadline` is the action's.
    ///
    /// # Errors
    /// `denied` for input that is not granted; `timed-out`; `other` if it cannot be executed.
    pub fn run(self, instance: &str, input: Option<Vec<u8>>, deadline: Instant) -> Answer<Output> {
        let label = self.label.clone();
        let other =
            |what: &str, error: &dyn std::fmt::Display| Error::Other(format!("program {label}: {what}: {error}"));
        if input.is_some() && !self.input {
            return Err(Error::Denied(format!("program {label}: granted without `input = true`")));
        }
        let deadline = self.timeout.map_or(deadline, |own| deadline.min(Instant::now() + own));
        let cgroup = tree::new_cgroup(instance, &label).filter(|path| std::fs::create_dir(path).is_ok());
        let group = Tree { cgroup: cgroup.clone(), keeper: ProcessId::now(nix::unistd::getpid().as_raw()), main: None };
        let pipe = || pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(|e| other("pipe", &e));
        let (stdin, into) = pipe()?;
        let (out, stdout) = pipe()?;
        let (err, stderr) = pipe()?;
        let (failed, report) = pipe()?;
        // Without a control group, orphans must fall to this process to be found.
        process::adopt_orphans();
        let before = group.members();
        let plan = Plan {
            program: self.file,
            argv: self.argv,
            environment: self.environment,
            user: self.user,
            cgroup,
            standard: [stdin, stdout, stderr],
            dies_with: Some(nix::unistd::getpid()),
        };
        let main = spawn(plan, report).map_err(|e| other("fork", &e))?;
        let mut why = String::new();
        let _ = std::fs::File::from(failed).read_to_string(&mut why);
        let mut streams = [Stream::new(out), Stream::new(err)];
        let status = supervise(main, into, input, &mut streams, deadline);
        // Whatever the program left behind ends with the action.
        let leftovers = || group.members().into_iter().filter(|id| !before.contains(id)).collect::<Vec<_>>();
        let kill = || {
            if group.cgroup.is_some() {
                group.kill();
            } else {
                for id in leftovers() {
                    id.signal(nix::sys::signal::Signal::SIGKILL);
                }
            }
        };
        if status.is_none() || !leftovers().is_empty() {
            kill();
            wait_until(Instant::now() + GONE, || leftovers().is_empty());
        }
        let status = status.or_else(|| {
            let _ = waitpid(main, None);
            None
        });
        group.forget();
        if !why.is_empty() {
            return Err(Error::Unavailable(format!("program {label}: cannot be executed: {why}")));
        }
        let Some(status) = status else { return Err(Error::TimedOut) };
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

/// Reads until the program has ended. None if the deadline came first.
fn supervise(
    main: Pid,
    into: OwnedFd,
    input: Option<Vec<u8>>,
    streams: &mut [Stream; 2],
    deadline: Instant,
) -> Option<ExitStatus> {
    let handle = process::open(main.as_raw())?;
    let mut input = input.filter(|bytes| !bytes.is_empty()).map(|bytes| (std::fs::File::from(into), bytes, 0_usize));
    if let Some((pipe, ..)) = &input {
        set_nonblocking(pipe);
    }
    let mut until = deadline;
    let mut status = None;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || status.is_some() && streams.iter().all(|s| s.pipe.is_none()) {
            return status;
        }
        let mut waited = Vec::with_capacity(4);
        if status.is_none() {
            waited.push(PollFd::new(handle.as_fd(), PollFlags::POLLIN));
        }
        for pipe in streams.iter().filter_map(|s| s.pipe.as_ref()) {
            waited.push(PollFd::new(pipe.as_fd(), PollFlags::POLLIN));
        }
        if let Some((pipe, ..)) = &input {
            waited.push(PollFd::new(pipe.as_fd(), PollFlags::POLLOUT));
        }
        let _ = poll(&mut waited, PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX));
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
        if status.is_none() {
            status = match waitpid(main, Some(nix::sys::wait::WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(_, code)) => Some(ExitStatus::Exited(u8::try_from(code).unwrap_or(255))),
                Ok(WaitStatus::Signaled(_, signal, _)) => {
                    Some(ExitStatus::Signaled(u8::try_from(signal as i32).unwrap_or(0)))
                }
                _ => None,
            };
            if status.is_some() {
                until = until.min(Instant::now() + DRAIN);
            }
        }
    }
}

fn set_nonblocking(pipe: &std::fs::File) {
    let _ = nix::fcntl::fcntl(pipe, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK));
}

impl Stream {
    fn new(pipe: OwnedFd) -> Self {
        let pipe = std::fs::File::from(pipe);
        set_nonblocking(&pipe);
        Self { pipe: Some(pipe), kept: Vec::new(), truncated: false }
    }

    /// Takes what is there; what is too much is read and dropped, so that the program does not block.
    fn read(&mut self) {
        let mut piece = [0; 8192];
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut piece) {
                Ok(0) => self.pipe = None,
                Ok(count) => {
                    let room = OUTPUT_BYTES.saturating_sub(self.kept.len()).min(count);
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
