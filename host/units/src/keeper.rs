//! The unit that keeps a daemon, as systemd is told of it: transient, made for one start and gone with what it keeps.
//!
//! Who builds the daemon's sandbox is the keeper in it, which needs its rights for that: no property takes one away. All
//! of it is shown to everybody, so what the daemon is told comes to the keeper over its standard output, a socket. None of
//! the properties is younger than systemd 240.

use std::os::fd::BorrowedFd;

use ocf_wasm_units::{Keeper, SLICE};
use zbus::{Fd, Variant};

/// A property of a unit, by name.
pub(crate) type Property<'a> = (&'static str, Variant<'a>);

/// All that systemd is told.
pub(crate) fn properties<'a>(keeper: &'a Keeper, input: BorrowedFd<'a>, output: BorrowedFd<'a>) -> Vec<Property<'a>> {
    let argv: Vec<&str> = keeper.argv.iter().map(String::as_str).collect();
    let mut all = vec![
        ("Description", Variant::from(keeper.description.as_str())),
        ("Slice", Variant::from(SLICE)),
        // At a shutdown what is before in this order is stopped after: the cluster ends what it has first.
        ("Before", Variant::from(vec!["pacemaker.service", "pacemaker_remote.service"])),
        // No target wants it, and no change of targets is to end it.
        ("IgnoreOnIsolate", Variant::from(true)),
        // One that failed stays no longer than one that did not.
        ("CollectMode", Variant::from("inactive-or-failed")),
        // The start is done when the keeper was executed.
        ("Type", Variant::from("exec")),
        ("ExecStart", Variant::from(vec![(keeper.executable.as_str(), argv, false)])),
        ("StandardInputFileDescriptor", Variant::from(Fd::from(input))),
        ("StandardOutputFileDescriptor", Variant::from(Fd::from(output))),
        ("StandardError", Variant::from("null")),
        // The daemon has a group below: systemd leaves that alone.
        ("Delegate", Variant::from(true)),
        ("KillMode", Variant::from("control-group")),
        ("MemoryAccounting", Variant::from(true)),
        ("TasksAccounting", Variant::from(true)),
    ];
    if let Some(memory) = keeper.memory {
        all.push(("MemoryMax", Variant::from(memory)));
        // Without it, what is over the limit would only be put aside.
        all.push(("MemorySwapMax", Variant::from(0_u64)));
    }
    if let Some(tasks) = keeper.tasks {
        all.push(("TasksMax", Variant::from(tasks)));
    }
    all
}
