//! Strict reading of TOML: each key is asked for by name, and what was not asked for is a mistake.
//!
//! Each mistake is noted where it is found. The agent's reading ends at the first; the tool's goes on with what does not
//! depend on it, and a file in which one was noted is refused whatever was read of it. What must never enter here: a
//! value in the place of one that was wrong, which anybody could act on.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::Diagnostic;
use super::key::{FILE, Table};
use super::mistake::Mistake;
use super::nearest::nearest;

/// The result of reading one thing.
pub(super) type Read<T> = Result<T, Noted>;

/// That a mistake was noted, so that there is nothing to be had. Only a mistake makes one.
#[derive(Debug)]
pub(super) struct Noted(());

/// A file that is being read.
struct File<'s> {
    text: &'s str,
    path: &'s Path,
    mistakes: RefCell<Vec<Diagnostic>>,
    /// Whether all mistakes are wanted, and not the first one alone.
    is_for_all: bool,
}

/// Where a value comes from.
#[derive(Clone, Copy)]
struct Source<'s> {
    file: &'s File<'s>,
    /// Whether its key is misspelt, so that what is in it is nobody's mistake yet.
    is_guess: bool,
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
    #[cold]
    fn wrong(self, span: Range<usize>, of: Of, mistake: &Mistake) -> Noted {
        if !self.is_guess {
            let told = Diagnostic::new(self.file.path, self.file.text, span, mistake, of.table, of.key);
            self.file.mistakes.borrow_mut().push(told);
        }
        Noted(())
    }

    /// Whether reading goes on behind a mistake.
    fn goes_on(self) -> bool {
        cfg!(feature = "tool") && self.file.is_for_all
    }

    /// Ends with a mistake, or goes on where all are wanted.
    fn end(self, noted: Noted) -> Read<()> {
        if self.goes_on() { Ok(()) } else { Err(noted) }
    }

    /// Goes on without what was not read, where all mistakes are wanted.
    fn or_none<T>(self, read: Read<T>) -> Read<Option<T>> {
        match read {
            Ok(value) => Ok(Some(value)),
            Err(noted) => self.end(noted).map(|()| None),
        }
    }

    /// Reads each of several things. There are none if one of them is wrong.
    fn each<I, T>(self, items: impl IntoIterator<Item = I>, mut read: impl FnMut(I) -> Read<T>) -> Read<Vec<T>> {
        let (mut all, mut wrong) = (Vec::new(), Ok(()));
        for item in items {
            match read(item) {
                Ok(value) => all.push(value),
                Err(noted) if self.goes_on() => wrong = Err(noted),
                Err(noted) => return Err(noted),
            }
        }
        wrong.map(|()| all)
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

/// Reads a whole file with `read`, up to the first mistake.
pub(super) fn whole<T>(
    text: &str,
    path: &Path,
    read: impl FnOnce(&mut Reader<'_, '_>) -> Read<T>,
) -> Result<T, Diagnostic> {
    // Where nothing is returned something was noted.
    read_file(text, path, false, read).map_err(|mut mistakes| mistakes.swap_remove(0))
}

/// Reads a whole file with `read`, past its mistakes. Returns them in the order of the file.
#[cfg(feature = "tool")]
pub(super) fn with_all_mistakes<T>(
    text: &str,
    path: &Path,
    read: impl FnOnce(&mut Reader<'_, '_>) -> Read<T>,
) -> Result<T, Vec<Diagnostic>> {
    read_file(text, path, true, read).map_err(|mut mistakes| {
        mistakes.sort_by_key(|told| (told.line, told.column));
        mistakes
    })
}

fn read_file<T>(
    text: &str,
    path: &Path,
    is_for_all: bool,
    read: impl FnOnce(&mut Reader<'_, '_>) -> Read<T>,
) -> Result<T, Vec<Diagnostic>> {
    let file = File { text, path, mistakes: RefCell::default(), is_for_all };
    let source = Source { file: &file, is_guess: false };
    let of = Of { table: &FILE, key: "" };
    let read = parse(source, of)
        .and_then(|table| read_table(source, table.get_ref(), 0..0, (String::new(), &FILE, of), read))
        .ok();
    match (read, file.mistakes.into_inner()) {
        (Some(read), mistakes) if mistakes.is_empty() => Ok(read),
        (_, mistakes) => Err(mistakes),
    }
}

fn parse(source: Source<'_>, of: Of) -> Read<Spanned<DeTable<'_>>> {
    let text = source.file.text;
    let note = |error: &toml::de::Error| {
        let span = error.span().unwrap_or(0..0);
        let what = error.message().lines().next().unwrap_or("this is not TOML").to_owned();
        let is_twice = what == "duplicate key";
        let mistake = match is_twice {
            true => Mistake::Duplicate(text.get(span.clone()).unwrap_or_default().to_owned()),
            false => Mistake::Syntax(what),
        };
        (is_twice, source.wrong(span, of, &mistake))
    };
    if !source.goes_on() {
        return DeTable::parse(text).map_err(|error| note(&error).1);
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        // Behind what is no TOML nobody knows what anything is.
        if let (false, noted) = note(&error) {
            return Err(noted);
        }
    }
    Ok(table)
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
            source.end(source.wrong(key.span(), of, &Mistake::UnknownKey(word.to_owned())))?;
        }
    }
    read(&mut Reader { source, table, known, of, span, name })
}

