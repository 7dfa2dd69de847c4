//! What stands in files of ours: the record of an instance, the report of a keeper, the last actions.
//!
//! The first byte says what is tried: a file as it is, the same behind a head that fits (whoever can write one can also
//! count), a report, or the file of the last actions.

use std::fs;
use std::path::Path;

use ocf_wasm::capability::program::Report;
use ocf_wasm::instance::{Action, Directory, Found, History, Pins, Record, boot_identity, save_report};
use serde::de::DeserializeOwned;

use crate::workshop;

const RECORD: [u8; 4] = *b"OWR1";
const REPORT: [u8; 4] = *b"OWD1";

/// Whose directory it is.
const PROVIDER: &str = "ocf-wasm";
const KIND: &str = "sample-tcp-server";
const INSTANCE: &str = "web";

pub(crate) fn run(data: &[u8]) {
    let Some((how, bytes)) = data.split_first() else { return };
    let path = workshop::path().join(PROVIDER).join(KIND).join(INSTANCE);
    fs::create_dir_all(&path).expect("a directory");
    let directory = Directory::at(path);
    match how % 4 {
        0 => record(&directory, bytes),
        1 => record(&directory, &sealed(RECORD, bytes)),
        2 => report(&directory.report_path("x"), &sealed(REPORT, bytes)),
        _ => history(&directory, bytes),
    }
}

/// CRC-32 as every textbook has it: nothing of the code that is tested.
fn checksum(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
        }
    }
    !sum
}

fn sealed(magic: [u8; 4], body: &[u8]) -> Vec<u8> {
    [&magic[..], &checksum(body).to_le_bytes(), body].concat()
}

/// What a file holds, by its head and its body alone.
fn body<T: DeserializeOwned>(magic: [u8; 4], bytes: &[u8]) -> Option<T> {
    let body = bytes.strip_prefix(&magic)?;
    let (sum, body) = body.split_first_chunk::<4>()?;
    (u32::from_le_bytes(*sum) == checksum(body)).then(|| postcard::from_bytes(body).ok()).flatten()
}

fn record(directory: &Directory, bytes: &[u8]) {
    fs::write(directory.path().join("record"), bytes).expect("a file");
    let expected = body::<Record>(RECORD, bytes);
    let boot = boot_identity().expect("which boot this is");
    match (directory.record(), expected) {
        (Found::Record(found), Some(expected)) if expected.boot == boot && is_ours(&expected) => {
            assert_eq!(*found, expected);
        }
        (Found::None, Some(expected)) if expected.boot != boot => {
            // The same of this boot, whosever it is.
            let record = Record { boot: boot.to_owned(), ..expected };
            directory.save(&record).expect("a file");
            match directory.record() {
                Found::Record(found) => assert!(*found == record && is_ours(&record)),
                Found::Unknown(_) => assert!(!is_ours(&record), "{record:?}"),
                Found::None => panic!("none of {record:?}"),
            }
        }
        (Found::Unknown(_), None) => {}
        (Found::Unknown(_), Some(expected)) if expected.boot == boot && !is_ours(&expected) => {}
        (found, expected) => panic!("{found:?} and not {expected:?}"),
    }
}

/// Whether a record is of the instance in whose directory it is.
fn is_ours(record: &Record) -> bool {
    let of = |pins: &Pins| pins.agent.provider == PROVIDER && pins.agent.kind == KIND;
    record.instance == INSTANCE && record.pins.as_ref().is_none_or(of)
}

fn report(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("a file");
    let Some(report) = Report::read(path) else { return assert!(body::<Report>(REPORT, bytes).is_none()) };
    let shown = |report: &Report| format!("{report:?}");
    assert_eq!(body::<Report>(REPORT, bytes).as_ref().map(shown), Some(shown(&report)));
    assert!(report.last_line().is_none_or(|line| !line.trim().is_empty() && !line.contains('\n')));
    save_report(path, &report).expect("a file");
    assert_eq!(Report::read(path).as_ref().map(shown), Some(shown(&report)));
}

/// The last line is what was added last, whatever stands before it.
fn history(directory: &Directory, bytes: &[u8]) {
    fs::write(directory.path().join("actions"), bytes).expect("a file");
    let history = History::of(directory);
    let before = history.last();
    assert!(before.len() <= 20);
    let added = Action { at: 1, action: "monitor".to_owned(), exit: 0, took_ms: 2, reason: "it is so: 3".to_owned() };
    history.add(&added);
    let after = history.last();
    assert!(after.len() <= 20 && (std::str::from_utf8(bytes).is_err() || after.last() == Some(&added)), "{after:?}");
}
