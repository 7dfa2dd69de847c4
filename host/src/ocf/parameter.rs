//! Values of parameters: from what the operator wrote to the canonical form that plugin and policy see.

use std::collections::BTreeMap;

use super::description::{Description, Kind, Parameter};

/// Canonical values by name: what was set, else the default. A parameter that is optional and not set is absent.
pub type Parameters = BTreeMap<String, String>;

/// What Pacemaker and the tracing convention set besides the parameters of an agent: no agent can have one of these.
pub const OF_THE_CLUSTER: [&str; 6] =
    ["crm_feature_set", "pcmk_external_ip", "trace_ra", "trace_file", "trace_dir", "OCF_CHECK_LEVEL"];

/// A value that cannot be used. Wrong on every node, since the metadata says so.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrong(pub String);

/// Checks what was set against the declarations. Undeclared names are not looked at.
///
/// # Errors
/// The first required parameter that is missing, or value that does not fit its type.
pub fn check(
    description: &Description,
    given: &BTreeMap<String, String>,
    garbled: &[String],
) -> Result<Parameters, Wrong> {
    let mut values = Parameters::new();
    for parameter in &description.parameters {
        let name = &parameter.name;
        if garbled.contains(name) {
            return Err(Wrong(format!("parameter {name}: its value is not UTF-8; set it anew")));
        }
        match given.get(name) {
            // An empty value means "not set" to every tool that edits a cluster, but for text it can be meant.
            Some(value) if !value.is_empty() || parameter.kind == Kind::Text && !parameter.required => {
                values.insert(name.clone(), canonical(parameter, value)?);
            }
            _ if parameter.required => {
                return Err(Wrong(format!("parameter {name} is required and not set")));
            }
            _ => {
                if let Some(default) = &parameter.default {
                    values.insert(name.clone(), canonical(parameter, default)?);
                }
            }
        }
    }
    Ok(values)
}

/// Returns the canonical form: `true`/`false`, decimal numbers, durations in milliseconds, sizes in bytes, text as it is.
fn canonical(parameter: &Parameter, value: &str) -> Result<String, Wrong> {
    let wrong = |what: &str| {
        let shown = if parameter.is_secret() { "its value" } else { value };
        Wrong(format!("parameter {}: {shown} is not {what}", parameter.name))
    };
    match &parameter.kind {
        Kind::Text => Ok(value.to_owned()),
        Kind::Integer { min, max } => {
            let number: i64 = value.parse().map_err(|_| wrong("a decimal number"))?;
            if min.is_some_and(|min| number < min) || max.is_some_and(|max| number > max) {
                let bound = |b: &Option<i64>, none: &str| b.map_or(none.to_owned(), |b| b.to_string());
                return Err(wrong(&format!("between {} and {}", bound(min, "any"), bound(max, "any"))));
            }
            Ok(number.to_string())
        }
        Kind::Boolean => boolean(value).map(|b| b.to_string()).ok_or_else(|| wrong("true or false")),
        Kind::Duration => {
            duration_ms(value).map(|ms| ms.to_string()).ok_or_else(|| wrong("a duration such as 90s or 2min"))
        }
        Kind::Size => {
            size_bytes(value).map(|bytes| bytes.to_string()).ok_or_else(|| wrong("a size such as 4096, 64KiB or 2GiB"))
        }
        Kind::Port => match value.parse::<u16>() {
            Ok(port) if port > 0 => Ok(port.to_string()),
            _ => Err(wrong("a port, 1-65535")),
        },
        Kind::Select(options) if options.iter().any(|o| o == value) => Ok(value.to_owned()),
        Kind::Select(options) => Err(wrong(&format!("one of {}", options.join(", ")))),
    }
}

/// Reads a boolean by the list of the shell library's `ocf_is_true`, and its counterparts for false.
pub fn boolean(word: &str) -> Option<bool> {
    match word {
        "yes" | "true" | "1" | "YES" | "TRUE" | "True" | "ja" | "on" | "ON" => Some(true),
        "no" | "false" | "0" | "NO" | "FALSE" | "False" | "nein" | "off" | "OFF" => Some(false),
        _ => None,
    }
}

