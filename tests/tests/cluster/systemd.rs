//! Two nodes with a real systemd, as most clusters are, and an address with a server on them: the page docs/failover.md.
//!
//! What its blocks `failover` show is typed, as written, and compared; `UPDATE_GOLDEN=1` writes what was printed. Seconds
//! are shown, and not compared.

use std::fs;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use ocf_wasm_tests::cluster::{Cluster, Init, Setup};
use ocf_wasm_tests::document::blocks;
use ocf_wasm_tests::host::skip;
use ocf_wasm_tests::source::checkout;
use regex_lite::Regex;

use crate::typed::{self, Typed};
use crate::{PORT, pool};

const PAGE: &str = "docs/failover.md";
/// Where the server of the plugin is, and that of the shell agent.
const PLACES: [(&str, u16); 2] = [("10.77.0.50", PORT), ("10.77.0.51", 5679)];
/// Whoever is not greeted in this time asks again.
const PATIENCE: Duration = Duration::from_millis(200);
/// Nobody waits longer for a node that takes over.
const OVER_WITHIN: Duration = Duration::from_mins(1);
/// How a power loss is typed; the name of the node follows.
const LOSS: &str = "cargo xtask cluster power-off ";
/// The rows of the table: what serves, in the order of the page, with the shell agent beside each.
const ROWS: [&str; 2] = ["the plugin, and a program that it starts", "the plugin, and a unit"];

/// How long after each loss of power a client was greeted by another node, at each of the places.
type Losses = Mutex<Vec<[Duration; 2]>>;

/// Waits until a client is greeted by another node than this one.
fn greeted_by_another(cluster: &Cluster, (address, port): (&str, u16), lost: &str, since: Instant) -> Duration {
    loop {
        let heard = cluster.greeting_within(address, port, PATIENCE);
        if let Ok(line) = &heard
            && line.contains(" This is node")
            && !line.contains(lost)
        {
            return since.elapsed();
        }
        assert!(since.elapsed() < OVER_WITHIN, "{address}: {heard:?}\n{}", cluster.account());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Types a whole page, and returns it with what was printed.
fn play(cluster: &Cluster, page: &str, losses: &Losses) -> String {
    let mut played = page.to_owned();
    std::thread::scope(|scope| {
        let mut since = None;
        for block in blocks(page).iter().filter(|block| block.kind == "failover") {
            let mut shown = String::new();
            for step in typed::read(&block.text) {
                let began = Instant::now();
                let is_loss = step.command.starts_with(LOSS) || step.command.starts_with("shutdown ");
                if is_loss {
                    since = Some(began);
                }
                if let Some(lost) = step.command.strip_prefix(LOSS).map(str::to_owned) {
                    scope.spawn(move || {
                        let each = std::thread::scope(|scope| {
                            let each = PLACES.map(|place| {
                                let lost = &lost;
                                scope.spawn(move || greeted_by_another(cluster, place, lost, began))
                            });
                            each.map(|one| one.join().unwrap())
                        });
                        losses.lock().unwrap().push(each);
                    });
                }
                let mut printed = step.run(cluster);
                if let Some(since) = since
                    && step.command.starts_with("until ")
                {
                    printed.push_str(&format!("# {:.1} s\n", since.elapsed().as_secs_f64()));
                }
                let step = Typed { printed, ..step };
                println!("{:6.1} s  {}", began.elapsed().as_secs_f64(), step.shown());
                shown.push_str(&step.shown());
            }
            played = played.replacen(&block.text, &shown, 1);
        }
    });
    played
}

/// The page with the rows of its table as they were measured.
fn measured(page: &str, losses: &[[Duration; 2]]) -> String {
    let mut rows = losses.chunks(2).zip(ROWS).flat_map(|(losses, name)| {
        [(name, 0), ("the shell agent beside it", 1)].map(|(name, place)| {
            let each = losses.iter().map(|both| format!(" {:.1} s |", both[place].as_secs_f64()));
            format!("| {name} |{}", each.collect::<String>())
        })
    });
    let lines = page.lines().map(|line| {
        let is_row = ["| the plugin, ", "| the shell agent "].iter().any(|start| line.starts_with(start));
        if is_row { rows.next().unwrap_or_default() } else { line.to_owned() }
    });
    let page = lines.map(|line| line + "\n").collect();
    assert_eq!(rows.next(), None, "{PAGE} has fewer rows than were measured");
    page
}

/// What has no digits of a clock in it, and no digest of a component, which changes with its compiler.
fn without_seconds(page: &str) -> String {
    let page = Regex::new(r"\b\d+\.\d s\b").unwrap().replace_all(page, "_ s");
    Regex::new(r"\([0-9a-f]{12}\)").unwrap().replace_all(&page, "(DIGEST)").into_owned()
}

#[test]
fn a_client_hears_the_other_node_as_the_page_about_failover_says() {
    if !pool::has_boxes() {
        return;
    }
    if !std::path::Path::new("/usr/sbin/pcs").exists() && !skip("pcs is missing: the page about failover uses it") {
        return;
    }
    let cluster = Cluster::up(Setup::of(Init::Systemd)).unwrap();
    println!("two nodes with systemd were up after {:.1} s", cluster.ready_after().as_secs_f64());
    let path = checkout().join(PAGE);
    let page = fs::read_to_string(&path).unwrap();
    let losses = Losses::default();
    let played = play(&cluster, &page, &losses);
    let losses = losses.into_inner().unwrap();
    assert_eq!(losses.len(), 2 * ROWS.len(), "losses of power");
    let played = measured(&played, &losses);
    // Each loss, and nothing else, was followed by fencing, and the node was dead before: it lost its power.
    let fenced: Vec<String> = cluster.fencings().into_iter().map(|fencing| fencing.node).collect();
    assert_eq!(fenced, ["node1", "node2", "node1", "node2"], "{}", cluster.account());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &played).unwrap();
    }
    let (was, is) = (without_seconds(&page), without_seconds(&played));
    let differs = was.lines().zip(is.lines()).find(|(was, is)| was != is);
    assert!(
        std::env::var_os("UPDATE_GOLDEN").is_some() || was == is,
        "{PAGE} is not what happened, first in {differs:?}; if it is to change: UPDATE_GOLDEN=1\n{}",
        cluster.account()
    );
}
