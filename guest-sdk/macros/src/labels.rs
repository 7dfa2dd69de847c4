//! `labels!`.
use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Error, Ident, LitStr, Result, Token, Visibility};

use crate::json;

/// The labels of one `labels!`.
pub(crate) struct Labels(Vec<Label>);

struct Label {
    attributes: Vec<Attribute>,
    visibility: Visibility,
    kind: Ident,
    constant: Ident,
    name: LitStr,
    suggestion: Option<LitStr>,
}

impl Parse for Labels {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut labels = Vec::new();
        while !input.is_empty() {
            labels.push(input.parse()?);
        }
        Ok(Self(labels))
    }
}

impl Parse for Label {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let kind = input.parse()?;
        let constant = input.parse()?;
        input.parse::<Token![=]>()?;
        let name = input.parse()?;
        let mut suggestion = None;
        if let Some(word) = input.parse::<Option<Ident>>()? {
            if word != "suggest" {
                return Err(Error::new_spanned(word, "expected `suggest` or `;`"));
            }
            suggestion = Some(input.parse()?);
        }
        input.parse::<Token![;]>()?;
        Ok(Self { attributes, visibility, kind, constant, name, suggestion })
    }
}

pub(crate) fn expand(labels: &Labels) -> Result<TokenStream> {
    let mut seen = BTreeSet::new();
    labels.0.iter().map(|label| expand_one(label, &mut seen)).collect()
}

fn expand_one(label: &Label, seen: &mut BTreeSet<(String, String)>) -> Result<TokenStream> {
    let Label { attributes, visibility, kind, constant, name, suggestion } = label;
    let kind_word = match kind.to_string().as_str() {
        "Program" => "program",
        "Path" => "path",
        "Endpoint" => "endpoint",
        _ => return Err(Error::new_spanned(kind, "a label is a Program, a Path or an Endpoint")),
    };
    let word = name.value();
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !(1..=64).contains(&word.len()) || !word.chars().all(fits) {
        return Err(Error::new_spanned(name, "a label is 1-64 of a-z, 0-9 and -"));
    }
    if !seen.insert((kind_word.to_owned(), word.clone())) {
        return Err(Error::new_spanned(name, format!("there are two labels {kind_word} {word:?}")));
    }
    let why = json::description(attributes)?
        .ok_or_else(|| Error::new_spanned(constant, "say why the agent wants it: put a /// comment above the label"))?;
    let suggestion = suggestion.as_ref().map(|text| unindent(&text.value())).unwrap_or_default();
    let line = format!(
        "{{\"label\":{{\"kind\":{},\"name\":{},\"why\":{},\"suggest\":{}}}}}\n",
        json::string(kind_word),
        json::string(&word),
        json::string(&why.short),
        json::string(&suggestion),
    );
    let section = json::section("ocf:request", &quote!(&[#line]));
    Ok(quote! {
        #(#attributes)*
        #visibility const #constant: ::ocf_agent::label::#kind = ::ocf_agent::label::#kind::declared(#name);
        #section
    })
}

/// The text without blank lines around it and without the indentation that all its lines share.
fn unindent(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let indentation = |line: &&str| line.len() - line.trim_start().len();
    let shared = lines.iter().filter(|line| !line.is_empty()).map(indentation).min().unwrap_or(0);
    let lines: Vec<&str> = lines.iter().map(|line| line.get(shared..).unwrap_or_default()).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}
