//! One invocation parsed: argument vector and environment as a value. The only reader of either.
//!
//! Callers differ in what they set (Pacemaker's executor and controller, `crm_resource`, crmsh, `ocf-tester`,
//! drbd-reactor, a person), so everything but the action may be absent. What is read is a fixed list of names.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::Action;
use super::description::AgentName;
use super::parameter::boolean;

/// Bytes of an instance name.
const INSTANCE_BYTES: usize = 200;

/// What the caller wants, and what it said about the world.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which agent, by the path it was called with.
    pub agent: AgentName,
    /// None for an unknown action.
    pub action: Option<Action>,
    /// The first argument as it came, for messages.
    pub word: String,
    /// The instance; none if the caller named none.
    pub instance: Option<String>,
    /// `OCF_RESKEY_*` without meta-attributes.
    pub given: BTreeMap<String, String>,
    /// Names of parameters whose values are not UTF-8.
    pub garbled: Vec<String>,
    /// Of a recurring monitor, milliseconds; 0 for a probe and for all else.
    pub interval_ms: u64,
    /// Until the caller kills the process group, milliseconds.
    pub timeout_ms: Option<u64>,
    /// How thorough a monitor or validate-all shall be.
    pub check_level: u8,
    /// This node, by the name the cluster uses; else the host name; may be empty.
    pub node: String,
    /// What this node is to the cluster, where that is a guest or the inside of a bundle.
    pub guest: Guest,
    /// The clone that the instance belongs to.
    pub clone: Option<Clone_>,
    /// What a notify announces.
    pub notice: Option<Notice>,
    /// Source and target of a migration.
    pub migration: Option<(String, String)>,
    /// Where log lines go.
    pub log: LogTarget,
    /// Where each call of the plugin is written, if somebody wants to see them.
    pub trace: Option<TraceTarget>,
    /// Where all that the plugin asks and is answered is recorded, if the caller wants to replay it.
    pub record: Option<PathBuf>,
    /// What Pacemaker looks for at the start of a reason.
    pub reason_prefix: String,
    /// The tester's wish that no program be found.
    pub pretend_nothing_is_installed: bool,
}

/// A node that is a resource itself: a guest, or the inside of a bundle. Elsewhere there is nothing in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guest {
    /// The node that it runs on.
    pub physical_host: Option<String>,
    /// Whose attributes an agent in it sets: `host` for those of the node that it runs on.
    pub attribute_target: Option<String>,
}

/// Facts about a clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clone_ {
    /// The number of this copy, where copies are told apart.
    pub number: Option<u32>,
    /// Copies in the cluster.
    pub maximum: u32,
    /// Copies on a node.
    pub node_maximum: u32,
    /// Promoted copies in the cluster.
    pub promoted_maximum: u32,
    /// Whether `notify` is called.
    pub notify: bool,
}

/// An announcement to the copies of a clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether the operation is still to come.
    pub before: bool,
    /// `start`, `stop`, `promote`, `demote`.
    pub operation: Action,
    /// Lists of (instance, node).
    pub starting: Vec<(String, String)>,
    /// See `starting`.
    pub stopping: Vec<(String, String)>,
    /// See `starting`.
    pub promoting: Vec<(String, String)>,
    /// See `starting`.
    pub demoting: Vec<(String, String)>,
    /// See `starting`.
    pub unpromoted: Vec<(String, String)>,
    /// See `starting`.
    pub promoted: Vec<(String, String)>,
    /// Instances that do not run.
    pub inactive: Vec<String>,
}

/// Where an agent's log lines go, by the rules of the shell library.
#[derive(Clone, Debug, Default)]
pub struct LogTarget {
    /// A syslog facility's name; none if there is to be no syslog.
    pub facility: Option<String>,
    /// A file to append to.
    pub file: Option<PathBuf>,
    /// Whether debug lines are wanted.
    pub debug: bool,
}

