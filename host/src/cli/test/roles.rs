//! What a plugin may export besides the lifecycle: roles, notifications, migration, reload.

use super::call::Call;
use super::life::still_alive;
use super::node::Node;
use super::{Check, Finding, Not, edit};
use crate::ocf::Action;
use crate::ocf::outcome::Exit::{Degraded, DegradedPromoted, FailedPromoted, Generic, NotRunning, Promoted, Success};

pub(super) static CHECKS: [Check; 11] = [
    Check {
        name: "promote",
        what: "a promote says 0, and monitor and probe then say 8",
        source: "OCF 1.1, promote and monitor; ocf-tester never looks",
        advice: "monitor must say Health::Promoted for what was promoted",
        run: |node| {
            node.role()?;
            node.started()?;
            node.expect(&node.call(Action::Promote), &[Success])?;
            for call in [promoted_monitor(node), node.call(Action::Monitor)] {
                node.expect(&call, &[Promoted, DegradedPromoted])?;
            }
            Ok(())
        },
    },
    Check {
        name: "promote-twice",
        what: "a second promote says 0 and changes nothing",
        source: "OCF 1.1, promote: already promoted is success",
        advice: "monitor must say Health::Promoted, so that promote is not called again",
        run: |node| {
            node.promoted()?;
            let before = node.alive();
            node.expect(&node.call(Action::Promote), &[Success])?;
            still_alive(&before, "the second promote")
        },
    },
    Check {
        name: "demote",
        what: "a demote says 0, and monitor then says 0; a second one says 0",
        source: "OCF 1.1, demote: running and unpromoted",
        advice: "demote gives the role back and keeps what runs",
        run: |node| {
            node.promoted()?;
            node.expect(&node.call(Action::Demote), &[Success])?;
            node.expect(&node.monitor(), &[Success, Degraded])?;
            node.expect(&node.call(Action::Demote), &[Success]).map(drop)
        },
    },
    Check {
        name: "demote-keeps-running",
        what: "a demote keeps the processes that run",
        source: "OCF 1.1, demote: the resource goes on running",
        advice: "if a demotion needs another process, say so in the README, and ignore this",
        run: |node| {
            node.promoted()?;
            let before = node.alive();
            node.given(&node.call(Action::Demote), &[Success])?;
            still_alive(&before, "the demote")
        },
    },
    Check {
        name: "stop-promoted",
        what: "a stop of what is promoted says 0, and nothing is left",
        source: "Pacemaker demotes first, and stops all the same if that fails",
        advice: "stop must not need the role",
        run: |node| {
            node.promoted()?;
            if node.failed.contains("stop-by-plugin") {
                return Err(Not::Blocked("stop-by-plugin did not pass".to_owned()));
            }
            let stopped = node.expect(&node.call(Action::Stop), &[Success])?;
            super::life::by_plugin(&stopped)?;
            node.expect(&node.monitor(), &[NotRunning])?;
            super::life::nothing_alive(node)
        },
    },
    Check {
        name: "start-promoted",
        what: "a start of what is promoted says 0 and leaves it unpromoted",
        source: "OCF 1.1, start: a role-aware agent ends unpromoted",
        advice: "demote must give the role back: start asks for it",
        run: |node| {
            node.promoted()?;
            if node.failed.contains("demote") {
                return Err(Not::Blocked("demote did not pass".to_owned()));
            }
            node.expect(&node.call(Action::Start), &[Success])?;
            node.expect(&node.monitor(), &[Success, Degraded]).map(drop)
        },
    },
    Check {
        name: "promoted-killed",
        what: "a promoted copy whose daemon is killed is not promoted to the next monitor",
        source: "8 from a dead copy keeps the cluster from promoting another",
        advice: "monitor must ask for the daemon before it looks at the role",
        run: |node| {
            node.promoted()?;
            let victims = node.alive();
            if victims.is_empty() {
                return Err(Not::Skipped("it has no daemon that the host tracks".to_owned()));
            }
            super::leftovers::kill(&victims)?;
            let call = promoted_monitor(node);
            node.expect(&call, &[Generic, NotRunning, FailedPromoted]).map(drop)
        },
    },
    Check {
        name: "notify",
        what: "each of the eight notifications is taken without an error",
        source: "OCF 1.1, notify; Pacemaker ignores what comes of it, so a failure is only seen in the log",
        advice: "a copy is told of itself too, and lists may be empty",
        run: notify,
    },
    Check {
        name: "migrate",
        what: "it moves: migrate_to and stop here, migrate_from where nothing is known of it, and it runs",
        source: "Pacemaker: migrate_to on the source, migrate_from on the target, stop on the source",
        advice: "state is private to a node: migrate_from must not need what migrate_to wrote",
        run: migrate,
    },
    Check {
        name: "reload",
        what: "a reload-agent with a changed parameter says 0, it runs, and the same processes do",
        source: "OCF 1.1, reload-agent: without a restart",
        advice: "signal the daemon, or write what it reads again",
        run: reload,
    },
    Check {
        name: "unexported",
        what: "what the plugin does not export is 3 and not advertised, and what it advertises it does",
        source: "OCF 1.1, actions; pcs and crmsh offer what is advertised",
        advice: "list what is implemented in agent!(Name: ...)",
        run: super::meta::actions_as_exported,
    },
];

