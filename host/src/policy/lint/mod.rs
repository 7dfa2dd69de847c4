//! What somebody could do with each dangerous grant, in one sentence: a table of patterns, and who finds them.
//!
//! A policy is the operator's word, so nothing here refuses: `check` and `install` say it, and the operator decides.
//! What must never enter here: a pattern that the format does not have, or a sentence for what every daemon needs.

use std::collections::BTreeMap;
use std::path::{Component, Path};

mod grants;
mod names;
mod pattern;
mod places;
mod rights;
mod risks;
mod units;
mod values;
mod views;

pub(super) use names::{INTERPRETERS, LOADERS};
use pattern::{Pattern, Risk};
pub(super) use risks::RISKS;
pub use units::{UnitFacts, of_unit};
pub use values::refused;

use super::diagnostic::{Diagnostic, Severity};
use super::given;
use super::kind::{Kind, Place};
use super::template::{Argument, Origin, Source, Template};
use super::{Policy, Program, place};

/// A danger that was found, and where.
struct Found {
    risk: &'static Risk,
    steps: Vec<String>,
    who: String,
    what: String,
    user: String,
}

/// One danger of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The name of the danger, which does not change.
    pub risk: &'static str,
    /// Where it is, what somebody could do, and what to write in its place.
    pub told: Diagnostic,
}

/// The files that paths of programs lead to on a node, through links, where they are others.
pub type Links = BTreeMap<String, String>;

/// Says what somebody could do with what a policy grants, in the order of the file. `text` is what `policy` was read
/// from, `path` is for messages. `links` are those of the programs that it names: none where no node is meant.
pub fn warnings(policy: &Policy, links: &Links, text: &str, path: &Path) -> Vec<Warning> {
    let found = RISKS.iter().flat_map(|risk| find(risk, policy, links).into_iter().chain(grants::find(risk, policy)));
    let mut told: Vec<Warning> = found.filter_map(|found| tell(&found, text, path)).collect();
    told.sort_by_key(|warning| (warning.told.line, warning.told.column));
    told
}

/// The programs that a policy names in its own words.
pub fn programs(policy: &Policy) -> Vec<String> {
    policy.programs.values().flat_map(|program| words(&program.program)).collect()
}

/// The table, for who shows it: the name of each danger, what somebody could do, what to write instead.
pub fn table() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    RISKS.iter().chain(&units::OF_UNITS).map(|risk| (risk.name, risk.sentence, risk.instead))
}

/// What is said of a program of a policy that somebody else than root can replace.
pub fn replaceable(user: &Template) -> String {
    let risk = RISKS.iter().find(|risk| matches!(risk.pattern, Pattern::Replaceable));
    risk.map_or(String::new(), |risk| format!("{}; {}", risk.sentence.replace("{user}", &named(user)), risk.instead))
}

fn tell(found: &Found, text: &str, path: &Path) -> Option<Warning> {
    let steps: Vec<&str> = found.steps.iter().map(String::as_str).collect();
    let sentence = found.risk.sentence.replace("{who}", &found.who).replace("{what}", &found.what);
    // Of a unit nobody from outside sets a value: it is what the unit itself lacks.
    let sentence = sentence.replace("{lacks}", &found.who);
    let warning = place::point(text, path, &steps, Severity::Warning, sentence.replace("{user}", &found.user))?;
    let told = Diagnostic { hint: Some(found.risk.instead.to_owned()), ..warning };
    Some(Warning { risk: found.risk.name, told })
}

/// An open value, and where it stands.
struct Open<'a> {
    template: &'a Template,
    origin: &'a Origin,
    kind: &'a Kind,
    steps: Vec<String>,
}

impl Open<'_> {
    fn who(&self) -> String {
        match self.origin {
            Origin::Parameter(name) => format!("whoever may set the parameter {name}"),
            Origin::Slot(_) => "the plugin".to_owned(),
            Origin::Node | Origin::Instance | Origin::PhysicalHost | Origin::AttributeTarget => {
                "whoever names things in the cluster".to_owned()
            }
        }
    }

    fn is_of_plugin(&self) -> bool {
        matches!(self.origin, Origin::Slot(_))
    }
}

fn open<'a>(template: &'a Template, steps: &[&str]) -> Option<Open<'a>> {
    match &template.source {
        Source::Open(Origin::Node | Origin::Instance, _) | Source::Literal(_) => None,
        Source::Open(origin, kind) => {
            let steps = steps.iter().map(|step| (*step).to_owned()).collect();
            Some(Open { template, origin, kind, steps })
        }
    }
}

/// The arguments that are filled in.
fn arguments<'a>(program: &'a Program, label: &str) -> Vec<Open<'a>> {
    let mut found = Vec::new();
    for (number, argument) in program.argv.iter().enumerate() {
        let number = number.to_string();
        match argument {
            Argument::One(template) => found.extend(open(template, &["program", label, "argv", &number])),
            Argument::Group(group) => {
                for (inner, template) in group.iter().enumerate() {
                    found.extend(open(template, &["program", label, "argv", &number, &inner.to_string()]));
                }
            }
        }
    }
    found
}

