//! The fence agent of a node: asks the harness to switch another node off and on, and waits until that is done.
//!
//! Pacemaker gives the parameters on standard input, one a line, as the interface of fence agents has it.

use ocf_wasm_tests::cluster::plan::{FENCE_TYPE, POWER};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

/// Pacemaker waits a minute for a fence agent, by default.
const ANSWER_WITHIN: Duration = Duration::from_secs(40);

const METADATA: &str = r#"<?xml version="1.0"?>
<resource-agent name="NAME" shortdesc="Switches nodes that are namespaces off and on">
<longdesc>Asks the harness, which kills the first process of the node and starts a new one.</longdesc>
<vendor-url></vendor-url>
<parameters>
<parameter name="action" unique="0" required="1">
<getopt mixed="-o, --action=[action]"/>
<content type="string" default="reboot"/>
<shortdesc lang="en">What to do</shortdesc>
</parameter>
<parameter name="plug" unique="0" required="0" obsoletes="port">
<getopt mixed="-n, --plug=[id]"/>
<content type="string"/>
<shortdesc lang="en">The node</shortdesc>
</parameter>
<parameter name="port" unique="0" required="0" deprecated="1">
<getopt mixed="-n, --plug=[id]"/>
<content type="string"/>
<shortdesc lang="en">The node</shortdesc>
</parameter>
</parameters>
<actions>
<action name="on" automatic="0"/>
<action name="off"/>
<action name="reboot"/>
<action name="status"/>
<action name="list"/>
<action name="monitor"/>
<action name="metadata"/>
<action name="validate-all"/>
</actions>
</resource-agent>
"#;

/// Does what the words on the command line or on standard input ask for.
pub(crate) fn main(arguments: &[String]) -> ExitCode {
    let (mut action, mut plug) = ("reboot".to_owned(), String::new());
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-o" => action = words.next().cloned().unwrap_or_default(),
            "-n" => plug = words.next().cloned().unwrap_or_default(),
            word => {
                if let Some(value) = word.strip_prefix("--action=") {
                    value.clone_into(&mut action);
                }
            }
        }
    }
    if arguments.is_empty() {
        let mut text = String::new();
        // What cannot be read is not there.
        let _ = std::io::stdin().read_to_string(&mut text);
        for line in text.lines() {
            match line.split_once('=') {
                Some(("action", value)) => value.clone_into(&mut action),
                Some(("plug" | "port", value)) => value.clone_into(&mut plug),
                Some(("nodename", value)) if plug.is_empty() => value.clone_into(&mut plug),
                _ => {}
            }
        }
    }
    let asked = match action.as_str() {
        "metadata" | "meta-data" => {
            print!("{}", METADATA.replace("NAME", FENCE_TYPE));
            return ExitCode::SUCCESS;
        }
        "monitor" | "status" | "validate-all" => ask("list", "", ""),
        "list" => ask("list", "", "").map(|names| {
            names.split(' ').filter_map(|each| each.split('=').next()).for_each(|name| println!("{name},"));
            String::new()
        }),
        "on" | "off" | "reboot" => {
            let by = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            ask(&action, &plug, by.trim())
        }
        _ => Err(std::io::Error::other(format!("no action {action:?}"))),
    };
    match asked {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{FENCE_TYPE} {action} {plug}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn ask(verb: &str, node: &str, by: &str) -> std::io::Result<String> {
    let stream = UnixStream::connect(format!("{POWER}/socket"))?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    (&stream).write_all(format!("{verb} {node} {by}\n").as_bytes())?;
    let mut answer = String::new();
    BufReader::new(&stream).read_line(&mut answer)?;
    match answer.trim_end().split_once(' ') {
        Some(("ok", words)) => Ok(words.to_owned()),
        None if answer.trim_end() == "ok" => Ok(String::new()),
        _ => Err(std::io::Error::other(format!("the harness says {:?}", answer.trim_end()))),
    }
}
