//! What a program is granted besides to be run, as it is written in a policy.
//!
//! What must never enter here: a default that grants.

use std::path::{Path, PathBuf};

use super::key;
use super::mistake::Mistake;
use super::reader::{Read, Reader, Value};
use super::template::{self, Template};
use crate::sandbox::confinement::{Fixed, Layer, Limits, Namespace, Network, capability};

/// Starts a minute that a policy can grant at most.
const RATE_MAX: i64 = 6_000;

/// What a program sees besides the system's own programs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// What it can read and execute.
    pub read: Vec<Template>,
    /// What it can change.
    pub write: Vec<Template>,
    /// Whether it can talk to the cluster's daemons.
    pub cluster: bool,
}

/// What a program is granted besides to be run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grant {
    /// Its groups besides the primary one; none for those of its user.
    pub groups: Option<Vec<String>>,
    /// What it sees.
    pub view: View,
    /// Starts a minute; none for any number.
    pub rate: Option<u32>,
    /// The rest.
    pub fixed: Fixed,
}

/// Reads it. `programs` are the paths that this policy executes.
pub(super) fn grant(at: &Reader<'_, '_>, programs: &[PathBuf]) -> Read<Grant> {
    let groups = at.optional("groups", |value| {
        let name = |value: &Value<'_, '_>| match value.string()? {
            "" => Err(value.wrong(&Mistake::NoGroup)),
            name => Ok(name.to_owned()),
        };
        value.list(name)
    })?;
    let capabilities = at.optional("capabilities", capabilities)?.unwrap_or_default();
    let network = at.decisive("network", |value| {
        let word = value.string()?;
        Network::read(word).ok_or_else(|| value.wrong(&Mistake::Reach(word.to_owned())))
    });
    let network = network.map(Option::unwrap_or_default);
    let view = at.optional("view", |value| view(value, network.as_ref().ok(), programs))?.unwrap_or_default();
    let limits = at.optional("limits", limits)?.unwrap_or_default();
    let rate = rate(at)?;
    let require = at.optional("require", |value| words(value, Layer::read, |word| Mistake::Layer(word.to_owned())))?;
    let namespaces =
        at.optional("namespaces", |value| words(value, Namespace::read, |word| Mistake::Namespace(word.to_owned())))?;
    let (require, namespaces) = (require.unwrap_or_default(), namespaces.unwrap_or_default());
    Ok(Grant { groups, view, rate, fixed: Fixed { capabilities, network: network?, namespaces, limits, require } })
}

/// Reads how often something may be started.
pub(super) fn rate(at: &Reader<'_, '_>) -> Read<Option<u32>> {
    Ok(at.optional("rate", |value| value.integer(1, RATE_MAX))?.and_then(|rate| u32::try_from(rate).ok()))
}

fn words<T>(value: &Value<'_, '_>, read: fn(&str) -> Option<T>, wrong: fn(&str) -> Mistake) -> Read<Vec<T>> {
    let word = |value: &Value<'_, '_>| {
        let word = value.string()?;
        read(word).ok_or_else(|| value.wrong(&wrong(word)))
    };
    value.list(word)
}

fn capabilities(value: &Value<'_, '_>) -> Read<u64> {
    let bits = words(value, capability, |word| Mistake::Capability(word.to_owned()))?;
    Ok(bits.into_iter().fold(0, |all, bit| all | bit))
}

