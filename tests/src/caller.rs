//! Executes a program as no shell can:
//! `caller [--zeroth TEXT | --nothing] [--twice NAME=VALUE]... [--many NUMBER] PROGRAM ARGUMENT...`
//!
//! With `--zeroth` the program is told another name than its own, with `--nothing` no argument at all; each variable of
//! `--twice` stands in its environment besides what is there already; with `--many` so many descriptors are open.

#![allow(clippy::unwrap_used, reason = "support of tests: a panic is the report")]

use std::ffi::{CString, OsString};
use std::os::fd::IntoRawFd as _;
use std::os::unix::ffi::OsStringExt as _;

use rustix::fs::{Mode, OFlags};

fn main() {
    let words = |all: Vec<OsString>| all.into_iter().map(|word| CString::new(word.into_vec()).unwrap());
    let mut arguments = words(std::env::args_os().skip(1).collect()).peekable();
    let mut environment: Vec<CString> = words(
        std::env::vars_os()
            .map(|(name, value)| [name, OsString::from("="), value].into_iter().collect::<OsString>())
            .collect(),
    )
    .collect();
    let (mut zeroth, mut is_nothing) = (None, false);
    while let Some(option) = arguments.next_if(|word| word.to_bytes().starts_with(b"--")) {
        match option.to_bytes() {
            b"--zeroth" => zeroth = arguments.next(),
            b"--nothing" => is_nothing = true,
            b"--many" => {
                let many: u32 = arguments.next().unwrap().to_str().unwrap().parse().unwrap();
                for _ in 0..many {
                    // Neither closed here nor when the program is executed.
                    let _ = rustix::fs::open("/etc/passwd", OFlags::RDONLY, Mode::empty()).unwrap().into_raw_fd();
                }
            }
            b"--twice" => environment.extend(arguments.next()),
            _ => panic!("{option:?}: not an option"),
        }
    }
    let program = arguments.next().unwrap();
    let zeroth = zeroth.unwrap_or_else(|| program.clone());
    let argv: Vec<CString> = if is_nothing { Vec::new() } else { std::iter::once(zeroth).chain(arguments).collect() };
    let never = nix::unistd::execve(&program, &argv, &environment);
    panic!("{program:?}: {never:?}");
}
