//! The WASI interfaces that every guest of a standard library imports, carrying nothing.
//!
//! A Rust guest imports thirteen of them without the author's doing. There is no environment, no argument, nothing to
//! read; what is written to standard output and error is kept as the plugin's last words, so that a panic's text
//! becomes the exit reason. Hash tables want a seed and `Instant` a clock: those too. Files, sockets and all else of
//! WASI are not here, and a component that imports them is refused by name.
//!
//! Not from wasmtime-wasi: its standard streams start a thread and open files at the first line that a guest writes.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, LinkerInstance, Lower, Resource, ResourceType};

use super::imports::Imports;

struct Input;
struct Output;
struct Failed;
struct Pollable;
struct Terminal;

/// `wasi:io/streams.stream-error`.
#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
#[allow(dead_code, reason = "a case of the interface that is never answered")]
enum StreamError {
    #[component(name = "last-operation-failed")]
    LastOperationFailed(Resource<Failed>),
    #[component(name = "closed")]
    Closed,
}

/// `wasi:clocks/wall-clock.datetime`.
#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct DateTime {
    seconds: u64,
    nanoseconds: u32,
}

type Linked = wasmtime::Result<()>;
type Cx<'a> = StoreContextMut<'a, Imports>;

/// Links the interface `base` under its full `name`. None if it is not of the baseline.
pub(super) fn link(linker: &mut Linker<Imports>, base: &str, name: &str) -> Option<Linked> {
    let fill: fn(&mut LinkerInstance<'_, Imports>) -> Linked = match base {
        "wasi:io/error" => |at| resource::<Failed>(at, "error"),
        "wasi:io/poll" => poll,
        "wasi:io/streams" => streams,
        "wasi:cli/environment" => environment,
        "wasi:cli/exit" => exit,
        "wasi:cli/stdin" => |at| at.func_wrap("get-stdin", |_: Cx<'_>, ()| Ok((Resource::<Input>::new_own(0),))),
        "wasi:cli/stdout" => |at| at.func_wrap("get-stdout", |_: Cx<'_>, ()| Ok((Resource::<Output>::new_own(1),))),
        "wasi:cli/stderr" => |at| at.func_wrap("get-stderr", |_: Cx<'_>, ()| Ok((Resource::<Output>::new_own(2),))),
        "wasi:cli/terminal-input" => |at| resource::<Terminal>(at, "terminal-input"),
        "wasi:cli/terminal-output" => |at| resource::<Terminal>(at, "terminal-output"),
        "wasi:cli/terminal-stdin" => |at| no_terminal(at, "get-terminal-stdin"),
        "wasi:cli/terminal-stdout" => |at| no_terminal(at, "get-terminal-stdout"),
        "wasi:cli/terminal-stderr" => |at| no_terminal(at, "get-terminal-stderr"),
        "wasi:random/insecure-seed" => |at| {
            at.func_wrap("insecure-seed", |_: Cx<'_>, ()| {
                Ok(((crate::sys::random::word(), crate::sys::random::word()),))
            })
        },
        "wasi:clocks/monotonic-clock" => monotonic,
        "wasi:clocks/wall-clock" => wall,
        _ => return None,
    };
    Some(linker.instance(name).and_then(|mut at| fill(&mut at)))
}

fn resource<T: 'static>(at: &mut LinkerInstance<'_, Imports>, name: &str) -> Linked {
    at.resource(name, ResourceType::host::<T>(), |_, _| Ok(()))
}

fn no_terminal(at: &mut LinkerInstance<'_, Imports>, name: &str) -> Linked {
    at.func_wrap(name, |_: Cx<'_>, ()| Ok((None::<Resource<Terminal>>,)))
}

fn poll(at: &mut LinkerInstance<'_, Imports>) -> Linked {
    resource::<Pollable>(at, "pollable")?;
    at.func_wrap("[method]pollable.block", |_: Cx<'_>, (one,): (Resource<Pollable>,)| {
        wait_until(one.rep());
        Ok(())
    })?;
    at.func_wrap("[method]pollable.ready", |_: Cx<'_>, (one,): (Resource<Pollable>,)| Ok((one.rep() <= now_ms(),)))?;
    at.func_wrap("poll", |_: Cx<'_>, (all,): (Vec<Resource<Pollable>>,)| {
        wait_until(all.iter().map(Resource::rep).min().unwrap_or(0));
        let now = now_ms();
        let ready = (0..).zip(&all).filter(|(_, one)| one.rep() <= now).map(|(index, _)| index);
        Ok((ready.collect::<Vec<u32>>(),))
    })
}

/// A pollable is the moment at which it is ready, in milliseconds since this process first asked; 0 is at once.
fn now_ms() -> u32 {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    u32::try_from(FIRST.get_or_init(Instant::now).elapsed().as_millis()).unwrap_or(u32::MAX)
}

/// Sleeps; the broker ends this process at the deadline, however long that was to be.
fn wait_until(ready_ms: u32) {
    std::thread::sleep(Duration::from_millis(ready_ms.saturating_sub(now_ms()).into()));
}

fn streams(at: &mut LinkerInstance<'_, Imports>) -> Linked {
    type Read = Result<Vec<u8>, StreamError>;
    type Done = Result<(), StreamError>;
    resource::<Input>(at, "input-stream")?;
    resource::<Output>(at, "output-stream")?;
    for name in ["[method]input-stream.read", "[method]input-stream.blocking-read"] {
        at.func_wrap(name, |_: Cx<'_>, _: (Resource<Input>, u64)| Ok((Read::Err(StreamError::Closed),)))?;
    }
    {
        let name = "[method]input-stream.subscribe";
        at.func_wrap(name, |_: Cx<'_>, _: (Resource<Input>,)| Ok((Resource::<Pollable>::new_own(0),)))?;
    }
    at.func_wrap("[method]output-stream.subscribe", |_: Cx<'_>, _: (Resource<Output>,)| {
        Ok((Resource::<Pollable>::new_own(0),))
    })?;
    at.func_wrap("[method]output-stream.check-write", |_: Cx<'_>, _: (Resource<Output>,)| {
        Ok((Result::<u64, StreamError>::Ok(4096),))
    })?;
    for name in ["[method]output-stream.write", "[method]output-stream.blocking-write-and-flush"] {
        at.func_wrap(name, |mut cx: Cx<'_>, (_, bytes): (Resource<Output>, Vec<u8>)| {
            cx.data_mut().keep(&bytes);
            Ok((Done::Ok(()),))
        })?;
    }
    for name in ["[method]output-stream.flush", "[method]output-stream.blocking-flush"] {
        at.func_wrap(name, |_: Cx<'_>, _: (Resource<Output>,)| Ok((Done::Ok(()),)))?;
    }
    Ok(())
}

fn environment(at: &mut LinkerInstance<'_, Imports>) -> Linked {
    at.func_wrap("get-environment", |_: Cx<'_>, ()| Ok((Vec::<(String, String)>::new(),)))?;
    at.func_wrap("get-arguments", |_: Cx<'_>, ()| Ok((Vec::<String>::new(),)))?;
    at.func_wrap("initial-cwd", |_: Cx<'_>, ()| Ok((None::<String>,)))
}

fn exit(at: &mut LinkerInstance<'_, Imports>) -> Linked {
    at.func_wrap("exit", |_: Cx<'_>, (status,): (Result<(), ()>,)| -> wasmtime::Result<()> {
        Err(wasmtime::format_err!("the plugin called exit ({})", if status.is_ok() { "ok" } else { "failed" }))
    })
}

fn monotonic(at: &mut LinkerInstance<'_, Imports>) -> Linked {
    fn now() -> u64 {
        crate::sys::clock::monotonic_ns()
    }
    at.func_wrap("now", |_: Cx<'_>, ()| Ok((now(),)))?;
    at.func_wrap("resolution", |_: Cx<'_>, ()| Ok((1_u64,)))?;
    let after = |ns: u64| {
        let ms = u32::try_from(ns.div_ceil(1_000_000)).unwrap_or(u32::MAX);
        Resource::<Pollable>::new_own(now_ms().saturating_add(ms))
    };
    at.func_wrap("subscribe-duration", move |_: Cx<'_>, (ns,): (u64,)| Ok((after(ns),)))?;
    at.func_wrap("subscribe-instant", move |_: Cx<'_>, (at,): (u64,)| Ok((after(at.saturating_sub(now())),)))
}

fn wall(at: &mut LinkerInstance<'_, Imports>) -> Linked {
    at.func_wrap("now", |_: Cx<'_>, ()| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Ok((DateTime { seconds: since.as_secs(), nanoseconds: since.subsec_nanos() },))
    })?;
    at.func_wrap("resolution", |_: Cx<'_>, ()| Ok((DateTime { seconds: 0, nanoseconds: 1 },)))
}
