//! What the cluster is told, for all that a plugin can answer: a scripted resource with a clock of its own.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::*;

/// How long the host may take, by the clock of [`Fake`].
const DEADLINE: Duration = Duration::from_secs(20);

/// A resource that plays a script. Of each script the last entry is repeated; a monitor without one says `NotRunning`,
/// another export succeeds, nothing is tracked.
#[derive(Debug)]
struct Fake {
    verdicts: BTreeMap<&'static str, VecDeque<Verdict>>,
    tracked: VecDeque<Tracked>,
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
    looked: Vec<Tracked>,
}

impl Fake {
    fn new() -> Self {
        Self {
            verdicts: BTreeMap::new(),
            tracked: VecDeque::new(),
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
            Export::Validate
            | Export::Start
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
        }
        verdict
    }

    fn tracked(&mut self) -> Tracked {
        let tracked = next(&mut self.tracked).unwrap_or_default();
        self.looked.push(tracked.clone());
        tracked
    }

    fn is_recorded(&self) -> bool {
        self.is_recorded
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

// ---- monitor

#[test]
fn a_monitor_passes_on_what_the_plugin_found_and_asks_no_one_else() {
    for health in HEALTHS {
        let code = match health {
            Health::Running => 0,
            Health::NotRunning => 7,
            Health::Promoted => 8,
            Health::FailedPromoted => 9,
            Health::Degraded => 190,
            Health::DegradedPromoted => 191,
        };
        for (probe, level) in [(true, 0), (false, 0), (false, 10)] {
            let mut fake = Fake::recorded().monitors([healthy(health)]).tracks([tracked(1, 1)]);
            assert_eq!(told(&monitor(&mut fake, probe, level)), (code, ""), "{health:?}, probe {probe}");
            assert_eq!(fake.calls.len(), 1, "{health:?}: {:?}", fake.calls);
            assert_eq!(fake.errors, [""; 0], "{health:?}");
        }
    }
}

#[test]
fn a_monitor_reaches_the_plugin_as_it_was_asked() {
    for (probe, level, call) in [
        (false, 0, "monitor"),
        (true, 0, "monitor probe=true level=0"),
        (false, 10, "monitor probe=false level=10"),
        (true, 20, "monitor probe=true level=20"),
    ] {
        let mut fake = Fake::new();
        let _ = monitor(&mut fake, probe, level);
        assert_eq!(fake.calls, [call]);
    }
}

#[test]
fn a_recurring_monitor_answers_the_plugins_failure_but_never_unimplemented() {
    for (kind, code) in KINDS {
        // 3 would be recorded as "unsupported": no recovery at all.
        let code = if code == 3 { 1 } else { code };
        for leftovers in [tracked(0, 0), tracked(1, 0), tracked(1, 1)] {
            let mut fake = Fake::recorded().monitors([failing(kind)]).tracks([leftovers.clone()]);
            assert_eq!(told(&monitor(&mut fake, false, 0)), (code, "port 80 is silent"), "{kind:?}, {leftovers:?}");
        }
    }
}

#[test]
fn a_recurring_monitor_without_an_answer_failed() {
    for (spoil, reason) in spoils() {
        if spoil == unfit() {
            continue;
        }
        let mut fake = Fake::recorded().monitors([spoil]).tracks([tracked(1, 0)]);
        assert_eq!(told(&monitor(&mut fake, false, 0)), (1, reason));
    }
}

#[test]
fn a_probe_that_fails_without_a_record_answers_what_the_plugin_saw_else_not_running() {
    for (kind, code) in KINDS {
        let answer = match kind {
            FailureKind::Generic | FailureKind::Unimplemented => 1,
            FailureKind::Arguments | FailureKind::NotInstalled => code,
            // 4 and 6 would stop a healthy copy elsewhere.
            FailureKind::Permission | FailureKind::Configuration => 7,
        };
        let mut fake = Fake::new().monitors([failing(kind)]);
        let outcome = monitor(&mut fake, true, 0);
        let is_judged = answer != 7;
        assert_eq!(told(&outcome), (answer, if is_judged { "port 80 is silent" } else { "" }), "{kind:?}");
        assert_eq!(fake.has_logged("probe cannot be judged: port 80 is silent"), !is_judged, "{kind:?}");
    }
}

#[test]
fn a_probe_without_an_answer_and_without_a_record_is_not_running_with_an_error_line() {
    for (spoil, reason) in spoils() {
        let mut fake = Fake::new().monitors([spoil]);
        assert_eq!(told(&monitor(&mut fake, true, 0)), (7, ""), "{reason}");
        assert_eq!(fake.errors, [format!("probe cannot be judged: {reason}")]);
    }
}

/// Every way in which a monitor fails, with its reason.
fn failures() -> Vec<(Verdict, &'static str)> {
    KINDS.map(|(kind, _)| (failing(kind), "port 80 is silent")).into_iter().chain(spoils()).collect()
}

#[test]
fn a_probe_that_fails_with_something_alive_is_active_and_failed() {
    for (verdict, reason) in failures() {
        for mut fake in [Fake::recorded(), Fake::new()] {
            fake = fake.monitors([verdict.clone()]).tracks([tracked(2, 1)]);
            assert_eq!(told(&monitor(&mut fake, true, 0)), (1, reason), "{verdict:?}");
        }
    }
}

#[test]
fn a_probe_that_finds_only_dead_leftovers_is_not_running_with_an_error_line() {
    for (verdict, reason) in failures() {
        let mut fake = Fake::recorded().monitors([verdict.clone()]).tracks([tracked(2, 0)]);
        assert_eq!(told(&monitor(&mut fake, true, 0)), (7, ""), "{verdict:?}");
        assert_eq!(fake.errors, [format!("probe: only leftovers, nothing alive: {reason}")]);
    }
}

#[test]
fn a_probe_that_fails_with_a_record_of_no_effects_is_active_and_failed() {
    for (verdict, reason) in failures() {
        let mut fake = Fake::recorded().monitors([verdict.clone()]);
        assert_eq!(told(&monitor(&mut fake, true, 0)), (1, reason), "{verdict:?}");
    }
}

// ---- start

#[test]
fn a_start_of_what_runs_changes_nothing_and_never_answers_degraded() {
    for health in [Health::Running, Health::Degraded] {
        let mut fake = Fake::recorded().monitors([healthy(health)]);
        assert_eq!(told(&start(&mut fake)), OK, "{health:?}");
        assert_eq!(fake.calls, ["monitor", "mark Started"], "{health:?}");
    }
}

#[test]
fn a_start_of_what_is_promoted_demotes_it() {
    for health in [Health::Promoted, Health::DegradedPromoted] {
        // Both that look see it promoted.
        let mut fake = Fake::recorded().monitors([health, health, Health::Running].map(healthy));
        assert_eq!(told(&start(&mut fake)), OK, "{health:?}");
        assert_eq!((fake.called("demote"), fake.called("start")), (1, 0), "{health:?}");
        assert_eq!(fake.marks, [State::Started], "{health:?}");
    }
}

#[test]
fn a_start_that_ends_it_by_demoting_failed_and_is_not_7() {
    let mut fake = Fake::recorded().monitors([Health::Promoted, Health::NotRunning].map(healthy));
    assert_eq!(told(&start(&mut fake)), (1, "ended when it was demoted"));
    assert_eq!(fake.marks, []);
}

#[test]
fn a_start_whose_demote_fails_fails_as_it_does() {
    for (kind, code) in KINDS {
        let mut fake = Fake::recorded().monitors([healthy(Health::Promoted)]).answers("demote", [failing(kind)]);
        assert_eq!(told(&start(&mut fake)), (code, "port 80 is silent"));
    }
}

#[test]
fn a_start_asks_until_monitor_says_that_it_runs() {
    for last in [Health::Running, Health::Degraded] {
        let not_yet = [healthy(Health::NotRunning), healthy(Health::NotRunning), failing(FailureKind::Generic)];
        let mut fake = Fake::recorded().monitors(not_yet.into_iter().chain([healthy(last)]));
        assert_eq!(told(&start(&mut fake)), OK);
        assert_eq!(fake.calls, ["monitor", "start", "monitor", "monitor", "monitor", "mark Started"]);
        // 50 ms, then twice as long.
        assert_eq!(fake.now, Duration::from_millis(150));
    }
}

#[test]
fn a_start_of_what_fails_starts_it() {
    let mut fake = Fake::recorded().monitors([failing(FailureKind::NotInstalled), healthy(Health::Running)]);
    assert_eq!(told(&start(&mut fake)), OK);
    assert_eq!(fake.called("start"), 1);
}

#[test]
fn a_start_that_never_runs_fails_at_the_deadline_with_what_monitor_said_last() {
    for (last, reason) in [
        (healthy(Health::NotRunning), "not running in time: monitor says that it does not run"),
        (healthy(Health::FailedPromoted), "not running in time: promoted and not working"),
        (failing(FailureKind::Configuration), "not running in time: port 80 is silent"),
    ] {
        let mut fake = Fake::recorded().monitors([healthy(Health::NotRunning), last]);
        assert_eq!(told(&start(&mut fake)), (1, reason));
        assert_eq!(fake.now, DEADLINE);
        // One before; then after 0, 50, 150, 350, 750 and 1550 ms, each second from there, and not when time is up.
        assert_eq!(fake.called("monitor"), 1 + 6 + 18);
        assert_eq!((fake.called("start"), fake.marks.len()), (1, 0));
    }
}

#[test]
fn a_start_whose_daemon_ended_fails_at_once_with_its_last_words() {
    let ended = Tracked { ended: Some("web exited 1: bind: address in use".to_owned()), ..tracked(1, 0) };
    for last in [healthy(Health::NotRunning), failing(FailureKind::Generic)] {
        let mut fake = Fake::recorded().monitors([last]).tracks([ended.clone()]);
        assert_eq!(told(&start(&mut fake)), (1, "web exited 1: bind: address in use"));
        assert_eq!(fake.now, Duration::ZERO);
    }
    // One that left while another of it runs (a daemon that forks) is no failure.
    let mut fake = Fake::recorded().monitors([Health::NotRunning, Health::Running].map(healthy)).tracks([ended]);
    assert_eq!(told(&start(&mut fake)), OK);
}

#[test]
fn a_start_that_the_plugin_fails_answers_its_kind_and_does_not_wait() {
    for (kind, code) in KINDS {
        let mut fake = Fake::recorded().answers("start", [failing(kind)]);
        assert_eq!(told(&start(&mut fake)), (code, "port 80 is silent"));
        assert_eq!(fake.calls, ["monitor", "start"]);
    }
}

#[test]
fn a_start_without_an_answer_fails_and_names_the_step() {
    for (verdict, told_of) in [
        (broken(), (1, "start: unreachable")),
        (Verdict::TimedOut, (1, "start: no answer from the plugin in time")),
        (unfit(), (5, "the plugin does not fit this host: it imports what is not there")),
    ] {
        let mut fake = Fake::recorded().answers("start", [verdict]);
        assert_eq!(told(&start(&mut fake)), told_of);
    }
}

#[test]
fn a_start_whose_monitor_gives_no_answer_is_given_up() {
    for (spoil, reason) in spoils() {
        let code = if spoil == unfit() { 5 } else { 1 };
        let mut before = Fake::recorded().monitors([spoil.clone()]);
        assert_eq!(told(&start(&mut before)), (code, reason));
        assert_eq!(before.called("start"), 0);
        let mut after = Fake::recorded().monitors([healthy(Health::NotRunning), spoil]);
        assert_eq!(told(&start(&mut after)), (code, reason));
        assert_eq!(after.now, Duration::ZERO);
    }
}

#[test]
fn a_start_that_cannot_be_recorded_failed() {
    let mut fake = Fake::recorded().monitors([healthy(Health::Running)]).cannot_mark();
    assert_eq!(told(&start(&mut fake)), (1, "disk full"));
}

// ---- stop

#[test]
fn a_stop_of_nothing_succeeds_and_so_does_the_next() {
    let mut fake = Fake::new();
    assert_eq!(told(&stop(&mut fake)), OK);
    assert_eq!(told(&stop(&mut fake)), OK);
    assert_eq!((fake.now, fake.errors.len()), (Duration::ZERO, 0));
}

#[test]
fn a_stop_is_recorded_before_it_begins_and_when_it_is_verified() {
    let mut fake = Fake::recorded();
    assert_eq!(told(&stop(&mut fake)), OK);
    assert_eq!(fake.calls, ["mark Stopping", "stop", "monitor", "mark Stopped"]);
}

#[test]
fn a_stop_waits_until_monitor_says_that_it_does_not_run() {
    for health in UP {
        let mut fake = Fake::recorded().monitors([health, health, Health::NotRunning].map(healthy));
        assert_eq!(told(&stop(&mut fake)), OK, "{health:?}");
        assert_eq!(fake.now, Duration::from_millis(150), "{health:?}");
        assert_eq!(fake.called("tear-down"), 0, "{health:?}");
    }
}

#[test]
fn a_stop_waits_for_what_the_host_tracks_even_if_monitor_says_that_it_is_gone() {
    let alive = tracked(1, 1);
    let mut fake = Fake::recorded().tracks([alive.clone(), alive.clone(), alive, tracked(0, 0)]);
    assert_eq!(told(&stop(&mut fake)), OK);
    assert_eq!(fake.now, Duration::from_millis(150));
    assert_eq!(fake.called("tear-down"), 0);
}

#[test]
fn a_stop_takes_a_failing_monitor_for_stopped_if_all_that_was_held_is_gone() {
    for failed in [failing(FailureKind::Generic), failing(FailureKind::NotInstalled), healthy(Health::FailedPromoted)] {
        for left in [tracked(2, 0), tracked(0, 0)] {
            let mut fake = Fake::recorded().monitors([failed.clone()]).tracks([tracked(2, 2), left]);
            assert_eq!(told(&stop(&mut fake)), OK, "{failed:?}");
            assert_eq!((fake.now, fake.called("tear-down")), (Duration::ZERO, 0), "{failed:?}");
            assert_eq!(fake.marks, [State::Stopping, State::Stopped], "{failed:?}");
        }
    }
}

#[test]
fn a_stop_counts_what_was_held_before_it_began() {
    let mut fake = Fake::recorded().monitors([failing(FailureKind::Generic)]).tracks([tracked(1, 1)]);
    fake.forgets = true;
    assert_eq!(told(&stop(&mut fake)), OK);
    assert_eq!((fake.now, fake.called("tear-down")), (Duration::ZERO, 0));
}

#[test]
fn a_stop_without_evidence_fails_at_the_deadline_with_what_monitor_said_last() {
    let cases = [
        (failing(FailureKind::Generic), "not stopped in time: port 80 is silent"),
        (healthy(Health::FailedPromoted), "not stopped in time: promoted and not working"),
    ];
    let up = UP.map(|health| (healthy(health), "not stopped in time: monitor still says that it runs"));
    for (last, reason) in cases.into_iter().chain(up) {
        // Nothing held and nobody knows; or something held and gone, and more of which the host knows nothing.
        let unrecorded = Fake::new();
        let more = Fake::recorded().tracks([untracked(1, 1), untracked(1, 0)]);
        for mut fake in [unrecorded, more] {
            fake = fake.monitors([last.clone()]);
            assert_eq!(told(&stop(&mut fake)), (1, reason), "{last:?}");
            assert_eq!(fake.now, DEADLINE, "{last:?}");
            assert!(!fake.marks.contains(&State::Stopped), "{last:?}");
            assert!(fake.has_logged(reason), "{last:?}: {:?}", fake.errors);
        }
    }
}

#[test]
fn a_stop_that_leaves_something_alive_ends_it_at_the_deadline() {
    let mut fake = Fake::recorded().tracks([tracked(1, 1)]);
    assert_eq!(told(&stop(&mut fake)), OK);
    assert_eq!((fake.now, fake.called("tear-down")), (DEADLINE, 1));
    assert!(fake.has_logged("not stopped in time: 1 of what it started still runs"), "{:?}", fake.errors);
}

/// Every way in which export stop fails, with what is then logged.
fn failed_stops() -> Vec<(Verdict, &'static str)> {
    let spoiled = [
        (broken(), "stop: unreachable"),
        (Verdict::TimedOut, "stop: no answer from the plugin in time"),
        (unfit(), "the plugin does not fit this host: it imports what is not there"),
    ];
    KINDS.map(|(kind, _)| (failing(kind), "port 80 is silent")).into_iter().chain(spoiled).collect()
}

#[test]
fn a_stop_that_the_plugin_cannot_do_is_done_by_the_host_if_it_tracks_all() {
    for (verdict, reason) in failed_stops() {
        let mut fake = Fake::recorded().answers("stop", [verdict.clone()]).tracks([tracked(1, 1), tracked(0, 0)]);
        assert_eq!(told(&stop(&mut fake)), OK, "{verdict:?}");
        assert_eq!(fake.calls, ["mark Stopping", "stop", "tear-down", "mark Stopped"], "{verdict:?}");
        let logged = format!("the plugin cannot stop: {reason}; the host ends what it started");
        assert_eq!(fake.errors, [logged], "{verdict:?}");
    }
}

#[test]
fn a_stop_that_the_plugin_cannot_do_needs_the_last_resort_if_the_host_cannot_know_all() {
    for (verdict, reason) in failed_stops() {
        let more = || Fake::recorded().tracks([untracked(1, 1), untracked(0, 0)]);
        for (fake, says) in [
            (more(), (1, reason)),
            (more().last_resort(Err("still there")), (1, "still there")),
            (more().last_resort(Ok(())), OK),
            (Fake::new().last_resort(Err("still there")), (1, "still there")),
            (Fake::new().last_resort(Ok(())), OK),
        ] {
            // Nothing of a plugin that does not fit ever ran, so without a record there is nothing to stop.
            if verdict == unfit() && !fake.is_recorded {
                continue;
            }
            let mut fake = fake.answers("stop", [verdict.clone()]);
            assert_eq!(told(&stop(&mut fake)), says, "{verdict:?}");
            assert_eq!(fake.called("last-resort"), 1, "{verdict:?}");
            assert_eq!(fake.marks.contains(&State::Stopped), says == OK, "{verdict:?}");
        }
    }
}

#[test]
fn a_stop_that_fails_without_a_record_and_a_last_resort_is_not_0() {
    for (verdict, reason) in failed_stops() {
        if verdict == unfit() {
            continue;
        }
        let mut fake = Fake::new().answers("stop", [verdict.clone()]);
        assert_eq!(told(&stop(&mut fake)), (1, reason), "{verdict:?}");
        assert_eq!(fake.marks, [], "{verdict:?}");
    }
}

#[test]
fn a_stop_whose_teardown_fails_says_what_is_left() {
    for (verdict, _) in failed_stops() {
        let mut fake = Fake::recorded()
            .answers("stop", [verdict])
            .tracks([tracked(1, 1)])
            .tears_down(Err("program web: does not end"));
        assert_eq!(told(&stop(&mut fake)), (1, "program web: does not end"));
        assert_eq!(fake.marks, [State::Stopping]);
    }
}

#[test]
fn a_stop_whose_monitor_gives_no_answer_is_done_by_the_host() {
    for (spoil, reason) in spoils() {
        let all = [tracked(1, 1), tracked(0, 0)];
        let mut fake = Fake::recorded().monitors([spoil.clone()]).tracks(all);
        assert_eq!(told(&stop(&mut fake)), OK, "{reason}");
        assert_eq!((fake.called("stop"), fake.called("tear-down")), (1, 1), "{reason}");
        let mut fake = Fake::recorded().monitors([spoil]).tracks([untracked(0, 0)]);
        assert_eq!(told(&stop(&mut fake)), (1, reason));
    }
}

#[test]
fn a_stop_that_cannot_be_recorded_is_logged_and_succeeds() {
    let mut plain = Fake::recorded().cannot_mark();
    assert_eq!(told(&stop(&mut plain)), OK);
    assert_eq!(plain.errors, ["disk full", "disk full"]);
    let mut torn_down = Fake::recorded().cannot_mark().answers("stop", [broken()]);
    assert_eq!(told(&stop(&mut torn_down)), OK);
}

// ---- promote, demote

#[test]
fn a_role_that_it_has_already_is_not_asked_for() {
    let cases: [(Act, Health); 4] = [
        (promote, Health::Promoted),
        (promote, Health::DegradedPromoted),
        (demote, Health::Running),
        (demote, Health::Degraded),
    ];
    for (act, health) in cases {
        let mut fake = Fake::recorded().monitors([healthy(health)]);
        assert_eq!(told(&act(&mut fake)), OK, "{health:?}");
        assert_eq!(fake.calls, ["monitor"], "{health:?}");
    }
}

#[test]
fn a_role_is_waited_for() {
    let cases: [(Act, Health, Health); 4] = [
        (promote, Health::Running, Health::Promoted),
        (promote, Health::Degraded, Health::DegradedPromoted),
        (demote, Health::Promoted, Health::Running),
        (demote, Health::FailedPromoted, Health::Degraded),
    ];
    for (act, from, to) in cases {
        let mut fake = Fake::recorded().monitors([from, from, to].map(healthy));
        assert_eq!(told(&act(&mut fake)), OK, "{from:?} to {to:?}");
        assert_eq!((fake.calls.len(), fake.now), (4, FIRST_PAUSE), "{from:?} to {to:?}");
    }
}

#[test]
fn a_role_that_does_not_come_fails_at_the_deadline() {
    let cases: [(Act, Verdict, &str); 4] = [
        (promote, healthy(Health::Running), "not promoted in time: monitor says that it runs unpromoted"),
        (promote, failing(FailureKind::Generic), "not promoted in time: port 80 is silent"),
        (demote, healthy(Health::Promoted), "not demoted in time: monitor says that it is promoted"),
        (demote, failing(FailureKind::NotInstalled), "not demoted in time: port 80 is silent"),
    ];
    for (act, verdict, reason) in cases {
        let mut fake = Fake::recorded().monitors([verdict]);
        assert_eq!(told(&act(&mut fake)), (1, reason));
        assert_eq!(fake.now, DEADLINE);
    }
}

#[test]
fn a_promote_of_what_is_stopped_failed() {
    let mut fake = Fake::recorded();
    assert_eq!(told(&promote(&mut fake)), (1, "not running, so it cannot be promoted"));
    assert_eq!(fake.called("promote"), 0);
}

#[test]
fn a_demote_of_what_is_stopped_says_that_it_is() {
    let mut fake = Fake::recorded();
    assert_eq!(told(&demote(&mut fake)), (7, ""));
    assert_eq!(fake.called("demote"), 0);
}

#[test]
fn a_role_that_the_plugin_fails_to_take_answers_its_kind() {
    let cases: [(Act, &str, Health); 2] = [(promote, "promote", Health::Running), (demote, "demote", Health::Promoted)];
    for (act, export, from) in cases {
        for (kind, code) in KINDS {
            let mut fake = Fake::recorded().monitors([healthy(from)]).answers(export, [failing(kind)]);
            assert_eq!(told(&act(&mut fake)), (code, "port 80 is silent"), "{export}");
        }
        let mut fake = Fake::recorded().monitors([healthy(from)]).answers(export, [broken()]);
        assert_eq!(told(&act(&mut fake)), (1, &*format!("{export}: unreachable")));
    }
}

// ---- the others

#[test]
fn a_notify_succeeds_whatever_the_plugin_says() {
    let kinds = KINDS.map(|(kind, _)| failing(kind));
    for verdict in kinds.into_iter().chain([broken(), unfit(), Verdict::TimedOut]) {
        let mut fake = Fake::recorded().answers("notify", [verdict.clone()]);
        assert_eq!(told(&notify(&mut fake)), OK, "{verdict:?}");
        assert!(fake.has_logged("notify: "), "{verdict:?}");
    }
    let mut fake = Fake::recorded();
    assert_eq!(told(&notify(&mut fake)), OK);
    assert_eq!((fake.calls.len(), fake.errors.len()), (1, 0));
}

#[test]
fn a_migration_leaves_only_from_where_it_runs() {
    for health in UP {
        let mut fake = Fake::recorded().monitors([healthy(health)]);
        assert_eq!(told(&migrate_to(&mut fake)), OK, "{health:?}");
        assert_eq!(fake.calls, ["monitor", "migrate-to"], "{health:?}");
    }
    for (verdict, reason) in [
        (healthy(Health::NotRunning), "not running here, so it cannot leave"),
        (healthy(Health::FailedPromoted), "promoted and not working"),
        (failing(FailureKind::Configuration), "port 80 is silent"),
        (broken(), "monitor: unreachable"),
    ] {
        let mut fake = Fake::recorded().monitors([verdict]);
        assert_eq!(told(&migrate_to(&mut fake)), (1, reason));
        assert_eq!(fake.calls, ["monitor"]);
    }
}

#[test]
fn a_migration_has_come_when_monitor_says_that_it_runs() {
    for health in UP {
        let mut fake = Fake::recorded().monitors([Health::NotRunning, health].map(healthy));
        assert_eq!(told(&migrate_from(&mut fake)), OK, "{health:?}");
        assert_eq!(fake.calls, ["migrate-from", "monitor", "monitor", "mark Started"], "{health:?}");
    }
    let mut never = Fake::recorded();
    assert_eq!(told(&migrate_from(&mut never)), (1, "not running in time: monitor says that it does not run"));
    assert_eq!((never.now, never.marks.len()), (DEADLINE, 0));
}

#[test]
fn a_reload_is_verified_and_keeps_the_role() {
    for health in UP {
        let mut fake = Fake::recorded().monitors([healthy(health)]);
        assert_eq!(told(&reload(&mut fake)), OK, "{health:?}");
        assert_eq!(fake.calls, ["monitor", "reload", "monitor"], "{health:?}");
    }
    let ended = Tracked { ended: Some("web exited 1".to_owned()), ..tracked(1, 0) };
    let mut fake = Fake::recorded().monitors([healthy(Health::Running), healthy(Health::NotRunning)]).tracks([ended]);
    assert_eq!(told(&reload(&mut fake)), (1, "web exited 1"));
    let mut fake = Fake::recorded().monitors([healthy(Health::NotRunning)]);
    assert_eq!(told(&reload(&mut fake)), (1, "not running, so it cannot be reloaded"));
    assert_eq!(fake.calls, ["monitor"]);
}

#[test]
fn what_the_plugin_fails_answers_its_kind_and_is_not_waited_for() {
    let cases: [(Act, &str); 3] = [(migrate_to, "migrate-to"), (migrate_from, "migrate-from"), (reload, "reload")];
    for (act, export) in cases {
        for (kind, code) in KINDS {
            let mut fake = Fake::recorded().monitors([healthy(Health::Running)]).answers(export, [failing(kind)]);
            assert_eq!(told(&act(&mut fake)), (code, "port 80 is silent"), "{export}");
            assert_eq!(fake.now, Duration::ZERO, "{export}");
        }
    }
}

#[test]
fn a_validation_below_level_10_is_not_of_this_node() {
    for (kind, code) in KINDS {
        let is_of_node = matches!(kind, FailureKind::Permission | FailureKind::NotInstalled);
        for (level, says) in [
            (0, if is_of_node { OK } else { (code, "port 80 is silent") }),
            (9, if is_of_node { OK } else { (code, "port 80 is silent") }),
            (10, (code, "port 80 is silent")),
            (20, (code, "port 80 is silent")),
        ] {
            let mut fake = Fake::new().answers("validate", [failing(kind)]);
            assert_eq!(told(&validate(&mut fake, level)), says, "{kind:?} at level {level}");
            assert_eq!(fake.calls, ["validate"]);
        }
    }
}

#[test]
fn a_validation_without_an_answer_failed() {
    for level in [0, 10] {
        for (verdict, reason) in
            [(broken(), "validate: unreachable"), (Verdict::TimedOut, "validate: no answer from the plugin in time")]
        {
            let mut fake = Fake::new().answers("validate", [verdict]);
            assert_eq!(told(&validate(&mut fake, level)), (1, reason), "level {level}");
        }
    }
    assert_eq!(told(&validate(&mut Fake::new().answers("validate", [unfit()]), 10)).0, 5);
    assert_eq!(told(&validate(&mut Fake::new(), 0)), OK);
}

// ---- whatever happens

/// Every action, its export, and the exits that the standard leaves it beside 0 and the failures.
const ACTIONS: [(&str, Act); 13] = [
    ("monitor", |fake| monitor(fake, false, 0)),
    ("monitor", |fake| monitor(fake, false, 10)),
    ("monitor", |fake| monitor(fake, true, 0)),
    ("start", start),
    ("stop", stop),
    ("promote", promote),
    ("demote", demote),
    ("notify", notify),
    ("migrate-to", migrate_to),
    ("migrate-from", migrate_from),
    ("reload", reload),
    ("validate", |fake| validate(fake, 0)),
    ("validate", |fake| validate(fake, 10)),
];

fn allowed(action: &str) -> &'static [u8] {
    match action {
        "monitor" => &[0, 1, 2, 4, 5, 6, 7, 8, 9, 190, 191],
        "notify" => &[0],
        "stop" => &[0, 1],
        "demote" => &[0, 1, 2, 3, 4, 5, 6, 7],
        _ => &[0, 1, 2, 3, 4, 5, 6],
    }
}

/// Whether success is what was seen, and not what was hoped for.
fn is_earned(action: &str, fake: &Fake) -> bool {
    let health = match &fake.last_monitor {
        Some(Verdict::Done(Ok(health))) => *health,
        Some(Verdict::Done(Err(_)) | Verdict::Unfit(_) | Verdict::Broken(_) | Verdict::TimedOut) | None => None,
    };
    let has_failed = matches!(fake.last_monitor, Some(Verdict::Done(Err(_)))) || health == Some(Health::FailedPromoted);
    match action {
        "start" | "demote" => matches!(health, Some(Health::Running | Health::Degraded)),
        "promote" => matches!(health, Some(Health::Promoted | Health::DegradedPromoted)),
        "migrate-to" | "migrate-from" | "reload" => health.is_some_and(|health| UP.contains(&health)),
        "stop" => {
            let was_held = fake.looked.first().is_some_and(|first| first.held > 0);
            let all_known = fake.looked.last().is_some_and(|last| !last.untracked);
            let is_gone = fake.looked.last().is_some_and(|last| last.alive == 0);
            let is_torn_down = fake.called("tear-down") == 1 && fake.tear_down.is_ok();
            let is_forced = fake.called("last-resort") == 1 && fake.last_resort == Some(Ok(()));
            let is_unfit = fake.errors.iter().any(|line| line.starts_with("nothing of this instance was started here"));
            is_forced
                || is_unfit && !fake.is_recorded && fake.last_monitor.is_none()
                || is_torn_down && fake.is_recorded && all_known
                || is_gone && health == Some(Health::NotRunning)
                || is_gone && was_held && has_failed && all_known
        }
        _ => true,
    }
}

fn verdicts() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        4 => prop::sample::select(&HEALTHS[..]).prop_map(healthy),
        2 => prop::sample::select(&KINDS[..]).prop_map(|(kind, _)| failing(kind)),
        1 => prop::sample::select(spoils().map(|(spoil, _)| spoil).to_vec()),
    ]
}

