//! Files that somebody damaged, replaced or gave away: native code, components, generations, records and what stands
//! beside them. What cannot be believed is not believed, and what does not matter costs nobody an answer.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};

use ocf_wasm_tests::host::plugin;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::table::{Before, How, Left, Row, Stage, Who};

type Damage = fn(&Stage<'_>);

/// What is done to something that runs: its name, how, the action, its exit status, what the reason says, what is left.
const ROWS: &[(&str, Damage, &str, i32, &str, Left)] = &[
    // The record: nothing is started, stopped or said not to run.
    ("an empty record", |s| empty(&record(s)), "stop", 1, LOST, Left::Unknown),
    ("half a record", |s| cut(&record(s)), "stop", 1, LOST, Left::Unknown),
    ("half a record, of a start", |s| cut(&record(s)), "start", 1, LOST, Left::Unknown),
    ("half a record, of a monitor", |s| cut(&record(s)), "monitor 10s", 1, LOST, Left::Unknown),
    ("a record with a bit turned", |s| flip(&record(s)), "stop", 1, LOST, Left::Unknown),
    ("a record with a bit turned, of a start", |s| flip(&record(s)), "start", 1, LOST, Left::Unknown),
    ("a record of zeros", |s| zeros(&record(s)), "stop", 1, LOST, Left::Unknown),
    ("a record of a terabyte", |s| huge(&record(s)), "stop", 1, LOST, Left::Unknown),
    ("a record that is a link", |s| link(s, &record(s)), "stop", 1, LOST, Left::Unknown),
    ("a record that is a pipe", |s| fifo(&record(s)), "stop", 1, LOST, Left::Unknown),
    ("a record that is a directory", |s| directory(&record(s)), "stop", 1, LOST, Left::Unknown),
    ("a record that is gone", |s| gone(&record(s)), "stop", 1, LOST, Left::Unknown),
    ("a record that belongs to somebody else", |s| give(&record(s)), "stop", 1, LOST, Left::Unknown),
    ("a record that everybody may write", |s| open(&record(s)), "stop", 1, LOST, Left::Unknown),
    ("the record of another instance", |s| another(s), "stop", 1, LOST, Left::Unknown),
    ("the record of another instance, of a start", |s| another(s), "start", 1, LOST, Left::Unknown),
    // What stands beside it.
    ("a new record that is a link", |s| link(s, &s.record("record.new")), "stop", 0, "", Left::Nothing),
    ("a history that is a link", |s| link(s, &s.record("actions")), "stop", 0, "", Left::Nothing),
    ("a history that is a pipe", |s| fifo(&s.record("actions")), "stop", 0, "", Left::Nothing),
    ("a history that is a directory", |s| directory(&s.record("actions")), "stop", 0, "", Left::Nothing),
    ("a history of a terabyte", |s| huge(&s.record("actions")), "stop", 0, "", Left::Nothing),
    (
        "a history that is no text",
        |s| fs::write(s.record("actions"), [0xff; 20_000]).unwrap(),
        "stop",
        0,
        "",
        Left::Nothing,
    ),
    ("a lock that is a link", |s| link(s, &s.record("lock")), "stop", 1, "lock: ", Left::Unknown),
    ("a lock that is a link to nothing", |s| dangling(s, &s.record("lock")), "stop", 1, "lock: ", Left::Unknown),
    ("a lock that is a directory", |s| directory(&s.record("lock")), "stop", 1, "lock: ", Left::Unknown),
    ("a lock that is gone", |s| gone(&s.record("lock")), "stop", 0, "", Left::Nothing),
    ("half a report of the keeper", |s| cut(&s.record("daemon.daemon")), "stop", 0, "", Left::Nothing),
    ("a report of the keeper that is a link", |s| link(s, &s.record("daemon.daemon")), "stop", 0, "", Left::Nothing),
    ("a report of the keeper that is a pipe", |s| fifo(&s.record("daemon.daemon")), "stop", 0, "", Left::Nothing),
    ("no record of the node", |s| gone(&s.path("run/.begun")), "monitor 10s", 0, "", Left::Running),
    // Native code is never needed for an answer, and never believed.
    ("half of the native code", |s| cut(&code(s)), "monitor 10s", 0, "", Left::Running),
    ("native code with a bit turned", |s| flip(&code(s)), "monitor 10s", 0, "", Left::Running),
    ("native code that is a link", |s| link(s, &code(s)), "monitor 10s", 0, "", Left::Running),
    ("native code that is a pipe", |s| fifo(&code(s)), "monitor 10s", 0, "", Left::Running),
    ("native code that is a directory", |s| directory(&code(s)), "monitor 10s", 0, "", Left::Running),
    ("native code of a terabyte", |s| huge(&code(s)), "monitor 10s", 0, "", Left::Running),
    ("native code that belongs to somebody else", |s| give(&code(s)), "monitor 10s", 0, "", Left::Running),
    ("native code that everybody may write", |s| open(&code(s)), "monitor 10s", 0, "", Left::Running),
    ("native code in a directory of somebody else", |s| give(&s.path("cache")), "monitor 10s", 0, "", Left::Running),
    ("a compilation's lock that is a link", |s| locked(s, link), "monitor 10s", 0, "", Left::Running),
    (
        "a compilation's lock that is a directory",
        |s| locked(s, |_, at| directory(at)),
        "monitor 10s",
        0,
        "",
        Left::Running,
    ),
    ("half a key of the native code", |s| cut(&s.path("lib/cache.key")), "monitor 10s", 0, "", Left::Running),
    ("another key of the native code", |s| flip(&s.path("lib/cache.key")), "monitor 10s", 0, "", Left::Running),
    ("a key that belongs to somebody else", |s| give(&s.path("lib/cache.key")), "monitor 10s", 0, "", Left::Running),
    ("a key that is a link", |s| link(s, &s.path("lib/cache.key")), "monitor 10s", 0, "", Left::Running),
    // The component: without native code, its bytes are what is asked for, or nothing is run.
    ("a component with a bit turned", |s| compile(s, flip), "monitor 10s", 1, "component ", Left::Damaged),
    ("a component with a bit turned, of a stop", |s| compile(s, flip), "stop", 0, "", Left::Damaged),
    ("a pinned policy with a bit turned", |s| flip(&pinned(s)), "monitor 10s", 1, "policy", Left::Damaged),
    ("a pinned policy that grants more", |s| grant(&pinned(s)), "monitor 10s", 1, "policy", Left::Damaged),
    ("a pinned policy of somebody else", |s| give(&pinned(s)), "monitor 10s", 1, "belongs to user", Left::Damaged),
    ("half a component", |s| compile(s, cut), "monitor 10s", 1, "component ", Left::Damaged),
    ("another component", |s| compile(s, exchange), "monitor 10s", 1, "component ", Left::Damaged),
    ("another component, of a start", |s| compile(s, exchange), "start", 5, "component ", Left::Damaged),
    ("no component", |s| compile(s, gone), "monitor 10s", 1, "component ", Left::Damaged),
    (
        "a component that belongs to somebody else",
        |s| compile(s, give),
        "monitor 10s",
        1,
        "belongs to user",
        Left::Damaged,
    ),
    ("a component that everybody may write", |s| compile(s, open), "monitor 10s", 1, "is writable", Left::Damaged),
    ("a component that is a pipe", |s| compile(s, fifo), "monitor 10s", 1, "regular", Left::Damaged),
    (
        "a component in a directory of everybody",
        |s| compile_in(s, open),
        "monitor 10s",
        1,
        "is writable",
        Left::Damaged,
    ),
    // The generation.
    ("half a generation", |s| cut(&generation(s)), "monitor 10s", 1, "damaged", Left::Damaged),
    ("half a generation, of a stop", |s| cut(&generation(s)), "stop", 0, "", Left::Damaged),
    ("a generation with a bit turned", |s| flip(&generation(s)), "monitor 10s", 1, "damaged", Left::Damaged),
    ("a generation that is a link", |s| link(s, &generation(s)), "monitor 10s", 1, "ymbolic link", Left::Damaged),
    (
        "a generation that belongs to somebody else",
        |s| give(&generation(s)),
        "monitor 10s",
        1,
        "belongs",
        Left::Damaged,
    ),
    ("a generation that everybody may write", |s| open(&generation(s)), "monitor 10s", 1, "writable", Left::Damaged),
    ("no generation", |s| gone(&generation(s)), "monitor 10s", 1, "not in the store", Left::Damaged),
    ("a current version that is none", |s| current(s, "2"), "monitor 10s", 0, "", Left::Damaged),
    ("a current version that is none, of a start", |s| current(s, "2"), "start", 0, "", Left::Damaged),
    ("a current version elsewhere", |s| current(s, "../../../../outside"), "start", 0, "", Left::Damaged),
    ("a current version that is itself", |s| current(s, "current"), "stop", 0, "", Left::Damaged),
];

const LOST: &str = "damaged or lost";

pub(crate) fn rows() -> Vec<Row> {
    let row =
        |(name, damage, action, exit, reason, left): &(&str, Damage, &'static str, i32, &'static str, Left)| Row {
            name: (*name).to_owned(),
            who: Who::Neighbour,
            how: How::Done(Box::new(*damage)),
            before: Before::Started,
            action,
            exit: *exit,
            reason,
            left: *left,
        };
    ROWS.iter().map(row).collect()
}

fn record(stage: &Stage<'_>) -> PathBuf {
    stage.record("record")
}

fn generation(stage: &Stage<'_>) -> PathBuf {
    stage.path("lib/agents/test/hostile/1/agent")
}

/// The file of a directory with this in its name.
fn one(directory: &Path, name: &str) -> PathBuf {
    let mut entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.find(|path| path.file_name().unwrap().to_str().unwrap().contains(name)).unwrap()
}

fn code(stage: &Stage<'_>) -> PathBuf {
    one(&stage.path("cache"), "-wasmtime-")
}

/// The component; pinned policies lie beside it.
fn component(stage: &Stage<'_>) -> PathBuf {
    let name = code(stage).file_name().unwrap().to_str().unwrap().to_owned();
    stage.path("lib/blobs/sha256").join(name.split('-').next().unwrap())
}

/// The policy that it was started with.
fn pinned(stage: &Stage<'_>) -> PathBuf {
    let component = component(stage);
    let mut entries = fs::read_dir(stage.path("lib/blobs/sha256")).unwrap().map(|entry| entry.unwrap().path());
    entries.find(|path| *path != component).unwrap()
}

fn grant(path: &Path) {
    let text = fs::read_to_string(path).unwrap().replace("nobody", "root");
    fs::write(path, text).unwrap();
}

fn empty(path: &Path) {
    fs::write(path, "").unwrap();
}

fn cut(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn zeros(path: &Path) {
    let length = fs::metadata(path).unwrap().len();
    fs::write(path, vec![0; usize::try_from(length).unwrap()]).unwrap();
}

fn huge(path: &Path) {
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(1 << 40).unwrap();
}

/// Replaces a file, if there is one, by a link to one of somebody else.
fn link(stage: &Stage<'_>, path: &Path) {
    let _ = fs::remove_file(path);
    symlink(stage.outside().join("secret"), path).unwrap();
}

fn dangling(stage: &Stage<'_>, path: &Path) {
    fs::remove_file(path).unwrap();
    symlink(stage.outside().join("new"), path).unwrap();
}

fn fifo(path: &Path) {
    fs::remove_file(path).unwrap();
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

fn directory(path: &Path) {
    let _ = fs::remove_file(path);
    fs::create_dir(path).unwrap();
}

fn gone(path: &Path) {
    fs::remove_file(path).unwrap();
}

fn give(path: &Path) {
    chown(path, Some(65534), Some(65534)).unwrap();
}

fn open(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
}

/// Starts another instance, stops it, and puts the record that it had then in the place of ours.
fn another(stage: &Stage<'_>) {
    let call = |action: &str| stage.call(action).instance("another");
    let _ = call("start").is(0);
    let record = stage.path("run/test/hostile/another/record");
    let running = fs::read(&record).unwrap();
    let _ = call("stop").is(0);
    fs::write(stage.record("record"), running).unwrap();
}

/// Damages the lock of a compilation, and takes the native code away.
fn locked(stage: &Stage<'_>, damage: impl Fn(&Stage<'_>, &Path)) {
    let code = code(stage);
    let digest = code.file_name().unwrap().to_str().unwrap().split('-').next().unwrap();
    let lock = stage.path("cache").join(format!("{digest}.lock"));
    fs::remove_file(&code).unwrap();
    damage(stage, &lock);
}

/// Damages the component, and takes the native code away.
fn compile(stage: &Stage<'_>, damage: impl Fn(&Path)) {
    damage(&component(stage));
    fs::remove_file(code(stage)).unwrap();
}

/// The same with the directory that it lies in.
fn compile_in(stage: &Stage<'_>, damage: impl Fn(&Path)) {
    damage(component(stage).parent().unwrap());
    fs::remove_file(code(stage)).unwrap();
}

fn exchange(path: &Path) {
    fs::remove_file(path).unwrap();
    fs::copy(plugin("dummy"), path).unwrap();
}

fn current(stage: &Stage<'_>, to: &str) {
    let link = stage.path("lib/agents/test/hostile/current");
    fs::remove_file(&link).unwrap();
    symlink(to, link).unwrap();
}
