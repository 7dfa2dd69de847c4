//! The private node of a run: the agent's binary called as any caller would, and what is there after each call.
//!
//! Nothing is judged here but whether a call answers what its check wants; what holds for every call is in
//! `standing.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::call::{Answer, Call, LOG, TRACE};
use super::leftovers::{kill, strays};
use super::standing::Standing;
use super::trace;
use super::{Finding, Not};
use crate::capability::program::Condition;
use crate::instance::{self, Directory, Found, Record};
use crate::ocf::Action;
use crate::ocf::description::{AgentName, Description};
use crate::ocf::outcome::Exit;
use crate::store::{self, Request};
use crate::sys::interrupt;
use crate::sys::process::{self, ProcessId};

/// How long after its timeout a call is waited for before it is killed, as its caller would.
const PATIENCE: Duration = Duration::from_millis(500);

/// The agent under test, in its private root.
pub(super) struct Node {
    /// Which agent.
    pub(super) agent: AgentName,
    /// What its author says.
    pub(super) description: Description,
    /// What it asks for.
    pub(super) requests: Vec<Request>,
    /// Parameters that its user gave.
    pub(super) given: Vec<(String, String)>,
    /// Values that must be refused.
    pub(super) refused: Vec<(String, String)>,
    /// A parameter and the value that a reload changes it to.
    pub(super) reload: Option<(String, String)>,
    /// What is granted.
    pub(super) policy: String,
    /// What holds for every call, and what broke it.
    pub(super) standing: Standing,
    /// Checks that did not pass.
    pub(super) failed: BTreeSet<&'static str>,
    /// The instance of the check that runs: its name.
    pub(super) instance: String,
    /// Where output, logs and traces go.
    scratch: PathBuf,
    calls: u32,
}

/// A call that was begun.
pub(super) struct Running {
    child: Child,
    since: Instant,
    number: u32,
}

impl Node {
    /// Makes a node for an agent that is installed in the root that this process is in.
    pub(super) fn new(examined: &store::install::Examined, policy: String, scratch: PathBuf) -> Self {
        process::adopt_orphans();
        Self {
            agent: examined.description.name.clone(),
            description: examined.description.clone(),
            requests: examined.requests.clone(),
            given: Vec::new(),
            refused: Vec::new(),
            reload: None,
            policy,
            standing: Standing::default(),
            failed: BTreeSet::new(),
            instance: String::new(),
            scratch,
            calls: 0,
        }
    }

    /// How long an action may take by what is advertised.
    pub(super) fn advertised(&self, action: Action) -> Duration {
        let word = match action {
            Action::Reload => "reload",
            Action::ValidateAll => "validate",
            Action::MetaData | Action::Usage | Action::Methods => return Duration::from_secs(5),
            other => other.word(),
        };
        Duration::from_millis(self.description.timeout_ms(word))
    }

    /// An action as Pacemaker's executor asks for it; a monitor is a probe.
    pub(super) fn call(&self, action: Action) -> Call {
        let call = super::callers::executor(self, action).set_all(&[("OCF_TRACE_RA", "1"), ("OCF_TRACE_FILE", TRACE)]);
        call.within(self.advertised(action))
    }

    /// A recurring monitor.
    pub(super) fn monitor(&self) -> Call {
        self.call(Action::Monitor).with("CRM_meta_interval", self.description.interval_ms.max(1).to_string())
    }

    /// Adds the parameters that the user gave.
    pub(super) fn with_parameters(&self, call: Call) -> Call {
        self.given.iter().fold(call, |call, (name, value)| call.with(name, value))
    }

    /// Begins a call.
    pub(super) fn begin(&mut self, call: &Call) -> Result<Running, Not> {
        if interrupt::noticed().is_some() {
            return Err(Not::Blocked("interrupted".to_owned()));
        }
        self.calls += 1;
        let number = self.calls;
        let file = |end: &str| self.scratch.join(format!("{number}.{end}"));
        let broken = |what: &str, error: std::io::Error| Not::Failed(format!("{what}: {error}"));
        let path = std::path::Path::new(store::RESOURCE_D).join(&self.agent.provider).join(&self.agent.kind);
        let mut command = Command::new(&path);
        command.args(&call.arguments).env_clear().current_dir("/").process_group(0).stdin(Stdio::null());
        for (name, value) in &call.environment {
            let value = if value == TRACE { file("trace").into() } else { value.clone() };
            command.env(name, if value == LOG { file("log").into() } else { value });
        }
        command.stdout(File::create(file("out")).map_err(|error| broken("output", error))?);
        command.stderr(File::create(file("err")).map_err(|error| broken("output", error))?);
        if let Some(user) = call.user {
            command.uid(user).gid(user);
        }
        let since = Instant::now();
        let child = command.spawn().map_err(|error| broken(&path.display().to_string(), error))?;
        Ok(Running { child, since, number })
    }

