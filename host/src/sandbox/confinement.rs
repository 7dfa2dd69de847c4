//! What a granted program is granted of this node, as data: a policy is read into it, a child is built from it.
//!
//! What must never enter here: a default that grants, or anything that is done.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// All that is granted besides the program itself and its user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// Files and directories that can be read, and programs in them executed, beyond the system's own.
    pub read: Vec<PathBuf>,
    /// Files and directories that can be changed.
    pub write: Vec<PathBuf>,
    /// Whether the daemons of the cluster can be talked to.
    pub cluster: bool,
    /// The rest, which needs nothing to be filled in.
    pub fixed: Fixed,
}

/// The part of a confinement that is known from the policy alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fixed {
    /// Bits of capabilities: bit N is number N of `linux/capability.h`.
    pub capabilities: u64,
    /// What of the network.
    pub network: Network,
    /// Namespaces of its own, besides those that view and network need.
    pub namespaces: Vec<Namespace>,
    /// What it may use.
    pub limits: Limits,
    /// Layers without which it is not run.
    pub require: Vec<Layer>,
}

/// How much a program may use. What is none is not limited by us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of memory of its whole tree, by control group.
    pub memory: Option<u64>,
    /// Processes and threads of its whole tree, by control group.
    pub tasks: Option<u64>,
    /// Seconds of a processor's time, of each of its processes.
    pub cpu: Option<u64>,
    /// Open files of each of its processes.
    pub nofile: Option<u64>,
    /// Bytes of the largest file that it may write.
    pub fsize: Option<u64>,
    /// Bytes of its standard output, and of its standard error, that are kept.
    pub output: Option<u64>,
}

/// Declares a closed list of words.
macro_rules! words {
    ($(#[$doc:meta])* $Name:ident { $($(#[$variant_doc:meta])* $Variant:ident $word:literal)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $Name { $($(#[$variant_doc])* $Variant),* }

        impl $Name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$Variant),*];
            /// All words.
            pub const WORDS: &[&'static str] = &[$($word),*];

            /// How it is written.
            pub fn word(self) -> &'static str {
                match self { $(Self::$Variant => $word),* }
            }

            /// Reads it.
            pub fn read(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.word() == word)
            }
        }
    };
}

words! {
    /// What of the network a program can reach.
    #[derive(Default)]
    Network {
        /// Nothing, not even itself.
        #[default]
        Nothing "none"
        /// A loopback of its own, on which nobody else is.
        Loopback "loopback"
        /// What the node reaches.
        Host "host"
    }
}

words! {
    /// A namespace that a program may have of its own.
    Namespace {
        /// Processes: it sees itself and its children only, and they end with it.
        Pid "pid"
        /// System V memory, semaphores and message queues.
        Ipc "ipc"
        /// The node's name.
        Uts "uts"
        /// Control groups.
        Cgroup "cgroup"
    }
}

words! {
    /// A layer of the sandbox that not every node has.
    Layer {
        /// A mount namespace with what is granted and nothing else.
        View "view"
        /// A network namespace.
        Network "network"
        /// Landlock, of any version.
        Landlock "landlock"
        /// Landlock of a version that tells abstract sockets apart.
        AbstractSockets "abstract-sockets"
        /// A control group that is ended as a whole.
        Cgroup "cgroup"
    }
}

/// Capabilities by number, as a policy names them.
pub const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// The bit of a capability.
pub fn capability(name: &str) -> Option<u64> {
    CAPABILITIES.iter().position(|known| *known == name).map(|number| 1 << number)
}

/// The names of capabilities, in the order of their numbers.
pub fn capability_names(bits: u64) -> Vec<&'static str> {
    (0_u32..).zip(CAPABILITIES).filter(|(number, _)| bits & 1 << number != 0).map(|(_, name)| name).collect()
}