impl<'s, 't> Reader<'s, 't> {
    fn get(&self, key: &'static str) -> Option<Value<'s, 't>> {
        debug_assert!(self.known.knows(key), "{key} is read and not declared in {}", self.known.name);
        let (value, source) = match self.table.get(key) {
            Some(value) => (value, self.source),
            None => (self.misspelt(key)?, Source { is_guess: true, ..self.source }),
        };
        let of = Of { table: self.known, key };
        Some(Value { source, value: value.get_ref(), of, span: value.span() })
    }

    /// The value of an unknown key that probably means this one, where reading goes on: what depends on it is read as if
    /// it had its right name, and it is not told that it is missing.
    fn misspelt(&self, key: &'static str) -> Option<&'t Spanned<DeValue<'s>>> {
        if !self.source.goes_on() {
            return None;
        }
        let known: Vec<&str> = self.known.keys.iter().map(|key| key.name).collect();
        let means = |word: &str| !self.known.knows(word) && nearest(word, &known) == Some(key);
        self.table.iter().find(|(word, _)| means(word.get_ref())).map(|(_, value)| value)
    }

    /// Whether a key is there.
    pub(super) fn has(&self, key: &'static str) -> bool {
        self.get(key).is_some()
    }

    /// Whether a key is there by another name: refused, and nobody knows whether it is meant.
    pub(super) fn is_guess(&self, key: &'static str) -> bool {
        self.get(key).is_some_and(|value| value.source.is_guess && !self.source.is_guess)
    }

