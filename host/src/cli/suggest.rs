//! `suggest`: a policy to be read, completed and put in place by the operator.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use toml::de::{DeTable, DeValue};

use super::Format;
use crate::store;
use crate::store::install::{self, Examined};

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
    let policy = policy(&found)?;
    match format {
        Format::Json => super::json(&serde_json::json!({
            "agent": name.to_string(), "path": store::policy_path(name), "policy": policy,
        }))?,
        Format::Text => print!("{policy}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the policy that the author of a component suggests.
fn policy(found: &Examined) -> Result<String> {
    let name = &found.description.name;
    let mut policy = format!(
        "# What {name} may do on this node: {}\n\
         # Suggested by its author; nothing is granted until you put it there. Read it, fill in the blanks.\n\
         format = 1\n",
        store::policy_path(name).display()
    );
    for request in &found.requests {
        let text = filled_in(request.suggest.trim())
            .with_context(|| format!("what the author suggests for {} {}", request.kind, request.name))?;
        let why = request.why.replace('\n', "\n# ");
        writeln!(policy, "\n# {why}\n[{}.{}]\n{text}", request.kind, request.name)?;
    }
    Ok(policy)
}

/// Where the author lists programs or directories, the first that exists here takes the place of the list. What a plugin
/// may change is the operator's to say: the author's wish stands beside a blank.
fn filled_in(text: &str) -> Result<String> {
    let table = DeTable::parse(text)?;
    let mut edits = Vec::new();
    for key in ["program", "directory"] {
        let Some(value) = table.get_ref().get(key) else { continue };
        let DeValue::Array(candidates) = value.get_ref() else { continue };
        let paths: Vec<&str> = candidates.iter().filter_map(|c| c.get_ref().as_str()).collect();
        let chosen = paths.iter().find(|path| Path::new(path).exists()).or(paths.first()).copied().unwrap_or("");
        edits.push((value.span(), format!("{chosen:?}")));
    }
    if let Some(access) = table.get_ref().get("access").filter(|value| value.get_ref().as_str() == Some("write")) {
        edits.push((access.span(), "\"\"  # the author asks for \"write\"".to_owned()));
    }
    edits.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
    let mut text = text.to_owned();
    for (span, words) in edits {
        text.replace_range(span, &words);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_exists_is_chosen_and_write_access_is_left_blank() {
        let wish = "directory = [\"/not/here\", \"/etc\"]\naccess = \"write\"\nowner = \"root\"";
        let suggested = filled_in(wish).unwrap();
        assert_eq!(suggested, "directory = \"/etc\"\naccess = \"\"  # the author asks for \"write\"\nowner = \"root\"");
        let path = Path::new("/p");
        let policy = |keys: &str| crate::policy::Policy::parse(&format!("format = 1\n[path.x]\n{keys}\n"), path);
        let told = policy(&suggested.replace("/etc", "/srv")).unwrap_err();
        assert!(told.message.contains("fill in the access"), "{told}");
        assert_eq!(filled_in("access = \"read\"").unwrap(), "access = \"read\"");
    }
}
