//! `new`: a plugin that builds, passes its native tests, and passes `ocf-wasm test`, to begin with.
//!
//! The files stand beside this one as they are written out; only the names between `@` are filled in. What must never
//! enter here: anything that is written over.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use super::{Format, here};
use crate::ocf::description::AgentName;

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  ocf-wasm new acme/web --sdk ocf-wasm/guest-sdk\n  ocf-wasm new acme/db --promotable --path plugins/db\n  ocf-wasm new acme/web --daemon --sdk ../ocf-wasm/guest-sdk\n\nExit status: 0 made, 1 refused (something is there already), 2 wrong usage.\nThe crate ocf-agent is not published yet: it is taken from the checkout of ocf-wasm that DIR is in, or from --sdk."
)]
pub(super) struct Arguments {
    /// The agent's name, PROVIDER/TYPE
    #[arg(value_parser = super::agent_name)]
    name: AgentName,
    /// Where; a directory of its own that is not there yet, TYPE if not given
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// An agent that keeps no process (the default)
    #[arg(long, group = "kind")]
    plain: bool,
    /// An agent of a daemon
    #[arg(long, group = "kind")]
    daemon: bool,
    /// An agent of a clone of which one copy is promoted
    #[arg(long, group = "kind")]
    promotable: bool,
    /// Where the crate ocf-agent is: CHECKOUT/guest-sdk. Needed outside a checkout
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

/// The files of one kind of plugin: its code, its tests, its policy.
type Kind = [&'static str; 3];

const PLAIN: Kind = [include_str!("plain/lib.rs"), include_str!("plain/tests.rs"), include_str!("plain/policy.toml")];
const DAEMON: Kind =
    [include_str!("daemon/lib.rs"), include_str!("daemon/tests.rs"), include_str!("daemon/policy.toml")];
const PROMOTABLE: Kind =
    [include_str!("promotable/lib.rs"), include_str!("promotable/tests.rs"), include_str!("promotable/policy.toml")];

/// The crate of authors in a checkout.
const SDK: &str = "guest-sdk";

/// What becomes of the names between `@`.
struct Names {
    agent: AgentName,
    directory: PathBuf,
    sdk: String,
    /// Whether it is a member of the checkout's workspace, as all of `plugins/` are.
    is_member: bool,
}

pub(super) fn run(arguments: &Arguments, format: Format) -> Result<ExitCode> {
    let agent = arguments.name.clone();
    check_type(&agent.kind)?;
    let given = arguments.path.clone().unwrap_or_else(|| agent.kind.clone().into());
    let directory = std::path::absolute(&given).with_context(|| given.display().to_string())?;
    let checkout = directory.ancestors().skip(1).find(|above| is_sdk(&above.join(SDK)));
    // Without either, cargo would run whatever somebody publishes under the free name.
    let sdk = match (&arguments.sdk, checkout) {
        (Some(named), _) => {
            if !is_sdk(named) {
                bail!("{}: the crate ocf-agent is not there", named.display());
            }
            named.canonicalize()?
        }
        (None, Some(checkout)) => relative(&directory, checkout).join(SDK),
        (None, None) => {
            let text = "the crate ocf-agent is not published yet: add --sdk CHECKOUT/guest-sdk";
            return super::usage("new", text.to_owned());
        }
    };
    let sdk = format!("{{ path = {:?}, default-features = false }}", sdk.display().to_string());
    let is_member =
        arguments.sdk.is_none() && checkout.is_some_and(|at| directory.parent() == Some(&at.join("plugins")));
    let names = Names { agent, directory, sdk, is_member };
    let [code, tests, policy] = match (arguments.daemon, arguments.promotable) {
        (true, _) => DAEMON,
        (_, true) => PROMOTABLE,
        (false, false) => PLAIN,
    };
    let manifest = match is_member {
        true => include_str!("manifest.txt").to_owned(),
        false => format!("{}{}", include_str!("manifest.txt"), include_str!("alone.txt")),
    };
    let mut files = vec![
        ("Cargo.toml", manifest),
        ("src/lib.rs", code.to_owned()),
        ("src/tests.rs", tests.to_owned()),
        ("policy.toml", policy.to_owned()),
        ("README.md", include_str!("readme.txt").to_owned()),
    ];
    if !is_member {
        files.push((".gitignore", "/target\n".to_owned()));
    }
    // Made by us and by nobody before: nothing in it can be written over.
    if let Some(above) = names.directory.parent() {
        fs::create_dir_all(above).with_context(|| above.display().to_string())?;
    }
    fs::create_dir(&names.directory).with_context(|| {
        format!("{}: name a directory that is not there yet with --path", names.directory.display())
    })?;
    fs::create_dir(names.directory.join("src"))?;
    for (name, text) in &files {
        let path = names.directory.join(name);
        let mut file = fs::File::create_new(&path).with_context(|| path.display().to_string())?;
        file.write_all(names.fill(text).as_bytes()).with_context(|| path.display().to_string())?;
    }
    let next = names.next(&given);
    match format {
        Format::Json => super::json(&serde_json::json!({
            "agent": names.agent.to_string(), "path": names.directory,
            "files": files.iter().map(|(name, _)| *name).collect::<Vec<_>>(), "next": next,
        }))?,
        Format::Text => {
            println!("{} is in {}: begin with src/lib.rs. Next:", names.agent, given.display());
            for command in next {
                println!("  {command}");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Names {
    /// Fills the names into a template.
    fn fill(&self, text: &str) -> String {
        let (package, directory) = match self.is_member {
            true => (format!(" -p {}", self.agent.kind), format!("plugins/{}/", self.last())),
            false => (String::new(), String::new()),
        };
        let policy =
            if self.is_member { format!(" --policy {directory}policy.toml") } else { " --policy policy.toml".into() };
        text.replace("@NAME@", &self.agent.to_string())
            .replace("@PROVIDER@", &self.agent.provider)
            .replace("@TYPE@", &self.agent.kind)
            .replace("@STRUCT@", &structure(&self.agent.kind))
            .replace("@SDK@", &self.sdk)
            .replace("@PACKAGE@", &package)
            .replace("@BUILD@", &self.build())
            .replace("@COMPONENT@", &self.component())
            .replace("@POLICY@", &policy)
            .replace("@DIRECTORY@", &directory)
    }

    fn last(&self) -> String {
        self.directory.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn build(&self) -> String {
        match self.is_member {
            true => format!("cargo build -p {} --profile guest --target wasm32-wasip2", self.agent.kind),
            false => "cargo build --release --target wasm32-wasip2".to_owned(),
        }
    }

    /// Where cargo puts the component.
    fn component(&self) -> String {
        let profile = if self.is_member { "guest" } else { "release" };
        format!("target/wasm32-wasip2/{profile}/{}.wasm", self.agent.kind.replace('-', "_"))
    }

    /// The commands that come next.
    fn next(&self, given: &Path) -> [String; 3] {
        let test = self.fill("cargo test@PACKAGE@");
        let first = if self.is_member { test } else { format!("cd {} && {test}", given.display()) };
        [first, self.build(), here::said(&self.fill("ocf-wasm test @COMPONENT@@POLICY@"))]
    }
}

/// Crates that every crate has or depends on, and what cannot be the name of a structure.
const TAKEN: [&str; 7] = ["alloc", "core", "ocf-agent", "proc-macro", "self", "std", "test"];

/// Words of Rust, which no code that uses the crate could name; `cargo new` refuses them too.
const KEYWORDS: [&str; 50] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod",
    "move", "mut", "override", "priv", "pub", "ref", "return", "static", "struct", "super", "trait", "true", "try",
    "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// Refuses what is no name for a crate.
fn check_type(kind: &str) -> Result<()> {
    let written = kind.replace('_', "-");
    if TAKEN.contains(&written.as_str()) || KEYWORDS.contains(&kind) {
        bail!("{kind}: is a reserved name: the type becomes the name of a crate, and a crate cannot be called that");
    }
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let begins = kind.starts_with(|c: char| c.is_ascii_lowercase());
    if !begins || !kind.chars().all(is_plain) {
        bail!("{kind}: the type becomes the name of a crate: lower-case letters, digits and dashes, as in web-server");
    }
    Ok(())
}

/// `web-server` as `WebServer`. A word that the template itself uses gets another.
fn structure(kind: &str) -> String {
    let words = kind.split(['-', '_']).filter(|word| !word.is_empty());
    let name: String = words
        .map(|word| {
            let (first, rest) = word.split_at(1);
            first.to_ascii_uppercase() + rest
        })
        .collect();
    let taken = [
        "Agent",
        "Health",
        "Outcome",
        "Parameters",
        "Role",
        "Phase",
        "String",
        "Vec",
        "Box",
        "ToOwned",
        "ToString",
        "Node",
    ];
    let taken_more = ["Ok", "Err", "Some", "None", "Option", "Result", "ExitStatus", "FailureKind", "Exports"];
    if taken.contains(&name.as_str()) || taken_more.contains(&name.as_str()) { format!("{name}Plugin") } else { name }
}

/// Whether the crate of authors is there.
fn is_sdk(path: &Path) -> bool {
    let manifest = fs::read_to_string(path.join("Cargo.toml")).unwrap_or_default();
    manifest.lines().any(|line| line.trim() == "name = \"ocf-agent\"")
}

/// The way from a directory up to one above it.
fn relative(from: &Path, above: &Path) -> PathBuf {
    let depth = from.strip_prefix(above).map_or(0, |below| below.components().count());
    std::iter::repeat_n("..", depth).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_becomes_a_structure() {
        assert_eq!(structure("web-server_2"), "WebServer2");
        assert_eq!(structure("agent"), "AgentPlugin");
        for wrong in ["Web", "2web", "web.server", ""] {
            assert!(check_type(wrong).unwrap_err().to_string().contains("lower-case letters"), "{wrong}");
        }
        for reserved in ["core", "proc_macro", "ocf_agent", "self", "test", "fn"] {
            assert!(check_type(reserved).unwrap_err().to_string().contains("is a reserved name"), "{reserved}");
        }
        check_type("web-server_2").unwrap();
    }

    #[test]
    fn the_way_up_is_as_long_as_the_way_down() {
        assert_eq!(relative(Path::new("/a/b/c"), Path::new("/a")), Path::new("../.."));
    }

    #[test]
    fn nothing_is_left_to_fill_in() {
        let agent = AgentName::parse("acme/web").unwrap();
        let names = Names { agent, directory: "/x/web".into(), sdk: "\"1\"".into(), is_member: true };
        let own = [include_str!("manifest.txt"), include_str!("alone.txt"), include_str!("readme.txt")];
        for text in PLAIN.iter().chain(&DAEMON).chain(&PROMOTABLE).chain(&own) {
            assert!(!names.fill(text).contains('@'), "{}", names.fill(text));
        }
    }
}
