//! `fuzz`: the targets of `tests/fuzz` under libFuzzer, each for a while; what breaks one is kept, small, with the line
//! that repeats it.
//!
//! The engine is compiled apart, in `target/fuzz`, with counters in all code and every check of the language on. Inputs
//! that reached something new stay in `target/fuzz/corpus` for the next time.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::{cargo, root, run as must, setup, target};

/// What there is to know before it is called.
pub(crate) const USAGE: &str = "cargo xtask fuzz [TARGET...] [HOURS | --seconds N] [--jobs N]
       cargo xtask fuzz TARGET --repeat FILE

Looks for bytes that break what must hold of a target; tests/fuzz/src/lib.rs says what that is.

  cargo xtask fuzz                         all targets, 20 s each, as CI does
  cargo xtask fuzz 8                       all of them for eight hours together, each for its part
  cargo xtask fuzz policy --seconds 600    one for ten minutes; what it learnt is kept in target/fuzz/corpus
  cargo xtask fuzz seam --repeat FILE      one file, once, with the panic's place

What breaks a target is made small and kept in tests/fuzz/found/TARGET: commit it with what mends it, and from then on
`cargo test -p ocf-wasm-fuzz` runs it every time, without the engine. Seeds are in tests/fuzz/seeds/TARGET; those that
are made from the code are written by `UPDATE_GOLDEN=1 cargo test -p ocf-wasm-fuzz`.";

/// Counters at each edge, a table of where they are, and comparisons that the engine can see.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Clink-dead-code";

/// How long a target is run where nobody says, seconds.
const SECONDS: u32 = 20;
/// How long one input may take, seconds: more is a hang.
const HANG: u32 = 10;
/// How long what was found may be made smaller, seconds.
const MINIMISE: u32 = 30;

/// What was asked for.
struct Wish {
    targets: Vec<String>,
    seconds: u32,
    jobs: usize,
    repeat: Option<PathBuf>,
}

/// Runs targets.
///
/// # Errors
/// If one is broken, does not build, or is not there.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let wish = wish(arguments)?;
    if let Some(missing) = setup::compiler()? {
        bail!("{missing}");
    }
    let engine = build()?;
    if let Some(file) = &wish.repeat {
        return must(engine_of(&engine, &wish.targets[0]).arg(format!("-timeout={HANG}")).arg(file));
    }
    all(&engine, &wish)
}

/// Runs all targets for a short while. Returns why not, where that cannot be had.
///
/// # Errors
/// See [`run`]; under CI also if the engine cannot be had.
pub(crate) fn run_all() -> Result<Option<String>> {
    match setup::compiler()? {
        Some(missing) if std::env::var_os("CI").is_some() => bail!("{missing}"),
        Some(missing) => Ok(Some(format!("fuzz targets: {missing}"))),
        None => all(&build()?, &wish(&[])?).map(|()| None),
    }
}

fn all(engine: &Path, wish: &Wish) -> Result<()> {
    println!("{:9} {:>9} {:>14} {:>6}", "target", "runs", "edges", "new");
    let some = wish.targets.chunks(wish.jobs);
    let broken: Vec<String> = some.flat_map(|some| together(engine, some, wish.seconds)).collect();
    sweep();
    ensure!(broken.is_empty(), "broken: {}", broken.join(", "));
    Ok(())
}

