//! What one plugin may take of a node: each limit of host/src/runner/limits.rs, by a plugin written by hand that goes one
//! step beyond it. It is told so or traps, the reason names what it was, the answer comes in time, and nothing is left.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::time::Duration;

use ocf_wasm_tests::handmade::{Handmade, LOG};
use ocf_wasm_tests::host::{Ran, TestHost};

/// The caller's patience.
const TIMEOUT_MS: u32 = 3_000;
/// What `start` does if it may go on: the host asks again and again whether it runs.
const WENT_ON: &str = "not running in time";

fn install(host: &TestHost, plugin: &Handmade) -> &'static str {
    const AGENT: &str = "test/handmade";
    let path = host.path().join("handmade.wasm");
    let text = plugin.text(AGENT);
    fs::write(&path, wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))).unwrap();
    host.policy(AGENT, "format = 1\n");
    host.add(&path, &[]);
    AGENT
}

/// Starts a plugin and checks what is answered, and that it can be stopped all the same.
#[track_caller]
fn starts(plugin: &Handmade, reason: &str) -> Ran {
    let host = TestHost::new();
    let agent = install(&host, plugin);
    let ran = host.action(agent, "start").timeout_ms(TIMEOUT_MS).is(1).says(reason);
    let ran = ran.within(Duration::from_millis(TIMEOUT_MS.into()));
    // What it did was done to a process that is gone.
    let _ = host.action(agent, "stop").is(0);
    ran
}

/// A plugin whose `start` does something in a module of its own.
fn doing(start: &str) -> Handmade {
    Handmade { start: start.to_owned(), ..Handmade::default() }
}

#[test]
fn memory_is_summed_over_all_memories() {
    // Two memories that grow by 30 MiB each fit; a little more, and the second growth is refused.
    let grown = |pages: u32| Handmade {
        before: r#"(core module $other (memory $m 1)
                (func (export "grow") (param i32) (result i32) (memory.grow $m (local.get 0))))
            (core instance $other (instantiate $other))"#
            .to_owned(),
        with: r#"(with "other" (instance $other))"#.to_owned(),
        code: r#"(import "other" "grow" (func $grow (param i32) (result i32)))"#.to_owned(),
        start: format!(
            "(if (i32.eq (memory.grow $own (i32.const {pages})) (i32.const -1)) (then unreachable))
             (if (i32.eq (call $grow (i32.const {pages})) (i32.const -1)) (then unreachable))"
        ),
        ..Handmade::default()
    };
    starts(&grown(480), WENT_ON);
    starts(&grown(520), "memory limit of 64 MiB reached");
}

#[test]
fn a_plugin_may_go_on_asking_for_memory_that_it_does_not_get() {
    // For ever, as fast as it can: each refusal must cost the host nothing that stays.
    let ran = starts(&doing("(loop (drop (memory.grow $own (i32.const 60000))) (br 0))"), "no answer from the plugin");
    assert!(!ran.stderr.contains("SIG"), "{ran:#?}");
}

#[test]
fn memories_are_counted() {
    // One a module, as the engine wants it.
    let memories = |count: usize| Handmade {
        before: format!("(core module $m (memory 0)) {}", "(core instance (instantiate $m))".repeat(count - 1)),
        ..Handmade::default()
    };
    starts(&memories(8), WENT_ON);
    starts(&memories(9), "memory count too high");
}

#[test]
fn instances_are_counted() {
    let instances = |count: usize| Handmade {
        before: format!("(core module $m) {}", "(core instance (instantiate $m))".repeat(count - 1)),
        ..Handmade::default()
    };
    starts(&instances(64), WENT_ON);
    starts(&instances(65), "instance count too high");
}

#[test]
fn tables_and_their_elements_are_counted() {
    let tables = |count: usize| Handmade { code: "(table 1 funcref)".repeat(count), ..Handmade::default() };
    starts(&tables(64), WENT_ON);
    starts(&tables(65), "table count too high");
    let elements = |more: usize| Handmade {
        code: "(table $a 50000 funcref) (table $b 1 funcref)".to_owned(),
        start: format!(
            "(if (i32.eq (table.grow $b (ref.null func) (i32.const {more})) (i32.const -1)) (then unreachable))"
        ),
        ..Handmade::default()
    };
    starts(&elements(49_999), WENT_ON);
    starts(&elements(50_000), "limit of 100000 elements");
    // More than the limit from the beginning.
    let large = Handmade { code: "(table 100001 funcref)".to_owned(), ..Handmade::default() };
    starts(&large, "limit of 100000 elements");
}

