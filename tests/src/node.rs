//! A node: what was installed into a private root, in a capsule with Pacemaker's executor.

#![allow(clippy::unwrap_used, reason = "support of tests: a panic is the report")]

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use crate::executor::{Event, Executor, Setup, Status, available};
use crate::host::{TestHost, dist, skip};

/// No event takes longer.
pub const SOON: Duration = Duration::from_secs(30);

/// Whether capsules can be made here; says aloud when not.
pub fn room() -> bool {
    static ROOM: OnceLock<Result<(), String>> = OnceLock::new();
    match ROOM.get_or_init(available) {
        Ok(()) => true,
        Err(why) => skip(why),
    }
}

/// See above. The capsule ends first.
#[derive(Debug)]
pub struct Node {
    /// Pacemaker's part.
    pub executor: Executor,
    /// What was installed.
    pub host: TestHost,
}

impl Node {
    /// Makes a capsule of a root.
    pub fn new(host: TestHost) -> Self {
        let root = host.path();
        let ours = [
            ("etc", "/etc/ocf-wasm"),
            ("lib", "/var/lib/ocf-wasm"),
            ("cache", "/var/cache/ocf-wasm"),
            ("run", "/run/ocf-wasm"),
            ("passwd", "/etc/passwd"),
            ("group", "/etc/group"),
        ];
        let mut binds: Vec<(PathBuf, PathBuf)> =
            ours.iter().map(|(name, inside)| (root.join(name), inside.into())).filter(|(at, _)| at.exists()).collect();
        binds.push((dist().join("usr/libexec/ocf-wasm"), "/usr/libexec/ocf-wasm".into()));
        let executor = Executor::start(Setup { binds: &binds, ..Setup::new(&root.join("resource.d")) }).unwrap();
        Self { executor, host }
    }

    /// Hands an action to the executor, with the timeout that the controller would pass on; returns its call.
    pub fn begin(&self, rsc: &str, action: &str, timeout_ms: u32, parameters: &[(&str, &str)]) -> i32 {
        let timeout = timeout_ms.to_string();
        let mut all = vec![("CRM_meta_timeout", timeout.as_str())];
        all.extend(parameters);
        self.executor.exec(rsc, action, 0, timeout_ms, &all).unwrap()
    }

    /// Has an action performed.
    pub fn action(&self, rsc: &str, action: &str, timeout_ms: u32, parameters: &[(&str, &str)]) -> Event {
        self.executor.wait(self.begin(rsc, action, timeout_ms, parameters), SOON).unwrap()
    }

    /// Processes of the capsule with a word in their command line.
    pub fn count(&self, word: &str) -> usize {
        let found = self.executor.command(&["pgrep", "-c", "-f", "--", word]).output().unwrap();
        String::from_utf8(found.stdout).unwrap().trim().parse().unwrap()
    }
}

/// Checks that an action was performed and not killed, its exit status, and that just a failure has a reason.
#[track_caller]
pub fn done(event: &Event, rc: i32) {
    assert_eq!((event.rc, event.status), (rc, Status::Done), "{event:#?}");
    let has_reason = event.reason.is_some();
    assert_eq!(has_reason, !matches!(rc, 0 | 7 | 8), "{event:#?}");
}
