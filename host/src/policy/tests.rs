//! What a policy may say, and how a mistake in it is told.

use super::*;
use crate::ocf::Parameters;
use crate::ocf::request::Guest;
use crate::policy::template::{Unfit, Values, fill_all};

mod dangers;
mod files;
mod lint;
mod rows;
mod several;
mod snapshot;

fn parse(text: &str) -> Result<Policy, Diagnostic> {
    Policy::parse(text, Path::new("/p.toml"))
}

fn program(argv: &str) -> String {
    format!(
        "format = 1\n[program.x]\nprogram = \"/bin/true\"\nargv = {argv}\nlifetime = \"action\"\nuser = \"nobody\"\n"
    )
}

fn fill(argv: &str, parameters: &[(&str, &str)]) -> Result<Vec<String>, Unfit> {
    let policy = parse(&program(argv)).unwrap();
    let parameters: Parameters = parameters.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
    let guest = Guest { physical_host: Some("n2".into()), attribute_target: None };
    let values = Values { parameters: &parameters, slots: &[], node: "n1", guest: &guest, instance: "web" };
    fill_all(&policy.programs["x"].argv, &values)
}

#[test]
fn an_empty_policy_is_consent_and_grants_nothing() {
    assert_eq!(parse("format = 1\n").unwrap(), Policy::default());
}

#[test]
fn arguments_are_filled_and_optional_groups_left_out() {
    let argv = r#"["-p", { param = "port", port = {} }, ["-x", { param = "x", name = {} }], { fact = "node" }]"#;
    assert_eq!(fill(argv, &[("port", "80")]).unwrap(), ["-p", "80", "n1"]);
    assert_eq!(fill(argv, &[("port", "80"), ("x", "y")]).unwrap(), ["-p", "80", "-x", "y", "n1"]);
}

