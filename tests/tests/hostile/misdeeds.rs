//! The plugin that misbehaves, in each export of the lifecycle. The other exports are under the cluster's own executor, in
//! `tests/tests/misdeeds.rs`.

use super::table::{Before, How, Left, Row, Who};

/// What a misdeed comes to in an export that the cluster's action depends on.
const FATAL: [(&str, &str); 11] = [
    ("loop", IN_TIME),
    ("trap", "unreachable"),
    ("panic", "the table is gone"),
    ("confess", "panic: out of tea\\u{7} (lib.rs:7:1)"),
    ("exit", "exit"),
    ("allocate", "memory"),
    ("recurse", "trap"),
    ("sink", "stack"),
    ("sleep", IN_TIME),
    ("doze", IN_TIME),
    ("ask", IN_TIME),
];

const IN_TIME: &str = "no answer from the plugin in time";

/// What is not fatal: the misdeed, where, the action, its exit status, what the reason says, what is left.
const OTHERS: [(&str, &str, &str, i32, &str, Left); 19] = [
    ("lines", "start", "start", 1, "first | ocf-exit-reason;second | \\u{1b}[31mthird\\u{0}", Left::Nothing),
    ("long", "start", "start", 1, "cause first, then much more", Left::Nothing),
    ("silent", "start", "start", 1, "the plugin failed and gave no reason", Left::Nothing),
    ("ungranted", "start", "start", 4, "program secret", Left::Nothing),
    ("misuse", "start", "start", 4, "program daemon", Left::Nothing),
    ("lie", "start", "start", 1, "not running in time: monitor says that it does not run", Left::Nothing),
    ("scribble", "start", "start", 0, "", Left::Nothing),
    ("forge", "start", "start", 0, "", Left::Nothing),
    ("flood", "start", "start", 0, "", Left::Nothing),
    ("scribble", "validate", "validate-all deep", 1, "changes nothing", Left::Unrecorded),
    ("lines", "monitor", "monitor 10s deep", 1, "first | ocf-exit-reason;second", Left::Running),
    ("long", "monitor", "monitor 10s deep", 1, "cause first", Left::Running),
    ("silent", "monitor", "monitor 10s deep", 1, "gave no reason", Left::Running),
    ("scribble", "monitor", "monitor 10s deep", 1, "changes nothing", Left::Running),
    ("forge", "monitor", "monitor 10s deep", 0, "", Left::Running),
    ("flood", "monitor", "monitor 10s deep", 0, "", Left::Running),
    ("lines", "stop", "stop", 0, "", Left::Nothing),
    ("ungranted", "stop", "stop", 0, "", Left::Nothing),
    ("lie", "stop", "stop", 0, "not stopped in time", Left::Nothing),
];

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |what: &str, (misdeed, place), before, action, exit, reason, left| {
        let name = format!("{misdeed} in {place}{what}");
        let how = How::Misdeed(misdeed, place);
        rows.push(Row { name, who: Who::Plugin, how, before, action, exit, reason, left });
    };
    for (misdeed, reason) in FATAL {
        add("", (misdeed, "start"), Before::Nothing, "start", 1, reason, Left::Nothing);
        // Nothing was started: a probe that cannot be judged stops no healthy copy elsewhere.
        add(" of a probe", (misdeed, "monitor"), Before::Nothing, "monitor deep", 7, reason, Left::Unrecorded);
        add("", (misdeed, "monitor"), Before::Started, "monitor 10s deep", 1, reason, Left::Running);
        // The host ends what it started and has seen it end: that is a stop, whatever the plugin does.
        add("", (misdeed, "stop"), Before::Started, "stop", 0, reason, Left::Nothing);
        add(", with nothing to stop", (misdeed, "stop"), Before::Nothing, "stop", 1, reason, Left::Unrecorded);
    }
    for (misdeed, place, action, exit, reason, left) in OTHERS {
        let before = if matches!(place, "monitor" | "stop") { Before::Started } else { Before::Nothing };
        add("", (misdeed, place), before, action, exit, reason, left);
    }
    for (misdeed, reason) in [FATAL[0], FATAL[1], FATAL[2]] {
        let broken = (misdeed, "every-monitor");
        add(" of a start", broken, Before::Nothing, "start", 1, reason, Left::Nothing);
    }
    rows
}
