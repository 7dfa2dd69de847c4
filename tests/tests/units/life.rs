//! From start to stop, and what is written for the unit.

use super::*;

const DROP_IN: &str = "/run/systemd/system/greeter.service.d/90-ocf-wasm.conf";

#[test]
fn a_unit_lives_from_start_to_stop_with_its_environment() {
    if !room() {
        return;
    }
    let node = Node::new("life");
    let port = 5678;
    node.greeter("greeter.service", port, "", "");
    let _ = node.probe(port).is(7);
    let _ = node.act("stop", port, &[]).is(0);
    let greet = "Grüß \"Gott\" $(id) `id` \\n %n # x";
    let _ = node.act("start", port, &[&format!("greet={greet}")]).is(0);
    assert_eq!(node.state("greeter"), "active");
    assert_eq!(node.greeting(port), format!("{greet} This is box!\n"));
    let (main, invocation) = (node.main("greeter"), node.machine.show("greeter", "InvocationID"));
    let _ = node.act("start", port, &[]).is(0);
    assert_eq!(node.main("greeter"), main, "a second start starts nothing");
    // What it runs with is what it was started with.
    let _ = node.monitor(port).is(0);
    let _ = node.probe(port).is(0);
    let known = node.why(port);
    assert_eq!(known["daemons"][0]["phase"], "running", "{known}");
    assert!(known["daemons"][0]["processes"].as_array().unwrap().len() == 2, "{known}");

    // The drop-in says nothing of the values, and the values are root's to read.
    let drop_in = read(&node.machine.inside(DROP_IN));
    for line in
        ["Before=pacemaker.service pacemaker_remote.service\n", "Restart=no\n", "EnvironmentFile=-/run/ocf-wasm/"]
    {
        assert!(drop_in.contains(line), "{drop_in}");
    }
    assert!(!drop_in.contains("Gott"));
    let by_everybody = node.machine.run(&["setpriv", "--reuid=nobody", "--clear-groups", "cat", DROP_IN]);
    assert_eq!(by_everybody.stdout, drop_in, "{by_everybody:?}");
    let environment = node.directory(port).join("greeter.environment");
    assert_eq!(fs::metadata(&environment).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(node.machine.show("greeter", "Restart"), "no");
    assert!(node.machine.show("greeter", "Before").contains("pacemaker.service"));

    let _ = node.act("stop", port, &[]).is(0);
    assert_eq!((node.state("greeter").as_str(), environment.exists()), ("inactive", false));
    let _ = node.act("stop", port, &[]).is(0);
    let _ = node.monitor(port).is(7);
    let _ = node.probe(port).is(7);

    let _ = node.act("start", port, &[]).is(0);
    assert_ne!(node.machine.show("greeter", "InvocationID"), invocation);
    let _ = node.act("stop", port, &[]).is(0);
}

#[test]
fn unit_files_are_read_anew_where_one_has_changed_and_not_else() {
    if !room() {
        return;
    }
    let node = Node::new("reload");
    let port = 5679;
    node.greeter("greeter.service", port, "", "");
    // Another unit that is up speaks of it, so it is remembered while it is down; else its file would be read each time.
    let other = "[Unit]\nAfter=greeter.service\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n";
    node.machine.write("/etc/systemd/system/other.service", other).unwrap();
    node.machine.must(&["systemctl", "start", "other"]);
    // When systemd read them last.
    let read_at = || node.machine.must(&["systemctl", "show", "--value", "-p", "UnitsLoadTimestampMonotonic"]);
    let read_before = std::cell::RefCell::new(read_at());
    let is_read = || read_before.replace(read_at()) != read_at();
    node.machine.must(&["systemctl", "daemon-reload"]);
    assert!(is_read(), "this shows nothing");
    assert!(!is_read(), "it moves by itself");
    let lives = |greet: &str| {
        let _ = node.act("start", port, &[&format!("greet={greet}")]).is(0);
        assert_eq!(node.greeting(port), format!("{greet} This is box!\n"));
        let _ = node.monitor(port).is(0);
        let _ = node.act("stop", port, &[]).is(0);
    };
    // The first one: the unit is told that the cluster has it.
    lives("Salut");
    assert!(is_read());
    // The same again, and another value, which systemd reads at each start.
    lives("Salut");
    lives("Hej");
    assert!(!is_read(), "a daemon-reload that nothing needed");
    // Somebody changed the unit, and told nobody.
    let place = "/etc/systemd/system/greeter.service";
    let text = read(&node.machine.inside(place));
    node.machine.write(place, text.replace("--node box", "--node crate")).unwrap();
    let _ = node.act("start", port, &["greet=Hej"]).is(0);
    assert_eq!(node.greeting(port), "Hej This is crate!\n");
    assert!(is_read());
    let _ = node.act("stop", port, &[]).is(0);
}

#[test]
fn a_unit_that_is_no_unit_is_refused_before_anything_is_done() {
    if !room() {
        return;
    }
    let node = Node::new("refused");
    let port = 5600;
    node.greeter("real.service", port, "", "");
    node.machine.write("/etc/systemd/system/wrong.service", "[Service]\nType=simple\n").unwrap();
    for (command, what) in [
        (&["ln", "-s", "/etc/systemd/system/real.service", "/etc/systemd/system/alias.service"][..], "alias"),
        (&["ln", "-s", "/dev/null", "/etc/systemd/system/masked.service"], "masked"),
        (&["systemctl", "daemon-reload"], "read"),
    ] {
        assert_eq!(node.machine.run(command).code, 0, "{what}");
    }
    for (unit, code, reason) in [
        ("nosuch.service", 5, "unit nosuch.service is not there"),
        ("masked.service", 5, "unit masked.service is masked"),
        ("wrong.service", 5, "unit wrong.service cannot be loaded"),
        ("alias.service", 4, "unit alias.service is an alias of real.service"),
    ] {
        node.policy(unit);
        let _ = node.act("start", port, &[]).is(code).says(reason);
        let _ = node.act("stop", port, &[]).is(0);
        let checked = node.machine.run(&["ocf-wasm", "check"]);
        assert!(checked.code == 1 && checked.stdout.contains(reason), "{checked:#?}");
        // Nothing was written for it.
        assert!(!node.machine.inside(format!("/run/systemd/system/{unit}.d")).exists(), "{unit}");
    }
    assert_eq!(node.state("real"), "inactive");
    // What another name of it does is not ours.
    node.machine.must(&["systemctl", "start", "real"]);
    for unit in ["nosuch.service", "masked.service", "wrong.service", "alias.service"] {
        node.policy(unit);
        let _ = node.probe(port).is(7);
        let _ = node.act("stop", port, &[]).is(0);
    }
    assert_eq!(node.state("real"), "active");
    // Nor is there a unit where there is no systemd, or not ours.
    node.policy("real.service");
    for (hide, reason) in
        [("true", "systemd is not the service manager"), ("mkdir /run/systemd/system", "a private root has none")]
    {
        let act = |action: &str| {
            let script = format!(
                "mount -t tmpfs none /run/systemd; {hide}; exec env OCF_ROOT=/usr/lib/ocf \
                 OCF_RA_VERSION_MAJOR=1 OCF_RESOURCE_INSTANCE=hidden OCF_RESKEY_port=5699 \
                 OCF_RESKEY_CRM_meta_timeout=20000 {RESOURCES}/{AGENT} {action}",
            );
            finish(&mut node.machine.command(&["unshare", "--mount", "sh", "-c", &script]))
        };
        let _ = act("monitor").is(7);
        let _ = act("start").is(5).says(reason);
        let _ = act("stop").is(0);
    }
    assert_eq!(node.state("real"), "active");
}

#[test]
fn check_says_what_is_dangerous_of_a_unit() {
    if !room() {
        return;
    }
    let node = Node::new("check");
    let warnings = || {
        let checked = node.machine.run(&["ocf-wasm", "-o", "json", "check"]).json();
        checked["policies"][0]["warnings"].as_array().unwrap().clone()
    };
    let risks = || warnings().iter().map(|w| w["risk"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let lacks = || {
        let message = warnings().first().map(|w| w["message"].as_str().unwrap().to_owned()).unwrap_or_default();
        message.split_once("does not say ").map(|(_, rest)| rest.split(':').next().unwrap().to_owned())
    };
    node.greeter("greeter.service", 5605, "", "Restart=on-failure");
    node.machine.must(&["systemctl", "enable", "greeter"]);
    assert_eq!(risks(), ["unit without a sandbox", "unit that restarts", "unit that starts at boot"]);
    node.machine.must(&["systemctl", "disable", "greeter"]);
    let all = "NoNewPrivileges=yes, ProtectSystem=full, PrivateTmp=yes, CapabilityBoundingSet=";
    node.greeter("greeter.service", 5605, "", "");
    assert_eq!(lacks().as_deref(), Some(all));
    // One of them is not all of them, and what leaves /etc open is none.
    node.greeter("greeter.service", 5605, "", "ProtectSystem=yes");
    assert_eq!(lacks().as_deref(), Some(all));
    node.greeter("greeter.service", 5605, "", "NoNewPrivileges=yes\nProtectSystem=strict\nPrivateTmp=yes");
    assert_eq!(lacks().as_deref(), Some("CapabilityBoundingSet="));
    let bounded = "CapabilityBoundingSet=CAP_NET_BIND_SERVICE";
    node.greeter(
        "greeter.service",
        5605,
        "",
        &format!("NoNewPrivileges=yes\nProtectSystem=full\nPrivateTmp=yes\n{bounded}"),
    );
    assert_eq!(risks(), [""; 0]);
    node.greeter("greeter.service", 5605, "", "User=nobody");
    assert_eq!(risks(), [""; 0]);
}

#[test]
fn a_template_is_one_instance_and_a_parameter_that_does_not_fit_is_denied() {
    if !room() {
        return;
    }
    let node = Node::new("template");
    let port = 5601;
    node.unit("greeter@.service", "ExecStart=/usr/libexec/ocf-wasm/examples/greeter --port %i --node box");
    node.policy("greeter@5601.service");
    let _ = node.act("start", port, &["greet=two\nlines"]).is(4).says("parameter greet");
    let _ = node.act("start", port, &[]).is(0);
    assert_eq!(node.state("greeter@5601.service"), "active");
    let _ = node.monitor(port).is(0);
    let _ = node.act("stop", port, &[]).is(0);
    assert_eq!(node.state("greeter@5601.service"), "inactive");
}

#[test]
fn a_start_ends_with_the_job_however_it_ends() {
    if !room() {
        return;
    }
    let node = Node::new("starts");
    // Slowly, and only then it answers.
    node.greeter("greeter.service", 5602, "", "ExecStartPre=/bin/sleep 1.5");
    let _ = node.act("start", 5602, &[]).is(0);
    let _ = node.monitor(5602).is(0);
    let _ = node.act("stop", 5602, &[]).is(0);
    // Too slowly: it may still come up, so the stop ends that.
    node.greeter("greeter.service", 5603, "", "ExecStartPre=/bin/sleep 600");
    let began = node.act_within("start", 5603, "3000", &[]).is(1).within(std::time::Duration::from_millis(2990));
    assert!(began.reason().contains("program.start of greeter did not come to an end in time"), "{began:#?}");
    assert_eq!(node.state("greeter"), "activating");
    let _ = node.act("stop", 5603, &[]).is(0);
    assert_eq!(node.state("greeter"), "inactive");
    // Not at all, in each of the ways that there are.
    for (service, reason) in [
        ("ExecStart=/bin/false", "exited with status 1"),
        ("Type=forking\nExecStart=/bin/sh -c 'exit 3'", "failed: exit-code"),
        ("ExecStart=/nonexistent/program", "exited with status 203"),
        ("ExecStartPre=/bin/false\nExecStart=/bin/sleep 60", "unit greeter.service: "),
        ("Type=notify\nTimeoutStartSec=1\nExecStart=/bin/sleep 60", "timeout"),
        ("ExecStart=/bin/sh -c 'kill -SEGV $$$$'", "signal 11"),
    ] {
        node.unit("greeter.service", service);
        let _ = node.act("start", 5604, &[]).is(1).says(reason);
        let _ = node.act("stop", 5604, &[]).is(0);
        assert_eq!(node.state("greeter"), "inactive", "{service}");
        let _ = node.probe(5604).is(7);
    }
    node.machine
        .write(
            "/etc/systemd/system/greeter.service",
            "[Unit]\nConditionPathExists=/nonexistent\n[Service]\nExecStart=/bin/sleep 60\n",
        )
        .unwrap();
    node.machine.must(&["systemctl", "daemon-reload"]);
    let _ = node.act("start", 5604, &[]).is(5).says("a condition of it does not hold here");
    let _ = node.act("stop", 5604, &[]).is(0);
}
