//! What this node offers: who plugins run as, the layers of the sandbox, what of a program it limits, who keeps daemons.

use super::super::{here, private};
use crate::capability::program::{group, tree, unit};
use crate::sandbox::layers;
use crate::sys::user;

/// Something that not every node has.
struct Offered {
    name: &'static str,
    is_here: bool,
    text: String,
}

/// What control groups limit, and what that means where the policy says nothing.
const LIMITS: [(&str, &str); 2] = [
    ("memory", "512 MiB for a program of an action, or what the policy says"),
    ("tasks", "64 for a program of an action, 4096 for a daemon, or what the policy says"),
];

/// The layers of the sandbox, and the limits that hold for a program and all that it starts.
fn offered() -> Vec<Offered> {
    let groups = tree::cgroup_root();
    let layers = layers::layers(groups.as_deref()).into_iter();
    let mut all: Vec<_> =
        layers.map(|found| Offered { name: found.layer.word(), is_here: found.is_here, text: found.text }).collect();
    for (name, most) in LIMITS {
        let is_here = groups.as_deref().is_some_and(|ours| group::is_limiting(ours, name));
        let text = match is_here {
            true => format!("limited by control group: {most}"),
            false => format!(
                "weaker: not limited, since no control group counts it here; a program with `{name}` in its `limits` is not run"
            ),
        };
        all.push(Offered { name, is_here, text });
    }
    all
}

/// The names of what this node does not have. None is missed where there is one user only, who has nothing to be kept from.
pub(in crate::cli) fn missing() -> Vec<&'static str> {
    if user::is_alone() {
        return Vec::new();
    }
    offered().into_iter().filter(|offered| !offered.is_here).map(|offered| offered.name).collect()
}

/// What this node offers, by name.
pub(super) fn node() -> Vec<(&'static str, String)> {
    let alone = user::is_alone();
    // A root that nobody named is only there to look from: it says nothing of the node.
    let is_made_up = private::has_invented_user() && !here::is_private();
    let user = match user::account(user::OURS).filter(|_| !is_made_up) {
        _ if alone => "one user only: plugins and programs run as you".to_owned(),
        Some(user) => format!("plugins run as {} ({})", user::OURS, user.uid),
        None => here::said(&format!("there is no user {}: `ocf-wasm install` makes it", user::OURS)),
    };
    let mut all = vec![("user", user), ("plugins", layers::of_plugins())];
    all.extend(offered().into_iter().map(|offered| (offered.name, offered.text)));
    all.push((
        "daemons",
        match unit::transient::offered(&unit::manager::Manager::default()) {
            Ok(()) => format!("kept by units of systemd, in {}", ocf_wasm_units::SLICE),
            Err(why) => format!("kept by the agent's own processes: {why}"),
        },
    ));
    all
}
