//! What the agent inherits from who calls it: arguments, environment, descriptors, signals, limits, a directory. None of
//! it reaches the plugin, a daemon or a file, and none makes an answer worse than it is.

use ocf_wasm_tests::host::{Call, HOSTILE_POLICY};

use super::table::{AGENT, Before, How, Left, Row, Stage, Who};

/// The rows that leave a trace where traces are kept.
pub(crate) const TRACED: [&str; 2] =
    ["a trace into a file that a parameter names", "a trace into a file that a parameter names, of a monitor"];

type Called = for<'a> fn(&Stage<'a>, Call<'a>) -> Call<'a>;

/// What is tried: its name, how it is called, the action, its exit status, what the reason says, what is left. Where a
/// daemon was there before, it is `Running`.
const ROWS: &[(&str, Called, &str, i32, &str, Left)] = &[
    // Descriptors.
    ("no descriptor is open", |_, c| c.before("exec 0<&- 1>&- 2>&-"), "start", 0, "", Left::Started),
    (
        "no descriptor is open, of a monitor",
        |_, c| c.before("exec 0<&- 1>&- 2>&-"),
        "monitor 10s",
        0,
        "",
        Left::Running,
    ),
    (
        "secrets of others are open",
        |s, c| c.before(&format!("exec 3</etc/shadow 4<>{0} 5<>{0} 9<>{0}", s.outside().join("secret").display())),
        "start",
        0,
        "",
        Left::Started,
    ),
    ("a thousand descriptors are open", |_, c| become_it(c, &["--many", "1000"]), "start", 0, "", Left::Started),
    ("standard error is full", |_, c| c.before("exec 2>/dev/full"), "monitor 10s", 0, "", Left::Running),
    ("nobody reads standard error", nobody_reads, "monitor 10s", 0, "", Left::Running),
    ("standard input is endless", |_, c| c.before("exec 0</dev/zero"), "start", 0, "", Left::Started),
    // Signals.
    ("all signals are blocked", |_, c| c.under(&["env", "--block-signal"]), "start", 0, "", Left::Started),
    ("all signals are ignored", |_, c| c.under(&["env", "--ignore-signal"]), "start", 0, "", Left::Started),
    ("all signals are blocked, of a stop", |_, c| c.under(&["env", "--block-signal"]), "stop", 0, "", Left::Nothing),
    ("all signals are ignored, of a stop", |_, c| c.under(&["env", "--ignore-signal"]), "stop", 0, "", Left::Nothing),
    ("ends of children are ignored, and nothing is compiled", uncompiled, "monitor 10s", 0, "", Left::Running),
    ("ends of children are ignored, and a program runs", runs_program, "start", 0, "", Left::Started),
    // Limits.
    ("four files may be open", |_, c| c.before("ulimit -n 4"), "monitor 10s", 1, "", Left::Running),
    ("eight files may be open", |_, c| c.before("ulimit -n 8"), "start", 1, "No file descriptors", Left::Nothing),
    ("no file may have more than 512 bytes", small_files, "start", 1, "File too large", Left::Nothing),
    ("no file may have a byte, of a monitor", |_, c| c.before("ulimit -f 0"), "monitor 10s", 0, "", Left::Running),
    ("no file may have a byte, of a stop", |_, c| c.before("ulimit -f 0"), "stop", 0, "", Left::Nothing),
    ("hundred megabytes of addresses", |_, c| c.before("ulimit -v 102400"), "start", 1, "memory", Left::Nothing),
    ("a stack of 64 KiB", |_, c| c.before("ulimit -s 64"), "start", 0, "", Left::Started),
    ("an endless stack", |_, c| c.before("ulimit -S -s unlimited"), "start", 0, "", Left::Started),
    ("a second of the processor", |_, c| c.before("ulimit -t 1"), "start", 0, "", Left::Started),
    ("cores of any size", |_, c| c.before("ulimit -c unlimited"), "start", 0, "", Left::Started),
    // The rest of what is inherited.
    ("files that everybody may write", |_, c| c.before("umask 0"), "start", 0, "", Left::Started),
    ("files that nobody may read", |_, c| c.before("umask 777"), "start", 0, "", Left::Started),
    ("a directory that is gone", |s, c| c.before(&gone(s)), "start", 0, "", Left::Started),
    ("the least of the processor", |_, c| c.under(&["nice", "-n", "19"]), "start", 0, "", Left::Started),
    // Environment.
    ("libraries of somebody else", libraries, "start", 0, "", Left::Started),
    ("libraries of somebody else, and nothing is compiled", libraries_uncompiled, "monitor 10s", 0, "", Left::Running),
    ("settings of languages and libraries", settings, "start", 0, "", Left::Started),
    ("a thousand parameters that are not declared", thousand, "start", 0, "", Left::Started),
    ("twelve parameters of the largest size", largest, "start", 0, "", Left::Started),
    ("a parameter that is there twice", twice, "start", 0, "", Left::Started),
    ("an instance that has two names", two_names, "start", 6, "slash", Left::Unrecorded),
    (
        "a timeout of all milliseconds there are",
        |_, c| timeout(c, "18446744073709551615"),
        "start",
        0,
        "",
        Left::Started,
    ),
    ("a timeout of more than there are", |_, c| timeout(c, "99999999999999999999999"), "start", 0, "", Left::Started),
    ("a timeout before the action began", |_, c| timeout(c, "-20000"), "start", 0, "", Left::Started),
    ("a timeout of a millisecond", |_, c| timeout(c, "1"), "monitor 10s", 1, "in time", Left::Running),
    (
        "an interval that is no number",
        |_, c| c.variable("OCF_RESKEY_CRM_meta_interval", "ten"),
        "monitor",
        0,
        "",
        Left::Running,
    ),
    // Where lines go.
    ("a log that is a link", |s, c| c.variable("HA_LOGFILE", s.outside().join("link")), "start", 0, "", Left::Started),
    ("a log that is a pipe", |s, c| c.variable("HA_LOGFILE", s.outside().join("fifo")), "start", 0, "", Left::Started),
    ("a log that is a directory", |s, c| c.variable("HA_LOGFILE", s.outside()), "start", 0, "", Left::Started),
    ("a trace that is a link", |s, c| trace(s, c, "link"), "start", 0, "", Left::Started),
    ("a trace that is a pipe", |s, c| trace(s, c, "fifo"), "start", 0, "", Left::Started),
    (TRACED[0], traced, "start", 0, "", Left::Started),
    (TRACED[1], traced, "monitor 10s", 0, "", Left::Running),
    (
        "a recording that is a link",
        |s, c| c.variable("OCF_WASM_RECORD_FILE", s.outside().join("link")),
        "start",
        0,
        "",
        Left::Started,
    ),
    // Arguments.
    (
        "a path with two dots",
        |_, c| c.program("/usr/lib/ocf/resource.d/test/../test/hostile"),
        "start",
        0,
        "",
        Left::Started,
    ),
    (
        "a path that is not the agent's",
        |_, c| zeroth(c, "/tmp/try/nothing"),
        "start",
        5,
        "not installed",
        Left::Unrecorded,
    ),
    (
        "a name that leads elsewhere",
        |_, c| zeroth(c, "/x/../../etc/passwd"),
        "start",
        5,
        "not installed",
        Left::Unrecorded,
    ),
    ("no name", |_, c| zeroth(c, ""), "start", 3, "called by a path", Left::Unrecorded),
    ("no argument at all, not even a name", nothing, "start", 3, "called by a path", Left::Unrecorded),
    ("a provider that leads elsewhere", provider, "start", 3, "called by a path", Left::Unrecorded),
];

