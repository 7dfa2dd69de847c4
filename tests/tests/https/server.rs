//! Web servers on the loopback that prove who they are, or cannot; and authorities that say so.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};

/// By whom certificates are issued.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
    key: String,
}

/// What a server shows.
pub(crate) struct Proof {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(vec!["authority.example".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let text = key.serialize_pem();
        Self { issuer: Issuer::new(params, key), certificate, key: text }
    }

    /// Its certificate, as it stands in a file.
    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A certificate for names and addresses, valid in these years.
    pub(crate) fn issue(&self, names: &[&str], (first, last): (i32, i32)) -> Proof {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(first, 1, 1), date_time_ymd(last, 12, 31));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Proof { certificate: certificate.into(), key: key.into() }
    }

    /// Its own certificate, shown by a server.
    pub(crate) fn itself(&self) -> Proof {
        let key = KeyPair::from_pem(&self.key).unwrap();
        Proof { certificate: self.certificate.der().clone(), key: key.into() }
    }
}

/// The years in which nearly all are valid.
pub(crate) const TODAY: (i32, i32) = (2020, 2120);

/// What a server speaks through.
pub(crate) type Secured = StreamOwned<ServerConnection, TcpStream>;

/// A server that does one thing with everybody who comes, and notes what was said to it.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Speaks no TLS by itself. `answer` returns what it heard; it looks now and then whether all is over.
    pub(crate) fn plain(answer: impl Fn(&mut TcpStream, &AtomicBool) -> String + Send + 'static) -> Self {
        Self::listening(TcpListener::bind("127.0.0.1:0").unwrap(), answer)
    }

    fn listening(
        listener: TcpListener,
        answer: impl Fn(&mut TcpStream, &AtomicBool) -> String + Send + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let (heard, is_over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (notes, over) = (heard.clone(), is_over.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(mut stream) = stream else { continue };
                stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                let said = answer(&mut stream, &over);
                notes.lock().unwrap().push(said);
            }
        });
        Self { address, heard, is_over, thread: Some(thread) }
    }

    /// Shows a proof, and hears one request before `answer`.
    pub(crate) fn tls(
        proof: Proof,
        versions: &[&'static SupportedProtocolVersion],
        answer: impl Fn(&mut Secured, &AtomicBool) + Send + 'static,
    ) -> Self {
        Self::tls_at(TcpListener::bind("127.0.0.1:0").unwrap(), None, proof, versions, answer)
    }

    fn tls_at(
        listener: TcpListener,
        demands: Option<&Authority>,
        proof: Proof,
        versions: &[&'static SupportedProtocolVersion],
        answer: impl Fn(&mut Secured, &AtomicBool) + Send + 'static,
    ) -> Self {
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_protocol_versions(versions).unwrap();
        let builder = match demands {
            Some(authority) => {
                let mut known = RootCertStore::empty();
                known.add(authority.certificate.der().clone()).unwrap();
                let provider = Arc::new(ring::default_provider());
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(known), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(vec![proof.certificate], proof.key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let config = Arc::new(config);
        Self::listening(listener, move |stream, over| {
            let stream = stream.try_clone().unwrap();
            let mut secured = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream);
            let mut said = vec![0; 128 * 1024];
            // Who hangs up in the handshake has said nothing.
            let Ok(length) = secured.read(&mut said) else { return String::new() };
            answer(&mut secured, over);
            let asked = String::from_utf8_lossy(&said[..length]).into_owned();
            let tls = &secured.conn;
            let protocol = String::from_utf8_lossy(tls.alpn_protocol().unwrap_or_default()).into_owned();
            let version = tls.protocol_version().unwrap();
            format!("{version:?} {protocol} {}\n{asked}", tls.server_name().unwrap_or("-"))
        })
    }

    /// [`Server::tls`], of one that says this, says that this was all, and hangs up.
    pub(crate) fn saying(proof: Proof, text: &'static str) -> Self {
        Self::at(0, proof, text)
    }

    /// [`Server::saying`], at a port.
    pub(crate) fn at(port: u16, proof: Proof, text: &'static str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        Self::tls_at(listener, None, proof, rustls::ALL_VERSIONS, move |secured, _| {
            let _ = secured.write_all(text.as_bytes());
            secured.conn.send_close_notify();
            let _ = secured.flush();
        })
    }

    /// [`Server::tls`], of one that wants a certificate of this authority from who asks.
    pub(crate) fn demanding(
        authority: &Authority,
        proof: Proof,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        Self::tls_at(TcpListener::bind("127.0.0.1:0").unwrap(), Some(authority), proof, versions, |_, _| {})
    }

    /// What was said to it until now.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // It waits for somebody to come.
        drop(TcpStream::connect(self.address));
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// Hears until the other side hangs up, or all is over.
pub(crate) fn wait(stream: &mut TcpStream, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) && matches!(stream.read(&mut [0; 1024]), Ok(1..)) {}
}
