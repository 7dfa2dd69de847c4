//! A connection, from its making to its end: bytes go and come, and nobody here knows what they mean.

use std::io::{Error as IoError, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, setsockopt, socket, sockopt};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::sys::time::{TimeVal, TimeValLike as _};

use super::{EXCHANGE_BYTES, Permit, Socket, Target};
use crate::seam::endpoint::{Reach, Until};
use crate::seam::{Answer, Error};
use crate::sys::trusted;

/// Somebody at the other end.
#[derive(Debug)]
pub(super) struct Line {
    kind: Kind,
    until: Instant,
}

/// What all streams can do, a UNIX stream of the standard library can.
#[derive(Debug)]
enum Kind {
    Stream(UnixStream),
    Datagrams(UdpSocket),
}

/// Why there is nobody.
fn reach_of(error: &IoError) -> Reach {
    match error.kind() {
        ErrorKind::ConnectionRefused | ErrorKind::NotFound => Reach::Refused,
        ErrorKind::TimedOut | ErrorKind::WouldBlock | ErrorKind::ConnectionReset => Reach::Silent,
        _ => Reach::Unreachable,
    }
}

impl Permit {
    /// Connects. That nobody is there is an answer.
    pub(super) fn open(&self) -> Answer<Result<Line, Reach>> {
        let Some(left) = remaining(self.until) else { return Ok(Err(Reach::Silent)) };
        let kind = match &self.target {
            Target::Tcp(address) => stream(address, left),
            Target::Web(web) => {
                // The first that takes the connection; else what the last one said.
                let mut last = Err(ErrorKind::AddrNotAvailable.into());
                for address in &web.1 {
                    let Some(left) = remaining(self.until) else { break };
                    last = stream(address, left);
                    if last.is_ok() {
                        break;
                    }
                }
                last
            }
            Target::Udp(address) => datagrams(*address).map(Kind::Datagrams),
            Target::Unix(socket) => {
                let Some(file) = self.open_socket(socket)? else { return Ok(Err(Reach::Refused)) };
                let stream = connect_to(&file, left);
                if let (Ok(stream), Some(peer)) = (&stream, socket.peer) {
                    self.is_right_peer(stream, peer)?;
                }
                stream.map(Kind::Stream)
            }
        };
        Ok(kind.map(|kind| Line { kind, until: self.until }).map_err(|error| reach_of(&error)))
    }

    /// Opens the file of a socket, which connects nothing. None if it is not there.
    pub(super) fn open_socket(&self, socket: &Socket) -> Answer<Option<OwnedFd>> {
        let (Some(above), Some(name)) = (socket.path.parent(), socket.path.file_name()) else { return Ok(None) };
        let refuse = |why: String| Error::Unavailable(format!("endpoint {}: {why}", self.label));
        let opened = trusted::open_directory(above, false).and_then(|above| {
            let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            Ok(openat(&above, name, flags, Mode::empty())?)
        });
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(refuse(format!("not safe: {error}"))),
        };
        let stat = fstat(&file).map_err(|error| refuse(error.to_string()))?;
        if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFSOCK {
            return Err(refuse("what is there is no socket".to_owned()));
        }
        if !trusted::is_root(stat.st_uid) && Some(stat.st_uid) != socket.owner {
            return Err(Error::Denied(format!(
                "endpoint {}: the socket belongs to user {}, neither to root nor to its `owner`",
                self.label, stat.st_uid
            )));
        }
        Ok(Some(file))
    }

    /// Whether the user that the policy names began to listen there.
    fn is_right_peer(&self, stream: &UnixStream, peer: u32) -> Answer<()> {
        match getsockopt(stream, sockopt::PeerCredentials) {
            Ok(found) if found.uid() == peer => Ok(()),
            Ok(found) => Err(Error::Denied(format!(
                "endpoint {}: user {} listens there, not its `peer`, which is user {peer}",
                self.label,
                found.uid()
            ))),
            Err(error) => Err(Error::Other(format!("endpoint {}: who listens there: {error}", self.label))),
        }
    }
}

