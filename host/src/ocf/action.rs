//! The closed list of actions.

/// What an agent is told to do, by the first argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Provide the resource.
    Start,
    /// End it.
    Stop,
    /// Say how it is. Also `status`, the word of older callers.
    Monitor,
    /// Take the promoted role.
    Promote,
    /// Give it back.
    Demote,
    /// Be told what other copies of the clone do.
    Notify,
    /// Send the resource to another node.
    MigrateTo,
    /// Receive it.
    MigrateFrom,
    /// Take changed parameters without a restart. `reload-agent` (OCF 1.1) and `reload` (OCF 1.0) are one here.
    Reload,
    /// Check the parameters.
    ValidateAll,
    /// Print the metadata.
    MetaData,
    /// Print how to call the agent. Also `help`.
    Usage,
    /// Print the actions.
    Methods,
}

impl Action {
    /// Reads the first argument. None for an unknown word, for none, and for the empty one.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "start" => Self::Start,
            "stop" => Self::Stop,
            "monitor" | "status" => Self::Monitor,
            "promote" => Self::Promote,
            "demote" => Self::Demote,
            "notify" => Self::Notify,
            "migrate_to" => Self::MigrateTo,
            "migrate_from" => Self::MigrateFrom,
            "reload" | "reload-agent" => Self::Reload,
            "validate-all" => Self::ValidateAll,
            "meta-data" => Self::MetaData,
            "usage" | "help" => Self::Usage,
            "methods" => Self::Methods,
            _ => return None,
        })
    }

    /// Returns the word for logs and for the metadata.
    pub fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Monitor => "monitor",
            Self::Promote => "promote",
            Self::Demote => "demote",
            Self::Notify => "notify",
            Self::MigrateTo => "migrate_to",
            Self::MigrateFrom => "migrate_from",
            Self::Reload => "reload-agent",
            Self::ValidateAll => "validate-all",
            Self::MetaData => "meta-data",
            Self::Usage => "usage",
            Self::Methods => "methods",
        }
    }

    /// Whether two of them on one instance must not run at once.
    pub fn changes_something(self) -> bool {
        match self {
            Self::Start
            | Self::Stop
            | Self::Promote
            | Self::Demote
            | Self::Notify
            | Self::MigrateTo
            | Self::MigrateFrom
            | Self::Reload => true,
            Self::Monitor | Self::ValidateAll | Self::MetaData | Self::Usage | Self::Methods => false,
        }
    }
}
