//! A private root: a mount namespace in which our directories are those below DIR, so that what is tried touches nothing.
//!
//! Without root it is a user namespace of one user: nobody can become anybody else there, what belongs to root outside
//! shows as the overflow user's, and no control group can be made. The agent notices and says so.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, ensure};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::Uid;

use crate::sys::user;

/// What is replaced: the path, and its name below the root.
pub(super) const OURS: [(&str, &str); 5] = [
    ("/etc/ocf-wasm", "etc"),
    ("/var/lib/ocf-wasm", "lib"),
    ("/var/cache/ocf-wasm", "cache"),
    ("/run/ocf-wasm", "run"),
    ("/usr/lib/ocf/resource.d", "resource.d"),
];

/// A link in a private root to the directory whose binaries were used there last.
const LIBEXEC: &str = "libexec";

/// That this root has a user that the node has not.
static INVENTED: OnceLock<()> = OnceLock::new();

/// Whether the node itself has no user for plugins, and what is said of it comes from the private root that was entered.
pub(super) fn has_invented_user() -> bool {
    INVENTED.get().is_some()
}

/// Where `run` works if no root is named: kept from one call to the next, so that a start can be stopped.
///
/// # Errors
/// If neither `XDG_STATE_HOME` nor HOME is set.
pub(super) fn default_root() -> Result<PathBuf> {
    // By the standard what is relative, or empty, is as good as unset.
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    let base = state.or_else(home).context("neither XDG_STATE_HOME nor HOME is set: name a directory with --root")?;
    Ok(base.join("ocf-wasm"))
}

