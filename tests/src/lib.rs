//! What the tests share: rooms in which the binaries meet the real Pacemaker, and private roots to try them in.

pub mod executor;
pub mod host;
