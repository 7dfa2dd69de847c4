//! Daemons of the policy's own, which units of systemd keep: where they are, what ends them and what does not, and what is
//! done where systemd is not asked or does not answer.

use std::time::Duration;

use super::*;

/// What the names of the units of these instances begin with.
const STEM: &str = "ocf-wasm-ocf-wasm:sample-tcp-server:";
/// Read by systemd for each unit that keeps a daemon.
const DROP_IN: &str = "/etc/systemd/system/ocf-wasm-.service.d/of-a-test.conf";

fn unit_of(port: u16) -> String {
    format!("{STEM}greet-{port}:greeter.service")
}

/// A node whose label is bound to the greeter itself, with more keys.
fn node(name: &str, more: &str) -> Node {
    let node = Node::new(name);
    bind(&node, more);
    node
}

fn bind(node: &Node, more: &str) {
    node.policy_with(&format!(
        "program = \"/usr/libexec/ocf-wasm/examples/greeter\"\nlifetime = \"instance\"\nuser = \"nobody\"\n\
         network = \"host\"\nargv = [\"--port\", {{ param = \"port\", port = {{}} }}, \"--node\", \"box\"]\n\
         environment = {{ GREET = {{ param = \"greet\", text = {{ max = 200 }} }} }}\n{more}"
    ));
}

impl Node {
    /// Units that keep daemons, in whatever state.
    fn units(&self) -> Vec<String> {
        let listed =
            self.machine.must(&["systemctl", "list-units", "--all", "--plain", "--no-legend", "ocf-wasm-*.service"]);
        listed.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
    }

    /// Keepers and greeters that live.
    fn alive(&self) -> String {
        self.machine.run(&["pgrep", "-a", "-f", "^ocf-wasm-keeper|examples/greeter"]).stdout
    }

    fn has_nothing_left(&self, what: &str) {
        assert_eq!(self.alive(), "", "{what}");
        until("systemd has forgotten it", || self.units().is_empty());
    }

    /// Processes of the daemon.
    fn processes(&self, port: u16) -> Vec<String> {
        let known = self.why(port);
        known["daemons"][0]["processes"].as_array().unwrap().iter().map(ToString::to_string).collect()
    }

    fn groups_of(&self, pid: &str) -> String {
        self.machine.must(&["cat", &format!("/proc/{pid}/cgroup")])
    }
}