pub(crate) fn rows() -> Vec<Row> {
    let row =
        |(name, called, action, exit, reason, left): &(&str, Called, &'static str, i32, &'static str, Left)| Row {
            name: (*name).to_owned(),
            who: Who::Caller,
            how: How::Called(Box::new(*called)),
            before: if *left == Left::Running || *action == "stop" { Before::Started } else { Before::Nothing },
            action,
            exit: *exit,
            reason,
            left: *left,
        };
    ROWS.iter().map(row).collect()
}

/// The test's own program, which executes what no shell does.
const CALLER: &str = env!("CARGO_BIN_EXE_caller");

fn become_it<'a>(call: Call<'a>, how: &[&str]) -> Call<'a> {
    call.through(&[&[CALLER], how].concat())
}

fn nobody_reads<'a>(stage: &Stage<'a>, call: Call<'a>) -> Call<'a> {
    let fifo = stage.path("unread");
    call.before(&format!("mkfifo {0}; exec 7<>{0}; exec 2>{0}; exec 7<&-", fifo.display()))
}

fn uncompiled<'a>(stage: &Stage<'a>, call: Call<'a>) -> Call<'a> {
    std::fs::remove_dir_all(stage.path("cache")).unwrap();
    call.under(&["env", "--ignore-signal=CHLD"])
}

