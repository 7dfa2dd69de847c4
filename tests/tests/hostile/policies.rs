//! Policies that somebody else could have written, and such as cannot be read: nothing is granted by any, and nothing that
//! runs already is harmed.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use ocf_wasm_tests::host::HOSTILE_POLICY;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::table::{AGENT, Before, How, Left, Row, Stage, Who};

/// A program that a parameter names.
const ANY_PROGRAM: &str = "[program.any]\nprogram = { param = \"p\", file = { under = \"/srv/x\", owner = \"root\" } }\n\
                           lifetime = \"action\"\nuser = \"root\"\n";

type Damage = fn(&Path);
type Text = fn() -> Vec<u8>;

/// What is done to the file or to its way, and what the reason of a start says.
const FILES: &[(&str, Damage, &str)] = &[
    ("a policy of somebody else", |at| give(at), "belongs to user 65534"),
    ("a policy that everybody may write", |at| mode(at, 0o666), "is writable by others"),
    ("a policy that its group may write", |at| mode(at, 0o620), "is writable by others"),
    ("a policy in a directory of somebody else", |at| give(above(at, 1)), "belongs to user 65534"),
    ("a policy in a directory of everybody", |at| mode(above(at, 1), 0o777), "is writable by others"),
    (
        "a policy in a directory of everybody, with a sticky bit",
        |at| mode(above(at, 1), 0o1777),
        "is writable by others",
    ),
    ("a policy below a directory of somebody else", |at| give(above(at, 2)), "belongs to user 65534"),
    ("a policy below a directory of everybody", |at| mode(above(at, 2), 0o777), "is writable by others"),
    ("a policy that is a link", |at| instead(at, |at| symlink("/etc/passwd", at).unwrap()), "symbolic link"),
    ("a policy in a directory that is a link", linked, "symbolic link"),
    ("a policy that is a pipe", |at| instead(at, |at| node(at, FileType::Fifo)), "regular file"),
    ("a policy that is a device", |at| instead(at, |at| node(at, FileType::CharacterDevice)), "regular file"),
    ("a policy that is a socket", |at| instead(at, |at| drop(UnixListener::bind(at).unwrap())), "hostile.toml"),
    ("a policy that is a directory", |at| instead(at, |at| fs::create_dir(at).unwrap()), "regular file"),
    ("a policy of a terabyte", |at| fs::File::create(at).unwrap().set_len(1 << 40).unwrap(), "larger than 1 MiB"),
    ("no policy", |at| fs::remove_file(at).unwrap(), "is not there"),
    ("no directory of policies", |at| fs::remove_dir_all(above(at, 2)).unwrap(), "is not there"),
];

