//! The runner's process, and calling exports in it.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use super::{Broker, Trace};
use crate::contract::{Resource, Tracked, Verdict};
use crate::instance::State;
use crate::runner::{self, Facts};
use crate::seam::{Channel, Error, Export, FromRunner, Lost, dispatch, log};
use crate::sys::fork;
use crate::sys::user::User;

/// Lines and bytes that a plugin may log in one action.
const LOG_LINES: u32 = 1_000;
const LOG_BYTES: usize = 256 * 1024;
/// A question that takes longer is named when the time is over.
const LONG: Duration = Duration::from_millis(100);

/// One action of one instance: broker, runner, and what the contract wants of them.
pub struct Session<'a> {
    /// What answers.
    pub broker: Broker<'a>,
    /// Native code, mapped and verified.
    native: &'static [u8],
    facts: Facts,
    /// Whom the runner becomes; none in a namespace of one user.
    identity: Option<User>,
    runner: Option<(Pid, Channel)>,
    trace: Trace,
    log_lines: u32,
    log_bytes: usize,
    /// The question whose answer came after the deadline, because it took long.
    late: Option<&'static str>,
}

impl<'a> Session<'a> {
    /// Returns a session whose runner is started when it is first needed.
    pub fn new(broker: Broker<'a>, native: &'static [u8], facts: Facts, identity: Option<User>, trace: Trace) -> Self {
        Self { broker, native, facts, identity, runner: None, trace, log_lines: 0, log_bytes: 0, late: None }
    }

    fn spawn(&mut self) -> std::io::Result<(Pid, Channel)> {
        let (ours, theirs) = Channel::pair()?;
        let (native, facts, identity) = (self.native, self.facts.clone(), self.identity.clone());
        let broker = nix::unistd::getpid();
        let pid =
            fork::fork(move || match crate::sandbox::runner::enter(theirs.number(), identity.as_ref(), broker) {
                Ok(()) => runner::serve(theirs, native, facts),
                Err(error) => {
                    let _ = theirs.send(&FromRunner::Panicked(format!("sandbox: {error}")));
                    crate::sys::exit::now(0)
                }
            })?;
        Ok((pid, ours))
    }

    fn exchange(&mut self, export: Export) -> Verdict {
        let (pid, mut channel) = match self.runner.take() {
            Some(runner) => runner,
            None => match self.spawn() {
                Ok(runner) => runner,
                Err(error) => return Verdict::Broken(format!("no runner: {error}")),
            },
        };
        self.broker.export = export;
        // One that cannot be asked has ended already, and what it said before that is still to be read.
        let _ = channel.send(&export);
        let said = self.serve(&mut channel);
        match said {
            Ok(FromRunner::Done(done)) => {
                self.runner = Some((pid, channel));
                Verdict::Done(done)
            }
            Ok(FromRunner::Unfit(text)) => {
                end(pid);
                Verdict::Unfit(text)
            }
            Ok(FromRunner::Broken(text)) => {
                end(pid);
                Verdict::Broken(text)
            }
            Ok(FromRunner::Panicked(text)) => {
                end(pid);
                Verdict::Broken(format!("the runner failed: {text}"))
            }
            Ok(FromRunner::Call(_) | FromRunner::Log(..)) => {
                end(pid);
                Verdict::Broken("the runner spoke out of turn".to_owned())
            }
            Err(Lost::TimedOut) => {
                end(pid);
                self.late.map_or(Verdict::TimedOut, Verdict::Waited)
            }
            Err(Lost::Garbled) => {
                end(pid);
                Verdict::Broken("the runner sent what is no message".to_owned())
            }
            // It may have closed the connection and live on: killed all the same, and the status says which it was.
            Err(Lost::Closed) => Verdict::Broken(match end(pid) {
                Some(WaitStatus::Signaled(_, signal, _)) => format!("the runner ended by {signal}"),
                Some(WaitStatus::Exited(_, status)) => format!("the runner ended with status {status}"),
                _ => "the runner ended".to_owned(),
            }),
        }
    }

    /// Answers questions until something else comes.
    fn serve(&mut self, channel: &mut Channel) -> Result<FromRunner, Lost> {
        loop {
            match channel.receive(Some(self.broker.deadline.plugin))? {
                FromRunner::Call(call) => {
                    let (name, began) = (call.name(), Instant::now());
                    let asked = self.trace.is_on().then(|| format!("{call:?}"));
                    let mut shown = String::new();
                    let answer = dispatch(&mut self.broker, call, &mut |answer| {
                        if asked.is_some() {
                            shown = format!("{answer:?}");
                        }
                    });
                    if let Some(text) = asked {
                        self.trace.line(&format!("{name} {} -> {shown}", arguments(&text)), Some(began.elapsed()));
                    }
                    let now = Instant::now();
                    if now >= self.broker.deadline.plugin && now - began >= LONG {
                        self.late = Some(name);
                    }
                    channel.send_bytes(&answer)?;
                }
                FromRunner::Log(level, text) => self.log(level, &text),
                last => return Ok(last),
            }
        }
    }

