//! Installing, switching and removing agents: each step one rename, so that a crash leaves the old or the new.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Seek as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::generation::{MAGIC, agent_path};
use super::{Digest, Generation, LIB, generation::Request, list, native, notes, place};
use crate::ocf::description::{AgentName, Description, Exports, Profile};
use crate::ocf::metadata;

/// Bytes of the largest metadata document.
const METADATA_BYTES: usize = 256 * 1024;
/// How long compiling may take at an install, a rollback or a replay.
pub const COMPILE: Duration = Duration::from_mins(5);

/// A component that was read, compiled and understood; nothing is installed yet.
#[derive(Debug)]
pub struct Examined {
    /// Its bytes.
    pub component: Vec<u8>,
    /// Their digest.
    pub digest: Digest,
    /// Native code.
    pub native: Vec<u8>,
    /// What its author says.
    pub description: Description,
    /// What it asks for.
    pub requests: Vec<Request>,
    /// Interfaces and functions that it imports.
    pub imports: BTreeMap<String, Vec<String>>,
    /// Interfaces that it exports.
    pub exports: Vec<String>,
}

#[derive(Deserialize)]
struct Raw {
    imports: Vec<RawInterface>,
    exports: Vec<RawInterface>,
    metadata: String,
    requests: String,
}

#[derive(Deserialize)]
struct RawInterface {
    name: String,
    functions: Vec<String>,
    misfits: Vec<String>,
}

/// Reads a component, compiles it in a limited child, and checks that this host can run it.
///
/// # Errors
/// What is wrong with it, and what to do.
pub fn examine(path: &Path) -> Result<Examined> {
    let component = fs::read(path).with_context(|| path.display().to_string())?;
    let digest = Digest::of(&component);
    // What is compiled is what was hashed: these bytes, not the path again.
    let mut source =
        fs::File::from(nix::sys::memfd::memfd_create(c"component", nix::sys::memfd::MFdFlags::MFD_CLOEXEC)?);
    source.write_all(&component)?;
    source.rewind()?;
    let compiled = native::compile_component(source, false, Instant::now() + COMPILE)
        .map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
    let raw: Raw = serde_json::from_slice(&compiled.description).context("the compiler's description")?;
    let misfits: Vec<String> = misfits("imports", &raw.imports).chain(misfits("exports", &raw.exports)).collect();
    let imports: BTreeMap<_, _> = raw.imports.into_iter().map(|i| (i.name, i.functions)).collect();
    let exports: Vec<String> = raw.exports.into_iter().map(|e| e.name).collect();
    check_imports(&imports).with_context(|| path.display().to_string())?;
    if let Some(first) = misfits.first() {
        bail!("{}: {first}", path.display());
    }
    if !is_exported(&exports, "lifecycle") {
        bail!(
            "{}: does not export ocf:agent/lifecycle@0.1.0, so it is no resource agent: write one with crate ocf-agent",
            path.display()
        );
    }
    let offered = Exports {
        role: is_exported(&exports, "role"),
        notification: is_exported(&exports, "notification"),
        migration: is_exported(&exports, "migration"),
        reload: is_exported(&exports, "reload"),
    };
    let (description, requests) = notes::read(&raw.metadata, &raw.requests, offered)
        .with_context(|| format!("{}: custom section", path.display()))?;
    Ok(Examined { component, digest, native: compiled.native, description, requests, imports, exports })
}

/// What is of other types than in this host's WIT, a sentence an interface.
fn misfits<'a>(verb: &'a str, interfaces: &'a [RawInterface]) -> impl Iterator<Item = String> + 'a {
    interfaces.iter().filter(|interface| !interface.misfits.is_empty()).map(move |interface| {
        let names = interface.misfits.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        format!(
            "{verb} {} with another {names} than this host's WIT has: build against wit/ocf-agent {}",
            interface.name,
            env!("CARGO_PKG_VERSION")
        )
    })
}

