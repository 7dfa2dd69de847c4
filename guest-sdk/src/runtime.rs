//! What a component without the standard library needs: memory, and last words.
#![allow(unsafe_code, reason = "what a linker and a host call by name is outside of what the compiler can check")]

use alloc::alloc::{alloc, handle_alloc_error, realloc};
use alloc::format;
use core::alloc::Layout;
use core::panic::PanicInfo;

use crate::host::log as host;

#[global_allocator]
static MEMORY: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

// `memcmp` and its kin: the standard library would have linked them.
// SAFETY: nothing is declared.
#[link(name = "c")]
unsafe extern "C" {}

/// Makes room for what the host returns. The standard library would have brought one, above another allocator.
#[unsafe(export_name = "cabi_realloc")]
extern "C" fn make_room(old: *mut u8, old_length: usize, align: usize, length: usize) -> *mut u8 {
    let layout = |length| Layout::from_size_align(length, align).expect("a layout of the canonical ABI");
    // SAFETY: the canonical ABI's contract: nothing is asked for no bytes, and `old` came from here with that length
    // and alignment, unless that length is 0.
    let new = unsafe { if old_length == 0 { alloc(layout(length)) } else { realloc(old, layout(old_length), length) } };
    if new.is_null() {
        handle_alloc_error(layout(length));
    }
    new
}

/// Tells the host why, and traps.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let message = info.message();
    match info.location() {
        Some(place) => {
            let file = place.file().rsplit('/').next().unwrap_or_default();
            host::panic(&format!("{message} ({file}:{}:{})", place.line(), place.column()));
        }
        None => host::panic(&format!("{message}")),
    }
    core::arch::wasm32::unreachable()
}
