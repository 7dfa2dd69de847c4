//! `ocf-wasm`, the operator's and the author's tool.

fn main() -> std::process::ExitCode {
    ocf_wasm::cli::main()
}
