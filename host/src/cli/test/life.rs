//! From nothing to nothing: probe, start, monitor, stop, each of them twice, and what is there in between.

use std::time::Duration;

use super::node::Node;
use super::{Check, Finding, Not};
use crate::instance::State;
use crate::ocf::Action;
use crate::ocf::outcome::Exit::{Degraded, NotRunning, Success};
use crate::sys::process::ProcessId;

/// Checks without which nothing else is worth a try, in the order in which they run.
pub(super) const BASICS: [&str; 4] = ["probe-before-start", "stop-before-start", "start", "stop"];

pub(super) static CHECKS: [Check; 17] = [
    Check {
        name: "probe-before-start",
        what: "a probe before anything says 7",
        source: "OCF 1.1, monitor; Pacemaker stops what a probe finds where it should not run",
        advice: "monitor must see that nothing runs: 7 is for sure, and a failure is for doubt",
        run: |node| node.expect(&node.call(Action::Monitor), &[NotRunning]).map(drop),
    },
    Check {
        name: "monitor-before-start",
        what: "a recurring monitor before anything says 7",
        source: "OCF 1.1, monitor; ocf-tester, item 6",
        advice: "monitor must see that nothing runs",
        run: |node| node.expect(&node.monitor(), &[NotRunning]).map(drop),
    },
    Check {
        name: "stop-before-start",
        what: "a stop of what never ran says 0",
        source: "OCF 1.1, stop: already stopped is success; a failed stop fences the node",
        advice: "stop must work for something that is not there",
        run: |node| node.expect(&node.call(Action::Stop), &[Success]).map(drop),
    },
    Check {
        name: "looking-changes-nothing",
        what: "probe, monitor, stop and validate-all of what never ran leave no record",
        source: "a probe runs on every node of the cluster, also on those that never run the resource",
        advice: "this is the host's part: report it",
        run: looking_changes_nothing,
    },
    Check {
        name: "start",
        what: "a start says 0, and it runs",
        source: "OCF 1.1, start: running and usable before it returns",
        advice: "ocf-wasm run FILE.wasm start --trace shows each call",
        run: |node| node.expect(&node.call(Action::Start), &[Success]).map(drop),
    },
    Check {
        name: "stop",
        what: "a stop of what runs says 0, and nothing of it is left",
        source: "OCF 1.1, stop; a failed stop fences the node",
        advice: "ocf-wasm run FILE.wasm stop --trace shows each call",
        run: stop,
    },
    Check {
        name: "stop-by-plugin",
        what: "the plugin stops what it started; the host need not end it in its place",
        source: "what the host ends is ended by signals, without what the plugin knows about a clean end",
        advice: "stop every program that start starts",
        run: stop_by_plugin,
    },
    Check {
        name: "stop-twice",
        what: "a second stop says 0, and not 7",
        source: "OCF 1.1, stop; ocf-tester, item 19",
        advice: "stop must work for something that is stopped",
        run: |node| {
            node.started()?;
            node.given(&node.call(Action::Stop), &[Success])?;
            node.expect(&node.call(Action::Stop), &[Success]).map(drop)
        },
    },
    Check {
        name: "monitor-started",
        what: "a recurring monitor of what was started says 0, again and again",
        source: "OCF 1.1, monitor",
        advice: "ocf-wasm run PROVIDER/TYPE monitor --interval 10s --trace shows each call",
        run: |node| {
            node.started()?;
            for _ in 0..3 {
                node.expect(&node.monitor(), &[Success, Degraded])?;
            }
            Ok(())
        },
    },
    Check {
        name: "probe-started",
        what: "a probe of what was started says 0",
        source: "Pacemaker probes again after crm_resource --refresh",
        advice: "a probe and a monitor see the same: do not ask instance::is_probe without a reason",
        run: |node| {
            node.started()?;
            node.expect(&node.call(Action::Monitor), &[Success, Degraded]).map(drop)
        },
    },
    Check {
        name: "monitor-levels",
        what: "thorough monitors, level 10 and 20, of what was started say 0",
        source: "OCF 1.1, OCF_CHECK_LEVEL: a level that an agent does not have is the next lower one",
        advice: "instance::check_level() >= 10, and not == 10",
        run: |node| {
            node.started()?;
            for level in [10, 20] {
                node.expect(&node.monitor().level(level), &[Success, Degraded])?;
            }
            Ok(())
        },
    },
    Check {
        name: "monitors-together",
        what: "four monitors at the same time say 0",
        source: "a recurring monitor, crm_resource --force-check and a person may meet",
        advice: "monitor must not change anything, nor keep a port for itself",
        run: monitors_together,
    },
    Check {
        name: "start-twice",
        what: "a second start says 0 and changes nothing",
        source: "OCF 1.1, start: already running is success without change",
        advice: "monitor must say 0 for what runs, so that start is not called again",
        run: start_twice,
    },
    Check {
        name: "after-stop",
        what: "after a stop, probe and recurring monitor say 7",
        source: "OCF 1.1, monitor; ocf-tester, item 15",
        advice: "stop must undo what monitor looks at",
        run: |node| {
            node.started()?;
            node.given(&node.call(Action::Stop), &[Success])?;
            node.expect(&node.call(Action::Monitor), &[NotRunning])?;
            node.expect(&node.monitor(), &[NotRunning]).map(drop)
        },
    },
    Check {
        name: "start-after-stop",
        what: "what was stopped can be started again, at once",
        source: "OCF 1.1, stop: a restart is possible here or elsewhere; ocf-tester, item 16",
        advice: "stop must free what start needs: ports, locks, files",
        run: |node| {
            node.started()?;
            node.given(&node.call(Action::Stop), &[Success])?;
            node.expect(&node.call(Action::Start), &[Success])?;
            node.expect(&node.monitor(), &[Success, Degraded])?;
            node.expect(&node.call(Action::Stop), &[Success]).map(drop)
        },
    },
    Check {
        name: "stop-leaves-nothing",
        what: "after a stop the record is empty: no daemon, no state, no files",
        source: "OCF 1.1, stop: nothing is left",
        advice: "this is the host's part: report it",
        run: stop_leaves_nothing,
    },
    Check {
        name: "stop-without-parameters",
        what: "what was started is monitored and stopped although its parameters are gone",
        source: "Pacemaker calls stop with the parameters of the configuration when it has none cached",
        advice: "this is the host's part: report it",
        run: |node| {
            node.started()?;
            for (call, wanted) in [(node.monitor(), &[Success, Degraded][..]), (node.call(Action::Stop), &[Success])] {
                let bare = node.given.iter().fold(call, |call, (name, _)| call.without(name));
                node.expect(&bare, wanted)?;
            }
            nothing_alive(node)
        },
    },
];

