//! A runner that has been taken over sends what it likes: messages to the broker, its answers, and what comes of it.
//!
//! The first byte is how it behaves, the second what the cluster wants, the third the check level. What follows is its
//! words: message after message as postcard has them, which this gives their lengths; or the wire itself.

mod model;
mod peer;

use std::fmt::Debug;
use std::net::TcpListener;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, getsockname, socket};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use ocf_wasm::broker::{Broker, Deadline, Session, Trace, verdict};
use ocf_wasm::contract::{self, Resource, Tracked, Verdict};
use ocf_wasm::instance::{Directory, Found, Record, State};
use ocf_wasm::ocf::request::LogTarget;
use ocf_wasm::policy::Policy;
use ocf_wasm::report::Log;
use ocf_wasm::runner::Facts;
use ocf_wasm::seam::{Call, Channel, Export, Slot, endpoint, program, unanswered};
use ocf_wasm::sys::user;

use crate::plain::assert_one_line;
use crate::text::{ACTIONS, assert_outcome};
use crate::workshop;
use model::Event;
use peer::{Behaviour, Peer};

/// Bytes of what one runner sends here: as much as a socket takes before anybody reads.
const WIRE_BYTES: usize = 64 * 1024;

/// The two ports of the loopback that this process holds: at the granted one nobody listens, at the other somebody does.
struct Ports {
    granted: u16,
    _holds: OwnedFd,
    listener: TcpListener,
}

static PORTS: LazyLock<Ports> = LazyLock::new(|| {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let holds = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).expect("a socket");
    bind(holds.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).expect("a port");
    let granted = getsockname::<SockaddrIn>(holds.as_raw_fd()).expect("a port").port();
    Ports { granted, _holds: holds, listener }
});

/// What is granted where nothing is recorded, and where the record is kept.
static POLICIES: LazyLock<[Policy; 2]> = LazyLock::new(|| [policy(false), policy(true)]);

