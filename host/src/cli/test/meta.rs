//! What an agent says of itself, and whether it is so.

use std::collections::BTreeSet;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::call::Call;
use super::node::Node;
use super::{Check, Finding, Not};
use crate::ocf::Action;
use crate::ocf::description::Kind;
use crate::ocf::outcome::Exit::{Success, Unimplemented};
use crate::ocf::parameter::{boolean, duration_ms, size_bytes};

pub(super) static CHECKS: [Check; 8] = [
    Check {
        name: "meta-data-as-nobody",
        what: "meta-data is printed for a user without rights and with an empty environment",
        source: "ocf-tester, item 1; Pacemaker's controller asks as hacluster",
        advice: "this is the host's part: report it",
        run: |node| {
            if !nix::unistd::geteuid().is_root() || crate::sys::user::is_alone() {
                return Err(Not::Skipped("becoming somebody else needs root".to_owned()));
            }
            let call = Call { user: Some(65_534), environment: std::collections::BTreeMap::new(), ..plain() };
            let answer = node.expect(&call, &[Success])?;
            if answer.stdout.is_empty() { Err(Not::Failed("nothing is printed".to_owned())) } else { Ok(()) }
        },
    },
    Check {
        name: "meta-data-same-bytes",
        what: "meta-data is the same, byte by byte, for every caller and each time",
        source: "Pacemaker digests the metadata; a change looks like a new agent",
        advice: "this is the host's part: report it",
        run: |node| {
            let calls =
                [plain(), plain(), node.call(Action::MetaData), plain().set("OCF_TESTER_FAIL_HAVE_BINARY", "1")];
            let mut printed = BTreeSet::new();
            for call in calls {
                printed.insert(node.expect(&call, &[Success])?.stdout);
            }
            if printed.len() == 1 { Ok(()) } else { Err(Not::Failed("it differs".to_owned())) }
        },
    },
    Check {
        name: "meta-data-well-formed",
        what: "meta-data is XML that names this agent, version 1.0 or 1.1, with actions and parameters",
        source: "OCF 1.1, ra-api.rng; Pacemaker drops metadata that it cannot parse",
        advice: "this is the host's part: report it",
        run: |node| {
            let said = said(node)?;
            if said.name != node.agent.kind {
                return Err(Not::Failed(format!("it is the metadata of {:?}", said.name)));
            }
            let missing = ["start", "stop", "monitor", "meta-data"].iter().find(|word| !said.actions.contains(**word));
            match (missing, said.parameters) {
                (Some(word), _) => Err(Not::Failed(format!("it does not advertise {word}"))),
                (None, 0) => Err(Not::Failed("it has no parameter, which its schema wants".to_owned())),
                (None, _) => Ok(()),
            }
        },
    },
    Check {
        name: "texts",
        what: "agent and parameters are described, in words that say more than the name",
        source: "pcs resource describe and crm ra info show nothing else",
        advice: "write a /// comment above the struct and above each field: one line, then paragraphs",
        run: texts,
    },
    Check {
        name: "defaults",
        what: "defaults are written as they are read, and only what is optional has one",
        source: "pcs shows the default; `007` and `yes` make an operator wonder",
        advice: "write defaults as numbers, true or false, and times such as 90s, sizes such as 2GiB",
        run: defaults,
    },
    Check {
        name: "times",
        what: "advertised timeouts are between one second and a day, and the monitor's interval is at least a second",
        source: "pcs takes them into the configuration; ms in place of s makes every action late",
        advice: "#[agent(start = \"60s\", interval = \"10s\")]",
        run: times,
    },
    Check {
        name: "policy-as-requested",
        what: "the policy binds each label that the plugin asks for",
        source: "what is asked for and not granted fails at the first use",
        advice: "ocf-wasm suggest FILE.wasm prints what is missing",
        run: policy_as_requested,
    },
    Check {
        name: "validate",
        what: "validate-all takes the parameters of this run, thoroughly too",
        source: "OCF 1.1, validate-all: level 0 is about the parameters alone, on any node; pcs asks before it creates",
        advice: "validate must take what start takes, defaults included; below level 10 nothing is granted: hand the \
                 host's errors on with `?`, and they count for nothing",
        run: |node| {
            for level in [0, 10] {
                node.expect(&node.call(Action::ValidateAll).level(level), &[Success])?;
            }
            Ok(())
        },
    },
];

/// A call for metadata as a person makes it.
fn plain() -> Call {
    Call::bare(Action::MetaData)
}

/// What the document says.
#[derive(Default)]
struct Said {
    name: String,
    actions: BTreeSet<String>,
    parameters: usize,
}

