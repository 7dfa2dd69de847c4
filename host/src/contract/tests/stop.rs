//! What a stop answers, and what it leaves.

use super::*;

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
fn a_stop_takes_what_is_on_its_way_for_what_it_is() {
    // As a unit that somebody starts again between two looks: it is not gone, although all that was held is.
    let way = [Some("unit web.service is being started"), None];
    let mut fake = Fake::recorded().monitors([healthy(Health::Running), healthy(Health::NotRunning)]);
    fake = fake.tracks([tracked(1, 0), tracked(0, 0)]).on_its_way(way);
    assert_eq!(told(&stop(&mut fake)), OK);
    assert_eq!(fake.calls, ["mark Stopping", "stop", "monitor", "monitor", "mark Stopped"]);
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
            let mut fake = Fake::recorded().monitors([failed.clone()]).tracks([tracked(2, 2), left.clone()]);
            assert_eq!(told(&stop(&mut fake)), OK, "{failed:?}");
            let left = usize::from(left.held > 0);
            assert_eq!((fake.now, fake.called("tear-down")), (Duration::ZERO, left), "{failed:?}");
            assert_eq!(fake.marks, [State::Stopping, State::Stopped], "{failed:?}");
        }
    }
}

#[test]
fn a_stop_has_the_host_end_what_the_plugin_left_although_nothing_of_it_is_seen() {
    for monitor in [healthy(Health::NotRunning), failing(FailureKind::Generic)] {
        let left = || Fake::recorded().monitors([monitor.clone()]).tracks([tracked(1, 0)]);
        let mut fake = left();
        assert_eq!(told(&stop(&mut fake)), OK);
        assert_eq!(fake.calls, ["mark Stopping", "stop", "monitor", "tear-down", "mark Stopped"]);
        let mut fake = left().tears_down(Err("program web: still there after SIGKILL: 12"));
        assert_eq!(told(&stop(&mut fake)), (1, "program web: still there after SIGKILL: 12"));
        assert_eq!(fake.marks, [State::Stopping]);
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
fn a_stop_of_nothing_with_an_unfit_plugin_is_0() {
    let mut fake = Fake::new().answers("stop", [unfit()]);
    assert_eq!(told(&stop(&mut fake)), OK);
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
fn a_stop_without_a_plugin_is_done_by_the_host_which_asks_nobody() {
    const REFUSED: &str = "component 0123: it is damaged";
    let without = |mut fake: Fake| {
        let outcome = stop_without_plugin(&mut fake, REFUSED);
        assert!(fake.calls.iter().all(|call| !call.starts_with("stop") && !call.starts_with("monitor")));
        (outcome.exit.code(), outcome.reason, fake.calls)
    };
    let held = || Fake::recorded().tracks([tracked(0, 0)]);
    let known = ["mark Stopping", "tear-down", "mark Stopped"].map(str::to_owned).to_vec();
    assert_eq!(without(held()), (0, String::new(), known));
    // What nobody tracks is gone where the operator's own proof says so, and only there.
    let loose = || Fake::recorded().tracks([untracked(0, 0)]);
    let (code, _, calls) = without(loose().last_resort(Ok(())));
    assert_eq!((code, calls.last().unwrap().as_str()), (0, "mark Stopped"));
    for (fake, reason) in [
        (loose(), REFUSED),
        (loose().last_resort(Err("not gone")), "not gone"),
        (held().tears_down(Err("does not end")), "does not end"),
    ] {
        let (code, told, calls) = without(fake);
        assert_eq!((code, told.as_str()), (1, reason));
        assert!(!calls.contains(&"mark Stopped".to_owned()), "{calls:?}");
    }
}
