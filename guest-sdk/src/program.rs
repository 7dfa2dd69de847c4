//! Programs of this node: commands that are run to their end, and daemons that the host starts and tracks.
//!
//! Errors of all: `Denied` if the label is not granted or its lifetime does not fit the call; `Unavailable` if the
//! program is not there or not safe to run; `Invalid` for slots that do not fit; `TimedOut` after the binding's own
//! limit or the deadline of the action.
use alloc::borrow::{Cow, ToOwned as _};
use alloc::format;
use alloc::string::{String, ToString as _};
use core::fmt;

pub use crate::bindings::agent::ocf::agent::program::{Condition, Output, Phase, SignalName};
pub use crate::bindings::agent::ocf::agent::types::{ExitStatus, Slot};
use crate::error::{About, Error};
use crate::host::program as host;

/// A value for a place that the policy left open.
///
/// ```
/// let slot = ocf_agent::slot("table", 42);
/// assert_eq!((slot.name.as_str(), slot.value.as_str()), ("table", "42"));
/// ```
pub fn slot(name: impl Into<String>, value: impl fmt::Display) -> Slot {
    Slot { name: name.into(), value: value.to_string() }
}

/// The label of a program. Only [`labels!`](crate::labels) makes one.
///
/// ```
/// use ocf_agent::{ExitStatus, labels};
/// labels! {
///     /// checks the configuration before every start
///     Program CONFIG_TEST = "config-test";
/// }
/// # ocf_agent::fake::Node::new().program_output("config-test", ExitStatus::Exited(1), "", "line 3: what?\n").install();
/// let test = CONFIG_TEST.run()?;
/// assert!(!test.succeeded());
/// assert_eq!(test.last_line(), "line 3: what?");
/// # Ok::<(), ocf_agent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program(&'static str);

impl Program {
    /// For `labels!`, which also declares the label to the host.
    #[doc(hidden)]
    pub const fn declared(label: &'static str) -> Self {
        Self(label)
    }

    /// The label.
    ///
    /// ```
    /// # ocf_agent::labels! { /** x */ Program GREETER = "greeter"; }
    /// assert_eq!(GREETER.name(), "greeter");
    /// ```
    pub const fn name(self) -> &'static str {
        self.0
    }

    fn about(self) -> impl FnOnce() -> String {
        move || format!("program {}", self.0)
    }

    /// Whether the program is there and may be used. Runs nothing.
    ///
    /// ```
    /// # ocf_agent::labels! { /** x */ Program GREETER = "greeter"; }
    /// # ocf_agent::fake::Node::new().install();
    /// assert!(GREETER.available()?);
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn available(self) -> Result<bool, Error> {
        self.available_with(&[])
    }

    /// [`available`](Self::available), with slots.
    ///
    /// ```
    /// # ocf_agent::labels! { /** x */ Program GREETER = "greeter"; }
    /// # ocf_agent::fake::Node::new().install();
    /// assert!(GREETER.available_with(&[ocf_agent::slot("version", 17)])?);
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn available_with(self, slots: &[Slot]) -> Result<bool, Error> {
        host::available(self.0, slots).about(self.about())
    }

    /// Runs a program of the action lifetime and waits for its end. A status other than 0 is an answer, not an error.
    ///
    /// ```
    /// # ocf_agent::labels! { /** x */ Program CONFIG_TEST = "config-test"; }
    /// # ocf_agent::fake::Node::new().install();
    /// assert!(CONFIG_TEST.run()?.succeeded());
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn run(self) -> Result<Output, Error> {
        self.run_with(&[], None)
    }

    /// [`run`](Self::run), with slots and a standard input.
    ///
    /// ```
    /// # ocf_agent::labels! { /** x */ Program CLIENT = "client"; }
    /// # ocf_agent::fake::Node::new().install();
    /// CLIENT.run_with(&[ocf_agent::slot("database", "main")], Some(b"select 1;"))?;
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn run_with(self, slots: &[Slot], input: Option<&[u8]>) -> Result<Output, Error> {
        host::run(self.0, slots, input).about(self.about())
    }

    /// Starts a daemon; false if it already ran. Whether it works is for `monitor` to say.
    ///
    /// ```
    /// # ocf_agent::labels! { /** x */ Program GREETER = "greeter"; }
    /// # ocf_agent::fake::Node::new().install();
    /// assert!(GREETER.start()?);
    /// assert!(!GREETER.start()?);
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn start(self) -> Result<bool, Error> {
        self.start_with(&[])
    }

    /// [`start`](Self::start), with slots.
    ///
    /// ```
    /// # ocf_agent::labels! { /** x */ Program GREETER = "greeter"; }
    /// # ocf_agent::fake::Node::new().install();
    /// GREETER.start_with(&[ocf_agent::slot("mode", "recovery")])?;
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn start_with(self, slots: &[Slot]) -> Result<bool, Error> {
        host::start(self.0, slots).about(self.about())
    }

    /// What is known about a daemon, also about one that was never started.
    ///
    /// ```
    /// # ocf_agent::labels! { /** x */ Program GREETER = "greeter"; }
    /// # ocf_agent::fake::Node::new().install();
    /// assert_eq!(GREETER.status()?.processes, 0);
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn status(self) -> Result<Condition, Error> {
        host::status(self.0).about(self.about())
    }

    /// Where a daemon is: [`status`](Self::status) without the rest.
    ///
    /// ```
    /// use ocf_agent::program::Phase;
    /// # ocf_agent::labels! { /** x */ Program GREETER = "greeter"; }
    /// # ocf_agent::fake::Node::new().install();
    /// assert_eq!(GREETER.phase()?, Phase::Stopped);
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn phase(self) -> Result<Phase, Error> {
        Ok(self.status()?.phase)
    }

    /// Ends a daemon as the policy says, and returns when nothing of it is left. Nothing to stop is fine.
    ///
    /// ```
    /// # ocf_agent::labels! { /** x */ Program GREETER = "greeter"; }
    /// # ocf_agent::fake::Node::new().install();
    /// GREETER.stop()?;
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn stop(self) -> Result<(), Error> {
        host::stop(self.0).about(self.about())
    }

    /// Sends a signal to the main process of a daemon; false if it does not run.
    ///
    /// ```
    /// use ocf_agent::program::SignalName;
    /// # ocf_agent::labels! { /** x */ Program GREETER = "greeter"; }
    /// # ocf_agent::fake::Node::new().install();
    /// assert!(!GREETER.signal(SignalName::Hup)?);
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn signal(self, signal: SignalName) -> Result<bool, Error> {
        host::signal(self.0, signal).about(self.about())
    }
}

