//! A plugin that does what no plugin should. Which misdeed, and in which export, its parameters say; in all others
//! it behaves, so that the host can be seen to deal with exactly one thing.
#![forbid(unsafe_code)]
mod endpoint;
mod path;

use std::hint::black_box;
use std::time::Duration;

use ocf_agent::program::Phase;
use ocf_agent::{
    Agent, Choice, Failure, FailureKind, Health, Migration, Notification, Outcome, Parameters, Reload, Role, agent,
    clock, instance, labels, log, state,
};

/// The key that stands while it pretends to run: its role.
const ROLE: &str = "role";

/// Does what no plugin should
///
/// For tests of the host only.
#[derive(Parameters)]
#[agent(
    name = "test/hostile",
    promote = "20s",
    demote = "20s",
    notify = "20s",
    migrate_to = "20s",
    migrate_from = "20s",
    reload = "20s",
    validate = "20s",
    check_level(10, timeout = "20s", interval = "1m")
)]
struct Hostile {
    /// The misdeed
    #[parameter(default = "nothing", reloadable)]
    r#do: Misdeed,
    /// The export in which it is done
    #[parameter(default = "none", reloadable)]
    r#in: Place,
    /// Whether a daemon is started and stopped too
    #[parameter(default = false)]
    daemon: bool,
    /// What only the operator and the plugin know
    #[parameter(reloadable)]
    password: Option<String>,
    /// The page to fetch
    #[parameter(default = "http://127.0.0.1/")]
    url: String,
    /// What it answers, where that is the misdeed
    answer: Option<Answer>,
    /// What a runner does that has been taken over; only a build for tests looks at it
    #[parameter(reloadable)]
    escape: Option<String>,
}

/// What can be done wrong.
#[derive(Choice, Clone, Copy, Debug, PartialEq, Eq)]
enum Misdeed {
    /// Behave.
    Nothing,
    /// Compute for ever.
    Loop,
    /// Execute `unreachable`.
    Trap,
    /// Panic, with a message of two lines.
    Panic,
    /// Say why as a language's runtime does, and trap.
    Confess,
    /// Call `exit`.
    Exit,
    /// Ask for memory until there is no more.
    Allocate,
    /// Call itself until its stack in memory ends.
    Recurse,
    /// Call itself until the engine's stack ends.
    Sink,
    /// Ask the host to wait, for ever, whatever it says.
    Sleep,
    /// Wait for ever by the standard library.
    Doze,
    /// Run a program that does not end.
    Stuck,
    /// Run that program to its end, and log what it says.
    Relay,
    /// Log more than anybody reads.
    Flood,
    /// Log what looks like an exit reason, with control characters.
    Forge,
    /// Fail with a reason of several lines that begins another one.
    Lines,
    /// Fail with a reason that is too long.
    Long,
    /// Fail without a reason.
    Silent,
    /// Use a label that nobody granted.
    Ungranted,
    /// Use a daemon's label as a command.
    Misuse,
    /// Change the notebook.
    Scribble,
    /// Write the password down, as text and in a reason.
    Tell,
    /// Reach for files outside of the directory, by every name that it can think of.
    Escape,
    /// Reach for a file whose way changes all the time.
    Race,
    /// Write a file.
    Write,
    /// Take that file away.
    Remove,
    /// Make directories below directories for as long as it is let.
    Nest,
    /// Read a huge file for as long as it is let.
    Devour,
    /// Fetch a page, and fail with what came.
    Fetch,
    /// Look who listens, and fail with that.
    Listen,
    /// Send what is no request, or more than one.
    Smuggle,
    /// Knock at a door again and again.
    Scan,
    /// Ask the host without end.
    Ask,
    /// Fail with how thorough it is to be.
    Level,
    /// Claim that it worked, and do nothing.
    Lie,
    /// Answer what it is told to.
    Answer,
}

/// All that an export can answer: kinds of failures, and from monitor what it says of the resource.
#[derive(Choice, Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// It did not work.
    Generic,
    /// A parameter is wrong on this node.
    Arguments,
    /// It cannot do that.
    Unimplemented,
    /// It may not.
    Permission,
    /// Something is missing.
    NotInstalled,
    /// A parameter is wrong everywhere.
    Configuration,
    /// It is stopped.
    NotRunning,
    /// It is promoted.
    Promoted,
    /// It is promoted and broken.
    FailedPromoted,
    /// It runs, not for long.
    Degraded,
    /// It is promoted, not for long.
    DegradedPromoted,
}

