//! Sentences as they can be typed here. In a private root, `--root DIR` belongs to each call of the tool, and what is ours
//! lies below DIR: whoever writes a sentence writes it for a node, and it is put right here, in one place.
//!
//! What must never enter here: what is kept for programs as it was recorded (the actions of `why -o json`).

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::private::OURS;

/// The private root that was named.
static ROOT: OnceLock<PathBuf> = OnceLock::new();

/// From now on, what is told to be typed is meant for this root.
pub(super) fn is(root: PathBuf) {
    let _ = ROOT.set(root);
}

/// Whether it is a private root for which the next call must be told.
pub(super) fn is_private() -> bool {
    ROOT.get().is_some()
}

/// Returns a sentence with its calls of the tool and its paths as they hold here.
pub(super) fn said(text: &str) -> String {
    ROOT.get().map_or_else(|| text.to_owned(), |root| in_root(text, root, &super::verbs()))
}

/// Returns a path of ours as it is outside.
pub(super) fn path(path: &Path) -> PathBuf {
    let below = |root: &PathBuf| {
        OURS.iter().find_map(|(place, name)| path.strip_prefix(place).ok().map(|rest| root.join(name).join(rest)))
    };
    ROOT.get().and_then(below).unwrap_or_else(|| path.to_owned())
}

fn in_root(text: &str, root: &Path, verbs: &[String]) -> String {
    let shown = root.display().to_string();
    let call = format!("ocf-wasm --root {} ", quoted(&shown));
    let (mut said, mut rest) = (String::new(), text);
    let goes_on = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    while let Some(first) = rest.chars().next() {
        let is_within = said.ends_with(|c: char| goes_on(c) || matches!(c, '/' | '.'));
        let place =
            OURS.iter().find(|(place, _)| rest.strip_prefix(place).is_some_and(|after| !after.starts_with(goes_on)));
        let verb = rest.strip_prefix("ocf-wasm ").filter(|after| {
            let end = after.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(after.len());
            verbs.iter().any(|verb| *verb == after[..end])
        });
        match (is_within, place, verb) {
            (false, Some((place, name)), _) => {
                said.push_str(&format!("{shown}/{name}"));
                rest = &rest[place.len()..];
            }
            (false, None, Some(after)) => {
                said.push_str(&call);
                rest = after;
            }
            _ => {
                said.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    said
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str, root: &str) -> String {
        in_root(text, Path::new(root), &["why".to_owned(), "install".to_owned()])
    }

    #[test]
    fn calls_and_paths_are_those_of_the_root() {
        for (text, here) in [
            ("look: `ocf-wasm why web`", "look: `ocf-wasm --root /r why web`"),
            ("(ocf-wasm why web), ocf-wasm install", "(ocf-wasm --root /r why web), ocf-wasm --root /r install"),
            ("write /etc/ocf-wasm/policy/a/b.toml", "write /r/etc/policy/a/b.toml"),
            ("in /run/ocf-wasm, \"/usr/lib/ocf/resource.d/a/b\"", "in /r/run, \"/r/resource.d/a/b\""),
        ] {
            assert_eq!(said(text, "/r"), here);
            assert_eq!(said(here, "/r"), here, "twice is once");
        }
        // What only looks like it stays.
        for text in [
            "this version of ocf-wasm reads",
            "/usr/libexec/ocf-wasm why",
            "ocf-wasm/why web",
            "my-ocf-wasm why",
            "ocf-wasm whyever",
            "ocf-wasm",
            "/srv/etc/ocf-wasm/x and /etc/ocf-wasm-old",
            "ocf-wasm.toml, ü",
        ] {
            assert_eq!(said(text, "/r"), text);
        }
    }

    #[test]
    fn a_root_is_quoted_where_a_shell_would_take_it_apart() {
        assert_eq!(said("ocf-wasm why web", "/a b/it's"), r"ocf-wasm --root '/a b/it'\''s' why web");
        assert_eq!(said("/etc/ocf-wasm/x", "/a b"), "/a b/etc/x");
    }
}