#[test]
fn a_daemon_lies_in_a_slice_of_its_own_and_not_in_that_of_the_caller() {
    if !room() {
        return;
    }
    let node = node("slice", "limits = { memory = \"64MiB\", tasks = 40 }");
    let port = 5700;
    let unit = unit_of(port);
    // As from pacemaker.service, which is stopped with all that is in it as soon as the action has ended.
    let agent = format!("{RESOURCES}/{AGENT}");
    let variables = [
        "OCF_ROOT=/usr/lib/ocf",
        "OCF_RA_VERSION_MAJOR=1",
        &format!("OCF_RESOURCE_INSTANCE=greet-{port}"),
        &format!("OCF_RESKEY_port={port}"),
        "OCF_RESKEY_greet=Verschlossen",
        "OCF_RESKEY_CRM_meta_timeout=20000",
    ];
    let mut words = vec!["systemd-run", "--unit=caller", "--wait", "--pipe", "--quiet", "env"];
    words.extend(variables);
    words.extend([agent.as_str(), "start"]);
    node.machine.must(&words);
    let _ = node.monitor(port).is(0);
    assert_eq!(node.units(), [unit.as_str()]);
    let processes = node.processes(port);
    assert_eq!(processes.len(), 2);
    let keeper = node.main(&unit);
    for pid in processes.iter().chain([&keeper]) {
        let groups = node.groups_of(pid);
        assert!(!groups.contains("caller"), "{groups}");
        let slice = format!("/ocf.slice/ocf-wasm.slice/{unit}");
        for hierarchy in [":memory:", ":pids:", ":name=systemd:"] {
            let line = groups.lines().find(|line| line.contains(hierarchy));
            assert!(line.is_none_or(|line| line.contains(&slice)), "{hierarchy} {groups}");
        }
        assert!(groups.lines().any(|line| line.starts_with("0::") && line.contains(&slice)), "{groups}");
    }
    // What systemd knows of it.
    for (property, value) in [
        ("Slice", "ocf-wasm.slice"),
        ("MemoryMax", "67108864"),
        ("TasksMax", "41"),
        ("Delegate", "yes"),
        ("IgnoreOnIsolate", "yes"),
        ("ActiveState", "active"),
    ] {
        assert_eq!(node.machine.show(&unit, property), value, "{property}");
    }
    assert!(node.machine.show(&unit, "Before").contains("pacemaker.service"));
    let status = node.machine.must(&["systemctl", "--no-pager", "status", &unit]);
    assert!(processes.iter().all(|pid| status.contains(pid.as_str())), "{status}");
    // It is told to the daemon alone.
    let shown = node.machine.must(&["systemctl", "show", &unit]) + &node.machine.must(&["systemctl", "cat", &unit]);
    let keepers = node.machine.must(&["cat", &format!("/proc/{keeper}/cmdline"), &format!("/proc/{keeper}/environ")]);
    assert!(!(shown + &keepers + &status).contains("Verschlossen"));
    assert_eq!(node.greeting(port), "Verschlossen This is box!\n");
    let told = node.machine.must(&["ocf-wasm", "why", &format!("greet-{port}")]);
    assert!(told.contains(&format!("unit {unit}\n")), "{told}");
    assert_eq!(node.why(port)["daemons"][0]["unit"], unit.as_str());

    // Neither of these is a stop.
    for verb in ["daemon-reload", "daemon-reexec"] {
        node.machine.must(&["systemctl", verb]);
        let _ = node.monitor(port).is(0);
        assert_eq!(node.processes(port), processes, "{verb}");
    }
    let _ = node.act("stop", port, &[]).is(0);
    node.has_nothing_left("after a stop");
    let _ = node.probe(port).is(7);
}

#[test]
fn a_limit_is_held_by_the_unit() {
    if !room() {
        return;
    }
    let node = Node::new("limits");
    let port = 5701;
    let bind = |argv: &str, limits: &str| {
        node.policy_with(&format!(
            "program = \"/bin/sh\"\nargv = [\"-c\", \"{argv}\"]\nlifetime = \"instance\"\nuser = \"nobody\"\n\
             manager = \"systemd\"\nlimits = {{ {limits} }}"
        ));
    };
    // Each does its work where it may, and the start fails by what the plugin does not hear.
    let hog = "dd if=/dev/zero of=/dev/null bs=200M count=1 2>&1";
    let crowd = "for i in 1 2 3 4; do sleep 600 & done; echo all";
    for (argv, limits, reason) in [
        (hog, "memory = \"400MiB\"", "status 0"),
        (hog, "memory = \"32MiB\"", "status 137, over its limit of memory: "),
        (crowd, "tasks = 5", "status 0: all"),
        (crowd, "tasks = 4", "Cannot fork"),
    ] {
        bind(argv, limits);
        let _ = node.act_within("start", port, "10000", &[]).is(1).says(reason);
        let _ = node.act("stop", port, &[]).is(0);
        node.has_nothing_left(limits);
    }
    // One that does not hold, since somebody says otherwise to systemd: not run, with either manager.
    node.machine.write(DROP_IN, "[Service]\nMemoryMax=infinity\n").unwrap();
    node.machine.must(&["systemctl", "daemon-reload"]);
    bind(hog, "memory = \"32MiB\"");
    let _ = node.act("start", port, &[]).is(5).says("limits.memory needs a control group");
    node.has_nothing_left("a limit that does not hold");
}

