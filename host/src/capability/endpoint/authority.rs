//! The file of the authorities by whom a server's certificate must be issued: the operator's, and read as policies are.
//!
//! It is not understood here: `ocf-wasm-tls` does that. What must never enter here: what a server sent.

use std::io::{ErrorKind, Read as _};
use std::path::Path;

use crate::sys::trusted;

/// Bytes of the largest. That of a whole system has about 220 KiB.
const FILE_BYTES: u64 = 768 * 1024;
/// What stands around a certificate, each on a line of its own.
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Reads the certificates, as text. What stands around them, such as a key, stays where it is.
///
/// # Errors
/// Why it cannot be used, beginning with the file's name.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, String> {
    let opened = trusted::open(file).map_err(|error| match error.kind() {
        ErrorKind::NotFound => format!("{} is not there", file.display()),
        ErrorKind::PermissionDenied => match file.canonicalize() {
            Ok(real) if real != file => format!("{error}: write {} in its place", real.display()),
            _ => error.to_string(),
        },
        _ => format!("{}: {error}", file.display()),
    })?;
    let mut text = Vec::new();
    let read = opened.take(FILE_BYTES + 1).read_to_end(&mut text);
    read.map_err(|error| format!("{}: {error}", file.display()))?;
    if text.len() as u64 > FILE_BYTES {
        return Err(format!("{} is larger than {} KiB", file.display(), FILE_BYTES / 1024));
    }
    let certificates = certificates(&String::from_utf8_lossy(&text));
    if certificates.is_empty() {
        return Err(format!("{} has no certificate in it, such as begins with {BEGIN}", file.display()));
    }
    Ok(certificates.into_bytes())
}

/// The lines from the beginning of a certificate to its end, of all that have both.
fn certificates(text: &str) -> String {
    let (mut all, mut one) = (String::new(), None);
    for line in text.lines().map(str::trim_end) {
        if line == BEGIN {
            one = Some(String::new());
        }
        let Some(certificate) = &mut one else { continue };
        certificate.push_str(line);
        certificate.push('\n');
        if line == END {
            all.push_str(certificate);
            one = None;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_taken_and_nothing_else() {
        let one = format!("{BEGIN}\nMIIB\n{END}\n");
        let key = "-----BEGIN PRIVATE KEY-----\nMIIC\n-----END PRIVATE KEY-----\n";
        assert_eq!(
            certificates(&format!("# mine\n{key}{one}{key}# and\r\n{}{key}", one.replace('\n', "\r\n"))),
            one.repeat(2)
        );
        for text in
            ["", key, BEGIN, END, &format!("{BEGIN}\nMIIB\n"), &format!(" {one}").replace(END, ""), "root:x:0:0:"]
        {
            assert_eq!(certificates(text), "", "{text}");
        }
        // One that has no end takes none of what comes behind it along.
        assert_eq!(certificates(&format!("{BEGIN}\nMIIA\n{key}{one}")), one);
    }
}