/// Reads what it sees. There is no `network` where that has a mistake of its own.
fn view(value: &Value<'_, '_>, network: Option<&Network>, programs: &[PathBuf]) -> Read<View> {
    value.table(&key::VIEW, |at| {
        let places = |value: &Value<'_, '_>, check: &dyn Fn(&Path) -> Option<Mistake>| {
            let place = |value: &Value<'_, '_>| {
                let place = template::place(value)?;
                match place.as_literal().and_then(|path| check(Path::new(path))) {
                    Some(mistake) => Err(value.wrong(&mistake)),
                    None => Ok(place),
                }
            };
            value.list(place)
        };
        let not_shown = |path: &Path| refused_for_reading(path).map(|why| Mistake::NotShown(shown(path), why));
        let read = at.optional("read", |value| places(value, &not_shown))?.unwrap_or_default();
        let not_writable = |path: &Path| {
            let program = programs.iter().find(|program| program.starts_with(path));
            let replaces = program.map(|program| Mistake::WritableProgram(shown(path), shown(program)));
            let why = refused_for_writing(path).map(|why| Mistake::NotWritable(shown(path), why));
            not_shown(path).or(why).or(replaces)
        };
        let write = at.optional("write", |value| places(value, &not_writable))?.unwrap_or_default();
        let cluster = at.optional("cluster", |value| match value.boolean()? {
            true if network.is_some_and(|network| *network != Network::Host) => {
                Err(value.wrong(&Mistake::ClusterWithoutNetwork))
            }
            cluster => Ok(cluster),
        })?;
        Ok(View { read, write, cluster: cluster.unwrap_or(false) })
    })
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Why a path can be granted to no program; none if it can.
pub fn refused_for_reading(path: &Path) -> Option<&'static str> {
    if path == Path::new("/") {
        return Some("that is everything: name the directories that are meant");
    }
    let kernel = ["/proc", "/sys", "/dev"].iter().any(|kernel| path.starts_with(kernel));
    kernel.then_some("each program has its own /dev, and /proc and /sys to read")
}

/// Why no program can be granted to write there; none if one can.
pub fn refused_for_writing(path: &Path) -> Option<&'static str> {
    /// Who can write there, or can replace it, runs programs as root.
    const RUNS: [&str; 21] = [
        "/usr",
        "/bin",
        "/sbin",
        "/lib",
        "/lib32",
        "/lib64",
        "/libx32",
        "/boot",
        "/etc/ocf-wasm",
        "/etc/systemd",
        "/etc/init.d",
        "/etc/crontab",
        "/etc/cron.d",
        "/etc/ld.so.preload",
        "/etc/ld.so.conf.d",
        "/etc/passwd",
        "/run/systemd",
        "/var/spool/cron",
        "/var/lib/ocf-wasm",
        "/var/cache/ocf-wasm",
        "/run/ocf-wasm",
    ];
    let runs = RUNS.iter().any(|place| path.starts_with(place) || Path::new(place).starts_with(path));
    runs.then_some("who can write there can make the node run anything as root")
}

fn limits(value: &Value<'_, '_>) -> Read<Limits> {
    value.table(&key::PROGRAM_LIMITS, |at| {
        let count = |key, most| Ok(at.optional(key, |v| v.integer(1, most))?.map(i64::unsigned_abs));
        let (tasks, nofile) = (count("tasks", 4_194_304)?, count("nofile", 1_048_576)?);
        // Less than this, and no program can even be loaded.
        let memory = at.optional("memory", |v| bytes(v, "1MiB", "1024GiB"))?;
        let fsize = at.optional("fsize", |v| bytes(v, "0KiB", "1024GiB"))?;
        // Standard output and standard error cross the seam in one message.
        let output = at.optional("output", |v| bytes(v, "1KiB", "512KiB"))?;
        let cpu = at.optional("cpu", super::duration)?.map(|ms| ms.div_ceil(1_000));
        Ok(Limits { memory, tasks, cpu, nofile, fsize, output })
    })
}

/// Reads a size within bounds, both included.
fn bytes(value: &Value<'_, '_>, least: &'static str, most: &'static str) -> Read<u64> {
    let size = size(value.string()?);
    let (min, max) = (self::size(least).unwrap_or(0), self::size(most).unwrap_or(u64::MAX));
    size.filter(|bytes| (min..=max).contains(bytes)).ok_or_else(|| value.wrong(&Mistake::Bytes(least, most)))
}

/// Reads a number of bytes with its unit. Without one it is a megabyte too few more often than it is meant.
pub(super) fn size(text: &str) -> Option<u64> {
    crate::ocf::parameter::size_bytes(text).filter(|_| text.ends_with("iB"))
}
