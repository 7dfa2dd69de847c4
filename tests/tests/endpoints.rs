//! A plugin that asks web servers of every kind through the shipped binaries: what it learns, what it cannot send, and
//! that no server makes the host late.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{chown, symlink};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use ocf_wasm_tests::host::{Ran, TestHost, free_port, hostile, is_root};

const AGENT: &str = "test/hostile";
/// The caller's patience.
const TIMEOUT: Duration = Duration::from_secs(3);

/// A server on the loopback that does one thing with everybody who comes, and notes what was said to it.
struct Server {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// `answer` writes until it is done or the other side is gone, and looks now and then whether all is over.
    fn new(answer: impl Fn(&mut TcpStream, &AtomicBool) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
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
                let mut said = [0; 4096];
                let length = stream.read(&mut said).unwrap_or(0);
                notes.lock().unwrap().push(String::from_utf8_lossy(&said[..length]).into_owned());
                answer(&mut stream, &over);
            }
        });
        Self { address, heard, is_over, thread: Some(thread) }
    }

    /// One that sends this and hangs up.
    fn of(text: impl Into<Vec<u8>>) -> Self {
        let text = text.into();
        Self::new(move |stream, _| drop(stream.write_all(&text)))
    }

    fn url(&self) -> String {
        format!("http://{}/health", self.address)
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

fn host() -> TestHost {
    let host = TestHost::new();
    host.policy(AGENT, "format = 1\n");
    host.add(&hostile(), &[]);
    host
}

/// Grants one port of the loopback, below /health.
fn grant(host: &TestHost, port: u16) {
    host.policy(
        AGENT,
        &format!(
            "format = 1\n[endpoint.web]\nhttp = {{ param = \"url\", url = {{ host = [\"127.0.0.1\", \"web.example\"], \
             port = [{port}], path = \"/health\" }} }}\nnames = {{ \"web.example\" = [\"127.0.0.1\"] }}\ntimeout = \"700ms\"\n"
        ),
    );
}

/// One start in which a page is fetched: the plugin fails with what came.
fn fetch(host: &TestHost, url: &str) -> Ran {
    let start = host.action(AGENT, "start").with("do", "fetch").with("in", "start").with("url", url);
    start.timeout_ms(3_000).run().within(TIMEOUT)
}

/// [`fetch`] from a server, which is granted.
fn fetch_from(host: &TestHost, server: &Server) -> Ran {
    grant(host, server.address.port());
    fetch(host, &server.url())
}

#[test]
fn what_a_server_says_is_what_the_plugin_learns() {
    let host = host();
    let long = "x".repeat(70_000);
    let flood: String = (0..1000).map(|n| format!("x-{n}: {n}\r\n")).collect();
    for (answer, says) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_owned(), "status 200, 5 bytes of"),
        ("HTTP/1.0 200 OK\r\n\r\nhello".to_owned(), "status 200, 5 bytes of"),
        (
            "HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n".to_owned(),
            "status 503, 6 bytes of",
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhello".to_owned(), "no complete answer, 5 bytes of"),
        (
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n".to_owned(),
            "status 302, 0 bytes, leads to http://127.0.0.1:1/",
        ),
        (format!("HTTP/1.1 200 OK\r\n{flood}\r\nhello"), "no complete answer, 0 bytes of"),
        (format!("HTTP/1.1 200 OK\r\nx: {long}\r\n\r\nhello"), "no complete answer, 0 bytes of"),
        (format!("HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n{long}"), "status 200, 65536 bytes, cut of"),
        ("SSH-2.0-OpenSSH_9.2\r\n".to_owned(), "no complete answer, 0 bytes of"),
        ("\0\u{1}ocf-exit-reason:forged\r\n\r\n".to_owned(), "no complete answer, 0 bytes of"),
        (String::new(), "no complete answer, 0 bytes of"),
    ] {
        let server = Server::of(answer.clone());
        let ran = fetch_from(&host, &server).is(1).says(says);
        assert!(!ran.stderr.contains("forged"), "{ran:#?}");
        let heard = server.heard.lock().unwrap();
        let asked = format!("GET /health HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", server.address);
        assert_eq!(*heard, [asked], "asked once, and nowhere else");
    }
}

