//! What several targets need.

mod mutate;

pub use mutate::mutate_json;

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use roar_functions::fuzzing::store;
use roar_functions::runtime::{FunctionError, Status};
use roar_functions::store::{Fields, Timestamp, Value};
use serde_json::Value as Json;

/// The clock: 2026-01-01T00:00:00Z.
pub fn now() -> Timestamp {
    Timestamp::from_second(1_767_225_600).expect("a time")
}

/// A stored value, written as JSON: `{"@time": "2026-01-01T00:00:00Z"}` is an instant, `{"@double": "NaN"}` a number.
pub fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Boolean(*flag),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => Value::Integer(integer),
            None => Value::Double(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::String(text.clone()),
        Json::Array(items) => Value::Array(items.iter().map(value).collect()),
        Json::Object(entries) => {
            let text = |name: &str| entries.get(name).and_then(Json::as_str);
            if let Some(instant) = text("@time").and_then(|text| text.parse().ok()) {
                return Value::Timestamp(instant);
            }
            if let Some(double) = text("@double").and_then(|text| text.parse().ok()) {
                return Value::Double(double);
            }
            Value::Map(entries.iter().map(|(name, entry)| (name.clone(), value(entry))).collect())
        }
    }
}

/// The fields of a document, as a store has them; `None` when none can.
pub fn fields(json: &Json) -> Option<Fields> {
    let Value::Map(mut fields) = value(json) else { return None };
    store(&mut fields).ok()?;
    Some(fields)
}

/// Fails unless a store takes the fields.
#[track_caller]
pub fn assert_storable(fields: &Fields) {
    let mut stored = fields.clone();
    if let Err(why) = store(&mut stored) {
        panic!("{why}: {fields:?}");
    }
}

/// Fails unless the error blames the caller, and repeats nothing of theirs but what looks like an ID: callers' own
/// text may be anything, a child's name too. What isn't ASCII can only be theirs.
#[track_caller]
pub fn assert_discreet(error: &FunctionError) {
    assert_eq!(error.status, Status::InvalidArgument, "{error}");
    assert!(!error.message.is_empty() && error.message.len() < 16 * 1024, "{error}");
    assert!(error.message.chars().all(|c| c == '…' || c == ' ' || c.is_ascii_graphic()), "{error:?}");
}

/// The outcome of a future that has nothing to wait for.
pub fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => panic!("it waits"),
    }
}
