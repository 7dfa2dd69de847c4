//! Time.
use core::time::Duration;

use crate::error::{About, Error};
use crate::host::clock as host;

/// The longest wait of one call to the host.
const LONGEST_MS: u32 = 60_000;

/// Waits.
///
/// # Errors
/// `TimedOut` if the deadline of the action comes first: at the deadline.
///
/// ```
/// use std::time::Duration;
/// # ocf_agent::fake::Node::new().install();
/// ocf_agent::clock::sleep(Duration::from_secs(2))?;
/// # Ok::<(), ocf_agent::Error>(())
/// ```
pub fn sleep(duration: Duration) -> Result<(), Error> {
    let mut left_ms = duration.as_millis();
    while left_ms > 0 {
        let step_ms = u32::try_from(left_ms).map_or(LONGEST_MS, |ms| ms.min(LONGEST_MS));
        host::sleep_ms(step_ms).about(|| "sleep".into())?;
        left_ms -= u128::from(step_ms);
    }
    Ok(())
}

/// A clock that only goes forward. Its zero means nothing: use differences.
///
/// ```
/// use std::time::Duration;
/// # ocf_agent::fake::Node::new().install();
/// let begin = ocf_agent::clock::monotonic();
/// ocf_agent::clock::sleep(Duration::from_secs(2))?;
/// assert!(ocf_agent::clock::monotonic() - begin >= Duration::from_secs(2));
/// # Ok::<(), ocf_agent::Error>(())
/// ```
pub fn monotonic() -> Duration {
    Duration::from_millis(host::monotonic_ms())
}

/// The time of day as this node sees it, since 1970-01-01 00:00 UTC; zero before that. May jump: do not measure with
/// it.
///
/// ```
/// # ocf_agent::fake::Node::new().install();
/// let now = std::time::UNIX_EPOCH + ocf_agent::clock::wall();
/// assert!(now >= std::time::UNIX_EPOCH);
/// ```
pub fn wall() -> Duration {
    let wall = host::wall();
    u64::try_from(wall.seconds).map_or(Duration::ZERO, |seconds| Duration::new(seconds, wall.nanoseconds))
}
