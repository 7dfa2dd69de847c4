//! What an author says about an agent: the notes in the component's custom sections, one JSON object a line.
//!
//! The SDK writes them, and so can anybody. What a reader of the metadata could not take is refused here, at install,
//! and nothing of it is repaired: an agent that no tool can show is better not there at all.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::generation::{Request, is_label};
use crate::ocf::description::{AgentName, Deprecated, Description, Exports, Kind, Monitor, Parameter};
use crate::ocf::outcome::is_invisible;
use crate::ocf::parameter;

/// What a plugin can ask for, as a policy calls it.
const KINDS: [&str; 3] = ["program", "path", "endpoint"];

/// How long a version may be, in bytes.
const VERSION_BYTES: usize = 64;

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Note {
    Agent(AgentNote),
    Parameter(ParameterNote),
    Label(LabelNote),
}

#[derive(Deserialize)]
struct AgentNote {
    name: String,
    version: String,
    short: String,
    long: String,
    interval: String,
    timeouts: BTreeMap<String, String>,
    #[serde(default)]
    monitors: Vec<MonitorNote>,
}

#[derive(Deserialize)]
struct MonitorNote {
    level: u8,
    timeout: String,
    interval: String,
}

#[derive(Deserialize)]
struct ParameterNote {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    required: bool,
    default: Option<String>,
    unique: Option<String>,
    reloadable: bool,
    short: String,
    long: String,
    #[serde(default)]
    options: Vec<String>,
    min: Option<i64>,
    max: Option<i64>,
    deprecated: Option<DeprecatedNote>,
}

#[derive(Deserialize)]
struct DeprecatedNote {
    text: String,
    replaced_with: Option<String>,
}

#[derive(Deserialize)]
struct LabelNote {
    kind: String,
    name: String,
    why: String,
    #[serde(default)]
    suggest: String,
}

/// Reads the notes of both sections. `exports` is what the component can do.
///
/// # Errors
/// The first note that says nothing, or what no reader of the metadata could take.
pub fn read(metadata: &str, requests: &str, exports: Exports) -> Result<(Description, Vec<Request>)> {
    let (mut agent, mut parameters, mut labels) = (None, Vec::new(), Vec::new());
    for line in metadata.lines().chain(requests.lines()).filter(|line| !line.trim().is_empty()) {
        match serde_json::from_str::<Note>(line).with_context(|| format!("not a note: {line}"))? {
            Note::Agent(note) if agent.is_none() => agent = Some(note),
            Note::Agent(_) => bail!("describes two agents"),
            Note::Parameter(note) => parameters.push(parameter_of(note)?),
            Note::Label(note) => labels.push(request_of(note)?),
        }
    }
    let Some(agent) = agent else {
        bail!("`ocf:metadata` is missing: derive Parameters (crate ocf-agent) writes it");
    };
    labels.sort_by(|a, b| (&a.kind, &a.name).cmp(&(&b.kind, &b.name)));
    if let Some(twice) = labels.windows(2).find(|two| (&two[0].kind, &two[0].name) == (&two[1].kind, &two[1].name)) {
        bail!("{} {} is asked for twice", twice[0].kind, twice[0].name);
    }
    let description = description_of(agent, parameters, exports)?;
    check_parameters(&description)?;
    Ok((description, labels))
}

fn description_of(note: AgentNote, parameters: Vec<Parameter>, exports: Exports) -> Result<Description> {
    let name = AgentName::parse(&note.name)
        .with_context(|| format!("name {}: PROVIDER/TYPE, each of letters, digits, `-`, `_`, `.`", note.name))?;
    if note.short.trim().is_empty() {
        bail!("{name}: its short description is empty: say in a few words what it is");
    }
    check_version(&note.version)?;
    shown("short description", &note.short)?;
    shown("long description", &note.long)?;
    let timeouts: Result<Vec<_>> = note.timeouts.iter().map(|(action, text)| Ok((action.clone(), ms(text)?))).collect();
    let interval_ms = ms(&note.interval)?;
    Ok(Description {
        name,
        version: note.version,
        short: note.short,
        long: note.long,
        interval_ms,
        timeouts: timeouts?,
        monitors: monitors_of(&note.monitors, interval_ms)?,
        parameters,
        exports,
    })
}

/// Deeper monitors, from shallow to deep.
fn monitors_of(notes: &[MonitorNote], plain_ms: u64) -> Result<Vec<Monitor>> {
    let mut monitors = Vec::new();
    for note in notes {
        let (level, interval_ms) = (note.level, ms(&note.interval)?);
        if level == 0 {
            bail!("check level 0 is the plain monitor: a deeper one has a level of 1-255");
        }
        if monitors.iter().any(|other: &Monitor| other.level == level) {
            bail!("check level {level} is described twice");
        }
        if interval_ms == plain_ms || monitors.iter().any(|other| other.interval_ms == interval_ms) {
            bail!("check level {level}: two monitors of one interval are one to the cluster; give it another");
        }
        monitors.push(Monitor { level, timeout_ms: ms(&note.timeout)?, interval_ms });
    }
    monitors.sort_by_key(|monitor| monitor.level);
    Ok(monitors)
}

/// It stands in the audit between words of the host's, and where agents are listed: one word, and a short one.
fn check_version(version: &str) -> Result<()> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ".+~_-".contains(c);
    if version.is_empty() || version.len() > VERSION_BYTES || !version.chars().all(is_plain) {
        let shown = version.escape_debug();
        bail!("version {shown:.80}: 1-{VERSION_BYTES} letters, digits, `.`, `+`, `~`, `_` and `-`");
    }
    Ok(())
}

