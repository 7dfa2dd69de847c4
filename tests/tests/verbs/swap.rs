//! What the cluster does to instances while two versions are compared.

use ocf_wasm_tests::host::{TestHost, plugin, until, variant_of};
use ocf_wasm_tests::processes::Kept;

use super::DUMMY;

/// Others are still looked at when one that was is to stop: it does not wait for them, and it stays stopped.
#[test]
fn a_stop_waits_for_its_own_instance_only() {
    let host = TestHost::with(&["dummy"]);
    for instance in ["a", "b", "c"] {
        let _ = host.action(DUMMY, "start").instance(instance).with("op_sleep", 1).is(0);
    }
    let second = variant_of(&plugin("dummy"), 2, host.path());
    let mut install = host.tool(&["install", "--allow-unsigned", second.to_str().unwrap()]);
    let mut install = Kept(install.spawn().unwrap());
    let is_held = |instance: &str| {
        let lock = std::fs::File::open(host.path().join("run").join(DUMMY).join(instance).join("lock")).unwrap();
        lock.try_lock().is_err()
    };
    until("the first is looked at", || is_held("a"));
    until("the second is looked at", || is_held("b"));
    assert!(!is_held("a"));
    let _ = host.action(DUMMY, "stop").instance("a").is(0);
    let mut ended = None;
    until("all were looked at", || {
        ended = install.0.try_wait().unwrap();
        ended.is_some()
    });
    assert!(ended.unwrap().success());
    let _ = host.action(DUMMY, "monitor").instance("a").is(7);
    for instance in ["b", "c"] {
        assert_eq!(host.why(instance)["pins"]["generation"], 2, "{:#}", host.why(instance));
        let _ = host.action(DUMMY, "stop").instance(instance).is(0);
    }
}