/// Where a trace goes, by the rules of the shell library: `OCF_TRACE_RA`, or the parameter `trace_ra` that crmsh and pcs
/// set, switches it on. Whoever may configure the resource sets parameters, so none names a file: `trace_dir` is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TraceTarget {
    /// The file that who calls the agent names by `OCF_TRACE_FILE`.
    File(PathBuf),
    /// A file of its own, in a directory of the host's.
    Kept,
}

/// Why an invocation cannot be understood at all.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable(pub String);

impl Request {
    /// Reads an invocation. Arguments after the action are ignored.
    ///
    /// # Errors
    /// If the path of the call names no agent (`.../PROVIDER/TYPE`).
    pub fn read(
        arguments: impl IntoIterator<Item = OsString>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        host_name: impl FnOnce() -> String,
    ) -> Result<Self, Unreadable> {
        let mut arguments = arguments.into_iter();
        let path = PathBuf::from(arguments.next().unwrap_or_default());
        let word = arguments.next().unwrap_or_default().to_string_lossy().into_owned();
        let mut environment = Environment::sort(environment);
        let agent = agent_name(&path, &environment)
            .ok_or_else(|| Unreadable(format!("{}: called by a path that is not .../PROVIDER/TYPE", path.display())))?;
        let meta = |name: &str| environment.meta.get(name).map(String::as_str);
        let name = |name: &str| meta(name).filter(|text| !text.is_empty()).map(str::to_owned);
        let number = |name: &str| meta(name).and_then(|text| text.trim().parse::<u64>().ok());
        let trace_wanted = environment.is_true("OCF_TRACE_RA")
            || environment.given.get("trace_ra").is_some_and(|v| boolean(v) == Some(true));
        let trace_file = environment.get("OCF_TRACE_FILE").map(PathBuf::from).filter(|file| file.is_absolute());
        let trace = trace_wanted.then(|| trace_file.map_or(TraceTarget::Kept, TraceTarget::File));
        let level = environment.get("OCF_CHECK_LEVEL").or_else(|| environment.given.get("OCF_CHECK_LEVEL").cloned());
        Ok(Self {
            agent,
            action: Action::parse(&word),
            word,
            instance: environment.get("OCF_RESOURCE_INSTANCE").filter(|name| !name.is_empty()),
            interval_ms: number("interval").unwrap_or(0),
            timeout_ms: number("timeout").filter(|ms| *ms > 0),
            check_level: level.and_then(|l| l.trim().parse().ok()).unwrap_or(0),
            node: name("on_node").unwrap_or_else(host_name),
            guest: Guest { physical_host: name("physical_host"), attribute_target: name("container_attribute_target") },
            clone: clone_facts(&environment.meta),
            notice: notice(&environment.meta),
            migration: meta("migrate_source").zip(meta("migrate_target")).map(|(s, t)| (s.to_owned(), t.to_owned())),
            log: environment.log_target(),
            trace,
            record: environment.get("OCF_WASM_RECORD_FILE").map(PathBuf::from),
            reason_prefix: environment
                .get("OCF_EXIT_REASON_PREFIX")
                .filter(|prefix| is_prefix(prefix))
                .unwrap_or_else(|| "ocf-exit-reason:".to_owned()),
            pretend_nothing_is_installed: environment.is_true("OCF_TESTER_FAIL_HAVE_BINARY"),
            given: std::mem::take(&mut environment.given),
            garbled: environment.garbled,
        })
    }

    /// Whether it asks "is it here?" before anything was started: a monitor whose interval is 0, empty or absent.
    pub fn is_probe(&self) -> bool {
        self.action == Some(Action::Monitor) && self.interval_ms == 0
    }

