//! A file system whose server stops answering: what becomes of a network's or a cluster's disk when its other end is
//! gone. Who asks it then stays in the kernel, where no signal comes.
//!
//! The kernel's own protocol (linux/fuse.h, 7.31), as much of it as a few files in one directory need. When it is dropped
//! all that waits goes on with an error.

#![allow(clippy::unwrap_used, reason = "support of tests: a panic is the report")]

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// What is asked, by the numbers of `enum fuse_opcode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[allow(missing_docs, reason = "the kernel's words")]
pub enum Asked {
    Lookup = 1,
    Getattr = 3,
    Open = 14,
    Read = 15,
    Statfs = 17,
    Fsync = 20,
    Create = 35,
}

const FORGET: u32 = 2;
const SETATTR: u32 = 4;
const UNLINK: u32 = 10;
const RENAME: u32 = 12;
const WRITE: u32 = 16;
const RELEASE: u32 = 18;
const FLUSH: u32 = 25;
const INIT: u32 = 26;
const OPENDIR: u32 = 27;
const RELEASEDIR: u32 = 29;
const FSYNCDIR: u32 = 30;
const INTERRUPT: u32 = 36;
const BATCH_FORGET: u32 = 42;
const RENAME2: u32 = 45;

/// A flag of `INIT`: who waits for one name holds up nobody who wants another.
const PARALLEL_DIROPS: u32 = 1 << 18;

const ENOENT: i32 = 2;
const ENOSYS: i32 = 38;

/// A mounted one.
#[derive(Debug)]
pub struct Hanging {
    place: PathBuf,
    /// What is never answered; 0 for all being well.
    hangs: Arc<AtomicU32>,
    /// Whether something was asked that is not answered.
    is_waited: Arc<AtomicBool>,
    /// Closing the last descriptor ends the connection.
    connection: PathBuf,
}

impl Hanging {
    /// Mounts one with these files, which are root's and everybody may read and execute. For a thread with mounts of its
    /// own.
    pub fn at(place: &Path, files: &[(&str, Vec<u8>)]) -> Self {
        let device = OpenOptions::new().read(true).write(true).open("/dev/fuse").unwrap();
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other", device.as_raw_fd());
        let options = CString::new(options).unwrap();
        mount("hanging", place, "fuse", MountFlags::empty(), options.as_c_str()).unwrap();
        let hangs = Arc::new(AtomicU32::new(0));
        let is_waited = Arc::new(AtomicBool::new(false));
        let files: Vec<(String, Vec<u8>)> =
            files.iter().map(|(name, content)| ((*name).into(), content.clone())).collect();
        let (hang, waited) = (Arc::clone(&hangs), Arc::clone(&is_waited));
        std::thread::spawn(move || serve(device, &files, &hang, &waited));
        // Answered by the thread: it is there.
        let minor = std::fs::metadata(place).map(|about| std::os::unix::fs::MetadataExt::dev(&about) & 0xff).unwrap();
        let connection = Path::new("/sys/fs/fuse/connections").join(minor.to_string()).join("abort");
        Self { place: place.to_owned(), hangs, is_waited, connection }
    }

    /// From now on never answers this.
    pub fn hang(&self, asked: Asked) {
        self.is_waited.store(false, Ordering::SeqCst);
        self.hangs.store(asked as u32, Ordering::SeqCst);
    }

    /// Whether somebody waits for what is never answered.
    pub fn is_waited_for(&self) -> bool {
        self.is_waited.load(Ordering::SeqCst)
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        // Where the kernel shows no connections, the server's thread ends it: it is told by its unmounting.
        let _ = std::fs::write(&self.connection, "1");
        self.hangs.store(u32::MAX, Ordering::SeqCst);
        let _ = unmount(&self.place, UnmountFlags::DETACH | UnmountFlags::FORCE);
    }
}

fn serve(mut device: File, files: &[(String, Vec<u8>)], hangs: &AtomicU32, is_waited: &AtomicBool) {
    let mut buffer = vec![0; 128 * 1024];
    // At its end: not mounted any more.
    while let Ok(length) = device.read(&mut buffer) {
        let request = &buffer[..length];
        let word = |at: usize| u32::from_ne_bytes(*request[at..].first_chunk().unwrap());
        let long = |at: usize| u64::from_ne_bytes(*request[at..].first_chunk().unwrap());
        let (opcode, unique, node) = (word(4), long(8), long(16));
        let body = &request[40..];
        if opcode == hangs.load(Ordering::SeqCst) {
            is_waited.store(true, Ordering::SeqCst);
            continue;
        }
        let content = |node: u64| usize::try_from(node).ok().and_then(|node| files.get(node.checked_sub(2)?));
        let size = |node: u64| content(node).map_or(0, |(_, content)| content.len() as u64);
        let answer = match opcode {
            FORGET | BATCH_FORGET | INTERRUPT => continue,
            INIT => Ok([7, 31, 0, PARALLEL_DIROPS, 0, 64 * 1024, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]
                .map(u32::to_ne_bytes)
                .concat()),
            1 => {
                let name = String::from_utf8_lossy(&body[..body.len() - 1]).into_owned();
                let found = files.iter().position(|(file, _)| *file == name);
                found.map(|at| entry(at as u64 + 2, size(at as u64 + 2))).ok_or(ENOENT)
            }
            3 | SETATTR => Ok([&[0; 16][..], &attributes(node, size(node))].concat()),
            14 | OPENDIR => Ok(vec![0; 16]),
            15 => {
                let (from, most) = (long(48), word(56));
                let content = content(node).map_or(&[][..], |(_, content)| content);
                let from = usize::try_from(from).unwrap().min(content.len());
                let to = (from + most as usize).min(content.len());
                Ok(content[from..to].to_vec())
            }
            WRITE => Ok([word(56), 0].map(u32::to_ne_bytes).concat()),
            17 => {
                let blocks = [1_u64 << 30; 5].map(u64::to_ne_bytes).concat();
                Ok([blocks, [4096_u32, 255, 4096, 0].map(u32::to_ne_bytes).concat(), vec![0; 24]].concat())
            }
            35 => Ok([entry(1000, 0), vec![0; 16]].concat()),
            20 | UNLINK | RENAME | RENAME2 | RELEASE | RELEASEDIR | FLUSH | FSYNCDIR => Ok(Vec::new()),
            _ => Err(ENOSYS),
        };
        let (error, body) = match answer {
            Ok(body) => (0, body),
            Err(error) => (-error, Vec::new()),
        };
        let length = u32::try_from(16 + body.len()).unwrap();
        let whole = [&length.to_ne_bytes()[..], &error.to_ne_bytes(), &unique.to_ne_bytes(), &body].concat();
        // Who asked may be gone.
        let _ = device.write_all(&whole);
    }
}

/// `struct fuse_entry_out`, to be asked for again at once.
fn entry(node: u64, size: u64) -> Vec<u8> {
    [&node.to_ne_bytes()[..], &[0; 32], &attributes(node, size)].concat()
}

/// `struct fuse_attr`: root's.
fn attributes(node: u64, size: u64) -> Vec<u8> {
    let mode: u32 = if node == 1 { 0o040_755 } else { 0o100_755 };
    let longs = [node, size, size.div_ceil(512), 0, 0, 0].map(u64::to_ne_bytes).concat();
    let words = [0, 0, 0, mode, 1, 0, 0, 0, 4096, 0].map(u32::to_ne_bytes).concat();
    [longs, words].concat()
}
