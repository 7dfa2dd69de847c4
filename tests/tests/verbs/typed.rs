//! What the tool tells to type can be typed as it stands, also in a private root: the call names the root, and paths are
//! those below it.

use std::fs;
use std::path::Path;
use std::process::Command;

use ocf_wasm_tests::host::{Ran, TestHost, dist, finish, plugin, policy_of, variant_of};
use ocf_wasm_tests::source::checkout;
use regex_lite::Regex;

use super::{DUMMY, SERVER, text};

/// Types a command of the tool as it was printed.
pub(super) fn typed(command: &str) -> Ran {
    let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", dist().join("usr/bin").display());
    finish(Command::new("sh").args(["-c", command]).env_clear().env("PATH", path))
}

/// The call that stands in a text, up to its end or to what cannot be a part of it.
fn call(text: &str) -> &str {
    let (_, rest) = text.split_once("ocf-wasm --root ").unwrap_or_else(|| panic!("no call: {text}"));
    let at = text.len() - rest.len() - "ocf-wasm --root ".len();
    let end = text[at..].find(['\n', ')', ';', '`']).map_or(text.len(), |end| at + end);
    &text[at..end]
}

/// Checks that each call names a root and each path of ours is below it, and returns what was said.
#[track_caller]
fn of_the_root(host: &TestHost, ran: &Ran) -> String {
    let said = format!("{}{}", ran.stdout, ran.stderr);
    let verbs = super::verbs(host).join("|");
    let bare = Regex::new(&format!(r"ocf-wasm ({verbs})\b")).unwrap();
    assert!(!bare.is_match(&said), "a call without its root: {said}");
    let node =
        Regex::new(r"(^|[^\w/.-])/(etc/ocf-wasm|var/lib/ocf-wasm|run/ocf-wasm|usr/lib/ocf/resource\.d)").unwrap();
    assert!(!node.is_match(&said), "a path of the node: {said}");
    said
}

#[test]
fn what_is_to_be_typed_names_the_root_and_paths_are_below_it() {
    let host = TestHost::new();
    let (dummy, server) = (plugin("dummy"), plugin("sample-tcp-server"));
    let root = host.path().display().to_string();
    let tells = |arguments: &[&str], says: &[&str]| {
        let ran = host.run(arguments);
        let said = of_the_root(&host, &ran);
        for says in says {
            let says = says.replace("DIR", &root);
            assert!(said.contains(&says), "`{says}` is not said: {ran:#?}");
        }
    };
    tells(&["install", text(&dummy)], &["look at them first: ocf-wasm --root DIR inspect /"]);
    let policy = "DIR/etc/policy/ocf-wasm/dummy.toml";
    tells(
        &["install", text(&dummy), "--allow-unsigned"],
        &["ocf-wasm --root DIR suggest FILE.wasm shows one for ", policy],
    );
    tells(&["check"], &["DIR/etc/policy/ocf-wasm/dummy.toml: not there: start is refused"]);
    tells(&["-o", "json", "check"], &["\"path\": \"DIR/etc/policy/ocf-wasm/dummy.toml\""]);
    tells(&["suggest", text(&dummy)], &[policy]);
    tells(&["-o", "json", "suggest", text(&dummy)], &["\"path\": \"DIR/etc/policy/ocf-wasm/dummy.toml\""]);
    let _ = host.run(&["run", DUMMY, "start"]).is(4);
    tells(
        &["why", "try"],
        &["failed: no policy: DIR/etc/policy/", "  write DIR/etc/policy/", "`ocf-wasm --root DIR suggest FILE.wasm`"],
    );
    host.policy(DUMMY, &policy_of("dummy"));
    let _ = host.run(&["run", DUMMY, "start"]).is(0);
    fs::remove_file(host.path().join("resource.d").join(DUMMY)).unwrap();
    tells(
        &["check"],
        &["DIR/resource.d/ocf-wasm/dummy is not there", "to do: ocf-wasm --root DIR install DIR/lib/blobs/sha256/"],
    );
    tells(&["list"], &["DIR/resource.d/ocf-wasm/dummy is not there", "(ocf-wasm --root DIR check)"]);
    assert_eq!(host.add(&dummy, &[]).code, 0);
    fs::write(host.path().join("run").join(DUMMY).join("try/record"), "").unwrap();
    tells(&["forget", "try"], &["then: ocf-wasm --root DIR forget try --nothing-runs"]);
    tells(&["why", "try"], &["ocf-wasm --root DIR forget try --nothing-runs"]);
    assert_eq!(typed(&format!("ocf-wasm --root {root} forget try --nothing-runs")).code, 0);

    // An upgrade that asks for what is not granted.
    host.policy(SERVER, "format = 1\n");
    let _ = host.add(&server, &[]);
    let first = variant_of(&server, 2, host.path());
    let not_granted = "\"not_granted\": [\n    \"endpoint greeting\",\n    \"program greeter\"\n  ]";
    tells(&["-o", "json", "install", text(&first), "--allow-unsigned"], &["\"generation\": 2", not_granted]);
    let failing = ["test", text(&server), "--policy", "/dev/stdin", "--only", "start"];
    let file = host.path().join("nothing.toml");
    fs::write(&file, "format = 1\n").unwrap();
    let failing = failing.map(|word| if word == "/dev/stdin" { text(&file) } else { word });
    tells(&failing, &["what to do: ocf-wasm --root DIR run FILE.wasm start --trace"]);
    tells(&[&["-o", "json"], &failing[..]].concat(), &["\"advice\": \"ocf-wasm --root DIR run FILE.wasm start"]);
    let (sdk, place) = (checkout().join("guest-sdk"), host.path().join("new"));
    tells(&["new", "acme/web", "--path", text(&place), "--sdk", text(&sdk)], &["ocf-wasm --root DIR test target/"]);

    let link = host.path().join("resource.d").join(DUMMY);
    fs::remove_file(&link).unwrap();
    fs::write(&link, "#!/bin/sh\n").unwrap();
    tells(
        &["install", text(&dummy), "--allow-unsigned", "--replace"],
        &["is kept as DIR/lib/replaced/ocf-wasm/dummy-"],
    );
    tells(
        &["remove", DUMMY],
        &["is back as DIR/resource.d/ocf-wasm/dummy; it was kept as DIR/lib/replaced/ocf-wasm/dummy-"],
    );
}