/// Where it is done.
#[derive(Choice, Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Nowhere.
    None,
    /// In validate.
    Validate,
    /// In start.
    Start,
    /// In stop.
    Stop,
    /// In a thorough monitor, which only the cluster asks for.
    Monitor,
    /// In every monitor, also those that the host asks for in other actions.
    EveryMonitor,
    /// In promote.
    Promote,
    /// In demote.
    Demote,
    /// In notify.
    Notify,
    /// In `migrate_to`.
    MigrateTo,
    /// In `migrate_from`.
    MigrateFrom,
    /// In reload.
    Reload,
}

labels! {
    /// something that lives
    Program DAEMON = "daemon";
    /// what does not end
    Program STUCK = "stuck";
    /// files that it may change
    Path FILES = "files";
    /// files that it may only look at
    Path SHOWN = "shown";
    /// a web server that it may ask
    Endpoint WEB = "web";
    /// what the operator never grants
    Program SECRET = "secret";
}
agent!(Hostile: role, notification, migration, reload);

impl Agent for Hostile {
    fn validate(&self) -> Outcome {
        self.misbehave(Place::Validate).map(drop)
    }
    fn start(&self) -> Outcome {
        if self.daemon {
            DAEMON.start()?;
        }
        if self.misbehave(Place::Start)? {
            return Ok(());
        }
        Ok(state::set_text(ROLE, "unpromoted")?)
    }
    fn stop(&self) -> Outcome {
        if self.misbehave(Place::Stop)? {
            return Ok(());
        }
        if self.daemon {
            DAEMON.stop()?;
        }
        Ok(state::delete(ROLE)?)
    }
    fn monitor(&self) -> Outcome<Health> {
        if instance::check_level() > 0 {
            if self.r#in == Place::Monitor && self.r#do == Misdeed::Answer {
                return self.answer();
            }
            self.misbehave(Place::Monitor)?;
        }
        self.misbehave(Place::EveryMonitor)?;
        if self.daemon && DAEMON.phase()? != Phase::Running {
            return Ok(Health::NotRunning);
        }
        Ok(match state::get_text(ROLE)?.as_deref() {
            None => Health::NotRunning,
            Some("promoted") => Health::Promoted,
            Some(_) => Health::Running,
        })
    }
}

impl Role for Hostile {
    fn promote(&self) -> Outcome {
        if self.misbehave(Place::Promote)? {
            return Ok(());
        }
        Ok(state::set_text(ROLE, "promoted")?)
    }
    fn demote(&self) -> Outcome {
        if self.misbehave(Place::Demote)? {
            return Ok(());
        }
        Ok(state::set_text(ROLE, "unpromoted")?)
    }
}

impl Notification for Hostile {
    fn notify(&self) -> Outcome {
        self.misbehave(Place::Notify).map(drop)
    }
}

impl Migration for Hostile {
    fn migrate_to(&self) -> Outcome {
        self.misbehave(Place::MigrateTo).map(drop)
    }
    fn migrate_from(&self) -> Outcome {
        if self.misbehave(Place::MigrateFrom)? {
            return Ok(());
        }
        Ok(state::set_text(ROLE, "unpromoted")?)
    }
}

impl Reload for Hostile {
    fn reload(&self) -> Outcome {
        self.misbehave(Place::Reload).map(drop)
    }
}

impl Hostile {
    /// What it is told to answer: a health, or a failure.
    fn answer(&self) -> Outcome<Health> {
        let failed = |kind| Err(Failure { kind, reason: "as it was told to".to_owned() });
        match self.answer {
            None | Some(Answer::Generic) => failed(FailureKind::Generic),
            Some(Answer::Arguments) => failed(FailureKind::Arguments),
            Some(Answer::Unimplemented) => failed(FailureKind::Unimplemented),
            Some(Answer::Permission) => failed(FailureKind::Permission),
            Some(Answer::NotInstalled) => failed(FailureKind::NotInstalled),
            Some(Answer::Configuration) => failed(FailureKind::Configuration),
            Some(Answer::NotRunning) => Ok(Health::NotRunning),
            Some(Answer::Promoted) => Ok(Health::Promoted),
            Some(Answer::FailedPromoted) => Ok(Health::FailedPromoted),
            Some(Answer::Degraded) => Ok(Health::Degraded),
            Some(Answer::DegradedPromoted) => Ok(Health::DegradedPromoted),
        }
    }

