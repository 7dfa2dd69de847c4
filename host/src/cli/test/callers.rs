//! Whoever calls an agent, and whatever they put into arguments and environment. Recorded from the tools themselves;
//! what an agent gets is the same file with more or fewer variables.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use super::call::{Call, LOG};
use super::node::Node;
use super::{Check, Finding, Not};
use crate::ocf::Action;
use crate::ocf::description::Kind;
use crate::ocf::outcome::Exit::{Arguments, Generic, NotConfigured, NotInstalled, NotRunning, Success, Unimplemented};

pub(super) static CHECKS: [Check; 12] = [
    Check {
        name: "caller-executor",
        what: "a whole life under Pacemaker's executor",
        source: "Pacemaker 2.1.5, pacemaker-execd: the recorded environment of a primitive",
        advice: "see what the failed action says",
        run: |node| life(node, &recurring),
    },
    Check {
        name: "caller-clone",
        what: "a whole life as a copy of a clone, told apart by number",
        source: "Pacemaker 2.1.5: the recorded environment of a globally unique clone",
        advice: "do not take the instance's name for a file or a host name; clone facts are an Option",
        run: |node| {
            node.instance.push_str(":1");
            life(node, &|node, action| recurring(node, action).set_all(&CLONE))
        },
    },
    Check {
        name: "caller-crm-resource",
        what: "a whole life under crm_resource --force-*, and --validate, which is also what pcs runs",
        source: "crm_resource 2.1.5: no node name, all meta-attributes, its own output format",
        advice: "do not rely on CRM_meta_on_node",
        run: crm_resource_does_all,
    },
    Check {
        name: "caller-ocf-tester",
        what: "a whole life under ocf-tester",
        source: "ocf-tester: no type, provider or version; __OCF_ACTION is set",
        advice: "see what the failed action says",
        run: |node| life(node, &ocf_tester),
    },
    Check {
        name: "caller-drbd-reactor",
        what: "a whole life under drbd-reactor's wrapper",
        source: "drbd-reactor, ocf.rs@.service: root, instance and parameters, and any monitor but 0 is a failure",
        advice: "do not need any meta-attribute",
        run: |node| life(node, &drbd_reactor),
    },
    Check {
        name: "caller-by-hand",
        what: "a whole life by hand, with nothing but instance and parameters; without an instance, a start says 6",
        source: "a person at a shell",
        advice: "do not need any meta-attribute",
        run: by_hand_does_all,
    },
    Check {
        name: "caller-crmsh",
        what: "validate-all without instance and type",
        source: "crmsh, ra.py: runs the file with OCF_ROOT and parameters only",
        advice: "validate must not use the instance's name",
        run: |node| {
            worth_validating(node)?;
            let call = node.with_parameters(Call::bare(Action::ValidateAll).set("OCF_ROOT", "/usr/lib/ocf"));
            node.expect(&call, &[Success]).map(drop)
        },
    },
    Check {
        name: "unknown-action",
        what: "an unknown action, none, and an empty one are 3, before anything else is looked at",
        source: "OCF 1.1, actions; ocf-tester takes any other status for an implemented action",
        advice: "this is the host's part: report it",
        run: unknown_action,
    },
    Check {
        name: "garbage-arguments",
        what: "no argument that is no action makes it do anything but answer 3",
        source: "arguments that are not UTF-8 or very long; more arguments than one are ignored",
        advice: "this is the host's part: report it",
        run: garbage_arguments,
    },
    Check {
        name: "garbage-environment",
        what: "no variable that nobody declared changes an answer",
        source: "parameters that are unknown, not UTF-8 or very long; meta-attributes that are no numbers",
        advice: "read parameters from the struct only",
        run: garbage_environment,
    },
    Check {
        name: "strange-values",
        what: "text with quotes, lines, accents and 64 KiB: validate-all says yes or no, a probe says 7",
        source: "a probe that answers 1 stops the healthy copy on another node",
        advice: "do not slice text by bytes; fail with `arguments` or `configuration` in validate only",
        run: strange_values,
    },
    Check {
        name: "empty-values",
        what: "an optional parameter that is set and empty is taken or refused, and breaks nothing",
        source: "pcs and crmsh write empty values where a person deletes one",
        advice: "treat an empty text as not set, or refuse it in validate",
        run: empty_values,
    },
];

/// Facts about a clone, as of a globally unique one with three copies.
const CLONE: [(&str, &str); 5] = [
    ("OCF_RESKEY_CRM_meta_clone", "1"),
    ("OCF_RESKEY_CRM_meta_clone_max", "3"),
    ("OCF_RESKEY_CRM_meta_clone_node_max", "2"),
    ("OCF_RESKEY_CRM_meta_globally_unique", "true"),
    ("OCF_RESKEY_CRM_meta_notify", "false"),
];

