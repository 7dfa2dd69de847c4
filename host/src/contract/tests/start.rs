//! What a start answers.

use super::*;

#[test]
fn a_start_of_what_runs_changes_nothing_and_never_answers_degraded() {
    for health in [Health::Running, Health::Degraded] {
        let mut fake = Fake::recorded().monitors([healthy(health)]);
        assert_eq!(told(&start(&mut fake)), OK, "{health:?}");
        assert_eq!(fake.calls, ["monitor", "adopt", "mark Started"], "{health:?}");
    }
}

#[test]
fn a_start_of_what_is_on_its_way_starts_it_and_waits_until_it_is_there() {
    for health in UP {
        let way = [Some("unit web.service is being stopped"), Some("unit web.service is being started"), None];
        let mut fake = Fake::recorded().monitors([healthy(health), healthy(Health::Running)]).on_its_way(way);
        assert_eq!(told(&start(&mut fake)), OK, "{health:?}");
        assert_eq!(fake.calls, ["monitor", "start", "monitor", "monitor", "mark Started"], "{health:?}");
    }
    let mut fake = Fake::recorded().monitors([healthy(Health::Running)]).on_its_way([Some("still coming")]);
    assert_eq!(told(&start(&mut fake)), (1, "not running in time: still coming"));
    assert_eq!((fake.called("start"), fake.marks.len(), fake.now), (1, 0, DEADLINE));
}

#[test]
fn a_start_of_what_is_promoted_demotes_it() {
    for health in [Health::Promoted, Health::DegradedPromoted] {
        // Both that look see it promoted.
        let mut fake = Fake::recorded().monitors([health, health, Health::Running].map(healthy));
        assert_eq!(told(&start(&mut fake)), OK, "{health:?}");
        assert_eq!((fake.called("demote"), fake.called("start"), fake.called("adopt")), (1, 0, 1), "{health:?}");
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
        (Verdict::Waited("program.run".to_owned()), (1, "start: program.run did not come to an end in time")),
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

#[test]
fn a_start_whose_monitor_is_denied_what_it_needs_ends_at_once_with_that() {
    let mut fake = Fake::new().monitors([healthy(Health::NotRunning), failing(FailureKind::Permission)]);
    assert_eq!(start(&mut fake).exit.code(), 4);
    assert_eq!(fake.calls.iter().filter(|call| call.starts_with("monitor")).count(), 2);
}
