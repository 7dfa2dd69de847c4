//! Whatever a plugin does: no action answers what it may not, late, or what it did not see.

use proptest::prelude::*;

use super::*;
use crate::contract::ask::LAST_PAUSE;

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
        // Not believed.
        _ if fake.last_unsettled.is_some() => None,
        Some(Verdict::Done(Ok(health))) => *health,
        Some(
            Verdict::Done(Err(_)) | Verdict::Unfit(_) | Verdict::Broken(_) | Verdict::TimedOut | Verdict::Waited(_),
        )
        | None => None,
    };
    let has_failed = matches!(fake.last_monitor, Some(Verdict::Done(Err(_)))) || health == Some(Health::FailedPromoted);
    match action {
        "start" | "demote" => matches!(health, Some(Health::Running | Health::Degraded)),
        "promote" => matches!(health, Some(Health::Promoted | Health::DegradedPromoted)),
        "migrate-to" | "migrate-from" | "reload" => health.is_some_and(|health| UP.contains(&health)),
        "stop" => {
            let was_held = fake.looked.first().is_some_and(|first| first.held > 0);
            let all_known = fake.looked.last().is_some_and(|last| !last.untracked);
            let is_torn_down = fake.has_logged("the host ends what it started") && fake.tear_down.is_ok();
            // What is held although nothing of it lives is ended by the host.
            let is_ended = fake.called("tear-down") == 1 && fake.tear_down.is_ok();
            let is_cleared = is_ended || fake.looked.last().is_some_and(|last| last.held == 0);
            let is_forced = fake.called("last-resort") == 1 && fake.last_resort == Some(Ok(()));
            let is_unfit = fake.errors.iter().any(|line| line.starts_with("nothing of this instance was started here"));
            is_forced
                || is_unfit && !fake.is_recorded && fake.last_monitor.is_none()
                || is_torn_down && fake.is_recorded && all_known
                || is_cleared && health == Some(Health::NotRunning)
                || is_cleared && was_held && has_failed && all_known
        }
        _ => true,
    }
}

fn verdicts() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        4 => prop::sample::select(&HEALTHS[..]).prop_map(healthy),
        2 => prop::sample::select(&KINDS[..]).prop_map(|(kind, _)| failing(kind)),
        1 => prop::sample::select(&["", " \n"][..]).prop_map(|blank| {
            Verdict::Done(Err(Failure { kind: FailureKind::Generic, reason: blank.to_owned() }))
        }),
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
        unsettled in prop::collection::vec(prop::option::weighted(0.3, Just("unit web.service is being stopped")), 0..4),
        cost in prop_oneof![Just(0), 0..30_000_u64],
    ) -> (Fake, Verdict) {
        let fake = Fake::new().monitors(health).tracks(tracked).on_its_way(unsettled);
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
            let is_believed = fake.last_unsettled.is_none() && fake.last_monitor == Some(healthy(Health::Running));
            prop_assert!(code != 0 || is_believed);
        } else {
            prop_assert!(code != 0 || is_earned(action, &fake), "{action} succeeded: {:?}", fake.calls);
        }
        prop_assert!(outcome.exit.is_failure() != outcome.reason.is_empty(), "{action}: {outcome:?}");
    }
}

#[test]
fn no_kind_of_failure_makes_an_answer_that_does_not_fit() {
    let actions = [
        Action::Start,
        Action::Stop,
        Action::Monitor,
        Action::Promote,
        Action::Demote,
        Action::Notify,
        Action::MigrateTo,
        Action::MigrateFrom,
        Action::Reload,
        Action::ValidateAll,
    ];
    for (action, (kind, _), probe) in
        actions.iter().flat_map(|a| KINDS.iter().flat_map(move |k| [false, true].map(|probe| (*a, *k, probe))))
    {
        let probe = probe && action == Action::Monitor;
        // The plain monitor before an action says what lets the plugin be asked.
        let seen = match action {
            Action::Start | Action::MigrateFrom => healthy(Health::NotRunning),
            Action::Demote => healthy(Health::Promoted),
            Action::Monitor => failing(kind),
            _ => healthy(Health::Running),
        };
        let exports =
            ["start", "stop", "promote", "demote", "notify", "migrate-to", "migrate-from", "reload", "validate"];
        let fake = Fake::new().monitors([seen]);
        let mut fake = exports.into_iter().fold(fake, |fake, export| fake.answers(export, [failing(kind)]));
        let outcome = act(&mut fake, action, probe, 10);
        assert!(outcome.exit.fits(action, probe), "{action:?}, {kind:?}: {}", outcome.exit);
        assert!(!outcome.exit.is_failure() || outcome.reason.contains("silent"), "{action:?}, {kind:?}: {outcome:?}");
    }
}
