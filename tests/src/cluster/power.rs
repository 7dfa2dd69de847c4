//! Who switches nodes off and on when a fence agent asks for it: a thread that listens on a socket that each node sees.
//!
//! The socket is a file, and so reaches across every network: fencing works while nothing else does.
//! One line asks, `VERB NODE FROM`; one line answers, `ok WORDS` or `error WORDS`.

use super::Inner;
use anyhow::{Context as _, bail};
use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// How often the thread looks whether there is a cluster still.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long a node that was fenced is away at least. One that is back in the same second, as no machine is, gets its
/// resources again before the others have decided who takes them.
const BOOT_TAKES: Duration = Duration::from_secs(4);
/// Who asks says so at once.
const ASKED_WITHIN: Duration = Duration::from_secs(5);

/// A node that was switched off or on by the cluster's own decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fencing {
    /// `off`, `on` or `reboot`.
    pub action: String,
    /// The node that it was done to.
    pub node: String,
    /// The node that did it.
    pub by: String,
    /// When.
    pub at: Instant,
}

/// Listens as long as there is a cluster.
pub(super) fn listen(socket: &Path, cluster: Weak<Inner>) -> anyhow::Result<()> {
    let listener = UnixListener::bind(socket).with_context(|| socket.display().to_string())?;
    listener.set_nonblocking(true)?;
    std::thread::Builder::new().name("power".into()).spawn(move || {
        while let Some(cluster) = cluster.upgrade() {
            match listener.accept() {
                Ok((stream, _)) => drop(std::thread::spawn(move || serve(stream, &cluster))),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    drop(cluster);
                    std::thread::sleep(LOOK_EVERY);
                }
                Err(_) => return,
            }
        }
    })?;
    Ok(())
}

fn serve(stream: UnixStream, cluster: &Arc<Inner>) {
    let mut line = String::new();
    let heard = stream
        .set_nonblocking(false)
        .and_then(|()| stream.set_read_timeout(Some(ASKED_WITHIN)))
        .and_then(|()| BufReader::new(&stream).read_line(&mut line));
    if heard.is_err() {
        return;
    }
    let answer = match obey(line.trim(), cluster) {
        Ok(words) => format!("ok {words}\n"),
        Err(error) => format!("error {error:#}\n"),
    };
    // Who asked may be gone, and cannot be helped then.
    let _ = (&stream).write_all(answer.as_bytes());
}

/// Does what a line asks for. Who says who asks is a node that fences, and is noted.
pub(super) fn obey(line: &str, cluster: &Arc<Inner>) -> anyhow::Result<String> {
    let mut words = line.split(' ');
    let (verb, name, by) = (words.next().unwrap_or_default(), words.next().unwrap_or_default(), words.next());
    let node = || cluster.nodes.iter().find(|node| node.name() == name).with_context(|| format!("no node {name:?}"));
    let note = |verb: &str| {
        if let Some(by) = by {
            let (action, node, by) = (verb.to_owned(), name.to_owned(), by.to_owned());
            cluster.note(Fencing { action, node, by, at: Instant::now() });
        }
    };
    match verb {
        "off" | "power-off" => {
            note("off");
            node()?.power_off()?;
        }
        "on" | "power-on" => {
            note("on");
            node()?.power_on()?;
        }
        "reboot" | "power-cycle" => {
            note("reboot");
            node()?.power_off()?;
            if by.is_none() || cluster.is_power_given_back() {
                // Who fences waits for the end of the old life only.
                let (number, cluster) = (node()?.number(), Arc::downgrade(cluster));
                // A person who asks wants to see it at once.
                let pause = if by.is_none() { Duration::ZERO } else { BOOT_TAKES };
                std::thread::spawn(move || {
                    std::thread::sleep(pause);
                    if let Some(cluster) = cluster.upgrade()
                        && let Err(error) = cluster.nodes[number - 1].power_on()
                    {
                        eprintln!("after a reboot: {error:#}");
                    }
                });
            }
        }
        "freeze" => node()?.freeze()?,
        "thaw" => node()?.thaw()?,
        "cut" => node()?.cut()?,
        "mend" => node()?.mend()?,
        "isolate" => node()?.isolate()?,
        "rejoin" => node()?.rejoin()?,
        "load" => node()?.load(2)?,
        "unload" => node()?.load(0)?,
        "pid" => return Ok(node()?.pid().with_context(|| format!("{name} has no power"))?.to_string()),
        "list" => {
            let each = cluster.nodes.iter().map(|node| {
                let state = if node.pid().is_some() { "on" } else { "off" };
                format!("{}={state}", node.name())
            });
            return Ok(each.collect::<Vec<_>>().join(" "));
        }
        "down" => cluster.wish_down(),
        _ => bail!("no verb {verb:?}"),
    }
    Ok(String::new())
}
