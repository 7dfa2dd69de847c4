//! What to do about a failure: a table from the words of its reason to advice, and to the line of the policy that is
//! meant.
//!
//! The words are the host's and the SDK's own sentences. A plugin that says the same gets the same advice, which
//! changes nothing.

use crate::store;

/// One kind of failure.
pub(super) struct Advice {
    /// Words of the reason.
    pub(super) says: &'static str,
    /// The key of the label's table that is meant, where the reason names a label.
    pub(super) key: &'static str,
    /// What to do. `{agent}`, `{component}`, `{instance}`, `{resource}`, `{policy}` and `{parameter}` are
    /// filled in.
    pub(super) to_do: &'static str,
}

const fn row(says: &'static str, key: &'static str, to_do: &'static str) -> Advice {
    Advice { says, key, to_do }
}

/// Advice for a plugin that broke down.
const MISTAKE: &str = "this is a mistake in the plugin: tell its author; `ocf-wasm rollback {agent}` goes back to the version \
                       before, also while it runs";

/// Advice for a component that is not what it was.
const AGAIN: &str =
    "install the same file again ({component}): ocf-wasm install FILE.wasm; what runs then needs no restart";

/// The table. The first row that fits counts, so what is special stands first.
pub(super) const ADVICE: &[Advice] = &[
    row(
        "no policy: ",
        "",
        "write {policy}: `ocf-wasm suggest FILE.wasm` prints what the plugin's author suggests; read it, fill in the users",
    ),
    row(
        "for other components",
        "",
        "add the digest of what is installed (ocf-wasm list -o json) to [plugin] in {policy}, or roll back: ocf-wasm rollback {agent}",
    ),
    row(".toml:", "", "correct {policy} until `ocf-wasm check` calls it ok"),
    row("policy /", "", "make {policy} and each directory above it root's and writable by root alone"),
    row(
        "is not installed on this node",
        "",
        "install it here: ocf-wasm install FILE.wasm; the cluster tries this node again after a cleanup",
    ),
    row(
        store::VERSION_LOST,
        "",
        "do what `ocf-wasm check` says: install that version again, or, if another one is installed, start it anew",
    ),
    row(store::LOST, "", AGAIN),
    row("its bytes are not those that were installed", "", AGAIN),
    row(
        "does not fit this host",
        "",
        "install a version of {agent} that was built for this ocf-wasm: ocf-wasm inspect FILE.wasm says what it needs",
    ),
    row(
        ": not granted",
        "",
        "bind the label in {policy}, if the agent is to have it: `ocf-wasm inspect FILE.wasm` says what for",
    ),
    row(
        "granted without access",
        "access",
        "write access = \"write\" in {policy}, if the agent is to change files there",
    ),
    row("is given to no plugin", "directory", "name another directory: this one no policy can give away"),
    row("is not given to write", "directory", "name another directory: this one no policy can give away"),
    row(
        "not safe: ",
        "directory",
        "make each directory on the way root's, or its owner's, and writable by no others; a symbolic link may not lead there",
    ),
    row("file system is nearly full", "directory", "make room on that file system"),
    row(
        "leads out of the directory",
        "directory",
        "look at what the name is there: a link out, or another file system that is mounted below, is not followed",
    ),
    row("to write into is not there", "directory", "make that directory on this node, or let the agent make it"),
    row("its directory is not there", "directory", "make that directory on this node, or correct it in {policy}"),
    row(
        "the socket belongs to user",
        "unix",
        "name that user as `owner` of the socket in {policy}, if it is the service's",
    ),
    row("in `method`", "method", "add the method in {policy}, if the agent is to use it"),
    row("in `headers`", "headers", "add the header in {policy}, if the agent is to send it"),
    row("but not as http", "", "bind the label with `http` in {policy}: this version of the agent asks a web server"),
    row("granted as http", "", "bind the label with `tcp`, `udp` or `unix` in {policy}: the agent talks no HTTP there"),
    row(
        "that the policy does not list",
        "http",
        "correct the parameter (crm_resource --resource {resource} --set-parameter {parameter} --parameter-value VALUE), or list it in {policy}",
    ),
    row("granted, but not with lifetime", "lifetime", "correct `lifetime` in {policy}"),
    row("granted without `input", "", "add input = true in {policy}, if the agent is to have that"),
    row("in `signals`", "signals", "add the signal in {policy}, if the agent is to send it"),
    row("not safe to run", "program", "make the program and each directory above it root's and writable by root alone"),
    row("there is no user", "user", "make the user on this node, or name another one in {policy}"),
    row(
        "cannot be executed",
        "program",
        "run the program by hand as its user: it is of another machine, or its interpreter is missing",
    ),
    row("is not there", "program", "install the program on this node, or correct its path in {policy}"),
    row(
        "as the policy wants it",
        "",
        "correct the parameter (crm_resource --resource {resource} --set-parameter {parameter} --parameter-value VALUE), or widen its type in {policy}",
    ),
    row(
        "is not set, and an argument needs it",
        "argv",
        "set it (crm_resource --resource {resource} --set-parameter {parameter} --parameter-value VALUE), or correct its name in {policy}: `ocf-wasm check` knows which there are",
    ),
    row(
        "is required and not set",
        "",
        "set it: crm_resource --resource {resource} --set-parameter {parameter} --parameter-value VALUE",
    ),
    row(
        "parameter ",
        "",
        "correct it: crm_resource --resource {resource} --set-parameter {parameter} --parameter-value VALUE",
    ),
    row(
        "record is damaged or lost",
        "",
        "see what still runs of it (ocf-wasm forget {instance} shows what the host knows of), end it by hand, then let it count as stopped: ocf-wasm forget {instance} --nothing-runs",
    ),
    row("another action of this instance", "", "wait for the action that runs; nothing is to be corrected"),
    row(
        "still there after SIGKILL",
        "",
        "the process is stuck in the kernel, mostly waiting for storage: repair that, or let the node be fenced",
    ),
    row("still runs", "", "end the processes above by hand"),
    row(
        "not stopped in time",
        "",
        "find what still runs of it and end it by hand; then give stop more time, or the policy a [stop] last-resort",
    ),
    row(
        "no complete answer",
        "",
        "it runs and does not answer there in time: is it overloaded, or does something else listen at that port?",
    ),
    row("connection refused", "", "nobody listens there: it still starts, has another port configured, or closed it"),
    row("no way to get there", "", "there is no way to that address from this node"),
    row(
        "no answer from the plugin in time",
        "",
        "give the operation more time if the node is slow; if it began with a new version: ocf-wasm rollback {agent}",
    ),
    row("panic: ", "", MISTAKE),
    row("trap", "", MISTAKE),
    row(
        SIGNAL,
        "",
        "signal 9 comes from a person, or from the kernel when memory is short: journalctl -k --grep 'out of memory'",
    ),
];

