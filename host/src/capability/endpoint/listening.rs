//! Who listens on this node, as the kernel tells it: nothing is connected, and no service notices.
//!
//! The kernel is asked over netlink (`sock_diag`), since the files in /proc do not say whether a socket of all IPv6 addresses
//! takes IPv4 too, and grow with every connection.

use std::io::{Error as IoError, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Instant;

use nix::sys::socket::{AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType};
use nix::sys::socket::{SockaddrLike as _, recvfrom, send, setsockopt, socket, sockopt};
use nix::sys::stat::fstat;
use nix::sys::time::{TimeVal, TimeValLike as _};

use super::{Permit, Target};
use crate::seam::{Answer, Error};

/// Bytes of one answer of the kernel: it fills at most 32 KiB of it.
const DUMP_BYTES: usize = 64 * 1024;
/// Of `linux/netlink.h` and `linux/sock_diag.h`.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST_DUMP: u16 = 0x301;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// Numbers of protocols, and of states in a mask (`net/tcp_states.h`): a UDP socket without a peer is closed.
const TCP: u8 = 6;
const UDP: u8 = 17;
const LISTEN: u32 = 1 << 10;
const CLOSE: u32 = 1 << 7;
/// Attributes of `linux/inet_diag.h` and `linux/unix_diag.h`, and what of a UNIX socket is shown.
const SKV6ONLY: u16 = 11;
const UNIX_NAME: u16 = 0;
const UNIX_VFS: u16 = 1;
const SHOW_NAME_AND_VFS: u32 = 3;

impl Permit {
    /// Whether somebody of this node listens there.
    ///
    /// # Errors
    /// `denied`, `unavailable` for a socket that is not safe; `other` if the kernel does not tell, which says nothing of
    /// what is installed.
    pub fn listening(self) -> Answer<bool> {
        let found = match &self.target {
            Target::Tcp(address) => inet(*address, TCP, LISTEN, self.until),
            Target::Udp(address) => inet(*address, UDP, CLOSE, self.until),
            Target::Web(web) => {
                let mut all = web.1.iter();
                let any = all.find_map(|address| match inet(*address, TCP, LISTEN, self.until) {
                    Ok(false) => None,
                    other => Some(other),
                });
                any.unwrap_or(Ok(false))
            }
            Target::Unix(socket) => match self.open_socket(socket)? {
                Some(file) => {
                    fstat(&file).map_err(IoError::from).and_then(|stat| unix(stat.st_ino, &socket.path, self.until))
                }
                None => Ok(false),
            },
        };
        found.map_err(|error| match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut if self.by_action => Error::TimedOut,
            _ => Error::Other(format!("endpoint {}: the kernel does not tell who listens: {error}", self.label)),
        })
    }
}

/// Whether a socket takes what comes to an address and a port of this node.
fn inet(wanted: SocketAddr, protocol: u8, states: u32, until: Instant) -> std::io::Result<bool> {
    let mut found = false;
    let families = match wanted {
        SocketAddr::V4(_) => &[libc::AF_INET, libc::AF_INET6][..],
        SocketAddr::V6(_) => &[libc::AF_INET6],
    };
    for family in families {
        let mut request = [0; 56];
        request[0] = u8::try_from(*family).unwrap_or(0);
        request[1] = protocol;
        request[4..8].copy_from_slice(&states.to_ne_bytes());
        request[8..10].copy_from_slice(&wanted.port().to_be_bytes());
        dump(&request, until, |message| found |= Socket::read(message).is_some_and(|socket| socket.takes(wanted)))?;
    }
    Ok(found && is_here(wanted.ip())?)
}

/// A socket as the kernel shows it.
struct Socket {
    family: i32,
    local: SocketAddr,
    /// Whether one of IPv6 takes nothing of IPv4.
    v6_only: bool,
}

impl Socket {
    /// Reads an `inet_diag_msg`.
    fn read(message: &[u8]) -> Option<Self> {
        let family = i32::from(*message.first()?);
        let port = u16::from_be_bytes(message.get(4..6)?.try_into().ok()?);
        let ip = match family {
            libc::AF_INET => IpAddr::from(<[u8; 4]>::try_from(message.get(8..12)?).ok()?),
            libc::AF_INET6 => IpAddr::from(<[u8; 16]>::try_from(message.get(8..24)?).ok()?),
            _ => return None,
        };
        let v6_only = attribute(message.get(72..)?, SKV6ONLY).is_some_and(|value| value.first() == Some(&1));
        Some(Self { family, local: SocketAddr::new(ip.to_canonical(), port), v6_only })
    }

