//! The page of the guide about clusters: what its blocks `cluster` show is typed on the nodes, as written, and compared.

use std::time::Instant;

use ocf_wasm_tests::command::finish;
use ocf_wasm_tests::document::{Step, blocks};
use ocf_wasm_tests::host::skip;
use ocf_wasm_tests::source::checkout;

use crate::pool;

const PAGE: &str = "docs/cluster.md";
/// What people type instead of asking the harness.
const HERE: &str = "cargo xtask cluster ";

/// The commands of a block, each with the place where it is typed: a node, the client, or here.
fn steps(text: &str) -> Vec<(String, Step)> {
    let mut steps: Vec<(String, Step)> = Vec::new();
    for line in text.lines() {
        let typed = line.split_once("# ").filter(|(place, _)| {
            place.strip_prefix("node").is_some_and(|n| n.parse::<u8>().is_ok()) || matches!(*place, "client" | "here")
        });
        match (typed, steps.last_mut()) {
            (Some((place, command)), _) => {
                let step = Step { command: command.to_owned(), printed: Some(String::new()) };
                steps.push((place.to_owned(), step));
            }
            (None, Some((_, Step { printed: Some(printed), .. }))) => {
                printed.push_str(line);
                printed.push('\n');
            }
            (None, _) => panic!("nobody types {line:?}"),
        }
    }
    steps
}

#[test]
fn the_page_about_clusters_shows_what_happens() {
    let Some(mut cluster) = pool::take() else { return };
    // The page leaves a policy mistyped.
    cluster.spoil();
    if !std::path::Path::new("/usr/sbin/pcs").exists() && !skip("pcs is missing: the page about clusters uses it") {
        return;
    }
    let page = std::fs::read_to_string(checkout().join(PAGE)).unwrap();
    let mut typed = 0;
    for block in blocks(&page).iter().filter(|block| block.kind == "cluster") {
        for (place, step) in steps(&block.text) {
            let began = Instant::now();
            let shell = ["bash", "-c", &format!("exec 2>&1\n{}", step.command)];
            let (code, printed) = if place == "here" {
                let words = step.command.strip_prefix(HERE).unwrap_or_else(|| panic!("{}", step.command));
                (0, cluster.obey(words).unwrap())
            } else {
                let mut command =
                    if place == "client" { cluster.client(&shell) } else { cluster.named(&place).command(&shell) };
                let ran = finish(&mut command);
                (ran.code, ran.stdout)
            };
            println!("{:6.1} s  {place}# {}\n{printed}", began.elapsed().as_secs_f64(), step.command);
            assert_eq!(
                step.printed.as_ref(),
                Some(&printed),
                "{place}# {} ({code})\n{}",
                step.command,
                cluster.account()
            );
            typed += 1;
        }
    }
    assert!(typed >= 10, "only {typed} commands were found");
}
