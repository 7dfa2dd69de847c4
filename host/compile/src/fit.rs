//! Whether what a component imports and exports is of the types of this host's WIT, before any of it runs.
//!
//! Names alone say too little: a function of another type is linked to nothing, which a start on some node would find out.

use anyhow::{Context as _, Result};
use wasmparser::Validator;
use wasmparser::component_types::{ComponentEntityType, ComponentItem};
use wasmparser::types::{Types, TypesRef};

/// The version of the package in the WIT.
const VERSION: &str = "0.1.0";
/// The world `everything` of the WIT as a component; made by the build script.
const WORLD: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/world.wasm"));

/// The types of a component beside those of the WIT.
pub(crate) struct Fit {
    world: Types,
    component: Types,
}

impl Fit {
    /// Reads both.
    ///
    /// # Errors
    /// If the component is not valid.
    pub(crate) fn of(component: &[u8]) -> Result<Self> {
        // Types can be compared if one validator knows them both.
        let mut validator = Validator::new_with_features(ocf_wasm_engine::features());
        let world = validator.validate_all(WORLD).context("the world")?;
        validator.reset();
        Ok(Self { world, component: validator.validate_all(component)? })
    }

    /// Functions of an imported interface of ours that are of another type than those which this host offers.
    /// What it does not offer at all is not among them.
    pub(crate) fn of_import(&self, name: &str) -> Vec<String> {
        let offered = self.ours(name, TypesRef::component_item_for_import);
        let Some(needed) = self.component.as_ref().component_item_for_import(name) else { return Vec::new() };
        differing((needed, self.component.as_ref()), offered.map(|item| (item, self.world.as_ref())), true)
    }

    /// Functions of an exported interface of ours that are not there, or of another type than this host calls.
    pub(crate) fn of_export(&self, name: &str) -> Vec<String> {
        let Some(wanted) = self.ours(name, TypesRef::component_item_for_export) else { return Vec::new() };
        let exported = self.component.as_ref().component_item_for_export(name);
        differing((wanted, self.world.as_ref()), exported.map(|item| (item, self.component.as_ref())), false)
    }

    /// An interface of the WIT, whatever its version behind the second dot.
    fn ours<'a>(
        &'a self,
        name: &str,
        look_up: impl Fn(&TypesRef<'a>, &str) -> Option<&'a ComponentItem>,
    ) -> Option<&'a ComponentItem> {
        let (base, _) = name.split_once('@')?;
        look_up(&self.world.as_ref(), &format!("{base}@{VERSION}"))
    }
}

/// The names of `wanted` that `there` does not have in a type that fits. `is_offered`: a name that is not there is left to
/// who knows better what to say.
fn differing(
    wanted: (&ComponentItem, TypesRef<'_>),
    there: Option<(&ComponentItem, TypesRef<'_>)>,
    is_offered: bool,
) -> Vec<String> {
    let (ComponentEntityType::Instance(id), Some((item, types))) = (wanted.0.ty, there) else { return Vec::new() };
    let ComponentEntityType::Instance(found) = item.ty else {
        return wanted.1[id].exports.keys().cloned().collect();
    };
    let found = &types[found].exports;
    // Types are what functions are made of: one that no function has binds nobody.
    let functions = wanted.1[id].exports.iter().filter(|(_, item)| matches!(item.ty, ComponentEntityType::Func(_)));
    functions
        .filter(|(name, item)| match found.get(name.as_str()) {
            Some(there) => !ComponentEntityType::is_subtype_of(&there.ty, types, &item.ty, wanted.1),
            None => !is_offered,
        })
        .map(|(name, _)| name.clone())
        .collect()
}
