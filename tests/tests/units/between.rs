//! A unit that is on its way up or down: no action says that it runs, whatever the plugin says, and a start goes on until
//! it does.

use std::time::Duration;

use ocf_wasm_tests::handmade::Handmade;

use super::*;

/// A daemon of any kind, of which the plugin knows no more than where it is.
const ANYTHING: &str = "ocf-wasm/anything";
/// A plugin that asks for nothing, and says always that it runs, or that it is promoted.
const BLIND: &str = "test/blind";
const INSTANCE: &str = "between";
/// Waits until somebody lets it go.
const GATE: &str = "/bin/sh -c 'until test -e /run/go; do sleep 0.05; done'";

/// Where the unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// It waits for its turn, as at boot.
    Queued,
    /// systemd starts it.
    Up,
    /// systemd stops it.
    Down,
}

/// A node on which a label of an agent is bound to a unit that takes its time.
struct Slow {
    node: Node,
    agent: &'static str,
}

impl Slow {
    fn new(agent: &'static str, label: &str) -> Self {
        let node = Node::new("between");
        node.grant(agent, &format!("format = 1\n[program.{label}]\nunit = \"greeter.service\"\n"));
        Self { node, agent }
    }

    /// Has the unit wait on its way up, or on its way down.
    fn is_slow(&self, way: Way) {
        let more = match way {
            Way::Queued => String::new(),
            Way::Up => format!("ExecStartPre={GATE}\nTimeoutStartSec=600"),
            Way::Down => format!("ExecStop={GATE}\nTimeoutStopSec=600"),
        };
        self.node.greeter("greeter.service", 5670, "", &format!("Environment=GREET=Hello!\n{more}"));
        let after = if way == Way::Queued { "[Unit]\nAfter=before.service\n" } else { "" };
        self.node.unit("before.service", &format!("Type=oneshot\nExecStart={GATE}\nTimeoutStartSec=600"));
        self.node.machine.write("/etc/systemd/system/greeter.service.d/after.conf", after).unwrap();
        self.node.machine.must(&["systemctl", "daemon-reload"]);
    }

    /// Somebody sends it on its way.
    fn is_sent(&self, way: Way) {
        let machine = &self.node.machine;
        machine.must(&["rm", "-f", "/run/go"]);
        let state = match way {
            Way::Queued => {
                machine.must(&["systemctl", "start", "--no-block", "before", "greeter"]);
                until("it waits", || !machine.show("greeter", "Job").is_empty());
                "inactive"
            }
            Way::Up => {
                machine.must(&["systemctl", "start", "--no-block", "greeter"]);
                "activating"
            }
            Way::Down => {
                machine.must(&["systemctl", "start", "greeter"]);
                machine.must(&["systemctl", "stop", "--no-block", "greeter"]);
                "deactivating"
            }
        };
        until(state, || self.node.state("greeter") == state);
    }

    /// Lets it go in a second, while an action waits.
    fn goes_soon(&self) {
        self.node.machine.must(&["systemd-run", "--quiet", "sh", "-c", "sleep 1; touch /run/go"]);
    }

    fn act(&self, action: &str, timeout_ms: &str, more: &[&str]) -> Ran {
        let given = [&["binfile=/usr/libexec/ocf-wasm/examples/greeter"], more].concat();
        self.node.act_of(self.agent, INSTANCE, action, timeout_ms, &given)
    }

    fn monitor(&self) -> Ran {
        self.act("monitor", "20000", &["CRM_meta_interval=10000"])
    }

    fn probe(&self) -> Ran {
        self.act("monitor", "20000", &[])
    }

    /// It is stopped, however long it would take by itself, and nothing is left.
    fn stops(&self) {
        let _ = self.act("stop", "4000", &[]).is(0).within(Duration::from_millis(3990));
        self.node.machine.must(&["systemctl", "stop", "before"]);
        assert_eq!(self.node.state("greeter"), "inactive");
    }
}

fn anything() -> Slow {
    let slow = Slow::new(ANYTHING, "daemon");
    slow.node.install("/usr/share/ocf-wasm/plugins/anything/anything.wasm");
    slow
}

