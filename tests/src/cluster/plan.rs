//! What the harness tells the first processes that it makes, and the names on which both sides agree.
//!
//! A plan comes as one argument, in JSON. Nothing else belongs here: no behaviour, only the words.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The file system of the room's own, in memory; only the room and what is started from it see it.
pub const MEMORY: &str = "/mnt";
/// Where the harness listens to fence agents, below [`MEMORY`] and, bound there, in each node below [`POWER`].
pub const SOCKET: &str = "power/socket";
/// Where a node finds the socket's directory.
pub const POWER: &str = "/run/power";
/// The fence agent, where Pacemaker looks for such; the directory is compiled into it.
pub const FENCE_AGENT: &str = "/usr/sbin/fence_namespace";
/// The fence agent as a resource of class `stonith`.
pub const FENCE_TYPE: &str = "fence_namespace";
/// The first three numbers of all addresses; node `i` has `i` as its fourth.
pub const NETWORK: &str = "10.77.0";
/// The bridge in the room, and the last number of its address: the client.
pub const BRIDGE: (&str, u8) = ("br0", 254);
/// What a control group of a room begins with; the room's process id follows.
pub const GROUP: &str = "ocf-wasm-cluster-";

/// The name of a node, from 1.
pub fn node_name(number: usize) -> String {
    format!("node{number}")
}

/// What is on a node's disk, and where the node sees it. Its log, in `log`, is what else it keeps.
pub const ON_DISK: [(&str, &str); 7] = [
    ("etc/corosync", "/etc/corosync"),
    ("etc/ocf-wasm", "/etc/ocf-wasm"),
    ("etc/hosts", "/etc/hosts"),
    ("lib", "/var/lib/ocf-wasm"),
    ("cache", "/var/cache/ocf-wasm"),
    ("corosync", "/var/lib/corosync"),
    ("pacemaker", "/var/lib/pacemaker"),
];

/// What a node's first process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Init {
    /// The harness' own, which starts corosync and Pacemaker; ours is installed. Up in four seconds.
    Harness,
    /// A real systemd, which starts the units of Debian's packages. Nothing of ours is installed: the tree to do it from is
    /// at [`CHECKOUT`]. Up in eight seconds.
    Systemd,
}

/// Where a node with systemd sees what of the checkout is for it: `target/dist`, `tests/failover`.
pub const CHECKOUT: &str = "/opt/ocf-wasm";

/// The room: the network, the disks and the control groups of all nodes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RoomPlan {
    /// How many nodes it is for.
    pub nodes: usize,
    /// Size of a node's disk in bytes.
    pub disk_bytes: u64,
    /// Whether the nodes are in control groups of every hierarchy, as systemd needs it.
    pub has_all_hierarchies: bool,
}

/// What the room says when it is ready.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RoomReady {
    /// Its first process, as seen from outside.
    pub pid: i32,
    /// The directory with one control group a node.
    pub groups: PathBuf,
    /// The same in the other hierarchies.
    pub others: Vec<PathBuf>,
}

/// One node. All paths are as the room sees them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodePlan {
    /// Which node it is, from 1.
    pub number: usize,
    /// What outlives the loss of its power.
    pub disk: PathBuf,
    /// What it is.
    pub init: Init,
    /// Its control group.
    pub group: PathBuf,
    /// The same in the other hierarchies.
    pub others: Vec<PathBuf>,
    /// Files and directories to show inside, never to be written there: where they are, and where the node sees them.
    pub binds: Vec<(PathBuf, PathBuf)>,
    /// Size of its `/run` in bytes.
    pub run_bytes: u64,
}
