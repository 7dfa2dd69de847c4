//! A plugin that is right but for one mistake that an author can make; which one, its parameter says. What the host
//! would not let pass is in `tests/hostile`: here is what only a test of the plugin finds.
#![cfg_attr(target_family = "wasm", no_std)]
#![forbid(unsafe_code)]
use core::time::Duration;

use ocf_agent::instance::{self, ActionName};
use ocf_agent::label::Program as Label;
use ocf_agent::prelude::*;
use ocf_agent::program::Phase;
use ocf_agent::{
    Agent, Choice, Failure, Health, Migration, Notification, Outcome, Parameters, Reload, Role, agent, arguments,
    clock, configuration, fail, labels, log, permission, slot, state, unimplemented,
};

/// The key that stands while it runs: its role.
const ROLE: &str = "role";
/// The key that a mistaken migration leaves.
const LEFT: &str = "left";
const PROMOTED: &str = "promoted";

/// Makes one mistake
///
/// For the tests of `ocf-wasm test` only.
#[derive(Parameters)]
#[agent(
    name = "test/broken",
    check_level(10, timeout = "6s", interval = "1m"),
    start = "6s",
    stop = "6s",
    monitor = "6s",
    promote = "4s",
    demote = "4s",
    notify = "4s",
    migrate_to = "6s",
    migrate_from = "6s",
    reload = "6s",
    validate = "6s"
)]
struct Broken {
    /// The mistake that is made
    #[parameter(required)]
    fault: Fault,
    /// What it is all about
    ///
    /// Anything but `nonsense`.
    #[parameter(required)]
    target: String,
    /// Words that change without a restart
    #[parameter(reloadable)]
    words: Option<String>,
    /// Whether nothing else is different
    #[parameter(default = false)]
    same: bool,
}

/// What can be mistaken.
#[derive(Choice, Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// None at all.
    None,
    /// Monitor says that it runs, whatever is there.
    MonitorAlwaysRunning,
    /// Monitor writes into the notebook.
    MonitorWrites,
    /// Monitor believes what start wrote down.
    MonitorByNotebook,
    /// A thorough monitor fails.
    MonitorDeepFails,
    /// Monitor logs that all is well.
    MonitorChats,
    /// A probe never finds anything.
    ProbeIsBlind,
    /// A probe does not see the role.
    ProbeHidesRole,
    /// A probe fails where a command is not granted.
    ProbeNeedsLabel,
    /// A dead daemon is a failure without a word.
    DeadIsSilent,
    /// A dead daemon is a failure in two lines.
    DeadInLines,
    /// A dead daemon is a failure in more words than fit.
    DeadAtLength,
    /// A dead daemon is a wrong configuration.
    DeadIsConfiguration,
    /// A dead daemon is a panic.
    DeadPanics,
    /// A daemon of which children live is stopped.
    RemainsIsStopped,
    /// A daemon of which only children live is running.
    RemainsIsRunning,
    /// Start does nothing and is content.
    StartDoesNothing,
    /// Start works on a node of one name only.
    StartNeedsNode,
    /// Start logs sixty lines.
    StartFloods,
    /// Start makes a lock that stop does not remove.
    StartLocks,
    /// Start takes what validate refuses.
    StartTakesNonsense,
    /// A missing grant is a wrong configuration.
    DenialIsConfiguration,
    /// A missing grant is not named.
    DenialIsNameless,
    /// A copy of a clone does not start.
    CloneIsConfused,
    /// Stop fails if there is nothing to stop.
    StopFailsWhenStopped,
    /// Stop fails if there is something to stop.
    StopFails,
    /// Stop fails if there is something to stop, and the host knows all that there is.
    StopIsTheHosts,
    /// Stop fails for what is promoted.
    StopNeedsDemoted,
    /// Promote does nothing and is content.
    PromoteDoesNothing,
    /// Promote is exported and not implemented.
    PromoteIsMissing,
    /// Demote ends the daemon.
    DemoteLosesDaemon,
    /// Demote replaces the daemon.
    DemoteRestarts,
    /// Notify fails.
    NotifyFails,
    /// Notify expects a list to have something in it.
    NotifyPanics,
    /// Notify of a start takes more than half of its time.
    NotifyIsSlow,
    /// The target needs what the source wrote down.
    MigrateByNotebook,
    /// The target does nothing and is content.
    MigrateFromDoesNothing,
    /// Reload replaces the daemon.
    ReloadRestarts,
    /// Reload fails.
    ReloadFails,
    /// Validate takes everything.
    ValidateTakesNonsense,
    /// Validate refuses everything.
    ValidateRefusesAll,
    /// Validate fails where it may not look at the node.
    ValidateMustLook,
    /// Validate cuts text between bytes.
    TextIsSliced,
    /// Validate expects text to have something in it.
    EmptyPanics,
    /// A label is asked for and not used.
    LabelIsIdle,
    /// A label is used and not asked for.
    LabelIsUndeclared,
}

