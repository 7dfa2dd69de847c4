//! What is on a node's disk: in the beginning, and what is installed later. It is reached with power and without.

use super::{Node, files};
use crate::command::Ran;
use crate::furnish::cluster_user;
use anyhow::{Context as _, ensure};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Installs a component on one node, with further arguments of the tool.
pub fn install(node: &Node, component: &Path, more: &[&str]) -> anyhow::Result<Ran> {
    // Through the disk: the node does not see where the tree is.
    let name = component.file_name().context("the component's name")?;
    fs::create_dir_all(node.disk().join("lib/.incoming"))?;
    fs::copy(component, node.disk().join("lib/.incoming").join(name)).context("the component")?;
    let place = Path::new("/var/lib/ocf-wasm/.incoming").join(name);
    let place = place.to_str().context("the component's name")?;
    let ran = node.run(&[&["ocf-wasm", "install", "--allow-unsigned", place], more].concat());
    fs::remove_dir_all(node.disk().join("lib/.incoming"))?;
    ensure!(ran.code == 0, "on {}: {ran:#?}", node.name());
    Ok(ran)
}

/// Puts a policy in its place on one node.
pub fn install_policy(node: &Node, agent: &str, text: &str) -> anyhow::Result<()> {
    let path = policy_path(node, agent);
    fs::create_dir_all(path.parent().context("no parent")?)?;
    fs::write(&path, text).with_context(|| path.display().to_string())?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    Ok(())
}

/// Where the policy of an agent is on one node.
pub fn policy_path(node: &Node, agent: &str) -> PathBuf {
    node.disk().join(format!("etc/ocf-wasm/policy/{agent}.toml"))
}

/// Makes what a node's disk has before it gets power for the first time.
pub(super) fn furnish(disk: &Path, nodes: usize) -> anyhow::Result<()> {
    let (user, group) = cluster_user()?;
    for (directory, mode, is_the_clusters) in [
        ("etc", 0o755, false),
        ("etc/corosync", 0o755, false),
        ("etc/ocf-wasm", 0o755, false),
        ("lib", 0o755, false),
        ("cache", 0o700, false),
        ("corosync", 0o755, false),
        ("layers", 0o700, false),
        ("log", 0o755, false),
        ("log/corosync", 0o755, false),
        ("log/crmsh", 0o755, false),
        ("log/pcsd", 0o755, false),
        ("log/pacemaker", 0o770, true),
        ("pacemaker", 0o750, true),
        ("pacemaker/cib", 0o750, true),
        ("pacemaker/pengine", 0o750, true),
        ("pacemaker/cores", 0o750, true),
        ("pacemaker/blackbox", 0o750, true),
    ] {
        let path = disk.join(directory);
        fs::create_dir(&path).with_context(|| path.display().to_string())?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        if is_the_clusters {
            std::os::unix::fs::chown(&path, Some(user), Some(group))?;
        }
    }
    fs::write(disk.join("etc/corosync/corosync.conf"), files::corosync(nodes))?;
    fs::write(disk.join("etc/hosts"), files::hosts(nodes))?;
    let cib = disk.join("pacemaker/cib/cib.xml");
    fs::write(&cib, files::cib(nodes))?;
    fs::set_permissions(&cib, fs::Permissions::from_mode(0o600))?;
    std::os::unix::fs::chown(&cib, Some(user), Some(group))?;
    // The user that plugins run as, where installing for real would make one.
    for (file, line) in
        [("passwd", "ocf-wasm:x:64999:64999:OCF plugins:/:/usr/sbin/nologin\n"), ("group", "ocf-wasm:x:64999:\n")]
    {
        let mut text = fs::read_to_string(Path::new("/etc").join(file))?;
        if !text.lines().any(|line| line.starts_with("ocf-wasm:")) {
            text.push_str(line);
        }
        fs::write(disk.join("etc").join(file), text)?;
    }
    Ok(())
}
