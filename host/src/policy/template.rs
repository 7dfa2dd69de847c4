//! Values that the policy leaves open: for a parameter of the instance, a slot of the plugin, a fact of the host.
//!
//! Each has a type. The host fills it in, checks it, and passes it as one whole argument: nothing is ever split,
//! expanded or handed to a shell. A value never begins with `-` unless a literal prefix of the policy stands before it.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::reader::{Read, Reader, Value};
use crate::ocf::Parameters;
use crate::ocf::description::is_secret;

/// Bytes of a value of type `text`, where the policy sets no other limit.
const TEXT_BYTES: usize = 4096;

/// One value: literal, or filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    prefix: String,
    source: Source,
}

#[derive(Clone, Debug, PartialEq)]
enum Source {
    Literal(String),
    Open(Origin, Kind),
}

/// Where an open value comes from.
#[derive(Clone, Debug, PartialEq)]
enum Origin {
    Parameter(String),
    Slot(String),
    Node,
    Instance,
}

/// What it may be.
#[derive(Clone, Debug, PartialEq)]
enum Kind {
    OneOf(Vec<String>),
    Integer { min: i64, max: i64 },
    Port { min: u16, max: u16 },
    Name { max: usize },
    Text { max: usize },
    File(Place),
    Directory(Place),
    Ip(Vec<Network>),
    Duration { max_ms: u64 },
}

#[derive(Clone, Debug, PartialEq)]
struct Place {
    under: PathBuf,
    owner: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
struct Network {
    address: IpAddr,
    prefix: u8,
}

/// A part of an argument vector.
#[derive(Clone, Debug, PartialEq)]
pub enum Argument {
    /// Always there.
    One(Template),
    /// Left out as a whole unless each value in it is set.
    Group(Vec<Template>),
}

impl Argument {
    /// Whether nothing has to be known to fill it in.
    pub fn is_literal(&self) -> bool {
        match self {
            Self::One(template) => template.is_literal(),
            Self::Group(group) => group.iter().all(Template::is_literal),
        }
    }
}

/// What can be filled in.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// Canonical parameters of the instance.
    pub parameters: &'a Parameters,
    /// What the plugin passed.
    pub slots: &'a [(String, String)],
    /// This node.
    pub node: &'a str,
    /// The instance.
    pub instance: &'a str,
}

/// Why a value was refused.
#[derive(Debug, PartialEq, Eq)]
pub enum Unfit {
    /// The operator's parameter does not fit the policy.
    Parameter(String),
    /// The plugin's slot does not fit.
    Slot(String),
}

impl Template {
    /// Whether nothing has to be known to fill it in.
    pub fn is_literal(&self) -> bool {
        self.as_literal().is_some()
    }

    /// Returns the value, if nothing has to be known to fill it in.
    pub fn as_literal(&self) -> Option<&str> {
        match &self.source {
            Source::Literal(text) => Some(text),
            Source::Open(..) => None,
        }
    }

    fn literal(text: &str) -> Self {
        Self { prefix: String::new(), source: Source::Literal(text.to_owned()) }
    }

    /// Returns the slot's name if it is one.
    pub fn slot(&self) -> Option<&str> {
        match &self.source {
            Source::Open(Origin::Slot(name), _) => Some(name),
            Source::Open(..) | Source::Literal(_) => None,
        }
    }

    /// Returns the value, none if its parameter is not set.
    ///
    /// # Errors
    /// If the value does not fit its type.
    pub fn fill(&self, values: &Values<'_>) -> Result<Option<String>, Unfit> {
        let (origin, kind) = match &self.source {
            Source::Literal(text) => return Ok(Some(text.clone())),
            Source::Open(origin, kind) => (origin, kind),
        };
        let value = match origin {
            Origin::Parameter(name) => values.parameters.get(name).map(String::as_str),
            Origin::Slot(name) => values.slots.iter().find(|(slot, _)| slot == name).map(|(_, value)| value.as_str()),
            Origin::Node => Some(values.node),
            Origin::Instance => Some(values.instance),
        };
        let unfit = |text: String| match origin {
            Origin::Slot(name) => Unfit::Slot(format!("slot {name}: {text}")),
            Origin::Parameter(name) => Unfit::Parameter(format!("parameter {name}: {text}")),
            Origin::Node => Unfit::Parameter(format!("node name: {text}")),
            Origin::Instance => Unfit::Parameter(format!("instance name: {text}")),
        };
        let Some(value) = value else {
            return match origin {
                Origin::Slot(name) => Err(Unfit::Slot(format!("slot {name} is not filled"))),
                Origin::Parameter(_) | Origin::Node | Origin::Instance => Ok(None),
            };
        };
        kind.check(value).map_err(unfit)?;
        if value.starts_with('-') && self.prefix.is_empty() {
            return Err(unfit("begins with `-`".to_owned()));
        }
        Ok(Some(format!("{}{value}", self.prefix)))
    }
}

