//! From JSON to a type.

use serde::de::{self, DeserializeSeed, IntoDeserializer as _};
use serde_json::{Map, Value};

use super::{Unreadable, kebab};

/// The bytes of `{"text": ".."}` or `{"hex": ".."}`.
fn to_bytes(object: &Map<String, Value>) -> Result<Vec<u8>, Unreadable> {
    let wrong = |what: &str| Unreadable(format!("{what}; bytes are {{\"text\": \"..\"}} or {{\"hex\": \"..\"}}"));
    let mut entries = object.iter();
    match (entries.next(), entries.next()) {
        (Some((key, Value::String(text))), None) if key == "text" => Ok(text.clone().into_bytes()),
        (Some((key, Value::String(text))), None) if key == "hex" => {
            let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
            let digits =
                digits.filter(|digits| digits.len() % 2 == 0).ok_or_else(|| wrong("no pairs of hex digits"))?;
            Ok(digits.chunks(2).filter_map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok()).collect())
        }
        _ => Err(wrong("an object where bytes are wanted")),
    }
}

#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a Value);

/// The name among `known` that the WIT spells so.
fn known(spelt: &str, known: &'static [&'static str]) -> Result<&'static str, Unreadable> {
    known.iter().find(|name| kebab(name) == spelt).copied().ok_or_else(|| {
        let known: Vec<String> = known.iter().map(|name| kebab(name)).collect();
        Unreadable(format!("`{spelt}` is none of {}", known.join(", ")))
    })
}

impl<'de> de::Deserializer<'de> for Reader<'_> {
    type Error = Unreadable;

    fn deserialize_any<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::String(text) => visitor.visit_str(text),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), ..) => visitor.visit_u64(number),
                (_, Some(number), _) => visitor.visit_i64(number),
                (.., Some(number)) => visitor.visit_f64(number),
                _ => Err(de::Error::custom("a number that is none")),
            },
            Value::Array(items) => visitor.visit_seq(Items(items.iter())),
            Value::Object(object) => {
                let bytes = to_bytes(object)?;
                visitor.visit_seq(de::value::SeqDeserializer::new(bytes.into_iter()))
            }
        }
    }

    fn deserialize_option<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: de::Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: de::Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        let Value::Object(object) = self.0 else {
            let fields: Vec<String> = fields.iter().map(|field| kebab(field)).collect();
            return Err(Unreadable(format!("an object of {} is wanted, not {}", fields.join(", "), self.0)));
        };
        visitor.visit_map(Fields { entries: object.iter(), fields, value: None })
    }

    fn deserialize_enum<V: de::Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        let (name, value) = match self.0 {
            Value::String(name) => (name, &Value::Null),
            Value::Object(object) if object.len() == 1 => object.iter().next().unwrap_or_else(|| unreachable!()),
            other => {
                let variants: Vec<String> = variants.iter().map(|variant| kebab(variant)).collect();
                return Err(Unreadable(format!("one of {} is wanted, not {other}", variants.join(", "))));
            }
        };
        visitor.visit_enum(Variant { name: known(name, variants)?, value })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

struct Items<'a>(std::slice::Iter<'a, Value>);

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = Unreadable;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Unreadable> {
        self.0.next().map(|value| seed.deserialize(Reader(value))).transpose()
    }
}

struct Fields<'a> {
    entries: serde_json::map::Iter<'a>,
    fields: &'static [&'static str],
    value: Option<(&'a str, &'a Value)>,
}

impl<'de> de::MapAccess<'de> for Fields<'_> {
    type Error = Unreadable;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Unreadable> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.value = Some((key, value));
        seed.deserialize(known(key, self.fields)?.into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Unreadable> {
        let (key, value) = self.value.take().unwrap_or(("", &Value::Null));
        seed.deserialize(Reader(value)).map_err(|error| Unreadable(format!("{key}: {error}")))
    }
}

struct Variant<'a> {
    name: &'static str,
    value: &'a Value,
}

impl<'de, 'a> de::EnumAccess<'de> for Variant<'a> {
    type Error = Unreadable;
    type Variant = Reader<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Reader<'a>), Unreadable> {
        let name: de::value::StrDeserializer<'_, Unreadable> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, Reader(self.value)))
    }
}

impl<'de> de::VariantAccess<'de> for Reader<'_> {
    type Error = Unreadable;

    fn unit_variant(self) -> Result<(), Unreadable> {
        if self.0.is_null() { Ok(()) } else { Err(Unreadable(format!("{} where nothing is wanted", self.0))) }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Unreadable> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: de::Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Unreadable> {
        Err(Unreadable("the WIT has no variants of several values".to_owned()))
    }

    fn struct_variant<V: de::Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        de::Deserializer::deserialize_struct(self, "", fields, visitor)
    }
}
