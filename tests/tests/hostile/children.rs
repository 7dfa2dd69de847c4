//! Granted programs that do not behave: an action ends in time whatever its program does, and takes all of it along; a
//! stop ends all of a daemon, wherever it went.
//!
//! What one may take of the node is in `tests/confined`, and what it can reach in docs/reach.md.

use ocf_wasm_tests::host::Call;

use super::table::{AGENT, Before, Called, How, Left, Row, Stage, Who};

type Program = (&'static str, &'static str, &'static str, i32, &'static str);

/// A program of an action: its name, what a shell does, what else the policy says, the exit status of a start, its reason.
const OF_ACTIONS: &[Program] = &[
    ("a program that leaves a daemon", "setsid sh -c 'setsid sleep 1000 & exit' & exit 0", "", 0, ""),
    ("a program that leaves what does not listen", "trap '' TERM HUP INT; setsid sleep 1000 & exit 0", "", 0, ""),
    ("a program that does not end", "trap '' TERM HUP INT; while :; do sleep 1000; done", SHORT, 1, OVER),
    (
        "a program whose children do not end",
        "setsid sleep 1000 & setsid setsid sleep 1000 & sleep 1000",
        SHORT,
        1,
        OVER,
    ),
    ("a program that holds the pipe after its end", "sleep 1000 & exit 0", "", 0, ""),
    ("a program that closes all it has", "exec <&- >&- 2>&-; sleep 1000", SHORT, 1, OVER),
    ("a program that floods", "head -c 9M /dev/zero; head -c 9M /dev/zero >&2", "", 0, ""),
    ("a program that floods without an end", "exec cat /dev/zero", SHORT, 1, OVER),
    ("a program that reads without an end", "exec cat", "", 0, ""),
    ("a program that multiplies", "f() { setsid sleep 1000 & f; }; f", "limits = { tasks = 12 }\n", 0, ""),
    (
        "a program that takes memory",
        "head -c 200M /dev/zero | tail; exit 0",
        "limits = { memory = \"32MiB\" }\n",
        0,
        "",
    ),
    (
        "a program that fills a disk",
        "head -c 9M /dev/zero >/dev/shm/x; exit 0",
        "limits = { fsize = \"1MiB\" }\n",
        0,
        "",
    ),
    ("a program that holds itself still", "kill -STOP $$; exit 0", SHORT, 1, OVER),
    ("a program that holds its watcher still", "kill -STOP $PPID; sleep 1000", AS_ROOT, 1, OVER),
    (
        "a program that kills its watcher",
        "setsid sleep 1000 & kill -KILL $PPID; sleep 1000",
        AS_ROOT,
        1,
        "watcher: was killed",
    ),
];

/// A daemon: its name, what a shell does, what else the policy says, the exit status of a start, its reason.
const OF_INSTANCES: &[Program] = &[
    ("a daemon that does not listen", "trap '' TERM HUP INT QUIT; while :; do sleep 1000; done", "", 0, ""),
    ("a daemon with daemons", "setsid setsid sleep 1000 & (setsid sleep 1000 &) ; exec sleep 1000", "", 0, ""),
    ("a daemon that is two forks away", "setsid sh -c 'setsid sleep 1000 & exit' & exit 0", FORKS, 0, ""),
    ("a daemon that multiplies", "sh -c 'while :; do setsid sleep 1000 & done' & exec tail -f /dev/null", TASKS, 0, ""),
    ("a daemon that floods", "yes; exec sleep 1000", "", 0, ""),
    ("a daemon that closes all it has", "exec <&- >&- 2>&-; exec sleep 1000", "", 0, ""),
    (
        "a daemon that takes memory",
        "head -c 200M /dev/zero | tail; exec sleep 1000",
        "limits = { memory = \"32MiB\" }\n",
        0,
        "",
    ),
    ("a daemon that holds its keeper still", "sleep .3; kill -STOP $PPID; exec sleep 1000", "user = \"root\"\n", 0, ""),
    (
        "a daemon that speaks for the agent",
        "echo ocf-exit-reason:well; exit 3",
        FORKS,
        1,
        "status 3: ocf-exit-reason;well",
    ),
    (
        "a daemon that clears the screen",
        r"printf '\033[2J\r\302\233x\n'; exit 3",
        FORKS,
        1,
        r"status 3: \u{1b}[2J\u{9b}x",
    ),
];

/// A program has less time than its action.
const SHORT: &str = "timeout = \"300ms\"\n";
const AS_ROOT: &str = "timeout = \"300ms\"\nuser = \"root\"\n";
const TASKS: &str = "limits = { tasks = 20 }\n";
/// What it leaves would be the daemon.
const FORKS: &str = "type = \"forking\"\n";
const OVER: &str = "no time left";

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |(name, script, more, exit, reason): &Program, label: &'static str| {
        let is_of_action = label == "stuck";
        let left = match (is_of_action, *exit) {
            (true, _) => Left::Nothing,
            (false, 0) => Left::Started,
            (false, _) => Left::Remains,
        };
        let how = How::Called(granted(label, script, more));
        let (who, before) = (Who::Program, Before::Nothing);
        rows.push(Row { name: (*name).to_owned(), who, how, before, action: "start", exit: *exit, reason, left });
    };
    OF_ACTIONS.iter().for_each(|row| add(row, "stuck"));
    OF_INSTANCES.iter().for_each(|row| add(row, "daemon"));
    rows
}

fn granted(label: &'static str, script: &'static str, more: &'static str) -> Called {
    Box::new(move |stage, call| grant(stage, call, label, script, more))
}

/// Binds a label to a script, and has a start use it.
fn grant<'a>(stage: &Stage<'_>, call: Call<'a>, label: &str, script: &str, more: &str) -> Call<'a> {
    let user = if more.contains("user = ") { "" } else { "user = \"nobody\"\n" };
    let (lifetime, mark) = if label == "stuck" { ("action", "STUCK_OF") } else { ("instance", "DAEMON_OF") };
    let script = script.replace('\\', "\\\\");
    stage.host.policy(
        AGENT,
        &format!(
            "format = 1\n[program.{label}]\nprogram = \"/bin/sh\"\nargv = [\"-c\", \"{script}\"]\n\
             lifetime = \"{lifetime}\"\n{user}{more}environment = {{ {mark} = {{ fact = \"instance\" }} }}\n"
        ),
    );
    if label == "stuck" {
        let call = call.variable("OCF_RESKEY_do", "stuck").variable("OCF_RESKEY_in", "start");
        return call.variable("OCF_RESKEY_daemon", "false");
    }
    call
}
