//! The imports of a plugin: `instance` and `clock` are answered here, the rest is asked of the broker.

use std::time::{Duration, Instant, SystemTime};

use serde::de::DeserializeOwned;
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Engine, ResourceLimiter};

use super::limits::{INSTANCES, MEMORIES, SAID_BYTES, SLEEP_MS, TABLE_ELEMENTS, TABLES};
use super::{Facts, baseline};
use crate::seam::bindings::ocf::agent as wit;
use crate::seam::{Answer, Call, Channel, Error, Export, FromRunner, clock, instance, log, types};

/// The state of a plugin's store: the way to the broker, what is known, and how much was taken.
pub struct Imports {
    channel: Channel,
    facts: Facts,
    export: Export,
    said: String,
    memory_bytes: usize,
    table_elements: usize,
    started: Instant,
}

impl Imports {
    pub(super) fn new(channel: Channel, facts: Facts) -> Self {
        Self {
            channel,
            facts,
            export: Export::Validate { level: 0 },
            said: String::new(),
            memory_bytes: 0,
            table_elements: 0,
            started: Instant::now(),
        }
    }

    pub(super) fn channel(&self) -> &Channel {
        &self.channel
    }

    pub(super) fn limiter(&mut self) -> &mut dyn ResourceLimiter {
        self
    }

    /// Waits for the next export to call.
    pub(super) fn next(&mut self) -> Result<Export, crate::seam::Lost> {
        self.said.clear();
        self.export = self.channel.receive(None)?;
        Ok(self.export)
    }

    /// What the guest wrote to its standard output and error since the export was called.
    pub(super) fn said(&self) -> &str {
        &self.said
    }

    /// Keeps what a guest writes, up to a limit: a panic's text becomes the reason.
    pub(super) fn keep(&mut self, bytes: &[u8]) {
        let room = SAID_BYTES.saturating_sub(self.said.len());
        self.said.push_str(&String::from_utf8_lossy(&bytes[..bytes.len().min(room)]));
    }

    /// Keeps that a limit was reached: it explains the trap that mostly follows. Once, since a plugin may go on trying.
    fn reach(&mut self, limit: &str) {
        if crate::guard!("said", !self.said.contains(limit), true) {
            self.said.push('\n');
            self.said.push_str(limit);
        }
    }

    /// Asks the broker. If nobody is there any more, this process has no purpose.
    pub(crate) fn ask<T: DeserializeOwned>(&mut self, call: Call) -> Answer<T> {
        let sent = self.channel.send(&FromRunner::Call(call));
        match sent.and_then(|()| self.channel.receive(None)) {
            Ok(answer) => answer,
            Err(_) => super::leave(super::ABANDONED),
        }
    }

    fn remaining(&self) -> Duration {
        self.facts.deadline.saturating_duration_since(Instant::now())
    }
}

/// Links what the component imports and nothing else; each interface that is not linked is a refusal with its name.
pub(super) fn link(linker: &mut Linker<Imports>, engine: &Engine, component: &Component) -> Result<(), String> {
    type Ours = HasSelf<Imports>;
    for (name, _) in component.component_type().imports(engine) {
        let linked = match name.split('@').next().unwrap_or(name) {
            "ocf:agent/types" => wit::types::add_to_linker::<_, Ours>(linker, |i| i),
            "ocf:agent/instance" => wit::instance::add_to_linker::<_, Ours>(linker, |i| i),
            "ocf:agent/log" => wit::log::add_to_linker::<_, Ours>(linker, |i| i),
            "ocf:agent/clock" => wit::clock::add_to_linker::<_, Ours>(linker, |i| i),
            "ocf:agent/state" => wit::state::add_to_linker::<_, Ours>(linker, |i| i),
            "ocf:agent/program" => wit::program::add_to_linker::<_, Ours>(linker, |i| i),
            "ocf:agent/path" => wit::path::add_to_linker::<_, Ours>(linker, |i| i),
            "ocf:agent/endpoint" => wit::endpoint::add_to_linker::<_, Ours>(linker, |i| i),
            base => match baseline::link(linker, base, name) {
                Some(linked) => linked,
                None => return Err(format!("imports {name}, which this host does not offer")),
            },
        };
        linked.map_err(|error| format!("import {name}: {error}"))?;
    }
    Ok(())
}