#[test]
fn a_server_that_keeps_the_connection_is_not_waited_for() {
    let host = host();
    let server = Server::new(|stream, over| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello").unwrap();
        // Until the other side hangs up.
        while !over.load(Ordering::Relaxed) && !matches!(stream.read(&mut [0; 16]), Ok(0)) {}
    });
    let ran = fetch_from(&host, &server).is(1).says("status 200, 5 bytes");
    assert!(ran.took < Duration::from_millis(700), "its endpoint's own limit ended it: {ran:#?}");
}

#[test]
fn no_server_makes_the_host_late() {
    let host = host();
    let slow = Server::new(|stream, over| {
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n".iter().cycle() {
            if over.load(Ordering::Relaxed) || stream.write_all(&[*byte]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let _ = fetch_from(&host, &slow).is(1).says("no complete answer, 0 bytes");
    let dumb = Server::new(
        |stream, over| {
            while !over.load(Ordering::Relaxed) && !matches!(stream.read(&mut [0; 16]), Ok(0)) {}
        },
    );
    let _ = fetch_from(&host, &dumb).is(1).says("no complete answer, 0 bytes");
    let endless = Server::new(|stream, over| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while !over.load(Ordering::Relaxed) && stream.write_all(b"1\r\nx\r\n").is_ok() {}
    });
    let _ = fetch_from(&host, &endless).is(1);
    let port = free_port();
    grant(&host, port);
    let _ = fetch(&host, &format!("http://127.0.0.1:{port}/health")).is(1).says("connection refused, 0 bytes");
}

#[test]
fn only_the_granted_address_is_asked() {
    let host = host();
    let server = Server::of("HTTP/1.1 200 OK\r\n\r\nhello");
    let port = server.address.port();
    grant(&host, port);
    for (url, says) in [
        (format!("http://127.0.0.2:{port}/health"), "a host that the policy does not list"),
        (format!("http://localhost:{port}/health"), "a host that the policy does not list"),
        (format!("http://2130706433:{port}/health"), "no address or name of a host"),
        (format!("http://user:pw@127.0.0.1:{port}/health"), "has a user in it"),
        (format!("http://127.0.0.1:{port}/other"), "is not below /health"),
        ("http://127.0.0.1/health".to_owned(), "has port 80"),
        (format!("https://127.0.0.1:{port}/health"), "is https, which"),
    ] {
        let _ = fetch(&host, &url).is(4).says(says);
    }
    assert!(server.heard.lock().unwrap().is_empty());
    let _ = fetch(&host, &format!("http://web.example:{port}/health")).is(1).says("status 200, 5 bytes");
    assert!(server.heard.lock().unwrap()[0].contains(&format!("\r\nhost: web.example:{port}\r\n")));
    host.policy(AGENT, "format = 1\n");
    let _ = fetch(&host, &server.url()).is(4).says("endpoint web: not granted");
}

#[test]
fn a_plugin_sends_one_request_or_none() {
    let host = host();
    let server = Server::of("HTTP/1.1 200 OK\r\n\r\nhello");
    grant(&host, server.address.port());
    let with = |misdeed: &str| {
        let start = host.action(AGENT, "start").with("do", misdeed).with("in", "start").with("url", server.url());
        start.instance(if misdeed == "scan" { "scan" } else { "smuggle" }).timeout_ms(10_000).run()
    };
    let _ = with("smuggle").is(0);
    assert!(server.heard.lock().unwrap().is_empty(), "{:?}", server.heard.lock().unwrap());
    let _ = with("scan").is(1).says("more than 1000 questions to endpoints");
}

#[test]
fn to_look_who_listens_disturbs_nobody() {
    let host = host();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    grant(&host, address.port());
    let look = || {
        let start = host.action(AGENT, "start").with("do", "listen").with("in", "start");
        start.with("url", format!("http://{address}/health")).is(1)
    };
    let _ = look().says("listening: true");
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "somebody came");
    drop(listener);
    let _ = look().says("listening: false");
    host.policy(AGENT, "format = 1\n");
    let refused = host.action(AGENT, "start").with("do", "listen").with("in", "start").is(4);
    let _ = refused.says("endpoint web: not granted");
}

/// An address has one spelling, and a request goes where the policy says or nowhere.
#[test]
fn no_spelling_of_an_address_leads_elsewhere() {
    let host = host();
    let server = Server::of("HTTP/1.1 200 OK\r\n\r\nhello");
    let port = server.address.port();
    grant(&host, port);
    for there in [
        // The loopback, as some read it.
        "127.1",
        "127.0.0.1.",
        "0177.0.0.1",
        "0x7f.0.0.1",
        "0x7f000001",
        "017700000001",
        "2130706433",
        "127.0.0.01",
        "127.0.0.1%00",
        "%31%32%37.0.0.1",
        "[::127.0.0.1]",
        "[::1]",
        "[::1%25lo]",
        "[fe80::1%25lo]",
        "[127.0.0.1]",
        "localhost",
        "0.0.0.0",
        "[::]",
        "0",
        // Somebody else, with what is granted beside it.
        "127.0.0.1@127.0.0.2",
        "127.0.0.2@127.0.0.1",
        "127.0.0.2#@127.0.0.1",
        "127.0.0.2\\@127.0.0.1",
        "web.example.127.0.0.2",
        "web.example.",
        "WEB.example",
        "web.example,127.0.0.1",
        "web.example 127.0.0.1",
        "web.example\t",
        // Where nobody in particular is, and where clouds hand out credentials.
        "169.254.169.254",
        "[::ffff:169.254.169.254]",
        "[fd00:ec2::254]",
        "224.0.0.1",
        "255.255.255.255",
    ] {
        for url in [format!("http://{there}:{port}/health"), format!("http://{there}/health")] {
            let _ = fetch(&host, &url).is(4);
        }
    }
    for target in
        ["/health#x", "/health/%2e%2e/x", "/health/../x", "/health%0d%0ax:y", "/healthy", "//health", "/%68ealth"]
    {
        let _ = fetch(&host, &format!("http://127.0.0.1:{port}{target}")).is(4);
    }
    assert!(server.heard.lock().unwrap().is_empty(), "{:?}", server.heard.lock().unwrap());
    // The same address in IPv6 clothes is the same address.
    let _ = fetch(&host, &format!("http://[::ffff:127.0.0.1]:{port}/health")).is(1).says("status 200, 5 bytes");
}

/// Even a network of all addresses does not grant those that are nobody's: each is named by itself.
#[test]
fn an_address_of_nobody_is_not_granted_by_a_network_of_all() {
    let host = host();
    let policy = |networks: &str| {
        let url = format!("url = {{ host = [{networks}], port = [80, 9] }}");
        host.policy(
            AGENT,
            &format!("format = 1\n[endpoint.web]\nhttp = {{ param = \"url\", {url} }}\ntimeout = \"300ms\"\n"),
        );
    };
    policy("\"0.0.0.0/0\", \"::/0\"");
    for there in [
        "169.254.169.254",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "[fe80::1]",
        "[ff02::1]",
        "[::]",
        "[fd00:ec2::254]",
    ] {
        let _ = fetch(&host, &format!("http://{there}/")).is(4).says("a host that the policy does not list");
    }
    let _ = fetch(&host, "http://127.0.0.1:9/").is(1).says("connection refused");
    policy("\"0.0.0.0/8\"");
    let _ = fetch(&host, "http://0.0.0.0:9/").is(1).says("connection refused");
}

/// A name stands for what the policy lists, in that order, whoever else might know it.
#[test]
fn a_name_is_looked_up_nowhere_and_its_addresses_are_tried_in_order() {
    let host = host();
    let server = Server::of("HTTP/1.1 200 OK\r\n\r\nhello");
    let port = server.address.port();
    let policy = |addresses: &str| {
        let url = format!("url = {{ host = [\"localhost\"], port = [{port}] }}");
        host.policy(
            AGENT,
            &format!(
                "format = 1\n[endpoint.web]\nhttp = {{ param = \"url\", {url} }}\nnames = {{ localhost = [{addresses}] }}\n\
                 timeout = \"700ms\"\n"
            ),
        );
    };
    let url = format!("http://localhost:{port}/");
    policy("\"127.0.0.9\", \"::1\", \"127.0.0.1\"");
    let _ = fetch(&host, &url).is(1).says("status 200, 5 bytes");
    // What every resolver says of it does not count.
    policy("\"127.0.0.9\"");
    let _ = fetch(&host, &url).is(1).says("connection refused, 0 bytes");
    assert_eq!(server.heard.lock().unwrap().len(), 1);
}

/// Neither the caller's environment nor what a server sends changes where a request goes or what it says.
#[test]
fn no_proxy_is_used_no_cookie_kept_and_nothing_unpacked() {
    let host = host();
    let page = "HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\n\u{1}\u{2}\u{3}\u{4}\u{5}";
    let server = Server::of(page);
    grant(&host, server.address.port());
    let proxy = Server::of("HTTP/1.1 502 No\r\n\r\n");
    for _ in 0..2 {
        let call = host.call(AGENT).argument("start").instance("try").variable("OCF_RESKEY_do", "fetch");
        let mut call = call.variable("OCF_RESKEY_in", "start").variable("OCF_RESKEY_url", server.url());
        for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy"] {
            call = call.variable(name, format!("http://{}", proxy.address));
        }
        let _ = call.is(1).says("status 200, 5 bytes of");
    }
    assert!(proxy.heard.lock().unwrap().is_empty());
    // Who debugs sees whom a plugin asked.
    let log = host.path().join("log");
    let told = |debug: &str| {
        let call = host.call(AGENT).argument("start").instance("try").variable("OCF_RESKEY_do", "fetch");
        let call = call.variable("OCF_RESKEY_in", "start").variable("OCF_RESKEY_url", server.url());
        let _ = call.variable("HA_LOGFILE", &log).variable("HA_debug", debug).is(1);
        fs::read_to_string(&log).unwrap().matches(&format!("web: http [{}]", server.address)).count()
    };
    assert_eq!((told("0"), told("1")), (0, 1), "{:?}", fs::read_to_string(&log));
    let asked = format!("GET /health HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", server.address);
    assert_eq!(*server.heard.lock().unwrap(), vec![asked; 4]);
}

