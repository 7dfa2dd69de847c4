//! Which of its arguments an interpreter reads as code: as much the program as the file that is executed.
//!
//! Known from the names of interpreters and from what their options take, as far as the policy says the words itself. What
//! must never enter here: what is on the node.

use std::path::{Path, PathBuf};

use toml::de::DeValue;

use super::Program;
use super::kind::Kind;
use super::lint::{INTERPRETERS, LOADERS, base, is_among};
use super::template::{Argument, Source, Template};

/// How a family of interpreters is told where its code is.
struct Family {
    names: &'static [&'static str],
    /// Letters of short options after which code stands in the arguments themselves, or the name of a module: what
    /// follows is data. They may stand anywhere in a word of such letters, or only at its end.
    inline: &'static str,
    anywhere: bool,
    /// Options with a value, which may be code too.
    valued: &'static [&'static str],
    /// Words that stand before the script and are none.
    before: &'static [&'static str],
    /// Whether the first word that is no option is code itself.
    is_text: bool,
}

const SHELLS: [&str; 9] = ["sh", "ash", "bash", "dash", "ksh*", "zsh*", "fish", "csh", "tcsh"];

const NONE: Family = Family { names: &[], inline: "", anywhere: false, valued: &[], before: &[], is_text: false };

/// From their manuals; the last is for all others of the list.
const FAMILIES: [Family; 12] = [
    Family {
        names: &SHELLS,
        inline: "c",
        anywhere: true,
        valued: &["-o", "+o", "-O", "+O", "--rcfile", "--init-file"],
        ..NONE
    },
    Family { names: &["busybox"], inline: "c", anywhere: true, valued: &["-o", "+o"], before: &["sh", "ash"], ..NONE },
    Family { names: &["python*"], inline: "cm", valued: &["-W", "-X"], ..NONE },
    Family { names: &["perl*"], inline: "eE", ..NONE },
    Family { names: &["ruby*"], inline: "e", valued: &["-I", "-r"], ..NONE },
    Family { names: &["lua*"], valued: &["-e", "-l"], ..NONE },
    Family { names: &["node", "nodejs"], inline: "ep", valued: &["-r", "--require", "--import", "--loader"], ..NONE },
    Family { names: &["deno", "bun"], before: &["run"], ..NONE },
    Family { names: &["php*"], inline: "r", valued: &["-c", "-d", "-z"], ..NONE },
    Family { names: &["java"], valued: &["-cp", "-classpath", "--class-path", "-p", "--module-path"], ..NONE },
    Family {
        names: &["awk", "gawk", "mawk"],
        valued: &["-f", "--file", "-E", "--exec", "-i", "--include", "-v", "-F"],
        is_text: true,
        ..NONE
    },
    Family { names: &LOADERS, valued: &["--library-path", "--preload", "--argv0", "--audit"], ..NONE },
];
const OTHERS: Family = Family { inline: "ce", ..NONE };

/// The family of what is executed; none if it reads no code that its arguments name.
fn family(program: &str) -> Option<&'static Family> {
    let name = base(program);
    let others = is_among(name, &INTERPRETERS).then_some(&OTHERS);
    FAMILIES.iter().find(|family| is_among(name, family.names)).or(others)
}

/// A word of an argument vector: what it can be, in the policy's own words; nothing of a value from outside.
type Word = Vec<String>;

impl Family {
    /// The absolute paths among the words that are read as code.
    fn code(&self, words: &[Word]) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut is_value = false;
        for word in words {
            let literal = match word.as_slice() {
                [one] => one.as_str(),
                _ => "",
            };
            if std::mem::take(&mut is_value) {
                found.extend(absolute(word));
            } else if self.valued.contains(&literal) {
                is_value = true;
            } else if self.holds_code(literal) {
                return found;
            } else if literal.starts_with(['-', '+']) || word.is_empty() || self.before.contains(&literal) {
            } else {
                if !self.is_text {
                    found.extend(absolute(word));
                }
                // What comes after it, the script is told.
                return found;
            }
        }
        found
    }

    fn holds_code(&self, word: &str) -> bool {
        let letters = word.strip_prefix('-').filter(|letters| letters.chars().all(|c| c.is_ascii_alphabetic()));
        let Some(letters) = letters else { return false };
        match self.anywhere {
            true => letters.contains(|c| self.inline.contains(c)),
            false => letters.len() <= 4 && letters.ends_with(|c| self.inline.contains(c)),
        }
    }
}

/// What is no file of the node's, whatever its name: devices, and what is open already.
fn absolute(word: &Word) -> impl Iterator<Item = PathBuf> {
    let paths = word.iter().map(PathBuf::from).filter(|path| path.is_absolute());
    paths.filter(|path| !["/dev/fd", "/dev/null", "/dev/stdin", "/proc/self/fd"].iter().any(|at| path.starts_with(at)))
}

/// The files that are read as code, besides the program and its interpreter. `path` is the program.
pub(super) fn of(program: &Program, path: &str) -> Vec<PathBuf> {
    let Some((first, more)) = program.interpreter.split_first() else {
        let Some(family) = family(path) else { return Vec::new() };
        let words: Vec<Word> = program.argv.iter().flat_map(templates).map(word).collect();
        return family.code(&words);
    };
    let words: Vec<Word> = more.iter().map(|word| vec![word.clone()]).collect();
    family(first).map_or_else(Vec::new, |family| family.code(&words))
}

fn templates(argument: &Argument) -> &[Template] {
    match argument {
        Argument::One(template) => std::slice::from_ref(template),
        Argument::Group(group) => group,
    }
}

