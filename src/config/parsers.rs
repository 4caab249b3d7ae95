//! Parsers of values. Their error messages name the variable and say what the value must be.

use std::net::SocketAddr;
use std::time::Duration;

use clap::ValueEnum;

use super::ConfigError;

/// Wraps a parser so that its error message names the environment variable beside the flag.
pub fn named<T: Send + Sync + Clone + 'static>(
    variable: &'static str,
    parse: fn(&str) -> Result<T, String>,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
    move |text| parse(text).map_err(|why| format!("{variable} {why}"))
}

pub fn choice<T: ValueEnum>(text: &str) -> Result<T, String> {
    T::from_str(text, true).map_err(|_| {
        let all: Vec<_> =
            T::value_variants().iter().filter_map(|v| v.to_possible_value()).map(|v| v.get_name().to_owned()).collect();
        format!("must be one of {}", all.join(", "))
    })
}

pub fn text(value: &str) -> Result<String, String> {
    if value.trim().is_empty() { Err("must not be empty".to_owned()) } else { Ok(value.to_owned()) }
}

pub fn flag(value: &str) -> Result<bool, String> {
    value.parse().map_err(|_| "must be true or false".to_owned())
}

pub fn count(value: &str) -> Result<usize, String> {
    value.parse().ok().filter(|n| (1..=1000).contains(n)).ok_or_else(|| "must be a number from 1 to 1000".to_owned())
}

pub fn thousands(value: &str) -> Result<usize, String> {
    let wrong = || "must be a number from 1 to 100000".to_owned();
    value.parse().ok().filter(|n| (1..=100_000).contains(n)).ok_or_else(wrong)
}

pub fn share(value: &str) -> Result<f64, String> {
    value
        .parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| "must be a number from 0 to 1".to_owned())
}

pub fn memory(value: &str) -> Result<u64, String> {
    let wrong = || "must be a number of MiB: 0 for any, or 64 to 1000000".to_owned();
    value.parse().ok().filter(|n| *n == 0 || (64..=1_000_000).contains(n)).ok_or_else(wrong)
}

pub fn mebibytes(value: &str) -> Result<usize, String> {
    let wrong = || "must be a number of MiB, 10 to 4096: a call may have 10".to_owned();
    value.parse().ok().filter(|n| (10..=4096).contains(n)).ok_or_else(wrong)
}

pub fn calls(value: &str) -> Result<u32, String> {
    value.parse().ok().filter(|n| *n <= 1_000_000).ok_or_else(|| "must be a number from 0 to 1000000".to_owned())
}

pub fn operations(value: &str) -> Result<u32, String> {
    let wrong = || "must be 0 for any number, or a number from 100 to 1000000000".to_owned();
    value.parse().ok().filter(|n| *n == 0 || (100..=1_000_000_000).contains(n)).ok_or_else(wrong)
}

pub fn hours(value: &str) -> Result<u64, String> {
    value.parse().ok().filter(|n| *n <= 8760).ok_or_else(|| "must be a number of hours from 0 to 8760".to_owned())
}

pub fn proxies(value: &str) -> Result<usize, String> {
    value.parse().ok().filter(|n| *n <= 10).ok_or_else(|| "must be a number from 0 to 10".to_owned())
}

/// Parses Firebase app IDs, as `1:123456:web:0a1b2c`, separated by commas. A malformed ID is refused, because it would
/// lock an app out.
pub fn app_ids(value: &str) -> Result<String, String> {
    let is_id = |id: &str| {
        let parts: Vec<_> = id.split(':').collect();
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let is_word = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        matches!(parts[..], [version, project, platform, app]
            if is_number(version) && is_number(project) && is_word(platform) && is_word(app))
    };
    let value = value.to_owned();
    let wrong = list(&Some(value.clone())).into_iter().find(|id| !is_id(id));
    match wrong {
        Some(wrong) => Err(format!("must be app IDs like 1:123456:web:0a1b2c between commas; {wrong:?} isn't one")),
        None => Ok(value),
    }
}

/// Parses host names separated by commas, without schemes and ports.
pub fn host_names(value: &str) -> Result<String, String> {
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    let value = value.to_owned();
    match list(&Some(value.clone())).into_iter().find(|name| !is_name(name)) {
        Some(wrong) => Err(format!("must be names of machines between commas, without ports; {wrong:?} isn't one")),
        None => Ok(value),
    }
}

/// Parses origins separated by commas, as browsers send them.
pub fn origins(value: &str) -> Result<String, String> {
    let is_origin = |origin: &str| {
        reqwest::Url::parse(origin)
            .is_ok_and(|url| url.host().is_some() && url.origin().ascii_serialization().eq_ignore_ascii_case(origin))
    };
    let value = value.to_owned();
    match list(&Some(value.clone())).into_iter().find(|origin| !is_origin(origin)) {
        Some(wrong) => Err(format!("must be origins like https://dev.example.org between commas; {wrong:?} isn't one")),
        None => Ok(value),
    }
}

pub fn seconds(value: &str) -> Result<Duration, String> {
    let seconds = value.parse().ok().filter(|n| *n <= 3600);
    seconds.map(Duration::from_secs).ok_or_else(|| "must be a number of seconds, 3600 at most".to_owned())
}

pub fn address(value: &str) -> Result<SocketAddr, String> {
    let value = value.strip_prefix("localhost:").map_or(value.to_owned(), |port| format!("127.0.0.1:{port}"));
    value.parse().map_err(|_| "must be an address and a port, as 127.0.0.1:8080".to_owned())
}

pub fn port(value: &str) -> Result<u16, String> {
    value.parse().map_err(|_| "must be a port, 0 to 65535".to_owned())
}

/// As [`url`]; an empty value is accepted and means none.
pub fn url_or_nothing(value: &str) -> Result<String, String> {
    if value.is_empty() { Ok(String::new()) } else { url(value) }
}

pub fn url(value: &str) -> Result<String, String> {
    match reqwest::Url::parse(value) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(value.to_owned()),
        _ => Err("must be an http or https URL".to_owned()),
    }
}

/// Parses `host:port`; an empty value is accepted and means none.
pub fn host(value: &str) -> Result<String, String> {
    let is_host = value.is_empty()
        || (!value.contains('/') && value.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()));
    if is_host { Ok(value.to_owned()) } else { Err("must be a host and a port without http://".to_owned()) }
}

pub fn any(value: &str) -> Result<String, String> {
    Ok(value.to_owned())
}

pub fn present(value: &Option<String>) -> Option<String> {
    value.clone().filter(|value| !value.is_empty())
}

pub fn list(value: &Option<String>) -> Vec<String> {
    let items = value.iter().flat_map(|value| value.split(','));
    items.map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// The items of a comma-separated list; fails with the message `why` when there are none.
pub fn some(text: &str, why: &str) -> Result<Vec<String>, ConfigError> {
    let items = list(&Some(text.to_owned()));
    if items.is_empty() { Err(ConfigError(why.to_owned())) } else { Ok(items) }
}
