//! `#[agent(...)]`: what a derive says about the agent itself, apart from its parameters.
use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::{DeriveInput, Error, LitInt, LitStr, Result, Token, parenthesized};

use crate::{canonical, json};

/// What the timeouts are that the author does not give.
const TIMEOUT: &str = "20s";
const INTERVAL: &str = "10s";
/// The actions that have a timeout, and whether every agent has the action.
const ACTIONS: [(&str, bool); 10] = [
    ("start", true),
    ("stop", true),
    ("monitor", true),
    ("promote", false),
    ("demote", false),
    ("notify", false),
    ("migrate_to", false),
    ("migrate_from", false),
    ("reload", false),
    ("validate", false),
];

/// A monitor that looks deeper than the plain one.
struct Deeper {
    level: u8,
    timeout: String,
    interval: String,
    span: Span,
}

/// The line about the agent itself, in parts.
pub(crate) fn line(input: &DeriveInput) -> Result<Vec<TokenStream>> {
    let mut agent: Option<LitStr> = None;
    let mut interval = INTERVAL.to_owned();
    let mut timeouts = ACTIONS.map(|(_, always)| always.then(|| TIMEOUT.to_owned()));
    let mut deeper = Vec::new();
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("agent")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("name") {
                agent = Some(meta.value()?.parse()?);
                return Ok(());
            }
            if meta.path.is_ident("interval") {
                interval = time(&meta.value()?.parse()?)?;
                return Ok(());
            }
            if meta.path.is_ident("check_level") {
                deeper.push(deeper_monitor(&meta)?);
                return Ok(());
            }
            let Some(index) = ACTIONS.iter().position(|(action, _)| meta.path.is_ident(action)) else {
                let known = ACTIONS.map(|(action, _)| action).join(", ");
                return Err(
                    meta.error(format!("expected name, interval, check_level or the timeout of an action: {known}"))
                );
            };
            timeouts[index] = Some(time(&meta.value()?.parse()?)?);
            Ok(())
        })?;
    }
    let agent = agent.ok_or_else(|| {
        Error::new_spanned(&input.ident, "name the agent: #[agent(name = \"provider/type\")] below the derive")
    })?;
    let part = |text: &str| {
        !text.is_empty()
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    let value = agent.value();
    if !value.split_once('/').is_some_and(|(provider, kind)| part(provider) && part(kind)) {
        return Err(Error::new_spanned(agent, "the name is provider/type, each of a-z, A-Z, 0-9, -, _, ."));
    }
    let described = json::description(&input.attrs)?.ok_or_else(|| {
        Error::new_spanned(&input.ident, "describe the agent for the operator: put a /// comment above the struct")
    })?;
    check(&deeper, &interval)?;
    let timeouts = ACTIONS.iter().zip(timeouts).filter_map(|((action, _), timeout)| {
        timeout.map(|timeout| format!("{}:{}", json::string(action), json::string(&timeout)))
    });
    let monitors = deeper.iter().map(|Deeper { level, timeout, interval, .. }| {
        format!("{{\"level\":{level},\"timeout\":{},\"interval\":{}}}", json::string(timeout), json::string(interval))
    });
    let begin = format!("{{\"agent\":{{\"name\":{},\"version\":\"", json::string(&value));
    let end = format!(
        "\",\"short\":{},\"long\":{},\"interval\":{},\"timeouts\":{{{}}},\"monitors\":[{}]}}}}\n",
        json::string(&described.short),
        json::string(&described.long),
        json::string(&interval),
        timeouts.collect::<Vec<_>>().join(","),
        monitors.collect::<Vec<_>>().join(","),
    );
    Ok(vec![quote!(#begin), quote!(::core::env!("CARGO_PKG_VERSION")), quote!(#end)])
}

/// `(10, timeout = "30s", interval = "1m")` after `check_level`.
fn deeper_monitor(meta: &ParseNestedMeta<'_>) -> Result<Deeper> {
    const FORM: &str = "expected check_level(10, timeout = \"30s\", interval = \"1m\")";
    let span = meta.path.segments.first().map_or_else(Span::call_site, |first| first.ident.span());
    if !meta.input.peek(syn::token::Paren) {
        return Err(Error::new(span, FORM));
    }
    let content;
    parenthesized!(content in meta.input);
    let literal: LitInt = content.parse().map_err(|e| Error::new(e.span(), FORM))?;
    let level = literal.base10_parse().ok().filter(|level| *level > 0);
    let level = level.ok_or_else(|| {
        Error::new_spanned(&literal, "a check level is 1-255; 0 is the plain monitor: give monitor and interval")
    })?;
    let (mut timeout, mut interval) = (None, None);
    while !content.is_empty() {
        let _: Token![,] = content.parse()?;
        if content.is_empty() {
            break;
        }
        let key: syn::Ident = content.parse()?;
        let _: Token![=] = content.parse()?;
        let value = time(&content.parse()?)?;
        match key.to_string().as_str() {
            "timeout" => timeout = Some(value),
            "interval" => interval = Some(value),
            _ => return Err(Error::new_spanned(key, FORM)),
        }
    }
    match (timeout, interval) {
        (Some(timeout), Some(interval)) => Ok(Deeper { level, timeout, interval, span }),
        _ => Err(Error::new(span, FORM)),
    }
}

/// Two monitors of one interval are one to the cluster, and so are two of one level to whoever reads the metadata.
fn check(deeper: &[Deeper], plain: &str) -> Result<()> {
    let ms = |text: &str| canonical::duration_ms(text);
    for (number, monitor) in deeper.iter().enumerate() {
        let before = &deeper[..number];
        if before.iter().any(|other| other.level == monitor.level) {
            return Err(Error::new(monitor.span, "this check level is there twice"));
        }
        let interval = ms(&monitor.interval);
        if interval == ms(plain) || before.iter().any(|other| ms(&other.interval) == interval) {
            return Err(Error::new(
                monitor.span,
                "two monitors of one interval are one to the cluster: give each its own",
            ));
        }
    }
    Ok(())
}

/// A time with its unit, such as `20s`.
fn time(text: &LitStr) -> Result<String> {
    let value = text.value();
    let unit = value.trim_start_matches(|c: char| c.is_ascii_digit());
    match canonical::duration_ms(&value) {
        Some(ms) if ms > 0 && !unit.is_empty() => Ok(value),
        _ => Err(Error::new_spanned(text, "a time is a number and ms, s, m or h, such as \"20s\"")),
    }
}