/// Enters the private root for the rest of this process, and returns its whole path.
///
/// # Errors
/// If the kernel does not let us make namespaces, or DIR cannot be made, or holds what no private root does.
pub(super) fn enter(root: &Path) -> Result<PathBuf> {
    fs::create_dir_all(root).with_context(|| root.display().to_string())?;
    let root = root.canonicalize()?;
    ensure_is_one(&root)?;
    let libexec = libexec()?;
    let uid = nix::unistd::geteuid();
    let is_root = uid.is_root();
    for (_, name) in OURS {
        let path = root.join(name);
        let mode = if matches!(name, "run" | "cache") { 0o700 } else { 0o755 };
        match fs::create_dir(&path) {
            // Whatever the umask says; what was there keeps its mode.
            Ok(()) => fs::set_permissions(&path, fs::Permissions::from_mode(mode)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists && (is_root || is_owned(&path, uid)) => Ok(()),
            Err(error) => Err(error),
        }
        .with_context(|| format!("{}: is the root {} another user's?", path.display(), root.display()))?;
    }
    let flags = if is_root { CloneFlags::CLONE_NEWNS } else { CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUSER };
    let gid = nix::unistd::getegid();
    unshare(flags).context("a private root needs a mount namespace (and, without root, a user namespace)")?;
    if !is_root {
        fs::write("/proc/self/setgroups", "deny").ok();
        fs::write("/proc/self/uid_map", format!("0 {uid} 1")).context("uid_map")?;
        fs::write("/proc/self/gid_map", format!("0 {gid} 1")).context("gid_map")?;
    }
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .context("private mounts")?;
    for (place, name) in OURS {
        bind(&root.join(name), Path::new(place))?;
    }
    if let Some(libexec) = libexec {
        bind(&libexec, Path::new(crate::store::LIBEXEC))?;
    }
    if is_root && user::account(user::OURS).is_none() {
        invent_user(&root)?;
        let _ = INVENTED.set(());
    }
    Ok(root)
}

fn is_owned(path: &Path, uid: Uid) -> bool {
    path.metadata().is_ok_and(|found| found.uid() == uid.as_raw())
}

/// Refuses a directory that is something else. In one that was a root before most of our directories are, and somebody may
/// have taken one away to begin anew; in a new one there is nothing but files that somebody put there to try them.
fn ensure_is_one(root: &Path) -> Result<()> {
    let is_directory = |name: &str| root.join(name).symlink_metadata().is_ok_and(|found| found.is_dir());
    let known = OURS.iter().filter(|(_, name)| is_directory(name)).count();
    // A node's own / may have etc, lib and run as well, and its /var cache, lib and run.
    let is_marked = is_directory("resource.d") || is_directory("etc") && is_directory("cache");
    if known > OURS.len() / 2 && is_marked {
        return Ok(());
    }
    for entry in fs::read_dir(root).with_context(|| root.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name();
        let is_ours = OURS.iter().any(|(_, ours)| name == *ours && is_directory(ours));
        ensure!(
            is_ours || name == LIBEXEC || entry.file_type()?.is_file(),
            "{} is no private root, since {} is in it: name an empty directory, or one that does not exist",
            root.display(),
            name.display()
        );
    }
    Ok(())
}

/// The binaries beside this one: `libexec/ocf-wasm` of the tree that this program was started from, unless that is
/// where they belong anyway.
fn libexec() -> Result<Option<PathBuf>> {
    let own = std::env::current_exe()?;
    let beside = own.parent().and_then(Path::parent).map(|usr| usr.join("libexec/ocf-wasm"));
    Ok(beside.filter(|path| path.is_dir() && path != Path::new(crate::store::LIBEXEC)))
}

/// Says whose binaries stand for the node's own in this root, once for each tree that they come from: `DIR/libexec`
/// shows whose it was last.
///
/// # Errors
/// If it is not known where this program lies.
pub(super) fn tell_whose(root: &Path) -> Result<()> {
    let Some(libexec) = libexec()? else { return Ok(()) };
    let shown = root.join(LIBEXEC);
    if fs::read_link(&shown).is_ok_and(|before| before == libexec) {
        return Ok(());
    }
    eprintln!("note: in this root {} is {}, with its examples", crate::store::LIBEXEC, libexec.display());
    // Where that cannot be kept, it is said again.
    let _ = fs::remove_file(&shown);
    let _ = std::os::unix::fs::symlink(&libexec, &shown);
    Ok(())
}

fn bind(from: &Path, to: &Path) -> Result<()> {
    make_mount_point(to)?;
    mount(Some(from), to, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .with_context(|| format!("{} over {}", from.display(), to.display()))
}

/// Makes a directory that is not there, in this namespace only: by an overlay on the nearest one that is.
fn make_mount_point(to: &Path) -> Result<()> {
    if to.is_dir() {
        return Ok(());
    }
    let above = to.ancestors().find(|path| path.is_dir()).context("no directory above")?.to_owned();
    // The overlay's own two directories live on a memory file system that only this namespace sees.
    let scratch = Path::new("/mnt");
    mount(Some("tmpfs"), scratch, Some("tmpfs"), MsFlags::empty(), Some("mode=0755"))
        .context("memory file system on /mnt")?;
    let (upper, work) = (scratch.join("upper"), scratch.join("work"));
    fs::create_dir(&upper)?;
    fs::create_dir(&work)?;
    let missing = to.strip_prefix(&above)?;
    fs::create_dir_all(upper.join(missing))?;
    let options = format!("lowerdir={},upperdir={},workdir={}", above.display(), upper.display(), work.display());
    let with_flags =
        if nix::unistd::geteuid().is_root() && user::is_alone() { format!("{options},userxattr") } else { options };
    mount(Some("overlay"), &above, Some("overlay"), MsFlags::empty(), Some(with_flags.as_str()))
        .with_context(|| format!("overlay on {}", above.display()))?;
    nix::mount::umount2(scratch, nix::mount::MntFlags::MNT_DETACH).ok();
    Ok(())
}

/// How often a file that is about to be mounted may be replaced by others.
const REPLACED: usize = 20;

/// A user of this namespace only, where installing for real would make one.
fn invent_user(root: &Path) -> Result<()> {
    for (file, line) in
        [("passwd", "ocf-wasm:x:64999:64999:OCF plugins:/:/usr/sbin/nologin\n"), ("group", "ocf-wasm:x:64999:\n")]
    {
        let real = Path::new("/etc").join(file);
        let mut text = fs::read_to_string(&real).with_context(|| real.display().to_string())?;
        text.push_str(line);
        let private = root.join(file);
        // Replaced, not written: what runs in this root at the same time has the old one before its eyes.
        if fs::read_to_string(&private).ok().as_ref() != Some(&text) {
            crate::sealed::replace(&private, text.as_bytes(), 0o644).with_context(|| private.display().to_string())?;
        }
        // Others that enter it for the first time replace it too, and what was replaced cannot be mounted.
        let bind = || mount(Some(&private), &real, None::<&str>, MsFlags::MS_BIND, None::<&str>);
        let tried = (0..REPLACED).find_map(|_| Some(bind()).filter(|done| *done != Err(nix::Error::ENOENT)));
        tried.unwrap_or_else(bind).with_context(|| real.display().to_string())?;
    }
    Ok(())
}
