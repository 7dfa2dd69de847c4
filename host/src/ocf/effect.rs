//! What Pacemaker does with each exit status of each action, with its defaults: for `why` and for docs/exit-codes.md.
//!
//! Seen on a cluster of Pacemaker 2.1.5 where the row says so, of a resource that is no clone; else it follows from the
//! rules of the scheduler, and nobody tried it. What must never enter here: a decision of ours. What we answer stands in the contract.

use super::outcome::Exit;

/// On what occasion an agent was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// `start`.
    Start,
    /// A recurring `monitor`.
    Monitor,
    /// A `monitor` before anything was started.
    Probe,
    /// `stop`.
    Stop,
    /// `promote`.
    Promote,
    /// `demote`.
    Demote,
    /// `migrate_to` and `migrate_from`.
    Migrate,
    /// `reload-agent`.
    Reload,
    /// `notify`.
    Notify,
    /// `validate-all`.
    Validate,
}

/// What stays in the cluster until somebody cleans up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stays {
    /// Nothing.
    Nothing,
    /// A failure that is counted and shown; the cluster has recovered by itself.
    Count,
    /// The resource is kept away from this node.
    Node,
    /// The resource is started nowhere.
    Cluster,
    /// The node is fenced, or the resource is blocked.
    Fence,
}

/// How it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Seen on a cluster.
    Tried,
    /// Follows from the scheduler's rules; not tried.
    Read,
}

/// What the cluster does.
#[derive(Debug, PartialEq, Eq)]
pub struct Effect {
    /// With what was answered to this,
    pub occasion: Occasion,
    /// by one of these.
    pub exits: &'static [Exit],
    /// Completes "Pacemaker ...".
    pub does: &'static str,
    /// What stays of it.
    pub stays: Stays,
    /// How it is known.
    pub source: Source,
}

use Exit::{
    Arguments, Degraded, DegradedPromoted, FailedPromoted, Generic, NotConfigured, NotInstalled, NotRunning,
    Permission, Promoted, Success, Unimplemented,
};
use Occasion::{Demote, Migrate, Monitor, Notify, Probe, Promote, Reload, Start, Stop, Validate};
use Source::{Read, Tried};
use Stays::{Cluster, Count, Fence, Node, Nothing};

const fn row(occasion: Occasion, exits: &'static [Exit], does: &'static str, stays: Stays, source: Source) -> Effect {
    Effect { occasion, exits, does, stays, source }
}

const ALL: &[Exit] = &Exit::ALL;
const HARD: &[Exit] = &[Arguments, Unimplemented, Permission, NotInstalled];

/// The table: each exit status of each occasion once.
pub static EFFECTS: &[Effect] = &[
    row(Start, &[Success], "takes it as started here and begins its recurring monitors", Nothing, Tried),
    row(
        Start,
        &[Generic, NotRunning],
        "stops it here, keeps it away from this node, and tries the next node (start-failure-is-fatal=false: here again)",
        Node,
        Tried,
    ),
    row(Start, HARD, "stops it here, keeps it away from this node, and tries the next node", Node, Tried),
    row(Start, &[NotConfigured], "stops it here and starts it on no node at all", Cluster, Tried),
    row(
        Start,
        &[Promoted, FailedPromoted, DegradedPromoted],
        "takes it as a failure: demotes it, stops it, and keeps it away from this node",
        Node,
        Tried,
    ),
    row(Start, &[Degraded], "starts it and stops it again, without end, or leaves it started and failed", Count, Tried),
    row(Monitor, &[Success], "goes on", Nothing, Tried),
    row(
        Monitor,
        &[Generic, Unimplemented, NotRunning],
        "stops it and starts it again here, up to migration-threshold times",
        Count,
        Tried,
    ),
    row(
        Monitor,
        &[Arguments, Permission, NotInstalled],
        "stops it, keeps it away from this node, and starts it on another one",
        Node,
        Tried,
    ),
    row(Monitor, &[NotConfigured], "stops it and starts it on no node at all", Cluster, Tried),
    row(
        Monitor,
        &[Promoted],
        "goes on, if that copy of a promotable clone is to be promoted; else it demotes it, stops it and starts it again",
        Nothing,
        Tried,
    ),
    row(Monitor, &[FailedPromoted], "demotes it, stops it and starts it again", Count, Tried),
    row(Monitor, &[Degraded], "leaves it running and shows it as degraded", Nothing, Tried),
    row(
        Monitor,
        &[DegradedPromoted],
        "leaves it running and shows it as degraded, if that copy is to be promoted; else it demotes it, stops it and \
         starts it again",
        Nothing,
        Tried,
    ),
    row(Probe, &[NotRunning], "knows that it does not run here", Nothing, Tried),
    row(Probe, &[Success], "takes it as running here", Nothing, Read),
    row(
        Probe,
        &[Generic],
        "takes it as running and failed here: stops it, then starts it where it belongs",
        Count,
        Tried,
    ),
    row(Probe, &[Arguments, NotInstalled], "keeps it away from this node and shows no failure", Node, Tried),
    row(
        Probe,
        &[Unimplemented, Permission],
        "takes it as running and failed here: stops it, and keeps it away from this node",
        Node,
        Read,
    ),
    row(Probe, &[NotConfigured], "stops it here and starts it on no node at all", Cluster, Tried),
    row(
        Probe,
        &[Promoted],
        "takes it as running promoted here; what is no promotable clone is demoted, stopped and started again",
        Nothing,
        Read,
    ),
    row(Probe, &[FailedPromoted], "demotes it, stops it and starts it again", Count, Tried),
    row(Probe, &[Degraded], "takes it as running here, and shows it as degraded", Nothing, Tried),
    row(Probe, &[DegradedPromoted], "takes it as running promoted here, and shows it as degraded", Nothing, Read),
    row(Stop, &[Success], "knows that it is stopped here", Nothing, Tried),
    row(Stop, &[Degraded, DegradedPromoted], "takes it as stopped here, and shows it as degraded", Nothing, Read),
    row(
        Stop,
        &[Generic],
        "fences this node; without fencing it leaves the resource blocked here until somebody cleans up",
        Fence,
        Tried,
    ),
    row(
        Stop,
        &[Arguments, Unimplemented, Permission, NotInstalled, NotConfigured, NotRunning, Promoted, FailedPromoted],
        "fences this node; without fencing it leaves the resource blocked here until somebody cleans up",
        Fence,
        Read,
    ),
    row(Promote, &[Success, Degraded, DegradedPromoted], "takes it as promoted here", Nothing, Read),
    row(
        Promote,
        &[Generic, NotRunning, Promoted, FailedPromoted],
        "takes it as a failure: demotes it, stops it, and starts it again",
        Count,
        Read,
    ),
    row(Promote, HARD, "takes it as a failure: demotes it, stops it, and keeps it away from this node", Node, Read),
    row(Demote, &[Success, Degraded, DegradedPromoted], "takes it as unpromoted here", Nothing, Read),
    row(Demote, &[NotRunning], "takes it as stopped here", Nothing, Read),
    row(Demote, &[Generic, Promoted, FailedPromoted], "stops it and starts it again", Count, Read),
    row(Demote, HARD, "stops it and keeps it away from this node", Node, Read),
    row(Migrate, &[Success, Degraded, DegradedPromoted], "goes on with the migration", Nothing, Read),
    row(
        Migrate,
        &[Generic, Arguments, Unimplemented, Permission, NotInstalled, NotRunning, Promoted, FailedPromoted],
        "gives the migration up: stops it on both nodes and starts it anew",
        Count,
        Read,
    ),
    row(Notify, ALL, "does nothing", Nothing, Read),
    row(Validate, ALL, "does nothing: only people and their tools ask this", Nothing, Read),
    row(Promote, &[NotConfigured], "stops it here and starts it on no node at all", Cluster, Read),
    row(Demote, &[NotConfigured], "stops it here and starts it on no node at all", Cluster, Read),
    row(Migrate, &[NotConfigured], "stops it and starts it on no node at all", Cluster, Read),
    row(Reload, &[Success, Degraded, DegradedPromoted], "goes on with the new parameters", Nothing, Read),
    row(
        Reload,
        &[
            Generic,
            Arguments,
            Unimplemented,
            Permission,
            NotInstalled,
            NotConfigured,
            NotRunning,
            Promoted,
            FailedPromoted,
        ],
        "takes it as a failure: stops it, and starts it again where it may run",
        Count,
        Read,
    ),
];