    fn log(&mut self, level: log::Level, text: &str) {
        self.log_lines += 1;
        self.log_bytes += text.len();
        if self.log_lines <= LOG_LINES && self.log_bytes <= LOG_BYTES {
            self.broker.log.line(level, text);
        } else if self.log_lines == LOG_LINES + 1 {
            self.broker.log.warning("the plugin logs too much: the rest of this action is dropped");
        }
    }
}

/// What stands in the braces of a call.
fn arguments(call: &str) -> &str {
    call.find(" {").map_or("", |at| &call[at + 1..])
}

/// Makes sure that a runner is gone.
fn end(pid: Pid) -> Option<WaitStatus> {
    // One that has ended already keeps its status; nobody else can have its number before it is reaped.
    let ended = waitpid(pid, Some(nix::sys::wait::WaitPidFlag::WNOHANG));
    if let Ok(status) = ended
        && status != WaitStatus::StillAlive
    {
        return Some(status);
    }
    // A process that closed its connection is about to end: its own status says more than our signal.
    std::thread::sleep(Duration::from_millis(2));
    if let Ok(status) = waitpid(pid, Some(nix::sys::wait::WaitPidFlag::WNOHANG))
        && status != WaitStatus::StillAlive
    {
        return Some(status);
    }
    let _ = kill(pid, Signal::SIGKILL);
    waitpid(pid, None).ok()
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        // Waited for, though the answer is known: in a container nobody else may bury it.
        if let Some((pid, _)) = self.runner.take() {
            let _ = kill(pid, Signal::SIGKILL);
            let _ = waitpid(pid, None);
        }
    }
}

impl Resource for Session<'_> {
    fn call(&mut self, export: Export) -> Verdict {
        let since = Instant::now();
        let verdict = self.exchange(export);
        if self.trace.is_on() {
            self.trace.line(&format!("= {} -> {verdict:?}", export.word()), Some(since.elapsed()));
        }
        verdict
    }

    fn tracked(&mut self) -> Tracked {
        let (held, alive) = self.broker.held_and_alive();
        Tracked { held, alive, ended: self.broker.ended(), untracked: self.broker.record.untracked }
    }

    fn is_recorded(&self) -> bool {
        self.broker.is_recorded && self.broker.record.state.is_active()
    }

    fn mark(&mut self, state: State) -> Result<(), String> {
        if state == State::Stopped {
            // All verified gone: what is left of them is a control group and a report.
            self.tear_down()?;
        }
        let record = &mut self.broker.record;
        record.state = state;
        if state == State::Stopped {
            record.notebook.clear();
            record.daemons.clear();
            record.untracked = false;
        }
        self.broker.save()
    }

    fn tear_down(&mut self) -> Result<(), String> {
        let labels: Vec<String> = self.broker.record.daemons.keys().cloned().collect();
        let deadline = self.broker.deadline.answer;
        for label in labels {
            self.broker.end(&label, deadline).map_err(|error| match error {
                Error::Denied(text) | Error::Unavailable(text) | Error::Invalid(text) | Error::Other(text) => text,
                Error::TimedOut => format!("program {label}: does not end"),
            })?;
        }
        Ok(())
    }

    fn last_resort(&mut self) -> Option<Result<(), String>> {
        use crate::seam::{ExitStatus, program::Host as _};
        let plan = self.broker.policy.last_resort.as_ref()?;
        let (labels, gone, statuses) = (plan.labels.clone(), plan.gone_label.clone(), plan.gone_statuses.clone());
        // The plugin's time is over; this is the host's.
        self.broker.deadline.plugin = self.broker.deadline.answer;
        self.broker.export = Export::Stop;
        for label in labels {
            if let Err(error) = self.broker.run(label.clone(), Vec::new(), None) {
                return Some(Err(format!("last resort {label}: {error:?}")));
            }
        }
        let answer = self.broker.run(gone.clone(), Vec::new(), None);
        Some(match answer {
            Ok(output) if matches!(output.status, ExitStatus::Exited(status) if statuses.contains(&status)) => Ok(()),
            Ok(output) => Err(format!("last resort: {gone} says that it is not gone ({:?})", output.status)),
            Err(error) => Err(format!("last resort {gone}: {error:?}")),
        })
    }

    fn remaining(&self) -> Duration {
        self.broker.deadline.plugin.saturating_duration_since(Instant::now())
    }

    fn pause(&mut self, time: Duration) {
        std::thread::sleep(time);
    }

    fn error(&mut self, text: &str) {
        self.broker.log.error(text);
    }
}
