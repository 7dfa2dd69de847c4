//! Strict reading of TOML: each key is asked for by name, and what was not asked for is a mistake.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::diagnostic::Diagnostic;
use super::key::{FILE, Table};
use super::mistake::Mistake;

/// The result of reading one thing.
pub(super) type Read<T> = Result<T, Diagnostic>;

/// Where the text comes from.
#[derive(Clone, Copy)]
pub(super) struct Source<'s> {
    text: &'s str,
    path: &'s Path,
}

/// What a value is the value of.
#[derive(Clone, Copy)]
struct Of {
    table: &'static Table,
    /// Empty for the table itself.
    key: &'static str,
}

impl Source<'_> {
    #[track_caller]
    fn wrong(self, span: Range<usize>, of: Of, mistake: &Mistake) -> Diagnostic {
        Diagnostic::new(self.path, self.text, span, mistake, of.table, of.key)
    }
}

/// A table that is being read.
pub(super) struct Reader<'s, 't> {
    source: Source<'s>,
    table: &'t DeTable<'s>,
    known: &'static Table,
    /// What the table is the value of.
    of: Of,
    span: Range<usize>,
    name: String,
}

/// A value with its place.
pub(super) struct Value<'s, 't> {
    source: Source<'s>,
    value: &'t DeValue<'s>,
    of: Of,
    span: Range<usize>,
}

/// Reads a whole file with `read`, then refuses what is left over.
pub(super) fn whole<T>(text: &str, path: &Path, read: impl FnOnce(&mut Reader<'_, '_>) -> Read<T>) -> Read<T> {
    let source = Source { text, path };
    let of = Of { table: &FILE, key: "" };
    let table = DeTable::parse(text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        let what = error.message().lines().next().unwrap_or("this is not TOML").to_owned();
        if what == "duplicate key" {
            let key = text.get(span.clone()).unwrap_or_default().to_owned();
            return source.wrong(span, of, &Mistake::Duplicate(key));
        }
        source.wrong(span, of, &Mistake::Syntax(what))
    })?;
    read_table(source, table.get_ref(), 0..0, (String::new(), &FILE, of), read)
}

fn read_table<'s, 't, T>(
    source: Source<'s>,
    table: &'t DeTable<'s>,
    span: Range<usize>,
    (name, known, of): (String, &'static Table, Of),
    read: impl FnOnce(&mut Reader<'s, 't>) -> Read<T>,
) -> Read<T> {
    // An unknown key explains a missing one, so it is named first.
    for (key, _) in table {
        let word: &str = key.get_ref();
        if !known.knows(word) {
            let of = Of { table: known, key: "" };
            return Err(source.wrong(key.span(), of, &Mistake::UnknownKey(word.to_owned())));
        }
    }
    read(&mut Reader { source, table, known, of, span, name })
}

impl<'s, 't> Reader<'s, 't> {
    fn get(&self, key: &'static str) -> Option<Value<'s, 't>> {
        debug_assert!(self.known.knows(key), "{key} is read and not declared in {}", self.known.name);
        let value = self.table.get(key)?;
        let of = Of { table: self.known, key };
        Some(Value { source: self.source, value: value.get_ref(), of, span: value.span() })
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
                let of = Of { table: self.known, key };
                Err(self.source.wrong(self.span.clone(), of, &Mistake::Missing(key, place)))
            }
        }
    }

    /// Reads a number that must be there and have one value.
    pub(super) fn literal(&self, key: &'static str, expected: i64) -> Read<()> {
        self.required(key, |value| match value.value.as_integer() {
            Some(number) if number.as_str() == expected.to_string() => Ok(()),
            _ => Err(value.wrong(&Mistake::Format)),
        })
    }

    /// Reads a table if it is there.
    pub(super) fn table<T>(
        &self,
        key: &'static str,
        known: &'static Table,
        read: impl FnOnce(&mut Reader<'s, 't>) -> Read<T>,
    ) -> Read<Option<T>> {
        self.optional(key, |value| value.table(known, read))
    }

    /// The label of a table that [`Self::labelled`] reads.
    pub(super) fn label(&self) -> &str {
        self.name.trim_end_matches(']').rsplit('.').next().unwrap_or_default()
    }

    /// Reads a table of tables whose keys are labels. What is read as none is left out.
    pub(super) fn labelled<T>(
        &self,
        key: &'static str,
        known: &'static Table,
        read: impl Fn(&mut Reader<'s, 't>) -> Read<Option<T>>,
    ) -> Read<BTreeMap<String, T>> {
        let Some(value) = self.get(key) else { return Ok(BTreeMap::new()) };
        let Some(table) = value.value.as_table() else {
            return Err(value.wrong(&Mistake::NotLabels(key)));
        };
        let mut bound = BTreeMap::new();
        for (label, inner) in table {
            let name: &str = label.get_ref();
            if !crate::store::is_label(name) {
                return Err(self.source.wrong(label.span(), value.of, &Mistake::Label(name.to_owned())));
            }
            let Some(inner) = inner.get_ref().as_table() else {
                return Err(self.source.wrong(inner.span(), value.of, &Mistake::LabelNotTable(key, name.to_owned())));
            };
            let place = (format!("[{key}.{name}]"), known, value.of);
            if let Some(value) = read_table(self.source, inner, label.span(), place, &read)? {
                bound.insert(name.to_owned(), value);
            }
        }
        Ok(bound)
    }

    /// Refuses a key that is there although the program has another lifetime than it is for.
    pub(super) fn only_for(&self, lifetime: &'static str, keys: &[&'static str]) -> Read<()> {
        self.refuse(keys, |key| Mistake::OtherLifetime(key, lifetime))
    }

    /// Refuses keys that are there although what else is there rules them out.
    pub(super) fn refuse(&self, keys: &[&'static str], found: impl Fn(&'static str) -> Mistake) -> Read<()> {
        for key in keys {
            if let Some(value) = self.get(key) {
                return Err(value.wrong(&found(key)));
            }
        }
        Ok(())
    }

    /// Makes a diagnostic for the whole table.
    #[track_caller]
    pub(super) fn wrong(&self, mistake: &Mistake) -> Diagnostic {
        self.source.wrong(self.span.clone(), self.of, mistake)
    }

    /// All keys with their values, where any word may be a key.
    pub(super) fn entries(&self) -> Vec<(&'t str, Range<usize>, Value<'s, 't>)> {
        self.table
            .iter()
            .map(|(key, value)| {
                let value = Value { source: self.source, value: value.get_ref(), of: self.of, span: value.span() };
                (&**key.get_ref(), key.span(), value)
            })
            .collect()
    }
}

