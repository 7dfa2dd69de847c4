//! More cases of dangers: what a program sees, which rights of root's and which groups it has.

use super::lint::{found, found_here, of};

/// As in the other table: the danger, a policy that has it and no other, what is said, and the same policy without it.
pub(super) const CASES: [(&str, &str, &str, &str); 19] = [
    (
        "socket in a view",
        "program = \"/usr/bin/true\"\nview = { read = [\"/srv/web\", \"/run/docker.sock\"] }",
        "6:30 who listens at /run/docker.sock does as root what is asked, and a socket that can only be read can be connected to: the program can have anything done on this node",
        "program = \"/usr/bin/true\"\nview = { read = [\"/srv/web\", \"/run/docker.socket\"] }",
    ),
    (
        "socket in a view",
        "program = \"/usr/bin/true\"\nview = { read = [\"/run/dbus\"] }",
        "6:18 who listens at /run/dbus/system_bus_socket, in /run/dbus, does as root what is asked, and a socket that can only be read can be connected to: the program can have anything done on this node",
        "program = \"/usr/bin/true\"\nview = { read = [\"/run/dbus/machine-id\"] }",
    ),
    (
        "socket in a view",
        "program = \"/usr/bin/true\"\nview = { write = [\"/var/snap/lxd\"] }",
        "6:19 who listens at /var/snap/lxd/common/lxd/unix.socket, in /var/snap/lxd, does as root what is asked, and a socket that can only be read can be connected to: the program can have anything done on this node",
        // What is hidden from all programs is not shown by what is above it.
        "program = \"/usr/bin/true\"\nview = { read = [\"/run/docker/plugins\"] }",
    ),
    (
        "wide view to read",
        "program = \"/usr/bin/true\"\nview = { read = [\"/run\"] }",
        "6:18 the program reads as nobody what it likes below /run, files and sockets of other services among it, and can tell it in its log",
        "program = \"/usr/bin/true\"\nview = { read = [\"/run/web\", \"/srv\", \"/opt\"] }",
    ),
    (
        "wide view to read",
        "program = \"/usr/bin/true\"\nview = { read = [\"/var/lib\"] }",
        "6:18 the program reads as nobody what it likes below /var/lib, files and sockets of other services among it, and can tell it in its log",
        "program = \"/usr/bin/true\"\nview = { read = [\"/var/lib/web\", \"/var/log/web\"] }",
    ),
    (
        "logs of the node",
        "program = \"/usr/bin/true\"\nview = { write = [\"/var/log\"] }",
        "6:19 below /var/log is what this node logs, the actions of plugins too: the program can take out of it what it has done",
        "program = \"/usr/bin/true\"\nview = { write = [\"/var/log/web\"] }",
    ),
    (
        "logs of the node",
        "program = \"/bin/true\"\n[path.d]\ndirectory = \"/var/log/journal\"\naccess = \"write\"",
        "7:13 below /var/log/journal is what this node logs, the actions of plugins too: the plugin can take out of it what it has done",
        "program = \"/bin/true\"\n[path.d]\ndirectory = \"/var/log/journal\"\naccess = \"read\"",
    ),
    (
        "logs of the node",
        "program = \"/bin/true\"\n[path.d]\ndirectory = \"/var/log\"\naccess = \"write\"",
        "7:13 below /var/log is what this node logs, the actions of plugins too: the plugin can take out of it what it has done",
        "program = \"/bin/true\"\n[path.d]\ndirectory = \"/var/log/web\"\naccess = \"write\"",
    ),
    (
        "wide grant",
        "program = \"/bin/true\"\n[path.d]\ndirectory = \"/var/log\"\naccess = \"read\"",
        "7:13 all that is below /var/log is open to the plugin, whoever owns it: the host acts there as root",
        "program = \"/bin/true\"\n[path.d]\ndirectory = \"/var/log/web\"\naccess = \"read\"",
    ),
    (
        "capability to become root",
        "program = \"/usr/bin/true\"\ncapabilities = [\"NET_BIND_SERVICE\", \"SETUID\"]",
        "6:16 with SETUID the program makes itself root, or a member of any group: whoever finds a hole in it is not held to what nobody may do",
        "program = \"/usr/bin/true\"\ncapabilities = [\"NET_BIND_SERVICE\"]",
    ),
    (
        "capability over processes",
        "program = \"/usr/bin/true\"\ncapabilities = [\"KILL\"]",
        "6:16 with KILL the program ends every process of this node: whoever finds a hole in it ends the cluster's own, and the node is fenced",
        "program = \"/usr/bin/true\"\ncapabilities = [\"KILL\"]\nnamespaces = [\"pid\"]",
    ),
    (
        "capability over the network",
        "program = \"/usr/bin/true\"\ncapabilities = [\"NET_ADMIN\"]\nnetwork = \"host\"",
        "6:16 with NET_ADMIN the program changes addresses, routes and filters of this node: whoever finds a hole in it takes over what is meant for other services, or cuts the cluster's nodes off from each other",
        "program = \"/usr/bin/true\"\ncapabilities = [\"NET_ADMIN\"]\nnetwork = \"loopback\"",
    ),
    (
        "capability over the clock",
        "program = \"/usr/bin/true\"\ncapabilities = [\"SYS_TIME\"]",
        "6:16 with SYS_TIME the program sets this node's clock: whoever finds a hole in it makes certificates valid that have expired, and logs that say another time",
        "program = \"/usr/bin/true\"\ncapabilities = [\"SYS_NICE\"]",
    ),
    (
        "capability to look like another",
        "program = \"/usr/bin/true\"\ncapabilities = [\"CHECKPOINT_RESTORE\"]",
        "6:16 with CHECKPOINT_RESTORE the program puts other files in the place of those that programs trust, or passes for another program: whoever finds a hole in it deceives those who look at it",
        "program = \"/usr/bin/true\"\ncapabilities = [\"IPC_LOCK\"]",
    ),
    (
        "group of containers",
        "program = \"/usr/bin/true\"\ngroups = [\"web\", \"docker\"]",
        "6:18 who is in docker and reaches its socket has a container or a machine started that holds this node's files: whoever finds a hole in the program is root",
        "program = \"/usr/bin/true\"\ngroups = [\"web\", \"dockers\"]",
    ),
    (
        "group of disks",
        "program = \"/usr/bin/true\"\ngroups = [\"disk\"]",
        "6:11 who is in disk reads and writes disks or memory past every owner and mode, where their devices are seen: whoever finds a hole in the program is root",
        "program = \"/usr/bin/true\"\ngroups = []",
    ),
    (
        "group of administrators",
        "program = \"/usr/bin/true\"\ngroups = [\"wheel\"]",
        "6:11 services take who is in wheel for an administrator: whoever finds a hole in the program has done by them what root may do",
        "program = \"/usr/bin/true\"\ngroups = [\"users\"]",
    ),
    (
        "group of secrets",
        "program = \"/usr/bin/true\"\ngroups = [\"ssl-cert\", \"shadow\"]",
        "6:23 who is in shadow reads hashes of passwords, or all that services of this node log, where the view shows it: whoever finds a hole in the program takes secrets out of it",
        "program = \"/usr/bin/true\"\ngroups = [\"ssl-cert\"]",
    ),
    (
        "the cluster as root",
        "program = \"/usr/bin/true\"\nuser = { param = \"p\", one-of = [\"web\", \"hacluster\"] }\nnetwork = \"host\"\nview = { cluster = true }",
        "7:20 true can change the cluster's configuration, and so have any node run any agent as root",
        "program = \"/usr/bin/true\"\nuser = { param = \"p\", one-of = [\"web\", \"hacluster\"] }\nnetwork = \"host\"",
    ),
];