impl Occasion {
    /// All of them, in the order of a resource's life.
    pub const ALL: [Self; 10] = [Probe, Start, Monitor, Stop, Promote, Demote, Migrate, Reload, Notify, Validate];

    /// Returns the occasion of an action in an instance's history.
    pub fn of(action: &str) -> Option<Self> {
        Some(match action.split(' ').next()? {
            "start" => Start,
            "monitor" => Monitor,
            "probe" => Probe,
            "stop" => Stop,
            "promote" => Promote,
            "demote" => Demote,
            "migrate_to" | "migrate_from" => Migrate,
            "reload-agent" => Reload,
            "notify" => Notify,
            "validate-all" => Validate,
            _ => return None,
        })
    }

    /// Returns its name for people.
    pub fn word(self) -> &'static str {
        match self {
            Start => "start",
            Monitor => "monitor",
            Probe => "probe",
            Stop => "stop",
            Promote => "promote",
            Demote => "demote",
            Migrate => "migrate_to, migrate_from",
            Reload => "reload-agent",
            Notify => "notify",
            Validate => "validate-all",
        }
    }
}

impl Stays {
    /// Returns the word for programs.
    pub fn word(self) -> &'static str {
        match self {
            Nothing => "nothing",
            Count => "count",
            Node => "node",
            Cluster => "cluster",
            Fence => "fence",
        }
    }
}

/// Returns what the cluster does.
pub fn effect(occasion: Occasion, exit: Exit) -> Option<&'static Effect> {
    EFFECTS.iter().find(|effect| effect.occasion == occasion && effect.exits.contains(&exit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_exit_status_of_each_occasion_has_one_row() {
        for occasion in Occasion::ALL {
            for exit in Exit::ALL {
                let rows = EFFECTS.iter().filter(|e| e.occasion == occasion && e.exits.contains(&exit)).count();
                assert_eq!(rows, 1, "{occasion:?} {exit}");
            }
        }
    }

    #[test]
    fn what_a_history_calls_an_action_has_an_occasion() {
        for (word, occasion) in [("probe", Probe), ("monitor level 10", Monitor), ("migrate_from", Migrate)] {
            assert_eq!(Occasion::of(word), Some(occasion));
        }
        for occasion in Occasion::ALL {
            assert_eq!(Occasion::of(occasion.word().split(',').next().unwrap()), Some(occasion));
        }
        assert_eq!(Occasion::of("swap"), None);
    }

    #[test]
    fn what_fences_is_a_stop_and_what_bans_everywhere_is_6() {
        for effect in EFFECTS {
            let is_good = effect.exits.iter().any(|exit| matches!(exit, Success | Degraded | DegradedPromoted));
            assert_eq!(effect.stays == Fence, effect.occasion == Stop && !is_good, "{effect:?}");
            if effect.stays == Cluster {
                assert_eq!(effect.exits, [NotConfigured]);
            }
        }
    }
}
