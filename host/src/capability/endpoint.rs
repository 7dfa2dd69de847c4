//! `endpoint`: connecting to an address and port that the policy binds to a label, and exchanging a few bytes.
//!
//! Never resolves names, never follows anything: the address is a number before the socket is made.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::policy::template::{Unfit, Values};
use crate::policy::{Endpoint, address_of};
use crate::seam::endpoint::{Reach, Reply, Until};
use crate::seam::{Answer, Error, Slot};

/// Bytes that are sent or received at most.
const EXCHANGE_BYTES: usize = 64 * 1024;
/// Bytes that an answer may be searched for.
const MARK_BYTES: usize = 256;

/// An address that was checked, and until when to try.
#[derive(Debug)]
pub struct Permit {
    address: SocketAddr,
    until: Instant,
    by_action: bool,
}

/// Checks a label against the policy and fills its address in. `deadline` is the action's.
///
/// # Errors
/// `denied` if the label is not bound or a parameter does not fit; `invalid` for a slot that does not fit.
pub fn permit(
    bound: &BTreeMap<String, Endpoint>,
    label: &str,
    slots: &[Slot],
    values: Values<'_>,
    deadline: Instant,
) -> Answer<Permit> {
    let endpoint = bound.get(label).ok_or_else(|| Error::Denied(format!("endpoint {label}: not granted")))?;
    let slots = super::pairs(slots);
    let values = Values { slots: &slots, ..values };
    let filled = |template: &crate::policy::template::Template| match template.fill(&values) {
        Ok(Some(value)) => Ok(value),
        Ok(None) => Err(super::unfit("endpoint", label, Unfit::Parameter("its parameter is not set".to_owned()))),
        Err(error) => Err(super::unfit("endpoint", label, error)),
    };
    let (host, port) = (filled(&endpoint.host)?, filled(&endpoint.port)?);
    let (Some(host), Ok(port)) = (address_of(&host), port.parse::<u16>()) else {
        return Err(Error::Invalid(format!("endpoint {label}: not an address and port")));
    };
    let own = Instant::now() + Duration::from_millis(endpoint.timeout_ms);
    Ok(Permit { address: SocketAddr::new(host, port), until: own.min(deadline), by_action: deadline < own })
}

impl Permit {
    /// Connects and hangs up.
    ///
    /// # Errors
    /// `timed-out` at the deadline of the action.
    pub fn connect(self) -> Answer<Reach> {
        match self.open() {
            Ok(_) => Ok(Reach::Open),
            Err(reach) => self.in_time(reach),
        }
    }

    /// Connects, sends, receives until the answer is complete, hangs up.
    ///
    /// # Errors
    /// `invalid` for sizes out of range; `timed-out` at the deadline of the action.
    pub fn exchange(self, send: &[u8], until: &Until) -> Answer<Reply> {
        let fits = match until {
            Until::Bytes(mark) => (1..=MARK_BYTES).contains(&mark.len()),
            Until::Size(size) => (1..=EXCHANGE_BYTES).contains(&(*size as usize)),
            Until::Closed => true,
        };
        if !fits || send.len() > EXCHANGE_BYTES {
            return Err(Error::Invalid("exchange: sizes out of range".to_owned()));
        }
        let mut stream = match self.open() {
            Ok(stream) => stream,
            Err(reach) => return Ok(Reply { reach: self.in_time(reach)?, received: Vec::new() }),
        };
        let mut received = Vec::new();
        let reach = self.converse(&mut stream, send, until, &mut received);
        Ok(Reply { reach: self.in_time(reach)?, received })
    }

    fn open(&self) -> Result<TcpStream, Reach> {
        let Some(left) = self.left() else { return Err(Reach::Silent) };
        TcpStream::connect_timeout(&self.address, left).map_err(|error| match error.kind() {
            ErrorKind::ConnectionRefused => Reach::Refused,
            ErrorKind::TimedOut | ErrorKind::WouldBlock => Reach::Silent,
            ErrorKind::ConnectionReset => Reach::Silent,
            _ => Reach::Unreachable,
        })
    }

