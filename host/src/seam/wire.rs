//! Messages over a stream socket: four bytes of length, then postcard. No message is trusted to be well formed.

use std::io::Read as _;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::MsgFlags;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes of the largest message: a value of 1 MiB and what stands around it.
pub const MESSAGE_BYTES: usize = 1024 * 1024 + 64 * 1024;

/// Why nothing came.
#[derive(Debug, PartialEq, Eq)]
pub enum Lost {
    /// The other end is gone.
    Closed,
    /// Not in time.
    TimedOut,
    /// Longer than [`MESSAGE_BYTES`], or not a message.
    Garbled,
}

/// One end of the connection.
#[derive(Debug)]
pub struct Channel(UnixStream);

/// Returns a value as it crosses the seam.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    // Only types of ours are encoded, into memory: there is no way to fail.
    postcard::to_allocvec(value).unwrap_or_default()
}

/// Reads what [`encode`] made. None if it is something else.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    postcard::from_bytes(bytes).ok()
}

impl Channel {
    /// Makes a connected pair.
    ///
    /// # Errors
    /// If descriptors are short.
    pub fn pair() -> std::io::Result<(Self, Self)> {
        let (ours, theirs) = UnixStream::pair()?;
        Ok((Self(ours), Self(theirs)))
    }

    /// Takes a descriptor that is one end.
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self(UnixStream::from(fd))
    }

    /// Returns the descriptor that is one end.
    pub fn into_fd(self) -> OwnedFd {
        OwnedFd::from(self.0)
    }

    /// The descriptor's number, to keep it open where all others are closed.
    pub fn number(&self) -> i32 {
        self.0.as_raw_fd()
    }

    /// Sends a value.
    ///
    /// # Errors
    /// [`Lost::Closed`] if nobody reads any more.
    pub fn send<T: Serialize>(&self, value: &T) -> Result<(), Lost> {
        self.send_bytes(&encode(value), None)
    }

    /// Sends what is encoded already, by `deadline` if there is one: who does not read must not hold the sender.
    ///
    /// # Errors
    /// See [`Lost`].
    pub fn send_bytes(&self, body: &[u8], deadline: Option<Instant>) -> Result<(), Lost> {
        let length = u32::try_from(body.len()).map_err(|_| Lost::Garbled)?.to_le_bytes();
        // One piece and one plain call: the runner may not make those that could pass a descriptor.
        let whole = [&length, body].concat();
        let mut rest = &whole[..];
        let mut flags = MsgFlags::MSG_NOSIGNAL;
        flags.set(MsgFlags::MSG_DONTWAIT, deadline.is_some());
        while !rest.is_empty() {
            match nix::sys::socket::send(self.0.as_raw_fd(), rest, flags) {
                Ok(sent) => rest = &rest[sent..],
                Err(nix::Error::EINTR) => {}
                Err(nix::Error::EAGAIN) if let Some(deadline) = deadline => {
                    wait_for(&self.0, PollFlags::POLLOUT, deadline)?;
                }
                Err(_) => return Err(Lost::Closed),
            }
        }
        Ok(())
    }

    /// Receives one message, by `deadline` if there is one.
    ///
    /// # Errors
    /// See [`Lost`].
    pub fn receive<T: DeserializeOwned>(&mut self, deadline: Option<Instant>) -> Result<T, Lost> {
        let mut length = [0; 4];
        self.fill(&mut length, deadline)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > MESSAGE_BYTES {
            return Err(Lost::Garbled);
        }
        // Small ones, nearly all, touch no fresh page.
        let (mut small, mut large) = ([0; 512], Vec::new());
        let body = if length <= small.len() {
            &mut small[..length]
        } else {
            large.resize(length, 0);
            &mut large[..]
        };
        self.fill(body, deadline)?;
        decode(body).ok_or(Lost::Garbled)
    }

    fn fill(&mut self, mut into: &mut [u8], deadline: Option<Instant>) -> Result<(), Lost> {
        while !into.is_empty() {
            if let Some(deadline) = deadline {
                wait_for(&self.0, PollFlags::POLLIN, deadline)?;
            }
            match self.0.read(into) {
                Ok(0) => return Err(Lost::Closed),
                Ok(count) => into = &mut into[count..],
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Lost::Closed),
            }
        }
        Ok(())
    }
}

fn wait_for(stream: &UnixStream, what: PollFlags, deadline: Instant) -> Result<(), Lost> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Lost::TimedOut);
        }
        // Rounded up, so that the last millisecond is not spent spinning.
        let timeout = PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(stream.as_fd(), what)], timeout) {
            Ok(0) | Err(nix::Error::EINTR) => {}
            Ok(_) => return Ok(()),
            Err(_) => return Err(Lost::Closed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::time::Duration;

    fn soon() -> Option<Instant> {
        Some(Instant::now() + Duration::from_millis(50))
    }

    /// Closes an end also where another test has just forked, and its child still holds it.
    fn close(channel: Channel) {
        channel.0.shutdown(std::net::Shutdown::Both).unwrap();
        drop(channel);
    }

    #[test]
    fn a_message_arrives_whole() {
        let (ours, mut theirs) = Channel::pair().unwrap();
        let text = "x".repeat(100_000);
        std::thread::scope(|scope| {
            scope.spawn(|| ours.send(&text).unwrap());
            assert_eq!(theirs.receive::<String>(None), Ok(text.clone()));
        });
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_memory_is_taken() {
        let (mut ours, mut theirs) = Channel::pair().unwrap();
        ours.0.write_all(&u32::MAX.to_le_bytes()).unwrap();
        assert_eq!(theirs.receive::<String>(soon()), Err(Lost::Garbled));
    }

    #[test]
    fn who_does_not_read_does_not_hold_the_sender() {
        let (ours, mut theirs) = Channel::pair().unwrap();
        let answer = vec![7; 64 * 1024];
        let sent = (0..100).map(|_| ours.send_bytes(&answer, soon())).find(Result::is_err);
        assert_eq!(sent, Some(Err(Lost::TimedOut)));
        // What was sent before is there.
        assert_eq!(theirs.receive::<[u8; 1]>(soon()), Ok([7]));
        close(theirs);
        assert_eq!(ours.send_bytes(&answer, soon()), Err(Lost::Closed));
    }

    #[test]
    fn half_a_message_does_not_hold_the_reader() {
        let (mut ours, mut theirs) = Channel::pair().unwrap();
        ours.0.write_all(&[9, 0, 0, 0, 1]).unwrap();
        assert_eq!(theirs.receive::<String>(soon()), Err(Lost::TimedOut));
        close(ours);
        assert_eq!(theirs.receive::<String>(soon()), Err(Lost::Closed));
    }
}
