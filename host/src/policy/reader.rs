//! Strict reading of TOML: each key is asked for by name, and what was not asked for is a mistake.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, nearest};

/// The result of reading one thing.
pub(super) type Read<T> = Result<T, Diagnostic>;

/// Where the text comes from.
#[derive(Clone, Copy)]
pub(super) struct Source<'s> {
    text: &'s str,
    path: &'s Path,
}

impl Source<'_> {
    fn wrong(self, span: Range<usize>, message: &str, hint: Option<String>) -> Diagnostic {
        Diagnostic::new(self.path, self.text, span, message.to_owned(), hint)
    }
}

/// A table that is being read.
pub(super) struct Reader<'s, 't> {
    source: Source<'s>,
    table: &'t DeTable<'s>,
    span: Range<usize>,
    name: String,
}

/// A value with its place.
pub(super) struct Value<'s, 't> {
    source: Source<'s>,
    value: &'t DeValue<'s>,
    span: Range<usize>,
}

/// A string with its place.
pub(super) struct Text<'s, 't> {
    source: Source<'s>,
    span: Range<usize>,
    pub(super) text: &'t str,
}

impl Text<'_, '_> {
    pub(super) fn wrong(&self, message: &str) -> Diagnostic {
        self.source.wrong(self.span.clone(), message, None)
    }
}

