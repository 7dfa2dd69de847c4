//! A real systemd with its bus and its journal, as the first process of a box of namespaces: what a node is whose service
//! manager is systemd, without a machine for it.
//!
//! [`Machine::up`] makes a *keeper*, the first process of a pid namespace that holds the box; it ends the box and removes
//! its control groups as soon as nobody holds its standard input any more, however the test died. The box sees the
//! machine's root with all that is written in memory, a network of its own with a loopback, and the control groups of its
//! own only. Nothing that the machine has enabled is started, and nothing of the machine is touched.
//!
//! It needs root and Debian's packages `systemd` and `dbus`; [`available`] says what is missing. It is no boundary for
//! what is hostile: root of a box is root.

pub mod plan;

use crate::command::{Ran, finish};
use crate::executor::{PATH, own_program};
use crate::host::dist;
use crate::started::{Started, bare};
use anyhow::{Context as _, bail, ensure};
use plan::{Plan, SYSTEMD};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// It is up after a second; on a busy machine it takes no longer than this.
const UP_WITHIN: Duration = Duration::from_mins(1);
/// The end of a box takes no longer.
const DOWN_WITHIN: Duration = Duration::from_secs(15);

/// A running box. Dropping it ends everything in it.
#[derive(Debug)]
pub struct Machine {
    keeper: Option<Started>,
    pid: i32,
}

impl Machine {
    /// Brings up a box in which the laid out binaries are installed, and returns when systemd says that it runs.
    ///
    /// # Errors
    ///
    /// With what was seen last. A machine that cannot have boxes is better found out with [`available`].
    pub fn up(name: &str) -> anyhow::Result<Self> {
        let tree = dist();
        let own = |path: &str| (tree.join(path.trim_start_matches('/')), PathBuf::from(path));
        let binds = ["/usr/libexec/ocf-wasm", "/usr/bin/ocf-wasm", "/usr/share/ocf-wasm"].map(own).to_vec();
        Self::with(name, binds)
    }

    /// Brings up a box with files and directories of the machine: where they are, and where the box sees them.
    ///
    /// # Errors
    ///
    /// As [`Self::up`].
    pub fn with(name: &str, binds: Vec<(PathBuf, PathBuf)>) -> anyhow::Result<Self> {
        let (groups, starts) = (Vec::new(), Vec::new());
        let plan = Plan { name: name.to_owned(), binds, groups, disk: None, address: None, starts };
        let mut command = bare("unshare");
        command.args(["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--"]);
        command.arg(own_program("boxes")?).arg("keep").arg(serde_json::to_string(&plan)?);
        let mut keeper = Started::spawn(command)?;
        let word = keeper.first_line()?;
        let pid = word.trim().parse().with_context(|| format!("the first word of the box is {word:?}"))?;
        let machine = Self { keeper: Some(keeper), pid };
        machine.await_up()?;
        Ok(machine)
    }

    fn await_up(&self) -> anyhow::Result<()> {
        let limit = Instant::now() + UP_WITHIN;
        let is_systemd =
            || fs::read_to_string(format!("/proc/{}/comm", self.pid)).is_ok_and(|comm| comm == "systemd\n");
        let answers =
            || ["/run/systemd/private", "/run/dbus/system_bus_socket"].iter().all(|s| self.inside(s).exists());
        while !(is_systemd() && answers()) {
            ensure!(Path::new(&format!("/proc/{}", self.pid)).exists(), "the box ended: {}", self.said());
            ensure!(Instant::now() < limit, "no systemd in the box within {UP_WITHIN:?}: {}", self.said());
            std::thread::sleep(Duration::from_millis(5));
        }
        let state = self.run(&["systemctl", "is-system-running", "--wait"]);
        if state.stdout.trim() != "running" {
            bail!("the box is {}: {}", state.stdout.trim(), self.run(&["systemctl", "--failed"]).stdout);
        }
        Ok(())
    }

    fn said(&self) -> String {
        let said = self.keeper.as_ref().map(Started::said);
        said.unwrap_or_default()
    }

    /// Its first process, as seen from here.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The path by which this process reaches an absolute path of the box.
    ///
    /// An absolute symbolic link on the way leads out again; for such, use [`Self::command`].
    pub fn inside(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        Path::new("/proc").join(self.pid.to_string()).join("root").join(path.strip_prefix("/").unwrap_or(path))
    }

    /// A command in the box, with the usual search path and no other environment. It is in no control group of the box.
    pub fn command(&self, argv: &[&str]) -> Command {
        let mut command = bare("nsenter");
        command.env("HOME", "/root").args(["-t", &self.pid.to_string(), "--all", "--"]).args(argv);
        command
    }

    /// Runs a command in the box to its end.
    pub fn run(&self, argv: &[&str]) -> Ran {
        finish(&mut self.command(argv))
    }

    /// Runs a command that must succeed, and returns what it printed.
    #[track_caller]
    pub fn must(&self, argv: &[&str]) -> String {
        let ran = self.run(argv);
        assert_eq!(ran.code, 0, "{ran:#?}");
        ran.stdout
    }

