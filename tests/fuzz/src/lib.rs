//! What reads bytes from where nobody is trusted, each as a function that fails if something does not hold.
//!
//! A target takes any bytes and says more than "no panic": its property stands in [`TARGETS`]. `cargo xtask fuzz` looks
//! for bytes that break one; a plain `cargo test` runs all of them over the seeds and over whatever was found before.
//! What must never enter here: an effect outside a directory of its own, a network, a process.

mod answers;
pub mod made;
mod metadata;
pub mod plain;
mod policy;
mod record;
mod request;
mod seam;
mod text;
mod workshop;

use std::alloc::System;
use std::sync::{Mutex, PoisonError};

use cap::Cap;

/// All that Rust takes from the system, counted.
#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// Bytes that a target may take, beyond what was taken before it began. A message has a little more than 1 MiB, and an
/// empty text in it takes one byte there and 24 here.
const MEMORY_BYTES: usize = 64 * 1024 * 1024;

/// One way in for bytes.
#[derive(Debug)]
pub struct Target {
    /// Its name: the directory of its seeds, and the word of the command.
    pub name: &'static str,
    /// What holds, whatever the bytes are. That it does not panic, overflow, abort, hang, or take more than 64 MiB, is
    /// true of all.
    pub holds: &'static str,
    run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 7] = [
    Target {
        name: "policy",
        holds: "a policy that is accepted is the same when it is read again, keeps every limit that a policy keeps, and is \
                refused with any table twice; no value of a parameter or a slot becomes an option or carries a control \
                character; one that is refused is told with a place in it",
        run: policy::run,
    },
    Target {
        name: "request",
        holds: "only a path that names no agent is unreadable; each parameter is the variable that was set, no other \
                variable counts, an instance's name is one file name below its agent, and a value that was accepted is \
                accepted again and stays the same",
        run: request::run,
    },
    Target {
        name: "text",
        holds: "whatever a plugin says in whatever action, the exit status is one that fits the action, the reason is one \
                line of at most 120 bytes without a character that nobody sees, Pacemaker reads that reason and no other, \
                and a log line is one line",
        run: text::run,
    },
    Target {
        name: "metadata",
        holds: "notes that are accepted become XML in both profiles that another parser reads, and in it stand the names, \
                defaults, options and words that the author wrote; no two monitors have one interval; the policy that is \
                suggested is about the labels that are asked for and no other, hides nothing, and leaves the users blank",
        run: metadata::run,
    },
    Target {
        name: "record",
        holds: "a file that is no record of this boot is never taken for one, and never for none if it is damaged; what was \
                read is the same after it was written again",
        run: record::run,
    },
    Target {
        name: "seam",
        holds: "whatever a runner sends, the broker comes back with a verdict of its own words, has left no process, made no \
                connection and no effect that is not granted, keeps the notebook within its limits and the record on disk \
                as in memory, and answers each question as the policy says",
        run: seam::run,
    },
    Target {
        name: "answers",
        holds: "what the runner takes for an export or an answer is the same when it is sent again, and when it was shown \
                to a person and read back",
        run: answers::run,
    },
];

impl Target {
    /// Returns the target of a name.
    pub fn named(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }

    /// Runs the target over some bytes, one at a time in a process.
    ///
    /// # Panics
    /// If what must hold does not. A process that takes more memory than it may is aborted.
    pub fn run(&self, data: &[u8]) {
        static ALONE: Mutex<()> = Mutex::new(());
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let _bounds = Bounds::set();
        (self.run)(data);
    }
}

/// Memory is limited as long as this is there, and what was written goes with it.
struct Bounds;

impl Bounds {
    fn set() -> Self {
        // Never less than what is taken already, so it cannot be refused.
        let _ = MEMORY.set_limit(MEMORY.allocated() + MEMORY_BYTES);
        Self
    }
}

impl Drop for Bounds {
    fn drop(&mut self) {
        workshop::close();
        let _ = MEMORY.set_limit(usize::MAX);
    }
}
