//! How the values that the operator set become the fields of the agent.
use alloc::borrow::ToOwned as _;
use alloc::string::String;
use core::fmt;
use core::time::Duration;

/// The fields of an agent, read once for each action. Derive it.
///
/// ```
/// use std::time::Duration;
/// use ocf_agent::{Choice, Parameters, Port};
///
/// /// How much it writes into its log.
/// #[derive(Choice, Debug, PartialEq)]
/// enum Verbosity {
///     /// Errors only.
///     Quiet,
///     /// All.
///     Full,
/// }
///
/// /// Serves files.
/// ///
/// /// One instance serves one directory.
/// #[derive(Parameters)]
/// #[agent(name = "example/files", start = "1m", interval = "20s")]
/// struct Files {
///     /// Directory to serve
///     #[parameter(required, unique)]
///     root: String,
///     /// Where it listens
///     #[parameter(default = 8080, unique_group = "address")]
///     port: Port,
///     /// How long a client may take
///     #[parameter(default = "30s", reloadable)]
///     patience: Duration,
///     /// How much it logs
///     #[parameter(default = "quiet")]
///     verbosity: Verbosity,
///     /// Processes to start; as many as there are CPUs if not set
///     #[parameter(min = 1, max = 64)]
///     workers: Option<u16>,
/// }
/// # ocf_agent::fake::Node::new().parameter("root", "/srv").parameter("workers", "4").install();
/// let files = Files::read();
/// assert_eq!((files.root.as_str(), files.port, files.workers), ("/srv", Port::try_from(8080).unwrap(), Some(4)));
/// assert_eq!((files.patience, files.verbosity), (Duration::from_secs(30), Verbosity::Quiet));
/// ```
///
/// # How an operator reads it
///
/// A comment's first paragraph is the short description, the rest the long one; items that begin with `- `, `* ` or
/// `1. ` keep their lines. `pcs` shows the long one only and takes its lines for one, `crm` shows both: the host makes
/// of them what reads well in either, and adds the limits of a number, the words of a choice and what to use instead
/// of something deprecated.
///
/// Timeouts are those that the metadata advises: `start = "1m"` and the like, 20 s where nothing is said. A monitor that
/// looks deeper, and more rarely, is announced with its own, and asks [`instance::check_level`](crate::instance) which
/// of them it is:
///
/// ```
/// # use ocf_agent::{Health, Outcome, Parameters, instance};
/// /// Serves files.
/// #[derive(Parameters)]
/// #[agent(name = "example/files", check_level(10, timeout = "1m", interval = "5m"))]
/// struct Files {
///     /// Directory to serve
///     #[parameter(required, unique)]
///     root: String,
///     /// Directory to serve
///     #[parameter(default = "", deprecated = "its name said nothing", replaced_with = "root")]
///     dir: String,
///     /// Secret of whoever may write; parameters called `password` or `passwd` are shown to nobody
///     password: Option<String>,
/// }
/// # impl Files {
/// fn monitor(&self) -> Outcome<Health> {
///     if instance::check_level() >= 10 {
///         // Reads every file.
///     }
///     Ok(Health::Running)
/// }
/// # }
/// ```
///
/// # What does not compile
///
/// What no reader of the metadata could take: two monitors of one interval, a default for a secret, a required
/// parameter that is deprecated, characters that XML does not have.
///
/// A parameter without a default is `required` or an `Option`:
/// ```compile_fail
/// /// Agent
/// #[derive(ocf_agent::Parameters)]
/// #[agent(name = "example/a")]
/// struct A {
///     /// Port
///     port: u16,
/// }
/// ```
/// A default fits its type and limits:
/// ```compile_fail
/// /// Agent
/// #[derive(ocf_agent::Parameters)]
/// #[agent(name = "example/a")]
/// struct A {
///     /// Port
///     #[parameter(default = "70000")]
///     port: u16,
/// }
/// ```
/// and is one of the choices:
/// ```compile_fail
/// #[derive(ocf_agent::Choice)]
/// enum Mode {
///     /// Fast
///     Fast,
/// }
/// /// Agent
/// #[derive(ocf_agent::Parameters)]
/// #[agent(name = "example/a")]
/// struct A {
///     /// Mode
///     #[parameter(default = "slow")]
///     mode: Mode,
/// }
/// ```
/// Two monitors have two intervals:
/// ```compile_fail
/// /// Agent
/// #[derive(ocf_agent::Parameters)]
/// #[agent(name = "example/a", interval = "10s", check_level(10, timeout = "1m", interval = "10s"))]
/// struct A {}
/// ```
/// Every parameter is described:
/// ```compile_fail
/// /// Agent
/// #[derive(ocf_agent::Parameters)]
/// #[agent(name = "example/a")]
/// struct A {
///     port: Option<u16>,
/// }
/// ```
#[diagnostic::on_unimplemented(message = "`{Self}` has no parameters", note = "add `#[derive(Parameters)]`")]
pub trait Parameters: Sized {
    /// The parameters that the metadata declares.
    #[doc(hidden)]
    const DECLARED: &'static [Declared];