impl Output {
    /// Whether the program exited with status 0.
    ///
    /// ```
    /// # ocf_agent::labels! { /** x */ Program CONFIG_TEST = "config-test"; }
    /// # ocf_agent::fake::Node::new().install();
    /// assert!(CONFIG_TEST.run()?.succeeded());
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn succeeded(&self) -> bool {
        self.status == ExitStatus::Exited(0)
    }

    /// The standard output as text.
    ///
    /// ```
    /// use ocf_agent::ExitStatus;
    /// # ocf_agent::labels! { /** x */ Program QUERY = "query"; }
    /// # ocf_agent::fake::Node::new().program_output("query", ExitStatus::Exited(0), "f\n", "").install();
    /// assert_eq!(QUERY.run()?.stdout_text(), "f\n");
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn stdout_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.stdout)
    }

    /// The standard error as text.
    ///
    /// ```
    /// use ocf_agent::ExitStatus;
    /// # ocf_agent::labels! { /** x */ Program QUERY = "query"; }
    /// # ocf_agent::fake::Node::new().program_output("query", ExitStatus::Exited(2), "", "no\n").install();
    /// assert_eq!(QUERY.run()?.stderr_text(), "no\n");
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn stderr_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.stderr)
    }

    /// What the program said last, for a reason: the last line of its standard error, else of its standard output,
    /// else how it ended.
    ///
    /// ```
    /// use ocf_agent::ExitStatus;
    /// # ocf_agent::labels! { /** x */ Program QUERY = "query"; }
    /// # ocf_agent::fake::Node::new().program_output("query", ExitStatus::Signaled(9), "", "\n").install();
    /// assert_eq!(QUERY.run()?.last_line(), "ended by signal 9");
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn last_line(&self) -> String {
        let last = |text: &[u8]| {
            let text = String::from_utf8_lossy(text);
            text.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
        };
        last(&self.stderr).or_else(|| last(&self.stdout)).unwrap_or_else(|| self.status.to_string())
    }
}

impl fmt::Display for ExitStatus {
    /// `exited with status 3`, `ended by signal 9`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "exited with status {status}"),
            Self::Signaled(signal) => write!(f, "ended by signal {signal}"),
        }
    }
}
