//! Who reads metadata: five schemas that judge a document, and four programs that show one or refuse it.

use std::fs;
use std::path::Path;
use std::process::Command;

use ocf_wasm_tests::executor::AGENTS;
use ocf_wasm_tests::host::{Ran, finish, skip};
use ocf_wasm_tests::node::Node;

/// The schemas, each with the file that must be there and Debian's package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Schema {
    /// `ra-api-1.dtd` of resource-agents, asked as `ocf-tester` asks it.
    Dtd,
    /// `metadata.rng` of resource-agents, which its own agents must follow.
    ResourceAgents,
    /// `ocf-1.0.rng` of pcs.
    Pcs10,
    /// `ocf-1.1.rng` of pcs.
    Pcs11,
    /// Ours, of OCF 1.1; and Pacemaker's where it is installed.
    Ocf11,
}

pub(crate) const SCHEMAS: [Schema; 5] =
    [Schema::Dtd, Schema::ResourceAgents, Schema::Pcs10, Schema::Pcs11, Schema::Ocf11];

/// Where resource-agents keeps its schemas.
const RESOURCE_AGENTS: &str = "/usr/share/resource-agents";
/// Of Pacemaker 2.1.8 and later.
const PACEMAKERS_OWN: &str = "/usr/share/pacemaker/api/ocf-ra-1.1.rng";

impl Schema {
    fn file(self) -> String {
        match self {
            Self::Dtd => format!("{RESOURCE_AGENTS}/ra-api-1.dtd"),
            Self::ResourceAgents => format!("{RESOURCE_AGENTS}/metadata.rng"),
            Self::Pcs10 => "/usr/share/pcs/data/ocf-1.0.rng".to_owned(),
            Self::Pcs11 => "/usr/share/pcs/data/ocf-1.1.rng".to_owned(),
            Self::Ocf11 => format!("{}/golden/metadata/ocf-1.1.rng", env!("CARGO_MANIFEST_DIR")),
        }
    }

    /// Why the document is refused; none if it is not. A refusal names what it is about.
    pub(crate) fn judge(self, xml: &str) -> Option<String> {
        match self {
            // The DTD lies beside where the document is: its name in the document is relative.
            Self::Dtd => lint(&["--valid"], xml),
            Self::ResourceAgents | Self::Pcs10 | Self::Pcs11 => lint(&["--relaxng", &self.file()], xml),
            Self::Ocf11 => lint(&["--relaxng", &self.file()], xml).or_else(|| {
                let is_there = Path::new(PACEMAKERS_OWN).exists();
                is_there.then(|| lint(&["--relaxng", PACEMAKERS_OWN], xml)).flatten()
            }),
        }
    }
}

fn lint(how: &[&str], xml: &str) -> Option<String> {
    let document = tempfile::NamedTempFile::new().unwrap();
    fs::write(document.path(), xml).unwrap();
    let mut command = Command::new("xmllint");
    command.args(["--noout", "--nonet"]).args(how).arg("-").current_dir(RESOURCE_AGENTS);
    command.stdin(fs::File::open(document.path()).unwrap());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // 1: no XML, 3 and 4: not valid. Others mean that nothing was judged.
    match output.status.code() {
        Some(0) => None,
        Some(1 | 3 | 4) => Some(said),
        _ => panic!("{command:?}: {output:?}"),
    }
}

/// crmsh does nothing where it cannot write its log.
const CRM: &str = "mkdir -p /var/log/crmsh && HOME=/run exec crm --display=plain ra info \"$0\"";

/// The programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// Pacemaker's own, which hands on what it read.
    CrmResource,
    /// `crm ra info` of crmsh.
    Crm,
    /// `pcs resource describe`.
    Pcs,
    /// `xmllint`, for which any XML will do.
    Xmllint,
}

pub(crate) const PROGRAMS: [Program; 4] = [Program::CrmResource, Program::Crm, Program::Pcs, Program::Xmllint];

impl Program {
    fn call(self, agent: &str) -> Vec<String> {
        let (provider, kind) = agent.split_once('/').unwrap();
        let name = format!("ocf:{provider}:{kind}");
        let words: &[&str] = match self {
            Self::CrmResource => &["crm_resource", "--show-metadata", &name],
            Self::Crm => &["sh", "-c", CRM, &name],
            Self::Pcs => &["env", "HOME=/run", "pcs", "resource", "describe", "--full", &name],
            Self::Xmllint => &["sh", "-c", "\"$0\" meta-data | xmllint --noout -", &format!("{AGENTS}/{agent}")],
        };
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    /// Has it read an agent of a node.
    pub(crate) fn read(self, node: &Node, agent: &str) -> Ran {
        let words = self.call(agent);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        finish(&mut node.executor.command(&words))
    }

    /// What it shows; or why it does not, or what it minds.
    pub(crate) fn shows(self, node: &Node, agent: &str) -> Result<String, String> {
        let ran = self.read(node, agent);
        let is_content = ran.code == 0 && ran.stderr.is_empty();
        if is_content { Ok(ran.stdout) } else { Err(format!("{}: {}\n{}", ran.code, ran.stderr, ran.stdout)) }
    }
}

/// Whether all of them are here; says aloud what is missing.
pub(crate) fn are_here() -> bool {
    let tools = ["/usr/bin/xmllint", "/usr/sbin/crm_resource", "/usr/sbin/crm", "/usr/sbin/pcs"].map(str::to_owned);
    let missing: Vec<String> =
        tools.into_iter().chain(SCHEMAS.map(Schema::file)).filter(|file| !Path::new(file).exists()).collect();
    missing.is_empty()
        || skip(&format!(
            "{} missing (Debian: libxml2-utils, resource-agents, pacemaker-cli-utils, crmsh, pcs)",
            missing.join(", ")
        ))
}
