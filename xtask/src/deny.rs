//! deny.toml, held without cargo-deny: which licences and sources the crates may have that we build upon.
//!
//! The file is the one truth and stays cargo-deny's own: who has that tool runs `cargo deny check`, which asks for
//! advisories too. Here every key that we do not know is an error, so nothing in the file is only read.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::Value;

use super::{cargo, root};

/// The registry that cargo-deny takes for granted.
const CRATES_IO: &str = "https://github.com/rust-lang/crates.io-index";

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Deny {
    graph: Graph,
    /// Advisories change from day to day and want a network: they are cargo-deny's.
    #[serde(rename = "advisories")]
    _advisories: toml::Table,
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Graph {
    targets: Vec<String>,
    all_features: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Licenses {
    allow: Vec<String>,
    exceptions: Vec<Exception>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Bans {
    wildcards: Level,
    allow_wildcard_paths: bool,
    /// Seen by who runs cargo-deny.
    #[serde(rename = "multiple-versions")]
    _multiple_versions: Level,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Sources {
    unknown_registry: Level,
    unknown_git: Level,
    allow_git: Vec<String>,
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Level {
    Allow,
    Warn,
    Deny,
}

/// What is known of a crate.
struct Package {
    name: String,
    licence: Option<String>,
    /// None for ours.
    source: Option<String>,
    /// Crates that it wants in any version, from a registry.
    wildcards: Vec<String>,
}

/// Compares what the workspace builds upon with deny.toml.
///
/// # Errors
/// With all that the file does not allow, and all that it allows and nobody needs.
pub(crate) fn check() -> Result<()> {
    let text = std::fs::read_to_string(root().join("deny.toml")).context("deny.toml")?;
    let deny: Deny = toml::from_str(&text).context("deny.toml")?;
    let found = violations(&deny, &packages(&deny.graph)?);
    if !found.is_empty() {
        bail!("deny.toml does not agree:\n  {}", found.join("\n  "));
    }
    Ok(())
}

fn packages(graph: &Graph) -> Result<Vec<Package>> {
    let mut metadata = cargo(&["metadata", "--format-version", "1", "--locked"]);
    metadata.args(graph.all_features.then_some("--all-features"));
    metadata.args(graph.targets.iter().flat_map(|target| ["--filter-platform", target]));
    let output = metadata.output().context("cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    // With a filter, packages that no target needs are listed and not resolved.
    let used: BTreeSet<String> =
        list(&metadata["resolve"]["nodes"]).iter().map(|node| node["id"].to_string()).collect();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let packages = list(&metadata["packages"]).into_iter().filter(|package| used.contains(&package["id"].to_string()));
    packages
        .map(|package| {
            let wild = list(&package["dependencies"]).into_iter().filter(|d| d["req"] == "*" && d["path"].is_null());
            Ok(Package {
                name: text(&package["name"]).context("a package without a name")?,
                licence: text(&package["license"]),
                source: text(&package["source"]),
                wildcards: wild.filter_map(|dependency| text(&dependency["name"])).collect(),
            })
        })
        .collect()
}

fn violations(deny: &Deny, packages: &[Package]) -> Vec<String> {
    let mut found = Vec::new();
    let mut needed: BTreeSet<(Option<&str>, String)> = BTreeSet::new();
    let strict = [&deny.bans.wildcards, &deny.sources.unknown_registry, &deny.sources.unknown_git];
    if strict.iter().any(|level| **level != Level::Deny) || !deny.bans.allow_wildcard_paths {
        found.push("wildcards, unknown-registry and unknown-git are to be \"deny\", paths apart".to_owned());
    }
    for package in packages {
        let Package { name, .. } = package;
        let exception = deny.licenses.exceptions.iter().find(|exception| exception.name == *name);
        match package.licence.as_deref().map(Expression::parse) {
            None => found.push(format!("{name}: says no licence")),
            Some(Err(error)) => found.push(format!("{name}: {error}")),
            Some(Ok(expression)) => {
                let is_allowed = |licence: &str| {
                    let excepted = exception.filter(|exception| exception.allow.iter().any(|l| l == licence));
                    let general = deny.licenses.allow.iter().any(|l| l == licence);
                    if general {
                        needed.insert((None, licence.to_owned()));
                    } else if let Some(exception) = excepted {
                        needed.insert((Some(&exception.name), licence.to_owned()));
                    }
                    general || excepted.is_some()
                };
                if !expression.holds(is_allowed) {
                    let licence = package.licence.as_deref().unwrap_or_default();
                    found.push(format!("{name}: its licence is not allowed: {licence}"));
                }
            }
        }
        match package.source.as_deref().and_then(|source| source.split_once('+')) {
            None if package.source.is_none() || package.source.as_deref() == Some("") => {}
            Some(("registry", url)) if url == CRATES_IO => {}
            Some(("git", url)) if deny.sources.allow_git.iter().any(|allowed| url.starts_with(allowed)) => {}
            Some(_) | None => {
                found.push(format!("{name}: comes from {}", package.source.as_deref().unwrap_or_default()));
            }
        }
        if package.source.is_none() {
            found.extend(package.wildcards.iter().map(|wanted| format!("{name}: wants any version of {wanted}")));
        }
    }
    for licence in &deny.licenses.allow {
        if !needed.contains(&(None, licence.clone())) {
            found.push(format!("{licence} is allowed, and no crate has it"));
        }
    }
    for exception in &deny.licenses.exceptions {
        for licence in &exception.allow {
            if !needed.contains(&(Some(&exception.name), licence.clone())) {
                found.push(format!("{}: {licence} is an exception that nobody needs", exception.name));
            }
        }
    }
    found
}

/// A licence, as crates write it: SPDX, and the slash of old that means "or".
#[derive(Debug, PartialEq, Eq)]
enum Expression {
    One(String),
    All(Vec<Expression>),
    Any(Vec<Expression>),
}

impl Expression {
    fn parse(text: &str) -> Result<Self, String> {
        let spaced = text.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
        let words: Vec<&str> = spaced.split_whitespace().collect();
        let mut rest = words.as_slice();
        let parsed = Self::any(&mut rest).filter(|_| rest.is_empty());
        parsed.ok_or_else(|| format!("its licence is not understood: {text}"))
    }

    fn any(rest: &mut &[&str]) -> Option<Self> {
        Self::chain(rest, "OR", Self::all).map(Self::Any)
    }

    fn all(rest: &mut &[&str]) -> Option<Self> {
        Self::chain(rest, "AND", Self::one).map(Self::All)
    }

    fn chain(rest: &mut &[&str], word: &str, part: fn(&mut &[&str]) -> Option<Self>) -> Option<Vec<Self>> {
        let mut parts = vec![part(rest)?];
        while rest.first() == Some(&word) {
            *rest = &rest[1..];
            parts.push(part(rest)?);
        }
        Some(parts)
    }

    fn one(rest: &mut &[&str]) -> Option<Self> {
        let (first, more) = rest.split_first()?;
        *rest = more;
        match (*first, *rest) {
            ("(", _) => {
                let inner = Self::any(rest)?;
                let (close, more) = rest.split_first()?;
                *rest = more;
                (*close == ")").then_some(inner)
            }
            (")" | "OR" | "AND" | "WITH", _) => None,
            (licence, ["WITH", exception, more @ ..]) => {
                *rest = more;
                Some(Self::One(format!("{licence} WITH {exception}")))
            }
            (licence, _) => Some(Self::One(licence.to_owned())),
        }
    }

    /// Whether enough of it is allowed. Asks for each licence once.
    fn holds(&self, mut is_allowed: impl FnMut(&str) -> bool) -> bool {
        self.holds_by(&mut is_allowed)
    }

    fn holds_by(&self, is_allowed: &mut dyn FnMut(&str) -> bool) -> bool {
        // All are asked, whatever the first says, so that what is needed is known.
        let mut ask = |parts: &[Self]| parts.iter().map(|part| part.holds_by(is_allowed)).collect::<Vec<bool>>();
        match self {
            Self::One(licence) => is_allowed(licence),
            Self::All(parts) => ask(parts).into_iter().all(|holds| holds),
            Self::Any(parts) => ask(parts).into_iter().any(|holds| holds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        [graph]
        targets = []
        all-features = true
        [advisories]
        yanked = "deny"
        [licenses]
        allow = ["MIT"]
        exceptions = [{ crate = "odd", allow = ["ISC"] }]
        [bans]
        wildcards = "deny"
        allow-wildcard-paths = true
        multiple-versions = "warn"
        [sources]
        unknown-registry = "deny"
        unknown-git = "deny"
        allow-git = []
    "#;

    fn package(name: &str, licence: &str, source: &str) -> Package {
        let source = (!source.is_empty()).then(|| source.to_owned());
        Package { name: name.into(), licence: Some(licence.into()), source, wildcards: vec![] }
    }

    /// Judges a crate beside one of ours and one that needs its exception.
    fn judge(package: Option<Package>) -> Vec<String> {
        let registry = format!("registry+{CRATES_IO}");
        let mut all = vec![self::package("ours", "MIT OR X", ""), self::package("odd", "MIT AND ISC", &registry)];
        all.extend(package);
        violations(&toml::from_str(GOOD).unwrap(), &all)
    }

    #[test]
    fn what_is_allowed_is_let_through() {
        assert_eq!(judge(None), [""; 0]);
        assert_eq!(judge(Some(package("a", "X/MIT", &format!("registry+{CRATES_IO}")))), [""; 0]);
    }

    #[test]
    fn what_is_not_allowed_is_named() {
        let registry = format!("registry+{CRATES_IO}");
        for (package, says) in [
            (package("a", "X", &registry), "a: its licence is not allowed: X"),
            (package("a", "MIT AND X", &registry), "a: its licence is not allowed: MIT AND X"),
            (package("a", "ISC", &registry), "a: its licence is not allowed: ISC"),
            (package("a", "MIT WITH exception", &registry), "a: its licence is not allowed: MIT WITH exception"),
            (package("a", "MIT OR", &registry), "a: its licence is not understood: MIT OR"),
            (Package { licence: None, ..package("a", "", &registry) }, "a: says no licence"),
            (package("a", "MIT", "registry+mirror"), "a: comes from registry+mirror"),
            (package("a", "MIT", "git+somewhere"), "a: comes from git+somewhere"),
            (Package { wildcards: vec!["b".into()], ..package("a", "MIT", "") }, "a: wants any version of b"),
        ] {
            assert_eq!(judge(Some(package)), [says]);
        }
    }

    #[test]
    fn what_nobody_needs_is_named() {
        let deny: Deny = toml::from_str(GOOD).unwrap();
        assert_eq!(violations(&deny, &[package("odd", "ISC OR X", "")]), ["MIT is allowed, and no crate has it"],);
        assert_eq!(violations(&deny, &[package("a", "MIT", "")]), ["odd: ISC is an exception that nobody needs"],);
    }

    #[test]
    fn a_file_that_says_more_than_is_held_is_refused() {
        for (from, to) in
            [("[bans]", "[bans]\nskip = []"), ("[graph]", "[graph]\nexclude = []"), ("[graph]", "[x]\n[graph]")]
        {
            assert!(toml::from_str::<Deny>(&GOOD.replace(from, to)).is_err(), "{to}");
        }
        let lax: Deny = toml::from_str(&GOOD.replace("unknown-git = \"deny\"", "unknown-git = \"warn\"")).unwrap();
        assert_eq!(violations(&lax, &[]).len(), 3);
    }

    #[test]
    fn licences_are_read_as_crates_write_them() {
        let holds = |text: &str, allowed: &[&str]| Expression::parse(text).unwrap().holds(|l| allowed.contains(&l));
        assert!(holds("(A OR B) AND C", &["B", "C"]) && !holds("(A OR B) AND C", &["A", "B"]));
        assert!(holds("A OR B AND C", &["A"]) && !holds("A OR B AND C", &["B"]));
        assert!(holds("A WITH E OR B", &["A WITH E"]) && !holds("A WITH E", &["A"]));
        for wrong in ["", "A B", "(A", "A)", "OR A", "A AND", "WITH"] {
            assert!(Expression::parse(wrong).is_err(), "{wrong}");
        }
    }
}
