//! `run --record`: the readable file, made of what the agent wrote while it acted.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use ocf_agent_recording::{self as recording, Recording, Step, Value};

use crate::broker::{Began, Entry, Returned, Seen};
use crate::seam::{Call, Export, decode};

/// A file that is being recorded into.
pub(super) struct Tape {
    /// What is asked for.
    file: PathBuf,
    /// What the agent writes.
    raw: PathBuf,
}

impl Tape {
    /// Makes the file that the agent appends to, beside the one that is asked for.
    ///
    /// # Errors
    /// If it cannot be written there.
    pub(super) fn new(file: &Path) -> Result<Self> {
        let mut raw = file.as_os_str().to_owned();
        raw.push(".raw");
        let raw = PathBuf::from(raw);
        match std::fs::remove_file(&raw) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| raw.display().to_string());
            }
            _ => {}
        }
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&raw)
            .with_context(|| raw.display().to_string())?;
        Ok(Self { file: file.to_owned(), raw })
    }

    /// What the agent appends to.
    pub(super) fn raw(&self) -> &Path {
        &self.raw
    }

    /// Writes the readable file. False if there is nothing to write: the plugin was not asked.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn finish(self) -> Result<bool> {
        let bytes = std::fs::read(&self.raw).with_context(|| self.raw.display().to_string())?;
        let recording = readable(&entries(&bytes));
        if let Some(recording) = &recording {
            crate::sealed::replace(&self.file, recording.text().as_bytes(), 0o600)
                .with_context(|| self.file.display().to_string())?;
        }
        Ok(recording.is_some())
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.raw);
    }
}

/// The entries of a file, up to one that was not written to its end.
fn entries(mut bytes: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let length = u32::from_le_bytes(*length) as usize;
        let Some(entry) = rest.get(..length).and_then(decode) else { break };
        entries.push(entry);
        bytes = &rest[length..];
    }
    entries
}

/// What happened; none if nothing did.
fn readable(entries: &[Entry]) -> Option<Recording> {
    let mut entries = entries.iter();
    let Some(Entry::Began(began)) = entries.next() else { return None };
    let mut recording = begun(began);
    let mut asked = None;
    for entry in entries {
        let last = recording.steps.iter_mut().rev().find_map(|step| match step {
            Step::Export(export) => Some(export),
            Step::Host(_) => None,
        });
        match (entry, last) {
            (Entry::Called(export), _) => {
                recording.steps.push(Step::Export(called(*export)));
            }
            (Entry::Asked(call), Some(export)) => {
                let Some(call) = decode::<Call>(call) else { break };
                if !call.goes_on() {
                    let (name, with) = call.shown();
                    export.calls.push(recording::Call { call: name, with, answer: None, took_ms: 0.0 });
                }
                asked = Some(call);
            }
            (Entry::Answered { answer, took }, Some(export)) => {
                let (Some(call), Some(asked)) = (export.calls.last_mut(), asked.take()) else { break };
                call.answer = asked.answer_shown(answer);
                call.took_ms += milliseconds(*took);
            }
            (Entry::Returned { verdict, took }, Some(export)) => {
                (export.result, export.took_ms) = (Some(returned(verdict)), milliseconds(*took));
            }
            (Entry::Seen(seen), _) => recording.steps.push(Step::Host(host(seen))),
            (Entry::Ended { exit, reason }, _) => {
                (recording.exit, recording.reason) = (Some(*exit), Some(reason.clone()));
            }
            (Entry::Began(_) | Entry::Asked(_) | Entry::Answered { .. } | Entry::Returned { .. }, _) => break,
        }
    }
    Some(recording)
}

fn begun(began: &Began) -> Recording {
    let mut recording = Recording::new(began.agent.clone(), began.action.clone());
    (recording.probe, recording.level) = (began.probe, began.level);
    recording.node.clone_from(&began.node);
    recording.instance.clone_from(&began.instance);
    recording.remaining_ms = u64::try_from(began.remaining.as_millis()).unwrap_or(u64::MAX);
    recording.parameters.clone_from(&began.parameters);
    recording.clone = began.clone.as_ref().map(recording::shown);
    recording.notification = began.notice.as_ref().map(recording::shown);
    recording.migration = began.migration.as_ref().map(recording::shown);
    recording
}

/// An export that is called.
pub(super) fn called(export: Export) -> recording::Export {
    let (probe, level) = match export {
        Export::Monitor { probe, level } => (probe, level),
        _ => (false, 0),
    };
    let name = export.word().to_owned();
    recording::Export { export: name, probe, level, calls: Vec::new(), result: None, took_ms: 0.0 }
}

