//! What all verbs have in common: what cannot be printed is told, wrong usage names the usage of its verb.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::json;

use ocf_wasm_tests::host::{TestHost, dist, plugin, policy_of};

use super::{DUMMY, bad, good, text};

/// The verbs that print something, on a node where the dummy runs.
const PRINTING: [&[&str]; 13] = [
    &["--help"],
    &["--version"],
    &["run", "--help"],
    &["list"],
    &["-o", "json", "list"],
    &["list", DUMMY],
    &["check"],
    &["why", "try"],
    &["test", "--list"],
    &["completions", "bash"],
    &["rollback", DUMMY, "--to", "1"],
    &["remove", DUMMY, "--force"],
    &["man", "/proc/nowhere"],
];

#[test]
fn what_cannot_be_printed_is_an_error() {
    let host = TestHost::with(&["dummy"]);
    let _ = host.action(DUMMY, "start").is(0);
    let dummy = plugin("dummy");
    let of_a_file =
        [&["inspect", text(&dummy)][..], &["suggest", text(&dummy)], &["install", text(&dummy), "--allow-unsigned"]];
    // The last one fails by itself, and says why in its own words.
    let (last, printing) = PRINTING.split_last().unwrap();
    for arguments in of_a_file.iter().chain(printing) {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let ran = host.tool(arguments).stdout(full).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(1), "{arguments:?}: {ran:?}");
        assert!(
            said.ends_with("error: cannot write: No space left on device (os error 28)\n"),
            "{arguments:?}: {said}"
        );
        assert!(!said.contains("panicked") && said.matches("error: ").count() == 1, "{arguments:?}: {said}");
    }
    let full = File::options().write(true).open("/dev/full").unwrap();
    let ran = host.tool(last).stdout(full).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.code() == Some(1) && !said.contains("cannot write:"), "{said}");
    // What cannot be told at all is told by the status.
    let full = File::options().write(true).open("/dev/full").unwrap();
    let status = host.tool(&["why", "wob"]).stdout(Stdio::null()).stderr(full).status().unwrap();
    assert_eq!(status.code(), Some(1));
    let _ = host.run(&["run", text(&dummy), "stop"]).is(0);
}

