//! Greets on TCP: the daemon of the example plugin sample-tcp-server.
//!
//! Two processes: the main one listens, and its child only sleeps, so that tests see whether a whole process tree is
//! tracked. The child outlives a main process that is killed.
#![forbid(unsafe_code)]
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, ExitCode, Stdio, exit};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use nix::unistd::setsid;

const HELP: &str = "\
Greets everybody who connects: GREETING This is NODE!

usage: greeter --port PORT [--node NAME] [--page] [test switches]

  --port PORT    TCP port, on all addresses
  --node NAME    the name in the greeting; the hostname if not given
  --page         greet as a web server does, in answer to each request

The greeting comes from the environment variable GREET, else it is Hello!
A child that only sleeps is part of the daemon. TERM or INT ends both.

Test switches:
  --ignore-term     take no notice of TERM and INT
  --double-fork     run in the background: a new session, and nobody's child
  --die-after MS    end by itself after so many milliseconds, with the child
  --status N        the exit status of --die-after, 0-255
";

/// How long a client may take to accept its line.
const CLIENT_PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of the longest request for a page, about.
const REQUEST_BYTES: usize = 8 * 1024;

/// What this process is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Listen, and keep the child.
    Main,
    /// Sleep.
    Child,
    /// Leave the session, start the main process, and end.
    Between,
    /// Print the help.
    Help,
}

#[derive(Debug, PartialEq, Eq)]
struct Options {
    part: Part,
    port: u16,
    node: Option<String>,
    page: bool,
    ignores_term: bool,
    double_forks: bool,
    die_after: Option<Duration>,
    status: u8,
}

impl Options {
    fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut all = Self {
            part: Part::Main,
            port: 0,
            node: None,
            page: false,
            ignores_term: false,
            double_forks: false,
            die_after: None,
            status: 0,
        };
        let mut arguments = arguments.into_iter();
        while let Some(word) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--port" => all.port = number(&word, &value()?)?,
                "--node" => all.node = Some(value()?),
                "--page" => all.page = true,
                "--ignore-term" => all.ignores_term = true,
                "--double-fork" => all.double_forks = true,
                "--die-after" => all.die_after = Some(Duration::from_millis(number(&word, &value()?)?)),
                "--status" => all.status = number(&word, &value()?)?,
                "--part-child" => all.part = Part::Child,
                "--part-between" => all.part = Part::Between,
                "--help" => all.part = Part::Help,
                _ => return Err(format!("{word}: no such argument, see --help")),
            }
        }
        if all.port == 0 && matches!(all.part, Part::Main | Part::Between) {
            return Err("--port is missing, see --help".into());
        }
        Ok(all)
    }
}

fn number<T: std::str::FromStr>(word: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{word}: {text:?} does not fit"))
}

