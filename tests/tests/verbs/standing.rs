//! What `install` says of how an agent stands on this node, before and after, for people and for programs.

use ocf_wasm_tests::host::{TestHost, is_root, plugin, variant_of};
use serde_json::{Value, json};

use super::{DUMMY, good, text};

/// A policy of the dummy that names what is not there, for root.
const WANTING: &str =
    "format = 1\n[program.x]\nprogram = \"/usr/bin/nowhere\"\nlifetime = \"action\"\nuser = \"root\"\n";

/// What `check` calls weaker here, in its order, of what it has a name for.
fn weaker(host: &TestHost) -> Vec<String> {
    let node = host.run(&["-o", "json", "check"]).json()["node"].clone();
    let is_weaker = |name: &&str| node[*name].as_str().unwrap().starts_with("weaker: ");
    let names = ["view", "network", "landlock", "abstract-sockets", "cgroup", "memory", "tasks"];
    // Where there is one user only, nobody is kept from anybody.
    names.iter().filter(|name| is_root() && is_weaker(name)).map(|name| (*name).to_owned()).collect()
}

#[test]
fn install_says_for_programs_too_what_is_missing_here() {
    let host = TestHost::new();
    let dummy = plugin("dummy");
    let dummy = text(&dummy);
    let known = |more: &[&str]| -> Value {
        good(host.run(&[&["-o", "json", "install", dummy, "--allow-unsigned"], more].concat())).json()
    };
    let told = |more: &[&str]| good(host.run(&[&["install", dummy, "--allow-unsigned"], more].concat())).stdout;
    let none = "no policy yet, so nothing is granted and start is refused";
    assert!(known(&["--dry-run"])["policy"]["refused"].as_str().unwrap().starts_with(none));
    assert!(told(&["--dry-run"]).contains(none));
    host.policy(DUMMY, WANTING);
    // Would be, is, and is already.
    for more in [&["--dry-run"][..], &[], &[], &["--dry-run"]] {
        let known = known(more);
        let policy = &known["policy"];
        assert_eq!((&policy["path"], &policy["refused"]), (&json!(host.policy_path(DUMMY)), &Value::Null), "{known:#}");
        let lacking = policy["not_on_this_node"].as_array().unwrap();
        assert!(lacking[0].as_str().unwrap().contains("/usr/bin/nowhere is not there"), "{known:#}");
        assert_eq!((&policy["warnings"][0]["risk"], &policy["warnings"][0]["line"]), (&json!("root"), &json!(5)));
        assert_eq!(known["missing_layers"], json!(weaker(&host)), "{known:#}");
        let told = told(more);
        assert!(told.contains("  not on this node: program x: /usr/bin/nowhere is not there\n"), "{told}");
        assert!(told.contains("  warning: line 5: nowhere runs as root"), "{told}");
        let names = weaker(&host).join(", ");
        assert_eq!(told.contains(&format!("  this node has no {names}: ")), !names.is_empty(), "{told}");
    }
}

#[test]
fn a_dry_run_names_the_running_instances_that_would_be_moved() {
    let host = TestHost::with(&["dummy"]);
    for instance in ["one", "two"] {
        let _ = host.action(DUMMY, "start").instance(instance).is(0);
    }
    let _ = host.action(DUMMY, "stop").instance("two").is(0);
    let second = variant_of(&plugin("dummy"), 2, host.path());
    let would = |component: &str, more: &[&str]| {
        let words = [&["install", component, "--allow-unsigned", "--dry-run"], more].concat();
        let known = good(host.run(&[&["-o", "json"], &words[..]].concat())).json();
        let told = good(host.run(&words)).stdout;
        let named =
            told.lines().filter_map(|line| line.split_once(": would be monitored by both versions, and run with"));
        let named: Vec<_> = named.map(|(instance, _)| instance.trim().to_owned()).collect();
        assert_eq!(known["would_repin"], json!(named), "{told}");
        named
    };
    assert_eq!(would(text(&second), &[]), ["one"]);
    assert!(would(text(&second), &["--next-start"]).is_empty());
    assert_eq!(host.why("one")["pins"]["generation"], 1);
    // What runs with it already is moved to today's policy only.
    let first = plugin("dummy");
    assert!(would(text(&first), &[]).is_empty());
    host.policy(DUMMY, "format = 1\n# Another one.\n");
    assert_eq!(would(text(&first), &[]), ["one"]);
    let moved = good(host.run(&["-o", "json", "install", text(&first), "--allow-unsigned"])).json();
    assert_eq!(moved["repinned"], json!(["one"]));
    assert!(would(text(&first), &[]).is_empty());
    let _ = host.action(DUMMY, "stop").instance("one").is(0);
}

/// Whoever reads the policy sees a harmless name.
#[test]
fn a_link_to_a_program_that_runs_others_is_told_on_the_node_where_it_is_one() {
    let host = TestHost::with(&["dummy"]);
    let link = host.path().join("tool");
    std::os::unix::fs::symlink("/usr/bin/find", &link).unwrap();
    let policy = format!(
        "format = 1\n[program.x]\nprogram = \"{}\"\nargv = [{{ slot = \"s\", name = {{}} }}]\nlifetime = \"action\"\nuser = \"nobody\"\n",
        link.display()
    );
    host.policy(DUMMY, &policy);
    let says = "tool (find) runs other programs when it is told to";
    assert!(host.run(&["check"]).stdout.contains(says));
    assert!(good(host.run(&["install", text(&plugin("dummy")), "--allow-unsigned"])).stdout.contains(says));
    // A file that is named may be meant for another node.
    let file = host.path().join("p.toml");
    std::fs::write(&file, &policy).unwrap();
    assert!(!good(host.run(&["check", text(&file)])).stdout.contains("(find)"));
}
