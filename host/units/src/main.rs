//! `ocf-wasm-units`: asks systemd over the system bus what the agent asks on standard input, until that ends.
//!
//! A binary of its own, since the agent has one thread, no async runtime and no page to spare for those who have no unit.
//! The address of the bus is fixed, the verbs are those of [`Ask`]. The mode of every job is `replace`, but that a stop does
//! not wait for a cluster that waits for it. Whoever started it kills it when the time is over: it has no clock. It waits for
//! the bus, and sees only by a signal that nobody asks any more. What must never enter here: a decision.

mod keeper;

use std::collections::HashMap;
use std::future::poll_fn;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::pin::Pin;
use std::process::ExitCode;

use futures_core::Stream as _;
use ocf_wasm_units::{Ask, Keeper, OTHER_VERSION, Told, Unit, VERSION, WORD_BYTES};
use zbus::zvariant::OwnedVariant;
use zbus::{Connection, MatchRule, Message, MessageStream, OwnedObjectPath, connection};

/// Where the bus is, whatever the environment says.
const ADDRESS: &str = "unix:path=/run/dbus/system_bus_socket";
/// The service manager, its object, and what it can do.
const MANAGER: (&str, &str, &str) =
    ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager");
/// The services in whose hands the units are that the agent asks for, and before which they are ordered.
const CLUSTERS: [&str; 2] = ["pacemaker.service", "pacemaker_remote.service"];
/// What a job does to others that contradict it.
const MODE: &str = "replace";
/// Jobs that are remembered before they are asked for: a node that starts has many.
const QUEUE: usize = 4096;

fn main() -> ExitCode {
    if !ends_with_who_asks() {
        return ExitCode::FAILURE;
    }
    if std::env::args().nth(2).and_then(|number| number.parse().ok()) != Some(VERSION) {
        return ExitCode::from(OTHER_VERSION);
    }
    let asked = io::stdin().as_fd().try_clone_to_owned().map(std::fs::File::from);
    match asked.and_then(|mut socket| zbus::block_on(serve(&mut socket))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ocf-wasm-units: {error}   (run by ocf-wasm-agent, not by hand)");
            ExitCode::FAILURE
        }
    }
}

/// Has this end with whoever began it, whose number is the first argument. False if that is gone already.
fn ends_with_who_asks() -> bool {
    let by: Option<i32> = std::env::args().nth(1).and_then(|number| number.parse().ok());
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL).is_ok()
        && by == Some(nix::unistd::getppid().as_raw())
}

/// Answers until nobody asks any more.
async fn serve(socket: &mut std::fs::File) -> io::Result<()> {
    let mut bus = None;
    loop {
        let mut length = [0; 4];
        match socket.read_exact(&mut length) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        }
        let length = u32::from_le_bytes(length) as usize;
        if length > WORD_BYTES {
            return Err(io::Error::other("too long a word"));
        }
        let mut word = vec![0; length];
        socket.read_exact(&mut word)?;
        let ask: Ask = postcard::from_bytes(&word).map_err(io::Error::other)?;
        let told = match answer(&mut bus, &ask).await {
            Ok(told) => told,
            Err(error) => refused(&error),
        };
        let word = postcard::to_allocvec(&told).map_err(io::Error::other)?;
        let length = u32::try_from(word.len()).map_err(io::Error::other)?;
        socket.write_all(&[&length.to_le_bytes(), &word[..]].concat())?;
    }
}

/// What an error means: systemd's own word, or that nobody answers.
fn refused(error: &zbus::Error) -> Told {
    match error {
        zbus::Error::MethodError(name, text, _) => Told::Refused(name.to_string(), text.clone().unwrap_or_default()),
        other => Told::Silent(other.to_string()),
    }
}

async fn answer(bus: &mut Option<Connection>, ask: &Ask) -> zbus::Result<Told> {
    let bus = match bus {
        Some(bus) => bus,
        None => bus.insert(connection::Builder::address(ADDRESS).build().await?),
    };
    match ask {
        Ask::Look(name) => look(bus, name).await.map(|unit| Told::Unit(Box::new(unit))),
        Ask::Start(name) => job(bus, "StartUnit", &(name, MODE)).await.map(Told::Job),
        Ask::Stop(name) => stop(bus, name).await.map(Told::Job),
        Ask::ResetFailed(name) => manager(bus, "ResetFailedUnit", &(name,)).await.map(|_| Told::Done),
        Ask::Reload => manager(bus, "Reload", &()).await.map(|_| Told::Done),
        Ask::StartKeeper(keeper) => start_keeper(bus, keeper).await.map(Told::Job),
    }
}

/// Calls the manager.
async fn manager<B>(bus: &Connection, method: &str, body: &B) -> zbus::Result<Message>
where
    B: serde::Serialize + zbus::zvariant::DynamicType,
{
    let (service, object, interface) = MANAGER;
    bus.call_method(Some(service), object, Some(interface), method, body).await
}

/// Has a job done, and waits for its end.
async fn job<B>(bus: &Connection, verb: &str, body: &B) -> zbus::Result<String>
where
    B: serde::Serialize + zbus::zvariant::DynamicType,
{
    let ends = ends_of_jobs(bus).await?;
    let job = manager(bus, verb, body).await?.body().deserialize()?;
    end_of(&job, ends).await
}

/// Has a unit stopped, and waits until it is.
async fn stop(bus: &Connection, name: &str) -> zbus::Result<String> {
    let ends = ends_of_jobs(bus).await?;
    let job = manager(bus, "StopUnit", &(name, MODE)).await?.body().deserialize()?;
    if is_cluster_stopping(bus).await {
        // The cluster's own stop waits for this one, and systemd would have this one come after it. What else is to be
        // stopped with the unit has its jobs by now; the order of this job alone is lifted.
        manager(bus, "StopUnit", &(name, "ignore-dependencies")).await?;
    }
    end_of(&job, ends).await
}

