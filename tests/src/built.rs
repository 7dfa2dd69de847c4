//! What was built before the tests: the tree that is shipped, and components that misbehave.

#![allow(clippy::unwrap_used, reason = "support of tests: a panic is the report")]

use std::fs;
use std::path::{Path, PathBuf};

/// The tree that `cargo xtask dist` lays out.
pub fn dist() -> PathBuf {
    let dist = std::env::var_os("OCF_WASM_DIST")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/dist"), PathBuf::from);
    assert!(
        dist.join("usr/bin/ocf-wasm").exists(),
        "{} has no usr/bin/ocf-wasm: run `cargo xtask dist` first, or name the tree in OCF_WASM_DIST",
        dist.display()
    );
    dist.canonicalize().unwrap()
}

/// The program that says what it can reach.
pub fn reach() -> PathBuf {
    let triple = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../target/{triple}/release/reach"));
    let file = std::env::var_os("OCF_WASM_REACH").map_or(built, PathBuf::from);
    assert!(
        file.exists(),
        "{} is missing: run `cargo build --release --target {triple} --package reach`, or name it in OCF_WASM_REACH",
        file.display()
    );
    file.canonicalize().unwrap()
}

/// A component of the tree, by the name of its plugin.
pub fn plugin(name: &str) -> PathBuf {
    dist().join(format!("usr/share/ocf-wasm/plugins/{name}/{name}.wasm"))
}

/// The names of the plugins of the tree.
pub fn plugins() -> Vec<String> {
    let entries = fs::read_dir(dist().join("usr/share/ocf-wasm/plugins")).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The policy that comes with a plugin.
pub fn policy_of(name: &str) -> String {
    let path = dist().join(format!("usr/share/ocf-wasm/plugins/{name}/policy.toml"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What grants the component that misbehaves a daemon, and a program that an action would wait for; both say of which
/// instance they are.
pub const HOSTILE_POLICY: &str = r#"format = 1
[program.daemon]
program     = "/usr/bin/sleep"
argv        = ["1000"]
lifetime    = "instance"
user        = "nobody"
environment = { DAEMON_OF = { fact = "instance" } }
[program.stuck]
program     = "/usr/bin/sleep"
argv        = ["1001"]
lifetime    = "action"
user        = "nobody"
environment = { STUCK_OF = { fact = "instance" } }
"#;

/// The component that misbehaves.
pub fn hostile() -> PathBuf {
    let file = std::env::var_os("OCF_WASM_HOSTILE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/wasm32-wasip2/guest/hostile_guest.wasm"),
        PathBuf::from,
    );
    assert!(
        file.exists(),
        "{} is missing: run `cargo build --package hostile-guest --profile guest --target wasm32-wasip2` first, or \
         name the file in OCF_WASM_HOSTILE",
        file.display()
    );
    file.canonicalize().unwrap()
}

/// The component with one mistake of an author at a time.
pub fn broken() -> PathBuf {
    let file = hostile().with_file_name("broken_guest.wasm");
    assert!(
        file.exists(),
        "{} is missing: run `cargo build --package broken-guest --profile guest --target wasm32-wasip2` first",
        file.display()
    );
    file
}

/// A component that does the same and has another digest.
pub fn variant_of(component: &Path, mark: u8, into: &Path) -> PathBuf {
    let mut bytes = fs::read(component).unwrap();
    // A custom section: id, size, length of the name, name, content.
    bytes.extend([0, 6, 4, b'm', b'a', b'r', b'k', mark]);
    let file = into.join(format!("variant-{mark}.wasm"));
    fs::write(&file, bytes).unwrap();
    file
}
