//! Random faults on a real cluster for as long as one likes, and a witness who trusts nobody.
//!
//! Three nodes, twenty resources of all kinds, one fault after the other. What must hold: nothing runs in two places,
//! also not for a moment; what `crm_mon` says is true; no node is fenced to which nothing happened that asks for it; no
//! action fails that had no reason to; and after each fault all is well again.

mod faults;
mod witness;

use super::{Cluster, Fencing, Primitive, Setup, Status, available, clone, group};
use crate::host::plugins;
use anyhow::Context as _;
use faults::{Fault, Stage};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use witness::Witness;

/// How long a cluster may need to put right what was broken: a node is fenced, boots, and gets its resources.
const WELL_WITHIN: Duration = Duration::from_mins(3);
/// How long `crm_mon` may say something else than what is: a monitor every 2 s, its timeout of 20 s, and a recovery.
const BELIEF: Duration = Duration::from_secs(30);
/// How often the cluster is asked.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// The first port of the example server's instances; those of others follow.
const PORTS: u16 = 6001;

/// What a resource is, as far as it matters to a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A resource by itself.
    Alone,
    /// One of a group.
    Grouped,
    /// A clone: an instance on each node, which is what the nodes are broken for.
    Cloned,
    /// One that has no daemon that the witness could see: what is only a record.
    Unseen,
}

/// One resource.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: String,
    kind: Kind,
    port: Option<u16>,
    /// How many instances run, and how many of them are promoted.
    runs: (usize, usize),
}

/// A sequence of numbers that is the same for the same seed, so that what happened can happen again.
pub(super) struct Chance(fastrand::Rng);

impl Chance {
    pub(super) fn below(&mut self, limit: u32) -> u32 {
        self.0.u32(..limit.max(1))
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.0.usize(..of.len().max(1)))
    }
}

/// One fault that happened.
struct Happened {
    name: &'static str,
    well_after: Duration,
}

/// Lets things happen for a while. Prints each, and a table at the end; returns what must not have been.
///
/// # Errors
/// If there can be no cluster here, or it does not come up.
pub fn run(minutes: u64, seed: u64) -> anyhow::Result<Vec<String>> {
    available().map_err(anyhow::Error::msg)?;
    let cluster = Cluster::up(Setup { disk_bytes: 512 << 20, ..Setup::default() })?;
    let names = plugins();
    cluster.install(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
    let (members, xml) = resources();
    cluster.add(&xml, &[]);
    let scratch = tempfile::tempdir()?;
    println!("seed {seed}; 3 nodes, {} resources, {minutes} min", members.len());
    let clones = members.iter().filter(|member| member.kind == Kind::Cloned).filter_map(|member| member.port);
    let witness = Arc::new(Witness::of_clones(clones));
    let mut soak = Soak {
        cluster: &cluster,
        members: &members,
        witness: Arc::clone(&witness),
        began: Instant::now(),
        violations: Vec::new(),
        doubts: BTreeMap::new(),
        happened: Vec::new(),
        fencings: (0, 0),
        failures: BTreeMap::new(),
    };
    let mut chance = Chance(fastrand::Rng::with_seed(seed));
    std::thread::scope(|scope| {
        let looking = scope.spawn(|| witness.look(&cluster));
        let done = soak.go(minutes, &mut chance, scratch.path());
        witness.end();
        let looked = looking.join();
        done.and_then(|()| looked.map_err(|_| anyhow::anyhow!("the witness is gone")))
    })?;
    println!("{}", soak.table());
    Ok(soak.violations)
}

/// Twenty resources of all kinds, as the CIB wants them.
fn resources() -> (Vec<Member>, Vec<String>) {
    let (mut members, mut xml) = (Vec::new(), Vec::new());
    let mut add = |id: &str, kind, port, runs| members.push(Member { id: id.to_owned(), kind, port, runs });
    let mut port = PORTS - 1;
    let mut server = |id: &str| {
        port += 1;
        (port, Primitive::ours(id, "sample-tcp-server").with("port", port).monitored("2s"))
    };
    for number in 1..=8 {
        let id = format!("web{number}");
        let (port, primitive) = server(&id);
        add(&id, Kind::Alone, Some(port), (1, 0));
        xml.push(primitive.xml());
    }
    let address = Primitive::new("vip", "ocf:heartbeat:IPaddr2").with("ip", super::FLOATING).with("cidr_netmask", 24);
    let (port, front) = server("front");
    let last = Primitive::ours("last", "dummy").monitored("2s");
    xml.push(group("shop", &[address.monitored("5s"), front, last]));
    add("vip", Kind::Unseen, None, (1, 0));
    add("front", Kind::Grouped, Some(port), (1, 0));
    add("last", Kind::Unseen, None, (1, 0));
    let binfile = "/usr/libexec/ocf-wasm/examples/greeter";
    xml.push(Primitive::ours("any", "anything").with("binfile", binfile).monitored("2s").xml());
    add("any", Kind::Alone, Some(5680), (1, 0));
    for number in 1..=5 {
        let id = format!("d{number}");
        xml.push(Primitive::ours(&id, "dummy").monitored("2s").xml());
        add(&id, Kind::Unseen, None, (1, 0));
    }
    let (port, each) = server("e");
    xml.push(clone("each", &[("interleave", "true")], &each));
    add("e", Kind::Cloned, Some(port), (3, 0));
    let unique = [("globally-unique", "true"), ("clone-max", "4"), ("clone-node-max", "4")];
    xml.push(clone("many", &unique, &Primitive::ours("m", "dummy").monitored("3s")));
    add("m", Kind::Unseen, None, (4, 0));
    let roles = [("interval", "3s"), ("role", "Promoted"), ("timeout", "20s")];
    let stateful = Primitive::ours("s", "stateful").monitored("4s").operation("monitor", &roles);
    xml.push(clone("states", &[("promotable", "true"), ("notify", "true")], &stateful));
    add("s", Kind::Unseen, None, (3, 1));
    (members, xml)
}

struct Soak<'a> {
    cluster: &'a Cluster,
    members: &'a [Member],
    witness: Arc<Witness>,
    began: Instant,
    violations: Vec<String>,
    /// Where the cluster and the witness do not agree, and since when.
    doubts: BTreeMap<String, Instant>,
    happened: Vec<Happened>,
    /// Seen, and of them with a reason.
    fencings: (usize, usize),
    /// Failed actions that had a reason, by what happened.
    failures: BTreeMap<&'static str, usize>,
}

