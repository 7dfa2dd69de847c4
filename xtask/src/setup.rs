//! What a fresh machine needs: the target of the plugins, and for the tests Debian's own tools.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

/// What the tests use when they are root: Pacemaker with its executor and tools, corosync, Debian's agents, the readers of
/// metadata, what kills a process at a chosen system call, two services to be confined, and a service manager with its
/// bus, which is started in boxes of namespaces only.
///
/// crmsh and pcs are there to read metadata and to configure clusters of namespaces; nothing of them is started. They cost 15 s and 13 MB, most of it Ruby, in
/// which the daemon of pcs is written.
const PACKAGES: [&str; 15] = [
    "pacemaker",
    "pacemaker-cli-utils",
    "pacemaker-resource-agents",
    "corosync",
    "resource-agents",
    "libxml2-utils",
    "crmsh",
    "pcs",
    "iproute2",
    "procps",
    "strace",
    "postgresql",
    "nginx-light",
    "systemd",
    "dbus",
];

/// Installs the targets that plugins and the agent are built for.
///
/// # Errors
/// If rustup cannot.
pub(crate) fn targets() -> Result<()> {
    // A toolchain without rustup brings its targets itself; cargo says so if it does not.
    let Ok(listed) = Command::new("rustup").args(["target", "list", "--installed"]).output() else { return Ok(()) };
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    for target in ["wasm32-wasip2", &super::triple()] {
        if !listed.lines().any(|line| line == target) {
            super::run(Command::new("rustup").args(["target", "add", target]))?;
        }
    }
    Ok(())
}

/// Installs Debian's packages for the tests. Returns what is missing and cannot be had.
///
/// # Errors
/// Under CI, where a missing tool is a failure.
pub(crate) fn test_tools() -> Result<Option<String>> {
    let missing: Vec<&str> = PACKAGES.into_iter().filter(|package| !is_installed(package)).collect();
    if missing.is_empty() {
        return Ok(None);
    }
    let problem = if !super::is_root() {
        Some(format!("not root, so not installed: {}", missing.join(" ")))
    } else if !Path::new("/usr/bin/apt-get").exists() {
        Some(format!("no apt-get, so not installed: {}", missing.join(" ")))
    } else {
        install(&missing)?;
        None
    };
    if let Some(problem) = &problem
        && std::env::var_os("CI").is_some()
    {
        bail!("{problem}");
    }
    Ok(problem)
}

/// Installs a C++ compiler, which the engine of the fuzz targets is built with. Returns what is missing and cannot be had.
///
/// # Errors
/// If it cannot be installed.
pub(crate) fn compiler() -> Result<Option<String>> {
    let is_there = |name: &str| Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success());
    if std::env::var_os("CXX").is_some() || is_there("c++") {
        return Ok(None);
    }
    if !super::is_root() || !Path::new("/usr/bin/apt-get").exists() {
        return Ok(Some("no C++ compiler: install g++, or set CXX".to_owned()));
    }
    install(&["g++"])?;
    Ok(None)
}

fn is_installed(package: &str) -> bool {
    Command::new("dpkg-query")
        .args(["-W", "-f", "${Status}", package])
        .stderr(Stdio::null())
        .output()
        .is_ok_and(|o| String::from_utf8_lossy(&o.stdout).contains("install ok installed"))
}

fn install(packages: &[&str]) -> Result<()> {
    // No daemon starts because a test wants its tools.
    let rule = Path::new("/usr/sbin/policy-rc.d");
    let is_ours = !rule.exists();
    if is_ours {
        std::fs::write(rule, "#!/bin/sh\nexit 101\n")?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(rule, mode)?;
    }
    let mut update = Command::new("apt-get");
    let mut add = Command::new("apt-get");
    update.args(["update", "-qq"]);
    add.args(["install", "-y", "-qq", "--no-install-recommends"]).args(packages);
    let mut done = Ok(());
    for command in [&mut update, &mut add] {
        command.env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
        done = done.and_then(|()| super::run(command));
    }
    if is_ours {
        std::fs::remove_file(rule)?;
    }
    done
}
