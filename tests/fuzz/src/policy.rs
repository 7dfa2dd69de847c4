//! Text to [`Policy`]: the operator's words, which anybody may have mistyped.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use ocf_wasm::ocf::Parameters;
use ocf_wasm::ocf::outcome::{Exit, Outcome, REASON_BYTES};
use ocf_wasm::ocf::request::Guest;
use ocf_wasm::policy::template::{Template, Values};
use ocf_wasm::policy::{Access, Diagnostic, Host, Lifetime, Place, Policy, Program, Url, lint};

use crate::plain::assert_one_line;

/// Values that must never reach a program as they are.
const HOSTILE: [&str; 4] = ["-rf", "a\u{1b}[2Jb", "a\nb", "a\0b"];
/// Words of the text that are taken for names of parameters and slots.
const WORDS: usize = 64;

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let path = Path::new("/etc/ocf-wasm/policy/acme/thing.toml");
    match Policy::parse(text, path) {
        Ok(policy) => {
            assert_read_again(&policy, text, path);
            assert_eq!(
                Policy::parse_all(text, path),
                Ok(policy.clone()),
                "read otherwise when all mistakes are wanted"
            );
            assert_within_limits(&policy);
            assert_filled(&policy, text);
            lint::warnings(&policy, &lint::Links::new(), text, path)
                .iter()
                .for_each(|warning| assert_told(&warning.told, text));
        }
        Err(diagnostic) => {
            assert_told(&diagnostic, text);
            let reason = Outcome::because(Exit::Permission, &diagnostic.line()).reason;
            assert_one_line(&reason, REASON_BYTES);
            assert!(reason.starts_with("policy thing.toml:"), "{reason}");
            let all = Policy::parse_all(text, path).expect_err("taken when all mistakes are wanted");
            all.iter().for_each(|told| assert_told(told, text));
            assert!(all.contains(&diagnostic), "{diagnostic} is not among {all:?}");
            assert!(all.is_sorted_by_key(|told| (told.line, told.column)), "{all:?}");
        }
    }
}

fn assert_told(diagnostic: &Diagnostic, text: &str) {
    let source = text.split('\n').nth(diagnostic.line - 1);
    assert_eq!(source, Some(diagnostic.source.as_str()), "line {}", diagnostic.line);
    let characters = diagnostic.source.chars().count();
    assert!((1..=characters + 1).contains(&diagnostic.column), "column {} of {characters}", diagnostic.column);
    assert!(diagnostic.width >= 1 && diagnostic.column - 1 + diagnostic.width <= characters.max(1) + 1);
    assert!(!diagnostic.message.is_empty());
    assert!(diagnostic.to_string().contains(&diagnostic.message));
}

fn assert_read_again(policy: &Policy, text: &str, path: &Path) {
    let again = Policy::parse(&format!("{text}\n# the end\n"), path);
    assert_eq!(again.as_ref(), Ok(policy), "a comment changes it");
    let labels = |kind: &str, known: &mut dyn Iterator<Item = &String>| -> Vec<String> {
        known.map(|label| format!("[{kind}.{label}]")).collect()
    };
    let mut twice = labels("program", &mut policy.programs.keys());
    twice.extend(labels("endpoint", &mut policy.endpoints.keys()));
    twice.extend(labels("path", &mut policy.paths.keys()));
    twice.extend(policy.memory_bytes.map(|_| "[limits]".to_owned()));
    twice.extend(policy.last_resort.as_ref().map(|_| "[stop]".to_owned()));
    twice.extend((!policy.digests.is_empty()).then(|| "[plugin]".to_owned()));
    // None of these is a table that anything knows, or a second value of the one key that everything has.
    twice.extend(["[programs]", "[grant]", "format = 1", "[program.Upper]", "[[program.x]]"].map(str::to_owned));
    for more in twice {
        assert!(Policy::parse(&format!("{text}\n{more}\n"), path).is_err(), "taken with {more} at its end");
    }
}

