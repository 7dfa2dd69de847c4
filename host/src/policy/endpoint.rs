//! `[endpoint.LABEL]`: a place where a program listens.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use super::key;
use super::kind;
use super::mistake::Mistake;
use super::reader::{Read, Reader, Value};
use super::template::{self, Template};
use super::url::{self, Host, Url};

/// Methods that a policy can grant.
const METHODS: [&str; 5] = ["GET", "HEAD", "POST", "PUT", "DELETE"];
/// Headers that a plugin may send where the policy says nothing: they change nothing but the answer's form.
pub(super) const HEADERS: [&str; 3] = ["accept", "content-type", "user-agent"];
/// Headers that are the host's, because they say where a request goes and where it ends.
const OWN: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Addresses that one name may stand for.
const ADDRESSES: usize = 16;
/// How long connecting and exchanging may take together where the policy says nothing, milliseconds.
const TIMEOUT_MS: u64 = 5_000;

/// A place that a label is bound to.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Where it is.
    pub place: Place,
    /// How long connecting and exchanging may take together, milliseconds.
    pub timeout_ms: u64,
}

/// Where somebody may listen.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// A TCP port.
    Tcp(Port),
    /// A UDP port.
    Udp(Port),
    /// A UNIX socket.
    Unix {
        /// Its path.
        path: Template,
        /// To whom it may belong, besides root.
        owner: Option<Template>,
        /// Who must listen there, if not anybody may.
        peer: Option<Template>,
    },
    /// A web address.
    Http(Http),
}

/// A web address, and what may be asked there.
#[derive(Clone, Debug, PartialEq)]
pub struct Http {
    /// The address, as text that [`Url`] reads.
    pub url: Template,
    /// The file of the authorities whose certificates count, where it may be asked in TLS.
    pub ca: Option<PathBuf>,
    /// Addresses by name, tried in this order.
    pub names: BTreeMap<String, Vec<IpAddr>>,
    /// Methods that may be used.
    pub methods: Vec<String>,
    /// Headers that may be sent, in lower case.
    pub headers: Vec<String>,
}

impl Place {
    /// Returns the key by which it is bound.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Tcp(_) => "tcp",
            Self::Udp(_) => "udp",
            Self::Unix { .. } => "unix",
            Self::Http(_) => "http",
        }
    }

    /// Returns the address and port that it is bound by, if it is.
    pub fn port(&self) -> Option<&Port> {
        match self {
            Self::Tcp(port) | Self::Udp(port) => Some(port),
            Self::Unix { .. } | Self::Http(_) => None,
        }
    }
}

/// An address and a port.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// An IP address.
    pub host: Template,
    /// A port.
    pub port: Template,
}

/// Reads one section.
#[cold]
#[inline(never)]
pub(super) fn endpoint(at: &mut Reader<'_, '_>) -> Read<Endpoint> {
    let tcp = at.decisive("tcp", |value| port(value).map(Place::Tcp));
    let udp = at.decisive("udp", |value| port(value).map(Place::Udp));
    let unix = at.decisive("unix", unix);
    let http = at.decisive("http", |value| http(at, value).map(Place::Http));
    if !at.has("http") {
        at.refuse(&["ca", "names", "method", "headers"], Mistake::HttpOnly)?;
    }
    let timeout_ms = at.optional("timeout", super::duration)?.unwrap_or(TIMEOUT_MS);
    let mut places: Vec<Place> = [tcp?, udp?, unix?, http?].into_iter().flatten().collect();
    match (places.pop(), places.is_empty()) {
        (Some(place), true) => Ok(Endpoint { place, timeout_ms }),
        _ => Err(at.wrong(&Mistake::Places)),
    }
}

#[cold]
#[inline(never)]
fn port(value: &Value<'_, '_>) -> Read<Port> {
    value.table(&key::PORT_AT, |at| {
        let host = at.required("host", template::address);
        let port = at.required("port", template::port)?;
        Ok(Port { host: host?, port })
    })
}

#[cold]
#[inline(never)]
fn unix(value: &Value<'_, '_>) -> Read<Place> {
    value.table(&key::UNIX, |at| {
        let path = at.required("path", template::socket);
        let owner = at.optional("owner", template::owner)?;
        let peer = at.optional("peer", template::owner)?;
        Ok(Place::Unix { path: path?, owner, peer })
    })
}

#[cold]
#[inline(never)]
fn http(at: &Reader<'_, '_>, value: &Value<'_, '_>) -> Read<Http> {
    let names = at.decisive("names", names).map(Option::unwrap_or_default);
    let ca = at.decisive("ca", kind::absolute);
    let url = address(at, value, names.as_ref().ok(), ca.as_ref().ok());
    let method = |value: &Value<'_, '_>| match METHODS.iter().find(|known| value.as_str() == Some(known)) {
        Some(known) => Ok((*known).to_owned()),
        None => Err(value.wrong(&Mistake::Method)),
    };
    let methods = at.optional("method", |value| value.some(&Mistake::NothingAsked, method))?;
    let headers = at.optional("headers", |value| value.some(&Mistake::NothingAsked, header))?;
    let words = |known: &[&str]| known.iter().map(|word| (*word).to_owned()).collect();
    Ok(Http {
        url: url?,
        ca: ca?,
        names: names?,
        methods: methods.unwrap_or_else(|| words(&METHODS[..2])),
        headers: headers.unwrap_or_else(|| words(&HEADERS)),
    })
}

/// Reads a web address, and what it demands of what stands beside it; that is none where it has a mistake of its own.
fn address(
    at: &Reader<'_, '_>,
    value: &Value<'_, '_>,
    names: Option<&BTreeMap<String, Vec<IpAddr>>>,
    ca: Option<&Option<PathBuf>>,
) -> Read<Template> {
    let url = template::url(value)?;
    let written = match url.as_literal().map(Url::parse) {
        Some(Ok(Url { host: Host::Name(name), .. })) => Some(name),
        _ => None,
    };
    let is_unnamed = |name: &&String| names.is_some_and(|names| !names.contains_key(*name));
    if let Some(name) = written.iter().chain(url.named_hosts()).find(is_unnamed) {
        return Err(value.wrong(&Mistake::Unnamed(name.clone())));
    }
    match (ca, url.may_be_secured()) {
        (Some(None), true) => return Err(value.wrong(&Mistake::NoCa)),
        (Some(Some(_)), false) => at.refuse(&["ca"], |_| Mistake::CaElsewhere)?,
        _ => {}
    }
    Ok(url)
}

fn header(value: &Value<'_, '_>) -> Read<String> {
    let name = value.string()?.to_ascii_lowercase();
    if OWN.contains(&name.as_str()) {
        return Err(value.wrong(&Mistake::OwnHeader));
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if (1..=64).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(name);
    }
    Err(value.wrong(&Mistake::Header))
}

fn names(value: &Value<'_, '_>) -> Read<BTreeMap<String, Vec<IpAddr>>> {
    let named = value.entries(|name, span, value| {
        if !url::is_name(name) {
            return Err(value.wrong_at(span, &Mistake::HostName));
        }
        let address = |value: &Value<'_, '_>| match super::address_of(value.string()?) {
            Some(address) => Ok(address),
            None => Err(value.wrong(&Mistake::Address)),
        };
        if value.length() > ADDRESSES {
            return Err(value.wrong(&Mistake::ManyAddresses(ADDRESSES)));
        }
        Ok((name.to_owned(), value.some(&Mistake::NoAddress, address)?))
    });
    Ok(named?.into_iter().collect())
}
