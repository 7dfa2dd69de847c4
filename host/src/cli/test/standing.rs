//! What holds for every call of a run, whatever it is for: how it may end, what it may print, how long it may take,
//! what it may leave. Each call is judged when it has answered; the checks of this family say what was found.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::call::{Answer, Call};
use super::leftovers::strays;
use super::node::Node;
use super::trace::Line;
use super::{Check, Finding, Not};
use crate::ocf::Action;
use crate::ocf::outcome::{Exit, REASON_BYTES};

/// What Pacemaker looks for at the start of an exit reason.
pub(super) const PREFIX: &str = "ocf-exit-reason:";
/// Lines that an action may log that changes something.
const LOG_LINES: usize = 50;
/// What is said about one check, at most.
const SAID: usize = 3;

/// What was found so far.
#[derive(Default)]
pub(super) struct Standing {
    /// Whether nothing is judged: the run is cleaning up, or calls overlap.
    pub(super) is_off: bool,
    found: BTreeMap<&'static str, Vec<String>>,
    used: BTreeSet<(String, String)>,
}

pub(super) static CHECKS: [Check; 10] = [
    Check {
        name: "exit-status",
        what: "every action ends with a status of the standard that this action may have",
        source: "OCF 1.1, return codes; Pacemaker maps all others to 1, and 7 from a stop to a failed stop",
        advice: "return a health only from monitor, and do not answer `unimplemented` or `configuration` where the \
                 cluster would stop recovering",
        run: |node| node.standing.finding("exit-status"),
    },
    Check {
        name: "standard-output",
        what: "nothing is printed but what an action is for",
        source: "Pacemaker logs standard output of every action; a non-empty one is meta-data to its readers",
        advice: "use `log`: the host brings it to the cluster's log",
        run: |node| node.standing.finding("standard-output"),
    },
    Check {
        name: "exit-reason",
        what: "a failure has one exit reason, the last line, of at most 120 bytes; a success has none",
        source: "Pacemaker shows the last line that begins with ocf-exit-reason:, and 128 bytes of it",
        advice: "this is the host's part: report it",
        run: |node| node.standing.finding("exit-reason"),
    },
    Check {
        name: "reason-words",
        what: "the plugin says why it failed, in one line that fits",
        source: "crm_mon shows the reason to whoever is called at night",
        advice: "begin with the cause; put the rest into the log; never fail with an empty or a multi-line reason",
        run: |node| node.standing.finding("reason-words"),
    },
    Check {
        name: "in-time",
        what: "every action answers before its caller's timeout, also when that is one second",
        source: "Pacemaker kills the process group of a late action with SIGKILL",
        advice: "this is the host's part: report it",
        run: |node| node.standing.finding("in-time"),
    },
    Check {
        name: "time-to-spare",
        what: "no action takes more than half of the time that is advertised for it",
        source: "what takes 10 s of 20 s on an idle node is late on a busy one",
        advice: "advertise longer timeouts, #[agent(start = \"60s\")], or wait less",
        run: |node| node.standing.finding("time-to-spare"),
    },
    Check {
        name: "processes-left",
        what: "no action leaves a process that is no daemon of the record",
        source: "nobody stops what nobody recorded: the node is not clean when the cluster believes it",
        advice: "start daemons with a program of lifetime \"instance\"",
        run: |node| node.standing.finding("processes-left"),
    },
    Check {
        name: "log-quiet",
        what: "a good monitor logs nothing, and no action more than 50 lines",
        source: "a monitor runs every ten seconds, for years",
        advice: "log what changes; what is the same each time is for log::debug",
        run: |node| node.standing.finding("log-quiet"),
    },
    Check {
        name: "labels-declared",
        what: "the plugin uses no label but those that it asks for",
        source: "an operator grants what is asked for: an undeclared label fails on the first node that needs it",
        advice: "declare every label with labels!",
        run: |node| node.standing.finding("labels-declared"),
    },
    Check {
        name: "labels-used",
        what: "the plugin uses every label that it asks for",
        source: "a grant that nobody uses is what an attacker would use",
        advice: "take the label out of labels!, or run with parameters with which it is used",
        run: labels_used,
    },
];

impl Standing {
    fn note(&mut self, check: &'static str, text: String) {
        let said = self.found.entry(check).or_default();
        if !said.contains(&text) {
            said.push(text);
        }
    }

    fn finding(&self, check: &str) -> Finding {
        let Some(said) = self.found.get(check) else { return Ok(()) };
        let more = said.len().saturating_sub(SAID);
        let mut text = said[..said.len().min(SAID)].join("; ");
        if more > 0 {
            text.push_str(&format!("; and {more} more"));
        }
        Err(Not::Failed(text))
    }
}