    /// Does the misdeed if this is its place. True if the caller is to leave its own work undone.
    fn misbehave(&self, place: Place) -> Outcome<bool> {
        if self.r#in != place {
            return Ok(false);
        }
        match self.r#do {
            Misdeed::Nothing => {}
            Misdeed::Loop => spin(),
            Misdeed::Trap => std::process::abort(),
            Misdeed::Panic => panic!("the table is gone\nand so is the chair"),
            Misdeed::Confess => {
                ocf_agent::bindings::agent::ocf::agent::log::panic("out of tea\x07 (lib.rs:7:1)");
                std::process::abort();
            }
            Misdeed::Exit => std::process::exit(0),
            Misdeed::Allocate => allocate(),
            Misdeed::Recurse => drop(black_box(recurse(0))),
            Misdeed::Sink => drop(black_box(sink(black_box(1)))),
            Misdeed::Sleep => loop {
                drop(clock::sleep(Duration::from_mins(1)));
            },
            Misdeed::Doze => std::thread::sleep(Duration::from_hours(24)),
            Misdeed::Stuck => drop(STUCK.run()?),
            Misdeed::Relay => {
                let output = STUCK.run()?;
                log::info(format!(
                    "relayed {:?}, {} bytes, truncated: {}",
                    output.status,
                    output.stdout.len(),
                    output.truncated
                ));
                for line in
                    [&output.stdout, &output.stderr].iter().flat_map(|text| text.split(|byte| *byte == b'\n')).take(200)
                {
                    log::info(format!("relay: {}", String::from_utf8_lossy(&line[..line.len().min(200)])));
                }
            }
            Misdeed::Flood => {
                for line in 0..20_000 {
                    log::error(format!("line {line}: {}", "x".repeat(1000)));
                }
            }
            Misdeed::Forge => {
                log::error("one\nocf-exit-reason:forged in the log\n\x1b[2Jtwo\r\u{202e}eerht\0four");
                eprintln!("ocf-exit-reason:forged on standard error");
                println!("ocf-exit-reason:forged on standard output");
            }
            Misdeed::Lines => {
                return ocf_agent::fail("first\nocf-exit-reason:second\r\n\x1b[31mthird\0");
            }
            Misdeed::Long => return ocf_agent::fail(format!("cause first, {}", "then much more ".repeat(10_000))),
            Misdeed::Silent => return Err(Failure { kind: FailureKind::Generic, reason: String::new() }),
            Misdeed::Ungranted => drop(SECRET.run()?),
            Misdeed::Misuse => drop(DAEMON.run()?),
            Misdeed::Scribble => state::set_text("scribble", "x")?,
            Misdeed::Tell => {
                let password = self.password.as_deref().unwrap_or_default();
                state::set_text("told", &format!("it is {password}!"))?;
                drop(STUCK.available_with(&[ocf_agent::slot("login", format!("me:{password}"))]));
                return ocf_agent::fail(format!("{password} is {:?}", state::get_text("told")?));
            }
            Misdeed::Escape => path::escape()?,
            Misdeed::Race => path::race()?,
            Misdeed::Write => FILES.write("note", b"was here", 0o600)?,
            Misdeed::Remove => drop(FILES.remove("note")?),
            Misdeed::Nest => path::nest()?,
            Misdeed::Devour => path::devour()?,
            Misdeed::Fetch => endpoint::fetch(&self.url)?,
            Misdeed::Listen => return ocf_agent::fail(format!("listening: {}", WEB.listening()?)),
            Misdeed::Smuggle => endpoint::smuggle()?,
            Misdeed::Scan => endpoint::scan()?,
            Misdeed::Ask => loop {
                drop(state::get("nothing"));
            },
            Misdeed::Level => return ocf_agent::fail(format!("level {}", instance::check_level())),
            Misdeed::Lie => return Ok(true),
            Misdeed::Answer => drop(self.answer()?),
        }
        Ok(false)
    }
}

fn spin() {
    let mut turns: u64 = 0;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

fn allocate() {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    loop {
        kept.push(vec![1; 1024 * 1024]);
        black_box(&kept);
    }
}

#[expect(unconditional_recursion, reason = "that is the misdeed")]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    recurse(depth + 1) + black_box(frame)[1]
}

#[expect(unconditional_recursion, reason = "that is the misdeed")]
fn sink(depth: u64) -> u64 {
    let deeper = sink(black_box(depth + 1));
    black_box(deeper) ^ depth
}
