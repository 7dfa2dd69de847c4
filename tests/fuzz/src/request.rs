//! Argument vector and environment to [`Request`], and from there to the canonical values of parameters.
//!
//! The bytes are the two as the kernel hands them over: strings that end with NUL, `/path/of/the/agent`, the action,
//! then `NAME=value`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::sync::LazyLock;

use ocf_wasm::instance::{Directory, RUN, unescape};
use ocf_wasm::ocf::description::{AgentName, Description, Exports, Kind, Parameter};
use ocf_wasm::ocf::outcome::{Exit, Outcome, REASON_BYTES};
use ocf_wasm::ocf::{Action, Request, parameter};

use crate::plain::assert_one_line;

/// Set by whoever starts a cluster, a shell or a loader; nothing of ours may depend on one of them.
const STRANGE: [(&str, &str); 6] = [
    ("LD_PRELOAD", "/x.so"),
    ("PATH", "/x"),
    ("RUST_LOG", "trace"),
    ("TMPDIR", "/x"),
    ("OCF_ROOT", "/x"),
    ("http_proxy", "x"),
];

type Variables = Vec<(OsString, OsString)>;

pub(crate) fn run(data: &[u8]) {
    let mut strings = data.split(|byte| *byte == 0).map(|bytes| OsString::from_vec(bytes.to_vec()));
    let arguments: Vec<OsString> = strings.by_ref().take(2).collect();
    let variables: Variables = strings.filter_map(variable).collect();
    let read = |variables: &Variables| Request::read(arguments.clone(), variables.clone(), || "host".to_owned());
    let request = match read(&variables) {
        Ok(request) => request,
        Err(unreadable) => {
            assert!(!names_an_agent(&arguments, &variables), "{unreadable:?}");
            return assert_one_line(&Outcome::because(Exit::NotInstalled, &unreadable.0).reason, REASON_BYTES);
        }
    };
    assert!(names_an_agent(&arguments, &variables), "{}", request.agent);
    let is_the_same = |other: Variables| format!("{:?}", read(&other)) == format!("Ok({request:?})");
    let strange = STRANGE.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    assert!(is_the_same(variables.iter().cloned().chain(strange).collect()), "a strange variable counts");
    assert_given(&request, &variables);
    assert_facts(&request);
    assert_instance(&request);
    assert_canonical(&request);
}

/// `NAME=value`; whatever else stands in an environment is no variable.
fn variable(text: OsString) -> Option<(OsString, OsString)> {
    let mut name = text.into_vec();
    let at = name.iter().position(|byte| *byte == b'=').filter(|at| *at > 0)?;
    let value = name.split_off(at + 1);
    name.pop();
    Some((OsString::from_vec(name), OsString::from_vec(value)))
}

/// Whether the path ends with `/PROVIDER/TYPE`, or is `TYPE` alone and the environment names the provider.
fn names_an_agent(arguments: &[OsString], variables: &Variables) -> bool {
    let path = arguments.first().map_or(Path::new(""), Path::new);
    let is_word = |text: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        (1..=64).contains(&text.len()) && text.as_bytes()[0].is_ascii_alphanumeric() && text.bytes().all(plain)
    };
    let Some(kind) = path.file_name().and_then(|name| name.to_str()) else { return false };
    let above = path.parent().and_then(Path::file_name).map(|name| name.to_str().map(str::to_owned));
    let provider = above.unwrap_or_else(|| last(variables, "OCF_RESOURCE_PROVIDER"));
    is_word(kind) && provider.is_some_and(|provider| is_word(&provider))
}

/// The last text that a variable was set to.
fn last(variables: &Variables, name: &str) -> Option<String> {
    variables.iter().rev().filter(|(n, _)| n == name).find_map(|(_, value)| value.to_str().map(str::to_owned))
}

fn assert_given(request: &Request, variables: &Variables) {
    let prefix = "OCF_RESKEY_";
    for (name, value) in &request.given {
        assert!(!name.starts_with("CRM_meta_"), "{name}");
        assert_eq!(last(variables, &format!("{prefix}{name}")).as_ref(), Some(value), "{name}");
    }
    for (name, value) in variables {
        let Some(name) = name.to_str().and_then(|name| name.strip_prefix(prefix)) else { continue };
        let is_meta = name.starts_with("CRM_meta_");
        assert_eq!(request.given.contains_key(name) || request.garbled.iter().any(|n| n == name), !is_meta, "{name}");
        assert!(is_meta || value.to_str().is_some() || request.garbled.iter().any(|n| n == name), "{name}");
    }
}

