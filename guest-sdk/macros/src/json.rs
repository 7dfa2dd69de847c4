//! Doc comments as text, and text as JSON.
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Expr, ExprLit, Lit, Meta};

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

/// The doc comment among `attributes`; none if there is none or it is blank.
pub(crate) fn description(attributes: &[Attribute]) -> Option<Description> {
    let mut paragraphs = vec![String::new()];
    for text in attributes.iter().filter_map(doc_text) {
        for line in text.split('\n') {
            let line = line.trim();
            let current = paragraphs.last_mut()?;
            if line.is_empty() {
                if !current.is_empty() {
                    paragraphs.push(String::new());
                }
            } else {
                if !current.is_empty() {
                    current.push(if line.starts_with(['-', '*']) { '\n' } else { ' ' });
                }
                current.push_str(line);
            }
        }
    }
    paragraphs.retain(|paragraph| !paragraph.is_empty());
    let short = paragraphs.first()?.clone();
    let long = if paragraphs.len() > 1 { paragraphs[1..].join("\n\n") } else { short.clone() };
    Some(Description { short, long })
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
        let item: syn::ItemStruct = syn::parse_quote! {
            /// One line
            /// and its end.
            ///
            /// More:
            /// - a
            /// - "b"
            struct S;
        };
        let described = description(&item.attrs).unwrap();
        assert_eq!(described.short, "One line and its end.");
        assert_eq!(described.long, "More:\n- a\n- \"b\"");
        assert_eq!(inside(&described.long), r#"More:\n- a\n- \"b\""#);
    }

    #[test]
    fn takes_a_single_paragraph_for_both() {
        let item: syn::ItemStruct = syn::parse_quote! {
            /** Once */
            struct S;
        };
        let described = description(&item.attrs).unwrap();
        assert_eq!((described.short.as_str(), described.long.as_str()), ("Once", "Once"));
    }
}
