//! What a node is made of: with the harness' own first process, or as a box with a real systemd.

use super::plan::{CHECKOUT, FENCE_AGENT, Init, MEMORY, NETWORK, NodePlan, ON_DISK, POWER, SOCKET, node_name};
use crate::boxes::plan::Plan;
use crate::executor::own_program;
use crate::host::dist;
use crate::source::checkout;
use std::path::{Path, PathBuf};

/// What Debian's packages have systemd start at boot.
const STARTS: [&str; 2] = ["corosync.service", "pacemaker.service"];

/// Files and directories of the machine that nodes show inside.
pub(super) fn binds(init: Init) -> anyhow::Result<Vec<(PathBuf, PathBuf)>> {
    let tree = dist();
    let mut binds = vec![(own_program("cluster")?, PathBuf::from(FENCE_AGENT))];
    match init {
        Init::Harness => {
            for path in ["usr/libexec/ocf-wasm", "usr/bin/ocf-wasm"] {
                binds.push((tree.join(path), Path::new("/").join(path)));
            }
        }
        Init::Systemd => {
            let inside = Path::new(CHECKOUT);
            binds.push((tree, inside.join("target/dist")));
            binds.push((checkout().join("tests/failover"), inside.join("tests/failover")));
        }
    }
    Ok(binds)
}

/// The box that a node is. What it writes outlives the loss of its power, all but `/run` and `/tmp`.
pub(super) fn boxed(plan: &NodePlan) -> Plan {
    let kept = ON_DISK.into_iter().chain([("log", "/var/log")]);
    let mut binds: Vec<_> = kept.map(|(name, inside)| (plan.disk.join(name), PathBuf::from(inside))).collect();
    let power = Path::new(SOCKET).parent().unwrap_or(Path::new(""));
    binds.push((Path::new(MEMORY).join(power), PathBuf::from(POWER)));
    binds.extend(plan.binds.clone());
    Plan {
        name: node_name(plan.number),
        binds,
        groups: std::iter::once(&plan.group).chain(&plan.others).cloned().collect(),
        disk: Some(plan.disk.join("layers")),
        address: Some(format!("{NETWORK}.{}/24", plan.number)),
        starts: STARTS.map(str::to_owned).to_vec(),
    }
}
