//! What is known of an instance before anything is asked: its lock first, then its record, and without one what lives.

use std::time::Instant;

use crate::capability::program::traces;
use crate::guard;
use crate::instance::{Directory, Found, Lock, LockError, Record};
use crate::ocf::Action;
use crate::report::Log;

/// What is known of the instance.
pub(super) enum Known {
    /// Nothing was started here.
    Nothing,
    /// Something may be here, and this is what.
    Active(Box<Record>),
    /// Something may be here, and nobody knows what.
    Lost,
}

/// Takes the lock, if there is anything to lock, and reads the record.
///
/// # Errors
/// If another action holds the lock until `until`, or it cannot be taken.
pub(super) fn look(
    directory: &Directory,
    instance: &str,
    action: Action,
    until: Instant,
    log: &Log,
) -> Result<(Option<Lock>, Known), LockError> {
    loop {
        let take = || Lock::take(directory, guard!("I20", action.changes_something(), false), until);
        let lock = directory.is_there().then(take).transpose()?;
        let known = match directory.record() {
            Found::Record(record) if record.state.is_active() => Known::Active(record),
            Found::Record(_) => Known::Nothing,
            // Only here is it looked for: what is recorded is not made dearer by it.
            Found::None if traces::lives(directory, instance) => {
                // A record is written before what it speaks of lives: it may have come since, with its lock.
                if lock.is_none() && directory.is_there() {
                    continue;
                }
                log.error(traces::LIVES);
                Known::Lost
            }
            Found::None => Known::Nothing,
            Found::Unknown(text) => {
                log.error(&text);
                Known::Lost
            }
        };
        if lock.is_some() && action.changes_something() {
            traces::sweep(directory, instance);
        }
        return Ok((lock, known));
    }
}
