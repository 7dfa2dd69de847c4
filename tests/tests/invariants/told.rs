//! What leaves the host besides the exit status: each action's line in the log, what is denied, standard output, and no
//! secret in any of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use ocf_wasm_tests::handmade::{Handmade, plain};
use ocf_wasm_tests::host::{HOSTILE_POLICY, TestHost, hostile, is_root, kill, until};
use ocf_wasm_tests::processes;

use super::AGENT;

/// What the log has of one action: its audit, and all other lines.
struct Logged {
    audit: String,
    others: Vec<String>,
}

/// Performs an action that ends with `code`, and returns what it logged.
#[track_caller]
fn logged(host: &TestHost, agent: &str, action: &str, more: &[(&str, &str)], code: i32) -> Logged {
    let log = host.path().join("log");
    let mut call = host.call(agent).argument(action).instance("x").variable("HA_LOGFILE", &log);
    for (name, value) in more {
        call = call.variable(name, value);
    }
    let _ = call.is(code);
    let text = fs::read_to_string(&log).unwrap();
    fs::remove_file(&log).unwrap();
    let (mut audits, others): (Vec<_>, Vec<_>) =
        text.lines().map(str::to_owned).partition(|line| line.contains(": AUDIT: agent="));
    assert!(audits.len() == 1 && text.trim_end().ends_with(&audits[0]), "{action}: {text}");
    Logged { audit: audits.remove(0), others }
}

/// The value of a word of the line.
fn word<'a>(audit: &'a str, name: &str) -> &'a str {
    let found = audit.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    found.unwrap_or_else(|| panic!("no {name}: {audit}"))
}

#[test]
fn i25_each_action_is_audited_once_also_when_it_fails() {
    let host = TestHost::with(&["dummy"]);
    let interval = [("OCF_RESKEY_CRM_meta_interval", "10000")];
    let wrong = [("OCF_RESKEY_op_sleep", "soon")];
    for (action, more, code) in [
        ("monitor", &[][..], 7),
        ("start", &wrong, 6),
        ("start", &[], 0),
        ("monitor", &interval, 0),
        ("promote", &[], 3),
        ("validate-all", &[], 0),
        ("validate-all", &wrong, 6),
        ("stop", &[], 0),
    ] {
        let Logged { audit, .. } = logged(&host, "ocf-wasm/dummy", action, more, code);
        let is = |name, value: &str| assert_eq!(word(&audit, name), value, "{audit}");
        is("agent", "ocf-wasm/dummy");
        is("instance", "x");
        is("action", action);
        is("exit", &code.to_string());
        is("interval", if more == interval { "10000ms" } else { "0ms" });
        assert!(word(&audit, "took").ends_with("ms"), "{audit}");
        // What never came to a plan used nothing.
        if code != 6 && code != 3 {
            is("version", "0.1.0");
            is("generation", "1");
            is("signer", "none");
            is("denied", "0");
            assert!(word(&audit, "calls").parse::<u32>().unwrap() < 10, "{audit}");
            assert_eq!((word(&audit, "component").len(), word(&audit, "policy").len()), (12, 12), "{audit}");
        }
    }
    // What is no name cannot tell the log anything.
    let forged = [("OCF_RESOURCE_INSTANCE", "x/ action=stop exit=0")];
    let Logged { audit, .. } = logged(&host, "ocf-wasm/dummy", "start", &forged, 6);
    assert!(audit.contains("agent=ocf-wasm/dummy instance=- action=start interval=0ms exit=6 "), "{audit}");
}

#[test]
fn i01_a_denial_is_told_once_with_its_grant_and_counted_always() {
    let host = TestHost::with(&["sample-tcp-server"]);
    host.policy("ocf-wasm/sample-tcp-server", "format = 1\n");
    let Logged { audit, others } = logged(&host, "ocf-wasm/sample-tcp-server", "start", &[], 4);
    let denials: Vec<&String> = others.iter().filter(|line| line.contains("denied: ")).collect();
    assert_eq!(denials.len(), 1, "{others:#?}");
    let grant = "AUDIT: denied: program greeter: not granted; granted by [program.greeter] in the policy";
    assert!(denials[0].ends_with(grant), "{denials:?}");
    // Asked before the start, and by it.
    assert!(word(&audit, "denied").parse::<u32>().unwrap() >= 2, "{audit}");
    assert_eq!(word(&audit, "programs"), "0");
}

