//! The process that understands what comes over an encrypted connection: begun for one, ended with it.
//!
//! This process holds the socket and moves bytes. That one, [`sandbox::tls`](crate::sandbox::tls), has nothing but them: it
//! knows the request, who the server must be and by whose word, and says what is to be sent and what the server said. What
//! it says is what a server could have said: nothing here depends on it.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use ocf_wasm_tls::{FromTls, ToTls, VERSION};

use crate::ocf::outcome::one_line;
use crate::sandbox::tls as sandbox;
use crate::seam::{Channel, Lost, encode};
use crate::sys::user::User;
use crate::sys::{fork, trusted};

/// The name of its program.
pub const PROGRAM: &str = "ocf-wasm-tls";
/// Bytes of a sentence about a server, so that there is room for the label in a reason.
const SENTENCE_BYTES: usize = 104;

/// The program, opened and judged, and whom it becomes; none in a namespace of one user.
#[derive(Debug)]
pub struct Helper {
    program: OwnedFd,
    argv: [CString; 2],
    identity: Option<User>,
    nowhere: File,
}

impl Helper {
    /// Opens the program.
    ///
    /// # Errors
    /// A sentence: it is not there, or not safe.
    pub fn open(path: &Path, identity: Option<User>) -> Result<Self, String> {
        let program = trusted::open_program(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => format!("{} is not there", path.display()),
            _ => error.to_string(),
        })?;
        let nowhere = File::options().write(true).open("/dev/null").map_err(|error| format!("/dev/null: {error}"))?;
        let name = CString::new(path.as_os_str().as_encoded_bytes()).map_err(|error| error.to_string())?;
        let version = CString::new(VERSION.to_string()).map_err(|error| error.to_string())?;
        Ok(Self { program, argv: [name, version], identity, nowhere })
    }
}

/// What it says; see [`FromTls`].
#[derive(Debug)]
pub(super) enum Word {
    Send(Vec<u8>),
    Said(Vec<u8>),
    More,
    Ended,
    Refused(String),
    /// Nothing, in time.
    Late,
}

/// One such process. Gone when this is dropped.
#[derive(Debug)]
pub(super) struct Tls {
    pid: Pid,
    channel: Channel,
}

impl Tls {
    /// Begins one and tells it what it needs to know.
    ///
    /// # Errors
    /// A sentence: processes or descriptors are short.
    pub(super) fn begin(
        helper: Helper,
        server: String,
        authorities: Vec<u8>,
        request: Vec<u8>,
        until: Instant,
    ) -> Result<Self, String> {
        let (ours, theirs) = Channel::pair().map_err(|error| error.to_string())?;
        let broker = nix::unistd::getpid();
        let plan = sandbox::Plan {
            program: helper.program,
            argv: helper.argv,
            identity: helper.identity,
            nowhere: helper.nowhere.into(),
            channel: theirs.number(),
            broker,
            until,
        };
        let forked = fork::fork(move || {
            let why = sandbox::enter(&plan);
            let _ = theirs.send(&FromTls::Refused(format!("its process cannot be confined: {why}")));
            1
        });
        let pid = forked.map_err(|error| error.to_string())?;
        let begun = Self { pid, channel: ours };
        let _ = begun.channel.send_bytes(&encode(&ToTls::Begin { server, authorities, request }), Some(until));
        Ok(begun)
    }

    /// Hands on what came. If nobody is there to take it, that is seen by what comes next.
    pub(super) fn give(&self, came: Vec<u8>, until: Instant) {
        let _ = self.channel.send_bytes(&encode(&ToTls::Came(came)), Some(until));
    }

    /// What it says next.
    pub(super) fn next(&mut self, until: Instant) -> Word {
        match self.channel.receive(Some(until)) {
            Ok(FromTls::Send(bytes)) => Word::Send(bytes),
            Ok(FromTls::Said(bytes)) => Word::Said(bytes),
            Ok(FromTls::More) => Word::More,
            Ok(FromTls::Ended) => Word::Ended,
            Ok(FromTls::Refused(why)) => Word::Refused(one_line(&why, SENTENCE_BYTES)),
            Err(Lost::TimedOut) => Word::Late,
            Err(Lost::Closed | Lost::Garbled) => {
                Word::Refused(format!("{PROGRAM} has failed, or is of another version"))
            }
        }
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        let _ = kill(self.pid, Signal::SIGKILL);
        let _ = waitpid(self.pid, None);
    }
}