/// What came of an export. One that returned shows the plugin's own result.
pub(super) fn returned(verdict: &Returned) -> Value {
    match verdict {
        Returned::Done(done) => recording::shown(done),
        other => recording::shown(other),
    }
}

fn host(seen: &Seen) -> recording::Host {
    // An enum of variants with one value each: an object with one key.
    let shown = recording::shown(seen);
    let (host, answer) = shown.as_object().and_then(|object| object.iter().next()).unwrap_or_else(|| unreachable!());
    recording::Host { host: host.clone(), answer: answer.clone() }
}

fn milliseconds(took: std::time::Duration) -> f64 {
    (took.as_secs_f64() * 100_000.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Tracked;
    use crate::seam::{Answer, encode, program};
    use serde_json::json;

    fn began() -> Entry {
        Entry::Began(Box::new(Began {
            agent: "a/b".into(),
            action: "stop".into(),
            probe: false,
            level: 0,
            instance: "web".into(),
            node: "n1".into(),
            parameters: [("port".to_owned(), "80".to_owned())].into(),
            clone: None,
            notice: None,
            migration: None,
            remaining: std::time::Duration::from_secs(9),
        }))
    }

    fn framed(entries: &[Entry]) -> Vec<u8> {
        let frame = |entry: &Entry| {
            let body = encode(entry);
            [&u32::try_from(body.len()).unwrap().to_le_bytes()[..], &body].concat()
        };
        entries.iter().flat_map(frame).collect()
    }

    #[test]
    fn what_was_cut_off_is_read_up_to_there() {
        let took = std::time::Duration::from_millis(3);
        let answer: Answer<program::Condition> = Err(crate::seam::Error::TimedOut);
        let whole = [
            began(),
            Entry::Called(Export::Stop),
            Entry::Asked(encode(&Call::ProgramStatus { label: "daemon".into() })),
            Entry::Answered { answer: encode(&answer), took },
            Entry::Returned { verdict: Returned::Done(Ok(None)), took },
            Entry::Ended { exit: 0, reason: String::new() },
        ];
        let bytes = framed(&whole);
        assert_eq!(entries(&bytes), whole);
        let recording = readable(&whole).unwrap();
        let shown = serde_json::to_value(&recording).unwrap();
        assert_eq!(
            shown["steps"],
            json!([{ "export": "stop", "result": { "ok": null }, "took-ms": 3.0, "calls": [{
                "call": "program.status", "with": { "label": "daemon" }, "answer": { "err": "timed-out" },
                "took-ms": 3.0,
            }] }])
        );
        assert_eq!((recording.exit, recording.remaining_ms), (Some(0), 9_000));
        for length in 0..bytes.len() {
            let read = entries(&bytes[..length]);
            assert_eq!(read, whole[..read.len()]);
            assert!(read.len() < whole.len());
            // As far as it goes, it can be written and read.
            assert_eq!(readable(&read).is_some(), !read.is_empty());
            if let Some(recording) = readable(&read) {
                assert_eq!(Recording::parse(&recording.text()), Ok(recording));
            }
        }
    }

    #[test]
    fn what_the_host_saw_reads_as_it_is_asked_for() {
        let tracked = Tracked { held: 2, alive: 1, ended: Some("daemon exited".into()), untracked: true };
        for (seen, name, answer) in [
            (Seen::IsRecorded(true), "is-recorded", json!(true)),
            (
                Seen::Tracked(tracked.clone()),
                "tracked",
                json!({ "held": 2, "alive": 1, "ended": "daemon exited", "untracked": true }),
            ),
            (Seen::Mark(Ok(())), "mark", json!({ "ok": null })),
            (Seen::TearDown(Err("no".into())), "tear-down", json!({ "err": "no" })),
            (Seen::LastResort(None), "last-resort", Value::Null),
            (Seen::LastResort(Some(Err("no".into()))), "last-resort", json!({ "err": "no" })),
            (
                Seen::Unsettled(Some("unit x.service is being started".into())),
                "unsettled",
                json!("unit x.service is being started"),
            ),
        ] {
            let host = host(&seen);
            assert_eq!((host.host.as_str(), &host.answer), (name, &answer));
        }
        let answer = host(&Seen::Tracked(tracked.clone())).answer;
        assert_eq!(recording::read(&answer), Ok(tracked));
        let answer = host(&Seen::LastResort(Some(Ok(())))).answer;
        assert_eq!(recording::read(&answer), Ok(Some(Ok::<(), String>(()))));
    }
}