    /// Returns the name of the instance if it can be used for files and logs.
    ///
    /// # Errors
    /// If there is none, or it has a slash or a control character, or is longer than 200 bytes.
    pub fn instance_name(&self) -> Result<&str, String> {
        match self.instance.as_deref() {
            None => Err("OCF_RESOURCE_INSTANCE is not set: name the instance".to_owned()),
            Some(name) if name.len() > INSTANCE_BYTES => {
                Err(format!("instance name longer than {INSTANCE_BYTES} bytes"))
            }
            Some(name) if name.contains('/') || name.contains(char::is_control) || matches!(name, "." | "..") => {
                Err("instance name with a slash or a control character".to_owned())
            }
            Some(name) => Ok(name),
        }
    }
}

/// The environment, sorted into what the standard distinguishes.
#[derive(Default)]
struct Environment {
    given: BTreeMap<String, String>,
    meta: BTreeMap<String, String>,
    others: BTreeMap<&'static str, String>,
    garbled: Vec<String>,
}

/// All variables that are looked at besides `OCF_RESKEY_*`.
const READ: [&str; 15] = [
    "OCF_RESOURCE_INSTANCE",
    "OCF_RESOURCE_TYPE",
    "OCF_RESOURCE_PROVIDER",
    "OCF_CHECK_LEVEL",
    "OCF_EXIT_REASON_PREFIX",
    "OCF_TESTER_FAIL_HAVE_BINARY",
    "OCF_TRACE_RA",
    "OCF_TRACE_FILE",
    "OCF_WASM_RECORD_FILE",
    "HA_LOGFACILITY",
    "PCMK_logfacility",
    "HA_LOGFILE",
    "PCMK_logfile",
    "HA_debug",
    "PCMK_debug",
];

impl Environment {
    fn sort(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut sorted = Self::default();
        for (name, value) in variables {
            let Some(name) = name.to_str() else { continue };
            if let Some(parameter) = name.strip_prefix("OCF_RESKEY_") {
                match (value.into_string(), parameter.strip_prefix("CRM_meta_")) {
                    (Ok(value), Some(meta)) => drop(sorted.meta.insert(meta.to_owned(), value)),
                    (Ok(value), None) => drop(sorted.given.insert(parameter.to_owned(), value)),
                    (Err(_), Some(_)) => {}
                    (Err(_), None) => sorted.garbled.push(parameter.to_owned()),
                }
            } else if let Some(known) = READ.iter().find(|known| **known == name)
                && let Ok(value) = value.into_string()
            {
                sorted.others.insert(known, value);
            }
        }
        sorted
    }

    fn get(&self, name: &str) -> Option<String> {
        self.others.get(name).cloned()
    }

    fn is_true(&self, name: &str) -> bool {
        self.others.get(name).is_some_and(|value| boolean(value) == Some(true))
    }

    fn log_target(&self) -> LogTarget {
        let either = |ours: &str, pacemakers: &str| {
            self.get(ours).or_else(|| self.get(pacemakers)).filter(|v| !v.is_empty() && v != "none")
        };
        LogTarget {
            facility: either("HA_LOGFACILITY", "PCMK_logfacility"),
            file: either("HA_LOGFILE", "PCMK_logfile").map(PathBuf::from).filter(|file| file.is_absolute()),
            debug: either("HA_debug", "PCMK_debug").is_some_and(|v| v != "0" && boolean(&v) != Some(false)),
        }
    }
}

/// Whether a text can stand before a reason and nowhere else: one colon, at its end, so that it never overlaps itself.
fn is_prefix(text: &str) -> bool {
    text.len() < 64
        && !text.contains(char::is_control)
        && text.split_once(':').is_some_and(|(before, after)| !before.is_empty() && after.is_empty())
}

/// The agent's name from the path of the call; from the environment where the path has no directory.
fn agent_name(path: &Path, environment: &Environment) -> Option<AgentName> {
    let part = |name: Option<&OsStr>| name.map(|n| String::from_utf8_lossy(n.as_bytes()).into_owned());
    let kind = part(path.file_name())?;
    let provider = match part(path.parent().and_then(Path::file_name)) {
        Some(provider) => provider,
        None => environment.get("OCF_RESOURCE_PROVIDER")?,
    };
    AgentName::parse(&format!("{provider}/{kind}"))
}

