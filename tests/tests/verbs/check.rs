//! `check`: what it finds wrong with policies and with this node.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ocf_wasm_tests::host::{TestHost, free_port, is_root, plugin, policy_of, variant_of};
use serde_json::json;

use super::{DUMMY, SERVER, good, text};

#[test]
fn check_says_what_is_right_and_what_this_node_offers() {
    let host = TestHost::with(&["dummy", "sample-tcp-server"]);
    let ran = good(host.run(&["check"]));
    let [dummy, server] = [DUMMY, SERVER].map(|agent| host.policy_path(agent).display().to_string());
    for line in [&format!("{dummy}: ok"), &format!("{server}: ok"), "This node:"] {
        assert!(ran.stdout.lines().any(|printed| printed == line), "{line}: {ran:#?}");
    }
    let known = good(host.run(&["check", "-o", "json"])).json();
    assert_eq!(
        known["policies"][0],
        json!({ "path": dummy, "refused": null, "mistakes": [], "misfits": [], "warnings": [] })
    );
    assert_eq!(known["policies"].as_array().unwrap().len(), 2);
    for layer in ["user", "plugins", "cgroup", "memory", "tasks"] {
        assert!(known["node"][layer].is_string(), "{layer}: {known}");
    }
    assert!(known["node"]["plugins"].as_str().unwrap().contains("system calls, no rights"), "{known}");
    for limit in ["memory", "tasks"] {
        let said = known["node"][limit].as_str().unwrap();
        let is_known =
            ["limited by control group: ", "weaker: not limited, "].iter().any(|start| said.starts_with(start));
        assert!(is_known && ran.stdout.contains(&format!("  {limit:16} {said}\n")), "{said}: {ran:#?}");
    }
}

#[test]
fn check_points_at_a_mistake() {
    let host = TestHost::new();
    let file = host.path().join("policy.toml");
    let wrong = policy_of("sample-tcp-server").replace("lifetime    =", "liftime     =");
    fs::write(&file, &wrong).unwrap();
    let (number, line) = wrong.lines().enumerate().find(|(_, line)| line.starts_with("liftime")).unwrap();
    let number = number + 1;
    let margin = " ".repeat(number.to_string().len());
    let expected = format!(
        "error: unknown key `liftime`\n{margin}--> {}:{number}:1\n{margin} |\n{number} | {line}\n{margin} | ^^^^^^^\n\
         hint: did you mean `lifetime`?\n\
         expected: program, unit, interpreter, argv, lifetime, type, user, environment, stop, output, input, timeout, signals, manager, \
         groups, capabilities, view, network, limits, rate, require, namespaces\n",
        file.display()
    );
    let ran = host.run(&["check", text(&file)]);
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(ran.stdout.starts_with(&expected), "{expected}\n{}", ran.stdout);
    let known = host.run(&["check", "-o", "json", text(&file)]);
    assert_eq!(known.code, 1);
    assert_eq!(known.json()["policies"][0]["refused"], expected.trim_end());
    // One wrong policy spoils no other.
    let right = host.path().join("right.toml");
    fs::write(&right, "format = 1\n").unwrap();
    let both = host.run(&["check", text(&right), text(&file)]);
    assert!(
        both.code == 1 && both.stdout.contains("right.toml: ok as a file") && both.stdout.contains(&expected),
        "{both:#?}"
    );
    let absent = host.run(&["check", text(&host.path().join("absent.toml"))]);
    assert!(absent.code == 1 && absent.stdout.contains("absent.toml: No such file"), "{absent:#?}");
}

