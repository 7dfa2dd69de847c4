//! What the test process and the capsule say to each other: one JSON value a line, over the capsule's stdin and stdout.
//!
//! The test process writes [`Numbered`] requests, the capsule writes [`Line`]s. The plan of the capsule comes before
//! all that, as one argument. Nothing else belongs here: no behaviour, only the words.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Everything the first process of a capsule must know to furnish it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    /// Directory with `PROVIDER/TYPE` files, laid over the system's agents.
    pub resource_d: PathBuf,
    /// Files and directories to show inside: where they are, and where the capsule sees them.
    pub binds: Vec<(PathBuf, PathBuf)>,
    /// Environment of the executor, beyond the plain one it always gets.
    pub environment: Vec<(String, String)>,
    /// How long to try to reach the executor, in milliseconds.
    pub ready_within_ms: u64,
}

/// A request with the number its answer will carry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Numbered {
    /// Chosen by the test process, never used twice.
    pub id: u64,
    /// What is asked.
    #[serde(flatten)]
    pub request: Request,
}

/// One thing a test asks of the executor.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Request {
    /// Makes a resource of standard `ocf` known to the executor.
    Register {
        /// Name of the resource.
        rsc: String,
        /// Directory of the agent below `resource.d`.
        provider: String,
        /// File name of the agent.
        r#type: String,
    },
    /// Runs an action, once or again and again.
    Exec {
        /// Name of the resource.
        rsc: String,
        /// Action to run.
        action: String,
        /// Pause between two runs in milliseconds; 0 runs it once.
        interval_ms: u32,
        /// Time the agent has, in milliseconds.
        timeout_ms: i32,
        /// Parameters by name; meta-attributes as `CRM_meta_NAME`.
        parameters: Vec<(String, String)>,
    },
    /// Ends a recurring action.
    Cancel {
        /// Name of the resource.
        rsc: String,
        /// Action to end.
        action: String,
        /// The interval it was started with, in milliseconds.
        interval_ms: u32,
    },
    /// Makes the executor forget a resource and cancel what it still does for it.
    Unregister {
        /// Name of the resource.
        rsc: String,
    },
    /// Ends the capsule.
    Quit,
}

/// One line from the capsule.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    /// The capsule exists; its first process has this id outside.
    Capsule {
        /// Process id as the test process sees it.
        pid: i32,
    },
    /// The executor answered: requests may come.
    Ready,
    /// The answer to a request.
    Reply {
        /// Number of the request.
        id: u64,
        /// The call number of an exec, 0 of anything else, or why not.
        outcome: Result<i32, String>,
    },
    /// An action came to a result.
    Event(Event),
}

/// The result of one run of one action, as the executor reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Name of the resource.
    pub rsc: String,
    /// Action that ran.
    pub action: String,
    /// Pause between two runs in milliseconds, 0 for a single run.
    pub interval_ms: u32,
    /// Number that `exec` returned.
    pub call: i32,
    /// Exit status of the agent in the eyes of the executor, by the OCF numbers.
    pub rc: i32,
    /// Whether there is a result of the agent's own, and if not, why.
    pub status: Status,
    /// Exit reason: the agent's, or the executor's words where it ended the agent.
    pub reason: Option<String>,
    /// What the agent wrote to stderr, or to stdout if nothing, as the executor passes it on: with `\n` for line ends.
    pub output: String,
    /// How long the agent ran, in milliseconds.
    pub exec_time_ms: u32,
    /// How long the action waited before it ran, in milliseconds.
    pub queue_time_ms: u32,
}

/// How an execution ended; the names follow Pacemaker's `pcmk_exec_status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "i32", into = "i32")]
pub enum Status {
    /// The agent gave a result.
    Done,
    /// The action was cancelled.
    Cancelled,
    /// The agent did not finish in time and was killed.
    TimedOut,
    /// The agent does not know the action.
    NotSupported,
    /// The execution failed; it may be tried again here.
    Error,
    /// The execution failed; pointless on this node.
    ErrorHard,
    /// The execution failed; pointless on any node.
    ErrorFatal,
    /// The agent, or something it needs, is not on this node.
    NotInstalled,
    /// The executor could not be reached.
    NotConnected,
    /// The action cannot be tried now.
    Invalid,
    /// A number this list does not name.
    Other(i32),
}

impl From<i32> for Status {
    fn from(number: i32) -> Self {
        match number {
            0 => Self::Done,
            1 => Self::Cancelled,
            2 => Self::TimedOut,
            3 => Self::NotSupported,
            4 => Self::Error,
            5 => Self::ErrorHard,
            6 => Self::ErrorFatal,
            7 => Self::NotInstalled,
            8 => Self::NotConnected,
            9 => Self::Invalid,
            other => Self::Other(other),
        }
    }
}

impl From<Status> for i32 {
    fn from(status: Status) -> Self {
        match status {
            Status::Done => 0,
            Status::Cancelled => 1,
            Status::TimedOut => 2,
            Status::NotSupported => 3,
            Status::Error => 4,
            Status::ErrorHard => 5,
            Status::ErrorFatal => 6,
            Status::NotInstalled => 7,
            Status::NotConnected => 8,
            Status::Invalid => 9,
            Status::Other(other) => other,
        }
    }
}