fn assert_within_limits(policy: &Policy) {
    assert!(policy.memory_bytes.is_none_or(|bytes| (1..=512 * 1024 * 1024).contains(&bytes)));
    let labels = policy.programs.keys().chain(policy.endpoints.keys()).chain(policy.paths.keys());
    for label in labels {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        assert!((1..=64).contains(&label.len()) && label.bytes().all(plain), "{label:?}");
    }
    for (label, program) in &policy.programs {
        assert!(policy.binds("program", label));
        assert_program(program);
    }
    for endpoint in policy.endpoints.values() {
        assert!(endpoint.timeout_ms > 0);
        assert_place(&endpoint.place);
    }
    for grant in policy.paths.values() {
        assert!(grant.directory.as_literal().is_none_or(|path| is_absolute(path) && path != "/"));
        assert!(grant.access == Access::Write || grant.owner.is_none(), "an owner of what nobody makes");
    }
    for digest in &policy.digests {
        let hex = digest.strip_prefix("sha256:").unwrap_or_default();
        assert!(hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')), "{digest}");
    }
    if let Some(plan) = &policy.last_resort {
        assert!(!plan.labels.is_empty() && !plan.gone_statuses.is_empty());
        for label in plan.labels.iter().chain([&plan.gone_label]) {
            let program = &policy.programs[label];
            assert!(program.lifetime == Lifetime::Action && program.program.is_literal(), "{label}");
            assert!(program.argv.iter().all(ocf_wasm::policy::template::Argument::is_literal), "{label}");
        }
    }
}

fn is_absolute(path: &str) -> bool {
    path.starts_with('/') && !path.split('/').any(|step| step == "..")
}

fn assert_place(place: &Place) {
    if let Some(at) = place.port() {
        let host = at.host.as_literal().is_none_or(|host| host.parse::<IpAddr>().is_ok());
        let port = at.port.as_literal().is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
        assert!(host && port);
    }
    match place {
        Place::Tcp(_) | Place::Udp(_) => {}
        Place::Unix { path, .. } => assert!(path.as_literal().is_none_or(is_absolute)),
        Place::Http(web) => {
            let url = web.url.as_literal().map(|url| Url::parse(url).unwrap_or_else(|why| panic!("{url} {why}")));
            if let Some(Host::Name(name)) = url.map(|url| url.host) {
                assert!(web.names.contains_key(&name), "{name}: whom is it?");
            }
            assert!(web.names.values().all(|addresses| !addresses.is_empty()));
            assert!(!web.methods.is_empty() && web.methods.iter().all(|m| m.bytes().all(|b| b.is_ascii_uppercase())));
            // Where a request goes and where it ends is not the plugin's to say.
            let not_theirs = ["host", "content-length", "transfer-encoding", "connection"];
            assert!(
                web.headers.iter().all(|name| !not_theirs.contains(&name.as_str()) && !name.contains(['\r', '\n']))
            );
        }
    }
}

fn assert_program(program: &Program) {
    let absolute = is_absolute;
    assert!(program.program.as_literal().is_none_or(absolute));
    assert!(program.interpreter.first().is_none_or(|path| absolute(path)));
    assert!(program.user.as_literal() != Some(""));
    assert!(program.timeout_ms != Some(0) && !program.stop.is_empty());
    let names: BTreeSet<&str> = program.environment.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.len(), program.environment.len(), "a variable twice");
    assert!(names.iter().all(|name| !name.starts_with("LD_") && !name.contains(['=', '\0']) && !name.is_empty()));
    let literals = program.environment.iter().filter_map(|(_, value)| value.as_literal());
    let words = literals.chain(program.interpreter.iter().map(String::as_str)).chain(program.user.as_literal());
    for word in words.chain(program.program.as_literal()) {
        assert!(!word.contains('\0'), "{word:?}");
    }
    match program.lifetime {
        Lifetime::Action => assert!(!program.forks && program.signals.is_empty()),
        Lifetime::Instance => assert!(!program.input && program.timeout_ms.is_none()),
    }
}

/// Gives each parameter, slot and fact a value that nobody should get through.
fn assert_filled(policy: &Policy, text: &str) {
    use ocf_wasm::policy::template::{Argument, fill_all};
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let words: BTreeSet<&str> = text.split(|c| !is_part(c)).filter(|word| !word.is_empty()).take(WORDS).collect();
    for value in HOSTILE {
        let parameters: Parameters = words.iter().map(|word| ((*word).to_owned(), value.to_owned())).collect();
        let slots: Vec<(String, String)> = words.iter().map(|word| ((*word).to_owned(), value.to_owned())).collect();
        let guest = Guest { physical_host: Some(value.to_owned()), attribute_target: Some(value.to_owned()) };
        let values = Values { parameters: &parameters, slots: &slots, node: value, guest: &guest, instance: value };
        let assert_one = |template: &Template| {
            if let (false, Ok(Some(filled))) = (template.is_literal(), template.fill(&values)) {
                assert!(value == "-rf" && filled != value && filled.ends_with(value), "{filled:?} for {value:?}");
            }
        };
        for program in policy.programs.values() {
            let (whole, environment) = (&program.program, program.environment.iter().map(|(_, value)| value));
            [whole, &program.user].into_iter().chain(environment).for_each(assert_one);
            for argument in &program.argv {
                match argument {
                    Argument::One(template) => assert_one(template),
                    Argument::Group(group) => group.iter().for_each(assert_one),
                }
            }
            // Nothing is split, and nothing is made of nothing.
            let most: usize =
                program.argv.iter().map(|a| if let Argument::Group(all) = a { all.len() } else { 1 }).sum();
            assert!(fill_all(&program.argv, &values).is_ok_and(|all| all.len() <= most) || !program.argv.is_empty());
        }
        for endpoint in policy.endpoints.values() {
            match &endpoint.place {
                Place::Tcp(at) | Place::Udp(at) => [&at.host, &at.port].into_iter().for_each(assert_one),
                Place::Unix { path, owner, peer } => [path].into_iter().chain(owner).chain(peer).for_each(assert_one),
                Place::Http(web) => assert_one(&web.url),
            }
        }
        for grant in policy.paths.values() {
            [&grant.directory].into_iter().chain(&grant.owner).for_each(assert_one);
        }
    }
}
