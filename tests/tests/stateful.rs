//! Stateful: a resource with two roles, by hand without a cluster, and with its promotion score in a CIB.
//!
//! Without root or Pacemaker the tests of the score say so and pass; with `CI=true` they fail instead.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeMap;
use std::fs;

use ocf_wasm_tests::host::{TestHost, finish, plugin, policy_of};
use ocf_wasm_tests::node::{Node, done, room};

const AGENT: &str = "ocf-wasm/stateful";
/// Where the capsule has its CIB.
const CIB: &str = "/run/cib/cib.xml";
const CIB_FILE: &str = "CIB_file=/run/cib/cib.xml";
const TIMEOUT_MS: u32 = 20_000;

/// The whole life of an instance; the score is not looked at.
fn lives(host: &TestHost) {
    let action = |word| host.action(AGENT, word).instance("db");
    let monitor = |code| {
        let _ = action("monitor").is(code);
        let _ = action("monitor").recurring().is(code);
    };
    monitor(7);
    let _ = action("promote").is(1).says("not running");
    let _ = action("demote").is(7);
    let _ = action("stop").is(0);
    let _ = action("start").is(0);
    let _ = action("start").is(0);
    monitor(0);
    let _ = action("demote").is(0);
    monitor(0);
    let _ = action("promote").is(0);
    monitor(8);
    let _ = action("promote").is(0);
    let _ = action("reload-agent").with("notify_delay", "1s").is(0);
    monitor(8);
    let _ = action("notify").with("notify_delay", "1ms").is(0);
    let _ = action("demote").is(0);
    monitor(0);
    let _ = action("promote").is(0);
    let _ = action("stop").is(0);
    monitor(7);
    let _ = action("stop").is(0);
    // A start of something promoted ends unpromoted.
    let _ = action("start").is(0);
    let _ = action("promote").is(0);
    let _ = action("start").is(0);
    monitor(0);
    let _ = action("stop").is(0);
    let _ = action("validate-all").is(0);
    let _ = action("validate-all").with("notify_delay", "soon").is(6).says("notify_delay");
    let _ = action("migrate_to").is(3);
}

#[test]
fn it_lives_without_a_cluster() {
    lives(&TestHost::with(&["stateful"]));
}

#[test]
fn it_lives_where_no_score_can_be_set() {
    let host = TestHost::new();
    host.add(&plugin("stateful"), &[]);
    let bound = policy_of("stateful");
    let absent = bound.replace("/usr/sbin/crm_attribute", "/usr/sbin/crm_attribute-absent");
    let failing = bound.replace("/usr/sbin/crm_attribute", "/usr/bin/false");
    assert!(absent != bound && failing != bound);
    for policy in ["format = 1\n", &absent, &failing] {
        host.policy(AGENT, policy);
        lives(&host);
    }
    // Who finds no cluster is told, each time.
    host.policy(AGENT, "format = 1\n");
    let log = host.path().join("log");
    let call = |word| host.call(AGENT).argument(word).instance("db").variable("HA_LOGFILE", &log);
    let _ = call("start").is(0);
    let _ = call("stop").is(0);
    let told = fs::read_to_string(&log).unwrap();
    assert_eq!(told.matches("WARNING: program score: not granted").count(), 2, "{told}");
}

#[test]
fn a_tool_that_hangs_is_given_up() {
    let host = TestHost::new();
    host.add(&plugin("stateful"), &[]);
    let mut policy = policy_of("stateful");
    for (from, to) in [
        ("/usr/sbin/crm_attribute", "/usr/bin/env"),
        ("\"--promotion\", ", ""),
        ("\"--\"", "\"CHANGE=\""),
        ("\"delete\"] }]", "\"delete\"] }, \"sleep\", \"1000\"]"),
        ("\"4s\"", "\"100ms\""),
        ("\"hacluster\"", "\"root\""),
    ] {
        assert!(policy.contains(from), "{from}: {policy}");
        policy = policy.replace(from, to);
    }
    host.policy(AGENT, &policy);
    let log = host.path().join("log");
    let call = |word| host.call(AGENT).argument(word).instance("db").variable("HA_LOGFILE", &log);
    for (action, code) in [("start", 0), ("promote", 0), ("monitor", 8), ("stop", 0), ("monitor", 7)] {
        let _ = call(action).is(code);
    }
    // The probe of what runs has tried too, and says so only to who debugs: a good monitor is quiet.
    let told = fs::read_to_string(&log).unwrap();
    assert_eq!(told.matches("WARNING: program score: no time left").count(), 3, "{told}");
}

/// A node with the plugin in a capsule, whose CIB knows two nodes and a container. The tool is told of the CIB, whose user
/// it is, and nothing else is changed in the policy that comes with the plugin.
struct Cluster(Node);

