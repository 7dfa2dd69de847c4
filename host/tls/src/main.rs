//! `ocf-wasm-tls`: one encrypted connection, without the connection. Run by the broker, not by hand.
//!
//! The broker holds the socket and moves bytes; here they become what a server said, after it has proved who it is. What a
//! server sends is read in this process, which has a user that owns nothing, no file, no right and standard input and
//! output. What must never enter here: a file, a socket, a name to look up, a way to go on without a proof.

mod connection;
mod why;

use std::io::{Read as _, Result, Write as _, stdin, stdout};

use connection::Connection;
use ocf_wasm_tls::{FromTls, ToTls, VERSION};

/// Bytes of the largest message: authorities, and a request.
const MESSAGE_BYTES: usize = 1024 * 1024;

fn main() {
    // Without a broker there is no purpose, nor with one whose words would be taken for others.
    if std::env::args().nth(1).and_then(|number| number.parse().ok()) == Some(VERSION) {
        let _ = serve();
    }
}

fn serve() -> Result<()> {
    let Some(ToTls::Begin { server, authorities, request }) = receive()? else { return Ok(()) };
    let mut connection = match Connection::new(&server, &authorities, &request) {
        Ok(connection) => connection,
        Err(why) => return send(&FromTls::Refused(why)),
    };
    loop {
        let outgoing = connection.outgoing();
        if !outgoing.is_empty() {
            send(&FromTls::Send(outgoing))?;
        }
        if connection.has_ended() {
            return send(&FromTls::Ended);
        }
        send(&FromTls::More)?;
        let Some(ToTls::Came(bytes)) = receive()? else { return Ok(()) };
        match connection.take(&bytes) {
            Ok(said) if said.is_empty() => {}
            Ok(said) => send(&FromTls::Said(said))?,
            Err(why) => {
                // Why it is over is told to the server too.
                send(&FromTls::Send(connection.outgoing()))?;
                return send(&FromTls::Refused(why));
            }
        }
    }
}

/// The next message; none if it is none.
fn receive() -> Result<Option<ToTls>> {
    let mut length = [0; 4];
    stdin().read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MESSAGE_BYTES {
        return Ok(None);
    }
    let mut body = vec![0; length];
    stdin().read_exact(&mut body)?;
    Ok(postcard::from_bytes(&body).ok())
}

fn send(message: &FromTls) -> Result<()> {
    // Only types of ours are encoded, into memory: there is no way to fail.
    let body = postcard::to_allocvec(message).unwrap_or_default();
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut out = stdout().lock();
    out.write_all(&[&length.to_le_bytes()[..], &body].concat())?;
    out.flush()
}
