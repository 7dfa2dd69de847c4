//! What the child that becomes a granted program does to itself, in this order.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::Pid;

use crate::sys::user::User;
use crate::sys::{exec, fd, fork, user};

/// The plan: everything is decided, opened and filled in before the fork.
pub struct Plan {
    /// The program, opened and judged.
    pub program: OwnedFd,
    /// Its arguments, the zeroth included.
    pub argv: Vec<CString>,
    /// Its whole environment.
    pub environment: Vec<CString>,
    /// Whom it runs as; none in a namespace of one user.
    pub user: Option<User>,
    /// The control group of its tree.
    pub cgroup: Option<PathBuf>,
    /// Standard input, output, error.
    pub standard: [OwnedFd; 3],
    /// Whose death it shall not survive.
    pub dies_with: Option<Pid>,
}

/// Becomes the program. Returns only if a step failed, with its name.
pub fn become_program(plan: Plan) -> String {
    let step = |name: &str, error: std::io::Error| format!("{name}: {error}");
    // 1. A session of its own: no terminal, no signal for our group reaches it.
    let _ = nix::unistd::setsid();
    // 2. Its control group, while that may still be written.
    if let Some(cgroup) = &plan.cgroup
        && let Err(error) = std::fs::write(cgroup.join("cgroup.procs"), "0")
    {
        return step("control group", error);
    }
    // 3. Descriptors: 0, 1, 2, and what closes itself at exec.
    for (number, from) in (0..).zip(&plan.standard) {
        if let Err(error) = fd::place(from, number) {
            return step("standard descriptors", error);
        }
    }
    // 4. Signals, mask, working directory, core dumps: as for a program that init starts.
    fork::reset_signals();
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    let _ = std::env::set_current_dir("/");
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    // 5. No right is ever gained by executing something.
    if let Err(error) = nix::sys::prctl::set_no_new_privs() {
        return step("no_new_privs", error.into());
    }
    // 6. Its user and groups.
    if let Some(identity) = &plan.user
        && let Err(error) = user::become_user(identity)
    {
        return step("user", error);
    }
    // 7. Die with whom it serves; after the change of user, which clears it.
    if let Some(parent) = plan.dies_with {
        fork::die_with(parent);
    }
    // 8. The file that was judged, not a path to it.
    let error = exec::by_descriptor(&plan.program, &plan.argv, &plan.environment);
    if error.raw_os_error() == Some(libc::ENOENT) {
        return "a script, or its loader is missing: grant the interpreter, with the script as a literal argument"
            .into();
    }
    step("exec", error)
}
