//! What came from outside the node, or from its files: recorded, and replayed when neither is there any more.

use ocf_wasm_tests::host::{TestHost, hostile};
use serde_json::json;

use super::{Files, HOSTILE, agrees, differs, record, replay};

/// What a web server and a file said is replayed when neither is there any more, and one answer that is changed changes
/// what the plugin makes of it.
#[test]
fn what_a_web_server_and_a_file_said_is_replayed_without_them() {
    let files = Files::new();
    let place = tempfile::tempdir().unwrap();
    let host = TestHost::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/health", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]).unwrap();
        stream
            .write_all(b"HTTP/1.1 503 Busy\r\nX-Why: tired\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n")
            .unwrap();
    });
    let policy = format!(
        "format = 1\n[endpoint.web]\nhttp = \"{url}\"\n[path.files]\ndirectory = \"{}\"\naccess = \"write\"\n",
        place.path().display()
    );
    host.policy(HOSTILE, &policy);
    host.add(&hostile(), &[]);
    let start = |misdeed: &str| host.action(HOSTILE, "start").with("do", misdeed).with("in", "start");
    let fetched = record(&start("fetch").instance("fetch"), &files.path("fetch.json"));
    let _ = fetched.is(1).says("status 503, 2 bytes");
    server.join().unwrap();
    // The way to a temporary directory is everybody's: what is recorded is that refusal.
    let _ = record(&start("write").instance("write"), &files.path("write.json")).is(5).says("writable by everybody");
    drop(place);

    let call = |name: &str| files.read(name)["steps"][1]["calls"].as_array().unwrap().clone();
    let [asked] = &call("fetch.json")[..] else { panic!("one question is one call: {:#?}", call("fetch.json")) };
    let request = json!({ "method": "GET", "target": "", "headers": [], "body": [] });
    assert_eq!(asked["with"], json!({ "label": "web", "slots": [], "request": request }));
    let answer = &asked["answer"]["ok"];
    assert_eq!((&asked["call"], &answer["status"]), (&json!("endpoint.http"), &json!(503)), "{asked:#}");
    assert_eq!((&answer["reach"], &answer["body"]), (&json!("open"), &json!({ "text": "no" })), "{asked:#}");
    assert_eq!(answer["headers"], json!([["x-why", "tired"], ["transfer-encoding", "chunked"]]), "{asked:#}");
    let [asked] = &call("write.json")[..] else { panic!("{:#?}", call("write.json")) };
    assert_eq!((&asked["call"], &asked["with"]["name"]), (&json!("path.write"), &json!("note")), "{asked:#}");
    assert!(asked["answer"]["err"]["unavailable"].is_string(), "{asked:#}");

    for name in ["fetch.json", "write.json"] {
        agrees(&replay(&hostile(), "start", &files.path(name)));
    }
    let well = files.changed("fetch.json", |file| file["steps"][1]["calls"][0]["answer"]["ok"]["status"] = json!(200));
    differs(&replay(&hostile(), "start", &well), &["status 503, 2 bytes", "status 200, 2 bytes"]);
    let gone = json!({ "ok": { "reach": "refused", "status": 0, "headers": [], "body": [], "truncated": false } });
    let gone = files.changed("fetch.json", |file| file["steps"][1]["calls"][0]["answer"] = gone);
    differs(&replay(&hostile(), "start", &gone), &["connection refused, 0 bytes"]);
    let able = files.changed("write.json", |file| file["steps"][1]["calls"][0]["answer"] = json!({ "ok": null }));
    differs(&replay(&hostile(), "start", &able), &["recorded: no more calls", "now:      state.set"]);
}
