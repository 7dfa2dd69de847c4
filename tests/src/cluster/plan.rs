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

/// The room: the network, the disks and the control groups of all nodes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RoomPlan {
    /// How many nodes it is for.
    pub nodes: usize,
    /// Size of a node's disk in bytes.
    pub disk_bytes: u64,
}

/// What the room says when it is ready.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RoomReady {
    /// Its first process, as seen from outside.
    pub pid: i32,
    /// The directory with one control group a node.
    pub groups: PathBuf,
}

/// One node. All paths are as the room sees them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodePlan {
    /// Which node it is, from 1.
    pub number: usize,
    /// What outlives the loss of its power.
    pub disk: PathBuf,
    /// Its control group.
    pub group: PathBuf,
    /// Files and directories to show inside, never to be written there: where they are, and where the node sees them.
    pub binds: Vec<(PathBuf, PathBuf)>,
    /// Size of its `/run` in bytes.
    pub run_bytes: u64,
}
