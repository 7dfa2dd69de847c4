//! A few values that the instance keeps from one action to the next.
//!
//! Private to this instance on this node, gone after a reboot or a verified stop. It is a notebook, not evidence: what
//! runs is for the host to know. A key is 1-64 of `a`-`z`, `0`-`9`, `-`, `.`; a value is at most 64 KiB.
//!
//! Errors of all: `Invalid` for a key or a size out of range, and for a change in `monitor` or `validate`; `Other` if it
//! cannot be written since /run is full or read-only. In a `stop` that is no error: what is set then may be gone with the
//! action.
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::error::{About, Cause, Error};
use crate::host::state as host;

/// Words an error about one key.
fn about(key: &str) -> impl FnOnce() -> String {
    move || format!("state {key}")
}

/// The value of a key; none if there is none.
///
/// ```
/// # ocf_agent::fake::Node::new().state("seen", b"3").install();
/// assert_eq!(ocf_agent::state::get("seen")?.as_deref(), Some(b"3".as_slice()));
/// # Ok::<(), ocf_agent::Error>(())
/// ```
pub fn get(key: &str) -> Result<Option<Vec<u8>>, Error> {
    host::get(key).about(about(key))
}

/// Sets the value of a key.
///
/// ```
/// # ocf_agent::fake::Node::new().install();
/// ocf_agent::state::set("seen", b"3")?;
/// # Ok::<(), ocf_agent::Error>(())
/// ```
pub fn set(key: &str, value: &[u8]) -> Result<(), Error> {
    host::set(key, value).about(about(key))
}

/// The value of a key as text; none if there is none.
///
/// # Errors
/// `Other` too, if it is not UTF-8.
///
/// ```
/// # ocf_agent::fake::Node::new().install();
/// ocf_agent::state::set_text("role", "promoted")?;
/// assert_eq!(ocf_agent::state::get_text("role")?.as_deref(), Some("promoted"));
/// # Ok::<(), ocf_agent::Error>(())
/// ```
pub fn get_text(key: &str) -> Result<Option<String>, Error> {
    let Some(value) = get(key)? else { return Ok(None) };
    String::from_utf8(value).map(Some).map_err(|_| Cause::Other("not text".into())).about(about(key))
}

/// Sets the value of a key to a text.
///
/// ```
/// # ocf_agent::fake::Node::new().install();
/// ocf_agent::state::set_text("role", "promoted")?;
/// # Ok::<(), ocf_agent::Error>(())
/// ```
pub fn set_text(key: &str, text: &str) -> Result<(), Error> {
    set(key, text.as_bytes())
}

/// Removes a key. Nothing to remove is fine.
///
/// ```
/// # ocf_agent::fake::Node::new().state("seen", b"3").install();
/// ocf_agent::state::delete("seen")?;
/// assert!(ocf_agent::state::keys()?.is_empty());
/// # Ok::<(), ocf_agent::Error>(())
/// ```
pub fn delete(key: &str) -> Result<(), Error> {
    host::delete(key).about(about(key))
}

/// All keys, sorted.
///
/// ```
/// # ocf_agent::fake::Node::new().state("b", b"").state("a", b"").install();
/// assert_eq!(ocf_agent::state::keys()?, ["a", "b"]);
/// # Ok::<(), ocf_agent::Error>(())
/// ```
pub fn keys() -> Result<Vec<String>, Error> {
    host::keys().about(|| "state".into())
}
