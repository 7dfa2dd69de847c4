//! `bench`: whole-process actions beside the shell agents that they replace, in one run, as ratios.
//!
//! Absolute times move from run to run; only ratios of one interleaved run count. The kernel's caches are dropped once,
//! then warmed by running; a shell agent stands before each candidate, since the neighbour decides what is in the
//! processor's caches. Medians.
#![expect(clippy::cast_precision_loss, reason = "microseconds and faults of one process are far below 2^52")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};

use super::{dist, is_root, run as must, target};

const SHELL: &str = "/usr/lib/ocf/resource.d/heartbeat";
const ROUNDS: usize = 200;

/// What one run of one command cost.
#[derive(Clone, Copy, Default)]
struct Cost {
    wall_us: f64,
    cpu_us: f64,
    faults: f64,
}

/// A command to be measured, with what makes it repeatable.
struct Candidate {
    name: &'static str,
    argv: Vec<String>,
    environment: Vec<(String, String)>,
    /// Run before each measurement, not measured.
    before: Option<Vec<String>>,
}

/// Measures.
///
/// # Errors
/// If not root, or the shell agents are not installed.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if arguments.first().is_some_and(|a| a == "inside") {
        return inside(Path::new(arguments.get(1).context("root")?));
    }
    if !is_root() {
        bail!("the bench runs agents, which need root");
    }
    if !Path::new(SHELL).join("Dummy").exists() {
        bail!("heartbeat/Dummy is not installed: apt-get install resource-agents");
    }
    let tree = dist::run()?;
    let root = target().join("bench");
    let _ = fs::remove_dir_all(&root);
    let tool = tree.join("usr/bin/ocf-wasm");
    let plugins = tree.join("usr/share/ocf-wasm/plugins");
    let policy = root.join("etc/policy/ocf-wasm/dummy.toml");
    fs::create_dir_all(policy.parent().context("policy")?)?;
    fs::copy(plugins.join("dummy/policy.toml"), &policy)?;
    must(
        Command::new(&tool)
            .arg("--root")
            .arg(&root)
            .arg("install")
            .arg(plugins.join("dummy/dummy.wasm"))
            .arg("--allow-unsigned"),
    )?;
    fs::write("/proc/sys/vm/drop_caches", "3").ok();
    // The agent's directories, bound in one namespace for the whole run.
    let script = format!(
        "mount --make-rprivate / && for d in etc/ocf-wasm=etc var/lib/ocf-wasm=lib var/cache/ocf-wasm=cache usr/libexec/ocf-wasm=LIBEXEC; do t=/${{d%%=*}}; f=${{d#*=}}; mkdir -p $t; if [ $f = LIBEXEC ]; then mount --bind {libexec} $t; else mount --bind {root}/$f $t; fi; done; mkdir -p /mnt && mount -t overlay overlay -o lowerdir={root}/resource.d:/usr/lib/ocf/resource.d /usr/lib/ocf/resource.d && mount --bind {root}/passwd /etc/passwd && exec \"$0\" bench inside {root}",
        libexec = tree.join("usr/libexec/ocf-wasm").display(),
        root = root.display()
    );
    let own = std::env::current_exe()?;
    must(Command::new("unshare").args(["--mount", "sh", "-c", &script]).arg(own))
}

