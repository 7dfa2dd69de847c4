//! `run`: one action, by the agent's own binary, in a private root.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use super::record::Tape;
use super::{Format, here, replay};
use crate::instance::{Directory, History};
use crate::ocf::description::{AgentName, Profile, is_secret};
use crate::ocf::parameter::duration_ms;
use crate::store::{self, install};
use crate::sys::interrupt;

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  ocf-wasm run dummy.wasm start\n  ocf-wasm run server.wasm start -p port=5600 --policy policy.toml --trace\n  ocf-wasm run ocf-wasm/sample-tcp-server monitor -p port=5600\n  ocf-wasm run ocf-wasm/sample-tcp-server monitor --record running.json\n  ocf-wasm run sample-tcp-server.wasm monitor --replay running.json\n\nWhat it prints is the agent's, for Pacemaker, and no JSON: `ocf-wasm why INSTANCE -o json` has what came of it. With --replay, -o json is an object of the differences.\n\nExit status: the agent's, man 8 ocf-wasm-agent; with --replay 0 if all is as recorded, 1 if not; 1 too if it could not be run, 2 wrong usage. What was started stays in the private root until it is stopped.\n\nWithout --root the private root is $XDG_STATE_HOME/ocf-wasm, or ~/.local/state/ocf-wasm. Without root all runs as you, in a user namespace: no change of users, no control groups."
)]
pub(super) struct Arguments {
    /// A component (installed in the private root first), or PROVIDER/TYPE of one that is there
    #[arg(value_parser = subject)]
    agent: Subject,
    /// start, stop, monitor, promote, demote, notify, `migrate_to`, `migrate_from`, reload-agent, validate-all, meta-data
    action: String,
    /// A parameter, such as -p port=5600; once for each
    #[arg(short, long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(String, String)>,
    /// The policy; it takes the place of that in the private root, which is kept beside it as TYPE.toml.old. If not given,
    /// the one there
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The instance's name
    #[arg(long, default_value = "try")]
    instance: String,
    /// Interval of a recurring monitor, such as 10s; without it a monitor is a probe
    #[arg(long, value_name = "TIME", value_parser = milliseconds)]
    interval: Option<u64>,
    /// How long the action may take
    #[arg(long, default_value = "20s", value_name = "TIME", value_parser = time_to_act)]
    timeout: u64,
    /// How thorough monitor and validate-all are
    #[arg(long, value_name = "N")]
    level: Option<u8>,
    /// Print each call that the plugin makes, its answer, and how long it took
    #[arg(long)]
    trace: bool,
    /// Write down what the plugin was called for, what it asked and what it was answered, as a file to read, change and
    /// replay. Passwords are masked
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Answer the plugin from such a file and say where it does something else than was recorded. Touches nothing and
    /// needs no policy; parameters are those of the file, unless -p sets others
    #[arg(long, value_name = "FILE", conflicts_with_all = ["record", "policy", "instance", "interval", "timeout", "level", "trace"])]
    replay: Option<PathBuf>,
}

impl Arguments {
    pub(super) fn absolute(self) -> Result<Self> {
        let agent = match self.agent {
            Subject::Component(path) => Subject::Component(std::path::absolute(path)?),
            agent @ Subject::Agent(_) => agent,
        };
        let policy = self.policy.as_ref().map(std::path::absolute).transpose()?;
        let record = self.record.as_ref().map(std::path::absolute).transpose()?;
        let replay = self.replay.as_ref().map(std::path::absolute).transpose()?;
        Ok(Self { agent, policy, record, replay, ..self })
    }

    /// Whether it does something in the root.
    pub(super) fn acts(&self) -> bool {
        self.replay.is_none()
    }
}

/// What acts.
#[derive(Clone)]
enum Subject {
    /// A file, to be installed first.
    Component(PathBuf),
    /// Something installed.
    Agent(AgentName),
}

fn subject(text: &str) -> Result<Subject> {
    let is_file = Path::new(text).extension().is_some_and(|end| end.eq_ignore_ascii_case("wasm"));
    if is_file { Ok(Subject::Component(text.into())) } else { super::agent_name(text).map(Subject::Agent) }
}

