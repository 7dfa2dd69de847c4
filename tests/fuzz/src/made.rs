//! Seeds that are made from the code, so that they stay real: messages of the seam, a record, and the words of a policy.

use std::collections::{BTreeMap, BTreeSet};

use ocf_wasm::capability::program::{Ended, Report};
use ocf_wasm::instance::{Daemon, Pins, Record, State};
use ocf_wasm::ocf::description::AgentName;
use ocf_wasm::policy::key;
use ocf_wasm::seam::{
    Answer, Call, Error, ExitStatus, Export, Failure, FailureKind, FromRunner, Health, Sent, encode, endpoint,
    log::Level, path, program,
};
use ocf_wasm::sys::process::ProcessId;

use crate::seam::one_of_each;

/// Files below this crate, with their contents.
pub fn all() -> Vec<(String, Vec<u8>)> {
    let mut all = vec![("policy.dict".to_owned(), dictionary().into_bytes())];
    all.extend(of_the_seam().into_iter().map(|(name, bytes)| (format!("seeds/seam/{name}"), bytes)));
    all.extend(of_records().into_iter().map(|(name, bytes)| (format!("seeds/record/{name}"), bytes)));
    all.extend(of_answers().into_iter().map(|(name, bytes)| (format!("seeds/answers/{name}"), bytes)));
    all
}

/// Keys of a policy and their examples, for the engine.
fn dictionary() -> String {
    let tables = key::TABLES.iter().flat_map(|table| table.keys.iter().map(|key| (table.name, key)));
    let mut words: BTreeSet<String> = ["#", "\\u0000", "'''", "[[", "0x1", "1979-05-27"].map(str::to_owned).into();
    for (table, key) in tables {
        words.extend([format!("{} = ", key.name), key.text.example.to_owned(), table.to_owned()]);
    }
    let entry = |word: &String| {
        let escaped: String = word
            .bytes()
            .map(|b| if b == b'"' || b == b'\\' { format!("\\x{b:02x}") } else { char::from(b).to_string() })
            .collect();
        format!("\"{escaped}\"\n")
    };
    words.iter().filter(|word| word.is_ascii() && !word.is_empty()).map(entry).collect()
}

fn messages(all: impl IntoIterator<Item = FromRunner>) -> Vec<u8> {
    all.into_iter().flat_map(|message| encode(&message)).collect()
}

/// How the runner behaves, what the cluster wants, the check level, then messages.
fn of_the_seam() -> Vec<(&'static str, Vec<u8>)> {
    let calls = |calls: Vec<Call>| calls.into_iter().map(FromRunner::Call);
    let done = |health| FromRunner::Done(Ok(health));
    let failed = Failure { kind: FailureKind::NotInstalled, reason: "no\nbinary".to_owned() };
    let seed = |head: [u8; 3], body: Vec<u8>| [&head[..], &body].concat();
    // Monitor, start, monitor again, with every question in each of them.
    let start: Vec<FromRunner> = calls(one_of_each())
        .chain([done(Some(Health::NotRunning))])
        .chain(calls(one_of_each()))
        .chain([done(None)])
        .chain(calls(one_of_each()))
        .chain([done(Some(Health::Running))])
        .collect();
    // It is found promoted, and does not demote.
    let is_promoted = || done(Some(Health::Promoted));
    let promoted = [is_promoted(), is_promoted(), FromRunner::Done(Err(failed.clone()))];
    let stop =
        [FromRunner::Log(Level::Warning, "so long\u{1b}[2J".to_owned()), done(None), done(Some(Health::NotRunning))];
    let set = |n: u8| Call::StateSet { key: format!("k{n}"), value: vec![n; 300] };
    let fill = (0..70).map(|n| FromRunner::Call(set(n)));
    let get = (0..40).map(|n| FromRunner::Call(Call::StateGet { key: format!("k{n}") }));
    let large = Call::StateSet { key: "large".to_owned(), value: vec![b'x'; 30_000] };
    let ask = (0..40).map(|_| FromRunner::Call(Call::StateGet { key: "large".to_owned() }));
    vec![
        ("start", seed([1, 0, 0], messages(start))),
        ("adopt", seed([1, 0, 0], messages([done(Some(Health::Running))]))),
        ("adopt-promoted", seed([1, 0, 0], messages(promoted))),
        ("stop", seed([1, 1, 0], messages(stop))),
        ("probe", seed([2, 2, 10], messages([FromRunner::Done(Err(failed))]))),
        ("unfit", seed([0, 3, 0], messages([FromRunner::Unfit("imports x:y/z@1.0.0".to_owned())]))),
        ("broken", seed([0, 9, 0], messages([FromRunner::Broken("wasm trap: unreachable".to_owned())]))),
        ("panicked", seed([0, 5, 0], messages([FromRunner::Panicked("sandbox: EPERM".to_owned())]))),
        ("notebook", seed([1, 5, 0], messages(fill.chain(get)))),
        ("deaf", seed([1 | 2 << 2, 5, 0], messages([FromRunner::Call(large)].into_iter().chain(ask)))),
        ("gone", seed([1 | 3 << 2, 1, 0], messages(calls(one_of_each())))),
        ("too-long", seed([1 | 128, 1, 0], vec![0xff; 9])),
    ]
}

