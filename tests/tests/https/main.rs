//! A plugin that asks web servers by https through the shipped binaries: who counts, who does not and what is said of it,
//! that no server makes the host late, and what the process that understands TLS is left with.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod instance;
mod process;
mod server;

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ocf_wasm_tests::host::{Ran, TestHost, dist, finish, free_port, hostile};
use rustls::version::{TLS12, TLS13};
use server::{Authority, Server, TODAY, wait};

const AGENT: &str = "test/hostile";
/// The caller's patience.
const TIMEOUT: Duration = Duration::from_secs(3);
/// What a server says that is well.
const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
/// Where the host sees the file of authorities.
const CA: &str = "/etc/ocf-wasm/ca.pem";

/// A root with the plugin, and an authority whose certificates count.
fn host() -> (TestHost, Authority) {
    with_plugin(TestHost::new())
}

fn with_plugin(host: TestHost) -> (TestHost, Authority) {
    let authority = Authority::new("ours");
    host.policy(AGENT, "format = 1\n");
    host.add(&hostile(), &[]);
    fs::write(host.path().join("etc/ca.pem"), authority.pem()).unwrap();
    (host, authority)
}

/// Grants one port of the loopback by https, below /health.
fn grant(host: &TestHost, port: u16, timeout: &str) {
    host.policy(
        AGENT,
        &format!(
            "format = 1\n[endpoint.web]\nhttp = {{ param = \"url\", url = {{ scheme = [\"https\"], host = [\"127.0.0.1\", \
             \"web.example\"], port = [{port}], path = \"/health\" }} }}\nca = \"{CA}\"\n\
             names = {{ \"web.example\" = [\"127.0.0.1\"] }}\ntimeout = \"{timeout}\"\n"
        ),
    );
}

/// One start in which a page is fetched: the plugin fails with what came.
fn fetch(host: &TestHost, url: &str) -> Ran {
    let start = host.action(AGENT, "start").with("do", "fetch").with("in", "start").with("url", url);
    start.timeout_ms(3_000).run().within(TIMEOUT)
}

/// [`fetch`] from a server by its name, which is granted, within this time.
fn fetch_in(host: &TestHost, server: &Server, timeout: &str) -> Ran {
    let port = server.address.port();
    grant(host, port, timeout);
    fetch(host, &format!("https://web.example:{port}/health"))
}

fn fetch_from(host: &TestHost, server: &Server) -> Ran {
    fetch_in(host, server, "2s")
}

#[test]
fn a_server_that_proves_who_it_is_is_asked() {
    let (host, authority) = host();
    for versions in [&[&TLS13][..], &[&TLS12]] {
        let server = Server::tls(authority.issue(&["web.example"], TODAY), versions, |secured, _| {
            let _ = secured.write_all(HELLO.as_bytes());
        });
        let _ = fetch_from(&host, &server).is(1).says("status 200, 5 bytes");
        let port = server.address.port();
        let asked = format!("GET /health HTTP/1.1\r\nhost: web.example:{port}\r\nconnection: close\r\n\r\n");
        let version = if *versions[0] == TLS13 { "TLSv1_3" } else { "TLSv1_2" };
        ocf_wasm_tests::host::until("it has noted", || !server.heard().is_empty());
        assert_eq!(server.heard(), [format!("{version} http/1.1 web.example\n{asked}")]);
    }
    let by_address = Server::saying(authority.issue(&["127.0.0.1"], TODAY), HELLO);
    grant(&host, by_address.address.port(), "2s");
    let _ = fetch(&host, &format!("https://{}/health", by_address.address)).is(1).says("status 200, 5 bytes");
}

