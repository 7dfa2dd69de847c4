//! What a monitor answers, a probe and a recurring one.

use super::*;

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
        // Only 9 is a failure, and a failure has a reason.
        let reason = if code == 9 { "promoted and not working" } else { "" };
        for (probe, level) in [(true, 0), (false, 0), (false, 10)] {
            let alive = usize::from(health != Health::NotRunning);
            let mut fake = Fake::recorded().monitors([healthy(health)]).tracks([tracked(1, alive)]);
            assert_eq!(told(&monitor(&mut fake, probe, level)), (code, reason), "{health:?}, probe {probe}");
            assert_eq!(fake.calls.len(), 1, "{health:?}: {:?}", fake.calls);
            assert_eq!(fake.errors, [""; 0], "{health:?}");
        }
    }
}

#[test]
fn what_a_recorded_start_left_alive_is_not_stopped_whatever_the_plugin_says() {
    const REASON: &str = "2 of what it started still runs, and the plugin says that it does not run";
    let says_no = |fake: Fake| fake.monitors([healthy(Health::NotRunning)]).tracks([tracked(2, 2)]);
    for probe in [true, false] {
        assert_eq!(told(&monitor(&mut says_no(Fake::recorded()), probe, 0)), (1, REASON));
        // Nothing was started here: whose that is, the plugin knows better.
        assert_eq!(told(&monitor(&mut says_no(Fake::new()), probe, 0)), (7, ""));
    }
    assert_eq!(told(&demote(&mut says_no(Fake::recorded()))), (1, REASON));
}

#[test]
fn what_is_on_its_way_up_or_down_does_not_run_whatever_the_plugin_says() {
    const REASON: &str = "web: unit web.service is being stopped";
    let moving = |health| Fake::new().monitors([healthy(health)]).on_its_way([Some(REASON)]);
    for (health, code) in
        [(Health::Running, 1), (Health::Degraded, 1), (Health::Promoted, 9), (Health::DegradedPromoted, 9)]
    {
        let alive = || moving(health).tracks([tracked(0, 1)]);
        for probe in [true, false] {
            assert_eq!(told(&monitor(&mut alive(), probe, 0)), (code, REASON), "{health:?}, probe {probe}");
        }
        let refused = (1, REASON);
        assert_eq!(told(&migrate_to(&mut alive())), refused, "{health:?}");
        assert_eq!(told(&act(&mut alive(), Action::Monitor, true, 0)), (code, REASON), "{health:?}");
    }
    // Down by the time that the host looks itself: what is not here any more is no second copy.
    let mut gone = moving(Health::Running);
    assert_eq!(told(&monitor(&mut gone, true, 0)), (7, ""));
    // Of what says itself that it does not run nobody is asked.
    for health in [Health::NotRunning, Health::FailedPromoted] {
        let mut fake = moving(health);
        let _ = monitor(&mut fake, false, 0);
        assert_eq!(fake.last_unsettled, None, "{health:?}");
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
        // 3 would be recorded as "unsupported", which not every version recovers from.
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

#[test]
fn a_recurring_monitor_of_an_unfit_plugin_is_1() {
    let mut fake = Fake::recorded().monitors([unfit()]);
    assert_eq!(monitor(&mut fake, false, 0).exit.code(), 1);
}

#[test]
fn a_probe_without_an_answer_is_not_7_while_untracked_effects_may_live() {
    for (spoil, reason) in spoils() {
        let mut fake = Fake::recorded().monitors([spoil]).tracks([untracked(1, 0)]);
        assert_eq!(told(&monitor(&mut fake, true, 0)), (1, reason));
    }
}
