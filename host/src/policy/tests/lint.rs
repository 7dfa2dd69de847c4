//! One case for each danger that the table names, and what is not dangerous next to it.

use std::collections::BTreeSet;

use super::super::lint::{Links, RISKS, UnitFacts, of_unit, replaceable, warnings};
use super::dangers;
use super::*;

pub(super) fn found(text: &str) -> Vec<(&'static str, String)> {
    found_here(text, &Links::new())
}

/// The same on a node where programs lead elsewhere.
pub(super) fn found_here(text: &str, links: &Links) -> Vec<(&'static str, String)> {
    let policy = parse(text).unwrap_or_else(|wrong| panic!("{wrong}"));
    let of = |w: super::super::lint::Warning| (w.risk, format!("{}:{} {}", w.told.line, w.told.column, w.told.message));
    warnings(&policy, links, text, Path::new("/p.toml")).into_iter().map(of).collect()
}

pub(super) fn of(lines: &str) -> String {
    let user = if lines.contains("user =") { "" } else { "user = \"nobody\"\n" };
    format!("format = 1\n[program.x]\nlifetime = \"action\"\n{user}{lines}\n")
}

const P: &str = "whoever may set the parameter p";

/// The danger, a policy that has it and no other, what is said, and the same policy without it.
const CASES: [(&str, &str, &str, &str); 48] = [
    (
        "interpreter",
        "program = \"/usr/bin/python3.11\"\nargv = [{ param = \"p\", name = {} }]",
        "6:9 python3.11 is an interpreter: whoever may set the parameter p can make it run any program as nobody",
        "program = \"/usr/bin/python3.11\"\nargv = [\"/usr/share/x.py\", { param = \"p\", one-of = [\"a\"] }]",
    ),
    (
        "interpreter",
        "program = \"/bin/sh\"\ninput = true",
        "6:9 sh is an interpreter: the plugin can make it run any program as nobody",
        "program = \"/bin/sh\"\nargv = [\"-c\", \"true\"]",
    ),
    (
        "runs other programs",
        "program = \"/usr/bin/find\"\nargv = [\"/etc\", [\"-name\", { slot = \"s\", name = {} }]]",
        "6:27 find runs other programs when it is told to: the plugin can make it run any program as nobody",
        "program = \"/usr/bin/find\"\nargv = [\"/srv\"]\nview = { read = [\"/srv\"] }",
    ),
    (
        "edits files",
        "program = \"/usr/bin/rm\"\nargv = [{ param = \"p\", file = { under = \"/etc/web\" } }]",
        "6:9 rm changes what its arguments name: whoever may set the parameter p can change all that nobody may change",
        "program = \"/usr/bin/rm\"\nargv = [\"/srv/web/lock\"]\nview = { write = [\"/srv/web\"] }",
    ),
    (
        "ends processes",
        "program = \"/usr/bin/pkill\"\nargv = [\"-u\", { param = \"p\", name = {} }]",
        "6:15 pkill ends what its arguments name: whoever may set the parameter p can end every process that nobody may end",
        "program = \"/usr/bin/pkill\"\nargv = [\"-u\", \"vendor\"]",
    ),
    (
        "talks to any host",
        "program = \"/usr/bin/curl\"\nargv = [{ prefix = \"http:\", param = \"p\", text = {} }]",
        "6:9 curl connects to what its arguments name: whoever may set the parameter p can reach from here all that this node reaches",
        "program = \"/usr/bin/curl\"\nargv = [\"http:\", { param = \"p\", port = {} }]",
    ),
    (
        "root",
        "program = \"/usr/sbin/nginx\"\nuser = \"root\"",
        "5:8 nginx runs as root: whoever finds a hole in it, or in what it is given, has this node",
        "program = \"/usr/sbin/nginx\"\nuser = \"www-data\"",
    ),
    (
        "root by choice",
        "program = \"/usr/sbin/nginx\"\nuser = { param = \"p\", one-of = [\"www\", \"root\"] }",
        "5:1 whoever may set the parameter p can choose to run nginx as root",
        "program = \"/usr/sbin/nginx\"\nuser = { param = \"p\", one-of = [\"www\"] }",
    ),
    (
        "any program",
        "program = { param = \"p\", file = { under = \"/usr/bin\", owner = \"root\" } }",
        "5:1 whoever may set the parameter p can run any program below /usr/bin as nobody, a shell among them",
        "program = { param = \"p\", file = { under = \"/opt/vendor/bin\", owner = \"root\" } }",
    ),
    (
        "text as an argument",
        "program = \"/usr/sbin/nginx\"\nargv = [{ param = \"p\", text = {} }]",
        "6:9 whoever may set the parameter p can put any words into an argument of nginx: a file name, a sub-command, an address",
        "program = \"/usr/sbin/nginx\"\nargv = [{ prefix = \"--title=\", param = \"p\", text = {} }]",
    ),
    (
        "text of the plugin",
        "program = \"/usr/sbin/nginx\"\nenvironment = { TITLE = { slot = \"s\", text = {} } }",
        "6:17 a plugin that is not what it seems can pass any text to nginx, which nobody then runs with it",
        "program = \"/usr/sbin/nginx\"\nenvironment = { TITLE = { slot = \"s\", name = {} } }",
    ),
    (
        "variable that loads code",
        "program = \"/usr/bin/java\"\nenvironment = { JAVA_TOOL_OPTIONS = { param = \"p\", text = {} } }",
        "6:17 the variable JAVA_TOOL_OPTIONS says which code or settings programs load: whoever may set the parameter p can make it load other code as nobody",
        "program = \"/usr/bin/java\"\nenvironment = { JAVA_TOOL_OPTIONS = \"-Xmx1g\" }",
    ),
    (
        "wide directory",
        "program = \"/usr/sbin/nginx\"\nargv = [\"-c\", { param = \"p\", file = { under = \"/etc\", owner = \"root\" } }]",
        "6:15 whoever may set the parameter p can name anything below /etc, secrets and devices among it, and nobody opens it",
        "program = \"/usr/sbin/nginx\"\nargv = [\"-c\", { param = \"p\", file = { under = \"/etc/nginx\", owner = \"root\" } }]",
    ),
    (
        "directory of everybody",
        "program = \"/usr/sbin/nginx\"\nargv = [\"-p\", { param = \"p\", directory = { under = \"/dev/shm/web\" } }]",
        "6:15 everybody on this node can make files below /dev/shm/web, which nobody then opens as if they were yours",
        "program = \"/usr/sbin/nginx\"\nargv = [\"-p\", { param = \"p\", directory = { under = \"/dev/shm/web\", owner = \"root\" } }]",
    ),
    (
        "any address",
        "program = \"/bin/true\"\n[endpoint.e]\ntcp = { host = { param = \"p\", ip = {} }, port = 80 }",
        "7:9 whoever may set the parameter p can make this node connect to any address that it reaches, past firewalls that trust it",
        "program = \"/bin/true\"\n[endpoint.e]\ntcp = { host = { param = \"p\", ip = { within = [\"10.0.0.0/8\"] } }, port = 80 }",
    ),
    (
        "any port",
        "program = \"/bin/true\"\n[endpoint.e]\ntcp = { host = \"127.0.0.1\", port = { slot = \"s\", port = {} } }",
        "7:29 a plugin that is not what it seems can try every port of 127.0.0.1, and hear what answers",
        "program = \"/bin/true\"\n[endpoint.e]\ntcp = { host = \"127.0.0.1\", port = { slot = \"s\", port = { max = 99 } } }",
    ),
    (
        "capability that is all",
        "program = \"/usr/sbin/nginx\"\ncapabilities = [\"NET_BIND_SERVICE\", \"DAC_OVERRIDE\"]",
        "6:16 DAC_OVERRIDE goes past owners, modes or the kernel itself: whoever finds a hole in the program can make it root",
        "program = \"/usr/sbin/nginx\"\ncapabilities = [\"NET_BIND_SERVICE\"]",
    ),
    (
        "the cluster as root",
        "program = \"/usr/sbin/crm_attribute\"\nuser = \"root\"\nnetwork = \"host\"\nview = { cluster = true }",
        "7:20 crm_attribute can change the cluster's configuration, and so have any node run any agent as root",
        "program = \"/usr/sbin/crm_attribute\"\nuser = \"web\"\nnetwork = \"host\"\nview = { cluster = true }",
    ),
    (
        "loads any file",
        "program = \"/lib64/ld-linux-x86-64.so.2\"\nargv = [{ param = \"p\", file = { under = \"/etc/web\" } }]",
        "6:9 ld-linux-x86-64.so.2 is the loader of all programs: whoever may set the parameter p can make it run any file as nobody, one that may not be executed too",
        "program = \"/lib64/ld-linux-x86-64.so.2\"\nargv = [\"/usr/bin/true\", { param = \"p\", port = {} }]",
    ),
    (
        "asks on the bus",
        "program = \"/usr/bin/busctl\"\nargv = [\"call\", { slot = \"s\", name = {} }]",
        "6:17 busctl asks who listens on D-Bus, systemd among them: the plugin can have done what nobody may ask for there",
        "program = \"/usr/bin/busctl\"\nargv = [\"call\", { slot = \"s\", one-of = [\"a\"] }]",
    ),
    (
        "installs packages",
        "program = \"/usr/bin/dpkg\"\nargv = [\"-i\", { param = \"p\", file = { under = \"/etc/web\" } }]",
        "6:15 dpkg runs what the packages bring that it is given: whoever may set the parameter p can make it run any program as nobody",
        "program = \"/usr/bin/dpkg\"\nargv = [\"--audit\"]",
    ),
    (
        "wide view",
        "program = \"/usr/sbin/nginx\"\nview = { write = [\"/srv/web\", \"/home\"] }",
        "6:31 the program changes as nobody what it likes below /home, which is of more than one service",
        "program = \"/usr/sbin/nginx\"\nview = { write = [\"/srv/web\", \"/srv\"] }",
    ),
    (
        "wide directory",
        "program = \"/usr/sbin/nginx\"\nview = { read = [{ param = \"p\", directory = { under = \"/var\" } }] }",
        "6:18 whoever may set the parameter p can name anything below /var, secrets and devices among it, and nobody opens it",
        "program = \"/usr/sbin/nginx\"\nview = { read = [{ param = \"p\", directory = { under = \"/var/www\" } }] }",
    ),
    (
        "directory of everybody",
        "program = \"/usr/sbin/nginx\"\nview = { write = [{ param = \"p\", directory = { under = \"/dev/shm/web\" } }] }",
        "6:19 everybody on this node can make files below /dev/shm/web, which nobody then opens as if they were yours",
        "program = \"/usr/sbin/nginx\"\nview = { write = [{ param = \"p\", directory = { under = \"/dev/shm/web\", owner = \"web\" } }] }",
    ),
    (
        "directory of secrets",
        "program = \"/usr/sbin/nginx\"\nview = { read = [\"/var/lib/docker/volumes\"] }",
        "6:18 below /var/lib/docker/volumes are keys, passwords or what people wrote: the program can read all of it, and tell it in its log",
        "program = \"/usr/sbin/nginx\"\nview = { read = [\"/var/lib/dockers\"] }",
    ),
    (
        "directory of secrets",
        "program = \"/usr/sbin/nginx\"\nview = { read = [\"/srv/web\", \"/etc/ssl/private\"] }",
        "6:30 below /etc/ssl/private are keys, passwords or what people wrote: the program can read all of it, and tell it in its log",
        "program = \"/usr/sbin/nginx\"\nview = { read = [\"/srv/web\", \"/etc/ssl/certs\"] }",
    ),
    (
        "writes settings",
        "program = \"/usr/sbin/nginx\"\nview = { write = [\"/etc/nginx\"] }",
        "6:19 what programs read below /etc/nginx, and what of it they run, is then the program's word: most of them read it as root",
        "program = \"/usr/sbin/nginx\"\nview = { read = [\"/etc/nginx\"] }",
    ),
    (
        "path that is not seen",
        "program = \"/usr/bin/test\"\nargv = [\"-e\", \"/srv/data/lock\"]\nview = { read = [\"/srv/dat\"] }",
        "6:15 the program does not see /srv/data/lock: to it, it is not there, and what it concludes from that may be wrong",
        "program = \"/usr/bin/test\"\nargv = [\"-e\", \"/srv/data/lock\"]\nview = { read = [\"/srv/data\"] }",
    ),
    (
        "path that is not seen",
        "program = \"/usr/bin/test\"\nargv = [\"-e\", { param = \"p\", directory = { under = \"/srv/web\" } }]",
        "6:15 the program does not see what is below /srv/web: to it, it is not there, and what it concludes from that may be wrong",
        "program = \"/usr/bin/test\"\nargv = [\"-e\", { param = \"p\", directory = { under = \"/srv/web\" } }]\nview = { read = [\"/srv/web/one\"] }",
    ),
    (
        "path that is not seen",
        "program = \"/usr/bin/test\"\nargv = [\"-e\", [\"-f\", { param = \"p\", file = { under = \"/run/x\" } }]]",
        "6:22 the program does not see what is below /run/x: to it, it is not there, and what it concludes from that may be wrong",
        "program = \"/usr/bin/test\"\nargv = [\"-e\", [\"-f\", { param = \"p\", file = { under = \"/etc/x\" } }]]",
    ),
    (
        "path that is not seen",
        "program = \"/usr/bin/test\"\nargv = [\"-e\", { param = \"p\", one-of = [\"/etc/x\", \"/run/x\"] }]",
        "6:15 the program does not see /run/x: to it, it is not there, and what it concludes from that may be wrong",
        "program = \"/usr/bin/test\"\nargv = [\"-e\", { param = \"p\", one-of = [\"/etc/x\", \"on\"] }]",
    ),
    (
        "address of secrets",
        "program = \"/bin/true\"\n[endpoint.e]\ntcp = { host = \"169.254.169.254\", port = 80 }",
        "7:16 169.254.169.254 is where clouds hand out credentials: the plugin can ask for those of this node",
        "program = \"/bin/true\"\n[endpoint.e]\ntcp = { host = \"192.168.0.1\", port = 80 }",
    ),
    (
        "address of secrets",
        "program = \"/bin/true\"\n[endpoint.e]\nhttp = \"http://metadata/latest\"\nnames = { metadata = [\"10.0.0.1\", \"fd00:ec2::254\"] }",
        "7:8 fd00:ec2::254 is where clouds hand out credentials: the plugin can ask for those of this node",
        "program = \"/bin/true\"\n[endpoint.e]\nhttp = \"http://metadata/latest\"\nnames = { metadata = [\"10.0.0.1\", \"::1\"] }",
    ),
    (
        "address of secrets",
        "program = \"/bin/true\"\n[endpoint.e]\nhttp = { slot = \"s\", url = { host = [\"169.254.169.254\"], port = [80] } }",
        "7:1 169.254.169.254 is where clouds hand out credentials: the plugin can ask for those of this node",
        "program = \"/bin/true\"\n[endpoint.e]\nhttp = { slot = \"s\", url = { host = [\"169.254.169.253\"], port = [80] } }",
    ),
    (
        "any address",
        "program = \"/bin/true\"\n[endpoint.e]\nudp = { host = { param = \"p\", ip = { within = [\"0.0.0.0/0\"] } }, port = 80 }",
        "7:9 whoever may set the parameter p can make this node connect to any address that it reaches, past firewalls that trust it",
        "program = \"/bin/true\"\n[endpoint.e]\nudp = { host = { param = \"p\", ip = { within = [\"0.0.0.0/1\"] } }, port = 80 }",
    ),
    (
        "any address",
        "program = \"/bin/true\"\n[endpoint.e]\nhttp = { param = \"p\", url = { host = [\"::/0\"], port = [80] } }",
        "7:1 whoever may set the parameter p can make this node connect to any address that it reaches, past firewalls that trust it",
        "program = \"/bin/true\"\n[endpoint.e]\nhttp = { param = \"p\", url = { host = [\"fd00::/8\"], port = [80] } }",
    ),
    (
        "orders to a web server",
        "program = \"/bin/true\"\n[endpoint.e]\nhttp = { param = \"p\", url = { host = [\"::1\"], port = [80] } }\nmethod = [\"GET\", \"PUT\", \"DELETE\"]",
        "8:10 whoever may set the parameter p chooses where PUT, DELETE goes: to any of the hosts and ports that are listed, as this node",
        "program = \"/bin/true\"\n[endpoint.e]\nhttp = \"http://127.0.0.1/\"\nmethod = [\"GET\", \"PUT\", \"DELETE\"]",
    ),
    (
        "orders in the clear",
        "program = \"/bin/true\"\n[endpoint.e]\nhttp = \"http://10.0.0.1/\"\nmethod = [\"GET\", \"PUT\"]\nheaders = [\"accept\", \"x-token\"]",
        "7:8 PUT, x-token goes to another node in the clear: whoever is on the way can read it, and make of it what he likes",
        "program = \"/bin/true\"\n[endpoint.e]\nhttp = \"https://10.0.0.1/\"\nca = \"/etc/ca.pem\"\nmethod = [\"GET\", \"PUT\"]\nheaders = [\"accept\", \"x-token\"]",
    ),
    (
        "orders in the clear",
        "program = \"/bin/true\"\n[endpoint.e]\nhttp = { slot = \"s\", url = { host = [\"127.0.0.1\", \"a\"], port = [80] } }\nnames = { a = [\"::1\", \"10.0.0.1\"] }\nheaders = [\"x-token\"]",
        "7:1 x-token goes to another node in the clear: whoever is on the way can read it, and make of it what he likes",
        "program = \"/bin/true\"\n[endpoint.e]\nhttp = { slot = \"s\", url = { host = [\"127.0.0.0/8\", \"::1\", \"a\"], port = [80] } }\nnames = { a = [\"::1\"] }\nheaders = [\"x-token\"]",
    ),
    (
        "orders in the clear",
        "program = \"/bin/true\"\n[endpoint.e]\nhttp = { slot = \"s\", url = { scheme = [\"http\", \"https\"], host = [\"127.0.0.0/7\"], port = [80] } }\nca = \"/a\"\nmethod = [\"POST\"]",
        "7:1 POST goes to another node in the clear: whoever is on the way can read it, and make of it what he likes",
        "program = \"/bin/true\"\n[endpoint.e]\nhttp = \"http://10.0.0.1/\"",
    ),
    (
        "socket of root",
        "program = \"/bin/true\"\n[endpoint.e]\nunix = { path = \"/run/docker.sock\" }",
        "7:17 who listens at /run/docker.sock does as root what is asked: the plugin can have anything done on this node",
        "program = \"/bin/true\"\n[endpoint.e]\nunix = { path = \"/run/nginx/docker.socket\" }",
    ),
    (
        "any socket",
        "program = \"/bin/true\"\n[endpoint.e]\nunix = { path = { param = \"p\", file = { under = \"/run\" } } }",
        "7:10 whoever may set the parameter p can choose any socket of root's below /run, and have the plugin talk to it",
        "program = \"/bin/true\"\n[endpoint.e]\nunix = { path = { param = \"p\", file = { under = \"/run/nginx\" } } }",
    ),
    (
        "wide grant",
        "program = \"/bin/true\"\n[path.d]\ndirectory = \"/mnt\"\naccess = \"write\"",
        "7:13 all that is below /mnt is open to the plugin, whoever owns it: the host acts there as root",
        "program = \"/bin/true\"\n[path.d]\ndirectory = \"/mnt/web\"\naccess = \"write\"",
    ),
    (
        "wide grant",
        "program = \"/bin/true\"\n[path.d]\ndirectory = { param = \"p\", directory = { under = \"/\" } }\naccess = \"read\"",
        "7:1 all that is below / is open to whoever may set the parameter p, whoever owns it: the host acts there as root",
        "program = \"/bin/true\"\n[path.d]\ndirectory = { param = \"p\", directory = { under = \"/srv\" } }\naccess = \"read\"",
    ),
    (
        "directory of secrets",
        "program = \"/bin/true\"\n[path.d]\ndirectory = \"/var/lib/docker/volumes\"\naccess = \"read\"",
        "7:13 below /var/lib/docker/volumes are keys, passwords or what people wrote: the plugin can read all of it, and tell it in its log",
        "program = \"/bin/true\"\n[path.d]\ndirectory = \"/var/lib/dockers\"\naccess = \"read\"",
    ),
    (
        "writes settings",
        "program = \"/bin/true\"\n[path.d]\ndirectory = \"/etc/nginx\"\naccess = \"write\"",
        "7:13 what programs read below /etc/nginx, and what of it they run, is then the plugin's word: most of them read it as root",
        "program = \"/bin/true\"\n[path.d]\ndirectory = \"/etc/nginx\"\naccess = \"read\"",
    ),
    (
        "writes what a program is given",
        "program = \"/bin/true\"\nargv = [\"-x\", [\"--config=/srv/web/x.conf\"]]\n[path.d]\ndirectory = \"/srv/web\"\naccess = \"write\"",
        "8:13 the plugin can write /srv/web/x.conf, which the program of [program.x] is given: what it says there is done as nobody",
        "program = \"/bin/true\"\nargv = [\"-x\", [\"--config=/srv/webs/x.conf\"]]\n[path.d]\ndirectory = \"/srv/web\"\naccess = \"write\"",
    ),
    (
        "writes what a program is given",
        "user = \"nobody\"\nprogram = \"/bin/true\"\nview = { write = [\"/srv/log\", \"/srv/web\"] }\n[program.y]\nprogram = \"/bin/true\"\nargv = [\"--config=/srv/web/x.conf\"]\nuser = \"www\"\nlifetime = \"action\"",
        "6:31 the program can write /srv/web/x.conf, which the program of [program.y] is given: what it says there is done as www",
        "user = \"nobody\"\nprogram = \"/bin/true\"\nview = { write = [\"/srv/log\", \"/srv/web\"] }\n[program.y]\nprogram = \"/bin/true\"\nargv = [\"--config=/srv/web/x.conf\"]\nuser = \"nobody\"\nlifetime = \"action\"",
    ),
];

