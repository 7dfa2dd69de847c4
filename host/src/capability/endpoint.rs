//! `endpoint`: connecting to a place that the policy binds to a label, exchanging bytes, looking who listens.
//!
//! Never resolves names, never follows anything: the address is a number, and a UNIX socket an open descriptor, before
//! anything is connected. What must never enter here: the meaning of what a peer sent; the runner parses it.

mod authority;
mod http;
mod line;
mod listening;
mod tls;

pub use http::{Exchange, only_looks};
pub use tls::{Helper, PROGRAM as TLS};

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::policy::template::{Template, Unfit, Values};
use crate::policy::{Endpoint, Host, Http, Place, Port, Url, address_of};
use crate::seam::endpoint::{Reach, Reply, Until};
use crate::seam::{Answer, Error, Slot};
use crate::sys::user;

/// Bytes that are sent or received at most.
const EXCHANGE_BYTES: usize = 64 * 1024;
/// Bytes of one datagram: enough to ask, too few to carry much.
const DATAGRAM_BYTES: usize = 512;
/// Bytes that an answer may be searched for.
const MARK_BYTES: usize = 256;

/// A place that was checked, and until when to try.
#[derive(Debug)]
pub struct Permit {
    label: String,
    target: Target,
    until: Instant,
    by_action: bool,
}

/// Where to connect to.
#[derive(Debug)]
enum Target {
    Tcp(SocketAddr),
    Udp(SocketAddr),
    Unix(Socket),
    /// A web address, where it is, and what may be asked there.
    Web(Box<(Url, Vec<SocketAddr>, Http)>),
}

/// A UNIX socket.
#[derive(Debug)]
struct Socket {
    path: PathBuf,
    /// Who may own it besides root.
    owner: Option<u32>,
    /// Who must listen there.
    peer: Option<u32>,
}

/// Checks a label against the policy and fills its place in. `deadline` is the action's.
///
/// # Errors
/// `denied` if the label is not bound or a parameter does not fit; `invalid` for a slot that does not fit; `unavailable`
/// if a user of whom a socket must be is not on this node.
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
    let filled = |template: &Template| match template.fill(&values) {
        Ok(Some(value)) => Ok(value),
        Ok(None) => Err(super::unfit("endpoint", label, Unfit::Parameter("its parameter is not set".to_owned()))),
        Err(error) => Err(super::unfit("endpoint", label, error)),
    };
    let address = |at: &Port| match (address_of(&filled(&at.host)?), filled(&at.port)?.parse::<u16>()) {
        (Some(host), Ok(port)) => Ok(SocketAddr::new(host, port)),
        _ => Err(Error::Invalid(format!("endpoint {label}: not an address and port"))),
    };
    let target = match &endpoint.place {
        Place::Tcp(at) => Target::Tcp(address(at)?),
        Place::Udp(at) => Target::Udp(address(at)?),
        Place::Unix { path, owner, peer } => {
            let missing = |name| Error::Unavailable(format!("endpoint {label}: there is no user {name} on this node"));
            let uid = |user: &Option<Template>| {
                let name = user.as_ref().filter(|_| !user::is_alone()).map(filled).transpose()?;
                name.map(|name| user::account(&name).map(|user| user.uid).ok_or_else(|| missing(name))).transpose()
            };
            Target::Unix(Socket { owner: uid(owner)?, peer: uid(peer)?, path: PathBuf::from(filled(path)?) })
        }
        Place::Http(at) => {
            let refuse = |why: &str| Error::Denied(format!("endpoint {label}: its web address {why}"));
            let url = Url::parse(&filled(&at.url)?).map_err(refuse)?;
            let addresses = match &url.host {
                Host::Address(address) => vec![*address],
                Host::Name(name) => at.names.get(name).cloned().ok_or_else(|| refuse("has a name nobody looks up"))?,
            };
            let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, url.port)).collect();
            Target::Web(Box::new((url, addresses, at.clone())))
        }
    };
    let own = Instant::now() + Duration::from_millis(endpoint.timeout_ms);
    Ok(Permit { label: label.to_owned(), target, until: own.min(deadline), by_action: deadline < own })
}

/// What a binding names and this node lacks, as far as nothing has to be known of an instance. `programs` is the directory
/// of the programs that help.
pub fn lacking(endpoint: &Endpoint, label: &str, programs: &Path) -> Vec<String> {
    let Place::Http(Http { ca: Some(ca), .. }) = &endpoint.place else { return Vec::new() };
    let authorities = authority::read(ca).err().map(|why| format!("ca {why}"));
    let helper = Helper::open(&programs.join(tls::PROGRAM), None).err();
    authorities.into_iter().chain(helper).map(|why| format!("endpoint {label}: {why}")).collect()
}

/// Where it is, for who watches.
impl std::fmt::Display for Permit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.target {
            Target::Tcp(address) => write!(f, "tcp {address}"),
            Target::Udp(address) => write!(f, "udp {address}"),
            Target::Unix(socket) => write!(f, "unix {}", socket.path.display()),
            Target::Web(web) => write!(f, "http {:?}", web.1),
        }
    }
}

impl Permit {
    /// Whether what is sent goes out as a datagram, which nobody has agreed to receive.
    pub fn is_datagram(&self) -> bool {
        matches!(self.target, Target::Udp(_))
    }

    /// Connects and hangs up.
    ///
    /// # Errors
    /// `timed-out` at the deadline of the action; `denied`, `unavailable` for a socket that is not safe.
    pub fn connect(self) -> Answer<Reach> {
        match self.open()? {
            Ok(_) => Ok(Reach::Open),
            Err(reach) => self.in_time(reach),
        }
    }

    /// Connects, sends, receives until the answer is complete, hangs up.
    ///
    /// # Errors
    /// `invalid` for sizes out of range; else as [`Permit::connect`].
    pub fn exchange(self, send: &[u8], until: &Until) -> Answer<Reply> {
        let fits = match until {
            Until::Bytes(mark) => (1..=MARK_BYTES).contains(&mark.len()),
            Until::Size(size) => (1..=EXCHANGE_BYTES).contains(&(*size as usize)),
            Until::Closed => true,
        };
        if matches!(self.target, Target::Web(..)) {
            return Err(Error::Denied(format!("endpoint {}: granted as http, not for an exchange", self.label)));
        }
        let most = if self.is_datagram() { DATAGRAM_BYTES } else { EXCHANGE_BYTES };
        if !fits || send.len() > most {
            return Err(Error::Invalid(format!("endpoint {}: sizes out of range", self.label)));
        }
        let mut line = match self.open()? {
            Ok(line) => line,
            Err(reach) => return Ok(Reply { reach: self.in_time(reach)?, received: Vec::new() }),
        };
        let mut received = Vec::new();
        let reach = line.converse(send, until, &mut received);
        Ok(Reply { reach: self.in_time(reach)?, received })
    }

    /// Silence at the action's own deadline is no finding about the endpoint.
    fn in_time(&self, reach: Reach) -> Answer<Reach> {
        let is_over = Instant::now() >= self.until;
        if reach == Reach::Silent && self.by_action && is_over { Err(Error::TimedOut) } else { Ok(reach) }
    }
}

#[cfg(test)]
mod tests;
