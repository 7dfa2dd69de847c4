//! Attempts of the plugin that misbehaves that take several actions, or another policy, to tell.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use ocf_wasm_tests::handmade::{Handmade, plain};
use ocf_wasm_tests::host::{Action, HOSTILE_POLICY, Ran, TestHost, is_root, kill};

use super::node::without_user;
use super::table::AGENT;

/// The caller's patience.
const TIMEOUT_MS: u32 = 1_500;

fn host() -> TestHost {
    let host = TestHost::new();
    host.install_hostile();
    host
}

/// One action with one misdeed in one place.
fn action<'a>(host: &'a TestHost, word: &'a str, misdeed: &str, place: &str, instance: &'a str) -> Action<'a> {
    let action = host.action(AGENT, word).instance(instance).with("do", misdeed).with("in", place);
    action.timeout_ms(TIMEOUT_MS)
}

/// Runs an action and checks what the table says of it.
#[track_caller]
fn expect(action: &Action<'_>, code: i32, reason: &str) -> Ran {
    let ran = action.is(code).within(Duration::from_millis(TIMEOUT_MS.into()));
    assert_eq!(ran.stdout, "", "{ran:#?}");
    assert!(ran.stderr.lines().all(|line| !line.contains('\u{1b}')), "{ran:#?}");
    if matches!(code, 0 | 7 | 8) { ran } else { ran.says(reason) }
}

#[test]
fn in_stop_of_what_monitor_still_sees() {
    let host = host();
    let _ = expect(&action(&host, "start", "lie", "stop", "x"), 0, "");
    let _ = expect(&action(&host, "stop", "lie", "stop", "x"), 1, "not stopped in time");
    let _ = expect(&action(&host, "monitor", "lie", "stop", "x").recurring(), 0, "");
}

/// What a start finds running was started by somebody else, and what that began, nobody knows: with a plugin that cannot
/// stop, its end was not seen.
#[test]
fn in_stop_of_what_a_start_found_running() {
    const NAME: &str = "test/handmade";
    let host = TestHost::new();
    let stop = BTreeMap::from([("stop", "unreachable".to_owned())]);
    let file = host.path().join("running.wasm");
    let text = Handmade { health: Some(0), others: stop, ..Handmade::default() }.text(NAME);
    fs::write(&file, wat::parse_str(text).unwrap()).unwrap();
    host.policy(NAME, "format = 1\n");
    host.add(&file, &[]);
    for start in ["start", "migrate_from"] {
        let call = |word: &'static str| host.action(NAME, word).instance(start);
        let _ = call(start).is(0);
        let _ = call("stop").is(1).says("unreachable");
        // As long as nothing else is known.
        let _ = call("stop").is(1).says("unreachable");
    }
}

#[test]
fn parameters_that_nobody_could_look_at_are_not_right() {
    if !is_root() {
        return;
    }
    let host = host();
    let call = |level: &str| host.call(AGENT).argument("validate-all").instance("x").variable("OCF_CHECK_LEVEL", level);
    let _ = call("10").is(0);
    let _ = without_user(call("0")).is(0);
    let _ = without_user(call("10")).is(1).says("there is no user ocf-wasm");
}

#[test]
fn in_stop_with_a_last_resort() {
    let host = host();
    let (directory, flag) = (host.path().join("flags"), host.path().join("flags/flag"));
    fs::create_dir(&directory).unwrap();
    let program = |label: &str, argv: &str| {
        let view = format!("view = {{ write = [\"{}\"] }}", directory.display());
        format!("[program.{label}]\n{argv}\nlifetime = \"action\"\nuser = \"root\"\n{view}\n")
    };
    let gone = |status: u8| {
        [
            HOSTILE_POLICY,
            &program("remove", &format!("program = \"/usr/bin/rm\"\nargv = [\"-f\", \"{}\"]", flag.display())),
            &program("look", &format!("program = \"/usr/bin/test\"\nargv = [\"-e\", \"{}\"]", flag.display())),
            &format!("[stop]\nlast-resort = [\"remove\"]\ngone-when = {{ run = \"look\", exit = [{status}] }}\n"),
        ]
        .concat()
    };
    host.policy(AGENT, &gone(1));
    for misdeed in ["loop", "trap"] {
        fs::write(&flag, "").unwrap();
        let _ = expect(&action(&host, "stop", misdeed, "stop", "unrecorded"), 0, "");
        assert!(!flag.exists());
    }
    host.policy(AGENT, &gone(0));
    let _ = expect(&action(&host, "stop", "trap", "stop", "unrecorded"), 1, "not gone");
}

