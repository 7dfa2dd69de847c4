//! Dangers of directories and endpoints: what a plugin reaches there itself, without a program in between.

use std::path::Path;

use super::pattern::{Pattern, Risk};
use super::{Found, given, holds_logs, is_wide, named, open, words};
use crate::policy::endpoint::HEADERS as HARMLESS;
use crate::policy::kind::{Kind, Network};
use crate::policy::template::{Argument, Origin, Source, Template};
use crate::policy::{Access, Host, Http, PathGrant, Place, Policy, Port, Program, Scheme, Url};

/// Who acts where nothing comes from outside.
const PLUGIN: &str = "the plugin";

/// What is found in one section.
struct Section<'a> {
    risk: &'static Risk,
    steps: [&'a str; 2],
    found: Vec<Found>,
}

impl Section<'_> {
    fn add(&mut self, more: &[&str], who: &str, what: String) {
        let steps = self.steps.iter().chain(more).map(|step| (*step).to_owned()).collect();
        self.found.push(Found { risk: self.risk, steps, who: who.to_owned(), what, user: "root".to_owned() });
    }
}

/// Finds one danger in all directories and endpoints.
pub(super) fn find(risk: &'static Risk, policy: &Policy) -> Vec<Found> {
    let paths = policy.paths.iter().flat_map(|(label, grant)| {
        let mut section = Section { risk, steps: ["path", label], found: Vec::new() };
        of_path(&mut section, grant, policy);
        section.found
    });
    let endpoints = policy.endpoints.iter().flat_map(|(label, endpoint)| {
        let mut section = Section { risk, steps: ["endpoint", label], found: Vec::new() };
        match &endpoint.place {
            Place::Tcp(at) | Place::Udp(at) => of_port(&mut section, endpoint.place.word(), at),
            Place::Unix { path, .. } => of_socket(&mut section, path),
            Place::Http(http) => of_web(&mut section, http),
        }
        section.found
    });
    paths.chain(endpoints).collect()
}

/// The directories that a grant is for, and who chooses among them: all that are below a parameter's place are meant.
fn directories(grant: &PathGrant) -> (String, Vec<String>) {
    let who = open(&grant.directory, &[]).map_or_else(|| PLUGIN.to_owned(), |open| open.who());
    match &grant.directory.source {
        Source::Open(_, Kind::Below(under)) => (who, vec![under.display().to_string()]),
        _ => (who, words(&grant.directory)),
    }
}

fn of_path(section: &mut Section<'_>, grant: &PathGrant, policy: &Policy) {
    let (who, directories) = directories(grant);
    let is_write = grant.access == Access::Write;
    for directory in directories {
        let is_below = |places: &[&str]| places.iter().any(|place| Path::new(&directory).starts_with(place));
        match &section.risk.pattern {
            Pattern::WideGrant if is_wide(Path::new(&directory)) && !(is_write && directory == "/var/log") => {
                section.add(&["directory"], &who, directory);
            }
            Pattern::Logs(logs) if is_write && holds_logs(Path::new(&directory), logs) => {
                section.add(&["directory"], PLUGIN, directory);
            }
            Pattern::Secrets if given::holds_secrets(Path::new(&directory)) => {
                section.add(&["directory"], PLUGIN, directory);
            }
            Pattern::WritesSettings(places) if is_write && is_below(places) => {
                section.add(&["directory"], PLUGIN, directory);
            }
            Pattern::WritesArgument if is_write => {
                for (label, program) in &policy.programs {
                    let Some(file) = told(program, Path::new(&directory)) else { continue };
                    section.add(
                        &["directory"],
                        PLUGIN,
                        format!("{file}, which the program of [program.{label}] is given"),
                    );
                    if let Some(found) = section.found.last_mut() {
                        found.user = named(&program.user);
                    }
                }
            }
            _ => {}
        }
    }
}

/// A file at or below a directory that a program is told of: as an argument, behind a prefix too, or as a parameter's
/// place.
pub(super) fn told(program: &Program, directory: &Path) -> Option<String> {
    let of = |template: &Template| match &template.source {
        Source::Literal(text) => {
            let path = &text[text.find('/')?..];
            Path::new(path).starts_with(directory).then(|| path.to_owned())
        }
        Source::Open(_, Kind::File(place) | Kind::Directory(place)) => {
            let meets = place.under.starts_with(directory) || directory.starts_with(&place.under);
            meets.then(|| format!("a file below {}", place.under.display()))
        }
        Source::Open(..) => None,
    };
    program.argv.iter().find_map(|argument| match argument {
        Argument::One(template) => of(template),
        Argument::Group(group) => group.iter().find_map(of),
    })
}