    /// Reads a key if it is there. Nothing else that is read may depend on it: where reading goes on, there is none if it
    /// is wrong.
    pub(super) fn optional<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&Value<'s, 't>) -> Read<T>,
    ) -> Read<Option<T>> {
        Ok(self.source.or_none(self.decisive(key, read))?.flatten())
    }

    /// Reads a key if it is there, and others depend on it.
    pub(super) fn decisive<T>(
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
            value.source.end(value.wrong(&Mistake::NotLabels(key)))?;
            return Ok(BTreeMap::new());
        };
        let mut bound = BTreeMap::new();
        for (label, inner) in table {
            let name: &str = label.get_ref();
            let one = || {
                if !crate::store::is_label(name) {
                    return Err(value.source.wrong(label.span(), value.of, &Mistake::Label(name.to_owned())));
                }
                let Some(inner) = inner.get_ref().as_table() else {
                    let mistake = Mistake::LabelNotTable(key, name.to_owned());
                    return Err(value.source.wrong(inner.span(), value.of, &mistake));
                };
                let place = (format!("[{key}.{name}]"), known, value.of);
                read_table(value.source, inner, label.span(), place, &read)
            };
            if let Some(value) = value.source.or_none(one())?.flatten() {
                bound.insert(name.to_owned(), value);
            }
        }
        Ok(bound)
    }

    /// Whether a label is there that was not read because of a mistake, which is what is to be told of it. `was_read`
    /// says whether it was.
    pub(super) fn is_lost(&self, key: &'static str, label: &str, was_read: bool) -> bool {
        let is_in = |labels: &Value<'_, '_>| labels.value.as_table().is_none_or(|labels| labels.contains_key(label));
        let is_there = || self.get(key).is_some_and(|labels| is_in(&labels));
        !was_read && self.source.goes_on() && is_there()
    }

    /// Refuses a key that is there although the program has another lifetime than it is for.
    pub(super) fn only_for(&self, lifetime: &'static str, keys: &[&'static str]) -> Read<()> {
        self.refuse(keys, |key| Mistake::OtherLifetime(key, lifetime))
    }

    /// Refuses keys that are there although what else is there rules them out.
    pub(super) fn refuse(&self, keys: &[&'static str], found: impl Fn(&'static str) -> Mistake) -> Read<()> {
        for key in keys {
            if let Some(value) = self.get(key) {
                self.source.end(value.wrong(&found(key)))?;
            }
        }
        Ok(())
    }

    /// Notes a mistake of the whole table.
    #[track_caller]
    pub(super) fn wrong(&self, mistake: &Mistake) -> Noted {
        self.source.wrong(self.span.clone(), self.of, mistake)
    }

    /// The sections `[KEY.LABEL]`, as they are written and whether that is right or not.
    pub(super) fn written(&self, key: &'static str) -> impl Iterator<Item = &'t DeTable<'s>> {
        let labels = self.table.get(key).and_then(|labels| labels.get_ref().as_table());
        labels.into_iter().flatten().filter_map(|(_, inner)| inner.get_ref().as_table())
    }
}

impl<'s, 't> Value<'s, 't> {
    #[track_caller]
    pub(super) fn wrong(&self, mistake: &Mistake) -> Noted {
        self.source.wrong(self.span.clone(), self.of, mistake)
    }

    #[track_caller]
    pub(super) fn wrong_at(&self, span: Range<usize>, mistake: &Mistake) -> Noted {
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

    /// The text, if it is one; nothing is noted if it is not.
    pub(super) fn as_str(&self) -> Option<&'t str> {
        self.value.as_str()
    }

    fn items(&self) -> Read<&'t [Spanned<DeValue<'s>>]> {
        self.value.as_array().map(|items| &items[..]).ok_or_else(|| self.unexpected("a list"))
    }

    fn item(&self, item: &'t Spanned<DeValue<'s>>) -> Self {
        Value { value: item.get_ref(), span: item.span(), ..*self }
    }

    /// Reads a list.
    pub(super) fn list<T>(&self, mut read: impl FnMut(&Value<'s, 't>) -> Read<T>) -> Read<Vec<T>> {
        self.source.each(self.items()?, |item| read(&self.item(item)))
    }

    /// Reads a list that has something in it.
    pub(super) fn some<T>(&self, empty: &Mistake, read: impl FnMut(&Value<'s, 't>) -> Read<T>) -> Read<Vec<T>> {
        if self.items()?.is_empty() { Err(self.wrong(empty)) } else { self.list(read) }
    }

    /// How many there are, if it is a list.
    pub(super) fn length(&self) -> usize {
        self.value.as_array().map_or(0, |items| items.len())
    }

    /// Reads a table whose keys may be any words: each with its place and its value.
    pub(super) fn entries<T>(
        &self,
        mut read: impl FnMut(&'t str, Range<usize>, &Value<'s, 't>) -> Read<T>,
    ) -> Read<Vec<T>> {
        let table = self.value.as_table().ok_or_else(|| self.unexpected("a table"))?;
        self.source.each(table, |(key, value)| read(key.get_ref(), key.span(), &self.item(value)))
    }

    pub(super) fn table<T>(&self, known: &'static Table, read: impl FnOnce(&mut Reader<'s, 't>) -> Read<T>) -> Read<T> {
        let table = self.value.as_table().ok_or_else(|| self.unexpected("a table"))?;
        let name = if known.name.starts_with('[') { known.name.to_owned() } else { format!("`{}`", self.of.key) };
        read_table(self.source, table, self.span.clone(), (name, known, self.of), read)
    }

    fn unexpected(&self, what: &'static str) -> Noted {
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
