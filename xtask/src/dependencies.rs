//! `dependencies`: what each binary links, as lists that a reviewer reads. A crate that is new there is argued in the
//! manifest of who wants it.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, bail};

use super::{cargo, root, triple};

/// The binaries: name of the list, package, features.
const BINARIES: [(&str, &str, &str); 3] = [
    ("ocf-wasm-agent", "ocf-wasm", ""),
    ("ocf-wasm", "ocf-wasm", "tool"),
    ("ocf-wasm-compile", "ocf-wasm-compile", ""),
];

/// Writes the lists, or compares them.
///
/// # Errors
/// With `check`, if a binary links something else than its list says.
pub(crate) fn run(check: bool) -> Result<()> {
    for (name, package, features) in BINARIES {
        let path = root().join("docs/dependencies").join(format!("{name}.txt"));
        let now = list(package, features)?;
        if !check {
            fs::create_dir_all(path.parent().context("docs")?)?;
            fs::write(&path, &now)?;
            continue;
        }
        let then = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        if then != now {
            let (old, new): (BTreeSet<_>, BTreeSet<_>) = (then.lines().collect(), now.lines().collect());
            bail!(
                "{name} links other crates than {} says\n  new: {:?}\n  gone: {:?}\n  argue each in the manifest that wants it, then: cargo xtask dependencies",
                path.display(),
                new.difference(&old).collect::<Vec<_>>(),
                old.difference(&new).collect::<Vec<_>>()
            );
        }
    }
    Ok(())
}

fn list(package: &str, features: &str) -> Result<String> {
    let triple = triple();
    let mut tree =
        cargo(&["tree", "--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}", "--locked"]);
    tree.args(["--package", package, "--features", features, "--target", &triple]);
    let output = tree.output().context("cargo tree")?;
    if !output.status.success() {
        bail!("cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    // Names alone: versions stand in Cargo.lock.
    let names: BTreeSet<&str> =
        text.lines().filter_map(|line| line.split(' ').next()).filter(|n| !n.is_empty()).collect();
    Ok(names.iter().map(|name| format!("{name}\n")).collect())
}
