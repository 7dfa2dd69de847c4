//! What is known of one instance, and what follows from it: the verdict, the place in the policy, what Pacemaker does,
//! what to do. Printing it is not done here.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::advice;
use crate::capability::program::{Condition, Report, traces, unit};
use crate::cli::here;
use crate::instance::{Action, Directory, Found, History, Record, State};
use crate::ocf::description::AgentName;
use crate::ocf::effect::{Effect, Occasion, Stays, effect};
use crate::ocf::outcome::{Exit, was_failure};
use crate::plan;
use crate::policy::{self, Diagnostic, Policy, Program, Refused, Severity, place};
use crate::seam::program::Phase;
use crate::store::{self, Digest};

/// How long the service manager is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// The action by which a person says that nothing runs.
const FORGET: &str = "forget";

/// What is known.
pub(super) struct Story {
    pub(super) agent: AgentName,
    pub(super) instance: String,
    /// The state's word, or `none`, or why it is unknown.
    pub(super) state: String,
    pub(super) record: Option<Box<Record>>,
    /// Oldest first.
    pub(super) actions: Vec<Action>,
    pub(super) daemons: Vec<Daemon>,
}

/// A daemon as it is now.
pub(super) struct Daemon {
    pub(super) label: String,
    /// The unit that it is, or that keeps it.
    pub(super) unit: Option<String>,
    pub(super) condition: Condition,
    pub(super) report: Report,
}

impl Daemon {
    /// How its main process ended.
    pub(super) fn ended(&self) -> Option<String> {
        self.condition.ended.map(|ended| self.report.how().unwrap_or_else(|| ended.to_string()))
    }
}

/// How it stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Running,
    Failed,
    /// The last answer was good, and something is broken since.
    Failing,
    Stopped,
    Unfinished,
    Unknown,
    NotStarted,
}

impl Standing {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Failed => "failed",
            Self::Failing => "failing",
            Self::Stopped => "stopped",
            Self::Unfinished => "unfinished",
            Self::Unknown => "unknown",
            Self::NotStarted => "not-started",
        }
    }
}

/// What follows.
pub(super) struct Verdict {
    pub(super) standing: Standing,
    /// One sentence, without what Pacemaker does.
    pub(super) text: String,
    /// The action that failed, of what is not repaired.
    pub(super) failure: Option<Action>,
    pub(super) effect: Option<&'static Effect>,
    /// The line of the policy that it came from, or that will refuse the next start.
    pub(super) place: Option<Diagnostic>,
    pub(super) advice: Vec<String>,
    /// The command that lets the cluster forget the failure, where there is something to forget.
    pub(super) cleanup: Option<String>,
}

impl Story {
    pub(super) fn of(agent: AgentName, instance: String, directory: &Directory) -> Self {
        let (state, record) = match directory.record() {
            Found::Record(record) => (record.state.word().to_owned(), Some(record)),
            Found::None if traces::lives(directory, &instance) => (format!("unknown: {}", traces::LIVES), None),
            Found::None => ("none".to_owned(), None),
            Found::Unknown(text) => (format!("unknown: {text}"), None),
        };
        let daemons = record.iter().flat_map(|record| &record.daemons).map(|(label, daemon)| {
            let path = directory.report_path(label);
            let (condition, report) = (daemon.condition(&path), Report::read(&path).unwrap_or_default());
            Daemon { label: label.clone(), unit: daemon.unit().map(str::to_owned), condition, report }
        });
        let manager = unit::manager::Manager::default();
        let units = record.iter().flat_map(|record| record.units.iter()).filter_map(|(label, started)| {
            let condition =
                unit::condition(label, &started.name, Some(started), &manager, Instant::now() + PATIENCE).ok()?;
            let unit = Some(started.name.clone());
            Some(Daemon { label: label.clone(), unit, condition, report: Report::default() })
        });
        let daemons = daemons.chain(units).collect();
        let actions = History::of(directory).last();
        Self { agent, instance, state, record, actions, daemons }
    }