/// What Pacemaker's executor sets.
pub(super) fn executor(node: &Node, action: Action) -> Call {
    let call = Call::bare(action).set_all(&[
        ("LC_ALL", "C"),
        ("PCMK_service", "pacemaker-execd"),
        ("PCMK_logfacility", "none"),
        ("HA_debug", "0"),
        ("HA_LOGFILE", LOG),
        ("OCF_OUTPUT_FORMAT", "text"),
        ("OCF_RESKEY_crm_feature_set", "3.16.1"),
        ("OCF_RESKEY_CRM_meta_on_node", "node1"),
        ("OCF_RESKEY_CRM_meta_on_node_uuid", "1"),
        ("OCF_RESKEY_CRM_meta_name", action.word()),
    ]);
    named(node, node.with_parameters(call)).within(node.advertised(action))
}

/// The same with an interval, as of the monitors that the cluster repeats.
fn recurring(node: &Node, action: Action) -> Call {
    let call = executor(node, action);
    if action == Action::Monitor { call.with("CRM_meta_interval", "10000") } else { call }
}

/// What every part of Pacemaker sets.
fn named(node: &Node, call: Call) -> Call {
    call.set_all(&[
        ("OCF_ROOT", "/usr/lib/ocf"),
        ("OCF_RA_VERSION_MAJOR", "1"),
        ("OCF_RA_VERSION_MINOR", "1"),
        ("OCF_EXIT_REASON_PREFIX", super::standing::PREFIX),
        ("OCF_RESOURCE_INSTANCE", &node.instance),
        ("OCF_RESOURCE_TYPE", &node.agent.kind),
        ("OCF_RESOURCE_PROVIDER", &node.agent.provider),
    ])
}

fn crm_resource(node: &Node, action: Action) -> Call {
    let call = Call::bare(action).set_all(&[
        ("PCMK_service", "crm_resource"),
        ("PCMK_logfacility", "none"),
        ("OCF_OUTPUT_FORMAT", "xml"),
        ("HA_LOGFILE", LOG),
        ("OCF_TRACE_FILE", "/dev/stderr"),
        ("OCF_RESKEY_CRM_meta_id", &node.instance),
        ("OCF_RESKEY_CRM_meta_class", "ocf"),
        ("OCF_RESKEY_CRM_meta_allow_migrate", "true"),
        ("OCF_RESKEY_CRM_meta_target_role", "Stopped"),
    ]);
    named(node, node.with_parameters(call)).within(node.advertised(action))
}

fn ocf_tester(node: &Node, action: Action) -> Call {
    let call = Call::bare(action).set_all(&[
        ("OCF_ROOT", "/usr/lib/ocf"),
        ("OCF_RESOURCE_INSTANCE", &node.instance),
        ("OCF_RESKEY_CRM_meta_interval", "10000"),
        ("__OCF_ACTION", action.word()),
    ]);
    node.with_parameters(call).within(node.advertised(action))
}

fn drbd_reactor(node: &Node, action: Action) -> Call {
    let call = Call::bare(action).set_all(&[
        ("OCF_ROOT", "/usr/lib/ocf"),
        ("OCF_RESOURCE_INSTANCE", &node.instance),
        ("monitor_interval", "30"),
    ]);
    Call { timeout: node.advertised(action), ..node.with_parameters(call) }
}

fn by_hand(node: &Node, action: Action) -> Call {
    let call =
        Call::bare(action).set("OCF_RESOURCE_INSTANCE", &node.instance).set("TERM", "xterm").set("HOME", "/root");
    Call { timeout: node.advertised(action), ..node.with_parameters(call) }
}

/// From nothing to nothing, by way of a running instance.
fn life(node: &mut Node, caller: &dyn Fn(&Node, Action) -> Call) -> Finding {
    use Action::{Monitor, Start, Stop};
    // Who cannot start at all says so in the check that is for it.
    node.worth_starting()?;
    for (action, wanted) in [
        (Monitor, NotRunning),
        (Stop, Success),
        (Start, Success),
        (Monitor, Success),
        (Stop, Success),
        (Monitor, NotRunning),
    ] {
        let call = caller(node, action);
        node.expect(&call, &[wanted])?;
    }
    super::life::nothing_alive(node)
}

/// Blocks a check that needs validate-all to say yes.
pub(super) fn worth_validating(node: &Node) -> Finding {
    match node.failed.contains("validate") {
        true => Err(Not::Blocked("validate did not pass".to_owned())),
        false => Ok(()),
    }
}

fn crm_resource_does_all(node: &mut Node) -> Finding {
    worth_validating(node)?;
    for level in [0, 10] {
        let call = crm_resource(node, Action::ValidateAll).level(level);
        node.expect(&call, &[Success])?;
    }
    life(node, &crm_resource)
}

