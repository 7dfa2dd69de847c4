//! Where the process begins.

use std::ffi::{CStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStringExt as _;

/// Makes a function of the arguments the first that runs, without what Rust does before `main`: it reads the
/// process's memory map and sets up a signal stack, to word a stack overflow that ends the process either way. What
/// else it does (descriptors 0-2, SIGPIPE) the function does itself.
#[macro_export]
macro_rules! entry {
    ($function:path) => {
        const _: () = {
            #[unsafe(export_name = "main")]
            extern "C" fn main(
                count: ::std::ffi::c_int,
                values: *const *const ::std::ffi::c_char,
            ) -> ::std::ffi::c_int {
                // SAFETY: the C library calls this once, with what the kernel gave it.
                $function(unsafe { $crate::sys::entry::arguments(count, values) });
                0
            }
        };
    };
}

/// Returns the arguments of `main`. Not from `std::env`, which knows them only where the C library is glibc.
///
/// # Safety
/// `values` points at `count` strings, each with a zero behind it.
pub unsafe fn arguments(count: c_int, values: *const *const c_char) -> Vec<OsString> {
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: the caller's promise.
    let argument = |index| unsafe { CStr::from_ptr(*values.add(index)) };
    (0..count).map(|index| OsString::from_vec(argument(index).to_bytes().to_vec())).collect()
}
