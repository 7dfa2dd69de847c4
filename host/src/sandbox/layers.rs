//! The layers of the sandbox that not every node has, and whether this one does.

use super::confinement::Layer;
use super::landlock;
use crate::sys::{capability, mount};

/// Number of `CAP_SYS_ADMIN`.
const SYS_ADMIN: u64 = 1 << 21;

/// One layer on this node.
#[derive(Clone, Debug)]
pub struct Found {
    /// Which.
    pub layer: Layer,
    /// Whether it is here.
    pub is_here: bool,
    /// What it does, or what stays possible without it; one line.
    pub text: String,
}

/// Whether this process may make namespaces and mounts of its own.
pub fn can_mount() -> bool {
    capability::effective().is_ok_and(|has| has & SYS_ADMIN != 0) && mount::is_known()
}

/// Whether this kernel filters system calls. Where it does not no plugin is run.
pub fn has_filters() -> bool {
    let kinds = std::fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail").unwrap_or_default();
    kinds.split_whitespace().any(|kind| kind == "kill_process")
}

/// What a plugin's process is left with here, or what stays possible for one that broke out of the engine; one line.
pub fn of_plugins() -> String {
    let calls = super::calls::CALLS.len();
    if !has_filters() {
        return "none can run: this kernel does not filter system calls (CONFIG_SECCOMP_FILTER)".to_owned();
    }
    match (landlock::version(), landlock::missing(landlock::version()).next()) {
        (0, _) => format!("weaker: {calls} system calls and no rights, without Landlock (Linux 5.13 has it)"),
        (version, Some(missing)) => format!("{calls} system calls, no rights, Landlock version {version}: {missing}"),
        (version, None) => format!("{calls} system calls, no rights, Landlock version {version} with nothing granted"),
    }
}

/// What a version of Landlock does for programs; 0: there is none.
fn of_landlock(version: u32) -> String {
    let missing: Vec<&str> = landlock::missing(version).collect();
    match (version, &missing[..]) {
        // In /proc is the root of each process, as that sees it: who may trace it may go there.
        (0, _) => "weaker: there is none: files are limited by owner, mode and view, and a program leaves its view through \
                   /proc/PID/root of any process of its user that is not confined: give each a user of its own, or require \
                   this layer"
            .to_owned(),
        (_, []) => {
            format!("version {version}: files, TCP, devices and abstract sockets that are not granted are refused")
        }
        (_, missing) => format!("version {version}: {}", missing.join("; ")),
    }
}

/// Looks for the layers. `groups` is where control groups can be made, if anywhere.
pub fn layers(groups: Option<&std::path::Path>) -> Vec<Found> {
    let version = landlock::version();
    let mounts = can_mount();
    let may = |is_here: bool, yes: &str, no: &str| if is_here { yes.to_owned() } else { format!("weaker: {no}") };
    Layer::ALL
        .iter()
        .map(|layer| {
            let (is_here, text) = match layer {
                Layer::View => (
                    mounts,
                    may(mounts, "programs see what is granted and nothing else", "programs see all files of this node; owners, modes and Landlock decide (CAP_SYS_ADMIN is missing)"),
                ),
                Layer::Network => (
                    mounts,
                    may(mounts, "programs without a network have an empty one", "programs without a network cannot make sockets for one, but are in the node's (CAP_SYS_ADMIN is missing)"),
                ),
                Layer::Landlock => (version > 0, of_landlock(version)),
                Layer::AbstractSockets => (
                    version >= 6,
                    may(version >= 6, "abstract sockets of others are refused", "a program with network = \"host\" can connect to abstract sockets (Linux 6.12 has what is missing)"),
                ),
                Layer::Cgroup => (
                    groups.is_some(),
                    groups.map_or("weaker: no control group can be made here; programs are tracked by descent and session".to_owned(), |root| {
                        format!("programs are tracked by control group ({})", root.display())
                    }),
                ),
            };
            Found { layer: *layer, is_here, text }
        })
        .collect()
}

/// What of the layers that are required is not here, a sentence.
pub fn lacking(require: &[Layer], groups: Option<&std::path::Path>) -> Option<String> {
    let wanted = |found: &Found| require.contains(&found.layer) && !found.is_here;
    if require.is_empty() {
        return None;
    }
    let words: Vec<&str> =
        layers(groups).iter().filter(|found| wanted(found)).map(|found| found.layer.word()).collect();
    (!words.is_empty()).then(|| format!("the policy requires {}, which this node does not have", words.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_landlock_it_is_said_that_a_view_can_be_left() {
        let told = of_landlock(0);
        assert!(told.contains("leaves its view through /proc/PID/root of any process of its user"), "{told}");
        assert!((1..=6).all(|version| !of_landlock(version).contains("/proc")));
    }
}