impl Node {
    fn role(&self) -> Finding {
        exported(self.description.exports.role, "role")
    }

    /// Starts and promotes the instance of this check, unless it is known that this does not work.
    fn promoted(&mut self) -> Finding {
        self.role()?;
        if self.failed.contains("promote") {
            return Err(Not::Blocked("promote did not pass".to_owned()));
        }
        self.started()?;
        self.given(&self.call(Action::Promote), &[Success]).map(drop)
    }
}

fn exported(is: bool, what: &str) -> Finding {
    if is { Ok(()) } else { Err(Not::Skipped(format!("it does not export {what}"))) }
}

fn promoted_monitor(node: &Node) -> Call {
    node.monitor().with("CRM_meta_role", "Promoted")
}

fn notify(node: &mut Node) -> Finding {
    exported(node.description.exports.notification, "notification")?;
    node.started()?;
    let instance = node.instance.clone();
    let lists = ["start", "stop", "promote", "demote", "active", "inactive", "promoted", "unpromoted"];
    let legacy = [("master", "promoted"), ("slave", "unpromoted")];
    for operation in ["start", "stop", "promote", "demote"] {
        for when in ["pre", "post"] {
            let mut call = node.call(Action::Notify);
            for (name, of) in lists.iter().map(|name| (*name, *name)).chain(legacy) {
                let is_named = of == operation || of == "active";
                let (resource, uname) = if is_named { (instance.as_str(), "node1") } else { (" ", " ") };
                call = call.with(&format!("CRM_meta_notify_{name}_resource"), resource);
                call = call.with(&format!("CRM_meta_notify_{name}_uname"), uname);
            }
            for (name, value) in [
                ("type", when),
                ("operation", operation),
                ("available_uname", "node1 node2"),
                ("all_uname", "node1 node2"),
            ] {
                call = call.with(&format!("CRM_meta_notify_{name}"), value);
            }
            for (name, value) in [("clone", "0"), ("clone_max", "2"), ("clone_node_max", "1"), ("notify", "true")] {
                call = call.with(&format!("CRM_meta_{name}"), value);
            }
            let answer = node.expect(&call, &[Success])?;
            if let Some(line) = answer.log.iter().find(|line| line.contains("ERROR: ")) {
                let (_, line) = line.split_once("ERROR: ").unwrap_or(("", line));
                return Err(Not::Failed(format!("{when}-{operation}: {line}")));
            }
        }
    }
    node.expect(&node.monitor(), &[Success, Degraded]).map(drop)
}

fn migrate(node: &mut Node) -> Finding {
    exported(node.description.exports.migration, "migration")?;
    node.started()?;
    let moving = |call: Call| call.with("CRM_meta_migrate_source", "node1").with("CRM_meta_migrate_target", "node2");
    node.expect(&moving(node.call(Action::MigrateTo)), &[Success])?;
    node.expect(&moving(node.call(Action::Stop)), &[Success])?;
    // The other node has not heard of it.
    node.clear_instance();
    let there = |call: Call| call.with("CRM_meta_on_node", "node2");
    node.expect(&there(moving(node.call(Action::MigrateFrom))), &[Success])?;
    node.expect(&there(node.monitor()), &[Success, Degraded])?;
    node.expect(&there(node.call(Action::Stop)), &[Success])?;
    super::life::nothing_alive(node)
}

fn reload(node: &mut Node) -> Finding {
    exported(node.description.exports.reload, "reload")?;
    let changed = node.reload.clone().or_else(|| {
        let parameter = node.description.parameters.iter().find(|parameter| parameter.reloadable)?;
        let given = node.given.iter().rev().find(|(name, _)| *name == parameter.name).map(|(_, value)| value.as_str());
        let value = edit::another(&parameter.kind, given.or(parameter.default.as_deref()))?;
        Some((parameter.name.clone(), value))
    });
    let Some((name, value)) = changed else {
        return Err(Not::Skipped(
            "no reloadable parameter has another value; name one: --reload NAME=VALUE".to_owned(),
        ));
    };
    node.started()?;
    let before = node.alive();
    let call = node.call(Action::Reload).with(&name, &value);
    let about = |not| match not {
        Not::Failed(text) => Not::Failed(format!("{name} = {value:?}: {text}")),
        other => other,
    };
    node.expect(&call, &[Success]).map_err(about)?;
    still_alive(&before, "the reload")?;
    let monitor = node.monitor().with(&name, &value);
    node.expect(&monitor, &[Success, Degraded]).map_err(about)?;
    let stop = node.call(Action::Stop).with(&name, &value);
    node.expect(&stop, &[Success]).map_err(about).map(drop)
}