/// What is tried, then a body or a whole file.
fn of_records() -> Vec<(&'static str, Vec<u8>)> {
    let agent = AgentName { provider: "ocf-wasm".to_owned(), kind: "sample-tcp-server".to_owned() };
    let pins = Pins { agent, generation: 3, component: "sha256:00".to_owned(), policy: "sha256:11".to_owned() };
    let process = ProcessId { pid: 4711, started: 99 };
    let daemon =
        Daemon { keeper: Some(process), cgroup: Some("/sys/fs/cgroup/x".into()), since_boot_ns: 12_345_678_901 };
    let record = Record {
        boot: "00000000-0000-0000-0000-000000000000 pid:[4026531836] 1".to_owned(),
        pins: Some(pins),
        given: BTreeMap::from([("port".to_owned(), "05678".to_owned())]),
        parameters: BTreeMap::from([("port".to_owned(), "5678".to_owned())]),
        daemons: BTreeMap::from([("greeter".to_owned(), daemon)]),
        untracked: true,
        notebook: BTreeMap::from([("flag".to_owned(), b"on".to_vec())]),
        ..Record::new("web", State::Started)
    };
    let report = Report {
        main: Some(process),
        has_forked: true,
        ended: Some(Ended::Signaled(9)),
        output: "one\ntwo\n".to_owned(),
        is_over: true,
        over_memory: true,
    };
    let history = "1700000000\tstart\t0\t250\t\n1700000010\tmonitor level 10\t1\t30000\tdaemon does not answer\n";
    vec![
        ("raw", [&[0][..], b"OWR1\0\0\0\0", &encode(&record)].concat()),
        ("record", [&[1][..], &encode(&record)].concat()),
        ("report", [&[2][..], &encode(&report)].concat()),
        ("history", [&[3][..], history.as_bytes()].concat()),
    ]
}

/// What is read, then the bytes of it.
fn of_answers() -> Vec<(String, Vec<u8>)> {
    let export = encode(&Export::Monitor { probe: true, level: 10 });
    let length = u32::try_from(export.len()).unwrap_or_default().to_le_bytes();
    let recording = include_str!("../../../plugins/sample-tcp-server/src/running.json");
    let mut all = vec![
        ("export".to_owned(), [&[0][..], &length, &export].concat()),
        ("questions".to_owned(), [&[1][..], &messages(one_of_each().into_iter().map(FromRunner::Call))].concat()),
        ("recording".to_owned(), [&[3][..], recording.as_bytes()].concat()),
    ];
    for (number, call) in one_of_each().iter().enumerate() {
        let answer = match call {
            Call::StateGet { .. } => encode(&Answer::Ok(Some(b"on".to_vec()))),
            Call::StateKeys {} => encode(&Answer::Ok(vec!["flag".to_owned(), "other".to_owned()])),
            Call::ProgramRun { .. } => encode(&Answer::Ok(program::Output {
                status: ExitStatus::Exited(3),
                stdout: b"yes\n".to_vec(),
                stderr: vec![0xff, 0],
                truncated: true,
            })),
            Call::ProgramStatus { .. } => encode(&Answer::Ok(program::Condition {
                phase: program::Phase::Failed,
                processes: 2,
                age_ms: Some(70_000),
                ended: Some(ExitStatus::Signaled(9)),
            })),
            Call::EndpointExchange { .. } => {
                encode(&Answer::Ok(endpoint::Reply { reach: endpoint::Reach::Open, received: b"Hello!".to_vec() }))
            }
            Call::PathStat { .. } => encode(&Answer::Ok(Some(path::Facts {
                kind: path::Kind::Socket,
                size: 1 << 40,
                mode: 0o4755,
                uid: 33,
                gid: 0,
                modified: -1,
            }))),
            Call::PathRead { .. } => encode(&Answer::Ok(Some(vec![0, 0xff, b'a']))),
            Call::PathList { .. } => {
                encode(&Answer::Ok(Some(vec![path::Entry { name: "b".to_owned(), kind: path::Kind::Directory }])))
            }
            Call::WebSend { .. } => encode(&Answer::Ok(Sent::Known(endpoint::HttpResponse {
                reach: endpoint::Reach::Open,
                status: 503,
                headers: vec![("retry-after".to_owned(), "9".to_owned())],
                body: b"busy\n".to_vec(),
                truncated: false,
            }))),
            Call::StateSet { .. } => encode(&Answer::<()>::Err(Error::Denied("not here".to_owned()))),
            _ => continue,
        };
        let which = u8::try_from(number).unwrap_or_default();
        all.push((call.name().to_owned(), [&[2, which][..], &answer].concat()));
    }
    all
}
