//! What went wrong, in words for the operator and with the kind that decides how the cluster recovers.
use alloc::string::{String, ToString as _};
use core::fmt;

use crate::bindings::agent::ocf::agent::types;
pub use crate::bindings::agent::ocf::agent::types::{Failure, FailureKind};

/// Why the host did not do something.
pub use types::Error as Cause;

/// What an action came to: `Ok(())`, or `Ok(health)` for a monitor, or a [`Failure`].
pub type Outcome<T = ()> = Result<T, Failure>;

/// A call that the host did not do: what it was about, and why not.
///
/// `?` turns it into a [`Failure`] with the object in its text:
///
/// | cause | kind |
/// | --- | --- |
/// | `Denied` | `Permission` |
/// | `Unavailable` | `NotInstalled` |
/// | `Invalid`, `TimedOut`, `Other` | `Generic` |
///
/// ```
/// use ocf_agent::{Cause, Error, Failure, FailureKind};
/// let error = Error::new("program greeter", Cause::TimedOut);
/// assert_eq!(error.to_string(), "program greeter: no time left");
/// assert_eq!(Failure::from(error).kind, FailureKind::Generic);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What the call was about, such as `program greeter`.
    pub subject: String,
    /// What the host said.
    pub cause: Cause,
}

impl Error {
    /// An error about `subject`.
    ///
    /// ```
    /// let error = ocf_agent::Error::new("table routes", ocf_agent::Cause::Denied(String::new()));
    /// assert_eq!(error.to_string(), "table routes: not granted");
    /// ```
    pub fn new(subject: impl Into<String>, cause: Cause) -> Self {
        Self { subject: subject.into(), cause }
    }

    /// How the cluster is to treat it.
    ///
    /// ```
    /// use ocf_agent::{Cause, Error, FailureKind};
    /// assert_eq!(Error::new("program db", Cause::Unavailable("gone".into())).kind(), FailureKind::NotInstalled);
    /// ```
    pub fn kind(&self) -> FailureKind {
        match self.cause {
            Cause::Denied(_) => FailureKind::Permission,
            Cause::Unavailable(_) => FailureKind::NotInstalled,
            Cause::Invalid(_) | Cause::TimedOut | Cause::Other(_) => FailureKind::Generic,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, detail) = match &self.cause {
            Cause::Denied(text) => ("not granted", text.as_str()),
            Cause::Unavailable(text) => ("not available", text.as_str()),
            Cause::Invalid(text) => ("invalid use", text.as_str()),
            Cause::Other(text) => ("failed", text.as_str()),
            Cause::TimedOut => ("no time left", ""),
        };
        // The host often names the object itself; it is said once.
        if let Some(rest) = detail.strip_prefix(self.subject.as_str())
            && rest.starts_with([':', ' '])
        {
            return f.write_str(detail);
        }
        match (&self.cause, detail) {
            (_, "") => write!(f, "{}: {what}", self.subject),
            (Cause::Denied(_), _) => write!(f, "{}: {what}: {detail}", self.subject),
            _ => write!(f, "{}: {detail}", self.subject),
        }
    }
}

impl core::error::Error for Error {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { kind: error.kind(), reason: error.to_string() }
    }
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident $Kind:ident)*) => {
        $(
            $(#[$doc])*
            ///
            /// ```
            #[doc = concat!("let outcome: ocf_agent::Outcome = ocf_agent::", stringify!($name), "(\"the reason\");")]
            #[doc = concat!(
                "assert_eq!(outcome.unwrap_err().kind, ocf_agent::FailureKind::", stringify!($Kind), ");"
            )]
            /// ```
            pub fn $name<T>(reason: impl Into<String>) -> Outcome<T> {
                Err(Failure::$name(reason))
            }
        )*
        impl Failure {
            $(
                $(#[$doc])*
                ///
                /// ```
                #[doc = concat!("let failure = ocf_agent::Failure::", stringify!($name), "(\"the reason\");")]
                #[doc = concat!("assert_eq!(failure.kind, ocf_agent::FailureKind::", stringify!($Kind), ");")]
                /// ```
                pub fn $name(reason: impl Into<String>) -> Self {
                    Self { kind: FailureKind::$Kind, reason: reason.into() }
                }
            )*
        }
    };
}
constructors! {
    /// Something went wrong here; trying again may help.
    fail Generic
    /// A parameter makes no sense on this node.
    arguments Arguments
    /// This agent cannot do that.
    unimplemented Unimplemented
    /// Not allowed on this node.
    permission Permission
    /// Something that the agent needs is missing on this node.
    not_installed NotInstalled
    /// A parameter makes no sense on any node. The cluster bans the resource everywhere: use it with care.
    configuration Configuration
}

/// Puts the object of a call into its error.
pub(crate) trait About<T> {
    /// `Err` becomes an error about `subject`.
    fn about(self, subject: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> About<T> for Result<T, Cause> {
    fn about(self, subject: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|cause| Error::new(subject(), cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_object_once() {
        let text = |cause| Error::new("program greeter", cause).to_string();
        assert_eq!(text(Cause::Denied(String::new())), "program greeter: not granted");
        assert_eq!(text(Cause::Denied("signal hup".into())), "program greeter: not granted: signal hup");
        assert_eq!(text(Cause::Denied("program greeter: no section".into())), "program greeter: no section");
        assert_eq!(text(Cause::Unavailable("not found".into())), "program greeter: not found");
        assert_eq!(text(Cause::Other("EIO".into())), "program greeter: EIO");
        assert_eq!(text(Cause::Invalid(String::new())), "program greeter: invalid use");
    }
}
