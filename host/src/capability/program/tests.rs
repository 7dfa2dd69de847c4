//! What a program sees where a value from outside says it.

use super::*;
use crate::ocf::Parameters;
use crate::ocf::request::Guest;
use crate::policy::Policy;

/// The view of a program with a parameter in it; `more` is another section.
fn seen(view: &str, value: &str, more: &str) -> Answer<Confinement> {
    let text = format!(
        "format = 1\n[program.x]\nprogram = \"/bin/true\"\nlifetime = \"action\"\nuser = \"nobody\"\n\
         view = {{ {view} }}\n{more}\n"
    );
    let policy = Policy::parse(&text, Path::new("/p")).unwrap_or_else(|wrong| panic!("{wrong}"));
    let parameters = Parameters::from([("p".to_owned(), value.to_owned())]);
    let guest = Guest::default();
    let values = Values { parameters: &parameters, slots: &[], node: "n", guest: &guest, instance: "i" };
    confinement(&policy.programs["x"], "x", |template| template.fill(&values))
}

fn is_denied(answer: &Answer<Confinement>) -> bool {
    matches!(answer, Err(Error::Denied(_)))
}

/// What is answered to who would run `/bin/sh` with arguments.
fn permitted(argv: &[&str]) -> Answer<Permit> {
    let text = format!(
        "format = 1\n[program.x]\nprogram = \"/bin/sh\"\nargv = {argv:?}\nlifetime = \"action\"\nuser = \"root\"\n"
    );
    let policy = Policy::parse(&text, Path::new("/p")).unwrap_or_else(|wrong| panic!("{wrong}"));
    let lacking = lacking(&policy.programs["x"], "x", &policy);
    let (parameters, guest) = (Parameters::new(), Guest::default());
    let values = Values { parameters: &parameters, slots: &[], node: "n", guest: &guest, instance: "i" };
    let permit = permit(&policy.programs["x"], "x", &[], values);
    if let Err(Error::Unavailable(text)) = &permit {
        assert!(lacking.contains(text), "what is not run is told beforehand: {lacking:?}");
    }
    permit
}

/// A script of somebody else's is not what the operator named, however it is run.
#[test]
fn a_script_that_an_interpreter_is_given_is_judged_as_a_program() {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};
    if !crate::tests::is_root() {
        return;
    }
    let place = PathBuf::from(format!("/srv/ocf-wasm-script-{}", std::process::id()));
    struct Gone<'a>(&'a Path);
    impl Drop for Gone<'_> {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(self.0);
        }
    }
    let _gone = Gone(&place);
    std::fs::create_dir_all(place.join("theirs")).unwrap();
    let at = |name: &str| place.join(name).display().to_string();
    for name in ["ours", "owned", "open", "theirs/ours"] {
        std::fs::write(at(name), "exit 0\n").unwrap();
    }
    chown(at("owned"), Some(65534), None).unwrap();
    chown(at("theirs"), Some(65534), None).unwrap();
    std::fs::set_permissions(at("open"), PermissionsExt::from_mode(0o666)).unwrap();
    symlink(at("ours"), at("linked")).unwrap();
    symlink(at("ours"), at("theirs/linked")).unwrap();
    let refused = |argv: &[&str], what: &str| match permitted(argv) {
        Err(Error::Unavailable(text)) => assert_eq!(text, format!("program x: {NOT_SAFE}: {what}")),
        other => panic!("{argv:?}: {other:?}"),
    };
    let owned = format!("{} belongs to user 65534, not to root", at("owned"));
    refused(&[&at("owned")], &owned);
    refused(&["-e", &at("owned"), "x"], &owned);
    refused(&["--rcfile", &at("owned"), "-c", "true"], &owned);
    refused(&[&at("open")], &format!("{} is writable by others (mode 0666)", at("open")));
    // Who owns the directory puts there what he likes, also where there is nothing yet.
    let theirs = format!("{} belongs to user 65534, not to root", at("theirs"));
    for name in ["theirs/ours", "theirs/none", "theirs/none/none"] {
        refused(&[&at(name)], &theirs);
    }
    refused(&[&at("theirs/linked")], &format!("{} is a link that others could make", at("theirs/linked")));
    for argv in [
        &[at("ours")][..],
        &[at("linked")],
        &[at("none")],
        &["-c".to_owned(), "cat \"$0\"".to_owned(), at("owned")],
        &[at("ours"), at("owned")],
        &["/dev/stdin".to_owned()],
    ] {
        let words: Vec<&str> = argv.iter().map(String::as_str).collect();
        assert!(permitted(&words).is_ok(), "{argv:?}: {:?}", permitted(&words));
    }
}

#[test]
fn a_value_from_outside_shows_nothing_that_is_hidden() {
    let file = "read = [{ param = \"p\", file = { under = \"/etc\" } }]";
    assert!(is_denied(&seen(file, "/etc/shadow", "")));
    assert_eq!(seen(file, "/etc/passwd", "").unwrap().read, [PathBuf::from("/etc/passwd")]);
    // The operator's own word does.
    assert_eq!(seen("read = [\"/etc/shadow\"]", "", "").unwrap().read, [PathBuf::from("/etc/shadow")]);
}

#[test]
fn a_value_from_outside_lets_nothing_be_written_that_is_trusted() {
    let file = "write = [{ param = \"p\", file = { under = \"/etc\" } }]";
    let directory = "write = [{ param = \"p\", directory = { under = \"/\" } }]";
    for (view, value) in [
        (file, "/etc/shadow"),
        (file, "/etc/profile"),
        (directory, "/etc"),
        (directory, "/etc/pam.d"),
        (directory, "/root"),
    ] {
        assert!(is_denied(&seen(view, value, "")), "{value}");
    }
    assert!(seen(directory, "/srv", "").is_ok());
}

#[test]
fn nothing_is_written_where_a_program_may_be() {
    let write = "write = [{ param = \"p\", directory = { under = \"/\" } }]";
    let other = |program: &str| format!("[program.y]\n{program}\nlifetime = \"action\"\nuser = \"nobody\"");
    for program in [
        "program = \"/srv/app/run\"",
        "program = { slot = \"s\", file = { under = \"/srv/app\" } }",
        "program = { param = \"q\", one-of = [\"/srv/app/run\"] }",
        "program = \"/bin/true\"\ninterpreter = [\"/srv/app/sh\"]",
        "program = \"/usr/bin/python3\"\nargv = [\"-u\", \"/srv/app/run.py\"]",
        "program = \"/bin/sh\"\nargv = [{ slot = \"s\", one-of = [\"/srv/app/run\"] }]",
    ] {
        assert!(is_denied(&seen(write, "/srv", &other(program))), "{program}");
        assert!(seen(write, "/mnt", &other(program)).is_ok(), "{program}");
    }
    let below = other("program = { slot = \"s\", file = { under = \"/usr/share\" } }").replace("/usr/share", "/var");
    assert!(is_denied(&seen(write, "/var/log", &below)));
}
