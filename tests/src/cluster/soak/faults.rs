//! What happens in a soak, one line each: what is done, what it may lead to, and how it is put right.

use super::super::{Cluster, Filled, Node, install, install_policy, policy_path};
use super::{Chance, Kind, Member};
use crate::host::{plugin, policy_of, variant_of};
use crate::processes;
use anyhow::Context as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

const SERVER: &str = "ocf-wasm/sample-tcp-server";

/// One thing that can happen.
pub(super) struct Fault {
    /// For people.
    pub(super) name: &'static str,
    /// Whether the cluster may fence the node that it happened to.
    pub(super) may_fence: bool,
    /// Whether actions of the resource that it happened to may fail.
    pub(super) may_fail: bool,
    /// How often, beside the others.
    pub(super) weight: u32,
    pub(super) done: fn(&mut Stage<'_>) -> anyhow::Result<()>,
    /// After the time for which it lasts; nothing is checked before.
    pub(super) mended: fn(&mut Stage<'_>) -> anyhow::Result<()>,
    /// Seconds for which it lasts.
    pub(super) lasts: u64,
}

/// To what it happens.
pub(super) struct Stage<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) node: &'a Node,
    pub(super) member: &'a Member,
    /// The daemon's process, as seen from outside.
    pub(super) daemon: Option<i32>,
    pub(super) chance: &'a mut Chance,
    pub(super) scratch: &'a Path,
    pub(super) filled: Option<Filled>,
}

impl Stage<'_> {
    fn ask(&self, argv: &[&str]) -> anyhow::Result<()> {
        let ran = self.cluster.ask(argv);
        anyhow::ensure!(ran.code == 0, "{ran:#?}");
        Ok(())
    }

    /// A process of the instance with something in its command line and among its variables.
    fn helper(&self, what: &str, variable: &str) -> Option<i32> {
        let instance = format!("OCF_RESOURCE_INSTANCE={}", self.member.id);
        let is_it = |pid: &i32| processes::command_line(*pid).contains(what);
        let mut found = processes::all().filter(is_it);
        found.find(|pid| {
            processes::has_variable(*pid, &instance) && (variable.is_empty() || processes::has_variable(*pid, variable))
        })
    }
}

fn signal(pid: Option<i32>, signal: &str) {
    if let Some(pid) = pid {
        processes::kill(pid, signal);
    }
}

fn nothing(_: &mut Stage<'_>) -> anyhow::Result<()> {
    Ok(())
}

const fn fault(name: &'static str, done: fn(&mut Stage<'_>) -> anyhow::Result<()>) -> Fault {
    Fault { name, may_fence: false, may_fail: false, weight: 2, done, mended: nothing, lasts: 0 }
}