/// All targets: those that have seeds.
fn targets() -> Result<Vec<String>> {
    let seeds = home().join("seeds");
    let entries = fs::read_dir(&seeds).with_context(|| seeds.display().to_string())?;
    let mut names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

fn wish(arguments: &[String]) -> Result<Wish> {
    let known = targets()?;
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let mut wish = Wish { targets: Vec::new(), seconds: SECONDS, jobs, repeat: None };
    let mut hours = None;
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().with_context(|| format!("{argument} wants a value\n\n{USAGE}"));
        match argument.as_str() {
            "--seconds" => wish.seconds = value()?.parse().context("--seconds wants a number")?,
            "--jobs" => wish.jobs = value()?.parse::<usize>().context("--jobs wants a number")?.max(1),
            "--repeat" => wish.repeat = Some(PathBuf::from(value()?)),
            number if number.parse::<f64>().is_ok() => hours = Some(number.parse::<f64>()?),
            name if known.iter().any(|target| target == name) => wish.targets.push(name.to_owned()),
            other => bail!("there is no target `{other}`; there is {}\n\n{USAGE}", known.join(", ")),
        }
    }
    ensure!(hours.is_none_or(|hours| (0.001..=8760.0).contains(&hours)), "0.001 to 8760 hours\n\n{USAGE}");
    ensure!(wish.repeat.is_none() || wish.targets.len() == 1, "--repeat wants one target\n\n{USAGE}");
    if wish.targets.is_empty() {
        wish.targets = known;
    }
    if let Some(hours) = hours {
        // Those that run at the same time share nothing of it.
        let turns = wish.targets.len().div_ceil(wish.jobs);
        let all = Duration::from_secs_f64(hours * 3600.0).as_secs();
        wish.seconds = u32::try_from(all / u64::try_from(turns)?)?.max(1);
    }
    Ok(wish)
}

fn home() -> PathBuf {
    root().join("tests/fuzz")
}

/// Builds the engine with all targets in it; returns the binary.
fn build() -> Result<PathBuf> {
    // Named, so that macros and build scripts are compiled as always.
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let place = target().join("fuzz");
    let mut build = cargo(&["build", "--profile", "fuzz", "--package", "ocf-wasm-fuzz", "--features", "engine"]);
    build.args(["--bin", "engine", "--target", &triple, "--target-dir"]).arg(&place).env("RUSTFLAGS", COVERAGE);
    must(&mut build)?;
    Ok(place.join(triple).join("fuzz/engine"))
}

/// The engine, told which target it is.
fn engine_of(engine: &Path, target: &str) -> Command {
    let mut command = Command::new(engine);
    command.env("OCF_WASM_FUZZ_TARGET", target).current_dir(root());
    command
}