fn remaining(until: Instant) -> Option<Duration> {
    Some(until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
}

fn stream(address: &SocketAddr, left: Duration) -> std::io::Result<Kind> {
    TcpStream::connect_timeout(address, left).map(|stream| Kind::Stream(OwnedFd::from(stream).into()))
}

fn datagrams(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    // What comes from elsewhere is not received.
    socket.connect(address)?;
    Ok(socket)
}

/// Connects to the socket that a descriptor stands for, whatever has its name by now.
fn connect_to(file: &OwnedFd, left: Duration) -> std::io::Result<UnixStream> {
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    let wait = TimeVal::microseconds(i64::try_from(left.as_micros()).unwrap_or(i64::MAX).max(1));
    setsockopt(&socket, sockopt::SendTimeout, &wait)?;
    let address = UnixAddr::new(format!("/proc/self/fd/{}", file.as_raw_fd()).as_str())?;
    loop {
        match connect(socket.as_raw_fd(), &address) {
            Ok(()) => return Ok(socket.into()),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

impl Line {
    /// Sends all of it.
    ///
    /// # Errors
    /// Who is there does not take it in time.
    pub(super) fn send(&mut self, mut bytes: &[u8]) -> Result<(), Reach> {
        while !bytes.is_empty() {
            let left = remaining(self.until).ok_or(Reach::Silent)?;
            let sent = match &mut self.kind {
                Kind::Stream(stream) => {
                    let _ = stream.set_write_timeout(Some(left));
                    stream.write(bytes)
                }
                Kind::Datagrams(socket) => {
                    let _ = socket.set_write_timeout(Some(left));
                    socket.send(bytes)
                }
            };
            match sent {
                Ok(sent) => bytes = &bytes[sent..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Err(Reach::Refused),
                Err(_) => return Err(Reach::Silent),
            }
        }
        Ok(())
    }

    /// Waits for bytes, at most as many as fit. None if the other side has closed.
    ///
    /// # Errors
    /// Nothing came in time, or nobody is there any more.
    pub(super) fn receive(&mut self, into: &mut [u8]) -> Result<Option<usize>, Reach> {
        loop {
            let left = remaining(self.until).ok_or(Reach::Silent)?;
            let came = match &mut self.kind {
                Kind::Stream(stream) => {
                    let _ = stream.set_read_timeout(Some(left));
                    stream.read(into).map(|count| Some(count).filter(|count| *count > 0))
                }
                Kind::Datagrams(socket) => {
                    let _ = socket.set_read_timeout(Some(left));
                    socket.recv(into).map(Some)
                }
            };
            match came {
                Ok(came) => return Ok(came),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Err(Reach::Refused),
                Err(_) => return Err(Reach::Silent),
            }
        }
    }

    /// Sends, and receives until the answer is complete.
    pub(super) fn converse(&mut self, send: &[u8], until: &Until, received: &mut Vec<u8>) -> Reach {
        if let Err(reach) = self.send(send) {
            return reach;
        }
        let has_no_end = matches!(self.kind, Kind::Datagrams(_));
        // A datagram that does not fit is cut off.
        let mut piece = vec![0; if has_no_end { EXCHANGE_BYTES } else { 4096 }];
        loop {
            let complete = match until {
                Until::Bytes(mark) => received.windows(mark.len()).any(|window| window == mark),
                Until::Size(size) => received.len() >= *size as usize,
                Until::Closed => has_no_end && !received.is_empty(),
            };
            if complete {
                return Reach::Open;
            }
            if received.len() >= EXCHANGE_BYTES {
                return Reach::Silent;
            }
            let room = piece.len().min(EXCHANGE_BYTES - received.len());
            match self.receive(&mut piece[..room]) {
                Ok(Some(count)) => received.extend_from_slice(&piece[..count]),
                Ok(None) if matches!(until, Until::Closed) => return Reach::Open,
                Ok(None) => return Reach::Silent,
                Err(reach) => return reach,
            }
        }
    }
}
