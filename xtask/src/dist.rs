//! `dist`: five binaries built apart, so that the one that Pacemaker runs links no compiler, no argument parser, no bus and
//! no cryptography for connections.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::{cargo, root, run as must, setup, target, triple};

/// The plugins and the names that cargo gives their components.
pub(crate) const PLUGINS: [&str; 5] = ["anything", "dummy", "sample-tcp-server", "stateful", "web-service"];

/// Builds everything and lays it out; returns the directory.
///
/// # Errors
/// If something does not build.
pub(crate) fn run_in(dist: &Path) -> Result<()> {
    setup::targets()?;
    let triple = triple();
    let small = ["build", "--release", "--target", &triple, "--package"];
    // Static, against musl: glibc asks the processor a dozen questions at each start, and each of them leaves a virtual
    // machine. The one C file of the engine calls no library, so that any compiler for this machine will do.
    let compiler = format!("CC_{}", triple.replace('-', "_"));
    let compiler = (&compiler, std::env::var_os(&compiler).unwrap_or_else(|| "cc".into()));
    must(cargo(&small).args(["ocf-wasm", "--bin", "ocf-wasm-agent"]).env(compiler.0, &compiler.1))?;
    // Nor do those of ring, unless the compiler puts in calls of its own library's checks.
    let flags = format!("CFLAGS_{}", triple.replace('-', "_"));
    let flags = (&flags, std::env::var_os(&flags).unwrap_or_else(|| "-U_FORTIFY_SOURCE".into()));
    let tls = ["ocf-wasm-tls", "--bin", "ocf-wasm-tls"];
    must(cargo(&small).args(tls).env(compiler.0, compiler.1).env(flags.0, flags.1))?;
    must(cargo(&small).args(["greeter", "--bin", "greeter"]))?;
    must(&mut cargo(&["build", "--profile", "tool", "--package", "ocf-wasm-compile", "--package", "ocf-wasm-units"]))?;
    must(&mut cargo(&[
        "build",
        "--profile",
        "tool",
        "--package",
        "ocf-wasm",
        "--features",
        "tool",
        "--bin",
        "ocf-wasm",
    ]))?;
    let mut plugins = cargo(&["build", "--profile", "guest", "--target", "wasm32-wasip2"]);
    must(plugins.args(PLUGINS.iter().flat_map(|plugin| ["--package", plugin])))?;

    let (small, tool) = (target().join(&triple).join("release"), target().join("tool"));
    let libexec = dist.join("usr/libexec/ocf-wasm");
    copy(&tool.join("ocf-wasm"), &dist.join("usr/bin/ocf-wasm"), 0o755)?;
    copy(&small.join("ocf-wasm-agent"), &libexec.join("ocf-wasm-agent"), 0o755)?;
    copy(&small.join("ocf-wasm-tls"), &libexec.join("ocf-wasm-tls"), 0o755)?;
    copy(&tool.join("ocf-wasm-compile"), &libexec.join("ocf-wasm-compile"), 0o755)?;
    copy(&tool.join("ocf-wasm-units"), &libexec.join("ocf-wasm-units"), 0o755)?;
    copy(&small.join("greeter"), &libexec.join("examples/greeter"), 0o755)?;
    copy(&root().join("plugins/web-service/page.sh"), &libexec.join("examples/page"), 0o755)?;
    copy(&root().join("host/ocf-wasm.sysusers"), &dist.join("usr/lib/sysusers.d/ocf-wasm.conf"), 0o644)?;
    help(dist)?;
    for plugin in PLUGINS {
        let (from, to) = (root().join("plugins").join(plugin), dist.join("usr/share/ocf-wasm/plugins").join(plugin));
        copy(&component(plugin), &to.join(format!("{plugin}.wasm")), 0o644)?;
        copy(&from.join("policy.toml"), &to.join("policy.toml"), 0o644)?;
        let readme = fs::read_to_string(from.join("README.md")).with_context(|| format!("README.md of {plugin}"))?;
        // What is built is not built again where it lies.
        let (shown, _) =
            readme.split_once(CHECKOUT).with_context(|| format!("README.md of {plugin}: no {CHECKOUT}"))?;
        fs::write(to.join("README.md"), shown)?;
    }
    Ok(())
}

/// What begins the part of a plugin's README that is for its source.
const CHECKOUT: &str = "\n## In the checkout\n";

/// Where shells look for completions.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/ocf-wasm"),
    ("zsh", "usr/share/zsh/site-functions/_ocf-wasm"),
    ("fish", "usr/share/fish/vendor_completions.d/ocf-wasm.fish"),
];

/// Has the tool write its manual pages and its completions.
fn help(dist: &Path) -> Result<()> {
    let tool = dist.join("usr/bin/ocf-wasm");
    must(Command::new(&tool).arg("man").arg(dist.join("usr/share/man")))?;
    for (shell, place) in COMPLETIONS {
        let printed = Command::new(&tool).args(["completions", shell]).output().context("completions")?;
        ensure!(printed.status.success(), "ocf-wasm completions {shell}: {}", printed.status);
        let place = dist.join(place);
        fs::create_dir_all(place.parent().context("completions")?)?;
        fs::write(&place, printed.stdout).with_context(|| place.display().to_string())?;
    }
    Ok(())
}

/// Builds into `target/dist`.
///
/// # Errors
/// If something does not build.
pub(crate) fn run() -> Result<PathBuf> {
    let dist = target().join("dist");
    if dist.exists() {
        fs::remove_dir_all(&dist).with_context(|| dist.display().to_string())?;
    }
    run_in(&dist)?;
    Ok(dist)
}

/// The component that cargo built of a plugin.
pub(crate) fn component(plugin: &str) -> PathBuf {
    target().join("wasm32-wasip2/guest").join(format!("{}.wasm", plugin.replace('-', "_")))
}

fn copy(from: &Path, to: &Path, mode: u32) -> Result<()> {
    if let Some(above) = to.parent() {
        fs::create_dir_all(above).with_context(|| above.display().to_string())?;
    }
    fs::copy(from, to).with_context(|| format!("{} to {}", from.display(), to.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(mode)).with_context(|| to.display().to_string())
}
