//! What was asked and answered in one action, byte for byte as it crossed the seam, for who wants to replay it.
//!
//! Written while it happens, so that what was killed can be read up to there. The tool makes the readable file of it.
//! Only writes: a file that cannot be opened or written changes nothing. The value of a secret parameter is masked,
//! wherever it stands, by as many asterisks as it has bytes.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::contract::{Tracked, Verdict};
use crate::ocf::description::is_secret;
use crate::ocf::{Action, Parameters, Request};
use crate::report::{Log, SECRET_BYTES, forms};
use crate::runner::Facts;
use crate::seam::{Export, Failure, Health, encode, instance};

/// What is written, one after the other: four bytes of length, little end first, then this in postcard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Entry {
    /// The contract begins.
    Began(Box<Began>),
    /// It calls an export.
    Called(Export),
    /// The plugin asks: a [`Call`](crate::seam::Call).
    Asked(Vec<u8>),
    /// It is answered.
    Answered {
        /// An [`Answer`](crate::seam::Answer).
        answer: Vec<u8>,
        /// How long that took.
        took: Duration,
    },
    /// The export came to an end.
    Returned {
        /// Which.
        verdict: Returned,
        /// How long that took.
        took: Duration,
    },
    /// The contract looked at the node, or did something to it.
    Seen(Seen),
    /// The contract answers.
    Ended {
        /// The exit status.
        exit: u8,
        /// The exit reason, empty if there is none.
        reason: String,
    },
}

/// What an action begins with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Began {
    /// `PROVIDER/TYPE`.
    pub agent: String,
    /// The action's word.
    pub action: String,
    /// Whether it is a probe.
    pub probe: bool,
    /// How thorough it shall be.
    pub level: u8,
    /// The instance's name.
    pub instance: String,
    /// This node.
    pub node: String,
    /// What the plugin sees of its parameters.
    pub parameters: Parameters,
    /// The clone.
    pub clone: Option<instance::CloneFacts>,
    /// What is announced.
    pub notice: Option<instance::Notice>,
    /// Source and target.
    pub migration: Option<instance::Move>,
    /// How long the plugin has.
    pub remaining: Duration,
}

/// A [`Verdict`] that can be read again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the variants of Verdict, where the words stand")]
pub enum Returned {
    Done(Result<Option<Health>, Failure>),
    Unfit(String),
    Broken(String),
    TimedOut,
    Waited(String),
}

impl From<&Verdict> for Returned {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Done(done) => Self::Done(done.clone()),
            Verdict::Unfit(text) => Self::Unfit(text.clone()),
            Verdict::Broken(text) => Self::Broken(text.clone()),
            Verdict::TimedOut => Self::TimedOut,
            Verdict::Waited(call) => Self::Waited(call.clone()),
        }
    }
}

/// What the contract was told by the other functions of [`Resource`](crate::contract::Resource).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the functions of Resource, where the words stand")]
pub enum Seen {
    IsRecorded(bool),
    Tracked(Tracked),
    Mark(Result<(), String>),
    TearDown(Result<(), String>),
    LastResort(Option<Result<(), String>>),
    /// Only where something is.
    Unsettled(Option<String>),
}

/// A file to write to, or nothing.
#[derive(Debug, Default)]
pub struct Recorder {
    file: Option<File>,
    /// In all their forms, the longest first: one may be the beginning of another.
    secrets: Vec<String>,
}

impl Recorder {
    /// Begins to record an action, if the caller wants it. `level` is how thorough the plugin is to be, whatever was asked.
    #[inline]
    pub fn begin(request: &Request, action: Action, level: u8, facts: &Facts, log: &Log) -> Self {
        match &request.record {
            Some(path) => Self::begin_in(path, request, (action, level), facts, log),
            None => Self::default(),
        }
    }

    #[cold]
    #[inline(never)]
    fn begin_in(path: &Path, request: &Request, (action, level): (Action, u8), facts: &Facts, log: &Log) -> Self {
        let given = request.given.iter().chain(&facts.parameters);
        let given = given.filter(|(name, value)| is_secret(name) && !value.is_empty());
        let values: Vec<&String> = given.map(|(_, value)| value).collect();
        if values.iter().any(|value| value.len() < SECRET_BYTES) {
            log.warning(&format!("not recorded: a secret parameter has less than {SECRET_BYTES} bytes"));
            return Self::default();
        }
        let file = super::trace::open(path);
        if file.is_none() {
            log.warning(&format!("not recorded: {} cannot be written", path.display()));
        }
        let recorder = Self { file, secrets: in_all_forms(&values) };
        if recorder.file.is_some() {
            // In its names a secret may stand by chance: its values are masked.
            let began = Entry::Began(Box::new(Began {
                agent: request.agent.to_string(),
                action: action.word().to_owned(),
                probe: request.is_probe(),
                level,
                instance: facts.instance.clone(),
                node: facts.node.clone(),
                parameters: recorder.masked(&facts.parameters),
                clone: facts.clone,
                notice: facts.notice.clone(),
                migration: facts.migration.clone(),
                remaining: facts.deadline.saturating_duration_since(Instant::now()),
            }));
            recorder.append(encode(&began), &[]);
        }
        recorder
    }

