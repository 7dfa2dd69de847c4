//! A stop whose plugin cannot be used any more: the host goes by the policy that the instance was started with, its steps
//! and its last resort, as after a plugin that traps.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::path::PathBuf;

use ocf_wasm_tests::host::{Call, TestHost, hostile, is_root};

const AGENT: &str = "test/hostile";
const INSTANCE: &str = "unaided";
/// Long enough for a start, and for two programs after a step that ends nothing.
const TIMEOUT_MS: &str = "6000";
/// What ends the rest, and what says whether that is gone.
const LAST_RESORT: &str = "[stop]\nlast-resort = [\"remove\"]\ngone-when = { run = \"look\", exit = [1] }\n";

/// A root in which an instance was started: a daemon that only INT ends well, and a flag, of which the host cannot know.
struct Node {
    host: TestHost,
}

impl Node {
    fn started(with_daemon: bool, with_flag: bool, stop: &str) -> Self {
        let node = Self { host: TestHost::new() };
        fs::create_dir(node.flag("")).unwrap();
        node.grants(stop);
        node.host.add(&hostile(), &[]);
        let flag = if with_flag { "start" } else { "none" };
        let start = node.act("start").variable("OCF_RESKEY_do", "relay").variable("OCF_RESKEY_in", flag);
        let _ = start.variable("OCF_RESKEY_daemon", with_daemon.to_string()).is(0);
        assert_eq!(node.has("flag"), with_flag);
        node
    }

    /// Writes the policy, with what is to be done where nobody else can stop it.
    fn grants(&self, stop: &str) {
        let flags = self.flag("").display().to_string();
        let program = |label: &str, more: &str| {
            format!("[program.{label}]\n{more}\nuser = \"root\"\nview = {{ write = [\"{flags}\"] }}\n")
        };
        let script = format!("trap '' TERM; trap 'touch {flags}/ended; exit' INT; while :; do sleep 0.05; done");
        let daemon = format!(
            "program = \"/usr/bin/dash\"\nargv = [\"-c\", \"{script}\"]\nlifetime = \"instance\"\n\
             stop = [{{ signal = \"INT\", grace = \"rest\" }}]"
        );
        let action = |program: &str, switch: &str| {
            format!("program = \"/usr/bin/{program}\"\nargv = [{switch}\"{flags}/flag\"]\nlifetime = \"action\"")
        };
        let policy = [
            "format = 1\n",
            &program("daemon", &daemon),
            &program("stuck", &action("touch", "")),
            &program("remove", &action("rm", "\"-f\", ")),
            &program("look", &action("test", "\"-e\", ")),
            stop,
        ];
        self.host.policy(AGENT, &policy.concat());
    }

    fn flag(&self, name: &str) -> PathBuf {
        self.host.path().join("flags").join(name)
    }

    fn has(&self, flag: &str) -> bool {
        self.flag(flag).exists()
    }

    fn act(&self, word: &str) -> Call<'_> {
        let call = self.host.call(AGENT).argument(word).instance(INSTANCE);
        call.variable("OCF_RESKEY_CRM_meta_timeout", TIMEOUT_MS)
    }

    /// Makes garbage of the component, and of nothing else; the native code is gone.
    fn loses_the_plugin(&self) {
        let component = fs::read(hostile()).unwrap();
        let blobs = fs::read_dir(self.host.path().join("lib/blobs/sha256")).unwrap();
        let mut blobs = blobs.map(|blob| blob.unwrap().path());
        let blob = blobs.find(|blob| fs::read(blob).unwrap() == component).unwrap();
        fs::remove_file(&blob).unwrap();
        fs::write(&blob, "garbage").unwrap();
        for cached in fs::read_dir(self.host.path().join("cache")).unwrap() {
            fs::remove_file(cached.unwrap().path()).unwrap();
        }
        let _ = self.act("monitor").variable("OCF_RESKEY_CRM_meta_interval", "10000").is(1).says("component");
    }

    /// Nothing is left, and that is known.
    fn is_stopped(&self) {
        assert_eq!(self.host.why(INSTANCE)["state"], "stopped");
        let _ = self.act("stop").is(0);
    }
}

#[test]
fn a_daemon_ends_by_the_steps_of_the_policy() {
    if !is_root() {
        return;
    }
    let node = Node::started(true, false, "");
    // What was granted since does not count.
    node.host.policy(AGENT, "format = 1\n");
    node.loses_the_plugin();
    let _ = node.act("stop").is(0);
    assert!(node.has("ended"), "INT was not sent");
    node.is_stopped();
}

#[test]
fn what_nobody_tracks_ends_by_the_last_resort() {
    if !is_root() {
        return;
    }
    for with_daemon in [false, true] {
        let node = Node::started(with_daemon, true, LAST_RESORT);
        node.host.policy(AGENT, "format = 1\n");
        node.loses_the_plugin();
        let _ = node.act("stop").is(0);
        assert_eq!((node.has("flag"), node.has("ended")), (false, with_daemon));
        node.is_stopped();
    }
}

#[test]
fn without_its_proof_the_stop_fails() {
    if !is_root() {
        return;
    }
    // Nothing to end it by, and something that does not end it.
    let in_vain = LAST_RESORT.replace("\"remove\"", "\"look\"");
    for (stop, reason) in [("", "component"), (&in_vain, "look says that it is not gone")] {
        let node = Node::started(true, true, stop);
        node.loses_the_plugin();
        for _ in 0..2 {
            let _ = node.act("stop").is(1).says(reason);
            // What is tracked has ended all the same.
            assert_eq!((node.has("flag"), node.has("ended")), (true, true));
        }
        assert_ne!(node.host.why(INSTANCE)["state"], "stopped");
    }
}

#[test]
fn what_only_the_host_started_needs_no_policy_at_all() {
    if !is_root() {
        return;
    }
    let node = Node::started(true, false, LAST_RESORT);
    let blobs = node.host.path().join("lib/blobs");
    fs::remove_dir_all(&blobs).unwrap();
    let _ = node.act("stop").is(0);
    assert!(!node.has("ended"), "by which policy?");
    node.is_stopped();
}
