//! Several mistakes of one file: a person is told all that do not depend on each other, and nothing that follows from
//! another one.

use std::collections::BTreeSet;

use super::super::mistake::Mistake;
use super::*;

/// A program that is right, of this label and with these lines more.
macro_rules! program {
    ($label:literal $more:literal) => {
        concat!("[program.", $label, "]\nprogram = \"/a\"\nlifetime = \"action\"\nuser = \"b\"\n", $more)
    };
}

/// Files, and the mistakes of which each is told, in its order.
pub(super) const SEVERAL: [(&str, &[&str]); 31] = [
    (
        "format = 1\n[program.x]\nprogram = \"true\"\nlifetime = \"action\"\nuser = \"\"\n[program.y]\nprogram = \"/a\"\n\
         lifetime = \"instance\"\nuser = 7\n[path.p]\ndirectory = \"srv\"\naccess = \"\"\n[endpoint.e]\n\
         tcp = { host = \"localhost\", port = 0 }\n[limits]\nmemory = \"1\"\n",
        &["NotAbsolute", "NoUser", "WrongType", "NotAbsolute", "NoAccess", "Address", "OutOfRange", "Size"],
    ),
    (
        "format = 1\n[program.x]\nprogram = \"/a\"\nrestart = true\nargv = [7, \"-x\", { param = \"p\" }, [{ slot = \"s\" }]]\n\
         capabilities = [\"NET_ADMIM\", \"NET_ADMIN\", \"x\"]\nenvironment = { LD_PRELOAD = \"x\", \"A-B\" = \"x\", C = 1 }\n\
         limits = { tasks = 0, memory = \"1\", cpu = 7 }\nview = { read = [\"x\", \"/proc\"], write = [\"/usr\"] }\n\
         timeout = \"soon\"\nrate = 0\nnetwork = \"lan\"\ngroups = [\"\"]\nrequire = [\"x\"]\nnamespaces = [7]\n",
        &[
            "Missing",
            "Missing",
            "UnknownKey",
            "WrongType",
            "NoType",
            "NoType",
            "Capability",
            "Capability",
            "LoaderVariable",
            "VariableName",
            "WrongType",
            "OutOfRange",
            "Bytes",
            "WrongType",
            "NotAbsolute",
            "NotShown",
            "NotWritable",
            "Duration",
            "OutOfRange",
            "Reach",
            "NoGroup",
            "Layer",
            "WrongType",
        ],
    ),
    // A key that is misspelt is not missing, and what depends on it is read as if it was not.
    (
        "format = 1\n[program.x]\nprogrm = \"/a\"\nlifetme = \"instance\"\nuser = \"b\"\n\
         stop = [{ signal = \"TERM\", grace = \"rest\" }]\n",
        &["UnknownKey", "UnknownKey"],
    ),
    (concat!("format = 1\n", program!("x" "netwrk = \"host\"\nview = { cluster = true }\n")), &["UnknownKey"]),
    // What is in it is nobody's mistake before it is known what it is.
    ("format = 1\n[prgram.x]\nuser = \"\"\n[stop]\nlast-resort = [\"x\"]\n", &["UnknownKey", "Missing"]),
    ("format = 1\n[program.x]\nunt = \"x.service\"\nprogram = \"/a\"\n", &["UnknownKey"]),
    (
        "format = 1\n[program.x]\nunti = \"x\"\nenvironment = { LD_PRELOAD = \"x\" }\n",
        &["UnknownKey", "LoaderVariable"],
    ),
    // One that nobody meant explains nothing.
    ("format = 1\n[program.x]\ncommand = \"/a\"\nlifetime = \"action\"\nuser = \"b\"\n", &["Missing", "UnknownKey"]),
    ("format = 1\n[endpoint.e]\nurl = \"http://127.0.0.1/\"\n", &["Places", "UnknownKey"]),
    // What another key decides is not judged while that one is wrong.
    (
        concat!("format = 1\n", program!("x" "network = \"hots\"\nview = { cluster = true, read = [\"/\"] }\n")),
        &["Reach", "NotShown"],
    ),
    (
        "format = 1\n[program.x]\nprogram = \"/a\"\nlifetime = \"instace\"\nuser = \"b\"\ninput = true\n\
         stop = []\ntype = \"frking\"\nsignals = [\"HUP\", \"KILL\"]\n",
        &["Lifetime", "NoStep", "Type", "Signal"],
    ),
    (
        "format = 1\n[program.x]\nprogram = \"/a\"\nlifetime = \"instance\"\nuser = \"b\"\ninput = true\ntimeout = \"1s\"\n\
         type = \"forking\"\nsignals = [\"HUP\"]\n",
        &["OtherLifetime", "OtherLifetime", "SignalsForking"],
    ),
    (
        "format = 1\n[path.p]\ndirectory = \"/usr\"\naccess = \"wirte\"\nowner = \"\"\n[path.q]\ndirectory = \"/proc\"\naccess = \"\"\n",
        &["Access", "NoOwner", "GivenToNobody", "NoAccess"],
    ),
    ("format = 1\n[path.p]\naccess = \"read\"\nowner = \"b\"\n", &["Missing", "OwnerOfRead"]),
    (
        "format = 1\n[endpoint.e]\nhttp = { param = \"p\", url = { scheme = [\"https\"], host = [\"a.example\"], port = [443] } }\nca = 7\nnames = { X = 1 }\n",
        &["WrongType", "HostName"],
    ),
    (
        "format = 1\n[endpoint.e]\nhttp = { param = \"p\", url = { scheme = [\"https\"], host = [\"a.example\"], port = [443] } }\nmethod = [\"GTE\", \"GET\"]\nheaders = [\"host\", \"a b\"]\n\
         timeout = 5\n",
        &["Unnamed", "Method", "OwnHeader", "Header", "WrongType"],
    ),
    (
        "format = 1\n[endpoint.e]\nhttp = { param = \"p\", url = { scheme = [\"ftp\"], host = [7, \"A\"], port = [0], path = \"x\" } }\n",
        &["Scheme", "WrongType", "Host", "OutOfRange", "UrlPath"],
    ),
    (
        "format = 1\n[endpoint.e]\nhttp = \"http://127.0.0.1/\"\nnames = { a = [], b = [7], \"C\" = [] }\n",
        &["NoAddress", "WrongType", "HostName"],
    ),
    ("format = 1\n[endpoint.e]\ntcp = { host = \"::1\" }\ntimeout = 1\n", &["Missing", "WrongType"]),
    (
        "format = 1\n[endpoint.e]\nunix = { path = 7, owner = \"\", peer = 8 }\nca = \"/x\"\n",
        &["WrongType", "NoOwner", "WrongType", "HttpOnly"],
    ),
    (
        "format = 1\n[program.x]\nunit = \"web\"\nuser = \"b\"\nargv = []\nenvironment = { A = 1 }\nrate = 0\n",
        &["UnitName", "OfUnit", "OfUnit", "WrongType", "OutOfRange"],
    ),
    // A last resort that has a mistake of its own is there; one that is not there, or is a unit, is not.
    (
        "format = 1\n[program.x]\nprogram = \"a\"\nlifetime = \"action\"\nuser = \"b\"\n[program.u]\nunit = \"u.service\"\n\
         [stop]\nlast-resort = [\"x\", \"y\", \"u\"]\ngone-when = { run = \"z\", exit = [256, 1, \"a\"] }\n",
        &["NotAbsolute", "NoSuchProgram", "NoSuchProgram", "NoSuchProgram", "OutOfRange", "WrongType"],
    ),
    (
        "format = 1\nprogram = 7\n[path.p]\ndirectory = \"/srv\"\n[stop]\nlast-resort = []\n",
        &["NotLabels", "Missing", "Missing", "NoLastResort"],
    ),
    ("format = 1\n[program.X]\nuser = \"\"\n[program]\ny = 7\n", &["Label", "LabelNotTable"]),
    (
        concat!(
            "format = 1\n",
            program!("x" "argv = [{ param = 7 }, { fact = 7 }, { prefix = 7, slot = \"s\" }, { param = \"p\", port = 7 }]\n")
        ),
        &["WrongType", "WrongType", "WrongType", "WrongType"],
    ),
    (
        concat!(
            "format = 1\n",
            program!("x" "argv = [{ param = \"p\", integer = { min = \"a\", max = \"b\" } }, { param = \"p\", file = { owner = 7 } }]\ninterpreter = [\"sh\", 7]\n")
        ),
        &["WrongType", "WrongType", "Missing", "WrongType", "NotAbsolute", "WrongType"],
    ),
    (
        "format = 1\n[plugin]\ndigest = [\"sha256:1\", 7]\nsigner = \"a\"\n[limit]\nmemory = 7\n",
        &["Digest", "WrongType", "UnknownKey", "UnknownKey"],
    ),
    // Each key that stands twice, and what is wrong besides.
    (
        "format = 1\n[limits]\nmemory = \"1\"\nmemory = \"64MiB\"\n[path.p]\naccess = \"\"\naccess = \"\"\n",
        &["Size", "Duplicate", "Missing", "NoAccess", "Duplicate"],
    ),
    // Behind what is no TOML nobody knows what anything is.
    ("format = 1\n[limits\nmemory = 7\n[path.p]\nx = \"\n", &["Syntax"]),
    // Another version of the format has other mistakes; where none is said, it may be this one.
    ("format = 2\n[limits]\nmemory = 7\n", &["Format"]),
    ("[limits]\nmemory = 7\n", &["Missing", "WrongType"]),
];

