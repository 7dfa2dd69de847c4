//! A web address, read strictly: one spelling for one meaning, so that what was compared is what is connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of the longest.
const URL_BYTES: usize = 2048;

/// A web address without secrets in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// How it is asked.
    pub scheme: Scheme,
    /// Who is meant.
    pub host: Host,
    /// The port; that of the scheme if none is written.
    pub port: u16,
    /// Path and query, beginning with `/`.
    pub target: String,
}

/// How an address is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// In TLS, of a server that shows a certificate.
    Https,
}

impl Scheme {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Http, Self::Https];

    /// Returns its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port of an address that names none.
    fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Who is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// An address.
    Address(IpAddr),
    /// A name, which nobody looks up.
    Name(String),
}

impl Url {
    /// Reads `http://HOST[:PORT][/PATH][?QUERY]`, or the same with `https`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let known = Scheme::ALL.into_iter().find_map(|scheme| {
            let rest = text.strip_prefix(scheme.word())?.strip_prefix("://")?;
            Some((scheme, rest))
        });
        let (scheme, rest) = known.ok_or("does not begin with http:// or https://")?;
        if text.len() > URL_BYTES {
            return Err("is longer than 2048 bytes");
        }
        if !text.is_ascii() {
            return Err("has letters beyond ASCII: write what they stand for");
        }
        let split = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(split);
        if authority.contains('@') {
            return Err("has a user in it");
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(inner) => {
                let (address, port) = inner.split_once(']').ok_or("has a `[` without a `]`")?;
                let address: Ipv6Addr = address.parse().map_err(|_| "has no IPv6 address between `[` and `]`")?;
                (Host::Address(IpAddr::V6(address).to_canonical()), port)
            }
            None => {
                let end = authority.find(':').unwrap_or(authority.len());
                (host(&authority[..end])?, &authority[end..])
            }
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => scheme.port(),
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0') => {
                digits.parse().map_err(|_| "has no port from 1 to 65535")?
            }
            _ => return Err("has no port from 1 to 65535"),
        };
        check_target(target)?;
        let slash = if target.starts_with('/') { "" } else { "/" };
        Ok(Self { scheme, host, port, target: format!("{slash}{target}") })
    }

    /// Returns what stands in the header `host`.
    pub fn authority(&self) -> String {
        let host = match &self.host {
            Host::Address(IpAddr::V6(address)) => format!("[{address}]"),
            Host::Address(IpAddr::V4(address)) => address.to_string(),
            Host::Name(name) => name.clone(),
        };
        if self.port == self.scheme.port() { host } else { format!("{host}:{}", self.port) }
    }

    /// Returns whom a certificate must be for: the host, as it is written.
    pub fn server(&self) -> String {
        match &self.host {
            Host::Address(address) => address.to_string(),
            Host::Name(name) => name.clone(),
        }
    }

    /// Returns the target that follows this address by `more`: empty, or beginning with `/` or `?`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn below(&self, more: &str) -> Result<String, &'static str> {
        if !(more.is_empty() || more.starts_with(['/', '?'])) || more.len() > URL_BYTES {
            return Err("a target is empty, or begins with `/` or `?`, and has at most 2048 bytes");
        }
        check_target(more)?;
        if !more.is_empty() && self.target.contains('?') {
            return Err("a target cannot follow a query");
        }
        let base = if more.starts_with('/') { self.target.trim_end_matches('/') } else { &self.target };
        Ok(format!("{base}{more}"))
    }

    /// Whether its path is `path`, or below it.
    pub(super) fn is_below(&self, path: &str) -> bool {
        let own = self.target.split('?').next().unwrap_or_default();
        let rest = own.strip_prefix(path.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

fn host(text: &str) -> Result<Host, &'static str> {
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(Host::Address(address.into()));
    }
    if is_name(text) { Ok(Host::Name(text.to_owned())) } else { Err("has no address or name of a host") }
}

/// Whether a text is a name, and not a number in one of the spellings that some take for an address.
pub(super) fn is_name(text: &str) -> bool {
    let fits = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x");
    text.len() <= 253 && text.split('.').all(fits) && !is_number
}

