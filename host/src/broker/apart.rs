//! What may never come back is done apart: in a process that holds nothing of the action's but one end of a connection.
//!
//! A file system whose server is gone keeps who asks it in the kernel, where no signal comes. The broker must answer in
//! time all the same, let go of its lock and of the cluster's pipes, and end what it started. So it looks up no name that
//! a policy grants and executes nothing itself: a copy of it does, made when it is first needed, and left behind if it
//! hangs.
//!
//! The bytes of files, the directories that one call makes and the starts of programs are counted where they are used,
//! here, and what is left of them comes back with each answer, so that the next copy goes on from there. What must never enter here: a change
//! of the record, a count of questions.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Broker;
use crate::capability::path as paths;
use crate::guard;
use crate::policy::{Access, Lifetime};
use crate::seam::{Answer, Call, Channel, Error, Export, Lost, encode};
use crate::sys::{fd, fork};

/// How long one that was killed may take to be gone; one that hangs is never gone.
const GONE: Duration = Duration::from_millis(100);

/// A question to the copy.
#[derive(Serialize, Deserialize)]
struct Question {
    /// Whether only to see if it may be done.
    is_asked_only: bool,
    /// What is left of the plugin's time.
    left: Duration,
    /// In which export it is asked.
    export: Export,
    /// Changes that are left of the action.
    changes: u32,
    call: Call,
}

/// The copy.
#[derive(Debug)]
pub(super) struct Apart {
    pid: Pid,
    channel: Channel,
}

