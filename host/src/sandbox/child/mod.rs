//! What the child that becomes a granted program does to itself, in this order.
//!
//! There is no helper binary: whoever forks the child, broker or keeper, is static, has one thread and no lock that could
//! be held, so the child may do after the fork all that it might do after an exec, without the price of one. It is told
//! nothing: everything is decided, opened, made and filled in before the fork ([`Prepared`]), and what is left is a list
//! of steps, each of which ends the child if it cannot be taken.

mod calls;
mod init;
mod view;

use std::ffi::CString;
use std::io::Error;
use std::os::fd::OwnedFd;

use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;

use super::confinement::{Confinement, Limits, Namespace, Network};
use super::landlock::{Domain, Outside};
use super::layers;
use super::seccomp::Filter;
use crate::guard;
use crate::sys::user::User;
use crate::sys::{capability, exec, fd, fork, mount, user};

/// Open files of a process where nothing else is said, as init does it.
const FILES: u64 = 1024;

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
    /// The lists of members of the control groups of its tree.
    pub groups: Vec<OwnedFd>,
    /// Standard input, output, error.
    pub standard: [OwnedFd; 3],
    /// Whose death it shall not survive.
    pub dies_with: Option<Pid>,
    /// What it may reach.
    pub prepared: Prepared,
}

/// A confinement, with all that it names opened and made.
pub struct Prepared {
    view: view::View,
    domain: Option<Domain>,
    filters: Vec<Filter>,
    capabilities: u64,
    network: Network,
    can_mount: bool,
    namespaces: Vec<Namespace>,
    limits: Limits,
}

impl Confinement {
    /// Opens and makes all that a child needs to confine itself.
    ///
    /// # Errors
    /// A sentence: a granted path is not there, or this kernel refuses a step.
    pub fn prepare(&self) -> Result<Prepared, String> {
        let fixed = &self.fixed;
        let can_mount = layers::can_mount();
        if !can_mount && fixed.network == Network::Loopback {
            return Err("network = \"loopback\" needs a network namespace, which cannot be made here".to_owned());
        }
        if !can_mount && !fixed.namespaces.is_empty() {
            return Err("`namespaces` cannot be made here".to_owned());
        }
        let outside = Outside {
            tcp: fixed.network != Network::Nothing,
            abstract_sockets: self.cluster,
            // A program tells others that it is there: `pg_ctl` asks its postmaster, `pkill` ends what is left.
            signals: true,
        };
        let mut domain = Domain::with(outside).map_err(|error| format!("landlock: {error}"))?;
        let view = view::prepare(self, domain.as_mut())?;
        Ok(Prepared {
            view,
            domain,
            filters: calls::filters(fixed.network)?,
            capabilities: fixed.capabilities,
            network: fixed.network,
            can_mount,
            namespaces: fixed.namespaces.clone(),
            limits: fixed.limits,
        })
    }
}

/// Becomes the program. Returns only if a step failed, with its name.
pub fn become_program(plan: Plan) -> String {
    match steps(&plan) {
        Err(told) => told,
        Ok(never) => match never {},
    }
}

