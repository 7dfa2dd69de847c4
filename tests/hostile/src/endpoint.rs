//! Requests that say more than one request, and questions without end.
use ocf_agent::endpoint::HttpRequest;
use ocf_agent::{Cause, Outcome, fail};

use crate::WEB;

/// Fetches a page and fails with what came, so that it stands in the exit reason.
pub(crate) fn fetch(url: &str) -> Outcome {
    let answer = WEB.get("")?;
    let lead = answer.header("location").map(|to| format!(", leads to {to}")).unwrap_or_default();
    let cut = if answer.truncated { ", cut" } else { "" };
    fail(format!("{answer}, {} bytes{cut}{lead} of {}", answer.body.len(), url.len()))
}

fn request(method: &str, target: &str, header: Option<(&str, &str)>, body: &[u8]) -> HttpRequest {
    let headers = header.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    HttpRequest { method: method.to_owned(), target: target.to_owned(), headers, body: body.to_vec() }
}

/// Tries what the host must not send.
pub(crate) fn smuggle() -> Outcome {
    const NEXT: &str = "GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n";
    let all = [
        request("POST", "", None, b""),
        request("GET /smuggled HTTP/1.1\r\n\r\nGET", "", None, b""),
        request("GET", " HTTP/1.1\r\n\r\nGET /smuggled", None, b""),
        request("GET", "/%2e%2e/smuggled", None, b""),
        request("GET", "/../smuggled", None, b""),
        request("GET", "//smuggled", None, b""),
        request("GET", "smuggled", None, b""),
        request("GET", &format!("/{}", "x".repeat(3000)), None, b""),
        request("GET", "", None, NEXT.as_bytes()),
        request("GET", "", Some(("content-length", "40")), b""),
        request("GET", "", Some(("transfer-encoding", "chunked")), b""),
        request("GET", "", Some(("host", "smuggled")), b""),
        request("GET", "", Some(("cookie", "smuggled")), b""),
        request("GET", "", Some(("accept", "x\r\nx-smuggled: y")), b""),
        request("GET", "", Some(("accept\r\nx-smuggled", "y")), b""),
    ];
    for request in all {
        match WEB.http(&[], &request).map_err(|error| error.cause) {
            Err(Cause::Denied(_) | Cause::Invalid(_)) => {}
            other => return fail(format!("sent {request:?}: {other:?}")),
        }
    }
    match WEB.exchange(NEXT.as_bytes(), ocf_agent::endpoint::Until::Closed).map_err(|error| error.cause) {
        Err(Cause::Denied(_)) => Ok(()),
        other => fail(format!("exchanged: {other:?}")),
    }
}

/// Knocks until nobody lets it any more.
pub(crate) fn scan() -> Outcome {
    for _ in 0..2000 {
        if let Err(error) = WEB.connect() {
            return fail(error.to_string());
        }
    }
    fail("knocked two thousand times")
}
