//! What the broker and `ocf-wasm-tls` say to each other: each message has four bytes of length, little end first, and is
//! encoded with postcard, as on the seam. The binary says nothing before it was asked, and then all that it has to say,
//! up to [`FromTls::More`] or an end. Who began before an upgrade meets the binary that came with it, so that is told of which
//! version the words are, and says nothing if its own are of another.

use serde::{Deserialize, Serialize};

/// The version of these words, the binary's argument. Whoever changes one of them counts it up.
pub const VERSION: u32 = 1;

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

#[cfg(all(test, feature = "program"))]
mod tests {
    use super::*;

    /// All words, no two values alike, so that none can take another's place unseen.
    #[test]
    fn words_that_change_are_of_another_version() {
        let begin = ToTls::Begin { server: "a".to_owned(), authorities: vec![1, 2], request: vec![3] };
        let to = postcard::to_allocvec(&[begin, ToTls::Came(vec![4])]).unwrap();
        let said = [FromTls::Send(vec![5]), FromTls::Said(vec![6]), FromTls::More, FromTls::Ended];
        let from = postcard::to_allocvec(&(said, FromTls::Refused("b".to_owned()))).unwrap();
        let said = [to, from].map(|bytes| bytes.escape_ascii().to_string());
        let of_version_1 = [r"\x00\x01a\x02\x01\x02\x01\x03\x01\x01\x04", r"\x00\x01\x05\x01\x01\x06\x02\x03\x04\x01b"];
        assert_eq!((VERSION, said.each_ref().map(String::as_str)), (1, of_version_1), "count VERSION up");
    }
}
