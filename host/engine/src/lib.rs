//! The one engine configuration that the compiler and the runner share.
//!
//! Native code is only accepted by an engine that was configured as the one that made it, so both binaries call
//! [`configuration`] and nothing else. What our world does not need is off: each WebAssembly proposal is code in
//! the compiler and the runtime that a plugin could reach. What must never enter here: limits (they belong to the
//! runner's store) and anything that differs between two nodes.

use wasmtime::{Config, ModuleVersionStrategy, Result, WasmBacktraceDetails, WasmFeatures};

/// The version of the runtime that native code is made for. wasmtime itself compares the major version only, so a
/// fix of the code generator would not void what was compiled before it; this string does.
pub const RUNTIME_VERSION: &str = "48.0.8";

/// What native code is for: runtime and configuration. The last number grows with each change below; a test compares
/// it with the engine's own hash of all that matters.
pub const ENGINE: &str = "wasmtime-48.0.8.2";

/// Bytes of stack that a plugin may use. Below the 8 MiB that the kernel gives to the runner's only thread.
pub const WASM_STACK_BYTES: usize = 512 * 1024;

/// Returns the configuration for code of this machine's architecture, baseline instructions only: a store that was
/// copied to an older processor must still run.
///
/// # Errors
/// Only if the runtime does not know the target that this crate was built for.
pub fn configuration() -> Result<Config> {
    let mut config = Config::new();
    #[cfg(feature = "compile")]
    config.target(TARGET)?;
    config
        .module_version(ModuleVersionStrategy::Custom(format!("ocf-wasm+wasmtime-{RUNTIME_VERSION}")))?
        .max_wasm_stack(WASM_STACK_BYTES)
        // Copy-on-write images need memfd_create, which the runner may not call, and cost faults.
        .memory_init_cow(false)
        // A trap is told by its cause and by the plugin's last words. Tables for stack traces of any kind would be a
        // fifth of the file, to be checked and mapped for each action.
        .generate_address_map(false)
        .native_unwind_info(false)
        .wasm_backtrace_max_frames(None)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        // One thread, one call: no fibers.
        .concurrency_support(false)
        .gc_support(false)
        .wasm_features(WasmFeatures::EXCEPTIONS, false)
        .wasm_features(WasmFeatures::THREADS, false)
        .wasm_features(WasmFeatures::MEMORY64, false)
        .wasm_features(WasmFeatures::TAIL_CALL, false)
        .wasm_features(WasmFeatures::RELAXED_SIMD, false)
        .wasm_features(WasmFeatures::WIDE_ARITHMETIC, false)
        .wasm_features(WasmFeatures::FUNCTION_REFERENCES, false)
        .wasm_features(WasmFeatures::GC, false)
        .wasm_features(WasmFeatures::STACK_SWITCHING, false);
    Ok(config)
}

#[cfg(all(feature = "compile", target_arch = "x86_64"))]
const TARGET: &str = "x86_64-unknown-linux-gnu";
#[cfg(all(feature = "compile", target_arch = "aarch64"))]
const TARGET: &str = "aarch64-unknown-linux-gnu";

#[cfg(all(test, feature = "compile"))]
mod tests {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};

    use super::*;

    #[test]
    fn the_name_of_the_engine_changes_with_the_engine() {
        let engine = wasmtime::Engine::new(&configuration().unwrap()).unwrap();
        let mut hash = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hash);
        // What matters changed: count the last number of ENGINE up, and put the new pair here.
        assert_eq!((ENGINE, hash.finish()), ("wasmtime-48.0.8.2", 1_663_608_683_005_249_475));
    }
}