    fn takes(&self, wanted: SocketAddr) -> bool {
        if self.local.port() != wanted.port() {
            return false;
        }
        let is_for_all = match (self.local.ip(), wanted.ip()) {
            (IpAddr::V4(own), IpAddr::V4(_)) => own.is_unspecified(),
            (IpAddr::V6(own), IpAddr::V6(_)) => own.is_unspecified(),
            (IpAddr::V6(own), IpAddr::V4(_)) => own.is_unspecified() && !self.v6_only && self.family == libc::AF_INET6,
            (IpAddr::V4(_), IpAddr::V6(_)) => false,
        };
        is_for_all || self.local.ip() == wanted.ip()
    }
}

/// Whether an address is one of this node's: a socket of all addresses takes what comes to these.
fn is_here(address: IpAddr) -> std::io::Result<bool> {
    if address.is_loopback() || address.is_unspecified() {
        return Ok(true);
    }
    let own = nix::ifaddrs::getifaddrs()?.filter_map(|interface| interface.address);
    let mut own = own.filter_map(|address| match (address.as_sockaddr_in(), address.as_sockaddr_in6()) {
        (Some(v4), _) => Some(IpAddr::V4(v4.ip())),
        (_, Some(v6)) => Some(IpAddr::V6(v6.ip())),
        (None, None) => None,
    });
    Ok(own.any(|own| own == address))
}

/// Whether somebody listens at a socket's file. Another file of the same name, or the same number elsewhere, is not it.
fn unix(inode: u64, path: &Path, until: Instant) -> std::io::Result<bool> {
    let mut request = [0; 24];
    request[0] = u8::try_from(libc::AF_UNIX).unwrap_or(0);
    request[4..8].copy_from_slice(&LISTEN.to_ne_bytes());
    request[12..16].copy_from_slice(&SHOW_NAME_AND_VFS.to_ne_bytes());
    let file_name = path.file_name().map(|name| name.as_bytes().to_vec());
    let mut found = false;
    dump(&request, until, |message| {
        let attributes = message.get(16..).unwrap_or_default();
        let shown =
            attribute(attributes, UNIX_VFS).and_then(|vfs| vfs.get(..4)?.try_into().ok()).map(u32::from_ne_bytes);
        let bound = attribute(attributes, UNIX_NAME).unwrap_or_default();
        let bound = bound.split(|byte| *byte == 0).next().unwrap_or_default();
        let last = bound.rsplit(|byte| *byte == b'/').next();
        // The kernel shows the lower half of the number.
        let is_file = shown.is_some_and(|shown| u64::from(shown) == inode & u64::from(u32::MAX));
        found |= is_file && last == file_name.as_deref();
    })?;
    Ok(found)
}

/// Asks the kernel and shows each message of its answer.
fn dump(request: &[u8], until: Instant, mut each: impl FnMut(&[u8])) -> std::io::Result<()> {
    let protocol = SockProtocol::NetlinkSockDiag;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    let left = until.saturating_duration_since(Instant::now());
    let wait = TimeVal::microseconds(i64::try_from(left.as_micros()).unwrap_or(i64::MAX).max(1));
    setsockopt(&socket, sockopt::ReceiveTimeout, &wait)?;
    let mut message = Vec::with_capacity(16 + request.len());
    message.extend_from_slice(&u32::try_from(16 + request.len()).unwrap_or(0).to_ne_bytes());
    message.extend_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    message.extend_from_slice(&NLM_F_REQUEST_DUMP.to_ne_bytes());
    message.extend_from_slice(&[0; 8]);
    message.extend_from_slice(request);
    send(socket.as_raw_fd(), &message, MsgFlags::empty())?;
    let mut buffer = vec![0; DUMP_BYTES];
    loop {
        let (length, from) = recvfrom::<NetlinkAddr>(socket.as_raw_fd(), &mut buffer)?;
        // Anybody may write to a netlink socket; the kernel has the number 0.
        if from.is_none_or(|from| from.family() != Some(AddressFamily::Netlink) || from.pid() != 0) {
            continue;
        }
        let mut rest = &buffer[..length.min(DUMP_BYTES)];
        while let Some((kind, body, next)) = first(rest) {
            match kind {
                NLMSG_DONE => return Ok(()),
                NLMSG_ERROR => {
                    let code = body.get(..4).and_then(|code| code.try_into().ok()).map_or(0, i32::from_ne_bytes);
                    return Err(IoError::from_raw_os_error(-code));
                }
                SOCK_DIAG_BY_FAMILY => each(body),
                _ => {}
            }
            rest = next;
        }
    }
}

