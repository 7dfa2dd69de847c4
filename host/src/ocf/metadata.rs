//! Metadata as XML, in both profiles. Rendered at install, printed by `meta-data` without running anything.
//!
//! The order of elements is fixed by the schemas; `reference: OCF 1.1 ra-api.rng, resource-agents metadata.rng and
//! ra-api-1.dtd`. Roles are written with a capital, durations in seconds with `s`: what every reader takes. There is
//! no encoding in the declaration (it is UTF-8 anyway): crmsh cannot read a document that has one. The words are made
//! in `text`; no element may be written there.

mod text;

use std::collections::BTreeSet;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use super::description::{Description, Kind, Monitor, Parameter, Profile};

type Xml = Writer<Vec<u8>>;

/// Returns the document. The same description gives the same bytes.
///
/// # Errors
/// Only if memory is short.
pub fn render(description: &Description, profile: Profile) -> std::io::Result<String> {
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", None, None)))?;
    xml.write_event(Event::DocType(BytesText::from_escaped("resource-agent SYSTEM \"ra-api-1.dtd\"")))?;
    let root = BytesStart::new("resource-agent")
        .with_attributes([("name", description.name.kind.as_str()), ("version", &description.version)]);
    within(&mut xml, root, |xml| {
        let claimed = match profile {
            Profile::V1_0 => "1.0",
            Profile::V1_1 => "1.1",
        };
        element(xml, BytesStart::new("version"), claimed)?;
        described(xml, &text::of_agent(description), &description.short)?;
        within(xml, BytesStart::new("parameters"), |xml| {
            let none = [unused()];
            let all = if description.parameters.is_empty() { &none[..] } else { &description.parameters };
            all.iter().try_for_each(|parameter| write_parameter(xml, parameter, all, profile))
        })?;
        within(xml, BytesStart::new("actions"), |xml| write_actions(xml, description, profile))
    })?;
    let mut text = String::from_utf8(xml.into_inner()).map_err(std::io::Error::other)?;
    text.push('\n');
    Ok(text)
}

fn write_parameter(xml: &mut Xml, parameter: &Parameter, all: &[Parameter], profile: Profile) -> std::io::Result<()> {
    let mut start = BytesStart::new("parameter");
    start.push_attribute(("name", parameter.name.as_str()));
    match (&parameter.unique, profile) {
        (Some(group), Profile::V1_1) => start.push_attribute(("unique-group", group.as_str())),
        (Some(_), Profile::V1_0) if is_alone(parameter, all) => start.push_attribute(("unique", "1")),
        _ => {}
    }
    start.push_attribute(("required", if parameter.required { "1" } else { "0" }));
    if profile == Profile::V1_1 && parameter.reloadable {
        start.push_attribute(("reloadable", "1"));
    }
    within(xml, start, |xml| {
        if let (Some(deprecated), Profile::V1_1) = (&parameter.deprecated, profile) {
            // Without a `desc`: crmsh shows none, and pcs glues it to the long description. Why stands in there.
            match &deprecated.replaced_with {
                None => xml.write_event(Event::Empty(BytesStart::new("deprecated")))?,
                Some(other) => within(xml, BytesStart::new("deprecated"), |xml| {
                    let element = BytesStart::new("replaced-with").with_attributes([("name", other.as_str())]);
                    xml.write_event(Event::Empty(element))
                })?,
            }
        }
        described(xml, &text::of_parameter(parameter, all, profile), &parameter.short)?;
        let mut content = BytesStart::new("content");
        let options = match (&parameter.kind, profile) {
            (Kind::Select(options), Profile::V1_1) => options.as_slice(),
            _ => &[],
        };
        content.push_attribute((
            "type",
            match &parameter.kind {
                Kind::Integer { .. } | Kind::Port => "integer",
                Kind::Boolean => "boolean",
                Kind::Select(_) if profile == Profile::V1_1 => "select",
                Kind::Text | Kind::Duration | Kind::Size | Kind::Select(_) => "string",
            },
        ));
        if let Some(default) = &parameter.default {
            content.push_attribute(("default", default.as_str()));
        }
        if options.is_empty() {
            return xml.write_event(Event::Empty(content));
        }
        within(xml, content, |xml| {
            for option in options {
                let option = BytesStart::new("option").with_attributes([("value", option.as_str())]);
                xml.write_event(Event::Empty(option))?;
            }
            Ok(())
        })
    })
}