/// Removes what engines that were aborted left: the directories of processes that are gone.
fn sweep() {
    let places = [PathBuf::from("/dev/shm"), PathBuf::from("/run"), std::env::temp_dir()];
    let entries = places.iter().flat_map(|place| fs::read_dir(place).into_iter().flatten().flatten());
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix("ocf-wasm-fuzz-").and_then(|pid| pid.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Runs some targets at the same time; returns those that are broken.
fn together(engine: &Path, some: &[String], seconds: u32) -> Vec<String> {
    let results: Vec<_> = std::thread::scope(|scope| {
        let runs: Vec<_> = some.iter().map(|target| scope.spawn(|| one(engine, target, seconds))).collect();
        runs.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    let mut broken = Vec::new();
    for (target, result) in some.iter().zip(results) {
        match result {
            Ok(Ok(report)) => {
                println!("{report}");
                if report.contains('\n') {
                    broken.push(target.clone());
                }
            }
            Ok(Err(error)) => broken.push(format!("{target}: {error:#}")),
            Err(_) => broken.push(format!("{target}: the task itself failed")),
        }
    }
    broken
}

/// Runs one target; returns a line, and more if it is broken.
fn one(engine: &Path, target: &str, seconds: u32) -> Result<String> {
    let place = super::target().join("fuzz");
    let (corpus, artifacts) = (place.join("corpus").join(target), place.join("artifacts").join(target));
    let _ = fs::remove_dir_all(&artifacts);
    for directory in [&corpus, &artifacts] {
        fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    }
    let mut prefix = OsString::from("-artifact_prefix=");
    prefix.push(artifacts.join(""));
    let mut command = engine_of(engine, target);
    command.args([format!("-max_total_time={seconds}"), format!("-timeout={HANG}")]);
    command.args(["-rss_limit_mb=2048", "-print_final_stats=1", "-reload=0"]).arg(prefix);
    let dictionary = home().join(format!("{target}.dict"));
    if dictionary.exists() {
        let mut option = OsString::from("-dict=");
        option.push(dictionary);
        command.arg(option);
    }
    command.arg(corpus).arg(home().join("seeds").join(target));
    command.args(Some(home().join("found").join(target)).filter(|found| found.exists()));
    let began = Instant::now();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let mut report = line(target, &said);
    if !output.status.success() {
        let found = fs::read_dir(&artifacts)?.filter_map(|entry| Some(entry.ok()?.path()));
        let found = found.filter(|path| !path.to_string_lossy().contains("slow-unit")).max();
        let Some(found) = found else { bail!("after {:?}: {}\n{said}", began.elapsed(), output.status) };
        report.push_str(&keep(engine, target, &found, &said)?);
    }
    Ok(report)
}

/// Runs, edges at the beginning and at the end, and new inputs, of what the engine says.
fn line(target: &str, said: &str) -> String {
    let number = |line: &str, mark: &str| {
        let after = line.split_once(mark)?.1.trim_start();
        after.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
    };
    let edges = |line: &str| number(line, " cov: ");
    let first = said.lines().find(|line| line.contains("\tINITED ")).and_then(edges).unwrap_or(0);
    let last = said.lines().rev().find_map(edges).unwrap_or(first);
    let of = |mark: &str| said.lines().rev().find_map(|line| number(line, mark)).unwrap_or(0);
    let (runs, new) = (of("stat::number_of_executed_units:"), of("stat::new_units_added:"));
    format!("{target:9} {runs:>9} {:>14} {new:>6}", format!("{first} -> {last}"))
}

/// Makes what was found small, keeps it, and tells how to see it again.
fn keep(engine: &Path, target: &str, found: &Path, said: &str) -> Result<String> {
    let name = found.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (kind, digest) = name.split_once('-').unwrap_or(("crash", &name));
    let kept = Path::new("tests/fuzz/found").join(target).join(format!("{kind}-{}", &digest[..digest.len().min(12)]));
    fs::create_dir_all(root().join(&kept).parent().context("a place")?)?;
    if kind == "crash" {
        let mut minimise = engine_of(engine, target);
        minimise.args(["-minimize_crash=1".to_owned(), format!("-max_total_time={MINIMISE}")]);
        minimise.arg(format!("-exact_artifact_path={}", kept.display())).arg(found);
        // It says by its status what is known already.
        minimise.output().with_context(|| format!("{minimise:?}"))?;
    }
    if !root().join(&kept).exists() {
        fs::copy(found, root().join(&kept))?;
    }
    let mut why: Vec<&str> = said.lines().skip_while(|line| !line.contains("panicked at")).take(4).collect();
    if why.is_empty() {
        why = said.lines().filter(|line| line.contains("ERROR:") || line.contains("memory allocation")).collect();
    }
    let kept = kept.display();
    Ok(format!("\n  {}\n  kept: {kept}\n  again: cargo xtask fuzz {target} --repeat {kept}", why.join("\n  ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_engine_says_is_one_line() {
        let said = "INFO: Seed: 1\n#3\tINITED cov: 120 ft: 130 corp: 2/9b exec/s: 0 rss: 40Mb\n#9\tNEW    cov: 125 ft: 140\n\
                    #4711\tDONE   cov: 131 ft: 150 corp: 3/9b\nstat::number_of_executed_units: 4711\n\
                    stat::average_exec_per_sec:     9\nstat::new_units_added:          8\n";
        let words: Vec<String> = line("policy", said).split_whitespace().map(str::to_owned).collect();
        assert_eq!(words, ["policy", "4711", "120", "->", "131", "8"]);
    }

    #[test]
    fn what_is_wished_is_known() {
        let words = |text: &str| wish(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        let all = words("").unwrap();
        assert!(all.targets.len() >= 7 && all.seconds == SECONDS && all.repeat.is_none());
        let one = words("policy --seconds 600 --jobs 0").unwrap();
        assert_eq!((one.targets, one.seconds, one.jobs), (vec!["policy".to_owned()], 600, 1));
        let hours = words("2 --jobs 2 policy seam record").unwrap();
        assert_eq!((hours.targets.len(), hours.seconds), (3, 3600));
        for (wrong, says) in [
            ("-1", "0.001 to 8760 hours"),
            ("polcy", "there is no target `polcy`; there is answers"),
            ("--seconds", "--seconds wants a value"),
            ("--seconds x", "--seconds wants a number"),
            ("--repeat x", "--repeat wants one target"),
        ] {
            let told = words(wrong).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(told.starts_with(says), "{told}");
        }
    }
}
