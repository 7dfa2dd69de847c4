//! Servers that are slow, endless or not there, and places next to the granted ones.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;
use std::path::Path;

use super::*;
use crate::ocf::Parameters;
use crate::policy::Policy;

fn ask_with(policy: &str, parameter: &str, slots: &[Slot], wait: Duration) -> Answer<Permit> {
    let policy = Policy::parse(&format!("format = 1\n[endpoint.e]\n{policy}"), Path::new("/p")).unwrap();
    let parameters = Parameters::from([("it".to_owned(), parameter.to_owned())]);
    let guest = crate::ocf::request::Guest::default();
    let values = Values { parameters: &parameters, slots: &[], node: "n", guest: &guest, instance: "i" };
    permit(&policy.endpoints, "e", slots, values, Instant::now() + wait)
}

fn ask(policy: &str, parameter: &str, wait: Duration) -> Answer<Permit> {
    ask_with(policy, parameter, &[], wait)
}

fn bound(kind: &str, timeout: &str) -> String {
    format!(
        "{kind} = {{ host = \"127.0.0.1\", port = {{ param = \"it\", port = {{ min = 1024 }} }} }}\ntimeout = \"{timeout}\"\n"
    )
}

const LONG: Duration = Duration::from_secs(9);

#[test]
fn denies_a_port_next_to_a_granted_one() {
    for kind in ["tcp", "udp"] {
        assert!(matches!(ask(&bound(kind, "1s"), "1023", LONG), Err(Error::Denied(_))));
        assert!(ask(&bound(kind, "1s"), "1024", LONG).is_ok());
    }
}

#[test]
fn denies_what_is_nobodys_address_unless_it_is_named() {
    let open = |within: &str| format!("tcp = {{ host = {{ param = \"it\", ip = {{ {within} }} }}, port = 80 }}");
    let special = [
        "0.0.0.0",
        "0.0.0.1",
        "169.254.169.254",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::127.0.0.1",
        "fe80::1",
        "ff02::1",
        "fd00:ec2::254",
        "::ffff:169.254.169.254",
        "::ffff:0.0.0.0",
    ];
    for address in special {
        for within in ["", "within = [\"0.0.0.0/0\", \"::/0\"]", "within = [\"128.0.0.0/1\", \"8000::/1\"]"] {
            assert!(matches!(ask(&open(within), address, LONG), Err(Error::Denied(_))), "{address} by {within:?}");
        }
    }
    for (within, address) in
        [("169.254.0.0/16", "169.254.169.254"), ("fe80::/10", "fe80::1"), ("10.0.0.0/8", "10.1.2.3")]
    {
        let within = format!("within = [{within:?}]");
        assert!(ask(&open(&within), address, LONG).is_ok(), "{address}");
        assert!(ask(&open(&within), "11.1.2.3", LONG).is_err());
    }
}

proptest::proptest! {
    #[test]
    fn no_spelling_of_an_address_reaches_another_than_it_names(text in "[0-9a-fx:.%\\[\\]]{1,20}|(0x)?[0-9]{1,10}|::ffff:[0-9.]{1,15}") {
        let policy = "tcp = { host = { param = \"it\", ip = { within = [\"10.0.0.0/8\", \"fd00::/8\"] } }, port = 80 }";
        if let Ok(permit) = ask(policy, &text, LONG) {
            let Target::Tcp(address) = permit.target else { unreachable!("tcp was bound") };
            let is_inside = match address.ip() {
                std::net::IpAddr::V4(v4) => v4.octets()[0] == 10,
                std::net::IpAddr::V6(v6) => v6.octets()[0] == 0xfd,
            };
            proptest::prop_assert!(is_inside, "{} became {}", text, address);
        }
    }
}

