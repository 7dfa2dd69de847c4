//! Dangers of what a program may do that others may not: rights of root's by name, groups, the cluster's own user.

use super::{is_root, words};
use crate::policy::Program;
use crate::sandbox::confinement::{Namespace, Network, capability_names};

/// As whom the cluster's daemons are asked what the cluster does, by name and by the number that some distributions keep
/// for them: they take orders from these as from root.
const OF_THE_CLUSTER: [&str; 3] = ["hacluster", "haclient", "189"];

/// The first of these capabilities that a program has, and that is of use to it.
pub(super) fn capability(program: &Program, all: &[&str]) -> Option<&'static str> {
    let fixed = &program.grant.fixed;
    let is_of_use = |name: &str| match name {
        // Who is root already gains nobody's rights by them.
        "SETUID" | "SETGID" => !program.user.as_literal().is_some_and(is_root),
        "NET_ADMIN" => fixed.network == Network::Host,
        "KILL" => !fixed.namespaces.contains(&Namespace::Pid),
        _ => true,
    };
    capability_names(fixed.capabilities).into_iter().find(|name| all.contains(name) && is_of_use(name))
}

/// Which of these groups a program is put into, with their numbers in its list.
pub(super) fn groups<'a>(program: &'a Program, all: &[&str]) -> Vec<(usize, &'a str)> {
    let groups = program.grant.groups.iter().flatten().map(String::as_str).enumerate();
    groups.filter(|(_, group)| all.contains(group)).collect()
}

/// Whether the cluster's daemons do what a program says: it can talk to them, as root or as one of theirs.
pub(super) fn has_cluster(program: &Program) -> bool {
    let is_one = |name: &str| is_root(name) || OF_THE_CLUSTER.contains(&name);
    let groups = || program.grant.groups.iter().flatten();
    program.grant.view.cluster
        && (words(&program.user).iter().any(|user| is_one(user))
            || groups().any(|group| OF_THE_CLUSTER.contains(&group.as_str())))
}