/// Who talks to the cluster's daemons as one of theirs may do there what root may.
#[test]
fn who_is_of_the_cluster_is_told_by_user_and_by_group() {
    let of = |lines: &str| found(&of(&format!("program = \"/usr/bin/true\"\nnetwork = \"host\"\n{lines}"))).len();
    let cluster = "view = { cluster = true }";
    for lines in ["user = \"hacluster\"", "groups = [\"web\", \"haclient\"]", "user = \"189\"", "user = \"root\""] {
        assert_eq!(of(&format!("{lines}\n{cluster}")), 1, "{lines}");
    }
    for lines in ["user = \"web\"", "groups = [\"web\"]"] {
        assert_eq!(of(&format!("{lines}\n{cluster}")), 0, "{lines}");
    }
}

/// nginx and its like begin as root, and become somebody else by these.
#[test]
fn who_is_root_already_gains_nothing_by_becoming_another() {
    let lines = "program = \"/usr/sbin/nginx\"\nuser = \"root\"\ncapabilities = [\"SETUID\", \"SETGID\"]";
    assert_eq!(found(&of(lines)).into_iter().map(|(risk, _)| risk).collect::<Vec<_>>(), ["root"]);
}

/// Each of these does more than its own work when it is told to.
#[test]
fn what_runs_other_programs_has_many_names() {
    for (risk, names) in [
        ("interpreter", "mksh toybox rbash"),
        (
            "runs other programs",
            "pkexec doas sg newgrp ex view nvim vim.basic vim.tiny ssh-agent capsh systemd-nspawn runc ctr crictl nerdctl \
             cpio tcpdump service",
        ),
        ("talks to any host", "nc.openbsd nc.traditional"),
    ] {
        for name in names.split_whitespace() {
            let told = found(&of(&format!("program = \"/usr/bin/{name}\"\nargv = [{{ param = \"p\", name = {{}} }}]")));
            assert_eq!(told.iter().map(|(risk, _)| *risk).collect::<Vec<_>>(), [risk], "{name}");
        }
    }
}

#[test]
fn a_program_is_known_by_what_it_leads_to_as_well() {
    let of = |name: &str, real: &str| {
        let path = format!("/usr/bin/{name}");
        let links = [(path.clone(), format!("/usr/bin/{real}"))].into();
        found_here(&of(&format!("program = \"{path}\"\nargv = [{{ slot = \"s\", name = {{}} }}]")), &links)
    };
    let told =
        "6:9 editor (nano) runs other programs when it is told to: the plugin can make it run any program as nobody";
    assert_eq!(of("editor", "nano"), [("runs other programs", told.to_owned())]);
    assert!(of("awk", "mawk")[0].1.starts_with("6:9 awk is an interpreter"));
    // What these do is said by the name by which they are called.
    assert_eq!(of("pidof", "killall5"), []);
    assert_eq!(of("true", "busybox"), []);
    assert_eq!(of("editor", "editor.real"), []);
}
