//! One node, held from outside: its processes, its disk, and everything that can happen to it.
//!
//! A fault is one call, and takes effect before the call returns. None of them asks the node.

use super::plan::{Init, NETWORK, NodePlan};
use super::room::Room;
use crate::boxes::remove_group;
use crate::command::{Ran, finish};
use crate::started::{Started, bare};
use anyhow::{Context as _, ensure};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What the kernel does at once is given this time on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(10);

/// See above.
#[derive(Debug)]
pub struct Node {
    room: Arc<Room>,
    plan: NodePlan,
    name: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    running: Option<Running>,
    is_frozen: bool,
    /// No link, or not on the bridge.
    is_alone: bool,
    /// How often it got power.
    boots: u32,
}

#[derive(Debug)]
struct Running {
    child: Child,
    stdin: ChildStdin,
    init: OwnedFd,
    pid: i32,
    said: Arc<Mutex<String>>,
}

impl Node {
    pub(super) fn new(room: Arc<Room>, plan: NodePlan) -> Self {
        let name = super::plan::node_name(plan.number);
        Self { room, plan, name, state: Mutex::default() }
    }

    /// Its name in the cluster.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number, from 1.
    pub fn number(&self) -> usize {
        self.plan.number
    }

    /// Its own address, which it has as long as it has power.
    pub fn address(&self) -> String {
        format!("{NETWORK}.{}", self.plan.number)
    }

    /// Its first process, as seen from here; none without power.
    pub fn pid(&self) -> Option<i32> {
        self.state().running.as_ref().map(|running| running.pid)
    }

    /// How often it got power.
    pub fn boots(&self) -> u32 {
        self.state().boots
    }

    /// Whether it can be asked something: it has power, is not frozen, and the others see it.
    pub fn is_in_reach(&self) -> bool {
        let state = self.state();
        state.running.is_some() && !state.is_frozen && !state.is_alone
    }