#[test]
fn each_danger_is_told_where_it_is_and_not_beside_it() {
    let mut tried = BTreeSet::from(["replaceable"]);
    for (risk, dangerous, sentence, harmless) in CASES.into_iter().chain(dangers::CASES) {
        tried.insert(risk);
        assert_eq!(found(&of(dangerous)), [(risk, sentence.to_owned())]);
        assert_eq!(found(&of(harmless)), [], "{risk}");
        assert!(!sentence.contains('{'), "{sentence}");
    }
    let names: BTreeSet<&str> = RISKS.iter().map(|risk| risk.name).collect();
    assert_eq!(names.len(), RISKS.len());
    assert_eq!(tried, names);
    assert!(CASES.iter().any(|case| case.2.contains(P)));
}

/// Each name of a list, where what is passed to it comes from outside.
#[test]
fn what_runs_other_programs_is_known_by_its_names() {
    for (risk, names) in [
        ("interpreter", "sh python3.11 java jshell dotnet Rscript"),
        (
            "runs other programs",
            "env stdbuf taskset chrt prlimit numactl screen tmux script run-parts start-stop-daemon setarch bwrap",
        ),
        ("loads any file", "ld.so ld-linux.so.2 ld-linux-aarch64.so.1 ld-musl-x86_64.so.1"),
        ("asks on the bus", "busctl dbus-send gdbus"),
        ("installs packages", "dpkg rpm apt apt-get dnf pip3"),
    ] {
        for name in names.split(' ') {
            let told = found(&of(&format!("program = \"/usr/bin/{name}\"\nargv = [{{ param = \"p\", name = {{}} }}]")));
            assert_eq!(told.iter().map(|(risk, _)| *risk).collect::<Vec<_>>(), [risk], "{name}");
        }
    }
}