/// What tells of the end of each job: listened to before a job is there, so that its end is not missed.
async fn ends_of_jobs(bus: &Connection) -> zbus::Result<MessageStream> {
    let (service, object, interface) = MANAGER;
    let rule = MatchRule::builder()
        .msg_type(zbus::message::Type::Signal)
        .sender(service)
        .path(object)
        .interface(interface)
        .member("JobRemoved")
        .build()?;
    let ends = MessageStream::for_match_rule(rule, bus, std::num::NonZeroUsize::new(QUEUE)).await?;
    manager(bus, "Subscribe", &()).await.map(drop).or_else(already)?;
    Ok(ends)
}

/// Waits for the end of a job, and says how it ended.
async fn end_of(job: &OwnedObjectPath, mut ends: MessageStream) -> zbus::Result<String> {
    while let Some(message) = poll_fn(|context| Pin::new(&mut ends).poll_next(context)).await {
        let message = message?;
        let body = message.body();
        let (_, ended, _, result): (u32, OwnedObjectPath, String, String) = body.deserialize()?;
        if ended == *job {
            return Ok(result);
        }
    }
    Err(zbus::Error::Failure("the bus closed before the job ended".to_owned()))
}

/// Whether systemd is to stop the cluster, or does it. Whoever cannot be asked is not being stopped.
async fn is_cluster_stopping(bus: &Connection) -> bool {
    for name in CLUSTERS {
        let Ok(found) = manager(bus, "GetUnit", &(name,)).await else { continue };
        let Ok(object) = found.body().deserialize::<OwnedObjectPath>() else { continue };
        let Ok(known) = properties(bus, &object, "Unit").await else { continue };
        if take::<(u32, OwnedObjectPath)>(&known, "Job").is_some_and(|(job, _)| job != 0) {
            return true;
        }
    }
    false
}

/// Has a unit made that keeps a daemon. What its keeper gets are the descriptors that this process has for it.
async fn start_keeper(bus: &Connection, keeper: &Keeper) -> zbus::Result<String> {
    let (program, channel) = (io::stderr(), io::stdout());
    let properties = keeper::properties(keeper, program.as_fd(), channel.as_fd());
    let others: [(&str, Vec<keeper::Property<'_>>); 0] = [];
    job(bus, "StartTransientUnit", &(&keeper.unit, MODE, properties, &others[..])).await
}

/// Who has subscribed is subscribed.
fn already(error: zbus::Error) -> zbus::Result<()> {
    match error {
        zbus::Error::MethodError(name, _, _) if name.as_str() == "org.freedesktop.systemd1.AlreadySubscribed" => Ok(()),
        other => Err(other),
    }
}

type Properties = HashMap<String, OwnedVariant>;

async fn look(bus: &Connection, name: &str) -> zbus::Result<Unit> {
    let object: OwnedObjectPath = manager(bus, "LoadUnit", &(name,)).await?.body().deserialize()?;
    let mut known = properties(bus, &object, "Unit").await?;
    if name.ends_with(".service") {
        known.extend(properties(bus, &object, "Service").await?);
    }
    let is_to_start = is_to_start(bus, &known).await;
    let text = |name: &str| take::<String>(&known, name).unwrap_or_default();
    let is = |name: &str| take::<bool>(&known, name).unwrap_or_default();
    let number = |name: &str| take::<u32>(&known, name).unwrap_or_default();
    let signed = |name: &str| take::<i32>(&known, name).unwrap_or_default();
    let invocation: Vec<u8> = take(&known, "InvocationID").unwrap_or_default();
    Ok(Unit {
        id: text("Id"),
        load_state: text("LoadState"),
        active_state: text("ActiveState"),
        sub_state: text("SubState"),
        invocation: invocation.iter().map(|byte| format!("{byte:02x}")).collect(),
        is_to_start,
        conditions_held: is("ConditionResult") && is("AssertResult"),
        needs_reload: is("NeedDaemonReload"),
        result: text("Result"),
        main: number("MainPID"),
        ended_code: signed("ExecMainCode"),
        ended_status: signed("ExecMainStatus"),
        file_state: text("UnitFileState"),
        restart: text("Restart"),
        user: text("User"),
        no_new_privileges: is("NoNewPrivileges"),
        protect_system: text("ProtectSystem"),
        private_tmp: is("PrivateTmp"),
        // What cannot be read is no bound.
        capabilities: take::<u64>(&known, "CapabilityBoundingSet").unwrap_or(u64::MAX),
        group: text("ControlGroup"),
    })
}

/// Whether a job to start a unit waits. One that is over by the time it is asked for has done what it was for.
async fn is_to_start(bus: &Connection, known: &Properties) -> bool {
    let Some((1.., job)) = take::<(u32, OwnedObjectPath)>(known, "Job") else { return false };
    let kind = properties(bus, &job, "Job").await.ok().and_then(|known| take::<String>(&known, "JobType"));
    kind.is_none_or(|kind| matches!(kind.as_str(), "start" | "restart"))
}

async fn properties(bus: &Connection, object: &OwnedObjectPath, of: &str) -> zbus::Result<Properties> {
    let interface = format!("{}.{of}", MANAGER.0);
    let properties = "org.freedesktop.DBus.Properties";
    let message = bus.call_method(Some(MANAGER.0), object, Some(properties), "GetAll", &(interface,)).await?;
    message.body().deserialize()
}

fn take<T>(known: &Properties, name: &str) -> Option<T>
where
    T: TryFrom<OwnedVariant>,
{
    known.get(name)?.try_clone().ok()?.try_into().ok()
}
