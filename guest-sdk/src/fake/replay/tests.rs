#![allow(unreachable_pub, reason = "what agent! makes is for other crates")]

use super::*;
use crate::fake;
use crate::{Agent, Cause, Migration, Notification, Outcome, Reload, Role, instance, state};
use serde_json::json;

/// Keeps its role and its size.
#[derive(Parameters)]
#[agent(name = "example/db")]
struct Db {
    /// Size
    #[parameter(default = 3, reloadable)]
    size: u32,
    /// Pause
    #[parameter(default = "2s")]
    pause: std::time::Duration,
}
crate::agent!(Db: role, notification, migration, reload);

impl Agent for Db {
    fn start(&self) -> Outcome {
        Ok(state::set_text("role", &format!("{} after {:?}", self.size, self.pause))?)
    }
    fn stop(&self) -> Outcome {
        Ok(state::delete("role")?)
    }
    fn monitor(&self) -> Outcome<Health> {
        match state::get_text("role")? {
            None => Ok(Health::NotRunning),
            Some(_) if instance::is_probe() => Ok(Health::Degraded),
            Some(_) => Ok(Health::Running),
        }
    }
}
impl Role for Db {
    fn promote(&self) -> Outcome {
        Ok(state::set_text("role", "promoted")?)
    }
    fn demote(&self) -> Outcome {
        crate::fail("never")
    }
}
impl Notification for Db {
    fn notify(&self) -> Outcome {
        let notice = instance::notification();
        crate::fail(format!("{:?}", notice.map(|notice| notice.inactive)))
    }
}
impl Migration for Db {
    fn migrate_to(&self) -> Outcome {
        crate::fail(instance::migration().map_or_else(String::new, |migration| migration.target))
    }
    fn migrate_from(&self) -> Outcome {
        Ok(())
    }
}
impl Reload for Db {
    fn reload(&self) -> Outcome {
        crate::fail(self.size.to_string())
    }
}

fn recorded(steps: &Value) -> String {
    json!({
        "format": 1, "agent": "example/db", "action": "start", "probe": false, "level": 0, "node": "alpha",
        "instance": "db:1", "remaining-ms": 5000, "parameters": { "size": "7", "pause": "1500" },
        "migration": { "source": "alpha", "target": "beta" },
        "notification": {
            "moment": "pre", "operation": "stop", "starting": [], "stopping": [], "promoting": [],
            "demoting": [], "unpromoted": [], "promoted": [], "inactive": ["db:0"],
        },
        "steps": steps, "exit": 0, "reason": "",
    })
    .to_string()
}

fn get(answer: &Value) -> Value {
    json!({ "call": "state.get", "with": { "key": "role" }, "answer": answer })
}

fn export(name: &str, calls: &[Value], result: &Value) -> Value {
    json!({ "export": name, "calls": calls, "result": result })
}

fn started() -> Value {
    let set = json!({
        "call": "state.set", "with": { "key": "role", "value": { "text": "7 after 1.5s" } },
        "answer": { "ok": null },
    });
    json!([
        export("monitor", &[get(&json!({ "ok": null }))], &json!({ "ok": "not-running" })),
        export("start", &[set], &json!({ "ok": null })),
        export("monitor", &[get(&json!({ "ok": { "text": "x" } }))], &json!({ "ok": "running" })),
        { "host": "mark", "answer": { "ok": null } },
    ])
}

/// What is said of a recording.
fn said(steps: &Value) -> String {
    let text = recorded(steps);
    match std::panic::catch_unwind(|| replay::<Db>(&text)) {
        Ok(()) => String::new(),
        Err(panic) => match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(panic) => (*panic.downcast::<&str>().unwrap()).to_owned(),
        },
    }
}

#[test]
fn replays_one_export_after_the_other_each_with_its_facts() {
    assert_eq!(said(&started()), "");
    let mut probe = export("monitor", &[get(&json!({ "ok": [] }))], &json!({ "ok": "degraded" }));
    probe["probe"] = json!(true);
    assert_eq!(said(&json!([probe])), "");
    let failed = |reason: &str| json!({ "err": { "kind": "generic", "reason": reason } });
    for (name, result) in [
        ("validate", json!({ "ok": null })),
        ("demote", failed("never")),
        ("notify", failed("Some([\"db:0\"])")),
        ("migrate-to", failed("beta")),
        ("migrate-from", json!({ "ok": null })),
        ("reload", failed("7")),
    ] {
        assert_eq!(said(&json!([export(name, &[], &result)])), "", "{name}");
    }
}

