//! Moments of an action at which its broker is killed, found and reached by strace.

use std::collections::BTreeMap;
use std::fs;

use ocf_wasm_tests::host::{Ran, until};

use super::instance::Instance;

/// What the broker was about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum At {
    /// Begin with a host call that has arrived.
    Call,
    /// Send the answer of a host call that was done.
    Answer,
    /// Change something: a file, a directory, a process, a way to one.
    Change,
}

/// A moment at which the broker is killed.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(crate) at: At,
    /// Which host call of the action, from 1 on; between them the last that was answered.
    pub(crate) call: usize,
    /// The system call that the broker is about to make, and which of its name.
    pub(crate) system_call: String,
    pub(crate) number: usize,
}

/// System calls by which the broker speaks to others or changes something, as strace takes them.
const TRACED: &str = "trace=/^(socketpair|recvfrom|sendto|open|rename|mkdir|rmdir|unlink|clone|fork|vfork|kill|\
                      pidfd_send_signal)";

/// Finds the moments in what strace wrote of a whole action.
///
/// The first pair of sockets is the way to the runner. A message of it is two reads, of its length and of itself, and
/// the first byte of a host call is 0.
pub(crate) fn points(log: &str) -> Vec<Point> {
    let (mut found, mut way) = (Vec::new(), None);
    let (mut is_length, mut call, mut is_asked) = (false, 0, false);
    let mut counts = BTreeMap::new();
    for line in log.lines() {
        let Some((name, arguments)) = line.split_once('(') else { continue };
        let number = *counts.entry(name).and_modify(|count| *count += 1).or_insert(1_usize);
        let is_of_way = way.is_some_and(|way: &str| arguments.starts_with(way));
        let at = match name {
            "socketpair" if way.is_none() => {
                way = arguments.split_once('[').and_then(|(_, pair)| pair.split_inclusive(", ").next());
                None
            }
            "recvfrom" if is_of_way => {
                is_length = !is_length;
                is_asked = !is_length && arguments.contains(" \"\\0");
                is_asked.then_some(At::Call)
            }
            "sendto" if is_of_way => std::mem::take(&mut is_asked).then_some(At::Answer),
            "open" | "openat" if !arguments.contains("O_WRONLY") && !arguments.contains("O_RDWR") => None,
            // Reading what another process said changes nothing, and not being told that a child ended neither.
            "recvfrom" => None,
            _ if line.starts_with("---") || line.starts_with("+++") => None,
            _ => Some(At::Change),
        };
        call += usize::from(at == Some(At::Call));
        let system_call = name.to_owned();
        found.extend(at.map(|at| Point {
            at,
            call: call - usize::from(is_asked && at == At::Change),
            system_call,
            number,
        }));
    }
    found
}

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whom {
    Broker,
    Group,
}

/// Runs an action under strace, to its end.
pub(crate) fn watched(instance: &Instance<'_>, word: &str) -> Vec<Point> {
    let log = instance.file("strace").display().to_string();
    let _ = instance.call(word).under(&["strace", "-o", &log, "-e", TRACED]).is(0);
    points(&fs::read_to_string(&log).unwrap())
}

/// Runs an action that is killed at `point`. False if it ended before, because it made fewer calls.
#[track_caller]
pub(crate) fn kill_at(instance: &Instance<'_>, word: &str, point: &Point, whom: Whom) -> bool {
    let log = instance.file("strace").display().to_string();
    let traced = format!("trace={}", point.system_call);
    let when = format!("when={}", point.number);
    let ran = match whom {
        Whom::Broker => {
            let inject = format!("inject={}:signal=KILL:{when}", point.system_call);
            instance.call(word).under(&["strace", "-o", &log, "-e", &traced, "-e", &inject]).run()
        }
        Whom::Group => {
            // It is stopped there, having neither received nor sent anything, and killed with all of its group.
            let inject = format!("inject={}:error=EINTR:signal=STOP:{when}", point.system_call);
            let group = instance.file("group");
            let call = instance.call(word).before(&format!("echo $$ > {}", group.display()));
            let call = call.under(&["setsid", "strace", "-o", &log, "-e", &traced, "-e", &inject]);
            let is_stopped = || fs::read_to_string(&log).is_ok_and(|log| log.contains("stopped by SIGSTOP"));
            std::thread::scope(|scope| {
                let running = scope.spawn(|| call.run());
                until("it is stopped or has ended", || running.is_finished() || is_stopped());
                if is_stopped() {
                    let group: i32 = fs::read_to_string(group).unwrap().trim().parse().unwrap();
                    let group = rustix::process::Pid::from_raw(group).unwrap();
                    rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
                }
                running.join().unwrap()
            })
        }
    };
    was_killed(instance, &ran, point)
}

#[track_caller]
pub(crate) fn was_killed(instance: &Instance<'_>, ran: &Ran, point: &Point) -> bool {
    let asked = instance.asked().len();
    if ran.code == 0 {
        assert!(asked < point.call || point.at == At::Change, "not killed at {point:?}: {ran:#?}");
        return false;
    }
    assert!(ran.code == 1 && ran.stderr.contains("ended by signal 9"), "{point:?}: {ran:#?}");
    // Its own trace says that this was the moment: a call is written down when it is done.
    if point.at != At::Change {
        assert_eq!(asked, point.call - usize::from(point.at == At::Call), "{point:?}");
    }
    true
}
