//! Bytes from the broker to the runner, and what a recording makes of them: exports, questions and their answers.
//!
//! The first byte says what is read. The runner trusts the broker, and reads what it sends as strictly all the same.

use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use ocf_agent_recording::Recording;
use ocf_wasm::seam::{Call, Channel, Export, FromRunner, Lost, MESSAGE_BYTES, decode, encode};

/// Bytes that a socket takes before anybody reads.
const WIRE_BYTES: usize = 64 * 1024;

pub(crate) fn run(data: &[u8]) {
    let Some((how, bytes)) = data.split_first() else { return };
    match how % 4 {
        0 => export(bytes),
        1 => question(bytes),
        2 => answer(bytes),
        _ => recording(bytes),
    }
}

/// A message as it stands on the wire, length and all.
fn export(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(WIRE_BYTES)];
    let (mut ours, theirs) = UnixStream::pair().expect("descriptors");
    let mut theirs = Channel::from_fd(OwnedFd::from(theirs));
    let expected = bytes.split_first_chunk::<4>().map_or(Err(Lost::Closed), |(length, body)| {
        let length = u32::from_le_bytes(*length) as usize;
        match body.get(..length) {
            _ if length > MESSAGE_BYTES => Err(Lost::Garbled),
            None => Err(Lost::Closed),
            Some(body) => decode::<Export>(body).ok_or(Lost::Garbled),
        }
    });
    ours.write_all(bytes).expect("room in the socket");
    drop(ours);
    let received = theirs.receive::<Export>(Some(Instant::now() + Duration::from_secs(5)));
    assert_eq!(received, expected);
    if let Ok(export) = received {
        assert_eq!(decode::<Export>(&encode(&export)), Some(export));
        assert!(!export.word().is_empty());
    }
}

/// Questions are the same when they were sent again; what a person sees of one names it.
fn question(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok((FromRunner::Call(call), after)) = postcard::take_from_bytes::<FromRunner>(rest) {
        let again = decode::<Call>(&encode(&call));
        assert_eq!(format!("{:?}", Some(&call)), format!("{again:?}"));
        let (name, with) = call.shown();
        assert!(name.contains('.') && !name.contains('_'), "{name}");
        assert!(with.is_object() || with.is_null(), "{with}");
        rest = after;
    }
}

/// The answer to a question: what a recording shows of it is what a replay gives back.
fn answer(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else { return };
    let calls = crate::seam::one_of_each();
    let call = &calls[usize::from(*which) % calls.len()];
    let Some(shown) = call.answer_shown(bytes) else { return };
    let text = shown.to_string();
    let read = serde_json::from_str(&text).expect("JSON");
    let again = call.answer_read(&read).unwrap_or_else(|error| panic!("{}: {error}: {text}", call.name()));
    assert_eq!(call.answer_shown(&again), Some(shown), "{}", call.name());
}

/// A recording that somebody changed: what can be read is written as it was.
fn recording(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(recording) = Recording::parse(text) else { return };
    let written = recording.text();
    let again = Recording::parse(&written).unwrap_or_else(|error| panic!("{error}: {written}"));
    assert_eq!(again.text(), written);
}
