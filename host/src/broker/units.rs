//! Labels that are bound to units: what a plugin asks of one, and what of them the record holds.
//!
//! Cold: most instances have none, and pay for no page of it.

use std::time::Instant;

use super::Broker;
use crate::capability::program::{Condition, unit as units};
use crate::instance::UnitStarted;
use crate::seam::program::Phase;
use crate::seam::{Answer, Error, Slot, program};

impl Broker<'_> {
    /// Labels of all that the record holds.
    pub fn held(&self) -> Vec<String> {
        self.record.daemons.keys().chain(self.record.units.iter().map(|(label, _)| label)).cloned().collect()
    }

    /// The name of the unit that a label stands for: what was started counts, then what the policy says.
    fn unit_name(&self, label: &str) -> Option<String> {
        let started = self.record.units.get(label).map(|unit| &unit.name);
        started.or_else(|| self.policy.units.get(label).map(|unit| &unit.name)).cloned()
    }

    /// The instance that has the unit of a label, if that is another.
    fn had_by_another(&self, label: &str) -> Option<String> {
        if self.record.units.contains_key(label) {
            return None;
        }
        units::had_by_another(&self.unit_name(label)?, &self.directory.environment_path(label))
    }

    fn condition_of_unit(&self, label: &str, deadline: Instant) -> Answer<Condition> {
        let name = self.unit_name(label).ok_or_else(|| Error::Denied(format!("program {label}: not granted")))?;
        if let Some(told) = units::manager::lacking() {
            // What cannot be started has not been, unless the record says so.
            return match self.record.units.contains_key(label) {
                true => Err(Error::Unavailable(format!("program {label}: {told}"))),
                false => Ok(Condition::stopped(told.to_owned())),
            };
        }
        if let Some(other) = self.had_by_another(label) {
            // Whatever it does, it is not ours.
            return Ok(Condition::stopped(format!("unit {name} is had by the instance {other}")));
        }
        units::condition(label, &name, self.record.units.get(label), &self.manager, deadline)
    }

    fn permit_unit(&self, label: &str, slots: &[Slot]) -> Answer<units::Permit> {
        let Some(unit) = self.policy.units.get(label).filter(|_| !self.pretend_nothing_is_installed) else {
            return Err(Error::Unavailable(format!("program {label}: the tester wants it missing")));
        };
        units::permit(unit, label, slots, self.values(), &self.manager, self.deadline.plugin)
    }

    #[cold]
    #[inline(never)]
    pub(super) fn available_unit(&self, label: &str, slots: &[Slot]) -> Answer<bool> {
        match self.permit_unit(label, slots) {
            Ok(_) => Ok(true),
            Err(Error::Unavailable(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn start_unit(&mut self, label: &str, slots: &[Slot]) -> Answer<bool> {
        let permit = self.permit_unit(label, slots)?;
        if !self.is_recorded {
            return Err(Error::Unavailable(format!("program {label}: this instance has no record to keep it in")));
        }
        if let Some(other) = self.had_by_another(label) {
            return Err(Error::Unavailable(format!("program {label}: its unit is had by the instance {other}")));
        }
        let deadline = self.deadline.plugin;
        match self.condition_of_unit(label, deadline)?.phase {
            Phase::Running => return Ok(false),
            // What is on its way up is waited for.
            Phase::Starting | Phase::Stopped => {}
            Phase::Stopping | Phase::Remains | Phase::Failed => self.end_unit(label, deadline)?,
        }
        self.used.program()?;
        permit.count(|| Ok(self.directory.rate_path(label)))?;
        let (directory, record) = (&self.directory, &mut self.record);
        let environment = directory.environment_path(label);
        let told = permit.start(&self.manager, &environment, deadline, |unit: &UnitStarted| {
            record.units.insert(label, unit.clone());
            directory.save(record).map_err(|error| Error::Other(format!("record: {error}")))
        })?;
        if !told.is_empty() {
            self.log.warning(&format!("program {label}: {told}"));
        }
        Ok(true)
    }

    #[cold]
    #[inline(never)]
    pub(super) fn status_of_unit(&mut self, label: &str) -> Answer<program::Condition> {
        let found = match self.condition_of_unit(label, self.deadline.plugin) {
            // Nobody can say what it does, but nothing of it was started here and nothing of it is seen: a probe that fails
            // would have the cluster stop the healthy copy on another node. So it is said aloud.
            Err(Error::Other(why)) if !self.record.units.contains_key(label) => {
                self.log.error(&why);
                Condition::stopped(String::new())
            }
            found => found?,
        };
        if !found.told.is_empty() {
            self.log.warning(&format!("program {label}: {}", found.told));
        }
        self.asked_units.insert(label, found.phase);
        let age = crate::sys::clock::since_boot_ns().saturating_sub(found.since_boot_ns) / 1_000_000;
        Ok(program::Condition {
            phase: found.phase,
            processes: u32::try_from(found.members.len()).unwrap_or(u32::MAX),
            age_ms: self.record.units.contains_key(label).then_some(age),
            ended: found.ended.map(Into::into),
        })
    }

    /// A unit of this instance that systemd is starting or stopping, in a few words; none where nobody knows of one.
    pub(super) fn unsettled(&self) -> Option<String> {
        if self.policy.units.is_empty() && self.record.units.is_empty() {
            return None;
        }
        self.unsettled_unit()
    }

    /// Looks at what the record holds and at what the plugin asked for, which is not asked for again; where that is none,
    /// at all that the policy binds. What the plugin has no use for in this instance is nobody's business.
    #[cold]
    #[inline(never)]
    fn unsettled_unit(&self) -> Option<String> {
        let asked = self.asked_units.iter().map(|(label, _)| label);
        let mut labels: Vec<&String> = self.record.units.iter().map(|(label, _)| label).chain(asked).collect();
        if labels.is_empty() {
            labels.extend(self.policy.units.iter().map(|(label, _)| label));
        }
        labels.into_iter().find_map(|label| {
            let phase = match self.asked_units.get(label) {
                Some(phase) => *phase,
                None => self.condition_of_unit(label, self.deadline.plugin).ok()?.phase,
            };
            let way = match phase {
                Phase::Starting => "started",
                Phase::Stopping => "stopped",
                Phase::Stopped | Phase::Running | Phase::Remains | Phase::Failed => return None,
            };
            let name = self.unit_name(label).unwrap_or_default();
            Some(format!("{label}: unit {name} is being {way}"))
        })
    }

    /// Ends the unit of a label, if there is one, and forgets it.
    #[cold]
    #[inline(never)]
    pub(super) fn end_unit(&mut self, label: &str, deadline: Instant) -> Answer<()> {
        let Some(name) = self.unit_name(label) else { return Ok(()) };
        let recorded = self.record.units.get(label);
        if recorded.is_none() && (units::manager::lacking().is_some() || self.had_by_another(label).is_some()) {
            // Nothing was started, and nothing can have been, or it is another's.
            return Ok(());
        }
        units::stop(label, &name, recorded, &self.manager, deadline)?;
        if !self.record.units.remove(label) {
            // Where the record was lost, this is what tells of it.
            return Ok(());
        }
        // What it was told may be a secret. That it is not there is fine.
        let _ = std::fs::remove_file(self.directory.environment_path(label));
        if let Err(text) = self.save() {
            // It is down; a record may name more than there is.
            self.log.error(&text);
        }
        Ok(())
    }

    /// A unit that has ended although it was started: how.
    pub(super) fn ended_unit(&self) -> Option<String> {
        self.record.units.iter().find_map(|(label, unit)| {
            let found = self.condition_of_unit(label, self.deadline.answer).ok()?;
            let has_ended = matches!(found.phase, Phase::Failed | Phase::Remains);
            has_ended.then(|| format!("{label}: unit {}: {}", unit.name, found.told))
        })
    }

    /// Units that this instance has, and those that are not down. A unit that was not started and failed all the same is
    /// a leftover of before.
    pub(super) fn units_held_and_alive(&self) -> (usize, usize) {
        let (ours, bound) = (self.record.units.iter(), self.policy.units.iter());
        let bound = bound.filter(|(label, _)| !self.record.units.contains_key(label));
        let mut held = self.record.units.len();
        let mut alive = 0;
        for (label, is_recorded) in ours.map(|(l, _)| (l, true)).chain(bound.map(|(l, _)| (l, false))) {
            let phase = self.condition_of_unit(label, self.deadline.answer).map(|found| found.phase);
            held += usize::from(!is_recorded && phase == Ok(Phase::Failed));
            // Who cannot be seen is not said to be gone.
            let is_down = matches!(phase, Ok(Phase::Stopped | Phase::Failed)) || phase.is_err() && !is_recorded;
            alive += usize::from(!is_down);
        }
        (held, alive)
    }

    /// Takes down which run of its units a started instance has, where somebody else had started them.
    pub fn hold_units(&mut self) {
        if !self.policy.units.is_empty() {
            self.hold_found_units();
        }
    }

    #[cold]
    #[inline(never)]
    fn hold_found_units(&mut self) {
        for (label, unit) in self.policy.units.iter() {
            let is_held = self.record.units.contains_key(label) || self.had_by_another(label).is_some();
            if is_held || units::manager::lacking().is_some() {
                continue;
            }
            if let Ok(found) = self.manager.look(&unit.name, self.deadline.answer)
                && found.id == unit.name
                && found.active_state == "active"
            {
                self.log.info(&format!("program {label}: unit {} was started by somebody else", unit.name));
                let mut started = UnitStarted::found(&found);
                let environment = self.directory.environment_path(label);
                let deadline = self.deadline.answer;
                let hold = |permit: units::Permit| permit.hold(&self.manager, found, &environment, deadline);
                match self.permit_unit(label, &[]).and_then(hold) {
                    Ok(found) => {
                        started.see(&found);
                        if let Some(told) = units::outbid(&found) {
                            self.log.warning(&format!("program {label}: {told}"));
                        }
                    }
                    Err(error) => {
                        self.log.warning(&format!("program {label}: it may be started again by itself: {error:?}"));
                    }
                }
                self.record.units.insert(label, started);
            }
        }
    }
}
