//! Native code, executed where it is mapped.
//!
//! The broker mapped the file privately and checked its MAC over that mapping before it forked; here the pages that
//! hold code become executable, and none is ever both writable and executable.

use std::ptr::NonNull;
use std::sync::Arc;

use wasmtime::component::Component;
use wasmtime::{Config, CustomCodeMemory, Engine};

/// Lets the engine use code in place: without an owner of code memory it insists on a copy of its own.
pub(super) fn map_in_place(config: &mut Config) {
    config.with_custom_code_memory(Some(Arc::new(Pages)));
}

/// Loads the component.
pub(super) fn component(engine: &Engine, native: &'static [u8]) -> wasmtime::Result<Component> {
    let memory = NonNull::from(native);
    // SAFETY: the bytes were made by our own compiler: the broker checked their MAC, under a key that only root can
    // read, over this very mapping. The mapping is private, lives until the process ends, and is never written.
    #[expect(unsafe_code, reason = "the one deserialize call; the argument stands above it")]
    unsafe {
        Component::deserialize_raw(engine, memory)
    }
}

struct Pages;

impl CustomCodeMemory for Pages {
    fn required_alignment(&self) -> usize {
        4096
    }

    fn publish_executable(&self, start: *const u8, length: usize) -> wasmtime::Result<()> {
        crate::sys::memory::make_executable(start, length).map_err(|error| wasmtime::format_err!("mprotect: {error}"))
    }

    fn unpublish_executable(&self, _: *const u8, _: usize) -> wasmtime::Result<()> {
        Ok(())
    }
}
