//! The files that a node has from the beginning: how corosync finds the others, and the first CIB.

use super::plan::{FENCE_TYPE, NETWORK, node_name};

/// `corosync.conf`. The token's timeout is 1 s: what is shorter finds a busy machine dead.
pub(super) fn corosync(nodes: usize) -> String {
    let mut text = String::from(
        "totem {\n    version: 2\n    cluster_name: rehearsal\n    transport: knet\n    crypto_cipher: none\n    \
         crypto_hash: none\n    token: 1000\n    token_coefficient: 0\n    ip_version: ipv4\n}\nnodelist {\n",
    );
    for number in 1..=nodes {
        text.push_str(&format!(
            "    node {{\n        ring0_addr: {NETWORK}.{number}\n        name: {}\n        nodeid: {number}\n    }}\n",
            node_name(number)
        ));
    }
    text.push_str("}\nquorum {\n    provider: corosync_votequorum\n");
    if nodes == 2 {
        text.push_str("    two_node: 1\n");
    }
    text.push_str(
        "}\nsystem {\n    move_to_root_cgroup: no\n    sched_rr: yes\n}\nlogging {\n    to_logfile: yes\n    logfile: \
         /var/log/corosync.log\n    to_syslog: no\n    to_stderr: no\n    timestamp: hires\n}\n",
    );
    text
}

/// `/etc/hosts`.
pub(super) fn hosts(nodes: usize) -> String {
    let others = (1..=nodes).map(|number| format!("{NETWORK}.{number} {}\n", node_name(number)));
    std::iter::once("127.0.0.1 localhost\n".to_owned()).chain(others).collect()
}

/// The CIB before anything is configured but fencing.
///
/// `dc-deadtime` is the one setting that decides how long a start takes: 20 s if nothing is said.
pub(super) fn cib(nodes: usize) -> String {
    format!(
        "<cib crm_feature_set=\"3.16.1\" validate-with=\"pacemaker-3.9\" epoch=\"1\" num_updates=\"0\" admin_epoch=\"0\">\
         <configuration><crm_config><cluster_property_set id=\"cib-bootstrap-options\">\
         <nvpair id=\"o-dc-deadtime\" name=\"dc-deadtime\" value=\"1s\"/>\
         <nvpair id=\"o-stonith\" name=\"stonith-enabled\" value=\"true\"/>\
         <nvpair id=\"o-delay\" name=\"transition-delay\" value=\"0s\"/>\
         </cluster_property_set></crm_config><nodes/><resources>{}</resources><constraints/>\
         <rsc_defaults><meta_attributes id=\"rsc-options\">\
         <nvpair id=\"r-stickiness\" name=\"resource-stickiness\" value=\"100\"/></meta_attributes></rsc_defaults>\
         </configuration><status/></cib>",
        power(nodes)
    )
}

/// The fence device: one for all nodes, as a switched outlet would be.
pub(super) fn power(nodes: usize) -> String {
    let names: Vec<String> = (1..=nodes).map(node_name).collect();
    format!(
        "<primitive id=\"power\" class=\"stonith\" type=\"{FENCE_TYPE}\"><instance_attributes id=\"power-a\">\
         <nvpair id=\"power-hosts\" name=\"pcmk_host_list\" value=\"{}\"/></instance_attributes><operations>\
         <op id=\"power-monitor\" name=\"monitor\" interval=\"60s\" timeout=\"20s\"/></operations></primitive>",
        names.join(" ")
    )
}
