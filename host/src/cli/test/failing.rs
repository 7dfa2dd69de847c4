//! What fails: daemons that are killed, grants that are missing, parameters that are missing, time that is short.

use std::time::{Duration, Instant};

use super::call::Call;
use super::callers::REFUSALS;
use super::life::{KILLED_AFTER, nothing_alive};
use super::node::Node;
use super::standing::SECOND;
use super::{Check, Finding, Not, edit};
use crate::ocf::Action;
use crate::ocf::outcome::CONTRADICTED;
use crate::ocf::outcome::Exit::{
    Degraded, FailedPromoted, Generic, NotConfigured, NotInstalled, NotRunning, Permission, Success,
};
use crate::policy::Policy;
use crate::store::{self, Digest};

/// Time for a call whose end is not waited for.
const BRIEFLY: Duration = Duration::from_secs(2);

pub(super) static CHECKS: [Check; 12] = [
    Check {
        name: "daemon-killed",
        what: "a daemon that is killed is not running to the next monitor, and stop and start bring it back",
        source: "OCF 1.1, monitor; the most common failure there is",
        advice: "monitor must ask for the daemon, program.status, and not for what start wrote down",
        run: daemon_killed,
    },
    Check {
        name: "daemon-half-killed",
        what: "a daemon whose main process is killed and whose children live is failed, neither running nor stopped",
        source: "7 would let the cluster start a second one beside the children",
        advice: "Phase::Remains is a failure",
        run: daemon_half_killed,
    },
    Check {
        name: "probe-after-kill",
        what: "a probe of dead leftovers says 7",
        source: "a probe that answers 1 stops the healthy copy on another node",
        advice: "monitor must ask for the daemon",
        run: probe_after_kill,
    },
    Check {
        name: "start-killed",
        what: "a start that is killed anywhere can be stopped, and nothing is left",
        source: "Pacemaker kills a late start with SIGKILL, and stops then",
        advice: "stop must work for something half started",
        run: start_killed,
    },
    Check {
        name: "probe-denied",
        what: "a probe with any one grant missing says 7 or 5",
        source: "the probe runs on nodes that are not set up for the resource; 1 stops the healthy copy elsewhere",
        advice: "hand the host's error on with `?`, and do not turn it into another kind of failure",
        run: probe_denied,
    },
    Check {
        name: "start-denied",
        what: "a start with any one grant missing works or fails on this node only, and says what is missing",
        source: "6 from a start bans the resource from all nodes for one node's policy",
        advice: "hand the host's error on with `?`, and do not turn it into another kind of failure",
        run: start_denied,
    },
    Check {
        name: "stop-denied",
        what: "a stop with any one grant missing says 0 when nothing is left, and 1 otherwise",
        source: "OCF 1.1, stop: a lie lets the cluster start a second copy elsewhere",
        advice: "stop what can be stopped, and do not claim more",
        run: stop_denied,
    },
    Check {
        name: "without-policy",
        what: "without a policy a start says 4, a probe 7, and a stop of what runs 0",
        source: "the operator's consent is a file",
        advice: "this is the host's part: report it",
        run: without_policy,
    },
    Check {
        name: "without-programs",
        what: "with no program there, a probe says 7 or 5, and what runs is stopped",
        source: "ocf-tester, item 7: OCF_TESTER_FAIL_HAVE_BINARY",
        advice: "hand the host's error on with `?`; stop must not need a program that starts",
        run: without_programs,
    },
    Check {
        name: "required-parameters",
        what: "without a required parameter start and validate-all say 6, a probe 7 and a stop 0",
        source: "OCF 1.1: a missing required parameter is wrong on every node",
        advice: "this is the host's part: report it",
        run: required_parameters,
    },
    Check {
        name: "values-refused",
        what: "values that make no sense are refused by validate-all and by start",
        source: "pcs asks validate-all before it changes the configuration",
        advice: "check in validate, and type parameters: a port is a Port",
        run: values_refused,
    },
    Check {
        name: "one-second",
        what: "given one second, every action answers, and a stop with its own time cleans up",
        source: "an operator may set any timeout; OCF_RESKEY_CRM_meta_timeout says it",
        advice: "the host answers; see that nothing needs more than it was given",
        run: one_second,
    },
];

/// How long a daemon that was started may take to have children.
const SETTLED: Duration = Duration::from_millis(400);
/// What may be said of a dead daemon.
const DEAD: [crate::ocf::outcome::Exit; 3] = [Generic, NotRunning, FailedPromoted];

/// Kills all processes of all daemons.
fn kill_all(node: &Node) -> Finding {
    if node.daemons().is_empty() {
        return Err(Not::Skipped("it has no daemon that the host tracks".to_owned()));
    }
    // One that was only being made is there the next time.
    for _ in 0..5 {
        super::leftovers::kill(&node.alive())?;
    }
    Ok(())
}

