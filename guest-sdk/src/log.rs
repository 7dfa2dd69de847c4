//! Lines in the cluster's log, under the agent's and the instance's name.
//!
//! The reason of a failed action is logged by the host: an agent does not repeat it.
pub use crate::bindings::agent::ocf::agent::log::Level;
use crate::host::log as host;

macro_rules! levels {
    ($($(#[$doc:meta])* $name:ident $Level:ident)*) => { $(
        $(#[$doc])*
        ///
        /// ```
        /// # ocf_agent::fake::Node::new().install();
        #[doc = concat!("ocf_agent::log::", stringify!($name), "(format!(\"{} of 3\", 2));")]
        #[doc = concat!(
            "# assert_eq!(ocf_agent::fake::logged(), [\"", stringify!($name), ": 2 of 3\"]);"
        )]
        /// ```
        pub fn $name(text: impl AsRef<str>) {
            host::log(Level::$Level, text.as_ref());
        }
    )* };
}
levels! {
    /// Logs what is shown only where debugging is switched on.
    debug Debug
    /// Logs a normal event.
    info Info
    /// Logs what is unusual, and handled.
    warning Warning
    /// Logs that something failed.
    error Error
}
