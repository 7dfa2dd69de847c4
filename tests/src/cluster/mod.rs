//! A real cluster on one machine: corosync and Pacemaker on nodes that are namespaces, with faults and real fencing.
//!
//! [`Cluster::up`] makes a *room*: one process in namespaces of its own that holds a bridge, a disk in memory for each
//! node, and the nodes' control groups. In it are the nodes, each with its own mount, pid, uts, ipc and net namespaces,
//! `corosync`, `pacemakerd` and the laid out binaries. Everything ends with the room, and the room ends with the
//! [`Cluster`] or with the process that made it, however that dies. Nothing of the machine is touched.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use ocf_wasm_tests::cluster::{Cluster, LONG, Primitive, Setup};
//!
//! let cluster = Cluster::up(Setup::default())?;
//! cluster.install(&["dummy"])?;
//! cluster.add(&[Primitive::ours("d", "dummy").monitored("2s").xml()], &[]);
//! let node = cluster.until("d is started", LONG, |now| now.of("d").find_map(|d| d.nodes.first().cloned()));
//! cluster.named(&node).power_off()?;
//! cluster.until("d is started elsewhere", LONG, |now| now.of("d").any(|d| d.nodes != [node.clone()]).then_some(()));
//! # Ok(())
//! # }
//! ```
//!
//! It needs root, Debian's packages `corosync`, `pacemaker` and `pacemaker-cli-utils`, the tools of `iproute2` and
//! `util-linux`, and a control group v2 hierarchy; [`available`] says what is missing.

mod boxed;
mod client;
mod configuration;
mod disk;
mod files;
pub mod load;
mod node;
pub mod plan;
mod power;
mod room;
pub mod soak;
mod status;

pub use configuration::{Primitive, clone, group, location};
pub use disk::{install, install_policy, policy_path};
pub use node::{Filled, Node};
pub use plan::Init;
pub use power::Fencing;
pub use status::{Failure, Resource, Status};

use crate::command::Ran;
use crate::executor::{AGENTS, PATH, own_program};
use crate::host::{plugin, policy_of};
use anyhow::{Context as _, bail, ensure};
use plan::{MEMORY, NodePlan, RoomPlan, SOCKET};
use room::Room;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Nothing that a cluster does in peace takes longer, on a busy machine.
pub const LONG: Duration = Duration::from_mins(1);
/// How often a wait looks again.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// An address that no node has by itself: for `IPaddr2`.
pub const FLOATING: &str = "10.77.0.100";

/// How a cluster is to be.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// How many nodes; 1 to 16.
    pub nodes: usize,
    /// What they are.
    pub init: Init,
    /// Size of a node's disk in bytes: logs, CIB, and everything that is installed.
    pub disk_bytes: u64,
    /// Size of a node's `/run` in bytes.
    pub run_bytes: u64,
    /// How long to wait for the cluster.
    pub ready_within: Duration,
}

impl Default for Setup {
    fn default() -> Self {
        Self { nodes: 3, init: Init::Harness, disk_bytes: 256 << 20, run_bytes: 32 << 20, ready_within: LONG }
    }
}

impl Setup {
    /// With nodes of a kind: two that have a systemd, as most clusters are, or three that have none.
    pub fn of(init: Init) -> Self {
        match init {
            Init::Harness => Self::default(),
            Init::Systemd => Self { nodes: 2, init, disk_bytes: 512 << 20, ..Self::default() },
        }
    }
}

/// A running cluster. Dropping it ends everything in it.
#[derive(Debug)]
pub struct Cluster {
    inner: Arc<Inner>,
    ready_after: Duration,
}

#[derive(Debug)]
struct Inner {
    room: Arc<Room>,
    nodes: Vec<Node>,
    fencings: Mutex<Vec<Fencing>>,
    gives_power_back: AtomicBool,
    is_down_wished: AtomicBool,
}

impl Inner {
    fn note(&self, fencing: Fencing) {
        self.fencings.lock().unwrap_or_else(PoisonError::into_inner).push(fencing);
    }

    fn is_power_given_back(&self) -> bool {
        self.gives_power_back.load(Ordering::Relaxed)
    }

    fn wish_down(&self) {
        self.is_down_wished.store(true, Ordering::Relaxed);
    }
}

