//! What a test configures, as the XML of a CIB.

/// A resource of one agent.
#[derive(Debug, Clone)]
#[must_use]
pub struct Primitive {
    id: String,
    /// Class, provider (if the class has such) and type, separated by colons.
    agent: String,
    parameters: Vec<(String, String)>,
    /// Node, name, value.
    parameters_there: Vec<[String; 3]>,
    meta: Vec<(String, String)>,
    operations: Vec<Operation>,
}

/// What Pacemaker is to do with a resource, with the attributes of the `op` element.
#[derive(Debug, Clone)]
struct Operation {
    attributes: Vec<(String, String)>,
    parameters: Vec<(String, String)>,
}

impl Primitive {
    /// A resource of the agent `CLASS:PROVIDER:TYPE`.
    pub fn new(id: &str, agent: &str) -> Self {
        let (parameters, parameters_there) = (Vec::new(), Vec::new());
        let (id, agent) = (id.to_owned(), agent.to_owned());
        Self { id, agent, parameters, parameters_there, meta: Vec::new(), operations: Vec::new() }
    }

    /// A resource of one of the plugins.
    pub fn ours(id: &str, plugin: &str) -> Self {
        Self::new(id, &format!("ocf:ocf-wasm:{plugin}"))
    }

    /// Gives a parameter.
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.parameters.push((name.to_owned(), value.to_string()));
        self
    }

    /// Gives a parameter that the resource has on one node only.
    pub fn with_there(mut self, node: &str, name: &str, value: impl ToString) -> Self {
        self.parameters_there.push([node.to_owned(), name.to_owned(), value.to_string()]);
        self
    }

    /// Gives a meta attribute.
    pub fn meta(mut self, name: &str, value: impl ToString) -> Self {
        self.meta.push((name.to_owned(), value.to_string()));
        self
    }

    /// Has it monitored.
    pub fn monitored(self, interval: &str) -> Self {
        self.operation("monitor", &[("interval", interval), ("timeout", "20s")])
    }

    /// Says how an action is to be performed.
    pub fn operation(mut self, name: &str, attributes: &[(&str, &str)]) -> Self {
        let mut all = vec![("name".to_owned(), name.to_owned())];
        if !attributes.iter().any(|(name, _)| *name == "interval") {
            all.push(("interval".to_owned(), "0s".to_owned()));
        }
        all.extend(attributes.iter().map(|(name, value)| (name.to_string(), value.to_string())));
        self.operations.push(Operation { attributes: all, parameters: Vec::new() });
        self
    }

    /// Gives the last operation a parameter, such as `OCF_CHECK_LEVEL`.
    pub fn operation_parameter(mut self, name: &str, value: &str) -> Self {
        if let Some(operation) = self.operations.last_mut() {
            operation.parameters.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// The element.
    pub fn xml(&self) -> String {
        let id = escape(&self.id);
        let mut parts = self.agent.split(':');
        let (class, r#type) = (parts.next().unwrap_or_default(), parts.next_back().unwrap_or_default());
        let provider = parts.next().map(|provider| format!(" provider=\"{provider}\"")).unwrap_or_default();
        let mut text = format!("<primitive id=\"{id}\" class=\"{class}\"{provider} type=\"{type}\">");
        text.push_str(&pairs("meta_attributes", &format!("{id}-m"), &self.meta));
        text.push_str(&pairs("instance_attributes", &format!("{id}-a"), &self.parameters));
        for (number, [node, name, value]) in self.parameters_there.iter().enumerate() {
            let (own, node) = (format!("{id}-t{number}"), escape(node));
            text.push_str(&format!(
                "<instance_attributes id=\"{own}\"><rule id=\"{own}-r\" score=\"INFINITY\"><expression id=\"{own}-e\" \
                 attribute=\"#uname\" operation=\"eq\" value=\"{node}\"/></rule><nvpair id=\"{own}-n\" name=\"{}\" \
                 value=\"{}\"/></instance_attributes>",
                escape(name),
                escape(value)
            ));
        }
        text.push_str("<operations>");
        for (number, operation) in self.operations.iter().enumerate() {
            let own = format!("{id}-op{number}");
            text.push_str(&format!("<op id=\"{own}\""));
            for (name, value) in &operation.attributes {
                text.push_str(&format!(" {name}=\"{}\"", escape(value)));
            }
            text.push_str(&format!(
                ">{}</op>",
                pairs("instance_attributes", &format!("{own}-a"), &operation.parameters)
            ));
        }
        text + "</operations></primitive>"
    }
}

/// Several that run in one place, in this order.
pub fn group(id: &str, members: &[Primitive]) -> String {
    let members: String = members.iter().map(Primitive::xml).collect();
    format!("<group id=\"{}\">{members}</group>", escape(id))
}

/// One that runs in several places; the meta attributes say how.
pub fn clone(id: &str, meta: &[(&str, &str)], of: &Primitive) -> String {
    let id = escape(id);
    let meta: Vec<(String, String)> = meta.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    format!("<clone id=\"{id}\">{}{}</clone>", pairs("meta_attributes", &format!("{id}-m"), &meta), of.xml())
}

/// How much a resource wants to be on a node: a number, `INFINITY` or `-INFINITY`.
pub fn location(resource: &str, node: &str, score: &str) -> String {
    format!("<rsc_location id=\"location-{resource}-{node}\" rsc=\"{resource}\" node=\"{node}\" score=\"{score}\"/>")
}

fn pairs(element: &str, id: &str, pairs: &[(String, String)]) -> String {
    if pairs.is_empty() {
        return String::new();
    }
    let inner = pairs.iter().enumerate().map(|(number, (name, value))| {
        format!("<nvpair id=\"{id}-{number}\" name=\"{}\" value=\"{}\"/>", escape(name), escape(value))
    });
    format!("<{element} id=\"{id}\">{}</{element}>", inner.collect::<String>())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_primitive_is_what_the_cib_wants() {
        let web = Primitive::ours("web", "dummy").with("state", "a<b>&\"c\"").meta("target-role", "Stopped");
        let web = web.monitored("2s").operation_parameter("OCF_CHECK_LEVEL", "10");
        assert_eq!(
            web.xml(),
            "<primitive id=\"web\" class=\"ocf\" provider=\"ocf-wasm\" type=\"dummy\"><meta_attributes id=\"web-m\">\
             <nvpair id=\"web-m-0\" name=\"target-role\" value=\"Stopped\"/></meta_attributes><instance_attributes \
             id=\"web-a\"><nvpair id=\"web-a-0\" name=\"state\" value=\"a&lt;b&gt;&amp;&quot;c&quot;\"/>\
             </instance_attributes><operations><op id=\"web-op0\" name=\"monitor\" interval=\"2s\" timeout=\"20s\">\
             <instance_attributes id=\"web-op0-a\"><nvpair id=\"web-op0-a-0\" name=\"OCF_CHECK_LEVEL\" value=\"10\"/>\
             </instance_attributes></op></operations></primitive>"
        );
        assert!(Primitive::new("p", "stonith:fence_namespace").xml().contains("class=\"stonith\" type=\"fence_"));
    }
}