fn inside(_: &Path) -> Result<()> {
    nix::sys::prctl::set_child_subreaper(true)?;
    let shell = |action: &str, name: &'static str, before: Option<&str>| Candidate {
        name,
        argv: vec![format!("{SHELL}/Dummy"), action.into()],
        environment: environment("bench-shell"),
        before: before.map(|word| vec![format!("{SHELL}/Dummy"), word.into()]),
    };
    let ours_path = "/usr/lib/ocf/resource.d/ocf-wasm/dummy".to_owned();
    let ours = |action: &str, name: &'static str, before: Option<&str>| Candidate {
        name,
        argv: vec![ours_path.clone(), action.into()],
        environment: environment("bench-ours"),
        before: before.map(|word| vec![ours_path.clone(), word.into()]),
    };
    let plain = Candidate { name: "/bin/true", argv: vec!["/bin/true".into()], environment: vec![], before: None };
    let candidates = [
        plain,
        shell("monitor", "heartbeat/Dummy monitor (running)", Some("start")),
        ours("monitor", "dummy monitor (running)", Some("start")),
        shell("start", "heartbeat/Dummy start", Some("stop")),
        ours("start", "dummy start", Some("stop")),
        shell("stop", "heartbeat/Dummy stop", Some("start")),
        ours("stop", "dummy stop", Some("start")),
        shell("meta-data", "heartbeat/Dummy meta-data", None),
        ours("meta-data", "dummy meta-data", None),
    ];
    let mut costs: BTreeMap<usize, Vec<Cost>> = BTreeMap::new();
    for round in 0..ROUNDS + 5 {
        for (index, candidate) in candidates.iter().enumerate() {
            if let Some(before) = &candidate.before {
                measure(before, &candidate.environment)?;
            }
            // The same neighbour before each of them.
            measure(&[format!("{SHELL}/Dummy"), "monitor".into()], &environment("bench-neighbour"))?;
            let cost = measure(&candidate.argv, &candidate.environment)?;
            if round >= 5 {
                costs.entry(index).or_default().push(cost);
            }
        }
    }
    let median = |index: usize, of: fn(&Cost) -> f64| {
        let mut values: Vec<f64> = costs[&index].iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    println!("{:36} {:>9} {:>9} {:>8}", "", "wall ms", "cpu ms", "faults");
    for (index, candidate) in candidates.iter().enumerate() {
        println!(
            "{:36} {:9.3} {:9.3} {:8.0}",
            candidate.name,
            median(index, |c| c.wall_us) / 1000.0,
            median(index, |c| c.cpu_us) / 1000.0,
            median(index, |c| c.faults)
        );
    }
    let ratio = |a: usize, b: usize, of: fn(&Cost) -> f64| median(a, of) / median(b, of);
    println!();
    for (what, a, b, limit) in [
        ("monitor / /bin/true", 2, 0, 3.0),
        ("monitor / heartbeat/Dummy monitor", 2, 1, 0.70),
        ("start / heartbeat/Dummy start", 4, 3, 0.65),
        ("stop / heartbeat/Dummy stop", 6, 5, 0.65),
        ("meta-data / heartbeat/Dummy meta-data", 8, 7, 0.30),
    ] {
        println!(
            "{what:40} wall {:.2}x  cpu {:.2}x  (budget {limit:.2}x)",
            ratio(a, b, |c| c.wall_us),
            ratio(a, b, |c| c.cpu_us)
        );
    }
    Ok(())
}

fn environment(instance: &str) -> Vec<(String, String)> {
    [
        ("OCF_ROOT", "/usr/lib/ocf"),
        ("OCF_RESOURCE_INSTANCE", instance),
        ("OCF_RESOURCE_TYPE", "dummy"),
        ("OCF_RESOURCE_PROVIDER", "ocf-wasm"),
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
    .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
    .collect()
}

fn measure(argv: &[String], environment: &[(String, String)]) -> Result<Cost> {
    let program = PathBuf::from(&argv[0]);
    let before = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let start = Instant::now();
    let status = Command::new(&program)
        .args(&argv[1..])
        .env_clear()
        .envs(environment.iter().cloned())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .with_context(|| argv.join(" "))?;
    let wall = start.elapsed();
    // A process that an action left to die on its own is part of its cost: it falls to us, and is waited for.
    while nix::sys::wait::wait().is_ok() {}
    let after = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    if !matches!(status.code(), Some(0 | 7)) {
        bail!("{}: {status}", argv.join(" "));
    }
    let us = |t: nix::sys::time::TimeVal| t.tv_sec() as f64 * 1e6 + t.tv_usec() as f64;
    let cpu = |u: &nix::sys::resource::Usage| us(u.user_time()) + us(u.system_time());
    Ok(Cost {
        wall_us: wall.as_secs_f64() * 1e6,
        cpu_us: cpu(&after) - cpu(&before),
        faults: (after.minor_page_faults() - before.minor_page_faults()) as f64,
    })
}
