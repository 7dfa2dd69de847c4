//! One request to a web server: written here, where the policy is, and answered in bytes that the runner understands.
//!
//! A request that is to be encrypted is given to a process of its own, which says what is to be sent and what was said; see
//! [`tls`](super::tls).

use super::line::Line;
use super::tls::{Helper, Tls, Word};
use super::{EXCHANGE_BYTES, Permit, Target, authority};
use crate::policy::{Http, Scheme};
use crate::seam::endpoint::{HttpRequest, Reach};
use crate::seam::{Answer, Error, Piece};

/// Headers that a request may have, and bytes of a value.
const HEADERS: usize = 32;
const VALUE_BYTES: usize = 1024;
/// Bytes that are received at once.
const PIECE_BYTES: usize = 16 * 1024;
/// Bytes that one answer may have on its way: a head of 16 KiB, a body of 64 KiB, and as much again for its packing.
const ANSWER_BYTES: usize = 160 * 1024;
/// Bytes that go each way over an encrypted connection: an answer, or a request with its headers and its body, and what
/// TLS has around it, certificates above all.
const CARRIED_BYTES: usize = 256 * 1024;

/// A request that was sent and is being answered.
#[derive(Debug)]
pub struct Exchange {
    line: Line,
    permit: Permit,
    /// Who understands what comes, where it is encrypted.
    tls: Option<Tls>,
    sent: usize,
    received: usize,
}

/// Whether a method asks for nothing to be changed.
pub fn only_looks(method: &str) -> bool {
    matches!(method, "GET" | "HEAD")
}

impl Permit {
    /// Checks a request, connects and sends it; one that is to be encrypted as soon as it is seen who is there. `helper` is
    /// asked for if that is so.
    ///
    /// # Errors
    /// `denied` if the label is no web address, or the method or a header is not granted; `invalid` for what cannot be
    /// sent; `unavailable` if the file of authorities or the helper cannot be used; `timed-out` at the deadline of the action.
    pub fn send(
        self,
        request: &HttpRequest,
        helper: impl FnOnce() -> Result<Helper, String>,
    ) -> Answer<Result<Exchange, Reach>> {
        let bytes = self.written(request)?;
        let unavailable = |why| Error::Unavailable(format!("endpoint {}: TLS: {why}", self.label));
        // Nobody is connected to who could not be understood.
        let understood = match self.authorities()? {
            Some(by) => Some((helper().map_err(unavailable)?, by)),
            None => None,
        };
        let mut line = match self.open()? {
            Ok(line) => line,
            Err(reach) => return self.in_time(reach).map(Err),
        };
        if let Some((helper, (server, authorities))) = understood {
            let tls = Tls::begin(helper, server, authorities, bytes, self.until).map_err(unavailable)?;
            return Ok(Ok(Exchange { line, permit: self, tls: Some(tls), sent: 0, received: 0 }));
        }
        match line.send(&bytes) {
            // Who answers before the whole request was sent, and closes, has answered all the same.
            Ok(()) | Err(Reach::Silent) => Ok(Ok(Exchange { line, permit: self, tls: None, sent: 0, received: 0 })),
            Err(reach) => self.in_time(reach).map(Err),
        }
    }

    /// Whom a certificate must be for and who may have issued it; none for what is asked in the clear.
    fn authorities(&self) -> Answer<Option<(String, Vec<u8>)>> {
        let Target::Web(web) = &self.target else { return Ok(None) };
        let (url, _, granted) = &**web;
        if url.scheme == Scheme::Http {
            return Ok(None);
        }
        // A policy that grants https has it.
        let Some(ca) = &granted.ca else {
            return Err(Error::Denied(format!("endpoint {}: granted without `ca`", self.label)));
        };
        match authority::read(ca) {
            Ok(certificates) => Ok(Some((url.server(), certificates))),
            Err(why) => Err(Error::Unavailable(format!("endpoint {}: ca {why}", self.label))),
        }
    }

    /// Writes a request as it is sent.
    fn written(&self, request: &HttpRequest) -> Answer<Vec<u8>> {
        let invalid = |what: &str| Error::Invalid(format!("endpoint {}: {what}", self.label));
        let Target::Web(web) = &self.target else {
            return Err(Error::Denied(format!("endpoint {}: granted, but not as http", self.label)));
        };
        let (url, _, granted) = &**web;
        if !granted.methods.contains(&request.method) {
            let known = request.method.len() <= 16 && request.method.bytes().all(|b| b.is_ascii_uppercase());
            let method = if known { &request.method } else { "this" };
            return Err(Error::Denied(format!("endpoint {}: granted without {method} in `method`", self.label)));
        }
        if request.body.len() > EXCHANGE_BYTES || only_looks(&request.method) && !request.body.is_empty() {
            return Err(invalid("a body has at most 64 KiB, and none goes with GET and HEAD"));
        }
        if request.headers.len() > HEADERS {
            return Err(invalid("at most 32 headers"));
        }
        let target = url.below(&request.target).map_err(|why| invalid(&format!("the target {why}")))?;
        let mut text =
            format!("{} {target} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", request.method, url.authority());
        for (name, value) in &request.headers {
            text.push_str(&self.header(granted, name, value)?);
        }
        if !only_looks(&request.method) {
            text.push_str(&format!("content-length: {}\r\n", request.body.len()));
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&request.body);
        Ok(bytes)
    }