impl types::Host for Imports {}

impl log::Host for Imports {
    fn panic(&mut self, text: String) {
        self.keep(b"panic: ");
        self.keep(text.as_bytes());
    }

    fn log(&mut self, level: log::Level, text: String) {
        if self.channel.send(&FromRunner::Log(level, text)).is_err() {
            super::leave(super::ABANDONED);
        }
    }
}

impl clock::Host for Imports {
    fn sleep_ms(&mut self, milliseconds: u32) -> Answer<()> {
        if milliseconds > SLEEP_MS {
            return Err(Error::Invalid(format!("sleep of {milliseconds} ms: at most {SLEEP_MS}")));
        }
        let wish = Duration::from_millis(milliseconds.into());
        let left = self.remaining();
        std::thread::sleep(wish.min(left));
        if wish > left { Err(Error::TimedOut) } else { Ok(()) }
    }

    fn monotonic_ms(&mut self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn wall(&mut self) -> clock::WallTime {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        clock::WallTime { seconds: since.as_secs().cast_signed(), nanoseconds: since.subsec_nanos() }
    }
}

impl instance::Host for Imports {
    fn parameter(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        if let Some(declared) = &self.facts.declared
            && !declared.contains(&name)
        {
            return Err(wasmtime::format_err!("asked for parameter {name}, which the metadata does not declare"));
        }
        Ok(self.facts.parameters.get(&name).cloned())
    }

    fn name(&mut self) -> String {
        self.facts.instance.clone()
    }

    fn action(&mut self) -> instance::ActionName {
        use instance::ActionName as Name;
        match self.export {
            Export::Validate { .. } => Name::Validate,
            Export::Start => Name::Start,
            Export::Stop => Name::Stop,
            Export::Monitor { .. } => Name::Monitor,
            Export::Promote => Name::Promote,
            Export::Demote => Name::Demote,
            Export::Notify => Name::Notify,
            Export::MigrateTo => Name::MigrateTo,
            Export::MigrateFrom => Name::MigrateFrom,
            Export::Reload => Name::Reload,
        }
    }

    fn is_probe(&mut self) -> bool {
        matches!(self.export, Export::Monitor { probe: true, .. })
    }

    fn check_level(&mut self) -> u8 {
        match self.export {
            Export::Monitor { level, .. } | Export::Validate { level } => level,
            _ => 0,
        }
    }

    fn node(&mut self) -> String {
        self.facts.node.clone()
    }

    fn clone_info(&mut self) -> Option<instance::CloneFacts> {
        self.facts.clone
    }

    fn notification(&mut self) -> Option<instance::Notice> {
        self.facts.notice.clone()
    }

    fn migration(&mut self) -> Option<instance::Move> {
        self.facts.migration.clone()
    }

    fn remaining_ms(&mut self) -> u32 {
        u32::try_from(self.remaining().as_millis()).unwrap_or(u32::MAX)
    }
}

impl ResourceLimiter for Imports {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let before = crate::guard!("memory", self.memory_bytes, current);
        let total = before.saturating_add(desired.saturating_sub(current));
        let fits = total <= self.facts.memory_bytes;
        if fits {
            self.memory_bytes = total;
        } else {
            self.reach(&format!("memory limit of {} MiB reached", self.facts.memory_bytes >> 20));
        }
        Ok(fits)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.table_elements.saturating_add(desired.saturating_sub(current));
        let fits = total <= TABLE_ELEMENTS;
        if fits {
            self.table_elements = total;
        } else {
            self.reach(&format!("limit of {TABLE_ELEMENTS} elements of tables reached"));
        }
        Ok(fits)
    }

    fn instances(&self) -> usize {
        INSTANCES
    }

    fn memories(&self) -> usize {
        MEMORIES
    }

    fn tables(&self) -> usize {
        TABLES
    }
}