fn by_hand_does_all(node: &mut Node) -> Finding {
    let nameless = Call { environment: std::collections::BTreeMap::new(), ..Call::bare(Action::Start) };
    node.expect(&nameless, &[NotConfigured])?;
    life(node, &by_hand)
}

fn unknown_action(node: &mut Node) -> Finding {
    for call in [
        Call::of("frobnicate"),
        Call::of(""),
        Call { arguments: Vec::new(), ..Call::of("") },
        // Before the parameters: each of them would be wrong.
        Call { action: None, ..executor(node, Action::Start) }.retold("START"),
    ] {
        node.expect(&call, &[Unimplemented])?;
    }
    Ok(())
}

impl Call {
    fn retold(self, word: &str) -> Self {
        Self { arguments: vec![word.into()], ..self }
    }
}

fn garbage_arguments(node: &mut Node) -> Finding {
    node.worth_probing()?;
    let garbage = [
        OsString::from_vec(b"\xff\xfestart".to_vec()),
        "x".repeat(100_000).into(),
        "start\n".into(),
        " start".into(),
        "start;stop".into(),
        "--help".into(),
    ];
    for word in garbage {
        let call = Call { action: None, arguments: vec![word], ..executor(node, Action::Start) };
        node.expect(&call, &[Unimplemented])?;
    }
    let mut call = node.call(Action::Monitor);
    call.arguments.extend(["start".into(), OsString::from_vec(vec![0xff; 10])]);
    node.expect(&call, &[NotRunning]).map(drop)
}

fn garbage_environment(node: &mut Node) -> Finding {
    node.worth_probing()?;
    let probe = node.call(Action::Monitor);
    for call in [
        probe.clone().with("no_such_parameter", OsString::from_vec(b"\xff\xfe".to_vec())),
        probe.clone().with("no_such_parameter", "x".repeat(100_000)),
        probe.clone().set(OsString::from_vec(b"OCF_RESKEY_\xff".to_vec()), "x"),
        probe.clone().set("OCF_RESKEY_", "x"),
        probe.clone().with("CRM_meta_interval", "soon"),
        probe.clone().with("CRM_meta_timeout", "-1"),
        probe.clone().with("CRM_meta_clone", "first"),
        probe.clone().with("CRM_meta_on_node", ""),
        probe.clone().set("OCF_CHECK_LEVEL", "deep"),
        probe.clone().set("OCF_RESOURCE_TYPE", ""),
    ] {
        node.expect(&call, &[NotRunning])?;
    }
    Ok(())
}

fn strange_values(node: &mut Node) -> Finding {
    let is_text = |kind: &Kind| matches!(kind, Kind::Text);
    let names: Vec<String> =
        node.description.parameters.iter().filter(|p| is_text(&p.kind)).map(|p| p.name.clone()).collect();
    if names.is_empty() {
        return Err(Not::Skipped("no parameter is text".to_owned()));
    }
    node.worth_probing()?;
    worth_validating(node)?;
    let long = "x".repeat(64 * 1024);
    for name in names {
        for value in
            ["\u{e4}\u{20ac}\u{1f600}", "two\nlines", "it's \"quoted\" $HOME `id` \\", "\u{202e}-x", long.as_str()]
        {
            let validate = node.call(Action::ValidateAll).with(&name, value);
            node.expect(&validate, &[Success, Arguments, NotConfigured]).map_err(|not| about(not, &name, value))?;
            let probe = node.call(Action::Monitor).with(&name, value);
            let wanted = [NotRunning, NotInstalled, Arguments];
            node.expect(&probe, &wanted).map_err(|not| about(not, &name, value))?;
        }
    }
    Ok(())
}

fn empty_values(node: &mut Node) -> Finding {
    let names: Vec<String> =
        node.description.parameters.iter().filter(|p| !p.required).map(|p| p.name.clone()).collect();
    if names.is_empty() {
        return Err(Not::Skipped("no parameter is optional".to_owned()));
    }
    node.worth_probing()?;
    worth_validating(node)?;
    for name in names {
        let validate = node.call(Action::ValidateAll).with(&name, "");
        node.expect(&validate, &[Success, Arguments, NotConfigured]).map_err(|not| about(not, &name, ""))?;
        let probe = node.call(Action::Monitor).with(&name, "");
        let wanted = [NotRunning, NotInstalled, Arguments];
        node.expect(&probe, &wanted).map_err(|not| about(not, &name, ""))?;
    }
    Ok(())
}

/// Says with which value.
fn about(not: Not, name: &str, value: &str) -> Not {
    match not {
        Not::Failed(text) => {
            let value: String = value.chars().take(20).collect();
            Not::Failed(format!("{name} = {value:?}: {text}"))
        }
        other => other,
    }
}

/// What a start without everything that it needs may answer.
pub(super) const REFUSALS: [crate::ocf::outcome::Exit; 3] =
    [Generic, crate::ocf::outcome::Exit::Permission, NotInstalled];
