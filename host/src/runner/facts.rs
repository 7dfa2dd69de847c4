//! What a plugin is told without asking anybody: read from the request before the fork, in the WIT's own types.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::ocf::request::{Clone_, Notice};
use crate::ocf::{Action, Parameters};
use crate::seam::instance::{ActionName, CloneFacts, Member, Moment, Move, Notice as Announced};

/// All that a plugin may know without asking: all that a runner keeps of what the broker knows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Facts {
    /// The instance's name.
    pub instance: String,
    /// This node.
    pub node: String,
    /// Names of declared parameters; asking for another is a mistake in the plugin.
    pub declared: Option<Vec<String>>,
    /// Canonical values.
    pub parameters: Parameters,
    /// The clone.
    pub clone: Option<CloneFacts>,
    /// What is announced.
    pub notice: Option<Announced>,
    /// Source and target.
    pub migration: Option<Move>,
    /// When the host answers in the plugin's place.
    #[serde(serialize_with = "left", deserialize_with = "from_now")]
    pub deadline: Instant,
    /// Bytes of linear memory.
    pub memory_bytes: usize,
}

fn left<S: serde::Serializer>(deadline: &Instant, serializer: S) -> Result<S::Ok, S::Error> {
    deadline.saturating_duration_since(Instant::now()).serialize(serializer)
}

fn from_now<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Instant, D::Error> {
    Ok(Instant::now() + Duration::deserialize(deserializer)?)
}

/// A clone, as the WIT tells of it.
pub fn clone_facts(clone: &Clone_) -> CloneFacts {
    CloneFacts {
        number: clone.number,
        maximum: clone.maximum,
        node_maximum: clone.node_maximum,
        promoted_maximum: clone.promoted_maximum,
        notify: clone.notify,
    }
}

/// An announcement, as the WIT tells of it. None for an operation that is not announced.
pub fn announced(notice: &Notice) -> Option<Announced> {
    let members =
        |list: &[(String, String)]| list.iter().map(|(i, n)| Member { instance: i.clone(), node: n.clone() }).collect();
    Some(Announced {
        moment: if notice.before { Moment::Pre } else { Moment::Post },
        operation: match notice.operation {
            Action::Start => ActionName::Start,
            Action::Stop => ActionName::Stop,
            Action::Promote => ActionName::Promote,
            Action::Demote => ActionName::Demote,
            _ => return None,
        },
        starting: members(&notice.starting),
        stopping: members(&notice.stopping),
        promoting: members(&notice.promoting),
        demoting: members(&notice.demoting),
        unpromoted: members(&notice.unpromoted),
        promoted: members(&notice.promoted),
        inactive: notice.inactive.clone(),
    })
}
