//! What a value from outside may be: its type, how one is written in a policy, and whether a value is of it.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::key::{self, Table};
use super::mistake::Mistake;
use super::reader::{Read, Reader, Value};
use super::url::{Host, Scheme, Url, check_target, is_name};
use crate::sys::{trusted, user};

/// Bytes of a value of type `text`, where the policy sets no other limit.
const TEXT_BYTES: usize = 4096;
/// The same for `name`.
const NAME_BYTES: usize = 64;
/// Bytes that the kernel takes as one argument, without the NUL at its end.
const ARGUMENT_BYTES: i64 = 131_071;

/// How types are called in a policy.
pub(super) const KINDS: [&str; 10] =
    ["one-of", "integer", "port", "name", "text", "file", "directory", "ip", "url", "duration"];

/// What it may be.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    OneOf(Vec<String>),
    Integer {
        min: i64,
        max: i64,
    },
    Port {
        min: u16,
        max: u16,
    },
    Name {
        max: usize,
    },
    Text {
        max: usize,
    },
    File(Place),
    Directory(Place),
    /// A path below this one, as text: who uses it follows no link on the way.
    Below(PathBuf),
    Ip(Vec<Network>),
    Url(UrlRule),
    Duration {
        max_ms: u64,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) under: PathBuf,
    pub(super) owner: Option<String>,
}

/// Which web addresses.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct UrlRule {
    pub(super) schemes: Vec<Scheme>,
    pub(super) networks: Vec<Network>,
    pub(super) names: Vec<String>,
    ports: Vec<u16>,
    path: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Kind {
    /// Returns what is passed on for a value: of a file or a directory, the path to what was looked at, which leads
    /// through no link; none where it is the value itself.
    ///
    /// # Errors
    /// Why the value is not of this type.
    pub(super) fn check(&self, value: &str) -> Result<Option<String>, String> {
        if value.chars().any(char::is_control) {
            return Err("has a control character".to_owned());
        }
        let fits = match self {
            Self::OneOf(words) => words.iter().any(|w| w == value),
            Self::Integer { min, max } => value.parse::<i64>().is_ok_and(|n| (*min..=*max).contains(&n)),
            Self::Port { min, max } => value.parse::<u16>().is_ok_and(|n| n > 0 && (*min..=*max).contains(&n)),
            Self::Name { max } => {
                (1..=*max).contains(&value.len())
                    && value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-'))
                    // Behind a prefix that ends with a slash they would be another directory.
                    && !matches!(value, "." | "..")
            }
            Self::Text { max } if value.len() > *max => {
                return Err(format!("has {} bytes and not at most {max}, as the policy wants it", value.len()));
            }
            Self::Text { .. } => true,
            Self::File(place) => return place.check(value, false).map(Some),
            Self::Directory(place) => return place.check(value, true).map(Some),
            Self::Below(under) => {
                let path = Path::new(value);
                is_plain_path(path) && path.starts_with(under)
            }
            Self::Ip(networks) => address_of(value).is_some_and(|address| is_granted(address, networks)),
            Self::Url(rule) => return rule.check(value).map(|()| None),
            Self::Duration { max_ms } => value.parse::<u64>().is_ok_and(|ms| ms <= *max_ms),
        };
        if fits { Ok(None) } else { Err(format!("is not {} as the policy wants it", self.word())) }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::OneOf(_) => "one of the words",
            Self::Integer { .. } => "a number within bounds",
            Self::Port { .. } => "a port within bounds",
            Self::Name { .. } => "a name",
            Self::Text { .. } => "a text",
            Self::File(_) => "a file",
            Self::Directory(_) => "a directory",
            Self::Below(_) => "a path below the directory",
            Self::Ip(_) => "an address",
            Self::Url(_) => "a web address",
            Self::Duration { .. } => "a duration",
        }
    }
}