impl Drop for Apart {
    fn drop(&mut self) {
        let _ = kill(self.pid, Signal::SIGKILL);
        let until = Instant::now() + GONE;
        while waitpid(self.pid, Some(WaitPidFlag::WNOHANG)) == Ok(WaitStatus::StillAlive) && Instant::now() < until {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

impl Broker<'_> {
    /// Has a call done apart, or with `is_asked_only` only looked at whether it may be done.
    ///
    /// # Errors
    /// What the call is answered; `timed-out` if it does not come back; `other` if processes are short.
    #[cold]
    #[inline(never)]
    pub(super) fn apart<T: DeserializeOwned>(&mut self, is_asked_only: bool, call: Call) -> Answer<T> {
        let now = Instant::now();
        // A program that does not end in time is ended in the rest of it.
        let rest = match call {
            Call::ProgramRun { .. } => self.deadline.answer.saturating_duration_since(self.deadline.plugin) / 2,
            _ => Duration::ZERO,
        };
        let until = guard!("I22", Some(self.deadline.plugin + rest), None);
        let left = self.deadline.plugin.saturating_duration_since(now);
        let mut apart = match self.apart.take() {
            Some(apart) => apart,
            None => self.split().map_err(|error| Error::Other(format!("no process: {error}")))?,
        };
        // What a copy that is lost has used of it, it does not tell.
        let (read, written, made) = match &call {
            Call::PathRead { limit, .. } => (usize::try_from(*limit).unwrap_or(usize::MAX), 0, 0),
            Call::PathWrite { content, .. } => (0, content.len(), 0),
            Call::PathMakeDirectory { name, .. } if !is_asked_only => (0, 0, name.matches('/').count()),
            _ => (0, 0, 0),
        };
        let changes = self.used.changes_left();
        let question = encode(&Question { is_asked_only, left, export: self.export, changes, call });
        let answer = apart
            .channel
            .send_bytes(&question, until)
            .and_then(|()| apart.channel.receive::<(_, paths::Budget)>(until));
        if answer.is_err() {
            self.path_bytes.spend((read, written));
            self.used.changed(u32::try_from(made).unwrap_or(u32::MAX));
        }
        match answer {
            Ok((answer, path_bytes)) => {
                self.used.changed(changes.saturating_sub(path_bytes.changes));
                (self.apart, self.path_bytes) = (Some(apart), path_bytes);
                answer
            }
            Err(Lost::TimedOut) => Err(Error::TimedOut),
            Err(Lost::Closed | Lost::Garbled) => Err(Error::Other("the process that did it was killed".to_owned())),
        }
    }

    fn split(&mut self) -> std::io::Result<Apart> {
        let (ours, mut theirs) = Channel::pair()?;
        let broker = nix::unistd::getpid();
        let pid = fork::fork(|| {
            // No lock, no record, no log, no pipe of the cluster's.
            guard!("I15", {
                if fd::close_all_but(theirs.number()).is_err() {
                    return 1;
                }
                fd::open_standard();
            });
            fork::die_with(broker);
            while let Ok(Question { is_asked_only, left, export, changes, call }) = theirs.receive(None) {
                (self.deadline.plugin, self.export) = (Instant::now() + left, export);
                self.path_bytes.changes = changes;
                let mut answer = self.do_here(is_asked_only, call);
                answer.extend(encode(&self.path_bytes));
                if theirs.send_bytes(&answer, None).is_err() {
                    break;
                }
            }
            0
        })?;
        Ok(Apart { pid, channel: ours })
    }

    /// What the copy does: the answer, behind which what is left of the bytes is put.
    fn do_here(&mut self, is_asked_only: bool, call: Call) -> Vec<u8> {
        /// Encodes an answer, which ends at the first error.
        macro_rules! answer {
            ($answer:expr) => {{
                let answer = || -> Answer<_> { $answer };
                encode(&answer())
            }};
        }
        if is_asked_only {
            return answer!(match call {
                Call::PathWrite { label, name, .. } | Call::PathMakeDirectory { label, name, .. } => {
                    self.path_permit(&label, &name, Access::Write).map(drop)
                }
                Call::ProgramRun { label, slots, .. } => self.permit(&label, &slots, Some(Lifetime::Action)).map(drop),
                Call::ProgramStart { label, slots } => self.permit(&label, &slots, Some(Lifetime::Instance)).map(drop),
                call => Err(unknown(&call)),
            });
        }
        let mut bytes = std::mem::take(&mut self.path_bytes);
        let answer = match call {
            Call::PathStat { label, name } => answer!(self.path_permit(&label, &name, Access::Read)?.stat()),
            Call::PathRead { label, name, offset, limit } => {
                let permit = self.path_permit(&label, &name, Access::Read);
                encode(&permit.and_then(|permit| permit.read(offset, limit, &mut bytes)))
            }
            Call::PathWrite { label, name, content, mode } => {
                let permit = self.path_permit(&label, &name, Access::Write);
                encode(&permit.and_then(|permit| permit.write(&content, mode, &mut bytes)))
            }
            Call::PathRemove { label, name } => answer!(self.path_permit(&label, &name, Access::Write)?.remove()),
            Call::PathList { label, name } => answer!(self.path_permit(&label, &name, Access::Read)?.list()),
            Call::PathMakeDirectory { label, name, mode } => {
                let permit = self.path_permit(&label, &name, Access::Write);
                encode(&permit.and_then(|permit| permit.make_directory(mode, &mut bytes)))
            }
            Call::ProgramAvailable { label, slots } => answer!(self.permit(&label, &slots, None).map(drop)),
            Call::ProgramRun { label, slots, input } => answer!({
                let permit = self.permit(&label, &slots, Some(Lifetime::Action))?;
                let counted = permit.count(|| self.directory.make().map(|()| self.directory.rate_path(&label)));
                counted.or_else(|error| self.uncounted(error))?;
                permit.run(&self.record.instance, self.directory.mark(), input, self.deadline.plugin)
            }),
            call => encode(&Err::<(), _>(unknown(&call))),
        };
        self.path_bytes = bytes;
        answer
    }

    /// What becomes of a program whose start cannot be counted, since /run is full or read-only: what runs is watched and
    /// stopped all the same.
    fn uncounted(&self, error: Error) -> Answer<()> {
        match (error, self.export) {
            (Error::Unavailable(_), Export::Monitor { .. } | Export::Stop) => Ok(()),
            (error, _) => Err(error),
        }
    }

    fn path_permit(&self, label: &str, name: &str, access: Access) -> Answer<paths::Permit> {
        paths::permit(&self.policy, label, name, access, self.values())
    }
}

fn unknown(call: &Call) -> Error {
    Error::Other(format!("{}: not done apart", call.name()))
}
