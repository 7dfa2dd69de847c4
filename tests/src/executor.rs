//! Pacemaker's real executor, alone, for one test: no cluster, nothing of the machine touched, ready in a tenth of a
//! second.
//!
//! [`Executor::start`] makes a *capsule*: mount, pid, uts, ipc and net namespaces with `pacemaker-execd` in them, the
//! agents under test laid over `/usr/lib/ocf/resource.d`, and `/run`, `/dev/shm`, `/var/log`, `/var/lib/pacemaker` of its
//! own. A test then plays the controller's part: it registers resources, runs actions once or again and again, and reads
//! the results the executor reports.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use ocf_wasm_tests::executor::{Executor, Setup};
//! use std::{path::Path, time::Duration};
//!
//! let executor = Executor::start(Setup::new(Path::new("agents")))?;
//! executor.register("web", "heartbeat", "Dummy")?;
//! let start = executor.exec("web", "start", 0, 20_000, &[])?;
//! assert_eq!(executor.wait(start, Duration::from_secs(5))?.rc, 0);
//! # Ok(())
//! # }
//! ```
//!
//! The capsule ends with the [`Executor`], with the test process however that dies, and with its own first process;
//! everything in it ends at the same moment. It needs root, the Debian packages `pacemaker` and `iproute2`, and the
//! tools of `util-linux`; [`available`] says what is missing. The other side of the talk is the program
//! `executor-client` of this crate, which Cargo builds for integration tests.

mod board;
pub mod protocol;

pub use protocol::{Event, Status};

use anyhow::{Context as _, bail};
use board::Board;
use protocol::{Numbered, Plan, Request};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

/// The executor, where Debian puts it.
pub const EXECUTOR: &str = "/usr/lib/pacemaker/pacemaker-execd";
/// Where Pacemaker looks for agents; the path is compiled into it.
pub const AGENTS: &str = "/usr/lib/ocf/resource.d";
/// Host name inside a capsule.
pub const NODE: &str = "n1";
/// Search path inside a capsule.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The executor's log, inside.
pub const EXECUTOR_LOG: &str = "/var/log/pacemaker/pacemaker.log";
/// What the executor writes to stdout and stderr, inside.
pub const EXECUTOR_OUTPUT: &str = "/var/log/execd.out";

/// The answer to a request comes within this time, or not at all.
const REPLY_WITHIN: Duration = Duration::from_secs(30);

/// What a capsule looks like from inside.
///
/// Fill in what differs from [`Setup::new`]: `Setup { binds: &binds, ..Setup::new(&agents) }`.
#[derive(Debug, Clone, Copy)]
pub struct Setup<'a> {
    /// Directory with `PROVIDER/TYPE` files, laid over [`AGENTS`]. Files added to it later appear inside.
    pub resource_d: &'a Path,
    /// Directories and files to show inside: where they are, and the absolute path the capsule sees them under.
    ///
    /// Where the machine has no such path, the mount point is made in the capsule only. Writes through a bind reach the
    /// directory or file that was bound.
    pub binds: &'a [(PathBuf, PathBuf)],
    /// Environment of the executor beyond what `pacemakerd` gives it, such as `PCMK_debug=yes`.
    pub environment: &'a [(&'a str, &'a str)],
    /// How long to wait for the executor.
    pub ready_within: Duration,
}

impl<'a> Setup<'a> {
    /// Returns a capsule with the agents of `resource_d` and nothing else of the test's.
    pub fn new(resource_d: &'a Path) -> Self {
        Self { resource_d, binds: &[], environment: &[], ready_within: Duration::from_secs(20) }
    }
}

/// A running executor in a capsule of its own; dropping it ends both.
///
/// All methods take `&self`, and several threads may use one executor.
#[derive(Debug)]
pub struct Executor {
    keeper: Keeper,
    requests: Mutex<(u64, ChildStdin)>,
    board: Arc<Board>,
    pid: i32,
    init: OwnedFd,
    ready_after: Duration,
}

