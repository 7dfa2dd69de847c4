//! The words in which the agent asks `ocf-wasm-units`, and those in which that answers.
//!
//! Each is four bytes of length, little-endian, and postcard, over the socket that is the binary's standard input. Both
//! are built together, so there is no version. What must never enter here: a verb that the agent does not need, since
//! whoever can say it is root.

use serde::{Deserialize, Serialize};

/// Bytes of the longest word.
pub const WORD_BYTES: usize = 64 * 1024;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// What is known of a unit, loaded if it is not. Answered by [`Told::Unit`].
    Look(String),
    /// Starts a unit and waits for the end of the job. Answered by [`Told::Job`].
    Start(String),
    /// Stops a unit and waits for the end of the job. Answered by [`Told::Job`].
    Stop(String),
    /// Forgets that a unit failed. Answered by [`Told::Done`].
    ResetFailed(String),
    /// Reads unit files anew. Answered by [`Told::Done`].
    Reload,
    /// Makes a unit that is there as long as what it keeps, starts it and waits for the end of the job. It gets two
    /// descriptors: as standard input what is standard error of who is asked, as standard output what is standard output.
    /// Answered by [`Told::Job`].
    StartKeeper(Box<Keeper>),
}

/// A unit that keeps a daemon: what differs between two of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keeper {
    /// Its name.
    pub unit: String,
    /// What people read of it: everybody can.
    pub description: String,
    /// The file to execute.
    pub executable: String,
    /// Its arguments, the zeroth included; none has a `$`, which systemd would fill in. Everybody can read them.
    pub argv: Vec<String>,
    /// Bytes of memory of all that is in it.
    pub memory: Option<u64>,
    /// Processes and threads in it.
    pub tasks: Option<u64>,
}

/// The slice of units that keep daemons. A `-` leads down: it is in `ocf.slice`.
pub const SLICE: &str = "ocf-wasm.slice";

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    /// What is known of a unit.
    Unit(Box<Unit>),
    /// How a job ended, in systemd's word: `done`, `failed`, `canceled`, `timeout`, `dependency`, `skipped`.
    Job(String),
    /// It was done.
    Done,
    /// systemd refused: the error's name and what it says.
    Refused(String, String),
    /// Nobody answers on the bus: why.
    Silent(String),
}

/// A unit at one moment, in systemd's words (org.freedesktop.systemd1(5)).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Its own name; another than was asked for if that is an alias.
    pub id: String,
    /// `loaded`, `not-found`, `masked`, `bad-setting`, `error`.
    pub load_state: String,
    /// `active`, `reloading`, `inactive`, `failed`, `activating`, `deactivating`, `maintenance`.
    pub active_state: String,
    /// More of that, by the kind of unit: `running`, `exited`, `auto-restart`.
    pub sub_state: String,
    /// Which run of the unit this is, 32 hexadecimal digits; empty if there was none.
    pub invocation: String,
    /// Whether it is to be started: a job for that waits for its turn.
    pub is_to_start: bool,
    /// Whether all conditions and assertions held when it was last started.
    pub conditions_held: bool,
    /// Whether unit files changed since they were read.
    pub needs_reload: bool,
    /// How it ended last: `success`, `exit-code`, `signal`, `core-dump`, `oom-kill`, `timeout`, `start-limit-hit`.
    pub result: String,
    /// Its main process; 0 for none.
    pub main: u32,
    /// How the main process ended last, `si_code` of waitid(2): 1 by itself, 2 or 3 by a signal; 0 if it never did.
    pub ended_code: i32,
    /// With which status, or by which signal.
    pub ended_status: i32,
    /// Whether it is started at boot: `enabled`, `disabled`, `static` and others.
    pub file_state: String,
    /// When systemd starts it again by itself: `no` for never.
    pub restart: String,
    /// Whom it runs as; empty for root.
    pub user: String,
    /// Whether its processes can gain no rights.
    pub no_new_privileges: bool,
    /// What of the system is read-only to it: `no` for nothing.
    pub protect_system: String,
    /// Its control group below the root of systemd's hierarchy; empty if it has none.
    pub group: String,
}