    /// The lines of section `ocf:metadata`.
    #[doc(hidden)]
    const METADATA: &'static [&'static str];

    /// Reads all parameters of this instance.
    fn read() -> Self;
}

/// What the metadata says of one parameter, for the fakes and for checks.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Declared {
    pub name: &'static str,
    pub kind: &'static str,
    pub required: bool,
    pub default: Option<&'static str>,
    pub reloadable: bool,
    pub options: &'static [&'static str],
    pub min: Option<i64>,
    pub max: Option<i64>,
}

/// A type that a parameter can have.
///
/// These are: `String`, `bool`, the integers up to 64 bits, [`Duration`], [`Size`], [`Port`], enums with `#[derive(Choice)]`,
/// and `Option` of each for a parameter that may be missing.
///
/// ```
/// use ocf_agent::Parameter;
/// assert_eq!(u16::from_text("5678"), Some(5678));
/// assert_eq!(std::time::Duration::from_text("1500"), Some(std::time::Duration::from_millis(1500)));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the type of a parameter",
    note = "use String, bool, an integer, Duration, Size, Port, an enum with #[derive(Choice)], or an Option of one of them"
)]
pub trait Parameter: Sized {
    /// Reads the canonical text: `true`, `42`, milliseconds for a duration, bytes for a size. None if it is something else.
    fn from_text(text: &str) -> Option<Self>;
}

/// An enum whose variants the operator chooses from. Derive it, and describe every variant.
///
/// The words are the variants' names in kebab-case, or what `#[choice("...")]` says.
///
/// ```
/// use ocf_agent::{Choice, Parameter};
///
/// #[derive(Choice, Debug, PartialEq)]
/// enum Mode {
///     /// Waits for the disk
///     WriteThrough,
///     /// Does not
///     #[choice("unsafe")]
///     WriteBack,
/// }
/// assert_eq!(Mode::OPTIONS, ["write-through", "unsafe"]);
/// assert_eq!(Mode::from_text("unsafe"), Some(Mode::WriteBack));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the type of a parameter",
    note = "use String, bool, an integer, Duration, Size, Port, an enum with #[derive(Choice)], or an Option of one of them"
)]
pub trait Choice: Parameter {
    /// The words, in the order of the variants.
    const OPTIONS: &'static [&'static str];

    /// The words as a JSON array.
    #[doc(hidden)]
    const OPTIONS_JSON: &'static str;

    /// The variants' descriptions, escaped for the inside of a JSON string.
    #[doc(hidden)]
    const HELP_JSON: &'static str;
}

impl Parameter for String {
    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

/// Milliseconds in decimal.
impl Parameter for Duration {
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok().map(Self::from_millis)
    }
}

macro_rules! parsed {
    ($($Type:ty)*) => { $(
        impl Parameter for $Type {
            fn from_text(text: &str) -> Option<Self> {
                text.parse().ok()
            }
        }
    )* };
}
parsed!(bool i8 i16 i32 i64 u8 u16 u32 u64);

/// A port: 1-65535.
///
/// ```
/// let port = ocf_agent::Port::try_from(5678).unwrap();
/// assert_eq!(u16::from(port), 5678);
/// assert_eq!(port.to_string(), "5678");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(core::num::NonZeroU16);

