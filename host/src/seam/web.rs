//! `endpoint.http` in two halves: the broker moves bytes, the runner knows what they mean.
//!
//! What the plugin asked and was told stands in the first and the last message of a request, so that who records knows
//! it without understanding what came between.

use serde::{Deserialize, Serialize};

use super::endpoint::{HttpRequest, HttpResponse, Reach};
use super::{Answer, Slot};

/// What the runner asks of the broker.
pub trait Web {
    /// Checks a request, connects and sends it. What was open before is closed.
    ///
    /// # Errors
    /// As `endpoint.http`.
    fn web_send(&mut self, label: String, slots: Vec<Slot>, request: HttpRequest) -> Answer<Sent>;

    /// Receives what comes next.
    ///
    /// # Errors
    /// `timed-out` at the deadline of the action; `invalid` if nothing was sent.
    fn web_receive(&mut self) -> Answer<Piece>;

    /// Closes what is open, and tells what the plugin is told.
    ///
    /// # Errors
    /// `denied` after too many questions, `timed-out` at the deadline of the action.
    fn web_end(&mut self, response: HttpResponse) -> Answer<()>;
}

/// What became of a request.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub enum Sent {
    /// It was sent: an answer may come.
    Waiting,
    /// Nothing will come; this is the answer. That nobody is there is one.
    Known(HttpResponse),
}

/// A part of what a web server sent.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// What came.
    pub bytes: Vec<u8>,
    /// If nothing more will come, whether the server closed (`open`) or nothing came in time.
    pub end: Option<Reach>,
}

/// An answer of which nothing came.
pub fn unanswered(reach: Reach) -> HttpResponse {
    HttpResponse { reach, status: 0, headers: Vec::new(), body: Vec::new(), truncated: false }
}
