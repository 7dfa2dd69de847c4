//! Who asks in words of another version is told so by the exit status, before anything is asked.

use std::process::{Command, Stdio};

use ocf_wasm_units::{OTHER_VERSION, VERSION};

#[test]
fn who_has_other_words_is_not_answered() {
    let next = VERSION + 1;
    let ours = VERSION.to_string();
    for (version, status) in [
        (Some(ours.as_str()), 0),
        (Some(&*next.to_string()), i32::from(OTHER_VERSION)),
        (Some("one"), i32::from(OTHER_VERSION)),
        // As the agent of before there was a version.
        (None, i32::from(OTHER_VERSION)),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ocf-wasm-units"));
        command.arg(std::process::id().to_string()).args(version).stdin(Stdio::null()).stderr(Stdio::null());
        let ended = command.status().expect("the binary can be executed");
        assert_eq!(ended.code(), Some(status), "{version:?}");
    }
}
