//! The room that all nodes of a cluster are in, held from outside: a bridge, disks in memory, and control groups.
//!
//! Its first process ends as soon as nobody holds its standard input any more, however the harness died, and with it
//! everything in the room.

use super::boxed::boxed;
use super::plan::{Init, MEMORY, NodePlan, RoomPlan, RoomReady};
use crate::executor::own_program;
use crate::started::{Started, bare};
use anyhow::{Context as _, ensure};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The end of a room takes no longer: the kernel removes its network.
const END_WITHIN: Duration = Duration::from_secs(15);

/// See above.
#[derive(Debug)]
pub(super) struct Room {
    child: Mutex<(Child, Option<ChildStdin>)>,
    /// Its first process, as seen from here.
    pub(super) pid: i32,
    /// One control group a node.
    pub(super) groups: PathBuf,
    /// The same in the other hierarchies, where that was asked for.
    pub(super) others: Vec<PathBuf>,
}

impl Room {
    /// Makes a room.
    pub(super) fn open(plan: &RoomPlan) -> anyhow::Result<Self> {
        let mut command = bare("unshare");
        command.args(["--mount", "--pid", "--uts", "--ipc", "--net", "--fork", "--kill-child"]);
        command.args(["--propagation", "private", "--"]).arg(own_program("cluster")?);
        command.arg("room").arg(serde_json::to_string(plan)?);
        let mut started = Started::spawn(command)?;
        let ready: RoomReady = serde_json::from_str(&started.first_line()?).context("the room's first word")?;
        let child = Mutex::new((started.child, Some(started.stdin)));
        Ok(Self { child, pid: ready.pid, groups: ready.groups, others: ready.others })
    }

    /// The path by which this process reaches a path of the room.
    pub(super) fn inside(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        Path::new("/proc").join(self.pid.to_string()).join("root").join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The path by which this process reaches a path of the memory file system.
    pub(super) fn memory(&self, path: impl AsRef<Path>) -> PathBuf {
        self.inside(MEMORY).join(path)
    }

    /// Changes the network, with the words of `ip`.
    pub(super) fn ip(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let done = self.in_network(&["ip"]).args(arguments).output().context("nsenter")?;
        ensure!(done.status.success(), "ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&done.stderr).trim());
        Ok(())
    }

    /// A command in the network of the room, in which only clients are.
    pub(super) fn in_network(&self, argv: &[&str]) -> Command {
        let mut command = bare("nsenter");
        command.args(["-t", &self.pid.to_string(), "--net", "--"]).args(argv);
        command
    }

    /// The network as something that a thread can enter.
    pub(super) fn network(&self) -> anyhow::Result<File> {
        File::open(format!("/proc/{}/ns/net", self.pid)).context("the room's network")
    }

    /// Starts the first process of a node and returns what it says first: its process id.
    pub(super) fn start(&self, plan: &NodePlan) -> anyhow::Result<(Started, i32)> {
        let mut command = bare("nsenter");
        command.args(["-t", &self.pid.to_string(), "--mount", "--pid", "--", "unshare"]);
        command.args(["--mount", "--pid", "--uts", "--ipc", "--net", "--fork", "--kill-child"]);
        command.args(["--propagation", "private", "--"]);
        match plan.init {
            Init::Harness => command.arg(own_program("cluster")?).arg("node").arg(serde_json::to_string(plan)?),
            Init::Systemd => command.arg(own_program("boxes")?).arg("enter").arg(serde_json::to_string(&boxed(plan))?),
        };
        let mut started = Started::spawn(command)?;
        let word = started.first_line()?;
        let pid = word.trim().parse().with_context(|| format!("the node's first word is {word:?}"))?;
        Ok((started, pid))
    }

    /// Ends the room and everything in it, and waits for that.
    pub(super) fn close(&self) {
        let (child, stdin) = &mut *self.child.lock().unwrap_or_else(PoisonError::into_inner);
        drop(stdin.take());
        let limit = Instant::now() + END_WITHIN;
        while let Ok(None) = child.try_wait() {
            if Instant::now() > limit {
                // The first process of its pid namespace dies with it, and so do all others.
                drop(child.kill());
                drop(child.wait());
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.close();
    }
}
