//! What starts the first processes of rooms and boxes, and hears what they say.

use crate::executor::PATH;
use anyhow::{Context as _, bail};
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The first word of a process comes within this time, or it is given up.
const FIRST_WORD_WITHIN: Duration = Duration::from_secs(20);

/// A process that was started, says something, and can be spoken to.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) child: Child,
    pub(crate) stdin: ChildStdin,
    stdout: Option<ChildStdout>,
    /// What it complained about.
    pub(crate) said: Arc<Mutex<String>>,
}

impl Started {
    /// Starts it.
    pub(crate) fn spawn(mut command: Command) -> anyhow::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C is for the harness alone; what it holds ends in an orderly way.
        command.process_group(0);
        let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
        let stdin = child.stdin.take().context("stdin")?;
        let stdout = child.stdout.take();
        let mut stderr = child.stderr.take().context("stderr")?;
        let said = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&said);
        std::thread::spawn(move || {
            let mut piece = [0; 1024];
            while let Ok(length @ 1..) = stderr.read(&mut piece) {
                let text = String::from_utf8_lossy(&piece[..length]);
                heard.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
            }
        });
        Ok(Self { child, stdin, stdout, said })
    }

    /// Waits for the first line that it says.
    pub(crate) fn first_line(&mut self) -> anyhow::Result<String> {
        let stdout = self.stdout.take().context("its first word was heard already")?;
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            if BufReader::new(stdout).read_line(&mut line).is_ok_and(|length| length > 0) {
                drop(send.send(line));
            }
        });
        let why = match receive.recv_timeout(FIRST_WORD_WITHIN) {
            Ok(line) => return Ok(line),
            Err(RecvTimeoutError::Timeout) => format!("no word within {FIRST_WORD_WITHIN:?}"),
            Err(RecvTimeoutError::Disconnected) => "it ended".to_owned(),
        };
        drop(self.child.kill());
        drop(self.child.wait());
        bail!("{why}: {}", self.said().trim())
    }

    /// What it complained about so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A command with nothing of our environment: what starts Pacemaker hands its own to every agent.
pub(crate) fn bare(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", PATH).env("LANG", "C");
    command
}