impl Port {
    /// The number.
    ///
    /// ```
    /// assert_eq!(ocf_agent::Port::try_from(22).unwrap().get(), 22);
    /// ```
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

impl TryFrom<u16> for Port {
    type Error = core::num::TryFromIntError;

    fn try_from(number: u16) -> Result<Self, Self::Error> {
        number.try_into().map(Self)
    }
}

impl From<Port> for u16 {
    fn from(port: Port) -> Self {
        port.get()
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Parameter for Port {
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

/// An amount of bytes. Operators write `4096`, `64KiB`, `2GiB`.
///
/// ```
/// use ocf_agent::Size;
/// assert_eq!(Size::bytes(65_536).get(), 65_536);
/// assert_eq!(Size::bytes(65_536).to_string(), "64KiB");
/// assert_eq!(Size::bytes(1_000).to_string(), "1000B");
/// assert!(Size::bytes(1 << 30) > Size::bytes(1 << 20));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

impl Size {
    /// So many bytes.
    ///
    /// ```
    /// const DEFAULT: ocf_agent::Size = ocf_agent::Size::bytes(4096);
    /// assert_eq!(DEFAULT.get(), 4096);
    /// ```
    pub const fn bytes(number: u64) -> Self {
        Self(number)
    }

    /// The bytes.
    ///
    /// ```
    /// assert_eq!(ocf_agent::Size::bytes(12).get(), 12);
    /// ```
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Size {
    /// With the largest unit that leaves nothing behind the point: as an operator can write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
        let fitting = units.iter().find(|(_, bits)| self.0 != 0 && self.0.trailing_zeros() >= *bits);
        let (unit, bits) = fitting.copied().unwrap_or(("B", 0));
        write!(f, "{}{unit}", self.0 >> bits)
    }
}

/// Bytes in decimal.
impl Parameter for Size {
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

/// What the derives expand to.
#[doc(hidden)]
pub mod generated {
    use super::{Declared, Parameter};

    /// Tells a fake what is declared; nothing inside a component.
    #[cfg(not(target_family = "wasm"))]
    pub fn declare(declared: &'static [Declared]) {
        crate::fake::declare(declared);
    }
    #[cfg(target_family = "wasm")]
    pub fn declare(_: &'static [Declared]) {}

    /// A parameter that may be missing.
    pub fn optional<T: Parameter>(name: &str) -> Option<T> {
        let text = crate::instance::parameter(name)?;
        Some(T::from_text(&text).unwrap_or_else(|| panic!("parameter {name}: `{text}` is not of its type")))
    }

    /// A parameter that the host never leaves out.
    pub fn required<T: Parameter>(name: &str) -> T {
        optional(name).unwrap_or_else(|| panic!("parameter {name} is required and not set"))
    }

    /// The length of all parts together.
    pub const fn length(parts: &[&str]) -> usize {
        let (mut sum, mut i) = (0, 0);
        while i < parts.len() {
            sum += parts[i].len();
            i += 1;
        }
        sum
    }

    /// All parts together.
    pub const fn join<const N: usize>(parts: &[&str]) -> [u8; N] {
        let mut all = [0; N];
        let (mut at, mut i) = (0, 0);
        while i < parts.len() {
            let part = parts[i].as_bytes();
            let mut j = 0;
            while j < part.len() {
                all[at] = part[j];
                at += 1;
                j += 1;
            }
            i += 1;
        }
        all
    }

    /// Whether `text` is one of `options`.
    pub const fn contains(options: &[&str], text: &str) -> bool {
        let mut i = 0;
        while i < options.len() {
            if equal(options[i].as_bytes(), text.as_bytes()) {
                return true;
            }
            i += 1;
        }
        false
    }

    const fn equal(a: &[u8], b: &[u8]) -> bool {
        if a.len() != b.len() {
            return false;
        }
        let mut i = 0;
        while i < a.len() {
            if a[i] != b[i] {
                return false;
            }
            i += 1;
        }
        true
    }

    /// Whether a parameter is marked as reloadable.
    pub const fn any_reloadable(declared: &[Declared]) -> bool {
        let mut i = 0;
        while i < declared.len() {
            if declared[i].reloadable {
                return true;
            }
            i += 1;
        }
        false
    }
}
