//! What every reader of metadata makes of ours: each plugin and an agent that has everything, in both profiles.
//!
//! The five schemas and the four programs are in `readers`. What the programs show to an operator stands in
//! `golden/metadata` and is compared to the letter; with `OCF_WASM_BLESS=1` it is written anew, to be read before it is
//! kept. It is of crmsh 4.4.1 and pcs 0.11.5, Debian 12's; other versions put the same words elsewhere.
//!
//! Without root or the tools these tests say so and pass; with `CI=true` they fail instead.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod readers;
mod torture;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use ocf_wasm_tests::host::{TestHost, plugin, plugins, policy_of};
use ocf_wasm_tests::node::{Node, room};
use readers::{PROGRAMS, Program, SCHEMAS, Schema, are_here};

const PROFILES: [&str; 2] = ["1.0", "1.1"];
const TORTURE: &str = "test/torture";
/// What the agent that has everything exports beside the lifecycle.
const EVERYTHING: [&str; 4] = ["role", "notification", "migration", "reload"];

/// A node with all agents in a profile, and their names.
fn node(profile: &str) -> (Node, Vec<String>) {
    let host = TestHost::new();
    let mut agents = Vec::new();
    for name in plugins() {
        let agent = format!("ocf-wasm/{name}");
        host.policy(&agent, &policy_of(&name));
        host.add(&plugin(&name), &["--profile", profile]);
        agents.push(agent);
    }
    host.add(&torture::component(host.path(), &EVERYTHING), &["--profile", profile]);
    agents.push(TORTURE.to_owned());
    (Node::new(host), agents)
}

/// The document, as the agent prints it.
fn document(host: &TestHost, agent: &str) -> String {
    host.call(agent).argument("meta-data").is(0).stdout
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/metadata").join(name)
}

/// Compares with what is kept, or keeps it.
fn is_as_kept(name: &str, now: &str, wrong: &mut Vec<String>) {
    if std::env::var_os("OCF_WASM_BLESS").is_some() {
        fs::write(golden(name), now).unwrap();
        return;
    }
    let kept = fs::read_to_string(golden(name)).unwrap_or_else(|error| format!("{error}"));
    if kept != now {
        wrong.push(format!("{name} was\n{kept}\nand is\n{now}"));
    }
}

/// One document of one agent, on a node where it is installed.
struct Shown<'a> {
    node: &'a Node,
    agent: &'a str,
    profile: &'a str,
    xml: String,
}