fn variables<'a>(environment: &'a [(String, Template)], label: &str) -> Vec<(&'a str, Open<'a>)> {
    let of = |(name, template): &'a (String, Template)| {
        Some((name.as_str(), open(template, &["program", label, "environment", name])?))
    };
    environment.iter().filter_map(of).collect()
}

/// The words that a template can become, as far as the policy says them.
fn words(template: &Template) -> Vec<String> {
    match &template.source {
        Source::Literal(text) => vec![text.clone()],
        Source::Open(_, Kind::OneOf(words)) => words.clone(),
        Source::Open(..) => Vec::new(),
    }
}

fn named(template: &Template) -> String {
    let words = words(template);
    if words.is_empty() { "its user".to_owned() } else { words.join(" or ") }
}

pub(super) fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Whether a name is one of a list, in which `*` stands for anything at one end.
pub(super) fn is_among(name: &str, list: &[&str]) -> bool {
    list.iter().any(|known| match (known.strip_prefix('*'), known.strip_suffix('*')) {
        (Some(end), _) => name.ends_with(end),
        (_, Some(start)) => name
            .strip_prefix(start)
            .is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || ".-_".contains(c)) || rest.starts_with('.')),
        _ => name == *known,
    })
}

/// What a program is called in a list: by the name that stands in the policy, or by that of the file that this leads to.
fn listed(path: &str, names: &[&str], links: &Links) -> Option<String> {
    if is_among(base(path), names) {
        return Some(base(path).to_owned());
    }
    let real = base(links.get(path)?);
    (is_among(real, names) && !is_among(real, &names::BY_NAME)).then(|| format!("{} ({real})", base(path)))
}

fn is_root(user: &str) -> bool {
    matches!(user, "root" | "0")
}

fn place_of(kind: &Kind) -> Option<&Place> {
    match kind {
        Kind::File(place) | Kind::Directory(place) => Some(place),
        _ => None,
    }
}

/// Whether a directory holds much that nobody means: the root, a directory in it, one of many services, and what the
/// kernel shows.
fn is_wide(under: &Path) -> bool {
    let depth = under.components().filter(|part| matches!(part, Component::Normal(_))).count();
    // What a service has for itself may well stand at the top.
    depth == 0
        || places::OF_MANY.iter().any(|of_many| under == Path::new(of_many))
        || depth == 1 && !under.starts_with("/srv")
        || ["/proc", "/sys", "/dev"].iter().any(|top| under.starts_with(top)) && !under.starts_with("/dev/shm")
}

/// Whether the node's own logs are at a place, and it is not said already that it is wide: listed are all but /var/log.
fn holds_logs(place: &Path, logs: &[&str]) -> bool {
    place == Path::new("/var/log") || logs.iter().any(|log| place.starts_with(log))
}

