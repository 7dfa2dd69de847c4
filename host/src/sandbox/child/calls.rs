//! System calls that no granted program makes, whatever it is granted: a list of what is refused, since nobody can list
//! what the programs of a distribution need.
//!
//! A refused call fails as it does for who may not make it, so that a program that only tries goes on. Programs for
//! another architecture (32 bits) are ended.

use crate::sandbox::confinement::Network;
use crate::sandbox::seccomp::{Filter, Refusal, Row, When};

macro_rules! always {
    ($call:ident, $why:literal) => {
        row!($call, stringify!($call), &[], $why)
    };
}

macro_rules! row {
    ($call:ident, $name:expr, $when:expr, $why:literal) => {
        Row { number: concat_call!($call), name: $name, when: $when, why: $why }
    };
}

macro_rules! concat_call {
    (mount) => {
        libc::SYS_mount
    };
    (umount2) => {
        libc::SYS_umount2
    };
    (pivot_root) => {
        libc::SYS_pivot_root
    };
    (open_tree) => {
        libc::SYS_open_tree
    };
    // Of Linux 6.15, the same number everywhere: libc has no name for it yet.
    (open_tree_attr) => {
        467
    };
    (move_mount) => {
        libc::SYS_move_mount
    };
    (fsopen) => {
        libc::SYS_fsopen
    };
    (fsconfig) => {
        libc::SYS_fsconfig
    };
    (fsmount) => {
        libc::SYS_fsmount
    };
    (fspick) => {
        libc::SYS_fspick
    };
    (mount_setattr) => {
        libc::SYS_mount_setattr
    };
    (setns) => {
        libc::SYS_setns
    };
    (unshare) => {
        libc::SYS_unshare
    };
    (ptrace) => {
        libc::SYS_ptrace
    };
    (process_vm_readv) => {
        libc::SYS_process_vm_readv
    };
    (process_vm_writev) => {
        libc::SYS_process_vm_writev
    };
    (process_madvise) => {
        libc::SYS_process_madvise
    };
    (kcmp) => {
        libc::SYS_kcmp
    };
    (pidfd_getfd) => {
        libc::SYS_pidfd_getfd
    };
    (open_by_handle_at) => {
        libc::SYS_open_by_handle_at
    };
    (bpf) => {
        libc::SYS_bpf
    };
    (perf_event_open) => {
        libc::SYS_perf_event_open
    };
    (userfaultfd) => {
        libc::SYS_userfaultfd
    };
    (io_uring_setup) => {
        libc::SYS_io_uring_setup
    };
    (io_uring_enter) => {
        libc::SYS_io_uring_enter
    };
    (io_uring_register) => {
        libc::SYS_io_uring_register
    };
    (add_key) => {
        libc::SYS_add_key
    };
    (request_key) => {
        libc::SYS_request_key
    };
    (keyctl) => {
        libc::SYS_keyctl
    };
    (init_module) => {
        libc::SYS_init_module
    };
    (finit_module) => {
        libc::SYS_finit_module
    };
    (delete_module) => {
        libc::SYS_delete_module
    };
    (kexec_load) => {
        libc::SYS_kexec_load
    };
    (kexec_file_load) => {
        libc::SYS_kexec_file_load
    };
    (reboot) => {
        libc::SYS_reboot
    };
    (swapon) => {
        libc::SYS_swapon
    };
    (swapoff) => {
        libc::SYS_swapoff
    };
    (acct) => {
        libc::SYS_acct
    };
    (quotactl) => {
        libc::SYS_quotactl
    };
    (quotactl_fd) => {
        libc::SYS_quotactl_fd
    };
    (fanotify_init) => {
        libc::SYS_fanotify_init
    };
    (syslog) => {
        libc::SYS_syslog
    };
    (vhangup) => {
        libc::SYS_vhangup
    };
    (migrate_pages) => {
        libc::SYS_migrate_pages
    };
    (move_pages) => {
        libc::SYS_move_pages
    };
    (iopl) => {
        libc::SYS_iopl
    };
    (ioperm) => {
        libc::SYS_ioperm
    };
    (modify_ldt) => {
        libc::SYS_modify_ldt
    };
    (uselib) => {
        libc::SYS_uselib
    };
    (sysfs) => {
        libc::SYS_sysfs
    };
    (ustat) => {
        libc::SYS_ustat
    };
    (clone) => {
        libc::SYS_clone
    };
    (clone3) => {
        libc::SYS_clone3
    };
    (personality) => {
        libc::SYS_personality
    };
    (ioctl) => {
        libc::SYS_ioctl
    };
    (socket) => {
        libc::SYS_socket
    };
}