#[test]
fn variables_that_load_code_are_known_by_their_names() {
    let of = |name: &str| {
        let environment = format!("environment = {{ {name} = {{ param = \"p\", name = {{}} }} }}");
        found(&of(&format!("program = \"/usr/bin/x\"\n{environment}"))).len()
    };
    for name in
        "LESSOPEN LESSCLOSE LUA_INIT LUA_INIT_5_4 OPENSSL_CONF OPENSSL_ENGINES ZDOTDIR PERL5DB GIT_SSH".split(' ')
    {
        assert_eq!(of(name), 1, "{name}");
    }
    assert_eq!(of("MODE") + of("LUA_INITIAL") + of("LESS"), 0);
}

/// Below these are the files of many, programs among them; what is one vendor's is not.
#[test]
fn a_program_from_anywhere_is_told() {
    let of = |under: &str| {
        let file = format!("file = {{ under = \"{under}\", owner = \"root\" }}");
        found(&of(&format!("program = {{ param = \"p\", {file} }}"))).len()
    };
    for under in ["/", "/usr/bin", "/srv", "/home", "/var", "/var/lib", "/mnt", "/run", "/media", "/root"] {
        assert_eq!(of(under), 1, "{under}");
    }
    assert_eq!(of("/srv/vendor/bin") + of("/var/lib/vendor") + of("/etc/init.d"), 0);
}

