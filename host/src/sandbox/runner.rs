//! What the runner does to itself before it looks at the plugin, in this order.

use nix::unistd::Pid;

use crate::sys::user::User;
use crate::sys::{fd, fork, user};

/// Turns a fresh child of the broker into a process that owns nothing but one end of the seam.
///
/// # Errors
/// If a step fails; the runner must not go on then.
pub fn enter(channel: i32, identity: Option<&User>, broker: Pid) -> std::io::Result<()> {
    // 1. Nothing open but the seam: no record, no lock, no log.
    fd::close_all_but(channel);
    // 2. No right is ever gained by executing something.
    nix::sys::prctl::set_no_new_privs()?;
    // 3. A user that owns nothing, and with it no capabilities. In a namespace of one user there is nobody else.
    if let Some(identity) = identity {
        user::become_user(identity)?;
    }
    // 4. Die with the broker; after the change of user, which clears it.
    fork::die_with(broker);
    // 5. Nobody of that user may look inside or attach.
    nix::sys::prctl::set_dumpable(false)?;
    Ok(())
}
