//! Values of the WIT's types as JSON that people read and change, and back.
//!
//! Any type that serde knows: names in kebab-case as in the WIT, whatever Rust calls them; a list of bytes as
//! `{"text": ".."}` where it is UTF-8 and as `{"hex": ".."}` elsewhere. Of an empty list nobody can tell what it would
//! hold: it is `[]`. What must never enter here: anything about one certain type.

mod reader;
mod writer;

use std::fmt;

use serde::de::{self, DeserializeOwned};
use serde::ser::{self, Serialize};
use serde_json::Value;

use reader::Reader;
use writer::Writer;

/// Returns a value as JSON.
pub fn shown<T: Serialize + ?Sized>(value: &T) -> Value {
    // Only what no type of the WIT has is refused: maps whose keys are no strings, and 128 bits.
    value.serialize(Writer).map_or(Value::Null, writer::Piece::whole)
}

/// Reads a value from JSON.
///
/// # Errors
/// What does not fit the type.
pub fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Unreadable> {
    T::deserialize(Reader(value))
}

/// A name of Rust as the WIT spells it: `age_ms` and `AgeMs` are both `age-ms`.
pub fn kebab(name: &str) -> String {
    let mut spelt = String::with_capacity(name.len() + 4);
    for c in name.trim_end_matches('_').chars() {
        match c {
            '_' => spelt.push('-'),
            c if c.is_ascii_uppercase() => {
                if !spelt.is_empty() {
                    spelt.push('-');
                }
                spelt.push(c.to_ascii_lowercase());
            }
            c => spelt.push(c),
        }
    }
    spelt
}

/// Why a value does not fit a type.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable(pub String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreadable {}

impl ser::Error for Unreadable {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }
}

impl de::Error for Unreadable {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::{Deserialize, Serialize};
    use serde_json::json;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Ended {
        Exited(u8),
        TimedOut,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Told {
        age_ms: Option<u64>,
        ended: Option<Ended>,
        said: Vec<u8>,
        lines: Vec<Vec<u8>>,
        numbers: Vec<u32>,
        r#type: i64,
    }

    fn told() -> Told {
        Told {
            age_ms: Some(7),
            ended: Some(Ended::Exited(3)),
            said: b"Hello!\n".to_vec(),
            lines: vec![vec![0xff, 0x0a], vec![]],
            numbers: vec![1, 2],
            r#type: -1,
        }
    }

    #[test]
    fn a_value_looks_as_the_wit_spells_it_and_is_the_same_when_it_is_read() {
        let answer: Result<Told, Ended> = Ok(told());
        let expected = json!({ "ok": {
            "age-ms": 7, "ended": { "exited": 3 }, "said": { "text": "Hello!\n" },
            "lines": [{ "hex": "ff0a" }, []], "numbers": [1, 2], "type": -1,
        } });
        assert_eq!(shown(&answer), expected);
        assert_eq!(read::<Result<Told, Ended>>(&expected), Ok(answer));
        for answer in [Err(Ended::TimedOut), Ok(None), Ok(Some(vec![])), Ok(Some(vec![0]))] {
            let answer: Result<Option<Vec<u8>>, Ended> = answer;
            assert_eq!(read(&shown(&answer)), Ok(answer.clone()), "{}", shown(&answer));
        }
        assert_eq!(shown(&Ok::<(), Ended>(())), json!({ "ok": null }));
        assert_eq!(shown(&Err::<(), _>(Ended::TimedOut)), json!({ "err": "timed-out" }));
    }

    #[test]
    fn a_text_may_be_written_for_bytes_that_were_none() {
        assert_eq!(read::<Vec<u8>>(&json!({ "text": "" })), Ok(vec![]));
        assert_eq!(read::<Vec<u8>>(&json!({ "hex": "4F6b" })), Ok(b"Ok".to_vec()));
        assert_eq!(read::<Vec<u8>>(&json!([79, 107])), Ok(b"Ok".to_vec()));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let whole = shown(&told());
        for (key, value, says) in [
            ("age-ms", json!("old"), "age-ms: invalid type: string \"old\""),
            ("ended", json!({ "exitd": 3 }), "ended: `exitd` is none of exited, timed-out"),
            ("ended", json!(3), "ended: one of exited, timed-out is wanted, not 3"),
            ("ended", json!({ "exited": 300 }), "ended: invalid value: integer `300`"),
            ("ended", json!({ "timed-out": 1 }), "ended: 1 where nothing is wanted"),
            ("said", json!({ "txt": "" }), "said: an object where bytes are wanted"),
            ("said", json!({ "hex": "abc" }), "said: no pairs of hex digits"),
            ("said", json!({ "hex": "zz" }), "said: no pairs of hex digits"),
            ("saids", json!([]), "`saids` is none of age-ms, "),
        ] {
            let mut changed = whole.clone();
            changed[key] = value;
            let error = read::<Told>(&changed).unwrap_err().0;
            assert!(error.starts_with(says), "`{says}`: {error}");
        }
        assert!(read::<Told>(&json!([])).unwrap_err().0.starts_with("an object of age-ms, ended"));
        assert!(read::<Told>(&json!({})).unwrap_err().0.contains("missing field"));
    }

    #[test]
    fn names_are_spelt_as_in_the_wit() {
        for (rust, wit) in [("age_ms", "age-ms"), ("TimedOut", "timed-out"), ("type_", "type"), ("Usr1", "usr1")] {
            assert_eq!(kebab(rust), wit);
        }
    }
}