labels! {
    /// what runs
    Program DAEMON = "daemon";
    /// what is asked before each start
    Program COMMAND = "command";
}
agent!(Broken: role, notification, migration, reload);

impl Agent for Broken {
    fn validate(&self) -> Outcome {
        let words = self.words.as_deref();
        match self.fault {
            Fault::ValidateRefusesAll => return arguments("nothing is good enough"),
            Fault::ValidateTakesNonsense => return Ok(()),
            Fault::ValidateMustLook if COMMAND.available_with(&[slot("verb", "check")]) != Ok(true) => {
                return fail("the command is not there");
            }
            Fault::TextIsSliced if !self.target.is_empty() => drop(self.target[..1].to_owned()),
            Fault::EmptyPanics => drop(words.map(|words| words.as_bytes()[0])),
            _ => {}
        }
        self.refuse_nonsense()?;
        // Last: below level 10 nothing is granted, and what is handed on of that counts for nothing.
        if self.fault != Fault::LabelIsIdle {
            COMMAND.available_with(&[slot("verb", "check")])?;
        }
        Ok(())
    }
    fn start(&self) -> Outcome {
        match self.fault {
            Fault::StartDoesNothing => return Ok(()),
            Fault::StartNeedsNode if instance::node() != "node1" => return fail("this is not node1"),
            Fault::StartFloods => (0..60).for_each(|line| log::info(format!("line {line}"))),
            Fault::CloneIsConfused if instance::clone_info().is_some() => return fail("there is only one of us"),
            Fault::LabelIsUndeclared => drop(Label::declared("another").available()),
            _ => {}
        }
        if self.fault != Fault::StartTakesNonsense {
            self.refuse_nonsense()?;
        }
        match (self.begin(), self.fault) {
            (Err(_), Fault::DenialIsConfiguration) => configuration("program daemon or command: cannot be used"),
            (Err(_), Fault::DenialIsNameless) => permission("something is missing"),
            (outcome, _) => outcome,
        }
    }
    fn stop(&self) -> Outcome {
        let phase = DAEMON.phase();
        match (self.fault, phase) {
            (Fault::StopFailsWhenStopped, Ok(Phase::Stopped)) => return fail("daemon: is not running"),
            (Fault::StopFails | Fault::StopIsTheHosts, Ok(Phase::Running)) => return fail("daemon: does not stop"),
            (Fault::StopNeedsDemoted, _) if role()?.as_deref() == Some(PROMOTED) => return fail("it is promoted"),
            _ => {}
        }
        DAEMON.stop()?;
        Ok(state::delete(ROLE)?)
    }
    fn monitor(&self) -> Outcome<Health> {
        match self.fault {
            Fault::MonitorAlwaysRunning => return Ok(Health::Running),
            Fault::MonitorWrites => state::set_text("seen", "yes")?,
            Fault::MonitorByNotebook => return health(),
            Fault::MonitorChats => log::info("all is well"),
            Fault::MonitorDeepFails if instance::check_level() > 0 => return fail("too deep"),
            Fault::ProbeIsBlind if instance::is_probe() => return Ok(Health::NotRunning),
            Fault::ProbeNeedsLabel if COMMAND.available_with(&[slot("verb", "check")]) != Ok(true) => {
                return fail("the command is not there");
            }
            _ => {}
        }
        match (DAEMON.phase()?, self.fault) {
            (Phase::Running, Fault::ProbeHidesRole) if instance::is_probe() => Ok(Health::Running),
            (Phase::Running, _) | (Phase::Remains, Fault::RemainsIsRunning) => health(),
            (Phase::Stopped, _) | (Phase::Remains, Fault::RemainsIsStopped) => Ok(Health::NotRunning),
            (phase, fault) => dead(&format!("daemon: {phase:?}"), fault),
        }
    }
}