#[test]
fn all_mistakes_of_a_policy_are_told_at_once_where_a_person_reads() {
    let host = TestHost::new();
    let policy = policy_of("sample-tcp-server").replace("\"nobody\"", "\"\"").replace("lifetime    =", "liftime     =");
    let wrong = format!("{policy}[limits]\nmemory = \"64\"\n");
    let mut places: Vec<(usize, &str)> = Vec::new();
    for (number, line) in wrong.lines().enumerate() {
        let says = [("liftime", "unknown key `liftime`"), ("user ", "fill in the user"), ("memory", "a size such as")];
        places.extend(says.iter().find(|(key, _)| line.starts_with(key)).map(|(_, says)| (number + 1, *says)));
    }
    assert_eq!(places.len(), 3, "{wrong}");
    let file = host.path().join("policy.toml");
    fs::write(&file, &wrong).unwrap();
    let are_told = |text: &str| {
        assert_eq!(text.matches("error: ").count(), places.len(), "{text}");
        let mut rest = text;
        for (line, says) in &places {
            let at = rest.find(&format!("error: {says}")).unwrap_or_else(|| panic!("{says}: {text}"));
            rest = &rest[at..];
            let place = rest.lines().nth(1).unwrap();
            assert!(place.contains(".toml:") && place.contains(&format!(":{line}:")), "{place}");
        }
    };
    let checked = host.run(&["check", text(&file)]);
    assert_eq!(checked.code, 1);
    are_told(&checked.stdout);
    let known = host.run(&["check", "-o", "json", text(&file)]).json()["policies"][0].clone();
    are_told(known["refused"].as_str().unwrap());
    let mistakes = known["mistakes"].as_array().unwrap();
    assert_eq!(mistakes.len(), places.len(), "{known}");
    for (mistake, (line, says)) in mistakes.iter().zip(&places) {
        assert!(mistake["message"].as_str().unwrap().starts_with(says) && mistake["line"] == *line, "{mistake}");
        assert!(mistake["column"].is_number() && mistake["expected"].is_string(), "{mistake}");
    }
    let component = plugin("sample-tcp-server");
    let tested = host.run(&["test", text(&component), "--policy", text(&file)]);
    assert_eq!(tested.code, 1, "{tested:#?}");
    are_told(&tested.stderr);
    host.policy(SERVER, &wrong);
    are_told(&host.add(&component, &[]).stdout);
    are_told(&host.run(&["check"]).stdout);
    // The cluster is told one, in one line.
    let reason = host.action(SERVER, "start").with("port", free_port()).is(4).reason().to_owned();
    assert!(reason.starts_with("policy sample-tcp-server.toml:") && reason.contains("`liftime`"), "{reason}");
}

#[test]
fn check_finds_what_would_refuse_a_start() {
    let host = TestHost::with(&["sample-tcp-server"]);
    let path = host.policy_path(SERVER);
    let good_policy = policy_of("sample-tcp-server");
    let refused = |what: &str| {
        let ran = host.run(&["check"]);
        assert_eq!(ran.code, 1, "{ran:#?}");
        let first = ran.stdout.lines().next().unwrap();
        assert!(first.contains("ocf-wasm/sample-tcp-server.toml") && first.contains(what), "`{what}`: {ran:#?}");
    };
    host.policy(SERVER, &good_policy.replace("examples/greeter", "examples/absent"));
    refused("program greeter: /usr/libexec/ocf-wasm/examples/absent is not there");
    // Another node may have it.
    let copy = host.path().join("copy.toml");
    fs::copy(&path, &copy).unwrap();
    let _ = good(host.run(&["check", text(&copy)]));
    if is_root() {
        host.policy(SERVER, &good_policy.replace("\"nobody\"", "\"nobody-here\""));
        refused("program greeter: there is no user nobody-here on this node");
        host.policy(SERVER, &good_policy);
        fs::set_permissions(&path, PermissionsExt::from_mode(0o622)).unwrap();
        refused("writable");
        fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
        refused("belongs to user 65534");
    }
    fs::remove_file(&path).unwrap();
    refused("not there: start is refused");
    host.policy(SERVER, &good_policy);
    let _ = good(host.run(&["check"]));
}

