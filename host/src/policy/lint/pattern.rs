//! The kinds of what is looked for in a policy.

/// One kind of danger.
#[derive(Debug)]
pub(in crate::policy) struct Risk {
    /// What it is called by programs and in tests.
    pub(in crate::policy) name: &'static str,
    /// What is looked for.
    pub(super) pattern: Pattern,
    /// What somebody could do. `{who}` sets the value, `{what}` is the value's or the program's name, `{user}` runs it.
    pub(super) sentence: &'static str,
    /// What to write in its place.
    pub(super) instead: &'static str,
}

/// What is looked for.
#[derive(Debug)]
pub(super) enum Pattern {
    /// A program of one of these names whose arguments or input are not all the policy's own words. A `*` at the end
    /// stands for a version.
    Open(&'static [&'static str]),
    /// A program that runs as root.
    Root,
    /// A user from outside who may be root.
    RootByChoice,
    /// A program from outside, anywhere below a directory that holds programs for everything.
    ProgramBelow(&'static [&'static str]),
    /// An argument of type text without a prefix.
    Text,
    /// A value of type text that the plugin chooses.
    TextOfPlugin,
    /// A variable that says which code a program loads or runs, by its name or an end of it, filled in from outside.
    Variable(&'static [&'static str]),
    /// A file or directory below one that holds much that is not meant.
    Wide,
    /// A file or directory below one in which everybody can make files, without an owner.
    Shared(&'static [&'static str]),
    /// A directory for the plugin that holds much that is not meant.
    WideGrant,
    /// A directory for a program to write that holds much that is not meant.
    WideView,
    /// The same to read, where it is not only what comes with a system.
    WideReading,
    /// A place for the plugin or a program to write in which the node's own logs are.
    Logs(&'static [&'static str]),
    /// A place that a program sees and that is, or holds, a socket behind which somebody does as root what is asked.
    SocketInView,
    /// A directory for the plugin or a program below one that holds keys, passwords and the like.
    Secrets,
    /// A directory for the plugin or a program to write below one of these, where programs of root's read what to do.
    WritesSettings(&'static [&'static str]),
    /// A directory for the plugin, or for a program, to write that holds what a program of the policy is given as an
    /// argument.
    WritesArgument,
    /// A socket behind which somebody does as root what is asked, by the end of its path.
    Socket(&'static [&'static str]),
    /// A socket from outside, anywhere below a directory that holds those of everything.
    SocketBelow(&'static [&'static str]),
    /// Methods that change something, at a web address from outside.
    Orders,
    /// Orders or headers of the plugin's own, to another node and not encrypted.
    InTheClear,
    /// An address from outside that may be any.
    AnyAddress,
    /// A port that the plugin chooses freely.
    AnyPort,
    /// An address that gives away secrets to whoever asks.
    Address(&'static [&'static str]),
    /// A capability of these, where it is of use.
    Capability(&'static [&'static str]),
    /// A group of these.
    Group(&'static [&'static str]),
    /// Talking to the cluster's daemons as one who may do all there.
    Cluster,
    /// An argument that is a path which the program does not see.
    Unseen,
    /// A program that somebody else than root can replace: found on the node, by who checks it there.
    Replaceable,
    /// What a unit says of itself: found on the node, too.
    Unit,
}
