//! How requests travel: over HTTP, or to a Clever in this process.

use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{StatusCode, Url, redirect};

use super::CleverError;
use super::settings::{Settings, is_local};

/// The largest answer that is read. A page of 10,000 users has some 15 MiB.
const LARGEST_ANSWER: usize = 128 << 20;

/// A GET request.
pub struct Request {
    /// What for.
    pub url: Url,
    /// `Authorization`, marked as sensitive.
    pub authorization: HeaderValue,
}

/// What came back, whole.
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// Why nothing came back, or not the whole of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// No connection.
    Unreachable,
    /// No answer in time.
    Late,
    /// The connection broke, or the answer.
    Broken,
    /// The answer is larger than any page.
    Huge,
    /// The request can't be made.
    Unsendable,
}

/// A way to Clever. It neither waits nor tries again: its user does.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Makes the request once.
    async fn get(&self, request: Request) -> Result<Response, Lost>;
}

/// Over HTTP.
pub struct Http(reqwest::Client);

impl Http {
    /// A way to those addresses. Fails when no client can be made.
    pub fn new(settings: &Settings) -> Result<Http, CleverError> {
        let is_local = is_local(&settings.api) && is_local(&settings.oauth);
        let http = reqwest::Client::builder()
            .timeout(settings.timeout)
            .connect_timeout(settings.timeout.min(Duration::from_secs(10)))
            .user_agent(concat!("roar-functions/", env!("CARGO_PKG_VERSION")))
            // Nobody is to be led elsewhere with a token.
            .redirect(redirect::Policy::none());
        // A proxy is for the world outside.
        let http = if is_local { http.no_proxy() } else { http };
        http.build().map(Http).map_err(|_| CleverError::Settings("no HTTP client"))
    }
}

#[async_trait]
impl Transport for Http {
    async fn get(&self, request: Request) -> Result<Response, Lost> {
        let Request { url, authorization } = request;
        let json = HeaderValue::from_static("application/json");
        let asked = self.0.get(url).header(AUTHORIZATION, authorization).header(ACCEPT, json).send();
        let mut answer = asked.await.map_err(lost)?;
        let length = answer.content_length().unwrap_or(0) as usize;
        // The length is Clever's word only.
        let mut body = BytesMut::with_capacity(length.min(LARGEST_ANSWER));
        while let Some(part) = answer.chunk().await.map_err(lost)? {
            if body.len() + part.len() > LARGEST_ANSWER {
                return Err(Lost::Huge);
            }
            body.extend_from_slice(&part);
        }
        Ok(Response { status: answer.status(), headers: answer.headers().clone(), body: body.freeze() })
    }
}

/// The client's own texts have addresses with IDs of people in them; so nothing is kept of them.
fn lost(error: reqwest::Error) -> Lost {
    if error.is_timeout() {
        Lost::Late
    } else if error.is_builder() {
        Lost::Unsendable
    } else if error.is_connect() {
        Lost::Unreachable
    } else {
        Lost::Broken
    }
}
