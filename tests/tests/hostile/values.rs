//! What a plugin returns that no toolchain would: numbers that stand for nothing, addresses that are nobody's, and words
//! that say more than they are.

use ocf_wasm_tests::handmade::{Handmade, LOG};

use super::table::{Before, How, Left, Row, Who};

/// Bytes that `start` returns as its result, and what the reason says. A result is a byte (0 good, 1 failed), and from the
/// fourth byte on the kind of the failure, and from the eighth the address of its words and their length.
const RESULTS: [(&str, &str, &str); 10] = [
    ("a result that is neither good nor bad", r"\02", "discriminant"),
    ("a result of 255", r"\ff", "discriminant"),
    ("a failure of a kind that is not there", r"\01\00\00\00\06", "discriminant"),
    ("a failure of kind 255", r"\01\00\00\00\ff", "discriminant"),
    ("words that lie outside of the memory", r"\01\00\00\00\00\00\00\00\00\00\00\f0\10\00\00\00", "out of bounds"),
    ("words of 2 GiB", r"\01\00\00\00\00\00\00\00\40\00\00\00\00\00\00\80", "out of bounds"),
    ("words of 4 GiB less a byte", r"\01\00\00\00\00\00\00\00\40\00\00\00\ff\ff\ff\ff", "out of bounds"),
    ("words that reach beyond the memory", r"\01\00\00\00\00\00\00\00\ff\ff\00\00\02\00\00\00", "out of bounds"),
    ("words that end beyond all addresses", r"\01\00\00\00\00\00\00\00\ff\ff\ff\ff\ff\ff\ff\ff", "out of bounds"),
    ("words that are no text", r"\01\00\00\00\00\00\00\00\30\00\00\00\01\00\00\00\f0", "utf-8"),
];

/// Addresses that `start` returns.
const ADDRESSES: [(&str, &str, &str); 4] = [
    ("a result beyond the memory", "65536", "out of bounds"),
    ("a result at the last address of all", "-4", "out of bounds"),
    ("a result that reaches beyond the memory", "65532", "out of bounds"),
    ("a result at an odd address", "33", "aligned"),
];

/// Numbers that `monitor` says, of six that there are.
const HEALTHS: [(&str, u8); 3] = [("a health of 6", 6), ("a health of 7", 7), ("a health of 255", 255)];

/// Words that a start fails with, and what the reason says.
const WORDS: [(&str, &str, &str); 14] = [
    ("a second reason in a reason", "ocf-exit-reason:all is well", "ocf-exit-reason;all is well"),
    ("a second reason behind a line's end", "no\nocf-exit-reason:well", "no | ocf-exit-reason;well"),
    ("a second reason behind a carriage return", "no\rocf-exit-reason:well", "noocf-exit-reason;well"),
    ("a reason that is put together by what is left out", "no ocf-exit-\rreason:well", "no ocf-exit-reason;well"),
    ("a reason split by what cannot be seen", "no ocf-exit-\u{200b}reason:well", r"no ocf-exit-\u{200b}reason:well"),
    ("a reason with a NUL", "no\0more", r"no\u{0}more"),
    ("a reason that clears the screen", "\u{1b}[2J\u{1b}]0;root\u{7}", r"\u{1b}[2J\u{1b}]0;root\u{7}"),
    ("a reason with controls of eight bits", "\u{9b}2J\u{85}x", r"\u{9b}2J\u{85}x"),
    ("a reason that runs backwards", "\u{202e}eerf\u{2066}", r"\u{202e}eerf\u{2066}"),
    ("a reason with separators of lines", "a\u{2028}b\u{2029}c", r"a\u{2028}b\u{2029}c"),
    ("a reason with tags that nobody sees", "a\u{e0041}\u{e007f}", r"a\u{e0041}\u{e007f}"),
    ("a reason that is a format", "%s%n%100000d {} {0}", "%s%n%100000d {} {0}"),
    ("a reason that is XML", "]]><action name='x'/>&amp;", "]]><action name='x'/>&amp;"),
    ("a reason of nothing but white", " \n\t\r ", "the plugin failed and gave no reason"),
];

/// What `start` says to the log, before it succeeds: level, address and length of the words.
const LOGGED: [(&str, &str, &str); 4] = [
    ("a log line of a level that is not there", "4 0 1", "discriminant"),
    ("a log line of 2 GiB", "3 0 -2147483648", "out of bounds"),
    ("a log line from outside of the memory", "3 -16 16", "out of bounds"),
    ("a log line that is no text", "3 8 1", "utf-8"),
];

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let data = |bytes: &str| format!(r#"(data (memory $own) (i32.const 32) "{bytes}")"#);
    let returns = |name: &str, code: String, at: &str, reason: &'static str| {
        let plugin = Handmade { code, start: format!("(return (i32.const {at}))"), ..Handmade::default() };
        row(name, plugin, "start", 1, reason, Left::Nothing)
    };
    rows.extend(RESULTS.map(|(name, bytes, reason)| returns(name, data(bytes), "32", reason)));
    rows.extend(ADDRESSES.map(|(name, at, reason)| returns(name, String::new(), at, reason)));
    for (name, words, reason) in WORDS {
        let length = u8::try_from(words.len()).unwrap();
        let escaped: String = words.bytes().map(|byte| format!(r"\{byte:02x}")).collect();
        let failed = format!(r"\01\00\00\00\00\00\00\00\30\00\00\00\{length:02x}\00\00\00{escaped}");
        rows.push(returns(name, data(&failed), "32", reason));
    }
    for (name, health) in HEALTHS {
        let plugin = Handmade { health: Some(health), ..Handmade::default() };
        rows.push(row(name, plugin, "monitor 10s", 1, "discriminant", Left::Unrecorded));
    }
    for (name, arguments, reason) in LOGGED {
        let arguments: String = arguments.split(' ').map(|number| format!("(i32.const {number})")).collect();
        let plugin = Handmade {
            // The byte that is no text is in the memory that the host reads.
            before: LOG.replace("32))", r#"32) (data (i32.const 8) "\ff"))"#),
            with: r#"(with "log" (instance (export "log" (func $log))))"#.to_owned(),
            code: r#"(import "log" "log" (func $log (param i32 i32 i32)))"#.to_owned(),
            start: format!("(call $log {arguments})"),
            ..Handmade::default()
        };
        rows.push(row(name, plugin, "start", 1, reason, Left::Nothing));
    }
    rows
}

fn row(name: &str, plugin: Handmade, action: &'static str, exit: i32, reason: &'static str, left: Left) -> Row {
    let how = How::Written(Box::new(plugin));
    Row { name: name.to_owned(), who: Who::Plugin, how, before: Before::Nothing, action, exit, reason, left }
}