#[test]
fn check_finds_the_view_that_would_refuse_a_start() {
    let host = TestHost::with(&["sample-tcp-server"]);
    let good_policy = policy_of(SERVER.rsplit_once('/').unwrap().1);
    let user = good_policy.lines().find(|line| line.starts_with("user ")).unwrap();
    let with = |view: &str| host.policy(SERVER, &good_policy.replace(user, &format!("{user}\nview = {view}")));
    let mut rows = vec![
        ("{ read = [\"/nowhere\"] }", 5, "view: /nowhere is not there"),
        ("{ write = [\"/nowhere\"] }", 5, "view: /nowhere is not there"),
        ("{ read = [\"/var/log\"] }", 4, "view: /var/log cannot be granted to a daemon"),
    ];
    if Path::new("/var/run").is_symlink() {
        rows.push(("{ read = [\"/var/run\"] }", 5, "view: /var/run leads through a symbolic link"));
    }
    for (view, exit, says) in rows {
        with(view);
        let started = host.action(SERVER, "start").with("port", free_port()).is(exit);
        assert!(started.stderr.contains(says), "{view}: {started:#?}");
        let ran = host.run(&["check"]);
        let first = ran.stdout.lines().next().unwrap();
        let is_said = first.contains(&format!("not on this node: program greeter: {says}"));
        assert!(ran.code == 1 && is_said, "{view}: {ran:#?}");
        // Another node may have it.
        let _ = good(host.run(&["check", text(&host.policy_path(SERVER))]));
    }
    // What the agent itself may make is not missing.
    let made = "\n[path.made]\ndirectory = \"/srv\"\naccess = \"write\"\n";
    for (section, code) in [("", 1), (made, 0)] {
        with("{ read = [\"/etc\"], write = [\"/srv\", \"/srv/not/made/yet\"] }");
        let text = fs::read_to_string(host.policy_path(SERVER)).unwrap();
        host.policy(SERVER, &(text + section));
        let ran = host.run(&["check"]);
        assert_eq!(ran.code, code, "{ran:#?}");
    }
}

/// Damages an installed agent, and checks that `check` names what is wrong, in words and as JSON, that `list` does, and
/// that the command which it prints puts it right.
#[track_caller]
fn is_found(host: &TestHost, damage: &dyn Fn(&Path), says: &str, command: &str) {
    let _ = good(host.run(&["check"]));
    damage(host.path());
    let told = host.run(&["check"]);
    assert!(told.code == 1 && told.stderr.is_empty(), "{told:#?}");
    let place = told.stdout.lines().position(|line| line.starts_with(DUMMY) && line.contains(says));
    let next = told.stdout.lines().nth(place.unwrap_or_else(|| panic!("`{says}`: {told:#?}")) + 1).unwrap();
    assert!(next.starts_with("  to do: ") && next.contains(command), "`{command}`: {told:#?}");
    let known = host.run(&["-o", "json", "check"]);
    assert_eq!(known.code, 1, "{known:#?}");
    let found = &known.json()["agents"][0];
    assert_eq!(found["agent"], DUMMY);
    assert!(found["damage"][0]["what"].as_str().unwrap().contains(says), "{found}");
    assert!(next.ends_with(found["damage"][0]["next"].as_str().unwrap()), "{found}");
    let listed = good(host.run(&["list"])).stdout;
    assert!(listed.contains("  damaged: ") && listed.contains(says), "{listed}");
    let listed = good(host.run(&["-o", "json", "list"])).json();
    assert_eq!(listed["agents"][0]["damage"].as_array().unwrap().len(), 1, "{listed}");
    // What is printed is what helps. A file of one's own stands for the one that must be found first.
    let command = &next[next.rfind("ocf-wasm --root").unwrap()..];
    let _ = good(super::typed::typed(&command.replace("FILE.wasm", text(&plugin("dummy")))));
    let checked = good(host.run(&["check"])).stdout;
    assert!(!checked.contains("to do"), "{checked}");
    let _ = host.call(DUMMY).instance("x").argument("monitor").is(7);
    assert!(host.call(DUMMY).argument("meta-data").is(0).stdout.contains("<resource-agent"));
}

