//! A node that is full, that cannot be written, or on which it is somebody else who calls. Nothing is begun that could not
//! be recorded; what runs is still seen, and is stopped.

use ocf_wasm_tests::host::Call;

use super::table::{Before, How, Left, Row, Stage, Who};

type Called = for<'a> fn(&Stage<'a>, Call<'a>) -> Call<'a>;

/// What is done: its name, how, the action, its exit status, what the reason says, what is left.
const ROWS: &[(&str, Called, &str, i32, &str, Left)] = &[
    ("no room for a record", |_, c| c.full("/run/ocf-wasm"), "start", 1, "No space left", Left::Unrecorded),
    ("no room in /run, of a monitor", |_, c| c.full("/run/ocf-wasm"), "monitor 10s", 0, "", Left::Running),
    ("no room in /run, of a probe", |_, c| c.full("/run/ocf-wasm"), "monitor", 7, "", Left::Unrecorded),
    ("no room in /run, of a stop", |_, c| c.full("/run/ocf-wasm"), "stop", 0, "", Left::Nothing),
    ("no room in /run, and no component", unusable, "stop", 0, "", Left::Damaged),
    ("no room in the store", |_, c| c.full("/var/lib/ocf-wasm"), "start", 1, "No space left", Left::Nothing),
    ("no room in the store, of a stop", |_, c| c.full("/var/lib/ocf-wasm"), "stop", 0, "", Left::Nothing),
    ("no room for native code", |_, c| emptied(c.full("/var/cache/ocf-wasm")), "start", 0, "", Left::Started),
    (
        "no room for native code, of a monitor",
        |_, c| emptied(c.full("/var/cache/ocf-wasm")),
        "monitor 10s",
        0,
        "",
        Left::Running,
    ),
    ("no room for native code, of a stop", |_, c| emptied(c.full("/var/cache/ocf-wasm")), "stop", 0, "", Left::Nothing),
    ("no room for a log", |_, c| c.full("/mnt").variable("HA_LOGFILE", "/mnt/log"), "start", 0, "", Left::Started),
    ("nothing can be written", |_, c| fixed(c), "start", 1, "Read-only file system", Left::Nothing),
    ("nothing can be written, of a monitor", |_, c| fixed(c), "monitor 10s", 0, "", Left::Running),
    ("nothing can be written, of a probe", |_, c| fixed(c), "monitor", 7, "", Left::Unrecorded),
    ("nothing can be written, of a stop", |_, c| fixed(c), "stop", 0, "", Left::Nothing),
    (
        "no /run at all, of a stop",
        |_, c| c.before("mount -t tmpfs none /run/ocf-wasm"),
        "stop",
        1,
        "damaged or lost",
        Left::Running,
    ),
    (
        "no /run at all, of a start",
        |_, c| c.before("mount -t tmpfs none /run/ocf-wasm"),
        "start",
        1,
        "damaged or lost",
        Left::Running,
    ),
    ("no /sys", |_, c| c.before("mount -t tmpfs none /sys"), "start", 0, "", Left::Started),
    ("no room in /run, of a reload", |_, c| c.full("/run/ocf-wasm"), "reload-agent", 1, "No space left", Left::Running),
    ("no user to run as", nobody, "start", 1, "there is no user ocf-wasm", Left::Nothing),
    ("no user to run as, of a monitor", nobody, "monitor 10s", 1, "there is no user ocf-wasm", Left::Running),
    ("no user to run as, of a probe", nobody, "monitor", 7, "", Left::Unrecorded),
    ("no user to run as, of a stop", nobody, "stop", 0, "", Left::Nothing),
    ("no compiler", no_compiler, "start", 1, "ocf-wasm-compile", Left::Nothing),
    ("no compiler, of a monitor", no_compiler, "monitor 10s", 1, "ocf-wasm-compile", Left::Running),
    ("no compiler, of a stop", no_compiler, "stop", 0, "", Left::Nothing),
];

/// Actions that somebody else than root calls for.
const ACTIONS: [&str; 9] =
    ["start", "stop", "monitor 10s", "promote", "demote", "notify", "migrate_to", "migrate_from", "reload-agent"];

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |name: String, who, called: Called, action, exit, reason, left| {
        let before = match left {
            Left::Running | Left::Unknown | Left::Damaged => Before::Started,
            _ if action == "stop" => Before::Started,
            _ => Before::Nothing,
        };
        let how = How::Called(Box::new(called));
        rows.push(Row { name, who, how, before, action, exit, reason, left });
    };
    for (name, called, action, exit, reason, left) in ROWS {
        add((*name).to_owned(), Who::Node, *called, action, *exit, reason, *left);
    }
    for action in ACTIONS {
        let name = format!("{} by nobody", action.split(' ').next().unwrap());
        add(name, Who::Caller, |_, call| call.user(65534), action, 4, "needs root", Left::Running);
    }
    rows
}

/// Takes the native code away.
fn emptied(call: Call<'_>) -> Call<'_> {
    call.before("rm -f /var/cache/ocf-wasm/*-wasmtime-*; head -c 64M /dev/zero >/var/cache/ocf-wasm/more 2>/dev/null")
}

/// Makes everything of ours read-only.
fn fixed(call: Call<'_>) -> Call<'_> {
    call.before(
        "for place in /run/ocf-wasm /var/lib/ocf-wasm /var/cache/ocf-wasm /etc/ocf-wasm; do
             mount -o remount,bind,ro $place
         done",
    )
}

/// A full disk, and a plugin that cannot be used: what is tracked is ended by the host alone.
fn unusable<'a>(_: &Stage<'a>, call: Call<'a>) -> Call<'a> {
    call.full("/run/ocf-wasm").before(
        "mount -t tmpfs -o mode=0755 none /var/lib/ocf-wasm/blobs; mount -t tmpfs -o mode=0700 none /var/cache/ocf-wasm",
    )
}

fn nobody<'a>(_: &Stage<'a>, call: Call<'a>) -> Call<'a> {
    without_user(call)
}

/// Takes the user away that a plugin runs as.
pub(crate) fn without_user(call: Call<'_>) -> Call<'_> {
    call.before("grep -v ocf-wasm /etc/passwd >/dev/shm/passwd.$$; mount --bind /dev/shm/passwd.$$ /etc/passwd; rm /dev/shm/passwd.$$")
}

/// Takes the native code away, and what would make it.
fn no_compiler<'a>(_: &Stage<'a>, call: Call<'a>) -> Call<'a> {
    let call = call.before("mount --bind /dev/null /usr/libexec/ocf-wasm/ocf-wasm-compile");
    call.before("rm -f /var/cache/ocf-wasm/*-wasmtime-*")
}