impl Role for Broken {
    fn promote(&self) -> Outcome {
        match self.fault {
            Fault::PromoteDoesNothing => Ok(()),
            Fault::PromoteIsMissing => unimplemented("promote comes later"),
            _ => Ok(state::set_text(ROLE, PROMOTED)?),
        }
    }
    fn demote(&self) -> Outcome {
        match self.fault {
            Fault::DemoteLosesDaemon => DAEMON.stop()?,
            Fault::DemoteRestarts => restart()?,
            _ => {}
        }
        Ok(state::set_text(ROLE, "unpromoted")?)
    }
}

impl Notification for Broken {
    fn notify(&self) -> Outcome {
        let Some(notice) = instance::notification() else { return fail("nothing is announced") };
        let is_first = notice.operation == ActionName::Start && notice.promoting.is_empty();
        match self.fault {
            Fault::NotifyFails => return fail("who asks?"),
            Fault::NotifyPanics => drop(notice.promoting[0].clone()),
            Fault::NotifyIsSlow if is_first => clock::sleep(Duration::from_millis(2300))?,
            _ => {}
        }
        Ok(())
    }
}

impl Migration for Broken {
    fn migrate_to(&self) -> Outcome {
        if self.fault == Fault::MigrateByNotebook {
            state::set_text(LEFT, "yes")?;
        }
        Ok(())
    }
    fn migrate_from(&self) -> Outcome {
        match self.fault {
            Fault::MigrateFromDoesNothing => Ok(()),
            Fault::MigrateByNotebook if state::get(LEFT)?.is_none() => fail("nothing was sent"),
            _ => self.begin(),
        }
    }
}

impl Reload for Broken {
    fn reload(&self) -> Outcome {
        match self.fault {
            Fault::ReloadRestarts => restart(),
            Fault::ReloadFails => fail("words: cannot be changed"),
            _ => Ok(()),
        }
    }
}

impl Broken {
    fn begin(&self) -> Outcome {
        let verb = if self.fault == Fault::StartLocks { "lock" } else { "check" };
        // What a command does the host cannot know.
        if !matches!(self.fault, Fault::LabelIsIdle | Fault::StopIsTheHosts) {
            let asked = COMMAND.run_with(&[slot("verb", verb)], None)?;
            if !asked.succeeded() {
                return fail(format!("the command: {}", asked.last_line()));
            }
        }
        DAEMON.start()?;
        Ok(state::set_text(ROLE, "unpromoted")?)
    }
    fn refuse_nonsense(&self) -> Outcome {
        if self.target == "nonsense" { configuration("target: that is nonsense") } else { Ok(()) }
    }
}

fn restart() -> Outcome {
    DAEMON.stop()?;
    DAEMON.start()?;
    Ok(())
}

/// What is said of a daemon that does not run as it should.
fn dead(what: &str, fault: Fault) -> Outcome<Health> {
    match fault {
        Fault::DeadIsSilent => Err(Failure::fail("")),
        Fault::DeadInLines => fail(format!("{what}\nnobody knows why")),
        Fault::DeadAtLength => fail(format!("{what}, {}", "and so on ".repeat(20))),
        Fault::DeadIsConfiguration => configuration(what),
        Fault::DeadPanics => panic!("{what}"),
        _ => fail(what),
    }
}

fn role() -> Outcome<Option<String>> {
    Ok(state::get_text(ROLE)?)
}

/// What the notebook says.
fn health() -> Outcome<Health> {
    Ok(match role()?.as_deref() {
        None => Health::NotRunning,
        Some(PROMOTED) => Health::Promoted,
        Some(_) => Health::Running,
    })
}
