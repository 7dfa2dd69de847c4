//! The machine beside the nodes, on the same switch: it takes no part, and hears what others hear.

use super::Cluster;
use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

impl Cluster {
    /// A command beside the nodes: their network, and nothing of theirs else.
    pub fn client(&self, argv: &[&str]) -> Command {
        self.inner.room.in_network(argv)
    }

    /// Connects as a client beside the nodes, and returns the first line that it is sent.
    ///
    /// # Errors
    ///
    /// If nobody answers within a second.
    pub fn greeting(&self, address: &str, port: u16) -> anyhow::Result<String> {
        self.greeting_within(address, port, Duration::from_secs(1))
    }

    /// The same, by a client who gives up after `patience`.
    ///
    /// # Errors
    ///
    /// If nobody answers in this time.
    pub fn greeting_within(&self, address: &str, port: u16, patience: Duration) -> anyhow::Result<String> {
        let network = self.inner.room.network()?;
        let address = format!("{address}:{port}").parse()?;
        // A thread of its own, since there is no way back.
        let heard = std::thread::spawn(move || {
            use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
            move_into_link_name_space(std::os::fd::AsFd::as_fd(&network), Some(LinkNameSpaceType::Network))?;
            let stream = TcpStream::connect_timeout(&address, patience)?;
            stream.set_read_timeout(Some(patience))?;
            let mut line = String::new();
            BufReader::new(stream).read_line(&mut line)?;
            anyhow::Ok(line.trim_end().to_owned())
        });
        heard.join().map_err(|_| anyhow::anyhow!("a panic"))?
    }
}
