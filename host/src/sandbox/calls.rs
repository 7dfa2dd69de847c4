//! What the runner may still ask of the kernel when it meets the plugin: a row a call, with the reason.
//!
//! By then the engine is made and the code is loaded; what is left is to talk, to take memory, to wait, to trap and to
//! end. Nothing here opens, makes, executes or connects anything, names another process, or passes a descriptor. No
//! memory can become executable any more. Who makes another call ends by SIGSYS. A row that no action needs fails
//! `tests/tests/runner`, which watches the shipped binaries do everything that a plugin can make them do.
//!
//! The same on x86-64 and aarch64: what differs between the two (open, fork, poll and their like) is not here.

use super::seccomp::{Row, When};

/// All that is left.
pub const CALLS: [Row; 15] = [
    Row::always(libc::SYS_sendto, "sendto", "a question or an answer, over the one socket that is there"),
    Row::always(libc::SYS_recvfrom, "recvfrom", "what to do next, and what was answered"),
    Row {
        number: libc::SYS_mmap,
        name: "mmap",
        when: When::NOT_EXECUTABLE,
        why: "memory of the plugin and of the engine; no file is open that could be mapped",
    },
    Row {
        number: libc::SYS_mprotect,
        name: "mprotect",
        when: When::NOT_EXECUTABLE,
        why: "memory of the plugin grows within what is reserved for it",
    },
    Row::always(libc::SYS_munmap, "munmap", "memory is given back"),
    Row::always(libc::SYS_mremap, "mremap", "a large buffer grows"),
    Row::always(libc::SYS_brk, "brk", "the allocator of the C library"),
    Row::always(libc::SYS_sigaltstack, "sigaltstack", "the first call of a plugin makes room for the handler of traps"),
    Row::always(libc::SYS_rt_sigreturn, "rt_sigreturn", "a trap comes back from its handler"),
    Row::always(
        libc::SYS_rt_sigaction,
        "rt_sigaction",
        "a fault that is no trap gets its default: the end by its own signal",
    ),
    Row::always(libc::SYS_rt_sigprocmask, "rt_sigprocmask", "the C library, around what must not be interrupted"),
    Row::always(libc::SYS_clock_nanosleep, "clock_nanosleep", "the plugin waits"),
    Row::always(libc::SYS_restart_syscall, "restart_syscall", "it goes on waiting after it was frozen"),
    Row::always(
        libc::SYS_clock_gettime,
        "clock_gettime",
        "the time, where the kernel does not lend its page to tell it",
    ),
    Row::always(libc::SYS_exit_group, "exit_group", "the end"),
];
