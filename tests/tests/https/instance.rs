//! An instance that is watched by https: web-service with a script that says what it is told to; and what of a question is
//! recorded.

use std::fs;

use ocf_wasm_tests::host::{TestHost, hostile};
use serde_json::{Value, json};

use super::server::{Authority, Server, TODAY};
use super::{AGENT, CA, HELLO, grant, host};

const SERVICE: &str = "ocf-wasm/web-service";
const SCRIPTS: &str = "/etc/ocf-wasm/scripts";

#[test]
fn a_service_whose_certificate_expires_fails_its_monitor_and_says_so() {
    let (host, authority) = (TestHost::new(), Authority::new("ours"));
    host.install("web-service");
    fs::write(host.path().join("etc/ca.pem"), authority.pem()).unwrap();
    fs::create_dir_all(host.path().join("etc/scripts")).unwrap();
    fs::write(host.path().join("etc/scripts/shop"), "#!/bin/sh\nexit 0\n").unwrap();
    let server = Server::saying(authority.issue(&["www.example"], TODAY), HELLO);
    let port = server.address.port();
    // As the suggested policy shows it, in its comment.
    let policy = ocf_wasm_tests::host::policy_of("web-service");
    let shown: Vec<&str> = policy.lines().filter_map(|line| line.strip_prefix("#   ")).collect();
    assert_eq!(shown.len(), 3, "{policy}");
    let plain = policy.lines().find(|line| line.starts_with("http ")).unwrap();
    let policy = policy.replace(plain, &shown.join("\n")).replace("443", &port.to_string());
    let policy = policy.replace("/etc/ssl/certs/ca-certificates.crt", CA);
    host.policy(SERVICE, &policy.replace("/usr/libexec/ocf-wasm/examples", SCRIPTS));
    let action = |word| {
        let action = host.action(SERVICE, word).instance("shop").timeout_ms(8_000);
        let action = action.with("service_path", format!("{SCRIPTS}/shop"));
        action.with("probe_url", format!("https://www.example:{port}/"))
    };
    action("start").is(0);
    action("monitor").recurring().is(0);
    // Another one at the same place, whose time is over.
    drop(server);
    let old = Server::at(port, authority.issue(&["www.example"], (2020, 2021)), HELLO);
    let failed = action("monitor").recurring().is(1);
    let _ = failed.says("endpoint page: its certificate expired on 2021-12-31");
    drop(old);
    let _ = action("monitor").recurring().is(1).says("page: connection refused");
}

#[test]
fn one_question_is_recorded_as_one_and_replayed_without_the_server() {
    let (host, authority) = host();
    let file = |name: &str| host.path().join(name);
    let record = |server: &Server, name: &str| {
        let port = server.address.port();
        grant(&host, port, "2s");
        let start = host.action(AGENT, "start").instance(name).with("do", "fetch").with("in", "start");
        let start = start.with("url", format!("https://web.example:{port}/health"));
        let _ = start.more(&["--record", file(name).to_str().unwrap()]).is(1);
        let text = fs::read_to_string(file(name)).unwrap();
        let file: Value = serde_json::from_str(&text).unwrap();
        let [asked] = &file["steps"][1]["calls"].as_array().unwrap()[..] else { panic!("{file:#}") };
        assert_eq!(asked["call"], "endpoint.http", "{file:#}");
        assert!(!text.contains("CERTIFICATE") && !text.contains("carry"), "{text}");
        asked["answer"].clone()
    };
    let told = record(&Server::saying(authority.issue(&["web.example"], TODAY), HELLO), "well.json");
    assert_eq!((&told["ok"]["status"], &told["ok"]["body"]), (&json!(200), &json!({ "text": "hello" })), "{told:#}");
    let told = record(&Server::saying(authority.issue(&["web.example"], (2020, 2021)), HELLO), "old.json");
    assert_eq!(told["err"]["other"], "endpoint web: its certificate expired on 2021-12-31", "{told:#}");
    for name in ["well.json", "old.json"] {
        let elsewhere = TestHost::new();
        let (component, file) = (hostile(), file(name));
        let ran = elsewhere.run(&["run", component.to_str().unwrap(), "start", "--replay", file.to_str().unwrap()]);
        assert!(ran.code == 0 && ran.stdout.starts_with("as recorded: "), "{ran:#?}");
    }
}
