//! What the cluster is told, for all that a plugin can answer: a scripted resource with a clock of its own.

use std::collections::{BTreeMap, VecDeque};

use super::*;

mod monitor;
mod others;
mod role;
mod start;
mod stop;
mod whatever;

/// How long the host may take, by the clock of [`Fake`].
const DEADLINE: Duration = Duration::from_secs(20);

/// A resource that plays a script. Of each script the last entry is repeated; a monitor without one says `NotRunning`,
/// another export succeeds, nothing is tracked.
#[derive(Debug)]
struct Fake {
    verdicts: BTreeMap<&'static str, VecDeque<Verdict>>,
    tracked: VecDeque<Tracked>,
    /// What of it is on its way, each time that it is asked.
    unsettled: VecDeque<Option<&'static str>>,
    /// Whether the plugin's stop takes all that is tracked out of the record.
    forgets: bool,
    is_recorded: bool,
    /// What a mark or a teardown answers.
    mark: Result<(), String>,
    tear_down: Result<(), String>,
    last_resort: Option<Result<(), String>>,
    /// How long a call takes, and how long it is since the action began.
    cost: Duration,
    now: Duration,
    marks: Vec<State>,
    errors: Vec<String>,
    /// All that happened, in order; a monitor is told with its arguments.
    calls: Vec<String>,
    last_monitor: Option<Verdict>,
    /// What was on its way when that was heard.
    last_unsettled: Option<&'static str>,
    looked: Vec<Tracked>,
}

impl Fake {
    fn new() -> Self {
        Self {
            verdicts: BTreeMap::new(),
            tracked: VecDeque::new(),
            unsettled: VecDeque::new(),
            forgets: false,
            is_recorded: false,
            mark: Ok(()),
            tear_down: Ok(()),
            last_resort: None,
            cost: Duration::ZERO,
            now: Duration::ZERO,
            marks: Vec::new(),
            errors: Vec::new(),
            calls: Vec::new(),
            last_monitor: None,
            last_unsettled: None,
            looked: Vec::new(),
        }
    }

    fn recorded() -> Self {
        Self { is_recorded: true, ..Self::new() }
    }

    fn monitors(self, verdicts: impl IntoIterator<Item = Verdict>) -> Self {
        self.answers("monitor", verdicts)
    }

    fn answers(mut self, export: &'static str, verdicts: impl IntoIterator<Item = Verdict>) -> Self {
        self.verdicts.insert(export, verdicts.into_iter().collect());
        self
    }

    fn tracks(mut self, tracked: impl IntoIterator<Item = Tracked>) -> Self {
        self.tracked = tracked.into_iter().collect();
        self
    }

    fn on_its_way(mut self, unsettled: impl IntoIterator<Item = Option<&'static str>>) -> Self {
        self.unsettled = unsettled.into_iter().collect();
        self
    }

    fn tears_down(mut self, result: Result<(), &str>) -> Self {
        self.tear_down = result.map_err(str::to_owned);
        self
    }

    fn last_resort(mut self, result: Result<(), &str>) -> Self {
        self.last_resort = Some(result.map_err(str::to_owned));
        self
    }

    fn cannot_mark(mut self) -> Self {
        self.mark = Err("disk full".to_owned());
        self
    }

    fn called(&self, what: &str) -> usize {
        self.calls.iter().filter(|call| *call == what).count()
    }

    fn has_logged(&self, text: &str) -> bool {
        self.errors.iter().any(|error| error.contains(text))
    }
}

/// Takes the next entry of a script, and leaves the last.
fn next<T: Clone>(script: &mut VecDeque<T>) -> Option<T> {
    if script.len() > 1 { script.pop_front() } else { script.front().cloned() }
}

