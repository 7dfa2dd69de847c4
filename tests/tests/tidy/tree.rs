//! The files of the checkout, and what of them is code.

use std::collections::BTreeMap;
use std::sync::Mutex;

use ocf_wasm_tests::source;
use regex_lite::Regex;

/// A file, and its text without comments, the contents of strings, and unit tests.
#[derive(Clone)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) code: String,
}

/// All files.
pub(crate) struct Tree(Vec<File>);

impl Tree {
    pub(crate) fn of_checkout() -> Self {
        Self(source::files().into_iter().map(|file| File::new(&file.path, &file.text)).collect())
    }

    /// The same tree with other text at the end of one file, which may be new.
    pub(crate) fn with(&self, path: &str, more: &str) -> Self {
        let mut files = self.0.clone();
        let before = files.iter().position(|file| file.path == path).map(|at| files.remove(at).text);
        // Unit tests at the end are not looked at.
        let before = before.unwrap_or_default();
        let (code, tests) = before.split_at(before.find("#[cfg(test)]").unwrap_or(before.len()));
        files.push(File::new(path, &format!("{code}{more}\n{tests}")));
        Self(files)
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = &File> {
        self.0.iter()
    }

    /// Rust files in a place.
    pub(crate) fn rust(&self, place: &str) -> impl Iterator<Item = &File> {
        self.files().filter(move |file| file.path.starts_with(place) && file.path.ends_with(".rs"))
    }

    /// The text of a file; empty if it is not there.
    pub(crate) fn text(&self, path: &str) -> &str {
        self.files().find(|file| file.path == path).map_or("", |file| &file.text)
    }

    /// Whether there is such a file or directory.
    pub(crate) fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.files().any(|file| file.path == path || file.path.strip_prefix(path).is_some_and(|r| r.starts_with('/')))
    }
}

impl File {
    fn new(path: &str, text: &str) -> Self {
        let code = if path.ends_with(".rs") { code(text) } else { String::new() };
        Self { path: path.to_owned(), text: text.to_owned(), code }
    }

    /// Whether all of it is for tests.
    pub(crate) fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/") || self.path.starts_with("tests/")
    }

    /// Places in the code that a pattern finds: the place, and what stands there.
    pub(crate) fn find<'a>(&'a self, pattern: &str) -> Vec<(String, &'a str)> {
        self.find_in(&self.code, pattern)
    }

    /// Places in the whole text.
    pub(crate) fn find_anywhere<'a>(&'a self, pattern: &str) -> Vec<(String, &'a str)> {
        self.find_in(&self.text, pattern)
    }

    fn find_in<'a>(&self, text: &'a str, pattern: &str) -> Vec<(String, &'a str)> {
        let pattern = compiled(pattern);
        let place = |at: usize| format!("{}:{}", self.path, text[..at].matches('\n').count() + 1);
        pattern.find_iter(text).map(|found| (place(found.start()), found.as_str())).collect()
    }
}

/// A pattern, compiled once in this test.
fn compiled(pattern: &str) -> Regex {
    static KNOWN: Mutex<BTreeMap<String, Regex>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap();
    known.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).unwrap()).clone()
}

/// Returns Rust with comments, the contents of strings, and the unit tests at its end blanked out, line by line.
fn code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
    let bytes = &text.as_bytes()[..end];
    let mut code = Vec::with_capacity(bytes.len());
    let mut at = 0;
    let blank =
        |code: &mut Vec<u8>, piece: &[u8]| code.extend(piece.iter().map(|b| if *b == b'\n' { b'\n' } else { b' ' }));
    while at < bytes.len() {
        let rest = &bytes[at..];
        let is_word = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
        let length = if rest.starts_with(b"//") {
            rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len())
        } else if rest[0] == b'"' {
            quoted(rest, b'"')
        } else if !is_word && (rest.starts_with(b"r\"") || rest.starts_with(b"r#")) && raw(rest).is_some() {
            raw(rest).unwrap()
        } else if rest[0] == b'\'' && is_char(rest) {
            quoted(rest, b'\'')
        } else {
            code.push(rest[0]);
            at += 1;
            continue;
        };
        blank(&mut code, &rest[..length]);
        at += length;
    }
    String::from_utf8(code).unwrap_or_default()
}

/// The length of a literal that ends at the next bare quote.
fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// The length of a raw string, if one begins here.
fn raw(rest: &[u8]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|b| **b == b'#').count();
    (rest.get(1 + hashes) == Some(&b'"')).then_some(())?;
    let end: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let start = 2 + hashes;
    let length = rest[start..].windows(end.len()).position(|window| window == end).unwrap_or(rest.len() - start);
    Some((start + length + end.len()).min(rest.len()))
}

/// Whether this is a character and no lifetime.
fn is_char(rest: &[u8]) -> bool {
    rest.get(1) == Some(&b'\\')
        || rest.iter().skip(2).take(4).position(|b| *b == b'\'').is_some_and(|at| at == 0 || !rest[1].is_ascii())
}

#[test]
fn code_is_what_is_neither_comment_nor_string() {
    let text = "let a = \"x // \\\" y\"; // unsafe\nlet b = r#\"q\" unsafe\"#; let c = '\"'; fn d<'a>() {}\n#[cfg(test)]\nmod tests {";
    let expected = ["let a =", ";", "let b =", "; let c =", "; fn d<'a>() {}"];
    let found = code(text);
    assert_eq!(found.lines().count(), 2, "{found}");
    let joined: Vec<&str> = found.split("  ").map(str::trim).filter(|piece| !piece.is_empty()).collect();
    assert_eq!(joined.concat(), expected.concat(), "{found}");
}
