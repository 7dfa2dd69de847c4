//! `dependencies`: what each binary links and why, as lists that a reviewer reads, and deny.toml.
//!
//! A crate that we name is argued by the comment above it in the manifest that wants it, or in the workspace's own;
//! the lists show these words. What it brings along is listed as of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{cargo, deny, root, triple};

/// The binaries: name of the list, package, features.
const BINARIES: [(&str, &str, &str); 5] = [
    ("ocf-wasm-agent", "ocf-wasm", ""),
    ("ocf-wasm", "ocf-wasm", "tool"),
    ("ocf-wasm-compile", "ocf-wasm-compile", ""),
    ("ocf-wasm-tls", "ocf-wasm-tls", ""),
    ("ocf-wasm-units", "ocf-wasm-units", ""),
];

/// Reasons by package of ours and crate; the workspace's own under no package.
type Reasons = BTreeMap<String, BTreeMap<String, String>>;

/// Writes the lists, or compares them and deny.toml with what is built.
///
/// # Errors
/// If a crate is not argued; with `check`, if a binary links something else than its list says, or deny.toml disagrees.
pub(crate) fn run(check: bool) -> Result<()> {
    let reasons = reasons()?;
    for (name, package, features) in BINARIES {
        let path = root().join("docs/dependencies").join(format!("{name}.txt"));
        let now = list(&tree(package, features)?, &reasons)?;
        if !check {
            fs::create_dir_all(path.parent().context("docs")?)?;
            fs::write(&path, &now)?;
            continue;
        }
        let then = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        if then != now {
            let (old, new): (BTreeSet<_>, BTreeSet<_>) = (then.lines().collect(), now.lines().collect());
            bail!(
                "{name} links other crates, or for other reasons, than {} says\n  new: {:#?}\n  gone: {:#?}\n  argue each in the manifest that wants it, then: cargo xtask dependencies",
                path.display(),
                new.difference(&old).collect::<Vec<_>>(),
                old.difference(&new).collect::<Vec<_>>()
            );
        }
    }
    if check { deny::check() } else { Ok(()) }
}

/// What a package links, as cargo prints it: the depth, the name, and whether it is ours.
fn tree(package: &str, features: &str) -> Result<Vec<(usize, String, bool)>> {
    let triple = triple();
    let mut tree = cargo(&["tree", "--edges", "normal,no-proc-macro", "--prefix", "depth", "--no-dedupe", "--locked"]);
    tree.args(["--format", "\t{p}", "--package", package, "--features", features, "--target", &triple]);
    let output = tree.output().context("cargo tree")?;
    if !output.status.success() {
        bail!("cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().filter(|line| !line.is_empty()).map(|line| {
        let (depth, package) = line.split_once('\t')?;
        // Ours are known by their place.
        Some((depth.parse().ok()?, package.split(' ').next()?.to_owned(), package.contains(" (")))
    });
    lines.collect::<Option<_>>().context("cargo tree prints something else")
}

/// A line a crate: its name, and our reason or who brings it.
fn list(tree: &[(usize, String, bool)], reasons: &Reasons) -> Result<String> {
    let mut found: BTreeMap<&str, (BTreeSet<&str>, BTreeSet<&str>)> = BTreeMap::new();
    let mut path: Vec<(&str, bool)> = Vec::new();
    for (depth, name, is_ours) in tree {
        path.truncate(*depth);
        let entry = found.entry(name).or_default();
        // Above it only what is ours: then it is ours to argue.
        match path.iter().position(|(_, is_ours)| !is_ours) {
            _ if *is_ours => drop(entry.0.insert("ours")),
            Some(first) => drop(entry.1.insert(path[first].0)),
            None => {
                let wants = path.last().context("a tree without a root")?.0;
                let reason = reasons.get(wants).and_then(|own| own.get(name.as_str()));
                let reason = reason.with_context(|| format!("{wants} names {name}, and nothing above it says why"))?;
                entry.0.insert(reason);
            }
        }
        path.push((name, *is_ours));
    }
    let width = found.keys().map(|name| name.len()).max().unwrap_or(0);
    let line = |(name, (reasons, brought_by)): (&&str, &(BTreeSet<&str>, BTreeSet<&str>))| {
        let words = |of: &BTreeSet<&str>, between: &str| of.iter().copied().collect::<Vec<_>>().join(between);
        let why = if reasons.is_empty() { format!("of {}", words(brought_by, ", ")) } else { words(reasons, "; ") };
        format!("{name:width$}  {why}\n")
    };
    Ok(found.iter().map(line).collect())
}

