//! The one line that each action of an instance leaves in the log, whatever came of it: who asked for what, which bytes
//! and which policy answered, what they used of the node and what they were denied.
//!
//! What must never enter here: values of parameters, and words of a plugin.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use crate::broker::Used;
use crate::instance::Pins;
use crate::ocf::outcome::Outcome;
use crate::ocf::{Action, Request};
use crate::plan::Plan;
use crate::report::Log;
use crate::sys::alarm;

/// Digits of a digest that tell it from all others of a node.
const DIGITS: usize = 12;

/// What becomes known while the action is performed.
#[derive(Debug, Default)]
pub(super) struct Audit(RefCell<String>);

impl Audit {
    /// Notes what the action uses.
    pub(super) fn uses(&self, plan: &Plan) {
        let Pins { generation, component, policy, .. } = &plan.pins;
        let version = &plan.description.version;
        // Nothing can be signed yet.
        self.0.replace(format!(
            " version={version} generation={generation} component={} signer=none policy={}",
            short(component),
            short(policy)
        ));
    }

    /// Notes what it used.
    pub(super) fn used(&self, used: &Used) {
        self.0.borrow_mut().push_str(&format!(" {used}"));
    }

    /// Writes the line.
    pub(super) fn write(&self, request: &Request, action: Action, outcome: &Outcome, start: Instant, log: &Log) {
        let line = line(request, action, outcome, start.elapsed()) + &self.0.borrow();
        alarm::has_answered();
        crate::guard!("I25", { log.audit(&line) });
    }
}

/// Who asked for what, and what was answered.
pub(super) fn line(request: &Request, action: Action, outcome: &Outcome, took: Duration) -> String {
    let Request { agent, interval_ms, .. } = request;
    format!(
        "agent={agent} instance={} action={} interval={interval_ms}ms exit={} took={}ms",
        request.instance_name().unwrap_or("-"),
        action.word(),
        outcome.exit.code(),
        took.as_millis(),
    )
}

/// The beginning of a digest, without its algorithm.
fn short(digest: &str) -> &str {
    let digits = digest.split_once(':').map_or(digest, |(_, digits)| digits);
    digits.get(..DIGITS).unwrap_or("none")
}
