//! What promote and demote answer.

use super::*;

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

#[test]
fn a_demote_of_an_unfit_plugin_is_1() {
    let mut fake = Fake::recorded().monitors([unfit()]);
    assert_eq!(demote(&mut fake).exit.code(), 1);
}
