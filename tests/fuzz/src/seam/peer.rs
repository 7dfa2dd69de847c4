//! The other end of the broker's connection: what it sends, and how it treats what comes back.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;

use ocf_wasm::seam::{Channel, FromRunner};

/// What a runner does with answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// It reads them, and hangs up when it has said all.
    Listens,
    /// It never reads one and never hangs up.
    Deaf,
    /// It is gone before anybody hears it.
    Leaves,
}

impl Behaviour {
    pub(super) fn of(byte: u8) -> Self {
        match byte & 15 {
            2 => Self::Deaf,
            3 => Self::Leaves,
            _ => Self::Listens,
        }
    }
}

/// What is sent for some bytes: these, or each message in them behind its length, and then what is none.
pub(super) fn wire(bytes: &[u8], is_raw: bool, most: usize) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut rest = bytes;
    while !is_raw && let Ok((_, after)) = postcard::take_from_bytes::<FromRunner>(rest) {
        let message = &rest[..rest.len() - after.len()];
        if message.is_empty() {
            break;
        }
        wire.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_le_bytes());
        wire.extend_from_slice(message);
        rest = after;
    }
    wire.extend_from_slice(rest);
    wire.truncate(most);
    wire
}

/// That end.
pub(super) enum Peer {
    Reads(JoinHandle<Vec<u8>>),
    Holds(UnixStream),
    Gone,
}

impl Peer {
    /// Sends all there is to say. Returns the broker's end too.
    pub(super) fn start(wire: &[u8], behaviour: Behaviour) -> (Self, Channel) {
        let (ours, mut theirs) = UnixStream::pair().expect("descriptors");
        theirs.write_all(wire).expect("room in the socket");
        let peer = match behaviour {
            Behaviour::Leaves => Self::Gone,
            Behaviour::Deaf => Self::Holds(theirs),
            Behaviour::Listens => {
                theirs.shutdown(Shutdown::Write).expect("a socket");
                Self::Reads(std::thread::spawn(move || {
                    let mut heard = Vec::new();
                    let _ = theirs.read_to_end(&mut heard);
                    heard
                }))
            }
        };
        (peer, Channel::from_fd(OwnedFd::from(ours)))
    }

    /// Returns all that was heard.
    pub(super) fn end(self) -> Vec<u8> {
        match self {
            Self::Reads(thread) => thread.join().expect("what was heard"),
            Self::Holds(stream) => {
                drop(stream);
                Vec::new()
            }
            Self::Gone => Vec::new(),
        }
    }
}
