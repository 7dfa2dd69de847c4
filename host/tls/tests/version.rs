//! Who has words of another version gets none.

use std::io::Write as _;
use std::process::{Command, Stdio};

use ocf_wasm_tls::{ToTls, VERSION};

#[test]
fn who_has_other_words_is_not_answered() {
    let begin = ToTls::Begin { server: "localhost".to_owned(), authorities: Vec::new(), request: Vec::new() };
    let body = postcard::to_allocvec(&begin).expect("a message of ours");
    let length = u32::try_from(body.len()).expect("a short one");
    let word = [&length.to_le_bytes()[..], &body].concat();
    let next = (VERSION + 1).to_string();
    let ours = VERSION.to_string();
    for (version, is_answered) in [(Some(ours.as_str()), true), (Some(&*next), false), (None, false)] {
        let mut command = Command::new("timeout");
        let mut child = command
            .args(["60", env!("CARGO_BIN_EXE_ocf-wasm-tls")])
            .args(version)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary can be executed");
        // Who is gone already does not read it.
        let _ = child.stdin.take().map(|mut to| to.write_all(&word));
        let ended = child.wait_with_output().expect("it ends");
        assert_ne!(ended.status.code(), Some(124), "{version:?}: it does not end");
        let said = ended.stdout;
        assert_eq!(!said.is_empty(), is_answered, "{version:?}: {said:?}");
    }
}
