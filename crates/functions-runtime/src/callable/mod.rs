//! The callable protocol: what Firebase's client SDKs speak to callable functions.

mod cors;
pub(crate) mod decode;
mod respond;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::Response;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::budget::Reservation;
use super::capacity::{Admission, BodyError, BodyPlace, Share};
use super::chunks::Chunks;
use super::engine::{Ended, FunctionRun, Runtime};
use super::error::{FunctionError, Status};
use super::function::{Call, Function, Trigger};
use super::limits::TooMany;
use super::observe::{Trace, TriggerKind};
use document_store::Cost;

pub(super) use respond::envelope;

/// The largest body of a caller who isn't signed in, in bytes: no function needs more of them, and sending costs them
/// nothing.
const SIGNED_OUT_BODY: usize = 64 * 1024;
/// How many JSON values a body may have. Parsed, each takes about a hundred bytes, however short its text: ten
/// megabytes of braces alone would take a gigabyte.
const MOST_PARTS: usize = 200_000;

/// The Retry-After of calls that are refused because the server is busy.
const BUSY: Duration = Duration::from_secs(1);

/// Answers any request that no other route takes: calls, their preflights, and what names no
/// function at all. Every answer has the CORS headers: without them a browser hides even the error.
pub(super) async fn endpoint<S: Clone + Send + Sync + 'static>(
    State(runtime): State<Runtime<S>>,
    request: Request,
) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    if request.method() == Method::OPTIONS {
        return cors::preflight(origin, request.headers());
    }
    let mut response = answer(&runtime, request).await;
    cors::reflect(origin, response.headers_mut());
    response
}

async fn answer<S: Clone + Send + Sync + 'static>(runtime: &Runtime<S>, request: Request) -> Response {
    let Some(function) = find(runtime, request.uri().path()) else {
        return envelope(&FunctionError::new(Status::NotFound, "There is no such function"));
    };
    // The protocol wants this exact value, neither a list nor one with a quality.
    let streaming = request.headers().get(header::ACCEPT).is_some_and(|accept| accept == "text/event-stream");
    let (chunks, listener) = match streaming {
        true => {
            let (chunks, said) = Chunks::channel();
            (chunks, Some(said))
        }
        false => (Chunks::default(), None),
    };
    match (begin(runtime, &function, request, chunks).await, listener) {
        (Ok(run), Some(said)) => respond::stream(run, said, runtime.inner.options.heartbeat),
        (Ok(run), None) => respond::whole(run.await),
        (Err(Refused { error, retry_after }), _) => {
            let (name, status, cause) = (function.name, error.status.name(), error.cause.as_deref());
            let cause = cause.map(tracing::field::display);
            match retry_after {
                // These have a metric; a log line for each would let anybody fill the log.
                Some(_) => tracing::debug!(function = name, status, cause, "a call was refused"),
                None => tracing::info!(function = name, status, cause, "a call was refused"),
            }
            runtime.metrics().refused(name, status);
            let mut response = if streaming { respond::frame(&error) } else { envelope(&error) };
            if let Some(wait) = retry_after {
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
            }
            response
        }
    }
}

/// The callable in a URL of either form: `/{name}`, or `/{project}/{region}/{name}` with anything
/// after it, as the functions emulator takes it.
fn find<S: Clone + Send + Sync + 'static>(runtime: &Runtime<S>, path: &str) -> Option<Arc<Function<S>>> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let segments: Vec<_> = path.strip_suffix('/').unwrap_or(path).split('/').collect();
    let name = match segments[..] {
        [name] => name,
        [_, _, name, ..] => name,
        _ => return None,
    };
    let name = percent_decode_str(name).decode_utf8().ok()?;
    let function = runtime.registry().find(&name)?;
    matches!(function.trigger, Trigger::Callable(_)).then(|| function.clone())
}

/// The outcome of a call, once its handler has ended.
type Running = futures::future::BoxFuture<'static, Result<Value, FunctionError>>;

/// Why a call's handler doesn't begin.
struct Refused {
    error: FunctionError,
    /// How long the caller should wait.
    retry_after: Option<Duration>,
}

impl Refused {
    fn busy() -> Refused {
        let error = FunctionError::new(Status::Unavailable, "The server is busy. Please try again.");
        Refused { error, retry_after: Some(BUSY) }
    }
}

impl From<FunctionError> for Refused {
    fn from(error: FunctionError) -> Self {
        Refused { error, retry_after: None }
    }
}

