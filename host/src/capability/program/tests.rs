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
    ] {
        assert!(is_denied(&seen(write, "/srv", &other(program))), "{program}");
        assert!(seen(write, "/mnt", &other(program)).is_ok(), "{program}");
    }
    let below = other("program = { slot = \"s\", file = { under = \"/usr/share\" } }").replace("/usr/share", "/var");
    assert!(is_denied(&seen(write, "/var/log", &below)));
}
