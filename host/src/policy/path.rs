//! `[path.LABEL]`: a directory that a plugin may read or change, and the directories that no policy gives away.

use std::collections::BTreeMap;
use std::path::Path;

use super::Program;
use super::mistake::Mistake;
use super::reader::{Read, Reader};
use super::template::{self, Template};

/// The kernel's own files, and what would tell a plugin the secrets of the node.
const SECRET: [&str; 12] = [
    "/dev",
    "/etc/corosync",
    "/etc/ocf-wasm",
    "/etc/pacemaker",
    "/etc/ssh",
    "/etc/ssl/private",
    "/proc",
    "/root/.ssh",
    "/run/ocf-wasm",
    "/sys",
    "/var/cache/ocf-wasm",
    "/var/lib/ocf-wasm",
];

/// What root executes, loads or trusts: to write it is to be root.
const TRUSTED: [&str; 36] = [
    "/bin",
    "/boot",
    "/etc/NetworkManager",
    "/etc/alternatives",
    "/etc/apt",
    "/etc/bash_completion.d",
    "/etc/cron.d",
    "/etc/cron.daily",
    "/etc/cron.hourly",
    "/etc/cron.monthly",
    "/etc/cron.weekly",
    "/etc/dbus-1",
    "/etc/init.d",
    "/etc/ld.so.conf.d",
    "/etc/logrotate.d",
    "/etc/modprobe.d",
    "/etc/pam.d",
    "/etc/pki",
    "/etc/polkit-1",
    "/etc/profile.d",
    "/etc/rc.d",
    "/etc/security",
    "/etc/ssl",
    "/etc/sudoers.d",
    "/etc/sysctl.d",
    "/etc/systemd",
    "/etc/tmpfiles.d",
    "/etc/udev",
    "/lib",
    "/lib32",
    "/lib64",
    "/run/systemd",
    "/run/udev",
    "/sbin",
    "/usr",
    "/var/spool/cron",
];

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
    let meets = |place: &&&str| directory.starts_with(place) || Path::new(place).starts_with(directory);
    let shown = directory.display();
    if let Some(place) = SECRET.iter().find(meets) {
        return Some(format!("{shown} is given to no plugin: {place} holds secrets of the node or of the host"));
    }
    if access == Access::Read {
        return None;
    }
    if let Some(place) = TRUSTED.iter().find(meets) {
        return Some(format!("{shown} is given to no plugin to write: root runs or trusts what is in {place}"));
    }
    let inside = |(_, program): &(&String, &Program)| {
        program.program.as_literal().is_some_and(|path| Path::new(path).starts_with(directory))
    };
    let (label, _) = programs.iter().find(inside)?;
    Some(format!("{shown} is not given to write: the program of [program.{label}] is in it"))
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
        for directory in
            ["/", "/etc", "/proc/1", "/sys", "/dev/shm", "/root", "/var/lib", "/run", "/var/lib/ocf-wasm/x"]
        {
            assert!(is_refused(directory, Access::Read), "{directory}");
            assert!(is_refused(directory, Access::Write), "{directory}");
        }
        for directory in ["/usr/share/x", "/etc/cron.d", "/lib/x", "/var/spool", "/boot"] {
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