/// Whether a path is absolute and says what it means without being looked up.
pub(super) fn is_plain_path(path: &Path) -> bool {
    path.is_absolute() && !path.components().any(|c| c == std::path::Component::ParentDir)
}

impl Place {
    /// The directory alone, if no owner was asked for.
    pub(super) fn as_text(&self) -> Option<PathBuf> {
        self.owner.is_none().then(|| self.under.clone())
    }

    /// Returns the path to it without links: another name would be looked up again by who gets it, and could lead to
    /// something else by then.
    fn check(&self, value: &str, directory: bool) -> Result<String, String> {
        let path = Path::new(value);
        if !is_plain_path(path) {
            return Err("is not an absolute path without `..`".to_owned());
        }
        let under = self.under.canonicalize().map_err(|e| format!("{}: {e}", self.under.display()))?;
        let real = path.canonicalize().map_err(|e| format!("{value}: {e}"))?;
        if !real.starts_with(&under) {
            return Err(format!("is not under {}", self.under.display()));
        }
        let text = real.to_str().filter(|text| !text.chars().any(char::is_control));
        let text = text.ok_or("leads to a name that is no text of one line")?;
        let facts = trusted::facts(&real).map_err(|e| format!("{value}: {e}"))?;
        let is_directory = facts.st_mode & 0o170_000 == 0o040_000;
        let is_file = facts.st_mode & 0o170_000 == 0o100_000;
        if directory && !is_directory || !directory && !is_file {
            return Err(format!("is not a {}", if directory { "directory" } else { "regular file" }));
        }
        let Some(owner) = self.owner.as_deref() else { return Ok(text.to_owned()) };
        let (is_owners, group) = match (owner, user::account(owner)) {
            ("root", _) => (trusted::is_root(facts.st_uid), 0),
            (_, Some(account)) => (account.uid == facts.st_uid, account.gid),
            (_, None) => (false, 0),
        };
        if !is_owners {
            return Err(format!("does not belong to {owner}"));
        }
        trusted::is_kept(&real, facts.st_uid, group).map_err(|error| format!("{error}, and could be replaced"))?;
        Ok(text.to_owned())
    }
}

impl UrlRule {
    fn check(&self, value: &str) -> Result<(), String> {
        let url = Url::parse(value).map_err(str::to_owned)?;
        if !self.schemes.contains(&url.scheme) {
            return Err(format!("is {}, which the policy does not list", url.scheme.word()));
        }
        let is_host_granted = match &url.host {
            Host::Address(address) => !self.networks.is_empty() && is_granted(*address, &self.networks),
            Host::Name(name) => self.names.contains(name),
        };
        if !is_host_granted {
            return Err("has a host that the policy does not list".to_owned());
        }
        if !self.ports.contains(&url.port) {
            return Err(format!("has port {}, which the policy does not list", url.port));
        }
        match &self.path {
            Some(path) if !url.is_below(path) => Err(format!("is not below {path}")),
            Some(_) | None => Ok(()),
        }
    }
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().ok()?)),
            None => (text, None),
        };
        let address = address_of(address)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(most);
        (prefix <= most).then_some(Self { address, prefix })
    }

    /// Whether it holds all addresses of its kind.
    pub(super) fn is_all(&self) -> bool {
        self.prefix == 0
    }

    /// Whether it holds nothing but this node's own addresses.
    pub(super) fn is_loopback(&self) -> bool {
        let least = if self.address.is_ipv4() { 8 } else { 128 };
        self.prefix >= least && self.address.is_loopback()
    }

    /// Whether it is this one address.
    pub(super) fn is_just(&self, address: IpAddr) -> bool {
        self.address == address && self.prefix == if address.is_ipv4() { 32 } else { 128 }
    }

    /// Whether it holds nothing but addresses of one [`special`] network.
    fn is_special(&self) -> bool {
        special(self.address).is_some_and(|prefix| self.prefix >= prefix)
    }

    fn holds(&self, address: IpAddr) -> bool {
        fn same(a: u128, b: u128, width: u32, prefix: u8) -> bool {
            prefix == 0 || (a ^ b) >> (width - u32::from(prefix)) == 0
        }
        match (self.address, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32, self.prefix),
            (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128, self.prefix),
            _ => false,
        }
    }
}