#[test]
fn who_cannot_prove_it_is_told_apart_and_told_nothing() {
    let (host, authority) = host();
    let proofs = [
        (authority.issue(&["web.example"], (2020, 2021)), "its certificate expired on 2021-12-31"),
        (authority.issue(&["web.example"], (2101, 2120)), "its certificate is valid from 2101-01-01 on: is the clock"),
        (authority.issue(&["other.example"], TODAY), "its certificate is for other.example, not for web.example"),
        (authority.issue(&["127.0.0.1"], TODAY), "its certificate is for 127.0.0.1, not for web.example"),
        (authority.issue(&[], TODAY), "its certificate names nobody it is for, not web.example either"),
        (Authority::new("theirs").issue(&["web.example"], TODAY), "its certificate is issued by nobody in `ca`"),
        // Of the same name as the one that counts.
        (Authority::new("ours").issue(&["web.example"], TODAY), "its certificate was not signed by whom it names"),
        (authority.itself(), "its certificate is that of an authority, which is not for servers"),
    ];
    for (proof, says) in proofs {
        let server = Server::saying(proof, HELLO);
        let ran = fetch_from(&host, &server).is(1).says(&format!("endpoint web: {says}"));
        assert!(ran.stderr.lines().all(|line| line.len() <= 16 + 120), "{ran:#?}");
        assert!(server.heard().iter().all(String::is_empty), "{says}: {:?}", server.heard());
    }
}

#[test]
fn what_speaks_no_tls_or_an_old_one_is_told_apart() {
    let (host, _) = host();
    let answering = |answer: Vec<u8>| {
        Server::plain(move |stream, over| {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(&answer);
            wait(stream, over);
            String::new()
        })
    };
    // A server hello of TLS 1.0, with RSA and AES; and the alert of one that speaks no newer version.
    let mut old = vec![22, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
    old.extend([7; 32]);
    old.extend([0, 0, 0x2f, 0]);
    for (answer, says) in [
        (b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n".to_vec(), "what it sends is no TLS"),
        (b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), "what it sends is no TLS"),
        (old, "it offers neither TLS 1.2 nor 1.3"),
        (vec![21, 3, 1, 0, 2, 2, 70], "it offers neither TLS 1.2 nor 1.3"),
        (vec![21, 3, 3, 0, 2, 2, 40], "it offers no way to encrypt that counts as safe"),
        (vec![21, 3, 3, 0, 2, 2, 112], "it knows no host of that name"),
        (vec![22, 3, 3, 255, 255], "what it sends is no TLS"),
    ] {
        let server = answering(answer.clone());
        let ran = fetch_from(&host, &server).is(1).says(&format!("endpoint web: {says}"));
        assert!(!ran.stderr.contains("OpenSSH"), "{ran:#?}");
    }
    // A real one, where there is one that still speaks it.
    let port = free_port();
    grant(&host, port, "2s");
    let _ = fetch(&host, &format!("https://web.example:{port}/health")).is(1).says("connection refused, 0 bytes");
}

#[test]
fn who_wants_a_certificate_of_ours_says_so() {
    let (host, authority) = host();
    for versions in [&[&TLS13][..], &[&TLS12]] {
        let server = Server::demanding(&authority, authority.issue(&["web.example"], TODAY), versions);
        let _ = fetch_from(&host, &server)
            .is(1)
            .says("endpoint web: it wants a certificate of who asks, and there is none");
    }
}

#[test]
fn no_server_makes_the_host_late() {
    let (host, authority) = host();
    let dumb = Server::plain(|stream, over| {
        wait(stream, over);
        String::new()
    });
    let _ = fetch_in(&host, &dumb, "700ms").is(1).says("no complete answer, 0 bytes");
    // At the deadline of the action it is that.
    let _ = fetch_in(&host, &dumb, "1min").is(1).says("endpoint.http (more) did not come to an end in time");
    // One that says half a record and waits, or hangs up.
    for hangs_up in [false, true] {
        let half = Server::plain(move |stream, over| {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(&[22, 3, 3, 0, 100, 2, 0, 0, 38]);
            if !hangs_up {
                wait(stream, over);
            }
            String::new()
        });
        let _ = fetch_in(&host, &half, "700ms").is(1).says("no complete answer, 0 bytes");
    }
    // One that says nothing, in records without end; and bytes without end.
    for piece in [&[20, 3, 3, 0, 1, 1][..], &[23, 3, 3, 0, 1, 7], &[22, 3, 3, 0, 1, 2], &[0xff; 4096]] {
        let flood = Server::plain(move |stream, over| {
            while !over.load(Ordering::Relaxed) && stream.write_all(piece).is_ok() {}
            String::new()
        });
        let _ = fetch_in(&host, &flood, "700ms").is(1);
    }
    let slow = Server::tls(authority.issue(&["web.example"], TODAY), rustls::ALL_VERSIONS, |secured, over| {
        for byte in HELLO.bytes().cycle() {
            if over.load(Ordering::Relaxed) || secured.write_all(&[byte]).and_then(|()| secured.flush()).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(40));
        }
    });
    let _ = fetch_in(&host, &slow, "700ms").is(1).says("no complete answer, 0 bytes");
    let endless = Server::tls(authority.issue(&["web.example"], TODAY), rustls::ALL_VERSIONS, |secured, over| {
        let _ = secured.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while !over.load(Ordering::Relaxed) && secured.write_all(b"400\r\n").is_ok() {
            let _ = secured.write_all(&[b'x'; 1024]).and_then(|()| secured.write_all(b"\r\n"));
        }
    });
    let _ = fetch_from(&host, &endless).is(1).says("status 200, 65536 bytes, cut");
    let bomb = Server::tls(authority.issue(&["web.example"], TODAY), rustls::ALL_VERSIONS, |secured, over| {
        let _ = secured.write_all(b"HTTP/1.1 200 OK\r\n");
        while !over.load(Ordering::Relaxed) && secured.write_all(&b"x: y\r\n".repeat(100)).is_ok() {}
    });
    let _ = fetch_from(&host, &bomb).is(1).says("no complete answer, 0 bytes");
}

