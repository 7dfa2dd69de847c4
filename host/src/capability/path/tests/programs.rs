//! Directories to write, beside the programs of the same policy.

use super::*;

/// Who could write there could put a script of root's in the place of what is run.
#[test]
fn nothing_is_written_where_a_program_may_be() {
    let open = "directory = { param = \"dir\", directory = { under = \"/srv\" } }\naccess = \"write\"\n[program.p]\n\
                lifetime = \"action\"\nuser = \"nobody\"\n";
    for program in [
        "program = { slot = \"p\", file = { under = \"/srv/app\" } }",
        "program = { param = \"p\", one-of = [\"/bin/true\", \"/srv/app/run\"] }",
        "program = \"/bin/true\"\ninterpreter = [\"/srv/app/sh\"]",
        "program = \"/bin/true\"\ninterpreter = [\"/bin/sh\", \"/srv/app/first\"]",
        "program = \"/bin/sh\"\nargv = [\"-e\", \"/srv/app/run.sh\", \"/srv/data/x\"]",
        "program = { param = \"p\", one-of = [\"/bin/true\", \"/bin/sh\"] }\nargv = [[\"/srv/app/run.sh\"]]",
    ] {
        let policy = format!("{open}{program}");
        assert!(is_denied(&ask(&policy, "/srv/app", Access::Write)), "{program}");
        assert!(is_denied(&ask(&policy, "/srv", Access::Write)), "{program}");
        assert!(ask(&policy, "/srv/data", Access::Write).is_ok(), "{program}");
    }
    let policy = format!("{open}program = {{ param = \"p\", file = {{ under = \"/srv/app\" }} }}");
    assert!(is_denied(&ask(&policy, "/srv/app/data", Access::Write)));
    assert!(ask(&policy.replace("\"write\"", "\"read\""), "/srv/app/data", Access::Read).is_ok());
}