    pub(super) fn verdict(&self) -> Verdict {
        let failure = self.failure();
        let answered = failure.and_then(|action| effect(Occasion::of(&action.action)?, Exit::of_code(action.exit)?));
        let (standing, text) = self.stands(failure);
        let expected = || effect(Occasion::Monitor, Exit::Generic).filter(|_| standing == Standing::Failing);
        let reason = failure.map_or("", |action| action.reason.as_str());
        let place = self.place(reason);
        let advice = self.advice(standing, reason, place.as_ref());
        let stays = answered.is_some_and(|effect| effect.stays != Stays::Nothing) || self.forgotten().is_some();
        let cleanup =
            stays.then(|| format!("crm_resource --cleanup --resource {}", crate::cli::resource(&self.instance)));
        let place = place.map(|mut at| {
            at.path = here::path(&at.path);
            at
        });
        Verdict {
            standing,
            text: here::said(&text),
            failure: failure.cloned(),
            effect: answered.or_else(expected),
            place,
            advice,
            cleanup,
        }
    }

    /// The last action if it failed; else the last failure that still keeps the resource away, because nothing was
    /// started or promoted since.
    fn failure(&self) -> Option<&Action> {
        let is_failure = |action: &Action| was_failure(action.exit, action.action == "probe");
        let last = self.decisive()?;
        if is_failure(last) {
            return Some(last);
        }
        let repairs =
            |action: &Action| matches!(Occasion::of(&action.action), Some(Occasion::Start | Occasion::Migrate));
        let since =
            self.actions.iter().rposition(|action| repairs(action) && !is_failure(action)).map_or(0, |at| at + 1);
        let stays = |action: &&Action| {
            let found = Occasion::of(&action.action).zip(Exit::of_code(action.exit));
            let effect = found.and_then(|(occasion, exit)| effect(occasion, exit));
            effect.is_some_and(|effect| !matches!(effect.stays, Stays::Nothing | Stays::Count))
        };
        let since = self.actions.iter().rposition(|action| action.action == FORGET).map_or(since, |at| since.max(at));
        self.actions[since..].iter().filter(|action| is_failure(action)).rfind(stays)
    }

    /// The last action of the cluster or word of a person that changes how it stands: a probe that found nothing takes
    /// back no failure.
    fn decisive(&self) -> Option<&Action> {
        let found_nothing = |action: &Action| action.action == "probe" && action.exit == Exit::NotRunning.code();
        let counts = |action: &Action| action.action == FORGET || Occasion::of(&action.action).is_some();
        self.actions.iter().rfind(|action| counts(action) && !found_nothing(action))
    }

    /// That a person said that nothing runs, if that is what counts.
    fn forgotten(&self) -> Option<&Action> {
        self.decisive().filter(|action| action.action == FORGET)
    }

    /// The last action of the cluster: a swap of the plugin is none.
    fn last(&self) -> Option<&Action> {
        self.actions.iter().rfind(|action| Occasion::of(&action.action).is_some())
    }

    fn stands(&self, failure: Option<&Action>) -> (Standing, String) {
        let told = |action: &Action| {
            let exit = Exit::of_code(action.exit).map_or_else(|| action.exit.to_string(), |exit| exit.to_string());
            format!("{} answered {exit}, {} ago", action.action, super::ago(action.at))
        };
        if self.record.is_none() && self.state.starts_with("unknown") {
            let text = format!("{}; the host neither starts it nor says that it is stopped", self.state);
            return (Standing::Unknown, text);
        }
        if let Some(action) = failure {
            let reason = match action.reason.split(" (ocf-wasm ").next().unwrap_or_default() {
                "" => "it gave no reason",
                reason => reason,
            };
            let is_last = self.last() == Some(action);
            let since = if is_last { "" } else { ", and nothing was started since" };
            return (Standing::Failed, format!("failed: {reason} ({}){since}", told(action)));
        }
        let last = self.last().map_or_else(String::new, |action| format!(" ({})", told(action)));
        match self.record.as_ref().map(|record| record.state) {
            None => (Standing::NotStarted, format!("not started: nothing of it is recorded here{last}")),
            Some(State::Refused) => (Standing::NotStarted, format!("not started{last}")),
            Some(State::Stopped) => match self.forgotten() {
                Some(action) => (Standing::Stopped, format!("counts as stopped: {} ({})", action.reason, told(action))),
                None => (Standing::Stopped, format!("stopped{last}")),
            },
            Some(State::Starting) => (
                Standing::Unfinished,
                "unfinished: a start began and has not answered: it runs, or was killed".to_owned(),
            ),
            Some(State::Stopping) => (
                Standing::Unfinished,
                "unfinished: a stop began and has not answered: it runs, or was killed".to_owned(),
            ),
            Some(State::Started | State::Adopted) => match self.daemons.iter().find_map(broken) {
                Some(what) => (Standing::Failing, format!("failing: {what}, and no monitor has said so yet")),
                None => (Standing::Running, format!("running{last}")),
            },
        }
    }

