//! From a type to JSON.

use serde::ser::{self, Serialize};
use serde_json::{Map, Value};

use super::{Unreadable, kebab};

/// What was written: bytes are remembered as such until the list around them ends.
pub(super) enum Piece {
    Byte(u8),
    Value(Value),
}

impl Piece {
    pub(super) fn whole(self) -> Value {
        match self {
            Self::Byte(byte) => byte.into(),
            Self::Value(value) => value,
        }
    }
}

/// A list of bytes.
fn of_bytes(bytes: &[u8]) -> Value {
    let (key, text) = match std::str::from_utf8(bytes) {
        Ok(text) => ("text", text.to_owned()),
        Err(_) => ("hex", bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
    };
    Value::Object(Map::from_iter([(key.to_owned(), Value::String(text))]))
}

pub(super) struct Writer;

/// A list that is being written.
pub(super) struct List(Vec<Piece>);

/// An object that is being written, and the variant that it belongs to.
pub(super) struct Object {
    entries: Map<String, Value>,
    variant: Option<String>,
}

impl Object {
    fn finish(self) -> Piece {
        let whole = Value::Object(self.entries);
        Piece::Value(match self.variant {
            Some(variant) => Value::Object(Map::from_iter([(variant, whole)])),
            None => whole,
        })
    }
}

type Written = Result<Piece, Unreadable>;

fn plain(value: impl Into<Value>) -> Written {
    Ok(Piece::Value(value.into()))
}

macro_rules! write_plain {
    ($($function:ident: $Type:ty),*) => { $(
        fn $function(self, value: $Type) -> Written {
            plain(value)
        }
    )* };
}

impl ser::Serializer for Writer {
    type Ok = Piece;
    type Error = Unreadable;
    type SerializeSeq = List;
    type SerializeTuple = List;
    type SerializeTupleStruct = List;
    type SerializeTupleVariant = ser::Impossible<Piece, Unreadable>;
    type SerializeMap = ser::Impossible<Piece, Unreadable>;
    type SerializeStruct = Object;
    type SerializeStructVariant = Object;

    write_plain! {
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_f32: f32, serialize_f64: f64,
        serialize_str: &str
    }
    fn serialize_u8(self, value: u8) -> Written {
        Ok(Piece::Byte(value))
    }
    fn serialize_char(self, value: char) -> Written {
        plain(value.to_string())
    }
    fn serialize_bytes(self, value: &[u8]) -> Written {
        plain(of_bytes(value))
    }
    fn serialize_none(self) -> Written {
        plain(Value::Null)
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Written {
        plain(Value::Null)
    }
    fn serialize_unit_struct(self, _: &'static str) -> Written {
        plain(Value::Null)
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Written {
        plain(kebab(variant))
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Written {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Written {
        let inner = value.serialize(Self)?.whole();
        plain(Value::Object(Map::from_iter([(kebab(variant), inner)])))
    }
    fn serialize_seq(self, length: Option<usize>) -> Result<List, Unreadable> {
        Ok(List(Vec::with_capacity(length.unwrap_or(0))))
    }
    fn serialize_tuple(self, length: usize) -> Result<List, Unreadable> {
        self.serialize_seq(Some(length))
    }
    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Result<List, Unreadable> {
        self.serialize_seq(Some(length))
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Unreadable> {
        Err(ser::Error::custom(format!("{variant}: the WIT has no variants of several values")))
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Unreadable> {
        Err(ser::Error::custom("the WIT has no maps"))
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Object, Unreadable> {
        Ok(Object { entries: Map::new(), variant: None })
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Object, Unreadable> {
        Ok(Object { entries: Map::new(), variant: Some(kebab(variant)) })
    }
}

impl List {
    fn add<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unreadable> {
        self.0.push(value.serialize(Writer)?);
        Ok(())
    }

    fn finish(self) -> Piece {
        let bytes: Option<Vec<u8>> =
            self.0.iter().map(|p| if let Piece::Byte(b) = p { Some(*b) } else { None }).collect();
        Piece::Value(match bytes {
            Some(bytes) if !bytes.is_empty() => of_bytes(&bytes),
            _ => Value::Array(self.0.into_iter().map(Piece::whole).collect()),
        })
    }
}

macro_rules! write_list {
    ($($Trait:ident $function:ident),*) => { $(
        impl ser::$Trait for List {
            type Ok = Piece;
            type Error = Unreadable;
            fn $function<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unreadable> {
                self.add(value)
            }
            fn end(self) -> Written {
                Ok(self.finish())
            }
        }
    )* };
}
write_list!(SerializeSeq serialize_element, SerializeTuple serialize_element, SerializeTupleStruct serialize_field);

macro_rules! write_object {
    ($($Trait:ident),*) => { $(
        impl ser::$Trait for Object {
            type Ok = Piece;
            type Error = Unreadable;
            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Unreadable> {
                let value = value.serialize(Writer)?.whole();
                self.entries.insert(kebab(name), value);
                Ok(())
            }
            fn end(self) -> Written {
                Ok(self.finish())
            }
        }
    )* };
}
write_object!(SerializeStruct, SerializeStructVariant);
