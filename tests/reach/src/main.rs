//! Says what it can reach, a line each: `what => how far it came`. It changes nothing that outlives it.
//!
//! `reach matrix READ WRITE PORT PID NAMESPACE...` tries; `reach listen PORT SOCKET...` is what it tries to reach: TCP on
//! the loopback, sockets by path, and by `@name` abstract ones. `reach leave` ends its first thread, and lives in another.

#![allow(clippy::expect_used, reason = "a panic is the report")]

mod call;

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use call::call;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((verb, [port, sockets @ ..])) if verb == "listen" => listen(port, sockets),
        Some((verb, [])) if verb == "leave" => leave(),
        Some((verb, [read, write, port, pid, namespaces @ ..])) if verb == "matrix" => {
            files(Path::new(read), Path::new(write));
            sockets(port);
            processes(pid);
            same(namespaces);
            identity();
            calls();
        }
        _ => std::process::exit(2),
    }
}

fn listen(port: &str, sockets: &[String]) {
    let _tcp = TcpListener::bind(format!("127.0.0.1:{port}")).expect("tcp");
    let _unix: Vec<UnixListener> = sockets
        .iter()
        .map(|socket| match socket.strip_prefix('@') {
            Some(name) => {
                UnixListener::bind_addr(&UnixAddr::from_abstract_name(name).expect("name")).expect("abstract socket")
            }
            None => UnixListener::bind(socket).expect("socket"),
        })
        .collect();
    println!("ready");
    loop {
        std::thread::sleep(Duration::from_hours(1));
    }
}

fn leave() {
    let _other = std::thread::spawn(|| std::thread::sleep(Duration::from_hours(1)));
    let never = call(libc::SYS_exit, [0, 0]);
    panic!("{never:?}");
}

fn say(what: &str, how: &str) {
    println!("{what} => {how}");
}

/// How an error is told: whether the thing is not there, or refused.
fn word(error: &std::io::Error) -> &'static str {
    match (error.kind(), error.raw_os_error()) {
        (ErrorKind::NotFound, _) => "not there",
        (_, Some(libc::EROFS)) => "read-only",
        (ErrorKind::ConnectionRefused, _) => "nobody answers",
        (_, Some(libc::ENETUNREACH)) => "no network",
        (_, Some(libc::ENOSYS)) => "unknown",
        (ErrorKind::PermissionDenied, _) => "refused",
        (_, Some(libc::EAFNOSUPPORT)) => "refused",
        _ => "another error",
    }
}

fn told<T>(done: std::io::Result<T>) -> &'static str {
    match done {
        Ok(_) => "yes",
        Err(error) => word(&error),
    }
}

fn read(path: &Path) -> &'static str {
    if !path.is_dir() {
        return told(File::open(path));
    }
    match fs::read_dir(path) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                "yes"
            } else {
                "empty"
            }
        }
        Err(error) => word(&error),
    }
}

fn write(path: &Path) -> &'static str {
    if !path.is_dir() {
        return told(OpenOptions::new().write(true).open(path));
    }
    let file = path.join(format!(".reach-{}", std::process::id()));
    let done = told(OpenOptions::new().write(true).create_new(true).open(&file));
    let _ = fs::remove_file(file);
    done
}

fn files(granted_to_read: &Path, granted_to_write: &Path) {
    for path in [
        "/usr",
        "/etc/passwd",
        "/etc/shadow",
        "/etc/security/opasswd",
        "/etc/corosync",
        "/etc/ocf-wasm/policy",
        "/root",
        "/home",
        "/var/lib",
        "/run",
        "/srv",
        "/proc/self/status",
        "/proc/sys/kernel",
        "/sys/kernel",
        "/dev/null",
        "/dev/mem",
        "/dev/shm",
        "/tmp",
    ] {
        say(&format!("reads {path}"), read(Path::new(path)));
    }
    say("reads what is granted to read", read(granted_to_read));
    say("reads what is granted to write", read(granted_to_write));
    for path in [
        "/",
        "/usr",
        "/etc",
        "/proc/self/oom_score_adj",
        "/proc/sys/kernel/core_pattern",
        "/proc/sysrq-trigger",
        "/sys/kernel/profiling",
        "/dev",
        "/dev/null",
        "/dev/shm",
        "/tmp",
        "/var/tmp",
    ] {
        say(&format!("writes {path}"), write(Path::new(path)));
    }
    say("writes what is granted to read", write(granted_to_read));
    say("writes what is granted to write", write(granted_to_write));
    for place in [Path::new("/tmp"), granted_to_write] {
        let copy = place.join(format!(".copy-{}", std::process::id()));
        let run = fs::copy("/usr/bin/true", &copy).and_then(|_| std::process::Command::new(&copy).status());
        let _ = fs::remove_file(&copy);
        let shown = if place == granted_to_write { "what is granted to write" } else { "/tmp" };
        say(&format!("executes what it put into {shown}"), told(run));
    }
    say("executes /usr/bin/true", told(std::process::Command::new("/usr/bin/true").status()));
}