fn clone_facts(meta: &BTreeMap<String, String>) -> Option<Clone_> {
    let number = |name: &str| meta.get(name).and_then(|v| v.parse().ok());
    let maximum = number("clone_max")?;
    let is_true = |name: &str| meta.get(name).is_some_and(|v| boolean(v) == Some(true));
    Some(Clone_ {
        number: is_true("globally_unique").then(|| number("clone")).flatten(),
        maximum,
        node_maximum: number("clone_node_max").unwrap_or(1),
        promoted_maximum: number("promoted_max").or_else(|| number("master_max")).unwrap_or(0),
        notify: is_true("notify"),
    })
}

fn notice(meta: &BTreeMap<String, String>) -> Option<Notice> {
    let before = match meta.get("notify_type")?.as_str() {
        "pre" => true,
        "post" => false,
        _ => return None,
    };
    let operation = Action::parse(meta.get("notify_operation")?)?;
    let words = |name: &str| -> Vec<String> {
        meta.get(name).map(|list| list.split_whitespace().map(str::to_owned).collect()).unwrap_or_default()
    };
    let members = |what: &str| -> Vec<(String, String)> {
        let nodes = words(&format!("notify_{what}_uname"));
        words(&format!("notify_{what}_resource")).into_iter().zip(nodes).collect()
    };
    let either = |new: &str, old: &str| {
        let members_now = members(new);
        if members_now.is_empty() { members(old) } else { members_now }
    };
    Some(Notice {
        before,
        operation,
        starting: members("start"),
        stopping: members("stop"),
        promoting: members("promote"),
        demoting: members("demote"),
        unpromoted: either("unpromoted", "slave"),
        promoted: either("promoted", "master"),
        inactive: words("notify_inactive_resource"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt as _;

    fn read(path: &str, word: &str, environment: &[(&str, &str)]) -> Request {
        let environment = environment.iter().map(|(n, v)| (OsString::from(n), OsString::from(v)));
        Request::read([OsString::from(path), OsString::from(word)], environment, || "host".into()).unwrap()
    }

    #[test]
    fn the_path_names_the_agent() {
        let request = read("/usr/lib/ocf/resource.d/ocf-wasm/dummy", "start", &[]);
        assert_eq!(request.agent.to_string(), "ocf-wasm/dummy");
        assert_eq!(request.node, "host");
        assert!(Request::read([OsString::from("dummy")], [], String::new).is_err());
    }

    #[test]
    fn a_probe_is_a_monitor_whose_interval_is_0_empty_or_absent() {
        for (value, probe) in [(None, true), (Some(""), true), (Some("0"), true), (Some("10000"), false)] {
            let environment: Vec<_> = value.map(|v| ("OCF_RESKEY_CRM_meta_interval", v)).into_iter().collect();
            assert_eq!(read("/x/p/t", "monitor", &environment).is_probe(), probe, "{value:?}");
        }
        assert!(!read("/x/p/t", "start", &[]).is_probe());
    }

    #[test]
    fn meta_attributes_are_no_parameters() {
        let request = read("/x/p/t", "start", &[("OCF_RESKEY_CRM_meta_timeout", "7000"), ("OCF_RESKEY_a", "1")]);
        assert_eq!(request.timeout_ms, Some(7000));
        assert_eq!(request.given.keys().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn where_it_runs_is_what_the_cluster_says() {
        let of = |variables: &[(&str, &str)]| {
            let Request { node, guest, .. } = read("/x/p/t", "start", variables);
            (node, guest.physical_host, guest.attribute_target)
        };
        assert_eq!(of(&[]), ("host".into(), None, None));
        let names =
            ["on_node", "physical_host", "container_attribute_target"].map(|n| format!("OCF_RESKEY_CRM_meta_{n}"));
        let all = |values: [&'static str; 3]| [0, 1, 2].map(|i| (names[i].as_str(), values[i]));
        assert_eq!(of(&all(["", "", ""])), ("host".into(), None, None));
        assert_eq!(of(&all(["db-0", "n1", "host"])), ("db-0".into(), Some("n1".into()), Some("host".into())));
    }

    #[test]
    fn a_prefix_of_reasons_ends_with_its_only_colon() {
        let of = |prefix| read("/x/p/t", "start", &[("OCF_EXIT_REASON_PREFIX", prefix)]).reason_prefix;
        assert_eq!(of("why:"), "why:");
        for other in ["", ":", "why", "::", "why: ", "a:b:", "a\n:", &format!("{}:", "x".repeat(63))] {
            assert_eq!(of(other), "ocf-exit-reason:", "{other:?}");
        }
    }

    #[test]
    fn who_calls_names_the_file_of_a_trace_and_no_parameter_does() {
        let of = |variables: &[(&str, &str)]| read("/x/p/t", "start", variables).trace;
        assert_eq!(of(&[("OCF_TRACE_FILE", "/a/b")]), None);
        assert_eq!(of(&[("OCF_RESKEY_trace_ra", "0"), ("OCF_RESKEY_trace_file", "/a/b")]), None);
        let wanted = [("OCF_TRACE_RA", "1"), ("OCF_RESKEY_trace_ra", "true")];
        for switch in wanted {
            assert_eq!(of(&[switch]), Some(TraceTarget::Kept));
            assert_eq!(of(&[switch, ("OCF_TRACE_FILE", "/a/b")]), Some(TraceTarget::File("/a/b".into())));
            assert_eq!(of(&[switch, ("OCF_TRACE_FILE", "9")]), Some(TraceTarget::Kept));
            for parameter in ["OCF_RESKEY_trace_file", "OCF_RESKEY_trace_dir", "OCF_RESKEY_OCF_TRACE_FILE"] {
                assert_eq!(of(&[switch, (parameter, "/a/b")]), Some(TraceTarget::Kept), "{parameter}");
            }
        }
    }

    #[test]
    fn a_value_that_is_no_text_is_named_and_not_used() {
        let value = OsString::from_vec(vec![0xff]);
        let request = Request::read(
            [OsString::from("/x/p/t"), OsString::from("start")],
            [(OsString::from("OCF_RESKEY_a"), value)],
            String::new,
        )
        .unwrap();
        assert_eq!(request.garbled, ["a"]);
        assert!(request.given.is_empty());
    }

    #[test]
    fn a_list_of_one_blank_is_empty_and_old_names_of_roles_are_read() {
        let request = read(
            "/x/p/t",
            "notify",
            &[
                ("OCF_RESKEY_CRM_meta_notify_type", "pre"),
                ("OCF_RESKEY_CRM_meta_notify_operation", "promote"),
                ("OCF_RESKEY_CRM_meta_notify_start_resource", " "),
                ("OCF_RESKEY_CRM_meta_notify_master_resource", "db:0"),
                ("OCF_RESKEY_CRM_meta_notify_master_uname", "n1"),
            ],
        );
        let notice = request.notice.unwrap();
        assert!(notice.starting.is_empty());
        assert_eq!(notice.promoted, [("db:0".to_owned(), "n1".to_owned())]);
    }

    #[test]
    fn names_that_are_no_file_names_are_refused() {
        for bad in ["a/b", "..", "a\nb"] {
            assert!(read("/x/p/t", "stop", &[("OCF_RESOURCE_INSTANCE", bad)]).instance_name().is_err(), "{bad:?}");
        }
        assert!(read("/x/p/t", "stop", &[]).instance_name().is_err());
        assert_eq!(read("/x/p/t", "stop", &[("OCF_RESOURCE_INSTANCE", "db:1")]).instance_name(), Ok("db:1"));
    }
}