    /// Writes an entry, which is only made if anybody wants it.
    #[inline]
    pub fn write(&self, entry: impl FnOnce() -> Entry) {
        if self.file.is_some() {
            self.write_made(entry);
        }
    }

    /// Kept apart from those who call it: nearly all actions are recorded by nobody, and pay for each page of code.
    #[cold]
    #[inline(never)]
    fn write_made(&self, entry: impl FnOnce() -> Entry) {
        self.append(encode(&entry()), &self.secrets);
    }

    /// Values without secrets.
    fn masked(&self, parameters: &Parameters) -> Parameters {
        let mask = |value: &String| {
            self.secrets.iter().fold(value.clone(), |value, secret| value.replace(secret, &"*".repeat(secret.len())))
        };
        parameters.iter().map(|(name, value)| (name.clone(), mask(value))).collect()
    }

    fn append(&self, mut body: Vec<u8>, secrets: &[String]) {
        secrets.iter().for_each(|secret| mask(&mut body, secret.as_bytes()));
        let (Some(mut file), Ok(length)) = (self.file.as_ref(), u32::try_from(body.len())) else { return };
        // In one piece, so that one that is killed leaves whole entries.
        let _ = file.write_all(&[&length.to_le_bytes()[..], &body].concat());
    }
}

/// Secrets as they may stand in a text that is recorded, a reason or an error too, the longest first.
fn in_all_forms(values: &[&String]) -> Vec<String> {
    let mut secrets: Vec<String> = values.iter().flat_map(|value| forms(value)).collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets
}

/// Replaces a secret by as many asterisks, so that what stands around it stays what it is: texts and lists of bytes
/// stand in postcard as they are.
fn mask(body: &mut [u8], secret: &[u8]) {
    let mut at = 0;
    while at + secret.len() <= body.len() {
        if body[at..].starts_with(secret) {
            body[at..at + secret.len()].fill(b'*');
            at += secret.len();
        } else {
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seam::{Answer, Call, decode, program};

    #[test]
    fn a_secret_is_masked_and_what_is_around_it_stays() {
        let call = Call::ProgramRun {
            label: "client".into(),
            slots: vec![crate::seam::Slot { name: "login".into(), value: "me:swordfish".into() }],
            input: Some(b"swordfish swordfishes".to_vec()),
        };
        let answer: Answer<program::Output> = Err(crate::seam::Error::Other("swordfish is wrong".into()));
        let recorder = Recorder { file: None, secrets: vec!["swordfishes".into(), "swordfish".into()] };
        let masked = |mut bytes: Vec<u8>| {
            recorder.secrets.iter().for_each(|secret| mask(&mut bytes, secret.as_bytes()));
            bytes
        };
        let shown = format!("{:?}", decode::<Call>(&masked(encode(&call))).unwrap());
        assert!(shown.contains("me:*********\"") && shown.contains("label: \"client\""), "{shown}");
        let Some(Call::ProgramRun { input: Some(input), .. }) = decode(&masked(encode(&call))) else {
            panic!("{shown}")
        };
        assert_eq!(input, b"********* ***********");
        let answer = decode::<Answer<program::Output>>(&masked(encode(&answer))).unwrap();
        assert!(matches!(answer, Err(crate::seam::Error::Other(text)) if text == "********* is wrong"));
    }

    #[test]
    fn a_secret_is_masked_where_it_is_escaped() {
        let secret = r#"sword"\'ü"#.to_owned();
        let told = format!("client: {:?}", crate::seam::Error::Other(secret.clone()));
        let mut bytes = encode(&Entry::Seen(Seen::LastResort(Some(Err(told)))));
        in_all_forms(&[&secret]).iter().for_each(|secret| mask(&mut bytes, secret.as_bytes()));
        let Some(Entry::Seen(Seen::LastResort(Some(Err(told))))) = decode(&bytes) else { panic!("{bytes:?}") };
        assert!(told.contains("*********") && !told.contains("sword"), "{told}");
    }

    #[test]
    fn a_secret_that_is_also_a_name_spoils_no_name() {
        let recorder = Recorder { file: None, secrets: vec!["password".into()] };
        let parameters = Parameters::from([("password".into(), "password".into()), ("port".into(), "1".into())]);
        let masked = Parameters::from([("password".into(), "********".into()), ("port".into(), "1".into())]);
        assert_eq!(recorder.masked(&parameters), masked);
    }
}
