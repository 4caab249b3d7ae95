//! Protection of servers for development, which accept tokens made without a sign-in and so must answer only programs
//! of this machine. To listen on a loopback address isn't enough: a proxy or a tunnel on the machine forwards requests
//! from elsewhere, and a web page in the developer's browser may send requests to the server and, by DNS rebinding,
//! even read the answers.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use axum::middleware::Next;
use axum::response::Response;

use super::callable::envelope;
use super::error::{FunctionError, Status};

/// Headers that show that a proxy forwarded the request, as does any that begins with `X-Forwarded-`.
const HANDED_ON: [&str; 6] = ["forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip"];
const FORWARDED: &str = "x-forwarded-";

/// Which requests a server for development answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalOnly {
    /// Host names, besides `localhost` and loopback addresses, by which the server may be called.
    pub hosts: Vec<String>,
    /// Origins, besides those on this machine, whose pages may call.
    pub origins: Vec<String>,
    /// What is added to the texts of refusals.
    pub hints: LocalHints,
}

/// Sentences at the end of refusals that tell a developer which settings of the program help. None by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LocalHints {
    /// When the server was called by a name that isn't this machine's.
    pub host: Option<&'static str>,
    /// When a page of another origin calls.
    pub origin: Option<&'static str>,
    /// When a proxy or a tunnel handed the request on.
    pub proxy: Option<&'static str>,
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Refusal {
    Host,
    Origin,
    HandedOn(HeaderName),
}

impl LocalOnly {
    fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let handed_on = |name: &&HeaderName| HANDED_ON.contains(&name.as_str()) || name.as_str().starts_with(FORWARDED);
        if let Some(name) = headers.keys().find(handed_on) {
            return Err(Refusal::HandedOn(name.clone()));
        }
        let mut hosts = headers.get_all(header::HOST).iter();
        let is_host = |host: &HeaderValue| host.to_str().is_ok_and(|host| self.is_host(without_port(host)));
        match (hosts.next(), hosts.next()) {
            (Some(host), None) if is_host(host) => {}
            _ => return Err(Refusal::Host),
        }
        if uri.host().is_some_and(|host| !self.is_host(host)) {
            return Err(Refusal::Host);
        }
        let is_origin = |origin: &HeaderValue| origin.to_str().is_ok_and(|origin| self.is_origin(origin));
        if headers.get_all(header::ORIGIN).iter().all(is_origin) { Ok(()) } else { Err(Refusal::Origin) }
    }

    fn is_host(&self, host: &str) -> bool {
        is_this_machine(host) || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
    }

    fn is_origin(&self, origin: &str) -> bool {
        let host = ["http://", "https://"].iter().find_map(|scheme| origin.strip_prefix(scheme)).map(without_port);
        host.is_some_and(is_this_machine) || self.origins.iter().any(|known| known.eq_ignore_ascii_case(origin))
    }
}

/// The host of `host:port`, where an IPv6 address is in brackets. Another text is returned as it is, and then matches
/// no name.
fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// True for names that always mean this machine. Names below `localhost` aren't among them, because a resolver may ask
/// a DNS server for those.
fn is_this_machine(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Middleware that refuses what doesn't come from this machine.
pub(super) async fn only(State(local): State<LocalOnly>, request: Request, next: Next) -> Response {
    let Err(refusal) = local.check(request.uri(), request.headers()) else { return next.run(request).await };
    let (answers, hint) = match &refusal {
        Refusal::Host => (
            "only when it's called by this machine's own name: localhost, 127.0.0.1 or [::1].".to_owned(),
            local.hints.host,
        ),
        Refusal::Origin => ("only pages of this machine.".to_owned(), local.hints.origin),
        Refusal::HandedOn(name) => {
            (format!("nothing that a proxy or a tunnel hands on, as the header {name} shows."), local.hints.proxy)
        }
    };
    let mut message = format!("This server takes development tokens, so it answers {answers}");
    if let Some(hint) = hint {
        message.push(' ');
        message.push_str(hint);
    }
    let value = |name| request.headers().get(name).map(tracing::field::debug);
    tracing::warn!(host = value(header::HOST), origin = value(header::ORIGIN), "a request was refused: {message}");
    envelope(&FunctionError::new(Status::PermissionDenied, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(local: &LocalOnly, headers: &[(&'static str, &'static str)]) -> Result<(), Refusal> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        local.check(&Uri::from_static("/createAdministration"), &map)
    }

    #[test]
    fn only_this_machine_and_what_is_named_is_answered() {
        let plain = LocalOnly::default();
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "127.9.9.9", "[::1]:8080", "[::1]"] {
            assert_eq!(check(&plain, &[("host", host)]), Ok(()), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "a.localhost",
            "127.0.0.1.evil.example",
            "localhost:",
            "localhost:80x",
            "user@localhost",
            "10.0.0.1",
            "[::2]:8080",
            "0.0.0.0:8080",
            "localhost@evil",
        ] {
            assert_eq!(check(&plain, &[("host", host)]), Err(Refusal::Host), "{host}");
        }
        assert_eq!(check(&plain, &[]), Err(Refusal::Host));
        assert_eq!(check(&plain, &[("host", "localhost"), ("host", "localhost")]), Err(Refusal::Host));

        let host = ("host", "localhost:8080");
        for origin in ["http://localhost:5173", "https://127.0.0.1", "http://[::1]:3000", "HTTP://LOCALHOST"] {
            let expected = if origin.starts_with("HTTP:") { Err(Refusal::Origin) } else { Ok(()) };
            assert_eq!(check(&plain, &[host, ("origin", origin)]), expected, "{origin}");
        }
        for origin in [
            "null",
            "",
            "https://evil.example",
            "http://localhost.evil.example",
            "file://",
            "http://localhost/x",
            "chrome-extension://localhost",
            "http://user@localhost",
            "http://localhost:80:80",
        ] {
            assert_eq!(check(&plain, &[host, ("origin", origin)]), Err(Refusal::Origin), "{origin}");
        }
        let two = [host, ("origin", "http://localhost"), ("origin", "https://evil.example")];
        assert_eq!(check(&plain, &two), Err(Refusal::Origin));

        for name in ["x-forwarded-for", "x-forwarded-proto", "forwarded", "via", "x-real-ip", "cf-connecting-ip"] {
            let expected = Err(Refusal::HandedOn(HeaderName::from_static(name)));
            assert_eq!(check(&plain, &[host, (name, "127.0.0.1")]), expected);
        }

        let named = LocalOnly {
            hosts: vec!["host.docker.internal".to_owned()],
            origins: vec!["https://dev.school.example".to_owned()],
            hints: LocalHints::default(),
        };
        let headers = [("host", "Host.docker.internal:8080"), ("origin", "https://dev.school.example")];
        assert_eq!(check(&named, &headers), Ok(()));
        let other = [host, ("origin", "https://dev.school.example:444")];
        assert_eq!(check(&named, &other), Err(Refusal::Origin));
        assert_eq!(check(&named, &[("host", "dev.school.example")]), Err(Refusal::Host));
    }

    #[test]
    fn a_host_in_the_request_line_counts_too() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("localhost"));
        let check = |uri| LocalOnly::default().check(&Uri::from_static(uri), &headers);
        assert_eq!(check("http://localhost:8080/x"), Ok(()));
        assert_eq!(check("http://evil.example/x"), Err(Refusal::Host));
    }
}
