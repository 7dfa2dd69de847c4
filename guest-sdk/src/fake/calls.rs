//! The imported functions, with the signatures that the bindings have.

use super::{ActionName, CloneFacts, Condition, Error, ExitStatus, Level, Move, Notice, Output, Phase};
use super::{Reply, Slot, Until, with};
use crate::endpoint::Reach;

pub(crate) mod instance {
    use super::{ActionName, CloneFacts, Move, Notice, with};

    pub(crate) fn parameter(name: &str) -> Option<String> {
        with(|node| node.canonical(name))
    }
    pub(crate) fn name() -> String {
        with(|node| node.instance.clone())
    }
    pub(crate) fn action() -> ActionName {
        with(|node| node.action)
    }
    pub(crate) fn is_probe() -> bool {
        with(|node| node.is_probe)
    }
    pub(crate) fn check_level() -> u8 {
        with(|node| node.check_level)
    }
    pub(crate) fn node() -> String {
        with(|node| node.host.clone())
    }
    pub(crate) fn clone_info() -> Option<CloneFacts> {
        with(|node| node.clone)
    }
    pub(crate) fn notification() -> Option<Notice> {
        with(|node| node.notice.clone())
    }
    pub(crate) fn migration() -> Option<Move> {
        with(|node| node.migration.clone())
    }
    pub(crate) fn remaining_ms() -> u32 {
        with(|node| u32::try_from(node.deadline_ms.saturating_sub(node.now_ms)).unwrap_or(u32::MAX))
    }
}

pub(crate) mod log {
    use super::{Level, with};

    pub(crate) fn log(level: Level, text: &str) {
        with(|node| node.lines.push((level, text.replace('\n', " | "))));
    }
}

pub(crate) mod clock {
    use super::{Error, with};
    use crate::bindings::agent::ocf::agent::clock::WallTime;

    pub(crate) fn sleep_ms(milliseconds: u32) -> Result<(), Error> {
        if milliseconds > 60_000 {
            return Err(Error::Invalid("above 60,000 ms".into()));
        }
        with(|node| {
            let until_ms = node.now_ms + u64::from(milliseconds);
            node.now_ms = until_ms.min(node.deadline_ms);
            if until_ms < node.deadline_ms { Ok(()) } else { Err(Error::TimedOut) }
        })
    }
    pub(crate) fn monotonic_ms() -> u64 {
        with(|node| node.now_ms)
    }
    pub(crate) fn wall() -> WallTime {
        let now_ms = monotonic_ms();
        WallTime {
            seconds: 1_700_000_000 + i64::try_from(now_ms / 1000).unwrap_or(0),
            nanoseconds: u32::try_from(now_ms % 1000).unwrap_or(0) * 1_000_000,
        }
    }
}

pub(crate) mod state {
    use super::{ActionName, Error, with};
    use crate::fake::Node;

    const VALUE_MAX: usize = 64 * 1024;
    const TOTAL_MAX: usize = 256 * 1024;
    const KEYS_MAX: usize = 64;

    fn check(key: &str) -> Result<(), Error> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        if (1..=64).contains(&key.len()) && key.chars().all(fits) {
            Ok(())
        } else {
            Err(Error::Invalid("a key is 1-64 of a-z, 0-9, -, .".into()))
        }
    }
    fn check_change(node: &Node, key: &str) -> Result<(), Error> {
        check(key)?;
        if matches!(node.action, ActionName::Monitor | ActionName::Validate) {
            return Err(Error::Invalid("monitor and validate change nothing".into()));
        }
        Ok(())
    }
    pub(crate) fn get(key: &str) -> Result<Option<Vec<u8>>, Error> {
        check(key)?;
        with(|node| Ok(node.state.get(key).cloned()))
    }
    pub(crate) fn set(key: &str, value: &[u8]) -> Result<(), Error> {
        with(|node| {
            check_change(node, key)?;
            let others = node.state.iter().filter(|(other, _)| *other != key);
            let (count, total) = others.fold((1, value.len()), |(n, sum), (_, v)| (n + 1, sum + v.len()));
            if value.len() > VALUE_MAX || total > TOTAL_MAX || count > KEYS_MAX {
                return Err(Error::Invalid("too much state".into()));
            }
            node.state.insert(key.into(), value.into());
            Ok(())
        })
    }
    pub(crate) fn delete(key: &str) -> Result<(), Error> {
        with(|node| {
            check_change(node, key)?;
            node.state.remove(key);
            Ok(())
        })
    }
    pub(crate) fn keys() -> Result<Vec<String>, Error> {
        with(|node| Ok(node.state.keys().cloned().collect()))
    }
}

pub(crate) mod program {
    use super::{Condition, Error, ExitStatus, Output, Phase, Slot, with};
    use crate::program::SignalName;