/// The reasons of all packages of the workspace.
///
/// # Errors
/// If a crate that one of them names is not argued, wherever it is linked.
fn reasons() -> Result<Reasons> {
    let output = cargo(&["metadata", "--format-version", "1", "--locked", "--no-deps"]).output()?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let shared = comments(&fs::read_to_string(root().join("Cargo.toml"))?);
    let mut reasons = Reasons::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let (Some(name), Some(manifest)) = (package["name"].as_str(), package["manifest_path"].as_str()) else {
            bail!("cargo metadata prints something else");
        };
        let own = comments(&fs::read_to_string(manifest).with_context(|| manifest.to_owned())?);
        let mut argued = BTreeMap::new();
        let named = package["dependencies"].as_array().into_iter().flatten();
        for wanted in named.filter(|d| d["path"].is_null()).filter_map(|d| d["name"].as_str()) {
            let reason = own.get(wanted).or(shared.get(wanted));
            let reason = reason.with_context(|| format!("{manifest}: nothing above {wanted} says why it is wanted"))?;
            argued.insert(wanted.to_owned(), reason.clone());
        }
        reasons.insert(name.to_owned(), argued);
    }
    Ok(reasons)
}

/// The comments directly above the dependencies of a manifest.
fn comments(manifest: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut is_inside = false;
    let mut comment: Vec<&str> = Vec::new();
    for line in manifest.lines() {
        if let Some(words) = line.strip_prefix('#') {
            comment.push(words.trim());
            continue;
        }
        if line.starts_with('[') {
            is_inside = line.ends_with("dependencies]");
        }
        let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
        if is_inside && !name.is_empty() && !comment.is_empty() {
            found.insert(name.to_owned(), comment.join(" ").trim_end_matches('.').to_owned());
        }
        comment.clear();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_comment_above_is_the_reason() {
        let manifest = "[package]\n# no\nname = \"x\"\n[dependencies]\n# one\n# two.\na = \"1\"\nb = \"1\"\n# away\n\nc = \"1\"\n\
                        # of d\nd.workspace = true\n[dev-dependencies]\n# e\ne = { version = \"1\" }\n[lints]\n# no\nf = true\n";
        let found: Vec<(String, String)> = comments(manifest).into_iter().collect();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(found, [pair("a", "one two"), pair("d", "of d"), pair("e", "e")]);
    }

    fn three() -> Vec<(usize, String, bool)> {
        let line = |depth: usize, name: &str, is_ours| (depth, name.to_owned(), is_ours);
        vec![
            line(0, "host", true),
            line(1, "engine", true),
            line(2, "wasm", false),
            line(3, "log", false),
            line(1, "nix", false),
            line(2, "log", false),
            line(2, "wasm", false),
        ]
    }

    #[test]
    fn what_comes_along_is_of_who_brings_it() {
        let one = |name: &str, why: &str| BTreeMap::from([(name.to_owned(), why.to_owned())]);
        let reasons = Reasons::from([("host".into(), one("nix", "calls")), ("engine".into(), one("wasm", "runs"))]);
        let listed = list(&three(), &reasons).unwrap();
        assert_eq!(listed, "engine  ours\nhost    ours\nlog     of nix, wasm\nnix     calls\nwasm    runs\n");
        let unargued = list(&three(), &Reasons::from([("host".into(), one("nix", "calls"))]));
        assert_eq!(unargued.unwrap_err().to_string(), "engine names wasm, and nothing above it says why");
    }
}
