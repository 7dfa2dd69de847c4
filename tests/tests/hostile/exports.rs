//! What never ends, and what ends badly, wherever code of a plugin runs: in each export, before the first one, after a
//! result was taken out, and while the host puts an answer into the plugin's memory.

use ocf_wasm_tests::handmade::Handmade;

use super::table::{Before, How, Left, Row, Who};

/// What computes without an end: in the module, and in the export.
const ENDLESS: [(&str, &str, &str); 4] = [
    ("a loop", "", "(loop (br 0))"),
    (
        "memory.fill without an end",
        "",
        "(drop (memory.grow $own (i32.const 800)))
         (loop (memory.fill $own (i32.const 4096) (i32.const 7) (i32.const 50000000)) (br 0))",
    ),
    (
        "memory.copy without an end",
        "",
        "(drop (memory.grow $own (i32.const 800)))
         (loop (memory.copy $own $own (i32.const 4096) (i32.const 8192) (i32.const 50000000)) (br 0))",
    ),
    (
        "table.fill without an end",
        "(table $many 90000 funcref)",
        "(loop (table.fill $many (i32.const 0) (ref.null func) (i32.const 90000)) (br 0))",
    ),
];

/// The exports: their names, the action that calls each, what monitor says meanwhile (a number of `health`), the exit
/// status if it does not end, and what is left.
const EXPORTS: [(&str, &str, u8, i32, Left); 10] = [
    ("validate", "validate-all", 1, 1, Left::Unrecorded),
    ("start", "start", 1, 1, Left::Nothing),
    ("stop", "stop", 1, 1, Left::Unrecorded),
    ("monitor", "monitor 10s", 1, 1, Left::Unrecorded),
    ("promote", "promote", 0, 1, Left::Unrecorded),
    ("demote", "demote", 2, 1, Left::Unrecorded),
    // The cluster ignores what comes of it.
    ("notify", "notify", 0, 0, Left::Unrecorded),
    ("migrate-to", "migrate_to", 0, 1, Left::Unrecorded),
    ("migrate-from", "migrate_from", 1, 1, Left::Nothing),
    ("reload", "reload-agent", 0, 1, Left::Unrecorded),
];

/// What happens outside of all exports: a name, where, the code, and what the reason says.
const ELSEWHERE: [(&str, Place, &str, &str); 11] = [
    ("a loop before the first export", Place::Begin, "(loop (br 0))", IN_TIME),
    (
        "memory.fill without an end before the first export",
        Place::Begin,
        "(drop (memory.grow $own (i32.const 800)))
         (loop (memory.fill $own (i32.const 4096) (i32.const 7) (i32.const 50000000)) (br 0))",
        IN_TIME,
    ),
    ("a trap before the first export", Place::Begin, "unreachable", "unreachable"),
    ("deep calls before the first export", Place::Begin, "(call $begin)", "call stack exhausted"),
    ("a loop after an export", Place::After, "(loop (br 0))", IN_TIME),
    ("a trap after an export", Place::After, "unreachable", "unreachable"),
    ("a loop in realloc", Place::Realloc, "(loop (br 0))", IN_TIME),
    ("a trap in realloc", Place::Realloc, "unreachable", "unreachable"),
    (
        "an address outside of the memory from realloc",
        Place::Realloc,
        "(return (i32.const -8))",
        "beyond end of memory",
    ),
    ("an address at the very end from realloc", Place::Realloc, "(return (i32.const 2097151))", "beyond end of memory"),
    ("a call of the host in realloc", Place::Realloc, "(drop (call $tick))", "cannot leave"),
];

const IN_TIME: &str = "no answer from the plugin in time";

/// Where code of a plugin runs beside its exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the start function of its module.
    Begin,
    /// After an export.
    After,
    /// When the host needs room in its memory.
    Realloc,
}

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (what, code, does) in ENDLESS {
        for (export, action, health, exit, left) in EXPORTS {
            let mut plugin = Handmade { code: code.to_owned(), health: Some(health), ..Handmade::default() };
            match export {
                "start" => plugin.start = does.into(),
                "monitor" => plugin.monitor = does.into(),
                other => drop(plugin.others.insert(other, does.to_owned())),
            }
            rows.push(row(format!("{what} in {export}"), plugin, action, exit, IN_TIME, left));
        }
    }
    for (name, place, does, reason) in ELSEWHERE {
        let does = does.to_owned();
        let mut plugin = Handmade { health: Some(0), ..Handmade::default() };
        match place {
            Place::Begin => plugin.code = format!("(func $begin {does}) (start $begin)"),
            Place::After => plugin.after = does,
            Place::Realloc => named(&mut plugin, &does),
        }
        rows.push(row(name.to_owned(), plugin, "start", 1, reason, Left::Nothing));
    }
    rows
}

/// Makes a plugin ask for its instance's name in `start`, and the room for the answer there.
fn named(plugin: &mut Handmade, realloc: &str) {
    plugin.before = format!(
        r#"(import "ocf:agent/instance@0.1.0" (instance $facts (export "name" (func (result string)))))
        (import "ocf:agent/clock@0.1.0" (instance $clock (export "monotonic-ms" (func (result u64)))))
        (core func $tick (canon lower (func $clock "monotonic-ms")))
        (core module $far
            (import "clock" "tick" (func $tick (result i64)))
            (memory (export "memory") 32)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) {realloc} (i32.const 1024)))
        (core instance $far (instantiate $far (with "clock" (instance (export "tick" (func $tick))))))
        (core func $name (canon lower (func $facts "name") (memory $far "memory") (realloc (func $far "realloc"))))"#
    );
    plugin.with = r#"(with "facts" (instance (export "name" (func $name))))"#.into();
    plugin.code = r#"(import "facts" "name" (func $name (param i32)))"#.into();
    plugin.start = "(call $name (i32.const 0))".into();
    plugin.health = Some(1);
}

fn row(name: String, plugin: Handmade, action: &'static str, exit: i32, reason: &'static str, left: Left) -> Row {
    let how = How::Written(Box::new(plugin));
    Row { name, who: Who::Plugin, how, before: Before::Nothing, action, exit, reason, left }
}