    pub(crate) fn available(label: &str, _: &[Slot]) -> Result<bool, Error> {
        with(|node| {
            node.permit("program", label, "available")?;
            Ok(!node.unavailable.contains(label))
        })
    }
    pub(crate) fn run(label: &str, slots: &[Slot], _: Option<&[u8]>) -> Result<Output, Error> {
        let slots: String = slots.iter().map(|slot| format!(" {}={}", slot.name, slot.value)).collect();
        with(|node| {
            let outputs = &mut node.permit_program(label, &format!("run{slots}"))?.outputs;
            let next = if outputs.len() > 1 { outputs.pop_front() } else { outputs.front().cloned() };
            let silent = || Output { status: ExitStatus::Exited(0), stdout: vec![], stderr: vec![], truncated: false };
            Ok(next.unwrap_or_else(silent))
        })
    }
    pub(crate) fn start(label: &str, _: &[Slot]) -> Result<bool, Error> {
        with(|node| {
            let now_ms = node.now_ms;
            let program = node.permit_program(label, "start")?;
            if matches!(program.phase, Phase::Running | Phase::Starting) {
                return Ok(false);
            }
            (program.phase, program.ended, program.started_ms) = (Phase::Running, None, Some(now_ms));
            Ok(true)
        })
    }
    pub(crate) fn status(label: &str) -> Result<Condition, Error> {
        with(|node| {
            let now_ms = node.now_ms;
            node.permit("program", label, "status")?;
            let program = node.programs.entry(label.into()).or_default();
            Ok(Condition {
                phase: program.phase,
                processes: u32::from(!matches!(program.phase, Phase::Stopped | Phase::Failed)),
                age_ms: program.started_ms.map(|started_ms| now_ms - started_ms),
                ended: program.ended,
            })
        })
    }
    pub(crate) fn stop(label: &str) -> Result<(), Error> {
        with(|node| {
            node.permit("program", label, "stop")?;
            let program = node.programs.entry(label.into()).or_default();
            (program.phase, program.ended) = (Phase::Stopped, None);
            Ok(())
        })
    }
    pub(crate) fn signal(label: &str, signal: SignalName) -> Result<bool, Error> {
        with(|node| {
            let what = format!("signal {signal:?}").replace("SignalName::", "").to_lowercase();
            node.permit("program", label, &what)?;
            Ok(node.programs.get(label).is_some_and(|program| program.phase == Phase::Running))
        })
    }
}

pub(crate) use crate::fake::files as path;

pub(crate) mod endpoint {
    use super::{Error, Reach, Reply, Slot, Until, with};
    use crate::bindings::agent::ocf::agent::endpoint::{HttpRequest, HttpResponse};
    use crate::instance::ActionName;

    fn answer(label: &str, what: &str) -> Result<Reply, Error> {
        with(|node| {
            node.permit("endpoint", label, what)?;
            let refused = || Reply { reach: Reach::Refused, received: vec![] };
            Ok(node.endpoints.get(label).cloned().unwrap_or_else(refused))
        })
    }
    pub(crate) fn connect(label: &str, _: &[Slot]) -> Result<Reach, Error> {
        Ok(answer(label, "connect")?.reach)
    }
    pub(crate) fn exchange(label: &str, _: &[Slot], _: &[u8], until: &Until) -> Result<Reply, Error> {
        let mut reply = answer(label, "exchange")?;
        let complete = match until {
            Until::Bytes(end) => {
                reply.received.windows(end.len().max(1)).position(|w| w == end.as_slice()).map(|at| at + end.len())
            }
            Until::Size(size) => Some(*size as usize).filter(|size| *size <= reply.received.len()),
            Until::Closed => Some(reply.received.len()),
        };
        match complete {
            Some(length) => reply.received.truncate(length),
            None if reply.reach == Reach::Open => reply.reach = Reach::Silent,
            None => (),
        }
        Ok(reply)
    }
    pub(crate) fn listening(label: &str, _: &[Slot]) -> Result<bool, Error> {
        // Who is silent is there.
        Ok(matches!(answer(label, "listening")?.reach, Reach::Open | Reach::Silent))
    }
    pub(crate) fn http(label: &str, _: &[Slot], request: &HttpRequest) -> Result<HttpResponse, Error> {
        with(|node| {
            node.permit("endpoint", label, &format!("{} {}", request.method, request.target))?;
            let looks_only = matches!(node.action, ActionName::Monitor | ActionName::Validate);
            if looks_only && !matches!(request.method.as_str(), "GET" | "HEAD") {
                return Err(Error::Invalid("monitor and validate change nothing".into()));
            }
            if !(request.target.is_empty() || request.target.starts_with(['/', '?'])) {
                return Err(Error::Invalid("a target is empty, or begins with `/` or `?`".into()));
            }
            let nobody = |reach| HttpResponse { reach, status: 0, headers: vec![], body: vec![], truncated: false };
            let reach = node.endpoints.get(label).map_or(Reach::Refused, |reply| reply.reach);
            // Who listens and was given no page to show does not speak HTTP.
            let silent = if reach == Reach::Open { Reach::Silent } else { reach };
            let mut answer = node.pages.get(label).cloned().unwrap_or_else(|| nobody(silent));
            if request.method == "HEAD" {
                answer.body.clear();
            }
            Ok(answer)
        })
    }
}