/// The interfaces of this host with their functions, from the WIT itself.
fn world() -> BTreeMap<&'static str, Vec<String>> {
    let files = [
        ("instance", include_str!("../../../wit/instance.wit")),
        ("log", include_str!("../../../wit/log.wit")),
        ("clock", include_str!("../../../wit/clock.wit")),
        ("state", include_str!("../../../wit/state.wit")),
        ("program", include_str!("../../../wit/program.wit")),
        ("path", include_str!("../../../wit/path.wit")),
        ("endpoint", include_str!("../../../wit/endpoint.wit")),
        ("types", include_str!("../../../wit/types.wit")),
    ];
    let function = |line: &str| {
        let (name, rest) = line.trim().split_once(": ")?;
        rest.starts_with("func(").then(|| name.trim_start_matches('%').to_owned())
    };
    files.into_iter().map(|(name, text)| (name, text.lines().filter_map(function).collect())).collect()
}

/// What is not `ocf:agent` and still linked: see the runner's baseline.
const BASELINE: [&str; 16] = [
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:random/insecure-seed",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
];

fn check_imports(imports: &BTreeMap<String, Vec<String>>) -> Result<()> {
    let world = world();
    for (name, functions) in imports {
        let (base, version) = name.split_once('@').unwrap_or((name, ""));
        if BASELINE.contains(&base) {
            continue;
        }
        let Some(interface) = base.strip_prefix("ocf:agent/") else {
            if base.starts_with("wasi:filesystem/")
                || base.starts_with("wasi:sockets/")
                || base.starts_with("wasi:http/")
            {
                bail!(
                    "imports {name}: a plugin has no files and no network of its own; ask for a program, a path or an endpoint by label (crate ocf-agent), or leave out what opens files"
                );
            }
            bail!(
                "imports {name}, which this host does not offer: build against wit/ocf-agent {}",
                env!("CARGO_PKG_VERSION")
            );
        };
        if !version.starts_with("0.1.") {
            bail!("imports {name}: this host speaks ocf:agent 0.1; build against that, or update ocf-wasm");
        }
        let Some(known) = world.get(interface) else {
            bail!("imports {name}: this host has no interface `{interface}`; it is newer: update ocf-wasm");
        };
        if let Some(unknown) = functions.iter().find(|f| !known.contains(f)) {
            bail!(
                "imports {name}: this host's `{interface}` has no function `{unknown}`; it is newer: update ocf-wasm"
            );
        }
    }
    Ok(())
}

fn is_exported(exports: &[String], name: &str) -> bool {
    exports.iter().any(|export| export.split('@').next() == Some(&format!("ocf:agent/{name}")))
}

/// Writes a new generation beside those that are there, and returns its number. It is not current yet. If the current
/// one is the same in all, its number is returned.
///
/// # Errors
/// What the kernel says; a generation that is not complete is never seen.
pub fn add(examined: &Examined, profile: Profile) -> Result<u32> {
    let agent = &examined.description.name;
    let xml = metadata::render(&examined.description, profile)?;
    if xml.len() > METADATA_BYTES {
        bail!("its metadata is larger than {} KiB", METADATA_BYTES >> 10);
    }
    keep(examined)?;
    let above = agent_path(agent);
    fs::create_dir_all(&above).with_context(|| above.display().to_string())?;
    super::make_listable(&above)?;
    if let Some(current) = super::current(agent)
        && super::generation(agent, current).is_ok_and(|g| g.component == examined.digest && g.profile == profile)
        && fs::read_to_string(above.join(current.to_string()).join("metadata.xml")).is_ok_and(|text| text == xml)
    {
        return Ok(current);
    }
    let number = super::generations(agent).last().copied().unwrap_or(0) + 1;
    let (new, path) = (above.join(format!(".{number}.new")), above.join(number.to_string()));
    let _ = fs::remove_dir_all(&new);
    fs::create_dir(&new).with_context(|| new.display().to_string())?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755))?;
    let generation = Generation {
        component: examined.digest.clone(),
        description: examined.description.clone(),
        profile,
        installed_at: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
        requests: examined.requests.clone(),
    };
    crate::sealed::save(&new.join("agent"), MAGIC, &generation)?;
    fs::write(new.join("metadata.xml"), xml)?;
    for file in ["agent", "metadata.xml"] {
        fs::set_permissions(new.join(file), fs::Permissions::from_mode(0o644))?;
        fs::File::open(new.join(file))?.sync_all()?;
    }
    fs::rename(&new, &path).with_context(|| path.display().to_string())?;
    fs::File::open(&above)?.sync_all()?;
    Ok(number)
}