impl Cluster {
    /// Brings up a cluster and returns as soon as all nodes are in it.
    ///
    /// # Errors
    ///
    /// With what was seen last. A machine that cannot have clusters is better found out with [`available`].
    pub fn up(setup: Setup) -> anyhow::Result<Self> {
        let began = Instant::now();
        ensure!((1..=16).contains(&setup.nodes), "{} nodes: 1 to 16 can be had", setup.nodes);
        let Setup { nodes, init, disk_bytes, run_bytes, .. } = setup;
        let has_all_hierarchies = init == Init::Systemd;
        let room = Arc::new(Room::open(&RoomPlan { nodes, disk_bytes, has_all_hierarchies })?);
        let nodes = (1..=setup.nodes).map(|number| {
            let name = plan::node_name(number);
            let disk = Path::new(MEMORY).join(&name);
            disk::furnish(&room.inside(&disk), setup.nodes).with_context(|| format!("the disk of {name}"))?;
            let (binds, group) = (boxed::binds(init)?, room.groups.join(&name));
            let others = room.others.iter().map(|other| other.join(&name)).collect();
            let plan = NodePlan { number, disk, init, group, others, binds, run_bytes };
            Ok(Node::new(Arc::clone(&room), plan))
        });
        let nodes = nodes.collect::<anyhow::Result<Vec<_>>>()?;
        let (fencings, is_down_wished) = (Mutex::default(), AtomicBool::new(false));
        let inner = Arc::new(Inner { room, nodes, fencings, gives_power_back: AtomicBool::new(true), is_down_wished });
        power::listen(&inner.room.memory(SOCKET), Arc::downgrade(&inner))?;
        let mut cluster = Self { inner, ready_after: Duration::ZERO };
        for node in cluster.nodes() {
            node.power_on()?;
        }
        cluster.await_all(setup.ready_within)?;
        cluster.ready_after = began.elapsed();
        Ok(cluster)
    }

    /// How long the start took.
    pub fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// All nodes.
    pub fn nodes(&self) -> &[Node] {
        &self.inner.nodes
    }

    /// A node by its number, from 1.
    pub fn node(&self, number: usize) -> &Node {
        &self.inner.nodes[number - 1]
    }

    /// A node by its name.
    #[track_caller]
    pub fn named(&self, name: &str) -> &Node {
        let found = self.nodes().iter().find(|node| node.name() == name);
        found.unwrap_or_else(|| panic!("there is no node {name:?}"))
    }

    /// The room's first process, as seen from here.
    pub fn pid(&self) -> i32 {
        self.inner.room.pid
    }

    /// Where the control groups of the nodes are.
    pub fn groups(&self) -> &Path {
        &self.inner.room.groups
    }

    /// Whether somebody asked over the socket that the cluster ends.
    pub fn is_down_wished(&self) -> bool {
        self.inner.is_down_wished.load(Ordering::Relaxed)
    }

    /// Whether a node that was fenced gets its power back; so it is from the beginning.
    pub fn give_power_back(&self, is_given: bool) {
        self.inner.gives_power_back.store(is_given, Ordering::Relaxed);
    }