/// What stands in it, and what the reason says. `{}` is a policy that is good.
const TEXTS: &[(&str, Text, &str)] = &[
    ("an empty policy", || text(""), "toml"),
    ("a policy of another format", || text("format = 2\n"), "toml:1"),
    ("a policy with a NUL", || text("format = 1\n\0"), "toml:2"),
    ("a policy with a NUL in a path", || good("/usr/bin/sleep", "/usr/bin\\u0000/sleep"), "toml:3"),
    ("a policy that is no text", || b"format = 1\n# \xff\n".to_vec(), "UTF-8"),
    ("a policy of UTF-16", || "format = 1\n".encode_utf16().flat_map(u16::to_le_bytes).collect(), "toml:1"),
    ("a policy whose lines end with a carriage return", || good("\n", "\r"), "toml:1"),
    ("half a policy", || text(&HOSTILE_POLICY[..HOSTILE_POLICY.len() / 2]), "toml:"),
    ("a policy with a key twice", || good("user        = \"nobody\"", "user = \"nobody\"\nuser = \"root\""), "toml:"),
    ("a policy with a table twice", || text(&format!("{HOSTILE_POLICY}[program.daemon]\n")), "toml:"),
    ("a policy with a key that it does not know", || good("user ", "usr "), "usr"),
    ("a policy whose lists are a thousand deep", || text(&format!("format = 1\na = {}", "[".repeat(1_000))), "toml:"),
    ("a policy of lists and nothing else", || text(&format!("format = {}", "[".repeat(1_000_000))), "toml:"),
    ("a policy of tables and nothing else", || text(&format!("format = {}", "{a=".repeat(300_000))), "toml:"),
    ("a policy with a name of many parts", || text(&format!("format = 1\na{} = 1", ".a".repeat(400_000))), "toml:"),
    ("a policy with a table of many parts", || text(&format!("format = 1\n[a{}]", ".a".repeat(400_000))), "toml:"),
    ("a policy of a megabyte in one word", || text(&format!("format = 1\n{} = 1", "a".repeat(1_000_000))), "toml:"),
    ("a policy of a twenty thousand labels", labels, "program daemon"),
    ("a policy of numbers beyond all numbers", || text("format = 99999999999999999999999999\n"), "toml:1"),
    ("a policy that grants by a wildcard", || good("[program.daemon]", "[program.\"*\"]"), "toml:"),
    ("a policy that goes up", || good("/usr/bin/sleep", "/usr/bin/../bin/sleep"), "toml:"),
    ("a policy of a relative path", || good("/usr/bin/sleep", "usr/bin/sleep"), "toml:"),
    ("a policy that preloads", || good("DAEMON_OF", "LD_PRELOAD"), "toml:"),
    (
        "a policy that gives a directory to write in which a program may be",
        || text(&format!("{HOSTILE_POLICY}{ANY_PROGRAM}[path.x]\ndirectory = \"/srv/x/data\"\naccess = \"write\"\n")),
        "toml:",
    ),
    (
        "a policy by which a program writes where a program may be",
        || text(&format!("{HOSTILE_POLICY}{ANY_PROGRAM}view = {{ write = [\"/srv/x/data\"] }}\n")),
        "toml:",
    ),
    (
        "a policy by which a program writes who may log in",
        || good("[program.stuck]", "view = { write = [\"/etc/pam.d\"] }\n[program.stuck]"),
        "toml:",
    ),
    (
        "a policy for another component",
        || text(&format!("{HOSTILE_POLICY}[plugin]\ndigest = [\"sha256:{}\"]\n", "0".repeat(64))),
        "other components",
    ),
];

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |name: &str, how: How, (action, exit, reason), before, left| {
        rows.push(Row { name: name.to_owned(), who: Who::Neighbour, how, before, action, exit, reason, left });
    };
    for (name, done, reason) in FILES {
        let how = || How::Done(Box::new(|stage: &Stage<'_>| done(&stage.host.policy_path(AGENT))));
        add(name, how(), ("start", 4, reason), Before::Nothing, Left::Nothing);
    }
    for (name, text, reason) in TEXTS {
        let how = How::Done(Box::new(|stage: &Stage<'_>| fs::write(stage.host.policy_path(AGENT), text()).unwrap()));
        add(name, how, ("start", 4, reason), Before::Nothing, Left::Nothing);
    }
    // What runs uses what it was started with.
    let broken = || How::Done(Box::new(|stage: &Stage<'_>| give(&stage.host.policy_path(AGENT))));
    add("a policy of somebody else, of a monitor", broken(), ("monitor 10s", 0, ""), Before::Started, Left::Running);
    add("a policy of somebody else, of a stop", broken(), ("stop", 0, ""), Before::Started, Left::Nothing);
    add("a policy of somebody else, of a probe", broken(), ("monitor", 7, ""), Before::Nothing, Left::Unrecorded);
    rows
}

fn above(path: &Path, steps: usize) -> &Path {
    path.ancestors().nth(steps).unwrap()
}

fn give(path: &Path) {
    chown(path, Some(65534), Some(65534)).unwrap();
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn instead(path: &Path, make: impl Fn(&Path)) {
    fs::remove_file(path).unwrap();
    make(path);
}

fn node(path: &Path, kind: FileType) {
    // The device is /dev/zero.
    mknodat(CWD, path, kind, Mode::RUSR | Mode::WUSR, rustix::fs::makedev(1, 5)).unwrap();
}

/// Puts a link in the place of the directory that a policy lies in.
fn linked(policy: &Path) {
    let (place, real) = (above(policy, 1), above(policy, 2).join("real"));
    fs::rename(place, &real).unwrap();
    symlink("real", place).unwrap();
}

fn text(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

/// The good policy with something else in it.
fn good(what: &str, instead: &str) -> Vec<u8> {
    assert!(HOSTILE_POLICY.contains(what), "{what}");
    HOSTILE_POLICY.replace(what, instead).into_bytes()
}

fn labels() -> Vec<u8> {
    let label = |number: u32| format!("[path.l{number}]\ndirectory = \"/srv\"\naccess = \"read\"\n");
    let mut all = String::from("format = 1\n");
    (0..20_000).for_each(|number| all.push_str(&label(number)));
    all.into_bytes()
}