/// A program of the action, to be run to its end.
fn runs_program<'a>(stage: &Stage<'a>, call: Call<'a>) -> Call<'a> {
    let policy = HOSTILE_POLICY.replace("[\"1001\"]", "[\"0\"]");
    assert_ne!(policy, HOSTILE_POLICY);
    stage.host.policy(AGENT, &policy);
    let call = call.variable("OCF_RESKEY_do", "stuck").variable("OCF_RESKEY_in", "start");
    call.under(&["env", "--ignore-signal=CHLD"])
}

/// A record has more, because of one parameter.
fn small_files<'a>(_: &Stage<'a>, call: Call<'a>) -> Call<'a> {
    call.variable("OCF_RESKEY_password", "x".repeat(2_000)).before("ulimit -f 1")
}

fn gone(stage: &Stage<'_>) -> String {
    let gone = stage.path("gone");
    format!("mkdir {0}; cd {0}; rmdir {0}", gone.display())
}

fn libraries<'a>(_: &Stage<'a>, call: Call<'a>) -> Call<'a> {
    ["LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH"].iter().fold(call, |call, name| call.variable(name, "/nowhere/x.so"))
}

fn libraries_uncompiled<'a>(stage: &Stage<'a>, call: Call<'a>) -> Call<'a> {
    std::fs::remove_dir_all(stage.path("cache")).unwrap();
    libraries(stage, call)
}

fn settings<'a>(stage: &Stage<'a>, call: Call<'a>) -> Call<'a> {
    let names = [
        "TMPDIR",
        "HOME",
        "XDG_CACHE_HOME",
        "XDG_STATE_HOME",
        "WASMTIME_CACHE_DIR",
        "RUST_LOG",
        "RUST_BACKTRACE",
        "RAYON_NUM_THREADS",
        "GLIBC_TUNABLES",
        "MALLOC_CHECK_",
        "SSL_CERT_FILE",
        "DBUS_SYSTEM_BUS_ADDRESS",
        "http_proxy",
        "BASH_ENV",
        "ENV",
        "IFS",
        "PATH",
    ];
    let outside = stage.outside();
    names.iter().fold(call, |call, name| call.variable(name, &outside))
}

fn thousand<'a>(_: &Stage<'a>, call: Call<'a>) -> Call<'a> {
    (0..1000).fold(call, |call, number| call.variable(format!("OCF_RESKEY_unknown{number}"), "x"))
}

fn largest<'a>(_: &Stage<'a>, call: Call<'a>) -> Call<'a> {
    (0..12).fold(call, |call, number| call.variable(format!("OCF_RESKEY_unknown{number}"), "x".repeat(131_000)))
}

/// The second is what counts, as in a shell.
fn twice<'a>(_: &Stage<'a>, call: Call<'a>) -> Call<'a> {
    let call = call.variable("OCF_RESKEY_do", "trap").variable("OCF_RESKEY_in", "start");
    become_it(call, &["--twice", "OCF_RESKEY_do=nothing"])
}

fn two_names<'a>(_: &Stage<'a>, call: Call<'a>) -> Call<'a> {
    become_it(call, &["--twice", "OCF_RESOURCE_INSTANCE=../other"])
}

fn timeout<'a>(call: Call<'a>, milliseconds: &str) -> Call<'a> {
    call.variable("OCF_RESKEY_CRM_meta_timeout", milliseconds)
}

fn trace<'a>(stage: &Stage<'a>, call: Call<'a>, file: &str) -> Call<'a> {
    call.variable("OCF_TRACE_RA", "1").variable("OCF_TRACE_FILE", stage.outside().join(file))
}

/// What whoever may configure the resource can say.
fn traced<'a>(stage: &Stage<'a>, call: Call<'a>) -> Call<'a> {
    call.variable("OCF_RESKEY_trace_ra", "1").variable("OCF_RESKEY_trace_file", stage.outside().join("secret"))
}

fn zeroth<'a>(call: Call<'a>, name: &str) -> Call<'a> {
    become_it(call, &["--zeroth", name])
}

fn nothing<'a>(_: &Stage<'a>, call: Call<'a>) -> Call<'a> {
    become_it(call, &["--nothing"])
}

fn provider<'a>(_: &Stage<'a>, call: Call<'a>) -> Call<'a> {
    zeroth(call.variable("OCF_RESOURCE_PROVIDER", "../../etc"), "hostile")
}
