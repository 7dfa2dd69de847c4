//! Each exit status from start and from monitor, on one node only: what Pacemaker does then. What a plugin can bring our host
//! to answer comes from a plugin; what our host never answers comes from a shell agent that does.
//!
//! All resources are there at once, so that it takes no longer than the slowest. A part of docs/failures.md.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use ocf_wasm_tests::cluster::{Cluster, LONG, Node, Primitive, Status, location};

use crate::failures::{since, why};
use crate::rows::Then;

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// The plugin that misbehaves, through our host.
    Plugin,
    /// A shell agent that exits with this status.
    Shell,
}

/// One answer to one action.
#[derive(Clone, Copy, Debug)]
struct Code {
    by: By,
    action: &'static str,
    /// What the plugin answers or does, or with what the shell agent exits.
    answer: &'static str,
    /// With what the action ends.
    code: i32,
    then: Then,
}

const fn plugin(action: &'static str, answer: &'static str, code: i32, then: Then) -> Code {
    Code { by: By::Plugin, action, answer, code, then }
}

const fn shell(action: &'static str, answer: &'static str, code: i32, then: Then) -> Code {
    Code { by: By::Shell, action, answer, code, then }
}

/// Misdeeds of the plugin that are no answers.
const MISDEEDS: [&str; 2] = ["exit", "lie"];

const STARTS: [Code; 15] = [
    plugin("start", "generic", 1, Then::Elsewhere),
    plugin("start", "arguments", 2, Then::Elsewhere),
    plugin("start", "unimplemented", 1, Then::Elsewhere),
    plugin("start", "permission", 4, Then::Elsewhere),
    plugin("start", "not-installed", 5, Then::Elsewhere),
    plugin("start", "configuration", 6, Then::Nowhere),
    plugin("start", "exit", 1, Then::Elsewhere),
    plugin("start", "lie", 1, Then::Elsewhere),
    shell("start", "3", 3, Then::Elsewhere),
    shell("start", "7", 7, Then::Elsewhere),
    shell("start", "8", 8, Then::Elsewhere),
    shell("start", "9", 9, Then::Elsewhere),
    shell("start", "191", 191, Then::Elsewhere),
    shell("start", "77", 1, Then::Elsewhere),
    shell("start", "255", 1, Then::Elsewhere),
];

const MONITORS: [Code; 15] = [
    plugin("monitor", "generic", 1, Then::Again),
    plugin("monitor", "arguments", 2, Then::Elsewhere),
    plugin("monitor", "unimplemented", 1, Then::Again),
    plugin("monitor", "permission", 4, Then::Elsewhere),
    plugin("monitor", "not-installed", 5, Then::Elsewhere),
    plugin("monitor", "configuration", 6, Then::Nowhere),
    plugin("monitor", "not-running", 7, Then::Again),
    plugin("monitor", "promoted", 8, Then::Again),
    plugin("monitor", "failed-promoted", 9, Then::Again),
    plugin("monitor", "degraded", 190, Then::Unnoticed),
    plugin("monitor", "degraded-promoted", 191, Then::Again),
    plugin("monitor", "exit", 1, Then::Again),
    shell("monitor", "3", 3, Then::Again),
    shell("monitor", "77", 1, Then::Again),
    shell("monitor", "255", 1, Then::Again),
];

/// Exits as its parameters say, and else as an agent should.
const SHELL: &str = r#"#!/bin/sh
state=/run/raw-$OCF_RESOURCE_INSTANCE
case $1 in
meta-data)
    echo '<?xml version="1.0"?><resource-agent name="raw"><version>1.1</version><longdesc lang="en">-</longdesc>
<shortdesc lang="en">-</shortdesc><parameters><parameter name="in"><longdesc lang="en">-</longdesc>
<shortdesc lang="en">-</shortdesc><content type="string"/></parameter></parameters><actions>
<action name="start" timeout="20s"/><action name="stop" timeout="20s"/><action name="monitor" timeout="20s"/>
<action name="demote" timeout="20s"/></actions></resource-agent>'
    exit 0 ;;
start) : > "$state" ;;
stop) rm -f "$state" ;;
monitor) [ -e "$state" ] || exit 7 ;;
esac
[ "$1" = "$OCF_RESKEY_in" ] && [ "$1$OCF_RESKEY_CRM_meta_interval" != monitor ] && exit "$OCF_RESKEY_code"
exit 0
"#;

/// Where it is answered; elsewhere all is well.
const THERE: &str = "node1";
/// After how many failures a resource is taken away: without that, what fails at once is started again several times a
/// second, and the cluster gets round to nothing else.
const THRESHOLD: usize = 2;

impl Code {
    fn id(&self) -> String {
        format!("{}-{}", self.action, self.answer)
    }