/// What is always refused.
const REFUSED: &[Row] = &[
    always!(mount, "the view is what was granted"),
    always!(umount2, "the view is what was granted"),
    always!(pivot_root, "the view is what was granted"),
    always!(open_tree, "the view is what was granted"),
    always!(open_tree_attr, "the view is what was granted"),
    always!(move_mount, "the view is what was granted"),
    always!(fsopen, "the view is what was granted"),
    always!(fsconfig, "the view is what was granted"),
    always!(fsmount, "the view is what was granted"),
    always!(fspick, "the view is what was granted"),
    always!(mount_setattr, "the view is what was granted"),
    always!(setns, "namespaces of others are others'"),
    always!(unshare, "a user namespace makes a root of anybody, for whom more of the kernel is open"),
    always!(ptrace, "other processes are not to be driven"),
    always!(process_vm_readv, "the memory of others is theirs"),
    always!(process_vm_writev, "the memory of others is theirs"),
    always!(process_madvise, "the memory of others is theirs"),
    always!(kcmp, "what others have open is theirs"),
    always!(pidfd_getfd, "what others have open is theirs"),
    always!(open_by_handle_at, "a file by number passes every directory above it"),
    always!(bpf, "code in the kernel"),
    always!(perf_event_open, "looks into the kernel and into others"),
    always!(userfaultfd, "stops the kernel in the middle of a copy: the tool of many an exploit"),
    always!(io_uring_setup, "makes system calls that no filter sees"),
    always!(io_uring_enter, "makes system calls that no filter sees"),
    always!(io_uring_register, "makes system calls that no filter sees"),
    always!(add_key, "keys are not of any namespace"),
    always!(request_key, "keys are not of any namespace"),
    always!(keyctl, "keys are not of any namespace"),
    always!(init_module, "code in the kernel"),
    always!(finit_module, "code in the kernel"),
    always!(delete_module, "takes drivers away"),
    always!(kexec_load, "another kernel"),
    always!(kexec_file_load, "another kernel"),
    always!(reboot, "the node's life is the cluster's"),
    always!(swapon, "memory of all on a disk"),
    always!(swapoff, "memory of all"),
    always!(acct, "writes down what others do"),
    always!(quotactl, "quotas of others"),
    always!(quotactl_fd, "quotas of others"),
    always!(fanotify_init, "sees and holds up what others open"),
    always!(syslog, "what the kernel says, with its addresses"),
    always!(vhangup, "terminals of others"),
    always!(migrate_pages, "the memory of others is theirs"),
    always!(move_pages, "the memory of others is theirs"),
    #[cfg(target_arch = "x86_64")]
    always!(iopl, "ports of devices"),
    #[cfg(target_arch = "x86_64")]
    always!(ioperm, "ports of devices"),
    #[cfg(target_arch = "x86_64")]
    always!(modify_ldt, "old segments: a way into many kernels"),
    #[cfg(target_arch = "x86_64")]
    always!(uselib, "old and unused"),
    #[cfg(target_arch = "x86_64")]
    always!(sysfs, "old and unused"),
    #[cfg(target_arch = "x86_64")]
    always!(ustat, "old and unused"),
    row!(clone, "clone", &[flag(libc::CLONE_NEWUSER)], "a user namespace makes a root of anybody"),
    row!(clone, "clone", &[flag(libc::CLONE_NEWNS)], "the view is what was granted"),
    row!(clone, "clone", &[flag(libc::CLONE_NEWNET)], "the network is what was granted"),
    row!(clone, "clone", &[flag(libc::CLONE_NEWPID)], "namespaces are what was granted"),
    row!(clone, "clone", &[flag(libc::CLONE_NEWIPC)], "namespaces are what was granted"),
    row!(clone, "clone", &[flag(libc::CLONE_NEWUTS)], "namespaces are what was granted"),
    row!(clone, "clone", &[flag(libc::CLONE_NEWCGROUP)], "namespaces are what was granted"),
    row!(ioctl, "ioctl", &[is(1, 0x5412)], "TIOCSTI types for others"),
    row!(ioctl, "ioctl", &[is(1, 0x541c)], "TIOCLINUX pastes for others"),
    row!(
        personality,
        "personality",
        // Asking, the usual one, and that of 32 bits.
        &[is_not(0, 0xffff_ffff), is_not(0, 0), is_not(0, 8)],
        "switches the randomness of addresses off"
    ),
];

/// What looks as if the kernel were older, since its arguments cannot be seen: libraries then call `clone`.
const UNKNOWN: &[Row] = &[row!(clone3, "clone3", &[], "its flags are in memory, where no filter sees them")];

/// Families of sockets besides those that are of use: each is code of the kernel that nobody looks at.
const FAMILIES: &[Row] = &[row!(
    socket,
    "socket",
    &[is_not(0, UNIX), is_not(0, INET), is_not(0, INET6), is_not(0, NETLINK)],
    "families of sockets that services do not use"
)];

