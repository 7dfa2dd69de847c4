//! The files by which a unit is told that the cluster has it: a drop-in that is the same for each of its starts, and its
//! environment, which may hold secrets and is read by systemd at each start.
//!
//! What must never enter here: a value in the drop-in, which everybody can read.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::sealed;

/// Where units are changed until the next boot.
const RUNTIME: &str = "/run/systemd/system";
/// The drop-in, behind most others: what is read last holds.
const NAME: &str = "90-ocf-wasm.conf";

/// The line of the drop-in by which the unit finds its variables; the path follows.
const SETTING: &str = "EnvironmentFile=-";
/// How the file of the variables begins, a comment for systemd; the unit's name follows.
const MARK: &str = "# variables of ";

/// The unit whose variables are in a file.
pub(super) fn unit_of(environment: &Path) -> Option<String> {
    let text = std::fs::read_to_string(environment).ok()?;
    text.lines().next()?.strip_prefix(MARK).map(str::to_owned)
}

/// The instance that has a unit, if another has it than the one whose variables are in `environment`: its file is there
/// from its start to its verified stop.
pub fn had_by_another(unit: &str, environment: &Path) -> Option<String> {
    let text = std::fs::read_to_string(place(unit)).ok()?;
    let told = text.lines().find_map(|line| line.strip_prefix(SETTING))?.replace("%%", "%");
    let theirs = Path::new(&told);
    let is_held = theirs != environment && theirs.exists();
    let name = theirs.parent().filter(|_| is_held)?.file_name()?.to_str()?;
    Some(crate::instance::unescape(name))
}

/// Writes both. Whether the drop-in is another than it was, so that unit files must be read anew.
///
/// # Errors
/// What the kernel says.
pub(super) fn write(unit: &str, environment: &Path, variables: &[(String, String)]) -> io::Result<bool> {
    sealed::replace(environment, text(unit, variables).as_bytes(), 0o600)?;
    let (path, wanted) = (place(unit), drop_in(environment));
    if std::fs::read(&path).is_ok_and(|found| found == wanted.as_bytes()) {
        return Ok(false);
    }
    if let Some(above) = path.parent()
        && !above.is_dir()
    {
        std::fs::create_dir_all(above)?;
        // `systemctl cat` shows it to everybody.
        std::fs::set_permissions(above, std::fs::Permissions::from_mode(0o755))?;
    }
    sealed::replace(&path, wanted.as_bytes(), 0o644)?;
    Ok(true)
}

fn place(unit: &str) -> PathBuf {
    Path::new(RUNTIME).join(format!("{unit}.d")).join(NAME)
}

/// As Pacemaker writes it for units of its own: at a shutdown the cluster ends what it has before systemd does, and what
/// ends by itself is the cluster's to start again.
fn drop_in(environment: &Path) -> String {
    // In settings `%` begins what systemd fills in.
    let environment = environment.display().to_string().replace('%', "%%");
    format!(
        "# This unit is a cluster's: Pacemaker starts and stops it through ocf-wasm. Until the next boot.\n\
         [Unit]\nBefore=pacemaker.service pacemaker_remote.service\n\
         [Service]\nRestart=no\nRestartForceExitStatus=\n{SETTING}{environment}\n"
    )
}

/// As systemd.exec(5) reads it: in double quotes a backslash takes the meaning of four characters.
fn text(unit: &str, variables: &[(String, String)]) -> String {
    let mut text = format!("{MARK}{unit}\n");
    for (name, value) in variables {
        text.push_str(name);
        text.push_str("=\"");
        for character in value.chars() {
            if matches!(character, '"' | '\\' | '`' | '$') {
                text.push('\\');
            }
            text.push(character);
        }
        text.push_str("\"\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_meaning_loses_it() {
        let variables = [("A".to_owned(), "say \"$x\" `id` \\ # ; ü".to_owned()), ("B".to_owned(), String::new())];
        assert_eq!(
            text("x.service", &variables),
            "# variables of x.service\nA=\"say \\\"\\$x\\\" \\`id\\` \\\\ # ; ü\"\nB=\"\"\n"
        );
        let told = drop_in(Path::new("/run/ocf-wasm/p/t/a%3a0/x.environment"));
        assert!(told.ends_with("EnvironmentFile=-/run/ocf-wasm/p/t/a%%3a0/x.environment\n"), "{told}");
    }
}
