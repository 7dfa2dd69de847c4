//! What the cluster says of itself: `crm_mon` read as data.

use anyhow::Context as _;
use roxmltree::{Document, Node};
use std::collections::BTreeSet;
use std::fmt;

/// What one node sees of the whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Who decides; none during an election.
    pub dc: Option<String>,
    /// Whether the part of the cluster that was asked may act.
    pub has_quorum: bool,
    /// Nodes that take part.
    pub online: BTreeSet<String>,
    /// Nodes of which nobody knows whether they still hold something.
    pub unclean: BTreeSet<String>,
    /// All resources, members and instances of clones each by itself.
    pub resources: Vec<Resource>,
    /// Actions that failed and were not cleaned up.
    pub failures: Vec<Failure>,
}

/// One resource, or one instance of a clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its name; instances of anonymous clones share one.
    pub id: String,
    /// `Started`, `Stopped`, `Promoted`, `Unpromoted`, or what is being done to it.
    pub role: String,
    /// Where it is.
    pub nodes: Vec<String>,
    /// Whether it is not configured any more.
    pub is_orphaned: bool,
    /// Whether the cluster acts on it.
    pub is_managed: bool,
    /// Whether an action of it failed that counts still.
    pub is_failed: bool,
    /// Whether the cluster has given it up.
    pub is_blocked: bool,
}

/// An action that did not end as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Resource, action and interval in milliseconds, as `web_monitor_2000`.
    pub action: String,
    /// Where.
    pub node: String,
    /// How the agent ended.
    pub code: i32,
    /// Why, in the agent's words or the executor's.
    pub reason: String,
    /// `complete`, `Timed Out`, or what else became of it.
    pub status: String,
}

impl Status {
    /// Reads what `crm_mon --output-as=xml` printed.
    pub(super) fn parse(xml: &str) -> anyhow::Result<Self> {
        let document = Document::parse(xml).context("crm_mon")?;
        let mut status = Self::default();
        for element in document.descendants().filter(Node::is_element) {
            let is = |name| element.attribute(name) == Some("true");
            match element.tag_name().name() {
                "current_dc" if is("present") => {
                    status.dc = element.attribute("name").map(str::to_owned);
                    status.has_quorum = is("with_quorum");
                }
                // Not those of a resource, which say less.
                "node" if element.attribute("online").is_some() => {
                    let name = text(element, "name");
                    if is("unclean") {
                        status.unclean.insert(name.clone());
                    }
                    if is("online") && !is("pending") {
                        status.online.insert(name);
                    }
                }
                "resource" => status.resources.push(Resource {
                    id: text(element, "id"),
                    role: text(element, "role"),
                    nodes: element.children().filter(Node::is_element).map(|node| text(node, "name")).collect(),
                    is_orphaned: is("orphaned"),
                    is_managed: is("managed"),
                    is_failed: is("failed"),
                    is_blocked: is("blocked"),
                }),
                "failure" => status.failures.push(Failure {
                    action: element.attribute("op_key").map_or_else(|| text(element, "id"), str::to_owned),
                    node: text(element, "node"),
                    code: text(element, "exitcode").parse().unwrap_or(-1),
                    reason: text(element, "exitreason"),
                    status: text(element, "status"),
                }),
                _ => {}
            }
        }
        Ok(status)
    }

    /// All instances of a resource, by its name without an instance's number.
    pub fn of(&self, id: &str) -> impl Iterator<Item = &Resource> {
        self.resources.iter().filter(move |resource| resource.id.split(':').next() == Some(id))
    }

    /// Where a resource is in a role.
    pub fn nodes_in(&self, id: &str, role: &str) -> BTreeSet<&str> {
        self.of(id).filter(|found| found.role == role).flat_map(|found| &found.nodes).map(String::as_str).collect()
    }

    /// Whether a resource is started on this node, there alone and without a failure.
    pub fn is_started_on(&self, id: &str, node: &str) -> bool {
        let found: Vec<&Resource> = self.of(id).collect();
        matches!(found[..], [one] if one.role == "Started" && one.nodes == [node] && !one.is_failed)
    }

    /// Whether a resource is configured and nowhere.
    pub fn is_stopped(&self, id: &str) -> bool {
        let mut found = self.of(id).peekable();
        found.peek().is_some() && found.all(|one| one.role == "Stopped")
    }

