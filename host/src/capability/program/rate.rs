//! How often a program is started within a minute, over all actions of an instance: a file of times, appended to.

use std::io::Write as _;
use std::path::Path;

use crate::seam::{Answer, Error};
use crate::sys::clock::since_boot_ns;

/// Nanoseconds of the time that is looked back.
const MINUTE: u64 = 60 * 1_000_000_000;
/// Bytes from which on the file is written anew with what still counts.
const LONG: u64 = 64 * 1024;

/// Counts a start of a program, unless there were `most` within a minute.
///
/// # Errors
/// `denied` if there were; `unavailable` if they cannot be counted.
pub(super) fn count(label: &str, path: &Path, most: u32) -> Answer<()> {
    count_at(label, path, most, since_boot_ns())
}

fn count_at(label: &str, path: &Path, most: u32, now: u64) -> Answer<()> {
    let failed = |error: std::io::Error| {
        Error::Unavailable(format!("program {label}: its starts cannot be counted: {}: {error}", path.display()))
    };
    let bytes = match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        read => read.map_err(failed)?,
    };
    let (times, _) = bytes.as_chunks::<8>();
    let recent: Vec<[u8; 8]> =
        times.iter().copied().filter(|time| now.saturating_sub(u64::from_le_bytes(*time)) < MINUTE).collect();
    if recent.len() >= usize::try_from(most).unwrap_or(usize::MAX) {
        return Err(Error::Denied(format!(
            "program {label}: started {most} times within a minute: `rate` grants no more"
        )));
    }
    if bytes.len() as u64 > LONG {
        crate::sealed::replace(path, recent.as_flattened(), 0o600).map_err(failed)?;
    }
    // Appended in one call, so that actions that run at the same time lose nothing.
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).map_err(failed)?;
    file.write_all(&now.to_le_bytes()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_too_often_is_denied_until_a_minute_has_passed() {
        let path = std::env::temp_dir().join(format!("ocf-wasm-rate-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let at = |second: u64, most: u32| count_at("x", &path, most, second * 1_000_000_000);
        let first: Vec<bool> = [0, 1, 2].iter().map(|second| at(*second, 2).is_ok()).collect();
        let later = (at(59, 2).is_ok(), at(60, 2).is_ok(), at(60, 2).is_ok(), at(61, 2).is_ok());
        let _ = std::fs::remove_file(&path);
        assert_eq!(first, [true, true, false]);
        assert_eq!(later, (false, true, false, true));
    }

    #[test]
    fn the_file_does_not_grow_for_ever() {
        let path = std::env::temp_dir().join(format!("ocf-wasm-rate-long-{}", std::process::id()));
        std::fs::write(&path, vec![0; 100_000]).unwrap();
        let counted = count_at("x", &path, 1, 2 * MINUTE);
        let length = std::fs::metadata(&path).map(|facts| facts.len());
        let _ = std::fs::remove_file(&path);
        assert_eq!((counted, length.unwrap()), (Ok(()), 8));
    }
}