#[test]
fn an_address_has_one_spelling() {
    let policy = "tcp = { host = { param = \"it\", ip = {} }, port = 80 }";
    for text in [
        "127.1",
        "0177.0.0.1",
        "127.0.0.01",
        "0x7f.0.0.1",
        "2130706433",
        "0x7f000001",
        "127.0.0.1 ",
        " 127.0.0.1",
        "localhost",
        "fe80::1%lo",
        "::1%1",
        "[::1]",
        "127.0.0.1:80",
        "user@127.0.0.1",
        "1.2.3.4.5",
        "::ffff:0127.0.0.1",
        "",
        "127。0。0。1",
    ] {
        assert!(matches!(ask(policy, text, LONG), Err(Error::Denied(_))), "{text:?}");
    }
    let Target::Tcp(address) = ask(policy, "::ffff:127.0.0.1", LONG).unwrap().target else { panic!("not tcp") };
    assert_eq!(address.to_string(), "127.0.0.1:80");
}

#[test]
fn nobody_there_is_an_answer() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    assert_eq!(ask(&bound("tcp", "1s"), &port, LONG).unwrap().connect(), Ok(Reach::Refused));
    let udp = || ask(&bound("udp", "1s"), &port, LONG).unwrap();
    assert_eq!(udp().connect(), Ok(Reach::Open));
    assert_eq!(udp().exchange(b"?", &Until::Closed).unwrap().reach, Reach::Refused);
    let socket = ask("unix = { path = \"/run/there-is-no-such-socket\" }", "", LONG).unwrap();
    assert_eq!(socket.connect(), Ok(Reach::Refused));
    let nowhere = ask("unix = { path = \"/run/there-is-no/such-socket\" }", "", LONG).unwrap();
    assert_eq!(nowhere.connect(), Ok(Reach::Refused));
}

#[test]
fn an_answer_is_complete_at_its_mark_and_silence_is_told_from_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let server = std::thread::spawn(move || {
        let mut kept = Vec::new();
        for _ in 0..3 {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"hello\nmore").unwrap();
            kept.push(stream);
        }
        kept
    });
    let line = ask(&bound("tcp", "5s"), &port, LONG).unwrap();
    let reply = line.exchange(b"", &Until::Bytes(b"\n".to_vec())).unwrap();
    assert_eq!(reply.reach, Reach::Open);
    assert!(reply.received.starts_with(b"hello\n"));
    let silent = ask(&bound("tcp", "50ms"), &port, LONG).unwrap();
    assert_eq!(silent.exchange(b"", &Until::Size(99)).unwrap().reach, Reach::Silent);
    let late = ask(&bound("tcp", "5s"), &port, Duration::from_millis(50)).unwrap();
    assert_eq!(late.exchange(b"", &Until::Size(99)), Err(Error::TimedOut));
    drop(server.join().unwrap());
}

#[test]
fn an_endless_answer_ends_at_64_kib() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // Ends when nobody listens any more.
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    });
    let reply = ask(&bound("tcp", "5s"), &port, LONG).unwrap().exchange(b"", &Until::Closed).unwrap();
    assert_eq!((reply.reach, reply.received.len()), (Reach::Silent, EXCHANGE_BYTES));
    server.join().unwrap();
}

#[test]
fn datagrams_go_and_come() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port().to_string();
    let peer = std::thread::spawn(move || {
        let mut question = [0; 1024];
        let (length, from) = server.recv_from(&mut question).unwrap();
        stranger.send_to(b"forged", from).unwrap();
        server.send_to(b"pong\n", from).unwrap();
        question[..length].to_vec()
    });
    let udp = || ask(&bound("udp", "5s"), &port, LONG).unwrap();
    assert!(matches!(udp().exchange(&[0; 513], &Until::Closed), Err(Error::Invalid(_))));
    let reply = udp().exchange(b"ping", &Until::Closed).unwrap();
    assert_eq!((reply.reach, reply.received.as_slice()), (Reach::Open, b"pong\n".as_slice()));
    assert_eq!(peer.join().unwrap(), b"ping");
}

