//! What the tool prints. A standard output that takes nothing more (a full disk) is an error of the tool, told once at
//! its end: what was begun is finished and cleaned up first. What must never enter here: what is printed.
//!
//! The macros have the names of the standard library's, which panic instead; but for `say!`.

use std::fmt::Arguments;
use std::io::{Error, Write as _, stderr, stdout};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

/// Why standard output takes nothing more; what comes after is left out.
static FAILED: Mutex<Option<Error>> = Mutex::new(None);

macro_rules! println {
    ($($words:tt)*) => { $crate::cli::out::line(format_args!($($words)*)) };
}

macro_rules! print {
    ($($words:tt)*) => { $crate::cli::out::words(format_args!($($words)*)) };
}

/// Prints a line that tells calls of the tool or paths of ours.
macro_rules! say {
    ($($words:tt)*) => { $crate::cli::out::line(format_args!("{}", $crate::cli::here::said(&format!($($words)*)))) };
}

macro_rules! eprintln {
    ($($words:tt)*) => { $crate::cli::out::remark(format_args!($($words)*)) };
}

/// Prints a line.
pub(super) fn line(text: Arguments<'_>) {
    words(format_args!("{text}\n"));
}

/// Prints without an end of the line.
pub(super) fn words(text: Arguments<'_>) {
    let mut failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner);
    if failed.is_none() {
        *failed = stdout().lock().write_fmt(text).err();
    }
}

/// Writes a line to standard error. Nobody is left to be told if that cannot be done.
pub(super) fn remark(text: Arguments<'_>) {
    let _ = stderr().lock().write_fmt(format_args!("{text}\n"));
}

/// Returns how the tool ends: as it would, or with 1 if not all could be printed.
pub(super) fn ended(code: ExitCode) -> ExitCode {
    let failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner).take();
    match failed.map_or_else(|| stdout().flush(), Err) {
        Ok(()) => code,
        Err(error) => {
            remark(format_args!("error: cannot write: {error}"));
            ExitCode::FAILURE
        }
    }
}