#[test]
fn without_a_bus_it_is_started_all_the_same_and_stopped() {
    if !room() {
        return;
    }
    let node = node("busless", "");
    let port = 5702;
    let checked = || node.machine.run(&["ocf-wasm", "check"]).stdout;
    assert!(checked().contains("kept by units of systemd, in ocf-wasm.slice"), "{}", checked());
    // Down at the stop.
    let _ = node.act("start", port, &[]).is(0);
    node.bus("stop");
    let _ = node.monitor(port).is(0);
    let _ = node.act("stop", port, &[]).is(0);
    node.has_nothing_left("stopped without a bus");
    let _ = node.probe(port).is(7);

    // Down at the start.
    assert!(checked().contains("kept by the agent's own processes: the service manager does not answer"));
    let ran = node.act("start", port, &[]).is(0);
    assert!(ran.stderr.contains("program greeter: started without a unit of its own: the service manager"), "{ran:#?}");
    let _ = node.monitor(port).is(0);
    assert_eq!((node.units(), node.why(port)["daemons"][0]["unit"].clone()), (vec![], serde_json::Value::Null));
    let _ = node.act("stop", port, &[]).is(0);
    assert_eq!(node.alive(), "");
    bind(&node, "manager = \"systemd\"");
    let _ = node.act("start", port, &[]).is(1).says("the service manager does not answer");
    let _ = node.act("stop", port, &[]).is(0);
    node.has_nothing_left("a start that was refused");
    node.bus("start");

    // Up, and not wanted: nothing is said of it.
    bind(&node, "manager = \"none\"");
    let ran = node.act("start", port, &[]).is(0);
    assert!(!ran.stderr.contains("unit"), "{ran:#?}");
    assert_eq!(node.units(), [""; 0]);
    // What runs is watched and stopped as it was started.
    bind(&node, "manager = \"systemd\"");
    let _ = node.monitor(port).is(0);
    let _ = node.act("stop", port, &[]).is(0);
    assert_eq!(node.alive(), "");
    let _ = node.act("start", port, &[]).is(0);
    assert_eq!(node.units(), [unit_of(port)]);
    bind(&node, "manager = \"none\"");
    let _ = node.act("stop", port, &[]).is(0);
    node.has_nothing_left("a policy that changed meanwhile");
}

#[test]
fn what_systemd_refuses_is_started_without_it() {
    if !room() {
        return;
    }
    let node = node("refuses", "");
    let port = 5709;
    let masked = format!("/etc/systemd/system/{}", unit_of(port));
    let mask = || node.machine.must(&["ln", "-s", "/dev/null", &masked]);
    let unmask = || node.machine.must(&["rm", &masked]);
    // The keeper is executed as somebody who is not there.
    let spoil = || node.machine.write(DROP_IN, "[Service]\nUser=nobody-of-a-test\n").unwrap();
    let mend = || fs::remove_file(node.machine.inside(DROP_IN)).unwrap();
    for (is_masked, why) in [(true, "systemd refuses it: "), (false, "the start of its unit failed: journalctl -u ")] {
        if is_masked {
            drop(mask());
        } else {
            spoil();
        }
        node.machine.must(&["systemctl", "daemon-reload"]);
        bind(&node, "");
        let ran = node.act("start", port, &[]).is(0);
        assert!(ran.stderr.contains(&format!("started without a unit of its own: {why}")), "{ran:#?}");
        let _ = node.monitor(port).is(0);
        let _ = node.act("stop", port, &[]).is(0);
        bind(&node, "manager = \"systemd\"");
        let _ = node.act("start", port, &[]).is(1).says(why);
        let _ = node.act("stop", port, &[]).is(0);
        if is_masked {
            drop(unmask());
        } else {
            mend();
        }
        node.machine.must(&["systemctl", "daemon-reload"]);
        node.has_nothing_left(why);
        let _ = node.act("start", port, &[]).is(0);
        assert_eq!(node.units(), [unit_of(port)]);
        let _ = node.act("stop", port, &[]).is(0);
    }
}