/// Reads a whole file with `read`, then refuses what is left over.
pub(super) fn whole<T>(
    text: &str,
    path: &Path,
    known: &[&'static str],
    read: impl FnOnce(&mut Reader<'_, '_>) -> Read<T>,
) -> Read<T> {
    let source = Source { text, path };
    let table = DeTable::parse(text).map_err(|error| {
        source.wrong(error.span().unwrap_or(0..0), error.message().lines().next().unwrap_or("not TOML"), None)
    })?;
    read_table(source, table.get_ref(), 0..0, String::new(), known, read)
}

fn read_table<'s, 't, T>(
    source: Source<'s>,
    table: &'t DeTable<'s>,
    span: Range<usize>,
    name: String,
    known: &[&'static str],
    read: impl FnOnce(&mut Reader<'s, 't>) -> Read<T>,
) -> Read<T> {
    // An unknown key explains a missing one, so it is named first.
    for (key, _) in table {
        let word: &str = key.get_ref();
        if !known.contains(&word) {
            let hint = match nearest(word, known) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("known here: {}", known.join(", ")),
            };
            return Err(source.wrong(key.span(), &format!("unknown key `{word}`"), Some(hint)));
        }
    }
    read(&mut Reader { source, table, span, name })
}

impl<'s, 't> Reader<'s, 't> {
    fn get(&self, key: &'static str) -> Option<Value<'s, 't>> {
        let value = self.table.get(key)?;
        Some(Value { source: self.source, value: value.get_ref(), span: value.span() })
    }

    /// Whether a key is there.
    pub(super) fn has(&self, key: &'static str) -> bool {
        self.get(key).is_some()
    }

    /// Reads a key if it is there.
    pub(super) fn optional<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&Value<'s, 't>) -> Read<T>,
    ) -> Read<Option<T>> {
        self.get(key).map(|value| read(&value)).transpose()
    }

    /// Reads a key that must be there.
    pub(super) fn required<T>(&self, key: &'static str, read: impl FnOnce(&Value<'s, 't>) -> Read<T>) -> Read<T> {
        match self.get(key) {
            Some(value) => read(&value),
            None => {
                let place = if self.name.is_empty() { String::new() } else { format!(" in {}", self.name) };
                Err(self.wrong(&format!("`{key}` is missing{place}")))
            }
        }
    }

    /// Reads a number that must be there and have one value.
    pub(super) fn literal(&self, key: &'static str, expected: i64) -> Read<()> {
        self.required(key, |value| match value.value.as_integer() {
            Some(number) if number.as_str() == expected.to_string() => Ok(()),
            _ => Err(value.wrong(&format!("this version of ocf-wasm reads `{key} = {expected}`"))),
        })
    }

    /// Reads a table if it is there.
    pub(super) fn table<T>(
        &self,
        key: &'static str,
        known: &[&'static str],
        read: impl FnOnce(&mut Reader<'s, 't>) -> Read<T>,
    ) -> Read<Option<T>> {
        self.optional(key, |value| value.named_table(format!("[{key}]"), known, read))
    }

    /// Reads a table of tables whose keys are labels.
    pub(super) fn labelled<T>(
        &self,
        key: &'static str,
        known: &[&'static str],
        read: impl Fn(&mut Reader<'s, 't>) -> Read<T>,
    ) -> Read<BTreeMap<String, T>> {
        let Some(value) = self.get(key) else { return Ok(BTreeMap::new()) };
        let Some(table) = value.value.as_table() else {
            return Err(value.wrong(&format!("`{key}` is a table of labels: [{key}.LABEL]")));
        };
        let mut bound = BTreeMap::new();
        for (label, value) in table {
            let name: &str = label.get_ref();
            if !is_label(name) {
                return Err(self.source.wrong(label.span(), "a label is 1-64 of a-z, 0-9 and `-`", None));
            }
            let Some(inner) = value.get_ref().as_table() else {
                return Err(self.source.wrong(value.span(), &format!("[{key}.{name}] is a table"), None));
            };
            let place = format!("[{key}.{name}]");
            bound.insert(name.to_owned(), read_table(self.source, inner, label.span(), place, known, &read)?);
        }
        Ok(bound)
    }

    /// Reads a string, or a list of strings.
    pub(super) fn strings(&self, key: &'static str) -> Read<Vec<Text<'s, 't>>> {
        self.required(key, |value| match value.value.as_array() {
            Some(items) => items
                .iter()
                .map(|item| {
                    let item = Value { source: value.source, value: item.get_ref(), span: item.span() };
                    Ok(Text { source: item.source, span: item.span.clone(), text: item.string()? })
                })
                .collect(),
            None => Ok(vec![Text { source: value.source, span: value.span.clone(), text: value.string()? }]),
        })
    }

    /// Refuses a key that is there and should not be.
    pub(super) fn misplaced(&self, key: &'static str, why: &str) -> Read<()> {
        match self.get(key) {
            Some(value) => Err(value.wrong(&format!("`{key}` {why}"))),
            None => Ok(()),
        }
    }

    /// Makes a diagnostic for the whole table.
    pub(super) fn wrong(&self, message: &str) -> Diagnostic {
        self.source.wrong(self.span.clone(), message, None)
    }

    /// All keys with their values, where any word may be a key.
    pub(super) fn entries(&self) -> Vec<(&'t str, Range<usize>, Value<'s, 't>)> {
        self.table
            .iter()
            .map(|(key, value)| {
                let value = Value { source: self.source, value: value.get_ref(), span: value.span() };
                (&**key.get_ref(), key.span(), value)
            })
            .collect()
    }
}

impl<'s, 't> Value<'s, 't> {
    pub(super) fn wrong(&self, message: &str) -> Diagnostic {
        self.source.wrong(self.span.clone(), message, None)
    }

    pub(super) fn wrong_at(&self, span: Range<usize>, message: &str) -> Diagnostic {
        self.source.wrong(span, message, None)
    }

    pub(super) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    pub(super) fn is_array(&self) -> bool {
        self.value.is_array()
    }

    pub(super) fn string(&self) -> Read<&'t str> {
        match self.value.as_str() {
            Some(text) if text.contains('\0') => Err(self.wrong("a NUL cannot be passed to any program")),
            Some(text) => Ok(text),
            None => Err(self.expected("a string")),
        }
    }

    pub(super) fn boolean(&self) -> Read<bool> {
        self.value.as_bool().ok_or_else(|| self.expected("true or false"))
    }

    pub(super) fn integer(&self, min: i64, max: i64) -> Read<i64> {
        let number = self.value.as_integer().ok_or_else(|| self.expected("a number"))?;
        match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) if (min..=max).contains(&number) => Ok(number),
            _ => Err(self.wrong(&format!("a number from {min} to {max}"))),
        }
    }

    pub(super) fn array(&self) -> Read<Vec<Value<'s, 't>>> {
        let items = self.value.as_array().ok_or_else(|| self.expected("a list"))?;
        Ok(items.iter().map(|v| Value { source: self.source, value: v.get_ref(), span: v.span() }).collect())
    }

    pub(super) fn table<T>(
        &self,
        known: &[&'static str],
        read: impl FnOnce(&mut Reader<'s, 't>) -> Read<T>,
    ) -> Read<T> {
        self.named_table(String::new(), known, read)
    }

    fn named_table<T>(
        &self,
        name: String,
        known: &[&'static str],
        read: impl FnOnce(&mut Reader<'s, 't>) -> Read<T>,
    ) -> Read<T> {
        let table = self.value.as_table().ok_or_else(|| self.expected("a table"))?;
        read_table(self.source, table, self.span.clone(), name, known, read)
    }

    /// Reads a table whose keys may be any words.
    pub(super) fn open_table<T>(&self, read: impl FnOnce(&Reader<'s, 't>) -> Read<T>) -> Read<T> {
        let table = self.value.as_table().ok_or_else(|| self.expected("a table"))?;
        read(&Reader { source: self.source, table, span: self.span.clone(), name: String::new() })
    }

    fn expected(&self, what: &str) -> Diagnostic {
        self.wrong(&format!("expected {what}, found {}", article(self.value.type_str())))
    }
}

fn article(kind: &str) -> String {
    let article = if kind.starts_with(['a', 'i']) { "an" } else { "a" };
    format!("{article} {kind}")
}

/// Whether a word can be a label: 1-64 of `a`-`z`, `0`-`9`, `-`.
pub(crate) fn is_label(word: &str) -> bool {
    (1..=64).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