/// A part of what is installed that can be lost by itself, and comes back with the next install.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The component in the store.
    Component,
    /// Its native code in the cache.
    Native,
    /// The link by which Pacemaker finds the agent.
    Link,
    /// The operator's list, agents.toml.
    List,
}

impl Part {
    /// The word for programs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Component => "component",
            Self::Native => "native-code",
            Self::Link => "link",
            Self::List => "list",
        }
    }

    /// Returns its name and where it is, for people.
    pub fn told(self, agent: &AgentName) -> String {
        match self {
            Self::Component => format!("its component in {LIB}/blobs"),
            Self::Native => format!("its native code in {}", super::CACHE),
            Self::Link => place::path(agent).display().to_string(),
            Self::List => list::PATH.to_owned(),
        }
    }
}

/// Whether the store has the bytes of a component, as they were.
pub fn is_kept(digest: &Digest) -> bool {
    super::kept(digest).is_ok_and(|bytes| Digest::of(&bytes) == *digest)
}

/// What of a component that is installed already is lost or damaged, and will be put back.
pub fn lost(examined: &Examined) -> Vec<Part> {
    let digest = &examined.digest;
    let parts = [
        (Part::Component, is_kept(digest)),
        (Part::Native, native::is_there(digest)),
        (Part::Link, place::is_right(&examined.description.name)),
        (Part::List, list::is_whole()),
    ];
    parts.into_iter().filter(|(_, is_there)| !is_there).map(|(part, _)| part).collect()
}

/// Keeps a component and its native code, without making a generation of it.
///
/// # Errors
/// What the kernel says.
pub fn keep(examined: &Examined) -> Result<()> {
    let blob = super::blob_path(&examined.digest);
    if blob.symlink_metadata().is_ok() && !is_kept(&examined.digest) {
        // What is kept under a digest is never written again, unless it is not what the digest says.
        fs::remove_file(&blob).with_context(|| blob.display().to_string())?;
    }
    for directory in [blob.parent().unwrap_or(Path::new(LIB)), Path::new(super::CACHE)] {
        crate::sealed::collect(directory);
    }
    super::keep(&examined.component).context(LIB)?;
    native::store(&examined.digest, &examined.native).context(super::CACHE)
}

/// Takes back a generation that was added and is not wanted. One that is current stays.
pub fn take_back(agent: &AgentName, number: u32) {
    if super::current(agent) != Some(number) {
        let _ = fs::remove_dir_all(agent_path(agent).join(number.to_string()));
    }
}

/// Makes a generation the current one, and puts the agent where Pacemaker looks. What is there and is not ours is kept
/// elsewhere if it is to be replaced; returns where.
///
/// # Errors
/// If the place is taken by something that is not ours, and stays, or the list of what is installed is damaged.
pub fn switch(agent: &AgentName, number: u32, replaces: bool) -> Result<Option<PathBuf>> {
    list::check()?;
    let kept = if replaces { place::keep_other(agent)? } else { place::check(agent).map(|()| None)? };
    place::replace_link(&agent_path(agent).join("current"), Path::new(&number.to_string()))?;
    // Where the operator will put what is granted.
    if let Some(above) = super::policy_path(agent).parent() {
        fs::create_dir_all(above).with_context(|| above.display().to_string())?;
    }
    place::put(agent)?;
    list::write()?;
    Ok(kept)
}

