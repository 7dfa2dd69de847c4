//! `[path.LABEL]`: a directory that a plugin may read or change, and the directories that no policy gives away.

use std::collections::BTreeMap;
use std::path::Path;

use super::Program;
use super::given;
use super::mistake::Mistake;
use super::reader::{Read, Reader};
use super::script;
use super::template::{self, Template};

/// A directory that a label is bound to.
#[derive(Clone, Debug, PartialEq)]
pub struct PathGrant {
    /// The directory.
    pub directory: Template,
    /// What the plugin may do below it.
    pub access: Access,
    /// Whom that which it makes belongs to; root if none.
    pub owner: Option<Template>,
}

/// What a plugin may do below a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Look.
    Read,
    /// Look and change.
    Write,
}

/// Says why a directory is given to no plugin with this access, whatever a policy says.
#[cold]
#[inline(never)]
pub fn refused(directory: &Path, access: Access, programs: &BTreeMap<String, Program>) -> Option<String> {
    let shown = directory.display();
    if let Some(place) = given::secret(directory) {
        return Some(format!("{shown} is given to no plugin: {place} holds secrets of the node or of the host"));
    }
    if access == Access::Read {
        return None;
    }
    if let Some(place) = given::trusted(directory) {
        return Some(format!("{shown} is given to no plugin to write: root runs or trusts what is in {place}"));
    }
    let (label, _) = programs.iter().find(|(_, program)| {
        let first = program.interpreter.iter().map(Path::new).filter(|word| word.is_absolute());
        program.program.paths().into_iter().chain(first).any(|path| given::meet(path, directory))
            || script::meets(program, directory)
    })?;
    Some(format!(
        "{shown} is not given to write: what [program.{label}] runs is there, or may be; keep programs and what is \
         written in directories of their own"
    ))
}

/// Reads one section. The programs of the file were read before.
#[cold]
#[inline(never)]
pub(super) fn path(at: &mut Reader<'_, '_>, programs: &BTreeMap<String, Program>) -> Read<PathGrant> {
    let access = at.required("access", |value| match value.string()? {
        "read" => Ok(Access::Read),
        "write" => Ok(Access::Write),
        "" => Err(value.wrong(&Mistake::NoAccess)),
        word => Err(value.wrong(&Mistake::Access(word.to_owned()))),
    });
    let directory = at.required("directory", |value| {
        let directory = template::directory(value)?;
        // What is not even to be read is no matter of the access.
        let least = access.as_ref().map_or(Access::Read, |access| *access);
        match directory.as_literal().and_then(|path| refused(Path::new(path), least, programs)) {
            Some(why) => Err(value.wrong(&Mistake::GivenToNobody(why))),
            None => Ok(directory),
        }
    });
    let owner = at.optional("owner", template::owner)?;
    let access = access?;
    if access == Access::Read {
        at.refuse(&["owner"], |_| Mistake::OwnerOfRead)?;
    }
    Ok(PathGrant { directory: directory?, access, owner })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused(directory: &str, access: Access) -> bool {
        refused(Path::new(directory), access, &BTreeMap::new()).is_some()
    }

    #[test]
    fn what_holds_secrets_or_is_trusted_is_given_to_nobody() {
        for directory in [
            "/",
            "/etc",
            "/proc/1",
            "/sys",
            "/dev/shm",
            "/root",
            "/var/lib",
            "/run",
            "/var/lib/ocf-wasm/x",
            "/etc/booth",
            "/var/lib/pcsd/x",
            "/var/lib/pacemaker/cib",
        ] {
            assert!(is_refused(directory, Access::Read), "{directory}");
            assert!(is_refused(directory, Access::Write), "{directory}");
        }
        for directory in ["/usr/share/x", "/etc/cron.d", "/lib/x", "/var/spool", "/boot", "/libx32", "/root/x"] {
            assert!(is_refused(directory, Access::Write), "{directory}");
        }
        for directory in ["/usr/share/nginx", "/etc/nginx", "/var/log/nginx", "/var/lib/ocf-wasmx", "/devices"] {
            assert!(!is_refused(directory, Access::Read), "{directory}");
        }
        for directory in ["/etc/nginx", "/run/nginx", "/srv", "/var/lib/pgsql/data", "/usrx", "/var/log"] {
            assert!(!is_refused(directory, Access::Write), "{directory}");
        }
    }
}
