//! `endpoint.http`: what a web server sends is understood here, where there is nothing to be had.
//!
//! The broker wrote the request and moves the bytes; crate ureq-proto reads them without doing anything. No redirection
//! is followed and nothing is unpacked: what the server said is what the plugin gets.

use ureq_proto::client::state::{RecvBody, RecvResponse};
use ureq_proto::client::{Call as Exchange, RecvResponseResult, SendRequestResult};
use ureq_proto::http::{Request, Response};

use super::Imports;
use crate::seam::endpoint::{HttpRequest, HttpResponse, Reach};
use crate::seam::{Answer, Call, Piece, Sent, Slot, unanswered};

/// Bytes of the status and the headers.
const HEAD_BYTES: usize = 16 * 1024;
/// Bytes of the body that are kept.
const BODY_BYTES: usize = 64 * 1024;

impl Imports {
    /// One request and its answer.
    #[cold]
    #[inline(never)]
    pub(crate) fn http(&mut self, label: String, slots: Vec<Slot>, request: HttpRequest) -> Answer<HttpResponse> {
        let is_head = request.method == "HEAD";
        let sent: Sent = self.ask(Call::WebSend { label, slots, request })?;
        let mut reader = match (sent, Reader::new(is_head)) {
            (Sent::Known(response), _) => return Ok(response),
            (Sent::Waiting, None) => return Ok(unanswered(Reach::Silent)),
            (Sent::Waiting, Some(reader)) => reader,
        };
        let response = loop {
            let piece: Piece = self.ask(Call::WebReceive {})?;
            if let Some(response) = reader.take(&piece.bytes, piece.end) {
                break response;
            }
        };
        self.ask::<()>(Call::WebEnd { response: response.clone() })?;
        Ok(response)
    }
}

/// What has come of an answer.
struct Reader {
    /// Came, and is not understood yet.
    unread: Vec<u8>,
    stage: Stage,
    response: HttpResponse,
}

enum Stage {
    Head(Exchange<RecvResponse>),
    Body(Exchange<RecvBody>),
    /// All that there will be.
    Complete,
    /// This is not HTTP, or too much of it.
    Garbled,
}

impl Reader {
    /// Begins where the request was sent. How a body ends depends on whether the method was HEAD, and on no other.
    fn new(is_head: bool) -> Option<Self> {
        let method = if is_head { "HEAD" } else { "GET" };
        let request = Request::builder().method(method).uri("http://host/").body(()).ok()?;
        let mut sending = Exchange::new(request).ok()?.proceed();
        // The broker wrote its own.
        sending.write(&mut [0; 256]).ok()?;
        match sending.proceed().ok()?? {
            SendRequestResult::RecvResponse(waiting) => {
                Some(Self { unread: Vec::new(), stage: Stage::Head(waiting), response: unanswered(Reach::Silent) })
            }
            SendRequestResult::SendBody(_) | SendRequestResult::Await100(_) => None,
        }
    }

    /// Takes what came. Some if that is all, or enough.
    fn take(&mut self, bytes: &[u8], end: Option<Reach>) -> Option<HttpResponse> {
        self.unread.extend_from_slice(bytes);
        loop {
            let stage = std::mem::replace(&mut self.stage, Stage::Garbled);
            let (next, goes_on) = match stage {
                Stage::Head(waiting) => self.head(waiting),
                Stage::Body(coming) => self.body(coming, end == Some(Reach::Open)),
                done @ (Stage::Complete | Stage::Garbled) => (done, false),
            };
            self.stage = next;
            if !goes_on {
                break;
            }
        }
        let is_over = match self.stage {
            Stage::Complete => {
                self.response.reach = Reach::Open;
                true
            }
            Stage::Garbled => true,
            Stage::Head(_) | Stage::Body(_) => end.is_some(),
        };
        is_over.then(|| std::mem::replace(&mut self.response, unanswered(Reach::Silent)))
    }

    /// Reads the status and the headers. The flag says whether there may be more to do.
    fn head(&mut self, mut waiting: Exchange<RecvResponse>) -> (Stage, bool) {
        let Ok((used, found)) = waiting.try_response(&self.unread, false) else { return (Stage::Garbled, false) };
        if used > HEAD_BYTES || used == 0 && self.unread.len() > HEAD_BYTES {
            return (Stage::Garbled, false);
        }
        self.unread.drain(..used);
        let Some(found) = found else {
            // Either not all of it has come, or it was one that only says "wait".
            return (Stage::Head(waiting), used > 0);
        };
        self.note(&found);
        match waiting.proceed() {
            Some(RecvResponseResult::RecvBody(coming)) => (Stage::Body(coming), true),
            // Nothing follows.
            Some(RecvResponseResult::Redirect(_) | RecvResponseResult::Cleanup(_)) => (Stage::Complete, false),
            None => (Stage::Garbled, false),
        }
    }

    fn note(&mut self, found: &Response<()>) {
        self.response.status = found.status().as_u16();
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let headers = found.headers().iter();
        self.response.headers =
            headers.map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes()))).collect();
    }

    fn body(&mut self, mut coming: Exchange<RecvBody>, has_closed: bool) -> (Stage, bool) {
        let mut room = [0; 4096];
        loop {
            let Ok((used, made)) = coming.read(&self.unread, &mut room) else {
                // How much of it was understood before depends on how it was cut on its way.
                self.response.body.clear();
                return (Stage::Garbled, false);
            };
            self.unread.drain(..used);
            let fits = made.min(BODY_BYTES - self.response.body.len());
            self.response.body.extend_from_slice(&room[..fits]);
            if fits < made {
                self.response.truncated = true;
                return (Stage::Complete, false);
            }
            if used == 0 && made == 0 {
                break;
            }
        }
        // What has no end of its own ends when the server closes.
        let is_complete = match coming.body_mode() {
            ureq_proto::BodyMode::CloseDelimited => has_closed,
            _ => coming.can_proceed() || coming.is_ended_chunked() && has_closed,
        };
        (if is_complete { Stage::Complete } else { Stage::Body(coming) }, false)
    }
}

#[cfg(test)]
mod tests;
