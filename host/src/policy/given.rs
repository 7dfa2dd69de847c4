//! Places that no policy gives away, whoever it is that would read or write there: a plugin or a program.
//!
//! What must never enter here: a place that is only dangerous, which the linter tells of.

use std::path::Path;

use crate::sandbox::hidden;

/// The kernel's own files, and what is secret beside all that is hidden from programs too.
const SECRET: [&str; 4] = ["/dev", "/proc", "/root/.ssh", "/sys"];

/// What the services that a system has by itself execute, load or trust as root: to write it is to be root. What other
/// services run of their settings, the linter tells of.
const TRUSTED: [&str; 99] = [
    "/bin",
    "/boot",
    "/etc/NetworkManager",
    "/etc/alternatives",
    "/etc/anacrontab",
    "/etc/apparmor",
    "/etc/apparmor.d",
    "/etc/apt",
    "/etc/bash.bashrc",
    "/etc/bash_completion.d",
    "/etc/bashrc",
    "/etc/binfmt.d",
    "/etc/cloud",
    "/etc/cron.d",
    "/etc/cron.daily",
    "/etc/cron.hourly",
    "/etc/cron.monthly",
    "/etc/cron.weekly",
    "/etc/crontab",
    "/etc/dbus-1",
    "/etc/default",
    "/etc/dhcp",
    "/etc/dnf",
    "/etc/dpkg",
    "/etc/dracut.conf",
    "/etc/dracut.conf.d",
    "/etc/drbd.conf",
    "/etc/drbd.d",
    "/etc/environment",
    "/etc/fstab",
    "/etc/group",
    "/etc/grub.d",
    "/etc/init.d",
    "/etc/initramfs-tools",
    "/etc/inittab",
    "/etc/kernel",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ld.so.preload",
    "/etc/libvirt",
    "/etc/logrotate.d",
    "/etc/lvm",
    "/etc/modprobe.d",
    "/etc/modules-load.d",
    "/etc/network",
    "/etc/nsswitch.conf",
    "/etc/pam.conf",
    "/etc/pam.d",
    "/etc/passwd",
    "/etc/pki",
    "/etc/polkit-1",
    "/etc/ppp",
    "/etc/profile",
    "/etc/profile.d",
    "/etc/rc.d",
    "/etc/rc.local",
    "/etc/rc0.d",
    "/etc/rc1.d",
    "/etc/rc2.d",
    "/etc/rc3.d",
    "/etc/rc4.d",
    "/etc/rc5.d",
    "/etc/rc6.d",
    "/etc/rcS.d",
    "/etc/rsyslog.conf",
    "/etc/rsyslog.d",
    "/etc/security",
    "/etc/selinux",
    "/etc/ssl",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/sysconfig",
    "/etc/sysctl.conf",
    "/etc/sysctl.d",
    "/etc/syslog-ng",
    "/etc/systemd",
    "/etc/tmpfiles.d",
    "/etc/udev",
    "/etc/update-motd.d",
    "/etc/xinetd.d",
    "/etc/yum",
    "/etc/yum.repos.d",
    "/etc/zypp",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/root",
    "/run/systemd",
    "/run/udev",
    "/sbin",
    "/usr",
    "/var/lib/cloud",
    "/var/lib/dpkg",
    "/var/lib/rpm",
    "/var/lib/systemd",
    "/var/spool/anacron",
    "/var/spool/at",
    "/var/spool/cron",
];

/// Whether one of two paths is the other, or below it.
pub(super) fn meet(one: &Path, other: &Path) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

/// The secret that a path is, is below, or has below it.
pub(super) fn secret(path: &Path) -> Option<&'static str> {
    SECRET.into_iter().chain(hidden::from_all()).find(|place| meet(Path::new(place), path))
}

/// The same of what root trusts.
pub(super) fn trusted(path: &Path) -> Option<&'static str> {
    TRUSTED.into_iter().find(|place| meet(Path::new(place), path))
}

/// What a path is or is below that no program sees, unless the policy names it in its own words.
pub(super) fn hidden(path: &Path) -> Option<&'static str> {
    hidden::hidden().find(|(place, _)| path.starts_with(place)).map(|(_, what)| what)
}

/// Whether a program that is shown a directory is not shown what lies at a path below it.
pub(super) fn stays_hidden(path: &Path, shown: &Path) -> bool {
    let mut places = hidden::hidden().map(|(place, _)| Path::new(place));
    places.any(|place| place != shown && place.starts_with(shown) && path.starts_with(place))
}

/// Whether there are keys, passwords or what people wrote at a path: all that the linter tells of.
pub(super) fn holds_secrets(path: &Path) -> bool {
    hidden::is_secret(path)
}
