//! Doc comments as text, and text as JSON.
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Error, Expr, ExprLit, Lit, Meta, Result};

/// A JSON string, with its quotes.
pub(crate) fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A JSON string or `null`.
pub(crate) fn optional(text: Option<&str>) -> String {
    text.map_or_else(|| "null".into(), string)
}

/// The inside of a JSON string, without its quotes.
pub(crate) fn inside(text: &str) -> String {
    let quoted = string(text);
    quoted[1..quoted.len() - 1].to_owned()
}

/// A static of these parts in a section of its own name.
pub(crate) fn section(name: &str, parts: &TokenStream) -> TokenStream {
    quote! {
        #[cfg(target_family = "wasm")]
        const _: () = {
            const PARTS: &[&str] = #parts;
            // No `#[used]`: that would keep a second copy among the component's data, to be loaded for each action.
            #[unsafe(link_section = #name)]
            static TEXT: [u8; ::ocf_agent::generated::length(PARTS)] = ::ocf_agent::generated::join(PARTS);
        };
    }
}

/// What a doc comment says.
pub(crate) struct Description {
    /// The first paragraph, in one line.
    pub(crate) short: String,
    /// The other paragraphs; the first one again if it is alone.
    pub(crate) long: String,
}

/// The doc comment among `attributes`, as an operator reads it: paragraphs and items of lists keep their lines, marks of
/// code are left out. None if there is none or it is blank.
///
/// # Errors
/// A character that no reader of the metadata takes.
pub(crate) fn description(attributes: &[Attribute]) -> Result<Option<Description>> {
    let mut paragraphs = vec![String::new()];
    for attribute in attributes {
        let Some(text) = doc_text(attribute) else { continue };
        if let Some(bad) = text.chars().find(|c| !is_shown(*c)) {
            let what = format!("no reader of the metadata takes this character: {}", bad.escape_unicode());
            return Err(Error::new_spanned(attribute, what));
        }
        for line in text.split('\n') {
            let line = line.trim();
            let Some(current) = paragraphs.last_mut() else { continue };
            if line.is_empty() {
                if !current.is_empty() {
                    paragraphs.push(String::new());
                }
            } else {
                if !current.is_empty() {
                    current.push(if is_item(line) { '\n' } else { ' ' });
                }
                current.extend(line.chars().filter(|c| *c != '`'));
            }
        }
    }
    paragraphs.retain(|paragraph| !paragraph.is_empty());
    let Some(short) = paragraphs.first().cloned() else { return Ok(None) };
    let long = if paragraphs.len() > 1 { paragraphs[1..].join("\n\n") } else { short.clone() };
    Ok(Some(Description { short, long }))
}

/// Whether XML can hold it and a reader shows it.
pub(crate) fn is_shown(c: char) -> bool {
    matches!(c, '\n' | '\t' | '\r') || !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}')
}

/// Whether a line begins an item of a list: `- `, `* `, `1. `, `2) `.
fn is_item(line: &str) -> bool {
    let after = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let marks: &[&str] = if after.len() < line.len() { &[". ", ") "] } else { &["- ", "* "] };
    marks.iter().any(|mark| after.starts_with(mark))
}

fn doc_text(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else { return None };
    let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &pair.value else { return None };
    pair.path.is_ident("doc").then(|| text.value())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_a_comment_into_short_and_long() {
        let item: syn::DeriveInput = syn::parse_quote! {
            /// One line
            /// and its end.
            ///
            /// More:
            /// - a
            ///   of `two` lines
            /// - "b"
            /// 10. c
            /// -d
            struct S;
        };
        let described = description(&item.attrs).unwrap().unwrap();
        assert_eq!(described.short, "One line and its end.");
        assert_eq!(described.long, "More:\n- a of two lines\n- \"b\"\n10. c -d");
        assert_eq!(inside(&described.long), r#"More:\n- a of two lines\n- \"b\"\n10. c -d"#);
    }

    #[test]
    fn refuses_what_nobody_can_read() {
        let item: syn::DeriveInput = syn::parse_quote! {
            #[doc = "bell \u{7}"]
            struct S;
        };
        let told = description(&item.attrs).err().map(|error| error.to_string());
        assert_eq!(told.as_deref(), Some("no reader of the metadata takes this character: \\u{7}"));
    }

    #[test]
    fn takes_a_single_paragraph_for_both() {
        let item: syn::DeriveInput = syn::parse_quote! {
            /** Once */
            struct S;
        };
        let described = description(&item.attrs).unwrap().unwrap();
        assert_eq!((described.short.as_str(), described.long.as_str()), ("Once", "Once"));
    }
}