impl Soak<'_> {
    fn go(&mut self, minutes: u64, chance: &mut Chance, scratch: &std::path::Path) -> anyhow::Result<()> {
        self.until_well("the beginning", WELL_WITHIN);
        while self.began.elapsed() < Duration::from_mins(minutes) && self.violations.is_empty() {
            let is_aimed_at = |member: &&Member| member.port.is_some() && member.kind != Kind::Cloned;
            let seen: Vec<&Member> = self.members.iter().filter(is_aimed_at).collect();
            let member = *chance.one(&seen).context("nothing to break")?;
            let fault = Fault::of(chance, member);
            self.one(fault, member, chance, scratch)?;
        }
        Ok(())
    }

    fn one(
        &mut self,
        fault: &'static Fault,
        member: &Member,
        chance: &mut Chance,
        scratch: &std::path::Path,
    ) -> anyhow::Result<()> {
        let status = self.cluster.status().context("before a fault")?;
        let Some(home) = status.of(&member.id).find_map(|one| one.nodes.first()) else {
            self.tell(format!("{} is nowhere, and nobody asked for that", member.id));
            return Ok(());
        };
        let node = self.cluster.named(home);
        let daemon = member.port.and_then(|port| self.witness.with(|seen| seen.running.get(&port)?.get(home).copied()));
        println!("{:6.0} s  {}: {} on {home}", self.began.elapsed().as_secs_f64(), fault.name, member.id);
        let before = self.cluster.fencings().len();
        let mut stage = Stage { cluster: self.cluster, node, member, daemon, chance, scratch, filled: None };
        (fault.done)(&mut stage).with_context(|| fault.name)?;
        self.watch(Duration::from_secs(fault.lasts));
        (fault.mended)(&mut stage).with_context(|| format!("{}, mended", fault.name))?;
        let since = Instant::now();
        // So that what it did is there to be seen: a monitor is due.
        self.watch(Duration::from_secs(3));
        self.until_well(fault.name, WELL_WITHIN);
        self.happened.push(Happened { name: fault.name, well_after: since.elapsed() });
        self.judge(fault, member, home, before)
    }

    /// Compares failures and fencings with what happened, and has the cluster forget them.
    fn judge(&mut self, fault: &'static Fault, member: &Member, home: &str, before: usize) -> anyhow::Result<()> {
        for (number, Fencing { node, action, .. }) in self.cluster.fencings().drain(before..).enumerate() {
            // Once: what comes after it boots has no reason any more.
            let has_reason = fault.may_fence && node == home && number == 0;
            self.fencings.0 += 1;
            self.fencings.1 += usize::from(has_reason);
            if !has_reason {
                self.tell(format!("{action} of {node} after {}: {} on {home}", fault.name, member.id));
            }
        }
        let status = self.cluster.status().context("after a fault")?;
        for failure in &status.failures {
            let is_of = status.failures_of(&member.id).contains(&failure);
            // What was going on there when the node was lost is no failure of an agent.
            if fault.may_fail && is_of || fault.may_fence && failure.node == home {
                *self.failures.entry(fault.name).or_default() += 1;
            } else {
                let (action, node, code, reason) = (&failure.action, &failure.node, failure.code, &failure.reason);
                self.tell(format!("{action} on {node}: {code} ({reason}), after {}: {}", fault.name, member.id));
            }
        }
        if !status.failures.is_empty() {
            self.cluster.ask(&["crm_resource", "--cleanup"]);
            // What is cleaned up is looked for again, and nowhere meanwhile.
            self.until_well("a cleanup", WELL_WITHIN);
        }
        Ok(())
    }

    /// Waits, and compares what the cluster says with what is.
    fn watch(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            let _ = self.compare();
            std::thread::sleep(ASK_EVERY.min(until.saturating_duration_since(Instant::now())));
        }
    }

    /// Waits until every resource is where the cluster says, and as often as it should be.
    fn until_well(&mut self, after: &str, within: Duration) {
        let limit = Instant::now() + within;
        loop {
            let status = self.compare();
            let missing = status.as_ref().map_or_else(|| Some("nobody answers".to_owned()), |now| self.missing(now));
            let Some(missing) = missing else { return };
            if Instant::now() > limit {
                let status = status.map(|status| status.to_string()).unwrap_or_default();
                self.tell(format!("not well within {within:?} after {after}: {missing}\n{status}"));
                println!("{}", self.cluster.account());
                return;
            }
            std::thread::sleep(ASK_EVERY);
        }
    }

    /// What is not as it should be, if anything is not.
    fn missing(&self, status: &Status) -> Option<String> {
        let nodes = self.cluster.nodes().len();
        if status.online.len() != nodes || !status.has_quorum || !status.unclean.is_empty() {
            return Some(format!("{} of {nodes} nodes are in the cluster", status.online.len()));
        }
        self.members.iter().find_map(|member| {
            let in_role = |role: &str| status.of(&member.id).filter(|one| one.role == role && !one.is_failed).count();
            let (runs, promoted) =
                (in_role("Started") + in_role("Unpromoted") + in_role("Promoted"), in_role("Promoted"));
            if (runs, promoted) != member.runs {
                return Some(format!("{}: {runs} run, {promoted} are promoted", member.id));
            }
            let (port, homes) = (member.port?, status.nodes_in(&member.id, "Started"));
            let there = self.witness.with(|seen| seen.homes(port));
            let is_true = there.iter().map(String::as_str).eq(homes.iter().copied());
            (!is_true).then(|| format!("{} is said to be on {homes:?}, and is on {there:?}", member.id))
        })
    }

    /// Asks the cluster once, and notes what it believes for too long, and what the witness saw.
    fn compare(&mut self) -> Option<Status> {
        for what in self.witness.violations() {
            self.tell(what);
        }
        let status = self.cluster.status().ok()?;
        let mut doubts = BTreeMap::new();
        // Who takes part in no cluster knows nothing of it.
        for member in self.members.iter().filter(|_| status.has_quorum && status.dc.is_some()) {
            let Some(port) = member.port else { continue };
            let there = self.witness.with(|seen| seen.homes(port));
            for one in status.of(&member.id).filter(|one| one.role == "Started" && !one.is_failed) {
                for node in one.nodes.iter().filter(|node| !there.contains(*node)) {
                    doubts
                        .insert(format!("{}: said to be started on {node}, and not there", member.id), Instant::now());
                }
            }
            for node in there.iter().filter(|node| status.online.contains(*node)) {
                if !status.of(&member.id).any(|one| one.nodes.contains(node)) {
                    doubts.insert(
                        format!("{}: runs on {node}, and the cluster does not know", member.id),
                        Instant::now(),
                    );
                }
            }
        }
        for (doubt, since) in &mut doubts {
            *since = *self.doubts.get(doubt).unwrap_or(since);
        }
        self.doubts = doubts;
        let lies: Vec<String> =
            self.doubts.iter().filter(|(_, since)| since.elapsed() > BELIEF).map(|(doubt, _)| doubt.clone()).collect();
        lies.into_iter().for_each(|lie| self.tell(lie));
        Some(status)
    }

    fn tell(&mut self, what: String) {
        if !self.violations.contains(&what) {
            println!("{:6.0} s  VIOLATION: {what}", self.began.elapsed().as_secs_f64());
            self.violations.push(what);
        }
    }

    fn table(&self) -> String {
        let mut by_name: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
        for happened in &self.happened {
            by_name.entry(happened.name).or_default().push(happened.well_after);
        }
        let mut text = "| what happened | times | well again after, seconds: median, longest | failed actions |\n| --- | --- | --- | --- |\n".to_owned();
        for (name, mut times) in by_name {
            times.sort();
            let (median, longest) = (times[times.len() / 2].as_secs_f64(), times[times.len() - 1].as_secs_f64());
            let failures = self.failures.get(name).unwrap_or(&0);
            let _ = writeln!(text, "| {name} | {} | {median:.0}, {longest:.0} | {failures} |", times.len());
        }
        let (fencings, reasons) = self.fencings;
        let _ = write!(
            text,
            "\n{} faults in {:.0} min; the witness looked {} times; {fencings} fencings, {} without a reason; {} violations",
            self.happened.len(),
            self.began.elapsed().as_secs_f64() / 60.0,
            self.witness.looks(),
            fencings - reasons,
            self.violations.len()
        );
        text
    }
}
