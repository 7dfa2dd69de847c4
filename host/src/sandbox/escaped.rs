//! A runner that has been taken over: native code of an attacker, where a plugin's would run. Only in a build for tests,
//! `--cfg escaped`; a test looks for [`MARK`] in what is installed, and for it to be absent.
//!
//! What it tries is named by the instance's parameter `escape`. `drop:CALL` is tried after the runner has given up
//! everything and before its filter is in force, and told as the runner's own failure; `filter:CALL` behind the
//! filter, from which nobody comes back; `say:WHAT` is said to the broker.

/// What stands in such a build and in no other.
pub const MARK: &str = "this build has an escaped runner in it, and must not be installed";

/// Never returns.
pub fn run(deed: &str, seam: i32, broker: i32, tell: &dyn Fn(String)) -> ! {
    let fail = |text: String| -> ! {
        tell(text);
        crate::sys::exit::now(0)
    };
    let (when, what) = deed.split_once(':').unwrap_or_default();
    match when {
        "drop" => fail(format!("{what}: {} ({MARK})", attempt(what, seam, broker))),
        "filter" => {
            if let Err(error) = super::runner::close() {
                fail(error);
            }
            fail(format!("{what}: {} ({MARK})", attempt(what, seam, broker)));
        }
        _ => {
            if let Err(error) = super::runner::close() {
                fail(error);
            }
            say(what, seam);
            // Whoever has said that stays, and does nothing.
            loop {
                let _ = call(libc::SYS_clock_nanosleep, [1, 0, (&raw const LONG).expose_provenance() as u64, 0]);
            }
        }
    }
}

/// A number of another type on each C library.
const PTRACE_ATTACH: u64 = 16;

static LONG: libc::timespec = libc::timespec { tv_sec: 1, tv_nsec: 0 };

/// One attempt; what the kernel answered, as a number of `errno` or `done`.
fn attempt(what: &str, seam: i32, broker: i32) -> String {
    let (name, path) = what.split_once(' ').unwrap_or((what, "/etc/passwd"));
    let mut file = path.replace("BROKER", &broker.to_string()).into_bytes();
    file.push(0);
    let path = file.as_ptr().expose_provenance() as u64;
    let here = libc::AT_FDCWD.cast_unsigned().into();
    let (seam, broker) = (seam.unsigned_abs().into(), broker.unsigned_abs().into());
    let page = call(libc::SYS_mmap, [0, 4096, 3, 0x22]).unwrap_or_default();
    let answer = match name {
        "open" => call(libc::SYS_openat, [here, path, 0, 0]),
        "mkdir" => call(libc::SYS_mkdirat, [here, path, 0o700, 0]),
        "execute" => call(libc::SYS_execve, [path, 0, 0, 0]),
        "fork" => call(libc::SYS_clone, [libc::SIGCHLD.unsigned_abs().into(), 0, 0, 0]),
        "thread" => call(libc::SYS_clone3, [path, 0, 0, 0]),
        "socket" => call(libc::SYS_socket, [1, 1, 0, 0]),
        "connect" => call(libc::SYS_connect, [seam, path, 2, 0]),
        "pass" => call(libc::SYS_sendmsg, [seam, path, 0, 0]),
        "signal" => call(libc::SYS_kill, [broker, 0, 0, 0]),
        "trace" => call(libc::SYS_ptrace, [PTRACE_ATTACH, broker, 0, 0]),
        "peek" => {
            // Its own page, from the same place of the broker.
            let piece = [page, 16_u64];
            let piece = piece.as_ptr().expose_provenance() as u64;
            call_with(libc::SYS_process_vm_readv, [broker, piece, 1, piece, 1, 0])
        }
        "become-root" => call(libc::SYS_setuid, [0, 0, 0, 0]),
        "unshare" => call(libc::SYS_unshare, [0x1000_0000, 0, 0, 0]),
        "undo" => call(libc::SYS_prctl, [libc::PR_SET_DUMPABLE.unsigned_abs().into(), 1, 0, 0]),
        "ring" => call(libc::SYS_io_uring_setup, [1, path, 0, 0]),
        "program" => call(libc::SYS_bpf, [0, path, 0, 0]),
        "map-code" => call(libc::SYS_mmap, [0, 4096, 7, 0x22]),
        "make-code" => call(libc::SYS_mprotect, [page, 4096, 5, 0]),
        other => return format!("nobody knows how to {other}"),
    };
    match answer {
        Ok(_) => "done".to_owned(),
        Err(number) => format!("refused {number}"),
    }
}

/// Says something that no runner of ours says.
fn say(what: &str, seam: i32) {
    let bytes = match what {
        "garbage" => [&[9, 0, 0, 0][..], &[0xff; 9]].concat(),
        "oversize" => [&u32::MAX.to_le_bytes()[..], &[0; 64]].concat(),
        "half" => vec![100, 0, 0, 0, 1],
        // A call with a string of 4 GiB in a message of ten bytes.
        "long string" => vec![7, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f],
        // A list of 4 GiB of slots.
        "long list" => vec![9, 0, 0, 0, 0, 4, 1, b'x', 0xff, 0xff, 0xff, 0xff, 0x0f],
        "unknown call" => vec![2, 0, 0, 0, 0, 0x7f],
        "unknown message" => vec![1, 0, 0, 0, 0x7f],
        // That nothing runs, a thousand times, before it was asked and after.
        "done" => [4, 0, 0, 0, 2, 0, 1, 1].repeat(1000),
        // Logs without end.
        _ => [6, 0, 0, 0, 1, 3, 3, b'h', b'e', b'y'].repeat(100),
    };
    loop {
        let sent = call(
            libc::SYS_sendto,
            [seam.unsigned_abs().into(), bytes.as_ptr().expose_provenance() as u64, bytes.len() as u64, 0],
        );
        if what != "flood" || sent.is_err() {
            return;
        }
    }
}

fn call(number: i64, [a, b, c, d]: [u64; 4]) -> Result<u64, i32> {
    // The last two are of `mmap` alone: no file, from its beginning.
    call_with(number, [a, b, c, d, u64::MAX, 0])
}

fn call_with(number: i64, [a, b, c, d, e, f]: [u64; 6]) -> Result<u64, i32> {
    // SAFETY: this is what an attacker does. The pointers among the arguments point to memory that outlives the call, and
    // what the kernel writes goes nowhere: the process ends after it.
    let answer = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    match answer {
        -1 => Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)),
        value => Ok(value.cast_unsigned()),
    }
}
