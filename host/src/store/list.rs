//! agents.toml: what is installed on this node, for the operator to read, and to say what should be here where the store
//! has lost it. The store is whole without it, so a list that is not as it was written is told and never written over.
//! What must never enter here: a decision of an action.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Digest, install};
use crate::ocf::description::AgentName;

/// Where it is.
pub const PATH: &str = "/etc/ocf-wasm/agents.toml";
/// Bytes of the largest list.
const LIST_BYTES: u64 = 16 * 1024 * 1024;
/// The keys of an agent.
const KEYS: [&str; 4] = ["name", "version", "generation", "digest"];

/// What to do with a list that cannot be read.
pub const MOVE_AWAY: &str = "move it away (mv /etc/ocf-wasm/agents.toml /etc/ocf-wasm/agents.toml.damaged), then ocf-wasm check; \
                             the next install, rollback or remove writes it anew";

/// Reads the list: agents with their components' digests. None if there is no file.
///
/// # Errors
/// What of it is not as it was written, with file and line.
pub fn read() -> Result<Option<BTreeMap<AgentName, Digest>>, String> {
    let text = match super::open_kept(Path::new(PATH)).and_then(read_text) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{PATH}: {error}")),
    };
    entries(&text).map(Some).map_err(|(line, what)| format!("{PATH}:{line}: {what}"))
}

fn read_text(file: File) -> std::io::Result<String> {
    let mut text = String::new();
    file.take(LIST_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// Refuses if there is a list that would be written over without having been understood.
///
/// # Errors
/// What of it is wrong, and what to do.
pub fn check() -> Result<()> {
    read()
        .map(drop)
        .map_err(|what| anyhow!("{what}\n  nothing was changed, and the list is not written over: {MOVE_AWAY}"))
}

/// Writes the list of what is installed.
///
/// # Errors
/// What the kernel says.
pub(super) fn write() -> Result<()> {
    let path = Path::new(PATH);
    if let Some(above) = path.parent() {
        fs::create_dir_all(above).with_context(|| above.display().to_string())?;
    }
    crate::sealed::replace(path, text().as_bytes(), 0o644).with_context(|| path.display().to_string())
}

/// Whether it is there as it would be written now.
pub(super) fn is_whole() -> bool {
    fs::read_to_string(PATH).is_ok_and(|found| found == text())
}

fn text() -> String {
    let mut text =
        "# What is installed on this node. Kept by `ocf-wasm install`, `rollback` and `remove`.\n".to_owned();
    for (agent, number) in install::installed() {
        if let Ok(generation) = super::generation(&agent, number) {
            text.push_str(&entry(&agent, &generation.description.version, number, &generation.component));
        }
    }
    text
}

fn entry(agent: &AgentName, version: &str, number: u32, digest: &Digest) -> String {
    let version = version.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\n[[agent]]\nname = \"{agent}\"\nversion = \"{version}\"\ngeneration = {number}\ndigest = \"{digest}\"\n")
}

/// Reads what [`write`] wrote, or the line on which it is something else, and what.
fn entries(text: &str) -> Result<BTreeMap<AgentName, Digest>, (usize, String)> {
    let line = |at: usize| text.get(..at).unwrap_or(text).matches('\n').count() + 1;
    if text.trim().is_empty() {
        return Err((1, "is empty, so it was not written to its end".to_owned()));
    }
    let list = DeTable::parse(text).map_err(|error| {
        let what = error.message().lines().next().unwrap_or("this is not TOML").to_owned();
        (line(error.span().map_or(0, |span| span.start)), what)
    })?;
    let mut found = BTreeMap::new();
    for (key, value) in list.get_ref() {
        let agents = value.get_ref().as_array().filter(|_| key.get_ref() == "agent");
        let Some(agents) = agents else {
            return Err((line(key.span().start), format!("`{}` is nothing that stands there", key.get_ref())));
        };
        for agent in agents {
            let (name, digest) = one(agent).map_err(|what| (line(agent.span().start), what))?;
            if found.insert(name, digest).is_some() {
                return Err((line(agent.span().start), "an agent that stands there already".to_owned()));
            }
        }
    }
    Ok(found)
}

fn one(agent: &Spanned<DeValue<'_>>) -> Result<(AgentName, Digest), String> {
    let table = agent.get_ref().as_table().ok_or("an agent is a table")?;
    if let Some((key, _)) = table.iter().find(|(key, _)| !KEYS.contains(&key.get_ref().as_ref())) {
        return Err(format!("`{}` is nothing that an agent has", key.get_ref()));
    }
    let text = |key: &str| table.get(key).and_then(|value| value.get_ref().as_str());
    let name = text("name").and_then(AgentName::parse).ok_or("an agent without its `name`")?;
    let number = table.get("generation").and_then(|number| number.get_ref().as_integer());
    if text("version").is_none() || number.and_then(|number| number.as_str().parse::<u32>().ok()).is_none() {
        return Err(format!("{name} without its `version` or `generation`"));
    }
    let digest = text("digest").and_then(Digest::parse).ok_or_else(|| format!("{name} without its `digest`"))?;
    Ok((name, digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(kind: &str) -> AgentName {
        AgentName { provider: "acme".to_owned(), kind: kind.to_owned() }
    }

    #[test]
    fn what_is_written_is_read_again_and_nothing_that_was_cut() {
        let (first, second) = (Digest::of(b"a"), Digest::of(b"b"));
        let odd = "1.0 \"\\ x";
        let text = format!("# x\n{}{}", entry(&agent("web"), odd, 1, &first), entry(&agent("db"), "2", 12, &second));
        assert_eq!(entries(&text).unwrap(), BTreeMap::from([(agent("web"), first.clone()), (agent("db"), second)]));
        assert_eq!(entries("# nothing\n").unwrap(), BTreeMap::new());
        // Where an entry ends it cannot be seen; there the store is asked.
        let ends: Vec<usize> = text.match_indices("\n\n").map(|(at, _)| at).chain([text.len() - 1]).collect();
        for end in 0..text.len() {
            let cut = &text[..end];
            let is_whole = cut.starts_with('#') && cut.len() <= 4 || ends.iter().any(|at| (*at..at + 3).contains(&end));
            assert_eq!(entries(cut).is_ok(), is_whole, "cut at {end}: {cut}");
        }
    }

    #[test]
    fn what_is_something_else_is_told_with_its_line() {
        let whole = entry(&agent("web"), "1", 1, &Digest::of(b"a"));
        for (text, line, says) in [
            ("\n \n".to_owned(), 1, "is empty"),
            ("\0\0\0".to_owned(), 1, ""),
            (format!("{whole}{whole}"), 8, "stands there already"),
            (format!("x = 1\n{whole}"), 1, "`x` is nothing that stands there"),
            ("agent = 7\n".to_owned(), 1, "`agent` is nothing"),
            ("\nagent = [7]\n".to_owned(), 2, "an agent is a table"),
            (whole.replace("name", "nam"), 2, "`nam` is nothing that an agent has"),
            (whole.replace("acme/", ""), 2, "without its `name`"),
            (whole.replace("= 1", "= -1"), 2, "acme/web without its `version` or `generation`"),
            (whole.replace("sha256:", "sha256:0"), 2, "acme/web without its `digest`"),
        ] {
            let (at, told) = entries(&text).expect_err(&text);
            assert!(at == line && told.contains(says), "{text}\n{at}: {told}");
        }
    }
}
