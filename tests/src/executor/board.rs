//! What a capsule has said so far: posted by the thread that reads it, looked at by those that wait.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::bail;

use super::protocol::{Event, Line};

/// Where the reading thread posts what the capsule says.
#[derive(Debug, Default)]
pub(super) struct Board {
    seen: Mutex<Seen>,
    news: Condvar,
}

/// What was said so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Process id of the capsule's first process.
    pub(super) pid: Option<i32>,
    /// Whether the executor answers.
    pub(super) ready: bool,
    /// Answers to requests, by their numbers.
    pub(super) replies: HashMap<u64, Result<i32, String>>,
    /// Each event, and whether a wait has returned it.
    pub(super) events: Vec<(Event, bool)>,
    /// Why nothing more will come.
    pub(super) ended: Option<String>,
}

impl Seen {
    /// Takes the oldest event that no wait has returned.
    pub(super) fn take(&mut self, wanted: impl Fn(&Event) -> bool) -> Option<Event> {
        let (event, taken) = self.events.iter_mut().find(|(event, taken)| !taken && wanted(event))?;
        *taken = true;
        Some(event.clone())
    }
}

impl Board {
    /// Looks at it.
    pub(super) fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line, and wakes who waits.
    pub(super) fn post(&self, line: Line) {
        let mut seen = self.lock();
        match line {
            Line::Capsule { pid } => seen.pid = Some(pid),
            Line::Ready => seen.ready = true,
            Line::Reply { id, outcome } => drop(seen.replies.insert(id, outcome)),
            Line::Event(event) => seen.events.push((event, false)),
        }
        self.news.notify_all();
    }

    /// Says that nothing more will come, and why.
    pub(super) fn close(&self, why: &str) {
        self.lock().ended = Some(format!("the capsule ended: {why}"));
        self.news.notify_all();
    }

    /// Waits until a look at it finds something.
    pub(super) fn wait<T>(
        &self,
        within: Duration,
        what: &str,
        mut look: impl FnMut(&mut Seen) -> Option<T>,
    ) -> anyhow::Result<T> {
        let limit = Instant::now() + within;
        let mut seen = self.lock();
        loop {
            if let Some(found) = look(&mut seen) {
                return Ok(found);
            }
            if let Some(ended) = &seen.ended {
                bail!("waiting for {what}: {ended}");
            }
            let left = limit.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("waiting for {what}: nothing within {within:?}");
            }
            seen = self.news.wait_timeout(seen, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