#[test]
fn an_answer_that_was_cut_on_its_way_is_no_complete_one() {
    let (host, authority) = host();
    let open = "HTTP/1.0 200 OK\r\n\r\nhello";
    let whole = Server::saying(authority.issue(&["web.example"], TODAY), open);
    let _ = fetch_from(&host, &whole).is(1).says("status 200, 5 bytes");
    // The same without a word that this was all: anybody on the way can do that.
    let cut = Server::tls(authority.issue(&["web.example"], TODAY), rustls::ALL_VERSIONS, move |secured, _| {
        let _ = secured.write_all(open.as_bytes());
    });
    let _ = fetch_from(&host, &cut).is(1).says("no complete answer, 5 bytes");
    // And one that is cut in the middle of a record.
    let broken = Server::tls(authority.issue(&["web.example"], TODAY), rustls::ALL_VERSIONS, move |secured, _| {
        let _ = secured.write_all(open.as_bytes());
        let _ = secured.sock.write_all(&[23, 3, 3, 0, 100, 1, 2, 3]);
    });
    let _ = fetch_from(&host, &broken).is(1).says("no complete answer, 5 bytes");
    // What somebody on the way puts in is no word of the server's.
    let forged = Server::tls(authority.issue(&["web.example"], TODAY), rustls::ALL_VERSIONS, move |secured, _| {
        let _ = secured.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhell");
        let _ = secured.sock.write_all(&[&[23, 3, 3, 0, 32][..], &[7; 32]].concat());
    });
    let _ = fetch_from(&host, &forged).is(1).says("it does not keep to the rules of TLS");
}

