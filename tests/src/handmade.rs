//! Plugins written by hand, as text: what a toolchain would not emit stands in the test.
//!
//! One begins as a plugin of which nothing ever runs, whose actions all succeed. A test gives it what it imports, what
//! stands in its module, and what its `start` does, or any other of its exports, which are all that there are.

use std::collections::BTreeMap;

/// A plugin as text.
#[derive(Clone, Debug, Default)]
pub struct Handmade {
    /// In the component, before its module: imports, further modules and their instances.
    pub before: String,
    /// What its module is instantiated with.
    pub with: String,
    /// In its module.
    pub code: String,
    /// What `start` does, before it succeeds.
    pub start: String,
    /// What `monitor` does, before it says that something runs; nothing: it says that nothing runs.
    pub monitor: String,
    /// What the other exports do, by name, before they succeed.
    pub others: BTreeMap<&'static str, String>,
    /// What happens after an export, once its result was taken out.
    pub after: String,
    /// What `monitor` says, as a number of the world's `health`, instead.
    pub health: Option<u8>,
    /// Interfaces that it does not export.
    pub without: Vec<&'static str>,
    /// What its author says of it, a note a line, in place of next to nothing.
    pub notes: Option<String>,
}

/// The exports beside `start` and `monitor`, and the interface of each.
const OTHERS: [(&str, &str); 8] = [
    ("validate", "lifecycle"),
    ("stop", "lifecycle"),
    ("promote", "role"),
    ("demote", "role"),
    ("notify", "notification"),
    ("migrate-to", "migration"),
    ("migrate-from", "migration"),
    ("reload", "reload"),
];

/// The types of the world, from which it takes those of its exports.
const TYPES: &str = r#"
    (import "ocf:agent/types@0.1.0" (instance $types
        (type $error' (variant (case "denied" string) (case "unavailable" string) (case "invalid" string) (case "timed-out") (case "other" string)))
        (export "error" (type (eq $error')))
        (type $slot' (record (field "name" string) (field "value" string)))
        (export "slot" (type (eq $slot')))
        (type $health' (enum "running" "not-running" "promoted" "degraded" "degraded-promoted" "failed-promoted"))
        (export "health" (type (eq $health')))
        (type $kind' (enum "generic" "arguments" "unimplemented" "permission" "not-installed" "configuration"))
        (export "failure-kind" (type $kind (eq $kind')))
        (type $failure' (record (field "kind" $kind) (field "reason" string)))
        (export "failure" (type (eq $failure')))))
    (alias export $types "error" (type $error))
    (alias export $types "slot" (type $slot))
    (alias export $types "health" (type $health))
    (alias export $types "failure" (type $failure))"#;

/// The import of `log`, and `$log` as a function of the core: level, text, its length.
pub const LOG: &str = r#"
    (import "ocf:agent/log@0.1.0" (instance $logs
        (type $level' (enum "debug" "info" "warning" "error"))
        (export "level" (type $level (eq $level')))
        (export "log" (func (param "level" $level) (param "text" string)))))
    (core module $far (memory (export "memory") 32))
    (core instance $far (instantiate $far))
    (core func $log (canon lower (func $logs "log") (memory $far "memory")))"#;

/// What its author says of an agent of this name, where nothing else is said: next to nothing.
pub fn plain(name: &str) -> String {
    let timeouts = ["start", "stop", "monitor"].map(|action| format!(r#""{action}":"20s""#)).join(",");
    format!(
        r#"{{"agent":{{"name":"{name}","version":"0.1.0","short":"x","long":"x","interval":"10s","timeouts":{{{timeouts}}}}}}}"#
    )
}

impl Handmade {
    /// Its text, for an agent of this name.
    pub fn text(&self, name: &str) -> String {
        let Self { before, with, code, start, monitor, others, after, health, without, notes } = self;
        let health = health.unwrap_or(u8::from(monitor.is_empty()));
        let notes: String =
            notes.clone().unwrap_or_else(|| plain(name)).bytes().map(|byte| format!("\\{byte:02x}")).collect();
        let function = |name: &str| {
            let does = others.get(name).map_or("", String::as_str);
            format!(r#"(func (export "{name}") (result i32) {does} i32.const 0)"#)
        };
        let lift = |name: &str| {
            format!(
                r#"(func ${name} (type $done) (canon lift (core func $code "{name}") (memory $memory) (post-return (func $code "after"))))"#
            )
        };
        let functions: String = OTHERS.iter().map(|(name, _)| function(name)).collect();
        let lifted: String = OTHERS.iter().map(|(name, _)| name).chain(&["start"]).map(|name| lift(name)).collect();
        let interfaces: String = ["lifecycle", "role", "notification", "migration", "reload"]
            .iter()
            .filter(|interface| !without.contains(*interface))
            .map(|interface| {
                let own = OTHERS.iter().filter(|(_, of)| of == interface);
                let mut exports: String = own.map(|(name, _)| format!(r#"(export "{name}" (func ${name}))"#)).collect();
                if *interface == "lifecycle" {
                    exports.push_str(r#"(export "start" (func $start)) (export "monitor" (func $monitor))"#);
                }
                format!(
                    r#"(instance ${interface} {exports}) (export "ocf:agent/{interface}@0.1.0" (instance ${interface}))"#
                )
            })
            .collect();
        format!(
            r#"(component {TYPES} {before}
                (core module $code
                    {code}
                    (memory $own (export "memory") 1)
                    ;; A result that is good, with a health: running or not.
                    (data (memory $own) (i32.const 16) "\00\00\00\00\{health:02x}")
                    (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
                    (func (export "after") (param i32) {after})
                    {functions}
                    (func (export "monitor") (result i32) {monitor} i32.const 16)
                    (func (export "start") (result i32) {start} i32.const 0))
                (core instance $code (instantiate $code {with}))
                (alias core export $code "memory" (core memory $memory))
                (type $done (func (result (result (error $failure)))))
                (type $seen (func (result (result $health (error $failure)))))
                {lifted}
                (func $monitor (type $seen) (canon lift (core func $code "monitor") (memory $memory) (post-return (func $code "after"))))
                {interfaces}
                (@custom "ocf:metadata" "{notes}"))"#
        )
    }
}
