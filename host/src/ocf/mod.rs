//! The vocabulary of the OCF resource agent API, version 1.1, and of Pacemaker: what is asked, what is answered.
//!
//! Pure: no wasm, no files, no policy. What must never enter here: anything of ours. The one exception to purity is
//! that [`request`] takes argument vector and environment as values, from the one place that reads them.

pub mod action;
pub mod description;
#[cfg(feature = "tool")]
pub mod effect;
#[cfg(feature = "tool")]
pub mod metadata;
pub mod outcome;
pub mod parameter;
pub mod request;

pub use action::Action;
pub use description::Description;
pub use outcome::{Exit, Outcome};
pub use parameter::Parameters;
pub use request::Request;