#[test]
fn what_stands_behind_a_reason_is_told_as_it_can_be_typed() {
    let host = TestHost::new();
    let run = |root: &Path, words: &[&str]| {
        // With all that it says, and who looks at the time is somebody else.
        let mut tool = Command::new("timeout");
        let ran =
            tool.arg("60").arg(dist().join("usr/bin/ocf-wasm")).arg("--root").arg(root).args(words).output().unwrap();
        (ran.status.code().unwrap(), String::from_utf8(ran.stderr).unwrap())
    };
    let dummy = plugin("dummy");
    // Also where a shell would take it apart.
    for root in [host.path().join("plain"), host.path().join("it's here")] {
        let (code, said) = run(&root, &["run", text(&dummy), "start", "--instance", "web"]);
        let lines: Vec<&str> = said.lines().collect();
        let [.., reason, note] = lines[..] else { panic!("{said}") };
        assert!(code == 4 && reason.starts_with("ocf-exit-reason:no policy: /etc/ocf-wasm/"), "{said}");
        assert!(reason.ends_with(" (ocf-wasm why web)"), "the agent does not know where it is: {said}");
        assert!(note.starts_with("note: in this root that is: ocf-wasm --root "), "{said}");
        let why = typed(call(note));
        assert!(why.code == 0 && why.stdout.starts_with("web (ocf-wasm/dummy): failed: no policy: "), "{why:#?}");
        // Where no command stands behind the reason, there is nothing to be told.
        let (code, said) = run(&root, &["run", text(&dummy), "dance", "--instance", "web"]);
        assert!(code == 3 && !said.contains("note: in this root that is"), "{said}");
    }
}

#[test]
fn what_needs_no_root_names_none() {
    let host = TestHost::new();
    let server = plugin("sample-tcp-server");
    let file = host.path().join("nothing.toml");
    fs::write(&file, "format = 1\n").unwrap();
    // Its private root is gone when it has ended.
    let mut test = Command::new(dist().join("usr/bin/ocf-wasm"));
    let ran = finish(test.args(["test", text(&server), "--policy", text(&file), "--only", "start"]));
    assert!(ran.code == 1 && ran.stdout.contains("what to do: ocf-wasm run FILE.wasm start --trace"), "{ran:#?}");
    // So are its instances, of which an agent's reason tells.
    assert!(ran.stdout.contains(": program greeter: not granted\n") && !ran.stdout.contains("why start"), "{ran:#?}");
}