#[test]
fn check_finds_what_is_not_as_it_was_installed() {
    let host = TestHost::with(&["dummy"]);
    let agents = |root: &Path| root.join("lib/agents").join(DUMMY);
    let link = |root: &Path| root.join("resource.d").join(DUMMY);
    let blob = || {
        let known = host.run(&["-o", "json", "list"]).json();
        let digest = known["agents"][0]["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap().to_owned();
        host.path().join("lib/blobs/sha256").join(digest)
    };
    let [tool, root] = [format!("ocf-wasm --root {}", text(host.path())), text(host.path()).to_owned()];
    let again = &format!("{tool} install {root}/lib/blobs/sha256/");
    let current = |root: &Path| fs::read_link(agents(root).join("current")).unwrap();
    is_found(&host, &|root| fs::remove_file(link(root)).unwrap(), "resource.d/ocf-wasm/dummy is not there", again);
    let metadata = |root: &Path| fs::remove_file(agents(root).join("current/metadata.xml")).unwrap();
    is_found(&host, &metadata, "metadata.xml is not there", again);
    let file = &format!("{tool} install FILE.wasm --allow-unsigned");
    is_found(&host, &|_| fs::remove_file(blob()).unwrap(), "No such file", file);
    let spoil = |_: &Path| {
        let path = blob();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        fs::write(&path, "spoilt").unwrap();
    };
    is_found(&host, &spoil, " is damaged", file);
    // Several generations by now: the newest that is whole is offered.
    let remove_current = |root: &Path| fs::remove_file(agents(root).join("current")).unwrap();
    is_found(&host, &remove_current, "current: names no generation", &format!("{tool} rollback ocf-wasm/dummy --to 2"));
    let _ = host.add(&variant_of(&plugin("dummy"), 3, host.path()), &[]);
    let remove_generation = |root: &Path| fs::remove_dir_all(agents(root).join(current(root))).unwrap();
    is_found(&host, &remove_generation, "generation 3, the current one, is not in", "--to 2");
    let cut = |root: &Path| fs::write(agents(root).join("current/agent"), "OWG").unwrap();
    // The first one has no metadata any more.
    is_found(&host, &cut, "agent: damaged", again);
    // No generation is left: the operator's list still knows the component.
    let remove_all = |root: &Path| fs::remove_dir_all(agents(root)).unwrap();
    is_found(&host, &remove_all, "current: names no generation", again);
    // Without that list, what Pacemaker finds counts.
    let forget = |root: &Path| {
        fs::remove_file(root.join("etc/agents.toml")).unwrap();
        fs::remove_file(agents(root).join("current")).unwrap();
    };
    is_found(&host, &forget, "current: names no generation", "--to 1");
    // Another profile stays another profile.
    let _ = host.add(&plugin("dummy"), &["--profile", "1.0"]);
    is_found(&host, &metadata, "metadata.xml is not there", "--allow-unsigned --profile 1.0");
    assert!(host.call(DUMMY).argument("meta-data").is(0).stdout.contains("<version>1.0</version>"));
    // What is not ours is not touched by the command either.
    fs::remove_file(link(host.path())).unwrap();
    fs::write(link(host.path()), "#!/bin/sh\n").unwrap();
    let told = host.run(&["check"]);
    assert!(told.code == 1 && told.stdout.contains("is there and not ours, and Pacemaker runs that"), "{told:#?}");
    fs::remove_file(link(host.path())).unwrap();
    std::os::unix::fs::symlink("/usr/libexec/nowhere/ocf-wasm-agent", link(host.path())).unwrap();
    let told = host.run(&["check"]);
    assert!(told.code == 1 && told.stdout.contains("leads to /usr/libexec/nowhere/ocf-wasm-agent, which"), "{told:#?}");
    assert!(told.stdout.contains("install the package of ocf-wasm again, then: "), "{told:#?}");
    // Files of other nodes are looked at alone, and what was taken away is not missed.
    let policy = host.policy_path(DUMMY);
    let _ = good(host.run(&["check", text(&policy)]));
    let _ = good(host.run(&["remove", DUMMY]));
    let _ = good(host.run(&["check"]));
}

/// Checks that `check` points at a line of the policy, and whether it calls the policy good all the same.
#[track_caller]
fn points_at(host: &TestHost, policy: &str, at: &str, severity: &str, says: &str, hint: &str, is_ok: bool) {
    host.policy(SERVER, policy);
    let (number, line) = policy.lines().enumerate().find(|(_, line)| line.contains(at)).unwrap();
    let (number, column) = (number + 1, line.find(at).unwrap() + 1);
    let told = host.run(&["check"]);
    assert_eq!(told.code, i32::from(severity == "error"), "{told:#?}");
    assert_eq!(told.stdout.contains("sample-tcp-server.toml: ok\n"), is_ok, "{told:#?}");
    let place = format!("{severity}: {says}\n");
    let (_, rest) = told.stdout.split_once(&place).unwrap_or_else(|| panic!("`{place}`: {}", told.stdout));
    assert!(rest.contains(&format!("/sample-tcp-server.toml:{number}:{column}\n")), "{number}:{column}: {rest}");
    assert!(rest.contains("^\n") && rest.contains(&format!("hint: {hint}\n")), "{rest}");
    let known = host.run(&["-o", "json", "check"]).json();
    let misfits = known["policies"][0]["misfits"].as_array().unwrap().clone();
    let misfit = misfits.iter().find(|misfit| misfit["message"] == says).unwrap_or_else(|| panic!("{known}"));
    assert_eq!((&misfit["severity"], &misfit["line"]), (&json!(severity), &json!(number)));
    assert_eq!((&misfit["column"], &misfit["hint"]), (&json!(column), &json!(hint)));
}

#[test]
fn check_compares_a_file_with_a_component_that_is_named_and_says_if_with_none() {
    let host = TestHost::new();
    let (component, file) = (plugin("sample-tcp-server"), host.path().join("draft.toml"));
    let policy = policy_of("sample-tcp-server");
    fs::write(&file, &policy).unwrap();
    let (component, file) = (text(&component), text(&file));
    let alone = good(host.run(&["check", file])).stdout;
    let says = "draft.toml: ok as a file; not compared with a plugin or this node (--component FILE.wasm)\n";
    assert!(alone.contains(says), "{alone}");
    let with = good(host.run(&["check", file, "--component", component])).stdout;
    assert!(with.contains("draft.toml: ok with that component, not compared with this node\n"), "{with}");
    fs::write(file, policy.replace("param = \"port\"", "param = \"prot\"")).unwrap();
    assert!(good(host.run(&["check", file])).stdout.contains(says));
    let misfit = host.run(&["check", file, "--component", component]);
    assert!(misfit.code == 1 && !misfit.stdout.contains(": ok"), "{misfit:#?}");
    let says = "error: the plugin has no parameter prot, so this can never be filled in\n";
    assert!(misfit.stdout.contains(says) && misfit.stdout.contains("hint: did you mean `port`?"), "{misfit:#?}");
    let known = host.run(&["-o", "json", "check", file, "--component", component]);
    assert_eq!((known.code, &known.json()["policies"][0]["misfits"][0]["severity"]), (1, &json!("error")));
    // There is nothing to compare it with, and it is no component.
    assert_eq!(host.run(&["check", "--component", component]).code, 2);
    assert_eq!(host.run(&["check", file, "--component", file]).code, 1);
}

#[test]
fn check_compares_a_policy_with_the_component() {
    let host = TestHost::with(&["sample-tcp-server"]);
    let policy = policy_of("sample-tcp-server");
    assert_eq!(host.run(&["-o", "json", "check"]).json()["policies"][0]["misfits"], json!([]));
    // What an argument or an address needs is an error: nothing ever fills it in.
    let says = "the plugin has no parameter prot, so this can never be filled in";
    let argument = policy.replacen("\"--port\", { param = \"port\"", "\"--port\", { param = \"prot\"", 1);
    assert_ne!(argument, policy);
    points_at(&host, &argument, "{ param = \"prot\"", "error", says, "did you mean `port`?", false);
    let started = host.action(SERVER, "start").with("port", free_port()).run();
    assert_ne!(started.code, 0, "and so it is: {started:#?}");
    let _ = host.action(SERVER, "stop").is(0);
    // What is left out without a value is a warning.
    let says = "the plugin has no parameter gret, so this is always left out";
    let variable = policy.replace("param = \"greet\"", "param = \"gret\"");
    points_at(&host, &variable, "{ param = \"gret\"", "warning", says, "did you mean `greet`?", true);
    // A label that nobody asks for, and the one that is missing for it.
    let label = policy.replace("[program.greeter]", "[program.greter]");
    points_at(
        &host,
        &label,
        "greter",
        "warning",
        "the plugin never asks for program greter",
        "did you mean `greeter`?",
        false,
    );
    let told = host.run(&["check"]);
    let note = "/sample-tcp-server.toml: program greeter is not bound, so it is not granted: the plugin asks for it as \
                \"the daemon that greets, in the foreground\"\n";
    assert!(told.stdout.contains("\nnote: ") && told.stdout.contains(note), "{told:#?}");
    let known = host.run(&["-o", "json", "check"]).json();
    let last = known["policies"][0]["misfits"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["severity"], &last["line"]), (&json!("note"), &json!(null)));
    // What the host runs when the plugin cannot stop is asked for by nobody.
    let resort = "[program.last]\nprogram = \"/bin/true\"\nlifetime = \"action\"\nuser = \"nobody\"\n[stop]\n\
                  last-resort = [\"last\"]\ngone-when = { run = \"last\", exit = [0] }\n";
    host.policy(SERVER, &format!("{policy}{resort}"));
    assert_eq!(good(host.run(&["-o", "json", "check"])).json()["policies"][0]["misfits"], json!([]));
    // A policy for another component.
    let digest = format!("[plugin]\ndigest = [\"sha256:{}\"]\n", "0".repeat(64));
    host.policy(SERVER, &format!("{policy}{digest}"));
    let told = host.run(&["check"]);
    assert!(told.code == 1 && told.stdout.contains("error: the policy is for other components than"), "{told:#?}");
    // A file that is named may be for another node, and for another version.
    let copy = host.path().join("copy.toml");
    fs::write(&copy, &argument).unwrap();
    let _ = good(host.run(&["check", text(&copy)]));
}

