//! `install`: a component becomes an agent of this node.

mod standing;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;

use super::{Format, here, repin};
use crate::ocf::description::{Description, Profile};
use crate::policy::{self, Policy};
use crate::store::install::{self, Part};
use crate::store::{self, Generation, list, place};
use crate::sys::user;

use self::standing::Standing;

/// The profile of the metadata, as people write it.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProfileName {
    /// OCF 1.0: valid for every reader, ocf-tester's DTD included; without reload-agent
    #[value(name = "1.0")]
    V1_0,
    /// OCF 1.1: reload-agent, unique groups, select
    #[value(name = "1.1")]
    V1_1,
}

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  ocf-wasm install sample-tcp-server.wasm --allow-unsigned\n  ocf-wasm install dummy.wasm --allow-unsigned --dry-run    what would change\n\nExit status: 0 installed, or was already; 1 refused or failed, and nothing changed; 2 wrong usage."
)]
pub(super) struct Arguments {
    /// The component
    component: PathBuf,
    /// Trust this very file: it carries no signature that could be checked
    #[arg(long)]
    allow_unsigned: bool,
    /// What the metadata claims
    #[arg(long, value_enum, default_value_t = ProfileName::V1_1)]
    profile: ProfileName,
    /// Leave running instances on the version that they run with; the next start takes the new one
    #[arg(long)]
    next_start: bool,
    /// Take the place of an agent's file that is not ours, in one step, and keep it: `remove` puts it back
    #[arg(long)]
    replace: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

impl Arguments {
    pub(super) fn absolute(self) -> Result<Self> {
        let component = std::path::absolute(&self.component)?;
        Ok(Self { component, ..self })
    }
}

pub(super) fn run(arguments: &Arguments, format: Format) -> Result<ExitCode> {
    let file = &arguments.component;
    let found = std::fs::metadata(file).with_context(|| file.display().to_string())?;
    anyhow::ensure!(!found.is_dir(), "{}: a directory, and no component", file.display());
    if !arguments.allow_unsigned {
        bail!(
            "{} carries no signature\n  --allow-unsigned installs these very bytes, by digest; look at them first: ocf-wasm inspect {0}",
            arguments.component.display()
        );
    }
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    list::check()?;
    make_user()?;
    let examined = install::examine(&arguments.component)?;
    let agent = examined.description.name.clone();
    if !arguments.replace {
        place::check(&agent)?;
    }
    let before = store::current(&agent).and_then(|number| Some((number, store::generation(&agent, number).ok()?)));
    let asked = ungranted(&examined.requests, &agent);
    if let Some((_, old)) = &before {
        let new: Vec<&String> = asked
            .iter()
            .filter(|label| !old.requests.iter().any(|r| format!("{} {}", r.kind, r.name) == **label))
            .collect();
        if !new.is_empty() {
            let labels: Vec<&str> = new.iter().map(|l| l.as_str()).collect();
            bail!(
                "the new version asks for what is not granted: {}\n  grant it in {} (ocf-wasm suggest {}), then install again",
                labels.join(", "),
                store::policy_path(&agent).display(),
                arguments.component.display()
            );
        }
        if format == Format::Text {
            differences(&old.description, &examined.description).iter().for_each(|line| println!("  {line}"));
        }
    }
    let profile = match arguments.profile {
        ProfileName::V1_0 => Profile::V1_0,
        ProfileName::V1_1 => Profile::V1_1,
    };
    if arguments.dry_run {
        let is_same = |old: &Generation| old.component == examined.digest && old.profile == profile;
        let same = before.filter(|(_, old)| is_same(old)).map(|(number, _)| number);
        let moved = if arguments.next_start { Vec::new() } else { repin::meant(&agent, same) };
        let lost = same.map(|_| install::lost(&examined));
        return would(&examined, lost.as_deref(), &moved, &asked, format);
    }
    let lost = install::lost(&examined);
    let number = install::add(&examined, profile)?;
    let generation = store::generation(&agent, number).map_err(|e| anyhow::anyhow!("{e:?}"))?;
    let tried = if arguments.next_start { Ok(Vec::new()) } else { repin::try_all(&agent, number, &generation) };
    let trials = tried.inspect_err(|_| install::take_back(&agent, number))?;
    let kept =
        install::switch(&agent, number, arguments.replace).inspect_err(|_| install::take_back(&agent, number))?;
    let repinned = repin::keep_all(trials)?;
    let already = before.filter(|(old, _)| *old == number).map(|_| lost);
    report(&agent, (number, &generation), already.as_deref(), &asked, &repinned, kept.as_deref(), format)
}

/// Says what would be done. `lost`: it is installed already, and what of it is not there any more.
fn would(
    examined: &install::Examined,
    lost: Option<&[Part]>,
    moved: &[String],
    asked: &[String],
    format: Format,
) -> Result<ExitCode> {
    let agent = &examined.description.name;
    let (version, digest) = (&examined.description.version, examined.digest.short());
    let standing = Standing::of(agent, asked);
    if format == Format::Json {
        let known = serde_json::json!({
            "agent": agent.to_string(), "version": version, "digest": examined.digest.to_string(),
            "not_granted": asked, "installed": lost.is_some(), "would_repin": moved,
            "would_restore": lost.unwrap_or_default().iter().map(|part| part.word()).collect::<Vec<_>>(),
        });
        super::json(&standing.beside(known))?;
        return Ok(ExitCode::SUCCESS);
    }
    match lost {
        None => println!("would install {agent} {version} ({digest})"),
        Some([]) if moved.is_empty() => {
            println!("{agent} {version} is installed already ({digest}): nothing would change");
        }
        Some(lost) => {
            println!("{agent} {version} is installed already ({digest})");
            lost.iter().for_each(|part| say!("  would put back {}", part.told(agent)));
        }
    }
    if place::is_others(agent) {
        say!("  would take the place of {}", place::path(agent).display());
    }
    for instance in moved {
        println!("  {instance}: would be monitored by both versions, and run with this one if they say the same");
    }
    standing.tell_what_is_wrong();
    Ok(ExitCode::SUCCESS)
}

/// Says what was done. `already`: it was installed before, and what of it had been lost.
fn report(
    agent: &crate::ocf::description::AgentName,
    (number, generation): (u32, &Generation),
    already: Option<&[Part]>,
    asked: &[String],
    repinned: &[String],
    kept: Option<&Path>,
    format: Format,
) -> Result<ExitCode> {
    let standing = Standing::of(agent, asked);
    if format == Format::Json {
        let known = serde_json::json!({
            "agent": agent.to_string(), "version": generation.description.version, "generation": number,
            "digest": generation.component.to_string(), "not_granted": asked, "repinned": repinned,
            "replaced": kept.map(here::path),
            "restored": already.unwrap_or_default().iter().map(|part| part.word()).collect::<Vec<_>>(),
        });
        super::json(&standing.beside(known))?;
        return Ok(ExitCode::SUCCESS);
    }
    let version = &generation.description.version;
    let place = format!("ocf:{}:{}", agent.provider, agent.kind);
    match already {
        None => {
            let digest = generation.component.short();
            println!("installed {agent} {version} as generation {number} ({digest}), {place}");
        }
        Some([]) if repinned.is_empty() => {
            println!("{agent} {version} is installed already, nothing to do (generation {number}, {place})");
            standing.tell_what_is_wrong();
            return Ok(ExitCode::SUCCESS);
        }
        Some(lost) => {
            println!("{agent} {version} is installed already (generation {number}, {place})");
            lost.iter().for_each(|part| say!("  was lost and is put back: {}", part.told(agent)));
        }
    }
    if let Some(kept) = kept {
        say!("  what was in its place is kept as {}", kept.display());
    }
    for instance in repinned {
        println!("  {instance}: monitored by both versions, now runs with this one");
    }
    standing.tell();
    Ok(ExitCode::SUCCESS)
}

/// Labels that a component asks for and today's policy does not bind.
fn ungranted(requests: &[store::Request], agent: &crate::ocf::description::AgentName) -> Vec<String> {
    let path = store::policy_path(agent);
    let policy = policy::load(&path).ok().and_then(|text| Policy::parse(&text, &path).ok()).unwrap_or_default();
    requests
        .iter()
        .filter(|request| !policy.binds(&request.kind, &request.name))
        .map(|request| format!("{} {}", request.kind, request.name))
        .collect()
}

/// What an upgrade changes for who configured resources.
fn differences(old: &Description, new: &Description) -> Vec<String> {
    let mut lines = Vec::new();
    if old.version != new.version {
        lines.push(format!("version {} -> {}", old.version, new.version));
    }
    for parameter in &new.parameters {
        match old.parameters.iter().find(|p| p.name == parameter.name) {
            None if parameter.required => lines.push(format!("parameter {} is new and required", parameter.name)),
            None => lines.push(format!("parameter {} is new", parameter.name)),
            Some(before) if before.kind != parameter.kind => {
                lines.push(format!("parameter {}: its type changed", parameter.name));
            }
            Some(before) if before.default != parameter.default => {
                lines.push(format!("parameter {}: its default changed", parameter.name));
            }
            Some(_) => {}
        }
    }
    for parameter in &old.parameters {
        if !new.parameters.iter().any(|p| p.name == parameter.name) {
            lines.push(format!("parameter {} is gone", parameter.name));
        }
    }
    if old.monitors != new.monitors {
        lines.push("the check levels of monitor changed".to_owned());
    }
    if old.exports != new.exports {
        lines.push("the actions changed".to_owned());
    }
    lines
}

/// Makes the user that runner and compiler become, where a package has not done it.
fn make_user() -> Result<()> {
    if user::is_alone() || user::account(user::OURS).is_some() {
        return Ok(());
    }
    let made = Command::new("useradd")
        .args(["--system", "--user-group", "--no-create-home", "--home-dir", "/", "--shell", "/usr/sbin/nologin"])
        .args(["--comment", "OCF plugins", user::OURS])
        .status()
        .context("useradd, to make the user ocf-wasm")?;
    if !made.success() {
        bail!("useradd could not make the user {}", user::OURS);
    }
    Ok(())
}