impl Cluster {
    fn new() -> Self {
        let policy = policy_of("stateful");
        // The tool is told of a file in place of the cluster, which it then must see.
        let shown = policy.replace("cluster = true", "write = [\"/run/cib\"]");
        assert_ne!(shown, policy);
        let with_cib = format!("{shown}environment.CIB_file = \"{CIB}\"\n");
        Self::with(&with_cib)
    }

    fn with(policy: &str) -> Self {
        // What stands for the cluster is a file of root's.
        let policy = &policy.replace("\"hacluster\"", "\"root\"");
        let host = TestHost::new();
        host.policy(AGENT, policy);
        host.add(&plugin("stateful"), &[]);
        let node = Node::new(host);
        let empty = finish(&mut node.executor.command(&["cibadmin", "--empty"])).stdout;
        let nodes = r#"<nodes><node id="1" uname="n1"/><node id="2" uname="n2"/>
            <node id="b-0" uname="b-0" type="remote"/></nodes>"#;
        let state = r#"<status><node_state id="1" uname="n1"/><node_state id="2" uname="n2"/>
            <node_state id="b-0" uname="b-0" remote_node="true"/></status>"#;
        let cib = empty.replace("<nodes/>", nodes).replace("<status/>", state);
        assert!(cib.contains("node_state") && cib.contains("<node id"), "{cib}");
        fs::create_dir(node.executor.inside("/run/cib")).unwrap();
        fs::write(node.executor.inside(CIB), cib).unwrap();
        Self(node)
    }

    fn acts(&self, instance: &str, action: &str, more: &[(&str, &str)], rc: i32) {
        let is_elsewhere = more.iter().any(|(name, _)| *name == "CRM_meta_on_node");
        let here = if is_elsewhere { &[][..] } else { &[("CRM_meta_on_node", "n1")] };
        let all = [here, more].concat();
        done(&self.0.action(instance, action, TIMEOUT_MS, &all), rc);
    }

    /// The score of an instance on a node; none if there is none.
    fn score(&self, instance: &str, node: &str) -> Option<String> {
        let name = format!("master-{instance}");
        let words = ["crm_attribute", "--node", node, "--name", &name, "--lifetime", "reboot", "--query", "--quiet"];
        let ran = finish(&mut self.0.executor.command(&[&["env", CIB_FILE][..], &words].concat()));
        (ran.code == 0).then(|| ran.stdout.trim().to_owned())
    }
}

#[test]
fn its_score_follows_its_role() {
    if !room() {
        return;
    }
    let cluster = Cluster::new();
    // The copy of an anonymous clone, and one that is told apart from others.
    for instance in ["db", "db:1"] {
        cluster.0.executor.register(instance, "ocf-wasm", "stateful").unwrap();
        let recurring = [("CRM_meta_interval", "10000")];
        let of = |node| cluster.score(instance, node);
        assert_eq!(of("n1"), None);
        for (action, more, rc, score) in [
            ("monitor", &[][..], 7, None),
            ("start", &[], 0, Some("5")),
            ("monitor", &recurring, 0, Some("5")),
            ("promote", &[], 0, Some("10")),
            ("monitor", &recurring, 8, Some("10")),
            ("demote", &[], 0, Some("5")),
            ("promote", &[], 0, Some("10")),
            ("stop", &[], 0, None),
            ("stop", &[], 0, None),
        ] {
            cluster.acts(instance, action, more, rc);
            assert_eq!(of("n1").as_deref(), score, "{instance}: {action}");
            assert_eq!(of("n2"), None, "{instance}: {action}");
        }
        // A cluster that has forgotten it is told by the next probe, and by no recurring monitor.
        cluster.acts(instance, "start", &[], 0);
        cluster.acts(instance, "promote", &[], 0);
        let name = format!("master-{instance}");
        let words = ["crm_attribute", "--node", "n1", "--name", &name, "--lifetime", "reboot", "--delete"];
        let forgotten = [&["env", CIB_FILE][..], &words].concat();
        assert_eq!(finish(&mut cluster.0.executor.command(&forgotten)).code, 0);
        cluster.acts(instance, "monitor", &recurring, 8);
        assert_eq!(of("n1"), None);
        cluster.acts(instance, "monitor", &[], 8);
        assert_eq!(of("n1").as_deref(), Some("10"));
        cluster.acts(instance, "stop", &[], 0);
    }
}