#[test]
fn check_lets_no_warning_through_that_is_to_be_strict() {
    let host = TestHost::new();
    let file = host.path().join("policy.toml");
    fs::write(&file, policy_of("sample-tcp-server").replace("\"nobody\"", "\"root\"")).unwrap();
    assert_eq!(host.run(&["check", text(&file)]).code, 0);
    let strict = host.run(&["check", "--strict", text(&file)]);
    assert!(strict.code == 1 && strict.stdout.contains("warning: greeter runs as root"), "{strict:#?}");
    fs::write(&file, policy_of("sample-tcp-server")).unwrap();
    let _ = good(host.run(&["check", "--strict", text(&file)]));
    // A label that the component does not ask for is a warning as well.
    let more = policy_of("dummy") + "[path.unused]\ndirectory = \"/srv/data\"\naccess = \"read\"\n";
    fs::write(&file, more).unwrap();
    let component = plugin("dummy");
    let arguments = |strict: &'static [&'static str]| {
        let whole = [&["check"], strict, &[text(&file), "--component", text(&component)]].concat();
        host.run(&whole).code
    };
    assert_eq!((arguments(&[]), arguments(&["--strict"])), (0, 1));
}

#[test]
fn install_says_what_this_node_lacks_for_the_policy() {
    let host = TestHost::new();
    let policy = policy_of("sample-tcp-server");
    let (program, _) = policy.split_once("program ").map(|(_, rest)| rest.split_once('\n').unwrap()).unwrap();
    host.policy(SERVER, &policy.replace(program, "= \"/usr/sbin/not-here\""));
    let said = host.add(&plugin("sample-tcp-server"), &[]).stdout;
    assert!(said.contains("  not on this node: program greeter: /usr/sbin/not-here"), "{said}");
    host.policy(SERVER, &policy);
    let said = host.add(&plugin("sample-tcp-server"), &[]).stdout;
    assert!(!said.contains("not on this node"), "{said}");
}

/// What a beginner leaves out: the policy probes a port on which its daemon may not listen.
#[test]
fn check_says_that_a_daemon_has_no_network_for_the_port_that_is_probed() {
    let host = TestHost::new();
    let (file, component) = (host.path().join("policy.toml"), plugin("sample-tcp-server"));
    let note = "program greeter has not the node's network, so endpoint greeting cannot be a port of it";
    let policy = policy_of("sample-tcp-server");
    for (network, is_noted) in [("", true), ("\nnetwork = \"loopback\"", true), ("\nnetwork = \"host\"", false)] {
        let (before, rest) = policy.split_once("\nnetwork ").unwrap();
        let (_, rest) = rest.split_once("\"host\"").unwrap();
        fs::write(&file, [before, network, rest].concat()).unwrap();
        let told = host.run(&["check", text(&file), "--component", text(&component)]);
        assert!(told.code == 0 && told.stdout.contains(note) == is_noted, "{network}: {told:#?}");
    }
}