    /// One line of a request.
    fn header(&self, granted: &Http, name: &str, value: &str) -> Answer<String> {
        let name = name.to_ascii_lowercase();
        if !granted.headers.contains(&name) {
            let known = name.len() <= 64 && name.bytes().all(|b| b.is_ascii_graphic());
            let name = if known { &name } else { "this" };
            return Err(Error::Denied(format!("endpoint {}: granted without {name} in `headers`", self.label)));
        }
        if value.len() > VALUE_BYTES || !value.bytes().all(|b| matches!(b, b' '..=b'~')) {
            return Err(Error::Invalid(format!(
                "endpoint {}: the value of {name} is at most 1,024 bytes of printable ASCII",
                self.label
            )));
        }
        Ok(format!("{name}: {}\r\n", value.trim()))
    }
}

impl Exchange {
    /// Receives what comes next.
    ///
    /// # Errors
    /// `timed-out` at the deadline of the action; `other`, with a sentence, if who is there is not who was meant.
    pub fn receive(&mut self) -> Answer<Piece> {
        let Some(mut tls) = self.tls.take() else { return self.receive_from_line(ANSWER_BYTES) };
        loop {
            match tls.next(self.permit.until) {
                Word::Send(bytes) => {
                    self.sent = self.sent.saturating_add(bytes.len());
                    if self.sent > CARRIED_BYTES {
                        return self.nobody("it makes TLS send without end");
                    }
                    // What came before it was closed is to be read.
                    if let Err(reach @ (Reach::Refused | Reach::Unreachable)) = self.line.send(&bytes) {
                        return Ok(Piece { bytes: Vec::new(), end: Some(self.permit.in_time(reach)?) });
                    }
                }
                Word::Said(bytes) => {
                    self.tls = Some(tls);
                    return Ok(Piece { bytes, end: None });
                }
                Word::More => {
                    let piece = self.receive_from_line(CARRIED_BYTES)?;
                    if let Some(end) = piece.end {
                        // Only the server itself can say that this was all; anybody on the way can cut the connection.
                        let end = if end == Reach::Open { Reach::Silent } else { end };
                        return Ok(Piece { bytes: Vec::new(), end: Some(end) });
                    }
                    tls.give(piece.bytes, self.permit.until);
                }
                Word::Ended => return Ok(Piece { bytes: Vec::new(), end: Some(Reach::Open) }),
                Word::Refused(why) => return self.nobody(&why),
                Word::Late => return Ok(Piece { bytes: Vec::new(), end: Some(self.permit.in_time(Reach::Silent)?) }),
            }
        }
    }

    fn nobody(&self, why: &str) -> Answer<Piece> {
        Err(Error::Other(format!("endpoint {}: {why}", self.permit.label)))
    }

