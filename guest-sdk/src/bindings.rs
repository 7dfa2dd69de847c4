//! What `wit-bindgen` makes of `wit/`: one module for each world, one set of types for all.
//!
//! Nothing here is for authors. `agent!` exports through it, `host` calls through it.
#![allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    clippy::undocumented_unsafe_blocks,
    reason = "generated code"
)]

macro_rules! world_agent {
    ($($more:tt)*) => {
        wit_bindgen::generate!({
            path: "../wit",
            world: "agent",
            pub_export_macro: true,
            export_macro_name: "export_lifecycle",
            default_bindings_module: "ocf_agent::bindings::agent",
            additional_derives: [PartialEq, Eq $($more)*],
            generate_all,
            std_feature,
        });
    };
}

/// World `agent`: all imports, and the one export that everybody has.
pub mod agent {
    #[cfg(target_family = "wasm")]
    world_agent!();
    // As recordings show them.
    #[cfg(not(target_family = "wasm"))]
    world_agent!(, serde::Serialize, serde::Deserialize);
}

macro_rules! optional_export {
    ($module:ident, $world:literal, $export:literal, $path:literal) => {
        #[doc = concat!("World `", $world, "`.")]
        pub mod $module {
            wit_bindgen::generate!({
                path: "../wit",
                world: $world,
                pub_export_macro: true,
                export_macro_name: $export,
                default_bindings_module: $path,
                std_feature,
                with: { "ocf:agent/types@0.1.0": crate::bindings::agent::ocf::agent::types },
            });
        }
    };
}
optional_export!(with_role, "with-role", "export_role", "ocf_agent::bindings::with_role");
optional_export!(
    with_notification,
    "with-notification",
    "export_notification",
    "ocf_agent::bindings::with_notification"
);
optional_export!(with_migration, "with-migration", "export_migration", "ocf_agent::bindings::with_migration");
optional_export!(with_reload, "with-reload", "export_reload", "ocf_agent::bindings::with_reload");