/// What is granted: programs whose user nobody is, so that each is refused at the very last, and addresses that refuse.
fn policy(is_recorded: bool) -> Policy {
    let port = PORTS.granted;
    // Where nothing is recorded nothing can be started, so there even one that could be is not.
    let startable = if is_recorded { "nobody-at-all" } else { "root" };
    let room = workshop::room().display().to_string();
    let text = format!(
        r#"format = 1
[program.once]
program = "/usr/bin/true"
argv = ["-x", {{ slot = "name", name = {{}} }}, [{{ slot = "text", prefix = "--", text = {{ max = 9 }} }}]]
environment = {{ A = {{ slot = "number", integer = {{ min = 1, max = 9 }} }} }}
lifetime = "action"
user = "nobody-at-all"
input = true
[program.plain]
program = "/usr/bin/true"
lifetime = "action"
user = "nobody-at-all"
[program.daemon]
program = "/usr/bin/true"
lifetime = "instance"
user = "{startable}"
signals = ["HUP"]
[program.script]
program = {{ slot = "script", one-of = ["/usr/bin/true", "/nowhere"] }}
interpreter = ["/bin/sh"]
type = "forking"
lifetime = "instance"
user = "nobody-at-all"
[endpoint.here]
tcp = {{ host = "127.0.0.1", port = {port} }}
[endpoint.open]
tcp = {{ host = {{ slot = "host", ip = {{ within = ["127.0.0.1", "::1/128"] }} }}, port = {{ slot = "port", one-of = ["{port}"] }} }}
timeout = "50ms"
[endpoint.web]
http = "http://127.0.0.1:{port}/status"
method = ["GET", "POST"]
timeout = "50ms"
[path.room]
directory = "{room}"
access = "write"
[path.nowhere]
directory = "/nowhere/at/all"
access = "read"
[stop]
last-resort = ["plain"]
gone-when = {{ run = "plain", exit = [0] }}
"#
    );
    Policy::parse(&text, Path::new("/policy.toml")).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn run(data: &[u8]) {
    let [how, action, level, words @ ..] = data else { return };
    if user::is_alone() {
        // Here whoever is granted to anybody is granted to us, and a program would run.
        return;
    }
    let (is_recorded, is_probe) = (how & 1 == 1, how & 2 == 2);
    let action = ACTIONS[usize::from(*action) % ACTIONS.len()];
    let is_probe = is_probe && action == ocf_wasm::ocf::Action::Monitor;
    let behaviour = Behaviour::of(how >> 2);
    let wire = peer::wire(words, how & 128 == 128, WIRE_BYTES);

    workshop::make_room();
    let log_file = workshop::path().join("log");
    let log = Log::of("thing", Some("i"), LogTarget { facility: None, file: Some(log_file.clone()), debug: true });
    let place = workshop::path().join("i");
    std::fs::create_dir_all(&place).expect("a directory");
    let directory = Directory::at(place);
    let timeout = if behaviour == Behaviour::Deaf { Duration::from_millis(40) } else { Duration::from_mins(1) };
    let deadline = Deadline::new(Instant::now(), timeout, false);
    let mut broker = Broker::new(
        directory.clone(),
        Record::new("i", State::Started),
        POLICIES[usize::from(is_recorded)].clone(),
        "node".to_owned(),
        deadline,
        &log,
    );
    broker.is_recorded = is_recorded;
    broker.save().expect("a file");
    let session = Session::new(broker, &[], facts(deadline), None, Trace::off(Instant::now()));

    let (peer, channel) = Peer::start(&wire, behaviour);
    let mut runner = Runner { session, channel: Some(channel), paused: Duration::ZERO, events: Vec::new() };
    let outcome = contract::act(&mut runner, action, is_probe, *level);
    let Runner { session, channel, events, .. } = runner;
    drop(channel);
    let answers = peer.end();

    assert_outcome(&outcome, action, is_probe);
    let record = &session.broker.record;
    let is_done = behaviour == Behaviour::Listens;
    let may_leave_tracks = model::check(&wire, &answers, &events, is_recorded, is_done);
    assert!(record.daemons.is_empty(), "a daemon that nobody can have started");
    assert!(!record.untracked || may_leave_tracks, "tracks that nobody left");
    assert!(record.notebook.len() <= 64 && record.notebook.values().map(Vec::len).sum::<usize>() <= 256 * 1024);
    if is_recorded {
        assert!(matches!(directory.record(), Found::Record(found) if *found == *record), "not what is on disk");
    } else {
        assert!(!directory.path().join("record").exists(), "a record that nobody asked for");
    }
    let logged = std::fs::read_to_string(&log_file).unwrap_or_default();
    logged.lines().for_each(|line| assert_one_line(line, 2048 + 300));
    assert!(logged.lines().count() <= 1_000 + 50 && logged.len() <= 2 * 256 * 1024, "{} bytes of log", logged.len());
    drop(session);
    assert_nothing_was_done();
}

/// The copy of the broker that looks at what may hang is gone, at the latest a while after it was killed, no other process
/// is there, and nobody came to where nobody may go.
fn assert_nothing_was_done() {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Err(error) => break assert_eq!(error, nix::Error::ECHILD),
            Ok(WaitStatus::Signaled(_, Signal::SIGKILL, _)) => {}
            // The broker waits for it no longer than a busy machine may need.
            Ok(WaitStatus::StillAlive) if Instant::now() < until => std::thread::sleep(Duration::from_millis(1)),
            other => panic!("{other:?}"),
        }
    }
    let came = PORTS.listener.accept().map(|(_, from)| from);
    assert!(came.as_ref().is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock), "{came:?}");
}

fn facts(deadline: Deadline) -> Facts {
    Facts {
        instance: "i".to_owned(),
        node: "node".to_owned(),
        declared: None,
        parameters: ocf_wasm::ocf::Parameters::new(),
        clone: None,
        notice: None,
        migration: None,
        deadline: deadline.plugin,
        memory_bytes: 0,
    }
}

/// A session whose runner is only a connection.
struct Runner<'a> {
    session: Session<'a>,
    channel: Option<Channel>,
    /// How long nobody really waited.
    paused: Duration,
    events: Vec<Event>,
}

