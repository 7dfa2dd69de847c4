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
pub const ENGINE: &str = "wasmtime-48.0.8.3";

/// Bytes of stack that a plugin may use. Below the 8 MiB that the kernel gives to the runner's only thread.
pub const WASM_STACK_BYTES: usize = 512 * 1024;

/// What a component may use: what rustc, `TinyGo`, componentize-py and componentize-js emit, and no more. Each is finished,
/// and was in engines for years before this one was written.
const USED: [WasmFeatures; 10] = [
    // Rust's and Go's stack pointer.
    WasmFeatures::MUTABLE_GLOBAL,
    // `as` from a float to an integer.
    WasmFeatures::SATURATING_FLOAT_TO_INT,
    WasmFeatures::SIGN_EXTENSION,
    // Tables of functions by an index of more than one byte; no reference leaves a module.
    WasmFeatures::REFERENCE_TYPES,
    WasmFeatures::MULTI_VALUE,
    // `memcpy` and `memset`.
    WasmFeatures::BULK_MEMORY,
    // Crates and C libraries with `simd128`: strings, checksums. Its instructions are a good part of the compiler, but a
    // Python or JavaScript runtime that was built with them is all there is to install.
    WasmFeatures::SIMD,
    WasmFeatures::FLOATS,
    // Addresses in shared libraries, as componentize-py links them.
    WasmFeatures::EXTENDED_CONST,
    WasmFeatures::COMPONENT_MODEL,
];

/// What it may not use, by the name that a refusal gives it, and why not.
pub const LEFT_OUT: [(WasmFeatures, &str); 13] = [
    // The runner has one thread, and a memory that two share was unsound once.
    (WasmFeatures::THREADS.union(WasmFeatures::SHARED_EVERYTHING_THREADS), "threads"),
    // A heap of the engine's own, which guests corrupted more than once; nothing that we run needs one.
    (WasmFeatures::GC.union(WasmFeatures::GC_TYPES), "garbage collection"),
    (WasmFeatures::FUNCTION_REFERENCES, "typed function references"),
    // Tags are objects of that heap.
    (WasmFeatures::EXCEPTIONS.union(WasmFeatures::LEGACY_EXCEPTIONS), "exceptions"),
    // Each access is checked by an instruction instead of by the pages behind the memory.
    (WasmFeatures::MEMORY64.union(WasmFeatures::CM64), "64-bit memories"),
    // A component has a memory a module: nobody's linker merges them.
    (WasmFeatures::MULTI_MEMORY, "several memories in one module"),
    // Answers of another processor's kind differ: two nodes would not agree.
    (WasmFeatures::RELAXED_SIMD, "relaxed SIMD"),
    // A calling convention of their own in the compiler.
    (WasmFeatures::TAIL_CALL, "tail calls"),
    (WasmFeatures::WIDE_ARITHMETIC, "wide arithmetic"),
    (WasmFeatures::STACK_SWITCHING, "stack switching"),
    // A native stack was overwritten by it (GHSA-32h6-97mm-8q3c); a host call is answered before the plugin goes on.
    (
        WasmFeatures::CM_ASYNC
            .union(WasmFeatures::CM_ASYNC_STACKFUL)
            .union(WasmFeatures::CM_MORE_ASYNC_BUILTINS)
            .union(WasmFeatures::CM_THREADING),
        "asynchronous functions",
    ),
    (WasmFeatures::CM_ERROR_CONTEXT, "error contexts"),
    // What nobody has finished yet.
    (
        WasmFeatures::MEMORY_CONTROL
            .union(WasmFeatures::CUSTOM_PAGE_SIZES)
            .union(WasmFeatures::CUSTOM_DESCRIPTORS)
            .union(WasmFeatures::COMPACT_IMPORTS)
            .union(WasmFeatures::CM_VALUES)
            .union(WasmFeatures::CM_NESTED_NAMES)
            .union(WasmFeatures::CM_FIXED_LENGTH_LISTS)
            .union(WasmFeatures::CM_GC)
            .union(WasmFeatures::CM_MAP)
            .union(WasmFeatures::CM_IMPLEMENTS)
            .union(WasmFeatures::CM_CANON_NAMES),
        "a proposal that is not finished",
    ),
];

/// All that a component may use.
pub fn features() -> WasmFeatures {
    USED.into_iter().fold(WasmFeatures::empty(), WasmFeatures::union)
}

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
        .wasm_features(WasmFeatures::all(), false)
        .wasm_features(features(), true);
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

    /// So that an engine that knows more does not bring it along unseen.
    #[test]
    fn each_feature_is_used_or_left_out() {
        let left_out = LEFT_OUT.iter().fold(WasmFeatures::empty(), |all, (feature, _)| all.union(*feature));
        assert_eq!(features() & left_out, WasmFeatures::empty());
        assert_eq!((WasmFeatures::all() - features() - left_out).iter_names().collect::<Vec<_>>(), []);
    }

    #[test]
    fn the_name_of_the_engine_changes_with_the_engine() {
        let engine = wasmtime::Engine::new(&configuration().unwrap()).unwrap();
        let mut hash = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hash);
        // What matters changed: count the last number of ENGINE up, and put the new pair here.
        assert_eq!((ENGINE, hash.finish()), ("wasmtime-48.0.8.3", 11_004_406_108_024_136_213));
    }
}
