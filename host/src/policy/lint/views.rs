//! Dangers of what a program sees, beyond what each sees: the same directories that are dangerous for a plugin.

use std::path::Path;

use super::grants::told;
use super::pattern::{Pattern, Risk};
use super::places::{OF_THE_SYSTEM, SOCKET_ENDS, SOCKETS};
use super::{Found, Open, given, holds_logs, is_root, is_wide, named, open, place_of};
use crate::policy::Policy;
use crate::policy::template::Template;

/// Who acts where nothing comes from outside.
const PROGRAM: &str = "the program";

/// Finds one danger in the views of all programs.
pub(super) fn find(risk: &'static Risk, policy: &Policy) -> Vec<Found> {
    let mut all = Vec::new();
    for (label, program) in &policy.programs {
        let view = &program.grant.view;
        for (key, templates) in [("read", &view.read), ("write", &view.write)] {
            for (number, template) in templates.iter().enumerate() {
                let number = number.to_string();
                let steps = ["program", label, "view", key, &number];
                if matches!(risk.pattern, Pattern::WritesArgument) && key == "write" {
                    all.extend(of_argument(risk, policy, label, template, &steps));
                    continue;
                }
                let found = match open(template, &steps) {
                    Some(value) => of_value(risk, &value).then(|| (value.who(), path_of(template))),
                    None => of_path(risk, template, key == "write").map(|what| (PROGRAM.to_owned(), what)),
                };
                let Some((who, what)) = found else { continue };
                let user = match &risk.pattern {
                    // Others of root's read there what it wrote, or listen there.
                    Pattern::WritesSettings(_) | Pattern::SocketInView => "root".to_owned(),
                    _ => named(&program.user),
                };
                all.push(Found { risk, steps: steps.map(str::to_owned).to_vec(), who, what, user });
            }
        }
    }
    all
}

/// What other programs are given that run as somebody else: who is root, or the same, gains nothing by it.
fn of_argument(
    risk: &'static Risk,
    policy: &Policy,
    label: &str,
    template: &Template,
    steps: &[&str],
) -> Option<Found> {
    let writer = named(&policy.programs.get(label)?.user);
    let others = policy.programs.iter().filter(|(other, program)| {
        let user = named(&program.user);
        *other != label && user != writer && !is_root(&writer)
    });
    let (other, program, file) = others.into_iter().find_map(|(other, program)| {
        let file = template.paths().into_iter().find_map(|path| told(program, path))?;
        Some((other, program, file))
    })?;
    let what = format!("{file}, which the program of [program.{other}] is given");
    let steps = steps.iter().map(|step| (*step).to_owned()).collect();
    Some(Found { risk, steps, who: PROGRAM.to_owned(), what, user: named(&program.user) })
}

/// What somebody else chooses.
fn of_value(risk: &Risk, value: &Open<'_>) -> bool {
    let Some(place) = place_of(value.kind) else { return false };
    match &risk.pattern {
        Pattern::Wide => is_wide(&place.under),
        Pattern::Shared(shared) => place.owner.is_none() && shared.iter().any(|shared| place.under.starts_with(shared)),
        _ => false,
    }
}

fn path_of(template: &Template) -> String {
    template.paths().first().map(|path| path.display().to_string()).unwrap_or_default()
}

/// What the policy itself says: what of it is dangerous, if anything.
fn of_path(risk: &Risk, template: &Template, is_written: bool) -> Option<String> {
    let path = template.as_literal().map(Path::new)?;
    let is_below = |places: &[&str]| places.iter().any(|place| path.starts_with(place));
    let is_found = match &risk.pattern {
        // Of logs is told what is worse.
        Pattern::WideView => is_written && is_wide(path) && path != Path::new("/var/log"),
        Pattern::WideReading => {
            let is_told = given::holds_secrets(path);
            !is_written && is_wide(path) && !is_told && !OF_THE_SYSTEM.iter().any(|place| path == Path::new(place))
        }
        Pattern::Logs(logs) => is_written && holds_logs(path, logs),
        Pattern::SocketInView => return socket(path),
        // What a program can write in a home of its own is its own; to see all of them is something else.
        Pattern::Secrets => !is_written && given::holds_secrets(path),
        Pattern::WritesSettings(places) => is_written && is_below(places),
        _ => false,
    };
    is_found.then(|| path.display().to_string())
}

/// A socket of root's that a place is, or holds and shows. Of a wide place the more is told.
fn socket(path: &Path) -> Option<String> {
    let shown = path.display();
    let is_one = SOCKET_ENDS.iter().any(|end| shown.to_string().ends_with(end))
        || SOCKETS.iter().any(|socket| path == Path::new(socket));
    if is_one {
        return Some(shown.to_string());
    }
    let is_shown = |socket: &Path| socket.starts_with(path) && !given::stays_hidden(socket, path);
    let mut below = SOCKETS.iter().filter(|socket| is_shown(Path::new(socket)));
    below.next().filter(|_| !is_wide(path)).map(|socket| format!("{socket}, in {shown},"))
}