#[test]
fn what_can_be_replaced_is_told_with_whose_rights_it_has() {
    let policy = parse(&of("program = \"/opt/x\"")).unwrap();
    let told = replaceable(&policy.programs["x"].user);
    assert!(told.starts_with("whoever can write there can replace the program and run anything as nobody; "), "{told}");
}

#[test]
fn a_unit_is_judged_by_what_the_policy_adds_and_by_what_the_node_says() {
    let unit = |environment: &str| {
        format!("format = 1\n[program.x]\nunit = \"x.service\"\nenvironment = {{ {environment} }}\n")
    };
    let text = unit("TITLE = { slot = \"s\", text = {} }, JAVA_TOOL_OPTIONS = { param = \"p\", text = {} }");
    let told = found(&text);
    assert_eq!(
        told.iter().map(|(risk, _)| *risk).collect::<Vec<_>>(),
        ["text of the plugin", "variable that loads code"]
    );
    assert!(told[0].1.contains("any text to x.service"), "{told:?}");
    let text = unit("TITLE = { param = \"p\", text = {} }");
    assert_eq!(found(&text), []);
    let policy = parse(&text).unwrap();
    let of = |facts: &UnitFacts| {
        let told = of_unit(&policy, "x", facts, &text, Path::new("/p.toml")).into_iter();
        told.map(|w| format!("{} {}:{} {}", w.risk, w.told.line, w.told.column, w.told.message)).collect::<Vec<_>>()
    };
    assert!(of(&UnitFacts::default()).is_empty());
    let all = of(&UnitFacts { lacks: vec!["NoNewPrivileges=yes", "PrivateTmp=yes"], restarts: true, is_enabled: true });
    let says = "unit without a sandbox 3:8 x.service runs as root, and its unit does not say NoNewPrivileges=yes, PrivateTmp=yes: ";
    assert!(all[0].starts_with(says), "{all:?}");
    assert!(all[1].starts_with("unit that restarts 3:8 systemd starts x.service again"), "{all:?}");
    assert!(all[2].starts_with("unit that starts at boot 3:8 systemd starts x.service at boot"), "{all:?}");
}

#[test]
fn the_policies_that_come_with_the_plugins_are_not_dangerous() {
    for text in [
        include_str!("../../../../plugins/anything/policy.toml"),
        include_str!("../../../../plugins/dummy/policy.toml"),
        include_str!("../../../../plugins/sample-tcp-server/policy.toml"),
    ] {
        assert_eq!(found(text), []);
    }
}
