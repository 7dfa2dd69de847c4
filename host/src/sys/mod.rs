//! One wrapper for each system call that no crate gives safely. The only unsafe code of the host besides the
//! one deserialize call of the runner. What must never enter here: anything of ours.
#![allow(unsafe_code, reason = "this is the room for it; each block carries its SAFETY argument")]

pub mod alarm;
pub mod capability;
pub mod clock;
pub mod entry;
pub mod exec;
pub mod exit;
pub mod fd;
pub mod fork;
pub mod heap;
#[cfg(feature = "tool")]
pub mod interrupt;
pub mod landlock;
pub mod memory;
pub mod mount;
pub mod process;
pub mod random;
pub mod rights;
pub mod seccomp;
pub mod small;
pub mod trusted;
pub mod user;