/// Takes an agent away, and puts back what it took the place of; returns where that was kept. Its records and what they
/// pin stay; with `keep_link` Pacemaker still finds the agent, which then stops what runs and starts nothing.
///
/// # Errors
/// What the kernel says; if the list of what is installed is damaged.
pub fn remove(agent: &AgentName, keep_link: bool) -> Result<Option<PathBuf>> {
    list::check()?;
    let put_back = if keep_link { None } else { place::clear(agent)? };
    let current = agent_path(agent).join("current");
    match fs::remove_file(&current) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| current.display().to_string());
        }
        _ => {}
    }
    list::write()?;
    Ok(put_back)
}

/// Whether anything of an agent is where Pacemaker or an action looks.
pub fn is_there(agent: &AgentName) -> bool {
    super::current(agent).is_some() || place::is_ours(agent)
}

/// Lists what is installed: agent and its current generation's number.
pub fn installed() -> Vec<(AgentName, u32)> {
    known().into_iter().filter_map(|agent| super::current(&agent).map(|number| (agent, number))).collect()
}

/// Lists what is installed or should be, by the operator's list, each with its component's digest by that list. Where
/// the list is lost, an agent counts that Pacemaker would find.
pub fn expected() -> BTreeMap<AgentName, Option<Digest>> {
    let mut expected: BTreeMap<_, _> = installed().into_iter().map(|(agent, _)| (agent, None)).collect();
    match list::read() {
        Ok(Some(list)) => expected.extend(list.into_iter().map(|(agent, digest)| (agent, Some(digest)))),
        Ok(None) | Err(_) => expected.extend(known().into_iter().filter(is_there).map(|agent| (agent, None))),
    }
    expected
}

/// All agents that were ever installed, sorted.
fn known() -> Vec<AgentName> {
    let names = |path: &Path| -> Vec<String> {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|e| e.file_name().into_string().ok()).collect();
        names.sort();
        names
    };
    let root = Path::new(LIB).join("agents");
    let mut found = Vec::new();
    for provider in names(&root) {
        found.extend(
            names(&root.join(&provider)).into_iter().map(|kind| AgentName { provider: provider.clone(), kind }),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imports(name: &str, functions: &[&str]) -> BTreeMap<String, Vec<String>> {
        BTreeMap::from([(name.to_owned(), functions.iter().map(|f| (*f).to_owned()).collect())])
    }

    #[test]
    fn the_world_is_read_from_the_wit() {
        let world = world();
        assert_eq!(world["program"], ["available", "run", "start", "status", "stop", "signal"]);
        assert_eq!(world["path"], ["stat", "read", "write", "remove", "list", "make-directory"]);
        assert_eq!(world["endpoint"], ["connect", "exchange", "http", "listening"]);
    }

    #[test]
    fn what_the_host_does_not_offer_is_named() {
        assert!(check_imports(&imports("ocf:agent/program@0.1.0", &["run"])).is_ok());
        assert!(check_imports(&imports("ocf:agent/program@0.1.7", &["run"])).is_ok());
        for (name, function, says) in [
            ("ocf:agent/program@0.1.3", "freeze", "no function `freeze`"),
            ("ocf:agent/mount@0.1.1", "mount", "no interface `mount`"),
            ("ocf:agent/program@0.2.0", "run", "speaks ocf:agent 0.1"),
            ("wasi:filesystem/preopens@0.2.6", "get-directories", "has no files"),
            ("acme:magic/wand@1.0.0", "wave", "does not offer"),
        ] {
            let told = check_imports(&imports(name, &[function])).unwrap_err().to_string();
            assert!(told.contains(says), "{told}");
        }
    }
}
