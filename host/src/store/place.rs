//! The file by which Pacemaker finds an agent: a link to the host, put there in one step, so that there is an agent at any
//! moment. What is there and is not ours is refused, or kept elsewhere before ours takes its place; never lost.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::{Digest, LIB, LIBEXEC, RESOURCE_D};
use crate::ocf::description::AgentName;

/// Bytes of the largest file that is kept: agents are scripts.
const KEPT_BYTES: u64 = 64 * 1024 * 1024;

/// Where an agent's file is.
pub fn path(agent: &AgentName) -> PathBuf {
    Path::new(RESOURCE_D).join(&agent.provider).join(&agent.kind)
}

fn host() -> PathBuf {
    Path::new(LIBEXEC).join("ocf-wasm-agent")
}

/// Whether the agent is where Pacemaker looks.
pub fn is_right(agent: &AgentName) -> bool {
    fs::read_link(path(agent)).is_ok_and(|to| to == host())
}

/// Whether something is there, and ours.
pub fn is_ours(agent: &AgentName) -> bool {
    path(agent).symlink_metadata().is_ok() && !is_others(agent)
}

/// Whether something is there, and not ours.
pub fn is_others(agent: &AgentName) -> bool {
    let path = path(agent);
    let leads_to_a_host =
        || fs::read_link(&path).is_ok_and(|to| to.file_name().is_some_and(|name| name == "ocf-wasm-agent"));
    path.symlink_metadata().is_ok() && !leads_to_a_host()
}

/// Refuses if the place of an agent is taken by something that is not ours.
///
/// # Errors
/// See above.
pub fn check(agent: &AgentName) -> Result<()> {
    let shown = path(agent);
    ensure!(
        !is_others(agent),
        "{} is there and not ours\n  install with --replace takes its place and keeps a copy; a monitor finds an agent at any moment",
        shown.display()
    );
    Ok(())
}

/// Keeps a copy of what is there and is not ours. Returns where it is; none if there is nothing of others.
///
/// # Errors
/// If it is no file that can be kept.
pub fn keep_other(agent: &AgentName) -> Result<Option<PathBuf>> {
    if !is_others(agent) {
        return Ok(None);
    }
    let path = path(agent);
    let away = || format!("{} cannot be kept: move it away first", path.display());
    let found = fs::metadata(&path).with_context(away)?;
    ensure!(found.is_file(), "{}, it is no file", away());
    ensure!(found.len() <= KEPT_BYTES, "{}, it has more than {KEPT_BYTES} bytes", away());
    let bytes = fs::read(&path).with_context(away)?;
    let name = format!("{}-{}", agent.kind, Digest::of(&bytes).short());
    let kept = Path::new(LIB).join("replaced").join(&agent.provider).join(name);
    let above = kept.parent().unwrap_or(Path::new(LIB));
    fs::create_dir_all(above).with_context(|| above.display().to_string())?;
    crate::sealed::replace(&kept, &bytes, found.mode() & 0o777).with_context(|| kept.display().to_string())?;
    fs::File::open(&kept)?.sync_all()?;
    fs::File::open(above)?.sync_all()?;
    Ok(Some(kept))
}

/// Copies of what the agent took the place of.
pub fn kept(agent: &AgentName) -> Vec<PathBuf> {
    let above = Path::new(LIB).join("replaced").join(&agent.provider);
    let prefix = format!("{}-", agent.kind);
    let of_agent = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.and_then(|name| name.strip_prefix(&prefix)).is_some_and(|digest| !digest.contains(['-', '.']))
    };
    let mut found: Vec<PathBuf> =
        fs::read_dir(above).into_iter().flatten().flatten().map(|entry| entry.path()).filter(of_agent).collect();
    found.sort();
    found
}

/// Puts the agent there, whatever is there now.
///
/// # Errors
/// What the kernel says.
pub fn put(agent: &AgentName) -> Result<()> {
    let path = path(agent);
    if let Some(above) = path.parent() {
        fs::create_dir_all(above).with_context(|| above.display().to_string())?;
        fs::set_permissions(above, fs::Permissions::from_mode(0o755))?;
    }
    replace_link(&path, &host())
}

/// Takes the agent away, if it is ours.
///
/// # Errors
/// What the kernel says.
pub fn clear(agent: &AgentName) -> Result<()> {
    let path = path(agent);
    if is_ours(agent) { fs::remove_file(&path).with_context(|| path.display().to_string()) } else { Ok(()) }
}

/// Has a link lead elsewhere, in one step.
///
/// # Errors
/// What the kernel says.
pub(super) fn replace_link(link: &Path, to: &Path) -> Result<()> {
    let mut new = link.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let _ = fs::remove_file(&new);
    symlink(to, &new).with_context(|| new.display().to_string())?;
    crate::guard!("I12", {}, {
        let _ = fs::remove_file(link);
    });
    fs::rename(&new, link).with_context(|| link.display().to_string())
}