fn steps(plan: &Plan) -> Result<std::convert::Infallible, String> {
    let Prepared { view, domain, filters, limits, .. } = &plan.prepared;
    let failed = |step: &'static str| move |error: Error| format!("{step}: {error}");
    let refused = |step: &'static str| move |error: nix::Error| format!("{step}: {}", Error::from(error));
    // 1. A session of its own: no terminal, no signal for our group reaches it.
    let _ = nix::unistd::setsid();
    // 2. Descriptors: 0, 1, 2, and nothing else is left at exec.
    for (number, from) in (0..).zip(&plan.standard) {
        guard!("I15", { fd::place(from, number).map_err(failed("standard descriptors"))? });
    }
    fd::close_at_exec_from(3).map_err(failed("descriptors"))?;
    // 3. Signals, mask, working directory, and what it may use: as for a program that init starts.
    fork::reset_signals();
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    nix::unistd::chdir("/").map_err(refused("/"))?;
    let _ = std::fs::write("/proc/self/oom_score_adj", "0");
    limit(limits)?;
    // 4. Its control groups, while they may still be written.
    for group in &plan.groups {
        nix::unistd::write(group, b"0").map_err(refused("control group"))?;
    }
    // 5. What it sees: namespaces, then files.
    separate(&plan.prepared)?;
    if plan.prepared.namespaces.contains(&Namespace::Pid) {
        // From here on as the first process but one of a namespace of its own.
        init::enter(plan.dies_with).map_err(failed("process namespace"))?;
    }
    let is_alone = plan.prepared.namespaces.contains(&Namespace::Pid);
    guard!("program-view", { view.enter(is_alone).map_err(failed("view"))? });
    // 6. Beyond what bounds can it never come, whatever it executes.
    guard!("I16", { capability::bound(plan.prepared.capabilities).map_err(failed("bounding set"))? });
    // 7. Its user and groups.
    if let Some(identity) = &plan.user {
        capability::keep_over_change_of_user().map_err(failed("capabilities"))?;
        guard!("program-user", { user::become_user(identity).map_err(failed("user"))? });
    }
    // 8. Exactly the granted capabilities, for root too; those that are granted outlive the exec.
    capability::set(plan.prepared.capabilities).map_err(failed("capabilities"))?;
    // 9. Die with whom it serves; after the change of user, which clears it.
    if let Some(parent) = plan.dies_with.filter(|_| !plan.prepared.namespaces.contains(&Namespace::Pid)) {
        fork::die_with(parent);
    }
    // 10. No right is ever gained by executing something.
    nix::sys::prctl::set_no_new_privs().map_err(refused("no_new_privs"))?;
    // 11. No file, socket or TCP port beyond what is granted, wherever it is seen.
    if let Some(domain) = domain {
        guard!("program-landlock", { domain.enter().map_err(failed("landlock"))? });
    }
    // 12. No system call that no service makes.
    for filter in filters {
        guard!("program-calls", { filter.install().map_err(failed("system calls"))? });
    }
    // 13. The file that was judged, not a path to it.
    let error = exec::by_descriptor(&plan.program, &plan.argv, &plan.environment);
    if error.raw_os_error() == Some(libc::ENOENT) {
        return Err(
            "a script, or its loader is missing: a script needs `interpreter` in its section, which runs it".into()
        );
    }
    Err(format!("exec: {error}"))
}

/// Limits each of its processes.
fn limit(limits: &Limits) -> Result<(), String> {
    let failed = |name: &'static str| move |error: nix::Error| format!("limit of {name}: {}", Error::from(error));
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    for (name, resource, wanted) in
        [("cpu", Resource::RLIMIT_CPU, limits.cpu), ("fsize", Resource::RLIMIT_FSIZE, limits.fsize)]
    {
        if let Some(most) = wanted {
            setrlimit(resource, most, most).map_err(failed(name))?;
        }
    }
    let (soft, hard) = match limits.nofile {
        Some(most) => (most, most),
        None => {
            let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(failed("nofile"))?;
            (FILES.min(hard), hard)
        }
    };
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).map_err(failed("nofile"))
}

/// Leaves the namespaces of the node that it does not share. What no network means is held by the filter of system
/// calls too, so that a node that can make no namespaces is weaker and not open.
fn separate(prepared: &Prepared) -> Result<(), String> {
    let mut flags = CloneFlags::empty();
    if prepared.network != Network::Host && prepared.can_mount {
        flags |= CloneFlags::CLONE_NEWNET;
    }
    for namespace in &prepared.namespaces {
        flags |= match namespace {
            Namespace::Ipc => CloneFlags::CLONE_NEWIPC,
            Namespace::Uts => CloneFlags::CLONE_NEWUTS,
            Namespace::Cgroup => CloneFlags::CLONE_NEWCGROUP,
            Namespace::Pid => CloneFlags::CLONE_NEWPID,
        };
    }
    if !flags.is_empty() {
        unshare(flags).map_err(|error| format!("namespaces: {}", Error::from(error)))?;
    }
    if prepared.network == Network::Loopback && flags.contains(CloneFlags::CLONE_NEWNET) {
        mount::raise_loopback().map_err(|error| format!("loopback: {error}"))?;
    }
    Ok(())
}
