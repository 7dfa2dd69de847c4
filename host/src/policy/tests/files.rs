//! Values that are paths: what was looked at is what is passed on.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::PathBuf;

use super::*;

/// Directories that go away with it, none of which anybody else can change.
struct Room(PathBuf);

impl Drop for Room {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Room {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ocf-wasm-files-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        let room = Self(path.canonicalize().unwrap());
        for directory in ["app", "app/conf", "other"] {
            fs::create_dir(room.0.join(directory)).unwrap();
        }
        for file in ["app/conf/x", "other/x"] {
            fs::write(room.0.join(file), "").unwrap();
        }
        room
    }

    fn at(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn fill(&self, kind: &str, value: &str) -> Result<Vec<String>, Unfit> {
        fill(&format!("[{{ param = \"v\", {} }}]", kind.replace("APP", &self.at("app"))), &[("v", &self.at(value))])
    }
}

#[test]
fn a_link_is_passed_on_as_what_it_leads_to() {
    let room = Room::new("link");
    symlink("conf/x", room.0.join("app/link")).unwrap();
    symlink("conf", room.0.join("app/way")).unwrap();
    symlink(room.0.join("other/x"), room.0.join("app/out")).unwrap();
    symlink(room.0.join("app"), room.0.join("alias")).unwrap();
    let (file, directory) = ("file = { under = \"APP\" }", "directory = { under = \"APP\" }");
    for (kind, value, passed) in [
        (file, "app/conf/x", "app/conf/x"),
        (file, "app/link", "app/conf/x"),
        (file, "app/way/x", "app/conf/x"),
        (file, "alias/conf/./x", "app/conf/x"),
        (directory, "app/way", "app/conf"),
        (directory, "alias", "app"),
    ] {
        assert_eq!(room.fill(kind, value), Ok(vec![room.at(passed)]), "{value}");
    }
    assert!(room.fill(file, "app/out").is_err(), "it leads out");
    // What follows a prefix is the file, too.
    let file = format!("prefix = \"--config=\", {file}");
    assert_eq!(room.fill(&file, "app/link"), Ok(vec![format!("--config={}", room.at("app/conf/x"))]));
    // Neither a line's end nor what is no text is passed on by way of a link.
    fs::write(room.0.join("app/conf/a\nb"), "").unwrap();
    symlink("conf/a\nb", room.0.join("app/lines")).unwrap();
    assert!(room.fill("file = { under = \"APP\" }", "app/lines").is_err());
}

/// A program is called as it is named: what stands for many looks there for which is meant.
#[test]
fn a_program_keeps_its_name() {
    let room = Room::new("program");
    symlink("conf/x", room.0.join("app/link")).unwrap();
    let text = format!(
        "format = 1\n[program.x]\nprogram = {{ param = \"v\", file = {{ under = \"{}\" }} }}\nlifetime = \"action\"\n\
         user = \"nobody\"\n",
        room.at("app")
    );
    let policy = parse(&text).unwrap();
    let parameters = Parameters::from([("v".to_owned(), room.at("app/link"))]);
    let guest = Guest::default();
    let values = Values { parameters: &parameters, slots: &[], node: "n1", guest: &guest, instance: "web" };
    let program = &policy.programs["x"].program;
    assert_eq!(program.fill_as_named(&values), Ok(Some(room.at("app/link"))));
    let parameters = Parameters::from([("v".to_owned(), room.at("other/x"))]);
    assert!(program.fill_as_named(&Values { parameters: &parameters, ..values }).is_err());
}

/// Whose file it is says nothing where somebody else can put another in its place.
#[test]
fn an_owner_counts_where_nobody_else_can_replace_the_file() {
    if !crate::tests::is_root() {
        return;
    }
    let room = Room::new("owner");
    let (roots, nobodys) =
        ("file = { under = \"APP\", owner = \"root\" }", "file = { under = \"APP\", owner = \"nobody\" }");
    let conf = room.0.join("app/conf");
    let mode = |mode| fs::set_permissions(&conf, fs::Permissions::from_mode(mode)).unwrap();
    assert!(room.fill(roots, "app/conf/x").is_ok() && room.fill(nobodys, "app/conf/x").is_err());
    mode(0o777);
    assert!(room.fill(roots, "app/conf/x").is_err(), "everybody can rename in there");
    // But not what is root's, where a directory says so.
    mode(0o1777);
    assert!(room.fill(roots, "app/conf/x").is_ok());
    mode(0o755);
    chown(&conf, Some(65_534), Some(65_534)).unwrap();
    assert!(room.fill(roots, "app/conf/x").is_err(), "nobody can rename in there");
    chown(conf.join("x"), Some(65_534), Some(65_534)).unwrap();
    assert!(room.fill(nobodys, "app/conf/x").is_ok(), "it is nobody's, all the way down from what is root's");
    mode(0o775);
    assert!(room.fill(nobodys, "app/conf/x").is_ok(), "that group is nobody's");
    chown(&conf, Some(65_534), Some(1)).unwrap();
    assert!(room.fill(nobodys, "app/conf/x").is_err(), "that group is somebody else's");
}
