//! Clocks that std does not show as numbers.

use std::time::Duration;

/// Returns the nanoseconds of the monotonic clock.
pub fn monotonic_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// Returns the nanoseconds since boot, time asleep included: the clock of process start times.
pub fn since_boot_ns() -> u64 {
    read(libc::CLOCK_BOOTTIME)
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec that outlives the call.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// Returns the local time `wait` from now as `Mon DD HH:MM:SS`, the form of the cluster's logs.
pub fn local_stamp_in(wait: Duration) -> String {
    let parts = local(now() + wait.as_secs().cast_signed());
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = usize::try_from(parts.tm_mon).ok().and_then(|m| MONTHS.get(m)).unwrap_or(&"???");
    format!("{month} {:02} {:02}:{:02}:{:02}", parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec)
}

/// Returns the local time as `YYYY-MM-DD.HH:MM:SS`, the end of the names of traces.
pub fn local_name() -> String {
    date(&local(now()), '.')
}

/// Returns a time since 1970 in seconds as `YYYY-MM-DD HH:MM:SS UTC`, for a person.
#[cfg(feature = "tool")]
pub fn utc(seconds: u64) -> String {
    let seconds = seconds.cast_signed();
    // SAFETY: tm is plain data, for which all zeroes is a value; both pointers are valid for the call.
    let parts = unsafe {
        let mut parts: libc::tm = std::mem::zeroed();
        libc::gmtime_r(&raw const seconds, &raw mut parts);
        parts
    };
    format!("{} UTC", date(&parts, ' '))
}

fn date(parts: &libc::tm, between: char) -> String {
    let (year, month, day) = (parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
    format!("{year:04}-{month:02}-{day:02}{between}{:02}:{:02}:{:02}", parts.tm_hour, parts.tm_min, parts.tm_sec)
}

fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    now.as_secs().cast_signed()
}

fn local(seconds: i64) -> libc::tm {
    // SAFETY: tm is plain data, for which all zeroes is a value; both pointers are valid for the call.
    unsafe {
        let mut parts: libc::tm = std::mem::zeroed();
        libc::localtime_r(&raw const seconds, &raw mut parts);
        parts
    }
}

#[cfg(all(test, feature = "tool"))]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_as_its_date() {
        for (seconds, date) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (951_868_800, "2000-03-01 00:00:00 UTC"),
            (1_735_689_599, "2024-12-31 23:59:59 UTC"),
            (1_709_164_800, "2024-02-29 00:00:00 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(utc(seconds), date);
        }
    }
}
