//! The file by which Pacemaker finds an agent: a link to the host, put there in one step, so that there is an agent at any
//! moment. What is there and is not ours is refused, or kept elsewhere before ours takes its place, and put back when ours
//! goes; never lost.

use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown, symlink};
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
        "{} is there and not ours\n  install with --replace takes its place and keeps it for `remove` to put back; a monitor finds an agent at any moment\n  \
         what that agent has started counts as running only where the plugin asks the service itself, as web-service does; a \
         resource of another plugin is disabled before, and enabled afterwards",
        shown.display()
    );
    Ok(())
}

/// Keeps what is there and is not ours: a file with its owner and its mode, or a link as a link. Returns where it is;
/// none if there is nothing of others.
///
/// # Errors
/// If it is nothing that can be kept.
pub fn keep_other(agent: &AgentName) -> Result<Option<PathBuf>> {
    if !is_others(agent) {
        return Ok(None);
    }
    let path = path(agent);
    let away = || format!("{} cannot be kept: move it away first", path.display());
    let found = path.symlink_metadata().with_context(away)?;
    ensure!(found.is_symlink() || found.is_file(), "{}, it is no file", away());
    ensure!(found.len() <= KEPT_BYTES, "{}, it has more than {KEPT_BYTES} bytes", away());
    let name = format!("{}-{}", agent.kind, digest_of(&path).with_context(away)?.short());
    let kept = above_kept(agent).join(&name);
    fs::create_dir_all(above_kept(agent)).with_context(|| above_kept(agent).display().to_string())?;
    copy(&path, &kept)?;
    // Of several, this is the one that was here last.
    replace_link(&last(agent), Path::new(&name))?;
    fs::File::open(above_kept(agent))?.sync_all()?;
    Ok(Some(kept))
}

/// Puts back what the agent took the place of last, in one step. Returns where it was kept; none if nothing was.
///
/// # Errors
/// If it is not what was kept any more; then ours is still there.
fn put_back(agent: &AgentName) -> Result<Option<PathBuf>> {
    let Some(kept) = to_put_back(agent)? else { return Ok(None) };
    copy(&kept, &path(agent))?;
    // It is where it belongs: a crash before this keeps it twice.
    fs::remove_file(&kept).with_context(|| kept.display().to_string())?;
    let _ = fs::remove_file(last(agent));
    Ok(Some(kept))
}

/// What the agent took the place of last, if it is kept.
///
/// # Errors
/// If it is not what was kept any more.
fn to_put_back(agent: &AgentName) -> Result<Option<PathBuf>> {
    let Ok(name) = fs::read_link(last(agent)) else { return Ok(None) };
    let kept = above_kept(agent).join(name);
    let next = || {
        format!(
            "{} is to be put back, and is not what was kept\n  put back yourself what you want to have there, or nothing, after: rm {}",
            kept.display(),
            last(agent).display()
        )
    };
    ensure!(self::kept(agent).contains(&kept), next());
    let digest = digest_of(&kept).with_context(next)?;
    ensure!(kept.as_os_str().as_bytes().ends_with(format!("-{}", digest.short()).as_bytes()), next());
    Ok(Some(kept))
}

/// The digest of a file, or of where a link leads.
fn digest_of(path: &Path) -> std::io::Result<Digest> {
    match path.symlink_metadata()?.is_symlink() {
        true => Ok(Digest::of(fs::read_link(path)?.as_os_str().as_bytes())),
        false => Ok(Digest::of(&fs::read(path)?)),
    }
}

/// Has what is at one place at another as well, in one step: a link, or a file with its owner and its mode.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let shown = || to.display().to_string();
    let found = from.symlink_metadata().with_context(|| from.display().to_string())?;
    if found.is_symlink() {
        replace_link(to, &fs::read_link(from)?)?;
    } else {
        let bytes = fs::read(from).with_context(|| from.display().to_string())?;
        let new = beside(to);
        let _ = fs::remove_file(&new);
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new).with_context(shown)?;
        file.write_all(&bytes).with_context(shown)?;
        let owner = file.metadata()?;
        if (owner.uid(), owner.gid()) != (found.uid(), found.gid()) {
            chown(&new, Some(found.uid()), Some(found.gid())).with_context(shown)?;
        }
        file.set_permissions(fs::Permissions::from_mode(found.mode() & 0o777)).with_context(shown)?;
        file.sync_all().with_context(shown)?;
        fs::rename(&new, to).with_context(shown)?;
    }
    let above = to.parent().unwrap_or(Path::new("/"));
    fs::File::open(above).and_then(|above| above.sync_all()).with_context(|| above.display().to_string())
}

fn above_kept(agent: &AgentName) -> PathBuf {
    Path::new(LIB).join("replaced").join(&agent.provider)
}

/// The link to what was kept last: no clock decides which that is.
fn last(agent: &AgentName) -> PathBuf {
    above_kept(agent).join(format!("{}.last", agent.kind))
}

/// What the agent took the place of, as it is kept.
pub fn kept(agent: &AgentName) -> Vec<PathBuf> {
    let prefix = format!("{}-", agent.kind);
    let of_agent = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.and_then(|name| name.strip_prefix(&prefix)).is_some_and(|digest| !digest.contains(['-', '.']))
    };
    let mut found: Vec<PathBuf> = fs::read_dir(above_kept(agent))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(of_agent)
        .collect();
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

/// Takes the agent away, if it is ours, and puts back what was there before it. Returns where that was kept.
///
/// # Errors
/// What the kernel says; if what was there is not as it was kept.
pub fn clear(agent: &AgentName) -> Result<Option<PathBuf>> {
    let path = path(agent);
    if !is_ours(agent) {
        return Ok(None);
    }
    let put_back = put_back(agent)?;
    if put_back.is_none() {
        fs::remove_file(&path).with_context(|| path.display().to_string())?;
    }
    Ok(put_back)
}

/// Has a link lead elsewhere, in one step.
///
/// # Errors
/// What the kernel says.
pub(super) fn replace_link(link: &Path, to: &Path) -> Result<()> {
    let new = beside(link);
    let _ = fs::remove_file(&new);
    symlink(to, &new).with_context(|| new.display().to_string())?;
    crate::guard!("I12", {}, {
        let _ = fs::remove_file(link);
    });
    fs::rename(&new, link).with_context(|| link.display().to_string())
}

/// Where a file is made that is then put in the place of another.
fn beside(path: &Path) -> PathBuf {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    PathBuf::from(new)
}
