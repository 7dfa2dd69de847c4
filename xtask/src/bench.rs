//! `bench`: whole-process actions beside the shell agents that they replace, in one run, as ratios.
//!
//! Absolute times move from run to run; only ratios of one interleaved run count. The kernel's caches are dropped once,
//! then warmed by running; a shell agent stands before each candidate, since the neighbour decides what is in the
//! processor's caches. Medians. `/run` is a tmpfs, as on every node.
#![expect(clippy::cast_precision_loss, reason = "microseconds and faults of one process are far below 2^52")]

mod measure;

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use measure::{Action, Asked, Cost};

use super::{dist, is_root, run as must, setup, target};

const SHELL: &str = "/usr/lib/ocf/resource.d/heartbeat";
const OURS: &str = "/usr/lib/ocf/resource.d/ocf-wasm/dummy";
const ROUNDS: usize = 200;
/// Agents, generations of each, and records, beside the one that is measured.
const CROWD: usize = 1_000;
const GENERATIONS: usize = 50;
/// Where the crowd is, seen from inside: present, and put aside.
const CROWDED: [(&str, &str); 3] = [
    ("/var/lib/ocf-wasm/agents/crowd", "/var/lib/ocf-wasm/crowd"),
    ("/run/ocf-wasm/crowd", "/run/crowd"),
    ("/var/lib/ocf-wasm/blobs/crowd", "/var/lib/ocf-wasm/crowd.blobs"),
];

/// Something that is measured.
struct Candidate {
    name: &'static str,
    action: Action,
    /// Run before each measurement, not measured.
    before: Option<&'static str>,
    is_crowded: bool,
}

/// A line of the budget: which candidates, and how many times the second may the first be.
struct Budget {
    what: &'static str,
    candidate: &'static str,
    reference: &'static str,
    most: f64,
}

const BUDGET: [Budget; 6] = [
    Budget { what: "monitor", candidate: "dummy monitor", reference: "/bin/true", most: 2.8 },
    Budget { what: "monitor", candidate: "dummy monitor", reference: "heartbeat/Dummy monitor", most: 0.70 },
    Budget { what: "start", candidate: "dummy start", reference: "heartbeat/Dummy start", most: 0.65 },
    Budget { what: "stop", candidate: "dummy stop", reference: "heartbeat/Dummy stop", most: 0.65 },
    Budget { what: "meta-data", candidate: "dummy meta-data", reference: "heartbeat/Dummy meta-data", most: 0.30 },
    Budget { what: "monitor in a crowd", candidate: "dummy monitor, crowd", reference: "dummy monitor", most: 1.05 },
];
/// Of a monitor, both processes together.
const FAULTS: f64 = 220.0;
const RESIDENT_KIB: u64 = 6 * 1024;

