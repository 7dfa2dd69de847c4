//! `check` with a component: what it can know of a policy with which an action of that component would be refused.

use std::fs;
use std::path::Path;

use ocf_wasm_tests::host::{HOSTILE_POLICY, Ran, TestHost, hostile, plugin, plugins, policy_of};
use serde_json::json;

use super::text;

struct Draft(TestHost);

impl Draft {
    fn check(&self, name: &str, policy: &str, more: &[&str]) -> Ran {
        self.check_with(&plugin(name), policy, more)
    }

    fn check_with(&self, component: &Path, policy: &str, more: &[&str]) -> Ran {
        let file = self.0.path().join("draft.toml");
        fs::write(&file, policy).unwrap();
        self.0.run(&[&["check", text(&file), "--component", text(component)], more].concat())
    }

    /// Checks that a policy of a plugin of the tree with a change is said not to grant all, and why.
    #[track_caller]
    fn says(&self, component: &str, (from, to): (&str, &str), says: &str) {
        let policy = policy_of(component);
        assert!(policy.contains(from), "{from}");
        let policy = policy.replacen(from, to, 1);
        let told = self.check(component, &policy, &[]);
        let first = told.stdout.lines().next().unwrap();
        let right = "draft.toml: right, but does not grant all that the plugin asks for, not compared with this node";
        assert!(told.code == 0 && first.ends_with(right), "a policy is the operator's word: {told:#?}");
        assert!(told.stdout.contains(says), "`{says}` is not said: {told:#?}");
        assert_eq!(self.check(component, &policy, &["--strict"]).code, 1);
        let known = self.check(component, &policy, &["-o", "json"]).json();
        let misfits = known["policies"][0]["misfits"].as_array().unwrap().clone();
        assert!(misfits.iter().any(|misfit| misfit["message"].as_str().unwrap().contains(says)), "`{says}`: {known}");
    }
}

#[test]
fn a_policy_that_grants_all_that_is_asked_for_is_ok() {
    let draft = Draft(TestHost::new());
    for name in plugins() {
        let told = draft.check(&name, &policy_of(&name), &[]);
        assert!(told.code == 0 && told.stdout.contains("draft.toml: ok with that component, "), "{told:#?}");
        let known = draft.check(&name, &policy_of(&name), &["-o", "json"]).json();
        assert_eq!(known["policies"][0]["misfits"], json!([]), "{name}");
    }
}

#[test]
fn what_a_start_is_refused_for_is_said_before() {
    let draft = Draft(TestHost::new());
    let server = "sample-tcp-server";
    // Nothing is bound, or one label is not.
    draft.says(
        server,
        ("[endpoint.greeting]", "[endpoint.greting]"),
        "endpoint greeting is not bound, so it is not granted",
    );
    let told = draft.check(server, "format = 1\n", &[]);
    assert!(told.code == 0 && !told.stdout.contains(": ok"), "{told:#?}");
    // It is bound as something else.
    let other = policy_of(server).replace("[endpoint.greeting]", "[endpoint.other]")
        + "[path.greeting]\ndirectory = \"/srv/x\"\naccess = \"read\"\n";
    let told = draft.check(server, &other, &[]).stdout;
    assert!(
        told.contains("the plugin never asks for path greeting")
            && told.contains("hint: it asks for endpoint greeting"),
        "{told}"
    );
    // Bound, and not as it is used.
    let daemon = "the plugin asks for lifetime \"instance\": of \"action\" its calls are refused";
    let policy = policy_of(server);
    let stop = policy.lines().find(|line| line.starts_with("stop ")).unwrap();
    let output = policy.lines().find(|line| line.starts_with("output ")).unwrap();
    let short =
        policy.replace(stop, "").replace(output, "").replace("lifetime    = \"instance\"", "lifetime    = \"action\"");
    let told = draft.check(server, &short, &[]).stdout;
    assert!(told.contains(daemon) && told.contains("right, but does not grant all"), "{told}");
    draft.says(
        "stateful",
        ("lifetime = \"action\"\ntimeout  = \"4s\"", "lifetime = \"instance\""),
        "asks for lifetime \"action\": of \"instance\" its calls",
    );
    draft.says(
        "web-service",
        ("type        = \"forking\"", ""),
        "the plugin asks for type \"forking\": it also runs this to its end",
    );
    draft.says(
        server,
        ("tcp = { host = \"127.0.0.1\", port = { param = \"port\", port = {} } }", "http = \"http://127.0.0.1:80/\""),
        "the plugin asks for tcp here: as http its questions are refused",
    );
    draft.says(
        "web-service",
        ("\"start\", \"stop\", \"status\"", "\"start\", \"stop\""),
        "the plugin asks for `status` in the slot verb, which is refused",
    );
    draft.says(
        "web-service",
        ("slot = \"verb\"", "slot = \"word\""),
        "the plugin fills no slot word, so its calls are refused",
    );
    // What holds of parameters without anybody setting them.
    let default = "the default of parameter port, 5678, is not a port within bounds as the policy wants it: a start is refused unless";
    draft.says(
        server,
        ("\"--port\", { param = \"port\", port = {} }", "\"--port\", { param = \"port\", port = { max = 1023 } }"),
        default,
    );
    let unset = "parameter escape need not be set and has no default: without it, what needs this is refused";
    for (argument, is_said) in
        [("{ param = \"escape\", name = {} }", true), ("[{ param = \"escape\", name = {} }]", false)]
    {
        let policy = HOSTILE_POLICY.replace("\"1001\"", argument);
        let told = draft.check_with(&hostile(), &policy, &[]).stdout;
        assert_eq!(told.contains(unset), is_said, "{told}");
    }
}

#[test]
fn what_is_said_before_is_what_happens() {
    let host = TestHost::new();
    let component = plugin("web-service");
    let draft = Draft(host);
    let policy = policy_of("web-service").replace("\"start\", \"stop\", \"status\"", "\"start\", \"stop\"");
    assert!(draft.check("web-service", &policy, &[]).stdout.contains("asks for `status` in the slot verb"));
    let file = draft.0.path().join("draft.toml");
    let page = "/usr/libexec/ocf-wasm/examples/page";
    let component = text(&component).to_owned();
    let start =
        draft.0.action(&component, "start").with("service_path", page).with("probe_url", "http://127.0.0.1:5681/");
    let ran = start.more(&["--policy", text(&file)]).run();
    assert!(ran.code != 0 && ran.reason().contains("slot verb"), "{ran:#?}");
}
