//! What a plugin can ask for: one file an interface, each with its checks, its effects, its limits.
//!
//! A check makes a *permit*, and only a permit can act, so the two cannot drift apart. What must never enter here:
//! a sibling capability, an engine, the store.

pub mod endpoint;
pub mod path;
pub mod program;
pub mod state;

use crate::policy::template::Unfit;
use crate::seam::{Error, Slot};

/// Returns slots as pairs, for filling templates.
fn pairs(slots: &[Slot]) -> Vec<(String, String)> {
    slots.iter().map(|slot| (slot.name.clone(), slot.value.clone())).collect()
}

/// A value that does not fit: the plugin's mistake or the operator's.
fn unfit(kind: &str, label: &str, unfit: Unfit) -> Error {
    match unfit {
        Unfit::Slot(text) => Error::Invalid(format!("{kind} {label}: {text}")),
        Unfit::Parameter(text) => Error::Denied(format!("{kind} {label}: {text}")),
    }
}
