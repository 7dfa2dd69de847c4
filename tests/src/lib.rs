//! What the tests share: rooms in which the binaries meet the real Pacemaker, private roots to try them in, and the
//! checkout as text.

pub mod boxes;
pub mod built;
pub mod cluster;
pub mod command;
pub mod document;
pub mod executor;
pub mod furnish;
pub mod handmade;
pub mod hanging;
pub mod host;
pub mod node;
pub mod processes;
pub mod source;
mod started;
