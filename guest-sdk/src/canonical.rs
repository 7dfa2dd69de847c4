// The text forms of parameter values. Compiled into the macros, which check defaults, and into the fakes, which stand
// in for the host: so both follow one set of rules.

/// `true` or `false`, from what clusters write for them.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
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

/// Milliseconds, from a number with `ms`, `s`, `m`, `h` or nothing behind it; nothing means seconds.
pub(crate) fn duration_ms(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}