/// The plugin that asks for nothing, and says this of what it is.
fn blind(health: u8) -> Slow {
    let slow = Slow::new(BLIND, "any");
    let text = Handmade { health: Some(health), ..Handmade::default() }.text(BLIND);
    slow.node.machine.write("/root/blind.wasm", wat::parse_str(text).unwrap()).unwrap();
    slow.node.install("/root/blind.wasm");
    slow
}

#[test]
fn what_is_on_its_way_does_not_run_and_is_stopped() {
    if !room() {
        return;
    }
    let slow = anything();
    for (way, reason) in
        [(Way::Queued, "is being started"), (Way::Up, "is being started"), (Way::Down, "is being stopped")]
    {
        eprintln!("{way:?}");
        slow.is_slow(way);
        slow.is_sent(way);
        // Seen alive, and not up: 0 would be a second copy for the cluster, and 7 one that comes up unseen.
        let _ = slow.probe().is(1).says(reason);
        let _ = slow.monitor().is(1).says(reason);
        slow.stops();
        let _ = slow.probe().is(7);
    }
    // What the cluster itself has, and somebody else stops.
    slow.node.machine.must(&["touch", "/run/go"]);
    let _ = slow.act("start", "20000", &[]).is(0);
    let _ = slow.monitor().is(0);
    slow.is_sent(Way::Down);
    let _ = slow.monitor().is(1).says("is being stopped");
    slow.stops();
    let _ = slow.probe().is(7);
}

#[test]
fn a_start_goes_on_with_what_is_on_its_way_until_it_runs() {
    if !room() {
        return;
    }
    let slow = anything();
    for (way, is_ours) in [(Way::Queued, false), (Way::Up, false), (Way::Down, false), (Way::Down, true)] {
        eprintln!("{way:?}, started by the cluster: {is_ours}");
        slow.is_slow(way);
        if is_ours {
            slow.node.machine.must(&["touch", "/run/go"]);
            let _ = slow.act("start", "20000", &[]).is(0);
        }
        slow.is_sent(way);
        slow.goes_soon();
        let _ = slow.act("start", "20000", &[]).is(0);
        assert_eq!(slow.node.state("greeter"), "active");
        let _ = slow.monitor().is(0);
        slow.stops();
    }
    // One that does not come up in time has not been started.
    slow.is_slow(Way::Up);
    slow.is_sent(Way::Up);
    let began = slow.act("start", "3000", &[]).is(1).within(Duration::from_millis(2990));
    assert!(began.reason().contains("did not come to an end in time"), "{began:#?}");
    slow.stops();
}

#[test]
fn a_plugin_that_does_not_ask_is_not_believed_either() {
    if !room() {
        return;
    }
    let [runs, is_promoted] = [0, 2];
    for (health, fails, good) in [(runs, 1, 0), (is_promoted, 9, 8)] {
        let slow = blind(health);
        slow.is_slow(Way::Up);
        slow.is_sent(Way::Up);
        let _ = slow.probe().is(fails).says("unit greeter.service is being started");
        let _ = slow.monitor().is(fails).says("unit greeter.service is being started");
        if health == runs {
            // It starts nothing; it has been started when the unit is up.
            let _ = slow.act("start", "2000", &[]).is(1).says("unit greeter.service is being started");
            slow.goes_soon();
            let _ = slow.act("start", "20000", &[]).is(0);
            assert_eq!(slow.node.state("greeter"), "active");
        }
        slow.node.machine.must(&["touch", "/run/go"]);
        until("it is up", || slow.node.state("greeter") == "active");
        let _ = slow.monitor().is(good);
    }
}

#[test]
fn what_still_answers_while_it_is_stopped_does_not_run() {
    if !room() {
        return;
    }
    let node = Node::new("answers");
    let port = 5671;
    node.greeter("greeter.service", port, "", "ExecStop=/bin/sleep 600\nTimeoutStopSec=600");
    let _ = node.act("start", port, &[]).is(0);
    node.machine.must(&["systemctl", "stop", "--no-block", "greeter"]);
    until("it goes down", || node.state("greeter") == "deactivating");
    assert_eq!(node.greeting(port), "Hello! This is box!\n", "what the plugin goes by");
    let _ = node.monitor(port).is(1).says("unit greeter.service is being stopped");
    let _ = node.probe(port).is(1);
    let _ = node.act_within("stop", port, "4000", &[]).is(0);
    let _ = node.probe(port).is(7);
}
