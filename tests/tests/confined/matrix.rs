//! The matrix of `docs/reach.md`: what a program reaches that was granted this or that.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use ocf_wasm_tests::host::{finish, reach};
use ocf_wasm_tests::node::room;

use super::{PROGRAMS, Room, keep};

const PORT: &str = "7117";
const NAMESPACES: [&str; 8] = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];

/// What is granted: a name for it, and the lines of the policy.
const GRANTS: [(&str, &str); 7] = [
    ("nothing", ""),
    ("user root", "user = \"root\""),
    ("files", "view = { read = [\"/run/granted/read\", \"/run/granted/socket\"], write = [\"/run/granted/write\"] }"),
    ("loopback", "network = \"loopback\""),
    ("network", "network = \"host\""),
    (
        "root, bind, cluster",
        "user = \"root\"\ncapabilities = [\"NET_BIND_SERVICE\"]\nnetwork = \"host\"\nview = { cluster = true }",
    ),
    ("own namespaces", "namespaces = [\"pid\", \"ipc\", \"uts\", \"cgroup\"]"),
];

#[test]
fn what_a_program_reaches_is_what_the_table_says() {
    if !room() {
        return;
    }
    let inside = Room::new(&[&reach()]);
    let executor = &inside.node.executor;
    for directory in ["/run/dbus", "/run/granted/read", "/run/granted/write"] {
        fs::create_dir_all(executor.inside(directory)).unwrap();
    }
    let prepared = "chown nobody /run/granted/write; mount -t tmpfs secrets /etc/security; echo hashes > \
                    /etc/security/opasswd; chmod 600 /etc/security/opasswd";
    assert_eq!(finish(&mut executor.command(&["sh", "-ec", prepared])).code, 0);
    let program = format!("{PROGRAMS}/reach");
    let listens = format!(
        "umask 0; exec {program} listen {PORT} /run/dbus/system_bus_socket /run/docker.sock /run/granted/socket \
         @ocf-wasm-somebody"
    );
    let _listener = keep(executor.command(&["sh", "-c", &listens]));
    let found = finish(&mut executor.command(&["pgrep", "-f", "reach listen"])).stdout;
    let pid = found.lines().next().unwrap().to_owned();
    let links: Vec<String> = NAMESPACES.iter().map(|name| format!("/proc/self/ns/{name}")).collect();
    let links: Vec<&str> = std::iter::once("readlink").chain(links.iter().map(String::as_str)).collect();
    let namespaces = finish(&mut executor.command(&links)).stdout;

    let mut rows: Vec<String> = Vec::new();
    let mut cells: BTreeMap<(String, usize), String> = BTreeMap::new();
    for (column, (name, lines)) in GRANTS.iter().enumerate() {
        let mut argv = vec!["matrix", "/run/granted/read", "/run/granted/write", PORT, &pid];
        argv.extend(namespaces.lines());
        inside.grant(&program, &argv, lines);
        let said = inside.relay().unwrap_or_else(|why| panic!("{name}: {why}"));
        assert!(said[0].contains("Exited(0)"), "{name}: {said:#?}");
        for line in &said {
            let Some((what, how)) = line.split_once(" => ") else { continue };
            if !rows.iter().any(|row| row == what) {
                rows.push(what.to_owned());
            }
            cells.insert((what.to_owned(), column), how.to_owned());
        }
    }
    compare(&rows, &cells);
}

fn compare(rows: &[String], cells: &BTreeMap<(String, usize), String>) {
    let mut text = String::from(
        "# What a granted program reaches\n\nSaid by a program that tries, for seven policies that differ in what they grant; \
         written by a test, which compares it in each run. Without a word, a program runs as `nobody`. *not there*: it cannot \
         be seen; *refused*: it can, and may not. On a kernel before Linux 6.12 an abstract socket of another is refused \
         only where the program has a network of its own or none.\n\nHow each is granted stands in \
         [program](capabilities/program.md).\n\n",
    );
    let head: Vec<&str> = GRANTS.iter().map(|(name, _)| *name).collect();
    writeln!(text, "| | {} |\n|---{}|", head.join(" | "), "|---".repeat(GRANTS.len())).unwrap();
    assert!(rows.len() > 70, "{rows:#?}");
    for row in rows {
        let cell = |column| cells.get(&(row.clone(), column)).map_or("", String::as_str);
        let shown: Vec<&str> = (0..GRANTS.len()).map(cell).collect();
        writeln!(text, "| {row} | {} |", shown.join(" | ")).unwrap();
    }
    text.push_str("\nWhat each is granted:\n\n");
    for (name, lines) in GRANTS {
        let shown: Vec<String> = lines.lines().map(|line| format!("`{line}`")).collect();
        writeln!(text, "- {name}{}{}", if shown.is_empty() { "" } else { ": " }, shown.join(", ")).unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reach.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        return fs::write(path, text).unwrap();
    }
    let then = fs::read_to_string(path).unwrap_or_default();
    for (was, is) in then.lines().zip(text.lines()) {
        assert_eq!(was, is, "docs/reach.md: if it is to change: UPDATE_GOLDEN=1");
    }
    assert_eq!(then, text);
}