/// Reads a span of time as Pacemaker does: a decimal number and a unit, seconds without one.
pub fn duration_ms(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit.trim() {
        "ms" | "msec" => 1,
        "" | "s" | "sec" => 1_000,
        "m" | "min" => 60_000,
        "h" | "hr" => 3_600_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// Reads an amount of bytes: a decimal number and `B`, `KiB`, `MiB`, `GiB` or `TiB`, bytes without a unit. Not `K` or
/// `MB`, which mean 1,000 to some and 1,024 to others. At most what fits into 63 bits.
pub fn size_bytes(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor: u64 = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor).filter(|bytes| i64::try_from(*bytes).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ocf::description::{AgentName, Exports};

    fn one(kind: Kind, required: bool, default: Option<&str>) -> Description {
        let parameter = Parameter {
            name: "p".into(),
            kind,
            required,
            default: default.map(Into::into),
            unique: None,
            reloadable: false,
            short: String::new(),
            long: String::new(),
            deprecated: None,
        };
        Description {
            name: AgentName::parse("a/b").unwrap(),
            version: "1".into(),
            short: String::new(),
            long: String::new(),
            interval_ms: 0,
            timeouts: vec![],
            monitors: vec![],
            parameters: vec![parameter],
            exports: Exports::default(),
        }
    }

    fn checked(kind: Kind, value: &str) -> Result<Option<String>, Wrong> {
        let given = BTreeMap::from([("p".to_owned(), value.to_owned())]);
        check(&one(kind, false, None), &given, &[]).map(|mut v| v.remove("p"))
    }

    #[test]
    fn values_become_canonical() {
        assert_eq!(checked(Kind::Boolean, "ja"), Ok(Some("true".into())));
        assert_eq!(checked(Kind::Duration, "2min"), Ok(Some("120000".into())));
        assert_eq!(checked(Kind::Size, "64KiB"), Ok(Some("65536".into())));
        assert_eq!(checked(Kind::Size, "0"), Ok(Some("0".into())));
        assert_eq!(checked(Kind::Integer { min: None, max: None }, "007"), Ok(Some("7".into())));
        assert_eq!(checked(Kind::Port, "080"), Ok(Some("80".into())));
        assert_eq!(checked(Kind::Text, ""), Ok(Some(String::new())));
        assert_eq!(checked(Kind::Port, ""), Ok(None));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (kind, value, says) in [
            (Kind::Port, "0", "parameter p: 0 is not a port, 1-65535"),
            (Kind::Port, "65536", "parameter p: 65536 is not a port, 1-65535"),
            (Kind::Integer { min: Some(1), max: Some(3) }, "4", "parameter p: 4 is not between 1 and 3"),
            (Kind::Size, "64MB", "parameter p: 64MB is not a size such as 4096, 64KiB or 2GiB"),
            (Kind::Size, "8388608TiB", "parameter p: 8388608TiB is not a size such as 4096, 64KiB or 2GiB"),
            (Kind::Boolean, "maybe", "parameter p: maybe is not true or false"),
            (Kind::Select(vec!["a".into(), "b".into()]), "c", "parameter p: c is not one of a, b"),
        ] {
            assert_eq!(checked(kind, value), Err(Wrong(says.into())));
        }
    }

    /// What the fakes of the SDK, and its macros, read values with.
    mod of_the_sdk {
        include!(concat!(env!("CARGO_MANIFEST_DIR"), "/../guest-sdk/src/canonical.rs"));
    }

    #[test]
    fn the_sdk_reads_as_the_host_does() {
        let numbers = ["", "0", "1", "007", "-1", "90", "65535", "65536", "8388607", "8388608", "18446744073709551615"];
        let units =
            ["", "ms", "msec", "s", " s", "sec", "m", "min", "h", "hr", "d", "B", "K", "KiB", "MiB", "GiB", "TiB"];
        let words = "true TRUE True tRUE yes YES Yes ja on ON 1 false FALSE False no NO nein off OFF Off maybe";
        let texts = numbers.iter().flat_map(|n| units.iter().map(move |u| format!("{n}{u}")));
        for text in texts.chain(words.split(' ').map(str::to_owned)) {
            assert_eq!(of_the_sdk::boolean(&text), boolean(&text), "{text}");
            assert_eq!(of_the_sdk::duration_ms(&text), duration_ms(&text), "{text}");
            assert_eq!(of_the_sdk::size_bytes(&text), size_bytes(&text), "{text}");
            let is = |kind| checked(kind, &text).ok().flatten();
            assert_eq!(of_the_sdk::port(&text).map(|n| n.to_string()), is(Kind::Port), "{text}");
            let integer = is(Kind::Integer { min: None, max: None });
            assert_eq!(of_the_sdk::integer(&text).map(|n| n.to_string()), integer, "{text}");
        }
    }

    #[test]
    fn a_required_one_must_be_set() {
        let missing = check(&one(Kind::Text, true, None), &BTreeMap::new(), &[]);
        assert_eq!(missing, Err(Wrong("parameter p is required and not set".into())));
    }

    #[test]
    fn a_default_fills_in() {
        let values = check(&one(Kind::Port, false, Some("5678")), &BTreeMap::new(), &[]).unwrap();
        assert_eq!(values["p"], "5678");
    }
}