impl Resource for Fake {
    fn call(&mut self, export: Export) -> Verdict {
        let is_monitor = matches!(export, Export::Monitor { .. });
        self.calls.push(match export {
            Export::Monitor { probe: false, level: 0 } => "monitor".to_owned(),
            Export::Monitor { probe, level } => format!("monitor probe={probe} level={level}"),
            Export::Validate { level } => format!("validate level={level}"),
            Export::Start
            | Export::Stop
            | Export::Promote
            | Export::Demote
            | Export::Notify
            | Export::MigrateTo
            | Export::MigrateFrom
            | Export::Reload => export.word().to_owned(),
        });
        let scripted = self.verdicts.get_mut(export.word()).and_then(next);
        let mut verdict =
            scripted.unwrap_or(if is_monitor { healthy(Health::NotRunning) } else { Verdict::Done(Ok(None)) });
        // The host gives up at its deadline, whatever the plugin would have said.
        if self.cost > self.remaining() {
            verdict = Verdict::TimedOut;
        }
        self.now += self.cost.min(self.remaining());
        if export == Export::Stop && self.forgets {
            self.tracked.clear();
        }
        if is_monitor {
            self.last_monitor = Some(verdict.clone());
            self.last_unsettled = None;
        }
        verdict
    }

    fn tracked(&mut self) -> Tracked {
        let tracked = next(&mut self.tracked).unwrap_or_default();
        self.looked.push(tracked.clone());
        tracked
    }

    fn unsettled(&mut self) -> Option<String> {
        self.last_unsettled = next(&mut self.unsettled).flatten();
        self.last_unsettled.map(str::to_owned)
    }

    fn is_recorded(&self) -> bool {
        self.is_recorded
    }

    fn adopt(&mut self) {
        self.calls.push("adopt".to_owned());
    }

    fn mark(&mut self, state: State) -> Result<(), String> {
        self.calls.push(format!("mark {state:?}"));
        self.marks.push(state);
        self.mark.clone()
    }

    fn tear_down(&mut self) -> Result<(), String> {
        self.calls.push("tear-down".to_owned());
        self.tear_down.clone()
    }

    fn last_resort(&mut self) -> Option<Result<(), String>> {
        self.calls.push("last-resort".to_owned());
        self.last_resort.clone()
    }

    fn remaining(&self) -> Duration {
        DEADLINE.saturating_sub(self.now)
    }

    fn pause(&mut self, time: Duration) {
        self.now += time;
    }

    fn error(&mut self, text: &str) {
        self.errors.push(text.to_owned());
    }
}

fn healthy(health: Health) -> Verdict {
    Verdict::Done(Ok(Some(health)))
}

fn failing(kind: FailureKind) -> Verdict {
    Verdict::Done(Err(Failure { kind, reason: "port 80 is silent".to_owned() }))
}

fn broken() -> Verdict {
    Verdict::Broken("unreachable".to_owned())
}

fn unfit() -> Verdict {
    Verdict::Unfit("imports what is not there".to_owned())
}

/// A call without an answer, and what the reason then says of export monitor.
fn spoils() -> [(Verdict, &'static str); 4] {
    [
        (broken(), "monitor: unreachable"),
        (unfit(), "the plugin does not fit this host: it imports what is not there"),
        (Verdict::TimedOut, "monitor: no answer from the plugin in time"),
        (Verdict::Done(Ok(None)), "monitor: the plugin answered what it cannot mean"),
    ]
}

fn tracked(held: usize, alive: usize) -> Tracked {
    Tracked { held, alive, ..Tracked::default() }
}

fn untracked(held: usize, alive: usize) -> Tracked {
    Tracked { untracked: true, ..tracked(held, alive) }
}

const HEALTHS: [Health; 6] = [
    Health::Running,
    Health::NotRunning,
    Health::Promoted,
    Health::Degraded,
    Health::DegradedPromoted,
    Health::FailedPromoted,
];

/// What says that something may be there.
const UP: [Health; 4] = [Health::Running, Health::Degraded, Health::Promoted, Health::DegradedPromoted];

/// The kinds, and what an action that the plugin fails answers.
const KINDS: [(FailureKind, u8); 6] = [
    (FailureKind::Generic, 1),
    (FailureKind::Arguments, 2),
    (FailureKind::Unimplemented, 3),
    (FailureKind::Permission, 4),
    (FailureKind::NotInstalled, 5),
    (FailureKind::Configuration, 6),
];

/// An action's exit status and reason.
fn told(outcome: &Outcome) -> (u8, &str) {
    (outcome.exit.code(), &outcome.reason)
}

const OK: (u8, &str) = (0, "");

/// An action without arguments, and the export that it is for.
type Act = fn(&mut Fake) -> Outcome;