    /// Waits for a call; one that does not answer is killed as its caller would.
    pub(super) fn end(&mut self, call: &Call, mut running: Running) -> Result<Answer, Not> {
        let mut is_late = false;
        let status = loop {
            let ended = running.child.try_wait().map_err(|error| Not::Failed(error.to_string()))?;
            if let Some(status) = ended {
                break status;
            }
            let is_over = running.since.elapsed() > call.timeout + PATIENCE || interrupt::noticed().is_some();
            if !is_late && is_over {
                running.kill();
                is_late = true;
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        let took = running.since.elapsed();
        let text = |end: &str| {
            let bytes = fs::read(self.scratch.join(format!("{}.{end}", running.number))).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let exit = status.code().and_then(Exit::from_status);
        let ended = match (exit, status.code(), status.signal()) {
            _ if is_late => format!("nothing within {:.1} s", call.timeout.as_secs_f64()),
            (Some(exit), ..) => exit.to_string(),
            (None, Some(code), _) => format!("{code}, which means nothing"),
            (None, None, signal) => format!("nothing: it was ended by signal {}", signal.unwrap_or(0)),
        };
        let answer = Answer {
            exit: exit.filter(|_| !is_late),
            ended,
            stdout: text("out"),
            stderr: text("err"),
            took,
            trace: trace::read(&text("trace")),
            log: text("log").lines().map(str::to_owned).collect(),
        };
        for end in ["out", "err", "trace", "log"] {
            let _ = fs::remove_file(self.scratch.join(format!("{}.{end}", running.number)));
        }
        self.judge(call, &answer);
        Ok(answer)
    }

    /// Makes a call and waits for its answer.
    pub(super) fn ask(&mut self, call: &Call) -> Result<Answer, Not> {
        let running = self.begin(call)?;
        self.end(call, running)
    }

    /// Makes a call that must answer one of these.
    pub(super) fn expect(&mut self, call: &Call, wanted: &[Exit]) -> Result<Answer, Not> {
        let answer = self.ask(call)?;
        if answer.exit.is_some_and(|exit| wanted.contains(&exit)) {
            return Ok(answer);
        }
        Err(Not::Failed(answer.instead_of(call, wanted)))
    }

    /// Makes a call that another check judges; this one needs it to have worked.
    pub(super) fn given(&mut self, call: &Call, wanted: &[Exit]) -> Result<Answer, Not> {
        self.expect(call, wanted).map_err(|not| match not {
            Not::Failed(text) => Not::Blocked(text),
            other => other,
        })
    }

    /// Blocks a check that would ask for what is not there, if it is known that this does not work.
    pub(super) fn worth_probing(&self) -> Finding {
        match self.failed.contains(super::life::BASICS[0]) {
            true => Err(Not::Blocked(format!("{} did not pass", super::life::BASICS[0]))),
            false => Ok(()),
        }
    }

    /// Blocks a check that would start something, if it is known that this does not work.
    pub(super) fn worth_starting(&self) -> Finding {
        match super::life::BASICS.iter().find(|basic| self.failed.contains(**basic)) {
            Some(basic) => Err(Not::Blocked(format!("{basic} did not pass"))),
            None => Ok(()),
        }
    }

    /// Starts the instance of this check.
    pub(super) fn started(&mut self) -> Finding {
        self.worth_starting()?;
        self.given(&self.call(Action::Start), &[Exit::Success]).map(drop)
    }

    /// Where the host keeps what it knows of the instance.
    pub(super) fn directory(&self) -> Directory {
        Directory::of(&self.agent, &self.instance)
    }

    /// What the host knows of the instance.
    pub(super) fn record(&self) -> Option<Box<Record>> {
        match self.directory().record() {
            Found::Record(record) => Some(record),
            Found::None | Found::Unknown(_) => None,
        }
    }

    /// The daemons of the instance, by label, as `why` shows them.
    pub(super) fn daemons(&self) -> BTreeMap<String, Condition> {
        daemons_of(&self.directory())
    }

    /// All processes of the daemons of the instance.
    pub(super) fn alive(&self) -> Vec<ProcessId> {
        self.daemons().into_values().flat_map(|daemon| daemon.members).collect()
    }

    /// Replaces what is granted; none takes the policy away.
    pub(super) fn grant(&self, policy: Option<&str>) -> Finding {
        let place = store::policy_path(&self.agent);
        let done = match policy {
            Some(text) => super::super::run::grant(&self.agent, text.as_bytes()),
            None => fs::remove_file(&place).map_err(Into::into),
        };
        done.map_err(|error| Not::Failed(format!("{}: {error:#}", place.display())))
    }

    /// Ends what runs of this check's instance and forgets it; the policy stays as it is.
    pub(super) fn clear_instance(&mut self) {
        let name = self.instance.clone();
        self.clear_all();
        self.instance = name;
    }

    /// Ends all that a check may have left, so that the next one begins with nothing.
    pub(super) fn clear(&mut self) {
        let _ = self.grant(Some(&self.policy));
        self.clear_all();
    }

    fn clear_all(&mut self) {
        for (_, name, directory) in instance::list() {
            let is_active = matches!(directory.record(), Found::Record(record) if record.state.is_active());
            if is_active {
                self.instance.clone_from(&name);
                let stop = self.call(Action::Stop);
                if let Ok(running) = self.begin(&stop) {
                    // Whatever it says: its check has said what there is to say.
                    self.standing.is_off = true;
                    let _ = self.end(&stop, running);
                    self.standing.is_off = false;
                }
            }
            let left: Vec<ProcessId> = daemons_of(&directory).into_values().flat_map(|daemon| daemon.members).collect();
            let _ = kill(&left);
            let _ = fs::remove_dir_all(directory.path());
        }
        let _ = kill(&strays());
    }
}

impl Running {
    /// Kills it and all of its process group, as a caller does whose patience is over.
    pub(super) fn kill(&self) {
        let _ = killpg(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGKILL);
    }
}

/// The daemons that an instance's record holds, by label.
pub(super) fn daemons_of(directory: &Directory) -> BTreeMap<String, Condition> {
    let Found::Record(record) = directory.record() else { return BTreeMap::new() };
    let condition = |(label, daemon): (&String, &instance::Daemon)| {
        (label.clone(), daemon.condition(&directory.report_path(label)))
    };
    record.daemons.iter().map(condition).collect()
}
