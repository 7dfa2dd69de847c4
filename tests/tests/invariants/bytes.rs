//! Which bytes are used: after an install that was interrupted, and after an upgrade of the host.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use ocf_wasm_tests::host::{TestHost, finish, is_root, plugin, skip, variant_of};
use ocf_wasm_tests::source::checkout;

const DUMMY: &str = "ocf-wasm/dummy";

/// System calls that change what lies on a disk, as strace takes them.
const CHANGES: &str = "/^(rename|symlink|link|unlink|mkdir|fsync|chmod|fchmod)";

/// A root in which the first version of an agent is installed and runs; then, for `rollback`, the second.
struct Switched {
    host: TestHost,
    arguments: Vec<String>,
}

impl Switched {
    fn new(verb: &str) -> Self {
        let host = TestHost::with(&["dummy"]);
        let _ = host.action(DUMMY, "start").instance("runs").is(0);
        let second = variant_of(&plugin("dummy"), b'2', host.path()).display().to_string();
        let arguments = match verb {
            "install" => vec!["install".to_owned(), "--allow-unsigned".to_owned(), second],
            _ => {
                host.add(Path::new(&second), &["--next-start"]);
                vec!["rollback".to_owned(), DUMMY.to_owned()]
            }
        };
        Self { host, arguments }
    }

    /// The verb under strace, with more arguments of strace.
    fn traced(&self, more: &[&str]) -> Command {
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        let tool = self.host.tool(&arguments);
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o"]).arg(self.log()).args(more).arg(tool.get_program()).args(tool.get_args());
        strace
    }

    fn log(&self) -> std::path::PathBuf {
        self.host.path().join("strace")
    }

    /// The active generation, and the digest of its component.
    fn active(&self) -> (u64, String) {
        let listed = self.host.run(&["-o", "json", "list"]).json();
        let agent = listed["agents"].as_array().unwrap().iter().find(|agent| agent["agent"] == DUMMY);
        let agent = agent.unwrap_or_else(|| panic!("neither is active: {listed:#}"));
        (agent["generation"].as_u64().unwrap(), agent["digest"].as_str().unwrap_or_default().to_owned())
    }
}

/// Killed at each change that an install and a rollback make.
#[test]
fn i12_an_interrupted_install_leaves_the_old_or_the_new() {
    if !is_root() || !Path::new("/usr/bin/strace").exists() && !skip("/usr/bin/strace is missing (Debian: strace)") {
        return;
    }
    for verb in ["install", "rollback"] {
        let whole = Switched::new(verb);
        let before = whole.active();
        let done = finish(&mut whole.traced(&["-e", &format!("trace={CHANGES}")]));
        assert_eq!(done.code, 0, "{done:#?}");
        let after = whole.active();
        assert_ne!(before, after);
        let mut points: BTreeMap<String, usize> = BTreeMap::new();
        let log = fs::read_to_string(whole.log()).unwrap();
        for line in log.lines().filter_map(|line| line.split_once(' ')?.1.trim_start().split_once('(')) {
            *points.entry(line.0.to_owned()).or_default() += 1;
        }
        assert!(points.keys().any(|call| call.starts_with("rename")), "{points:?}");
        let (mut old, mut new) = (0, 0);
        for (call, number) in points.iter().flat_map(|(call, count)| (1..=*count).map(move |number| (call, number))) {
            let switched = Switched::new(verb);
            let inject = format!("inject={call}:signal=KILL:when={number}");
            let _ = switched.traced(&["-e", &format!("trace={CHANGES}"), "-e", &inject]).output().unwrap();
            let what = format!("{verb}: {call} {number}");
            let active = switched.active();
            match active.1 == before.1 {
                true => old += 1,
                false => {
                    assert_eq!(active.1, after.1, "{what}");
                    new += 1;
                }
            }
            // Pacemaker finds it, what ran runs on, and what begins is what is active.
            let _ = switched.host.call(DUMMY).argument("meta-data").is(0);
            let _ = switched.host.action(DUMMY, "monitor").instance("runs").recurring().is(0);
            let _ = switched.host.action(DUMMY, "start").instance("fresh").is(0);
            let used = switched.host.why("fresh");
            assert_eq!(used["pins"]["generation"].as_u64(), Some(active.0), "{what}: {used:#}");
            // The next try goes all the way.
            if active.1 == before.1 {
                let arguments: Vec<&str> = switched.arguments.iter().map(String::as_str).collect();
                let again = switched.host.run(&arguments);
                // What was left complete and unused has a number.
                assert_eq!((again.code, switched.active().1), (0, after.1.clone()), "{what}: {again:#?}");
            }
        }
        assert!(old > 0 && new > 0, "{verb}: {old} old, {new} new");
    }
}

/// A record as hosts wrote it in an earlier format, with what this boot and this root put into it. In the file the boot is
/// `boot`, the component's digest is all `c` and the policy's all `d`.
fn of_this_root(golden: &[u8], current: &[u8]) -> Vec<u8> {
    // Four bytes of magic, four of the checksum; then the boot: a byte of its length, and its text.
    let boot = |record: &[u8]| record[8..9 + usize::from(record[8])].to_vec();
    let mut digests = current.windows(7).enumerate().filter(|(_, bytes)| bytes == b"sha256:");
    let mut digest = || {
        let (at, _) = digests.next().unwrap();
        current[at + 7..at + 7 + 64].to_vec()
    };
    let (component, policy) = (digest(), digest());
    let mut body = [boot(current), golden[8 + boot(golden).len()..].to_vec()].concat();
    for (placeholder, digest) in [([b'c'; 64], component), ([b'd'; 64], policy)] {
        let at = body.windows(64).position(|bytes| bytes == placeholder).unwrap();
        body[at..at + 64].copy_from_slice(&digest);
    }
    [&golden[..4], &checksum(&body).to_le_bytes(), &body].concat()
}

/// CRC-32, as zip and Ethernet have it.
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

/// What an older host started is monitored and stopped by this one, with native code that was made by none.
#[test]
fn i24_what_an_older_host_recorded_is_read() {
    let golden = checkout().join("tests/golden/record");
    let formats: Vec<_> = fs::read_dir(&golden).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!formats.is_empty());
    for format in formats {
        let host = TestHost::with(&["dummy"]);
        let _ = host.action(DUMMY, "start").instance("current").is(0);
        let runs = host.path().join("run/ocf-wasm/dummy");
        let current = fs::read(runs.join("current/record")).unwrap();
        fs::create_dir(runs.join("older")).unwrap();
        let older = of_this_root(&fs::read(&format).unwrap(), &current);
        fs::write(runs.join("older/record"), older).unwrap();
        fs::remove_dir_all(host.path().join("cache")).unwrap();
        let older = |word| host.action(DUMMY, word).instance("older");
        let _ = older("monitor").recurring().is(0);
        let _ = older("monitor").is(0);
        assert_eq!(host.why("older")["state"], "started", "{}", format.display());
        let _ = older("reload-agent").is(0);
        let _ = older("stop").is(0);
        let _ = older("monitor").is(7);
        let _ = host.action(DUMMY, "stop").instance("current").is(0);
    }
}