fn said(node: &mut Node) -> Result<Said, Not> {
    let text = node.expect(&plain(), &[Success])?.stdout;
    let wrong = |error: &dyn std::fmt::Display| Not::Failed(format!("not well formed: {error}"));
    let name_of = |element: &BytesStart<'_>| {
        let found = element.try_get_attribute("name").map_err(|error| wrong(&error))?;
        let name = found
            .map(|name| name.normalized_value(quick_xml::XmlVersion::Implicit1_0).map(std::borrow::Cow::into_owned))
            .transpose();
        Ok(name.map_err(|error| wrong(&error))?.unwrap_or_default())
    };
    let mut reader = Reader::from_str(&text);
    let mut said = Said::default();
    let mut is_version = false;
    loop {
        match reader.read_event().map_err(|error| wrong(&error))? {
            Event::Start(element) | Event::Empty(element) => {
                is_version = element.name().as_ref() == "version";
                match element.name().as_ref() {
                    "resource-agent" => said.name = name_of(&element)?,
                    "action" => drop(said.actions.insert(name_of(&element)?)),
                    "parameter" => said.parameters += 1,
                    _ => {}
                }
            }
            Event::Text(content) if is_version => {
                let version = content.trim().to_owned();
                if !matches!(version.as_str(), "" | "1.0" | "1.1") {
                    return Err(Not::Failed(format!("it claims version {version}")));
                }
            }
            Event::Eof => return Ok(said),
            _ => {}
        }
    }
}

pub(super) fn actions_as_exported(node: &mut Node) -> Finding {
    let said = said(node)?;
    let methods = node.expect(&node.call(Action::Methods), &[Success])?.stdout;
    let listed: BTreeSet<&str> = methods.lines().collect();
    if let Some(unlisted) = said.actions.iter().find(|action| !listed.contains(action.as_str())) {
        return Err(Not::Failed(format!("{unlisted} is advertised, and `methods` does not list it")));
    }
    for action in
        [Action::Promote, Action::Demote, Action::Notify, Action::MigrateTo, Action::MigrateFrom, Action::Reload]
    {
        let word = action.word();
        // Nothing runs: what comes of it does not matter, as long as it is known.
        let answer = node.ask(&node.call(action).within(super::standing::SECOND))?;
        match (said.actions.contains(word), answer.exit == Some(Unimplemented)) {
            (true, true) => return Err(Not::Failed(format!("{word} is advertised, and says 3"))),
            (false, false) => return Err(Not::Failed(format!("{word} is not advertised, and says {}", answer.ended))),
            (true, false) | (false, true) => {}
        }
    }
    Ok(())
}

fn texts(node: &mut Node) -> Finding {
    let description = &node.description;
    let own = std::iter::once((description.name.kind.clone(), &description.short, &description.long));
    let parameters = description.parameters.iter().map(|p| (p.name.clone(), &p.short, &p.long));
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', '.', ' '], "");
    for (name, short, long) in own.chain(parameters) {
        let wrong = if short.trim().is_empty() || long.trim().is_empty() {
            "is not described"
        } else if plain(short) == plain(&name) {
            "is described by its name"
        } else if short.contains('\n') || short.len() > 100 {
            "has a first paragraph that is no line: keep it below 100 bytes, and go on after a blank line"
        } else {
            continue;
        };
        return Err(Not::Failed(format!("{name} {wrong}")));
    }
    Ok(())
}

fn defaults(node: &mut Node) -> Finding {
    for parameter in &node.description.parameters {
        let name = &parameter.name;
        let Some(default) = &parameter.default else { continue };
        if parameter.required {
            return Err(Not::Failed(format!("{name} is required and has a default, which never holds")));
        }
        let canonical = match &parameter.kind {
            Kind::Text | Kind::Select(_) => Some(default.clone()),
            Kind::Integer { .. } | Kind::Port => default.parse::<i64>().ok().map(|number| number.to_string()),
            Kind::Boolean => boolean(default).map(|is| is.to_string()),
            Kind::Duration => duration_ms(default).map(|_| default.clone()),
            Kind::Size => size_bytes(default).map(|_| default.clone()),
        };
        if canonical.as_ref() != Some(default) {
            let canonical = canonical.unwrap_or_else(|| "something of its type".to_owned());
            return Err(Not::Failed(format!("{name} has the default {default:?}, which is read as {canonical}")));
        }
    }
    Ok(())
}

fn times(node: &mut Node) -> Finding {
    const DAY_MS: u64 = 24 * 60 * 60 * 1000;
    let interval = [("interval".to_owned(), node.description.interval_ms)];
    for (what, ms) in node.description.timeouts.iter().chain(&interval) {
        if !(1000..=DAY_MS).contains(ms) {
            return Err(Not::Failed(format!("{what} is {ms} ms")));
        }
    }
    Ok(())
}

fn policy_as_requested(node: &mut Node) -> Finding {
    let path = crate::store::policy_path(&node.agent);
    let policy = crate::policy::Policy::parse(&node.policy, &path).map_err(|d| Not::Failed(d.line()))?;
    let unbound: Vec<String> = node
        .requests
        .iter()
        .filter(|request| !policy.binds(&request.kind, &request.name))
        .map(|request| format!("{} {}", request.kind, request.name))
        .collect();
    if unbound.is_empty() { Ok(()) } else { Err(Not::Failed(format!("not granted: {}", unbound.join(", ")))) }
}
