//! `completions` and `man`: what shells and readers of manuals want, made of the same words as `--help`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Command, CommandFactory as _, ValueEnum};
use clap_mangen::Man;

use crate::ocf::outcome::Exit;

/// Shells that can be helped.
#[derive(Clone, Copy, ValueEnum)]
enum Shell {
    /// Bash
    Bash,
    /// Zsh
    Zsh,
    /// Fish
    Fish,
}

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  ocf-wasm completions bash > /etc/bash_completion.d/ocf-wasm\n  ocf-wasm completions fish\n\nExit status: 0 printed, 2 wrong usage.\nPackages bring them; this is for a tool that was copied by hand."
)]
pub(super) struct Completions {
    /// For which shell
    shell: Shell,
}

#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  ocf-wasm man /usr/local/share/man\n\nExit status: 0 written, 1 DIR cannot be written, 2 wrong usage.\nWrites DIR/man1/ocf-wasm.1, a page for each verb, and DIR/man8/ocf-wasm-agent.8."
)]
pub(super) struct Manual {
    /// Where man1 and man8 are
    directory: PathBuf,
}

impl Manual {
    pub(super) fn absolute(self) -> Result<Self> {
        Ok(Self { directory: std::path::absolute(self.directory)? })
    }
}

pub(super) fn completions(arguments: &Completions) -> Result<ExitCode> {
    let shell = match arguments.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    // Into memory first: nobody may read to the end.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut super::Arguments::command(), "ocf-wasm", &mut script);
    // clap_complete 4.6 takes the dash in the tool's name for a step to a verb, in one of the two places that must agree.
    let script = String::from_utf8(script)?.replace("ocf__subcmd__wasm", "ocf__wasm");
    print!("{script}");
    Ok(ExitCode::SUCCESS)
}

pub(super) fn manual(arguments: &Manual) -> Result<ExitCode> {
    let mut tool = super::Arguments::command().disable_help_subcommand(true);
    // What is said of all verbs goes to each of them.
    tool.build();
    let mut pages = vec![("man1", "ocf-wasm".to_owned(), tool.clone())];
    for verb in tool.get_subcommands() {
        let name = format!("ocf-wasm-{}", verb.get_name());
        pages.push(("man1", name, verb.clone()));
    }
    pages.push(("man8", "ocf-wasm-agent".to_owned(), agent()));
    for (section, name, command) in pages {
        let directory = arguments.directory.join(section);
        fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        let number = section.trim_start_matches("man");
        write(&directory.join(format!("{name}.{number}")), number, &name, command)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, section: &str, name: &str, command: Command) -> Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    let command = command.version(version);
    let mut page = Vec::new();
    Man::new(command).title(name).section(section).source(format!("ocf-wasm {version}")).render(&mut page)?;
    fs::write(path, page).with_context(|| path.display().to_string())
}

/// The agent that Pacemaker runs has no parser of its own; this says what it takes.
fn agent() -> Command {
    let statuses: String = Exit::ALL.iter().map(|exit| format!("  {exit}\n")).collect();
    Command::new("ocf-wasm-agent")
        .disable_help_flag(true)
        .disable_version_flag(true)
        .about("An OCF resource agent whose work is done by a WebAssembly plugin")
        .long_about(
            "The resource agent that Pacemaker runs, by a symbolic link /usr/lib/ocf/resource.d/PROVIDER/TYPE to it. \
             The instance is in OCF_RESOURCE_INSTANCE, its parameters in OCF_RESKEY_name. By hand: ocf-wasm run.",
        )
        .arg(clap::Arg::new("ACTION").required(true).help(
            "start, stop, monitor, promote, demote, notify, migrate_to, migrate_from, reload-agent, validate-all, \
             meta-data, usage or methods",
        ))
        .after_help(format!(
            "Exit status, of the OCF resource agent API 1.1:\n\n{statuses}\nA failure has a reason, the last line of standard error."
        ))
}
