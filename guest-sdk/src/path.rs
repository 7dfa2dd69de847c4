//! Files below directories that the operator grants.
//!
//! A name is relative to the directory of its label, such as `a/b`; an empty one is the directory itself, where a
//! function allows it. Nothing above is reachable, and what changes something follows no link. The host acts as root: what
//! belongs to a service's user is read and replaced too, and is that user's word.
//!
//! Errors of all: `Denied` for a label or an access that is not granted, or a link that leads out; `Invalid` for a name or
//! a size out of range, and for a change in `monitor` or `validate`; `Unavailable` if the way to the directory is not
//! safe; `Other` with what the kernel said.
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

pub use crate::bindings::agent::ocf::agent::path::{Entry, Facts, Kind};
use crate::error::{About, Cause, Error};
use crate::host::path as host;

/// Bytes that one read or write takes at most.
pub const MAX_BYTES: u32 = 1024 * 1024;

/// The label of a directory. Only [`labels!`](crate::labels) makes one.
///
/// ```
/// ocf_agent::labels! {
///     /// tells the server that it is a standby
///     Path DATA = "data" suggest r#"
///         directory = { param = "datadir", directory = { under = "/srv" } }
///         access    = "write"
///     "#;
/// }
/// # ocf_agent::fake::Node::new().file("data", "PG_VERSION", "15\n").install();
/// DATA.write("standby.signal", b"", 0o600)?;
/// assert!(DATA.exists("standby.signal")?);
/// assert_eq!(DATA.read_text("PG_VERSION")?.as_deref(), Some("15\n"));
/// # Ok::<(), ocf_agent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path(&'static str);

impl Path {
    /// For `labels!`, which also declares the label to the host.
    #[doc(hidden)]
    pub const fn declared(label: &'static str) -> Self {
        Self(label)
    }

    /// The label.
    ///
    /// ```
    /// # ocf_agent::labels! { /** x */ Path LOGS = "logs"; }
    /// assert_eq!(LOGS.name(), "logs");
    /// ```
    pub const fn name(self) -> &'static str {
        self.0
    }

    fn about(self) -> impl FnOnce() -> String {
        move || format!("path {}", self.0)
    }

    /// Facts about one thing; none if there is no such thing. A link is described, not followed.
    ///
    /// ```
    /// use ocf_agent::path::Kind;
    /// # ocf_agent::labels! { /** x */ Path LOGS = "logs"; }
    /// # ocf_agent::fake::Node::new().file("logs", "error.log", "oh no").install();
    /// let facts = LOGS.stat("error.log")?.expect("it was written above");
    /// assert_eq!((facts.kind, facts.size), (Kind::File, 5));
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn stat(self, name: &str) -> Result<Option<Facts>, Error> {
        host::stat(self.0, name).about(self.about())
    }

    /// Whether there is something of this name.
    ///
    /// ```
    /// # ocf_agent::labels! { /** x */ Path LOGS = "logs"; }
    /// # ocf_agent::fake::Node::new().install();
    /// assert!(!LOGS.exists("error.log")?);
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn exists(self, name: &str) -> Result<bool, Error> {
        Ok(self.stat(name)?.is_some())
    }

    /// At most `limit` bytes of a regular file, 1 to [`MAX_BYTES`], from `offset` on; none if there is no such file,
    /// fewer at its end.
    ///
    /// ```
    /// # ocf_agent::labels! { /** x */ Path LOGS = "logs"; }
    /// # ocf_agent::fake::Node::new().file("logs", "error.log", "oh no").install();
    /// assert_eq!(LOGS.read_at("error.log", 3, 100)?.as_deref(), Some(b"no".as_slice()));
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn read_at(self, name: &str, offset: u64, limit: u32) -> Result<Option<Vec<u8>>, Error> {
        host::read(self.0, name, offset, limit).about(self.about())
    }

    /// A regular file, of which at most the first [`MAX_BYTES`]; none if there is no such file.
    ///
    /// ```
    /// # ocf_agent::labels! { /** x */ Path RUN = "run"; }
    /// # ocf_agent::fake::Node::new().file("run", "pid", "42\n").install();
    /// assert_eq!(RUN.read("pid")?.as_deref(), Some(b"42\n".as_slice()));
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn read(self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        self.read_at(name, 0, MAX_BYTES)
    }

    /// [`read`](Self::read), as text.
    ///
    /// # Errors
    /// `Other` too, if it is not UTF-8.
    ///
    /// ```
    /// # ocf_agent::labels! { /** x */ Path RUN = "run"; }
    /// # ocf_agent::fake::Node::new().file("run", "pid", "42\n").install();
    /// assert_eq!(RUN.read_text("pid")?.as_deref().map(str::trim), Some("42"));
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn read_text(self, name: &str) -> Result<Option<String>, Error> {
        let Some(content) = self.read(name)? else { return Ok(None) };
        String::from_utf8(content).map(Some).map_err(|_| Cause::Other("not text".into())).about(self.about())
    }

    /// Replaces a regular file as a whole, or makes it, with permission bits of 0 to `0o777`. At most [`MAX_BYTES`].
    /// A reader sees the old content or the new.
    ///
    /// ```
    /// # ocf_agent::labels! { /** x */ Path CONFIG = "config"; }
    /// # ocf_agent::fake::Node::new().install();
    /// CONFIG.write("role.conf", b"role = standby\n", 0o644)?;
    /// assert_eq!(ocf_agent::fake::file("config", "role.conf").as_deref(), Some(b"role = standby\n".as_slice()));
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn write(self, name: &str, content: &[u8], mode: u16) -> Result<(), Error> {
        host::write(self.0, name, content, mode).about(self.about())
    }

    /// Removes a file, a link, or an empty directory. True if it was there.
    ///
    /// ```
    /// # ocf_agent::labels! { /** x */ Path RUN = "run"; }
    /// # ocf_agent::fake::Node::new().file("run", "socket", "").install();
    /// assert!(RUN.remove("socket")?);
    /// assert!(!RUN.remove("socket")?);
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn remove(self, name: &str) -> Result<bool, Error> {
        host::remove(self.0, name).about(self.about())
    }

    /// What a directory contains, sorted; none if it is not there. At most 4,096 names.
    ///
    /// ```
    /// # ocf_agent::labels! { /** x */ Path LOGS = "logs"; }
    /// # ocf_agent::fake::Node::new().file("logs", "b.log", "").file("logs", "a.log", "").install();
    /// let names: Vec<String> = LOGS.list("")?.unwrap_or_default().into_iter().map(|entry| entry.name).collect();
    /// assert_eq!(names, ["a.log", "b.log"]);
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn list(self, name: &str) -> Result<Option<Vec<Entry>>, Error> {
        host::list(self.0, name).about(self.about())
    }

    /// Makes a directory, and those above it that are missing, with permission bits of 0 to `0o777`. True if it was
    /// made, false if it was there.
    ///
    /// ```
    /// # ocf_agent::labels! { /** x */ Path RUN = "run"; }
    /// # ocf_agent::fake::Node::new().install();
    /// assert!(RUN.make_directory("sockets", 0o755)?);
    /// assert!(!RUN.make_directory("sockets", 0o755)?);
    /// # Ok::<(), ocf_agent::Error>(())
    /// ```
    pub fn make_directory(self, name: &str, mode: u16) -> Result<bool, Error> {
        host::make_directory(self.0, name, mode).about(self.about())
    }
}