#[test]
fn what_it_logs_forges_nothing() {
    let host = host();
    let log = host.path().join("log");
    let call = |word: &str| {
        let call = host.call(AGENT).argument(word).instance("x").variable("HA_LOGFILE", &log);
        call.variable("OCF_RESKEY_do", "forge").variable("OCF_RESKEY_in", "start")
    };
    let started = call("start").is(0);
    assert_eq!(started.stderr, "", "a log was named, so nothing else is written");
    let _ = call("stop").is(0);
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.contains("hostile(x)["), "{text:?}");
    let forged: Vec<&str> = text.lines().filter(|line| line.contains("forged in the log")).collect();
    assert_eq!(forged.len(), 1, "{text:?}");
    assert!(forged[0].contains("one | ") && forged[0].contains("four"), "{text:?}");
    assert!(!text.contains(['\u{1b}', '\u{202e}', '\0', '\r']), "{text:?}");
}

#[test]
fn validate_is_told_how_deep_to_look_and_start_does_not_call_it() {
    let host = host();
    let say = |level: &'static str| {
        let action = action(&host, "validate-all", "level", "validate", "validated");
        if level.is_empty() { action } else { action.more(&["--level", level]) }
    };
    // Below 10 the node is not to be looked at; what lies between is the next lower level.
    for (level, told) in [("", 0), ("0", 0), ("9", 0), ("10", 10), ("20", 10)] {
        let _ = expect(&say(level), 1, &format!("level {told}"));
        let ran = say(level).run();
        assert!(ran.reason().ends_with(&format!("level {told}")), "{level}: {ran:#?}");
    }
    // A start checks parameters against the metadata itself, and does not ask the plugin twice.
    let _ = expect(&action(&host, "start", "trap", "validate", "started"), 0, "");
    let _ = expect(&action(&host, "stop", "trap", "validate", "started"), 0, "");
}

/// A pipe that is full and that nobody reads: the answer comes all the same, and says no more than was seen.
#[test]
fn who_does_not_read_keeps_nobody_waiting() {
    let host = host();
    let pipe = host.path().join("pipe");
    let full = format!(
        "mkfifo {0}; sleep 20 <>{0} >/dev/null 2>&1 & echo $! >{0}.pid; sleep .1
         dd if=/dev/zero of={0} bs=64k count=1 oflag=nonblock 2>/dev/null; exec 2>{0}",
        pipe.display()
    );
    let _ = expect(&action(&host, "start", "nothing", "none", "x"), 0, "");
    for (word, code) in [("monitor", 0), ("promote", 1), ("stop", 1)] {
        let call = host.call(AGENT).argument(word).instance("x").before(&full).under(&["env", "--block-signal"]);
        let call = call.variable("OCF_RESKEY_CRM_meta_timeout", TIMEOUT_MS.to_string());
        // What is set now and was not when it was started is told, so there is something to write.
        let call = if word == "monitor" { call } else { call.variable("OCF_RESKEY_url", "http://127.0.0.1/x") };
        let ran = call.run();
        let holds_it = fs::read_to_string(pipe.with_extension("pid")).unwrap();
        kill(holds_it.trim().parse().unwrap(), "-KILL");
        assert_eq!(ran.code, code, "{word}: {ran:#?}");
        // The pipe takes a moment to fill, and would be full for much longer.
        let _ = ran.within(Duration::from_millis(2 * u64::from(TIMEOUT_MS)));
        fs::remove_file(&pipe).unwrap();
    }
    let _ = expect(&action(&host, "stop", "nothing", "none", "x"), 0, "");
}

