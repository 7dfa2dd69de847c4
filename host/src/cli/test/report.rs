//! What a run found, for people as it goes, for programs as JSON, for build servers as XML.

use std::io::IsTerminal as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use quick_xml::Writer;
use quick_xml::events::{BytesStart, BytesText, Event};

use super::{Check, Finding, Not};
use crate::cli::here;

/// What came of one check.
pub(super) struct Entry {
    check: Check,
    finding: Finding,
    took: Duration,
}

/// All of them.
pub(super) struct Report {
    agent: String,
    component: String,
    entries: Vec<Entry>,
    is_shown: bool,
    has_colours: bool,
}

impl Report {
    /// Begins a report; lines are shown if it is for people.
    pub(super) fn new(agent: String, component: &Path, is_shown: bool) -> Self {
        let has_colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { agent, component: component.display().to_string(), entries: Vec::new(), is_shown, has_colours }
    }

    /// Adds what came of a check, and shows it.
    pub(super) fn add(&mut self, check: &Check, finding: Finding, took: Duration) {
        // Nothing is known any more of the instance, which has the check's name.
        let hint = format!(" (ocf-wasm why {})", check.name);
        let finding = finding.map_err(|not| match not {
            Not::Failed(text) => Not::Failed(text.replace(&hint, "")),
            Not::Blocked(text) => Not::Blocked(text.replace(&hint, "")),
            Not::Skipped(text) => Not::Skipped(text),
        });
        let entry = Entry { check: check.clone(), finding, took };
        if self.is_shown {
            let colour = match (&entry.finding, self.has_colours) {
                (_, false) => None,
                (Ok(()), true) => Some("32"),
                (Err(Not::Failed(_)), true) => Some("31"),
                (Err(Not::Blocked(_) | Not::Skipped(_)), true) => Some("33"),
            };
            let word = format!("{:7}", entry.word());
            let word = colour.map_or_else(|| word.clone(), |colour| format!("\x1b[{colour}m{word}\x1b[0m"));
            println!("{word} {:25} {}", check.name, check.what);
            match &entry.finding {
                Ok(()) => {}
                Err(Not::Failed(text)) => {
                    println!("        {}", text.replace('\n', " | "));
                    println!("        because: {}", check.source);
                    say!("        what to do: {}", check.advice);
                }
                Err(Not::Blocked(text) | Not::Skipped(text)) => println!("        {text}"),
            }
        }
        self.entries.push(entry);
    }

    /// Whether nothing failed, and nothing was left untried because of that.
    pub(super) fn is_good(&self) -> bool {
        self.count("failed") + self.count("blocked") == 0
    }

    fn count(&self, word: &str) -> usize {
        self.entries.iter().filter(|entry| entry.word() == word).count()
    }

    fn took(&self) -> Duration {
        self.entries.iter().map(|entry| entry.took).sum()
    }

    /// Shows the last line.
    pub(super) fn summarise(&self) {
        let names = |word: &str| {
            let names = self.entries.iter().filter(|entry| entry.word() == word).map(|entry| entry.check.name);
            names.collect::<Vec<_>>().join(" ")
        };
        println!(
            "\n{}: {} passed, {} failed, {} blocked, {} skipped, in {:.1} s",
            self.agent,
            self.count("passed"),
            self.count("failed"),
            self.count("blocked"),
            self.count("skipped"),
            self.took().as_secs_f64()
        );
        if self.count("failed") > 0 {
            println!("failed: {}", names("failed"));
        }
        if self.count("blocked") > 0 {
            println!("blocked by these, or by something they did not find: {}", names("blocked"));
        }
    }

    /// Returns the report as JSON.
    pub(super) fn json(&self) -> serde_json::Value {
        let checks: Vec<_> = self
            .entries
            .iter()
            .map(|entry| {
                serde_json::json!({
                    "name": entry.check.name, "status": entry.word(), "detail": entry.detail(),
                    "took_ms": u64::try_from(entry.took.as_millis()).unwrap_or(u64::MAX),
                    "what": entry.check.what, "source": entry.check.source, "advice": here::said(entry.check.advice),
                })
            })
            .collect();
        serde_json::json!({
            "agent": self.agent, "component": self.component, "ok": self.is_good(), "checks": checks,
            "passed": self.count("passed"), "failed": self.count("failed"), "blocked": self.count("blocked"),
            "skipped": self.count("skipped"),
        })
    }

    /// Writes the report as build servers read it, in the format of `JUnit`: one suite, one case a check; what is blocked is an error.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn junit(&self, path: &Path) -> Result<()> {
        let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
        let seconds = |took: Duration| format!("{:.3}", took.as_secs_f64());
        let [tests, failures, errors, skipped] =
            [self.entries.len(), self.count("failed"), self.count("blocked"), self.count("skipped")]
                .map(|count| count.to_string());
        let suite = BytesStart::new("testsuite").with_attributes([
            ("name", self.agent.as_str()),
            ("tests", &tests),
            ("failures", &failures),
            ("errors", &errors),
            ("skipped", &skipped),
            ("time", &seconds(self.took())),
        ]);
        let end = suite.to_end().into_owned();
        xml.write_event(Event::Start(suite.clone()))?;
        for entry in &self.entries {
            let case = BytesStart::new("testcase").with_attributes([
                ("classname", self.agent.as_str()),
                ("name", entry.check.name),
                ("time", &seconds(entry.took)),
            ]);
            let element = match &entry.finding {
                Ok(()) => None,
                Err(Not::Failed(_)) => Some("failure"),
                Err(Not::Blocked(_)) => Some("error"),
                Err(Not::Skipped(_)) => Some("skipped"),
            };
            let Some(element) = element else {
                xml.write_event(Event::Empty(case))?;
                continue;
            };
            let detail = crate::ocf::outcome::one_line(entry.detail(), 4096);
            xml.write_event(Event::Start(case.borrow()))?;
            let inner = BytesStart::new(element).with_attributes([("message", detail.as_str())]);
            xml.write_event(Event::Start(inner.borrow()))?;
            xml.write_event(Event::Text(BytesText::new(&here::said(entry.check.advice))))?;
            xml.write_event(Event::End(inner.to_end()))?;
            xml.write_event(Event::End(case.to_end()))?;
        }
        xml.write_event(Event::End(end))?;
        let mut text = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_vec();
        text.extend(xml.into_inner());
        text.push(b'\n');
        std::fs::write(path, text).with_context(|| path.display().to_string())
    }
}

impl Entry {
    fn word(&self) -> &'static str {
        match &self.finding {
            Ok(()) => "passed",
            Err(Not::Failed(_)) => "failed",
            Err(Not::Blocked(_)) => "blocked",
            Err(Not::Skipped(_)) => "skipped",
        }
    }

    fn detail(&self) -> &str {
        match &self.finding {
            Ok(()) => "",
            Err(Not::Failed(text) | Not::Blocked(text) | Not::Skipped(text)) => text,
        }
    }
}