/// All mistakes of a file, which must have the one at which the agent stops among them.
pub(super) fn all_of(text: &str) -> Vec<Diagnostic> {
    let path = Path::new("/p.toml");
    let first = Policy::parse(text, path).expect_err(text);
    let all = Policy::parse_all(text, path).expect_err(text);
    assert!(all.contains(&first), "{text}\n{first}\nis not told beside\n{all:#?}");
    let places: Vec<_> = all.iter().map(|told| (told.line, told.column)).collect();
    assert!(places.is_sorted(), "{text}: {places:?}");
    let different: BTreeSet<_> = all.iter().map(ToString::to_string).collect();
    assert_eq!(different.len(), all.len(), "told twice: {all:#?}");
    all
}

#[test]
fn all_that_do_not_depend_on_each_other_are_told() {
    for (text, names) in SEVERAL {
        let found: Vec<&str> = all_of(text).iter().map(|told| told.found.0).collect();
        assert_eq!(found, names, "{text}");
        assert!(names.iter().all(|name| Mistake::ALL.contains(name)));
    }
}

#[test]
fn what_is_right_is_read_the_same_in_both_ways() {
    for text in ["format = 1\n", &program("[\"-x\", { param = \"p\", port = {} }]")] {
        let path = Path::new("/p.toml");
        assert_eq!(Policy::parse_all(text, path), Policy::parse(text, path).map_err(|wrong| vec![wrong]));
    }
}