fn of_port(section: &mut Section<'_>, word: &str, at: &Port) {
    let (host, port) = (open(&at.host, &[]), open(&at.port, &[]));
    match &section.risk.pattern {
        Pattern::AnyAddress => {
            if let Some(host) = host
                && matches!(host.kind, Kind::Ip(within) if within.is_empty() || within.iter().any(Network::is_all))
            {
                section.add(&[word, "host"], &host.who(), String::new());
            }
        }
        Pattern::AnyPort => {
            if let Some(port) = port
                && port.is_of_plugin()
                && matches!(port.kind, Kind::Port { min: 1, max: u16::MAX })
            {
                let what = at.host.as_literal().unwrap_or("the address").to_owned();
                section.add(&[word, "port"], &port.who(), what);
            }
        }
        Pattern::Address(secret) => {
            if let Some(found) = words(&at.host).into_iter().find(|word| secret.contains(&word.as_str())) {
                section.add(&[word, "host"], "", found);
            }
        }
        _ => {}
    }
}

fn of_socket(section: &mut Section<'_>, path: &Template) {
    match &section.risk.pattern {
        Pattern::Socket(known) => {
            let found = words(path).into_iter().find(|path| known.iter().any(|known| path.ends_with(known)));
            if let Some(found) = found {
                section.add(&["unix", "path"], PLUGIN, found);
            }
        }
        Pattern::SocketBelow(wide) => {
            if let Some(open) = open(path, &[])
                && let Kind::Below(under) = open.kind
                && wide.iter().any(|wide| under == Path::new(wide))
            {
                section.add(&["unix", "path"], &open.who(), under.display().to_string());
            }
        }
        _ => {}
    }
}

/// Whether an address is another node's. What a name stands for is said elsewhere.
fn is_away(host: &Host) -> bool {
    matches!(host, Host::Address(address) if !address.is_loopback())
}

fn of_web(section: &mut Section<'_>, http: &Http) {
    let rule = match &http.url.source {
        Source::Open(origin, Kind::Url(rule)) => Some((origin, rule)),
        _ => None,
    };
    match &section.risk.pattern {
        Pattern::AnyAddress => {
            if let (Some(open), Some((_, rule))) = (open(&http.url, &[]), rule)
                && rule.networks.iter().any(Network::is_all)
            {
                section.add(&["http"], &open.who(), String::new());
            }
        }
        Pattern::Orders => {
            let orders: Vec<&str> =
                http.methods.iter().map(String::as_str).filter(|method| !matches!(*method, "GET" | "HEAD")).collect();
            if let (Some((Origin::Parameter(_), _)), Some(open)) = (rule, open(&http.url, &[]))
                && !orders.is_empty()
            {
                section.add(&["method"], &open.who(), orders.join(", "));
            }
        }
        Pattern::InTheClear => {
            let literal = http.url.as_literal().and_then(|url| Url::parse(url).ok());
            let schemes = literal.as_ref().map(|url| vec![url.scheme]).or(rule.map(|(_, rule)| rule.schemes.clone()));
            let is_away = literal.as_ref().is_some_and(|url| is_away(&url.host))
                || http.names.values().flatten().any(|address| !address.is_loopback())
                || rule.is_some_and(|(_, rule)| !rule.networks.iter().all(Network::is_loopback));
            let own = http.headers.iter().filter(|header| !HARMLESS.contains(&header.as_str())).map(String::as_str);
            let orders = http.methods.iter().map(String::as_str).filter(|method| !matches!(*method, "GET" | "HEAD"));
            let sent: Vec<&str> = orders.chain(own).collect();
            if schemes.is_some_and(|schemes| schemes.contains(&Scheme::Http)) && is_away && !sent.is_empty() {
                section.add(&["http"], PLUGIN, sent.join(", "));
            }
        }
        Pattern::Address(secret) => {
            let secret = secret.iter().filter_map(|text| crate::policy::address_of(text));
            let literal = http.url.as_literal().and_then(|url| Url::parse(url).ok());
            let found = secret.into_iter().find(|secret| {
                let is_meant = |url: &Url| matches!(url.host, Host::Address(host) if host == *secret);
                literal.as_ref().is_some_and(is_meant)
                    || http.names.values().flatten().any(|address| address == secret)
                    || rule.is_some_and(|(_, rule)| rule.networks.iter().any(|network| network.is_just(*secret)))
            });
            if let Some(found) = found {
                section.add(&["http"], "", found.to_string());
            }
        }
        _ => {}
    }
}