fn write_actions(xml: &mut Xml, description: &Description, profile: Profile) -> std::io::Result<()> {
    let seconds = |action: &str| format!("{}s", in_seconds(description.timeout_ms(action)));
    let all = &description.parameters;
    for action in ["start", "stop"] {
        write_action(xml, &[("name", action), ("timeout", &seconds(action))])?;
    }
    let roles: &[Option<&str>] =
        if description.exports.role { &[Some("Promoted"), Some("Unpromoted")] } else { &[None] };
    let plain =
        Monitor { level: 0, timeout_ms: description.timeout_ms("monitor"), interval_ms: description.interval_ms };
    let mut taken = BTreeSet::new();
    for monitor in std::iter::once(&plain).chain(&description.monitors) {
        for role in roles {
            // Two monitors of one interval are one to the cluster.
            let mut interval = in_seconds(monitor.interval_ms);
            while !taken.insert(interval) {
                interval += 1;
            }
            let (timeout, interval) = (format!("{}s", in_seconds(monitor.timeout_ms)), format!("{interval}s"));
            let depth = monitor.level.to_string();
            let mut attributes =
                vec![("name", "monitor"), ("timeout", timeout.as_str()), ("interval", &interval), ("depth", &depth)];
            attributes.extend(role.map(|role| ("role", role)));
            write_action(xml, &attributes)?;
        }
    }
    let mut more = Vec::new();
    if description.exports.role {
        more.extend(["promote", "demote"]);
    }
    if description.exports.notification {
        more.push("notify");
    }
    if description.exports.migration {
        more.extend(["migrate_to", "migrate_from"]);
    }
    if description.exports.reload {
        match profile {
            Profile::V1_1 => more.push("reload-agent"),
            // Pacemaker takes every parameter that is not unique as reloadable then, and would drop changes silently.
            Profile::V1_0 if all.iter().all(|p| is_alone(p, all) || p.reloadable) => {
                more.push("reload");
            }
            Profile::V1_0 => {}
        }
    }
    for action in more {
        let timeout = if action.starts_with("reload") { seconds("reload") } else { seconds(action) };
        write_action(xml, &[("name", action), ("timeout", &timeout)])?;
    }
    write_action(xml, &[("name", "meta-data"), ("timeout", "5s")])?;
    write_action(xml, &[("name", "validate-all"), ("timeout", &seconds("validate"))])
}

/// Whole seconds, at least one: no reader takes less.
fn in_seconds(ms: u64) -> u64 {
    ms.div_ceil(1000).max(1)
}

/// Whether it is unique by itself: `unique` of OCF 1.0. A group of several is something else, and 1.0 has no word for
/// it.
fn is_alone(parameter: &Parameter, all: &[Parameter]) -> bool {
    parameter.unique.is_some() && all.iter().filter(|other| other.unique == parameter.unique).count() == 1
}

fn write_action(xml: &mut Xml, attributes: &[(&str, &str)]) -> std::io::Result<()> {
    xml.write_event(Event::Empty(BytesStart::new("action").with_attributes(attributes.iter().copied())))
}

/// An agent without parameters: an empty list is not valid, so it gets one that says so.
fn unused() -> Parameter {
    Parameter {
        name: "unused".to_owned(),
        kind: Kind::Text,
        required: false,
        default: None,
        unique: None,
        reloadable: false,
        short: "Not used".to_owned(),
        long: "This agent has no parameters; the format of the metadata asks for one.".to_owned(),
        deprecated: None,
    }
}

fn described(xml: &mut Xml, long: &str, short: &str) -> std::io::Result<()> {
    let in_english = |name| BytesStart::new(name).with_attributes([("lang", "en")]);
    element(xml, in_english("longdesc"), long)?;
    element(xml, in_english("shortdesc"), &text::in_one_line(short))
}

fn element(xml: &mut Xml, start: BytesStart<'_>, content: &str) -> std::io::Result<()> {
    if content.is_empty() {
        return xml.write_event(Event::Empty(start));
    }
    let end = start.to_end().into_owned();
    xml.write_event(Event::Start(start))?;
    xml.write_event(Event::Text(BytesText::new(content)))?;
    xml.write_event(Event::End(end))
}

fn within(
    xml: &mut Xml,
    start: BytesStart<'_>,
    body: impl FnOnce(&mut Xml) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let end: BytesEnd<'static> = start.to_end().into_owned();
    xml.write_event(Event::Start(start))?;
    body(xml)?;
    xml.write_event(Event::End(end))
}
