//! The service manager, as far as the agent may ask it: a process of its own that speaks to the bus, made when something is
//! asked, and killed when its answer is late.
//!
//! What must never enter here: what an answer means.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub use ocf_wasm_units::{Ask, Told, Unit};
use ocf_wasm_units::{OTHER_VERSION, VERSION};

use crate::seam::{Channel, Lost};

/// The program that links the bus.
const PROGRAM: &str = "/usr/libexec/ocf-wasm/ocf-wasm-units";
/// Exists where systemd is the service manager (`sd_booted(3)`).
const BOOTED: &str = "/run/systemd/system";
/// Who is asked for what it knows, and does not answer within this time, is not there.
const PATIENCE: Duration = Duration::from_secs(5);

/// See above. Nothing is made until something is asked.
#[derive(Debug, Default)]
pub struct Manager(RefCell<Option<Asked>>);

#[derive(Debug)]
struct Asked {
    child: Child,
    channel: Channel,
}

impl Drop for Asked {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Silent {
    /// Not in time. A job that was asked for may go on.
    TimedOut,
    /// Nobody is there to ask: why.
    Gone(String),
}

impl std::fmt::Display for Silent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TimedOut => write!(f, "the service manager does not answer in time"),
            Self::Gone(why) => write!(f, "the service manager does not answer: {why}"),
        }
    }
}

impl Manager {
    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// See [`Silent`].
    #[cold]
    #[inline(never)]
    pub fn ask(&self, ask: &Ask, deadline: Instant) -> Result<Told, Silent> {
        let mut place = self.0.borrow_mut();
        let asked = match &mut *place {
            Some(asked) => asked,
            None => place.insert(start(Stdio::null(), Stdio::null()).map_err(not_made)?),
        };
        let answer = asked.answer(ask, deadline);
        let is_lost = answer.is_err();
        let told = asked.told(answer);
        if is_lost {
            // What comes later would be taken for the answer to another question.
            *place = None;
        }
        told
    }

    /// Asks what is known of a unit.
    ///
    /// # Errors
    /// See [`Silent`]; what systemd refuses to tell is told by nobody.
    pub fn look(&self, name: &str, deadline: Instant) -> Result<Unit, Silent> {
        match self.ask(&Ask::Look(name.to_owned()), deadline.min(Instant::now() + PATIENCE))? {
            Told::Unit(unit) => Ok(*unit),
            Told::Refused(_, why) => Err(Silent::Gone(why)),
            _ => Err(Silent::Gone(format!("{PROGRAM} answers another question"))),
        }
    }
}

/// Asks by a process of its own, which holds two descriptors as its standard output and error to pass them on, and ends
/// with the answer: from then on only those have them who got them.
///
/// # Errors
/// See [`Silent`].
#[cold]
#[inline(never)]
pub(super) fn pass(ask: &Ask, output: &OwnedFd, error: &OwnedFd, deadline: Instant) -> Result<Told, Silent> {
    let copy = |of: &OwnedFd| of.try_clone().map(Stdio::from);
    let asked = copy(output).and_then(|output| start(output, copy(error)?));
    let mut asked = asked.map_err(not_made)?;
    let answer = asked.answer(ask, deadline);
    asked.told(answer)
}

fn not_made(error: std::io::Error) -> Silent {
    Silent::Gone(format!("{PROGRAM}: {error}"))
}

impl Asked {
    fn answer(&mut self, ask: &Ask, deadline: Instant) -> Result<Told, Lost> {
        self.channel.send(ask)?;
        self.channel.receive(Some(deadline))
    }

    fn told(&mut self, answer: Result<Told, Lost>) -> Result<Told, Silent> {
        match answer {
            Ok(Told::Silent(why)) => Err(Silent::Gone(why)),
            Ok(told) => Ok(told),
            Err(Lost::TimedOut) => Err(Silent::TimedOut),
            // It ends when it is not to be understood.
            Err(Lost::Closed) if self.has_other_words() => {
                Err(Silent::Gone("ocf-wasm-units is of another version than the agent".to_owned()))
            }
            Err(Lost::Closed | Lost::Garbled) => Err(Silent::Gone(format!("{PROGRAM} ended"))),
        }
    }

    /// Whether it ended since its words are of another version.
    fn has_other_words(&mut self) -> bool {
        // It has closed its end, so it ends, with a status that this changes no more; if not, it is not waited for.
        let _ = self.child.kill();
        self.child.wait().is_ok_and(|status| status.code() == Some(OTHER_VERSION.into()))
    }
}

#[cold]
#[inline(never)]
fn start(output: Stdio, error: Stdio) -> std::io::Result<Asked> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    let mut command = Command::new(PROGRAM);
    command.args([std::process::id(), VERSION].map(|number| number.to_string()));
    command.env_clear().current_dir("/").stdin(OwnedFd::from(theirs)).stdout(output).stderr(error);
    Ok(Asked { child: command.spawn()?, channel: Channel::from_fd(OwnedFd::from(ours)) })
}

/// Why units cannot be had at all; none if they can.
#[cold]
#[inline(never)]
pub fn lacking() -> Option<&'static str> {
    use std::os::unix::fs::MetadataExt as _;
    if !std::path::Path::new(BOOTED).is_dir() {
        return Some("systemd is not the service manager of this node");
    }
    // What it is told is in files, which it must see where we write them.
    let place = |path: &str| std::fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    let is_ours = place("/run").is_some_and(|ours| Some(ours) == place("/proc/1/root/run"));
    let is_shown = ["/run/ocf-wasm", BOOTED].iter().all(|path| place(path) == place(&format!("/proc/1/root{path}")));
    (!is_ours || !is_shown).then_some("units are those of the node: a private root has none")
}