/// Fills an argument vector. Slots that no template names are refused.
///
/// # Errors
/// See [`Unfit`].
pub fn fill_all(arguments: &[Argument], values: &Values<'_>) -> Result<Vec<String>, Unfit> {
    let mut filled = Vec::new();
    for argument in arguments {
        match argument {
            Argument::One(template) => match template.fill(values)? {
                Some(value) => filled.push(value),
                None => return Err(Unfit::Parameter("a parameter that an argument needs is not set".to_owned())),
            },
            Argument::Group(group) => {
                let values: Result<Vec<_>, _> = group.iter().map(|template| template.fill(values)).collect();
                if let Some(all) = values?.into_iter().collect::<Option<Vec<_>>>() {
                    filled.extend(all);
                }
            }
        }
    }
    Ok(filled)
}

impl Kind {
    fn check(&self, value: &str) -> Result<(), String> {
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
            }
            Self::Text { max } => value.len() <= *max,
            Self::File(place) => return place.check(value, false),
            Self::Directory(place) => return place.check(value, true),
            Self::Ip(networks) => {
                address_of(value).is_some_and(|a| networks.is_empty() || networks.iter().any(|n| n.holds(a)))
            }
            Self::Duration { max_ms } => value.parse::<u64>().is_ok_and(|ms| ms <= *max_ms),
        };
        if fits { Ok(()) } else { Err(format!("is not {} as the policy wants it", self.word())) }
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
            Self::Ip(_) => "an address",
            Self::Duration { .. } => "a duration",
        }
    }
}