/// Refuses what a server could understand in another way than it reads: a target is path and query as they are sent.
pub(super) fn check_target(target: &str) -> Result<(), &'static str> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&b);
    if !target.bytes().all(plain) {
        return Err("has a character that must be written as %XX");
    }
    let lower = target.to_ascii_lowercase();
    for escape in lower.split('%').skip(1) {
        let digits = escape.get(..2).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if byte.ok_or("has a `%` without two digits")?.is_ascii_control() {
            return Err("has a control character");
        }
    }
    let path = lower.split('?').next().unwrap_or_default();
    if path.contains("%2f") || path.contains("%5c") {
        return Err("has a slash that is written as %XX");
    }
    if path.contains("%25") {
        return Err("has a `%` that is written as %25 in its path, which some servers read twice");
    }
    let path = path.replace("%2e", ".").replace("%3b", ";");
    // Some servers leave out what follows a `;`, and see what stands before it alone.
    let mut segments = path.split('/').skip(1).map(|segment| segment.split(';').next().unwrap_or_default()).peekable();
    while let Some(segment) = segments.next() {
        if matches!(segment, "." | "..") {
            return Err("has `.` or `..` in its path");
        }
        if segment.is_empty() && segments.peek().is_some() {
            return Err("has an empty part in its path");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_is_read() {
        let url = |text: &str| Url::parse(text).unwrap();
        let read = url("http://127.0.0.1:8080/health?full=1");
        assert_eq!((read.authority().as_str(), read.target.as_str()), ("127.0.0.1:8080", "/health?full=1"));
        assert_eq!((url("http://[::1]").authority().as_str(), url("http://[::1]").port), ("[::1]", 80));
        assert_eq!(url("http://www.example:80?x").target, "/?x");
        assert_eq!(url("http://www.example").host, Host::Name("www.example".into()));
        let secured = url("https://[::1]/health");
        assert_eq!((secured.scheme, secured.port, secured.server().as_str()), (Scheme::Https, 443, "::1"));
        assert_eq!((secured.authority().as_str(), url("https://a:80/").authority().as_str()), ("[::1]", "a:80"));
        assert_eq!(url("http://a:443/").authority(), "a:443");
        assert_eq!(url("http://[::ffff:10.0.0.1]/").host, Host::Address("10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in [
            "",
            "http:/127.0.0.1/",
            "HTTP://127.0.0.1/",
            "HTTPS://127.0.0.1/",
            "https:127.0.0.1",
            "httpss://127.0.0.1/",
            "https://user@127.0.0.1/",
            "https://0x7f.1/",
            "https://127.0.0.1:0443/",
            "ftp://127.0.0.1/",
            "//127.0.0.1/",
            "http://",
            "http:///x",
            "http://user@127.0.0.1/",
            "http://user:secret@127.0.0.1/",
            "http://127.0.0.1@evil/",
            "http://127.0.0.1:/",
            "http://127.0.0.1:0/",
            "http://127.0.0.1:080/",
            "http://127.0.0.1:65536/",
            "http://127.0.0.1:+80/",
            "http://127.1/",
            "http://0177.0.0.1/",
            "http://0x7f000001/",
            "http://2130706433/",
            "http://127.0.0.1./",
            "http://1.2.3.4.5/",
            "http://x.0x10/",
            "http://[127.0.0.1]/",
            "http://[::1/",
            "http://[::1]x/",
            "http://[fe80::1%25lo]/",
            "http://münchen.example/",
            "http://WWW.example/",
            "http://www..example/",
            "http://-x/",
            "http://a_b/",
            "http://a b/",
            "http://a/#part",
            "http://a/\r\nx: y",
            "http://a/ b",
            "http://a/%",
            "http://a/%0d%0a",
            "http://a/%zz",
            "http://a/\\b",
            "http://a/../b",
            "http://a/./b",
            "http://a/%2e%2E/b",
            "http://a/.%2e",
            "http://a/b%2fc",
            // Servers of Java leave out what follows a `;`, and some read escapes twice.
            "http://a/..;/b",
            "http://a/..;x=1/b",
            "http://a/.;/b",
            "http://a/%2e%2e;/b",
            "http://a/..%3b/b",
            "http://a/b/..;",
            "http://a/;/b",
            "http://a/b%252fc",
            "http://a/%252e%252e/b",
            "http://a/b%5cc",
            "http://a//b",
            "http://a/\u{7f}",
            "http://a/<x>",
            "http://a\\@b/",
        ] {
            assert!(Url::parse(text).is_err(), "{text:?}");
        }
        assert!(Url::parse(&format!("http://a/{}", "x".repeat(2048))).is_err());
    }

    #[test]
    fn a_target_follows_and_never_leads_up() {
        let below = |base: &str, more: &str| Url::parse(base).unwrap().below(more);
        assert_eq!(below("http://a/health", "").unwrap(), "/health");
        assert_eq!(below("http://a/api/", "/v1").unwrap(), "/api/v1");
        assert_eq!(below("http://a", "/").unwrap(), "/");
        assert_eq!(below("http://a/x", "?q=1").unwrap(), "/x?q=1");
        assert_eq!(below("http://a/x", "/a;v=1?q=50%25&up=..;").unwrap(), "/x/a;v=1?q=50%25&up=..;");
        for more in [
            "x",
            "/..",
            "/a/../..",
            "/%2e%2e/",
            "/a\r\n",
            "//evil",
            "/a#",
            "/a b",
            "http://evil/",
            "/%2f",
            "@evil/",
            "/..;/admin",
            "/%252e%252e/",
        ] {
            assert!(below("http://a/api", more).is_err(), "{more:?}");
        }
        assert!(below("http://a/x?q", "/y").is_err());
        assert!(
            Url::parse("http://a/api/x").unwrap().is_below("/api")
                && Url::parse("http://a/api").unwrap().is_below("/api/")
        );
        assert!(!Url::parse("http://a/apix").unwrap().is_below("/api"));
    }

    proptest::proptest! {
        #[test]
        fn what_is_read_is_written_the_same_way(text in "http://[a-z0-9.:@\\[\\]%-]{1,20}[/?a-z0-9.%]{0,12}") {
            if let Ok(url) = Url::parse(&text) {
                let again = Url::parse(&format!("http://{}{}", url.authority(), url.target));
                proptest::prop_assert_eq!(again, Ok(url));
                proptest::prop_assert!(!text.contains('@') && !text.contains("/../"));
            }
        }
    }
}