#[test]
fn a_bus_that_hangs_holds_neither_start_nor_stop() {
    if !room() {
        return;
    }
    let node = node("hanging", "");
    let port = 5708;
    let limit = Duration::from_millis(5990);
    let act = |action: &str| node.act_within(action, port, "6000", &[]).within(limit);
    let bus = |signal: &str| node.machine.must(&["pkill", signal, "-x", "dbus-daemon"]);
    bus("-STOP");
    let ran = act("start").is(0);
    assert!(ran.stderr.contains("started without a unit of its own: the service manager does not answer"), "{ran:#?}");
    let _ = node.monitor(port).is(0);
    let _ = act("stop").is(0);
    bind(&node, "manager = \"systemd\"");
    let _ = act("start").is(1).says("the service manager does not answer in time");
    let _ = act("stop").is(0);
    node.has_nothing_left("a bus that hangs");
    bus("-CONT");
    let _ = act("start").is(0);
    bus("-STOP");
    let _ = node.monitor(port).is(0);
    let _ = act("stop").is(0);
    node.has_nothing_left("a unit whose bus hangs");
    bus("-CONT");
}

#[test]
fn an_agent_in_other_namespaces_or_a_private_root_asks_for_no_unit() {
    if !room() {
        return;
    }
    let node = node("elsewhere", "");
    let port = 5703;
    let act = |action: &str| {
        let script = format!(
            "exec env OCF_ROOT=/usr/lib/ocf OCF_RA_VERSION_MAJOR=1 OCF_RESOURCE_INSTANCE=greet-{port} \
             OCF_RESKEY_port={port} OCF_RESKEY_CRM_meta_timeout=20000 {RESOURCES}/{AGENT} {action}"
        );
        finish(&mut node.machine.command(&["unshare", "--mount", "sh", "-c", &script]))
    };
    let ran = act("start").is(0);
    assert!(!ran.stderr.contains("unit"), "{ran:#?}");
    assert_eq!(node.units(), [""; 0]);
    let _ = act("stop").is(0);
    bind(&node, "manager = \"systemd\"");
    let _ = act("start").is(5).says("in other namespaces than systemd");
    let _ = act("stop").is(0);
    node.has_nothing_left("elsewhere");
    let wasm = "/usr/share/ocf-wasm/plugins/sample-tcp-server/sample-tcp-server.wasm";
    node.machine.must(&["ocf-wasm", "--root", "/tmp/try", "install", "--allow-unsigned", wasm]);
    let private = node.machine.run(&["ocf-wasm", "--root", "/tmp/try", "check"]);
    assert!(private.stdout.contains("units are those of the node: a private root has none"), "{private:#?}");
}

#[test]
fn a_start_that_was_killed_leaves_nothing_that_the_next_action_does_not_end() {
    if !room() {
        return;
    }
    let node = node("killed", "");
    let port = 5704;
    let agent = format!("{RESOURCES}/{AGENT}");
    let unit = unit_of(port);
    for (more, sub) in [("ExecStartPre=/bin/sleep 600", "start-pre"), ("ExecStartPost=/bin/sleep 600", "start-post")] {
        for next in ["stop", "start"] {
            node.machine.write(DROP_IN, format!("[Service]\n{more}\n")).unwrap();
            node.machine.must(&["systemctl", "daemon-reload"]);
            let script = format!(
                "OCF_ROOT=/usr/lib/ocf OCF_RA_VERSION_MAJOR=1 OCF_RESOURCE_INSTANCE=greet-{port} OCF_RESKEY_port={port} \
                 OCF_RESKEY_CRM_meta_timeout=60000 setsid {agent} start & wait"
            );
            let mut start = node.machine.command(&["sh", "-c", &script]);
            let mut start = start.stdout(std::process::Stdio::null()).spawn().unwrap();
            until("systemd is at it", || node.machine.show(&unit, "SubState") == sub);
            node.machine.must(&["pkill", "-KILL", "-f", &format!("^{agent} start")]);
            start.wait().unwrap();
            assert_eq!(node.why(port)["state"], "starting");
            // A keeper whose agent is gone has nothing to wait for, and no daemon was made.
            until("no keeper waits", || node.alive().is_empty());
            fs::remove_file(node.machine.inside(DROP_IN)).unwrap();
            node.machine.must(&["systemctl", "daemon-reload"]);
            let what = format!("{sub}, {next}");
            let _ = node.act(next, port, &[]).is(0);
            if next == "start" {
                let _ = node.monitor(port).is(0);
                assert_eq!(node.units(), [unit.as_str()], "{what}");
                let _ = node.act("stop", port, &[]).is(0);
            }
            assert_eq!(node.machine.run(&["pgrep", "-f", "sleep 600"]).stdout, "", "{what}");
            node.has_nothing_left(&what);
        }
    }
}

