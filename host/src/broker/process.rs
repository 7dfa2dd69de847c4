//! The runner as a process: begun, called, ended.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::contract::Verdict;
use crate::runner::{self, Facts, limits};
use crate::sandbox::runner::{self as sandbox, Bounds};
use crate::seam::{Channel, Export, FromRunner, Lost, decode, encode};
use crate::sys::fork;
use crate::sys::user::User;

/// What a runner does with what it was left.
fn serve(seam: OwnedFd, native: &'static [u8], kept: &'static [u8]) -> i32 {
    let Some(facts) = decode(kept) else { return 0 };
    runner::serve(Channel::from_fd(seam), native, facts, sandbox::close)
}

/// What a runner says that could not be made one.
fn not_entered(seam: OwnedFd, why: &str) -> i32 {
    let _ = Channel::from_fd(seam).send(&FromRunner::Panicked(format!("sandbox: {why}")));
    0
}

/// A runner. Gone when this is dropped.
#[derive(Debug)]
pub struct Process {
    /// None once it has ended.
    pid: Option<Pid>,
    channel: Channel,
}

impl Process {
    /// Forks a runner for native code that is mapped and verified. `identity` is whom it becomes; none in a namespace of
    /// one user.
    ///
    /// # Errors
    /// If processes or descriptors are short.
    pub fn start(native: &'static [u8], facts: Facts, identity: Option<User>) -> io::Result<Self> {
        let (ours, theirs) = Channel::pair()?;
        let broker = nix::unistd::getpid();
        let bounds = Bounds {
            more_data_bytes: limits::DATA_BYTES + facts.memory_bytes as u64,
            stack_bytes: limits::STACK_BYTES,
            until: facts.deadline,
        };
        let pid = fork::fork(move || match sandbox::enter(theirs.number(), identity.as_ref(), broker, &bounds) {
            Ok(()) => {
                #[cfg(escaped)]
                if let Some(deed) = facts.parameters.get("escape") {
                    let tell = |text: String| drop(theirs.send(&FromRunner::Panicked(text)));
                    crate::sandbox::escaped::run(deed, theirs.number(), broker.as_raw(), &tell);
                }
                // Nothing else of what the broker knows: no policy, no parameter that the plugin is not given.
                let kept = encode(&facts);
                crate::guard!(
                    "heap",
                    sandbox::go_on(theirs.into_fd(), native, &kept, serve, not_entered),
                    serve(theirs.into_fd(), native, kept.leak())
                )
            }
            Err(error) => not_entered(theirs.into_fd(), &error),
        })?;
        Ok(Self { pid: Some(pid), channel: ours })
    }

    /// Calls an export, which is asked for by `deadline`. `serve` answers questions until something else comes.
    pub fn call(
        &mut self,
        export: Export,
        deadline: Instant,
        serve: impl FnOnce(&mut Channel) -> Result<FromRunner, Lost>,
    ) -> Verdict {
        // One that cannot be asked has ended already, and what it said before that is still to be read.
        let _ = self.channel.send_bytes(&encode(&export), Some(deadline));
        let said = serve(&mut self.channel);
        if let Ok(FromRunner::Done(done)) = said {
            return Verdict::Done(done);
        }
        // It may have closed the connection and live on: killed all the same, and the status says which it was.
        let status = self.end();
        verdict(said, status)
    }

    /// Whether it can be called again.
    pub fn is_there(&self) -> bool {
        self.pid.is_some()
    }

    /// Makes sure that it is gone.
    fn end(&mut self) -> Option<WaitStatus> {
        let pid = self.pid.take()?;
        // One that has ended already keeps its status; nobody else can have its number before it is reaped.
        let ended = waitpid(pid, Some(WaitPidFlag::WNOHANG));
        if let Ok(status) = ended
            && status != WaitStatus::StillAlive
        {
            return Some(status);
        }
        // A process that closed its connection is about to end: its own status says more than our signal.
        std::thread::sleep(Duration::from_millis(2));
        if let Ok(status) = waitpid(pid, Some(WaitPidFlag::WNOHANG))
            && status != WaitStatus::StillAlive
        {
            return Some(status);
        }
        let _ = kill(pid, Signal::SIGKILL);
        waitpid(pid, None).ok()
    }
}

/// Returns what the contract is told of a runner that said this last, and ended so.
pub fn verdict(said: Result<FromRunner, Lost>, status: Option<WaitStatus>) -> Verdict {
    match said {
        Ok(FromRunner::Done(done)) => Verdict::Done(done),
        Ok(FromRunner::Unfit(text)) => Verdict::Unfit(text),
        Ok(FromRunner::Broken(text)) => Verdict::Broken(text),
        Ok(FromRunner::Panicked(text)) => Verdict::Broken(format!("the runner failed: {text}")),
        Ok(FromRunner::Call(_) | FromRunner::Log(..)) => Verdict::Broken("the runner spoke out of turn".to_owned()),
        Err(Lost::TimedOut) => Verdict::TimedOut,
        Err(Lost::Garbled) => Verdict::Broken("the runner sent what is no message".to_owned()),
        Err(Lost::Closed) => Verdict::Broken(match status {
            Some(WaitStatus::Signaled(_, signal, _)) => format!("the runner ended by {signal}"),
            Some(WaitStatus::Exited(_, status)) => format!("the runner ended with status {status}"),
            _ => "the runner ended".to_owned(),
        }),
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Waited for, though the answer is known: in a container nobody else may bury it.
        if let Some(pid) = self.pid.take() {
            let _ = kill(pid, Signal::SIGKILL);
            let _ = waitpid(pid, None);
        }
    }
}
