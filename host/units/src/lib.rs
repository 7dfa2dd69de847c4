//! The words in which the agent asks `ocf-wasm-units`, and those in which that answers.
//!
//! Each is four bytes of length, little-endian, and postcard, over the socket that is the binary's standard input. Who
//! began before an upgrade meets the binary that came with it, so both say of which version their words are. What must
//! never enter here: a verb that the agent does not need, since whoever can say it is root.

use serde::{Deserialize, Serialize};

/// The version of these words, the binary's second argument. Whoever changes one of them counts it up: what one side means
/// the other would take for something else.
pub const VERSION: u32 = 2;
/// The exit status of a binary that has words of another version.
pub const OTHER_VERSION: u8 = 3;
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
    /// Whether it has directories of temporary files of its own.
    pub private_tmp: bool,
    /// The capabilities that it can have at most, a bit for each number of `linux/capability.h`.
    pub capabilities: u64,
    /// Its control group below the root of systemd's hierarchy; empty if it has none.
    pub group: String,
}

#[cfg(all(test, feature = "bus"))]
mod tests {
    use super::*;

    /// All words, no two values alike, so that none can take another's place unseen.
    #[test]
    fn words_that_change_are_of_another_version() {
        let text = str::to_owned;
        let keeper = Keeper {
            unit: text("a"),
            description: text("b"),
            executable: text("c"),
            argv: vec![text("d"), text("e")],
            memory: Some(2),
            tasks: Some(3),
        };
        let asks = [
            Ask::Look(text("f")),
            Ask::Start(text("g")),
            Ask::Stop(text("h")),
            Ask::ResetFailed(text("i")),
            Ask::Reload,
            Ask::StartKeeper(Box::new(keeper)),
        ];
        let unit = Unit {
            id: text("j"),
            load_state: text("k"),
            active_state: text("l"),
            sub_state: text("m"),
            invocation: text("n"),
            is_to_start: true,
            conditions_held: false,
            needs_reload: true,
            result: text("o"),
            main: 4,
            ended_code: 5,
            ended_status: 6,
            file_state: text("p"),
            restart: text("q"),
            user: text("r"),
            no_new_privileges: true,
            protect_system: text("s"),
            private_tmp: false,
            capabilities: 7,
            group: text("t"),
        };
        let tells = [
            Told::Unit(Box::new(unit)),
            Told::Job(text("u")),
            Told::Done,
            Told::Refused(text("v"), text("w")),
            Told::Silent(text("x")),
        ];
        let said = [postcard::to_allocvec(&asks), postcard::to_allocvec(&tells)].map(|bytes| bytes.unwrap());
        let said = said.map(|bytes| bytes.escape_ascii().to_string());
        let of_version_2 = [
            r"\x00\x01f\x01\x01g\x02\x01h\x03\x01i\x04\x05\x01a\x01b\x01c\x02\x01d\x01e\x01\x02\x01\x03",
            r"\x00\x01j\x01k\x01l\x01m\x01n\x01\x00\x01\x01o\x04\n\x0c\x01p\x01q\x01r\x01\x01s\x00\x07\x01t\x01\x01u\x02\x03\x01v\x01w\x04\x01x",
        ];
        assert_eq!((VERSION, said.each_ref().map(String::as_str)), (2, of_version_2), "count VERSION up");
    }
}
