//! What a box is told, and the names on which both sides agree. It comes as one argument, in JSON.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What the control groups of a box begin with; the process id of its keeper follows.
pub const GROUP: &str = "ocf-wasm-box-";
/// What a box brings up: a system with a bus and a journal, and nothing that the machine has enabled.
pub const TARGET: &str = "ocf-wasm-box.target";
/// Where systemd is, wherever `/lib` leads.
pub const SYSTEMD: &str = "/lib/systemd/systemd";

/// A box.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    /// The name of the machine that it pretends to be.
    pub name: String,
    /// Files and directories to show inside, never to be written there: where they are, and where the box sees them.
    pub binds: Vec<(PathBuf, PathBuf)>,
    /// Its control groups, one in each hierarchy, made before it; filled in by its keeper, if it has one.
    pub groups: Vec<PathBuf>,
    /// A directory that keeps what is written when the box ends, and that it finds again; memory, if there is none.
    pub disk: Option<PathBuf>,
    /// The address of `eth0`, which it waits for; a box without has a loopback only.
    pub address: Option<String>,
    /// Units of the machine's packages that it starts by itself.
    pub starts: Vec<String>,
}
