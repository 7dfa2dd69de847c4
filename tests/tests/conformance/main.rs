//! `ocf-wasm test`: what it says of plugins that are right, and which check finds which mistake. Each mistake is found
//! by the checks of its row, and nothing else fails of what is run: a check that cried at everything would find nothing.
//! All checks are run where a mistake may show anywhere, and for what is right; for a mistake in the plugin those of the
//! families that its row names.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod mistakes;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use ocf_wasm_tests::command::finish_within;
use ocf_wasm_tests::host::{Ran, TestHost, broken, dist, free_port, is_alive, is_root, plugin};
use ocf_wasm_tests::processes;
use ocf_wasm_tests::source::checkout;
use serde_json::Value;

use mistakes::Mistake::{self, Host, Plugin, Policy, Words};
use mistakes::{FOUND_BY, UNSEEN};

/// No run takes longer.
const LONG: Duration = Duration::from_mins(4);
/// Runs at the same time: they wait more than they compute.
const AT_A_TIME: usize = 5;

/// What grants the broken plugin what it asks for. Its daemon has a child, and ends with it.
const POLICY: &str = r#"format = 1
[program.daemon]
program  = "/bin/sh"
argv     = ["-c", "trap 'kill $!; exit' TERM; sleep 1002 & wait"]
lifetime = "instance"
user     = "nobody"
environment = { TESTED_IN = "ROOT" }
[program.command]
program  = "/bin/sh"
argv     = ["-c", "case $0 in lock) mkdir ROOT/locks/$1;; esac", { slot = "verb", one-of = ["check", "lock"] }, { fact = "instance" }]
lifetime = "action"
user     = "nobody"
view     = { write = ["ROOT/locks"] }
"#;

/// A directory with a component, a policy, and the root of a run; and, for a broken host, a tree of its own.
struct Room {
    host: TestHost,
    component: PathBuf,
}

impl Room {
    fn new(mistake: Option<Mistake>) -> Self {
        let host = match mistake {
            Some(Host(shell)) => {
                let tree = tree(shell);
                TestHost::of_temporary(tree)
            }
            _ => TestHost::new(),
        };
        let place = host.path().join("tested");
        fs::create_dir_all(host.path().join("locks")).unwrap();
        fs::set_permissions(host.path(), PermissionsExt::from_mode(0o755)).unwrap();
        fs::set_permissions(host.path().join("locks"), PermissionsExt::from_mode(0o777)).unwrap();
        fs::create_dir_all(&place).unwrap();
        let mut bytes = fs::read(broken()).unwrap();
        let mut policy = POLICY.replace("ROOT", host.path().to_str().unwrap());
        match mistake {
            Some(Words(from, to)) => bytes = edited(&bytes, from, to),
            Some(Policy(section)) => policy.truncate(policy.find(section).unwrap()),
            Some(Plugin(_) | Host(_)) | None => {}
        }
        let component = place.join("broken.wasm");
        fs::write(&component, bytes).unwrap();
        fs::write(place.join("policy.toml"), policy).unwrap();
        Self { host, component }
    }

    /// Runs these checks and families of checks; all if none is named.
    fn test(&self, fault: &str, only: &BTreeSet<String>) -> Ran {
        let fault = format!("fault={fault}");
        let mut command = self.host.tool(&["-o", "json", "test", self.component.to_str().unwrap(), "-p", "target=x"]);
        command.args(["-p", "same=false", "--refuse", "target=nonsense", "-p", &fault]);
        command.args(only.iter().flat_map(|name| ["--only", name]));
        finish_within(&mut command, LONG)
    }

    /// Processes of daemons of this room that live.
    fn left(&self) -> Vec<i32> {
        processes::with_variable(&format!("TESTED_IN={}", self.host.path().display()))
    }
}

/// The bytes with other words of the same length.
fn edited(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len(), "{from}");
    let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap_or_else(|| panic!("{from}"));
    let mut edited = bytes.to_vec();
    edited[at..at + to.len()].copy_from_slice(to.as_bytes());
    edited
}

