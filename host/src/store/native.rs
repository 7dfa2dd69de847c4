//! Native code: made here from the component, never imported, under a MAC that only root can make.
//!
//! A file is one page of head (magic, MAC, length) and the code from the second page on, so that it can be executed
//! where it is mapped. Its name and its MAC hold the component's digest and the engine that it is for. It is never
//! needed for correctness: any doubt is a miss, and a miss compiles.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit as _, Mac as _};
use nix::sys::memfd::{MFdFlags, memfd_create};
use sha2::Sha256;

use super::{CACHE, Digest, LIB, LIBEXEC, LOST, blob_path};
use crate::sys::user;

/// First bytes of a file.
const MAGIC: &[u8; 4] = b"OWN1";
/// Bytes before the code.
const HEAD: usize = 4096;
/// Bytes of the key and of the MAC.
const MAC_BYTES: usize = 32;
/// Bytes of the largest component, as for the compiler.
const COMPONENT_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes of the largest native code.
const NATIVE_BYTES: u64 = 256 * 1024 * 1024;
/// First bytes of what the compiler writes.
const COMPILED: &[u8; 4] = b"OCF1";

/// Why there is no native code.
#[derive(Debug)]
pub enum NativeError {
    /// The component is not in the store, or not of a kind that this host can run.
    Unfit(String),
    /// The compiler did not finish in time.
    TimedOut,
    /// Something of this node: a missing compiler, a full disk.
    Io(String),
}

impl std::fmt::Display for NativeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unfit(text) | Self::Io(text) => f.write_str(text),
            Self::TimedOut => f.write_str("compiling the component took too long"),
        }
    }
}

/// What the compiler makes of a component.
#[derive(Debug)]
pub struct Compiled {
    /// What it says of itself, as JSON.
    pub description: Vec<u8>,
    /// Native code.
    pub native: Vec<u8>,
}

fn path(component: &Digest) -> PathBuf {
    Path::new(CACHE).join(format!("{}-{}", component.hex(), ocf_wasm_engine::ENGINE))
}

/// Returns the code of a component, mapped for ever, if it is there and its MAC is right.
fn load(component: &Digest) -> Option<&'static [u8]> {
    let file = crate::sys::trusted::open(&path(component)).ok()?;
    let length = usize::try_from(file.metadata().ok()?.len()).ok()?;
    // What is longer than any code would take as long to look through.
    if length <= HEAD || length as u64 > HEAD as u64 + NATIVE_BYTES {
        return None;
    }
    let whole = crate::sys::memory::map(&file, length).ok()?;
    let (head, code) = whole.split_at(HEAD);
    let is_ours = is_ours(component, head, code);
    // The runner is a copy of this process, with its stack: whoever has the key makes native code.
    crate::sys::memory::forget_stack();
    let right = head[..4] == *MAGIC && crate::guard!("I11", is_ours, true);
    right.then_some(code)
}

/// Whether the MAC is right. By itself, so that what it leaves on the stack is overwritten by the caller.
#[inline(never)]
fn is_ours(component: &Digest, head: &[u8], code: &[u8]) -> bool {
    let mac = key().and_then(|key| mac(component, code, &key));
    mac.is_some_and(|mac| mac.verify_slice(&head[4..4 + MAC_BYTES]).is_ok())
}

/// Whether the code of a component is in the cache, and would be used.
#[cfg(feature = "tool")]
pub(super) fn is_there(component: &Digest) -> bool {
    load(component).is_some()
}

/// Returns the code of a component, compiling it if need be: once, however many ask. The cache is never needed: where it
/// cannot be written, or what lies there not be believed, each action makes its own.
///
/// # Errors
/// See [`NativeError`].
pub fn ensure(component: &Digest, deadline: Instant) -> Result<&'static [u8], NativeError> {
    if let Some(code) = load(component) {
        return Ok(code);
    }
    let source = verified(component)?;
    let flight = Flight::begin(component);
    if let Some(flight) = &flight {
        flight.wait(deadline)?;
        // Whoever held the lock has probably made it.
        if let Some(code) = load(component) {
            return Ok(code);
        }
    }
    let compiled = compile_component(source, false, deadline)?;
    let kept = store(component, &compiled.native).ok().and_then(|()| load(component));
    kept.map_or_else(|| hold(&compiled.native), Ok)
}