fn tracks() -> impl Strategy<Value = Tracked> {
    (0..3_usize, 0..3_usize, any::<bool>(), prop::bool::weighted(0.2)).prop_map(
        |(held, alive, untracked, has_ended)| {
            let ended = has_ended.then(|| "web exited 1".to_owned());
            Tracked { held, alive: alive.min(held), ended, untracked }
        },
    )
}

fn results() -> impl Strategy<Value = Result<(), String>> {
    prop_oneof![2 => Just(Ok(())), 1 => Just(Err("no".to_owned()))]
}

prop_compose! {
    fn fakes()(
        health in prop::collection::vec(verdicts(), 1..6),
        export in prop_oneof![2 => Just(Verdict::Done(Ok(None))), 1 => verdicts()],
        tracked in prop::collection::vec(tracks(), 0..4),
        is_recorded in any::<bool>(),
        mark in results(),
        tear_down in results(),
        last_resort in prop::option::of(results()),
        cost in prop_oneof![Just(0), 0..30_000_u64],
    ) -> (Fake, Verdict) {
        let fake = Fake::new().monitors(health).tracks(tracked);
        (Fake { is_recorded, mark, tear_down, last_resort, cost: Duration::from_millis(cost), ..fake }, export)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_an_action_answers_in_time_what_it_may_and_what_it_saw(
        (mut fake, verdict) in fakes(),
        (action, act) in prop::sample::select(&ACTIONS[..]),
    ) {
        if action != "monitor" {
            fake = fake.answers(action, [verdict]);
        }
        let outcome = act(&mut fake);
        let code = outcome.exit.code();
        prop_assert!(allowed(action).contains(&code), "{action} answered {code}: {:?}", fake.calls);
        prop_assert!(fake.now <= DEADLINE + LAST_PAUSE, "{action} took {:?}", fake.now);
        if action == "monitor" {
            prop_assert!(code != 0 || fake.last_monitor == Some(healthy(Health::Running)));
        } else {
            prop_assert!(code != 0 || is_earned(action, &fake), "{action} succeeded: {:?}", fake.calls);
            prop_assert!(code == 0 || code == 7 || !outcome.reason.is_empty(), "{action} failed without a reason");
        }
    }
}

#[test]
fn a_stop_of_a_recorded_instance_that_monitor_says_still_runs_is_not_0() {
    for (held, last) in [
        (0, healthy(Health::Running)),
        (0, healthy(Health::Promoted)),
        (0, failing(FailureKind::Generic)),
        (1, healthy(Health::Running)),
    ] {
        let mut fake = Fake::recorded().monitors([last.clone()]).tracks([tracked(held, held), tracked(0, 0)]);
        assert_eq!(stop(&mut fake).exit.code(), 1, "held {held}, {last:?}");
    }
}

#[test]
fn a_recurring_monitor_of_an_unfit_plugin_is_1() {
    let mut fake = Fake::recorded().monitors([unfit()]);
    assert_eq!(monitor(&mut fake, false, 0).exit.code(), 1);
}

#[test]
fn a_stop_of_nothing_with_an_unfit_plugin_is_0() {
    let mut fake = Fake::new().answers("stop", [unfit()]);
    assert_eq!(told(&stop(&mut fake)), OK);
}

#[test]
fn a_demote_of_an_unfit_plugin_is_1() {
    let mut fake = Fake::recorded().monitors([unfit()]);
    assert_eq!(demote(&mut fake).exit.code(), 1);
}

#[test]
fn a_probe_without_an_answer_is_not_7_while_untracked_effects_may_live() {
    for (spoil, reason) in spoils() {
        let mut fake = Fake::recorded().monitors([spoil]).tracks([untracked(1, 0)]);
        assert_eq!(told(&monitor(&mut fake, true, 0)), (1, reason));
    }
}

#[test]
fn a_failed_teardown_leaves_the_last_resort() {
    let gone = [tracked(1, 1), tracked(0, 0)];
    let mut fake = Fake::recorded()
        .answers("stop", [broken()])
        .tracks(gone)
        .tears_down(Err("web does not end"))
        .last_resort(Ok(()));
    assert_eq!(told(&stop(&mut fake)), OK);
}

#[test]
fn a_start_whose_monitor_is_denied_what_it_needs_ends_at_once_with_that() {
    let mut fake = Fake::new().monitors([healthy(Health::NotRunning), failing(FailureKind::Permission)]);
    assert_eq!(start(&mut fake).exit.code(), 4);
    assert_eq!(fake.calls.iter().filter(|call| call.starts_with("monitor")).count(), 2);
}