#[test]
fn what_ends_a_unit_ends_the_daemon_and_the_cluster_starts_it_again() {
    if !room() {
        return;
    }
    let node = node("ended", "");
    let port = 5705;
    let unit = unit_of(port);
    let stopped = || drop(node.machine.run(&["systemctl", "stop", &unit]));
    let keeper_killed = || node.kill(&[&node.main(&unit)]);
    for (end, what) in [(&stopped as &dyn Fn(), "by systemctl"), (&keeper_killed, "by the end of its keeper")] {
        let _ = node.act("start", port, &[]).is(0);
        end();
        until("all of it is gone", || node.alive().is_empty());
        let _ = node.monitor(port).is(1);
        let _ = node.probe(port).is(7);
        until("systemd has forgotten it", || node.units().is_empty());
        let _ = node.act("start", port, &[]).is(0);
        let _ = node.monitor(port).is(0);
        let _ = node.act("stop", port, &[]).is(0);
        node.has_nothing_left(what);
    }
    // Whatever has the name makes way: it is the instance's.
    node.machine.must(&["systemd-run", "--quiet", &format!("--unit={unit}"), "sleep", "611"]);
    let _ = node.probe(port).is(7);
    let _ = node.act("start", port, &[]).is(0);
    assert_eq!(node.machine.run(&["pgrep", "-f", "sleep 611"]).stdout, "");
    let _ = node.monitor(port).is(0);

    // A record that is lost is not taken for a stop.
    fs::remove_dir_all(node.directory(port)).unwrap();
    let _ = node.probe(port).is(1);
    let _ = node.act("stop", port, &[]).is(1);
    let name = format!("greet-{port}");
    let main = node.machine.must(&["pgrep", "-o", "-f", "examples/greeter"]);
    let refused = node.machine.run(&["ocf-wasm", "forget", "--agent", AGENT, &name, "--nothing-runs"]);
    assert!(refused.code == 1 && refused.stderr.contains(main.trim()), "{refused:#?}");
    node.machine.must(&["systemctl", "stop", &unit]);
    assert_eq!(node.machine.run(&["ocf-wasm", "forget", "--agent", AGENT, &name, "--nothing-runs"]).code, 0);
    let _ = node.probe(port).is(7);
    node.has_nothing_left("a record that was lost");
}

#[test]
fn each_instance_has_a_unit_of_its_own_whatever_it_is_called() {
    if !room() {
        return;
    }
    let node = node("names", "");
    let long = "x".repeat(200);
    let names = ["a-b", "a\\x2db", "a:b", "50% $HOME ${x} ü;\"'", "@.service", &long, &format!("{}y", &long[1..])];
    let act = |name: &str, action: &str, port: u16| node.act_as(name, action, port, "20000", &[]);
    let ports: Vec<u16> = (5710..).take(names.len()).collect();
    for (name, port) in names.iter().zip(&ports) {
        let _ = act(name, "start", *port).is(0);
    }
    let units: std::collections::BTreeSet<String> = names
        .iter()
        .map(|name| node.why_of(name)["daemons"][0]["unit"].as_str().unwrap_or_else(|| panic!("{name}")).to_owned())
        .collect();
    assert_eq!(units.len(), names.len(), "{units:?}");
    assert_eq!(node.units().len(), names.len());
    assert!(units.contains(&format!("{STEM}a-b:greeter.service")), "{units:?}");
    assert!(units.contains(&format!("{STEM}a\\x5cx2db:greeter.service")), "{units:?}");
    // One ends, and the others do not.
    for (number, (name, port)) in names.iter().zip(&ports).enumerate() {
        let _ = act(name, "stop", *port).is(0).within(Duration::from_secs(20));
        until("systemd has forgotten it", || node.units().len() == names.len() - number - 1);
        for (other, port) in names.iter().zip(&ports).skip(number + 1) {
            let _ = act(other, "monitor", *port).is(0);
        }
    }
    node.has_nothing_left("all of them");
}
