//! What the broker and `ocf-wasm-tls` say to each other: each message has four bytes of length, little end first, and is
//! encoded with postcard, as on the seam. The binary says nothing before it was asked, and then all that it has to say,
//! up to [`FromTls::More`] or an end.

use serde::{Deserialize, Serialize};

/// What the broker says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToTls {
    /// Somebody has taken the connection: who is it?
    Begin {
        /// Whom a certificate must be for: a name or an address.
        server: String,
        /// The certificates of the authorities that count, in PEM.
        authorities: Vec<u8>,
        /// What is to be said, to nobody else.
        request: Vec<u8>,
    },
    /// This came over the connection.
    Came(Vec<u8>),
}

/// What the binary says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromTls {
    /// This is to be sent.
    Send(Vec<u8>),
    /// The server said this.
    Said(Vec<u8>),
    /// What comes next is to be received.
    More,
    /// The server said that this was all.
    Ended,
    /// This is nobody to talk to: a sentence.
    Refused(String),
}
