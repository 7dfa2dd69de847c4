//! What of a node nobody is shown by the way: a list for the view of programs, for the policy and for its linter.
//!
//! Each place that is there costs a mount when a program is started. What must never enter here: what an ordinary program
//! needs, such as the certificates of authorities in /etc/ssl/certs and /etc/pki/tls/certs, or the settings of PAM.

use std::path::Path;

/// How far a secret is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// No plugin is given it, no program may write it, and a program sees it only where the policy names it.
    FromAll,
    /// A program sees it only where the policy names it.
    FromPrograms,
    /// Who is granted it is named to the operator. It is below no place that every program sees.
    Told,
}

use Kept::{FromAll, FromPrograms, Told};

/// Keys, passwords, and what people wrote.
const SECRETS: [(&str, Kept, &str); 52] = [
    ("/etc/NetworkManager", Told, "keys of networks"),
    ("/etc/NetworkManager/system-connections", FromPrograms, "keys of networks"),
    ("/etc/booth", FromAll, "the key of tickets"),
    ("/etc/ceph", FromPrograms, "keys of storage"),
    ("/etc/corosync", FromAll, "the key of the cluster's ring"),
    ("/etc/cryptsetup-keys.d", FromPrograms, "keys of disks"),
    ("/etc/docker", FromPrograms, "keys of the daemon of containers"),
    ("/etc/gshadow", FromAll, "hashes of passwords"),
    ("/etc/gshadow-", FromAll, "hashes of passwords"),
    ("/etc/ipsec.d/private", FromPrograms, "keys of tunnels"),
    ("/etc/ipsec.secrets", FromPrograms, "keys of tunnels"),
    ("/etc/iscsi", FromPrograms, "passwords of storage"),
    ("/etc/krb5.keytab", FromAll, "the keys of its services"),
    ("/etc/kubernetes", FromPrograms, "keys of a cluster of containers"),
    ("/etc/letsencrypt", FromPrograms, "the keys of its services"),
    ("/etc/ocf-wasm", FromAll, "policies: who may read them knows where to look for a hole"),
    ("/etc/openvpn", FromPrograms, "keys of tunnels"),
    ("/etc/pacemaker", FromAll, "the key of remote nodes"),
    ("/etc/pki", Told, "keys beside certificates"),
    ("/etc/pki/CA/private", FromPrograms, "the key of an authority"),
    ("/etc/pki/consumer", FromPrograms, "the key of a subscription"),
    ("/etc/pki/entitlement", FromPrograms, "keys of a subscription"),
    ("/etc/pki/libvirt/private", FromPrograms, "the keys of its services"),
    ("/etc/pki/tls/private", FromPrograms, "the keys of its services"),
    ("/etc/ppp/chap-secrets", FromPrograms, "passwords of lines"),
    ("/etc/ppp/pap-secrets", FromPrograms, "passwords of lines"),
    ("/etc/security/opasswd", FromPrograms, "hashes of former passwords"),
    ("/etc/shadow", FromAll, "hashes of passwords"),
    ("/etc/shadow-", FromAll, "hashes of passwords"),
    ("/etc/ssh", FromAll, "the keys of this node"),
    ("/etc/ssl/private", FromAll, "the keys of its services"),
    ("/etc/sssd", FromPrograms, "the password by which accounts are asked for"),
    ("/etc/swanctl", FromPrograms, "keys of tunnels"),
    ("/etc/wireguard", FromPrograms, "keys of tunnels"),
    ("/home", Told, "what people wrote"),
    ("/root", Told, "what the administrator wrote"),
    ("/run/ocf-wasm", FromAll, "records of instances"),
    ("/var/backups", Told, "copies of secrets"),
    ("/var/cache/ocf-wasm", FromAll, "native code of plugins"),
    ("/var/lib/containers", Told, "files of containers"),
    ("/var/lib/corosync", FromAll, "the state of the ring"),
    ("/var/lib/docker", FromPrograms, "files of containers"),
    ("/var/lib/kubelet", Told, "secrets of containers"),
    ("/var/lib/libvirt", Told, "files of virtual machines"),
    ("/var/lib/ocf-wasm", FromAll, "plugins and keys"),
    ("/var/lib/pacemaker", FromAll, "the cluster's configuration, with secrets"),
    ("/var/lib/pcsd", FromAll, "the cluster's administration"),
    ("/var/lib/sss", Told, "what is known of accounts"),
    ("/var/log/pacemaker", FromPrograms, "what happened on this node"),
    ("/var/mail", Told, "what people wrote"),
    ("/var/spool/cron", Told, "what people have done"),
    ("/var/spool/mail", Told, "what people wrote"),
];

