//! Places where a program listens. That nobody answers is an answer here, not an error.
//!
//! Errors of all: `Denied` if the label is not granted; `Invalid` for slots that do not fit; `TimedOut` only at the
//! deadline of the action.
use alloc::borrow::{Cow, ToOwned as _};
use alloc::format;
use alloc::string::String;
use core::fmt;

pub use crate::bindings::agent::ocf::agent::endpoint::{Reach, Reply, Until};
pub use crate::bindings::agent::ocf::agent::types::Slot;
use crate::error::{About, Error};
use crate::host::endpoint as host;

/// The label of an endpoint. Only [`labels!`](crate::labels) makes one.
///
/// ```
/// use ocf_agent::endpoint::{Reach, Until};
/// ocf_agent::labels! {
///     /// asks the server for its role
///     Endpoint CONTROL = "control";
/// }
/// # ocf_agent::fake::Node::new().endpoint("control", "leader\n").install();
/// let reply = CONTROL.exchange(b"role\n", Until::Bytes(b"\n".to_vec()))?;
/// assert_eq!((reply.reach, reply.text().as_ref()), (Reach::Open, "leader\n"));
/// # Ok::<(), ocf_agent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint(&'static str);

/// What somebody said without being asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Banner {
    /// `Open` if a whole line came.
    pub reach: Reach,
    /// The first line, without its end; what came of it if it was not complete.
    pub line: String,
}

impl Endpoint {
    /// For `labels!`, which also declares the label to the host.
    #[doc(hidden)]
    pub const fn declared(label: &'static str) -> Self {
        Self(label)
    }

    /// The label.
    ///
    /// ```
    /// # ocf_agent::labels! { /** x */ Endpoint WEB = "web"; }
    /// assert_eq!(WEB.name(), "web");
    /// ```
    pub const fn name(self) -> &'static str {
        self.0
    }

    fn about(self) -> impl FnOnce() -> String {
        move || format!("endpoint {}", self.0)
    }

    /// Connects and hangs up.
    ///
    /// ```
    /// # ocf_agent::labels! { /** x */ Endpoint WEB = "web"; }
    /// # ocf_agent::fake::Node::new().install();
    /// assert_eq!(WEB.connect()?, ocf_agent::endpoint::Reach::Refused);
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn connect(self) -> Result<Reach, Error> {
        self.connect_with(&[])
    }

    /// [`connect`](Self::connect), with slots.
    ///
    /// ```
    /// # ocf_agent::labels! { /** x */ Endpoint WEB = "web"; }
    /// # ocf_agent::fake::Node::new().install();
    /// WEB.connect_with(&[ocf_agent::slot("port", 8080)])?;
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn connect_with(self, slots: &[Slot]) -> Result<Reach, Error> {
        host::connect(self.0, slots).about(self.about())
    }

    /// Connects, sends, receives until the answer is complete, hangs up.
    ///
    /// ```
    /// use ocf_agent::endpoint::Until;
    /// # ocf_agent::labels! { /** x */ Endpoint CONTROL = "control"; }
    /// # ocf_agent::fake::Node::new().endpoint("control", "pong").install();
    /// assert_eq!(CONTROL.exchange(b"ping", Until::Size(4))?.received, b"pong");
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn exchange(self, send: &[u8], until: Until) -> Result<Reply, Error> {
        self.exchange_with(&[], send, until)
    }

    /// [`exchange`](Self::exchange), with slots.
    ///
    /// ```
    /// use ocf_agent::endpoint::Until;
    /// # ocf_agent::labels! { /** x */ Endpoint CONTROL = "control"; }
    /// # ocf_agent::fake::Node::new().endpoint("control", "pong").install();
    /// CONTROL.exchange_with(&[ocf_agent::slot("port", 7000)], b"ping", Until::Closed)?;
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    #[expect(clippy::needless_pass_by_value, reason = "nobody needs the value afterwards")]
    pub fn exchange_with(self, slots: &[Slot], send: &[u8], until: Until) -> Result<Reply, Error> {
        host::exchange(self.0, slots, send, &until).about(self.about())
    }

    /// Connects, sends nothing, and takes the first line.
    ///
    /// ```
    /// # ocf_agent::labels! { /** x */ Endpoint MAIL = "mail"; }
    /// # ocf_agent::fake::Node::new().endpoint("mail", "220 ready\r\n").install();
    /// assert_eq!(MAIL.banner()?.line, "220 ready");
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn banner(self) -> Result<Banner, Error> {
        self.banner_with(&[])
    }

    /// [`banner`](Self::banner), with slots.
    ///
    /// ```
    /// # ocf_agent::labels! { /** x */ Endpoint MAIL = "mail"; }
    /// # ocf_agent::fake::Node::new().endpoint("mail", "220 ready\r\n").install();
    /// assert_eq!(MAIL.banner_with(&[ocf_agent::slot("port", 25)])?.line, "220 ready");
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn banner_with(self, slots: &[Slot]) -> Result<Banner, Error> {
        let reply = self.exchange_with(slots, &[], Until::Bytes(b"\n".to_vec()))?;
        let line = reply.text().lines().next().unwrap_or_default().to_owned();
        Ok(Banner { reach: reply.reach, line })
    }
}

impl Reply {
    /// What was received, as text.
    ///
    /// ```
    /// use ocf_agent::endpoint::Until;
    /// # ocf_agent::labels! { /** x */ Endpoint WEB = "web"; }
    /// # ocf_agent::fake::Node::new().endpoint("web", "hello").install();
    /// assert_eq!(WEB.exchange(b"", Until::Closed)?.text(), "hello");
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.received)
    }
}

impl fmt::Display for Reach {
    /// Words for a reason: `connection refused`, `no way to get there`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Refused => "connection refused",
            Self::Unreachable => "no way to get there",
            Self::Silent => "no complete answer",
        })
    }
}
