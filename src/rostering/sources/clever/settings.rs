//! How Clever is asked.

use std::fmt;
use std::time::Duration;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use super::CleverError;

/// The versions of the Data API. 3.1 has more fields than 3.0, and no other differences that matter here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Version {
    /// 3.0.
    #[value(name = "v3.0")]
    V3_0,
    /// 3.1.
    #[default]
    #[value(name = "v3.1")]
    V3_1,
}

impl Version {
    /// As paths begin.
    pub fn as_str(self) -> &'static str {
        match self {
            Version::V3_0 => "v3.0",
            Version::V3_1 => "v3.1",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The Data API.
pub const API: &str = "https://api.clever.com";
/// Where tokens come from.
pub const OAUTH: &str = "https://clever.com";
/// The largest page that Clever gives; it answers 413 to more.
pub const PAGE_LIMIT: u32 = 10_000;
/// Requests that Clever takes in a minute, of each token.
pub const REQUESTS_A_MINUTE: u32 = 1_200;

/// How Clever is asked, by whom, and how patiently.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The Data API's address.
    pub api: Url,
    /// The address of the tokens' server.
    pub oauth: Url,
    /// The version of the Data API.
    pub version: Version,
    /// The app's ID.
    pub client_id: String,
    /// The app's secret.
    pub client_secret: SecretString,
    /// Records a page.
    pub page_limit: u32,
    /// Requests in any minute, of each token.
    pub requests_a_minute: u32,
    /// How often a request may be made.
    pub attempts: u32,
    /// How long each attempt may take, with the whole of the answer.
    pub timeout: Duration,
    /// The first pause before a request is made again; each further one is about twice as long.
    pub pause: Duration,
    /// The longest that Clever may ask us to stay away. A service that wants more gets no request.
    pub longest_wait: Duration,
}

impl Settings {
    /// The real Clever, by the app with that ID and secret.
    pub fn new(client_id: &str, client_secret: SecretString) -> Result<Settings, CleverError> {
        Settings::at(API, OAUTH, client_id, client_secret)
    }

    /// A Clever at these addresses. Fails when they are none.
    pub fn at(api: &str, oauth: &str, client_id: &str, client_secret: SecretString) -> Result<Settings, CleverError> {
        Ok(Settings {
            api: address(api)?,
            oauth: address(oauth)?,
            version: Version::default(),
            client_id: client_id.to_owned(),
            client_secret,
            page_limit: PAGE_LIMIT,
            requests_a_minute: REQUESTS_A_MINUTE,
            attempts: 6,
            timeout: Duration::from_secs(60),
            pause: Duration::from_millis(500),
            longest_wait: Duration::from_secs(120),
        })
    }
}

impl PartialEq for Settings {
    fn eq(&self, other: &Settings) -> bool {
        let words = |s: &Settings| (s.api.clone(), s.oauth.clone(), s.version, s.client_id.clone());
        let numbers =
            |s: &Settings| (s.page_limit, s.requests_a_minute, s.attempts, s.timeout, s.pause, s.longest_wait);
        words(self) == words(other)
            && numbers(self) == numbers(other)
            && self.client_secret.expose_secret() == other.client_secret.expose_secret()
    }
}

impl Eq for Settings {}

/// An address that secrets may be sent to: encrypted, or on this machine.
fn address(text: &str) -> Result<Url, CleverError> {
    let url = Url::parse(text).map_err(|_| CleverError::Settings("an address is none"))?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_local(&url) => Ok(url),
        _ => Err(CleverError::Settings("an address must begin with https://")),
    }
}

/// True for an address of this machine.
pub(super) fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_sent_in_the_clear() {
        for good in ["https://api.clever.com", "http://127.0.0.1:8080", "http://localhost:1", "http://[::1]:2"] {
            assert!(address(good).is_ok(), "{good}");
        }
        for bad in ["http://api.clever.com", "http://127.0.0.1.example", "ftp://127.0.0.1", "api.clever.com", ""] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn settings_show_no_secret() {
        let settings = Settings::new("app", "open sesame".into()).unwrap();
        assert!(!format!("{settings:?}").contains("sesame"));
        assert_eq!(settings, settings.clone());
        assert_ne!(settings, Settings::new("app", "other".into()).unwrap());
    }
}