/// Kills the main processes of those daemons that have others, too.
fn kill_mains(node: &Node) -> Finding {
    let limit = Instant::now() + SETTLED;
    loop {
        let daemons: Vec<_> = node.daemons().into_values().collect();
        if daemons.is_empty() {
            return Err(Not::Skipped("it has no daemon that the host tracks".to_owned()));
        }
        let several = daemons.into_iter().filter(|daemon| daemon.members.len() > 1);
        let mains: Vec<_> = several.filter_map(|daemon| daemon.main).collect();
        if !mains.is_empty() {
            return super::leftovers::kill(&mains);
        }
        if Instant::now() > limit {
            return Err(Not::Skipped("no daemon has more than one process".to_owned()));
        }
        std::thread::sleep(SETTLED / 20);
    }
}

fn daemon_killed(node: &mut Node) -> Finding {
    node.started()?;
    kill_all(node)?;
    node.expect(&node.monitor(), &DEAD)?;
    node.expect(&node.call(Action::Stop), &[Success])?;
    nothing_alive(node)?;
    node.expect(&node.call(Action::Start), &[Success])?;
    node.expect(&node.monitor(), &[Success, Degraded]).map(drop)
}

fn daemon_half_killed(node: &mut Node) -> Finding {
    node.started()?;
    kill_mains(node)?;
    let answer = node.expect(&node.monitor(), &[Generic, FailedPromoted])?;
    // The host does not let it through, and the plugin is wrong all the same.
    if let Some(reason) = answer.reason().filter(|reason| reason.contains(CONTRADICTED)) {
        return Err(Not::Failed(format!("monitor says not running: {reason}")));
    }
    node.expect(&node.call(Action::Stop), &[Success])?;
    nothing_alive(node)
}

fn probe_after_kill(node: &mut Node) -> Finding {
    node.started()?;
    kill_all(node)?;
    node.expect(&node.call(Action::Monitor), &[NotRunning]).map(drop)
}

fn start_killed(node: &mut Node) -> Finding {
    node.started()?;
    node.given(&node.call(Action::Stop), &[Success])?;
    for after in KILLED_AFTER {
        let start = node.call(Action::Start);
        let running = node.begin(&start)?;
        std::thread::sleep(after);
        running.kill();
        // It ends as the kill says, which is no answer to be judged.
        node.standing.is_off = true;
        let ended = node.end(&start, running);
        node.standing.is_off = false;
        ended?;
        let when = |not| match not {
            Not::Failed(text) => Not::Failed(format!("killed after {} ms: {text}", after.as_millis())),
            other => other,
        };
        node.expect(&node.call(Action::Stop), &[Success]).map_err(when)?;
        nothing_alive(node).map_err(when)?;
        node.expect(&node.call(Action::Monitor), &[NotRunning]).map_err(when)?;
    }
    Ok(())
}

/// Does something once for each label that is granted, with a policy that lacks it.
fn without_each(node: &mut Node, mut with: impl FnMut(&mut Node, &str) -> Finding) -> Finding {
    let policy = node.policy.clone();
    let wanted: Vec<(String, String)> = node.requests.iter().map(|r| (r.kind.clone(), r.name.clone())).collect();
    let mut tried = 0;
    for (kind, label) in wanted {
        let Some(less) = edit::without(&policy, &kind, &label) else { continue };
        // A label that the policy itself uses elsewhere cannot be taken out alone.
        if Policy::parse(&less, &store::policy_path(&node.agent)).is_err() {
            continue;
        }
        tried += 1;
        node.grant(Some(&less))?;
        with(node, &label).map_err(|not| match not {
            Not::Failed(text) => Not::Failed(format!("without {kind} {label}: {text}")),
            other => other,
        })?;
        node.clear_instance();
    }
    if tried == 0 { Err(Not::Skipped("the policy grants nothing".to_owned())) } else { Ok(()) }
}

fn probe_denied(node: &mut Node) -> Finding {
    node.worth_probing()?;
    without_each(node, |node, _| node.expect(&node.call(Action::Monitor), &[NotRunning, NotInstalled]).map(drop))
}

fn start_denied(node: &mut Node) -> Finding {
    node.worth_starting()?;
    without_each(node, |node, label| {
        let call = node.call(Action::Start);
        let answer = node.expect(&call, &[&REFUSALS[..], &[Success]].concat())?;
        let said = answer.reason().unwrap_or_default();
        match answer.exit {
            Some(Success) => Ok(()),
            _ if said.contains(label) => Ok(()),
            _ => Err(Not::Failed(format!("start fails, and does not name the label: {said}"))),
        }
    })
}