/// A tree whose agent is a shell script that does something before it becomes the agent.
fn tree(shell: &str) -> tempfile::TempDir {
    let tree = tempfile::tempdir().unwrap();
    fs::set_permissions(tree.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let (bin, libexec) = (tree.path().join("usr/bin"), tree.path().join("usr/libexec/ocf-wasm"));
    fs::create_dir_all(&bin).unwrap();
    fs::create_dir_all(&libexec).unwrap();
    // The tool looks for the others beside itself, and takes no link for its place.
    fs::copy(dist().join("usr/bin/ocf-wasm"), bin.join("ocf-wasm")).unwrap();
    fs::copy(dist().join("usr/libexec/ocf-wasm/ocf-wasm-compile"), libexec.join("ocf-wasm-compile")).unwrap();
    fs::copy(dist().join("usr/libexec/ocf-wasm/ocf-wasm-agent"), libexec.join("real")).unwrap();
    let agent = libexec.join("ocf-wasm-agent");
    let script = format!(
        "#!/bin/bash\nagent=$0\nword=(\"$@\")\nreal() {{ (exec -a \"$agent\" /usr/libexec/ocf-wasm/real \"${{word[@]}}\"); }}\n\
         {shell}\nexec -a \"$agent\" /usr/libexec/ocf-wasm/real \"$@\"\n"
    );
    fs::write(&agent, script).unwrap();
    fs::set_permissions(&agent, PermissionsExt::from_mode(0o755)).unwrap();
    tree
}

/// Names of the checks of a report with a status.
fn with_status(report: &Value, status: &str) -> BTreeSet<String> {
    let checks = report["checks"].as_array().unwrap();
    let found = checks.iter().filter(|check| check["status"] == status);
    found.map(|check| check["name"].as_str().unwrap().to_owned()).collect()
}

/// The family of each check.
fn families() -> &'static BTreeMap<String, String> {
    static FAMILIES: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
        let listed = TestHost::new().run(&["-o", "json", "test", "--list"]);
        assert_eq!(listed.code, 0, "{listed:#?}");
        let text = |check: &Value, key: &str| check[key].as_str().unwrap().to_owned();
        let checks = listed.json()["checks"].as_array().unwrap().clone();
        checks.iter().map(|check| (text(check, "name"), text(check, "family"))).collect()
    });
    &FAMILIES
}

fn all_checks() -> BTreeSet<String> {
    families().keys().cloned().collect()
}

/// What holds for every call.
const EVERY_CALL: &str = "every-call";
/// What is judged by all checks together.
const OF_ALL: &str = "labels-used";

/// Where a mistake is looked for; nothing named for everywhere. One of a plugin in the families of its row and in what
/// holds for every call; one of a host or of what is said may show anywhere.
fn looked_for_in(mistake: Mistake, wanted: &[&str]) -> BTreeSet<String> {
    let named: BTreeSet<String> = wanted.iter().map(|check| families()[*check].clone()).collect();
    if !matches!(mistake, Plugin(_)) || wanted.contains(&OF_ALL) || named.iter().all(|family| family == EVERY_CALL) {
        return BTreeSet::new();
    }
    let every_call = families().iter().filter(|(check, family)| *family == EVERY_CALL && *check != OF_ALL);
    let families = named.into_iter().filter(|family| family != EVERY_CALL);
    families.chain(every_call.map(|(check, _)| check.clone())).collect()
}

/// What a row's run found beside what it should have.
fn wrong(mistake: Mistake, wanted: &[&str]) -> Option<String> {
    let room = Room::new(Some(mistake));
    let ran = room.test(if let Plugin(fault) = mistake { fault } else { "none" }, &looked_for_in(mistake, wanted));
    let left = room.left();
    if ran.code != 1 {
        return Some(format!("{mistake:?} ends with {}: {ran:#?}", ran.code));
    }
    let report = ran.json();
    let failed = with_status(&report, "failed");
    let wanted: BTreeSet<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
    if failed == wanted && left.is_empty() {
        return None;
    }
    let details: Vec<String> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["status"] == "failed")
        .map(|check| format!("    {}: {}", check["name"], check["detail"]))
        .collect();
    Some(format!("{mistake:?}\n  wanted: {wanted:?}\n  failed: {failed:?}\n{}\n  left: {left:?}", details.join("\n")))
}