    /// What the cluster did to its own nodes so far.
    pub fn fencings(&self) -> Vec<Fencing> {
        self.inner.fencings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Installs plugins of the tree with their policies on all nodes, with the tool, as an operator would.
    pub fn install(&self, plugins: &[&str]) -> anyhow::Result<()> {
        std::thread::scope(|scope| {
            let each = self.nodes().iter().map(|node| {
                scope.spawn(move || {
                    for name in plugins {
                        install_policy(node, &format!("ocf-wasm/{name}"), &policy_of(name))?;
                        install(node, &plugin(name), &[])?;
                    }
                    anyhow::Ok(())
                })
            });
            let each: Vec<_> = each.collect();
            each.into_iter().try_for_each(|one| one.join().map_err(|_| anyhow::anyhow!("a panic"))?)
        })
    }

    /// Adds resources and constraints to the configuration, all at once.
    #[track_caller]
    pub fn add(&self, resources: &[String], constraints: &[String]) {
        let xml = format!(
            "<configuration><resources>{}</resources><constraints>{}</constraints></configuration>",
            resources.concat(),
            constraints.concat()
        );
        self.must(&["cibadmin", "--modify", "--allow-create", "--xml-text", &xml]);
    }

    /// Takes all resources but the fence device out of the configuration, and all constraints.
    #[track_caller]
    pub fn clear(&self) {
        let resources = format!("<resources>{}</resources>", files::power(self.nodes().len()));
        for (scope, xml) in [("constraints", "<constraints/>"), ("resources", &resources)] {
            self.must(&["cibadmin", "--replace", "--scope", scope, "--xml-text", xml]);
        }
    }

    /// Runs a command on a node that can be asked, and expects it to succeed.
    #[track_caller]
    pub fn must(&self, argv: &[&str]) -> String {
        let ran = self.ask(argv);
        assert_eq!(ran.code, 0, "{ran:#?}");
        ran.stdout
    }

    /// Runs a command on a node that can be asked.
    #[track_caller]
    pub fn ask(&self, argv: &[&str]) -> Ran {
        let node = self.nodes().iter().find(|node| node.is_in_reach());
        node.unwrap_or_else(|| panic!("no node can be asked")).run(argv)
    }

    /// What the cluster says of itself now, or why it says nothing.
    ///
    /// # Errors
    ///
    /// While the cluster starts, and while no node can be asked.
    pub fn status(&self) -> anyhow::Result<Status> {
        let node = self.nodes().iter().find(|node| node.is_in_reach()).context("no node can be asked")?;
        self.status_by(node)
    }

    /// What the cluster says of itself on a certain node.
    ///
    /// # Errors
    ///
    /// As [`Self::status`].
    pub fn status_by(&self, node: &Node) -> anyhow::Result<Status> {
        let mut command = node.command(&["crm_mon", "-1", "--output-as=xml"]);
        let said = command.stdin(Stdio::null()).output().context("nsenter")?;
        let text = String::from_utf8_lossy(&said.stdout);
        if !said.status.success() {
            bail!("{}{text}", String::from_utf8_lossy(&said.stderr));
        }
        Status::parse(&text)
    }

    /// Asks the cluster again and again until it says what is wanted, and returns that.
    ///
    /// # Panics
    ///
    /// When the time is over, with what was seen last and what the nodes' logs say.
    #[track_caller]
    pub fn until<T>(&self, what: &str, within: Duration, mut wanted: impl FnMut(&Status) -> Option<T>) -> T {
        let mut last = String::from("nothing was seen");
        self.wait(what, within, &mut last, |last| match self.status() {
            Ok(status) => {
                *last = status.to_string();
                wanted(&status)
            }
            Err(error) => {
                *last = format!("{error:#}");
                None
            }
        })
    }

    /// Asks something other than the cluster again and again; `seen` is told when the time is over.
    ///
    /// # Panics
    ///
    /// As [`Self::until`].
    #[track_caller]
    pub fn wait<T>(
        &self,
        what: &str,
        within: Duration,
        seen: &mut String,
        mut wanted: impl FnMut(&mut String) -> Option<T>,
    ) -> T {
        let limit = Instant::now() + within;
        loop {
            if let Some(found) = wanted(seen) {
                return found;
            }
            assert!(Instant::now() < limit, "not within {within:?}: {what}; seen last:\n{seen}\n{}", self.account());
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Waits until all nodes are in the cluster and somebody decides.
    ///
    /// # Errors
    ///
    /// With what was seen last.
    pub fn await_all(&self, within: Duration) -> anyhow::Result<()> {
        let limit = Instant::now() + within;
        loop {
            let seen = self.status();
            if let Ok(status) = &seen
                && status.online.len() == self.nodes().len()
                && status.dc.is_some()
                && status.has_quorum
            {
                return Ok(());
            }
            if Instant::now() > limit {
                let seen = seen.map_or_else(|error| format!("{error:#}"), |status| status.to_string());
                bail!("not all nodes are in the cluster within {within:?}; seen last:\n{seen}\n{}", self.account());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Does what people ask for in words: a verb and a node, `power-off node1`.
    ///
    /// # Errors
    ///
    /// If there is no such verb or node, or it cannot be done now.
    pub fn obey(&self, words: &str) -> anyhow::Result<String> {
        power::obey(words, &self.inner)
    }

    /// What a test that failed shows: fencings, and the end of each node's logs.
    pub fn account(&self) -> String {
        let mut text = format!("fencings: {:?}\n", self.fencings());
        for node in self.nodes() {
            text.push_str(&format!("{}, powered on {} times:\n{}", node.name(), node.boots(), node.complaints(12)));
        }
        text
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.inner.room.close();
        for node in self.nodes() {
            node.bury();
        }
    }
}

/// Says what keeps this machine from having a cluster, if anything does.
///
/// # Errors
///
/// With the reason, in words for people.
pub fn available() -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("clusters of namespaces need root".into());
    }
    if !Path::new(AGENTS).exists() {
        return Err(format!("{AGENTS} is missing (Debian: resource-agents)"));
    }
    for (tool, package) in [
        ("corosync", "corosync"),
        ("corosync-cmapctl", "corosync"),
        ("pacemakerd", "pacemaker"),
        ("crm_mon", "pacemaker-cli-utils"),
        ("ip", "iproute2"),
        ("unshare", "util-linux"),
        ("nsenter", "util-linux"),
        ("pgrep", "procps"),
    ] {
        if !PATH.split(':').any(|directory| Path::new(directory).join(tool).exists()) {
            return Err(format!("{tool} is missing (Debian: {package})"));
        }
    }
    let trial = own_program("cluster").and_then(|program| {
        let mut command: Command = crate::started::bare("unshare");
        command.args(["--mount", "--pid", "--uts", "--ipc", "--net", "--fork", "--propagation", "private", "--"]);
        Ok(command.arg(program).arg("check").stdin(Stdio::null()).output()?)
    });
    match trial {
        Ok(trial) if trial.status.success() => Ok(()),
        Ok(trial) => Err(format!("no cluster can be had: {}", String::from_utf8_lossy(&trial.stderr).trim())),
        Err(error) => Err(format!("no cluster can be had: {error:#}")),
    }
}
