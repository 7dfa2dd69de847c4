//! The table: what is dangerous, what somebody could do with it, and what to write in its place.

use super::names;

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
    /// A capability of these, each of which leads to all others.
    Capability(&'static [&'static str]),
    /// Talking to the cluster's daemons as root.
    Cluster,
    /// An argument that is a path which the program does not see.
    Unseen,
    /// A program that somebody else than root can replace: found on the node, by who checks it there.
    Replaceable,
    /// What a unit says of itself: found on the node, too.
    Unit,
}

/// The table.
pub(in crate::policy) const RISKS: &[Risk] = &[
    Risk {
        name: "interpreter",
        pattern: Pattern::Open(&names::INTERPRETERS),
        sentence: "{what} is an interpreter: {who} can make it run any program as {user}",
        instead: "name the program itself, or give it a fixed script and one-of words",
    },
    Risk {
        name: "runs other programs",
        pattern: Pattern::Open(&names::STARTERS),
        sentence: "{what} runs other programs when it is told to: {who} can make it run any program as {user}",
        instead: "name the program that is meant, or let only one-of words, ports and names through",
    },
    Risk {
        name: "loads any file",
        pattern: Pattern::Open(&names::LOADERS),
        sentence: "{what} is the loader of all programs: {who} can make it run any file as {user}, one that may not be executed too",
        instead: "name the program itself",
    },
    Risk {
        name: "asks on the bus",
        pattern: Pattern::Open(&names::ON_BUS),
        sentence: "{what} asks who listens on D-Bus, systemd among them: {who} can have done what {user} may ask for there",
        instead: "write the arguments out; a service of systemd is granted by `unit`",
    },
    Risk {
        name: "installs packages",
        pattern: Pattern::Open(&names::PACKAGERS),
        sentence: "{what} runs what the packages bring that it is given: {who} can make it run any program as {user}",
        instead: "write the arguments out, or let the node be prepared by who administers it",
    },
    Risk {
        name: "edits files",
        pattern: Pattern::Open(&names::EDITORS),
        sentence: "{what} changes what its arguments name: {who} can change all that {user} may change",
        instead: "write the arguments out, or hold them to `file = { under = ... }` or one-of words",
    },
    Risk {
        name: "ends processes",
        pattern: Pattern::Open(&names::KILLERS),
        sentence: "{what} ends what its arguments name: {who} can end every process that {user} may end",
        instead: "write the arguments out, or let the host end the daemon: lifetime = \"instance\"",
    },
    Risk {
        name: "talks to any host",
        pattern: Pattern::Open(&names::CLIENTS),
        sentence: "{what} connects to what its arguments name: {who} can reach from here all that this node reaches",
        instead: "use an [endpoint.LABEL] with its address and port",
    },
    Risk {
        name: "root",
        pattern: Pattern::Root,
        sentence: "{what} runs as root: whoever finds a hole in it, or in what it is given, has this node",
        instead: "name another user, if it can do its work as one",
    },
    Risk {
        name: "root by choice",
        pattern: Pattern::RootByChoice,
        sentence: "{who} can choose to run {what} as root",
        instead: "take root out of the words",
    },
    Risk {
        name: "any program",
        pattern: Pattern::ProgramBelow(&[
            "/",
            "/usr",
            "/usr/bin",
            "/usr/sbin",
            "/bin",
            "/sbin",
            "/usr/local",
            "/usr/local/bin",
            "/usr/local/sbin",
            "/usr/lib",
            "/usr/libexec",
            "/usr/share",
            "/opt",
            "/etc",
            "/home",
            "/media",
            "/mnt",
            "/root",
            "/run",
            "/srv",
            "/var",
            "/var/lib",
        ]),
        sentence: "{who} can run any program below {what} as {user}, a shell among them",
        instead: "list the programs that are meant: one-of = [\"/usr/bin/...\"]",
    },
    Risk {
        name: "text as an argument",
        pattern: Pattern::Text,
        sentence: "{who} can put any words into an argument of {what}: a file name, a sub-command, an address",
        instead: "give it a narrower type (name, port, one-of, file), or a literal prefix: { prefix = \"--title=\", ... }",
    },
    Risk {
        name: "text of the plugin",
        pattern: Pattern::TextOfPlugin,
        sentence: "a plugin that is not what it seems can pass any text to {what}, which {user} then runs with it",
        instead: "give the slot a narrower type: one-of, integer, port, name, file",
    },
    Risk {
        name: "variable that loads code",
        pattern: Pattern::Variable(&names::VARIABLES),
        sentence: "the variable {what} says which code or settings programs load: {who} can make it load other code as {user}",
        instead: "write its value out",
    },
    Risk {
        name: "wide directory",
        pattern: Pattern::Wide,
        sentence: "{who} can name anything below {what}, secrets and devices among it, and {user} opens it",
        instead: "name the directory that is meant, one or more levels below",
    },
    Risk {
        name: "directory of everybody",
        pattern: Pattern::Shared(&[
            "/tmp",
            "/var/tmp",
            "/dev/shm",
            "/run/lock",
            "/var/lock",
            "/var/spool/mail",
            "/var/mail",
        ]),
        sentence: "everybody on this node can make files below {what}, which {user} then opens as if they were yours",
        instead: "use a directory that belongs to the service, or say whose files count: owner = \"...\"",
    },
    Risk {
        name: "wide grant",
        pattern: Pattern::WideGrant,
        sentence: "all that is below {what} is open to {who}, whoever owns it: the host acts there as root",
        instead: "name the directory that is meant, one or more levels below",
    },
    Risk {
        name: "wide view",
        pattern: Pattern::WideView,
        sentence: "the program changes as {user} what it likes below {what}, which is of more than one service",
        instead: "name the directories that it is meant to write, one or more levels below",
    },
    Risk {
        name: "directory of secrets",
        pattern: Pattern::Secrets,
        sentence: "below {what} are keys, passwords or what people wrote: {who} can read all of it, and tell it in its log",
        instead: "name a directory that holds only what the agent needs",
    },
    Risk {
        name: "writes settings",
        pattern: Pattern::WritesSettings(&["/etc", "/var/spool", "/opt", "/usr/local"]),
        sentence: "what programs read below {what}, and what of it they run, is then {who}'s word: most of them read it as {user}",
        instead: "let the agent write into a directory of its own, which the program includes, or only read here",
    },
    Risk {
        name: "writes what a program is given",
        pattern: Pattern::WritesArgument,
        sentence: "{who} can write {what}: what it says there is done as {user}",
        instead: "keep what the program is given out of what the plugin may write, or let it only read there",
    },
    Risk {
        name: "socket of root",
        pattern: Pattern::Socket(&[
            "/docker.sock",
            "/podman.sock",
            "/containerd.sock",
            "/crio.sock",
            "/buildkitd.sock",
            "/system_bus_socket",
            "/systemd/private",
            "/snapd.socket",
            "/libvirt-sock",
            "/lxd/unix.socket",
            "/incus/unix.socket",
            "/cib_rw",
        ]),
        sentence: "who listens at {what} does as {user} what is asked: {who} can have anything done on this node",
        instead: "use a [program.LABEL] with fixed arguments that asks there for the one thing that is meant",
    },
    Risk {
        name: "any socket",
        pattern: Pattern::SocketBelow(&["/", "/run", "/var", "/var/run", "/var/lib", "/tmp", "/opt"]),
        sentence: "{who} can choose any socket of {user}'s below {what}, and have the plugin talk to it",
        instead: "name the directory of the service: file = { under = \"/run/nginx\" }",
    },
    Risk {
        name: "orders to a web server",
        pattern: Pattern::Orders,
        sentence: "{who} chooses where {what} goes: to any of the hosts and ports that are listed, as this node",
        instead: "write the web address out, or leave GET and HEAD alone in `method`",
    },
    Risk {
        name: "orders in the clear",
        pattern: Pattern::InTheClear,
        sentence: "{what} goes to another node in the clear: whoever is on the way can read it, and make of it what he likes",
        instead: "ask by https, with `ca`",
    },
    Risk {
        name: "any address",
        pattern: Pattern::AnyAddress,
        sentence: "{who} can make this node connect to any address that it reaches, past firewalls that trust it",
        instead: "say where it may be: ip = { within = [\"10.1.0.0/16\"] }",
    },
    Risk {
        name: "any port",
        pattern: Pattern::AnyPort,
        sentence: "a plugin that is not what it seems can try every port of {what}, and hear what answers",
        instead: "take the port from a parameter, or bound it: port = { min = 8000, max = 8099 }",
    },
    Risk {
        name: "address of secrets",
        pattern: Pattern::Address(&crate::policy::kind::CLOUDS),
        sentence: "{what} is where clouds hand out credentials: the plugin can ask for those of this node",
        instead: "leave it out, unless the plugin is meant to have them",
    },
    Risk {
        name: "capability that is all",
        pattern: Pattern::Capability(&[
            "SYS_ADMIN",
            "SYS_MODULE",
            "SYS_RAWIO",
            "SYS_PTRACE",
            "BPF",
            "DAC_OVERRIDE",
            "DAC_READ_SEARCH",
            "CHOWN",
            "FOWNER",
            "SETFCAP",
            "SETPCAP",
            "MKNOD",
            "SYS_BOOT",
            "MAC_ADMIN",
            "MAC_OVERRIDE",
        ]),
        sentence: "{what} goes past owners, modes or the kernel itself: whoever finds a hole in the program can make it root",
        instead: "leave it out, or give the program's files to the user that it runs as",
    },
    Risk {
        name: "the cluster as root",
        pattern: Pattern::Cluster,
        sentence: "{what} can change the cluster's configuration, and so have any node run any agent as root",
        instead: "leave `cluster` out, or name a user that is not in the group haclient, if that is enough",
    },
    Risk {
        name: "path that is not seen",
        pattern: Pattern::Unseen,
        sentence: "the program does not see {what}: to it, it is not there, and what it concludes from that may be wrong",
        instead: "grant it: view = { read = [\"...\"] }, or `write`",
    },
    Risk {
        name: "replaceable",
        pattern: Pattern::Replaceable,
        sentence: "whoever can write there can replace the program and run anything as {user}",
        instead: "make the file and every directory above it root's, and writable by root alone",
    },
];