/// Lets a judge say what is wrong with each agent's document in each profile. False if that cannot be told here.
fn judged(mut judge: impl FnMut(&Shown<'_>, &mut Vec<String>)) -> bool {
    if !room() || !are_here() {
        return false;
    }
    let mut wrong = Vec::new();
    for profile in PROFILES {
        let (node, agents) = node(profile);
        for agent in &agents {
            let xml = document(&node.host, agent);
            judge(&Shown { node: &node, agent, profile, xml }, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    true
}

#[test]
fn every_schema_takes_what_it_can_know() {
    judged(|&Shown { agent, profile, ref xml, .. }, wrong| {
        let refused: Vec<Schema> = SCHEMAS.into_iter().filter(|schema| schema.judge(xml).is_some()).collect();
        // What came after them, or not at all: `reload-agent` and `select` for the DTD, attributes for the others.
        let has = |words: &[&str]| words.iter().any(|word| xml.contains(word));
        let newer = [" reloadable=", " unique-group=", "<deprecated>"];
        let mut expected = Vec::new();
        if profile == "1.1" {
            let is_newer = has(&newer);
            expected.extend((is_newer || has(&["\"reload-agent\"", "\"select\""])).then_some(Schema::Dtd));
            expected.extend(is_newer.then_some(Schema::ResourceAgents));
            expected.extend(is_newer.then_some(Schema::Pcs10));
        }
        if refused != expected {
            let why: Vec<_> = refused.iter().map(|schema| (schema, schema.judge(xml))).collect();
            wrong.push(format!("{agent} {profile}: expected {expected:?}, refused by {why:#?}\n{xml}"));
        }
        if agent == TORTURE {
            assert_eq!(has(&newer), profile == "1.1", "{xml}");
        }
    });
}

#[test]
fn every_program_shows_it_as_it_was_kept() {
    let is_told = judged(|&Shown { node, agent, profile, ref xml }, wrong| {
        // Pacemaker hands it on as it came, but for the end of the last line.
        let handed_on = Program::CrmResource.shows(node, agent).unwrap();
        assert_eq!(handed_on.trim_end(), xml.trim_end());
        assert_eq!(Program::Xmllint.shows(node, agent), Ok(String::new()));
        let name = agent.split('/').next_back().unwrap();
        if agent == TORTURE {
            is_as_kept(&format!("{name}-{profile}.xml"), xml, wrong);
        } else if profile == "1.0" {
            // Shown once, in the profile that is installed if nobody says anything.
            for program in [Program::Crm, Program::Pcs] {
                assert_ne!(program.shows(node, agent).unwrap(), "", "{program:?}");
            }
            return;
        }
        for (program, end) in [(Program::Crm, "crm"), (Program::Pcs, "pcs")] {
            let shown = program.shows(node, agent).unwrap_or_else(|why| panic!("{program:?} {agent}: {why}"));
            is_as_kept(&format!("{name}-{profile}.{end}.txt"), &shown, wrong);
        }
    });
    if !is_told {
        return;
    }
    // Nothing is kept of what is gone.
    let mut known: Vec<String> = plugins().iter().map(|name| format!("{name}-1.1.")).collect();
    known.extend(["torture-1.0.", "torture-1.1.", "ocf-1.1."].map(str::to_owned));
    for entry in fs::read_dir(golden("")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(known.iter().any(|known| name.starts_with(known)), "golden/metadata/{name}: of what?");
    }
}

#[test]
fn the_same_description_gives_the_same_bytes() {
    let host = TestHost::new();
    let component = torture::component(host.path(), &EVERYTHING);
    for profile in PROFILES {
        host.add(&component, &["--profile", profile]);
        let first = document(&host, TORTURE);
        host.add(&component, &["--profile", profile]);
        assert_eq!(document(&host, TORTURE), first);
        // Also for who may read nothing else.
        assert_eq!(host.call(TORTURE).argument("meta-data").user(65534).is(0).stdout, first);
        assert!(first.contains(&format!("<version>{profile}</version>")), "{first}");
        let lines: Vec<&str> = first.lines().filter(|line| line.contains("name=\"monitor\"")).collect();
        let intervals: BTreeMap<&str, usize> = lines
            .iter()
            .map(|line| line.split_once("interval=\"").unwrap().1.split_once('"').unwrap().0)
            .fold(BTreeMap::new(), |mut seen, interval| {
                *seen.entry(interval).or_default() += 1;
                seen
            });
        assert_eq!((lines.len(), intervals.len()), (6, 6), "two monitors of one interval are one: {first}");
    }
}

#[test]
fn what_is_exported_is_advertised_and_nothing_else() {
    let host = TestHost::new();
    let advertised = |exports: &[&str], profile: &str| -> Vec<String> {
        host.add(&torture::component(host.path(), exports), &["--profile", profile]);
        let xml = document(&host, TORTURE);
        let names = xml.split("<action name=\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
        let mut names: Vec<String> = names.collect();
        names.dedup();
        names
    };
    let always = ["start", "stop", "monitor", "meta-data", "validate-all"];
    for (export, actions) in [
        ("role", &["promote", "demote"][..]),
        ("notification", &["notify"]),
        ("migration", &["migrate_to", "migrate_from"]),
        ("reload", &["reload-agent"]),
    ] {
        let expected = [&always[..3], actions, &always[3..]].concat();
        assert_eq!(advertised(&[export], "1.1"), expected);
    }
    assert_eq!(advertised(&[], "1.1"), always);
    // Some of its parameters are neither reloadable nor unique: Pacemaker would drop their changes silently.
    assert_eq!(advertised(&["reload"], "1.0"), always);
}

/// A defect: what it is, how it is made, and who must refuse it.
struct Defect {
    what: &'static str,
    from: &'static str,
    to: &'static str,
    schemas: &'static [Schema],
    programs: &'static [Program],
}

#[test]
fn each_defect_is_refused_by_those_who_should() {
    use Program::{Crm, Pcs, Xmllint};
    use Schema::{Dtd, Ocf11, Pcs10, Pcs11, ResourceAgents};
    if !room() || !are_here() {
        return;
    }
    let sound = r#"<?xml version="1.0"?>
<!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd">
<resource-agent name="broken" version="1">
  <version>1.0</version>
  <longdesc lang="en">Long</longdesc>
  <shortdesc lang="en">Short</shortdesc>
  <parameters>
    <parameter name="p" required="0">
      <longdesc lang="en">What p is</longdesc>
      <shortdesc lang="en">P</shortdesc>
      <content type="string" default="x"/>
    </parameter>
  </parameters>
  <actions>
    <action name="start" timeout="20s"/>
    <action name="stop" timeout="20s"/>
    <action name="monitor" timeout="20s" interval="10s" depth="0" role="Promoted"/>
    <action name="monitor" timeout="20s" interval="11s" depth="0" role="Unpromoted"/>
    <action name="meta-data" timeout="5s"/>
  </actions>
</resource-agent>
"#;
    let short_first = "<shortdesc lang=\"en\">Short</shortdesc>\n  <longdesc lang=\"en\">Long</longdesc>";
    let long_first = "<longdesc lang=\"en\">Long</longdesc>\n  <shortdesc lang=\"en\">Short</shortdesc>";
    let parameter = &sound[sound.find("    <parameter name").unwrap()..sound.find("  </parameters>").unwrap()];
    let parameter: &'static str = parameter.to_owned().leak();
    let defect = |what, from, to, schemas, programs| Defect { what, from, to, schemas, programs };
    let defects = [
        defect("nothing", "broken", "broken", &[], &[]),
        defect("an encoding in the declaration", "\"1.0\"?", "\"1.0\" encoding=\"UTF-8\"?", &[], &[Crm]),
        defect("no document type", "<!DOCTYPE resource-agent SYSTEM \"ra-api-1.dtd\">\n", "", &[Dtd], &[]),
        defect("short before long", long_first, short_first, &[Dtd, ResourceAgents, Ocf11], &[]),
        defect("no parameters", parameter, "", &[ResourceAgents, Ocf11], &[]),
        defect("what is not escaped", ">Long<", ">this & that<", &SCHEMAS, &[Crm, Pcs, Xmllint]),
        defect("what is not XML", ">Long<", ">\u{7}<", &SCHEMAS, &[Crm, Pcs, Xmllint]),
        defect("a type of somebody's own", "\"string\"", "\"numeric\"", &[Dtd, ResourceAgents, Pcs11, Ocf11], &[]),
        defect("a select of nothing", "\"string\"", "\"select\"", &[Dtd, Ocf11], &[]),
        defect("a mark for secrets", "required=\"0\"", "required=\"0\" private=\"1\"", &SCHEMAS, &[Pcs]),
        defect(
            "an attribute of 1.1",
            "required=\"0\"",
            "reloadable=\"1\" required=\"0\"",
            &[Dtd, ResourceAgents, Pcs10],
            &[Pcs],
        ),
        defect("a group", "required=\"0\"", "unique-group=\"g\" required=\"0\"", &[Dtd, ResourceAgents, Pcs10], &[Pcs]),
        defect("an action of 1.1", "\"stop\"", "\"reload-agent\"", &[Dtd], &[]),
        defect("a role without a capital", "\"Promoted\"", "\"promoted\"", &[ResourceAgents, Pcs10, Ocf11], &[Pcs]),
        defect("a role's old name", "\"Promoted\"", "\"Master\"", &[ResourceAgents, Ocf11], &[]),
        defect("a time without a unit", "timeout=\"5s\"", "timeout=\"5\"", &[Ocf11], &[]),
        defect("no timeout", " timeout=\"5s\"", "", &[Dtd, ResourceAgents, Ocf11], &[]),
        defect("two monitors of one interval", "\"11s\"", "\"10s\"", &[], &[Pcs]),
        defect("a version that nobody knows", ">1.0<", ">2.0<", &[Ocf11], &[Pcs]),
        defect("no language", "<longdesc lang=\"en\">Long", "<longdesc>Long", &[ResourceAgents, Ocf11], &[]),
    ];
    let host = TestHost::new();
    let directory = host.path().join("resource.d/test");
    fs::create_dir_all(&directory).unwrap();
    let node = Node::new(host);
    let mut wrong = Vec::new();
    for (number, defect) in defects.iter().enumerate() {
        assert!(sound.contains(defect.from), "{}", defect.what);
        let xml = sound.replacen(defect.from, defect.to, 1);
        // One agent each, since they may be remembered; the same for all would be the same to whoever remembers.
        let agent = format!("test/broken-{number}");
        let script = format!("#!/bin/sh\n[ \"$1\" = meta-data ] || exit 3\ncat <<'END'\n{xml}END\n");
        let file = node.host.path().join("resource.d").join(&agent);
        fs::write(&file, script).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        let schemas: Vec<Schema> = SCHEMAS.into_iter().filter(|schema| schema.judge(&xml).is_some()).collect();
        let programs = PROGRAMS.into_iter().filter(|program| program.shows(&node, &agent).is_err());
        let programs: Vec<Program> = programs.collect();
        if (&schemas[..], &programs[..]) != (defect.schemas, defect.programs) {
            let why: Vec<_> = schemas.iter().map(|schema| schema.judge(&xml)).collect();
            let said: Vec<_> = programs.iter().map(|program| program.shows(&node, &agent)).collect();
            wrong.push(format!("{}: refused by {schemas:?} {programs:?}\n{why:#?}\n{said:#?}", defect.what));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Each of them was seen refusing something, but for Pacemaker, which hands on whatever comes.
    for schema in SCHEMAS {
        assert!(defects.iter().any(|defect| defect.schemas.contains(&schema)), "{schema:?}");
    }
    for program in [Crm, Pcs, Xmllint] {
        assert!(defects.iter().any(|defect| defect.programs.contains(&program)), "{program:?}");
    }
}