impl Executor {
    /// Brings up a capsule and returns as soon as the executor in it answers.
    ///
    /// # Errors
    ///
    /// With what the capsule complained about. A machine that cannot make capsules at all is better found out with
    /// [`available`].
    pub fn start(setup: Setup<'_>) -> anyhow::Result<Self> {
        let began = Instant::now();
        let plan = Plan {
            resource_d: std::path::absolute(setup.resource_d)?,
            binds: setup
                .binds
                .iter()
                .map(|(host, inside)| Ok((std::path::absolute(host)?, inside.clone())))
                .collect::<anyhow::Result<_>>()?,
            environment: setup.environment.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
            ready_within_ms: setup.ready_within.as_millis().try_into()?,
        };
        let mut command = in_new_namespaces()?;
        command.arg("capsule").arg(serde_json::to_string(&plan)?);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut keeper = Keeper::spawn(command)?;

        let board = Arc::new(Board::default());
        let stdin = keeper.child.stdin.take().context("stdin")?;
        let stdout = keeper.child.stdout.take().context("stdout")?;
        let mut stderr = keeper.child.stderr.take().context("stderr")?;
        std::thread::spawn({
            let board = Arc::clone(&board);
            move || {
                let mut why = Vec::new();
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    match serde_json::from_str(&line) {
                        Ok(line) => board.post(line),
                        Err(error) => why.push(format!("not understood: {line:?}: {error}")),
                    }
                }
                let mut complaint = Vec::new();
                // Whatever could be read of it is worth showing.
                drop(stderr.read_to_end(&mut complaint));
                why.push(String::from_utf8_lossy(&complaint).trim().to_owned());
                board.close(&why.join("; "));
            }
        });

