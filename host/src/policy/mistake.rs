//! Every mistake that a policy can have, and what is said about it. A closed list, so that none is told in passing:
//! `tests/snapshot.rs` shows each of them, and finds every line of the parser that makes one.

use std::fmt;

use super::key::Table;
#[cfg(feature = "tool")]
use super::key::{Key, TABLES};
#[cfg(feature = "tool")]
use super::nearest::nearest;
#[cfg(feature = "tool")]
use crate::sandbox::confinement;

/// Signals that a policy can name.
#[cfg(feature = "tool")]
pub(super) const SIGNALS: [&str; 7] = ["HUP", "INT", "QUIT", "USR1", "USR2", "TERM", "WINCH"];

macro_rules! mistakes {
    ($($(#[$doc:meta])* $Mistake:ident $(($($name:ident: $Type:ty),+))? $text:literal)*) => {
        /// One of them.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(super) enum Mistake {
            $($(#[$doc])* $Mistake $(($($Type),+))?),*
        }

        impl Mistake {
            /// The names of all.
            #[cfg(test)]
            pub(super) const ALL: &[&'static str] = &[$(stringify!($Mistake)),*];

            /// Its name.
            #[cfg(test)]
            pub(super) fn name(&self) -> &'static str {
                match self {
                    $(Self::$Mistake { .. } => stringify!($Mistake)),*
                }
            }
        }

        impl fmt::Display for Mistake {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$Mistake $(($($name),+))? => write!(f, $text)),*
                }
            }
        }
    };
}

