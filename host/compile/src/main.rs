//! `ocf-wasm-compile`: component in on standard input, description and native code out on standard output.
//!
//! The only program of ocf-wasm that links a compiler, and the only one that parses a component. It is run in a
//! child that may do little, by `install` and by an agent whose cache misses, so that a component built to exhaust
//! or to subvert the compiler meets an unprivileged process with limits. What must never enter here: files, the
//! network, the store.
//!
//! Output: [`MAGIC`], the length of the description (4 bytes, little endian), the description (JSON), the native
//! code to the end. With `--describe` only the description.

mod describe;
mod fit;

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use wasmtime::Engine;
use wasmtime::component::Component;

/// First bytes of the output.
const MAGIC: &[u8; 4] = b"OCF1";
/// Bytes of the largest component that is accepted; a Python component has 18 MiB.
const COMPONENT_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes of the largest native code that is written.
const NATIVE_BYTES: usize = 256 * 1024 * 1024;

fn main() -> ExitCode {
    let describe_only = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--describe") => true,
        Some(_) => {
            eprintln!("usage: ocf-wasm-compile [--describe] < COMPONENT > OUTPUT   (run by ocf-wasm, not by hand)");
            return ExitCode::from(2);
        }
    };
    match run(describe_only) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(describe_only: bool) -> Result<()> {
    ocf_wasm::sandbox::compiler::enter().map_err(anyhow::Error::msg)?;
    let mut component = Vec::new();
    std::io::stdin().take(COMPONENT_BYTES + 1).read_to_end(&mut component).context("standard input")?;
    if component.len() as u64 > COMPONENT_BYTES {
        bail!("larger than {} MiB", COMPONENT_BYTES >> 20);
    }
    if wasmparser::Parser::is_core_wasm(&component) {
        bail!("a core module, not a component: build it for wasm32-wasip2, or run `wasm-tools component new`");
    }
    if !wasmparser::Parser::is_component(&component) {
        bail!("not a WebAssembly component: build one for wasm32-wasip2, with crate ocf-agent");
    }
    let engine = ocf_wasm_engine::configuration().and_then(|config| Engine::new(&config)).map_err(cause)?;
    let compiled = Component::new(&engine, &component).map_err(|error| match left_out(&component) {
        Some(names) => anyhow::anyhow!(
            "uses {names}, which this host leaves out of its engine: build it without, as rustc, TinyGo, componentize-py \
             and componentize-js do if nothing else is asked of them"
        ),
        None => cause(error).context("damaged, or made by newer tools than this host knows: copy or build it again"),
    })?;
    let description = serde_json::to_vec(&describe::describe(&engine, &compiled, &component)?)?;
    let mut out = std::io::stdout().lock();
    if describe_only {
        out.write_all(&description)?;
        return Ok(());
    }
    let native = compiled.serialize().map_err(cause)?;
    if native.len() > NATIVE_BYTES {
        bail!("its native code is larger than {} MiB", NATIVE_BYTES >> 20);
    }
    out.write_all(MAGIC)?;
    out.write_all(&u32::try_from(description.len()).context("description")?.to_le_bytes())?;
    out.write_all(&description)?;
    out.write_all(&native)?;
    out.flush()?;
    Ok(())
}

/// What a component uses that the engine leaves out, by name. None if that is not what is wrong with it.
fn left_out(component: &[u8]) -> Option<String> {
    let is_valid = |features| wasmparser::Validator::new_with_features(features).validate_all(component).is_ok();
    let used = ocf_wasm_engine::features();
    let with =
        |rows: &[(wasmtime::WasmFeatures, &str)]| rows.iter().fold(used, |all, (feature, _)| all.union(*feature));
    let mut needed = ocf_wasm_engine::LEFT_OUT.to_vec();
    if is_valid(used) || !is_valid(with(&needed)) {
        return None;
    }
    for row in ocf_wasm_engine::LEFT_OUT {
        let without: Vec<_> = needed.iter().copied().filter(|other| *other != row).collect();
        if is_valid(with(&without)) {
            needed = without;
        }
    }
    Some(needed.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(", "))
}

/// The root cause alone: what stands around it speaks of offsets in our own calls.
fn cause(error: wasmtime::Error) -> anyhow::Error {
    anyhow::anyhow!("{}", error.root_cause())
}