    /// The policy that the instance uses: what is pinned while something of it may run, else today's.
    fn policy(&self) -> Option<(PathBuf, Result<String, Refused>)> {
        let pins =
            self.record.as_ref().filter(|record| record.state.is_active()).and_then(|record| record.pins.as_ref());
        let pinned = pins.and_then(|pins| Digest::parse(&pins.policy)).map(|digest| store::blob_path(&digest));
        let today = store::policy_path(&self.agent);
        let used = pinned.clone().unwrap_or_else(|| today.clone());
        let text = policy::load(&used);
        // Shown under the name by which the operator knows it, if it is still the same.
        let is_same = pinned.is_none() || policy::load(&today).ok() == text.as_ref().ok().cloned();
        Some((if is_same { today } else { used }, text))
    }

    /// Where in the policy the reason comes from; else what would refuse the next start.
    fn place(&self, reason: &str) -> Option<Diagnostic> {
        let today = store::policy_path(&self.agent);
        let mistake = || Policy::parse(&policy::load(&today).ok()?, &today).err();
        let of_label = || {
            let (kind, name) = advice::label(reason)?;
            let (path, text) = self.policy()?;
            let text = text.ok()?;
            let message = format!("this is what {kind} {name} is bound to");
            if let Some(parameter) = advice::parameter(reason) {
                let open = place::point_at_open(&text, &path, &[kind, name], ("param", parameter), message.clone());
                if open.is_some() {
                    return open;
                }
            }
            let key = advice::on(reason).map_or("", |advice| advice.key);
            let steps: &[&str] = &[kind, name, key];
            Policy::parse(&text, &path).ok()?.binds(kind, name).then_some(())?;
            place::point(&text, &path, if key.is_empty() { &steps[..2] } else { steps }, Severity::Note, message)
        };
        of_label().or_else(mistake)
    }

    /// The digest of the component that it uses: what is pinned, else what is installed.
    fn component(&self) -> String {
        let pinned = self.record.as_ref().and_then(|record| record.pins.as_ref()).map(|pins| pins.component.clone());
        let installed = || plan::installed(&self.agent).ok().map(|(_, generation)| generation.component.to_string());
        pinned.or_else(installed).unwrap_or_else(|| "the same digest".to_owned())
    }

    /// Why the policy of something that runs cannot be read any more.
    fn refused_today(&self) -> Option<Refused> {
        self.record.as_ref().filter(|record| record.state.is_active())?;
        policy::load(&store::policy_path(&self.agent)).err()
    }

    /// Why the agent of something that runs could not be started any more.
    fn gone_today(&self) -> Option<String> {
        self.record.as_ref().filter(|record| record.state.is_active())?;
        plan::installed(&self.agent).err().map(|refusal| refusal.to_string())
    }

    /// Whether the kernel has ended something of a daemon for the memory that it took.
    fn is_over_memory(&self) -> bool {
        self.daemons.iter().any(|daemon| daemon.report.over_memory)
    }