#[test]
fn the_stack_ends_in_a_trap_whatever_the_caller_had_set() {
    let deep = Handmade {
        code: "(func $deep (param i64) (result i64) (i64.add (call $deep (local.get 0)) (i64.const 1)))".to_owned(),
        start: "(drop (call $deep (i64.const 1)))".to_owned(),
        ..Handmade::default()
    };
    starts(&deep, "call stack exhausted");
    let host = TestHost::new();
    let agent = install(&host, &deep);
    for limit in ["ulimit -S -s 128", "ulimit -S -s unlimited"] {
        let call = host.call(agent).argument("start").instance("x").before(limit);
        let _ = call.is(1).says("call stack exhausted");
        let _ = host.call(agent).argument("stop").instance("x").is(0);
    }
}

#[test]
fn what_one_call_takes_out_of_a_plugin_is_limited() {
    let logs = |bytes: u32| Handmade {
        before: LOG.to_owned(),
        with: r#"(with "log" (instance (export "log" (func $log))))"#.to_owned(),
        code: r#"(import "log" "log" (func $log (param i32 i32 i32)))"#.to_owned(),
        start: format!("(call $log (i32.const 0) (i32.const 0) (i32.const {bytes}))"),
        ..Handmade::default()
    };
    starts(&logs(1024 * 1024), WENT_ON);
    starts(&logs(1280 * 1024 + 1), "fuel");
    // A list whose entries are all the same megabyte, twice.
    let slots = Handmade {
        before: format!(
            r#"(import "ocf:agent/program@0.1.0" (instance $programs
                (alias outer 1 $slot (type $s)) (export "slot" (type $slot' (eq $s)))
                (alias outer 1 $error (type $e)) (export "error" (type $error' (eq $e)))
                (export "available" (func (param "label" string) (param "slots" (list $slot')) (result (result bool (error $error')))))))
            (core module $far (memory (export "memory") 32)
                (data (i32.const 0) "{}")
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024))
            (core instance $far (instantiate $far))
            (core func $available (canon lower (func $programs "available") (memory $far "memory") (realloc (func $far "realloc"))))"#,
            r"\00\00\00\00\00\00\00\00\00\00\00\00\00\00\10\00".repeat(2)
        ),
        with: r#"(with "program" (instance (export "available" (func $available))))"#.to_owned(),
        code: r#"(import "program" "available" (func $available (param i32 i32 i32 i32 i32)))"#.to_owned(),
        start: "(call $available (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 512))".to_owned(),
        ..Handmade::default()
    };
    starts(&slots, "fuel");
    // What an export returns is taken out as well: a reason as large as the memory.
    let reason = Handmade {
        code: r#"(data (memory $own) (i32.const 32) "\01\00\00\00\00\00\00\00\00\00\00\00\00\00\18\00")"#.to_owned(),
        start: "(drop (memory.grow $own (i32.const 32))) (return (i32.const 32))".to_owned(),
        ..Handmade::default()
    };
    starts(&reason, "fuel");
}

#[test]
fn resources_that_are_held_are_counted() {
    let holding = |count: u32| Handmade {
        before: "(type $r (resource (rep i32))) (core func $new (canon resource.new $r))".to_owned(),
        with: r#"(with "r" (instance (export "new" (func $new))))"#.to_owned(),
        code: r#"(import "r" "new" (func $new (param i32) (result i32)))"#.to_owned(),
        start: format!(
            "(local $i i32)
             (loop (drop (call $new (i32.const 7)))
                   (local.set $i (i32.add (local.get $i) (i32.const 1)))
                   (br_if 0 (i32.lt_u (local.get $i) (i32.const {count}))))"
        ),
        ..Handmade::default()
    };
    starts(&holding(1_024), WENT_ON);
    starts(&holding(1_025), "handle");
}
