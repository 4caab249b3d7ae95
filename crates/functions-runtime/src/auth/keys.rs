//! The public keys of a token issuer, fetched from its JWK set and cached for as long as its Cache-Control says.

use std::collections::HashMap;
use std::sync::Arc;

use axum::http::{HeaderMap, header};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::DecodingKey;
use parking_lot::RwLock;
use serde::Deserialize;
use thiserror::Error;
use tokio::sync::Mutex;

/// The least time between two fetches, so that neither a failing server nor tokens with made-up key IDs cause more
/// requests.
const FETCH_INTERVAL: SignedDuration = SignedDuration::from_secs(10);
/// How long expired keys are still used while the server doesn't answer. Issuers publish a new key long before they use
/// it, and go on publishing the old one.
const STALE_FOR: SignedDuration = SignedDuration::from_hours(1);
/// The longest time that keys are cached, whatever the server says.
const LONGEST_AGE: i64 = 24 * 60 * 60;

/// Why there is no key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The issuer has no key of that ID.
    #[error("no key has this ID")]
    Unknown,
    /// The server doesn't answer, or not with keys.
    #[error("{0}")]
    Unavailable(String),
}

/// The keys of one issuer.
pub struct KeySource {
    url: String,
    http: reqwest::Client,
    cached: RwLock<Option<Arc<Cached>>>,
    /// Held while fetching, so that only one request fetches; the time of the last attempt.
    fetching: Mutex<Option<Timestamp>>,
}

struct Cached {
    keys: HashMap<String, Arc<DecodingKey>>,
    fresh_until: Timestamp,
}

impl KeySource {
    /// The JWK set at `url`. Nothing is fetched before the first token comes.
    pub fn new(url: impl Into<String>, http: reqwest::Client) -> Self {
        KeySource { url: url.into(), http, cached: RwLock::new(None), fetching: Mutex::new(None) }
    }

    /// A source of that one key, which never fetches.
    #[cfg(fuzzing)]
    pub(crate) fn fixed(id: &str, key: DecodingKey, now: Timestamp) -> Self {
        let fresh_until = now + SignedDuration::from_secs(LONGEST_AGE);
        let cached = Cached { keys: HashMap::from([(id.to_owned(), Arc::new(key))]), fresh_until };
        KeySource {
            url: String::new(),
            http: reqwest::Client::new(),
            cached: RwLock::new(Some(Arc::new(cached))),
            fetching: Mutex::new(Some(now)),
        }
    }

    /// The key of that ID. An unknown ID may be newer than the cached keys, which are then fetched again, unless that
    /// was done within the last moments.
    pub async fn key(&self, id: &str, now: Timestamp) -> Result<Arc<DecodingKey>, KeyError> {
        let known = self.current(now).await?;
        if let Some(key) = known.keys.get(id) {
            return Ok(key.clone());
        }
        let newer = self.refresh(now, Some(&known)).await?;
        newer.keys.get(id).cloned().ok_or(KeyError::Unknown)
    }

    /// All keys, for tokens that don't say which one signed them.
    pub async fn all(&self, now: Timestamp) -> Result<Vec<Arc<DecodingKey>>, KeyError> {
        Ok(self.current(now).await?.keys.values().cloned().collect())
    }

    async fn current(&self, now: Timestamp) -> Result<Arc<Cached>, KeyError> {
        let cached = self.cached.read().clone();
        match cached {
            Some(cached) if now < cached.fresh_until => Ok(cached),
            _ => self.refresh(now, None).await,
        }
    }

    /// Fetches the keys, once for all who wait for them. `outdated` are cached keys that lack the one asked for,
    /// although they haven't expired.
    async fn refresh(&self, now: Timestamp, outdated: Option<&Arc<Cached>>) -> Result<Arc<Cached>, KeyError> {
        let mut last_attempt = self.fetching.lock().await;
        let cached = self.cached.read().clone();
        if let Some(cached) = &cached {
            let is_newer = outdated.is_none_or(|outdated| !Arc::ptr_eq(outdated, cached));
            if is_newer && now < cached.fresh_until {
                return Ok(cached.clone());
            }
        }
        let too_soon = last_attempt.is_some_and(|last| now.duration_since(last).abs() < FETCH_INTERVAL);
        let fetched = if too_soon {
            Err("its server failed a moment ago".to_owned())
        } else {
            *last_attempt = Some(now);
            self.fetch(now).await
        };
        match (fetched, cached) {
            (Ok(fetched), _) => {
                let fetched = Arc::new(fetched);
                *self.cached.write() = Some(fetched.clone());
                Ok(fetched)
            }
            (Err(why), Some(cached)) if now < cached.fresh_until + STALE_FOR => {
                if !too_soon {
                    tracing::warn!(url = self.url, why, "keys can't be fetched; the known ones are used");
                }
                Ok(cached)
            }
            (Err(why), _) => Err(KeyError::Unavailable(why)),
        }
    }

    async fn fetch(&self, now: Timestamp) -> Result<Cached, String> {
        let response = self.http.get(&self.url).send().await.and_then(reqwest::Response::error_for_status);
        let response = response.map_err(|error| error.to_string())?;
        let age = SignedDuration::from_secs(max_age(response.headers())).max(FETCH_INTERVAL);
        let set: KeySet = response.json().await.map_err(|error| error.to_string())?;
        let mut keys = HashMap::new();
        for key in set.keys.into_iter().filter(|key| key.kty == "RSA") {
            if let Ok(decoded) = DecodingKey::from_rsa_components(&key.n, &key.e) {
                keys.insert(key.kid, Arc::new(decoded));
            }
        }
        if keys.is_empty() {
            return Err("the answer holds no RSA key".to_owned());
        }
        tracing::debug!(url = self.url, keys = keys.len(), seconds = age.as_secs(), "fetched keys");
        Ok(Cached { keys, fresh_until: now + age })
    }
}

/// `Cache-Control: max-age`, less the time that the answer spent in caches (`Age`).
fn max_age(headers: &HeaderMap) -> i64 {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let directive = |part: &str| {
        let (name, value) = part.trim().split_once('=')?;
        name.eq_ignore_ascii_case("max-age").then(|| value.trim_matches('"').parse::<i64>().ok())?
    };
    let max_age = text(header::CACHE_CONTROL).split(',').find_map(directive).unwrap_or(0);
    let spent = text(header::AGE).parse::<i64>().unwrap_or(0).max(0);
    max_age.saturating_sub(spent).clamp(0, LONGEST_AGE)
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<WebKey>,
}

#[derive(Deserialize)]
struct WebKey {
    kty: String,
    #[serde(default)]
    kid: String,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_kept_for_max_age_less_age() {
        let seconds = |cache_control: &'static str, age: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CACHE_CONTROL, cache_control.parse().unwrap());
            headers.insert(header::AGE, age.parse().unwrap());
            max_age(&headers)
        };
        assert_eq!(seconds("public, max-age=19302, must-revalidate", "0"), 19302);
        assert_eq!(seconds("public, Max-Age=\"60\"", "20"), 40);
        assert_eq!(seconds("max-age=60", "100"), 0);
        assert_eq!(seconds("no-cache", ""), 0);
        assert_eq!(seconds("max-age=99999999", ""), LONGEST_AGE);
        assert_eq!(max_age(&HeaderMap::new()), 0);
    }
}
