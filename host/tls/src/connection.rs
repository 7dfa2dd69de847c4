//! Who a web server is, and what nobody on the way may read. Crate rustls knows TLS; here stands what is asked of it.
//!
//! TLS 1.2 and 1.3, no session is taken up again, no certificate of ours is shown. A server proves with its certificate
//! that it is the one that the web address names, by an authority of the file that the policy names, today by this node's
//! clock; whether the certificate was revoked is not looked up. What must never enter here: a way to go on without that.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, SignatureScheme};

use super::why;

/// Bytes go in and come out.
pub(super) struct Connection {
    tls: ClientConnection,
    server: String,
    asked_for_ours: Arc<AskedForOurs>,
    has_ended: bool,
}

/// Whether a server has asked for a certificate of ours. There is none; what it answers to that, many say as if they knew
/// no common way to encrypt.
#[derive(Debug, Default)]
struct AskedForOurs(AtomicBool);

impl ResolvesClientCert for AskedForOurs {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

impl Connection {
    /// Begins where somebody has taken the connection. The request waits until it is seen who that is.
    ///
    /// # Errors
    /// A sentence: no authority to check a certificate by.
    pub(super) fn new(server: &str, authorities: &[u8], request: &[u8]) -> Result<Self, String> {
        let mut known = RootCertStore::empty();
        // That of a system has some that are older than the rules for them.
        let (usable, _) = known.add_parsable_certificates(CertificateDer::pem_slice_iter(authorities).flatten());
        if usable == 0 {
            return Err("no certificate in its `ca` can be read".to_owned());
        }
        let refused = |error: rustls::Error| why::told(&error, server, false);
        let name = ServerName::try_from(server.to_owned()).map_err(|_| "nobody has such a name".to_owned())?;
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_protocol_versions(&[&TLS13, &TLS12]).map_err(refused)?;
        let mut config = builder.with_root_certificates(known).with_no_client_auth();
        let asked_for_ours = Arc::new(AskedForOurs::default());
        config.client_auth_cert_resolver = asked_for_ours.clone();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = Resumption::disabled();
        let mut tls = ClientConnection::new(Arc::new(config), name).map_err(refused)?;
        tls.set_buffer_limit(None);
        tls.writer().write_all(request).map_err(|error| error.to_string())?;
        Ok(Self { tls, server: server.to_owned(), asked_for_ours, has_ended: false })
    }

    /// What is to be sent next.
    pub(super) fn outgoing(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // Into memory, which takes it all.
        while self.tls.wants_write() && self.tls.write_tls(&mut bytes).is_ok() {}
        bytes
    }

    /// Takes what came, and returns what the server said in it.
    ///
    /// # Errors
    /// A sentence: why this is nobody to talk to.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> Result<Vec<u8>, String> {
        let mut said = Vec::new();
        while !bytes.is_empty() && !self.has_ended {
            if self.tls.read_tls(&mut bytes).is_err() {
                return Err(why::BROKEN.to_owned());
            }
            let state = self.tls.process_new_packets().map_err(|error| {
                let is_asked = self.asked_for_ours.0.load(Ordering::Relaxed);
                why::told(&error, &self.server, is_asked)
            })?;
            self.has_ended = state.peer_has_closed();
            let mut whole = vec![0; state.plaintext_bytes_to_read()];
            self.tls.reader().read_exact(&mut whole).map_err(|_| why::BROKEN.to_owned())?;
            said.append(&mut whole);
        }
        Ok(said)
    }

    /// Whether the server has said that nothing more will come.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }
}