/// What a policy says of a program that an action waits for, with another program.
fn relaying(argv: &str) -> String {
    let policy = HOSTILE_POLICY.replace("\"/usr/bin/sleep\"\nargv        = [\"1001\"]", argv);
    assert!(policy.contains(argv));
    policy
}

/// A program and a plugin that speak up.
#[test]
fn i15_standard_output_is_empty_but_for_metadata() {
    let host = TestHost::new();
    host.policy(AGENT, &relaying("\"/usr/bin/echo\"\nargv = [\"hello\"]"));
    host.add(&hostile(), &[]);
    for misdeed in ["relay", "forge"] {
        for (action, place) in
            [("start", "start"), ("monitor", "every-monitor"), ("notify", "notify"), ("stop", "stop")]
        {
            let ran = host.action(AGENT, action).instance(misdeed).with("do", misdeed).with("in", place).run();
            assert_eq!(ran.stdout, "", "{ran:#?}");
        }
    }
    for action in ["promote", "demote", "reload-agent", "validate-all", "migrate_to", "migrate_from"] {
        assert_eq!(host.action(AGENT, action).run().stdout, "", "{action}");
    }
    // One document, whatever an author wrote into it.
    let path = host.path().join("markup.wasm");
    let notes = plain("test/markup").replace(
        r#""short":"x","long":"x""#,
        r#""short":"</shortdesc><x>&amp;]]>","long":"<!DOCTYPE x [<!ENTITY e SYSTEM '/etc/passwd'>]>&e;""#,
    );
    assert!(notes.contains("ENTITY"), "{notes}");
    let markup = Handmade { notes: Some(notes), ..Handmade::default() }.text("test/markup");
    fs::write(&path, wat::parse_str(markup).unwrap()).unwrap();
    host.add(&path, &[]);
    for agent in [AGENT, "test/markup"] {
        let text = host.call(agent).argument("meta-data").is(0).stdout;
        let document = roxmltree::Document::parse_with_options(
            &text,
            roxmltree::ParsingOptions { allow_dtd: true, ..roxmltree::ParsingOptions::default() },
        );
        let document = document.unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(document.root_element().tag_name().name(), "resource-agent");
        assert!(!document.descendants().any(|node| node.tag_name().name() == "x"), "{text}");
    }
    assert_eq!(host.call("test/absent").argument("meta-data").run().stdout, "");
}

/// A secret that its own plugin tells wherever it can, that changes while the instance runs, and that a program is given.
#[test]
fn i18_no_secret_is_told() {
    const SECRET: &str = "open-sesame";
    const CHANGED: &str = "close-sesame";
    // What a trace, a reason and a log show escaped.
    const AWKWARD: &str = r#"seven"\'ü"#;
    let host = TestHost::new();
    let environment = "environment = { PASSWORD = { param = \"password\", text = { max = 40 } } }\n";
    let sleeping = "\"/usr/bin/sleep\"\nargv = [\"1003\"]\n";
    host.policy(
        AGENT,
        &relaying(sleeping)
            .replace("[program.stuck]\n", &format!("[program.stuck]\n{environment}"))
            .replace("environment = { STUCK_OF = { fact = \"instance\" } }\n", ""),
    );
    host.add(&hostile(), &[]);
    let log = host.path().join("log");
    let trace = host.path().join("trace");
    let call = |action: &str, instance: &str, password: &str, misdeed: &str, place: &str| {
        let call = host.call(AGENT).argument(action).instance(instance).variable("HA_LOGFILE", &log);
        let call = call.variable("OCF_TRACE_RA", "1").variable("OCF_TRACE_FILE", &trace).variable("HA_debug", "1");
        let call = call.variable("OCF_RESKEY_CRM_meta_timeout", "2000").variable("OCF_RESKEY_password", password);
        call.variable("OCF_RESKEY_do", misdeed).variable("OCF_RESKEY_in", place).variable("OCF_RESKEY_passwd", SECRET)
    };
    let mut said = String::new();
    for (action, instance, password, misdeed, place) in [
        ("validate-all", "x", SECRET, "nothing", "none"),
        ("start", "x", SECRET, "nothing", "none"),
        ("monitor", "x", SECRET, "nothing", "none"),
        ("monitor", "x", CHANGED, "nothing", "none"),
        ("start", "x", CHANGED, "nothing", "none"),
        ("stop", "x", CHANGED, "nothing", "none"),
        ("start", "tells", SECRET, "tell", "start"),
        ("stop", "tells", SECRET, "tell", "stop"),
        ("start", "awkward", AWKWARD, "tell", "start"),
        ("stop", "awkward", AWKWARD, "tell", "stop"),
    ] {
        let ran = call(action, instance, password, misdeed, place).run();
        said += &format!("{action}: {}{}", ran.stdout, ran.stderr);
    }
    said += &host.run(&["why", "x"]).stdout;
    said += &host.run(&["why", "tells"]).stdout;
    said += &host.run(&["why", "awkward"]).stdout;
    said += &fs::read_to_string(&log).unwrap();
    said += &fs::read_to_string(&trace).unwrap();
    for secret in [SECRET, CHANGED, "seven"] {
        let found: Vec<&str> = said.lines().filter(|line| line.contains(secret)).collect();
        assert!(found.is_empty(), "{found:#?}");
    }
    assert!(said.contains("***********"), "it was told, and masked: {said}");
    // What is given to a program is among its variables, where its own user may look, and not among its arguments.
    std::thread::scope(|scope| {
        let running = scope.spawn(|| call("start", "given", SECRET, "stuck", "start").run());
        let mark = format!("PASSWORD={SECRET}");
        let mut found = Vec::new();
        until("it runs", || {
            found = processes::with_variable(&mark);
            !found.is_empty()
        });
        let lines: Vec<String> = found.iter().map(|pid| processes::command_line(*pid)).collect();
        let _ = running.join().unwrap();
        assert!(lines.iter().all(|line| !line.contains(SECRET)), "{lines:?}");
    });
    // What others may read.
    let mut open = vec![host.path().to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let Ok(about) = fs::symlink_metadata(&path) else { continue };
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            // What the test itself calls.
            if about.is_dir() {
                open.push(path);
            } else if about.is_file() && about.permissions().mode() & 0o004 != 0 && !name.starts_with("call-") {
                let bytes = fs::read(&path).unwrap();
                assert!(!bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()), "{}", path.display());
            }
        }
    }
    let _ = host.call(AGENT).argument("stop").instance("given").is(0);
}

