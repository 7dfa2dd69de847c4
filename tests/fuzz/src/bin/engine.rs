//! One target under libFuzzer: the word of the target stands in `OCF_WASM_FUZZ_TARGET`, the arguments are the engine's.
#![no_main]

use std::sync::LazyLock;

use ocf_wasm_fuzz::Target;

static TARGET: LazyLock<&'static Target> = LazyLock::new(|| {
    let name = std::env::var("OCF_WASM_FUZZ_TARGET").unwrap_or_default();
    Target::named(&name).unwrap_or_else(|| panic!("OCF_WASM_FUZZ_TARGET: there is no target `{name}`"))
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| TARGET.run(data));
