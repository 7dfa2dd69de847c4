//! An author's notes, the custom sections of a component, to the XML that every tool of a cluster reads.

use std::collections::BTreeSet;
use std::path::Path;

use ocf_wasm::cli::suggest;
use ocf_wasm::ocf::description::{Description, Exports, Kind, Parameter, Profile};
use ocf_wasm::ocf::metadata::render;
use ocf_wasm::policy::Policy;
use ocf_wasm::store::{Request, notes};
use roxmltree::{Document, Node, ParsingOptions};
use toml::Spanned;
use toml::de::DeTable;

pub(crate) fn run(data: &[u8]) {
    // The compiler refuses sections that are no UTF-8.
    let Ok(text) = std::str::from_utf8(data) else { return };
    let all = Exports { role: true, notification: true, migration: true, reload: true };
    for exports in [Exports::default(), all] {
        let Ok((description, requests)) = notes::read(text, "", exports) else { return };
        let halves = text.split_at(text.find('\n').map_or(text.len(), |at| at + 1));
        assert!(
            notes::read(halves.0, halves.1, exports).is_ok_and(|both| both == (description.clone(), requests.clone()))
        );
        assert_suggested(&description, &requests);
        let bytes = postcard::to_allocvec(&description).expect("what the store keeps");
        assert_eq!(postcard::from_bytes(&bytes), Ok(description.clone()));
        for profile in [Profile::V1_0, Profile::V1_1] {
            let xml = render(&description, profile).expect("memory");
            assert_eq!(render(&description, profile).ok().as_ref(), Some(&xml), "not the same bytes");
            let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
            let document = Document::parse_with_options(&xml, options).unwrap_or_else(|e| panic!("{e}:\n{xml}"));
            assert_said(&document, &description, profile);
        }
    }
}

/// What is suggested is about what was asked for and nothing else, can be seen, and is refused until somebody says as
/// whom a program runs, and that a directory may be changed.
fn assert_suggested(description: &Description, requests: &[Request]) {
    let text = suggest::policy(&description.name, requests).expect("a policy");
    assert!(text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\t')), "{text:?}");
    let whole = DeTable::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut labels: Vec<(String, String)> = Vec::new();
    let mut is_blank = false;
    for (kind, table) in whole.get_ref().iter().filter(|(key, _)| key.get_ref() != "format") {
        for (name, keys) in table.get_ref().as_table().into_iter().flatten() {
            labels.push((kind.get_ref().to_string(), name.get_ref().to_string()));
            let key = |key: &str| keys.get_ref().get(key).map(Spanned::get_ref);
            let user = key("user").map(|user| user.as_str());
            assert!(user.is_none_or(|user| user == Some("")), "{text}");
            assert!(key("access").is_none_or(|access| access.as_str() != Some("write")), "{text}");
            is_blank |= user.is_some() && kind.get_ref() == "program";
        }
    }
    labels.sort();
    assert_eq!(labels, requests.iter().map(|r| (r.kind.clone(), r.name.clone())).collect::<Vec<_>>(), "{text}");
    assert!(!is_blank || Policy::parse(&text, Path::new("/p.toml")).is_err(), "taken with a blank: {text}");
}

fn children<'a>(node: Node<'a, 'a>, name: &'a str) -> Vec<Node<'a, 'a>> {
    node.children().filter(|child| child.has_tag_name(name)).collect()
}

fn child<'a>(node: Node<'a, 'a>, name: &'a str) -> Node<'a, 'a> {
    let all = children(node, name);
    assert_eq!(all.len(), 1, "{name} in {:?}", node.tag_name());
    all[0]
}

fn text_of<'a>(node: Node<'a, 'a>, name: &'a str) -> &'a str {
    child(node, name).text().unwrap_or_default()
}