impl Node {
    /// Judges a call by what holds for all.
    pub(super) fn judge(&mut self, call: &Call, answer: &Answer) {
        if self.standing.is_off {
            return;
        }
        let name = call.name();
        let mut found: Vec<(&'static str, String)> = Vec::new();
        let mut say = |check, text: String| found.push((check, format!("{}: {name} {text}", self.instance)));
        match (answer.exit, call.action) {
            (None, _) if answer.took > call.timeout => {}
            (None, _) => say("exit-status", format!("ends with {}", answer.ended)),
            (Some(exit), Some(action)) if !exit.fits(action, call.is_probe()) => {
                say("exit-status", format!("ends with {exit}"));
            }
            (Some(_), _) => {}
        }
        let prints = matches!(call.action, None | Some(Action::MetaData | Action::Usage | Action::Methods));
        if !prints && !answer.stdout.is_empty() {
            say("standard-output", format!("prints {:?}", shortened(&answer.stdout)));
        }
        if let Some(wrong) = wrong_reason(call, answer) {
            say("exit-reason", wrong);
        }
        for line in &answer.trace {
            match line {
                Line::Failed(export, reason) => {
                    if let Some(wrong) = wrong_words(reason) {
                        let whose = if *export == name { String::new() } else { format!("{export} ") };
                        say("reason-words", format!("{whose}{wrong}"));
                    }
                }
                Line::Asked(interface, _, Some(label)) => {
                    self.standing.used.insert((interface.clone(), label.clone()));
                    if !self.requests.iter().any(|request| request.kind == *interface && request.name == *label) {
                        say("labels-declared", format!("uses {interface} {label}, which is not asked for"));
                    }
                }
                Line::Asked(..) | Line::Returned(_) => {}
            }
        }
        if answer.took > call.timeout {
            let (took, limit) = (answer.took.as_secs_f64(), call.timeout.as_secs_f64());
            say("in-time", format!("took {took:.2} s of {limit:.2} s"));
        }
        if let Some(advertised) = call.action.map(|action| self.advertised(action))
            && call.timeout >= advertised
            // One that failed may have waited for what did not come, which is another check's.
            && !answer.exit.is_none_or(Exit::is_failure)
            && answer.took > advertised / 2
        {
            let (took, limit) = (answer.took.as_secs_f64(), advertised.as_secs_f64());
            say("time-to-spare", format!("took {took:.1} s of {limit:.1} s"));
        }
        let is_good = matches!(answer.exit, Some(Exit::Success | Exit::Promoted));
        let is_quiet = call.action == Some(Action::Monitor) && is_good;
        // The host's own lines, about each action and about what nobody started, are no fault of the plugin.
        let of_host = |line: &&String| line.contains(": AUDIT: ") || line.ends_with(": adopted");
        let of_plugin: Vec<&String> = answer.log.iter().filter(|line| !of_host(line)).collect();
        let logged = of_plugin.len();
        if logged > LOG_LINES || is_quiet && logged > 0 {
            let first = of_plugin.first().map(|line| shortened(line)).unwrap_or_default();
            say("log-quiet", format!("logs {logged} lines, the first: {first}"));
        }
        let strays: Vec<String> = strays().iter().map(|stray| described(stray.pid)).collect();
        if !strays.is_empty() {
            say("processes-left", format!("leaves {}", strays.join(", ")));
        }
        for (check, text) in found {
            self.standing.note(check, text);
        }
    }
}

/// What is wrong with the exit reason.
fn wrong_reason(call: &Call, answer: &Answer) -> Option<String> {
    let lines: Vec<&str> = answer.stderr.lines().collect();
    let reasons = lines.iter().filter(|line| line.starts_with(PREFIX)).count();
    let is_bad = answer.exit.is_some_and(Exit::is_failure);
    if call.has_log() && lines.len() > reasons {
        return Some(format!("writes to standard error: {:?}", shortened(&answer.stderr)));
    }
    match (is_bad, reasons) {
        (false, 0) => None,
        (false, _) => Some("gives a reason without a failure".to_owned()),
        (true, 0) => Some("fails without a reason".to_owned()),
        (true, 1) => {
            let reason = lines.last().and_then(|line| line.strip_prefix(PREFIX));
            match reason {
                None => Some("gives a reason that is not the last line".to_owned()),
                Some(reason) if reason.is_empty() || reason.len() > REASON_BYTES => {
                    Some(format!("gives a reason of {} bytes", reason.len()))
                }
                Some(_) => None,
            }
        }
        (true, more) => Some(format!("gives {more} reasons")),
    }
}

/// What is wrong with the words of a plugin's failure.
fn wrong_words(reason: &str) -> Option<String> {
    let reason = reason.trim();
    if reason.is_empty() {
        return Some("fails and does not say why".to_owned());
    }
    if reason.contains(['\n', '\r']) {
        return Some(format!("fails with several lines: {:?}", shortened(reason)));
    }
    (reason.len() > REASON_BYTES).then(|| format!("fails with a reason of {} bytes, which is cut", reason.len()))
}

fn labels_used(node: &mut Node) -> Finding {
    node.worth_starting()?;
    let is_unused =
        |request: &&crate::store::Request| !node.standing.used.contains(&(request.kind.clone(), request.name.clone()));
    let unused: Vec<String> =
        node.requests.iter().filter(is_unused).map(|request| format!("{} {}", request.kind, request.name)).collect();
    if unused.is_empty() {
        Ok(())
    } else {
        Err(Not::Failed(format!("asked for and never used: {}", unused.join(", "))))
    }
}

fn shortened(text: &str) -> String {
    crate::ocf::outcome::one_line(text, 100)
}

fn described(pid: i32) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    format!("{pid} ({})", shortened(&String::from_utf8_lossy(&line).replace('\0', " ")))
}

/// Below this nothing useful can be asked of a node.
pub(super) const SECOND: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_failure_are_judged() {
        assert_eq!(wrong_words("port 80: connection refused"), None);
        assert_eq!(wrong_words(" \n"), Some("fails and does not say why".into()));
        assert!(wrong_words("a\nb").is_some_and(|wrong| wrong.contains("several lines")));
        assert!(wrong_words(&"x".repeat(121)).is_some_and(|wrong| wrong.contains("121 bytes")));
    }
}