/// Checks a call and starts its handler. Errors are answered in the protocol's order, but the caller is authenticated
/// first, so that the body of a caller who is over a limit isn't even read.
async fn begin<S: Clone + Send + Sync + 'static>(
    runtime: &Runtime<S>,
    function: &Arc<Function<S>>,
    request: Request,
    chunks: Chunks,
) -> Result<Running, Refused> {
    if !runtime.inner.admission.has_call() {
        return Err(Refused::busy());
    }
    let (parts, body) = request.into_parts();
    let admit = || {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
        runtime.inner.limits.admit(function.name, &parts.headers, peer).map_err(|TooMany(wait)| {
            runtime.metrics().signed_out_refused(function.name);
            let error = FunctionError::new(Status::ResourceExhausted, "Too many calls. Please try again later.");
            Refused { error, retry_after: Some(wait) }
        })
    };
    if !parts.headers.contains_key(header::AUTHORIZATION) {
        admit()?;
    }
    let callers = &runtime.inner.options.callers;
    let now = runtime.inner.options.context.now();
    let (caller, (app_token, app_id)) =
        futures::join!(callers.caller(&parts.headers, now), callers.app(&parts.headers, now));
    if let Some(outcome) = app_token.name() {
        runtime.metrics().app_check(function.name, outcome);
    }
    // Without keys, the token may be good: the call doesn't count as one without a sign-in.
    if caller.as_ref().is_err_and(|error| error.status == Status::Unauthenticated) {
        admit()?;
    }
    let mut reservation = None;
    if let Ok(Some(caller)) = &caller
        && function.is_budgeted
    {
        let admitted = runtime.inner.ledger.admit(caller).map_err(|TooMany(wait)| {
            runtime.metrics().budget_refused(function.name);
            let message = "You have asked for too much within a minute. Please wait a moment and try again.";
            Refused { error: FunctionError::new(Status::ResourceExhausted, message), retry_after: Some(wait) }
        });
        reservation = Some(admitted?);
    }
    let limit = match caller {
        Ok(Some(_)) => function.body_limit,
        _ => function.body_limit.min(SIGNED_OUT_BODY),
    };
    let share = if reservation.as_ref().is_some_and(Reservation::is_raised) { Share::All } else { Share::Half };
    let (data, bytes) = read(&runtime.inner.admission, &parts, body, limit, share).await?;
    let (mut caller, app_id) = (caller?, app_id?);
    if let Some(caller) = &mut caller {
        caller.sign_in = callers.sign_in.judge(&caller.claims, now);
        if function.is_privileged {
            caller.sign_in.check()?;
        }
    }
    let data = decode::decode(data).map_err(FunctionError::internal)?;
    let place = runtime.inner.admission.call().ok_or_else(Refused::busy)?;

    let Trigger::Callable(handler) = &function.trigger else {
        return Err(FunctionError::internal("the function found isn't callable").into());
    };
    let handler = handler.clone();
    let allowance = reservation.as_ref().map(Reservation::allowance).unwrap_or_default();
    let run = FunctionRun {
        kind: TriggerKind::Call,
        id: runtime.inner.options.context.document_id(),
        trace: Trace::of(&parts.headers),
        spent: Cost::default(),
        reservation,
    };
    let call = Call { data, caller, app_id, chunks, allowance };
    let work = move |state| async move {
        // Released when the handler has ended, whether or not the client still waits.
        let _places = (place, bytes);
        let result = handler(state, call).await;
        if let Err(error) = &result {
            log(error);
        }
        result
    };
    let running = runtime.run(function, run, work, judge);
    Ok(Box::pin(async move {
        match running.await {
            Ok(Ended::Answered(result)) => result,
            Ok(Ended::TimedOut) => Err(FunctionError::new(Status::DeadlineExceeded, "The function took too long")),
            Ok(Ended::Panicked) | Err(_) => Err(FunctionError::new(Status::Internal, "INTERNAL")),
        }
    }))
}

fn judge(result: &Result<Value, FunctionError>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(error) => error.status.name(),
    }
}

fn log(error: &FunctionError) {
    // Not a field `message`: that's the name of the event's own text.
    let (status, told) = (error.status.name(), &error.message);
    let cause = error.cause.as_ref().map(tracing::field::display);
    match error.status {
        // Only this service's maintainers can mend these.
        Status::Internal | Status::Unknown | Status::DataLoss => {
            tracing::error!(status, told, cause, "the function failed")
        }
        // These pass by themselves or when the call is made again; an alert on metrics tells when there are many.
        Status::Unavailable | Status::Aborted | Status::DeadlineExceeded if error.cause.is_some() => {
            tracing::warn!(status, told, cause, "the function couldn't answer")
        }
        _ => tracing::info!(status, told, cause, "the function refused the call"),
    }
}

/// The request's `data`, and the permit for the memory that it takes. The protocol has one answer to all malformed
/// requests.
async fn read(
    room: &Admission,
    parts: &Parts,
    body: axum::body::Body,
    limit: usize,
    share: Share,
) -> Result<(Value, BodyPlace), Refused> {
    let bad = || FunctionError::invalid("Bad Request");
    // A body that is too large gets the same answer: of the statuses that clients know, this one
    // says that the same request can't succeed; HTTP's own 413 they'd read as "unknown".
    let (bytes, place) = match room.read(&parts.headers, body, limit, share).await {
        Ok(read) => read,
        Err(BodyError::Busy) => return Err(Refused::busy()),
        Err(BodyError::TooLarge | BodyError::Broken) => return Err(bad().into()),
    };
    if parts.method != Method::POST || !is_json(&parts.headers) {
        return Err(bad().into());
    }
    Ok((parse(&bytes).ok_or_else(bad)?, place))
}

/// The value of `data` in a body of not too many parts.
pub(crate) fn parse(body: &[u8]) -> Option<Value> {
    if body.iter().filter(|byte| matches!(byte, b'{' | b'[' | b',')).count() > MOST_PARTS {
        return None;
    }
    let Ok(Value::Object(body)) = serde_json::from_slice(body) else { return None };
    only_data(body)
}

/// `application/json`, with any parameters, in any case.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

/// The value of `data`, when the body has this key and no other.
pub(super) fn only_data(mut body: Map<String, Value>) -> Option<Value> {
    let data = body.remove("data")?;
    body.is_empty().then_some(data)
}
