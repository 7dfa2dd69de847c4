//! What Pacemaker runs: `/usr/lib/ocf/resource.d/PROVIDER/TYPE ACTION`, a symbolic link to this binary.

use ocf_wasm::{agent, capability::program::keeper, ocf::Request, report, sys};

fn main() {
    let start = std::time::Instant::now();
    sys::fd::open_standard();
    sys::fork::ignore_broken_pipes();
    if std::env::args_os().next().is_some_and(|name| name == keeper::NAME) {
        keeper::main();
    }
    let request = Request::read(std::env::args_os(), std::env::vars_os(), agent::host_name);
    let (prefix, outcome) = match request {
        Ok(request) => (request.reason_prefix.clone(), agent::perform(&request, start)),
        Err(unreadable) => ("ocf-exit-reason:".to_owned(), agent::unreadable(&unreadable)),
    };
    report::reason(&prefix, &outcome);
    sys::exit::now(outcome.exit.code().into())
}