#[test]
fn a_reader_that_went_away_ends_it_silently() {
    let host = TestHost::new();
    for arguments in [&["--help"][..], &["test", "--list"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ran = host.tool(arguments).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(ran.status.signal(), Some(13), "{arguments:?}: {ran:?}");
        assert!(ran.stderr.is_empty(), "{arguments:?}: {ran:?}");
    }
}

#[test]
fn wrong_usage_of_test_names_the_usage_of_test() {
    let host = TestHost::new();
    let anything = plugin("anything");
    let server = plugin("sample-tcp-server");
    let alone = host.path().join("alone.wasm");
    fs::copy(&server, &alone).unwrap();
    for (arguments, says) in [
        (&["test", text(&anything)][..], "error: parameter binfile is required: add -p binfile=VALUE\n"),
        (&["test", text(&server), "-p", "prt=1"], "error: ocf-wasm/sample-tcp-server has no parameter prt\n"),
        (&["test", text(&alone)], "name what is granted with --policy FILE"),
    ] {
        let ran = host.run(arguments);
        assert!(ran.code == 2 && ran.stdout.is_empty() && ran.stderr.contains(says), "{ran:#?}");
        assert!(ran.stderr.contains("\nUsage: ocf-wasm test [OPTIONS] [COMPONENT]\n"), "{ran:#?}");
    }
}

#[test]
fn a_suggestion_is_there_for_programs_too() {
    let host = TestHost::new();
    let server = plugin("sample-tcp-server");
    let shown = good(host.run(&["suggest", text(&server)])).stdout;
    let known = good(host.run(&["-o", "json", "suggest", text(&server)])).json();
    let place = host.policy_path("ocf-wasm/sample-tcp-server");
    assert_eq!(known, json!({ "agent": "ocf-wasm/sample-tcp-server", "path": place, "policy": shown }));
}

#[test]
fn a_component_is_no_policy() {
    let host = TestHost::new();
    let dummy = plugin("dummy");
    let ran = host.run(&["check", text(&dummy)]);
    assert_eq!(ran.code, 1, "{ran:#?}");
    let tool = format!("ocf-wasm --root {}", text(host.path()));
    let said = format!(
        "is a component; check reads policies: {tool} inspect shows a component, {tool} suggest a policy for it"
    );
    assert!(ran.stdout.starts_with(&format!("{}: {said}\n", dummy.display())), "{ran:#?}");
    let other = host.path().join("other");
    fs::write(&other, b"\xff\xfe").unwrap();
    let ran = host.run(&["check", text(&other)]);
    assert!(ran.code == 1 && ran.stdout.contains("other: is no text; a policy is a text in TOML"), "{ran:#?}");
}

#[test]
fn what_is_installed_already_is_not_installed_again() {
    let host = TestHost::new();
    host.policy(DUMMY, &policy_of("dummy"));
    let dummy = plugin("dummy");
    let install = || good(host.run(&["install", text(&dummy), "--allow-unsigned"])).stdout;
    assert!(install().starts_with("installed ocf-wasm/dummy 0.1.0 as generation 1 ("));
    let _ = host.action(DUMMY, "start").is(0);
    let last = || host.why("try")["actions"].as_array().unwrap().last().unwrap()["action"].clone();
    let (agent, cache) = (host.path().join("resource.d").join(DUMMY), host.path().join("cache"));
    let natives = || fs::read_dir(&cache).unwrap().count();
    let warm = natives();
    let nothing = "ocf-wasm/dummy 0.1.0 is installed already, nothing to do (generation 1, ocf:ocf-wasm:dummy)\n";
    assert_eq!(install(), nothing);
    // What was lost comes back, and is named.
    let blob = fs::read_dir(host.path().join("lib/blobs/sha256")).unwrap().map(|entry| entry.unwrap().path());
    let blob = blob.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let native = fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path());
    let native = native.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let list = host.path().join("etc/agents.toml");
    let spoil = |path: &Path| {
        fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
        fs::write(path, "spoilt").unwrap();
    };
    let told = |part: &str| {
        let part = part.replace("DIR", text(host.path()));
        let said = "ocf-wasm/dummy 0.1.0 is installed already (generation 1, ocf:ocf-wasm:dummy)\n";
        let would = good(host.run(&["install", text(&dummy), "--allow-unsigned", "--dry-run"])).stdout;
        assert!(would.ends_with(&format!("\n  would put back {part}\n")), "{would}");
        let again = install();
        let rest = again.strip_prefix(said).unwrap_or_else(|| panic!("{again}"));
        assert_eq!(rest.lines().filter(|line| line.contains("was lost and is put back: ")).count(), 1, "{again}");
        assert!(rest.starts_with(&format!("  was lost and is put back: {part}\n")), "{again}");
        assert_eq!((install(), last()), (nothing.to_owned(), json!("start")));
    };
    fs::remove_dir_all(&cache).unwrap();
    told("its native code in DIR/cache");
    assert_eq!(natives(), warm);
    spoil(&native);
    told("its native code in DIR/cache");
    fs::remove_file(&blob).unwrap();
    told("its component in DIR/lib/blobs");
    spoil(&blob);
    told("its component in DIR/lib/blobs");
    fs::remove_file(&list).unwrap();
    told("DIR/etc/agents.toml");
    fs::remove_file(&agent).unwrap();
    told("DIR/resource.d/ocf-wasm/dummy");
    assert!(agent.is_symlink() && list.is_file());
    // For programs it is what it was, but for what came back.
    fs::remove_file(&blob).unwrap();
    fs::remove_file(&agent).unwrap();
    let known = || good(host.run(&["-o", "json", "install", text(&dummy), "--allow-unsigned"])).json();
    assert_eq!(known()["restored"], json!(["component", "link"]));
    let known = known();
    assert_eq!((&known["generation"], &known["repinned"], &known["restored"]), (&json!(1), &json!([]), &json!([])));
    let _ = host.action(DUMMY, "stop").is(0);
    // In the other profile it is another generation.
    let other = good(host.run(&["install", text(&dummy), "--allow-unsigned", "--profile", "1.0"])).stdout;
    assert!(other.starts_with("installed ocf-wasm/dummy 0.1.0 as generation 2 ("), "{other}");
    bad(&host.run(&["install", "absent.wasm", "--allow-unsigned"]), &["absent.wasm"]);
}

#[test]
fn who_stayed_behind_is_taken_along_by_the_same_bytes() {
    let host = TestHost::with(&["dummy"]);
    let _ = host.action(DUMMY, "start").is(0);
    let second = ocf_wasm_tests::host::variant_of(&plugin("dummy"), 2, host.path());
    let _ = host.add(&second, &["--next-start"]);
    let again = host.add(&second, &[]).stdout;
    assert!(again.contains("is installed already") && again.contains("  try: monitored by both versions"), "{again}");
    let _ = host.action(DUMMY, "stop").is(0);
}

