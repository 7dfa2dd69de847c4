//! A stop of what was started by a plugin that cannot be used any more: deleted, damaged, or of no use to this host.
//!
//! What must never enter here: what a stop answers, which is the contract's.

use super::Invocation;
use crate::contract;
use crate::instance::Record;
use crate::ocf::outcome::Outcome;
use crate::plan::{self, Refusal};

impl Invocation<'_> {
    /// The host ends what it tracks, by the steps of the policy that the instance was started with and by its last
    /// resort; without that policy, by the usual steps.
    #[cold]
    #[inline(never)]
    pub(super) fn stop_without_plugin(&self, record: Record, refusal: &Refusal) -> Outcome {
        self.log.error(&format!("the plugin cannot stop: {refusal}; the host ends what it started"));
        let policy = record.pins.as_ref().and_then(|pins| plan::pinned_policy(pins).ok());
        let policy = policy.map(|(policy, _)| policy).unwrap_or_default();
        let told = plan::answer(refusal, self.request, true, self.log);
        let mut session = self.session_with(record, policy, &[], Vec::new(), None);
        (session.broker.is_recorded, session.broker.was_recorded) = (true, true);
        let outcome = contract::stop_without_plugin(&mut session, &told.reason);
        self.audit.used(&session.broker.used);
        outcome
    }
}
