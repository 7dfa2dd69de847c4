//! What a component says of itself: imports, exports, and the notes its author left in custom sections.

use anyhow::{Result, bail};
use serde::Serialize;
use wasmparser::Payload;
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use crate::fit::Fit;

/// Bytes of all notes of one name; metadata of 256 KiB is refused later, with its own words.
const NOTE_BYTES: usize = 1024 * 1024;

/// The description, as JSON for the tool.
#[derive(Serialize)]
pub(crate) struct Description {
    imports: Vec<Interface>,
    exports: Vec<Interface>,
    /// Custom sections `ocf:metadata`, one JSON record a line.
    metadata: String,
    /// Custom sections `ocf:request`, one JSON record a line.
    requests: String,
}

#[derive(Serialize)]
struct Interface {
    name: String,
    functions: Vec<String>,
    /// Those of its names that are of another type than in this host's WIT; for an export, or missing.
    misfits: Vec<String>,
}

pub(crate) fn describe(engine: &Engine, compiled: &Component, component: &[u8]) -> Result<Description> {
    let whole = compiled.component_type();
    let fit = Fit::of(component)?;
    Ok(Description {
        imports: whole
            .imports(engine)
            .map(|(name, item)| interface(engine, name, &item.ty, fit.of_import(name)))
            .collect(),
        exports: whole
            .exports(engine)
            .map(|(name, item)| interface(engine, name, &item.ty, fit.of_export(name)))
            .collect(),
        metadata: note(component, "ocf:metadata")?,
        requests: note(component, "ocf:request")?,
    })
}

fn interface(engine: &Engine, name: &str, item: &ComponentItem, misfits: Vec<String>) -> Interface {
    let functions = match item {
        ComponentItem::ComponentInstance(instance) => instance
            .exports(engine)
            .filter(|(_, item)| matches!(item.ty, ComponentItem::ComponentFunc(_)))
            .map(|(name, _)| name.to_owned())
            .collect(),
        _ => Vec::new(),
    };
    Interface { name: name.to_owned(), functions, misfits }
}

/// The custom sections called `name`, of the component or of the modules in it (where a linker leaves them), but not
/// of both: two voices that could contradict each other.
fn note(component: &[u8], name: &str) -> Result<String> {
    let (mut outer, mut inner) = (Vec::new(), Vec::new());
    let mut depth = 0_usize;
    for payload in wasmparser::Parser::new(0).parse_all(component) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) if section.name() == name => {
                let into = if depth == 0 { &mut outer } else { &mut inner };
                into.extend_from_slice(section.data());
                if into.len() > NOTE_BYTES {
                    bail!("custom section `{name}` is larger than {} KiB", NOTE_BYTES >> 10);
                }
            }
            _ => {}
        }
    }
    if !outer.is_empty() && !inner.is_empty() {
        bail!("custom section `{name}` stands in the component and in a module of it: remove one");
    }
    outer.append(&mut inner);
    match String::from_utf8(outer) {
        Ok(text) => Ok(text),
        Err(_) => bail!("custom section `{name}` is not UTF-8"),
    }
}