#[test]
fn whose_binaries_they_are_is_told_once_a_root() {
    let host = TestHost::new();
    let (dummy, libexec) = (plugin("dummy"), dist().join("usr/libexec/ocf-wasm").canonicalize().unwrap());
    let note = format!("note: in this root /usr/libexec/ocf-wasm is {}, with its examples\n", libexec.display());
    // What a test does not look at is taken out of what it sees.
    let run = |words: &[&str]| {
        let ran = host.tool(words).output().unwrap();
        String::from_utf8(ran.stderr).unwrap()
    };
    host.policy(DUMMY, &policy_of("dummy"));
    assert!(!run(&["install", text(&dummy), "--allow-unsigned"]).contains("libexec"));
    assert!(!run(&["-o", "json", "check"]).contains("libexec"));
    assert!(run(&["check"]).contains(&note));
    assert!(!run(&["check"]).contains("libexec"));
    assert!(!run(&["run", DUMMY, "monitor"]).contains("libexec"));
    // Another tree, another word.
    let place = host.path().join("libexec");
    assert_eq!(fs::read_link(&place).unwrap(), libexec);
    fs::remove_file(&place).unwrap();
    std::os::unix::fs::symlink("/elsewhere", &place).unwrap();
    assert!(run(&["run", DUMMY, "monitor"]).contains(&note));
    assert!(!run(&["run", DUMMY, "monitor"]).contains("libexec"));
    assert_eq!(host.run(&["remove", DUMMY]).code, 0);
}

#[test]
fn help_is_whole_on_a_narrow_terminal() {
    let host = TestHost::new();
    for verb in super::verbs(&host) {
        let help = host.tool(&[verb.as_str(), "--help"]).env("COLUMNS", "80").output().unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        let epilogue = help.split_once("\nExample").unwrap().1;
        let (examples, remarks) = epilogue.split_once("\n\n").unwrap();
        for example in examples.lines().skip(1) {
            assert!(
                example.starts_with("  ocf-wasm ") || example.starts_with("  crm_resource "),
                "an example is broken: {help}"
            );
        }
        // A line that ends within a sentence is as long as there is room.
        let mut lines = remarks.lines().filter(|line| !line.is_empty()).peekable();
        while let Some(line) = lines.next() {
            let whole = lines.peek().is_none_or(|next| line.len() + 1 + next.split(' ').next().unwrap().len() > 80);
            assert!(whole || line.ends_with('.'), "{verb}: broken at {line:?}: {help}");
        }
    }
    let help = good(host.run(&["run", "--help"])).stdout;
    for words in ["-p port=5600", "~/.local/state/ocf-wasm", "$XDG_STATE_HOME/ocf-wasm"] {
        assert!(help.contains(words), "{words}: {help}");
    }
    let help = good(host.run(&["--help"])).stdout;
    let at = |words: &str| help.rfind(words).unwrap_or_else(|| panic!("{words}: {help}"));
    let steps =
        ["ocf-wasm inspect ", "ocf-wasm suggest ", "ocf-wasm check", "ocf-wasm install ", "pcs resource create "];
    assert!(steps.is_sorted_by_key(|step| at(step)), "{help}");
}

#[test]
fn a_component_that_is_not_there_is_missing_before_it_is_unsigned() {
    let host = TestHost::new();
    bad(&host.run(&["install", "/nowhere/web.wasm"]), &["/nowhere/web.wasm: No such file"]);
    bad(&host.run(&["install", text(&plugin("dummy"))]), &["carries no signature", "--allow-unsigned"]);
}

/// The last one would count, and nobody would see it.
#[test]
fn a_parameter_that_is_given_twice_is_refused() {
    let host = TestHost::new();
    let (dummy, recording) = (plugin("dummy"), host.path().join("recording.json"));
    let dummy = text(&dummy);
    for verb in [&["run", dummy, "start"][..], &["run", dummy, "start", "--replay", text(&recording)], &["test", dummy]]
    {
        let ran = host.run(&[verb, &["-p", "fake=a", "--param", "op_sleep=0", "-p", "fake=b"]].concat());
        let says = "-p fake=a and -p fake=b: a parameter has one value; leave one of them out";
        assert!(ran.code == 2 && ran.stderr.contains(says), "{verb:?}: {ran:#?}");
        let ran = host.run(&[verb, &["-p", "password=x1", "-p", "password=x2"]].concat());
        assert!(ran.code == 2 && !ran.stderr.contains("x1") && !ran.stderr.contains("x2"), "{verb:?}: {ran:#?}");
        assert!(ran.stderr.contains("-p password=... and -p password=...: "), "{verb:?}: {ran:#?}");
    }
    assert!(!host.path().join("lib/agents").join(DUMMY).exists());
    // Two parameters are two.
    host.policy(DUMMY, &policy_of("dummy"));
    let _ = good(host.run(&["run", dummy, "start", "-p", "fake=a", "-p", "op_sleep=0"]));
    let _ = good(host.run(&["run", dummy, "stop"]));
}