/// Where somebody listens who does for others what they could not do.
const LISTENING: [(&str, &str); 15] = [
    ("/run/dbus", "D-Bus: systemd and all that listens there"),
    ("/run/systemd", "systemd's own sockets"),
    ("/run/udev", "the manager of devices"),
    ("/run/user", "sessions of people"),
    ("/run/docker", "containers: who may start one is root"),
    ("/run/docker.sock", "containers: who may start one is root"),
    ("/run/containerd", "containers: who may start one is root"),
    ("/run/podman", "containers: who may start one is root"),
    ("/run/crio", "containers: who may start one is root"),
    ("/run/libvirt", "virtual machines"),
    ("/run/lxd", "containers: who may start one is root"),
    ("/run/incus", "containers: who may start one is root"),
    ("/run/snapd.socket", "packages: who may install one is root"),
    ("/run/pcsd.socket", "the cluster's administration"),
    ("/run/crm", "the cluster's own files"),
];

/// What is not shown to a program although a directory above it is, unless it is granted by its own name, and what it is.
pub(crate) fn hidden() -> impl Iterator<Item = (&'static Path, &'static str)> {
    let secrets = SECRETS.into_iter().filter(|(_, kept, _)| *kept != Told).map(|(place, _, what)| (place, what));
    LISTENING.into_iter().chain(secrets).map(|(place, what)| (Path::new(place), what))
}

/// What no plugin is given, and no program to write.
pub(crate) fn from_all() -> impl Iterator<Item = &'static str> {
    SECRETS.into_iter().filter(|(_, kept, _)| *kept == FromAll).map(|(place, ..)| place)
}

/// Whether a path is a secret, or below one.
pub(crate) fn is_secret(path: &Path) -> bool {
    SECRETS.iter().any(|(place, ..)| path.starts_with(place))
}

/// What is hidden in a directory and comes back there when somebody makes it anew, as a service does at its start: what
/// hides it stands on a name, and goes when that is removed. In /etc nothing makes its directories anew, and what is
/// replaced, such as /etc/shadow, only root and a group may read.
pub(crate) fn hidden_below(path: &Path) -> Option<&'static Path> {
    let mut below = hidden().map(|(hidden, _)| hidden).filter(|hidden| hidden.starts_with(path));
    below.find(|hidden| *hidden != path && !path.starts_with("/etc"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ordinary_programs_need_is_shown() {
        for place in [
            "/etc/NetworkManager/NetworkManager.conf",
            "/etc/ipsec.d/cacerts",
            "/etc/passwd",
            "/etc/pki/ca-trust/extracted",
            "/etc/pki/nssdb",
            "/etc/pki/tls/certs",
            "/etc/pki/tls/openssl.cnf",
            "/etc/ppp/options",
            "/etc/security/limits.conf",
            "/etc/ssl/certs",
            "/etc/ssl/openssl.cnf",
            "/run/nginx",
            "/var/lib/libvirt/images",
        ] {
            let found: Vec<_> = hidden().filter(|(hidden, _)| Path::new(place).starts_with(hidden)).collect();
            assert!(found.is_empty(), "{place}: {found:?}");
        }
    }

    /// Each program sees /etc: what is only told there is hidden in its parts that are secrets.
    #[test]
    fn what_every_program_sees_is_hidden_or_has_something_hidden() {
        let always = ["/usr", "/etc", "/bin", "/sbin", "/lib"];
        for (place, ..) in SECRETS.iter().filter(|(place, ..)| always.iter().any(|above| place.starts_with(above))) {
            assert!(hidden().any(|(hidden, _)| hidden.starts_with(place)), "{place}");
        }
    }

    #[test]
    fn the_list_is_sorted_and_each_place_is_there_once() {
        assert!(SECRETS.is_sorted_by(|(one, ..), (other, ..)| one < other));
    }
}