    fn converse(&self, stream: &mut TcpStream, mut send: &[u8], until: &Until, received: &mut Vec<u8>) -> Reach {
        while !send.is_empty() {
            let Some(left) = self.left() else { return Reach::Silent };
            let _ = stream.set_write_timeout(Some(left));
            match stream.write(send) {
                Ok(sent) => send = &send[sent..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Reach::Silent,
            }
        }
        let mut piece = [0; 4096];
        loop {
            let complete = match until {
                Until::Bytes(mark) => received.windows(mark.len()).any(|window| window == mark),
                Until::Size(size) => received.len() >= *size as usize,
                Until::Closed => false,
            };
            if complete {
                return Reach::Open;
            }
            if received.len() >= EXCHANGE_BYTES {
                return Reach::Silent;
            }
            let Some(left) = self.left() else { return Reach::Silent };
            let _ = stream.set_read_timeout(Some(left));
            let room = piece.len().min(EXCHANGE_BYTES - received.len());
            match stream.read(&mut piece[..room]) {
                Ok(0) if matches!(until, Until::Closed) => return Reach::Open,
                Ok(0) => return Reach::Silent,
                Ok(count) => received.extend_from_slice(&piece[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Reach::Silent,
            }
        }
    }

    fn left(&self) -> Option<Duration> {
        Some(self.until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }

    /// Silence at the action's own deadline is no finding about the endpoint.
    fn in_time(&self, reach: Reach) -> Answer<Reach> {
        if reach == Reach::Silent && self.by_action && self.left().is_none() { Err(Error::TimedOut) } else { Ok(reach) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ocf::Parameters;
    use crate::policy::Policy;
    use std::net::TcpListener;

    fn ask(policy: &str, port: &str, wait: Duration) -> Answer<Permit> {
        let policy = Policy::parse(policy, std::path::Path::new("/p")).unwrap();
        let parameters = Parameters::from([("port".to_owned(), port.to_owned())]);
        let guest = crate::ocf::request::Guest::default();
        let values = Values { parameters: &parameters, slots: &[], node: "n", guest: &guest, instance: "i" };
        permit(&policy.endpoints, "e", &[], values, Instant::now() + wait)
    }

    fn bound(timeout: &str) -> String {
        format!(
            "format = 1\n[endpoint.e]\ntcp = {{ host = \"127.0.0.1\", port = {{ param = \"port\", port = {{ min = 1024 }} }} }}\ntimeout = \"{timeout}\"\n"
        )
    }

    #[test]
    fn denies_a_port_next_to_a_granted_one() {
        assert!(matches!(ask(&bound("1s"), "1023", Duration::from_secs(1)), Err(Error::Denied(_))));
    }

    #[test]
    fn nobody_there_is_an_answer() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        assert_eq!(ask(&bound("1s"), &port.to_string(), Duration::from_secs(5)).unwrap().connect(), Ok(Reach::Refused));
    }

    #[test]
    fn an_answer_is_complete_at_its_mark_and_silence_is_told_from_the_deadline() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let server = std::thread::spawn(move || {
            let mut kept = Vec::new();
            for _ in 0..3 {
                let (mut stream, _) = listener.accept().unwrap();
                stream.write_all(b"hello\nmore").unwrap();
                kept.push(stream);
            }
            kept
        });
        let line = ask(&bound("5s"), &port, Duration::from_secs(9)).unwrap();
        let reply = line.exchange(b"", &Until::Bytes(b"\n".to_vec())).unwrap();
        assert_eq!(reply.reach, Reach::Open);
        assert!(reply.received.starts_with(b"hello\n"));
        let silent = ask(&bound("50ms"), &port, Duration::from_secs(9)).unwrap();
        assert_eq!(silent.exchange(b"", &Until::Size(99)).unwrap().reach, Reach::Silent);
        let late = ask(&bound("5s"), &port, Duration::from_millis(50)).unwrap();
        assert_eq!(late.exchange(b"", &Until::Size(99)), Err(Error::TimedOut));
        drop(server.join().unwrap());
    }
}
