//! Values that the policy leaves open: for a parameter of the instance, a slot of the plugin, a fact of the host.
//!
//! Each has a type. The host fills it in, checks it, and passes it as one whole argument: nothing is ever split,
//! expanded or handed to a shell. A value never begins with `-` unless a literal prefix of the policy stands before it.

use std::path::Path;

use super::key;
use super::kind::{KINDS, Kind, absolute, address_of, is_plain_path, kind};
use super::mistake::Mistake;
use super::reader::{Read, Value};
use super::url::{Scheme, Url};
use crate::ocf::Parameters;
use crate::ocf::description::is_secret;
use crate::ocf::request::Guest;

/// One value: literal, or filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    pub(super) prefix: String,
    pub(super) source: Source,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Source {
    Literal(String),
    Open(Origin, Kind),
}

/// Where an open value comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Origin {
    Parameter(String),
    Slot(String),
    Node,
    Instance,
    PhysicalHost,
    AttributeTarget,
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
    /// What it is besides a node.
    pub guest: &'a Guest,
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

    /// Whether it may be a web address that is asked in TLS.
    pub(super) fn may_be_secured(&self) -> bool {
        match &self.source {
            Source::Literal(text) => Url::parse(text).is_ok_and(|url| url.scheme == Scheme::Https),
            Source::Open(_, Kind::Url(rule)) => rule.schemes.contains(&Scheme::Https),
            Source::Open(..) => false,
        }
    }

    /// Returns the names that a web address from outside may have as its host.
    pub(super) fn named_hosts(&self) -> &[String] {
        match &self.source {
            Source::Open(_, Kind::Url(rule)) => &rule.names,
            Source::Open(..) | Source::Literal(_) => &[],
        }
    }

    /// The paths that it can become, or below which all of these are, as far as the policy says them.
    pub(super) fn paths(&self) -> Vec<&Path> {
        match &self.source {
            Source::Literal(text) => vec![Path::new(text)],
            Source::Open(_, Kind::OneOf(words)) => words.iter().map(Path::new).collect(),
            Source::Open(_, Kind::File(place) | Kind::Directory(place)) => vec![&place.under],
            Source::Open(_, Kind::Below(under)) => vec![under],
            Source::Open(..) => Vec::new(),
        }
    }

    fn literal(text: &str) -> Self {
        Self { prefix: String::new(), source: Source::Literal(text.to_owned()) }
    }

    /// What its value comes from, in words.
    #[cold]
    fn named(&self) -> String {
        match &self.source {
            Source::Open(Origin::Parameter(name), _) => format!("parameter {name}"),
            Source::Open(Origin::Slot(name), _) => format!("slot {name}"),
            Source::Open(Origin::Node, _) => "fact node".to_owned(),
            Source::Open(Origin::Instance, _) => "fact instance".to_owned(),
            Source::Open(Origin::PhysicalHost, _) => "fact physical-host".to_owned(),
            Source::Open(Origin::AttributeTarget, _) => "fact container-attribute-target".to_owned(),
            Source::Literal(text) => text.clone(),
        }
    }

    /// Returns the slot's name if it is one.
    pub fn slot(&self) -> Option<&str> {
        match &self.source {
            Source::Open(Origin::Slot(name), _) => Some(name),
            Source::Open(..) | Source::Literal(_) => None,
        }
    }

    /// Returns the value, none if its parameter is not set or there is no such fact here. A file or a directory is
    /// returned by the path that was checked, which leads through no link, whatever name it was given by.
    ///
    /// # Errors
    /// If the value does not fit its type.
    pub fn fill(&self, values: &Values<'_>) -> Result<Option<String>, Unfit> {
        Ok(self.checked(values)?.map(|(named, real)| real.unwrap_or(named)))
    }

    /// Returns the same by the name that it was given: for a program, which may look at what it is called as. Who uses
    /// it follows no link but those that root alone could have made.
    ///
    /// # Errors
    /// If the value does not fit its type.
    pub fn fill_as_named(&self, values: &Values<'_>) -> Result<Option<String>, Unfit> {
        Ok(self.checked(values)?.map(|(named, _)| named))
    }

    /// The value as it was given, and what it leads to where that was looked at.
    fn checked(&self, values: &Values<'_>) -> Result<Option<(String, Option<String>)>, Unfit> {
        let (origin, kind) = match &self.source {
            Source::Literal(text) => return Ok(Some((text.clone(), None))),
            Source::Open(origin, kind) => (origin, kind),
        };
        let value = match origin {
            Origin::Parameter(name) => values.parameters.get(name).map(String::as_str),
            Origin::Slot(name) => values.slots.iter().find(|(slot, _)| slot == name).map(|(_, value)| value.as_str()),
            Origin::Node => Some(values.node),
            Origin::Instance => Some(values.instance),
            Origin::PhysicalHost => values.guest.physical_host.as_deref(),
            Origin::AttributeTarget => values.guest.attribute_target.as_deref(),
        };
        let unfit = |text: String| match origin {
            Origin::Slot(name) => Unfit::Slot(format!("slot {name}: {text}")),
            Origin::Parameter(name) => Unfit::Parameter(format!("parameter {name}: {text}")),
            Origin::Node => Unfit::Parameter(format!("node name: {text}")),
            Origin::Instance => Unfit::Parameter(format!("instance name: {text}")),
            Origin::PhysicalHost => Unfit::Parameter(format!("physical host: {text}")),
            Origin::AttributeTarget => Unfit::Parameter(format!("container attribute target: {text}")),
        };
        let Some(value) = value else {
            return match origin {
                Origin::Slot(name) => Err(Unfit::Slot(format!("slot {name} is not filled"))),
                _ => Ok(None),
            };
        };
        let real = kind.check(value).map_err(unfit)?;
        if value.starts_with('-') && self.prefix.is_empty() {
            return Err(unfit("begins with `-`".to_owned()));
        }
        Ok(Some((format!("{}{value}", self.prefix), real.map(|real| format!("{}{real}", self.prefix)))))
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
                None => {
                    return Err(Unfit::Parameter(format!("{} is not set, and an argument needs it", template.named())));
                }
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

/// Reads an argument vector.
pub(super) fn arguments(value: &Value<'_, '_>) -> Read<Vec<Argument>> {
    let one = |value: &Value<'_, '_>| {
        if value.is_table() { open(value, Use::Argument) } else { Ok(Template::literal(value.string()?)) }
    };
    value.list(|item| match item.is_array() {
        true => item.list(one).map(Argument::Group),
        false => one(item).map(Argument::One),
    })
}

/// Reads a program: an absolute path, or a parameter with `one-of` or `file`.
pub(super) fn program(value: &Value<'_, '_>) -> Read<Template> {
    if value.is_table() {
        return open(value, Use::Program);
    }
    absolute(value).map(|path| Template::literal(&path.to_string_lossy()))
}

/// Reads an interpreter: an absolute path and its first arguments, all literal.
pub(super) fn interpreter(value: &Value<'_, '_>) -> Read<Vec<String>> {
    let mut is_first = true;
    value.some(&Mistake::NoInterpreter, |word| match std::mem::replace(&mut is_first, false) {
        true => absolute(word).map(|path| path.to_string_lossy().into_owned()),
        false => word.string().map(str::to_owned),
    })
}

/// Reads a directory: an absolute path, or a parameter with `one-of` or `directory`, which is compared as text: who acts
/// on it follows no link on the way there.
pub(super) fn directory(value: &Value<'_, '_>) -> Read<Template> {
    if value.is_table() {
        return open(value, Use::Directory);
    }
    absolute(value).map(|path| Template::literal(&path.to_string_lossy()))
}

/// Reads the path of a socket: as [`directory`], with `file` in the place of `directory`.
pub(super) fn socket(value: &Value<'_, '_>) -> Read<Template> {
    if value.is_table() {
        return open(value, Use::Socket);
    }
    absolute(value).map(|path| Template::literal(&path.to_string_lossy()))
}

/// Reads a web address: literal, or a parameter or slot with `url`.
pub(super) fn url(value: &Value<'_, '_>) -> Read<Template> {
    if value.is_table() {
        return open(value, Use::Url);
    }
    let text = value.string()?;
    match Url::parse(text) {
        Ok(_) => Ok(Template::literal(text)),
        Err(why) => Err(value.wrong(&Mistake::Url(why))),
    }
}

/// Reads a user: a name, or a parameter with `one-of`.
pub(super) fn user(value: &Value<'_, '_>) -> Read<Template> {
    if value.is_table() {
        return open(value, Use::User);
    }
    match value.string()? {
        "" => Err(value.wrong(&Mistake::NoUser)),
        name => Ok(Template::literal(name)),
    }
}

/// Reads whom something belongs to: as [`user`], but one that may be left out.
pub(super) fn owner(value: &Value<'_, '_>) -> Read<Template> {
    match value.is_table() || !value.string()?.is_empty() {
        true => user(value),
        false => Err(value.wrong(&Mistake::NoOwner)),
    }
}

/// Reads a place: an absolute path, or a parameter with `file` or `directory`.
pub(super) fn place(value: &Value<'_, '_>) -> Read<Template> {
    if value.is_table() {
        return open(value, Use::Place);
    }
    absolute(value).map(|path| Template::literal(&path.to_string_lossy()))
}

/// Reads an IP address: literal, or a parameter or slot with `ip`.
pub(super) fn address(value: &Value<'_, '_>) -> Read<Template> {
    if value.is_table() {
        return open(value, Use::Address);
    }
    match address_of(value.string()?) {
        Some(address) => Ok(Template::literal(&address.to_string())),
        None => Err(value.wrong(&Mistake::Address)),
    }
}

/// Reads a port: literal, or a parameter or slot with `port`.
pub(super) fn port(value: &Value<'_, '_>) -> Read<Template> {
    if value.is_table() {
        return open(value, Use::Port);
    }
    value.integer(1, 65535).map(|port| Template::literal(&port.to_string()))
}

/// Reads the value of a variable: a text, or an open value.
pub(super) fn variable(value: &Value<'_, '_>) -> Read<Template> {
    if value.is_table() { open(value, Use::Environment) } else { Ok(Template::literal(value.string()?)) }
}

/// What an open value is for, which decides what types it may have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Argument,
    Environment,
    Program,
    Directory,
    Socket,
    Url,
    User,
    Address,
    Port,
    Place,
}

