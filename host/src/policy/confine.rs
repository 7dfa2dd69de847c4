//! What a program is granted besides to be run, as it is written in a policy.
//!
//! What must never enter here: a default that grants.

use std::path::{Path, PathBuf};

use toml::de::DeValue;

use super::given;
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
    /// What the policy runs, or below which that is: what is written from outside is apart from it.
    pub executed: Vec<PathBuf>,
}

impl View {
    /// Why a value cannot be read by it, or written; none if it can.
    pub fn refuses(&self, template: &Template, path: &Path, is_written: bool) -> Option<String> {
        let is_outside = !template.is_literal();
        let why = refused_for_reading(path)
            .or_else(|| refused_from_outside(path).filter(|_| is_outside))
            .or_else(|| refused_for_writing(path).filter(|_| is_written));
        let replaced = || self.executed.iter().find(|executed| is_written && given::meet(executed, path));
        why.map(str::to_owned).or_else(|| replaced().map(|path| replaces(path)))
    }
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
            let program = programs.iter().find(|program| given::meet(program, path));
            let replaces = program.map(|program| Mistake::WritableProgram(shown(path), replaces(program)));
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
        let executed = if write.iter().all(Template::is_literal) { Vec::new() } else { programs.to_vec() };
        Ok(View { read, write, cluster: cluster.unwrap_or(false), executed })
    })
}

fn replaces(program: &Path) -> String {
    format!(
        "who can write there can replace {}, or what is below it, which this policy runs; keep programs and what is \
         written in directories of their own",
        program.display()
    )
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Why a path can be granted to no program; none if it can.
pub(super) fn refused_for_reading(path: &Path) -> Option<&'static str> {
    if path == Path::new("/") {
        return Some("that is everything: name the directories that are meant");
    }
    let kernel = ["/proc", "/sys", "/dev"].iter().any(|kernel| path.starts_with(kernel));
    kernel.then_some("each program has its own /dev, and /proc and /sys to read")
}

/// Why no program can be granted to write there; none if one can.
pub(super) fn refused_for_writing(path: &Path) -> Option<&'static str> {
    let runs = given::trusted(path).map(|_| "who can write there can make the node run anything as root");
    runs.or_else(|| given::secret(path).map(|_| "it holds secrets of the node or of the host"))
}

/// Why a value from outside cannot name a path that the policy itself could; none if it can.
pub(super) fn refused_from_outside(path: &Path) -> Option<&'static str> {
    given::hidden(path).map(|_| "what is hidden from programs is shown only where the policy names it in its own words")
}

/// Adds the paths that stand in the value of `program` or `interpreter`: what is run, or below which that is.
pub(super) fn executed(value: &DeValue<'_>, into: &mut Vec<PathBuf>) {
    match value {
        DeValue::Table(table) => table.iter().for_each(|(_, value)| executed(value.get_ref(), into)),
        DeValue::Array(array) => array.iter().for_each(|value| executed(value.get_ref(), into)),
        DeValue::String(text) => into.extend(Some(PathBuf::from(text.as_ref())).filter(|path| path.is_absolute())),
        _ => {}
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Access, refused_directory};

    /// What a plugin may not write, a program may not either.
    #[test]
    fn a_view_is_refused_what_a_path_is() {
        for place in [
            "/etc/sudoers.d",
            "/etc/sudoers",
            "/etc/pam.d",
            "/etc/cron.daily",
            "/etc/udev/rules.d",
            "/etc/ssl",
            "/etc/ssh",
            "/etc/corosync",
            "/etc/shadow",
            "/etc/group",
            "/etc/profile",
            "/root",
            "/root/.ssh",
            "/var/lib/pacemaker",
            "/var/lib/pcsd",
            "/etc/rc3.d",
            "/etc/rcS.d",
            "/etc/rsyslog.d",
            "/etc/grub.d",
            "/etc/apparmor.d",
            "/etc/libvirt/hooks",
            "/etc/lvm",
            "/etc/dhcp",
            "/etc/drbd.d",
            "/var/lib/cloud",
            "/etc",
            "/var/lib",
            "/run",
        ] {
            let path = Path::new(place);
            assert!(refused_directory(path, Access::Write, &std::collections::BTreeMap::new()).is_some(), "{place}");
            assert!(refused_for_writing(path).is_some(), "{place}");
            assert!(refused_for_reading(path).is_none(), "the operator may name {place}");
        }
        for place in ["/etc/nginx", "/srv", "/var/lib/postgresql", "/run/nginx", "/var/log", "/mnt/web", "/roots"] {
            assert!(refused_for_writing(Path::new(place)).is_none(), "{place}");
        }
    }

    #[test]
    fn what_is_hidden_is_shown_by_the_policys_own_word_alone() {
        for place in ["/etc/shadow", "/etc/ssh", "/etc/ssl/private/web.key", "/run/docker.sock", "/var/lib/pcsd"] {
            assert!(refused_from_outside(Path::new(place)).is_some(), "{place}");
        }
        for place in ["/etc/ssl", "/etc/nginx", "/run", "/srv/etc/shadow", "/etc/shadows"] {
            assert!(refused_from_outside(Path::new(place)).is_none(), "{place}");
        }
    }
}