fn word(template: &Template) -> Word {
    match &template.source {
        Source::Literal(text) => vec![text.clone()],
        Source::Open(_, Kind::OneOf(words)) => words.iter().map(|word| format!("{}{word}", template.prefix)).collect(),
        Source::Open(..) => Vec::new(),
    }
}

/// The same of a section as it is written, whether it is right or not.
pub(super) fn written(program: &DeValue<'_>, argv: &DeValue<'_>) -> Vec<PathBuf> {
    let mut words = Vec::new();
    written_words(argv, &mut words);
    let mut programs = Vec::new();
    super::confine::executed(program, &mut programs);
    let code =
        |program: &PathBuf| family(&program.to_string_lossy()).map_or_else(Vec::new, |family| family.code(&words));
    programs.iter().flat_map(code).collect()
}

fn written_words(argv: &DeValue<'_>, into: &mut Vec<Word>) {
    match argv {
        DeValue::Array(array) => array.iter().for_each(|value| written_words(value.get_ref(), into)),
        DeValue::String(text) => into.push(vec![text.as_ref().to_owned()]),
        DeValue::Table(table) => {
            let words = table.get("one-of").and_then(|words| words.get_ref().as_array());
            let words = words.into_iter().flatten().filter_map(|word| word.get_ref().as_str());
            into.push(words.map(str::to_owned).collect());
        }
        _ => into.push(Vec::new()),
    }
}

/// Whether a path is, is below, or has below it what a program reads as code.
pub(super) fn meets(program: &Program, path: &Path) -> bool {
    let programs = program.program.paths();
    let code = programs.into_iter().flat_map(|file| of(program, &file.to_string_lossy()));
    code.into_iter().any(|code| super::given::meet(&code, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Programs with their arguments, and what of these is code.
    const ROWS: [(&str, &[&str], &[&str]); 31] = [
        ("/bin/sh", &["/a", "/b"], &["/a"]),
        ("/bin/sh", &["-e", "/a", "/b"], &["/a"]),
        ("/bin/sh", &["-c", "cat /b", "/a"], &[]),
        ("/bin/bash", &["-ec", "cat /b", "/a"], &[]),
        ("/bin/bash", &["-ce", "cat /b", "/a"], &[]),
        ("/bin/bash", &["--norc", "--rcfile", "/r", "-o", "pipefail", "/a", "/b"], &["/r", "/a"]),
        ("/bin/dash", &["a", "/b"], &[]),
        ("/bin/sh", &["--", "/a"], &["/a"]),
        ("/bin/sh", &["/dev/stdin"], &[]),
        ("/usr/bin/ksh93", &["/a"], &["/a"]),
        ("/bin/busybox", &["sh", "/a"], &["/a"]),
        ("/bin/busybox", &["cat", "/a"], &[]),
        ("/usr/bin/python3.11", &["-u", "-W", "ignore", "/a", "/b"], &["/a"]),
        ("/usr/bin/python3", &["-m", "http.server", "/b"], &[]),
        ("/usr/bin/python3", &["-Ic", "pass", "/b"], &[]),
        ("/usr/bin/python3", &["-Xfrozen_modules", "/a"], &["/a"]),
        ("/usr/bin/perl", &["-ne", "print", "/b"], &[]),
        ("/usr/bin/perl", &["-w", "/a", "/b"], &["/a"]),
        ("/usr/bin/ruby", &["-r", "/r.rb", "/a"], &["/r.rb", "/a"]),
        ("/usr/bin/lua5.4", &["-e", "x = 1", "/a", "/b"], &["/a"]),
        ("/usr/bin/node", &["--require", "/r", "/a"], &["/r", "/a"]),
        ("/usr/bin/php", &["-f", "/a", "/b"], &["/a"]),
        ("/usr/bin/php", &["-r", "echo 1;", "/b"], &[]),
        ("/usr/bin/java", &["-Xmx1g", "-cp", "/c.jar", "Main", "/b"], &["/c.jar"]),
        ("/usr/bin/java", &["-jar", "/a.jar", "/b"], &["/a.jar"]),
        ("/usr/bin/awk", &["{ print }", "/b"], &[]),
        ("/usr/bin/gawk", &["-F", ":", "-f", "/a", "/b"], &["/a"]),
        ("/lib64/ld-linux-x86-64.so.2", &["--library-path", "/l", "/a"], &["/l", "/a"]),
        ("/usr/bin/expect", &["/a", "/b"], &["/a"]),
        ("/usr/sbin/nginx", &["-c", "/a"], &[]),
        ("/usr/bin/cat", &["/a"], &[]),
    ];

    #[test]
    fn what_an_interpreter_reads_as_code_is_known() {
        for (program, words, code) in ROWS {
            let words: Vec<Word> = words.iter().map(|word| vec![(*word).to_owned()]).collect();
            let found = family(program).map_or_else(Vec::new, |family| family.code(&words));
            let code: Vec<PathBuf> = code.iter().map(PathBuf::from).collect();
            assert_eq!(found, code, "{program} {words:?}");
        }
    }

    #[test]
    fn a_list_of_scripts_is_the_policys_word_and_a_value_from_outside_is_not() {
        let words = [vec![], vec!["/a".to_owned(), "/b".to_owned(), "c".to_owned()], vec!["/d".to_owned()]];
        assert_eq!(FAMILIES[0].code(&words), [PathBuf::from("/a"), PathBuf::from("/b")]);
    }
}