#[test]
fn authorities_come_from_a_file_that_root_alone_can_write() {
    let (host, authority) = host();
    let server = Server::saying(authority.issue(&["web.example"], TODAY), HELLO);
    let file = host.path().join("etc/ca.pem");
    let check = || host.run(&["check"]);
    let _ = fetch_from(&host, &server).is(1).says("status 200");
    let _ = check().is(0);
    let key = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA\n-----END PRIVATE KEY-----\n";
    let cases: [(&dyn Fn(), &str); 6] = [
        (&|| fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap(), "is writable by others"),
        (
            &|| {
                fs::rename(&file, file.with_extension("real")).unwrap();
                std::os::unix::fs::symlink("ca.real", &file).unwrap();
            },
            "is a symbolic link: write /etc/ocf-wasm/ca.real in its place",
        ),
        (&|| fs::write(&file, key).unwrap(), "has no certificate in it"),
        (&|| fs::write(&file, authority.pem().repeat(2_000)).unwrap(), "is larger than 768 KiB"),
        (&|| fs::create_dir(&file).unwrap(), "is not a regular file"),
        (&|| {}, "is not there"),
    ];
    for (spoil, says) in cases {
        // Of a file that is right each time.
        if !matches!(says, "is not there" | "is not a regular file") {
            fs::write(&file, authority.pem()).unwrap();
        }
        spoil();
        let _ = fetch_from(&host, &server).is(5).says("endpoint web: ca /etc/ocf-wasm/ca.pem");
        let told = check();
        assert!(told.code == 1 && told.stdout.contains(says), "{says}: {told:#?}");
        let _ = fs::remove_file(&file).or_else(|_| fs::remove_dir(&file));
    }
    // Nobody was connected to for that.
    assert_eq!(server.heard().len(), 1, "{:?}", server.heard());
    // What stands beside the certificates stays where it is, and one that is broken spoils no other.
    let broken = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    fs::write(&file, broken).unwrap();
    let _ = fetch_from(&host, &server).is(1).says("no certificate in its `ca` can be read");
    fs::write(&file, format!("{key}{broken}{}", authority.pem())).unwrap();
    let _ = fetch_from(&host, &server).is(1).says("status 200");
}

#[test]
fn where_the_program_for_tls_is_missing_nobody_is_asked_and_check_says_so() {
    let tree = tempfile::tempdir().unwrap();
    let _ = finish(Command::new("cp").arg("-a").arg(dist().join("usr")).arg(tree.path())).is(0);
    fs::remove_file(tree.path().join("usr/libexec/ocf-wasm/ocf-wasm-tls")).unwrap();
    let (host, authority) = with_plugin(TestHost::of_temporary(tree));
    let server = Server::saying(authority.issue(&["web.example"], TODAY), HELLO);
    let missing = "ocf-wasm-tls is not there";
    let _ = fetch_from(&host, &server).is(5).says(missing);
    let told = host.run(&["check"]);
    assert!(told.code == 1 && told.stdout.contains(missing), "{told:#?}");
    assert!(server.heard().is_empty());
}

#[test]
fn what_is_granted_by_https_is_not_asked_in_the_clear() {
    let (host, authority) = host();
    let server = Server::saying(authority.issue(&["web.example"], TODAY), HELLO);
    let port = server.address.port();
    grant(&host, port, "2s");
    for (url, says) in [
        (format!("http://web.example:{port}/health"), "is http, which the policy does not list"),
        (format!("https://other.example:{port}/health"), "a host that the policy does not list"),
        (format!("https://web.example:{port}/other"), "is not below /health"),
        ("https://web.example/health".to_owned(), "has port 443"),
        (format!("https://web.example@127.0.0.1:{port}/health"), "has a user in it"),
    ] {
        let _ = fetch(&host, &url).is(4).says(says);
    }
    assert!(server.heard().is_empty());
    // A redirection into the clear is followed as little as any.
    let lead = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    let lead = Server::saying(authority.issue(&["web.example"], TODAY), lead);
    let _ = fetch_from(&host, &lead).is(1).says("status 302, 0 bytes, leads to http://127.0.0.1:1/");
}
