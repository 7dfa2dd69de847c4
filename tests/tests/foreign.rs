//! Components that are no plugins, or plugins for another host: refused in one line that says what, where, and what to
//! do, and nothing on the node is changed.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use ocf_wasm_tests::handmade::Handmade;
use ocf_wasm_tests::host::{TestHost, finish, plugin};

/// A component that does something, for somebody else.
const COMMAND: &str = r#"(component
    (core module $code (func (export "run")))
    (core instance $code (instantiate $code))
    (func $run (canon lift (core func $code "run")))
    (instance $run (export "run" (func $run)))
    (export "wasi:cli/run@0.2.6" (instance $run)))"#;

/// A component with the names of a plugin, with an import or none, and with exports of one type.
fn misfit(name: &str, import: &str, result: &str) -> String {
    let timeouts = ["start", "stop", "monitor"].map(|action| format!(r#"\"{action}\":\"20s\""#)).join(",");
    let note = format!(
        r#"{{\"agent\":{{\"name\":\"{name}\",\"version\":\"0.1.0\",\"short\":\"x\",\"long\":\"x\",\"interval\":\"10s\",\"timeouts\":{{{timeouts}}}}}}}"#
    );
    let functions = ["validate", "start", "stop", "monitor"].map(|name| format!(r#"(export "{name}" (func $f))"#));
    let value = if result.is_empty() { "" } else { "(result i32) i32.const 0" };
    format!(
        r#"(component {import}
            (core module $code (func (export "f") {value}))
            (core instance $code (instantiate $code))
            (func $f {result} (canon lift (core func $code "f")))
            (instance $all {})
            (export "ocf:agent/lifecycle@0.1.0" (instance $all))
            (@custom "ocf:metadata" "{note}"))"#,
        functions.join(" ")
    )
}

/// What a root holds, without what belongs to this test: modes, and files and links byte by byte.
fn contents(root: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut open: Vec<PathBuf> = ["etc", "lib", "cache", "run", "resource.d"].iter().map(|n| root.join(n)).collect();
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            let bytes = match (kind.is_dir(), kind.is_symlink()) {
                (true, _) => Vec::new(),
                (_, true) => fs::read_link(&path).unwrap().into_os_string().into_vec(),
                _ => fs::read(&path).unwrap(),
            };
            found.insert(path.clone(), (entry.metadata().unwrap().mode(), bytes));
            if kind.is_dir() {
                open.push(path);
            }
        }
    }
    found
}

/// Checks that a component is refused by each verb that would take it, in one line with all of `words`, and that
/// nothing is changed.
#[track_caller]
fn refuses(host: &TestHost, file: &Path, words: &[&str]) {
    let before = contents(host.path());
    let path = file.to_str().unwrap();
    for arguments in [
        &["install", "--allow-unsigned", path][..],
        &["install", "--allow-unsigned", "--dry-run", path],
        &["run", path, "start"],
        &["run", path, "stop"],
    ] {
        // By `run`, a directory is no component but a name.
        if arguments[0] == "run" && file.is_dir() {
            continue;
        }
        let ran = host.run(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:#?}");
        assert!(ran.stderr.starts_with(&format!("error: {path}: ")), "{ran:#?}");
        assert!(ran.stderr.lines().count() == 1 && ran.stderr.ends_with('\n'), "{ran:#?}");
        assert!(!ran.stderr.contains("panicked"), "{ran:#?}");
        for word in words {
            assert!(ran.stderr.contains(word), "{word}: {ran:#?}");
        }
    }
    let after = contents(host.path());
    assert!(before.keys().eq(after.keys()), "{:?}, {:?}", before.keys(), after.keys());
    for (path, kept) in before {
        assert!(after[&path] == kept, "{} was changed", path.display());
    }
}

#[test]
fn what_is_no_plugin_is_not_installed() {
    let host = TestHost::with(&["dummy"]);
    let file = |name: &str, bytes: &[u8]| {
        let path = host.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    refuses(&host, &host.path().join("absent.wasm"), &["No such file"]);
    refuses(&host, &file("empty.wasm", b""), &["not a WebAssembly component", "wasm32-wasip2"]);
    refuses(&host, &file("text.wasm", b"#!/bin/sh\necho hello\n"), &["not a WebAssembly component", "wasm32-wasip2"]);
    refuses(&host, &file("core.wasm", b"\0asm\x01\0\0\0"), &["core module", "wasm-tools component new"]);
    refuses(&host, &file("nothing.wasm", b"\0asm\x0d\0\x01\0"), &["ocf:agent/lifecycle", "crate ocf-agent"]);
    let whole = fs::read(plugin("dummy")).unwrap();
    refuses(&host, &file("half.wasm", &whole[..whole.len() / 2]), &["damaged"]);
    refuses(&host, host.path(), &["directory"]);
}

#[test]
fn a_component_of_another_world_is_refused_with_what_to_do() {
    let host = TestHost::with(&["dummy"]);
    let component = |text: &str| {
        let path = host.path().join("foreign.wasm");
        fs::write(&path, wat::parse_str(text).unwrap()).unwrap();
        path
    };
    let importing = |interface: &str, function: &str| {
        component(&format!("(component (import \"{interface}\" (instance (export \"{function}\" (func)))))"))
    };
    refuses(&host, &component(COMMAND), &["ocf:agent/lifecycle", "crate ocf-agent"]);
    for (interface, function, words) in [
        ("ocf:agent/program@0.1.0", "freeze", &["`program`", "`freeze`", "update ocf-wasm"][..]),
        ("ocf:agent/program@0.1.9", "freeze", &["ocf:agent/program@0.1.9", "`freeze`", "update ocf-wasm"]),
        ("ocf:agent/mount@0.1.4", "mount", &["`mount`", "update ocf-wasm"]),
        ("ocf:agent/program@0.2.0", "run", &["ocf:agent/program@0.2.0", "speaks ocf:agent 0.1", "update ocf-wasm"]),
        ("wasi:filesystem/preopens@0.2.6", "get-directories", &["wasi:filesystem", "no files", "by label"]),
        ("wasi:sockets/tcp-create-socket@0.2.6", "create-tcp-socket", &["wasi:sockets", "no network", "by label"]),
        ("wasi:http/outgoing-handler@0.2.6", "handle", &["wasi:http", "no network", "by label"]),
        ("acme:magic/wand@1.0.0", "wave", &["acme:magic/wand@1.0.0", "does not offer", "build against"]),
    ] {
        refuses(&host, &importing(interface, function), words);
    }
}

#[test]
fn what_names_a_function_and_means_another_is_refused() {
    let host = TestHost::with(&["dummy"]);
    let other = r#"(import "ocf:agent/program@0.1.0" (instance (export "stop" (func (result u64)))))"#;
    let later = r#"(import "ocf:agent/program@0.1.7" (instance (export "stop" (func (param "label" u64)))))"#;
    // Of the right shape, and one of its types is another.
    let nested = r#"(import "ocf:agent/path@0.1.0" (instance
        (type $error' (variant (case "denied" u64)))
        (export "error" (type $error (eq $error')))
        (export "remove" (func (param "label" string) (param "name" string) (result (result bool (error $error)))))))"#;
    for (import, result, words) in [
        (other, "", ["imports ocf:agent/program@0.1.0", "`stop`"]),
        (later, "", ["imports ocf:agent/program@0.1.7", "`stop`"]),
        (nested, "", ["imports ocf:agent/path@0.1.0", "`remove`"]),
        ("", "(result u32)", ["exports ocf:agent/lifecycle@0.1.0", "`validate`, `start`, `stop`, `monitor`"]),
    ] {
        let path = host.path().join("misfit.wasm");
        fs::write(&path, wat::parse_str(misfit("test/misfit", import, result)).unwrap()).unwrap();
        refuses(&host, &path, &[words[0], words[1], "build against wit/ocf-agent 0.1.0"]);
    }
}

/// Of what is not ours only the names are known when it is installed.
#[test]
fn what_names_a_function_of_wasi_and_means_another_never_runs() {
    let host = TestHost::new();
    let (name, reason) = ("test/import", "`exit` has the wrong type");
    let import = r#"(import "wasi:cli/exit@0.2.6" (instance (export "exit" (func (result u64)))))"#.to_owned();
    let path = host.path().join("misfit.wasm");
    let plugin = Handmade { before: import, ..Handmade::default() };
    fs::write(&path, wat::parse_str(plugin.text(name)).unwrap()).unwrap();
    host.policy(name, "format = 1\n");
    host.add(&path, &[]);
    let _ = host.action(name, "monitor").is(7);
    // Nothing was started, so there is no reason to fence the node.
    let _ = host.action(name, "stop").is(0);
    let _ = host.action(name, "start").is(5).says(reason);
    for _ in 0..50 {
        // Also where it ends before it is asked anything.
        let _ = host.action(name, "monitor").recurring().is(1).says(reason);
    }
    // What was recorded before it was tried is nothing that could be left.
    let _ = host.action(name, "stop").is(0);
    let _ = host.action(name, "monitor").is(7);
}

/// One component for each part of WebAssembly that our world does not need: host/engine says which, and why.
#[test]
fn what_the_engine_leaves_out_is_named() {
    let host = TestHost::with(&["dummy"]);
    let vector = "(v128.const i32x4 0 0 0 0)";
    for (name, text) in [
        ("threads", "(core module (memory 1 1 shared))".to_owned()),
        ("garbage collection", "(core module (type (struct (field i32))))".to_owned()),
        ("garbage collection", "(core module (table 1 externref))".to_owned()),
        ("typed function references", "(core module (type $t (func)) (func (param (ref $t))))".to_owned()),
        ("exceptions", "(core module (tag))".to_owned()),
        ("64-bit memories", "(core module (memory i64 1))".to_owned()),
        ("several memories in one module", "(core module (memory 1) (memory 1))".to_owned()),
        ("relaxed SIMD", format!("(core module (func (result v128) (i8x16.relaxed_swizzle {vector} {vector})))")),
        ("tail calls", "(core module (func $f (return_call $f)))".to_owned()),
        (
            "wide arithmetic",
            "(core module (func (result i64 i64) (i64.mul_wide_u (i64.const 1) (i64.const 1))))".to_owned(),
        ),
        ("stack switching", "(core module (type $f (func)) (type $c (cont $f)))".to_owned()),
        ("asynchronous functions", "(type (stream u8))".to_owned()),
        ("error contexts", "(core func (canon error-context.drop))".to_owned()),
        ("a proposal that is not finished", "(core module (memory 1 (pagesize 1)))".to_owned()),
    ] {
        let path = host.path().join("left-out.wasm");
        let text = format!("(component {text})");
        fs::write(&path, wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))).unwrap();
        refuses(&host, &path, &["uses ", name, "which this host leaves out", "build it without"]);
    }
}

#[test]
fn an_install_without_a_word_about_signatures_is_refused() {
    let host = TestHost::new();
    let ran = finish(host.tool(&["install"]).arg(plugin("dummy")));
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(ran.stderr.contains("--allow-unsigned"), "{ran:#?}");
    assert!(contents(host.path()).is_empty());
}