pub(super) fn parameter(text: &str) -> Result<(String, String)> {
    let named = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = named.context("NAME=VALUE is expected")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Refuses a parameter that is given more than once: one of its values would not count, and nobody would see which.
///
/// # Errors
/// Wrong usage of the verb.
pub(super) fn given_once(verb: &str, parameters: &[(String, String)]) -> Result<()> {
    for (number, (name, last)) in parameters.iter().enumerate() {
        let Some((_, first)) = parameters[..number].iter().find(|(earlier, _)| earlier == name) else { continue };
        let [first, last] = [first, last].map(|value| if is_secret(name) { "..." } else { value });
        return super::usage(
            verb,
            format!("-p {name}={first} and -p {name}={last}: a parameter has one value; leave one of them out"),
        );
    }
    Ok(())
}

fn milliseconds(text: &str) -> Result<u64> {
    duration_ms(text).context("a time such as 500ms, 10s or 2min is expected")
}

fn time_to_act(text: &str) -> Result<u64> {
    let time = milliseconds(text)?;
    if time == 0 {
        bail!("a time that is longer than none is expected, such as 20s");
    }
    Ok(time)
}

pub(super) fn run(arguments: &Arguments, format: Format) -> Result<ExitCode> {
    given_once("run", &arguments.parameters)?;
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    if let Some(file) = &arguments.replay {
        return again(arguments, file, format);
    }
    if crate::sys::user::is_alone() {
        eprintln!("note: without root all runs as you, and daemons are tracked by descent only");
    }
    let agent = match &arguments.agent {
        Subject::Component(file) => install_here(&install::examine(file)?)?,
        Subject::Agent(name) => name.clone(),
    };
    if let Some(policy) = &arguments.policy {
        let text = std::fs::read_to_string(policy).with_context(|| policy.display().to_string())?;
        super::check::must_be_good(&text, policy)?;
        replace_policy(&agent, policy, &text)?;
    }
    let file = Path::new(store::RESOURCE_D).join(&agent.provider).join(&agent.kind);
    if !file.exists() {
        bail!("{agent} is not installed in this root: name its component, FILE.wasm");
    }
    let mut command = Command::new(&file);
    command.arg(&arguments.action).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
    command.env("OCF_ROOT", "/usr/lib/ocf").env("OCF_RA_VERSION_MAJOR", "1").env("OCF_RA_VERSION_MINOR", "1");
    command.env("OCF_EXIT_REASON_PREFIX", "ocf-exit-reason:").env("OCF_RESOURCE_INSTANCE", &arguments.instance);
    command.env("OCF_RESOURCE_TYPE", &agent.kind).env("OCF_RESOURCE_PROVIDER", &agent.provider);
    command.env("OCF_RESKEY_CRM_meta_timeout", arguments.timeout.to_string());
    if let Some(interval) = arguments.interval {
        command.env("OCF_RESKEY_CRM_meta_interval", interval.to_string());
    }
    if let Some(level) = arguments.level {
        command.env("OCF_CHECK_LEVEL", level.to_string());
    }
    if arguments.trace {
        command.env("OCF_TRACE_RA", "1").env("OCF_TRACE_FILE", "/dev/stderr");
    }
    for (name, value) in &arguments.parameters {
        command.env(format!("OCF_RESKEY_{name}"), value);
    }
    let history = History::of(&Directory::of(&agent, &arguments.instance));
    let before = history.last();
    let tape = arguments.record.as_deref().map(Tape::new).transpose()?;
    if let Some(tape) = &tape {
        command.env("OCF_WASM_RECORD_FILE", tape.raw());
    }
    let mut child = command.spawn().with_context(|| file.display().to_string())?;
    interrupt::hand_on_to(Some(child.id()));
    // The signal is seen by who waits; the number is taken back before it could mean another process.
    let ended = wait_for_end(&child);
    interrupt::hand_on_to(None);
    let status = ended.and_then(|()| child.wait()).with_context(|| file.display().to_string())?;
    if let Some(tape) = tape
        && !tape.finish()?
    {
        eprintln!("note: nothing is recorded: the plugin was not asked");
    }
    let after = history.last();
    if after != before && here::is_private() && after.last().is_some_and(|action| action.reason.contains("ocf-wasm ")) {
        // The agent does not know that it is in a private root: the command behind its reason, as it can be typed.
        let command = here::said(&format!("ocf-wasm why {}", arguments.instance));
        eprintln!("note: in this root that is: {command}");
    }
    match (status.code(), status.signal()) {
        (Some(code), _) => Ok(ExitCode::from(u8::try_from(code).unwrap_or(1))),
        (None, _) if interrupt::noticed().is_some() => bail!(
            "interrupted; what was started stays until it is stopped: ocf-wasm run {agent} stop --instance {}",
            arguments.instance
        ),
        (None, signal) => bail!("the agent was ended by signal {}", signal.unwrap_or(0)),
    }
}

/// What is said where a document is asked for of an action.
pub(super) const NO_DOCUMENT: &str = "an action prints what the agent prints, for Pacemaker: -o json is for --replay; \
                                      what came of an action: ocf-wasm why INSTANCE -o json";

/// Waits until a process has ended, and does not bury it.
fn wait_for_end(child: &Child) -> std::io::Result<()> {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    loop {
        match waitid(Id::Pid(Pid::from_raw(child.id().cast_signed())), flags) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Puts the policy of a file in its place, and keeps what was there beside it.
pub(super) fn replace_policy(agent: &AgentName, file: &Path, text: &str) -> Result<()> {
    let place = store::policy_path(agent);
    if std::fs::read(&place).is_ok_and(|before| before != text.as_bytes()) {
        let aside = place.with_extension("toml.old");
        std::fs::rename(&place, &aside).with_context(|| aside.display().to_string())?;
        let kept = here::path(&aside);
        eprintln!("note: {} takes the place of another policy, which is now {}", file.display(), kept.display());
    }
    grant(agent, text.as_bytes())
}

/// Puts a policy in its place.
pub(super) fn grant(agent: &AgentName, text: &[u8]) -> Result<()> {
    let place = store::policy_path(agent);
    std::fs::create_dir_all(place.parent().context("policy")?)?;
    crate::sealed::replace(&place, text, 0o600).with_context(|| place.display().to_string())
}

/// Replays a recorded action with a component, or with what is installed in the private root.
fn again(arguments: &Arguments, file: &Path, format: Format) -> Result<ExitCode> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let examined = match &arguments.agent {
        Subject::Component(component) => install::examine(component)?,
        Subject::Agent(name) => {
            let current = store::current(name).and_then(|number| store::generation(name, number).ok());
            let current = current
                .with_context(|| format!("{name} is not installed in this root: name its component, FILE.wasm"))?;
            install::examine(&store::blob_path(&current.component))?
        }
    };
    replay::run(&examined, &arguments.action, &text, &arguments.parameters, format)
        .with_context(|| file.display().to_string())
}

/// Installs a component in the private root unless that very one is current there.
pub(super) fn install_here(examined: &install::Examined) -> Result<AgentName> {
    let agent = examined.description.name.clone();
    let current = store::current(&agent).and_then(|number| store::generation(&agent, number).ok());
    if current.is_none_or(|generation| generation.component != examined.digest) {
        let number = install::add(examined, Profile::V1_1)?;
        install::switch(&agent, number, false)?;
    }
    Ok(agent)
}