#[test]
fn says_what_differs() {
    let changed = |path: &str, value: Value| {
        let mut steps = started();
        *steps.pointer_mut(path).unwrap() = value;
        said(&steps)
    };
    for (path, value, says) in [
        (
            "/1/calls/0/with/key",
            json!("rule"),
            "recording, export 2 (start), call 1\n  expected state.set {\"key\":\"rule\",",
        ),
        ("/1/calls", json!([]), "expected no more calls, got state.set {\"key\":\"role\","),
        ("/1/export", json!("migrate-from"), "export 2 (migrate-from), call 1: expected state.set {"),
        (
            "/2/calls/0/answer",
            json!({ "ok": 7 }),
            "export 3 (monitor), call 1: the answer to state.get {\"key\":\"role\"} cannot",
        ),
        ("/2/calls/0/answer", json!(null), "export 3 (monitor), call 1: state.get {\"key\":\"role\"} had no answer"),
        (
            "/2/calls/0/answer",
            json!({ "ok": null }),
            "export 3 (monitor)\n  expected {\"ok\":\"running\"}\n  got      {\"ok\":\"not-running\"}",
        ),
        ("/2/result", json!({ "broken": "trap" }), "export 3 (monitor): did not return"),
        ("/2/export", json!("dance"), "recording, export: `dance` is none of "),
        ("", json!([]), "recording: the plugin was not called"),
        ("/3", json!({}), "`export` or `host`"),
    ] {
        let told = changed(path, value);
        assert!(told.contains(says), "`{says}` is not said: {told}");
    }
}

#[test]
fn answers_all_exports_one_after_the_other_for_a_test_of_its_own() {
    Node::replay(&recorded(&started())).parameter("pause", "2s").parameter("size", "7").install();
    let db = Db::read();
    assert_eq!((db.size, db.pause.as_secs(), instance::name().as_str()), (7, 2, "db:1"));
    assert_eq!(instance::remaining(), std::time::Duration::from_secs(5));
    assert_eq!(db.monitor(), Ok(Health::NotRunning));
    assert!(std::panic::catch_unwind(replayed).is_err());
    state::set_text("role", "7 after 1.5s").unwrap();
    assert_eq!(db.monitor(), Ok(Health::Running));
    replayed();
}

#[test]
fn an_error_is_answered_as_one() {
    let call = get(&json!({ "err": { "other": "on fire" } }));
    Node::replay(&recorded(&json!([export("monitor", &[call], &json!(null))]))).install();
    assert_eq!(state::get("role").unwrap_err().cause, Cause::Other("on fire".into()));
}

#[test]
#[should_panic(expected = "nothing is replayed")]
fn nothing_replayed_is_a_mistake_of_the_test() {
    fake::Node::new().install();
    replayed();
}

#[test]
fn files_and_web_servers_are_answered_from_the_recording() {
    use crate::endpoint::{Endpoint, Reach};
    use crate::path::{Kind, Path};
    let (data, web) = (Path::declared("data"), Endpoint::declared("web"));
    let request = json!({ "method": "GET", "target": "/x", "headers": [], "body": [] });
    let facts = json!({ "kind": "file", "size": 3, "mode": 0o600, "uid": 26, "gid": 26, "modified": 1_700_000_000 });
    let calls = [
        json!({ "call": "path.stat", "with": { "label": "data", "name": "pid" }, "answer": { "ok": facts } }),
        json!({
            "call": "path.read", "with": { "label": "data", "name": "pid", "offset": 0, "limit": 1_048_576 },
            "answer": { "ok": { "text": "42\n" } },
        }),
        json!({
            "call": "path.list", "with": { "label": "data", "name": "" },
            "answer": { "ok": [{ "name": "pid", "kind": "file" }] },
        }),
        json!({
            "call": "path.make-directory", "with": { "label": "data", "name": "d", "mode": 0o700 },
            "answer": { "err": { "denied": "path data: granted without access = \"write\"" } },
        }),
        json!({ "call": "endpoint.listening", "with": { "label": "web", "slots": [] }, "answer": { "ok": true } }),
        json!({
            "call": "endpoint.http", "with": { "label": "web", "slots": [], "request": request },
            "answer": { "ok": {
                "reach": "open", "status": 302, "headers": [["location", "/y"]], "body": { "text": "gone" },
                "truncated": false,
            } },
        }),
    ];
    Node::replay(&recorded(&json!([export("monitor", &calls, &json!(null))]))).install();
    let facts = data.stat("pid").unwrap().unwrap();
    assert_eq!((facts.kind, facts.mode, facts.uid), (Kind::File, 0o600, 26));
    assert_eq!(data.read_text("pid").unwrap().as_deref(), Some("42\n"));
    assert_eq!(data.list("").unwrap().unwrap()[0].name, "pid");
    assert!(matches!(data.make_directory("d", 0o700).unwrap_err().cause, Cause::Denied(_)));
    assert!(web.listening().unwrap());
    let answer = web.get("/x").unwrap();
    assert_eq!((answer.reach, answer.status, answer.header("Location")), (Reach::Open, 302, Some("/y")));
    assert_eq!(answer.text(), "gone");
    replayed();
    assert_eq!(fake::calls()[0], "path data: stat");
}
