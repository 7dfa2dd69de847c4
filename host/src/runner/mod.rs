//! The runner: the process that holds the engine and the plugin, and can do nothing but ask.
//!
//! It is forked by the broker before any engine exists, becomes a user that owns nothing ([`crate::sandbox::runner`]),
//! maps the native code that the broker has verified, and then calls the exports it is told to. What must never enter
//! here: files, programs, sockets other than the seam, TLS, policy, OCF exit codes.

mod baseline;
mod code;
mod facts;
mod http;
mod imports;
pub mod limits;

pub use facts::{Facts, announced, clone_facts};
pub use imports::Imports;
pub use limits::MEMORY_BYTES;

use std::sync::OnceLock;

use wasmtime::component::{Component, Instance, InstancePre, Linker};
use wasmtime::{Engine, Store};

use crate::guard;
use crate::seam::bindings::exports::ocf::agent as exports;
use crate::seam::{Channel, Export, Failure, FromRunner, Health};

/// How the runner's process ends when it has nobody to talk to. Never an answer to the cluster: the broker decides.
const ABANDONED: i32 = 70;

/// Serves the broker until it hangs up. Never returns. `close` is called when the code is loaded and none of it has run:
/// what this process needs to load it, it does not need any more.
pub fn serve(channel: Channel, native: &'static [u8], facts: Facts, close: impl FnOnce() -> Result<(), String>) -> ! {
    report_panics(channel.number());
    let store = match load(native, Imports::new(channel, facts), close) {
        Ok(plugin) => plugin,
        Err((imports, message)) => {
            let _ = imports.channel().send(&message);
            leave(0);
        }
    };
    store.serve()
}

/// A component that fits, in its store.
struct Plugin {
    store: Store<Imports>,
    pre: InstancePre<Imports>,
    instance: Option<Instance>,
}

fn load(
    native: &'static [u8],
    imports: Imports,
    close: impl FnOnce() -> Result<(), String>,
) -> Result<Plugin, (Imports, FromRunner)> {
    let attempt = || -> Result<(Engine, Component), String> {
        let mut config = ocf_wasm_engine::configuration().map_err(|e| e.to_string())?;
        code::map_in_place(&mut config);
        let engine = Engine::new(&config).map_err(|e| e.to_string())?;
        let component = code::component(&engine, native).map_err(|e| e.root_cause().to_string())?;
        Ok((engine, component))
    };
    let (engine, component) = match attempt() {
        Ok(both) => both,
        Err(text) => return Err((imports, FromRunner::Panicked(format!("native code: {text}")))),
    };
    if let Err(text) = close() {
        return Err((imports, FromRunner::Panicked(format!("sandbox: {text}"))));
    }
    let mut linker = Linker::<Imports>::new(&engine);
    if let Err(text) = imports::link(&mut linker, &engine, &component) {
        return Err((imports, FromRunner::Unfit(text)));
    }
    let pre = match linker.instantiate_pre(&component) {
        Ok(pre) => pre,
        Err(error) => return Err((imports, FromRunner::Unfit(unfit(&error)))),
    };
    let mut store = Store::new(&engine, imports);
    store.limiter(|imports| imports.limiter());
    guard!("lifted", { store.set_hostcall_fuel(limits::LIFTED_BYTES) });
    guard!("handles", { store.set_max_component_handles(limits::HANDLES) });
    Ok(Plugin { store, pre, instance: None })
}

/// Why an export did not return.
enum Fault {
    /// It is not of the type that the WIT says; it was not called.
    Unfit(wasmtime::Error),
    /// It trapped.
    Broken(wasmtime::Error),
}

impl Plugin {
    fn serve(mut self) -> ! {
        loop {
            let Ok(export) = self.store.data_mut().next() else { leave(0) };
            let message = match self.call(export) {
                Ok(done) => FromRunner::Done(done),
                Err(Fault::Unfit(error)) => {
                    FromRunner::Unfit(format!("exports another `{}`: {}", export.word(), error.root_cause()))
                }
                Err(Fault::Broken(error)) => broken(&error, self.store.data().said()),
            };
            let fatal = !matches!(message, FromRunner::Done(_));
            if self.store.data().channel().send(&message).is_err() || fatal {
                leave(0);
            }
        }
    }

    fn call(&mut self, export: Export) -> Result<Result<Option<Health>, Failure>, Fault> {
        let instance = match self.instance {
            Some(instance) => instance,
            None => *self.instance.insert(self.pre.instantiate(&mut self.store).map_err(Fault::Broken)?),
        };
        let (store, pre) = (&mut self.store, &self.pre);
        // Each lookup costs strings and a type check, so only the interface that the call needs is looked up.
        macro_rules! call {
            ($interface:ident, $function:ident) => {
                exports::$interface::GuestIndices::new(pre)
                    .and_then(|indices| indices.load(&mut *store, &instance))
                    .map_err(Fault::Unfit)?
                    .$function(&mut *store)
                    .map_err(Fault::Broken)?
            };
        }
        Ok(match export {
            Export::Validate { .. } => call!(lifecycle, call_validate).map(|()| None),
            Export::Start => call!(lifecycle, call_start).map(|()| None),
            Export::Stop => call!(lifecycle, call_stop).map(|()| None),
            Export::Monitor { .. } => call!(lifecycle, call_monitor).map(Some),
            Export::Promote => call!(role, call_promote).map(|()| None),
            Export::Demote => call!(role, call_demote).map(|()| None),
            Export::Notify => call!(notification, call_notify).map(|()| None),
            Export::MigrateTo => call!(migration, call_migrate_to).map(|()| None),
            Export::MigrateFrom => call!(migration, call_migrate_from).map(|()| None),
            Export::Reload => call!(reload, call_reload).map(|()| None),
        })
    }
}

/// Which function is meant stands before the root cause; what stands before that is longer than a reason.
fn unfit(error: &wasmtime::Error) -> String {
    let causes: Vec<String> = error.chain().skip(1).map(ToString::to_string).collect();
    match causes.is_empty() {
        true => error.to_string(),
        false => format!("needs another import: {}", causes.join(": ")),
    }
}

/// The plugin's own last words say more than the trap they led to.
fn broken(error: &wasmtime::Error, said: &str) -> FromRunner {
    let cause = error.root_cause().to_string();
    FromRunner::Broken(match said.trim() {
        "" => cause,
        said => last_words(said),
    })
}

/// A panic of Rust's standard library names thread and place first; here the message comes first, since a reason is
/// short.
fn last_words(said: &str) -> String {
    let said = said.replace("\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace", "");
    let told = said.split_once(" panicked at ").and_then(|(_, rest)| rest.split_once(":\n"));
    match told {
        Some((place, message)) => {
            let file = place.rsplit('/').next().unwrap_or(place);
            format!("panic: {} ({file})", message.trim())
        }
        None => said,
    }
}

/// Ends this process at once: nothing is flushed, nothing dropped.
fn leave(status: i32) -> ! {
    crate::sys::exit::now(status)
}

/// A panic of our own becomes a message, not text on a standard error that is closed anyway.
fn report_panics(number: i32) {
    static NUMBER: OnceLock<i32> = OnceLock::new();
    let _ = NUMBER.set(number);
    std::panic::set_hook(Box::new(|info| {
        if let Some(number) = NUMBER.get() {
            let _ = Channel::from_fd(crate::sys::fd::take(*number)).send(&FromRunner::Panicked(info.to_string()));
        }
        leave(ABANDONED);
    }));
}
