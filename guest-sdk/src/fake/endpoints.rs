//! Who answers, and what: endpoints and web servers that are not there.

use super::Node;
use crate::endpoint::{HttpResponse, Reach, Reply};

impl Node {
    /// Lets an endpoint answer with this text, to everybody, and hang up.
    #[must_use]
    pub fn endpoint(mut self, label: &str, text: &str) -> Self {
        self.endpoints.insert(label.into(), Reply { reach: Reach::Open, received: text.into() });
        self
    }

    /// Lets an endpoint not answer. Those that were never mentioned refuse.
    #[must_use]
    pub fn endpoint_reach(mut self, label: &str, reach: Reach) -> Self {
        self.endpoints.insert(label.into(), Reply { reach, received: Vec::new() });
        self
    }

    /// Lets a web address answer each request with this status and body.
    #[must_use]
    pub fn http(mut self, label: &str, status: u16, body: &str) -> Self {
        let page = self.page(label);
        (page.status, page.body) = (status, body.into());
        self
    }

    /// Adds a header to what a web address answers, with status 200 if nothing else was said.
    #[must_use]
    pub fn http_header(mut self, label: &str, name: &str, value: &str) -> Self {
        self.page(label).headers.push((name.to_ascii_lowercase(), value.into()));
        self
    }

    fn page(&mut self, label: &str) -> &mut HttpResponse {
        self.endpoints.entry(label.into()).or_insert(Reply { reach: Reach::Open, received: Vec::new() });
        let new = HttpResponse { reach: Reach::Open, status: 200, headers: vec![], body: vec![], truncated: false };
        self.pages.entry(label.into()).or_insert(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::{Endpoint, HttpRequest};
    use crate::instance::ActionName;

    const WEB: Endpoint = Endpoint::declared("web");

    #[test]
    fn answers_as_the_host_does() {
        Node::new().http("web", 200, "page").action(ActionName::Monitor).install();
        assert_eq!(WEB.get("/").unwrap().text(), "page");
        assert_eq!(WEB.head("").unwrap().text(), "");
        assert_eq!(WEB.connect(), Ok(Reach::Open));
        assert!(WEB.get("x").is_err());
        let post = HttpRequest { method: "POST".into(), target: String::new(), headers: vec![], body: vec![] };
        assert!(WEB.http(&[], &post).unwrap_err().to_string().contains("change nothing"));
        Node::new().endpoint("web", "SSH-2.0").install();
        assert_eq!(WEB.get("/").unwrap().reach, Reach::Silent);
    }
}