/// All that can happen.
pub(super) const FAULTS: [Fault; 23] = [
    Fault {
        may_fail: true,
        weight: 4,
        ..fault("daemon killed", |stage| {
            signal(stage.daemon, "-KILL");
            Ok(())
        })
    },
    Fault {
        may_fail: true,
        lasts: 10,
        ..fault("daemon hangs", |stage| {
            signal(stage.daemon, "-STOP");
            Ok(())
        })
    },
    Fault {
        may_fail: true,
        ..fault("keeper killed", |stage| {
            let keeper =
                stage.daemon.and_then(processes::parent).filter(|pid| processes::command_line(*pid).contains("keeper"));
            signal(keeper, "-KILL");
            Ok(())
        })
    },
    Fault {
        may_fail: true,
        ..fault("monitor killed", |stage| {
            for _ in 0..400 {
                if let Some(pid) = stage.helper("resource.d", "__OCF_ACTION=monitor") {
                    signal(Some(pid), "-KILL");
                    break;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            Ok(())
        })
    },
    Fault { may_fence: true, ..fault("power lost", |stage| stage.node.power_off()) },
    Fault { may_fence: true, ..fault("node hangs", |stage| stage.node.freeze()) },
    Fault { may_fence: true, weight: 1, ..fault("link cut", |stage| stage.node.cut()) },
    Fault { may_fence: true, weight: 1, ..fault("isolated", |stage| stage.node.isolate()) },
    Fault {
        may_fence: true,
        weight: 1,
        ..fault("corosync killed", |stage| {
            stage.node.run(&["pkill", "-KILL", "-x", "corosync"]);
            Ok(())
        })
    },
    Fault {
        mended: |stage| stage.node.start_cluster(),
        weight: 1,
        ..fault("cluster stopped on the node", |stage| stage.node.stop_cluster())
    },
    Fault {
        mended: mend_policy,
        lasts: 6,
        ..fault("policy mistyped", |stage| {
            install_policy(stage.node, SERVER, &policy_of("sample-tcp-server").replace("lifetime", "liftime"))
        })
    },
    Fault {
        mended: mend_policy,
        lasts: 6,
        ..fault("policy deleted", |stage| fs::remove_file(policy_path(stage.node, SERVER)).context("the policy"))
    },
    Fault {
        mended: mend_policy,
        lasts: 6,
        ..fault("policy writable by all", |stage| {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(policy_path(stage.node, SERVER), fs::Permissions::from_mode(0o666))
                .context("the policy")
        })
    },
    Fault {
        lasts: 5,
        ..fault("cache emptied", |stage| {
            for entry in fs::read_dir(stage.node.disk().join("cache"))?.flatten() {
                fs::remove_file(entry.path())?;
            }
            Ok(())
        })
    },
    fault("another version on all nodes", |stage| {
        let number = stage.chance.below(250) + 1;
        let mark = u8::try_from(number).unwrap_or(1);
        let component = variant_of(&plugin("sample-tcp-server"), mark, stage.scratch);
        stage.cluster.nodes().iter().try_for_each(|node| install(node, &component, &[]).map(drop))
    }),
    fault("the version before on one node", |stage| {
        // Where there is none yet it says so, and nothing changes.
        stage.node.run(&["ocf-wasm", "rollback", SERVER]);
        Ok(())
    }),
    Fault {
        mended: |stage| {
            let id = stage.member.id.as_str();
            stage.ask(&["crm_resource", "--resource", id, "--clear"])
        },
        lasts: 8,
        ..fault("moved away", |stage| {
            let (id, node) = (stage.member.id.as_str(), stage.node.name());
            stage.ask(&["crm_resource", "--resource", id, "--ban", "--node", node])
        })
    },
    Fault {
        mended: |stage| stage.ask(&["crm_standby", "--node", stage.node.name(), "--delete"]),
        lasts: 10,
        ..fault("standby", |stage| stage.ask(&["crm_standby", "--node", stage.node.name(), "--update", "on"]))
    },
    Fault {
        mended: |stage| stage.ask(&["crm_attribute", "--name", "maintenance-mode", "--delete"]),
        lasts: 6,
        weight: 1,
        ..fault("maintenance", |stage| stage.ask(&["crm_attribute", "--name", "maintenance-mode", "--update", "true"]))
    },
    fault("all probed again", |stage| stage.ask(&["crm_resource", "--refresh"])),
    Fault { mended: |stage| stage.node.load(0), lasts: 15, ..fault("processors busy", |stage| stage.node.load(2)) },
    Fault {
        mended: |stage| {
            stage.filled = None;
            Ok(())
        },
        lasts: 6,
        ..fault("/run full", |stage| {
            stage.filled = Some(stage.node.fill("/run")?);
            Ok(())
        })
    },
    Fault {
        mended: |stage| {
            let id = stage.member.id.as_str();
            stage.ask(&["crm_resource", "--resource", id, "--meta", "--delete-parameter", "target-role"])
        },
        lasts: 6,
        ..fault("stopped by the operator", |stage| {
            let id = stage.member.id.as_str();
            let set = ["--set-parameter", "target-role", "--parameter-value", "Stopped"];
            stage.ask(&[&["crm_resource", "--resource", id, "--meta"], &set[..]].concat())
        })
    },
];

fn mend_policy(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    install_policy(stage.node, SERVER, &policy_of("sample-tcp-server"))
}

impl Fault {
    /// One of all, as often as its weight says, that can happen to this resource.
    pub(super) fn of(chance: &mut Chance, member: &Member) -> &'static Self {
        let total: u32 = FAULTS.iter().map(|fault| fault.weight).sum();
        loop {
            let mut at = chance.below(total);
            let found = FAULTS.iter().find(|fault| {
                let is_it = at < fault.weight;
                at = at.saturating_sub(fault.weight);
                is_it
            });
            // Only what is by itself has an identity that an operator moves or stops alone.
            if let Some(found) = found
                && (member.kind == Kind::Alone || !matches!(found.name, "moved away" | "stopped by the operator"))
            {
                return found;
            }
        }
    }
}
