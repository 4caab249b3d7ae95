//! Requests to the service: credentials, deadlines and retries.

use std::sync::Arc;
use std::time::Duration;

use document_store::backoff::Backoff;
use document_store::context::SystemRandom;
use gcloud_sdk::error::ErrorKind;
use gcloud_sdk::{GCP_DEFAULT_SCOPES, GoogleAuthHeaders};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Response, Url, redirect};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::failure::{Failure, failure};
use crate::{AccountError, Result};

const CLOUD: &str = "https://identitytoolkit.googleapis.com/v1/projects";

/// The longest pause before a retry. When the service asks for a longer one, the request isn't retried.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// Deadlines and retries of requests.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many attempts a request has.
    pub attempts: u32,
    /// How long each attempt may take.
    pub deadline: Duration,
    /// The pause before the first retry; each further one is about twice as long.
    pub pause: Duration,
    /// The program that asks, as `name/version`.
    pub user_agent: &'static str,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            attempts: 5,
            deadline: Duration::from_secs(10),
            pause: Duration::from_millis(200),
            user_agent: concat!("auth-accounts/", env!("CARGO_PKG_VERSION")),
        }
    }
}

/// How requests are authenticated.
enum Credentials {
    /// The emulator's token of an administrator.
    EmulatorOwner,
    /// Application-default credentials. With the token comes the project that pays, when
    /// GOOGLE_CLOUD_QUOTA_PROJECT or a person's credentials name one.
    Google(Arc<GoogleAuthHeaders>),
}

/// A client of the service, for any project.
pub struct Connection {
    http: reqwest::Client,
    credentials: Credentials,
    /// `…/v1/projects`.
    base: Url,
    options: Options,
}

/// The outcome of a request and its retries.
pub(super) struct Answer<T> {
    pub(super) outcome: std::result::Result<T, Failure>,
    /// An attempt before the last may have been carried out, though its answer was lost.
    pub(super) may_be_done: bool,
}

impl<T> Answer<T> {
    pub(super) fn into_result(self) -> Result<T> {
        Ok(self.outcome?)
    }
}

impl Connection {
    /// A client of the emulator (host:port), or of the real service with application-default credentials. Fails when
    /// there are no credentials.
    pub async fn open(emulator: Option<&str>, options: Options) -> Result<Self> {
        let base = match emulator {
            Some(host) => format!("http://{host}/identitytoolkit.googleapis.com/v1/projects"),
            None => CLOUD.to_owned(),
        };
        let base = Url::parse(&base).map_err(|_| failed("the address can't be one"))?;
        let http = reqwest::Client::builder()
            .timeout(options.deadline)
            .connect_timeout(options.deadline.min(Duration::from_secs(5)))
            .user_agent(options.user_agent)
            // A redirect must not send the token to another server.
            .redirect(redirect::Policy::none());
        // The emulator is on this machine or network: no proxy.
        let http = if emulator.is_some() { http.no_proxy() } else { http.https_only(true) };
        let http = http.build().map_err(|error| failed(&format!("no HTTP client: {error}")))?;
        let credentials = match emulator {
            Some(_) => Credentials::EmulatorOwner,
            None => {
                let headers = GoogleAuthHeaders::from_adc_with_scopes(GCP_DEFAULT_SCOPES.clone())
                    .await
                    .map_err(|error| failed(&format!("no application-default credentials: {error}")))?;
                Credentials::Google(Arc::new(headers))
            }
        };
        Ok(Connection { http, credentials, base, options })
    }

    /// `…/v1/projects/P`. Fails when that can't be a project's ID.
    pub(super) fn project(&self, project: &str) -> Result<Url> {
        let is_good = !project.is_empty() && !matches!(project, "." | "..");
        let mut url = self.base.clone();
        match url.path_segments_mut() {
            Ok(mut segments) if is_good => segments.push(project),
            _ => return Err(failed(&format!("{project:?} can't be the ID of a project"))),
        };
        Ok(url)
    }

    /// Posts `body` to a project's `operation`, and retries it after a pause while that may help. For operations that
    /// aren't idempotent, see [`Answer::may_be_done`].
    pub(super) async fn post<T: DeserializeOwned>(&self, project: &Url, operation: &str, body: &Value) -> Answer<T> {
        let mut attempt = 1;
        let mut may_be_done = false;
        loop {
            let outcome = self.post_once(project, operation, body).await;
            let (why, retry_after, is_lost) = match &outcome {
                Err(Failure::NotDone { why, retry_after }) => (why, *retry_after, false),
                Err(Failure::Unknown { why, retry_after }) => (why, *retry_after, true),
                Ok(_) | Err(Failure::Refused(_)) => return Answer { outcome, may_be_done },
            };
            let Some(pause) = self.pause(attempt, retry_after) else { return Answer { outcome, may_be_done } };
            tracing::debug!(operation, attempt, why, ?pause, "a request for accounts is retried");
            may_be_done |= is_lost;
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    async fn post_once<T: DeserializeOwned>(
        &self,
        project: &Url,
        operation: &str,
        body: &Value,
    ) -> std::result::Result<T, Failure> {
        let mut url = project.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.push(operation);
        }
        let request = self.http.post(url).headers(self.headers().await?).json(body);
        let response = request.send().await?;
        let (status, retry_after) = (response.status(), retry_after(&response));
        let answer = response.bytes().await?;
        if !status.is_success() {
            return Err(failure(status, retry_after, &answer));
        }
        // The parser's error isn't kept: it may contain what was parsed.
        serde_json::from_slice(&answer)
            .map_err(|_| Failure::Refused(failed(&format!("HTTP {} without the JSON it should have", status.as_u16()))))
    }

    async fn headers(&self) -> std::result::Result<HeaderMap, Failure> {
        let source = match &self.credentials {
            Credentials::EmulatorOwner => {
                return Ok(HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Bearer owner"))]));
            }
            Credentials::Google(source) => source,
        };
        let lacking = |why: &str| Failure::NotDone { why: format!("no access token: {why}"), retry_after: None };
        match tokio::time::timeout(self.options.deadline, source.headers()).await {
            Ok(Ok(headers)) => Ok((*headers).clone()),
            // The error's text isn't kept: it may contain the credentials.
            Ok(Err(error)) => Err(match error.kind() {
                ErrorKind::Credentials(error) if error.is_transient() => lacking("its server fails"),
                _ => Failure::Refused(failed("no access token: the credentials are refused")),
            }),
            Err(_) => Err(lacking("no answer in time")),
        }
    }

    /// How long to wait before the next attempt, never shorter than the service asks for; `None` when there's to be no
    /// further attempt.
    fn pause(&self, attempt: u32, retry_after: Option<Duration>) -> Option<Duration> {
        if attempt >= self.options.attempts || retry_after.is_some_and(|asked| asked > LONGEST_PAUSE) {
            return None;
        }
        let backoff = Backoff::new(self.options.pause, LONGEST_PAUSE);
        Some(backoff.pause_at_least(attempt, retry_after.unwrap_or_default(), &SystemRandom))
    }
}

fn failed(why: &str) -> AccountError {
    AccountError::Failed(why.to_owned())
}

/// `Retry-After` in seconds; Google doesn't send dates.
fn retry_after(response: &Response) -> Option<Duration> {
    response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests;
