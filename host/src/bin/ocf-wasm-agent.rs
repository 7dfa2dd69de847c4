//! What Pacemaker runs: `/usr/lib/ocf/resource.d/PROVIDER/TYPE ACTION`, a symbolic link to this binary.
#![no_main]

use ocf_wasm::{agent, capability::program::keeper, ocf::Request, report, sys};

ocf_wasm::entry!(agent);

#[global_allocator]
static MEMORY: sys::heap::Memory = sys::heap::Memory;

fn agent(arguments: Vec<std::ffi::OsString>) {
    let start = std::time::Instant::now();
    sys::fd::open_standard();
    ocf_wasm::guard!("I3", { sys::fork::expect_usual_signals() });
    if arguments.first().is_some_and(|name| name == keeper::NAME) {
        keeper::main();
    }
    // What else the caller has open is nobody's here, and may leave no room. Where it cannot be closed, whatever must not
    // have it ends.
    let _ = sys::fd::close_from(3);
    let request = Request::read(arguments, std::env::vars_os(), agent::host_name);
    sys::entry::forget_parameters();
    let (prefix, outcome) = match request {
        Ok(request) => (request.reason_prefix.clone(), agent::perform(&request, start)),
        Err(unreadable) => ("ocf-exit-reason:".to_owned(), agent::unreadable(&unreadable)),
    };
    report::reason(&prefix, &outcome);
    sys::exit::now(outcome.exit.code().into())
}