/// The same for who has no network.
const NO_NETWORK: &[Row] = &[row!(socket, "socket", &[is_not(0, UNIX)], "no network was granted")];

const UNIX: u32 = libc::AF_UNIX.cast_unsigned();
const INET: u32 = libc::AF_INET.cast_unsigned();
const INET6: u32 = libc::AF_INET6.cast_unsigned();
const NETLINK: u32 = libc::AF_NETLINK.cast_unsigned();

const fn flag(flag: i32) -> When {
    When::Bits { argument: 0, mask: flag.cast_unsigned(), value: flag.cast_unsigned() }
}

const fn is(argument: u8, value: u32) -> When {
    When::Bits { argument, mask: u32::MAX, value }
}

const fn is_not(argument: u8, value: u32) -> When {
    When::IsNot { argument, value }
}

/// The filters for a program, in the order in which they are put in force.
///
/// # Errors
/// A sentence, if a list is no list.
pub(super) fn filters(network: Network) -> Result<Vec<Filter>, String> {
    let (families, refusal) = match network {
        Network::Nothing => (NO_NETWORK, Refusal::Error(libc::EACCES)),
        Network::Loopback | Network::Host => (FAMILIES, Refusal::Error(libc::EAFNOSUPPORT)),
    };
    [(families, refusal), (UNKNOWN, Refusal::Error(libc::ENOSYS)), (REFUSED, Refusal::Error(libc::EPERM))]
        .into_iter()
        .map(|(rows, refusal)| Filter::all_but(rows, refusal).map_err(|error| format!("system calls: {error}")))
        .collect()
}

#[cfg(test)]
#[allow(unsafe_code, reason = "the tests make calls that nobody needs, to see that they are refused")]
mod tests {
    use super::*;
    use nix::sys::wait::{WaitStatus, waitpid};

    /// The error that a call ends with under the filters of a network; 0 if it is made and works.
    fn error(network: Network, number: i64, arguments: [i64; 2]) -> i32 {
        let filters = filters(network).unwrap();
        let child = crate::sys::fork::fork(|| {
            if !filters.iter().all(|filter| filter.install().is_ok()) {
                return 255;
            }
            // SAFETY: numbers that name nothing and null pointers: what is let through fails, or only asks.
            let answer = unsafe { libc::syscall(number, arguments[0], arguments[1], 0, 0, 0, 0) };
            if answer >= 0 { 0 } else { std::io::Error::last_os_error().raw_os_error().unwrap_or(254) }
        });
        match waitpid(child.unwrap(), None) {
            Ok(WaitStatus::Exited(_, error)) => error,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_listed_is_refused_and_what_is_beside_it_is_not() {
        for row in REFUSED.iter().filter(|row| row.when.is_empty()) {
            assert_eq!(error(Network::Host, row.number, [-1, -1]), libc::EPERM, "{}", row.name);
        }
        // The newest ways to a mount, by their numbers.
        for number in [libc::SYS_mount_setattr, 467] {
            assert_eq!(error(Network::Host, number, [-1, -1]), libc::EPERM, "{number}");
        }
        assert_eq!(error(Network::Host, libc::SYS_clone3, [0, 0]), libc::ENOSYS);
        for flag in [libc::CLONE_NEWUSER, libc::CLONE_NEWNS, libc::CLONE_NEWNET, libc::CLONE_NEWPID] {
            assert_eq!(error(Network::Host, libc::SYS_clone, [flag.into(), 0]), libc::EPERM);
        }
        for (call, argument, expected) in
            [(libc::SYS_ioctl, 0x5412, libc::EPERM), (libc::SYS_ioctl, 0x5401, libc::EBADF), (libc::SYS_getppid, 0, 0)]
        {
            assert_eq!(error(Network::Host, call, [-1, argument]), expected, "{call} {argument:x}");
        }
        assert_eq!(error(Network::Host, libc::SYS_personality, [0xffff_ffff, 0]), 0);
        assert_eq!(error(Network::Host, libc::SYS_personality, [0x0004_0000, 0]), libc::EPERM);
    }

    #[test]
    fn families_of_sockets_are_those_of_the_network() {
        let of = |network, family: i32| error(network, libc::SYS_socket, [family.into(), libc::SOCK_DGRAM.into()]);
        for network in [Network::Nothing, Network::Loopback, Network::Host] {
            assert_eq!(of(network, libc::AF_UNIX), 0);
            let refused = if network == Network::Nothing { libc::EACCES } else { libc::EAFNOSUPPORT };
            assert_eq!(of(network, libc::AF_VSOCK), refused);
            assert_eq!(of(network, libc::AF_ALG), refused);
            assert_eq!(of(network, libc::AF_INET), if network == Network::Nothing { libc::EACCES } else { 0 });
        }
    }
}
