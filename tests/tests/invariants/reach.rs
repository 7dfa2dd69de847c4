//! What a granted program is given, and where the host itself goes.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};

use ocf_wasm_tests::host::{TestHost, hostile, is_root};

use super::{AGENT, host};

/// A shell that says what it holds, under an agent whose caller holds more.
#[test]
fn i16_a_program_is_given_what_is_granted_and_nothing_else() {
    if !is_root() {
        return;
    }
    let host = TestHost::new();
    // The directory that is listed is open while it is.
    let script = "for fd in /proc/self/fd/*; do echo fd=$(readlink $fd); done; env; grep -E '^(Uid|Gid|Groups|NoNewPrivs|Cap.*):' /proc/self/status";
    host.policy(
        AGENT,
        &format!(
            "format = 1\n[program.stuck]\nprogram = \"/usr/bin/dash\"\nargv = [\"-c\", {script:?}]\nuser = \"nobody\"\n\
             lifetime = \"action\"\nenvironment = {{ GRANTED = \"yes\" }}\n"
        ),
    );
    host.add(&hostile(), &[]);
    let log = host.path().join("log");
    let call = host.call(AGENT).argument("start").instance("x").variable("HA_LOGFILE", &log);
    let call = call.variable("OCF_RESKEY_do", "relay").variable("OCF_RESKEY_in", "start");
    let call = call.variable("OCF_RESKEY_password", "open-sesame").variable("LD_PRELOAD", "").variable("HOME", "/root");
    let _ = call.before("exec 7</etc/passwd; exec 9>/dev/null").is(0);
    let text = fs::read_to_string(&log).unwrap();
    let said: Vec<&str> = text.lines().filter_map(|line| line.split_once("relay: ")).map(|(_, said)| said).collect();
    let open: Vec<&&str> = said.iter().filter(|line| line.starts_with("fd=")).collect();
    assert!(
        matches!(open.len(), 3 | 4) && open.iter().all(|line| line.starts_with("fd=pipe:") || **line == "fd="),
        "{said:#?}"
    );
    let variables: Vec<&str> = said
        .iter()
        .filter(|line| !line.starts_with("fd="))
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name)
        .collect();
    assert!(variables.contains(&"GRANTED"), "{said:#?}");
    // The shell adds where it is.
    let known = ["GRANTED", "PATH", "LANG", "PWD", "OLDPWD", "SHLVL", "_"];
    assert!(variables.iter().all(|name| known.contains(name)), "{variables:?}");
    let fact = |name: &str| {
        said.iter().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {said:#?}")).trim()
    };
    let nobody = "65534 65534 65534 65534";
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!((words(fact("Uid:")), words(fact("Gid:"))), (nobody.to_owned(), nobody.to_owned()));
    assert!(matches!(words(fact("Groups:")).as_str(), "" | "65534"), "{said:#?}");
    assert_eq!(fact("NoNewPrivs:"), "1");
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(fact(set), "0000000000000000", "{set}");
    }
    let _ = host.call(AGENT).argument("stop").instance("x").is(0);
}

/// Links in directories of a user: the log, a trace, a recording and a program go nowhere by them. By one of root's own
/// they do.
#[test]
fn i19_no_link_of_a_user_is_followed() {
    if !is_root() {
        return;
    }
    let host = host();
    let (users, mine, target) = (host.path().join("users"), host.path().join("mine"), host.path().join("target"));
    fs::set_permissions(host.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for directory in [&users, &mine, &target] {
        fs::DirBuilder::new().mode(0o755).create(directory).unwrap();
    }
    chown(&users, Some(65_534), Some(65_534)).unwrap();
    for directory in [&users, &mine] {
        symlink(&target, directory.join("way")).unwrap();
        symlink(target.join("file"), directory.join("last")).unwrap();
    }
    let left = |file: &Path| {
        let is_there = file.exists();
        let _ = fs::remove_file(file);
        is_there
    };
    let file = target.join("file");
    for variable in ["HA_LOGFILE", "OCF_TRACE_FILE", "OCF_WASM_RECORD_FILE"] {
        for (by, is_followed) in [
            (users.join("way/file"), false),
            (users.join("last"), false),
            (mine.join("last"), false),
            (mine.join("way/file"), true),
            (target.join("file"), true),
        ] {
            let call = host.call(AGENT).argument("monitor").instance("x").variable("OCF_TRACE_RA", "1");
            let _ = call.variable(variable, &by).is(7);
            assert_eq!(left(&file), is_followed, "{variable}={}", by.display());
        }
    }
    let policy = |program: &Path| {
        let program = program.display();
        format!("format = 1\n[program.stuck]\nprogram = \"{program}\"\nlifetime = \"action\"\nuser = \"nobody\"\n")
    };
    for (directory, code) in [(&users, 5), (&mine, 0)] {
        let link: PathBuf = directory.join("true");
        symlink("/usr/bin/true", &link).unwrap();
        host.policy(AGENT, &policy(&link));
        let name = directory.file_name().unwrap().to_str().unwrap();
        let start = host.action(AGENT, "start").instance(name).with("do", "relay").with("in", "start").is(code);
        if code != 0 {
            let _ = start.says("true is a link");
        }
        let _ = host.action(AGENT, "stop").instance(name).run();
    }
}