    /// The path by which this process reaches an absolute path of the node. It must have power.
    ///
    /// An absolute symbolic link on the way leads out again; for such, use [`Self::command`].
    pub fn inside(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        let pid = self.pid().map_or_else(|| "without-power".to_owned(), |pid| pid.to_string());
        Path::new("/proc").join(pid).join("root").join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Where its disk is, with power and without; `etc`, `log`, `lib` and others are there.
    pub fn disk(&self) -> PathBuf {
        self.room.inside(&self.plan.disk)
    }

    /// A command on this node, with the usual search path and no other environment.
    pub fn command(&self, argv: &[&str]) -> Command {
        let mut command = bare("nsenter");
        // Without power the number of no process, so that the command fails.
        let pid = self.pid().unwrap_or(i32::MAX).to_string();
        command.env("HOME", "/root").args(["-t", &pid, "-m", "-p", "-u", "-i", "-n", "-C", "--"]).args(argv);
        command
    }

    /// Runs a command on this node to its end.
    pub fn run(&self, argv: &[&str]) -> Ran {
        finish(&mut self.command(argv))
    }

    /// Runs a command that must succeed, and returns what it printed.
    #[track_caller]
    pub fn must(&self, argv: &[&str]) -> String {
        let ran = self.run(argv);
        assert_eq!(ran.code, 0, "on {}: {ran:#?}", self.name);
        ran.stdout
    }

    /// Processes of this node with a pattern in their command lines, oldest first, by their numbers on the node.
    pub fn processes(&self, pattern: &str) -> Vec<i32> {
        let found = self.run(&["pgrep", "-f", "--", pattern]);
        found.stdout.lines().filter_map(|line| line.trim().parse().ok()).collect()
    }

    /// Gives it power: a first process, a link, and the cluster on top. Returns before the cluster knows it.
    pub fn power_on(&self) -> anyhow::Result<()> {
        let mut state = self.state();
        if state.running.is_some() {
            return Ok(());
        }
        let (started, pid) = self.room.start(&self.plan).with_context(|| self.name.clone())?;
        let Started { child, stdin, said, .. } = started;
        let init = Pid::from_raw(pid).context("process id").and_then(|pid| Ok(pidfd_open(pid, PidfdFlags::empty())?));
        let mut running = Running { child, stdin, init: init.context("the first process")?, pid, said };
        let address = format!("02:00:00:00:00:{:02x}", self.plan.number);
        let peer = pid.to_string();
        // The same hardware address each time, as a machine has: nobody must forget the old one first.
        // What is left of the link to a node that lost its power goes away with its network, somewhat later.
        drop(self.room.ip(&["link", "del", &self.name]));
        let link = ["link", "add", &self.name, "type", "veth", "peer", "name", "eth0", "address", &address];
        self.room.ip(&[&link[..], &["netns", &peer]].concat())?;
        self.room.ip(&["link", "set", &self.name, "master", super::plan::BRIDGE.0, "up"])?;
        if self.plan.init == Init::Harness {
            running.tell("start")?;
        }
        *state = State { running: Some(running), is_frozen: false, is_alone: false, boots: state.boots + 1 };
        Ok(())
    }

    /// Takes its power away: everything on it is gone at once. Its disk stays.
    pub fn power_off(&self) -> anyhow::Result<()> {
        let mut state = self.state();
        let Some(mut running) = state.running.take() else { return Ok(()) };
        drop(self.room.ip(&["link", "del", &self.name]));
        // The kernel ends whatever is in the pid namespace before the first process is seen to be dead.
        // It fails only where that process is dead already.
        let _ = pidfd_send_signal(&running.init, Signal::KILL);
        running.child.wait().with_context(|| format!("the end of {}", self.name))?;
        // Or the next life would be born into it.
        fs::write(self.plan.group.join("cgroup.freeze"), "0").context("cgroup.freeze")?;
        // What systemd made of its groups.
        for group in std::iter::once(&self.plan.group).chain(&self.plan.others) {
            let inner = fs::read_dir(group).into_iter().flatten().flatten().map(|entry| entry.path());
            inner.filter(|path| path.is_dir()).for_each(|path| _ = remove_group(&path));
        }
        (state.is_frozen, state.is_alone) = (false, false);
        Ok(())
    }

    /// Takes its power away and gives it back.
    pub fn power_cycle(&self) -> anyhow::Result<()> {
        self.power_off()?;
        self.power_on()
    }

    /// Stops the time of all its processes, as a machine that hangs.
    pub fn freeze(&self) -> anyhow::Result<()> {
        self.set_frozen(true)
    }

    /// Lets its time go on.
    pub fn thaw(&self) -> anyhow::Result<()> {
        self.set_frozen(false)
    }

    fn set_frozen(&self, is_frozen: bool) -> anyhow::Result<()> {
        let mut state = self.state();
        ensure!(state.running.is_some(), "{} has no power", self.name);
        fs::write(self.plan.group.join("cgroup.freeze"), if is_frozen { "1" } else { "0" }).context("cgroup.freeze")?;
        let wanted = format!("frozen {}", u8::from(is_frozen));
        let limit = Instant::now() + AT_ONCE;
        while !fs::read_to_string(self.plan.group.join("cgroup.events"))?.lines().any(|line| line == wanted) {
            ensure!(Instant::now() < limit, "{}: not `{wanted}` within {AT_ONCE:?}", self.name);
            std::thread::sleep(Duration::from_millis(1));
        }
        state.is_frozen = is_frozen;
        Ok(())
    }

    /// Pulls its network cable: it sees that it has no carrier.
    pub fn cut(&self) -> anyhow::Result<()> {
        self.set_link(&["down"], true)
    }

    /// Plugs its network cable in again.
    pub fn mend(&self) -> anyhow::Result<()> {
        self.set_link(&["up"], false)
    }

    /// Takes it off the switch: the carrier stays, and nobody answers.
    pub fn isolate(&self) -> anyhow::Result<()> {
        self.set_link(&["nomaster"], true)
    }

    /// Puts it on the switch again.
    pub fn rejoin(&self) -> anyhow::Result<()> {
        self.set_link(&["master", super::plan::BRIDGE.0], false)
    }

    fn set_link(&self, how: &[&str], is_alone: bool) -> anyhow::Result<()> {
        let mut state = self.state();
        self.room.ip(&[&["link", "set", &self.name], how].concat())?;
        state.is_alone = is_alone;
        Ok(())
    }

    /// Fills the file system that a directory of the node is on, to the last byte. Dropping the answer frees it again.
    pub fn fill(&self, directory: &str) -> anyhow::Result<Filled> {
        let path = self.inside(directory).join(".filled-by-the-harness");
        let mut file = File::create(&path).with_context(|| path.display().to_string())?;
        // By ever smaller pieces, until not even a byte fits.
        for size in [1 << 20, 1 << 12, 1] {
            let piece = vec![0; size];
            while file.write_all(&piece).is_ok() {}
        }
        Ok(Filled { path })
    }

    /// Keeps this many of its processors busy, in its first process; 0 ends that.
    pub fn load(&self, threads: usize) -> anyhow::Result<()> {
        self.tell(&format!("load {threads}"))
    }

    /// Ends Pacemaker and corosync in an orderly way, and waits for that. What is managed is stopped or moved.
    pub fn stop_cluster(&self) -> anyhow::Result<()> {
        self.run(&["pkill", "-TERM", "-x", "pacemakerd"]);
        let limit = Instant::now() + Duration::from_mins(1);
        while !self.processes("^pacemakerd").is_empty() {
            ensure!(Instant::now() < limit, "pacemakerd of {} does not end", self.name);
            std::thread::sleep(Duration::from_millis(50));
        }
        let halted = self.run(&["corosync-cfgtool", "-H"]);
        while !self.processes("^corosync").is_empty() {
            ensure!(Instant::now() < limit, "corosync of {} does not end: {halted:?}", self.name);
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Starts corosync and Pacemaker again after [`Self::stop_cluster`].
    pub fn start_cluster(&self) -> anyhow::Result<()> {
        self.tell("start")
    }

    /// Pacemaker's log, of all its lives.
    pub fn log(&self) -> String {
        let log = fs::read(self.disk().join("log/pacemaker/pacemaker.log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Empties Pacemaker's log, and so forgets [`Self::results`].
    pub fn forget(&self) -> anyhow::Result<()> {
        let log = self.disk().join("log/pacemaker/pacemaker.log");
        File::options().write(true).open(&log)?.set_len(0).with_context(|| log.display().to_string())
    }

    /// The actions of a resource that were performed here, oldest first, and how each ended in Pacemaker's words, with
    /// the reason in parentheses if there is one: `start ok`, `monitor error (no answer)`. Of a recurring monitor only
    /// what changed is told.
    pub fn results(&self, resource: &str) -> Vec<String> {
        let log = self.log();
        let told = log.lines().filter_map(|line| {
            let (action, rest) = line.split_once("Result of ")?.1.split_once(" operation for ")?;
            let (whose, ended) = rest.split_once(" on ")?;
            let (_, ended) = ended.split_once(": ")?;
            let ended = ended.split(" |").next()?;
            // A recurring monitor that the cluster ends says nothing of the resource.
            (whose == resource && ended != "Cancelled").then(|| format!("{action} {ended}"))
        });
        told.collect()
    }

    /// What its first process and the cluster's logs complain about, at most the last `lines` lines.
    pub fn complaints(&self, lines: usize) -> String {
        let mut text = String::new();
        if let Some(running) = &self.state().running {
            text.push_str(&running.said.lock().unwrap_or_else(PoisonError::into_inner));
        }
        let log = self.log();
        let loud = |line: &&str| ["notice: ", "warning: ", "error: "].iter().any(|level| line.contains(level));
        let loud: Vec<&str> = log.lines().filter(loud).collect();
        for line in &loud[loud.len().saturating_sub(lines)..] {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// Waits for the end of a node whose room was closed.
    pub(super) fn bury(&self) {
        if let Some(mut running) = self.state().running.take() {
            drop(running.child.kill());
            drop(running.child.wait());
        }
    }

    fn tell(&self, word: &str) -> anyhow::Result<()> {
        let mut state = self.state();
        let running = state.running.as_mut().with_context(|| format!("{} has no power", self.name))?;
        running.tell(word)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn tell(&mut self, word: &str) -> anyhow::Result<()> {
        let told = writeln!(self.stdin, "{word}").and_then(|()| self.stdin.flush());
        told.with_context(|| format!("the node says {:?}", self.said.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// A file system that is full as long as this is held.
#[derive(Debug)]
pub struct Filled {
    path: PathBuf,
}

impl Drop for Filled {
    fn drop(&mut self) {
        // It fails only where the node lost its power, and what was full with it.
        let _ = fs::remove_file(&self.path);
    }
}