/// What the system's log is told in the place of the machine's, in the private root's own mounts.
const LOGGED_BY: &str = r#"d=$OCF_TEST_DEV
mkdir "$d"
mount -t tmpfs dev "$d"
for name in null zero full random urandom; do : > "$d/$name"; mount --bind "/dev/$name" "$d/$name"; done
mkdir "$d/shm"
: > "$d/log"
mount --bind "$d.log" "$d/log"
mount --rbind "$d" /dev"#;

/// A daemon that prints what it was given: the keeper passes its output on.
#[test]
fn i18_no_secret_that_a_daemon_prints_is_told() {
    const SECRET: &str = "open-sesame";
    if !is_root() {
        return;
    }
    let host = TestHost::new();
    host.policy(
        AGENT,
        "format = 1\n[program.daemon]\nprogram = \"/usr/bin/dash\"\n\
         argv = [\"-c\", \"echo it is $PASSWORD; exec sleep 8482.5\"]\nuser = \"nobody\"\nlifetime = \"instance\"\n\
         environment = { PASSWORD = { param = \"password\", text = { max = 40 } } }\n",
    );
    host.add(&hostile(), &[]);
    let dev = host.path().join("dev");
    let heard = UnixDatagram::bind(host.path().join("dev.log")).unwrap();
    heard.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let before = LOGGED_BY.replace("$OCF_TEST_DEV", &dev.display().to_string());
    let start = host.call(AGENT).argument("start").instance("prints").before(&before);
    let _ = start.variable("OCF_RESKEY_daemon", "true").variable("OCF_RESKEY_password", SECRET).is(0);
    let line = loop {
        let mut bytes = [0; 4096];
        let length = heard.recv(&mut bytes).expect("the daemon's line in the system's log");
        let line = String::from_utf8_lossy(&bytes[..length]).into_owned();
        assert!(!line.contains(SECRET), "{line}");
        if line.contains("it is ") {
            break line;
        }
    };
    assert!(line.contains("it is ***********"), "{line}");
    // What it said last is kept when it ends.
    kill(host.processes("prints")[0].0, "-KILL");
    until("its last output is kept", || host.run(&["why", "prints"]).stdout.contains("it is ***********"));
    let why = host.run(&["why", "prints"]).stdout;
    assert!(!why.contains(SECRET), "{why}");
    let _ = host.call(AGENT).argument("stop").instance("prints").is(0);
}