/// Whether a program sees a path, as far as the policy says it: what is granted from outside may be anywhere.
fn is_seen(program: &Program, path: &Path) -> bool {
    let view = &program.grant.view;
    let granted = view.read.iter().chain(&view.write);
    let always =
        ["/usr", "/etc", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/proc", "/sys", "/dev", "/tmp", "/var/tmp"];
    always.iter().any(|place| path.starts_with(place))
        || granted.into_iter().any(|place| place.as_literal().is_none_or(|place| path.starts_with(place)))
}

/// What a value from outside may name and the program does not see: of a place, nothing of it.
fn unseen(program: &Program, value: &Open<'_>) -> Option<String> {
    if let Kind::OneOf(words) = value.kind {
        return words.iter().find(|word| word.starts_with('/') && !is_seen(program, Path::new(word))).cloned();
    }
    let under = &place_of(value.kind)?.under;
    let view = &program.grant.view;
    let mut granted = view.read.iter().chain(&view.write).filter_map(Template::as_literal);
    let is_hidden = !is_seen(program, under) && !granted.any(|place| Path::new(place).starts_with(under));
    is_hidden.then(|| format!("what is below {}", under.display()))
}

fn find(risk: &'static Risk, policy: &Policy, links: &Links) -> Vec<Found> {
    let mut all = Vec::new();
    let mut add =
        |steps: Vec<String>, who: String, what: String, user: String| all.push(Found { risk, steps, who, what, user });
    let at = |steps: &[&str]| steps.iter().map(|step| (*step).to_owned()).collect::<Vec<_>>();
    for (label, program) in &policy.programs {
        let user = named(&program.user);
        let what = words(&program.program).first().map_or_else(|| label.clone(), |path| base(path).to_owned());
        let values: Vec<Open<'_>> = arguments(program, label);
        let everywhere = || {
            arguments(program, label)
                .into_iter()
                .chain(variables(&program.environment, label).into_iter().map(|(_, value)| value))
        };
        match &risk.pattern {
            Pattern::Open(names) => {
                let Some(called) = words(&program.program).iter().find_map(|path| listed(path, names, links)) else {
                    continue;
                };
                // A word of a list is as good as one that is written out.
                let loose = values
                    .iter()
                    .find(|value| !matches!(value.kind, Kind::OneOf(_) | Kind::Port { .. } | Kind::Integer { .. }));
                if let Some(value) = loose {
                    add(value.steps.clone(), value.who(), called, user);
                } else if program.input {
                    add(at(&["program", label, "input"]), "the plugin".to_owned(), called, user);
                }
            }
            Pattern::Root => {
                // Who has the cluster has more, which is said instead.
                if program.user.as_literal().is_some_and(is_root) && !program.grant.view.cluster {
                    add(at(&["program", label, "user"]), String::new(), what, user);
                }
            }
            Pattern::RootByChoice => {
                if let Some(value) = open(&program.user, &["program", label, "user"])
                    && words(&program.user).iter().any(|word| is_root(word))
                {
                    add(value.steps.clone(), value.who(), what, user);
                }
            }
            Pattern::ProgramBelow(wide) => {
                if let Some(value) = open(&program.program, &["program", label, "program"])
                    && let Some(place) = place_of(value.kind)
                    && wide.iter().any(|wide| place.under == Path::new(wide))
                {
                    add(value.steps.clone(), value.who(), place.under.display().to_string(), user);
                }
            }
            Pattern::Text => {
                for value in values.iter().filter(|value| !value.is_of_plugin() && value.template.prefix.is_empty()) {
                    if matches!(value.kind, Kind::Text { .. }) {
                        add(value.steps.clone(), value.who(), what.clone(), user.clone());
                    }
                }
            }
            Pattern::TextOfPlugin => {
                for value in
                    everywhere().filter(|value| value.is_of_plugin() && matches!(value.kind, Kind::Text { .. }))
                {
                    add(value.steps.clone(), value.who(), what.clone(), user.clone());
                }
            }
            Pattern::Variable(names) => {
                let loose =
                    |(name, value): &(&str, Open<'_>)| is_among(name, names) && !matches!(value.kind, Kind::OneOf(_));
                for (name, value) in variables(&program.environment, label).into_iter().filter(loose) {
                    add(value.steps.clone(), value.who(), name.to_owned(), user.clone());
                }
            }
            Pattern::Wide => {
                for value in everywhere() {
                    if let Some(place) = place_of(value.kind)
                        && is_wide(&place.under)
                    {
                        add(value.steps.clone(), value.who(), place.under.display().to_string(), user.clone());
                    }
                }
            }
            Pattern::Shared(shared) => {
                for value in everywhere() {
                    if let Some(place) = place_of(value.kind)
                        && place.owner.is_none()
                        && shared.iter().any(|shared| place.under.starts_with(shared))
                    {
                        add(value.steps.clone(), value.who(), place.under.display().to_string(), user.clone());
                    }
                }
            }
            Pattern::Capability(all) => {
                if let Some(name) = rights::capability(program, all) {
                    add(at(&["program", label, "capabilities"]), String::new(), name.to_owned(), user);
                }
            }
            Pattern::Group(all) => {
                for (number, group) in rights::groups(program, all) {
                    let steps = at(&["program", label, "groups", &number.to_string()]);
                    add(steps, String::new(), group.to_owned(), user.clone());
                }
            }
            Pattern::Cluster => {
                if rights::has_cluster(program) {
                    add(at(&["program", label, "view", "cluster"]), String::new(), what, user);
                }
            }
            Pattern::Unseen => {
                for (number, argument) in program.argv.iter().enumerate() {
                    let steps = at(&["program", label, "argv", &number.to_string()]);
                    if let Argument::One(template) = argument
                        && let Some(path) = template.as_literal().filter(|path| path.starts_with('/'))
                        && !is_seen(program, Path::new(path))
                    {
                        add(steps, String::new(), path.to_owned(), user.clone());
                    }
                }
                for value in &values {
                    if let Some(what) = unseen(program, value) {
                        add(value.steps.clone(), String::new(), what, user.clone());
                    }
                }
            }
            // Those of `grants`, and what is found on the node.
            Pattern::WideGrant
            | Pattern::WideView
            | Pattern::WideReading
            | Pattern::Logs(_)
            | Pattern::SocketInView
            | Pattern::Secrets
            | Pattern::WritesSettings(_)
            | Pattern::WritesArgument
            | Pattern::Socket(_)
            | Pattern::SocketBelow(_)
            | Pattern::Orders
            | Pattern::InTheClear
            | Pattern::AnyAddress
            | Pattern::AnyPort
            | Pattern::Address(_)
            | Pattern::Unit
            | Pattern::Replaceable => {}
        }
    }
    all.extend(units::find(risk, policy));
    all.extend(views::find(risk, policy));
    all
}