/// Splits the first netlink message off: its kind, what it holds, and what follows.
fn first(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
    let next = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((kind, bytes.get(16..length)?, next))
}

/// Finds an attribute among those behind a message's head.
fn attribute(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(bytes.get(2..4)?.try_into().ok()?);
        let value = bytes.get(4..length)?;
        if kind == wanted {
            return Some(value);
        }
        bytes = bytes.get(length.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::net::UnixListener;
    use std::time::Duration;

    use nix::sys::socket::{Backlog, SockaddrIn6, bind, getsockname, listen};

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    fn is_taken(address: &str, port: u16) -> bool {
        inet(SocketAddr::new(address.parse().unwrap(), port), TCP, LISTEN, soon()).unwrap()
    }

    #[test]
    fn who_listens_is_seen_and_nobody_else() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(is_taken("127.0.0.1", port));
        assert!(!is_taken("127.0.0.2", port) && !is_taken("::1", port));
        // A connection from or to that port listens to nobody.
        let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        assert!(!is_taken("127.0.0.1", client.local_addr().unwrap().port()));
        drop(listener);
        assert!(!is_taken("127.0.0.1", port));
        drop(accepted);
        let all = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = all.local_addr().unwrap().port();
        assert!(is_taken("127.0.0.1", port) && is_taken("127.9.9.9", port) && !is_taken("::1", port));
        // No node has an address that is reserved for documents (RFC 5737).
        assert!(!is_taken("192.0.2.1", port));
    }

    #[test]
    fn a_socket_of_all_ipv6_addresses_takes_ipv4_or_not_as_it_was_made() {
        for v6_only in [false, true] {
            let listener = socket(AddressFamily::Inet6, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
            setsockopt(&listener, sockopt::Ipv6V6Only, &v6_only).unwrap();
            let any = SockaddrIn6::from(std::net::SocketAddrV6::new(std::net::Ipv6Addr::UNSPECIFIED, 0, 0, 0));
            bind(listener.as_raw_fd(), &any).unwrap();
            listen(&listener, Backlog::new(1).unwrap()).unwrap();
            let port = getsockname::<SockaddrIn6>(listener.as_raw_fd()).unwrap().port();
            assert!(is_taken("::1", port));
            assert_eq!(is_taken("127.0.0.1", port), !v6_only);
        }
    }

    #[test]
    fn a_udp_port_is_taken_by_who_waits_for_all() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let is_taken = || inet(address, UDP, CLOSE, soon()).unwrap();
        assert!(is_taken());
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(other.local_addr().unwrap()).unwrap();
        assert!(!is_taken(), "one that talks to one peer only");
        drop(socket);
        assert!(!is_taken());
    }

    /// A directory that goes away, also after a failure.
    struct Gone(std::path::PathBuf);

    impl Drop for Gone {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_unix_socket_is_known_by_its_file() {
        let gone = Gone(std::env::temp_dir().join(format!("ocf-wasm-listening-{}", std::process::id())));
        let directory = &gone.0;
        std::fs::create_dir_all(directory).unwrap();
        let path = directory.join("socket");
        let ask = || {
            let stat = nix::sys::stat::lstat(&path).unwrap();
            unix(stat.st_ino, &path, soon()).unwrap()
        };
        let first = UnixListener::bind(&path).unwrap();
        assert!(ask());
        // A file of that name that nobody listens at, while the first still waits behind its lost name.
        std::fs::rename(&path, directory.join("away")).unwrap();
        drop(UnixListener::bind(&path).unwrap());
        assert!(!ask());
        drop(first);
    }

    #[test]
    fn what_is_cut_off_is_not_read_beyond() {
        let whole = [12_u32.to_ne_bytes().as_slice(), &[0; 8], &[8, 0, 11, 0, 1, 0, 0, 0]].concat();
        for length in 0..whole.len() {
            let _ = first(&whole[..length]);
            let _ = attribute(&whole[..length], 11);
            let _ = Socket::read(&whole[..length]);
        }
        assert_eq!(attribute(&[8, 0, 9, 0, 7, 7, 7, 7, 5, 0, 11, 0, 1], 11), Some([1].as_slice()));
        assert_eq!(attribute(&[0; 8], 11), None);
        assert_eq!(attribute(&[9, 0, 11, 0, 1], 11), None);
    }

    proptest::proptest! {
        #[test]
        fn no_message_makes_it_fail(bytes in proptest::collection::vec(0_u8.., 0..200)) {
            let _ = (first(&bytes), attribute(&bytes, 11), Socket::read(&bytes));
        }
    }
}