/// What a running instance is pinned to is never used when it is not what it was, and the next start mends it.
#[test]
fn a_damaged_pinned_policy_is_mended_by_the_next_start() {
    let host = host();
    let blobs = host.path().join("lib/blobs/sha256");
    let before: Vec<_> = fs::read_dir(&blobs).unwrap().map(|entry| entry.unwrap().path()).collect();
    let _ = expect(&action(&host, "start", "nothing", "none", "x"), 0, "");
    let mut entries = fs::read_dir(&blobs).unwrap().map(|entry| entry.unwrap().path());
    let pinned = entries.find(|path| !before.contains(path)).unwrap();
    let good = fs::read(&pinned).unwrap();
    fs::set_permissions(&pinned, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&pinned, HOSTILE_POLICY.replace("nobody", "root")).unwrap();
    let monitor = action(&host, "monitor", "nothing", "none", "x").recurring();
    let _ = expect(&monitor, 1, "the policy that it was started with");
    let _ = expect(&action(&host, "start", "nothing", "none", "x"), 0, "");
    assert_eq!(fs::read(&pinned).unwrap(), good);
    let _ = expect(&monitor, 0, "");
    let _ = expect(&action(&host, "stop", "nothing", "none", "x"), 0, "");
}

/// What an author writes is text in the metadata, and nothing else: no element, no entity, no character that XML has not.
#[test]
fn no_word_of_an_author_is_xml() {
    const NAME: &str = "test/handmade";
    // As they stand in the component, and what a reader is shown; nothing: they are refused.
    let all = [
        (
            "</shortdesc><actions><action name='evil'/></actions>",
            Some("</shortdesc><actions><action name='evil'/></actions>"),
        ),
        ("]]><action name='evil'/>", Some("]]><action name='evil'/>")),
        (
            "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>&e;",
            Some("<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>&e;"),
        ),
        ("&lt;action name='evil'/&gt;", Some("&lt;action name='evil'/&gt;")),
        ("<?xml version='1.0'?><?php evil ?>", Some("<?xml version='1.0'?><?php evil ?>")),
        (r"a\u0000b", None),
        (r"a\u001b[2Jb", None),
        ("a\u{1b}[2Jb", None),
        (r"a\uffffb", None),
        (r"a\ud800b", None),
    ];
    for (words, shown) in all {
        let host = TestHost::new();
        let plain = plain(NAME);
        let notes = plain.replace(r#""short":"x""#, &format!(r#""short":"{words}""#));
        assert_ne!(notes, plain);
        let text = Handmade { notes: Some(notes), ..Handmade::default() }.text(NAME);
        let file = host.path().join("words.wasm");
        fs::write(&file, wat::parse_str(text).unwrap()).unwrap();
        let ran = host.run(&["install", "--allow-unsigned", file.to_str().unwrap()]);
        let Some(shown) = shown else {
            assert!(ran.code == 1 && !ran.stderr.contains(char::from(0x1b)), "{words}: {ran:#?}");
            continue;
        };
        assert_eq!(ran.code, 0, "{words}: {ran:#?}");
        let printed = host.call(NAME).argument("meta-data").is(0).stdout;
        let options = roxmltree::ParsingOptions { allow_dtd: true, ..roxmltree::ParsingOptions::default() };
        let document =
            roxmltree::Document::parse_with_options(&printed, options).unwrap_or_else(|e| panic!("{e}: {printed}"));
        let named = |name: &str| document.descendants().filter(|node| node.has_tag_name(name)).collect::<Vec<_>>();
        assert!(named("action").iter().all(|action| action.attribute("name") != Some("evil")), "{printed}");
        let own = document.root_element().children().filter(|node| node.has_tag_name("shortdesc"));
        assert_eq!(own.map(|node| node.text()).collect::<Vec<_>>(), [Some(shown)], "{printed}");
    }
}
