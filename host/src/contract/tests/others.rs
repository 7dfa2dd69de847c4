//! What notify, the migrations, reload and validate answer.

use super::*;

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
        assert_eq!(fake.calls, ["migrate-from", "monitor", "monitor", "adopt", "mark Started"], "{health:?}");
        // What it started itself to take it in, it can end itself.
        let mut tracks = Fake::recorded().monitors([healthy(health)]).tracks([tracked(1, 1)]);
        assert_eq!(told(&migrate_from(&mut tracks)), OK, "{health:?}");
        assert_eq!(tracks.called("adopt"), 0, "{health:?}");
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
            assert_eq!(fake.calls, [format!("validate level={}", if level < 10 { 0 } else { 10 })]);
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
