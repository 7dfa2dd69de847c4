//! What the process for TLS does to itself before it becomes `ocf-wasm-tls`, in this order; what that may ask of the kernel,
//! a row a call, with the reason.
//!
//! As the runner it is left with nothing, and reads what strangers send. It is an executable of its own, so that no
//! monitor pays for cryptography that it does not use; everything is taken from it before it is executed.

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Instant;

use nix::sys::resource::Resource;
use nix::unistd::Pid;

use super::landlock::{Domain, Right};
use super::limits;
use super::seccomp::{Filter, Refusal, Row, When};
use crate::sys::user::User;
use crate::sys::{exec, fd, fork, rights, user};

/// Bytes that it may take: the authorities of a whole system, a connection and what came over it are less than 4 MiB.
const DATA_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes of its stack.
const STACK_BYTES: u64 = 1024 * 1024;

/// The plan: everything is decided and opened before the fork.
#[derive(Debug)]
pub struct Plan {
    /// The program, opened and judged.
    pub program: OwnedFd,
    /// Its name and its arguments.
    pub argv: [CString; 2],
    /// Whom it becomes; none in a namespace of one user.
    pub identity: Option<User>,
    /// Where its standard error goes.
    pub nowhere: OwnedFd,
    /// Its standard input and output.
    pub channel: i32,
    /// Whose death it shall not survive.
    pub broker: Pid,
    /// When its answer is awaited no more: it may compute until then, and a second.
    pub until: Instant,
}

/// All that is left. A row that no connection needs fails `tests/tests/https`.
pub const CALLS: &[Row] = &[
    Row::always(
        libc::SYS_execveat,
        "execveat",
        "to become the program; no other file is open, and Landlock knows no other",
    ),
    Row::always(libc::SYS_read, "read", "what came, from the broker"),
    Row::always(libc::SYS_write, "write", "what is to be sent, to the broker"),
    Row::always(libc::SYS_getrandom, "getrandom", "keys that nobody can guess"),
    Row {
        number: libc::SYS_mmap,
        name: "mmap",
        when: When::NOT_EXECUTABLE,
        why: "memory; no file is open that could be mapped",
    },
    Row {
        number: libc::SYS_mprotect,
        name: "mprotect",
        when: When::NOT_EXECUTABLE,
        why: "what was relocated is made read-only, and the end of the stack is guarded",
    },
    Row::always(libc::SYS_munmap, "munmap", "memory is given back"),
    Row::always(libc::SYS_brk, "brk", "the allocator of the C library"),
    #[cfg(target_arch = "x86_64")]
    Row::always(libc::SYS_arch_prctl, "arch_prctl", "where the thread's own variables are"),
    Row::always(libc::SYS_set_tid_address, "set_tid_address", "the C library, at its start"),
    #[cfg(target_arch = "x86_64")]
    Row::always(libc::SYS_poll, "poll", "Rust, at its start: whether its standard descriptors are open"),
    #[cfg(not(target_arch = "x86_64"))]
    Row::always(libc::SYS_ppoll, "ppoll", "Rust, at its start: whether its standard descriptors are open"),
    Row::always(libc::SYS_rt_sigaction, "rt_sigaction", "Rust, at its start: a closed pipe, and the end of the stack"),
    Row::always(libc::SYS_rt_sigprocmask, "rt_sigprocmask", "the C library, around what must not be interrupted"),
    Row::always(libc::SYS_sigaltstack, "sigaltstack", "Rust, at its start: room to say that the stack is too small"),
    Row::always(libc::SYS_clock_gettime, "clock_gettime", "today, where the kernel does not lend its page to tell it"),
    Row::always(libc::SYS_exit_group, "exit_group", "the end"),
];

/// Becomes the program. Returns only on failure, with the step that could not be taken.
pub fn enter(plan: &Plan) -> String {
    // 7. No system call but these; so that nothing is left to be closed.
    match prepare(plan).and_then(|filter| filter.install().map_err(|error| format!("seccomp: {error}"))) {
        // 8. The file that was judged, not a path to it.
        Ok(()) => format!("exec: {}", exec::by_descriptor(&plan.program, &plan.argv, &[])),
        Err(why) => why,
    }
}

fn prepare(plan: &Plan) -> Result<Filter, String> {
    let step = |name: &'static str| move |error: io::Error| format!("{name}: {error}");
    // 1. Nothing open but the channel: no socket, no record, no lock, no log.
    let channel = fd::duplicate(plan.channel).map_err(step("descriptors"))?;
    for (from, to) in [(&channel, 0), (&channel, 1), (&plan.nowhere, 2)] {
        fd::place(from, to).map_err(step("descriptors"))?;
    }
    fd::close_at_exec_from(3).map_err(step("descriptors"))?;
    // 2. No right is ever gained by executing something.
    nix::sys::prctl::set_no_new_privs().map_err(|error| step("no_new_privs")(error.into()))?;
    // 3. No file but its own, no TCP, no abstract socket, no signal to anybody: as far as this kernel can refuse it.
    if let Some(mut nothing) = Domain::nothing().map_err(step("landlock"))? {
        nothing.allow(&plan.program, Right::Execute).map_err(step("landlock"))?;
        nothing.enter().map_err(step("landlock"))?;
    }
    // 4. A user that owns nothing, and no capabilities. In a namespace of one user there is nobody else.
    if let Some(identity) = &plan.identity {
        user::become_user(identity).map_err(step("user"))?;
    }
    rights::give_up().map_err(step("capabilities"))?;
    // 5. Die with the broker; after the change of user, which clears it.
    fork::die_with(plan.broker);
    // 6. No process, no further descriptor, no file, no core, no memory and no time beyond its own.
    let seconds = plan.until.saturating_duration_since(Instant::now()).as_secs() + 2;
    limits::lower(&[
        (Resource::RLIMIT_NPROC, 0),
        // Those that it has: Rust looks at them at its start.
        (Resource::RLIMIT_NOFILE, 3),
        (Resource::RLIMIT_FSIZE, 0),
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_DATA, DATA_BYTES),
        (Resource::RLIMIT_STACK, STACK_BYTES),
        (Resource::RLIMIT_CPU, seconds),
    ])
    .map_err(step("limits"))?;
    Filter::only(CALLS, Refusal::Death)
}