fn stop_denied(node: &mut Node) -> Finding {
    node.worth_starting()?;
    without_each(node, |node, _| {
        node.ask(&node.call(Action::Start))?;
        let before = node.alive();
        let stopped = node.expect(&node.call(Action::Stop), &[Success, Generic, Permission])?;
        if stopped.exit == Some(Success) && before.iter().any(|process| process.is_alive()) {
            return Err(Not::Failed("stop says 0, and a process of its daemon lives".to_owned()));
        }
        Ok(())
    })
}

fn without_policy(node: &mut Node) -> Finding {
    node.grant(None)?;
    node.expect(&node.call(Action::Start), &[Permission])?;
    node.expect(&node.call(Action::Monitor), &[NotRunning])?;
    node.expect(&node.call(Action::Stop), &[Success])?;
    node.grant(Some(&node.policy.clone()))?;
    node.started()?;
    // Neither today's nor the one that it was started with: what the record pins.
    node.grant(None)?;
    let pinned =
        node.record().and_then(|record| Digest::parse(&record.pins?.policy)).map(|digest| store::blob_path(&digest));
    let before = node.alive();
    if let Some(pinned) = &pinned {
        let _ = std::fs::remove_file(pinned);
    }
    let stopped = node.expect(&node.call(Action::Stop), &[Success, Generic, Permission]);
    let _ = store::keep(node.policy.as_bytes());
    if stopped?.exit == Some(Success) && before.iter().any(|process| process.is_alive()) {
        return Err(Not::Failed("stop says 0, and a process of its daemon lives".to_owned()));
    }
    Ok(())
}

fn without_programs(node: &mut Node) -> Finding {
    node.worth_probing()?;
    let missing = |call: Call| call.set("OCF_TESTER_FAIL_HAVE_BINARY", "1");
    node.expect(&missing(node.call(Action::Monitor)), &[NotRunning, NotInstalled])?;
    node.started()?;
    // It may try until its time is over, and need not have all of it.
    let stop = node.call(Action::Stop);
    let stop = if stop.timeout > BRIEFLY { stop.within(BRIEFLY) } else { stop };
    let stopped = node.expect(&missing(stop), &[Success, Generic, NotInstalled])?;
    if stopped.exit == Some(Success) { nothing_alive(node) } else { Ok(()) }
}

fn required_parameters(node: &mut Node) -> Finding {
    let required: Vec<String> =
        node.description.parameters.iter().filter(|p| p.required).map(|p| p.name.clone()).collect();
    if required.is_empty() {
        return Err(Not::Skipped("no parameter is required".to_owned()));
    }
    for name in required {
        for (action, wanted) in [
            (Action::Start, NotConfigured),
            (Action::ValidateAll, NotConfigured),
            (Action::Monitor, NotRunning),
            (Action::Stop, Success),
        ] {
            node.expect(&node.call(action).without(&name), &[wanted])?;
        }
    }
    Ok(())
}

fn values_refused(node: &mut Node) -> Finding {
    let mut wrong: Vec<(String, String)> = node.refused.clone();
    for parameter in &node.description.parameters {
        if let Some(value) = edit::nonsense(&parameter.kind) {
            wrong.push((parameter.name.clone(), value));
        }
    }
    if wrong.is_empty() {
        return Err(Not::Skipped(
            "all parameters take any text; name what is wrong with --refuse NAME=VALUE".to_owned(),
        ));
    }
    super::callers::worth_validating(node)?;
    let actions: &[Action] = match node.worth_starting() {
        Ok(()) => &[Action::ValidateAll, Action::Start],
        Err(_) => &[Action::ValidateAll],
    };
    for (name, value) in wrong {
        for action in actions.iter().copied() {
            let call = node.call(action).with(&name, &value);
            node.expect(&call, &[NotConfigured, crate::ocf::outcome::Exit::Arguments]).map_err(|not| match not {
                Not::Failed(text) => Not::Failed(format!("{name} = {value:?}: {text}")),
                other => other,
            })?;
        }
        node.clear_instance();
    }
    Ok(())
}

fn one_second(node: &mut Node) -> Finding {
    node.worth_starting()?;
    // What comes of it in so little time is not judged here; that it comes in time is, as of every call.
    for call in [node.call(Action::Monitor), node.call(Action::Start), node.monitor(), node.call(Action::Stop)] {
        let call = call.within(SECOND);
        let answer = node.ask(&call)?;
        if answer.took > SECOND {
            return Err(Not::Failed(format!("{} took {:.2} s", call.name(), answer.took.as_secs_f64())));
        }
    }
    node.expect(&node.call(Action::Stop), &[Success])?;
    nothing_alive(node)
}