/// Measures.
///
/// # Errors
/// If not root, or the shell agents are not installed.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if arguments.first().is_some_and(|argument| argument == "inside") {
        return inside();
    }
    if !is_root() {
        bail!("the bench runs agents, which need root");
    }
    if let Some(missing) = setup::test_tools()? {
        bail!("{missing}");
    }
    let tree = dist::run()?;
    let root = target().join("bench");
    let _ = fs::remove_dir_all(&root);
    let plugins = tree.join("usr/share/ocf-wasm/plugins");
    let policy = root.join("etc/policy/ocf-wasm/dummy.toml");
    fs::create_dir_all(policy.parent().context("policy")?)?;
    fs::copy(plugins.join("dummy/policy.toml"), &policy)?;
    let mut install = Command::new(tree.join("usr/bin/ocf-wasm"));
    install.arg("--root").arg(&root).arg("install").arg(plugins.join("dummy/dummy.wasm")).arg("--allow-unsigned");
    must(&mut install)?;
    println!("a crowd of {CROWD} agents with {GENERATIONS} generations each");
    crowd(&root)?;
    // Warms up everything but what is measured, so that nobody's files stand better than the other's.
    fs::write("/proc/sys/vm/drop_caches", "3")?;
    let script = format!(
        "set -e
        bind() {{ mkdir -p \"$2\"; mount --bind \"$1\" \"$2\"; }}
        mount --make-rprivate /
        bind {root}/etc /etc/ocf-wasm
        bind {root}/lib /var/lib/ocf-wasm
        bind {root}/cache /var/cache/ocf-wasm
        bind {libexec} /usr/libexec/ocf-wasm
        mount -t overlay overlay -o lowerdir={root}/resource.d:/usr/lib/ocf/resource.d /usr/lib/ocf/resource.d
        mount --bind {root}/passwd /etc/passwd
        mount -t tmpfs -o mode=755 tmpfs /run
        mkdir /run/resource-agents
        exec \"$0\" bench inside",
        libexec = tree.join("usr/libexec/ocf-wasm").display(),
        root = root.display()
    );
    must(Command::new("unshare").args(["--mount", "sh", "-c", &script]).arg(std::env::current_exe()?))
}

/// Makes many agents out of one: their generations, their blobs, their links.
fn crowd(root: &Path) -> Result<()> {
    let one = root.join("lib/agents/ocf-wasm/dummy/1");
    let files = fs::read_dir(&one)?.map(|entry| Ok(entry?.file_name())).collect::<Result<Vec<_>>>()?;
    let (agents, blobs) = (root.join("lib/crowd"), root.join("lib/crowd.blobs"));
    fs::create_dir_all(&blobs)?;
    fs::create_dir_all(root.join("resource.d/crowd"))?;
    for agent in 0..CROWD {
        let directory = agents.join(format!("a{agent}"));
        for generation in 1..=GENERATIONS {
            let to = directory.join(generation.to_string());
            fs::create_dir_all(&to)?;
            for file in &files {
                fs::hard_link(one.join(file), to.join(file))?;
            }
        }
        symlink(GENERATIONS.to_string(), directory.join("current"))?;
        fs::write(blobs.join(agent.to_string()), "")?;
        symlink("/usr/libexec/ocf-wasm/ocf-wasm-agent", root.join(format!("resource.d/crowd/a{agent}")))?;
    }
    Ok(())
}

/// In the namespace that [`run`] made.
fn inside() -> Result<()> {
    nix::sys::prctl::set_child_subreaper(true)?;
    let shell = |agent: &str, action: &str| Action {
        argv: vec![format!("{SHELL}/{agent}"), action.into()],
        environment: environment("bench-shell"),
    };
    let ours = |action: &str| Action { argv: vec![OURS.into(), action.into()], environment: environment("bench-ours") };
    let plain = Action { argv: vec!["/bin/true".into()], environment: vec![] };
    // An address that is there.
    let mut address = shell("IPaddr2", "monitor");
    let here = [("OCF_RESKEY_ip", "127.0.0.1"), ("OCF_RESKEY_nic", "lo"), ("OCF_RESKEY_cidr_netmask", "8")];
    address.environment.extend(here.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let row = |name, action, before| Candidate { name, action, before, is_crowded: false };
    let candidates = [
        row("/bin/true", plain, None),
        row("heartbeat/Dummy monitor", shell("Dummy", "monitor"), Some("start")),
        row("dummy monitor", ours("monitor"), Some("start")),
        Candidate { is_crowded: true, ..row("dummy monitor, crowd", ours("monitor"), Some("start")) },
        row("heartbeat/Dummy start", shell("Dummy", "start"), Some("stop")),
        row("dummy start", ours("start"), Some("stop")),
        row("heartbeat/Dummy stop", shell("Dummy", "stop"), Some("start")),
        row("dummy stop", ours("stop"), Some("start")),
        row("heartbeat/Dummy meta-data", shell("Dummy", "meta-data"), None),
        row("dummy meta-data", ours("meta-data"), None),
        row("heartbeat/IPaddr2 monitor", address, None),
    ];
    ours("start").cost()?;
    for instance in 0..CROWD {
        let directory = format!("/run/crowd/a{instance}/i{instance}");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        fs::copy("/run/ocf-wasm/ocf-wasm/dummy/bench-ours/record", format!("{directory}/record"))?;
    }
    let neighbour = Action { environment: environment("bench-neighbour"), ..shell("Dummy", "monitor") };
    let mut costs: Vec<Vec<Cost>> = candidates.iter().map(|_| Vec::new()).collect();
    for round in 0..ROUNDS + 5 {
        for (candidate, costs) in candidates.iter().zip(&mut costs) {
            prepare(candidate)?;
            neighbour.cost()?;
            let cost = candidate.action.cost()?;
            restore(candidate)?;
            if round >= 5 {
                costs.push(cost);
            }
        }
    }
    let mut asked = Vec::new();
    for candidate in &candidates {
        prepare(candidate)?;
        asked.push(candidate.action.asked()?);
        restore(candidate)?;
    }
    let rows: Vec<Row> = candidates
        .iter()
        .zip(costs.iter().zip(asked))
        .map(|(candidate, (costs, asked))| Row { name: candidate.name, cost: median(costs), asked })
        .collect();
    print(&rows)
}

fn prepare(candidate: &Candidate) -> Result<()> {
    if let Some(before) = candidate.before {
        let argv = vec![candidate.action.argv[0].clone(), before.into()];
        Action { argv, ..candidate.action.clone() }.cost()?;
    }
    if candidate.is_crowded {
        for (there, aside) in CROWDED {
            fs::rename(aside, there).with_context(|| there.to_owned())?;
        }
    }
    Ok(())
}

fn restore(candidate: &Candidate) -> Result<()> {
    if candidate.is_crowded {
        for (there, aside) in CROWDED {
            fs::rename(there, aside).with_context(|| aside.to_owned())?;
        }
    }
    Ok(())
}

/// What is printed of a candidate.
struct Row {
    name: &'static str,
    cost: Cost,
    asked: Asked,
}

fn median(costs: &[Cost]) -> Cost {
    let of = |field: fn(&Cost) -> f64| {
        let mut values: Vec<f64> = costs.iter().map(field).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Cost { wall_us: of(|c| c.wall_us), cpu_us: of(|c| c.cpu_us), faults: of(|c| c.faults) }
}

fn print(rows: &[Row]) -> Result<()> {
    println!("{ROUNDS} rounds, medians; resident: the processes of an action added up");
    println!(
        "{:28} {:>8} {:>8} {:>7} {:>12} {:>6} {:>6} {:>6}",
        "", "wall ms", "cpu ms", "faults", "resident KiB", "forks", "execs", "opens"
    );
    for Row { name, cost, asked } in rows {
        println!(
            "{name:28} {:8.3} {:8.3} {:7.0} {:12} {:6} {:6} {:6}",
            cost.wall_us / 1000.0,
            cost.cpu_us / 1000.0,
            cost.faults,
            asked.resident_kib,
            asked.forks,
            asked.execs,
            asked.opens
        );
    }
    let of = |name: &str| rows.iter().find(|row| row.name == name).with_context(|| name.to_owned());
    let word = |is_met: bool| if is_met { "met" } else { "NOT met" };
    println!("\n{:64} {:>6} {:>6} {:>7}", "", "wall", "cpu", "budget");
    for Budget { what, candidate, reference, most } in BUDGET {
        let (ours, theirs) = (of(candidate)?.cost, of(reference)?.cost);
        let (wall, cpu) = (ours.wall_us / theirs.wall_us, ours.cpu_us / theirs.cpu_us);
        let line = format!("{what}: {candidate} / {reference}");
        println!("{line:64} {wall:5.2}x {cpu:5.2}x {most:6.2}x  {}", word(wall <= most && cpu <= most));
    }
    let monitor = of("dummy monitor")?;
    let (faults, resident) = (monitor.cost.faults, monitor.asked.resident_kib);
    println!("monitor: minor faults {faults:.0} of {FAULTS:.0}  {}", word(faults <= FAULTS));
    println!("monitor: resident {resident} KiB of {RESIDENT_KIB}  {}", word(resident <= RESIDENT_KIB));
    let address = of("heartbeat/IPaddr2 monitor")?.cost.wall_us / monitor.cost.wall_us;
    println!("heartbeat/IPaddr2 monitor takes {address:.0} times as long as the monitor of dummy");
    Ok(())
}

fn environment(instance: &str) -> Vec<(String, String)> {
    [
        ("OCF_ROOT", "/usr/lib/ocf"),
        ("OCF_RESOURCE_INSTANCE", instance),
        ("OCF_RA_VERSION_MAJOR", "1"),
        ("OCF_RA_VERSION_MINOR", "1"),
        ("OCF_EXIT_REASON_PREFIX", "ocf-exit-reason:"),
        ("OCF_RESKEY_CRM_meta_timeout", "20000"),
        ("OCF_RESKEY_CRM_meta_interval", "10000"),
        ("OCF_RESKEY_CRM_meta_on_node", "n1"),
        ("HA_LOGFACILITY", "none"),
        ("HA_LOGFILE", "/dev/null"),
        ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
        ("LC_ALL", "C"),
    ]
    .iter()
    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
    .collect()
}
