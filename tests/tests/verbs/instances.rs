//! What is told of instances: that nothing is known of one.

use std::fs;

use ocf_wasm_tests::host::TestHost;

use super::{DUMMY, bad};

#[test]
fn nothing_is_forgotten_of_an_instance_that_nothing_tells_of() {
    let host = TestHost::with(&["dummy"]);
    let run = || {
        let mut found: Vec<_> = fs::read_dir(host.path().join("run").join("ocf-wasm/dummy"))
            .map(|entries| entries.map(|entry| entry.unwrap().file_name()).collect())
            .unwrap_or_default();
        found.sort();
        found
    };
    let is_refused = |known: &str| {
        let before = run();
        for more in [&[][..], &["--nothing-runs"], &["--agent", DUMMY], &["--agent", DUMMY, "--nothing-runs"]] {
            let says = format!(
                "no instance wob is known on this node since it booted ({known}): there is nothing to forget\n"
            );
            bad(&host.run(&[&["forget", "wob"], more].concat()), &[&says]);
        }
        assert_eq!(run(), before);
    };
    is_refused("none is");
    let _ = host.action(DUMMY, "start").instance("web").is(0);
    is_refused("known: web");
    let _ = host.action(DUMMY, "stop").instance("web").is(0);
}