    /// The policy's own limits of memory: one that the kernel held, as a keeper has seen; or those that it may have held, where
    /// none that is known ended by its signal.
    fn limits_of_memory(&self, reason: &str) -> Vec<String> {
        if !reason.contains("signal 9") && !self.is_over_memory() {
            return Vec::new();
        }
        let text = self.policy().and_then(|(path, text)| Some((text.ok()?, path)));
        let policy = text.and_then(|(text, path)| Policy::parse(&text, &path).ok()).unwrap_or_default();
        let limited = |(label, program): (&String, &Program)| {
            let bytes = program.grant.fixed.limits.memory?;
            let (size, unit) = if bytes % (1 << 20) == 0 { (bytes >> 20, "MiB") } else { (bytes >> 10, "KiB") };
            let seen = self.daemons.iter().find(|daemon| daemon.label == *label && daemon.condition.ended.is_some());
            let to_do = match seen {
                Some(daemon) if daemon.report.over_memory => advice::OVER_MEMORY,
                None if reason.contains("signal 9") => advice::PERHAPS_MEMORY,
                _ => return None,
            };
            Some(format!("limits.memory of [program.{label}] is {size}{unit}: {to_do}"))
        };
        policy.programs.iter().filter_map(limited).collect()
    }

    fn advice(&self, standing: Standing, reason: &str, place: Option<&Diagnostic>) -> Vec<String> {
        let path = store::policy_path(&self.agent).display().to_string();
        let mut to_do = Vec::new();
        let is_wrong = place.is_some_and(|place| place.severity == Severity::Error);
        let is_of_policy = reason.contains(".toml:");
        match advice::on(reason) {
            Some(_) if is_of_policy && !is_wrong => {
                to_do.push("the policy has been corrected since: the next start takes it".to_owned());
            }
            // It is known where the signal came from.
            Some(advice) if advice.says == advice::SIGNAL && self.is_over_memory() => {}
            Some(advice) => to_do.push(advice.to_do.to_owned()),
            None if standing == Standing::Unknown => {
                to_do.extend(advice::on("record is damaged or lost").map(|a| a.to_do.to_owned()));
            }
            None => {}
        }
        if is_wrong && !is_of_policy {
            to_do.push("correct {policy}: the next start is refused as it is now; what runs is not touched".to_owned());
        }
        if let Some(refused) = self.refused_today() {
            to_do.push(format!("{refused}: the next start is refused as it is now; what runs is not touched"));
        }
        if let Some(refusal) = self.gone_today().filter(|refusal| !reason.contains(refusal)) {
            to_do.push(format!("{refusal}: {}", advice::GONE));
        }
        to_do.extend(self.limits_of_memory(reason));
        if self.daemons.iter().any(|daemon| broken(daemon).is_some()) {
            to_do.push(advice::DAEMON.to_owned());
        }
        let swap = self.actions.last().filter(|action| action.action == "swap" && was_failure(action.exit, false));
        if swap.is_some() {
            to_do.push(advice::SWAP.to_owned());
        }
        if standing == Standing::Unfinished {
            to_do.push(
                "wait for the action; if none runs, the cluster's timeout ended it: it will ask again".to_owned(),
            );
        }
        let fill = |text: String| {
            text.replace("{agent}", &self.agent.to_string())
                .replace("{component}", &self.component())
                .replace("{instance}", &self.instance)
                .replace("{resource}", crate::cli::resource(&self.instance))
                .replace("{policy}", &path)
                .replace("{parameter}", advice::parameter(reason).unwrap_or("NAME"))
        };
        to_do.into_iter().map(fill).map(|text| here::said(&text)).collect()
    }
}

/// What is broken of a daemon.
fn broken(daemon: &Daemon) -> Option<String> {
    let label = &daemon.label;
    let unseen = || "ended, nobody saw how".to_owned();
    let how = match daemon.condition.told.as_str() {
        "" => daemon.ended().unwrap_or_else(unseen),
        told => told.to_owned(),
    };
    match daemon.condition.phase {
        Phase::Failed => Some(format!("{label} {how}")),
        Phase::Remains => Some(format!("the main process of {label} {how}, and others are left")),
        Phase::Stopped | Phase::Starting | Phase::Running | Phase::Stopping => None,
    }
}