fn main() -> ExitCode {
    let result = Options::parse(std::env::args().skip(1)).and_then(|options| match options.part {
        Part::Help => {
            print!("{HELP}");
            Ok(())
        }
        Part::Child => sleep_forever(),
        Part::Between => setsid().map_err(|e| format!("new session: {e}")).and_then(|_| background(None)),
        Part::Main if options.double_forks => background(Some("--part-between")),
        Part::Main => serve(options),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("greeter: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// Starts the next process on the way to the background: the one between, and waits for it; or the main one.
fn background(part: Option<&str>) -> Result<(), String> {
    let ours = |word: &String| word != "--double-fork" && word != "--part-between";
    let mut child = again(std::env::args().skip(1).filter(ours).chain(part.map(str::to_owned)))?;
    if part.is_some() {
        let status = child.wait().map_err(|e| format!("wait: {e}"))?;
        if !status.success() {
            return Err("could not go to the background".into());
        }
    }
    Ok(())
}

/// Runs this program once more.
fn again(arguments: impl Iterator<Item = String>) -> Result<Child, String> {
    let program = std::env::current_exe().map_err(|e| format!("own path: {e}"))?;
    Command::new(program).args(arguments).stdin(Stdio::null()).spawn().map_err(|e| format!("own program: {e}"))
}

/// The child: TERM ends it, whatever its parent had blocked.
fn sleep_forever() -> Result<(), String> {
    SigSet::all().thread_unblock().map_err(|e| format!("signals: {e}"))?;
    loop {
        thread::sleep(Duration::from_hours(1));
    }
}

/// What the main process waits for.
enum Event {
    Signal(Signal),
    TimeToDie,
}

fn serve(options: Options) -> Result<(), String> {
    // Before any thread, so that all of them have it: signals come to `wait` only.
    let mut signals = SigSet::empty();
    signals.extend([Signal::SIGTERM, Signal::SIGINT, Signal::SIGCHLD]);
    signals.thread_block().map_err(|e| format!("signals: {e}"))?;

    let port = options.port;
    let listener = TcpListener::bind(("0.0.0.0", port)).map_err(|e| format!("port {port}: {e}"))?;
    let line: Arc<str> = greeting(options.node)?.into();
    let greet = if options.page { greet_with_page } else { greet };
    let mut child = again(["--part-child".to_owned()].into_iter())?;
    thread::spawn(move || greet_all(&listener, &line, greet));
    println!("greeter: listening on port {port}");

    let (events, arriving) = mpsc::channel();
    if let Some(life) = options.die_after {
        let events = events.clone();
        thread::spawn(move || {
            thread::sleep(life);
            events.send(Event::TimeToDie)
        });
    }
    thread::spawn(move || {
        while let Ok(signal) = signals.wait() {
            if events.send(Event::Signal(signal)).is_err() {
                return;
            }
        }
    });
    for event in arriving {
        match event {
            // The child ended before us: take note of it, so that no zombie stays.
            Event::Signal(Signal::SIGCHLD) => drop(child.try_wait()),
            Event::Signal(_) if options.ignores_term => (),
            Event::Signal(_) => {
                end(&mut child);
                return Ok(());
            }
            Event::TimeToDie => {
                end(&mut child);
                exit(options.status.into());
            }
        }
    }
    Ok(())
}

/// Ends the child and waits for its end. That it ended before is fine.
fn end(child: &mut Child) {
    drop(child.kill());
    drop(child.wait());
}

fn greeting(node: Option<String>) -> Result<String, String> {
    let words = std::env::var("GREET").unwrap_or_else(|_| "Hello!".into());
    let node = match node {
        Some(node) => node,
        None => std::fs::read_to_string("/proc/sys/kernel/hostname").map_err(|e| format!("hostname: {e}"))?,
    };
    Ok(format!("{words} This is {}!\n", node.trim()))
}

/// Greets each client in a thread of its own: a slow one keeps nobody waiting.
fn greet_all(listener: &TcpListener, line: &Arc<str>, greet: fn(TcpStream, &str) -> io::Result<()>) {
    for client in listener.incoming() {
        let Ok(client) = client else {
            // Out of descriptors, perhaps: they come back when clients leave.
            thread::sleep(Duration::from_millis(10));
            continue;
        };
        let line = Arc::clone(line);
        let greeted = thread::Builder::new().spawn(move || greet(client, &line));
        if let Err(e) = greeted {
            eprintln!("greeter: no thread for a client: {e}");
        }
    }
}

fn greet(mut client: TcpStream, line: &str) -> io::Result<()> {
    client.set_write_timeout(Some(CLIENT_PATIENCE))?;
    client.write_all(line.as_bytes())?;
    client.shutdown(Shutdown::Both)
}

/// Answers one request, whatever it asks for: waits for the blank line at its end, then greets and hangs up.
fn greet_with_page(mut client: TcpStream, line: &str) -> io::Result<()> {
    client.set_read_timeout(Some(CLIENT_PATIENCE))?;
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        let mut piece = [0; 1024];
        let count = client.read(&mut piece)?;
        if count == 0 || asked.len() > REQUEST_BYTES {
            return Ok(());
        }
        asked.extend_from_slice(&piece[..count]);
    }
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length:";
    greet(client, &format!("{head} {}\r\n\r\n{line}", line.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn takes_its_arguments() {
        let options = parse("--port 5678 --node alpha --die-after 20 --status 3").unwrap();
        assert_eq!((options.port, options.node.as_deref(), options.status), (5678, Some("alpha"), 3));
        assert_eq!(options.die_after, Some(Duration::from_millis(20)));
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        assert_eq!(parse("--port"), Err("--port needs a value".into()));
        assert_eq!(parse("--port 70000"), Err("--port: \"70000\" does not fit".into()));
        assert_eq!(parse("--daemon"), Err("--daemon: no such argument, see --help".into()));
        assert_eq!(parse(""), Err("--port is missing, see --help".into()));
    }

    #[test]
    fn serves_a_page() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || greet_all(&listener, &"Hello! This is alpha!\n".into(), greet_with_page));
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: ").unwrap();
        client.write_all(b"alpha\r\n\r\n").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("Content-Length: 22\r\n\r\nHello! This is alpha!\n"), "{answer}");
    }

    #[test]
    fn greets_with_its_node() {
        assert!(greeting(Some("alpha\n".into())).unwrap().ends_with(" This is alpha!\n"));
    }
}