mistakes! {
    /// It is not TOML: what the parser of TOML says.
    Syntax(what: String) "{what}"
    /// A key twice.
    Duplicate(key: String) "duplicate key `{key}`"
    /// A key that nobody knows here.
    UnknownKey(key: String) "unknown key `{key}`"
    /// A key that must be there: the key, and where, with ` in `.
    Missing(key: &'static str, place: String) "`{key}` is missing{place}"
    /// Another version of the format.
    Format "this version of ocf-wasm reads `format = 1`"
    /// A word instead of a table of labels.
    NotLabels(key: &'static str) "`{key}` is a table of labels: [{key}.LABEL]"
    /// What cannot be a label.
    Label(label: String) "`{label}` is no label: a label is 1-64 of a-z, 0-9 and `-`"
    /// A label that is bound to no table.
    LabelNotTable(key: &'static str, label: String) "[{key}.{label}] is a table"
    /// Another type of TOML: what was expected, what was found.
    WrongType(expected: &'static str, found: &'static str) "expected {expected}, found {found}"
    /// A NUL in a text.
    Nul "a NUL cannot be passed to any program"
    /// A number beyond its bounds.
    OutOfRange(min: i64, max: i64) "a number from {min} to {max}"
    /// A key that is for programs of the other lifetime.
    OtherLifetime(key: &'static str, lifetime: &'static str) "`{key}` is for a program of lifetime \"{lifetime}\""
    /// What is no digest.
    Digest "a digest is `sha256:` and 64 hexadecimal digits"
    /// A list of digests without one.
    NoDigest "no digest: no component would ever fit"
    /// Another word for a lifetime.
    Lifetime(word: String) "`{word}` is no lifetime: `lifetime` is \"action\" (ends within the action) or \"instance\" (a daemon)"
    /// Another word for a type.
    Type(word: String) "`{word}` is no type: `type` is \"simple\" (the program is the daemon) or \"forking\" (it ends, and leaves the daemon behind)"
    /// Another word for who keeps a daemon.
    Manager(word: String) "`{word}` is no manager: `manager` is \"auto\" (systemd where there is one), \"systemd\" or \"none\""
    /// An interpreter without a path.
    NoInterpreter "no interpreter: leave it out for a program that is no script"
    /// Signals where there is no main process.
    SignalsForking "`signals` needs a main process, which a program of type \"forking\" does not have"
    /// Another word for an output.
    Output "`output` is \"journal\""
    /// A label that this file does not bind.
    NoSuchProgram(label: String, known: String) "there is no [program.{label}] in this file{known}"
    /// A daemon as a last resort.
    LastResortLives "a last resort is a program of lifetime \"action\""
    /// Open values in a last resort.
    LastResortOpen "a last resort takes literal arguments only: nothing else may be known by then"
    /// No label.
    NoLastResort "no label: leave [stop] out if there is no last resort"
    /// No status.
    NoStatus "no status: nothing could ever say that it is gone"
    /// No step.
    NoStep "no step: leave `stop` out for TERM, then KILL at the end of the action's time"
    /// What is no signal, or not one that is granted.
    Signal(word: String) "`{word}` cannot be sent: a signal is one of HUP, INT, QUIT, USR1, USR2, TERM, WINCH"
    /// What is no grace.
    Grace "`grace` is a duration (\"10s\"), a part of the time left (\"60%\") or \"rest\""
    /// What is no duration.
    Duration "a duration such as \"500ms\", \"10s\", \"2min\""
    /// What is no size.
    Size "a size such as \"64MiB\", at most \"512MiB\""
    /// No word.
    NoWord "no word: nothing could ever be passed"
    /// Bounds that exclude everything.
    EmptyRange "`min` is greater than `max`: nothing could ever be passed"
    /// What is no network.
    Network "a network such as \"10.1.0.0/16\""
    /// No network.
    NoNetwork "no network: nothing could ever be passed"
    /// An open value without a type.
    NoType "a value from outside needs a type: one of one-of, integer, port, name, text, file, directory, ip, url, duration"
    /// An open value with several.
    TwoTypes "more than one type"
    /// A path that is none for us.
    NotAbsolute "an absolute path without `..`"
    /// A pattern.
    Wildcard "wildcards are not expanded: name one path"
    /// A blank that the operator is to fill in.
    NoUser "fill in the user that this program is to run as; there is no default"
    /// What is no address.
    Address "an IP address, such as \"127.0.0.1\" or \"::1\"; names are not resolved"
    /// What cannot be a variable.
    VariableName "a variable's name is letters, digits and `_`"
    /// A variable that makes programs load code.
    LoaderVariable(name: String) "{name} is refused: this variable makes programs load or run other code"
    /// An open value from nowhere, or from several places.
    Origin "exactly one of `param`, `slot` and `fact` says where the value comes from"
    /// A prefix where there are no arguments.
    PrefixElsewhere "`prefix` is for arguments"
    /// What is no fact.
    Fact "a fact is \"node\", \"instance\", \"physical-host\" or \"container-attribute-target\""
    /// A fact where it decides too much.
    FactElsewhere "a fact can be an argument or a variable"
    /// A fact with a type.
    FactTyped "a fact has no type"
    /// A secret where others can read it.
    Secret "a secret parameter may be passed in `environment` only: arguments can be read by everybody"
    /// A program that could be any.
    ProgramType "a program from outside needs `one-of` or `file = {{ under = ... }}`"
    /// A word in the place of a path.
    RelativeWord "each is an absolute path without `..`"
    /// A user that could be any.
    UserType "a user from outside needs `one-of`"
    /// An address that could be any text.
    AddressType "an address from outside needs `ip` or `one-of`"
    /// A port that could be any text.
    PortType "a port from outside needs `port` or `one-of`"
    /// A directory that could be any.
    DirectoryType "a directory from outside needs `one-of` or `directory = {{ under = ... }}`"
    /// An owner of a directory that is granted.
    DirectoryOwner "`owner` is not for the directory of a label: what is below may belong to anybody"
    /// A socket that could be any.
    SocketType "a socket from outside needs `one-of` or `file = {{ under = ... }}`"
    /// An owner of the file, which is the socket.
    SocketOwner "`owner` stands beside `path`: it is the socket's"
    /// A web address that could be any.
    UrlType "a web address from outside needs `url = {{ host = [...], port = [...] }}`"
    /// A web address for a program, which would make of it what it likes.
    UrlElsewhere "`url` is for `http` of an endpoint"
    /// What is no web address: what is wrong with it.
    Url(why: &'static str) "a web address such as \"http://127.0.0.1:8080/health\": this one {why}"
    /// A blank that the operator is to fill in.
    NoAccess "fill in the access: \"read\", or \"write\", which includes it"
    /// Another word for an access.
    Access(word: String) "`{word}` is no access: `access` is \"read\" or \"write\", which includes it"
    /// A directory that no policy gives away: why.
    GivenToNobody(why: String) "{why}"
    /// A blank owner.
    NoOwner "fill in the user, or leave the key out"
    /// An owner of what is never made.
    OwnerOfRead "`owner` is for `access = \"write\"`: it says whom that which is made belongs to"
    /// No place, or several.
    Places "exactly one of `tcp`, `udp`, `unix` and `http` says where somebody listens"
    /// A key of web addresses.
    HttpOnly(key: &'static str) "`{key}` is for `http`"
    /// A certificate that would be checked against nothing.
    NoCa "https needs `ca`: the file of the authorities by whom the server's certificate must be issued"
    /// Authorities where no certificate is shown.
    CaElsewhere "`ca` is for a web address that may begin with https://"
    /// Another word for a scheme.
    Scheme(word: String) "`{word}` is no scheme: \"http\" or \"https\""
    /// No scheme.
    NoScheme "no scheme: nobody could ever be asked"
    /// A name that stands for no address.
    Unnamed(name: String) "nobody looks up {name}: say `names = {{ \"{name}\" = [\"ADDRESS\"] }}`"
    /// A method that is not known.
    Method "a method is one of GET, HEAD, POST, PUT, DELETE"
    /// No method or no header.
    NothingAsked "an empty list allows nothing: leave it out for what is usual"
    /// A header that the host writes.
    OwnHeader "this header is the host's: it says where a request goes, or where it ends"
    /// What cannot be a header.
    Header "a header's name is 1-64 of letters, digits, `-` and `_`"
    /// What cannot be a host's name.
    HostName "a host's name is lower-case letters, digits, `-` and dots"
    /// A name without an address.
    NoAddress "no address: nobody could ever be asked"
    /// Too many addresses: how many there may be.
    ManyAddresses(most: usize) "at most {most} addresses"
    /// What is no host of a web address.
    Host "an address, a network such as \"10.1.0.0/16\", or a name"
    /// No host.
    NoHost "no host: nobody could ever be asked"
    /// No port.
    NoPort "no port: nobody could ever be asked"
    /// What is no path of a web address.
    UrlPath "a path such as \"/health\", without a query"
    /// A group without a name.
    NoGroup "a group's name or number"
    /// Another word for a capability.
    Capability(word: String) "`{word}` is no capability: their names are those of capabilities(7), without `CAP_`"
    /// Another word for a network.
    Reach(word: String) "`{word}` is no network: `network` is \"none\", \"loopback\" (one of its own) or \"host\" (what this node reaches)"
    /// Another word for a namespace.
    Namespace(word: String) "`{word}` is no namespace that can be given: one of \"pid\", \"ipc\", \"uts\", \"cgroup\""
    /// Another word for a layer.
    Layer(word: String) "`{word}` is no layer: one of \"view\", \"network\", \"landlock\", \"abstract-sockets\", \"cgroup\""
    /// A place that is no program's: the path, and why.
    NotShown(path: String, why: &'static str) "{path} cannot be granted: {why}"
    /// A place that no program can be allowed to write: the path, and why.
    NotWritable(path: String, why: &'static str) "{path} cannot be granted for writing: {why}"
    /// A place for writing in which a program is that is run, or may be: the path, and why.
    WritableProgram(path: String, why: String) "{path} cannot be granted for writing: {why}"
    /// A place that could be any text.
    PlaceType "a place from outside needs `file` or `directory`"
    /// The cluster's daemons, without the network in which they are.
    ClusterWithoutNetwork "`cluster` needs network = \"host\": that is where its daemons are met"
    /// What cannot be the name of a unit.
    UnitName "a unit is a service by its own name, such as \"nginx.service\": letters, digits and `:_.@-`"
    /// A template without an instance.
    UnitTemplate "this is a template: name one instance of it, such as \"getty@tty1.service\""
    /// A key beside `unit` that the unit itself says.
    OfUnit(key: &'static str) "`{key}` is the unit's: beside `unit` only `environment` and `rate` can stand"
    /// What is no size, or out of bounds.
    Bytes(least: &'static str, most: &'static str) "a size from \"{least}\" to \"{most}\""
}

#[cfg(not(feature = "tool"))]
impl Mistake {
    /// The agent says what is wrong and where; the tool says the rest.
    #[expect(clippy::unused_self, reason = "as in the tool")]
    pub(super) fn advice(&self, _: &Table, _: &str) -> (Option<String>, Option<String>) {
        (None, None)
    }
}

#[cfg(feature = "tool")]
impl Mistake {
    /// What was probably meant, and what may stand there. `key` is the key whose value is wrong, none for the table.
    pub(super) fn advice(&self, table: &Table, key: &str) -> (Option<String>, Option<String>) {
        (self.hint(table, key), self.expected(table, key))
    }

    fn hint(&self, table: &Table, key: &str) -> Option<String> {
        let words = |word: &str, known: &[&str]| nearest(word, known).map(|meant| format!("did you mean \"{meant}\"?"));
        match self {
            Self::UnknownKey(word) => {
                let known: Vec<&str> = table.keys.iter().map(|key| key.name).collect();
                let elsewhere = || {
                    let tables: Vec<&str> = TABLES.iter().filter(|t| t.knows(word)).map(|t| t.name).collect();
                    (!tables.is_empty()).then(|| format!("`{word}` is a key of {}", tables.join(" and of ")))
                };
                nearest(word, &known).map(|meant| format!("did you mean `{meant}`?")).or_else(elsewhere)
            }
            Self::Signal(word) if matches!(word.as_str(), "KILL" | "SIGKILL" | "9") => {
                Some("KILL is sent by the host when the last step is over: leave it out".to_owned())
            }
            Self::Signal(word) => words(word.trim_start_matches("SIG"), &SIGNALS),
            Self::Access(word) => words(word, &["read", "write"]),
            Self::Lifetime(word) => words(word, &["action", "instance"]),
            Self::Type(word) => words(word, &["simple", "forking"]),
            Self::Manager(word) => words(word, &["auto", "systemd", "none"]),
            Self::Capability(word) => {
                let upper = word.to_uppercase();
                words(upper.strip_prefix("CAP_").unwrap_or(&upper), &confinement::CAPABILITIES)
            }
            Self::Reach(word) => words(word, confinement::Network::WORDS),
            Self::Namespace(word) => words(word, confinement::Namespace::WORDS),
            Self::Layer(word) => words(word, confinement::Layer::WORDS),
            Self::NoSuchProgram(label, known) => {
                let known = known.trim_start_matches(": there is ").split(", ");
                let known: Vec<&str> = known.filter(|label| !label.is_empty()).collect();
                nearest(label, &known).map(|meant| format!("did you mean \"{meant}\"?"))
            }
            Self::Duplicate(_) => Some("each key stands once: delete one of the two".to_owned()),
            Self::Syntax(_) => {
                Some("a policy is TOML: [table], then lines of key = value, texts in \"quotes\"".to_owned())
            }
            Self::WrongType(expected, _) if *expected == "a string" && key == "user" => {
                Some("a number stands in quotes too: \"65534\"".to_owned())
            }
            _ => None,
        }
    }

    fn expected(&self, table: &Table, key: &str) -> Option<String> {
        let of = |table: &Table, key: &str| Some(told(table.keys.iter().find(|known| known.name == key)?));
        match self {
            Self::UnknownKey(_) => {
                let known: Vec<&str> = table.keys.iter().map(|key| key.name).collect();
                Some(known.join(", "))
            }
            Self::Missing(key, _) => of(table, key),
            Self::Syntax(_) | Self::Duplicate(_) => None,
            Self::Origin | Self::NoType | Self::TwoTypes | Self::Fact => Some(
                "{ param = \"port\", port = {} }, { slot = \"verb\", one-of = [\"status\"] } or { fact = \"node\" }"
                    .to_owned(),
            ),
            _ => of(table, key),
        }
    }
}

/// What a key's value can be, with an example.
#[cfg(feature = "tool")]
fn told(key: &Key) -> String {
    let example = key.text.example;
    // An example of a part of an argument is shown as the argument that it is part of.
    let example = example
        .strip_prefix("[{")
        .and_then(|e| e.strip_suffix("}]"))
        .map_or(example.to_owned(), |e| format!("{{{e}}}"));
    format!("{}, for example: {example}", key.text.form)
}