    /// Failures of the actions of a resource.
    pub fn failures_of(&self, id: &str) -> Vec<&Failure> {
        let is_of = |failure: &&Failure| {
            failure.action.rsplitn(3, '_').nth(2).and_then(|name| name.split(':').next()) == Some(id)
        };
        self.failures.iter().filter(is_of).collect()
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |names: &BTreeSet<String>| names.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        let dc = self.dc.as_deref().unwrap_or("nobody");
        let quorum = if self.has_quorum { "with" } else { "without" };
        writeln!(f, "{dc} decides, {quorum} quorum; online: {}; unclean: {}", list(&self.online), list(&self.unclean))?;
        for one in &self.resources {
            write!(f, "  {}: {} {}", one.id, one.role, one.nodes.join(" "))?;
            for (is, word) in [
                (one.is_orphaned, "orphaned"),
                (!one.is_managed, "unmanaged"),
                (one.is_failed, "failed"),
                (one.is_blocked, "blocked"),
            ] {
                if is {
                    write!(f, ", {word}")?;
                }
            }
            writeln!(f)?;
        }
        for failure in &self.failures {
            let Failure { action, node, code, reason, status } = failure;
            writeln!(f, "  {action} on {node}: {code}, {status}: {reason}")?;
        }
        Ok(())
    }
}

fn text(element: Node<'_, '_>, name: &str) -> String {
    element.attribute(name).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const XML: &str = r#"<?xml version="1.0"?>
<pacemaker-result api-version="2.25" request="crm_mon -1 --output-as=xml">
  <summary>
    <stack type="corosync" pacemakerd-state="running"/>
    <current_dc present="true" version="2.1.5-a3f44794f94" name="node1" id="1" with_quorum="true"/>
  </summary>
  <nodes>
    <node name="node1" id="1" online="true" standby="false" pending="false" unclean="false" type="member"/>
    <node name="node2" id="2" online="true" standby="false" pending="true" unclean="false" type="member"/>
    <node name="node3" id="3" online="false" standby="false" pending="false" unclean="true" type="member"/>
  </nodes>
  <resources>
    <clone id="c" multi_state="false" unique="true" managed="true" failed="false" failure_ignored="false">
      <resource id="d:0" resource_agent="ocf:ocf-wasm:dummy" role="Started" active="true" orphaned="false" blocked="false" managed="true" failed="false" failure_ignored="false" nodes_running_on="1">
        <node name="node1" id="1" cached="true"/>
      </resource>
      <resource id="d:1" resource_agent="ocf:ocf-wasm:dummy" role="Stopped" active="false" orphaned="false" blocked="false" managed="true" failed="false" failure_ignored="false" nodes_running_on="0"/>
    </clone>
    <resource id="web" resource_agent="ocf:ocf-wasm:sample-tcp-server" role="Started" active="true" orphaned="false" blocked="true" managed="false" failed="true" failure_ignored="false" nodes_running_on="1">
      <node name="node1" id="1" cached="true"/>
    </resource>
  </resources>
  <failures>
    <failure op_key="web_monitor_2000" node="node1" exitstatus="not running" exitreason="daemon &quot;ended&quot;" exitcode="7" call="12" status="complete"/>
    <failure op_key="d:1_start_0" node="node1" exitstatus="error" exitreason="" exitcode="1" call="12" status="Timed Out"/>
  </failures>
  <status code="0" message="OK"/>
</pacemaker-result>"#;

    #[test]
    fn what_crm_mon_prints_is_understood() {
        let status = Status::parse(XML).unwrap();
        assert_eq!(status.dc.as_deref(), Some("node1"));
        assert!(status.has_quorum);
        assert_eq!(status.online, BTreeSet::from(["node1".to_owned()]), "who is pending is not there yet");
        assert_eq!(status.unclean, BTreeSet::from(["node3".to_owned()]));
        assert_eq!(status.of("d").count(), 2);
        assert_eq!(status.nodes_in("d", "Started"), BTreeSet::from(["node1"]));
        assert!(!status.is_stopped("d") && !status.is_stopped("absent"));
        assert!(!status.is_started_on("web", "node1"), "it failed");
        let web: Vec<&Resource> = status.of("web").collect();
        assert!(web[0].is_blocked && web[0].is_failed && !web[0].is_managed && !web[0].is_orphaned);
        assert_eq!(status.failures_of("web")[0].reason, "daemon \"ended\"");
        assert_eq!(status.failures_of("d")[0].code, 1);
        assert_eq!(
            status.to_string(),
            "node1 decides, with quorum; online: node1; unclean: node3\n  d:0: Started node1\n  d:1: Stopped \n  \
             web: Started node1, unmanaged, failed, blocked\n  web_monitor_2000 on node1: 7, complete: daemon \"ended\"\n  \
             d:1_start_0 on node1: 1, Timed Out: \n"
        );
    }

    #[test]
    fn what_is_no_xml_is_refused() {
        assert!(Status::parse("crm_mon: Error: cluster is not available on this node").is_err());
    }
}