/// A socket counts by whom it belongs to and how one gets there, not by its name alone.
#[test]
fn a_socket_is_asked_that_root_or_its_owner_made_and_no_other() {
    let host = host();
    let place = |name: &str| host.path().join("etc/sockets").join(name);
    fs::create_dir_all(place("")).unwrap();
    let look = |unix: &str| {
        host.policy(AGENT, &format!("format = 1\n[endpoint.web]\nunix = {{ {unix} }}\n"));
        host.action(AGENT, "start").with("do", "scan").with("in", "start").timeout_ms(9_000).run()
    };
    let path = |name: &str| format!("path = \"/etc/ocf-wasm/sockets/{name}\"");
    let answering = |listener: UnixListener| {
        std::thread::spawn(move || listener.incoming().for_each(drop));
    };
    // Asked until nobody is let any more: it was asked.
    answering(UnixListener::bind(place("roots")).unwrap());
    let _ = look(&path("roots")).says("more than 1000 questions to endpoints");
    fs::write(place("file"), "").unwrap();
    let _ = look(&path("file")).is(1).says("what is there is no socket");
    symlink("roots", place("link")).unwrap();
    let _ = look(&path("link")).is(1).says("what is there is no socket");
    symlink(".", place("way")).unwrap();
    let _ = look(&path("way/roots")).is(1).says("not safe");
    if is_root() {
        answering(UnixListener::bind(place("others")).unwrap());
        chown(place("others"), Some(65_534), None).unwrap();
        let _ = look(&path("others")).is(1).says("belongs to user 65534, neither to root nor to its `owner`");
        let named = format!("{}, owner = \"65534\"", path("others"));
        let _ = look(&named).says("more than 1000 questions to endpoints");
        // Its file is right, and somebody else has begun to listen there.
        let _ = look(&format!("{named}, peer = \"65534\"")).is(1).says("user 0 listens there, not its `peer`");
        let _ = look(&format!("{named}, peer = \"root\"")).says("more than 1000 questions to endpoints");
    }
    // One that has no place in the file system cannot even be named.
    for name in ["@docker", "\\u0000docker"] {
        let _ = look(&format!("path = \"{name}\"")).is(4);
    }
}