        let limit = setup.ready_within + Duration::from_secs(5);
        let pid = board.wait(limit, "the capsule", |seen| seen.pid).map_err(|error| keeper.give_up(error))?;
        let ready = board.wait(limit, "pacemaker-execd", |seen| seen.ready.then_some(()));
        ready.map_err(|error| keeper.give_up(with_output_of(pid, error)))?;
        let ready_after = began.elapsed();
        let init = open_process(pid).map_err(|error| keeper.give_up(error))?;
        Ok(Self { keeper, requests: Mutex::new((0, stdin)), board, pid, init, ready_after })
    }

    /// Makes a resource known, with the agent `ocf:PROVIDER:TYPE`.
    pub fn register(&self, rsc: &str, provider: &str, r#type: &str) -> anyhow::Result<()> {
        let (rsc, provider, r#type) = (rsc.to_owned(), provider.to_owned(), r#type.to_owned());
        self.ask(Request::Register { rsc, provider, r#type }).map(drop)
    }

    /// Cancels what still runs for a resource and makes the executor forget it.
    ///
    /// # Errors
    ///
    /// Also while an action of the resource runs: the executor then forgets it a little later.
    pub fn unregister(&self, rsc: &str) -> anyhow::Result<()> {
        self.ask(Request::Unregister { rsc: rsc.to_owned() }).map(drop)
    }

    /// Hands an action to the executor and returns its call number; the results come as [`Event`]s.
    ///
    /// With an `interval_ms` other than 0 the action is repeated, each run with an event, until [`Self::cancel`].
    /// `parameters` reach the agent as `OCF_RESKEY_NAME`. One resource has its actions run in order, several resources
    /// at the same time.
    pub fn exec(
        &self,
        rsc: &str,
        action: &str,
        interval_ms: u32,
        timeout_ms: u32,
        parameters: &[(&str, &str)],
    ) -> anyhow::Result<i32> {
        self.ask(Request::Exec {
            rsc: rsc.to_owned(),
            action: action.to_owned(),
            interval_ms,
            timeout_ms: timeout_ms.try_into().context("timeout")?,
            parameters: parameters.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        })
    }

    /// Ends a recurring action; a last event of its call then has [`Status::Cancelled`].
    pub fn cancel(&self, rsc: &str, action: &str, interval_ms: u32) -> anyhow::Result<()> {
        self.ask(Request::Cancel { rsc: rsc.to_owned(), action: action.to_owned(), interval_ms }).map(drop)
    }

    /// Returns the oldest event of a call that no wait has returned yet, waiting for it if need be.
    ///
    /// # Errors
    ///
    /// When there is none within the time, or the executor is gone.
    pub fn wait(&self, call: i32, within: Duration) -> anyhow::Result<Event> {
        self.board.wait(within, &format!("an event of call {call}"), |seen| seen.take(|event| event.call == call))
    }

    /// Returns the oldest event of any call that no wait has returned yet, waiting for it if need be.
    ///
    /// # Errors
    ///
    /// As [`Self::wait`].
    pub fn next_event(&self, within: Duration) -> anyhow::Result<Event> {
        self.board.wait(within, "an event", |seen| seen.take(|_| true))
    }

    /// Returns all events of a call so far, oldest first, also those that a wait returned.
    pub fn events(&self, call: i32) -> Vec<Event> {
        self.board.lock().events.iter().map(|(event, _)| event).filter(|event| event.call == call).cloned().collect()
    }

    /// Prepares a command to run inside the capsule, with [`PATH`] and no other environment.
    ///
    /// It may outlive the [`std::process::Child`] that stands for it, but not the capsule.
    pub fn command(&self, argv: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.env_clear().env("PATH", PATH).env("HOME", "/root").env("LANG", "C");
        command.args(["-t", &self.pid.to_string(), "-m", "-p", "-u", "-i", "-n", "--"]).args(argv);
        command
    }

    /// Process id of the capsule's first process, as seen from outside.
    pub fn pid(&self) -> u32 {
        self.pid.cast_unsigned()
    }

    /// Returns the path by which this process reaches an absolute path of the capsule.
    ///
    /// An absolute symbolic link on the way leads out of the capsule again; for such, use [`Self::command`].
    pub fn inside(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        Path::new("/proc").join(self.pid.to_string()).join("root").join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Returns the executor's log so far.
    pub fn log(&self) -> anyhow::Result<String> {
        let log = std::fs::read(self.inside(EXECUTOR_LOG)).context(EXECUTOR_LOG)?;
        Ok(String::from_utf8_lossy(&log).into_owned())
    }

    /// How long the start took, from the call until the executor answered.
    pub fn ready_after(&self) -> Duration {
        self.ready_after
    }

    fn ask(&self, request: Request) -> anyhow::Result<i32> {
        let what = format!("{request:?}");
        let id = {
            let (last, stdin) = &mut *self.requests.lock().unwrap_or_else(PoisonError::into_inner);
            *last += 1;
            let mut line = serde_json::to_string(&Numbered { id: *last, request })?;
            line.push('\n');
            if let Err(error) = stdin.write_all(line.as_bytes()) {
                bail!("{what}: {error}; {}", self.board.lock().ended.as_deref().unwrap_or("the capsule still runs"));
            }
            *last
        };
        self.board.wait(REPLY_WITHIN, &what, |seen| seen.replies.remove(&id))?.map_err(anyhow::Error::msg).context(what)
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        // The kernel ends whatever is in the pid namespace before the first process is seen to be dead.
        // It fails only where that process is dead already.
        let _ = pidfd_send_signal(&self.init, Signal::KILL);
        self.keeper.bury();
    }
}

/// Says what keeps this machine from making a capsule, if anything does.
///
/// A test that finds something missing says so and returns, or fails where nothing may be missing (in CI).
///
/// # Errors
///
/// With the reason, in words for people.
pub fn available() -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("capsules for pacemaker-execd need root".into());
    }
    for (file, package) in [(EXECUTOR, "pacemaker"), (AGENTS, "resource-agents")] {
        if !Path::new(file).exists() {
            return Err(format!("{file} is missing (Debian: {package})"));
        }
    }
    for (tool, package) in
        [("setpriv", "util-linux"), ("unshare", "util-linux"), ("nsenter", "util-linux"), ("ip", "iproute2")]
    {
        if !PATH.split(':').any(|directory| Path::new(directory).join(tool).exists()) {
            return Err(format!("{tool} is missing (Debian: {package})"));
        }
    }
    let trial = in_new_namespaces().and_then(|mut command| Ok(command.arg("check").stdin(Stdio::null()).output()?));
    match trial {
        Ok(trial) if trial.status.success() => Ok(()),
        Ok(trial) => Err(format!("no capsule can be made: {}", String::from_utf8_lossy(&trial.stderr).trim())),
        Err(error) => Err(format!("no capsule can be made: {error:#}")),
    }
}

/// The client program as the first process of new namespaces, all to be killed when the calling thread ends.
fn in_new_namespaces() -> anyhow::Result<Command> {
    let mut command = Command::new("setpriv");
    command.env_clear().env("PATH", PATH).env("LANG", "C");
    command.args(["--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--uts", "--ipc", "--net"]);
    command.args(["--fork", "--kill-child", "--propagation", "private", "--"]).arg(own_program("executor-client")?);
    Ok(command)
}

/// A program of this crate: Cargo names it, or it lies where Cargo puts it.
pub(crate) fn own_program(name: &str) -> anyhow::Result<PathBuf> {
    let named = std::env::var_os(format!("CARGO_BIN_EXE_{name}")).map(PathBuf::from);
    let beside = std::env::current_exe()?.ancestors().skip(1).take(2).map(|directory| directory.join(name)).collect();
    let places: Vec<PathBuf> = named.map_or(beside, |named| vec![named]);
    places.into_iter().find(|place| place.exists()).with_context(|| {
        format!("{name} is not built: run the integration tests of ocf-wasm-tests, or `cargo build -p ocf-wasm-tests`")
    })
}

/// Refers to a process in a way that never means another one.
fn open_process(pid: i32) -> anyhow::Result<OwnedFd> {
    let pid = Pid::from_raw(pid).context("the capsule's process id")?;
    pidfd_open(pid, PidfdFlags::empty()).context("the capsule's first process")
}

/// Adds what the executor of a capsule said on stdout and stderr, if anything.
fn with_output_of(pid: i32, error: anyhow::Error) -> anyhow::Error {
    let output = std::fs::read(format!("/proc/{pid}/root{EXECUTOR_OUTPUT}")).unwrap_or_default();
    match String::from_utf8_lossy(&output).trim() {
        "" => error,
        said => error.context(format!("pacemaker-execd said {said:?}")),
    }
}

/// Holds a capsule by its outermost process.
///
/// The kernel kills that process when the *thread* that spawned it ends, and the thread of a test may end before the
/// test process does; so a thread of its own spawns it and stays.
#[derive(Debug)]
struct Keeper {
    child: Child,
    /// Dropped to let the thread go.
    _stay: mpsc::Sender<()>,
}

impl Keeper {
    fn spawn(mut command: Command) -> anyhow::Result<Self> {
        let (stay, told_to_go) = mpsc::channel::<()>();
        let (send, receive) = mpsc::channel();
        std::thread::Builder::new().name("capsule-keeper".into()).spawn(move || {
            drop(send.send(command.spawn()));
            // Nothing is ever sent: this returns when the other end is dropped.
            let _ = told_to_go.recv();
        })?;
        let child = receive.recv().context("the keeper's thread")?.context("setpriv")?;
        Ok(Self { child, _stay: stay })
    }

    /// Waits for the end of everything in the capsule; kills the outermost process when that takes too long.
    fn bury(&mut self) {
        let limit = Instant::now() + Duration::from_secs(10);
        while let Ok(None) = self.child.try_wait() {
            if Instant::now() > limit {
                drop(self.child.kill());
                drop(self.child.wait());
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends a capsule that did not come up, and passes the reason on.
    fn give_up(&mut self, error: anyhow::Error) -> anyhow::Error {
        drop(self.child.kill());
        self.bury();
        error
    }
}
