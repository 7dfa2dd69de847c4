//! The imported functions: those of the host inside a component, those of the fakes everywhere else.

#[cfg(target_family = "wasm")]
pub(crate) use crate::bindings::agent::ocf::agent::{clock, endpoint, instance, log, path, program, state};
#[cfg(not(target_family = "wasm"))]
pub(crate) use crate::fake::calls::{clock, instance, log};
#[cfg(not(target_family = "wasm"))]
pub(crate) use crate::fake::replay::{endpoint, path, program, state};
