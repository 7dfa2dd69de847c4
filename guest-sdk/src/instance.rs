//! Which resource, which action, which node.
//!
//! All of it was read and checked by the host before the plugin started, costs nothing to ask for, and cannot fail.
use alloc::string::String;
use core::time::Duration;

pub use crate::bindings::agent::ocf::agent::instance::{ActionName, CloneFacts, Member, Moment, Move, Notice};
use crate::host::instance as host;

/// The canonical text of a parameter; none if it is optional and not set. Agents read their fields instead.
///
/// # Panics
/// If the metadata does not declare `name`.
///
/// ```
/// # ocf_agent::fake::Node::new().parameter("port", "5678").install();
/// assert_eq!(ocf_agent::instance::parameter("port").as_deref(), Some("5678"));
/// ```
pub fn parameter(name: &str) -> Option<String> {
    host::parameter(name)
}

/// The instance, such as `web` or `db:1`.
///
/// ```
/// # ocf_agent::fake::Node::new().instance("db:1").install();
/// assert_eq!(ocf_agent::instance::name(), "db:1");
/// ```
pub fn name() -> String {
    host::name()
}

/// What is to be done.
///
/// ```
/// # ocf_agent::fake::Node::new().install();
/// assert_eq!(ocf_agent::instance::action(), ocf_agent::instance::ActionName::Start);
/// ```
pub fn action() -> ActionName {
    host::action()
}

/// Whether this monitor asks "is it here?" before anything was started.
///
/// ```
/// # ocf_agent::fake::Node::new().probe().install();
/// assert!(ocf_agent::instance::is_probe());
/// ```
pub fn is_probe() -> bool {
    host::is_probe()
}

/// How thorough a monitor shall be: 0 is the plain one, else one of the levels that `#[agent(check_level(..))]`
/// declares, the deepest that is not deeper than what the cluster asks for. In `validate`: 0 if the parameters alone are
/// to be judged, and nothing is granted then; 10 if the node may be looked at.
///
/// ```
/// # ocf_agent::fake::Node::new().check_level(10).install();
/// assert_eq!(ocf_agent::instance::check_level(), 10);
/// ```
pub fn check_level() -> u8 {
    host::check_level()
}

/// This node, by the name the cluster uses.
///
/// ```
/// # ocf_agent::fake::Node::new().node("alpha").install();
/// assert_eq!(ocf_agent::instance::node(), "alpha");
/// ```
pub fn node() -> String {
    host::node()
}

/// The clone that this instance belongs to, if it is one.
///
/// ```
/// # ocf_agent::fake::Node::new().install();
/// assert!(ocf_agent::instance::clone_info().is_none());
/// ```
pub fn clone_info() -> Option<CloneFacts> {
    host::clone_info()
}

/// What the clone's members are told. Only in `notify`.
///
/// ```
/// # ocf_agent::fake::Node::new().install();
/// assert!(ocf_agent::instance::notification().is_none());
/// ```
pub fn notification() -> Option<Notice> {
    host::notification()
}

/// The live migration under way. Only in `migrate_to`, `migrate_from`, and a `stop` or `monitor` next to one.
///
/// ```
/// # ocf_agent::fake::Node::new().migration("alpha", "beta").install();
/// assert_eq!(ocf_agent::instance::migration().unwrap().target, "beta");
/// ```
pub fn migration() -> Option<Move> {
    host::migration()
}

/// The time until the host answers the cluster in the plugin's place.
///
/// ```
/// use std::time::Duration;
/// # ocf_agent::fake::Node::new().time_left(Duration::from_secs(9)).install();
/// assert_eq!(ocf_agent::instance::remaining(), Duration::from_secs(9));
/// ```
pub fn remaining() -> Duration {
    Duration::from_millis(host::remaining_ms().into())
}