/// Checks that look at the clock.
const SLOW: [&str; 2] = ["\"time-to-spare\"", "\"in-time\""];

#[test]
fn each_mistake_is_found_by_its_checks_and_by_no_other() {
    if !is_root() {
        return;
    }
    let next = AtomicUsize::new(0);
    let complaint = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some((mistake, wanted)) = FOUND_BY.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // One that breaks down is named, and stops no other.
                    let looked = || match wrong(*mistake, wanted) {
                        // Time is also taken by a busy machine: what was slow by itself is slow again.
                        Some(found) if SLOW.iter().any(|check| found.contains(check)) => wrong(*mistake, wanted),
                        found => found,
                    };
                    let found = catch_unwind(looked);
                    let found = found.unwrap_or_else(|_| Some(format!("{mistake:?} breaks down; see above")));
                    complaint.lock().unwrap().extend(found);
                }
            });
        }
    });
    let complaint = complaint.into_inner().unwrap();
    assert!(complaint.is_empty(), "{}", complaint.join("\n"));
}

#[test]
fn every_mistake_of_the_plugin_has_a_row() {
    let source = fs::read_to_string(checkout().join("tests/broken/src/lib.rs")).unwrap();
    let (_, rest) = source.split_once("enum Fault {\n").unwrap();
    let (body, _) = rest.split_once("\n}").unwrap();
    let kebab = |name: &str| {
        let mut text = String::new();
        for c in name.chars() {
            if c.is_uppercase() && !text.is_empty() {
                text.push('-');
            }
            text.extend(c.to_lowercase());
        }
        text
    };
    let faults: BTreeSet<String> = body
        .lines()
        .filter_map(|line| Some(kebab(line.trim().strip_suffix(',')?)))
        .filter(|name| name != "none")
        .collect();
    let rows: BTreeSet<String> = FOUND_BY
        .iter()
        .filter_map(|(mistake, _)| if let Plugin(name) = mistake { Some((*name).to_owned()) } else { None })
        .collect();
    assert_eq!(faults, rows);
}

#[test]
fn every_check_was_seen_failing_or_says_why_not() {
    let seen: BTreeSet<String> =
        FOUND_BY.iter().flat_map(|(_, checks)| checks.iter()).map(|name| (*name).to_owned()).collect();
    let unseen: BTreeSet<String> = UNSEEN.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert!(seen.is_disjoint(&unseen), "{:?}", seen.intersection(&unseen));
    let all: BTreeSet<String> = seen.union(&unseen).cloned().collect();
    assert_eq!(all_checks(), all);
}

#[test]
fn plugins_that_are_right_pass() {
    let room = Room::new(None);
    let port = format!("port={}", free_port());
    let server = plugin("sample-tcp-server");
    let (dummy, web) = (plugin("dummy"), plugin("web-service"));
    let script = "service_path=/usr/libexec/ocf-wasm/examples/page";
    for (more, skipped) in [
        (vec![dummy.to_str().unwrap()], "notify"),
        (vec![server.to_str().unwrap(), "-p", &port, "-p", "greet=Good day to you!"], "promote"),
        (vec![web.to_str().unwrap(), "-p", script, "-p", "probe_url=http://127.0.0.1:5681/"], "reload"),
    ] {
        let ran = finish_within(room.host.tool(&["-o", "json", "test"]).args(&more), LONG);
        assert!(ran.code == 0 && ran.stderr.is_empty(), "{ran:#?}");
        let report = ran.json();
        assert_eq!(report["ok"], true);
        assert!(with_status(&report, "failed").is_empty() && with_status(&report, "blocked").is_empty(), "{ran:#?}");
        assert!(with_status(&report, "skipped").contains(skipped), "{ran:#?}");
    }
    if is_root() {
        let ran = room.test("none", &BTreeSet::new());
        let report = ran.json();
        assert_eq!((ran.code, with_status(&report, "passed")), (0, all_checks()), "{ran:#?}");
        assert!(room.left().is_empty());
    }
}

