//! What processes of ours do to themselves before they run what is not ours. To be audited by reading downwards.

pub mod calls;
pub mod child;
pub mod compiler;
pub mod confinement;
#[cfg(escaped)]
#[allow(unsafe_code, reason = "it does what an attacker would")]
pub mod escaped;
pub mod hidden;
pub mod landlock;
pub mod layers;
pub mod limits;
pub mod runner;
pub mod seccomp;
pub mod tls;