    fn receive_from_line(&mut self, most: usize) -> Answer<Piece> {
        let mut bytes = vec![0; PIECE_BYTES.min(most.saturating_sub(self.received))];
        if bytes.is_empty() {
            return Ok(Piece { bytes, end: Some(Reach::Silent) });
        }
        match self.line.receive(&mut bytes) {
            Ok(Some(count)) => {
                self.received += count;
                bytes.truncate(count);
                Ok(Piece { bytes, end: None })
            }
            Ok(None) => Ok(Piece { bytes: Vec::new(), end: Some(Reach::Open) }),
            Err(reach) => Ok(Piece { bytes: Vec::new(), end: Some(self.permit.in_time(reach)?) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::{Duration, Instant};

    use super::super::permit;
    use super::*;
    use crate::ocf::Parameters;
    use crate::policy::Policy;
    use crate::policy::template::Values;

    fn ask(policy: &str, url: &str) -> Answer<Permit> {
        let policy = Policy::parse(&format!("format = 1\n[endpoint.e]\n{policy}"), Path::new("/p")).unwrap();
        let parameters = Parameters::from([("url".to_owned(), url.to_owned())]);
        let guest = crate::ocf::request::Guest::default();
        let values = Values { parameters: &parameters, slots: &[], node: "n", guest: &guest, instance: "i" };
        permit(&policy.endpoints, "e", &[], values, Instant::now() + Duration::from_secs(9))
    }

    fn request(method: &str, target: &str) -> HttpRequest {
        HttpRequest { method: method.into(), target: target.into(), headers: Vec::new(), body: Vec::new() }
    }

    fn written(policy: &str, request: &HttpRequest) -> Answer<String> {
        ask(policy, "").unwrap().written(request).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    const OPEN: &str = "http = { param = \"url\", url = { host = [\"127.0.0.1\", \"10.0.0.0/8\", \"www.example\"], port = [80, 8080], path = \"/health\" } }
names = { \"www.example\" = [\"10.1.2.3\", \"::1\"] }";

    #[test]
    fn only_granted_web_addresses_and_only_as_they_are_written() {
        for url in [
            "http://127.0.0.1/health",
            "http://10.200.0.1:8080/health/deep?x=1",
            "http://www.example/health",
            "http://[::ffff:10.0.0.1]/health",
        ] {
            assert!(ask(OPEN, url).is_ok(), "{url}: {:?}", ask(OPEN, url));
        }
        for (url, why) in [
            ("http://127.0.0.2/health", "a host that the policy does not list"),
            ("http://11.0.0.1/health", "a host that the policy does not list"),
            ("http://[::1]/health", "a host that the policy does not list"),
            ("http://169.254.169.254/health", "a host that the policy does not list"),
            ("http://example/health", "a host that the policy does not list"),
            ("http://www.example.evil/health", "a host that the policy does not list"),
            ("http://127.0.0.1:81/health", "port 81"),
            ("http://127.0.0.1/", "not below /health"),
            ("http://127.0.0.1/healthy", "not below /health"),
            ("http://127.0.0.1/health/../admin", "`.` or `..`"),
            ("http://user@127.0.0.1/health", "a user"),
            ("https://127.0.0.1/health", "is https, which the policy does not list"),
            ("http://0177.0.0.1/health", "no address or name"),
            ("", "does not begin with http://"),
        ] {
            let told = ask(OPEN, url).unwrap_err();
            assert!(matches!(&told, Error::Denied(text) if text.contains(why)), "{url}: {told:?}");
        }
        let Target::Web(web) = ask(OPEN, "http://www.example:8080/health").unwrap().target else { panic!() };
        assert_eq!(web.1.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.1.2.3:8080", "[::1]:8080"]);
    }

    const FIXED: &str = "http = \"http://127.0.0.1:8080/api\"\nmethod = [\"GET\", \"POST\"]\nheaders = [\"X-Token\"]";

    #[test]
    fn a_request_is_written_by_the_host() {
        assert_eq!(
            written(FIXED, &request("GET", "/v1?x")).unwrap(),
            "GET /api/v1?x HTTP/1.1\r\nhost: 127.0.0.1:8080\r\nconnection: close\r\n\r\n"
        );
        let post = HttpRequest {
            headers: vec![("X-Token".into(), " abc ".into())],
            body: b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            ..request("POST", "")
        };
        assert_eq!(
            written(FIXED, &post).unwrap(),
            "POST /api HTTP/1.1\r\nhost: 127.0.0.1:8080\r\nconnection: close\r\nx-token: abc\r\ncontent-length: 18\r\n\r\nGET / HTTP/1.1\r\n\r\n"
        );
    }

    #[test]
    fn nothing_else_can_be_written() {
        for (method, target) in [
            ("DELETE", ""),
            ("HEAD", ""),
            ("get", ""),
            ("GET ", ""),
            ("GET / HTTP/1.1\r\nx: y\r\n\r\nGET", ""),
            ("", ""),
        ] {
            assert!(matches!(written(FIXED, &request(method, target)), Err(Error::Denied(_))), "{method:?}");
        }
        for target in
            ["x", "/../x", "/a\r\nx: y", "/a b", "/%2e%2e", "//x", "http://evil/", "/a HTTP/1.1\r\n\r\n", "#x", "/é"]
        {
            assert!(matches!(written(FIXED, &request("GET", target)), Err(Error::Invalid(_))), "{target:?}");
        }
        let with =
            |name: &str, value: &str| HttpRequest { headers: vec![(name.into(), value.into())], ..request("GET", "") };
        for name in [
            "accept",
            "host",
            "Host",
            "content-length",
            "transfer-encoding",
            "cookie",
            "x-token ",
            "x-token:",
            "",
            "x\r\ny",
        ] {
            assert!(matches!(written(FIXED, &with(name, "x")), Err(Error::Denied(_))), "{name:?}");
        }
        for value in ["a\r\nb: c", "a\nb", "a\0", "\u{7f}", "é", "\t", &"x".repeat(1025)] {
            assert!(matches!(written(FIXED, &with("x-token", value)), Err(Error::Invalid(_))), "{value:?}");
        }
        let bodies = [("GET", 1), ("POST", 64 * 1024 + 1)];
        for (method, length) in bodies {
            let request = HttpRequest { body: vec![0; length], ..request(method, "") };
            assert!(matches!(written(FIXED, &request), Err(Error::Invalid(_))));
        }
        let many = HttpRequest { headers: vec![("x-token".into(), "x".into()); 33], ..request("GET", "") };
        assert!(matches!(written(FIXED, &many), Err(Error::Invalid(_))));
    }

    #[test]
    fn each_function_has_its_own_places() {
        let exchange = ask(FIXED, "").unwrap().exchange(b"x", &crate::seam::endpoint::Until::Closed);
        assert!(matches!(exchange, Err(Error::Denied(_))));
        let tcp = ask("tcp = { host = \"127.0.0.1\", port = 1 }", "").unwrap();
        assert!(matches!(tcp.send(&request("GET", ""), || Err(String::new())), Err(Error::Denied(_))));
    }
}
