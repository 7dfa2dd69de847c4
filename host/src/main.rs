//! `ocf-wasm`, the operator's and the author's tool.

fn main() -> std::process::ExitCode {
    ocf_wasm::sys::fork::end_by_broken_pipes();
    ocf_wasm::cli::main()
}
