//! What a program's view is made of is mounted nowhere else: on a node as systemd makes it, whose mounts are shared, none
//! of the view comes to the node, and none of the node's comes to the view later.

use std::fs;

use ocf_wasm_tests::host::{finish, until};
use ocf_wasm_tests::node::room;

use super::{Room, label};

/// All mounts, as a process of the capsule sees them.
fn table(inside: &Room, of: &str) -> String {
    let ran = finish(&mut inside.node.executor.command(&["cat", &format!("/proc/{of}/mountinfo")]));
    assert!(ran.code == 0 && !ran.stdout.is_empty(), "{ran:#?}");
    ran.stdout
}

fn done(inside: &Room, words: &[&str]) -> String {
    let ran = finish(&mut inside.node.executor.command(words));
    assert_eq!(ran.code, 0, "{words:?}: {ran:#?}");
    ran.stdout
}

#[test]
fn i26_no_mount_goes_from_a_view_to_the_node_or_from_the_node_to_a_view() {
    if !room() {
        return;
    }
    let inside = Room::new(&[]);
    fs::create_dir(inside.node.executor.inside("/run/granted")).unwrap();
    // The capsule's own namespace, which has nothing in common with the machine's.
    let _ = done(&inside, &["mount", "--make-rshared", "/"]);
    let before = table(&inside, "self");
    assert!(before.lines().all(|line| line.contains(" shared:")), "{before}");
    let secrets = done(&inside, &["cat", "/etc/shadow"]);
    assert!(!secrets.is_empty());
    let intact = |when: &str| {
        assert_eq!(table(&inside, "self"), before, "{when}");
        assert_eq!(done(&inside, &["cat", "/etc/shadow"]), secrets, "{when}");
    };

    // Each copies the node's mounts in another way: with those below, or without them.
    let view = "view = { read = [\"/run/granted\"] }";
    for more in [
        view,
        "user = \"root\"\nview = { write = [\"/run/granted\"], cluster = true }\nnetwork = \"host\"\nnamespaces = [\"pid\"]",
    ] {
        inside.grant("/bin/sh", &["-c", "test ! -s /etc/shadow && cat /proc/self/mountinfo"], more);
        let said = inside.relay().unwrap();
        assert!(said[0].contains("Exited(0)") && said.len() > 10, "{said:#?}");
        intact("after a program of an action");
        assert!(!said.iter().any(|line| line.contains(" shared:") || line.contains(" master:")), "{said:#?}");
    }

    let more = format!("lifetime = \"instance\"\n{view}");
    inside.policy(&label("daemon", "/usr/bin/sleep", &["8475.1"], &more));
    assert_eq!(inside.act("start", "one", &["daemon=true"]).code, 0);
    intact("while a daemon runs");
    let pid = done(&inside, &["pgrep", "-f", "^/usr/bin/sleep 8475.1$"]);
    let seen = table(&inside, pid.trim());
    let places = ["/run/granted", "/usr/local"];
    for place in places {
        let _ = done(&inside, &["mount", "-t", "tmpfs", "later", place]);
        assert!(table(&inside, "self").contains(" - tmpfs later "), "{place}");
    }
    assert_eq!(table(&inside, pid.trim()), seen, "of what is mounted later the daemon sees nothing");
    for place in places {
        let _ = done(&inside, &["umount", place]);
    }
    assert_eq!(inside.act("stop", "one", &["daemon=true"]).code, 0);
    until("the daemon is gone", || inside.left("8475.1") == 0);
    intact("after the daemon");
}

/// What is there of secrets in /etc is hidden from root's programs, where it is and where a link leads to, and nothing
/// beside it.
#[test]
fn secrets_in_etc_are_hidden_and_certificates_are_not() {
    if !room() {
        return;
    }
    let inside = Room::new(&[]);
    let secrets =
        "mount -t tmpfs x /etc/security; echo secret-1 > /etc/security/opasswd; echo shown-1 > /etc/security/x
         mount -t tmpfs x /etc/ssl; mkdir /etc/ssl/certs; echo shown-2 > /etc/ssl/certs/ca.pem
         mkdir /etc/ssl/elsewhere; echo secret-2 > /etc/ssl/elsewhere/key; ln -s elsewhere /etc/ssl/private";
    let _ = done(&inside, &["sh", "-ec", secrets]);
    let look =
        "cat /etc/security/opasswd /etc/security/x /etc/ssl/certs/* /etc/ssl/private/* /etc/ssl/elsewhere/*; true";
    let sees = |view: &str| {
        inside.grant("/bin/sh", &["-c", look], &format!("user = \"root\"\n{view}"));
        let said = inside.relay().unwrap();
        assert!(said[0].contains("Exited(0)"), "{said:#?}");
        let words = said.iter().flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '-'));
        let mut words: Vec<String> =
            words.filter(|word| word.starts_with("secret-") || word.starts_with("shown-")).map(str::to_owned).collect();
        words.sort();
        words.dedup();
        words
    };
    assert_eq!(sees(""), ["shown-1", "shown-2"]);
    assert_eq!(sees("view = { read = [\"/etc/security/opasswd\"] }"), ["secret-1", "shown-1", "shown-2"]);
    assert_eq!(sees("view = { read = [\"/etc/ssl/elsewhere\"] }"), ["secret-2", "shown-1", "shown-2"]);
}

/// What hides a socket stands on its name, and goes with it when the service that listens there is started again.
#[test]
fn a_daemon_is_not_granted_what_hidden_names_come_back_in() {
    if !room() {
        return;
    }
    let inside = Room::new(&[]);
    fs::create_dir(inside.node.executor.inside("/run/granted")).unwrap();
    let daemon = |place: &str| {
        let more = format!("lifetime = \"instance\"\nview = {{ read = [\"{place}\"] }}");
        inside.policy(&label("daemon", "/usr/bin/sleep", &["8475.2"], &more));
        inside.act("start", "one", &["daemon=true"])
    };
    for (place, hidden) in [("/run", "/run/dbus"), ("/var", "/var/cache/ocf-wasm"), ("/var/lib", "/var/lib/corosync")] {
        let ran = daemon(place);
        assert_eq!(ran.code, 4, "{ran:#?}");
        let why = format!("view: {place} cannot be granted to a daemon: {hidden}");
        assert!(ran.stderr.contains(&why), "{why}: {ran:#?}");
        assert_eq!(inside.left("8475.2"), 0);
    }
    for place in ["/run/granted", "/etc", "/var/tmp"] {
        assert_eq!(daemon(place).code, 0, "{place}");
        assert_eq!(inside.act("stop", "one", &["daemon=true"]).code, 0);
    }
    // What ends with its action has no time for it.
    inside.grant("/bin/sh", &["-c", "ls /run/granted"], "view = { read = [\"/run\"] }");
    assert!(inside.relay().unwrap()[0].contains("Exited(0)"));
}
