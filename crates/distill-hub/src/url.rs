//! Parsing of addresses, as far as redirects and tokens need it.

use std::fmt;
use std::net::IpAddr;

/// An absolute address of the scheme `http` or `https`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    is_https: bool,
    /// In lower case; an IPv6 address in brackets.
    host: String,
    port: u16,
    /// Path and query, from the first `/` on.
    target: String,
}

impl Url {
    /// Reads an absolute address.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(odd) = text.chars().find(|c| !c.is_ascii_graphic()) {
            return Err(format!("it contains {odd:?}"));
        }
        let (scheme, rest) = text.split_once("://").ok_or("it does not start with http:// or https://")?;
        let is_https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            other => return Err(format!("its scheme {other} is neither http nor https")),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (host, port) = host_and_port(authority, is_https)?;
        let slash = if target.starts_with('/') { "" } else { "/" };
        Ok(Url { is_https, host, port, target: format!("{slash}{target}") })
    }

    /// Resolves a `Location` header against this address.
    ///
    /// # Errors
    /// What is wrong with it; one that leaves https is refused.
    pub(crate) fn join(&self, location: &str) -> Result<Self, String> {
        let path = self.target.split('?').next().unwrap_or_default();
        let directory = &path[..=path.rfind('/').unwrap_or(0)];
        let here = Url { target: String::new(), ..self.clone() };
        let scheme = if self.is_https { "https:" } else { "http:" };
        let is_absolute = location.split(['/', '?', '#']).next().is_some_and(|first| first.contains(':'));
        let next = match location {
            "" => return Err("it is empty".to_owned()),
            absolute if is_absolute => Url::parse(absolute),
            host if host.starts_with("//") => Url::parse(&format!("{scheme}{host}")),
            path if path.starts_with('/') => Url::parse(&format!("{here}{path}")),
            query if query.starts_with('?') => Url::parse(&format!("{here}{path}{query}")),
            relative => Url::parse(&format!("{here}{directory}{relative}")),
        }?;
        if self.is_https && !next.is_https {
            return Err("it redirects from https to http".to_owned());
        }
        Ok(next)
    }

    /// The same address with more path, which must need no escapes.
    pub(crate) fn with(&self, path: &str) -> Self {
        Url { target: format!("{}{path}", self.target.trim_end_matches('/')), ..self.clone() }
    }

    /// Whether both are the same scheme, host and port.
    pub(crate) fn has_origin_of(&self, other: &Url) -> bool {
        (self.is_https, &self.host, self.port) == (other.is_https, &other.host, other.port)
    }

    /// Whether the host is this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        let address = self.host.trim_start_matches('[').trim_end_matches(']');
        self.host == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Whether others on the network cannot read a request.
    pub(crate) fn is_confidential(&self) -> bool {
        self.is_https || self.is_loopback()
    }
}

/// For messages: shortened, without the query, which may contain a signature.
impl Url {
    pub(crate) fn shown(&self) -> String {
        let path = self.target.split('?').next().unwrap_or_default();
        let origin = Url { target: String::new(), ..self.clone() };
        format!("{origin}{}", path.chars().take(200).collect::<String>())
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, usual) = if self.is_https { ("https", 443) } else { ("http", 80) };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port != usual {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(&self.target)
    }
}

fn host_and_port(authority: &str, is_https: bool) -> Result<(String, u16), String> {
    if authority.contains('@') {
        return Err("it contains a user name".to_owned());
    }
    let end =
        if authority.starts_with('[') { authority.find(']').map(|end| end + 1) } else { authority.find(':') };
    let (host, port) = authority.split_at(end.unwrap_or(authority.len()));
    let is_v6 = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|host| host.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6()));
    let is_name = host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    if host.is_empty() || !(is_v6 || is_name) {
        return Err(format!("{host:?} is not a host"));
    }
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => {
            if is_https {
                443
            } else {
                80
            }
        }
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok().filter(|port| *port != 0).ok_or_else(|| format!("{digits:?} is not a port"))?
        }
        _ => return Err(format!("{port:?} is not a port")),
    };
    Ok((host.to_ascii_lowercase(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn an_address_is_written_as_it_was_read() {
        for text in ["https://hub.example/a/b?c=d", "http://127.0.0.1:8080/", "http://[::1]:80x"] {
            match Url::parse(text) {
                Ok(url) => assert_eq!(url.to_string(), text),
                Err(problem) => assert!(problem.contains("port"), "{problem}"),
            }
        }
        assert_eq!(url("HTTPS://Hub.Example:443?q#f").to_string(), "https://hub.example/?q");
        assert_eq!(
            url("https://hub.example/mirror/").with("/api/x").to_string(),
            "https://hub.example/mirror/api/x"
        );
    }

    #[test]
    fn what_is_not_a_plain_address_is_refused() {
        for bad in [
            "",
            "hub.example",
            "file:///etc/passwd",
            "ftp://hub.example/",
            "https://user:word@hub.example/",
            "https://hub.example@evil.example/",
            "https://hub.example:0/",
            "https://hub.example:99999/",
            "https://hub.example:+80/",
            "https://hub.example:/",
            "https:///x",
            "https://[::1/",
            "https://[hub]/",
            "https://hub example/",
            "https://hub.example/\r\nX: y",
            "https://h\u{fc}b.example/",
            "https://hub.example\\@evil.example/",
        ] {
            assert!(Url::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn redirects_are_read_as_browsers_read_them() {
        let here = url("https://hub.example/org/model/resolve/main/x?y");
        for (location, there) in [
            ("https://cdn.example/f?sig=1:2", "https://cdn.example/f?sig=1:2"),
            ("//cdn.example/f", "https://cdn.example/f"),
            ("/api/f", "https://hub.example/api/f"),
            ("f", "https://hub.example/org/model/resolve/main/f"),
            ("?z", "https://hub.example/org/model/resolve/main/x?z"),
        ] {
            assert_eq!(here.join(location).unwrap().to_string(), there, "{location}");
        }
        for bad in ["", "http://hub.example/", "javascript:alert(1)", "file:///etc/passwd", "//"] {
            assert!(here.join(bad).is_err(), "{bad}");
        }
        assert!(url("http://127.0.0.1/").join("https://hub.example/").is_ok());
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let here = url("https://hub.example/a");
        assert!(here.has_origin_of(&url("https://HUB.example:443/b")));
        for other in ["http://hub.example/a", "https://hub.example:444/a", "https://hub.example.evil.example/a"]
        {
            assert!(!here.has_origin_of(&url(other)), "{other}");
        }
        for (text, expected) in [
            ("https://hub.example", true),
            ("http://hub.example", false),
            ("http://localhost:8080", true),
            ("http://127.8.9.1", true),
            ("http://[::1]:8080", true),
            ("http://127.0.0.1.evil.example", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(url(text).is_confidential(), expected, "{text}");
        }
    }

    #[test]
    fn a_message_shows_no_signature() {
        assert_eq!(url("https://cdn.example/f?sig=secret").shown(), "https://cdn.example/f");
    }
}
