//! The list of mistakes, each with the checks that find it, and of checks that find none.

/// Where a mistake is made.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mistake {
    /// In the plugin: the value of its parameter.
    Plugin(&'static str),
    /// In what the component says of itself: this, in place of that, of the same length.
    Words(&'static str, &'static str),
    /// In the policy: this is taken out of it.
    Policy(&'static str),
    /// In the host: shell that runs before the agent, which is `real`.
    Host(&'static str),
}
use Mistake::{Host, Plugin, Policy, Words};

/// Which checks find what.
pub(crate) const FOUND_BY: [(Mistake, &[&str]); 64] = [
    (Plugin("monitor-always-running"), &["probe-before-start", "monitor-before-start", "stop-before-start"]),
    (Plugin("monitor-writes"), &["probe-before-start", "monitor-before-start", "stop-before-start", "start"]),
    (Plugin("monitor-by-notebook"), &["daemon-killed", "daemon-half-killed", "probe-after-kill", "promoted-killed"]),
    (Plugin("monitor-deep-fails"), &["monitor-levels"]),
    (Plugin("monitor-chats"), &["log-quiet"]),
    (
        Plugin("probe-is-blind"),
        &["probe-started", "promote", "caller-crm-resource", "caller-drbd-reactor", "caller-by-hand"],
    ),
    (Plugin("probe-hides-role"), &["promote"]),
    (Plugin("probe-needs-label"), &["probe-denied", "without-programs"]),
    (Plugin("dead-is-silent"), &["reason-words"]),
    (Plugin("dead-in-lines"), &["reason-words"]),
    (Plugin("dead-at-length"), &["reason-words"]),
    (Plugin("dead-is-configuration"), &["daemon-killed", "daemon-half-killed", "promoted-killed"]),
    (Plugin("dead-panics"), &["probe-after-kill"]),
    (Plugin("remains-is-stopped"), &["daemon-half-killed"]),
    (Plugin("remains-is-running"), &["daemon-half-killed"]),
    (Plugin("start-does-nothing"), &["start"]),
    (
        Plugin("start-needs-node"),
        &["caller-crm-resource", "caller-ocf-tester", "caller-drbd-reactor", "caller-by-hand"],
    ),
    (Plugin("start-floods"), &["log-quiet"]),
    (Plugin("start-locks"), &["start-after-stop", "daemon-killed", "migrate"]),
    (Plugin("start-takes-nonsense"), &["values-refused"]),
    (Plugin("denial-is-configuration"), &["start-denied"]),
    (Plugin("denial-is-nameless"), &["start-denied"]),
    (Plugin("clone-is-confused"), &["caller-clone"]),
    (Plugin("stop-fails-when-stopped"), &["stop-before-start"]),
    (Plugin("stop-fails"), &["stop"]),
    (Plugin("stop-is-the-hosts"), &["stop-by-plugin"]),
    (Plugin("stop-needs-demoted"), &["stop-promoted"]),
    (Plugin("promote-does-nothing"), &["promote"]),
    (Plugin("promote-is-missing"), &["promote"]),
    (Plugin("demote-loses-daemon"), &["demote"]),
    (Plugin("demote-restarts"), &["demote-keeps-running"]),
    (Plugin("notify-fails"), &["notify"]),
    (Plugin("notify-panics"), &["notify"]),
    (Plugin("notify-is-slow"), &["time-to-spare"]),
    (Plugin("migrate-by-notebook"), &["migrate"]),
    (Plugin("migrate-from-does-nothing"), &["migrate"]),
    (Plugin("reload-restarts"), &["reload"]),
    (Plugin("reload-fails"), &["reload"]),
    (Plugin("validate-takes-nonsense"), &["values-refused"]),
    (Plugin("validate-refuses-all"), &["validate"]),
    (Plugin("validate-must-look"), &["validate"]),
    (Plugin("text-is-sliced"), &["strange-values"]),
    (Plugin("empty-panics"), &["empty-values"]),
    (Plugin("label-is-idle"), &["labels-used"]),
    (Plugin("label-is-undeclared"), &["labels-declared"]),
    (Words(r#""default":"false""#, r#""default":"FALSE""#), &["defaults"]),
    (Words(r#""interval":"10s""#, r#""interval":"9ms""#), &["times"]),
    (Policy("[program.command]"), &["policy-as-requested", "validate", "start"]),
    // A cluster's view of a host that is not what it should be.
    (Host("[ $1 = monitor ] && echo well"), &["standard-output"]),
    (Host("[ $1 = promote ] && echo ocf-exit-reason:well >&2"), &["exit-reason"]),
    (Host("[ $1 = notify ] && exit 42"), &["notify", "exit-status"]),
    (Host("[ $1 = notify ] && exit 3"), &["notify", "unexported", "exit-reason"]),
    (Host("[ $1 = reload-agent ] && { setsid sleep 1003 & }"), &["processes-left"]),
    (Host("[ $1 = monitor ] && [ \"$OCF_RESKEY_CRM_meta_timeout\" = 1000 ] && sleep 1.1"), &["one-second", "in-time"]),
    (Host("[ $1 = reload-agent ] && sleep 8"), &["reload", "in-time"]),
    (Host("[ $1 = meta-data ] && [ $UID != 0 ] && exit 5"), &["meta-data-as-nobody", "exit-reason"]),
    (Host("[ $1 = meta-data ] && { real; echo \"<!-- $$ -->\"; exit 0; }"), &["meta-data-same-bytes"]),
    (Host("[ $1 = meta-data ] && { real | grep -v '</actions>'; exit 0; }"), &["meta-data-well-formed", "unexported"]),
    (
        Host("case \"$1\" in start|stop|monitor|*-*|*mote|no*|mig*|meth*) ;; *) exit 2;; esac"),
        &["unknown-action", "garbage-arguments", "exit-reason"],
    ),
    (Host("[ \"${OCF_RESKEY_CRM_meta_clone-}\" = first ] && exit 1"), &["garbage-environment", "exit-reason"]),
    (Host("[ $1 = validate-all ] && [ -z \"$OCF_RESOURCE_INSTANCE\" ] && exit 6"), &["caller-crmsh", "exit-reason"]),
    (
        Host("[ $1 = stop ] && [ -z \"$OCF_RESKEY_target\" ] && exit 1"),
        &["stop-without-parameters", "required-parameters", "exit-reason"],
    ),
    (
        Host("[ $1 = monitor ] && mkdir -p /run/ocf-wasm/test/broken/$OCF_RESOURCE_INSTANCE"),
        &["looking-changes-nothing"],
    ),
    (
        Host(
            "[ $1 = stop ] && { real; s=$?; touch /run/ocf-wasm/test/broken/$OCF_RESOURCE_INSTANCE/x 2>/dev/null; exit $s; }",
        ),
        &["stop-leaves-nothing"],
    ),
];

/// Checks that no row sees failing, and why not.
pub(crate) const UNSEEN: [(&str, &str); 12] = [
    ("texts", "install refuses empty ones"),
    ("stop-twice", "what fails there fails before any start: stop-before-start"),
    ("monitor-started", "a start that is good was monitored by the host"),
    ("monitors-together", "the host's lock lets all of them in"),
    ("start-twice", "the host asks monitor before it calls start"),
    ("after-stop", "a stop that is good was monitored by the host"),
    ("start-killed", "tests/tests/killed kills at every host call"),
    ("stop-denied", "what a record holds is stopped whatever is granted"),
    ("without-policy", "the host's part, tests/tests/actions.rs"),
    ("promote-twice", "the host asks monitor before it calls promote"),
    ("start-promoted", "it is blocked by demote"),
    ("caller-executor", "what fails there fails in start"),
];
