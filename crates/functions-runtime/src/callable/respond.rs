//! The answers of the callable protocol: envelopes, and frames of a stream.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use futures::stream::{self, StreamExt};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::Running;
use crate::error::FunctionError;

/// The answer to a call that doesn't stream.
pub fn whole(result: Result<Value, FunctionError>) -> Response {
    match result {
        Ok(result) => json_response(StatusCode::OK, &json!({"result": result})),
        Err(error) => envelope(&error),
    }
}

/// An error as the protocol puts it.
pub fn envelope(error: &FunctionError) -> Response {
    let status = StatusCode::from_u16(error.status.http()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    json_response(status, &error_body(error))
}

fn error_body(error: &FunctionError) -> Value {
    let mut body = Map::new();
    if let Some(details) = &error.details {
        body.insert("details".to_owned(), details.clone());
    }
    body.insert("message".to_owned(), error.message.as_str().into());
    body.insert("status".to_owned(), error.status.name().into());
    json!({ "error": body })
}

fn json_response(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}

/// The answer to a streaming call: the handler's chunks as they come, heartbeats, then the result. The HTTP status is
/// always 200, because the client reads frames only.
pub fn stream(running: Running, said: mpsc::Receiver<Value>, heartbeat: Duration) -> Response {
    let mut pings = tokio::time::interval_at(Instant::now() + heartbeat, heartbeat);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let frames = stream::unfold(Some(Stream { running, said, pings }), next_frame);
    event_stream(Body::from_stream(frames.map(Ok::<_, Infallible>)))
}

struct Stream {
    running: Running,
    said: mpsc::Receiver<Value>,
    pings: Interval,
}

async fn next_frame(state: Option<Stream>) -> Option<(Bytes, Option<Stream>)> {
    let mut state = state?;
    tokio::select! {
        // Chunks come before the result, even when they're read late.
        biased;
        Some(chunk) = state.said.recv() => {
            state.pings.reset();
            Some((data_frame(&json!({"message": chunk})), Some(state)))
        }
        result = &mut state.running => {
            let body = match result {
                Ok(result) => json!({"result": result}),
                Err(error) => error_body(&error),
            };
            // Chunks may have come in while the result was on the way.
            let mut frames = Vec::new();
            while let Ok(chunk) = state.said.try_recv() {
                frames.extend(data_frame(&json!({"message": chunk})));
            }
            frames.extend(data_frame(&body));
            Some((frames.into(), None))
        }
        _ = state.pings.tick() => Some((Bytes::from_static(b": ping\n\n"), Some(state))),
    }
}

/// An error before the handler began, for a client that reads frames only.
pub fn frame(error: &FunctionError) -> Response {
    event_stream(Body::from(data_frame(&error_body(error))))
}

/// One line of JSON: serde_json escapes line breaks in strings.
fn data_frame(body: &Value) -> Bytes {
    format!("data: {body}\n\n").into()
}

fn event_stream(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // Proxies must not buffer the frames.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