fn assert_facts(request: &Request) {
    assert_eq!(request.is_probe(), request.action == Some(Action::Monitor) && request.interval_ms == 0);
    assert!(request.timeout_ms != Some(0) && !request.node.is_empty());
    let prefix = &request.reason_prefix;
    assert!(
        (1..64).contains(&prefix.len())
            && !prefix.contains(char::is_control)
            && prefix.find(':') == Some(prefix.len() - 1)
    );
    assert!(request.log.file.as_ref().is_none_or(|file| file.is_absolute()));
    assert!(request.log.facility.as_ref().is_none_or(|facility| !facility.is_empty()));
    assert_eq!(request.action, Action::parse(&request.word));
}

/// A name that is used leads to a directory directly below its agent's, and can be told from it.
fn assert_instance(request: &Request) {
    match request.instance_name() {
        Ok(name) => {
            assert!((1..=200).contains(&name.len()) && !name.contains('/') && !name.contains(char::is_control));
            let directory = Directory::of(&request.agent, name);
            let AgentName { provider, kind } = &request.agent;
            assert_eq!(directory.path().parent(), Some(Path::new(RUN).join(provider).join(kind).as_path()), "{name:?}");
            let file = directory.path().file_name().and_then(|file| file.to_str()).unwrap_or_default();
            assert_eq!(unescape(file), name);
            assert!(!file.starts_with('.') && file.len() < 1024);
        }
        Err(text) => assert_one_line(&Outcome::because(Exit::NotConfigured, &text).reason, REASON_BYTES),
    }
}

fn declared(name: &str, kind: Kind) -> Parameter {
    Parameter {
        name: name.to_owned(),
        kind,
        required: false,
        default: None,
        unique: None,
        reloadable: false,
        short: String::new(),
        long: String::new(),
        deprecated: None,
    }
}

/// An agent with a parameter of each type.
static AGENT: LazyLock<Description> = LazyLock::new(|| Description {
    name: AgentName { provider: "acme".to_owned(), kind: "thing".to_owned() },
    version: String::new(),
    short: String::new(),
    long: String::new(),
    interval_ms: 0,
    timeouts: Vec::new(),
    monitors: Vec::new(),
    parameters: vec![
        declared("port", Kind::Port),
        declared("greet", Kind::Text),
        declared("delay", Kind::Duration),
        declared("room", Kind::Size),
        declared("count", Kind::Integer { min: Some(-5), max: Some(5_000_000_000) }),
        declared("loud", Kind::Boolean),
        declared("mode", Kind::Select(vec!["fast".to_owned(), "safe mode".to_owned()])),
        declared("passwd", Kind::Integer { min: None, max: None }),
    ],
    exports: Exports::default(),
});

/// What is canonical is within the bounds of its type, and reads as itself where its unit is the smallest.
fn assert_canonical(request: &Request) {
    let values = match parameter::check(&AGENT, &request.given, &request.garbled) {
        Ok(values) => values,
        Err(wrong) => {
            assert!(wrong.0.starts_with("parameter "), "{}", wrong.0);
            let secret = request.given.get("passwd").filter(|_| wrong.0.starts_with("parameter passwd:"));
            // Short ones are found in words.
            let shown = secret.is_some_and(|secret| secret.len() > 12 && wrong.0.contains(secret.as_str()));
            assert!(!shown, "{} shows a secret", wrong.0);
            return assert_one_line(&Outcome::because(Exit::NotConfigured, &wrong.0).reason, REASON_BYTES);
        }
    };
    let declared: Vec<&String> = AGENT.parameters.iter().map(|parameter| &parameter.name).collect();
    assert!(values.keys().all(|name| declared.contains(&name)));
    let number = |name: &str| values.get(name).map(|value| value.parse::<i128>().unwrap_or(i128::MIN));
    assert!(number("port").is_none_or(|port| (1..=65_535).contains(&port)));
    assert!(number("count").is_none_or(|count| (-5..=5_000_000_000).contains(&count)));
    assert!(number("delay").is_none_or(|ms| (0..=i128::from(u64::MAX)).contains(&ms)));
    assert!(number("room").is_none_or(|bytes| (0..=i128::from(i64::MAX)).contains(&bytes)));
    assert!(values.get("loud").is_none_or(|word| matches!(word.as_str(), "true" | "false")));
    assert!(values.get("mode").is_none_or(|word| matches!(word.as_str(), "fast" | "safe mode")));
    assert!(values.get("greet").is_none_or(|text| Some(text) == request.given.get("greet")));
    // Milliseconds are the only canonical form that needs its unit when it is written down again.
    let again: BTreeMap<String, String> = values
        .iter()
        .map(|(name, value)| (name.clone(), if name == "delay" { format!("{value}ms") } else { value.clone() }))
        .collect();
    assert_eq!(parameter::check(&AGENT, &again, &[]), Ok(values));
}
