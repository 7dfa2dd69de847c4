//! Every key that a policy may have, as data: the parser looks keys up here, diagnostics say from here what is expected,
//! and the reference of the format (`docs/policy.md`) is written from here.
//!
//! The agent needs the names alone; what explains them is compiled into the tool only, since each text would cost the
//! agent relocations at its start. What must never enter here: a key that the parser does not enforce.

/// A table: of the file, or as a value.
#[derive(Debug)]
pub struct Table {
    /// As it is written: `[program.LABEL]`, or the word before an inline table.
    pub name: &'static str,
    /// What may stand in it, in the order in which people write it.
    pub keys: &'static [Key],
    /// What it is for.
    #[cfg(feature = "tool")]
    pub about: &'static str,
}

/// One key of a table.
#[derive(Debug)]
pub struct Key {
    /// The word.
    pub name: &'static str,
    /// What people are told about it.
    #[cfg(feature = "tool")]
    pub text: Text,
}

/// What people are told about a key.
#[cfg(feature = "tool")]
#[derive(Debug)]
pub struct Text {
    /// What holds if it is left out; `required` if it must not be.
    pub otherwise: &'static str,
    /// The forms that its value can have.
    pub form: &'static str,
    /// A line of a policy.
    pub example: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

impl Table {
    /// Whether a word is a key here.
    pub fn knows(&self, word: &str) -> bool {
        self.keys.iter().any(|key| key.name == word)
    }
}

/// Declares tables, and the list of all of them for those who show or test each one.
macro_rules! tables {
    ($($Table:ident $name:literal $about:literal {
        $($key:literal $otherwise:literal $form:literal $example:literal $meaning:literal;)*
    })*) => {
        $(
            #[doc = $about]
            pub static $Table: Table = Table {
                name: $name,
                keys: &[$(Key {
                    name: $key,
                    #[cfg(feature = "tool")]
                    text: Text { otherwise: $otherwise, form: $form, example: $example, meaning: $meaning },
                }),*],
                #[cfg(feature = "tool")]
                about: $about,
            };
        )*
        /// All of them.
        #[cfg(feature = "tool")]
        pub static TABLES: &[&Table] = &[$(&$Table),*];
    };
}

// For each key: its name, what holds without it, the forms of its value, an example, what it means.
tables! {
    FILE "" "It grants what it names and nothing else; a file that has only its `format` grants nothing." {
        "format" "required" "the number 1" "format = 1"
            "The version of this format. There is one so far.";
        "plugin" "any component that is installed under the agent's name" "a table" "plugin = { digest = \"sha256:...\" }"
            "Which components the policy is for.";
        "program" "no program" "a table for each label" "[program.daemon]"
            "Programs that the plugin may run, by label.";
        "path" "no directory" "a table for each label" "[path.logs]"
            "Directories that the plugin may read or change, by label.";
        "endpoint" "no endpoint" "a table for each label" "[endpoint.status]"
            "Places that the plugin may connect to, by label.";
        "stop" "nothing but what the host tracks" "a table" "stop = { last-resort = [\"kill-all\"], gone-when = { run = \"is-running\", exit = [1] } }"
            "What to do when the plugin cannot stop.";
        "limits" "the host's own" "a table" "limits = { memory = \"64MiB\" }"
            "What the plugin may use of the node.";
    }
    PLUGIN "[plugin]" "Narrows the policy to certain components. Another component under the same name is refused." {
        "digest" "required" "a digest, `sha256:` and 64 hexadecimal digits, or a list of them" "digest = \"sha256:b950af89c884c5b2b950af89c884c5b2b950af89c884c5b2b950af89c884c5b2\""
            "The components, as `ocf-wasm inspect` shows their digests. During an upgrade, the old and the new one.";
    }
    PROGRAM "[program.LABEL]" "A program of this node that the plugin may run under this label. A label is 1-64 of a-z, 0-9 and `-`." {
        "program" "required" "an absolute path without `..` and wildcards, or a parameter with `one-of` or `file`" "program = \"/usr/sbin/nginx\""
            "The file that is executed. It and every directory above it must be root's and not writable by others; it may not be setuid or setgid, nor have file capabilities.";
        "unit" "a program of the policy's own" "the whole name of a service of systemd" "unit = \"sample-tcp-server.service\""
            "The service that the label stands for, in the place of `program` and of all that is said of one: what runs, as whom and how it ends stands in the unit. Only `environment` and `rate` can stand beside it. The name is the unit's own, no alias, and of a template one instance.";
        "interpreter" "the program is executed itself" "a list: an absolute path, then its own first arguments" "interpreter = [\"/bin/sh\"]"
            "What runs the program where it is a script. Both are judged as a program is, and the script need not be executable.";
        "argv" "no arguments" "a list; each element is a text, an open value, or a list of those that is left out unless all its values are set" "argv = [\"--port\", { param = \"port\", port = {} }, [\"--user\", { param = \"user\", name = {} }]]"
            "The arguments, without the program's own name. Each value is passed as one whole argument and never meets a shell. Where the program is an interpreter, a script that is named here is judged as the program is: root's, with every directory above it, and not writable by others.";
        "lifetime" "required" "\"action\" (runs to its end within the action) or \"instance\" (a daemon that lives while the resource is started)" "lifetime = \"instance\""
            "How long the program may live. What one of \"action\" leaves behind is killed; one of \"instance\" is tracked with its whole process tree.";
        "type" "\"simple\"" "\"simple\" (the program is the daemon) or \"forking\" (it ends, and what it leaves behind is the daemon)" "type = \"forking\""
            "What starting means. A program of type \"forking\", such as an init script, is run to its end, with status 0; it can be run with other slots as well, as one of lifetime \"action\". For lifetime \"instance\".";
        "user" "required" "a user's name or number, or a parameter with `one-of`" "user = \"nobody\""
            "Whom the program runs as, with that user's groups. There is no default.";
        "environment" "only PATH and LANG" "a table of variables; each value is a text or an open value" "environment = { MODE = \"fast\", GREET = { param = \"greet\", text = { max = 200 } } }"
            "The whole environment besides PATH and LANG; of a unit what is added to its own, in a file that only root can read. A variable whose parameter is not set is left out. Variables by which programs load other code are refused.";
        "stop" "TERM, then KILL at the end of the action's time" "a list of steps, each with `signal` and `grace`" "stop = [{ signal = \"QUIT\", grace = \"60%\" }, { signal = \"TERM\", grace = \"rest\" }]"
            "How a daemon is ended. What is left after the last step is killed. For lifetime \"instance\".";
        "output" "\"journal\"" "\"journal\"" "output = \"journal\""
            "Where a daemon's output goes: the log of the system. Its last 4 KiB are kept for `ocf-wasm why`. For lifetime \"instance\".";
        "input" "false" "true or false" "input = true"
            "Whether the plugin may write to the program's standard input. For lifetime \"action\".";
        "timeout" "the action's own" "a duration" "timeout = \"5s\""
            "How long one run may take; it never lasts longer than the action. For lifetime \"action\".";
        "signals" "none" "a list of signals: HUP, INT, QUIT, USR1, USR2, TERM, WINCH" "signals = [\"HUP\"]"
            "Signals that the plugin may send to the daemon's main process. For lifetime \"instance\".";
        "manager" "\"auto\"" "\"auto\" (a unit of systemd where that can be had), \"systemd\" (a unit, or it is not started) or \"none\" (no unit)" "manager = \"systemd\""
            "Who keeps a daemon. `ocf-wasm check` says what this node has. For lifetime \"instance\".";
        "groups" "those of its user" "a list of names or numbers" "groups = [\"ssl-cert\"]"
            "The groups that it has besides its user's primary group: these and no others.";
        "capabilities" "none, for root too" "a list of names from capabilities(7), without `CAP_`" "capabilities = [\"NET_BIND_SERVICE\"]"
            "What it may do that only root may: exactly this, whoever its user is.";
        "view" "the system's programs and settings, read-only" "a table with `read`, `write` and `cluster`" "view = { read = [\"/srv/web\"], write = [\"/var/log/web\"] }"
            "The files that it sees besides /usr, /etc and what belongs to them. All others are not there; /tmp, /var/tmp and /dev are its own.";
        "network" "\"none\"" "\"none\", \"loopback\" (one of its own, where nobody else is) or \"host\" (what this node reaches)" "network = \"host\""
            "What of the network it can reach. A daemon that others shall reach needs \"host\".";
        "limits" "see `limits`" "a table with `memory`, `tasks`, `cpu`, `nofile`, `fsize` and `output`" "limits = { memory = \"256MiB\", tasks = 64 }"
            "How much it may use.";
        "rate" "any number" "a number from 1 to 6000" "rate = 60"
            "How often it may be started within a minute, for this instance. What comes too soon is denied. Where /run is full or read-only nobody can count, so a monitor and a stop run it uncounted.";
        "require" "none: a node that lacks a layer is weaker" "a list: \"view\", \"network\", \"landlock\", \"abstract-sockets\", \"cgroup\"" "require = [\"view\", \"landlock\"]"
            "Layers of the sandbox without which it is not run. `ocf-wasm check` says what this node has.";
        "namespaces" "the node's" "a list: \"pid\", \"ipc\", \"uts\", \"cgroup\"" "namespaces = [\"ipc\"]"
            "What it has of its own besides files and network. With \"pid\" it sees no other process: a database does not see that it runs already.";
    }
    VIEW "view" "Files that a program sees. Each is named as it really is, without symbolic links on the way, and must be there; what is named in another that is named stays what it is." {
        "read" "none" "a list of absolute paths, or parameters with `file` or `directory`" "read = [\"/srv/web\"]"
            "What it can read, and execute. What is hidden from all programs, such as /etc/shadow, keys and the sockets of services that act as root, is seen if it is named here in the policy's own words; a value from outside cannot name it.";
        "write" "none" "the same" "write = [\"/var/log/web\"]"
            "What it can read and change. Nothing in it can be executed. What root runs or trusts, what holds secrets of the node, and where a program of this policy lies or may lie, is refused, as it is for [path.LABEL].";
        "cluster" "false" "true or false" "cluster = true"
            "Whether it can talk to the daemons of the cluster. What they share with it is the user's `hacluster`: as that it may do all, and root needs the capability DAC_OVERRIDE.";
    }
    PROGRAM_LIMITS "limits" "How much a program may use. What is written here holds, or the program is not run; what is left out is limited where the node can." {
        "memory" "512 MiB for lifetime \"action\", else any" "a size from \"1MiB\" to \"1024GiB\"" "memory = \"256MiB\""
            "The memory of the program and all that it starts, together. It needs a control group.";
        "tasks" "64 for lifetime \"action\", else 4096" "a number" "tasks = 64"
            "Processes and threads, all together. It needs a control group.";
        "cpu" "any" "a duration" "cpu = \"10s\""
            "A processor's time, of each of its processes; rounded up to seconds.";
        "nofile" "1024, which it may raise" "a number" "nofile = 4096"
            "Files that each of its processes has open.";
        "fsize" "64 MiB for lifetime \"action\", else any" "a size from \"0KiB\" to \"1024GiB\"" "fsize = \"0KiB\""
            "The largest file that it may write.";
        "output" "256 KiB" "a size from \"1KiB\" to \"512KiB\"" "output = \"64KiB\""
            "How much of its standard output, and as much of its standard error, is kept. For lifetime \"action\".";
    }
    STEP "stop" "One step of ending a daemon." {
        "signal" "required" "one of HUP, INT, QUIT, USR1, USR2, TERM, WINCH; KILL comes by itself" "signal = \"TERM\""
            "What is sent, first to the main process, then to what it leaves.";
        "grace" "required" "a duration (\"10s\"), a part of the time that is left (\"60%\"), or \"rest\"" "grace = \"rest\""
            "How long to wait for it to take effect.";
    }
    PATH "[path.LABEL]" "A directory that the plugin may read or change under this label, with all that is below it on its file system. What holds secrets of the node, such as /etc/ssh, and the kernel's own files are given to nobody; what root runs or trusts, such as /usr and /etc/cron.d, to nobody to write, and neither is where a program of the policy lies or may lie." {
        "directory" "required" "an absolute path without `..` and wildcards, or a parameter with `one-of` or `directory`" "directory = \"/var/log/nginx\""
            "The directory. It and every directory above it must be root's or its owner's, and not writable by others; no symbolic link may lead there.";
        "access" "required" "\"read\" or \"write\", which includes it" "access = \"read\""
            "What the plugin may do there: look, or also replace and remove files and make directories.";
        "owner" "root" "a user's name or number, or a parameter with `one-of`" "owner = \"www-data\""
            "Whom files and directories belong to that the plugin makes, with that user's group. For access \"write\".";
    }
    ENDPOINT "[endpoint.LABEL]" "A place that the plugin may connect to under this label. Exactly one of `tcp`, `udp`, `unix` and `http` says where it is." {
        "tcp" "another place" "a table with `host` and `port`" "tcp = { host = \"127.0.0.1\", port = 80 }"
            "A TCP port.";
        "udp" "another place" "a table with `host` and `port`" "udp = { host = \"127.0.0.1\", port = 123 }"
            "A UDP port. A datagram has at most 512 bytes, and the next one goes 100 ms later at the earliest.";
        "unix" "another place" "a table with `path`, `owner` if it is not root, and `peer`" "unix = { path = \"/run/nginx/status.sock\", owner = \"www-data\" }"
            "A UNIX stream socket.";
        "http" "another place" "a web address that begins with http:// or https://, or a parameter or slot with `url`" "http = \"http://127.0.0.1:8080/health\""
            "A web address, and all that is below it. No redirection and no proxy is followed.";
        "ca" "no https" "an absolute path without `..` and wildcards" "ca = \"/etc/ssl/certs/ca-certificates.crt\""
            "For https, where it must be there: a file of certificates in PEM, that of the system or one of your own. The server's certificate must be issued by one of these authorities, for the host that stands in the web address, and be valid today. The file and every directory above it must be root's and not writable by others, and no symbolic link may lead there.";
        "names" "no name" "a table of hosts' names, each with a list of at most 16 IP addresses" "names = { \"www.example\" = [\"10.1.0.7\", \"10.1.0.8\"] }"
            "What the names in the web address stand for: nobody looks them up. The first address that takes the connection is asked. For `http`.";
        "method" "GET and HEAD" "a list of GET, HEAD, POST, PUT, DELETE" "method = [\"GET\", \"POST\"]"
            "Methods that the plugin may use. In monitor and validate only GET and HEAD are. For `http`.";
        "headers" "accept, content-type and user-agent" "a list of headers' names" "headers = [\"accept\", \"x-token\"]"
            "Headers that the plugin may send; those that say where a request goes or ends are the host's. For `http`.";
        "timeout" "5 s" "a duration" "timeout = \"2s\""
            "How long connecting and exchanging may take together; never longer than the action.";
    }
    PORT_AT "tcp, udp" "An address and a port." {
        "host" "required" "an IP address, or a parameter or slot with `ip` or `one-of`; names are not resolved" "host = \"127.0.0.1\""
            "The address.";
        "port" "required" "a number from 1 to 65535, or a parameter or slot with `port` or `one-of`" "port = { param = \"port\", port = {} }"
            "The port.";
    }
    UNIX "unix" "A UNIX stream socket." {
        "path" "required" "an absolute path without `..` and wildcards, or a parameter or slot with `one-of` or `file`" "path = \"/run/nginx/status.sock\""
            "Where the socket is. Every directory above it must be root's or its owner's, and not writable by others; no symbolic link may lead there.";
        "owner" "root alone" "a user's name or number, or a parameter with `one-of`" "owner = \"www-data\""
            "Whom the socket may belong to, besides root.";
        "peer" "whoever listens" "a user's name or number, or a parameter with `one-of`" "peer = \"www-data\""
            "Who must have begun to listen there, as the kernel tells it: nothing is sent to anybody else. Root where systemd made the socket.";
    }
    STOP "[stop]" "What to do when the plugin cannot stop and not all that it started is tracked by the host." {
        "last-resort" "required" "a list of labels of programs with lifetime \"action\" and literal arguments" "last-resort = [\"kill-all\"]"
            "Programs that end what is left, run in this order.";
        "gone-when" "required" "a table with `run` and `exit`" "gone-when = { run = \"is-running\", exit = [1] }"
            "What proves that nothing is left. Without that proof the stop fails.";
    }
    GONE "gone-when" "What proves that nothing is left." {
        "run" "required" "the label of a program with lifetime \"action\" and literal arguments" "run = \"is-running\""
            "The program that is asked.";
        "exit" "required" "a list of numbers from 0 to 255" "exit = [1]"
            "Exit statuses by which it says that nothing is left.";
    }
    LIMITS "[limits]" "What the plugin may use of the node." {
        "memory" "64 MiB" "a size in KiB, MiB or GiB, at most \"512MiB\"" "memory = \"64MiB\""
            "The plugin's linear memory, all of it together.";
    }
    OPEN "{ ... }" "An open value: one that is filled in when the program is run. Exactly one of `param`, `slot` and `fact` says where it comes from; those from outside have exactly one type. A value never begins with `-` unless a literal `prefix` stands before it." {
        "param" "another origin" "the name of a parameter of the agent" "[{ param = \"port\", port = {} }]"
            "The value of a parameter of the instance: whoever may configure the resource sets it.";
        "slot" "another origin" "the name of a slot" "[{ slot = \"verb\", one-of = [\"status\", \"reload\"] }]"
            "A value that the plugin chooses in each call.";
        "fact" "another origin" "\"node\", \"instance\", \"physical-host\" or \"container-attribute-target\"" "[{ fact = \"node\" }]"
            "What the host knows: the name of this node, or of the instance; the last two are there on a guest node and in a bundle only. It has no type.";
        "prefix" "nothing before it" "a text" "[{ prefix = \"--level=\", param = \"level\", integer = { min = 0, max = 9 } }]"
            "Put before the value, in the same argument. For arguments only.";
        "one-of" "another type" "a list of texts" "[{ param = \"mode\", one-of = [\"fast\", \"safe\"] }]"
            "Type: exactly one of these words.";
        "integer" "another type" "a table with `min` and `max`, both optional" "[{ param = \"level\", integer = { min = 0, max = 9 } }]"
            "Type: a decimal number within bounds, both included.";
        "port" "another type" "a table with `min` and `max`, both optional" "[{ param = \"port\", port = { min = 1024 } }]"
            "Type: a port from 1 to 65535, within bounds.";
        "name" "another type" "a table with `max`, optional" "[{ param = \"database\", name = {} }]"
            "Type: letters, digits, `.`, `_`, `:` and `-`, at least one of them; not `.` and not `..`.";
        "text" "another type" "a table with `max`, optional" "[{ prefix = \"--title=\", param = \"title\", text = { max = 200 } }]"
            "Type: any text of one line. The widest of all: behind a prefix, or in a variable, it does least harm.";
        "file" "another type" "a table with `under`, and `owner` if that matters" "[{ param = \"config\", file = { under = \"/etc/nginx\", owner = \"root\" } }]"
            "Type: a regular file below a directory, where symbolic links in the end lead; what is passed on is the path to there, without links. A program is called by the name that was given.";
        "directory" "another type" "a table with `under`, and `owner` if that matters" "[{ param = \"data\", directory = { under = \"/srv\" } }]"
            "Type: a directory below a directory, or that directory itself; passed on as a `file` is.";
        "ip" "another type" "a table with `within`, optional" "[{ param = \"address\", ip = { within = [\"10.1.0.0/16\"] } }]"
            "Type: an IP address, version 4 or 6.";
        "url" "another type" "a table with `host` and `port`, and `path` if that matters" "http = { param = \"probe_url\", url = { host = [\"127.0.0.1\"], port = [80, 8080] } }"
            "Type: a web address that begins with http://, or with https:// where `scheme` has that, without a user in it. For `http` of an endpoint only.";
        "duration" "another type" "a table with `max`, optional" "[{ param = \"patience\", duration = { max = \"1min\" } }]"
            "Type: a span of time; passed in milliseconds.";
    }
    INTEGER "integer" "The bounds of a number." {
        "min" "no bound" "a number" "[{ param = \"p\", integer = { min = 0 } }]" "The least.";
        "max" "no bound" "a number" "[{ param = \"p\", integer = { max = 9 } }]" "The greatest.";
    }
    PORT "port" "The bounds of a port." {
        "min" "1" "a number from 1 to 65535" "[{ param = \"p\", port = { min = 1024 } }]" "The least.";
        "max" "65535" "a number from 1 to 65535" "[{ param = \"p\", port = { max = 1023 } }]" "The greatest.";
    }
    NAME "name" "The length of a name." {
        "max" "64" "a number from 1 to 131071" "[{ param = \"p\", name = { max = 16 } }]" "Bytes at most.";
    }
    TEXT "text" "The length of a text." {
        "max" "4096" "a number from 1 to 131071" "[{ prefix = \"x=\", param = \"p\", text = { max = 200 } }]" "Bytes at most.";
    }
    PLACE "file, directory" "Where a file or directory may be." {
        "under" "required" "an absolute path without `..` and wildcards" "[{ param = \"p\", file = { under = \"/etc/nginx\" } }]"
            "The directory below which it must be.";
        "owner" "any" "a user's name" "[{ param = \"p\", file = { under = \"/etc/nginx\", owner = \"root\" } }]"
            "Whom it must belong to. Nobody else may be able to put another in its place: every directory above must be root's or the owner's, and writable by no others and no group but theirs.";
    }
    IP "ip" "Which addresses." {
        "within" "all" "a list of networks" "[{ param = \"p\", ip = { within = [\"10.1.0.0/16\", \"fd00::/8\"] } }]"
            "Networks, one of which the address must be in.";
    }
    URL "url" "Which web addresses." {
        "scheme" "[\"http\"]" "a list of \"http\" and \"https\"" "http = { param = \"p\", url = { scheme = [\"https\"], host = [\"127.0.0.1\"], port = [443] } }"
            "How it may begin. What is asked by https needs `ca`.";
        "host" "required" "a list of IP addresses, networks and names; what a name stands for is said in `names`" "http = { param = \"p\", url = { host = [\"127.0.0.1\", \"10.1.0.0/16\"], port = [80] } }"
            "Hosts, one of which it must have.";
        "port" "required" "a list of numbers from 1 to 65535" "http = { param = \"p\", url = { host = [\"127.0.0.1\"], port = [80, 8080] } }"
            "Ports, one of which it must have; 80 is the one of an address that says none, and 443 by https.";
        "path" "any" "a path without a query" "http = { param = \"p\", url = { host = [\"127.0.0.1\"], port = [80], path = \"/health\" } }"
            "What its path must be, or be below.";
    }
    DURATION "duration" "How long at most." {
        "max" "no bound" "a duration" "[{ param = \"p\", duration = { max = \"1min\" } }]" "The longest.";
    }
}
