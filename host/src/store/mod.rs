//! The plugin store on disk: components by digest, generations of each agent, native code.
//!
//! Nothing that an action reads is ever written in place. What must never enter here: records of instances, policy
//! other than as bytes with a digest, effects.

mod digest;
mod generation;
#[cfg(feature = "tool")]
pub mod install;
#[cfg(feature = "tool")]
pub mod list;
mod native;
#[cfg(feature = "tool")]
pub mod notes;
#[cfg(feature = "tool")]
pub mod place;

pub use digest::{Digest, is_digest};
pub use generation::{Generation, Missing, Request, current, generation, generations, is_label, metadata_path};
pub use native::{NativeError, compile_component, ensure as ensure_native};

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Components, generations, keys of this node.
pub const LIB: &str = "/var/lib/ocf-wasm";
/// Native code.
pub const CACHE: &str = "/var/cache/ocf-wasm";
/// Policies.
pub const POLICY: &str = "/etc/ocf-wasm/policy";
/// The binaries that are not for people.
pub const LIBEXEC: &str = "/usr/libexec/ocf-wasm";
/// Where Pacemaker looks for agents.
pub const RESOURCE_D: &str = "/usr/lib/ocf/resource.d";

/// The place of a component or of a pinned policy.
pub fn blob_path(digest: &Digest) -> PathBuf {
    Path::new(LIB).join("blobs/sha256").join(digest.hex())
}

/// The place of the operator's policy for an agent.
pub fn policy_path(agent: &crate::ocf::description::AgentName) -> PathBuf {
    Path::new(POLICY).join(&agent.provider).join(format!("{}.toml", agent.kind))
}

/// What is said of a component that was there, in a reason and by who tells what to do then.
pub const LOST: &str = "is not in the store any more";
/// The same of a version that an instance was started with.
pub const VERSION_LOST: &str = "that runs is not in the store any more";

/// Reads what lies under a digest, whatever that is by now: nothing is waited for.
///
/// # Errors
/// What the kernel says; [`io::ErrorKind::InvalidInput`] if it is no regular file.
#[cfg(feature = "tool")]
pub fn kept(digest: &Digest) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_kept(&blob_path(digest))?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn open_kept(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "is not a regular file"));
    }
    Ok(file)
}

/// Keeps bytes under their digest.
///
/// # Errors
/// What the kernel says.
pub fn keep(bytes: &[u8]) -> std::io::Result<Digest> {
    let digest = Digest::of(bytes);
    let path = blob_path(&digest);
    if !is_kept(&path, bytes) {
        if let Some(above) = path.parent() {
            std::fs::create_dir_all(above)?;
            // The process's mask keeps others out of all that it makes; components are no secret, and policies are
            // not readable by others where they came from.
            make_listable(above)?;
        }
        crate::sealed::replace(&path, bytes, 0o400)?;
    }
    Ok(digest)
}

/// Whether a file has these bytes. Nothing is waited for in its place.
fn is_kept(path: &Path, bytes: &[u8]) -> bool {
    let same = open_kept(path).and_then(|file| {
        let mut kept = Vec::with_capacity(bytes.len() + 1);
        file.take(bytes.len() as u64 + 1).read_to_end(&mut kept)?;
        Ok(kept == bytes)
    });
    same.unwrap_or(false)
}

/// Lets everybody pass and list a directory of the store and those above it.
fn make_listable(directory: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    for directory in directory.ancestors().take_while(|d| d.starts_with(LIB)) {
        std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}
