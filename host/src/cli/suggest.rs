//! `suggest`: a policy to be read, completed and put in place by the operator.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Format, here};
use crate::ocf::description::AgentName;
use crate::store::{self, Request, install};

#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  ocf-wasm suggest dummy.wasm > /etc/ocf-wasm/policy/ocf-wasm/dummy.toml\n\nUsers and write access are left blank on purpose: a policy with a blank is refused.\n\nExit status: 0 printed, 1 the component cannot be used here, 2 wrong usage."
)]
pub(super) struct Arguments {
    /// The component
    component: PathBuf,
}

pub(super) fn run(arguments: &Arguments, format: Format) -> Result<ExitCode> {
    let found = install::examine(&arguments.component)?;
    let name = &found.description.name;
    let policy = policy(name, &found.requests)?;
    match format {
        Format::Json => super::json(&serde_json::json!({
            "agent": name.to_string(), "path": here::path(&store::policy_path(name)), "policy": policy,
        }))?,
        Format::Text => print!("{policy}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the policy that the author of a component suggests. With a blank in it it is refused.
///
/// # Errors
/// If a suggestion is no TOML.
pub fn policy(name: &AgentName, requests: &[Request]) -> Result<String> {
    let mut policy = format!(
        "# What {name} may do on this node: {}\n\
         # Suggested by its author; nothing is granted until you put it there. Read it, fill in the blanks.\n\
         format = 1\n",
        here::path(&store::policy_path(name)).display()
    );
    for request in requests {
        let text = format!("[{}.{}]\n{}\n", request.kind, request.name, request.suggest.trim());
        let text = filled_in(request, text)
            .with_context(|| format!("what the author suggests for {} {}", request.kind, request.name))?;
        let why = request.why.replace('\n', "\n# ");
        write!(policy, "\n# {why}\n{text}")?;
    }
    Ok(policy)
}

/// Where the author lists programs or directories, the first that exists here takes the place of the list. As whom a
/// program runs and what a plugin may change is the operator's to say: the author's wish stands beside a blank.
fn filled_in(request: &Request, mut text: String) -> Result<String> {
    let whole = DeTable::parse(&text)?;
    let labels = whole.get_ref().get(request.kind.as_str()).context("its table")?;
    let table = labels.get_ref().get(request.name.as_str()).context("its table")?.get_ref();
    let mut edits = Vec::new();
    for key in ["program", "directory"] {
        let Some(value) = table.get(key) else { continue };
        let DeValue::Array(candidates) = value.get_ref() else { continue };
        let exists =
            |path: &&Spanned<DeValue<'_>>| path.get_ref().as_str().is_some_and(|path| Path::new(path).exists());
        let chosen = candidates.iter().find(exists).or(candidates.first());
        edits.push((value.span(), chosen.map_or("\"\"".to_owned(), |path| text[path.span()].to_owned())));
    }
    let is_wish = |key: &str, wish: &DeValue<'_>| match key {
        "access" => wish.as_str() == Some("write"),
        _ => wish.as_str() != Some(""),
    };
    for key in ["user", "access"] {
        let Some(wish) = table.get(key).filter(|wish| is_wish(key, wish.get_ref())) else { continue };
        let told = text[wish.span()].split_whitespace().collect::<Vec<_>>().join(" ");
        edits.push((wish.span(), format!("\"\"  # the author asks for {told}")));
    }
    edits.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
    drop(whole);
    for (span, words) in edits {
        text.replace_range(span, &words);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suggested(kind: &str, wish: &str) -> String {
        let request = Request {
            kind: kind.to_owned(),
            name: "x".to_owned(),
            why: "because\nof that".to_owned(),
            suggest: wish.to_owned(),
        };
        let name = AgentName { provider: "acme".to_owned(), kind: "thing".to_owned() };
        let text = policy(&name, &[request]).unwrap();
        let start = text.find(&format!("\n# because\n# of that\n[{kind}.x]\n")).unwrap();
        text[start..].lines().skip(4).collect::<Vec<_>>().join("\n")
    }

    fn told(kind: &str, keys: &str) -> String {
        let policy = format!("format = 1\n[{kind}.x]\n{keys}\n");
        crate::policy::Policy::parse(&policy, Path::new("/p")).unwrap_err().message
    }

    #[test]
    fn what_exists_is_chosen_and_write_access_is_left_blank() {
        let wish = "directory = [\"/not/here\", \"/etc\"]\naccess = \"write\"\nowner = \"root\"";
        let text = suggested("path", wish);
        assert_eq!(text, "directory = \"/etc\"\naccess = \"\"  # the author asks for \"write\"\nowner = \"root\"");
        let told = told("path", &text.replace("/etc", "/srv"));
        assert!(told.contains("fill in the access"), "{told}");
        assert_eq!(suggested("path", "access = \"read\""), "access = \"read\"");
    }

    #[test]
    fn as_whom_a_program_runs_is_left_blank() {
        let text = suggested("program", "program = '/usr/bin/true'\nuser = \"root\" # safe\nlifetime = \"action\"");
        let blank =
            "program = '/usr/bin/true'\nuser = \"\"  # the author asks for \"root\" # safe\nlifetime = \"action\"";
        assert_eq!(text, blank);
        let told = told("program", &text);
        assert!(told.contains("fill in the user"), "{told}");
        let text = suggested("program", "user = { param = \"u\",\n one-of = [\"a\",\n \"b\"] }");
        assert_eq!(text, "user = \"\"  # the author asks for { param = \"u\", one-of = [\"a\", \"b\"] }");
        assert_eq!(suggested("program", "user = \"\""), "user = \"\"");
    }

    #[test]
    fn a_list_stays_as_its_author_wrote_it() {
        assert_eq!(suggested("program", "program = ['/e\u{301}', \"/b\"]"), "program = '/e\u{301}'");
        assert_eq!(suggested("program", "program = []"), "program = \"\"");
        let environment = "program = [\"/a\"]\n[program.x.environment]\nuser = \"me\"";
        assert_eq!(suggested("program", environment), environment.replace("[\"/a\"]", "\"/a\""));
    }
}
