//! What the compiler does to itself before it looks at a component, and what is done to it before that; what it may ask of
//! the kernel then, a row a call, with the reason.
//!
//! It is linked against the libraries of the distribution, whose loader opens what it needs, and nothing of it looks at
//! the component before [`enter`]. A component is as good as any attacker: whoever subverts the compiler can write native
//! code to the pipe that it was given, which is what a compiler does, and nothing else.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::sys::resource::Resource;

use super::landlock::Domain;
use super::limits;
use super::seccomp::{Filter, Refusal, Row};
use crate::sys::{fd, fork, rights};

/// Bytes of address space; a Python component needs 1.3 GiB.
const ADDRESS_SPACE_BYTES: u64 = 4 * 1024 * 1024 * 1024;
/// Seconds of processor time; 64 MiB of plain code need about 45.
const CPU_SECONDS: u64 = 120;

/// All that is left. A row that no component needs fails `tests/tests/compiler.rs`.
pub const CALLS: &[Row] = &[
    Row::always(libc::SYS_read, "read", "the component, from what it has open"),
    Row::always(libc::SYS_write, "write", "what was made of it, or why nothing was"),
    Row::always(libc::SYS_mmap, "mmap", "memory; no file can be opened that could be mapped"),
    Row::always(libc::SYS_mprotect, "mprotect", "the engine makes what it compiled executable, as for running it"),
    Row::always(libc::SYS_munmap, "munmap", "memory is given back"),
    Row::always(libc::SYS_mremap, "mremap", "a large buffer grows"),
    Row::always(libc::SYS_brk, "brk", "the allocator of the C library"),
    Row::always(libc::SYS_getrandom, "getrandom", "seeds of hash tables"),
    Row::always(libc::SYS_futex, "futex", "Rust, at the first error: nobody waits"),
    Row::always(libc::SYS_rt_sigaction, "rt_sigaction", "the engine's handlers of traps"),
    Row::always(libc::SYS_sigaltstack, "sigaltstack", "room for them is given back at the end"),
    Row::always(libc::SYS_exit_group, "exit_group", "the end"),
];

/// Prepares a compiler that is about to be started: it holds nothing of who starts it, gains no right, and dies with them.
#[allow(unsafe_code, reason = "steps between fork and exec are unsafe to name")]
pub fn begin(command: &mut Command) {
    let parent = nix::unistd::getpid();
    let steps = move || {
        fd::close_at_exec_from(3)?;
        nix::sys::prctl::set_no_new_privs()?;
        rights::give_up()?;
        // After the change of user, which clears it.
        fork::die_with(parent);
        Ok(())
    };
    // SAFETY: the steps are system calls with numbers; none takes a lock or memory.
    unsafe { command.pre_exec(steps) };
}

/// Leaves this process what a compiler needs. To be called before anything of a component was read.
///
/// # Errors
/// If a step fails, with its name; the compiler must not go on then.
pub fn enter() -> Result<(), String> {
    let step = |name: &'static str| move |error: io::Error| format!("{name}: {error}");
    // 1. No right is ever gained by executing something.
    nix::sys::prctl::set_no_new_privs().map_err(|error| step("no_new_privs")(error.into()))?;
    // 2. No file, no TCP, no abstract socket, no signal to anybody: as far as this kernel can refuse it.
    if let Some(nothing) = Domain::nothing().map_err(step("landlock"))? {
        nothing.enter().map_err(step("landlock"))?;
    }
    // 3. Nobody of that user may look inside or attach.
    nix::sys::prctl::set_dumpable(false).map_err(|error| step("dumpable")(error.into()))?;
    // 4. No process, no further descriptor, no file, no core, no memory and no time beyond its own.
    limits::lower(&[
        (Resource::RLIMIT_NPROC, 0),
        (Resource::RLIMIT_NOFILE, 0),
        (Resource::RLIMIT_FSIZE, 0),
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_AS, ADDRESS_SPACE_BYTES),
        (Resource::RLIMIT_CPU, CPU_SECONDS),
    ])
    .map_err(step("limits"))?;
    // 5. No system call but these. Another fails, and is no death: the C library is the distribution's, which may ask one
    //    day for what it can do without.
    Filter::only(CALLS, Refusal::Error(libc::ENOSYS))?.install().map_err(|error| format!("seccomp: {error}"))
}