    fn primitive(&self) -> Primitive {
        let id = self.id();
        let resource = match self.by {
            By::Plugin => {
                let is_answer = !MISDEEDS.contains(&self.answer);
                // With a daemon that runs, the host answers 1 to a plugin that says that nothing does.
                let resource = Primitive::new(&id, "ocf:test:hostile").with("daemon", self.answer != "not-running");
                let resource = resource.with("do", if is_answer { "answer" } else { self.answer });
                let resource = if is_answer { resource.with("answer", self.answer) } else { resource };
                resource.with_there(THERE, "in", self.action)
            }
            By::Shell => {
                Primitive::new(&id, "ocf:test:raw").with_there(THERE, "in", self.action).with("code", self.answer)
            }
        };
        resource
            .operation("monitor", &[("interval", "1s"), ("timeout", "5s")])
            .operation_parameter("OCF_CHECK_LEVEL", "10")
            .operation("start", &[("timeout", "5s")])
            .operation("stop", &[("timeout", "10s")])
            .meta("migration-threshold", THRESHOLD)
    }

    /// What was seen, once all is over that the cluster does by itself.
    fn seen(&self, now: &Status, node: &Node) -> Option<(i32, Vec<String>)> {
        let id = &self.id();
        let results = since(node, id, 0);
        let code = now.failures_of(id).iter().find(|failure| failure.node == THERE).map(|failure| failure.code);
        let place = now.of(id).find_map(|one| one.nodes.first().cloned());
        let is_elsewhere = place.as_ref().is_some_and(|place| place != THERE && now.is_started_on(id, place));
        let stops = results.iter().filter(|result| *result == "stop ok").count();
        let is_over = match self.then {
            Then::Elsewhere => is_elsewhere && stops == 1,
            Then::Again => is_elsewhere && stops == THRESHOLD,
            Then::Nowhere => now.is_stopped(id),
            Then::Unnoticed => {
                let is_told = results.iter().any(|result| result.starts_with("monitor "));
                is_told && stops == 0 && place.as_deref() == Some(THERE)
            }
            Then::ForEver | Then::Fenced => false,
        };
        is_over.then_some((code?, results))
    }

    fn who(&self) -> String {
        match (self.by, self.answer) {
            (By::Shell, code) => format!("a shell agent exits with {code}"),
            (By::Plugin, "exit") => "the plugin calls `exit`".to_owned(),
            (By::Plugin, "lie") => "the plugin says that it is done, and does nothing".to_owned(),
            (By::Plugin, answer) => format!("the plugin answers `{answer}`"),
        }
    }
}

/// Lets all of these happen, and returns the table.
fn table(cluster: &Cluster, codes: &[Code]) -> String {
    let node = cluster.named(THERE);
    let fenced = cluster.fencings().len();
    let all: Vec<String> = codes.iter().map(|code| code.primitive().xml()).collect();
    let places: Vec<String> = codes.iter().map(|code| location(&code.id(), THERE, "300")).collect();
    cluster.add(&all, &places);
    let mut text =
        "| what is answered | ends with | Pacemaker | then | `ocf-wasm why` |\n| --- | --- | --- | --- | --- |\n"
            .to_owned();
    for code in codes {
        let (ended, results) = cluster.until(&format!("{code:?}"), LONG, |now| code.seen(now, node));
        assert_eq!(ended, code.code, "{code:?}: {results:?}");
        let why = if code.by == By::Plugin { why(node, &code.id()) } else { String::new() };
        let then = match code.then {
            Then::Again => "stopped and started, the second time on another node",
            Then::Unnoticed => "runs on, and the failure is shown",
            other => other.words(),
        };
        let (who, results, why) = (code.who(), results.join(", ").replace('|', "\\|"), why.replace('|', "\\|"));
        let _ = writeln!(text, "| {who} | {ended} | {results} | {then} | {why} |");
    }
    assert_eq!(cluster.fencings().len(), fenced, "none of this is a reason to fence");
    cluster.clear();
    cluster.until("they are gone", LONG, |now| (now.resources.len() == 1).then_some(()));
    for node in cluster.nodes() {
        assert!(node.processes("ocf-wasm-keeper").is_empty(), "on {}", node.name());
        node.forget().unwrap();
    }
    text
}

/// The section of the page. The plugin that misbehaves is installed.
pub(crate) fn section(cluster: &Cluster) -> String {
    for node in cluster.nodes() {
        let place = node.inside("/usr/lib/ocf/resource.d/test/raw");
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(&place, SHELL).unwrap();
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let (starts, monitors) = (table(cluster, &STARTS), table(cluster, &MONITORS));
    format!(
        "\n## Each exit status\n\nIt is answered on the first node only, where the resource would rather be, and nowhere was a \
         node fenced for it. Our host answers to start with 0 to 2 and 4 to 6, to a recurring monitor also with 7 to 9, 190 \
         and 191, whatever the plugin does; the rest comes from a shell agent, to show why. Each has `migration-threshold={THRESHOLD}`: \
         without it, what fails as soon as it is monitored is started again five times a second, for ever, and other resources \
         wait for their turn. A start that ends with 190 is not here, since what comes of it is not the same each time: it is \
         started and stopped without end, or left as started and failed.\n\n### From start\n\n{starts}\n\
         ### From a monitor each second\n\n{monitors}"
    )
}