    /// Writes a file in the box, and the directories above it.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) -> anyhow::Result<()> {
        let inside = self.inside(path);
        fs::create_dir_all(inside.parent().context("no parent")?)?;
        fs::write(&inside, text).with_context(|| path.to_owned())
    }

    /// Copies a file of the machine into the box, with its mode.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn copy(&self, from: &Path, to: &str) -> anyhow::Result<()> {
        let inside = self.inside(to);
        fs::create_dir_all(inside.parent().context("no parent")?)?;
        fs::copy(from, &inside).with_context(|| to.to_owned()).map(drop)
    }

    /// Listens on an address in the network of the box.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn listen(&self, address: &str, port: u16) -> anyhow::Result<TcpListener> {
        let network = fs::File::open(format!("/proc/{}/ns/net", self.pid)).context("the network of the box")?;
        let address: std::net::IpAddr = address.parse()?;
        // A thread of its own, since there is no way back.
        let listening = std::thread::spawn(move || {
            use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
            move_into_link_name_space(std::os::fd::AsFd::as_fd(&network), Some(LinkNameSpaceType::Network))?;
            Ok(TcpListener::bind((address, port))?)
        });
        listening.join().map_err(|_| anyhow::anyhow!("a panic"))?
    }

    /// A property of a unit.
    #[track_caller]
    pub fn show(&self, unit: &str, property: &str) -> String {
        self.must(&["systemctl", "show", "--value", "-p", property, unit]).trim().to_owned()
    }

    /// What the journal of the box has of an identifier.
    #[track_caller]
    pub fn journal(&self, identifier: &str) -> String {
        self.must(&["journalctl", "--no-pager", "-o", "cat", "-t", identifier])
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(keeper) = self.keeper.take() {
            let Started { mut child, stdin, .. } = keeper;
            drop(stdin);
            let limit = Instant::now() + DOWN_WITHIN;
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
}

/// A mounted hierarchy of control groups.
#[derive(Debug, Clone)]
pub struct Hierarchy {
    /// Where.
    pub point: PathBuf,
    /// `cgroup` or `cgroup2`.
    pub kind: String,
    /// Its options, as `mountinfo` has them.
    pub options: String,
}

/// All that are mounted here.
///
/// # Errors
///
/// If `/proc` cannot be read.
pub fn hierarchies() -> anyhow::Result<Vec<Hierarchy>> {
    let table = fs::read_to_string("/proc/self/mountinfo").context("/proc/self/mountinfo")?;
    let found = table.lines().filter_map(|line| {
        let (mount, system) = line.split_once(" - ")?;
        let [kind, _, options] = system.split(' ').collect::<Vec<_>>()[..] else { return None };
        let point = PathBuf::from(mount.split(' ').nth(4)?);
        let hierarchy = Hierarchy { point, kind: kind.to_owned(), options: options.to_owned() };
        matches!(kind, "cgroup" | "cgroup2").then_some(hierarchy)
    });
    Ok(found.collect())
}

/// Those in which a box can have a group: not that of processors' sets, which version 1 does not give to empty groups.
///
/// # Errors
///
/// As [`hierarchies`].
pub fn usable() -> anyhow::Result<Vec<Hierarchy>> {
    let all = hierarchies()?.into_iter();
    Ok(all.filter(|one| !one.options.split(',').any(|option| option == "cpuset")).collect())
}

/// Removes a control group in which no process is any more, with those below it. False if it is there still.
pub fn remove_group(group: &Path) -> bool {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_group(&entry.path());
        }
    }
    fs::remove_dir(group).is_ok() || !group.exists()
}

/// Says what keeps this machine from having a box, if anything does.
///
/// # Errors
///
/// With the reason, in words for people.
pub fn available() -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("boxes with systemd need root".into());
    }
    for (file, package) in [(SYSTEMD, "systemd"), ("/usr/bin/dbus-daemon", "dbus")] {
        if !Path::new(file).exists() {
            return Err(format!("{file} is missing (Debian: {package})"));
        }
    }
    for (tool, package) in
        [("ip", "iproute2"), ("unshare", "util-linux"), ("nsenter", "util-linux"), ("setpriv", "util-linux")]
    {
        if !PATH.split(':').any(|directory| Path::new(directory).join(tool).exists()) {
            return Err(format!("{tool} is missing (Debian: {package})"));
        }
    }
    let trial = own_program("boxes").and_then(|program| {
        let mut command = bare("unshare");
        command.args(["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--"]);
        Ok(command.arg(program).arg("check").stdin(Stdio::null()).output()?)
    });
    match trial {
        Ok(trial) if trial.status.success() => Ok(()),
        Ok(trial) => Err(format!("no box can be had: {}", String::from_utf8_lossy(&trial.stderr).trim())),
        Err(error) => Err(format!("no box can be had: {error:#}")),
    }
}
