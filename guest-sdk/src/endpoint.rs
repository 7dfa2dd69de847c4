//! Places where a program listens: TCP and UDP ports, UNIX sockets, web addresses. That nobody answers is an answer here,
//! not an error.
//!
//! Errors of all: `Denied` if the label is not granted; `Invalid` for slots that do not fit; `TimedOut` only at the
//! deadline of the action.
use alloc::borrow::{Cow, ToOwned as _};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

pub use crate::bindings::agent::ocf::agent::endpoint::{HttpRequest, HttpResponse, Reach, Reply, Until};
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

    /// Whether a process of this node listens there. Nothing is connected: the service notices nothing, and may still be
    /// too busy to answer.
    ///
    /// ```
    /// # ocf_agent::labels! { /** x */ Endpoint DB = "db"; }
    /// # ocf_agent::fake::Node::new().endpoint("db", "").install();
    /// assert!(DB.listening()?);
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn listening(self) -> Result<bool, Error> {
        self.listening_with(&[])
    }

    /// [`listening`](Self::listening), with slots.
    ///
    /// ```
    /// # ocf_agent::labels! { /** x */ Endpoint DB = "db"; }
    /// # ocf_agent::fake::Node::new().install();
    /// assert!(!DB.listening_with(&[ocf_agent::slot("port", 5432)])?);
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn listening_with(self, slots: &[Slot]) -> Result<bool, Error> {
        host::listening(self.0, slots).about(self.about())
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

impl Endpoint {
    /// Asks a web address that the label is bound to for what is at `target` below it: empty, or `/` and more, or `?` and
    /// more. No redirection is followed.
    ///
    /// ```
    /// # use ocf_agent::{Health, Outcome, fail};
    /// ocf_agent::labels! {
    ///     /// asks the server whether it is well
    ///     Endpoint HEALTH = "health" suggest r#"
    ///         http = { param = "probe_url", url = { host = ["127.0.0.1"], port = [80, 8080] } }
    ///     "#;
    /// }
    /// fn monitor() -> Outcome<Health> {
    ///     let answer = HEALTH.get("")?;
    ///     if answer.is_success() { Ok(Health::Running) } else { fail(format!("health: {answer}")) }
    /// }
    /// # ocf_agent::fake::Node::new().http("health", 200, "fine").install();
    /// # assert_eq!(monitor(), Ok(Health::Running));
    /// # ocf_agent::fake::Node::new().http("health", 503, "no").install();
    /// # assert_eq!(monitor().unwrap_err().reason, "health: status 503");
    /// # ocf_agent::fake::Node::new().install();
    /// # assert_eq!(monitor().unwrap_err().reason, "health: connection refused");
    /// ```
    pub fn get(self, target: &str) -> Result<HttpResponse, Error> {
        self.http(&[], &request("GET", target))
    }

    /// [`get`](Self::get), without the body.
    ///
    /// ```
    /// # ocf_agent::labels! { /** x */ Endpoint WEB = "web"; }
    /// # ocf_agent::fake::Node::new().http("web", 204, "").install();
    /// assert_eq!(WEB.head("/")?.status, 204);
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn head(self, target: &str) -> Result<HttpResponse, Error> {
        self.http(&[], &request("HEAD", target))
    }

    /// One request, as it is made up here. The policy says which methods and headers a label may use.
    ///
    /// ```
    /// use ocf_agent::endpoint::HttpRequest;
    /// # ocf_agent::labels! { /** x */ Endpoint API = "api"; }
    /// # ocf_agent::fake::Node::new().http("api", 202, "").install();
    /// let request = HttpRequest {
    ///     method: "POST".into(),
    ///     target: "/v1/drain".into(),
    ///     headers: vec![("content-type".into(), "application/json".into())],
    ///     body: b"{}".to_vec(),
    /// };
    /// assert!(API.http(&[ocf_agent::slot("port", 8080)], &request)?.is_success());
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn http(self, slots: &[Slot], request: &HttpRequest) -> Result<HttpResponse, Error> {
        host::http(self.0, slots, request).about(self.about())
    }
}

fn request(method: &str, target: &str) -> HttpRequest {
    HttpRequest { method: method.into(), target: target.into(), headers: Vec::new(), body: Vec::new() }
}

impl HttpResponse {
    /// Whether there is a complete answer, with a status of 200 to 299.
    ///
    /// ```
    /// # ocf_agent::labels! { /** x */ Endpoint WEB = "web"; }
    /// # ocf_agent::fake::Node::new().http("web", 302, "").install();
    /// assert!(!WEB.get("/")?.is_success());
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn is_success(&self) -> bool {
        self.reach == Reach::Open && (200..300).contains(&self.status)
    }

    /// The first header of a name, in any case of letters.
    ///
    /// ```
    /// # ocf_agent::labels! { /** x */ Endpoint WEB = "web"; }
    /// # ocf_agent::fake::Node::new().http("web", 200, "").http_header("web", "server", "nginx").install();
    /// assert_eq!(WEB.get("/")?.header("Server"), Some("nginx"));
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body, as text.
    ///
    /// ```
    /// # ocf_agent::labels! { /** x */ Endpoint WEB = "web"; }
    /// # ocf_agent::fake::Node::new().http("web", 200, "It works!").install();
    /// assert!(WEB.get("/")?.text().contains("works"));
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }
}

impl fmt::Display for HttpResponse {
    /// Words for a reason: `status 503`, `connection refused`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reach {
            Reach::Open => write!(f, "status {}", self.status),
            reach => reach.fmt(f),
        }
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