/// Whether networks hold an address; without any, all do but those that reach whoever happens to be near, for which
/// a network of nothing else has to be named.
pub(super) fn is_granted(address: IpAddr, networks: &[Network]) -> bool {
    if special(address).is_some() {
        return networks.iter().any(|network| network.is_special() && network.holds(address));
    }
    networks.is_empty() || networks.iter().any(|network| network.holds(address))
}

/// Where clouds hand out credentials to whoever asks from this node: Amazon and most others (the first is link-local too),
/// Alibaba, Oracle, Azure, then Amazon and Google by IPv6.
pub(super) const CLOUDS: [&str; 6] =
    ["169.254.169.254", "100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254"];

/// The prefix of the network in which an address stands for no one node: unspecified, link-local, multicast, broadcast,
/// an IPv4 address in disguise that nobody routes any more; or the metadata of a cloud. None for an address of a node.
fn special(address: IpAddr) -> Option<u8> {
    let network = match address {
        IpAddr::V4(v4) if v4.octets()[0] == 0 => Some(8),
        IpAddr::V4(v4) if v4.is_link_local() => Some(16),
        IpAddr::V4(v4) if v4.is_multicast() => Some(4),
        IpAddr::V4(v4) => v4.is_broadcast().then_some(32),
        IpAddr::V6(v6) if v6.to_bits() >> 32 == 0 && !v6.is_loopback() => Some(96),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Some(10),
        IpAddr::V6(v6) => v6.is_multicast().then_some(8),
    };
    let is_cloud = || CLOUDS.iter().any(|cloud| address_of(cloud) == Some(address));
    network.or_else(|| is_cloud().then_some(if address.is_ipv4() { 32 } else { 128 }))
}

/// Reads an address strictly; an IPv4 address in IPv6 clothes is the IPv4 address.
pub fn address_of(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().map(|a| a.to_canonical())
}

/// Reads the one type of an open value.
pub(super) fn kind(at: &Reader<'_, '_>) -> Read<Kind> {
    let mut kinds = Vec::new();
    kinds.extend(at.decisive("one-of", |v| {
        let words = v.some(&Mistake::NoWord, |w| Ok(w.string()?.to_owned()));
        Ok(Kind::OneOf(words?))
    })?);
    kinds.extend(at.decisive("integer", |v| {
        let (min, max) = range(v, &key::INTEGER, i64::MIN, i64::MAX)?;
        Ok(Kind::Integer { min, max })
    })?);
    kinds.extend(at.decisive("port", |v| {
        let (min, max) = range(v, &key::PORT, 1, 65535)?;
        Ok(Kind::Port { min: u16::try_from(min).unwrap_or(1), max: u16::try_from(max).unwrap_or(u16::MAX) })
    })?);
    kinds.extend(at.decisive("name", |v| Ok(Kind::Name { max: length(v, &key::NAME, NAME_BYTES)? }))?);
    kinds.extend(at.decisive("text", |v| Ok(Kind::Text { max: length(v, &key::TEXT, TEXT_BYTES)? }))?);
    kinds.extend(at.decisive("file", |v| place(v).map(Kind::File))?);
    kinds.extend(at.decisive("directory", |v| place(v).map(Kind::Directory))?);
    kinds.extend(at.decisive("ip", |v| {
        let network = |n: &Value<'_, '_>| Network::parse(n.string()?).ok_or_else(|| n.wrong(&Mistake::Network));
        let within = |v: &Value<'_, '_>| v.some(&Mistake::NoNetwork, network);
        v.table(&key::IP, |b| Ok(Kind::Ip(b.optional("within", within)?.unwrap_or_default())))
    })?);
    kinds.extend(at.decisive("url", url_rule)?);
    kinds.extend(at.decisive("duration", |v| {
        let max_ms = v.table(&key::DURATION, |b| b.optional("max", super::duration))?;
        Ok(Kind::Duration { max_ms: max_ms.unwrap_or(u64::MAX) })
    })?);
    match (kinds.pop(), kinds.is_empty()) {
        (Some(kind), true) => Ok(kind),
        (None, _) => Err(at.wrong(&Mistake::NoType)),
        (Some(_), false) => Err(at.wrong(&Mistake::TwoTypes)),
    }
}