impl Resource for Runner<'_> {
    fn call(&mut self, export: Export) -> Verdict {
        let Some(mut channel) = self.channel.take() else {
            return verdict(Err(ocf_wasm::seam::Lost::Closed), None);
        };
        self.events.push(Event::Called(export));
        let verdict = verdict(self.session.serve(export, &mut channel), None);
        // As of a process: what said something else than "done" is not asked again.
        self.channel = Some(channel).filter(|_| matches!(verdict, Verdict::Done(_)));
        verdict
    }

    fn tracked(&mut self) -> Tracked {
        self.session.tracked()
    }

    fn unsettled(&mut self) -> Option<String> {
        self.session.unsettled()
    }

    fn is_recorded(&self) -> bool {
        self.session.is_recorded()
    }

    fn adopt(&mut self) {
        self.session.adopt();
        self.events.push(Event::Adopted);
    }

    fn mark(&mut self, state: State) -> Result<(), String> {
        let marked = self.session.mark(state);
        self.events.push(Event::Marked(state));
        marked
    }

    fn tear_down(&mut self) -> Result<(), String> {
        self.session.tear_down()
    }

    fn last_resort(&mut self) -> Option<Result<(), String>> {
        let resorted = self.session.last_resort();
        assert!(!matches!(resorted, Some(Ok(()))), "a program ran whose user nobody is");
        resorted
    }

    fn remaining(&self) -> Duration {
        self.session.remaining().saturating_sub(self.paused)
    }

    fn pause(&mut self, time: Duration) {
        self.paused += time;
    }

    fn error(&mut self, text: &str) {
        self.session.error(text);
    }
}

/// Each question of the table once.
pub(crate) fn one_of_each() -> Vec<Call> {
    let text = |text: &str| text.to_owned();
    let slots = || vec![Slot { name: "name".to_owned(), value: "a.b".to_owned() }];
    vec![
        Call::StateGet { key: text("flag") },
        Call::StateSet { key: text("flag"), value: b"on".to_vec() },
        Call::StateDelete { key: text("flag") },
        Call::StateKeys {},
        Call::ProgramAvailable { label: text("once"), slots: slots() },
        Call::ProgramRun { label: text("once"), slots: slots(), input: Some(b"x\n".to_vec()) },
        Call::ProgramStart { label: text("daemon"), slots: Vec::new() },
        Call::ProgramStatus { label: text("daemon") },
        Call::ProgramStop { label: text("daemon") },
        Call::ProgramSignal { label: text("daemon"), signal: program::SignalName::Hup },
        Call::PathStat { label: text("room"), name: String::new() },
        Call::PathMakeDirectory { label: text("room"), name: text("a/b"), mode: 0o750 },
        Call::PathWrite { label: text("room"), name: text("a/file"), content: b"words".to_vec(), mode: 0o640 },
        Call::PathRead { label: text("room"), name: text("a/file"), offset: 1, limit: 3 },
        Call::PathList { label: text("room"), name: text("a") },
        Call::PathRemove { label: text("room"), name: text("a/file") },
        Call::EndpointConnect { label: text("here"), slots: Vec::new() },
        Call::EndpointExchange {
            label: text("here"),
            slots: Vec::new(),
            send: b"hello\n".to_vec(),
            until: endpoint::Until::Bytes(b"\n".to_vec()),
        },
        Call::EndpointListening { label: text("here"), slots: Vec::new() },
        Call::WebSend {
            label: text("web"),
            slots: Vec::new(),
            request: endpoint::HttpRequest {
                method: text("GET"),
                target: text("?short"),
                headers: vec![(text("accept"), text("text/plain"))],
                body: Vec::new(),
            },
        },
        Call::WebReceive {},
        Call::WebEnd { response: unanswered(endpoint::Reach::Refused) },
    ]
}

/// For failures: what was asked and what was said.
fn told(call: &Call, answer: &dyn Debug) -> String {
    format!("{call:?} -> {answer:?}")
}
