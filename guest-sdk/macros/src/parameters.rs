//! `#[derive(Parameters)]`.
use std::collections::BTreeSet;

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Field, Fields, Lit, LitInt, LitStr, Result, Token, Type};

use crate::kind::{Kind, canonical_default};
use crate::{agent, json};

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let name = &input.ident;
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(name, "Parameters is for a struct with one field for each parameter"));
    };
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(&input.generics, "an agent has no generics"));
    }
    let fields: Vec<&Field> = match &data.fields {
        Fields::Named(fields) => fields.named.iter().collect(),
        Fields::Unit => Vec::new(),
        Fields::Unnamed(fields) => return Err(Error::new_spanned(fields, "a parameter needs a name")),
    };
    let mut parts = agent::line(input)?;
    let parameters = fields.into_iter().map(Parameter::new).collect::<Result<Vec<_>>>()?;
    let names: BTreeSet<&str> = parameters.iter().map(|parameter| parameter.name.as_str()).collect();
    for parameter in &parameters {
        if let Some(other) = &parameter.attributes.replaced_with
            && (!names.contains(other.value().as_str()) || other.value() == parameter.name)
        {
            return Err(Error::new_spanned(other, "there is no other parameter of this name"));
        }
        parts.extend(parameter.line());
    }
    let idents = parameters.iter().map(|parameter| &parameter.field.ident);
    let used = idents.clone();
    let reads = parameters.iter().map(Parameter::read);
    let declared = parameters.iter().map(Parameter::declared);
    let checks = parameters.iter().filter_map(Parameter::check_choice);
    let section = json::section("ocf:metadata", &quote!(<#name as ::ocf_agent::Parameters>::METADATA));
    let read = if matches!(data.fields, Fields::Unit) { quote!(Self) } else { quote!(Self { #(#idents: #reads),* }) };
    Ok(quote! {
        impl ::ocf_agent::Parameters for #name {
            const DECLARED: &'static [::ocf_agent::Declared] = &[#(#declared),*];
            const METADATA: &'static [&'static str] = &[#(#parts),*];
            fn read() -> Self {
                ::ocf_agent::generated::declare(<Self as ::ocf_agent::Parameters>::DECLARED);
                #read
            }
        }
        // A parameter may be there for the policy only: no field counts as unused.
        const _: fn(&#name) = |_agent| { #(_ = &_agent.#used;)* };
        #(#checks)*
        #section
    })
}

/// What Pacemaker and the tracing convention set besides the parameters of an agent.
const RESERVED: [&str; 6] =
    ["crm_feature_set", "pcmk_external_ip", "trace_ra", "trace_file", "trace_dir", "OCF_CHECK_LEVEL"];

/// A parameter called `password` or `passwd` is kept out of logs and listings, by Pacemaker and by the host.
fn check_secret(ident: &syn::Ident, attributes: &Attributes) -> Result<()> {
    if attributes.default.is_some() {
        return Err(Error::new_spanned(ident, "a secret has no default: everybody can read the metadata"));
    }
    if attributes.unique || attributes.unique_group.is_some() {
        return Err(Error::new_spanned(ident, "a secret cannot be unique: whoever compares values shows them"));
    }
    Ok(())
}

/// `T` of `Option<T>`.
fn inside_option(field_type: &Type) -> Option<&Type> {
    let Type::Path(path) = field_type else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Option")?;
    let syn::PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    if let syn::GenericArgument::Type(inner) = arguments.args.first()? { Some(inner) } else { None }
}

/// What `#[parameter(...)]` says.
#[derive(Default)]
struct Attributes {
    default: Option<(String, Span)>,
    required: Option<Span>,
    unique: bool,
    unique_group: Option<LitStr>,
    reloadable: bool,
    deprecated: Option<LitStr>,
    replaced_with: Option<LitStr>,
    min: Option<(i64, Span)>,
    max: Option<(i64, Span)>,
}

impl Attributes {
    fn new(field: &Field) -> Result<Self> {
        let mut all = Self::default();
        for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("parameter")) {
            attribute.parse_nested_meta(|meta| all.add(&meta))?;
        }
        if let (Some((min, _)), Some((max, span))) = (all.min, all.max)
            && min > max
        {
            return Err(Error::new(span, "max is below min"));
        }
        if let (true, Some(group)) = (all.unique, &all.unique_group) {
            return Err(Error::new_spanned(group, "unique is a group of its own: give unique or unique_group"));
        }
        if let (None, Some(other)) = (&all.deprecated, &all.replaced_with) {
            return Err(Error::new_spanned(other, "replaced_with belongs to deprecated = \"...\""));
        }
        if let (Some(_), Some(span)) = (&all.default, all.required) {
            return Err(Error::new(span, "a parameter with a default is not required"));
        }
        if let (Some(_), Some(span)) = (&all.deprecated, all.required) {
            return Err(Error::new(span, "nobody can do without a parameter that is required: it is not deprecated"));
        }
        if let Some((text, span)) = &all.default
            && text.chars().any(|c| c.is_control() || !json::is_shown(c))
        {
            return Err(Error::new(*span, "the metadata cannot hold this character in a default"));
        }
        Ok(all)
    }

    fn add(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let Some(key) = meta.path.get_ident() else { return Err(meta.error("expected a word")) };
        match key.to_string().as_str() {
            "default" => self.default = Some(default_text(meta)?),
            "required" => self.required = Some(key.span()),
            "unique" => self.unique = true,
            "unique_group" => self.unique_group = Some(word(meta)?),
            "reloadable" => self.reloadable = true,
            "deprecated" => self.deprecated = Some(filled(meta)?),
            "replaced_with" => self.replaced_with = Some(filled(meta)?),
            "min" => self.min = Some(number(meta.value()?)?),
            "max" => self.max = Some(number(meta.value()?)?),
            _ => {
                return Err(meta.error(
                    "expected default, required, unique, unique_group, reloadable, deprecated, replaced_with, min or max",
                ));
            }
        }
        Ok(())
    }
}

fn filled(meta: &ParseNestedMeta<'_>) -> Result<LitStr> {
    let text: LitStr = meta.value()?.parse()?;
    if text.value().trim().is_empty() || !text.value().chars().all(json::is_shown) {
        return Err(Error::new_spanned(text, "expected some text"));
    }
    Ok(text)
}

/// The name of a group.
fn word(meta: &ParseNestedMeta<'_>) -> Result<LitStr> {
    let text = filled(meta)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if text.value().chars().all(plain) {
        Ok(text)
    } else {
        Err(Error::new_spanned(text, "a group is one word of a-z, A-Z, 0-9, - and _"))
    }
}

fn number(value: ParseStream<'_>) -> Result<(i64, Span)> {
    let minus = value.parse::<Option<Token![-]>>()?;
    let literal: LitInt = value.parse()?;
    let sign = if minus.is_some() { "-" } else { "" };
    let number = format!("{sign}{}", literal.base10_digits()).parse().map_err(|e| Error::new_spanned(&literal, e))?;
    Ok((number, literal.span()))
}

fn default_text(meta: &ParseNestedMeta<'_>) -> Result<(String, Span)> {
    let value = meta.value()?;
    if value.peek(Token![-]) || value.peek(LitInt) {
        return number(value).map(|(number, span)| (number.to_string(), span));
    }
    let literal: Lit = value.parse()?;
    if let Lit::Str(text) = &literal {
        Ok((text.value(), literal.span()))
    } else if let Lit::Bool(truth) = &literal {
        Ok((truth.value.to_string(), literal.span()))
    } else {
        Err(Error::new_spanned(&literal, "a default is a text, an integer, true or false"))
    }
}

struct Parameter<'a> {
    field: &'a Field,
    name: String,
    /// The field's type, or `T` of `Option<T>`.
    value_type: &'a Type,
    optional: bool,
    kind: Kind,
    attributes: Attributes,
    description: json::Description,
    min: Option<i64>,
    max: Option<i64>,
    default: Option<String>,
}

impl<'a> Parameter<'a> {
    fn new(field: &'a Field) -> Result<Self> {
        let ident = field.ident.as_ref().ok_or_else(|| Error::new_spanned(field, "a parameter needs a name"))?;
        let name = ident.unraw().to_string();
        if !name.is_ascii() || name.starts_with("CRM_") || name.starts_with('_') {
            return Err(Error::new_spanned(ident, "a parameter's name is ASCII and begins neither with _ nor CRM_"));
        }
        let description = json::description(&field.attrs)?.ok_or_else(|| {
            Error::new_spanned(ident, "describe the parameter for the operator: put a /// comment above it")
        })?;
        if RESERVED.contains(&name.as_str()) {
            return Err(Error::new_spanned(ident, "the cluster or the host uses this name for something else"));
        }
        let attributes = Attributes::new(field)?;
        if matches!(name.as_str(), "password" | "passwd") {
            check_secret(ident, &attributes)?;
        }
        let inner = inside_option(&field.ty);
        let value_type = inner.unwrap_or(&field.ty);
        let kind = Kind::of(value_type);
        match (inner.is_some(), &attributes.default, attributes.required) {
            (true, Some((_, span)), _) => {
                return Err(Error::new(*span, "a parameter with a default is never missing: no Option is needed"));
            }
            (true, None, Some(span)) => {
                return Err(Error::new(span, "a required parameter is never missing: no Option is needed"));
            }
            (false, None, None) => {
                return Err(Error::new_spanned(
                    &field.ty,
                    "a parameter without a default may be missing: give it #[parameter(default = \"...\")], make it \
                     #[parameter(required)], or make its type an Option",
                ));
            }
            _ => (),
        }
        let (mut min, mut max) = (None, None);
        if let Kind::Integer(lowest, highest) = kind {
            min = limit(lowest, attributes.min, lowest, highest)?;
            max = limit(highest, attributes.max, lowest, highest)?;
        } else if let Some((_, span)) = attributes.min.or(attributes.max) {
            return Err(Error::new(span, "min and max are for integers"));
        }
        let default = match &attributes.default {
            Some((text, span)) => Some(canonical_default(kind, text, min, max).map_err(|e| Error::new(*span, e))?),
            None => None,
        };
        Ok(Self {
            field,
            name,
            value_type,
            optional: inner.is_some(),
            kind,
            attributes,
            description,
            min,
            max,
            default,
        })
    }

    /// The line of the metadata, in parts.
    fn line(&self) -> Vec<TokenStream> {
        let Self { name, attributes, .. } = self;
        let group = attributes.unique_group.as_ref().map(LitStr::value);
        let group = if attributes.unique { Some(name.clone()) } else { group };
        let number = |n: Option<i64>| n.map_or_else(|| "null".to_owned(), |n| n.to_string());
        let deprecated = attributes.deprecated.as_ref().map_or_else(
            || "null".to_owned(),
            |text| {
                let other = attributes.replaced_with.as_ref().map(LitStr::value);
                format!(
                    "{{\"text\":{},\"replaced_with\":{}}}",
                    json::string(&text.value()),
                    json::optional(other.as_deref())
                )
            },
        );
        let begin = format!(
            "{{\"parameter\":{{\"name\":{},\"type\":{},\"required\":{},\"default\":{},\"unique\":{},\
             \"reloadable\":{},\"short\":{},\"long\":\"{}",
            json::string(name),
            json::string(self.kind.word()),
            attributes.required.is_some(),
            json::optional(self.default.as_deref()),
            json::optional(group.as_deref()),
            attributes.reloadable,
            json::string(&self.description.short),
            json::inside(&self.description.long),
        );
        let (help, options) = if self.kind == Kind::Select {
            let value_type = self.value_type;
            (
                quote!(<#value_type as ::ocf_agent::Choice>::HELP_JSON),
                quote!(<#value_type as ::ocf_agent::Choice>::OPTIONS_JSON),
            )
        } else {
            (quote!(""), quote!("[]"))
        };
        let end =
            format!(",\"min\":{},\"max\":{},\"deprecated\":{deprecated}}}}}\n", number(self.min), number(self.max));
        vec![quote!(#begin), help, quote!("\",\"options\":"), options, quote!(#end)]
    }

    /// The expression that reads it.
    fn read(&self) -> TokenStream {
        let name = &self.name;
        let value_type = self.value_type;
        let function = if self.optional { quote!(optional) } else { quote!(required) };
        quote_spanned!(self.value_type.span()=> ::ocf_agent::generated::#function::<#value_type>(#name))
    }

    fn declared(&self) -> TokenStream {
        let (name, kind) = (&self.name, self.kind.word());
        let (required, reloadable) = (self.attributes.required.is_some(), self.attributes.reloadable);
        let default = option(self.default.as_ref());
        let (min, max) = (option(self.min.as_ref()), option(self.max.as_ref()));
        let value_type = self.value_type;
        let options =
            if self.kind == Kind::Select { quote!(<#value_type as ::ocf_agent::Choice>::OPTIONS) } else { quote!(&[]) };
        quote! {
            ::ocf_agent::Declared {
                name: #name, kind: #kind, required: #required, default: #default, reloadable: #reloadable,
                options: #options, min: #min, max: #max,
            }
        }
    }

    /// The check of a choice's default, which only the compiler can do.
    fn check_choice(&self) -> Option<TokenStream> {
        let (text, span) = self.attributes.default.as_ref().filter(|_| self.kind == Kind::Select)?;
        let value_type = self.value_type;
        Some(quote_spanned! {*span=>
            const _: () = ::core::assert!(
                ::ocf_agent::generated::contains(<#value_type as ::ocf_agent::Choice>::OPTIONS, #text),
                "the default is not one of the choices",
            );
        })
    }
}

/// The limit that the author gave, if the type can reach it; else the type's.
fn limit(
    own: Option<i64>,
    given: Option<(i64, Span)>,
    lowest: Option<i64>,
    highest: Option<i64>,
) -> Result<Option<i64>> {
    match given {
        Some((n, span)) if lowest.is_some_and(|lowest| n < lowest) || highest.is_some_and(|highest| n > highest) => {
            Err(Error::new(span, "the field's type does not go that far"))
        }
        Some((n, _)) => Ok(Some(n)),
        None => Ok(own),
    }
}

fn option(value: Option<&impl quote::ToTokens>) -> TokenStream {
    if let Some(value) = value {
        quote!(::core::option::Option::Some(#value))
    } else {
        quote!(::core::option::Option::None)
    }
}

#[cfg(test)]
mod tests;
