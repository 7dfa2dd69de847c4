//! Places that the table of dangers knows: lists, to be read and made longer.

/// Ends of the paths of sockets behind which somebody does as root what is asked.
pub(super) const SOCKET_ENDS: [&str; 16] = [
    "/docker.sock",
    "/podman.sock",
    "/containerd.sock",
    "/crio.sock",
    "/cri-dockerd.sock",
    "/buildkitd.sock",
    "/system_bus_socket",
    "/systemd/private",
    "/snapd.socket",
    "/pcsd.socket",
    "/libvirt-sock",
    "/virtqemud-sock",
    "/virtlxcd-sock",
    "/lxd/unix.socket",
    "/incus/unix.socket",
    "/cib_rw",
];

/// Where such sockets are.
pub(super) const SOCKETS: [&str; 18] = [
    "/run/docker.sock",
    "/run/docker/containerd/containerd.sock",
    "/run/cri-dockerd.sock",
    "/run/podman/podman.sock",
    "/run/containerd/containerd.sock",
    "/run/k3s/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/buildkit/buildkitd.sock",
    "/run/dbus/system_bus_socket",
    "/run/systemd/private",
    "/run/snapd.socket",
    "/run/pcsd.socket",
    "/run/libvirt/libvirt-sock",
    "/run/libvirt/virtqemud-sock",
    "/run/lxd/unix.socket",
    "/var/lib/lxd/unix.socket",
    "/var/snap/lxd/common/lxd/unix.socket",
    "/var/lib/incus/unix.socket",
];

/// Where the node's own logs are, those of this host among them. `/var/log` is meant itself, not what services have below.
pub(super) const LOGS: [&str; 14] = [
    "/var/log/audit",
    "/var/log/auth.log",
    "/var/log/btmp",
    "/var/log/cluster",
    "/var/log/daemon.log",
    "/var/log/journal",
    "/var/log/kern.log",
    "/var/log/lastlog",
    "/var/log/messages",
    "/var/log/pacemaker",
    "/var/log/secure",
    "/var/log/syslog",
    "/var/log/wtmp",
    "/run/log",
];

/// Directories in which many services have theirs, beside those at the top.
pub(super) const OF_MANY: [&str; 6] = ["/run/user", "/var/cache", "/var/lib", "/var/log", "/var/opt", "/var/spool"];

/// Directories at the top that come with a system, or hold programs: who reads them learns little.
pub(super) const OF_THE_SYSTEM: [&str; 9] =
    ["/bin", "/boot", "/etc", "/lib", "/lib32", "/lib64", "/opt", "/sbin", "/usr"];