fn range(value: &Value<'_, '_>, keys: &'static Table, least: i64, most: i64) -> Read<(i64, i64)> {
    value.table(keys, |at| {
        let bound = |key| at.optional(key, |v| v.integer(least, most));
        let (min, max) = (bound("min")?.unwrap_or(least), bound("max")?.unwrap_or(most));
        if min > max { Err(at.wrong(&Mistake::EmptyRange)) } else { Ok((min, max)) }
    })
}

fn length(value: &Value<'_, '_>, keys: &'static Table, default: usize) -> Read<usize> {
    let max = value.table(keys, |at| at.optional("max", |v| v.integer(1, ARGUMENT_BYTES)))?;
    Ok(max.and_then(|n| usize::try_from(n).ok()).unwrap_or(default))
}

#[cold]
#[inline(never)]
fn url_rule(value: &Value<'_, '_>) -> Read<Kind> {
    value.table(&key::URL, |at| {
        let schemes = at.optional("scheme", |v| v.some(&Mistake::NoScheme, scheme))?;
        let schemes = schemes.unwrap_or_else(|| vec![Scheme::Http]);
        let mut rule = UrlRule { schemes, networks: Vec::new(), names: Vec::new(), ports: Vec::new(), path: None };
        let hosts = at.required("host", |v| {
            v.some(&Mistake::NoHost, |host| {
                let text = host.string()?;
                match Network::parse(text) {
                    Some(network) => rule.networks.push(network),
                    None if is_name(text) => rule.names.push(text.to_owned()),
                    None => return Err(host.wrong(&Mistake::Host)),
                }
                Ok(())
            })
        });
        let port = |p: &Value<'_, '_>| p.integer(1, 65535).map(|n| u16::try_from(n).unwrap_or(0));
        let ports = at.required("port", |v| v.some(&Mistake::NoPort, port));
        rule.path = at.optional("path", |v| match v.string()? {
            path if path.starts_with('/') && !path.contains('?') && check_target(path).is_ok() => Ok(path.to_owned()),
            _ => Err(v.wrong(&Mistake::UrlPath)),
        })?;
        hosts?;
        rule.ports = ports?;
        Ok(Kind::Url(rule))
    })
}

fn scheme(value: &Value<'_, '_>) -> Read<Scheme> {
    let word = value.string()?;
    let known = Scheme::ALL.into_iter().find(|scheme| scheme.word() == word);
    known.ok_or_else(|| value.wrong(&Mistake::Scheme(word.to_owned())))
}

fn place(value: &Value<'_, '_>) -> Read<Place> {
    value.table(&key::PLACE, |at| {
        let under = at.required("under", absolute);
        let owner = at.optional("owner", |v| Ok(v.string()?.to_owned()))?;
        Ok(Place { under: under?, owner })
    })
}

/// Reads an absolute path.
pub(super) fn absolute(value: &Value<'_, '_>) -> Read<PathBuf> {
    let path = PathBuf::from(value.string()?);
    if !is_plain_path(&path) {
        return Err(value.wrong(&Mistake::NotAbsolute));
    }
    if path.to_string_lossy().contains(['*', '?', '[']) {
        return Err(value.wrong(&Mistake::Wildcard));
    }
    Ok(path)
}
