//! `environment`: the variables of a program or a unit, and those that no policy sets.

use super::mistake::Mistake;
use super::reader::{Read, Value};
use super::template::{self, Template};

/// Variables that make the loader or an interpreter run other code.
fn is_loader_variable(name: &str) -> bool {
    name.starts_with("LD_")
        || matches!(
            name,
            "GCONV_PATH" | "LOCPATH" | "NLSPATH" | "BASH_ENV" | "ENV" | "IFS" | "SHELLOPTS" | "BASHOPTS" | "PS4"
        )
        || matches!(
            name,
            "PYTHONPATH" | "PYTHONHOME" | "PYTHONSTARTUP" | "PERL5LIB" | "PERL5OPT" | "RUBYLIB" | "RUBYOPT"
        )
        || matches!(name, "NODE_OPTIONS" | "NODE_PATH" | "GLIBC_TUNABLES" | "MALLOC_TRACE" | "HOSTALIASES" | "TMPDIR")
}

/// Reads an environment.
pub(super) fn environment(value: &Value<'_, '_>) -> Read<Vec<(String, Template)>> {
    value.entries(|name, span, value| {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(plain) || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(value.wrong_at(span, &Mistake::VariableName));
        }
        if is_loader_variable(name) {
            return Err(value.wrong_at(span, &Mistake::LoaderVariable(name.to_owned())));
        }
        Ok((name.to_owned(), template::variable(value)?))
    })
}