impl Place {
    fn check(&self, value: &str, directory: bool) -> Result<(), String> {
        let path = Path::new(value);
        if !path.is_absolute() || path.components().any(|c| c == std::path::Component::ParentDir) {
            return Err("is not an absolute path without `..`".to_owned());
        }
        let under = self.under.canonicalize().map_err(|e| format!("{}: {e}", self.under.display()))?;
        let real = path.canonicalize().map_err(|e| format!("{value}: {e}"))?;
        if !real.starts_with(&under) {
            return Err(format!("is not under {}", self.under.display()));
        }
        let facts = crate::sys::trusted::facts(&real).map_err(|e| format!("{value}: {e}"))?;
        let is_directory = facts.st_mode & 0o170_000 == 0o040_000;
        let is_file = facts.st_mode & 0o170_000 == 0o100_000;
        if directory && !is_directory || !directory && !is_file {
            return Err(format!("is not a {}", if directory { "directory" } else { "regular file" }));
        }
        match self.owner.as_deref() {
            None => Ok(()),
            Some("root") if crate::sys::trusted::is_root(facts.st_uid) => Ok(()),
            Some(owner) if crate::sys::user::account(owner).is_some_and(|u| u.uid == facts.st_uid) => Ok(()),
            Some(owner) => Err(format!("does not belong to {owner}")),
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

/// Reads an address strictly; an IPv4 address in IPv6 clothes is the IPv4 address.
pub fn address_of(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().map(|a| a.to_canonical())
}

/// Reads an argument vector.
pub(super) fn arguments(value: &Value<'_, '_>) -> Read<Vec<Argument>> {
    let one = |value: &Value<'_, '_>| {
        if value.is_table() { open(value, Use::Argument) } else { Ok(Template::literal(value.string()?)) }
    };
    value
        .array()?
        .iter()
        .map(|item| {
            if item.is_array() {
                Ok(Argument::Group(item.array()?.iter().map(one).collect::<Read<_>>()?))
            } else {
                one(item).map(Argument::One)
            }
        })
        .collect()
}

/// Reads a program: an absolute path, or a parameter with `one-of` or `file`.
pub(super) fn program(value: &Value<'_, '_>) -> Read<Template> {
    if value.is_table() {
        return open(value, Use::Program);
    }
    absolute(value).map(|path| Template::literal(&path.to_string_lossy()))
}

/// Reads a user: a name, or a parameter with `one-of`.
pub(super) fn user(value: &Value<'_, '_>) -> Read<Template> {
    if value.is_table() {
        return open(value, Use::User);
    }
    match value.string()? {
        "" => Err(value.wrong("fill in the user that this program is to run as; there is no default")),
        name => Ok(Template::literal(name)),
    }
}

/// Reads an IP address: literal, or a parameter or slot with `ip`.
pub(super) fn address(value: &Value<'_, '_>) -> Read<Template> {
    if value.is_table() {
        return open(value, Use::Address);
    }
    match address_of(value.string()?) {
        Some(address) => Ok(Template::literal(&address.to_string())),
        None => Err(value.wrong("an IP address, such as \"127.0.0.1\" or \"::1\"; names are not resolved")),
    }
}

/// Reads a port: literal, or a parameter or slot with `port`.
pub(super) fn port(value: &Value<'_, '_>) -> Read<Template> {
    if value.is_table() {
        return open(value, Use::Port);
    }
    value.integer(1, 65535).map(|port| Template::literal(&port.to_string()))
}

/// Variables that make the loader or an interpreter run other code.
fn is_loader_variable(name: &str) -> bool {
    name.starts_with("LD_")
        || matches!(
            name,
            "GCONV_PATH" | "LOCPATH" | "NLSPATH" | "BASH_ENV" | "ENV" | "IFS" | "SHELLOPTS" | "BASHOPTS" | "PS4"
        )
        || matches!(
            name,
            "PYTHONPATH" | "PYTHONHOME" | "PYTHONSTARTUP" | "PERL5LIB" | "PERL5OPT" | "RUBYLIB" | "RUBYOPT"
        )
        || matches!(name, "NODE_OPTIONS" | "NODE_PATH" | "GLIBC_TUNABLES" | "MALLOC_TRACE" | "HOSTALIASES" | "TMPDIR")
}

/// Reads an environment.
pub(super) fn environment(value: &Value<'_, '_>) -> Read<Vec<(String, Template)>> {
    value.open_table(|table| {
        let mut variables = Vec::new();
        for (name, span, value) in table.entries() {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty() || !name.chars().all(plain) || name.starts_with(|c: char| c.is_ascii_digit()) {
                return Err(value.wrong_at(span, "a variable's name is letters, digits and `_`"));
            }
            if is_loader_variable(name) {
                return Err(value.wrong_at(span, "refused: this variable makes programs load or run other code"));
            }
            let template =
                if value.is_table() { open(&value, Use::Environment)? } else { Template::literal(value.string()?) };
            variables.push((name.to_owned(), template));
        }
        Ok(variables)
    })
}

/// What an open value is for, which decides what types it may have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Argument,
    Environment,
    Program,
    User,
    Address,
    Port,
}

const KINDS: [&str; 9] = ["one-of", "integer", "port", "name", "text", "file", "directory", "ip", "duration"];
const OPEN_KEYS: [&str; 13] = [
    "param",
    "slot",
    "fact",
    "prefix",
    "one-of",
    "integer",
    "port",
    "name",
    "text",
    "file",
    "directory",
    "ip",
    "duration",
];

fn open(value: &Value<'_, '_>, used: Use) -> Read<Template> {
    value.table(&OPEN_KEYS, |at| {
        let origins = ["param", "slot", "fact"].iter().filter(|key| at.has(key)).count();
        if origins != 1 {
            return Err(at.wrong("exactly one of `param`, `slot` and `fact` says where the value comes from"));
        }
        let prefix = at.optional("prefix", |v| Ok(v.string()?.to_owned()))?.unwrap_or_default();
        if !prefix.is_empty() && used != Use::Argument {
            return Err(at.wrong("`prefix` is for arguments"));
        }
        if let Some(origin) = at.optional("fact", fact)? {
            if used != Use::Argument && used != Use::Environment {
                return Err(at.wrong("a fact can be an argument or a variable"));
            }
            if KINDS.iter().any(|kind| at.has(kind)) {
                return Err(at.wrong("a fact has no type"));
            }
            return Ok(Template { prefix, source: Source::Open(origin, Kind::Text { max: 255 }) });
        }
        let origin = match at.optional("param", |v| Ok(v.string()?.to_owned()))? {
            Some(name) => Origin::Parameter(name),
            None => Origin::Slot(at.required("slot", |v| Ok(v.string()?.to_owned()))?),
        };
        if let Origin::Parameter(name) = &origin
            && is_secret(name)
            && used != Use::Environment
        {
            return Err(
                at.wrong("a secret parameter may be passed in `environment` only: arguments can be read by everybody")
            );
        }
        let kind = kind(at)?;
        let fits = match used {
            Use::Argument | Use::Environment => true,
            Use::Program => matches!(kind, Kind::OneOf(_) | Kind::File(_)),
            Use::User => matches!(kind, Kind::OneOf(_)),
            Use::Address => matches!(kind, Kind::Ip(_) | Kind::OneOf(_)),
            Use::Port => matches!(kind, Kind::Port { .. } | Kind::OneOf(_)),
        };
        if !fits {
            return Err(at.wrong(match used {
                Use::Program => "a program from outside needs `one-of` or `file = { under = ... }`",
                Use::User => "a user from outside needs `one-of`",
                Use::Address => "an address from outside needs `ip` or `one-of`",
                Use::Port | Use::Argument | Use::Environment => "a port from outside needs `port` or `one-of`",
            }));
        }
        if used == Use::Program
            && let Kind::OneOf(words) = &kind
            && !words.iter().all(|w| w.starts_with('/'))
        {
            return Err(at.wrong("each program is an absolute path"));
        }
        Ok(Template { prefix, source: Source::Open(origin, kind) })
    })
}

fn fact(value: &Value<'_, '_>) -> Read<Origin> {
    match value.string()? {
        "node" => Ok(Origin::Node),
        "instance" => Ok(Origin::Instance),
        _ => Err(value.wrong("a fact is \"node\" or \"instance\"")),
    }
}

fn kind(at: &Reader<'_, '_>) -> Read<Kind> {
    let mut kinds = Vec::new();
    kinds.extend(at.optional("one-of", |v| {
        let words: Vec<String> = v.array()?.iter().map(|w| Ok(w.string()?.to_owned())).collect::<Read<_>>()?;
        if words.is_empty() { Err(v.wrong("no word: nothing could ever be passed")) } else { Ok(Kind::OneOf(words)) }
    })?);
    kinds.extend(at.optional("integer", |v| {
        v.table(&["min", "max"], |b| {
            let min = b.optional("min", |v| v.integer(i64::MIN, i64::MAX))?.unwrap_or(i64::MIN);
            let max = b.optional("max", |v| v.integer(i64::MIN, i64::MAX))?.unwrap_or(i64::MAX);
            Ok(Kind::Integer { min, max })
        })
    })?);
    kinds.extend(at.optional("port", |v| {
        v.table(&["min", "max"], |b| {
            let bound = |key, default| {
                let read = b.optional(key, |v| v.integer(1, 65535))?;
                Ok(read.and_then(|n| u16::try_from(n).ok()).unwrap_or(default))
            };
            Ok(Kind::Port { min: bound("min", 1)?, max: bound("max", 65535)? })
        })
    })?);
    let length = |b: &Reader<'_, '_>, default: usize| {
        let read = b.optional("max", |v| v.integer(1, 131_071))?;
        Ok(read.and_then(|n| usize::try_from(n).ok()).unwrap_or(default))
    };
    kinds.extend(at.optional("name", |v| v.table(&["max"], |b| Ok(Kind::Name { max: length(b, 64)? })))?);
    kinds.extend(at.optional("text", |v| v.table(&["max"], |b| Ok(Kind::Text { max: length(b, TEXT_BYTES)? })))?);
    kinds.extend(at.optional("file", |v| place(v).map(Kind::File))?);
    kinds.extend(at.optional("directory", |v| place(v).map(Kind::Directory))?);
    kinds.extend(at.optional("ip", |v| {
        v.table(&["within"], |b| {
            let within = b.optional("within", |v| {
                v.array()?
                    .iter()
                    .map(|n| Network::parse(n.string()?).ok_or_else(|| n.wrong("a network such as \"10.1.0.0/16\"")))
                    .collect::<Read<Vec<_>>>()
            })?;
            Ok(Kind::Ip(within.unwrap_or_default()))
        })
    })?);
    kinds.extend(at.optional("duration", |v| {
        v.table(&["max"], |b| {
            let max = b.optional("max", |v| {
                crate::ocf::parameter::duration_ms(v.string()?).ok_or_else(|| v.wrong("a duration such as \"10s\""))
            })?;
            Ok(Kind::Duration { max_ms: max.unwrap_or(u64::MAX) })
        })
    })?);
    match (kinds.pop(), kinds.is_empty()) {
        (Some(kind), true) => Ok(kind),
        (None, _) => Err(at.wrong(&format!("a value from outside needs a type: one of {}", KINDS.join(", ")))),
        (Some(_), false) => Err(at.wrong("more than one type")),
    }
}

fn place(value: &Value<'_, '_>) -> Read<Place> {
    value.table(&["under", "owner"], |at| {
        let under = at.required("under", absolute)?;
        let owner = at.optional("owner", |v| Ok(v.string()?.to_owned()))?;
        Ok(Place { under, owner })
    })
}

fn absolute(value: &Value<'_, '_>) -> Read<PathBuf> {
    let path = PathBuf::from(value.string()?);
    if !path.is_absolute() || path.components().any(|c| c == std::path::Component::ParentDir) {
        return Err(value.wrong("an absolute path without `..`"));
    }
    if path.to_string_lossy().contains(['*', '?', '[']) {
        return Err(value.wrong("wildcards are not expanded: name one path"));
    }
    Ok(path)
}
