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

/// Overwrites the values of all parameters among the variables of this process, which were read: nothing that it forks
/// finds them there, and nobody who looks at it from outside.
pub fn forget_parameters() {
    unsafe extern "C" {
        static mut environ: *mut *mut c_char;
    }
    const PARAMETERS: &[u8] = b"OCF_RESKEY_";
    // SAFETY: the C library's list of strings, of which none was added or taken away; each ends with a zero, and lies
    // where the kernel put it, in memory that is ours to write. Nothing else reads it: this process has one thread.
    unsafe {
        let mut at = environ;
        while !at.is_null() && !(*at).is_null() {
            let variable = CStr::from_ptr(*at).to_bytes();
            let value = variable.iter().position(|byte| *byte == b'=').filter(|_| variable.starts_with(PARAMETERS));
            for place in value.map_or(0..0, |name| name + 1..variable.len()) {
                (*at).add(place).write_volatile(0);
            }
            at = at.add(1);
        }
    }
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