fn sockets(port: &str) {
    for path in ["/run/dbus/system_bus_socket", "/run/docker.sock", "/run/granted/socket"] {
        say(&format!("connects to {path}"), told(UnixStream::connect(path)));
    }
    let address = UnixAddr::from_abstract_name("ocf-wasm-somebody").expect("name");
    say("connects to an abstract socket of another", told(UnixStream::connect_addr(&address)));
    let node: SocketAddr = format!("127.0.0.1:{port}").parse().expect("port");
    say("connects to TCP of the node", told(TcpStream::connect_timeout(&node, Duration::from_secs(1))));
    say("sends UDP to the node", told(UdpSocket::bind("127.0.0.1:0").and_then(|s| s.send_to(b"x", node))));
    let own = TcpListener::bind("127.0.0.1:0").and_then(|own| TcpStream::connect(own.local_addr()?));
    say("connects to itself by TCP", told(own));
    say("listens on port 81", told(TcpListener::bind("127.0.0.1:81")));
    for (name, family) in [("packet", libc::AF_PACKET), ("vsock", libc::AF_VSOCK), ("alg", libc::AF_ALG)] {
        let made = call(libc::SYS_socket, [family.into(), libc::SOCK_DGRAM.into()]);
        say(&format!("makes a socket of family {name}"), told(made));
    }
}

fn processes(pid: &str) {
    say("sees another process", told(fs::metadata(format!("/proc/{pid}"))));
    say("reads the environment of another", told(File::open(format!("/proc/{pid}/environ"))));
    say("enters the root of another", told(fs::read_dir(format!("/proc/{pid}/root/"))));
    let number: i64 = pid.parse().expect("pid");
    // Signal 0 asks only.
    say("signals another", told(call(libc::SYS_kill, [number, 0])));
    let parent = std::os::unix::process::parent_id();
    say("signals what it is under", told(call(libc::SYS_kill, [parent.into(), 0])));
}

fn same(namespaces: &[String]) {
    for namespace in namespaces {
        let name = namespace.split(':').next().unwrap_or_default();
        let own = fs::read_link(format!("/proc/self/ns/{name}")).unwrap_or_default();
        say(&format!("namespace {name}"), if own.as_os_str() == namespace.as_str() { "the node's" } else { "its own" });
    }
}

fn identity() {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    for name in ["Uid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"] {
        let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let words: Vec<&str> = value.unwrap_or_default().split_whitespace().collect();
        say(name, &words.join(" "));
    }
    let mut open: Vec<i32> = fs::read_dir("/proc/self/fd")
        .map(|entries| entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
        .unwrap_or_default();
    open.sort_unstable();
    // The last is the directory that is being read.
    open.pop();
    say("descriptors", &format!("{open:?}"));
    let mut names: Vec<String> = std::env::vars().map(|(name, _)| name).collect();
    names.sort();
    say("environment", &names.join(" "));
    let leads = call(libc::SYS_getsid, [0, 0]).is_ok_and(|session| session == std::process::id().into());
    say("leads its session", if leads { "yes" } else { "no" });
}

/// The number of `open_tree_attr` (Linux 6.15), for which libc has no name yet.
const OPEN_TREE_ATTR: i64 = 467;

/// System calls with arguments that the kernel would find wrong, so that nothing happens where they are let through.
fn calls() {
    let nowhere = -1_i64;
    for (name, number, first) in [
        ("mount", libc::SYS_mount, 0),
        ("umount2", libc::SYS_umount2, 0),
        ("open_tree", libc::SYS_open_tree, nowhere),
        ("open_tree_attr", OPEN_TREE_ATTR, nowhere),
        ("unshare of users", libc::SYS_unshare, i64::from(libc::CLONE_NEWUSER)),
        ("unshare of mounts", libc::SYS_unshare, i64::from(libc::CLONE_NEWNS)),
        ("setns", libc::SYS_setns, nowhere),
        ("clone3", libc::SYS_clone3, 0),
        ("ptrace", libc::SYS_ptrace, nowhere),
        ("process_vm_readv", libc::SYS_process_vm_readv, nowhere),
        ("bpf", libc::SYS_bpf, nowhere),
        ("perf_event_open", libc::SYS_perf_event_open, 0),
        ("userfaultfd", libc::SYS_userfaultfd, nowhere),
        ("io_uring_setup", libc::SYS_io_uring_setup, 0),
        ("keyctl", libc::SYS_keyctl, nowhere),
        ("add_key", libc::SYS_add_key, 0),
        ("kexec_load", libc::SYS_kexec_load, nowhere),
        ("finit_module", libc::SYS_finit_module, nowhere),
        ("open_by_handle_at", libc::SYS_open_by_handle_at, nowhere),
        ("personality", libc::SYS_personality, 0x0004_0000),
        ("swapon", libc::SYS_swapon, 0),
        ("fanotify_init", libc::SYS_fanotify_init, nowhere),
        ("getpid", libc::SYS_getpid, 0),
    ] {
        say(&format!("calls {name}"), told(call(number, [first, 0])));
    }
}
