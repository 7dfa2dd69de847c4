//! Pages of the guide that are tables of the code: the policy's keys and dangers, and what Pacemaker does.

use std::fmt::Write as _;

use super::golden;
use crate::ocf::effect::{EFFECTS, Occasion, Source, Stays};
use crate::ocf::outcome::Exit;
use crate::policy::key::{TABLES, Table};
use crate::policy::lint;

const WRITTEN: &str = "<!-- Written by `cargo xtask docs` from";

/// A text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// The heading of a table of the policy.
fn heading(table: &Table) -> String {
    match table.name {
        "" => "The file".to_owned(),
        "{ ... }" => "Open values".to_owned(),
        name if name.starts_with('[') => format!("`{name}`"),
        name => {
            let words: Vec<String> = name.split(", ").map(|word| format!("`{word} = {{ ... }}`")).collect();
            words.join(" and ")
        }
    }
}

fn policy() -> String {
    let mut page = format!("{WRITTEN} host/src/policy/key.rs and lint/risks.rs. -->\n# Policy reference\n");
    page.push_str(
        "
The policy of an agent is the file `/etc/ocf-wasm/policy/PROVIDER/TYPE.toml`. It is the operator's, it is read at every
start, and a running instance keeps the one that it was started with. The file and every directory above it must be
root's and writable by nobody else. It is [TOML](https://github.com/toml-lang/toml), at most 1 MiB, and strict: an unknown key, a
key twice, a value of another type or form refuses the whole file, with line, column and what is expected.

There are no defaults that grant something. What is not written is denied.

```sh
ocf-wasm check
```

`check` reads the policies of all installed agents, or the files that it is given. It tells all mistakes of a file that do not
depend on each other; the reason of an action names the one at which the agent ended its reading, which need not be the
first of the file: in a section, an unknown key comes before what is missing or wrong.
",
    );
    for table in TABLES {
        let _ = write!(page, "\n## {}\n\n{}\n", heading(table), table.about);
        for key in table.keys {
            let text = &key.text;
            let otherwise = match text.otherwise {
                "required" if table.knows("unit") => "Required, unless `unit` stands in its place.".to_owned(),
                "required" => "Required.".to_owned(),
                other => format!("Without it: {other}."),
            };
            let example = match text.example.starts_with('[') && !text.example.starts_with("[{") {
                true => text.example.to_owned(),
                false if text.example.starts_with("[{") => format!("argv = {}", text.example),
                false => text.example.to_owned(),
            };
            let _ = write!(
                page,
                "\n**`{}`**: {}. {otherwise}\n{}\n\n```\n{example}\n```\n",
                key.name, text.form, text.meaning
            );
        }
    }
    page.push_str(
        "
## What `check` warns of

A policy is the operator's word, so these grants are taken as they are. `check` and `install` say what somebody could do
with them. The name stands in `-o json`.

| name | what somebody could do | what to write instead |
| --- | --- | --- |
",
    );
    for (name, sentence, instead) in lint::table() {
        let sentence = sentence
            .replace("{who}", "*who sets the value*")
            .replace("{what}", "*it*")
            .replace("{user}", "*its user*")
            .replace("{lacks}", "*NoNewPrivileges=yes and the like*");
        let _ = writeln!(page, "| {name} | {} | {} |", cell(&sentence), cell(instead));
    }
    page
}

fn exit_codes() -> String {
    let mut page =
        format!("{WRITTEN} host/src/ocf/effect.rs and outcome.rs. -->\n# Exit statuses, and what Pacemaker does\n");
    page.push_str(
        "
An agent answers with an exit status and one exit reason. The host owns the numbers: a plugin returns a health or a
failure of some kind, and the host decides what that means for the action. Where a plugin traps, hangs or is refused,
the host answers for it.

| status | name | means |
| --- | --- | --- |
",
    );
    for exit in Exit::ALL {
        let words = exit.to_string();
        let words = words.rsplit_once(" (").map_or(words.as_str(), |(words, _)| words);
        let _ = writeln!(page, "| {} | `{}` | {words} |", exit.code(), exit.name());
    }
    page.push_str(
        "
What follows is what Pacemaker does with its defaults: `on-fail`, `migration-threshold` and `start-failure-is-fatal` are
not set. *Tried* was seen on a cluster of Pacemaker 2.1.5, of a resource that is no clone; *read* follows from the rules of
the scheduler, and nobody tried it.
Rows that end a loop or a node stand there because other agents answer so: start never answers 190, a recurring monitor
never 3, stop never 7 here.

*Stays* says what is left until `crm_resource --cleanup`: nothing; a *count*ed failure that is shown; the resource kept
away from the *node*, or from the whole *cluster*; or a *fence*d node or a blocked resource. `ocf-wasm why` reads this
same table.
",
    );
    for occasion in Occasion::ALL {
        let _ =
            write!(page, "\n## {}\n\n| status | Pacemaker | stays | |\n| --- | --- | --- | --- |\n", occasion.word());
        for effect in EFFECTS.iter().filter(|effect| effect.occasion == occasion) {
            let codes: Vec<String> = effect.exits.iter().map(|exit| exit.code().to_string()).collect();
            let codes = if effect.exits.len() == Exit::ALL.len() { "all".to_owned() } else { codes.join(", ") };
            let stays = if effect.stays == Stays::Nothing { "" } else { effect.stays.word() };
            let source = if effect.source == Source::Tried { "tried" } else { "read" };
            let _ = writeln!(page, "| {codes} | {} | {stays} | {source} |", cell(effect.does));
        }
    }
    page
}

#[test]
fn the_policy_reference_is_as_checked_in() {
    golden("docs/policy.md", &policy());
}

#[test]
fn the_page_of_exit_statuses_is_as_checked_in() {
    golden("docs/exit-codes.md", &exit_codes());
}
