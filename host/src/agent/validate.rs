//! `validate-all`: are these parameters right? Nothing is recorded, and below level 10 nothing of the node counts.

use std::time::Instant;

use super::{Audit, Invocation, arm, deadline, identity};
use crate::contract;
use crate::instance::{Directory, Record, State};
use crate::ocf::outcome::{Exit, Outcome};
use crate::ocf::{Action, Request};
use crate::plan::{self, Plan, Refusal};
use crate::policy::Policy;
use crate::report::Log;

/// Checks parameters: without root and below level 10 by the metadata alone, else with the plugin too.
pub(super) fn validate_all(request: &Request, log: &Log, audit: &Audit, start: Instant, is_root: bool) -> Outcome {
    let deadline = deadline(request, Action::ValidateAll, start);
    let (number, generation) = match plan::installed(&request.agent) {
        Ok(found) => found,
        Err(refusal) => return plan::answer(&refusal, request, false, log),
    };
    if !is_root {
        return match plan::parameters(&generation.description, request, log) {
            Ok(_) => Outcome::of(Exit::Success),
            Err(refusal) => plan::answer(&refusal, request, false, log),
        };
    }
    let is_deep = request.check_level >= contract::LOOKS;
    let plan = match plan::of(number, &generation, request, log, deadline.plugin) {
        Ok(plan) => plan,
        Err(refusal) if is_deep || matches!(refusal, Refusal::Parameters(_)) => {
            return plan::answer(&refusal, request, false, log);
        }
        // Below level 10 no policy is needed; a plugin that cannot be loaded will say so at its start.
        Err(_) => return Outcome::of(Exit::Success),
    };
    let instance = request.instance.as_deref().unwrap_or("default");
    arm(request, Action::ValidateAll, &deadline, start, log);
    let policy = if is_deep { plan.policy } else { Policy::default() };
    let plan = Plan { policy, ..plan };
    let directory = Directory::of(&request.agent, instance);
    let action = Action::ValidateAll;
    let invocation = Invocation { request, action, instance, directory: &directory, deadline, log, audit, start };
    let record = Record { parameters: plan.parameters.clone(), ..Record::new(instance, State::Stopped) };
    match identity() {
        Ok(whom) => invocation.contract(&mut invocation.session(record, &plan, whom), &plan),
        Err(text) if is_deep => plan::answer(&Refusal::Node(text), request, false, log),
        Err(_) => Outcome::of(Exit::Success),
    }
}
