//! The types that a parameter can have, as the derive sees them: names of types, and what a default of each may be.
use syn::Type;

use crate::canonical;

/// The types a parameter can have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Boolean,
    /// With the limits of the Rust type, where the host's 64 signed bits do not imply them.
    Integer(Option<i64>, Option<i64>),
    Duration,
    Size,
    Port,
    /// Something else: then it has to be a `Choice`, which the compiler checks.
    Select,
}

impl Kind {
    pub(crate) fn of(value_type: &Type) -> Self {
        let Type::Path(path) = value_type else { return Self::Select };
        let Some(last) = path.path.segments.last() else { return Self::Select };
        match last.ident.to_string().as_str() {
            "String" => Self::Text,
            "bool" => Self::Boolean,
            "i8" => Self::Integer(Some(i8::MIN.into()), Some(i8::MAX.into())),
            "i16" => Self::Integer(Some(i16::MIN.into()), Some(i16::MAX.into())),
            "i32" => Self::Integer(Some(i32::MIN.into()), Some(i32::MAX.into())),
            "i64" => Self::Integer(None, None),
            "u8" => Self::Integer(Some(0), Some(u8::MAX.into())),
            "u16" => Self::Integer(Some(0), Some(u16::MAX.into())),
            "u32" => Self::Integer(Some(0), Some(u32::MAX.into())),
            "u64" => Self::Integer(Some(0), None),
            "Duration" => Self::Duration,
            "Size" => Self::Size,
            "Port" => Self::Port,
            _ => Self::Select,
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Boolean => "boolean",
            Self::Integer(..) => "integer",
            Self::Duration => "duration",
            Self::Size => "size",
            Self::Port => "port",
            Self::Select => "select",
        }
    }
}

/// The default in canonical form; a time or size stays as the operator would write it.
pub(crate) fn canonical_default(
    kind: Kind,
    text: &str,
    min: Option<i64>,
    max: Option<i64>,
) -> Result<String, &'static str> {
    match kind {
        Kind::Text | Kind::Select => Ok(text.to_owned()),
        Kind::Boolean => canonical::boolean(text).map(|b| b.to_string()).ok_or("the default is neither true nor false"),
        Kind::Integer(..) => {
            let number = canonical::integer(text).ok_or("the default is not an integer")?;
            if min.is_some_and(|min| number < min) || max.is_some_and(|max| number > max) {
                return Err("the default is outside of what the type, min and max allow");
            }
            Ok(number.to_string())
        }
        Kind::Duration => canonical::duration_ms(text)
            .map(|_| text.to_owned())
            .ok_or("the default is not a time: a number and ms, s, min or h, such as \"10s\""),
        Kind::Size => canonical::size_bytes(text)
            .map(|_| text.to_owned())
            .ok_or("the default is not a size: a number and KiB, MiB, GiB or TiB, such as \"64MiB\""),
        Kind::Port => canonical::port(text).map(|port| port.to_string()).ok_or("the default is not a port, 1-65535"),
    }
}
