//! What real callers pass, replayed byte by byte: Pacemaker 2.1.5 for primitives, clones, promotable clones and
//! migrations, and `crm_resource`. The recordings are `golden/ocf-env/*.txt`, the answers `golden/ocf-env/codes.txt`.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use ocf_wasm_tests::host::{Ran, TestHost, hostile, is_root};

/// It has every export, and behaves unless it is told not to.
const AGENT: &str = "test/hostile";

fn recordings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/ocf-env")
}

/// One recorded call.
struct Recorded {
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Recorded {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let (head, environment) = text.split_once("## environment").unwrap();
        let arguments = head.lines().filter_map(|line| line.strip_prefix("argv[")?.split_once("]="));
        let arguments = arguments.skip(1).map(|(_, word)| word.to_owned()).collect();
        let environment = environment.lines().skip(1).filter_map(|line| line.split_once('='));
        Self { arguments, environment: environment.map(|(n, v)| (n.to_owned(), v.to_owned())).collect() }
    }

    fn instance(&self) -> &str {
        let found = self.environment.iter().find(|(name, _)| name == "OCF_RESOURCE_INSTANCE");
        found.map_or("", |(_, value)| value)
    }

    /// Replays it for another agent, with its log in the private root.
    fn replay(&self, host: &TestHost) -> Ran {
        let log = host.path().join("log").display().to_string();
        let mut call = host.call(AGENT).before("umask 0026; cd /");
        for word in &self.arguments {
            call = call.argument(word);
        }
        for (name, value) in &self.environment {
            let value = match name.as_str() {
                "OCF_RESOURCE_PROVIDER" => "test",
                "OCF_RESOURCE_TYPE" => "hostile",
                "HA_LOGFILE" | "PCMK_logfile" => log.as_str(),
                _ => value,
            };
            call = call.variable(name, value);
        }
        call.run()
    }
}

#[test]
fn every_recorded_call_gets_its_answer() {
    let table = fs::read_to_string(recordings().join("codes.txt")).unwrap();
    let mut codes: BTreeMap<&str, (i32, i32)> = BTreeMap::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, stopped, running] = words[..] else { panic!("{line:?}") };
        codes.insert(name, (stopped.parse().unwrap(), running.parse().unwrap()));
    }
    let host = TestHost::new();
    host.policy(AGENT, "format = 1\n");
    host.add(&hostile(), &[]);
    let mut names: Vec<String> =
        fs::read_dir(recordings()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != "codes.txt");
    names.sort();
    let mut told = Vec::new();
    let mut wrong = Vec::new();
    for name in &names {
        let recorded = Recorded::read(&recordings().join(name));
        let instance = if recorded.instance().is_empty() { "x" } else { recorded.instance() };
        let stop = || {
            let _ = host.action(AGENT, "stop").instance(instance).is(0);
        };
        let stopped = recorded.replay(&host);
        stop();
        let _ = host.action(AGENT, "start").instance(instance).is(0);
        let running = recorded.replay(&host);
        stop();
        let name = name.strip_suffix(".txt").unwrap();
        told.push(format!("{name:<52} {} {}", stopped.code, running.code));
        if codes.remove(name) != Some((stopped.code, running.code)) {
            wrong.push(format!("{}\n{stopped:#?}\n{running:#?}", told.last().unwrap()));
        }
        for ran in [stopped, running] {
            let code = ran.code;
            let ran = ran.is(code);
            assert_eq!(ran.stdout.is_empty(), recorded.arguments != ["meta-data"], "{ran:#?}");
        }
    }
    assert!(wrong.is_empty(), "{}\nall answers:\n{}", wrong.join("\n"), told.join("\n"));
    assert!(codes.is_empty(), "without a recording: {codes:?}");
    let log = fs::read_to_string(host.path().join("log")).unwrap_or_default();
    assert!(!log.contains("s3cr3t"), "a secret in the log: {log}");
}

#[test]
fn a_monitor_is_as_deep_as_what_is_declared_and_asked_for() {
    let host = TestHost::new();
    host.policy(AGENT, "format = 1\n");
    host.add(&hostile(), &[]);
    // It misbehaves in deep monitors only, and declares level 10.
    let trap = |action| host.action(AGENT, action).with("do", "trap").with("in", "monitor");
    let _ = trap("start").is(0);
    for (level, code) in [("0", 0), ("1", 0), ("9", 0), ("10", 1), ("11", 1), ("20", 1), ("255", 1)] {
        let call = host.call(AGENT).argument("monitor").instance("try");
        let call = call.variable("OCF_CHECK_LEVEL", level).variable("OCF_RESKEY_CRM_meta_interval", "10000");
        let ran = call.variable("OCF_RESKEY_do", "trap").variable("OCF_RESKEY_in", "monitor").run();
        assert_eq!(ran.code, code, "level {level}: {ran:#?}");
    }
    let _ = trap("stop").is(0);
}

/// As `crm resource trace` asks for it: by a parameter, which says that and not where.
#[test]
fn a_trace_that_a_parameter_asks_for_is_kept_by_the_host() {
    if !is_root() {
        return;
    }
    let host = TestHost::with(&["dummy"]);
    let log = host.path().join("log");
    let call = |action: &str| host.call("ocf-wasm/dummy").argument(action).instance("d").variable("HA_LOGFILE", &log);
    let traced = |action: &str| call(action).variable("OCF_RESKEY_trace_ra", "1");
    let _ = traced("start").is(0);
    let _ = traced("monitor").variable("OCF_RESKEY_CRM_meta_interval", "10000").is(0);
    let _ = call("stop").is(0);
    let directory = host.path().join("lib/trace_ra/dummy");
    let mut names: Vec<String> =
        fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    // The stop was not to be traced.
    assert_eq!(names.len(), 2, "{names:?}");
    for (name, begins, says) in [(&names[0], "d.monitor.20", "state.get"), (&names[1], "d.start.20", "state.set")] {
        assert!(name.starts_with(begins), "{names:?}");
        let text = fs::read_to_string(directory.join(name)).unwrap();
        assert!(text.contains(says) && text.contains(" ms  "), "{text}");
        let facts = fs::metadata(directory.join(name)).unwrap();
        assert_eq!((facts.uid(), facts.mode() & 0o7777), (0, 0o600), "{name}");
        let told = fs::read_to_string(&log).unwrap();
        assert!(told.contains(&format!("traced to /var/lib/ocf-wasm/trace_ra/dummy/{name}")), "{told}");
    }
    for above in [&directory, directory.parent().unwrap()] {
        assert_eq!(fs::metadata(above).unwrap().mode() & 0o077, 0, "{above:?}");
    }
}