fn assert_said(document: &Document<'_>, description: &Description, profile: Profile) {
    let root = document.root_element();
    assert!(root.has_tag_name("resource-agent"));
    assert_eq!(root.attribute("name"), Some(description.name.kind.as_str()));
    assert_eq!(root.attribute("version"), Some(description.version.as_str()));
    assert_eq!(text_of(root, "version"), if profile == Profile::V1_0 { "1.0" } else { "1.1" });
    assert_words(root, &description.short, &description.long);
    let parameters = children(child(root, "parameters"), "parameter");
    assert_eq!(parameters.len(), description.parameters.len().max(1));
    for (node, parameter) in parameters.iter().zip(&description.parameters) {
        assert_parameter(*node, parameter, profile);
    }
    assert_actions(child(root, "actions"), description, profile);
}

fn assert_parameter(node: Node<'_, '_>, parameter: &Parameter, profile: Profile) {
    assert_eq!(node.attribute("name"), Some(parameter.name.as_str()));
    assert_eq!(node.attribute("required"), Some(if parameter.required { "1" } else { "0" }));
    if profile == Profile::V1_1 {
        assert_eq!(node.attribute("unique-group"), parameter.unique.as_deref());
        assert_eq!(node.attribute("reloadable"), parameter.reloadable.then_some("1"));
        assert_eq!(children(node, "deprecated").len(), usize::from(parameter.deprecated.is_some()));
    }
    assert_words(node, &parameter.short, &parameter.long);
    let content = child(node, "content");
    assert_eq!(content.attribute("default"), parameter.default.as_deref());
    let options: Vec<&str> = children(content, "option").iter().filter_map(|o| o.attribute("value")).collect();
    match &parameter.kind {
        Kind::Select(all) if profile == Profile::V1_1 => assert_eq!(&options, all),
        _ => assert!(options.is_empty()),
    }
}

/// The short description as one line; of the long one every letter, in its order, whatever stands around them.
fn assert_words(node: Node<'_, '_>, short: &str, long: &str) {
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(text_of(node, "shortdesc"), one_line(short));
    let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<Vec<char>>();
    let shown = letters(&format!("{}{}", text_of(node, "shortdesc"), text_of(node, "longdesc")));
    let mut shown = shown.iter();
    for letter in letters(long) {
        assert!(shown.any(|c| *c == letter), "{letter:?} of {long:?} is lost");
    }
}

fn assert_actions(node: Node<'_, '_>, description: &Description, profile: Profile) {
    let actions = children(node, "action");
    let of = |name: &str| actions.iter().filter(|action| action.attribute("name") == Some(name)).count();
    let exports = description.exports;
    let counts = [
        ("start", true),
        ("stop", true),
        ("meta-data", true),
        ("validate-all", true),
        ("promote", exports.role),
        ("demote", exports.role),
        ("notify", exports.notification),
        ("migrate_to", exports.migration),
        ("migrate_from", exports.migration),
        ("reload-agent", exports.reload && profile == Profile::V1_1),
    ];
    for (name, is_there) in counts {
        assert_eq!(of(name), usize::from(is_there), "{name}");
    }
    let seconds = |text: Option<&str>| text.and_then(|t| t.strip_suffix('s')).and_then(|t| t.parse::<u64>().ok());
    assert!(actions.iter().all(|action| seconds(action.attribute("timeout")).is_some_and(|s| s > 0)));
    let monitors: Vec<_> = actions.iter().filter(|action| action.attribute("name") == Some("monitor")).collect();
    let intervals: BTreeSet<_> = monitors.iter().filter_map(|monitor| seconds(monitor.attribute("interval"))).collect();
    let roles = if exports.role { 2 } else { 1 };
    assert_eq!((monitors.len(), intervals.len()), (roles * (1 + description.monitors.len()), monitors.len()));
    let depths: BTreeSet<_> =
        monitors.iter().filter_map(|monitor| monitor.attribute("depth")?.parse::<u8>().ok()).collect();
    let levels: BTreeSet<u8> = std::iter::once(0).chain(description.monitors.iter().map(|m| m.level)).collect();
    assert_eq!(depths, levels);
}
