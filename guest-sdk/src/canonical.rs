// The text forms of parameter values. Compiled into the macros, which check defaults, and into the fakes, which stand
// in for the host: so both follow one set of rules, which is the host's.

/// `true` or `false`, from what the shell library of the agents takes for them.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "yes" | "true" | "1" | "YES" | "TRUE" | "True" | "ja" | "on" | "ON" => Some(true),
        "no" | "false" | "0" | "NO" | "FALSE" | "False" | "nein" | "off" | "OFF" => Some(false),
        _ => None,
    }
}

/// A decimal integer.
pub(crate) fn integer(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// A TCP or UDP port that can be listened on.
pub(crate) fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port != 0)
}

/// Milliseconds, from a number with `ms`, `s`, `min`, `h` or nothing behind it; nothing means seconds.
pub(crate) fn duration_ms(text: &str) -> Option<u64> {
    let (number, unit) = with_unit(text);
    let factor = match unit {
        "ms" | "msec" => 1,
        "" | "s" | "sec" => 1_000,
        "m" | "min" => 60_000,
        "h" | "hr" => 3_600_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// Bytes, from a number with `B`, `KiB`, `MiB`, `GiB`, `TiB` or nothing behind it; nothing means bytes.
pub(crate) fn size_bytes(text: &str) -> Option<u64> {
    let (number, unit) = with_unit(text);
    let factor = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1_u64 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor).filter(|bytes| i64::try_from(*bytes).is_ok())
}

/// The digits at the front, and what stands behind them without the blanks between.
fn with_unit(text: &str) -> (&str, &str) {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    (number, unit.trim())
}
