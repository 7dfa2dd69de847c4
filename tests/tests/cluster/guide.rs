//! The page of the guide about clusters: what its blocks `cluster` show is typed on the nodes, as written, and compared.

use std::time::Instant;

use ocf_wasm_tests::document::blocks;
use ocf_wasm_tests::host::skip;
use ocf_wasm_tests::source::checkout;

use crate::{pool, typed};

const PAGE: &str = "docs/cluster.md";
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
        for step in typed::read(&block.text) {
            let began = Instant::now();
            let printed = step.run(&cluster);
            println!("{:6.1} s  {}", began.elapsed().as_secs_f64(), step.shown());
            assert_eq!(step.printed, printed, "{}# {}\n{}", step.place, step.command, cluster.account());
            typed += 1;
        }
    }
    assert!(typed >= 10, "only {typed} commands were found");
}