/// A span of time that is more than nothing.
fn ms(text: &str) -> Result<u64> {
    let found = parameter::duration_ms(text).filter(|ms| *ms > 0);
    found.with_context(|| format!("`{text}` is not a duration of at least 1 ms"))
}

fn parameter_of(note: ParameterNote) -> Result<Parameter> {
    let name = note.name;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.chars().all(plain) {
        bail!("parameter {name}: its name is a letter, then letters, digits, `_` and `-`");
    }
    if name.starts_with("CRM_") || parameter::OF_THE_CLUSTER.contains(&name.as_str()) {
        bail!("parameter {name}: the cluster or this host uses the name for something else");
    }
    let kind = match note.kind.as_str() {
        "string" => Kind::Text,
        "integer" => Kind::Integer { min: note.min, max: note.max },
        "boolean" => Kind::Boolean,
        "duration" => Kind::Duration,
        "size" => Kind::Size,
        "port" => Kind::Port,
        "select" => Kind::Select(note.options),
        other => bail!("parameter {name}: type `{other}` is not known"),
    };
    Ok(Parameter {
        name,
        kind,
        required: note.required,
        default: note.default,
        unique: note.unique,
        reloadable: note.reloadable,
        short: note.short,
        long: note.long,
        deprecated: note.deprecated.map(|d| Deprecated { text: d.text, replaced_with: d.replaced_with }),
    })
}

/// What the operator is shown, and shall put in place: nothing in it may be hidden, or be about another label.
fn request_of(note: LabelNote) -> Result<Request> {
    let LabelNote { kind, name, why, suggest } = note;
    if !KINDS.contains(&kind.as_str()) {
        bail!("label {name}: there is nothing of the kind `{kind}` to ask for; there is {}", KINDS.join(", "));
    }
    if !is_label(&name) {
        bail!("{kind} {name}: a label is 1-64 of a-z, 0-9 and `-`");
    }
    let said = || -> Result<()> {
        shown("reason", &why)?;
        shown("suggestion", &suggest.replace('\t', " "))?;
        if let Some(hidden) = why.chars().chain(suggest.chars()).find(|c| is_invisible(*c)) {
            bail!("it has a character that nobody sees ({})", hidden.escape_unicode());
        }
        let whole = format!("[{kind}.{name}]\n{suggest}\n");
        let table = toml::de::DeTable::parse(&whole).context("its suggestion is no part of a policy")?;
        let labels = table.get_ref().get(kind.as_str()).and_then(|value| value.get_ref().as_table());
        if table.get_ref().len() != 1 || labels.is_none_or(|labels| labels.len() != 1) {
            bail!("its suggestion is about something else too: each label is asked for by itself");
        }
        Ok(())
    };
    said().with_context(|| format!("{kind} {name}"))?;
    Ok(Request { kind, name, why: why.trim().to_owned(), suggest })
}

fn check_parameters(description: &Description) -> Result<()> {
    let mut names = BTreeSet::new();
    for parameter in &description.parameters {
        if !names.insert(&parameter.name) {
            bail!("parameter {} is declared twice", parameter.name);
        }
    }
    for parameter in &description.parameters {
        check_parameter(parameter, &names).with_context(|| format!("parameter {}", parameter.name))?;
        if let Some(default) = &parameter.default {
            let given = BTreeMap::from([(parameter.name.clone(), default.clone())]);
            let alone = Description { parameters: vec![parameter.clone()], ..description.clone() };
            parameter::check(&alone, &given, &[]).map_err(|wrong| anyhow::anyhow!("default of {}", wrong.0))?;
        }
    }
    Ok(())
}

fn check_parameter(parameter: &Parameter, names: &BTreeSet<&String>) -> Result<()> {
    if parameter.short.trim().is_empty() {
        bail!("its short description is empty: say in a few words what it is");
    }
    shown("short description", &parameter.short)?;
    shown("long description", &parameter.long)?;
    if let Some(default) = &parameter.default {
        one_line("default", default)?;
        if parameter.required {
            bail!("what has a default is not required");
        }
        if parameter.is_secret() {
            bail!("a secret has no default: everybody can read the metadata");
        }
    }
    if let Some(group) = &parameter.unique {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if group.is_empty() || !group.chars().all(plain) {
            bail!("unique group `{group}`: letters, digits, `_` and `-`");
        }
        if parameter.is_secret() {
            bail!("a secret cannot be unique: whoever compares values shows them");
        }
    }
    if let Kind::Select(options) = &parameter.kind {
        if options.is_empty() {
            bail!("a select has at least one option");
        }
        for (number, option) in options.iter().enumerate() {
            one_line("option", option)?;
            if option.is_empty() || options[..number].contains(option) {
                bail!("option `{option}` is empty or there twice");
            }
        }
    }
    if let Some(deprecated) = &parameter.deprecated {
        shown("reason of deprecation", &deprecated.text)?;
        if parameter.required {
            bail!("it is deprecated and required: nobody could do without it");
        }
        if let Some(other) = &deprecated.replaced_with
            && (!names.contains(other) || *other == parameter.name)
        {
            bail!("replaced by {other}, which is no other parameter");
        }
    }
    Ok(())
}

/// Refuses what cannot stand in XML, or would not be seen.
fn shown(what: &str, text: &str) -> Result<()> {
    let is_bad = |c: &char| c.is_control() && *c != '\n' || matches!(c, '\u{fffe}' | '\u{ffff}');
    match text.chars().find(is_bad) {
        Some(bad) => bail!("its {what} has a character that no reader takes ({})", bad.escape_unicode()),
        None => Ok(()),
    }
}

/// Refuses what an attribute in XML does not keep.
fn one_line(what: &str, text: &str) -> Result<()> {
    if text.contains('\n') {
        bail!("its {what} has a line break");
    }
    shown(what, text)
}

#[cfg(test)]
mod tests;
