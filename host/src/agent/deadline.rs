//! How long an action may take, and what is answered when it takes longer.

use std::time::{Duration, Instant};

use super::audit;
use crate::broker::Deadline;
use crate::ocf::outcome::{Exit, Outcome};
use crate::ocf::{Action, Request};
use crate::plan;
use crate::report::Log;
use crate::sys::alarm::{self, Last};

/// When an action is over: by the cluster's timeout, else by the one that the agent advertises.
pub(super) fn deadline(request: &Request, action: Action, start: Instant) -> Deadline {
    let advertised = || {
        let word = match action {
            Action::Reload => "reload",
            Action::ValidateAll => "validate",
            other => other.word(),
        };
        plan::installed(&request.agent).map_or(20_000, |(_, generation)| {
            let description = &generation.description;
            let deeper = description.monitor(request.check_level).filter(|_| action == Action::Monitor);
            deeper.map_or_else(|| description.timeout_ms(word), |monitor| monitor.timeout_ms)
        })
    };
    let timeout = Duration::from_millis(request.timeout_ms.unwrap_or_else(advertised));
    Deadline::new(start, timeout, action == Action::Stop)
}

/// Arms the last resort against a system call that does not come back. What is audited then is written down now.
pub(super) fn arm(request: &Request, action: Action, deadline: &Deadline, start: Instant, log: &Log) {
    let text = format!("{}: a system call did not come back in time", action.word());
    let outcome = Outcome::because(Exit::Generic, &text);
    let wait = deadline.alarm.saturating_duration_since(Instant::now()).max(Duration::from_millis(10));
    let line = format!("{}{text}\n", request.reason_prefix);
    let audit = audit::line(request, action, &outcome, start.elapsed() + wait);
    let last = Last { status: outcome.exit.code().into(), line, message: log.audit_message(&audit, wait) };
    alarm::answer_after(wait, last);
}
