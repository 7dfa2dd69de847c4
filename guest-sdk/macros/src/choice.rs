//! `#[derive(Choice)]`.
use std::collections::BTreeSet;
use std::fmt::Write as _;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, LitStr, Result};

use crate::json;

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let name = &input.ident;
    let Data::Enum(data) = &input.data else {
        return Err(Error::new_spanned(name, "Choice is for enums: one variant for each word"));
    };
    if data.variants.is_empty() || !input.generics.params.is_empty() {
        return Err(Error::new_spanned(name, "a Choice has at least one variant and no generics"));
    }
    let (mut words, mut idents, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    let mut help = "\n\nOne of:".to_owned();
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            return Err(Error::new_spanned(variant, "the variants of a Choice have no fields"));
        }
        let mut word = kebab(&variant.ident.to_string());
        for attribute in variant.attrs.iter().filter(|attribute| attribute.path().is_ident("choice")) {
            let text: LitStr = attribute.parse_args()?;
            word = text.value();
            if word.is_empty() || word.chars().any(|c| !json::is_shown(c) || c.is_whitespace()) {
                return Err(Error::new_spanned(text, "a choice is one word"));
            }
        }
        let described = json::description(&variant.attrs)?.ok_or_else(|| {
            Error::new_spanned(variant, "describe the choice for the operator: put a /// comment above it")
        })?;
        if !seen.insert(word.clone()) {
            return Err(Error::new_spanned(variant, format!("there are two choices {word:?}")));
        }
        write!(help, "\n- {word}: {}", described.short).map_err(|e| Error::new_spanned(variant, e))?;
        words.push(word);
        idents.push(&variant.ident);
    }
    let array = format!("[{}]", words.iter().map(|word| json::string(word)).collect::<Vec<_>>().join(","));
    let help = json::inside(&help);
    Ok(quote! {
        impl ::ocf_agent::Parameter for #name {
            fn from_text(text: &str) -> ::core::option::Option<Self> {
                match text {
                    #(#words => ::core::option::Option::Some(Self::#idents),)*
                    _ => ::core::option::Option::None,
                }
            }
        }
        impl ::ocf_agent::Choice for #name {
            const OPTIONS: &'static [&'static str] = &[#(#words),*];
            const OPTIONS_JSON: &'static str = #array;
            const HELP_JSON: &'static str = #help;
        }
    })
}

/// `WriteThrough` as `write-through`.
fn kebab(name: &str) -> String {
    let mut word = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !word.is_empty() {
            word.push('-');
        }
        word.push(if c == '_' { '-' } else { c.to_ascii_lowercase() });
    }
    word
}
