//! Asking the plugin: what its answers mean, and asking again until the deadline. What an action makes of them is not
//! decided here.

use std::time::Duration;

use super::{Resource, Verdict};
use crate::ocf::outcome::{Exit, Outcome};
use crate::seam::{Export, Failure, FailureKind, Health};

/// How often a starting or stopping instance is asked at first, and at last.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(50);
pub(super) const LAST_PAUSE: Duration = Duration::from_secs(1);

/// The plain monitor.
pub(super) const LEVEL_0: Export = Export::Monitor { probe: false, level: 0 };

/// What is said of a copy that is promoted and failed, since the plugin gives no words with that.
pub(super) const FAILED_PROMOTED: &str = "promoted and not working";

/// A failure, and whether the host or the plugin found it.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) kind: FailureKind,
    pub(super) reason: String,
    pub(super) is_of_host: bool,
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        let is_mute = failure.reason.trim().is_empty();
        let reason = if is_mute { "the plugin failed and gave no reason".to_owned() } else { failure.reason };
        Self { kind: failure.kind, reason, is_of_host: false }
    }
}

/// What a plain monitor found.
pub(super) enum Seen {
    Running,
    Promoted,
    NotRunning,
    Failing(Failed),
    /// The plugin says that it runs, and the service manager that it is still starting or stopping it.
    Unsettled(String),
    Spoiled(Outcome),
}

pub(super) fn look(resource: &mut impl Resource) -> Seen {
    match resource.call(LEVEL_0) {
        Verdict::Done(Ok(Some(health))) => match health {
            Health::Running | Health::Degraded => resource.unsettled().map_or(Seen::Running, Seen::Unsettled),
            Health::Promoted | Health::DegradedPromoted => resource.unsettled().map_or(Seen::Promoted, Seen::Unsettled),
            Health::NotRunning => Seen::NotRunning,
            Health::FailedPromoted => Seen::Failing(Failed {
                kind: FailureKind::Generic,
                reason: FAILED_PROMOTED.to_owned(),
                is_of_host: false,
            }),
        },
        Verdict::Done(Err(failure)) => Seen::Failing(failure.into()),
        other => {
            let failed = spoiled(&other, LEVEL_0);
            Seen::Spoiled(Outcome::because(exit_of_failure(failed.kind), &failed.reason))
        }
    }
}

/// Calls an export that returns nothing.
pub(super) fn ask(resource: &mut impl Resource, export: Export) -> Result<(), Outcome> {
    let failed = match resource.call(export) {
        Verdict::Done(Ok(_)) => return Ok(()),
        Verdict::Done(Err(failure)) => failure.into(),
        other => spoiled(&other, export),
    };
    Err(Outcome::because(exit_of_failure(failed.kind), &failed.reason))
}

/// Asks monitor until it says what is wanted, or says nothing better before the deadline.
pub(super) fn wait_for(
    resource: &mut impl Resource,
    what: &str,
    is_start: bool,
    wanted: impl Fn(&Seen) -> bool,
) -> Result<(), Outcome> {
    let mut pause = FIRST_PAUSE;
    loop {
        let seen = look(resource);
        if wanted(&seen) {
            return Ok(());
        }
        let why = match seen {
            Seen::Spoiled(outcome) => return Err(outcome),
            // What is not granted or not installed will not be so in a second either.
            Seen::Failing(failed)
                if is_start && matches!(failed.kind, FailureKind::Permission | FailureKind::NotInstalled) =>
            {
                return Err(Outcome::because(exit_of_failure(failed.kind), &failed.reason));
            }
            Seen::Failing(failed) => failed.reason,
            Seen::Unsettled(why) => why,
            Seen::NotRunning => "monitor says that it does not run".to_owned(),
            Seen::Running => "monitor says that it runs unpromoted".to_owned(),
            Seen::Promoted => "monitor says that it is promoted".to_owned(),
        };
        if let Some(ended) = resource.tracked().ended {
            return Err(Outcome::because(Exit::Generic, &ended));
        }
        if !wait(resource, &mut pause) {
            return Err(Outcome::because(Exit::Generic, &format!("not {what} in time: {why}")));
        }
    }
}

/// Waits a little longer than the last time. False if there is no time to ask again.
pub(super) fn wait(resource: &mut impl Resource, pause: &mut Duration) -> bool {
    let left = resource.remaining();
    if left.is_zero() {
        return false;
    }
    resource.pause((*pause).min(left));
    *pause = (*pause * 2).min(LAST_PAUSE);
    !resource.remaining().is_zero()
}

/// A call that gave no answer, as a failure.
pub(super) fn spoiled(verdict: &Verdict, export: Export) -> Failed {
    let export = export.word();
    let (kind, reason) = match verdict {
        Verdict::Unfit(text) => (FailureKind::NotInstalled, format!("the plugin does not fit this host: it {text}")),
        Verdict::Broken(text) => (FailureKind::Generic, format!("{export}: {text}")),
        Verdict::TimedOut => (FailureKind::Generic, format!("{export}: no answer from the plugin in time")),
        Verdict::Waited(call) => (FailureKind::Generic, format!("{export}: {call} did not come to an end in time")),
        Verdict::Done(_) => (FailureKind::Generic, format!("{export}: the plugin answered what it cannot mean")),
    };
    Failed { kind, reason, is_of_host: true }
}

pub(super) fn exit_of(health: Health) -> Exit {
    match health {
        Health::Running => Exit::Success,
        Health::NotRunning => Exit::NotRunning,
        Health::Promoted => Exit::Promoted,
        Health::Degraded => Exit::Degraded,
        Health::DegradedPromoted => Exit::DegradedPromoted,
        Health::FailedPromoted => Exit::FailedPromoted,
    }
}

pub(super) fn exit_of_failure(kind: FailureKind) -> Exit {
    match kind {
        FailureKind::Generic => Exit::Generic,
        FailureKind::Arguments => Exit::Arguments,
        FailureKind::Unimplemented => Exit::Unimplemented,
        FailureKind::Permission => Exit::Permission,
        FailureKind::NotInstalled => Exit::NotInstalled,
        FailureKind::Configuration => Exit::NotConfigured,
    }
}