#[test]
fn a_fact_is_filled_in_where_there_is_one() {
    let argv = r#"[{ fact = "node" }, { fact = "instance", prefix = "--of=" }, { fact = "physical-host" }]"#;
    assert_eq!(fill(argv, &[]).unwrap(), ["n1", "--of=web", "n2"]);
    assert_eq!(fill(r#"["-t", ["--target", { fact = "container-attribute-target" }]]"#, &[]).unwrap(), ["-t"]);
    let missing = fill(r#"[{ fact = "container-attribute-target" }]"#, &[]);
    assert_eq!(
        missing,
        Err(Unfit::Parameter("fact container-attribute-target is not set, and an argument needs it".into()))
    );
    for (argv, says) in [
        (r#"[{ fact = "kernel" }]"#, "a fact is"),
        (r#"[{ fact = "physical-host", name = {} }]"#, "a fact has no type"),
    ] {
        let told = parse(&program(argv)).unwrap_err().to_string();
        assert!(told.contains(says), "{told}");
    }
    let told = parse(&program("[]").replace("\"/bin/true\"", "{ fact = \"physical-host\" }")).unwrap_err().to_string();
    assert!(told.contains("a fact can be an argument or a variable"), "{told}");
}

#[test]
fn a_value_that_does_not_fit_is_refused() {
    let rows = [
        ("port = {}", "0"),
        ("port = { min = 1024 }", "80"),
        ("integer = { max = 3 }", "4"),
        ("name = {}", "a b"),
        ("name = {}", "."),
        ("name = {}", ".."),
        ("text = { max = 3 }", "abcd"),
        ("text = {}", "-rf"),
        ("text = {}", "a\nb"),
        ("one-of = [\"a\"]", "b"),
        ("ip = { within = [\"10.0.0.0/8\"] }", "11.0.0.1"),
        ("ip = {}", "010.0.0.1"),
        // Where clouds hand out credentials, unless that and nothing else is meant.
        ("ip = {}", "169.254.169.254"),
        ("ip = {}", "100.100.100.200"),
        ("ip = {}", "192.0.0.192"),
        ("ip = {}", "168.63.129.16"),
        ("ip = {}", "fd00:ec2::254"),
        ("ip = {}", "fd20:ce::254"),
        ("ip = { within = [\"100.64.0.0/10\"] }", "100.100.100.200"),
        ("ip = { within = [\"100.100.100.200/31\"] }", "100.100.100.200"),
        ("ip = { within = [\"168.63.129.16/8\"] }", "168.63.129.16"),
        ("ip = { within = [\"fd00::/8\"] }", "fd20:ce::254"),
        ("ip = { within = [\"0.0.0.0/4\"] }", "0.0.0.1"),
        ("file = { under = \"/etc\" }", "/etc/../root/x"),
        ("file = { under = \"/etc\" }", "/proc/version"),
        ("directory = { under = \"/\" }", "/etc/passwd"),
    ];
    let taken =
        |(kind, value): &&(&str, &str)| fill(&format!("[{{ param = \"v\", {kind} }}]"), &[("v", value)]).is_ok();
    assert_eq!(rows.iter().filter(taken).collect::<Vec<_>>(), Vec::<&(&str, &str)>::new());
}

#[test]
fn what_stands_for_no_one_node_is_granted_by_its_own_name() {
    for (network, address) in [
        ("100.100.100.200", "100.100.100.200"),
        ("168.63.129.16/32", "168.63.129.16"),
        ("fd20:ce::254", "fd20:ce::254"),
        ("169.254.0.0/16", "169.254.169.254"),
        ("100.64.0.0/10", "100.100.100.201"),
        ("224.0.0.0/4", "224.0.0.18"),
    ] {
        let filled = fill(&format!("[{{ param = \"v\", ip = {{ within = [\"{network}\"] }} }}]"), &[("v", address)]);
        assert_eq!(filled.as_deref(), Ok(&[address.to_owned()][..]), "{network}");
    }
    assert!(fill(r#"[{ param = "v", name = {} }]"#, &[("v", "..a")]).is_ok());
}

#[test]
fn a_leading_dash_is_fine_behind_a_literal_prefix() {
    let filled = fill(r#"[{ param = "v", text = {}, prefix = "--level=" }]"#, &[("v", "-1")]);
    assert_eq!(filled.unwrap(), ["--level=-1"]);
}

#[test]
fn mistakes_are_told_with_their_place() {
    let table = |line: &str| {
        format!(
            "format = 1\n[program.x]\nprogram = \"/bin/true\"\nlifetime = \"instance\"\nuser = \"nobody\"\n{line}\n"
        )
    };
    for (text, says) in [
        (String::new(), "`format` is missing"),
        ("format = 2".into(), "this version of ocf-wasm reads `format = 1`"),
        ("format = 1\n[prgram.x]".into(), "unknown key `prgram`"),
        ("format = 1\nformat = 1".into(), "duplicate key"),
        (table("agv = []"), "unknown key `agv`"),
        (table("argv = [3]"), "expected a string, found an integer"),
        (table("argv = [{ param = \"p\" }]"), "a value from outside needs a type"),
        (table("argv = [{ param = \"passwd\", text = {} }]"), "a secret parameter may be passed in `environment` only"),
        (table("environment = { LD_PRELOAD = \"x\" }"), "this variable makes programs load"),
        (table("stop = []"), "no step"),
        (table("stop = [{ signal = \"KILL\", grace = \"1s\" }]"), "a signal is one of"),
        (table("stop = [{ signal = \"TERM\", grace = \"101%\" }]"), "`grace` is a duration"),
        (table("timeout = \"3s\""), "`timeout` is for a program of lifetime \"action\""),
        ("format = 1\n[program.X]".into(), "a label is 1-64 of a-z, 0-9 and `-`"),
        ("format = 1\n[program.x]\nprogram = \"true\"".into(), "an absolute path without `..`"),
        ("format = 1\n[program.x]\nprogram = \"/bin/*\"".into(), "wildcards are not expanded"),
        ("format = 1\n[program.x]\nprogram = { param = \"p\", text = {} }".into(), "a program from outside needs"),
        ("format = 1\n[program.x]\nprogram = \"/a\"\nlifetime = \"action\"".into(), "`user` is missing in [program.x]"),
        ("format = 1\n[program.x]\nprogram = \"/a\"\nlifetime = \"action\"\nuser = \"\"".into(), "fill in the user"),
        ("format = 1\n[endpoint.e]\ntcp = { host = \"localhost\", port = 1 }".into(), "an IP address, such as"),
        ("format = 1\n[endpoint.e]\ntcp = { host = \"::1\", port = 0 }".into(), "a number from 1 to 65535"),
        ("format = 1\n[limits]\nmemory = \"1GiB\"".into(), "a size such as"),
        ("format = 1\n[plugin]\ndigest = \"md5:1\"".into(), "a digest is `sha256:`"),
        ("format = 1\n[stop]\nlast-resort = [\"y\"]".into(), "there is no [program.y] in this file"),
    ] {
        let told = parse(&text).expect_err(&text).line();
        assert!(told.contains(says), "{text}\n  says {told}\n  not  {says}");
    }
}

#[test]
fn a_diagnostic_shows_the_line_and_the_key_that_was_meant() {
    let text = "format = 1\n[program.x]\nprogram  = \"/bin/true\"\nlifetme  = \"action\"\nuser = \"nobody\"\n";
    let shown = parse(text).unwrap_err().to_string();
    assert_eq!(
        shown,
        "error: unknown key `lifetme`\n --> /p.toml:4:1\n  |\n4 | lifetme  = \"action\"\n  | ^^^^^^^\nhint: did you mean `lifetime`?\nexpected: program, unit, interpreter, argv, lifetime, type, user, environment, stop, output, input, timeout, signals, manager, groups, capabilities, view, network, limits, rate, require, namespaces"
    );
}

#[test]
fn a_last_resort_is_known_in_full_beforehand() {
    let text = |argv: &str| {
        let program = program(argv);
        format!("{program}[stop]\nlast-resort = [\"x\"]\ngone-when = {{ run = \"x\", exit = [1] }}\n")
    };
    assert!(parse(&text("[\"-KILL\"]")).unwrap().last_resort.is_some());
    assert!(parse(&text("[{ param = \"p\", port = {} }]")).is_err());
}

#[test]
fn a_script_that_forks_is_read() {
    let text = "format = 1\n[program.x]\nprogram = \"/etc/init.d/x\"\nuser = \"root\"\nlifetime = \"instance\"\n\
                type = \"forking\"\ninterpreter = [\"/bin/sh\", \"-e\"]\n";
    let program = &parse(text).unwrap().programs["x"];
    assert_eq!((program.forks, &program.interpreter[..]), (true, &["/bin/sh".to_owned(), "-e".to_owned()][..]));
}

#[test]
fn a_label_is_bound_under_its_own_kind_alone() {
    let policy = parse(
        "format = 1\n[program.a]\nprogram = \"/a\"\nuser = \"x\"\nlifetime = \"action\"\n\
         [path.b]\ndirectory = \"/srv/b\"\naccess = \"read\"\n[endpoint.c]\nhttp = \"http://127.0.0.1/\"\n",
    );
    let policy = policy.unwrap();
    for (kind, label) in [("program", "a"), ("path", "b"), ("endpoint", "c")] {
        assert!(policy.binds(kind, label), "{kind} {label}");
        assert_eq!(["program", "path", "endpoint", "x"].iter().filter(|kind| policy.binds(kind, label)).count(), 1);
    }
}
