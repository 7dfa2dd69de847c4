//! `endpoint` and the broker's half of its `http`: counted, kept apart, and nothing understood.

use std::path::Path;
use std::time::{Duration, Instant};

use super::Broker;
use crate::capability::endpoint as endpoints;
use crate::seam::endpoint::{self, HttpRequest, HttpResponse, Reach};
use crate::seam::{Answer, Error, Piece, Sent, Slot, Web, unanswered};
use crate::store;
use crate::sys::user;

/// From one datagram to the next: nobody has agreed to receive them.
const BETWEEN_DATAGRAMS: Duration = Duration::from_millis(100);

/// What was asked of endpoints in this action.
#[derive(Debug, Default)]
pub(super) struct Asked {
    last_datagram: Option<Instant>,
    web: Option<endpoints::Exchange>,
}

impl Broker<'_> {
    #[cold]
    #[inline(never)]
    fn endpoint(&mut self, what: &str, changes: bool, label: &str, slots: &[Slot]) -> Answer<endpoints::Permit> {
        self.asked.web = None;
        self.count(what, changes)?;
        self.used.probe()?;
        let permit = endpoints::permit(&self.policy.endpoints, label, slots, self.values(), self.deadline.plugin)?;
        self.log.debug(&format!("{what} {label}: {permit}"));
        Ok(permit)
    }

    /// Keeps datagrams apart.
    fn await_datagram(&mut self) -> Answer<()> {
        if let Some(last) = self.asked.last_datagram {
            let next = last + BETWEEN_DATAGRAMS;
            if next >= self.deadline.plugin {
                return Err(Error::TimedOut);
            }
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        self.asked.last_datagram = Some(Instant::now());
        Ok(())
    }
}

/// The process that understands TLS, and whom it becomes.
#[cold]
#[inline(never)]
fn tls_helper() -> Result<endpoints::Helper, String> {
    let identity = match user::is_alone() {
        true => None,
        false => Some(user::account(user::OURS).ok_or_else(|| format!("there is no user {}", user::OURS))?),
    };
    endpoints::Helper::open(&Path::new(store::LIBEXEC).join(endpoints::TLS), identity)
}

/// Cold, as `path` is: what most actions do not ask for is kept off the pages that they touch.
impl endpoint::Host for Broker<'_> {
    #[cold]
    #[inline(never)]
    fn connect(&mut self, label: String, slots: Vec<Slot>) -> Answer<Reach> {
        self.endpoint("endpoint.connect", false, &label, &slots)?.connect()
    }

    #[cold]
    #[inline(never)]
    fn exchange(
        &mut self,
        label: String,
        slots: Vec<Slot>,
        send: Vec<u8>,
        until: endpoint::Until,
    ) -> Answer<endpoint::Reply> {
        let permit = self.endpoint("endpoint.exchange", false, &label, &slots)?;
        if !send.is_empty() {
            self.leave_the_tracks()?;
            if permit.is_datagram() {
                self.await_datagram()?;
            }
        }
        permit.exchange(&send, &until)
    }

    #[cold]
    #[inline(never)]
    fn listening(&mut self, label: String, slots: Vec<Slot>) -> Answer<bool> {
        self.endpoint("endpoint.listening", false, &label, &slots)?.listening()
    }

    #[cold]
    #[inline(never)]
    fn http(&mut self, label: String, _: Vec<Slot>, _: HttpRequest) -> Answer<HttpResponse> {
        // No message asks for this: the runner asks for the two halves below.
        Err(Error::Invalid(format!("endpoint {label}: http is answered by the runner")))
    }
}

impl Web for Broker<'_> {
    #[cold]
    #[inline(never)]
    fn web_send(&mut self, label: String, slots: Vec<Slot>, request: HttpRequest) -> Answer<Sent> {
        let changes = !endpoints::only_looks(&request.method);
        let permit = self.endpoint("endpoint.http with this method", changes, &label, &slots)?;
        if changes {
            self.leave_the_tracks()?;
        }
        match permit.send(&request, tls_helper)? {
            Ok(exchange) => {
                self.asked.web = Some(exchange);
                Ok(Sent::Waiting)
            }
            Err(reach) => Ok(Sent::Known(unanswered(reach))),
        }
    }

    #[cold]
    #[inline(never)]
    fn web_receive(&mut self) -> Answer<Piece> {
        self.count("endpoint.http", false)?;
        let nothing = || Error::Invalid("endpoint.http: nothing was asked".to_owned());
        let piece = self.asked.web.as_mut().ok_or_else(nothing)?.receive()?;
        if piece.end.is_some() {
            self.asked.web = None;
        }
        Ok(piece)
    }

    #[cold]
    #[inline(never)]
    fn web_end(&mut self, _: HttpResponse) -> Answer<()> {
        // What the runner understood is for who watches; nothing here depends on it.
        self.asked.web = None;
        self.count("endpoint.http", false)
    }
}