#[test]
fn people_and_build_servers_read_what_was_found() {
    let room = Room::new(None);
    let junit = room.host.path().join("junit.xml");
    let file = room.component.to_str().unwrap();
    let basic = ["test", file, "-p", "target=x", "--only", "times", "--only", "values-refused", "--only", "migrate"];
    let more = ["-p", "fault=validate-takes-nonsense", "--refuse", "target=nonsense"];
    let ran = room.host.run(&[&basic[..], &more, &["--junit", junit.to_str().unwrap()]].concat());
    assert_eq!(ran.code, 1, "{ran:#?}");
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(lines[0].starts_with("passed  times  "), "{ran:#?}");
    assert!(lines[1].starts_with("failed  values-refused  "), "{ran:#?}");
    assert!(lines[2].trim().starts_with("target = \"nonsense\": validate-all answers ok (0)"), "{ran:#?}");
    assert!(lines[3].trim().starts_with("because: pcs asks validate-all"), "{ran:#?}");
    assert!(lines[4].trim().starts_with("what to do: check in validate"), "{ran:#?}");
    assert!(ran.stdout.contains("test/broken: 2 passed, 1 failed, 0 blocked, 0 skipped, in "), "{ran:#?}");
    assert!(ran.stdout.ends_with("failed: values-refused\n") && !ran.stdout.contains('\u{1b}'), "{ran:#?}");
    let xml = fs::read_to_string(&junit).unwrap();
    assert!(xml.contains("tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"0\""), "{xml}");
    assert!(xml.contains("<failure message=\"target = &quot;nonsense&quot;: validate-all answers"), "{xml}");
    if Path::new("/usr/bin/xmllint").exists() {
        assert!(Command::new("xmllint").arg("--noout").arg(&junit).status().unwrap().success());
    }
    let listed = room.host.run(&["test", "--list"]);
    assert!(listed.code == 0 && listed.stdout.lines().count() == 2 * all_checks().len(), "{listed:#?}");
}

#[test]
fn wrong_usage_of_test_ends_with_2() {
    let room = Room::new(None);
    let file = room.component.to_str().unwrap();
    let policy = room.component.with_file_name("policy.toml");
    for (arguments, says) in [
        (&["test"][..], "<COMPONENT>"),
        (&["test", file, "-p", "fault=none"], "-p target=VALUE"),
        (&["test", file, "-p", "fault=none", "-p", "target=x", "-p", "other=x"], "has no parameter other"),
        (&["test", file, "-p", "fault=none", "-p", "target=x", "--refuse", "nothing=x"], "has no parameter nothing"),
        (&["test", file, "-p", "fault=none", "-p", "target=x", "--only", "nothing"], "nothing"),
    ] {
        let ran = room.host.run(arguments);
        assert!(ran.code == 2 && ran.stdout.is_empty() && ran.stderr.contains(says), "{arguments:?}: {ran:#?}");
    }
    fs::remove_file(&policy).unwrap();
    let ran = room.host.run(&["test", file, "-p", "target=x", "-p", "fault=none"]);
    assert!(ran.code == 2 && ran.stderr.contains("--policy FILE"), "{ran:#?}");
    fs::write(&policy, "format = 2\n").unwrap();
    let ran = room.host.run(&["test", file, "-p", "target=x", "-p", "fault=none"]);
    assert!(ran.code == 1 && ran.stderr.contains("policy.toml:1"), "{ran:#?}");
}

#[test]
fn the_node_is_not_touched() {
    let place = tempfile::tempdir().unwrap();
    let before: Vec<i32> = processes::with_variable("OCF_RESOURCE_INSTANCE=start");
    let component = plugin("dummy");
    // Without --root it makes one and takes it away.
    let mut command = Command::new(dist().join("usr/bin/ocf-wasm"));
    command
        .args(["test", component.to_str().unwrap(), "--only", "start"])
        .env("TMPDIR", place.path())
        .env_remove("HOME");
    let ran = finish_within(&mut command, LONG);
    assert!(ran.code == 0, "{ran:#?}");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0, "a root was left");
    assert!(!Path::new("/run/ocf-wasm/ocf-wasm/dummy/start").exists());
    let after = processes::with_variable("OCF_RESOURCE_INSTANCE=start");
    assert!(after.iter().all(|pid| before.contains(pid) || !is_alive(*pid)));
}
