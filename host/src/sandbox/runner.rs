//! What the runner does to itself before it looks at the plugin, in this order.
//!
//! In two steps: [`enter`] right after the fork, and [`close`] when the code is loaded and before any of it runs. What
//! cannot be done ends the runner, but for Landlock, which not every kernel has: the rest does without it.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Instant;

use nix::sys::resource::Resource;
use nix::unistd::Pid;

use super::calls::CALLS;
use super::landlock::Domain;
use super::limits;
use super::seccomp::{Filter, Refusal};
use crate::guard;
use crate::sys::user::User;
use crate::sys::{fd, fork, heap, memory, rights, user};

/// What the runner is limited to by the kernel, behind the limits that the engine holds itself.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes that it may take beyond what it was forked with.
    pub more_data_bytes: u64,
    /// Bytes of its stack.
    pub stack_bytes: u64,
    /// When the host has answered in its place: it may compute until then, and a second.
    pub until: Instant,
}

/// Turns a fresh child of the broker into a process that owns nothing but one end of the seam.
///
/// # Errors
/// If a step fails, with its name; the runner must not go on then.
pub fn enter(channel: i32, identity: Option<&User>, broker: Pid, bounds: &Bounds) -> Result<(), String> {
    let step = |name: &'static str| move |error: io::Error| format!("{name}: {error}");
    // The tool may hold a whole component; the agent holds nothing worth a look.
    let had_bytes = if cfg!(feature = "tool") { memory::data_bytes().map_err(step("memory"))? } else { 0 };
    // 1. Nothing open but the seam: no record, no lock, no log.
    guard!("descriptors", { fd::close_all_but(channel).map_err(step("descriptors"))? });
    // 2. No right is ever gained by executing something.
    nix::sys::prctl::set_no_new_privs().map_err(|error| step("no_new_privs")(error.into()))?;
    // 3. No file, no TCP, no abstract socket, no signal to anybody: as far as this kernel can refuse it.
    if let Some(nothing) = Domain::nothing().map_err(step("landlock"))? {
        guard!("landlock", { nothing.enter().map_err(step("landlock"))? });
    }
    // 4. A user that owns nothing, and no capabilities. In a namespace of one user there is nobody else. The bounding set
    //    stays: it says what an executed file may bring along, which step 2 forbids for all, at a fortieth of the price.
    if let Some(identity) = guard!("user", identity, None) {
        user::become_user(identity).map_err(step("user"))?;
    }
    rights::give_up().map_err(step("capabilities"))?;
    // 5. Die with the broker; after the change of user, which clears it.
    guard!("I5", { fork::die_with(broker) });
    // 6. Nobody of that user may look inside or attach.
    nix::sys::prctl::set_dumpable(false).map_err(|error| step("dumpable")(error.into()))?;
    // 7. No process, no descriptor, no file, no core, no memory beyond what the plugin may have, no time beyond its own.
    let seconds = bounds.until.saturating_duration_since(Instant::now()).as_secs() + 2;
    let limits = [
        (Resource::RLIMIT_NPROC, 0),
        (Resource::RLIMIT_NOFILE, 0),
        (Resource::RLIMIT_FSIZE, 0),
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_DATA, had_bytes + bounds.more_data_bytes),
        (Resource::RLIMIT_STACK, bounds.stack_bytes),
        (Resource::RLIMIT_CPU, seconds),
    ];
    guard!("limits", { limits::lower(&limits).map_err(step("limits"))? });
    Ok(())
}

/// Leaves behind all that the broker allocated, and goes on with `serve`: with the seam, with code that is mapped, and with
/// a copy of `kept`; or says with `fail` why it cannot. They are functions and no closures, so that they bring nothing along
/// from there.
#[allow(unsafe_code, reason = "what is left behind may not be looked at again, which only this place can promise")]
pub fn go_on(
    seam: OwnedFd,
    code: &'static [u8],
    kept: &[u8],
    serve: fn(OwnedFd, &'static [u8], &'static [u8]) -> i32,
    fail: fn(OwnedFd, &str) -> i32,
) -> i32 {
    // SAFETY: from here on only `serve` runs in this process, until it ends; what it is given lies elsewhere, and nothing
    // that this program keeps in a static on its heap is asked by a runner.
    match unsafe { heap::leave(kept) } {
        Ok(kept) => serve(seam, code, kept),
        Err(error) => fail(seam, &format!("heap: {error}")),
    }
}

/// From here on only [`CALLS`]: the engine is made, the code is loaded, and none of it has run.
///
/// # Errors
/// If the kernel has no filters; the runner must not go on then.
pub fn close() -> Result<(), String> {
    let filter = Filter::only(&CALLS, Refusal::Death)?;
    guard!("seccomp", { filter.install().map_err(|error| format!("seccomp: {error}"))? });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::seccomp::Row;
    use crate::sys::fork;

    /// An outer filter, as some managers of containers have it, or a kernel from before Linux 5.9.
    #[test]
    fn it_does_not_go_on_with_descriptors_that_it_cannot_close() {
        let refused = [Row::always(libc::SYS_close_range, "close_range", "not known here")];
        let filter = Filter::all_but(&refused, Refusal::Error(libc::ENOSYS)).unwrap();
        let until = Instant::now() + std::time::Duration::from_secs(10);
        let bounds = Bounds { more_data_bytes: 64 << 20, stack_bytes: 1 << 20, until };
        let parent = nix::unistd::getpid();
        let child = fork::fork(|| {
            let stopped = nix::sys::prctl::set_no_new_privs().is_ok()
                && filter.install().is_ok()
                && enter(0, None, parent, &bounds).is_err_and(|why| why.starts_with("descriptors: "));
            i32::from(!stopped)
        });
        assert!(matches!(nix::sys::wait::waitpid(child.unwrap(), None), Ok(nix::sys::wait::WaitStatus::Exited(_, 0))));
    }
}