/// Advice for what only the daemons show.
pub(super) const DAEMON: &str = "read the program's last output, and its own log";

/// Advice for an agent that is not there any more, while something of it runs.
pub(super) const GONE: &str = "the next start is refused with 5; what runs is not touched; install it again: ocf-wasm install \
                               FILE.wasm";

/// By what the kernel ends who has more memory than there is; and anybody, anything.
pub(super) const SIGNAL: &str = "signal 9";

/// Advice where the kernel was seen to hold a limit.
pub(super) const OVER_MEMORY: &str = "more was taken; find out for what, or give it more in {policy}";

/// Advice where a program with a limit was killed, and nobody saw by whom.
pub(super) const PERHAPS_MEMORY: &str = "whoever needs more is ended by that signal too, and journalctl -k says so; if it was that, give \
                                 it more in {policy}";

/// Advice for a swap that was refused.
pub(super) const SWAP: &str = "the swap changed nothing: find out which version is right, or let the next start take the new one \
                               (ocf-wasm install --next-start)";

/// Returns what fits a reason.
pub(super) fn on(reason: &str) -> Option<&'static Advice> {
    ADVICE.iter().find(|advice| reason.contains(advice.says))
}

/// The label that a reason is about: `program`, `path` or `endpoint`, and its name.
pub(super) fn label(reason: &str) -> Option<(&'static str, &str)> {
    ["program", "path", "endpoint"].into_iter().find_map(|kind| {
        let rest = &reason[reason.find(&format!("{kind} "))? + kind.len() + 1..];
        let end = rest.find(':')?;
        crate::store::is_label(&rest[..end]).then_some((kind, &rest[..end]))
    })
}

/// The parameter that a reason is about.
pub(super) fn parameter(reason: &str) -> Option<&str> {
    let rest = &reason[reason.find("parameter ")? + "parameter ".len()..];
    let end = rest.find([':', ' ']).unwrap_or(rest.len());
    (end > 0).then_some(&rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_names_its_label_and_its_parameter() {
        assert_eq!(label("program greeter: /x is not there"), Some(("program", "greeter")));
        assert_eq!(label("start: endpoint status: not granted"), Some(("endpoint", "status")));
        assert_eq!(label("path logs: not safe: /srv is writable by everybody"), Some(("path", "logs")));
        assert_eq!(label("the program is gone"), None);
        assert_eq!(label("the path is gone"), None);
        assert_eq!(parameter("program x: parameter port: is not a port"), Some("port"));
        assert_eq!(parameter("parameter name is required and not set"), Some("name"));
        assert_eq!(parameter("port 80: refused"), None);
    }

    #[test]
    fn no_row_hides_behind_another() {
        for (number, advice) in ADVICE.iter().enumerate() {
            let first = ADVICE.iter().position(|other| advice.says.contains(other.says));
            assert!(
                first.is_some_and(|first| first >= number || ADVICE[first].to_do == advice.to_do),
                "{}",
                advice.says
            );
        }
    }
}