/// Fails if a process of the instance is alive.
pub(super) fn nothing_alive(node: &Node) -> Finding {
    match node.alive().first() {
        None => Ok(()),
        Some(left) => Err(Not::Failed(format!("stop says 0, and process {} of its daemon lives", left.pid))),
    }
}

/// Fails if one of these processes is gone.
pub(super) fn still_alive(before: &[ProcessId], what: &str) -> Finding {
    match before.iter().find(|process| !process.is_alive()) {
        None => Ok(()),
        Some(gone) => Err(Not::Failed(format!("{what} ended process {}, which ran", gone.pid))),
    }
}

fn looking_changes_nothing(node: &mut Node) -> Finding {
    node.worth_probing()?;
    for call in [node.call(Action::Monitor), node.monitor(), node.call(Action::Stop), node.call(Action::ValidateAll)] {
        node.ask(&call)?;
    }
    match node.directory().is_there() {
        false => Ok(()),
        true => Err(Not::Failed("there is a record of what never ran".to_owned())),
    }
}

fn stop(node: &mut Node) -> Finding {
    node.started()?;
    let before = node.alive();
    node.expect(&node.call(Action::Stop), &[Success])?;
    match before.iter().find(|process| process.is_alive()) {
        None => nothing_alive(node),
        Some(left) => Err(Not::Failed(format!("stop says 0, and process {} of its daemon lives", left.pid))),
    }
}

fn stop_by_plugin(node: &mut Node) -> Finding {
    node.started()?;
    let labels: Vec<String> = node.daemons().into_keys().collect();
    let answer = node.given(&node.call(Action::Stop), &[Success])?;
    by_plugin(&answer)?;
    let is_stopped = |label: &&String| answer.trace.iter().any(|line| line.is_stop_of(label));
    match labels.iter().find(|label| !is_stopped(label)) {
        None => Ok(()),
        Some(label) => Err(Not::Failed(format!("the plugin does not stop program {label}"))),
    }
}

/// Fails if the host had to end what the plugin could not.
pub(super) fn by_plugin(stopped: &super::call::Answer) -> Finding {
    let line = stopped.log.iter().find(|line| line.contains("the host ends what it started"));
    line.map_or(Ok(()), |line| {
        Err(Not::Failed(line.split_once("ERROR: ").map_or(line.as_str(), |(_, l)| l).to_owned()))
    })
}

fn monitors_together(node: &mut Node) -> Finding {
    node.started()?;
    let call = node.monitor();
    // What one of them has running is no stray of another.
    node.standing.is_off = true;
    let begun: Vec<_> = (0..4).map(|_| node.begin(&call)).collect::<Result<_, _>>()?;
    let answers: Vec<_> = begun.into_iter().map(|running| node.end(&call, running)).collect();
    node.standing.is_off = false;
    for answer in answers {
        let answer = answer?;
        let wanted = [Success, Degraded];
        if !answer.exit.is_some_and(|exit| wanted.contains(&exit)) {
            return Err(Not::Failed(answer.instead_of(&call, &wanted)));
        }
    }
    Ok(())
}

fn start_twice(node: &mut Node) -> Finding {
    node.started()?;
    let before = node.alive();
    node.expect(&node.call(Action::Start), &[Success])?;
    still_alive(&before, "the second start")?;
    node.expect(&node.monitor(), &[Success, Degraded]).map(drop)
}

fn stop_leaves_nothing(node: &mut Node) -> Finding {
    node.started()?;
    node.given(&node.call(Action::Stop), &[Success])?;
    let Some(record) = node.record() else { return Err(Not::Failed("the record is gone".to_owned())) };
    if record.state != State::Stopped || !record.daemons.is_empty() || !record.notebook.is_empty() {
        return Err(Not::Failed(format!("the record says {} and is not empty", record.state.word())));
    }
    let entries = std::fs::read_dir(node.directory().path()).into_iter().flatten().flatten();
    let ours = ["record", "lock", "actions"];
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let left: Vec<String> = names.filter(|name| !ours.contains(&name.as_str())).collect();
    if left.is_empty() { Ok(()) } else { Err(Not::Failed(format!("left beside the record: {}", left.join(", ")))) }
}

/// How long into a start it is killed.
pub(super) const KILLED_AFTER: [Duration; 4] =
    [Duration::from_millis(3), Duration::from_millis(10), Duration::from_millis(30), Duration::from_millis(80)];