/// Returns a component as a file that nobody else can change, after its bytes were found to be those of its digest.
fn verified(component: &Digest) -> Result<File, NativeError> {
    let blob = blob_path(component);
    let short = component.short();
    let source = crate::sys::trusted::open(&blob).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => NativeError::Unfit(LOST.to_owned()),
        // The cause first: the path is longer than a reason.
        _ => {
            NativeError::Io(format!("component {short}: {error}").replacen(&blob.display().to_string(), "its file", 1))
        }
    })?;
    let io = |error: io::Error| NativeError::Io(format!("component {short}: {error}"));
    let mut bytes = Vec::new();
    source.take(COMPONENT_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
    if Digest::of(&bytes) != *component {
        return Err(NativeError::Unfit("damaged: its bytes are not those that were installed".to_owned()));
    }
    in_memory(&bytes).map_err(io)
}

/// Keeps code in memory, for this process alone.
fn hold(code: &[u8]) -> Result<&'static [u8], NativeError> {
    let mapped = in_memory(code).and_then(|file| crate::sys::memory::map(&file, code.len()));
    mapped.map_err(|error| NativeError::Io(format!("native code: {error}")))
}

/// Makes a file without a name of bytes, to be read from its beginning.
fn in_memory(bytes: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create(c"ocf-wasm", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

/// The lock of those who want the same code at the same time.
struct Flight(File);

impl Flight {
    /// None where no lock can be had.
    fn begin(component: &Digest) -> Option<Self> {
        make_cache().ok()?;
        let lock = Path::new(CACHE).join(format!("{}.lock", component.hex()));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        options.open(lock).ok().map(Self)
    }

    /// Waits for its turn, if there is one.
    fn wait(&self, deadline: Instant) -> Result<(), NativeError> {
        loop {
            match self.0.try_lock() {
                Err(std::fs::TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(std::fs::TryLockError::WouldBlock) => return Err(NativeError::TimedOut),
                Ok(()) | Err(std::fs::TryLockError::Error(_)) => return Ok(()),
            }
        }
    }
}

fn make_cache() -> io::Result<()> {
    match DirBuilder::new().recursive(true).mode(0o700).create(CACHE) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Writes the native code of a component.
///
/// # Errors
/// What the kernel says.
pub(super) fn store(component: &Digest, native: &[u8]) -> io::Result<()> {
    make_cache()?;
    let mac = made(component, native);
    crate::sys::memory::forget_stack();
    let mut bytes = vec![0; HEAD];
    bytes[..4].copy_from_slice(MAGIC);
    bytes[4..4 + MAC_BYTES].copy_from_slice(&mac?);
    bytes.extend_from_slice(native);
    crate::sealed::replace(&path(component), &bytes, 0o600)
}

/// Makes the MAC, and the key if there is none. By itself, as [`is_ours`].
#[inline(never)]
fn made(component: &Digest, native: &[u8]) -> io::Result<[u8; MAC_BYTES]> {
    let key = match key() {
        Some(key) => key,
        None => new_key()?,
    };
    let mac = mac(component, native, &key).ok_or_else(|| io::Error::other("no MAC"))?;
    Ok(mac.finalize().into_bytes().into())
}

fn mac(component: &Digest, code: &[u8], key: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(component.hex().as_bytes());
    mac.update(ocf_wasm_engine::ENGINE.as_bytes());
    mac.update(&(code.len() as u64).to_le_bytes());
    mac.update(code);
    Some(mac)
}

fn key_path() -> PathBuf {
    Path::new(LIB).join("cache.key")
}

fn key() -> Option<[u8; MAC_BYTES]> {
    let mut key = [0; MAC_BYTES];
    crate::sys::trusted::open(&key_path()).ok()?.read_exact(&mut key).ok()?;
    Some(key)
}

fn new_key() -> io::Result<[u8; MAC_BYTES]> {
    let mut key = [0; MAC_BYTES];
    crate::sys::random::fill(&mut key)?;
    crate::sealed::replace(&key_path(), &key, 0o600)?;
    Ok(key)
}

/// Runs the compiler, as a user that owns nothing, over a component that is open.
///
/// # Errors
/// See [`NativeError`].
pub fn compile_component(component: File, describe_only: bool, deadline: Instant) -> Result<Compiled, NativeError> {
    let program = Path::new(LIBEXEC).join("ocf-wasm-compile");
    let failed = |error: &dyn std::fmt::Display| NativeError::Io(format!("{}: {error}", program.display()));
    let mut command = Command::new(&program);
    command.env_clear().current_dir("/").stdin(component).stdout(Stdio::piped()).stderr(Stdio::piped());
    if describe_only {
        command.arg("--describe");
    }
    if !user::is_alone() && nix::unistd::geteuid().is_root() {
        // Before the first install there is only nobody: as good for looking, since nothing is written.
        let user = user::account(user::OURS).or_else(|| user::account("nobody"));
        let user = user.ok_or_else(|| failed(&format!("there is no user {}: run systemd-sysusers", user::OURS)))?;
        command.uid(user.uid).gid(user.gid);
    }
    crate::sandbox::compiler::begin(&mut command);
    let mut child = command.spawn().map_err(|e| failed(&e))?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(failed(&"no pipe"));
    };
    // A compiler that does not end is ended; both pipes close then.
    let output = read_until(stdout, stderr, deadline);
    let Some((output, said)) = output else {
        let _ = child.kill();
        let _ = child.wait();
        return Err(NativeError::TimedOut);
    };
    let status = child.wait().map_err(|e| failed(&e))?;
    if !status.success() {
        let said = String::from_utf8_lossy(&said);
        return Err(match status.code() {
            Some(1) => NativeError::Unfit(said.trim().to_owned()),
            _ => NativeError::Unfit(format!("the compiler ended with {status}: {}", said.trim())),
        });
    }
    if describe_only {
        return Ok(Compiled { description: output, native: Vec::new() });
    }
    parse(output).ok_or_else(|| failed(&"its output is not complete"))
}

fn parse(mut output: Vec<u8>) -> Option<Compiled> {
    let length = u32::from_le_bytes(*output.get(4..8)?.first_chunk()?) as usize;
    if output[..4] != *COMPILED || output.len() < 8 + length {
        return None;
    }
    let native = output.split_off(8 + length);
    Some(Compiled { description: output.split_off(8), native })
}

/// Reads two pipes to their ends. None if the deadline comes first.
fn read_until(
    mut out: std::process::ChildStdout,
    mut err: std::process::ChildStderr,
    deadline: Instant,
) -> Option<(Vec<u8>, Vec<u8>)> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd as _;
    let (mut output, mut said) = (Vec::new(), Vec::new());
    let (mut out_open, mut err_open) = (true, true);
    let mut piece = vec![0; 64 * 1024];
    while out_open || err_open {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || output.len() as u64 > NATIVE_BYTES + (2 << 20) {
            return None;
        }
        let mut ends = Vec::new();
        if out_open {
            ends.push(PollFd::new(out.as_fd(), PollFlags::POLLIN));
        }
        if err_open {
            ends.push(PollFd::new(err.as_fd(), PollFlags::POLLIN));
        }
        let _ = poll(&mut ends, PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX));
        let ready: Vec<bool> = ends.iter().map(|end| end.any().unwrap_or(false)).collect();
        drop(ends);
        let (out_ready, err_ready) = match (out_open, err_open) {
            (true, true) => (ready[0], ready[1]),
            (true, false) => (ready[0], false),
            (false, _) => (false, ready[0]),
        };
        if out_ready {
            let count = out.read(&mut piece).ok()?;
            out_open = count > 0;
            output.extend_from_slice(&piece[..count]);
        }
        if err_ready {
            let count = err.read(&mut piece).ok()?;
            err_open = count > 0;
            if said.len() < 64 * 1024 {
                said.extend_from_slice(&piece[..count]);
            }
        }
    }
    Some((output, said))
}
