//! One request, made again while that may help.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::header::HeaderValue;
use reqwest::{StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;

use super::CleverError;
use super::budget::{Budget, retry_after, wait_of};
use super::settings::Settings;
use super::transport::{Lost, Request, Response, Transport};
use crate::context::Context;
use crate::store::backoff::Backoff;

/// Who asks.
pub(super) enum Who<'a> {
    /// The app itself.
    App(&'a str, &'a SecretString),
    /// The bearer of a token.
    Bearer(&'a SecretString),
}

impl Who<'_> {
    fn header(&self) -> Result<HeaderValue, CleverError> {
        let text = match self {
            Who::App(id, secret) => format!("Basic {}", STANDARD.encode(format!("{id}:{}", secret.expose_secret()))),
            Who::Bearer(token) => format!("Bearer {}", token.expose_secret()),
        };
        let mut header = HeaderValue::from_str(&text).map_err(|_| CleverError::Unauthorized)?;
        header.set_sensitive(true);
        Ok(header)
    }
}

/// What a failed attempt means.
enum Failure {
    /// It may work after a pause, which is to be that long at least.
    Again(CleverError, Duration),
    /// It never will.
    Never(CleverError),
}

/// Makes requests.
pub(super) struct Requests {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) attempts: u32,
    timeout: Duration,
    pause: Duration,
    longest_wait: Duration,
    context: Context,
}

impl Requests {
    pub(super) fn new(transport: Arc<dyn Transport>, settings: &Settings, context: Context) -> Requests {
        let Settings { attempts, timeout, pause, longest_wait, .. } = *settings;
        Requests { transport, attempts, timeout, pause, longest_wait, context }
    }

    /// Asks for `url` and reads the answer, again after a pause while that may help: every request is a GET, so
    /// nothing is done twice by it. A token's requests are made within its budget.
    pub(super) async fn get<T>(
        &self,
        url: &Url,
        who: &Who<'_>,
        budget: Option<&Budget>,
        read: impl Fn(&Bytes) -> Result<T, CleverError>,
    ) -> Result<T, CleverError> {
        let authorization = who.header()?;
        let mut attempt = 1;
        loop {
            let request = Request { url: url.clone(), authorization: authorization.clone() };
            let (error, least) = match self.get_once(request, budget, &read).await {
                Ok(answer) => return Ok(answer),
                Err(Failure::Never(error)) => return Err(error),
                Err(Failure::Again(error, least)) => (error, least),
            };
            let Some(pause) = self.pause(attempt, least) else { return Err(error) };
            tracing::debug!(attempt, %error, ?pause, "a request to Clever is made again");
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    async fn get_once<T>(
        &self,
        request: Request,
        budget: Option<&Budget>,
        read: &impl Fn(&Bytes) -> Result<T, CleverError>,
    ) -> Result<T, Failure> {
        let leave = match budget {
            Some(budget) => Some(budget.leave().await),
            None => None,
        };
        let answer = tokio::time::timeout(self.timeout, self.transport.get(request)).await.unwrap_or(Err(Lost::Late));
        let Response { status, headers, body } = match answer {
            Ok(answer) => answer,
            Err(lost) => return Err(failed(lost)),
        };
        if let Some(budget) = budget {
            budget.note(&headers);
        }
        drop(leave);
        if status == StatusCode::TOO_MANY_REQUESTS {
            let wait = match budget {
                Some(budget) => budget.refused(&headers),
                None => Some(wait_of(&headers, &self.context)),
            };
            let error = CleverError::RateLimited;
            return Err(wait.map_or(Failure::Never(error), |wait| Failure::Again(error, wait)));
        }
        if status.is_success() {
            return read(&body).map_err(|error| match error {
                CleverError::Unavailable(_) => Failure::Again(error, Duration::ZERO),
                _ => Failure::Never(error),
            });
        }
        Err(refused(status, retry_after(&headers)))
    }

    /// How long to wait before the next attempt, never shorter than Clever asks for; `None` when there's to be no
    /// further attempt.
    fn pause(&self, attempt: u32, least: Duration) -> Option<Duration> {
        if attempt >= self.attempts || least > self.longest_wait {
            return None;
        }
        let backoff = Backoff::new(self.pause, self.pause.saturating_mul(64));
        Some(backoff.pause_at_least(attempt, least, &*self.context.random))
    }
}

fn failed(lost: Lost) -> Failure {
    let again = |why| Failure::Again(CleverError::Unavailable(why), Duration::ZERO);
    match lost {
        Lost::Unreachable => again("no connection"),
        Lost::Late => again("no answer in time"),
        Lost::Broken => again("the connection broke"),
        Lost::Huge => Failure::Never(CleverError::Malformed("it's larger than any page")),
        Lost::Unsendable => Failure::Never(CleverError::Settings("the request can't be made")),
    }
}

/// What an answer other than 2xx means (docs/domain/wire-formats.md#errors-of-clever). Its body may be JSON, HTML or
/// nothing, and isn't looked at.
fn refused(status: StatusCode, least: Duration) -> Failure {
    let again = |why| Failure::Again(CleverError::Unavailable(why), least);
    match status.as_u16() {
        401 | 403 => Failure::Never(CleverError::Unauthorized),
        404 => Failure::Never(CleverError::NotFound),
        413 => Failure::Never(CleverError::TooLarge),
        408 => again("HTTP 408"),
        500 => again("HTTP 500"),
        502 => again("HTTP 502"),
        503 => again("HTTP 503"),
        504 => again("HTTP 504"),
        // Of proxies in between, too, but for what isn't there at all.
        505..=599 => again("HTTP 5xx"),
        other => Failure::Never(CleverError::Refused(other)),
    }
}

/// Reads JSON. What isn't JSON at all (cut off, or a page for people) may be better next time; what is, but says
/// something else, won't.
pub(super) fn json<T: DeserializeOwned>(body: &Bytes) -> Result<T, CleverError> {
    serde_json::from_slice(body).map_err(|error| unreadable(&error))
}

/// See [`json`]. The parser's complaint may repeat what it met; so nothing is kept of it.
pub(super) fn unreadable(error: &serde_json::Error) -> CleverError {
    if error.is_data() {
        CleverError::Malformed("the JSON isn't what's documented")
    } else {
        CleverError::Unavailable("the answer isn't JSON, or breaks off")
    }
}