fn open(value: &Value<'_, '_>, used: Use) -> Read<Template> {
    value.table(&key::OPEN, |at| {
        let origins = ["param", "slot", "fact"].iter().filter(|key| at.has(key)).count();
        if origins != 1 {
            return Err(at.wrong(&Mistake::Origin));
        }
        let prefix = at.decisive("prefix", |v| Ok(v.string()?.to_owned()))?.unwrap_or_default();
        if !prefix.is_empty() && used != Use::Argument {
            return Err(at.wrong(&Mistake::PrefixElsewhere));
        }
        if let Some(origin) = at.decisive("fact", fact)? {
            if used != Use::Argument && used != Use::Environment {
                return Err(at.wrong(&Mistake::FactElsewhere));
            }
            if KINDS.iter().any(|kind| at.has(kind)) {
                return Err(at.wrong(&Mistake::FactTyped));
            }
            return Ok(Template { prefix, source: Source::Open(origin, Kind::Text { max: 255 }) });
        }
        let origin = match at.decisive("param", |v| Ok(v.string()?.to_owned()))? {
            Some(name) => Origin::Parameter(name),
            None => Origin::Slot(at.required("slot", |v| Ok(v.string()?.to_owned()))?),
        };
        if let Origin::Parameter(name) = &origin
            && is_secret(name)
            && used != Use::Environment
        {
            return Err(at.wrong(&Mistake::Secret));
        }
        let kind = match kind(at)? {
            Kind::Directory(place) if used == Use::Directory => match place.as_text() {
                Some(place) => Kind::Below(place),
                None => return Err(at.wrong(&Mistake::DirectoryOwner)),
            },
            Kind::File(place) if used == Use::Socket => match place.as_text() {
                Some(place) => Kind::Below(place),
                None => return Err(at.wrong(&Mistake::SocketOwner)),
            },
            other => other,
        };
        let fits = match used {
            Use::Argument | Use::Environment => !matches!(kind, Kind::Url(_)),
            Use::Program => matches!(kind, Kind::OneOf(_) | Kind::File(_)),
            Use::Directory | Use::Socket => matches!(kind, Kind::OneOf(_) | Kind::Below(_)),
            Use::Url => matches!(kind, Kind::Url(_)),
            Use::User => matches!(kind, Kind::OneOf(_)),
            Use::Place => matches!(kind, Kind::File(_) | Kind::Directory(_)),
            Use::Address => matches!(kind, Kind::Ip(_) | Kind::OneOf(_)),
            Use::Port => matches!(kind, Kind::Port { .. } | Kind::OneOf(_)),
        };
        if !fits {
            return Err(at.wrong(&match used {
                Use::Program => Mistake::ProgramType,
                Use::Directory => Mistake::DirectoryType,
                Use::Socket => Mistake::SocketType,
                Use::Url => Mistake::UrlType,
                Use::User => Mistake::UserType,
                Use::Address => Mistake::AddressType,
                Use::Argument | Use::Environment => Mistake::UrlElsewhere,
                Use::Place => Mistake::PlaceType,
                Use::Port => Mistake::PortType,
            }));
        }
        if matches!(used, Use::Program | Use::Directory | Use::Socket)
            && let Kind::OneOf(words) = &kind
            && !words.iter().all(|w| is_plain_path(Path::new(w)))
        {
            return Err(at.wrong(&Mistake::RelativeWord));
        }
        Ok(Template { prefix, source: Source::Open(origin, kind) })
    })
}

fn fact(value: &Value<'_, '_>) -> Read<Origin> {
    match value.string()? {
        "node" => Ok(Origin::Node),
        "instance" => Ok(Origin::Instance),
        "physical-host" => Ok(Origin::PhysicalHost),
        "container-attribute-target" => Ok(Origin::AttributeTarget),
        _ => Err(value.wrong(&Mistake::Fact)),
    }
}
