//! Where a label is bound, and not as the component asks for it, so that what the component does with it is refused: the
//! author's suggestion says what that is. And where the policy does not let through what a parameter is by itself.
//!
//! What must never enter here: what a policy may well narrow without a call being refused, such as users, limits, views.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use crate::ocf::description::Description;
use crate::policy::{Diagnostic, Policy, Severity, lint, place};
use crate::store::Request;

/// What is said of one label. `bound` is its table in the policy, `text` the whole policy.
pub(super) fn of_label(bound: &DeTable<'_>, request: &Request, text: &str, path: &Path) -> Vec<Diagnostic> {
    let suggestion = format!("[{}.{}]\n{}\n", request.kind, request.name, request.suggest);
    let Ok(whole) = DeTable::parse(&suggestion) else { return Vec::new() };
    let asked = whole.get_ref().get(request.kind.as_str()).and_then(|labels| table(labels.get_ref(), &request.name));
    let Some(asked) = asked else { return Vec::new() };
    let told = match request.kind.as_str() {
        "program" => of_program(bound, asked),
        "path" => of_path(bound, asked).into_iter().collect(),
        "endpoint" => of_endpoint(bound, asked),
        _ => Vec::new(),
    };
    let at = |(key, message): (&str, String)| {
        let steps = [request.kind.as_str(), &request.name, key];
        place::point(text, path, &steps, Severity::Warning, message)
    };
    told.into_iter().filter_map(at).collect()
}

/// A key of a label's table, and what is wrong with it.
type Told = (&'static str, String);

fn of_program(bound: &DeTable<'_>, asked: &DeTable<'_>) -> Vec<Told> {
    let mut told = Vec::new();
    let is_unit = bound.contains_key("unit");
    let has = if is_unit { "instance" } else { word(bound, "lifetime").unwrap_or_default() };
    let wants = word(asked, "lifetime").unwrap_or(has);
    let forks = |of: &DeTable<'_>| word(of, "type") == Some("forking");
    // One that forks can be run to its end as well.
    let is_run_too = wants == "action" && forks(bound);
    if has != wants && !is_run_too {
        let key = if is_unit { "unit" } else { "lifetime" };
        let has = if is_unit { "a unit".to_owned() } else { format!("\"{has}\"") };
        told.push((key, format!("the plugin asks for lifetime \"{wants}\": of {has} its calls are refused")));
        return told;
    }
    if is_unit {
        return told;
    }
    if forks(asked) && !forks(bound) {
        told.push((
            "type",
            "the plugin asks for type \"forking\": it also runs this to its end, which is refused".to_owned(),
        ));
    }
    let is_true = |of: &DeTable<'_>| of.get("input").and_then(|value| value.get_ref().as_bool()) == Some(true);
    if is_true(asked) && !is_true(bound) {
        told.push(("input", "the plugin asks for input = true: what it writes to the program is refused".to_owned()));
    }
    for signal in missing(bound, asked, "signals") {
        told.push(("signals", format!("the plugin asks for the signal {signal}, which is refused")));
    }
    let (has, wants) = (slots(bound), slots(asked));
    for (slot, words) in has.iter().filter(|_| asked.contains_key("argv")) {
        match wants.get(slot) {
            None => told.push(("argv", format!("the plugin fills no slot {slot}, so its calls are refused"))),
            Some(wanted) if !words.is_empty() => {
                for word in wanted.iter().filter(|word| !words.contains(word)) {
                    told.push(("argv", format!("the plugin asks for `{word}` in the slot {slot}, which is refused")));
                }
            }
            Some(_) => {}
        }
    }
    told
}

fn of_path(bound: &DeTable<'_>, asked: &DeTable<'_>) -> Option<Told> {
    let narrow = word(asked, "access") == Some("write") && word(bound, "access") == Some("read");
    narrow.then(|| ("access", "the plugin asks for access = \"write\": what it writes here is refused".to_owned()))
}

fn of_endpoint(bound: &DeTable<'_>, asked: &DeTable<'_>) -> Vec<Told> {
    const FORMS: [&str; 4] = ["http", "tcp", "udp", "unix"];
    let form = |of: &DeTable<'_>| FORMS.into_iter().find(|form| of.contains_key(*form));
    match (form(bound), form(asked)) {
        (Some(has), Some(wants)) if (has == "http") != (wants == "http") => {
            vec![(has, format!("the plugin asks for {wants} here: as {has} its questions are refused"))]
        }
        _ => missing(bound, asked, "method")
            .into_iter()
            .filter(|method| bound.contains_key("method") || !matches!(method.as_str(), "GET" | "HEAD"))
            .map(|method| ("method", format!("the plugin asks for the method {method}, which is refused")))
            .collect(),
    }
}

/// Defaults of parameters that the policy does not let through: an instance that sets no other value is refused.
pub(super) fn of_defaults(policy: &Policy, description: &Description, text: &str, path: &Path) -> Vec<Diagnostic> {
    let with_default = description.parameters.iter().filter_map(|p| Some((p, p.default.as_deref()?)));
    let refused = with_default.flat_map(|(parameter, value)| {
        lint::refused(policy, &parameter.name, value).into_iter().map(move |(steps, why)| {
            let message = format!(
                "the default of parameter {}, {value}, {why}: a start is refused unless it is set to another value",
                parameter.name
            );
            (steps, message)
        })
    });
    let at = |(steps, message): (Vec<String>, String)| {
        let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
        place::point(text, path, &steps, Severity::Warning, message)
    };
    refused.filter_map(at).collect()
}

fn table<'a>(value: &'a DeValue<'_>, name: &str) -> Option<&'a DeTable<'a>> {
    value.as_table()?.get(name)?.get_ref().as_table()
}

fn word<'a>(table: &'a DeTable<'_>, key: &str) -> Option<&'a str> {
    table.get(key)?.get_ref().as_str()
}

fn words(value: Option<&DeValue<'_>>) -> Vec<String> {
    let items = value.and_then(DeValue::as_array).into_iter().flatten();
    items.filter_map(|item| item.get_ref().as_str().map(str::to_owned)).collect()
}

/// The words of a list that is asked for, without those that the policy lists.
fn missing(bound: &DeTable<'_>, asked: &DeTable<'_>, key: &str) -> Vec<String> {
    let of = |table: &DeTable<'_>| words(table.get(key).map(toml::Spanned::get_ref));
    let has = of(bound);
    of(asked).into_iter().filter(|word| !has.contains(word)).collect()
}

/// The slots of an argument vector by name, each with the words that it may be; none where it has another type.
fn slots(program: &DeTable<'_>) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    let mut rest: Vec<&DeValue<'_>> = program.get("argv").map(|argv| vec![argv.get_ref()]).unwrap_or_default();
    while let Some(value) = rest.pop() {
        rest.extend(value.as_array().into_iter().flatten().map(toml::Spanned::get_ref));
        let open = value.as_table().and_then(|open| Some((word(open, "slot")?.to_owned(), open.get("one-of"))));
        found.extend(open.map(|(slot, list)| (slot, words(list.map(toml::Spanned::get_ref)))));
    }
    found
}