/// A UNIX socket in a place whose way is root's alone; none where this process cannot make one.
fn socket_of_root(name: &str) -> Option<(UnixListener, PathBuf)> {
    let directory = PathBuf::from(format!("/srv/ocf-wasm-socket-{name}-{}", std::process::id()));
    std::fs::create_dir(&directory).ok()?;
    let path = directory.join("socket");
    Some((UnixListener::bind(&path).unwrap(), path))
}

/// Takes a directory away at the end, also of a test that fails.
struct Gone(PathBuf);

impl Drop for Gone {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.0.parent().unwrap());
    }
}

#[test]
fn a_socket_belongs_to_root_or_to_whom_the_policy_names() {
    let Some((listener, path)) = socket_of_root("owner") else { return };
    let _gone = Gone(path.clone());
    let server = std::thread::spawn(move || {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut question = [0; 4];
            stream.read_exact(&mut question).unwrap();
            stream.write_all(b"pong").unwrap();
        }
        listener
    });
    let bound = |owner: &str| format!("unix = {{ path = \"{}\"{owner} }}", path.display());
    let say = |owner: &str| ask(&bound(owner), "", LONG).unwrap().exchange(b"ping", &Until::Closed);
    assert_eq!(say("").unwrap().received, b"pong");
    std::os::unix::fs::chown(&path, Some(12345), None).unwrap();
    assert!(matches!(say(""), Err(Error::Denied(_))));
    assert!(matches!(say(", owner = \"12346\""), Err(Error::Denied(_))));
    assert_eq!(say(", owner = \"12345\"").unwrap().received, b"pong");
    drop(server.join().unwrap());
    assert_eq!(ask(&bound(", owner = \"12345\""), "", LONG).unwrap().connect(), Ok(Reach::Refused));
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "").unwrap();
    assert!(matches!(ask(&bound(""), "", LONG).unwrap().connect(), Err(Error::Unavailable(_))));
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/run/somewhere", &path).unwrap();
    assert!(matches!(ask(&bound(""), "", LONG).unwrap().connect(), Err(Error::Unavailable(_))));
}

#[test]
fn nothing_is_sent_to_another_than_the_peer_that_the_policy_names() {
    let Some((listener, path)) = socket_of_root("peer") else { return };
    let _gone = Gone(path.clone());
    let bound = |peer: &str| format!("unix = {{ path = \"{}\"{peer} }}", path.display());
    let say = |peer: &str| ask(&bound(peer), "", LONG).unwrap().exchange(b"ping", &Until::Closed);
    let Err(Error::Denied(why)) = say(", peer = \"12345\"") else { panic!("somebody else was asked") };
    assert!(why.contains("user 0 listens there"), "{why}");
    let (mut heard, _) = listener.accept().unwrap();
    assert_eq!(heard.read(&mut [0; 4]).unwrap(), 0);
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 4]).unwrap();
        stream.write_all(b"pong").unwrap();
    });
    assert_eq!(say(", peer = \"root\"").unwrap().received, b"pong");
    server.join().unwrap();
}

#[test]
fn a_socket_from_outside_stays_below_and_its_way_is_safe() {
    let open = "unix = { path = { param = \"it\", file = { under = \"/run/db\" } } }";
    for path in ["/run/dbx/socket", "/run/db/../x", "run/db/x", "", "/var/run/docker.sock", "\0abstract"] {
        assert!(matches!(ask(open, path, LONG), Err(Error::Denied(_))), "{path:?}");
    }
    assert_eq!(ask(open, "/run/db/socket", LONG).unwrap().connect(), Ok(Reach::Refused));
    let everybodys = ask(&format!("unix = {{ path = \"{}/s\" }}", std::env::temp_dir().display()), "", LONG).unwrap();
    assert!(matches!(everybodys.connect(), Err(Error::Unavailable(text)) if text.contains("writable by everybody")));
}
