//! Metadata as XML, in both profiles. Rendered at install, printed by `meta-data` without running anything.
//!
//! The order of elements is fixed by the schemas; `reference: OCF 1.1 ra-api.rng, resource-agents metadata.rng and
//! ra-api-1.dtd`. Roles are written with a capital, durations in seconds with `s`: what every reader takes.

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use super::description::{Description, Kind, Parameter, Profile};

type Xml = Writer<Vec<u8>>;

/// Returns the document. The same description gives the same bytes.
///
/// # Errors
/// Only if memory is short.
pub fn render(description: &Description, profile: Profile) -> std::io::Result<String> {
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    xml.write_event(Event::DocType(BytesText::from_escaped("resource-agent SYSTEM \"ra-api-1.dtd\"")))?;
    let root = BytesStart::new("resource-agent")
        .with_attributes([("name", description.name.kind.as_str()), ("version", &description.version)]);
    within(&mut xml, root, |xml| {
        let claimed = match profile {
            Profile::V1_0 => "1.0",
            Profile::V1_1 => "1.1",
        };
        text(xml, BytesStart::new("version"), claimed)?;
        described(xml, &description.long, &description.short)?;
        within(xml, BytesStart::new("parameters"), |xml| {
            for parameter in &description.parameters {
                write_parameter(xml, parameter, profile)?;
            }
            if description.parameters.is_empty() {
                write_parameter(xml, &unused(), profile)?;
            }
            Ok(())
        })?;
        within(xml, BytesStart::new("actions"), |xml| write_actions(xml, description, profile))
    })?;
    let mut text = String::from_utf8(xml.into_inner()).map_err(std::io::Error::other)?;
    text.push('\n');
    Ok(text)
}

fn write_parameter(xml: &mut Xml, parameter: &Parameter, profile: Profile) -> std::io::Result<()> {
    let mut start = BytesStart::new("parameter");
    start.push_attribute(("name", parameter.name.as_str()));
    match (&parameter.unique, profile) {
        (Some(group), Profile::V1_1) => start.push_attribute(("unique-group", group.as_str())),
        (Some(_), Profile::V1_0) => start.push_attribute(("unique", "1")),
        (None, _) => {}
    }
    start.push_attribute(("required", if parameter.required { "1" } else { "0" }));
    if profile == Profile::V1_1 && parameter.reloadable {
        start.push_attribute(("reloadable", "1"));
    }
    within(xml, start, |xml| {
        if let (Some(deprecated), Profile::V1_1) = (&parameter.deprecated, profile) {
            within(xml, BytesStart::new("deprecated"), |xml| {
                if let Some(other) = &deprecated.replaced_with {
                    let element = BytesStart::new("replaced-with").with_attributes([("name", other.as_str())]);
                    xml.write_event(Event::Empty(element))?;
                }
                text(xml, BytesStart::new("desc").with_attributes([("lang", "en")]), &deprecated.text)
            })?;
        }
        described(xml, &parameter.long, &parameter.short)?;
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
                Kind::Text | Kind::Duration | Kind::Select(_) => "string",
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
    let seconds = |action: &str| format!("{}s", description.timeout_ms(action).div_ceil(1000).max(1));
    let mut plain = vec!["start", "stop"];
    if description.exports.role {
        plain.extend(["promote", "demote"]);
    }
    if description.exports.notification {
        plain.push("notify");
    }
    if description.exports.migration {
        plain.extend(["migrate_to", "migrate_from"]);
    }
    if description.exports.reload {
        match profile {
            Profile::V1_1 => plain.push("reload-agent"),
            // Pacemaker takes every parameter that is not unique as reloadable then, and would drop changes silently.
            Profile::V1_0 if description.parameters.iter().all(|p| p.unique.is_some() || p.reloadable) => {
                plain.push("reload");
            }
            Profile::V1_0 => {}
        }
    }
    for action in plain {
        let timeout = if action.starts_with("reload") { seconds("reload") } else { seconds(action) };
        write_action(xml, &[("name", action), ("timeout", &timeout)])?;
    }
    let interval = description.interval_ms.div_ceil(1000).max(1);
    let monitor = |xml: &mut Xml, interval: u64, role: Option<&str>| {
        let (timeout, interval) = (seconds("monitor"), format!("{interval}s"));
        let mut attributes =
            vec![("name", "monitor"), ("timeout", timeout.as_str()), ("interval", &interval), ("depth", "0")];
        attributes.extend(role.map(|role| ("role", role)));
        write_action(xml, &attributes)
    };
    if description.exports.role {
        monitor(xml, interval, Some("Promoted"))?;
        // Two monitors of one interval are one to the cluster.
        monitor(xml, interval + 1, Some("Unpromoted"))?;
    } else {
        monitor(xml, interval, None)?;
    }
    write_action(xml, &[("name", "meta-data"), ("timeout", "5s")])?;
    write_action(xml, &[("name", "validate-all"), ("timeout", &seconds("validate"))])
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
        reloadable: true,
        short: "Not used".to_owned(),
        long: "This agent has no parameters; the format of the metadata asks for one.".to_owned(),
        deprecated: None,
    }
}

fn described(xml: &mut Xml, long: &str, short: &str) -> std::io::Result<()> {
    text(xml, BytesStart::new("longdesc").with_attributes([("lang", "en")]), long)?;
    text(xml, BytesStart::new("shortdesc").with_attributes([("lang", "en")]), short)
}

fn text(xml: &mut Xml, start: BytesStart<'_>, content: &str) -> std::io::Result<()> {
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