/// With all that Pacemaker adds for a bundle. The node is the container, and so it is for the tool, as long as a file stands
/// for the cluster: it is the cluster's daemon that would look up the host.
#[test]
fn a_replica_of_a_bundle_lives_as_any_other() {
    if !room() {
        return;
    }
    let cluster = Cluster::new();
    cluster.0.executor.register("db", "ocf-wasm", "stateful").unwrap();
    let bundle = [
        ("CRM_meta_on_node", "b-0"),
        ("CRM_meta_on_node_uuid", "b-0"),
        ("CRM_meta_physical_host", "n2"),
        ("CRM_meta_container_attribute_target", "host"),
        ("CRM_meta_container", "db-bundle-podman-0"),
        ("CRM_meta_remote_node", "b-0"),
        ("pcmk_external_ip", "10.0.0.7"),
        ("CRM_meta_clone", "0"),
        ("CRM_meta_clone_max", "2"),
        ("CRM_meta_globally_unique", "false"),
        ("CRM_meta_notify", "true"),
    ];
    let recurring = [("CRM_meta_interval", "10000")];
    let notice = [("CRM_meta_notify_type", "post"), ("CRM_meta_notify_operation", "promote")];
    for (action, more, rc, score) in [
        ("monitor", &[][..], 7, None),
        ("start", &[], 0, Some("5")),
        ("monitor", &recurring, 0, Some("5")),
        ("monitor", &[], 0, Some("5")),
        ("promote", &[], 0, Some("10")),
        ("notify", &notice, 0, Some("10")),
        ("monitor", &recurring, 8, Some("10")),
        ("demote", &[], 0, Some("5")),
        ("stop", &[], 0, None),
        ("monitor", &[], 7, None),
    ] {
        cluster.acts("db", action, &[&bundle[..], more].concat(), rc);
        assert_eq!(cluster.score("db", "b-0").as_deref(), score, "{action}");
        assert_eq!([cluster.score("db", "n1"), cluster.score("db", "n2")], [None, None], "{action}");
    }
}

#[test]
fn the_tool_is_told_of_the_resource_and_the_node_and_of_nothing_else() {
    if !room() {
        return;
    }
    // Instead of it, a program that keeps its own environment in a file.
    let policy = policy_of("stateful").replace("/usr/sbin/crm_attribute", "/usr/bin/cp");
    let seen = policy.replace("\"--promotion\", ", "\"/proc/self/environ\", ").replace("\"--\"", "\"/run/seen/\"");
    assert_eq!(seen.matches("/proc/self/environ").count() + seen.matches("\"/run/seen/\"").count(), 2);
    let shown = seen.replace("cluster = true", "write = [\"/run/seen\"]");
    assert_ne!(shown, seen);
    let cluster = Cluster::with(&shown);
    fs::create_dir(cluster.0.executor.inside("/run/seen")).unwrap();
    cluster.0.executor.register("db:1", "ocf-wasm", "stateful").unwrap();
    let told = |change: &str| -> BTreeMap<String, String> {
        let bytes = fs::read(cluster.0.executor.inside(format!("/run/seen/{change}"))).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        text.split_terminator('\0')
            .map(|entry| entry.split_once('=').unwrap())
            .map(|(n, v)| (n.into(), v.into()))
            .collect()
    };
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let always = [("LANG", "C.UTF-8"), ("OCF_RESOURCE_INSTANCE", "db:1"), ("PATH", path)];
    let expect = |more: &[(&str, &str)]| -> BTreeMap<String, String> {
        always.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let (physical, target) = ("CRM_meta_physical_host", "CRM_meta_container_attribute_target");
    cluster.acts("db:1", "start", &[("secret", "s3cr3t")], 0);
    assert_eq!(told("update=5"), expect(&[("OCF_RESKEY_CRM_meta_on_node", "n1")]));
    // In a bundle.
    cluster.acts("db:1", "promote", &[("CRM_meta_on_node", "db-bundle-0"), (physical, "n2"), (target, "host")], 0);
    assert_eq!(
        told("update=10"),
        expect(&[
            ("OCF_RESKEY_CRM_meta_on_node", "db-bundle-0"),
            ("OCF_RESKEY_CRM_meta_physical_host", "n2"),
            ("OCF_RESKEY_CRM_meta_container_attribute_target", "host"),
        ])
    );
    cluster.acts("db:1", "stop", &[], 0);
    assert_eq!(told("delete"), expect(&[("OCF_RESKEY_CRM_meta_on_node", "n1")]));
}

#[test]
fn what_it_suggests_is_the_policy_that_comes_with_it() {
    let host = TestHost::new();
    host.add(&plugin("stateful"), &[]);
    let suggested = host.run(&["suggest", plugin("stateful").to_str().unwrap()]);
    assert_eq!(suggested.code, 0, "{suggested:#?}");
    let keys = |text: &str| -> Vec<String> {
        let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        let mut lines: Vec<String> = lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        lines.sort();
        lines
    };
    // The user is for the operator to fill in.
    assert_eq!(
        keys(&suggested.stdout.replace("user     = \"\"", "user = \"hacluster\"")),
        keys(&policy_of("stateful"))
    );
}