impl<'s, 't> Value<'s, 't> {
    #[track_caller]
    pub(super) fn wrong(&self, mistake: &Mistake) -> Diagnostic {
        self.source.wrong(self.span.clone(), self.of, mistake)
    }

    #[track_caller]
    pub(super) fn wrong_at(&self, span: Range<usize>, mistake: &Mistake) -> Diagnostic {
        self.source.wrong(span, self.of, mistake)
    }

    pub(super) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    pub(super) fn is_array(&self) -> bool {
        self.value.is_array()
    }

    pub(super) fn string(&self) -> Read<&'t str> {
        match self.value.as_str() {
            Some(text) if text.contains('\0') => Err(self.wrong(&Mistake::Nul)),
            Some(text) => Ok(text),
            None => Err(self.unexpected("a string")),
        }
    }

    pub(super) fn boolean(&self) -> Read<bool> {
        self.value.as_bool().ok_or_else(|| self.unexpected("true or false"))
    }

    pub(super) fn integer(&self, min: i64, max: i64) -> Read<i64> {
        let number = self.value.as_integer().ok_or_else(|| self.unexpected("a number"))?;
        match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) if (min..=max).contains(&number) => Ok(number),
            _ => Err(self.wrong(&Mistake::OutOfRange(min, max))),
        }
    }

    pub(super) fn array(&self) -> Read<Vec<Value<'s, 't>>> {
        let items = self.value.as_array().ok_or_else(|| self.unexpected("a list"))?;
        let item = |v: &'t toml::Spanned<DeValue<'s>>| Value { value: v.get_ref(), span: v.span(), ..*self };
        Ok(items.iter().map(item).collect())
    }

    /// Reads a list that has something in it.
    pub(super) fn some(&self, empty: &Mistake) -> Read<Vec<Value<'s, 't>>> {
        let items = self.array()?;
        if items.is_empty() { Err(self.wrong(empty)) } else { Ok(items) }
    }

    /// Reads a string, or a list of strings.
    pub(super) fn strings(&self, empty: &Mistake) -> Read<Vec<Value<'s, 't>>> {
        if self.is_array() { self.some(empty) } else { Ok(vec![Value { span: self.span.clone(), ..*self }]) }
    }

    pub(super) fn table<T>(&self, known: &'static Table, read: impl FnOnce(&mut Reader<'s, 't>) -> Read<T>) -> Read<T> {
        let table = self.value.as_table().ok_or_else(|| self.unexpected("a table"))?;
        let name = if known.name.starts_with('[') { known.name.to_owned() } else { format!("`{}`", self.of.key) };
        read_table(self.source, table, self.span.clone(), (name, known, self.of), read)
    }

    /// Reads a table whose keys may be any words.
    pub(super) fn open_table<T>(&self, read: impl FnOnce(&Reader<'s, 't>) -> Read<T>) -> Read<T> {
        let table = self.value.as_table().ok_or_else(|| self.unexpected("a table"))?;
        let (known, of, span) = (self.of.table, self.of, self.span.clone());
        read(&Reader { source: self.source, table, known, of, span, name: String::new() })
    }

    fn unexpected(&self, what: &'static str) -> Diagnostic {
        let found = match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a datetime",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        self.wrong(&Mistake::WrongType(what, found))
    }
}
