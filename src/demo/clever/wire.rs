//! The ways to reach a fake Clever: over HTTP on loopback, or within the process.

use std::net::SocketAddr;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response as Reply};
use axum::routing::post;
use reqwest::Url;

use super::FakeClever;
use super::answer::Answer;
use super::control;
use crate::rostering::clever::{Lost, Request, Response, Settings, Transport};

/// A fake Clever that listens on loopback, until this is dropped.
pub struct Served {
    url: Url,
    task: tokio::task::JoinHandle<()>,
}

impl Served {
    /// The address of both the API and the server of tokens.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// How a client asks it.
    pub fn settings(&self) -> Settings {
        FakeClever::settings(&self.url)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FakeClever {
    /// Listens on a free port of loopback. Fails when there's none.
    pub async fn serve(&self) -> std::io::Result<Served> {
        self.serve_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Listens on the given address. Everybody who can reach the server may change its records, so this should be
    /// loopback.
    pub async fn serve_at(&self, address: SocketAddr) -> std::io::Result<Served> {
        let listener = tokio::net::TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let url = Url::parse(&format!("http://{address}")).map_err(std::io::Error::other)?;
        let router =
            Router::new().route(control::PATH, post(change)).fallback(reply).with_state((self.clone(), address));
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::warn!(%error, "the fake Clever has stopped");
            }
        });
        Ok(Served { url, task })
    }

    /// A transport to this fake Clever without sockets, within the process.
    pub fn transport(&self) -> Sockless {
        Sockless(self.clone())
    }
}

/// Handles a posted change. The answer's body has the change's result, or says what is wrong with the request.
async fn change(State((fake, _)): State<(FakeClever, SocketAddr)>, body: Bytes) -> Reply {
    let change = match serde_json::from_slice(&body) {
        Ok(change) => change,
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    match fake.change(change) {
        Some(answer) => answer.to_string().into_response(),
        None => (StatusCode::NOT_FOUND, "no district has that ID").into_response(),
    }
}

async fn reply(
    State((fake, address)): State<(FakeClever, SocketAddr)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Reply {
    if method != Method::GET {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let Ok(base) = Url::parse(&format!("http://{address}")) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let answer = fake.answer(&base, uri.path(), uri.query(), authorization);
    tokio::time::sleep(answer.after).await;
    let Answer { status, headers, body, is_cut, .. } = answer;
    let length = body.len();
    let body = if is_cut {
        let half = body[..length / 2].to_vec();
        Body::from_stream(futures::stream::iter([Ok(half), Err(std::io::Error::other("cut"))]))
    } else {
        Body::from(body)
    };
    let mut reply = Reply::new(body);
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    reply.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(&value)) {
            reply.headers_mut().insert(name, value);
        }
    }
    reply
}

/// A transport to a fake Clever without sockets. It waits for timers only, so a test can run with paused time.
pub struct Sockless(FakeClever);

impl Sockless {
    /// The address that clients use for this transport.
    pub const URL: &'static str = "https://api.clever.test";

    /// How a client asks it.
    ///
    /// # Panics
    ///
    /// Never, because the constant address is valid.
    pub fn settings() -> Settings {
        FakeClever::settings(&Url::parse(Sockless::URL).expect("the address is one"))
    }
}

#[async_trait]
impl Transport for Sockless {
    async fn get(&self, request: Request) -> Result<Response, Lost> {
        let mut base = request.url.clone();
        base.set_path("");
        base.set_query(None);
        let authorization = request.authorization.to_str().ok();
        let answer = self.0.answer(&base, request.url.path(), request.url.query(), authorization);
        tokio::time::sleep(answer.after).await;
        if answer.is_cut {
            return Err(Lost::Broken);
        }
        let header = |(name, value): (&str, String)| {
            Some((HeaderName::try_from(name).ok()?, HeaderValue::from_str(&value).ok()?))
        };
        Ok(Response {
            status: StatusCode::from_u16(answer.status).map_err(|_| Lost::Broken)?,
            headers: answer.headers.into_iter().filter_map(header).collect(),
            body: answer.body.into(),
        })
    }
}
