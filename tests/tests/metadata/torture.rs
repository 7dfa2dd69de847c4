//! An agent that never runs: its description has everything that a description can have, and whatever could be mistaken
//! for the language it is written in.

#![allow(dead_code, reason = "only its description is read")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use ocf_agent::{Choice, Parameters, Port, Size};
use ocf_wasm_tests::handmade::Handmade;

/// Tests <readers> of metadata & "their" parsers
///
/// A first paragraph that is long enough to be broken, since no reader breaks lines by itself, and each of them puts it
/// somewhere else; it has `code`, "quotes", 'apostrophes', <tags/>, &entities; and ]]> in it
///
/// What must stay apart:
/// - one thing, --which-- goes on
///   in the next line
/// - another <!-- thing -->
/// 1. Größe 5 µs, 日本語, ½
///
/// aVeryLongWordThatCannotBeBrokenAnywhere/aVeryLongWordThatCannotBeBrokenAnywhere/aVeryLongWordThatCannotBeBroken
#[derive(Parameters)]
#[agent(
    name = "test/torture",
    start = "1500ms",
    stop = "2m",
    monitor = "40s",
    interval = "10s",
    promote = "10s",
    demote = "15s",
    notify = "5s",
    migrate_to = "1h",
    migrate_from = "1h",
    reload = "25s",
    validate = "1ms",
    check_level(20, timeout = "3m", interval = "1h"),
    check_level(10, timeout = "1m", interval = "11s")
)]
pub(crate) struct Torture {
    /// A text
    plain: Option<String>,
    /// What it must have
    ///
    /// Two resources with the same one would destroy each other's data.
    #[parameter(required, unique)]
    data: String,
    /// Address, unique together with its port
    #[parameter(default = "127.0.0.1", unique_group = "listen-on")]
    address: String,
    /// Port, unique together with its address
    #[parameter(default = 80, unique_group = "listen-on")]
    port: Port,
    /// Switch
    #[parameter(default = true, reloadable)]
    r#switch: bool,
    /// Number between bounds
    #[parameter(default = -1, min = -1, max = 64)]
    bounded: i32,
    /// Number that only its type limits
    #[parameter(default = 0)]
    counted: u32,
    /// Number without limits
    #[parameter(default = 0)]
    free: i64,
    /// How long to wait
    #[parameter(default = "90s", reloadable)]
    patience: Duration,
    /// How much it keeps
    #[parameter(default = "64MiB", reloadable)]
    cache: Size,
    /// How much it writes into its log
    #[parameter(default = "quiet", reloadable)]
    verbosity: Verbosity,
    /// Text with a default that is full of marks
    #[parameter(default = " <&\"'> %s $HOME  é ", reloadable)]
    marks: String,
    /// Text that is empty if nobody sets it
    #[parameter(default = "")]
    empty: String,
    /// Secret that no log and no listing shows
    password: Option<String>,
    /// Old name of data
    #[parameter(default = "", deprecated = "its name & meaning <changed>", replaced_with = "data")]
    dir: String,
    /// What nobody needs
    #[parameter(default = "", deprecated = "it does nothing.")]
    useless: String,
}

/// Its choices.
#[derive(Choice)]
enum Verbosity {
    /// Errors only
    Quiet,
    /// All & everything; this is said at such a length that it does not fit into one line of what is shown
    #[choice("<all>")]
    All,
}

/// The interfaces that a plugin may have beside the lifecycle.
const MORE: [&str; 4] = ["role", "notification", "migration", "reload"];

/// Makes a component with this description. `exports` are those beside the lifecycle.
pub(crate) fn component(directory: &Path, exports: &[&str]) -> PathBuf {
    let plugin = Handmade {
        notes: Some(Torture::METADATA.concat()),
        without: MORE.into_iter().filter(|name| !exports.contains(name)).collect(),
        ..Handmade::default()
    };
    let file = directory.join("torture.wasm");
    std::fs::write(&file, wat::parse_str(plugin.text("")).unwrap()).unwrap();
    file
}
